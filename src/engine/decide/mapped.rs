//! A stranger who comes to the public endpoint of a client's socket, where its
//! mapping lets more than its own servers in (RFC 4787 section 5).

use super::super::observer::{Observer, Step};
use super::super::shortage::Shortage;
use super::super::{CtState, Engine, Judgement, Reason, Verdict};
use super::endpoint::Aside;
use super::fresh::refused_by_rule;
use super::plan::{Admission, Decision, Opening};
use super::{Case, invalid, nothing, ttl_expired};
use crate::net::{Asking, NatRows, PerDirection, Place, Tuple};
use crate::rules::RuleId;
use crate::session::{Claim, Handle, Mapping, Origin, begin};

impl Engine {
    /// The mapping whose public endpoint this packet is addressed to.
    pub(super) fn mapping_for(&self, tuple: &Tuple) -> Option<Mapping> {
        let mappings = self.sessions.mappings();
        mappings.mapped_anywhere(tuple.protocol, tuple.destination)
    }

    /// A connection to a mapping: let in by its filter, under the rule that let
    /// its client out. `None`: the filter knows nothing of it, and it is judged
    /// as if there were no mapping.
    pub(super) fn decide_mapped(
        &self,
        case: &Case<'_>,
        tuple: &Tuple,
        mapping: &Mapping,
        replaces: Option<Handle>,
        why: &mut impl Observer,
    ) -> Option<Decision> {
        // What was given by a row or a rule that is gone admits nobody else.
        let policy = &self.policy;
        if !policy.nat.source.is_in_force(mapping.row.place())
            || !policy.rules.still_allows(mapping.first.rule.map(RuleId))
        {
            return None;
        }
        let from = case.arrival.zone;
        let client = match from == mapping.known_in {
            true => Client::Outside,
            false => Client::Inside,
        };
        let judgement = |verdict, reason, state| Judgement {
            verdict,
            ct: CtState::New,
            reason,
            rule: mapping.first.rule.map(RuleId),
            session: None,
            state,
            check: None,
        };
        let inward = Tuple {
            destination: mapping.inside,
            ..*tuple
        };
        let (source, claim, rule, row) = match client {
            Client::Outside => (tuple.source, None, mapping.first.rule, None),
            Client::Inside => {
                // It is asked as if it left, and is seen as it would be from there.
                let asking = Asking {
                    from,
                    to: Place::Zone(mapping.known_in),
                    tuple,
                };
                let permit = match self.permit(&asking, why) {
                    Ok(permit) => permit,
                    Err(refused) => {
                        let refusal = self.refusal(from, case.headers);
                        return Some(refused_by_rule(case, refused, refusal));
                    }
                };
                let aside = Aside {
                    replaces,
                    leads_to: Some(mapping.inside),
                };
                let known = (mapping.known_in, aside);
                let leaving = match self.leaving(tuple, &asking, None, known, why) {
                    Ok(leaving) => leaving,
                    Err(short) => {
                        let unmapped = judgement(Verdict::Drop, short.reason, None);
                        return Some(self.without_mapping(case, unmapped, short));
                    }
                };
                let rule = permit.rule().map(|rule| rule.0);
                (leaving.source, leaving.claim, rule, leaving.row)
            }
        };
        if !self.sessions.mappings().lets_in(mapping, source) {
            return None;
        }
        why.step(Step::Mapped(mapping));
        let dropped_for = |reason| {
            let shortage = Shortage {
                reason,
                row: Some(mapping.row),
                client: mapping.inside.address,
                protocol: mapping.protocol,
            };
            // A stranger is told nothing of the client's limits.
            Decision {
                shortage: Some(shortage),
                ..nothing(judgement(Verdict::Drop, reason, None))
            }
        };
        let Ok(tracked) = begin(&self.seen(case)) else {
            return Some(self.decide_invalid(case, invalid(Reason::NoSession), why));
        };
        if case.headers.ttl <= 1 {
            let expired = judgement(Verdict::Reject, Reason::TtlExpired, None);
            return Some(ttl_expired(case, expired));
        }
        let leaves = Tuple { source, ..inward };
        let leaves = match client {
            Client::Inside => leaves,
            // The client may know this server by another endpoint of its own: then
            // the stranger gets another port towards it.
            Client::Outside => {
                let aside = Aside {
                    replaces,
                    leads_to: None,
                };
                match self.unshared(tuple, &leaves, aside) {
                    Ok(source) => Tuple { source, ..leaves },
                    Err(reason) => return Some(dropped_for(reason)),
                }
            }
        };
        if self.has_its_sessions(mapping, replaces) {
            return Some(dropped_for(Reason::NatMappingLimit));
        }
        why.step(Step::Leaves(&leaves));
        let home = mapping.first.home;
        let origin = Origin {
            tuples: PerDirection {
                original: *tuple,
                reply: leaves.reversed(),
            },
            egress: PerDirection {
                original: home,
                reply: from,
            },
            rule,
            nat: NatRows {
                destination: mapping.first.row,
                source: row,
            },
            service: mapping.first.service,
            lifetime: mapping.first.lifetime,
            alg: None,
            parent: None,
            claims: PerDirection {
                original: claim,
                reply: Some(Claim::Mapped(
                    mapping.behaviour,
                    mapping.known_in,
                    mapping.row,
                )),
            },
            mss: self.mss_of(rule.map(RuleId), tuple, (from, home)),
        };
        let opening = Opening {
            origin,
            first: self.first(case, tracked, (tuple.protocol, origin.lifetime)),
            control: None,
            replaces,
            evicts: None,
            by: Admission::Mapped,
        };
        let state = Some(tracked.state());
        let allowed = judgement(Verdict::Forward(home), Reason::Mapping, state);
        Some(self.open(case, allowed, opening, why))
    }

    /// Whether there are as many sessions by this public endpoint as there may
    /// be (RFC 6888 REQ-5), not counting one that is about to be replaced.
    fn has_its_sessions(&self, mapping: &Mapping, replaces: Option<Handle>) -> bool {
        let mappings = self.sessions.mappings();
        let most = mappings
            .terms(mapping.row)
            .and_then(|terms| terms.max_sessions);
        let goes = replaces.and_then(|handle| self.sessions.get(handle));
        let goes = goes.is_some_and(|session| {
            let origin = &session.origin;
            origin.claims.reply.is_some() && origin.tuples.original.target() == mapping.outside
        });
        most.is_some_and(|most| mapping.holders - u32::from(goes) >= most.get())
    }
}

/// From where a stranger comes.
enum Client {
    /// From the zone in which the public endpoint is known.
    Outside,
    /// From another: a hairpin (RFC 4787 REQ-9).
    Inside,
}
