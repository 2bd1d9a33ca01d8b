//! A connection that nobody announced: destination NAT, route, rules, source
//! NAT; and what every session that begins has in common.

use std::num::NonZeroU16;

use super::super::control::{Control, ControlStep, Refused, read_datagram};
use super::super::observer::{Observer, Step};
use super::super::shortage::Shortage;
use super::super::{CtState, Engine, Judgement, Reason, Verdict};
use super::endpoint::Aside;
use super::plan::{Admission, Answer, Decision, Opening, Plan};
use super::{Case, answered, invalid, nothing, refused_by_alg, ttl_expired};
use crate::nat::NoMapping;
use crate::net::{
    Asking, Direction, Family, LifetimeId, NatRows, PerDirection, Place, Protocol, Service,
    Timestamp, Tuple, ZoneId,
};
use crate::packet::{Complaint, Transport};
use crate::rules::{Mss, Permit, Refusal, RuleId, Ruling};
use crate::session::{
    Handle, Heard, Life, Limit, Newcomer, Origin, Seen, State, Tracked, Update, begin,
};

impl Engine {
    /// A packet that may begin something, in place of a session that is over
    /// where it says so: a mapping may let it in, else the rules are asked.
    pub(super) fn decide_fresh(
        &self,
        case: &Case<'_>,
        tuple: &Tuple,
        replaces: Option<Handle>,
        why: &mut impl Observer,
    ) -> Decision {
        if let Some(mapping) = self.mapping_for(tuple)
            && let Some(decision) = self.decide_mapped(case, tuple, mapping, replaces, why)
        {
            return decision;
        }
        self.decide_new(case, tuple, replaces, why)
    }

    /// A connection that nobody announced: destination NAT, route, rules,
    /// source NAT.
    fn decide_new(
        &self,
        case: &Case<'_>,
        tuple: &Tuple,
        replaces: Option<Handle>,
        why: &mut impl Observer,
    ) -> Decision {
        let policy = &self.policy;
        let from = case.arrival.zone;
        let Ok(tracked) = begin(&self.seen(case)) else {
            return self.decide_invalid(case, invalid(Reason::NoSession), why);
        };
        let judgement = |verdict, reason, rule, state| Judgement {
            verdict,
            ct: CtState::New,
            reason,
            rule,
            session: None,
            state,
            check: None,
        };

        let translated = policy.nat.inward(from, tuple, &policy.zones);
        why.step(Step::Inward(
            translated.map(|found| (found.row, found.tuple)),
        ));
        let inward = translated.map_or(*tuple, |found| found.tuple);
        let refusal = || match (translated, self.refusal(from, case.headers)) {
            (Some(_), Answer::Refusal(complaint)) => Answer::RefusalAsAddressed(complaint),
            (_, usual) => usual,
        };

        let to = policy.zones.route(inward.destination.address);
        why.step(Step::Routed(to));
        let Some(to) = to else {
            return answered(
                case,
                judgement(Verdict::Reject, Reason::NoRoute, None, None),
                Answer::Error(Complaint::NoRoute),
            );
        };
        if case.headers.ttl <= 1 && to != Place::Gateway {
            return ttl_expired(
                case,
                judgement(Verdict::Reject, Reason::TtlExpired, None, None),
            );
        }

        let asking = Asking {
            from,
            to,
            tuple: inward,
        };
        let permit = match self.permit(&asking, why) {
            Ok(permit) => permit,
            Err(refused) if self.is_unsolicited(case, tuple, &asking) => {
                return self.decide_unsolicited(case, tuple, refused, why);
            }
            Err(refused) => return refused_by_rule(case, refused, refusal()),
        };
        let Place::Zone(egress) = to else {
            return self.decide_local(case, permit, refusal());
        };

        let aside = Aside {
            replaces,
            leads_to: None,
        };
        let known = (egress, aside);
        let leaving = match self.leaving(tuple, &asking, translated.as_ref(), known, why) {
            Ok(leaving) => leaving,
            Err(short) => {
                let unmapped = judgement(Verdict::Drop, short.reason, permit.rule(), None);
                return self.without_mapping(case, unmapped, short);
            }
        };

        let service = permit
            .service()
            .and_then(|service| policy.services.get(service));
        let origin = Origin {
            tuples: PerDirection {
                original: *tuple,
                reply: leaving.tuple.reversed(),
            },
            egress: PerDirection {
                original: egress,
                reply: from,
            },
            rule: permit.rule().map(|rule| rule.0),
            nat: NatRows {
                destination: translated.map(|found| found.row),
                source: leaving.row,
            },
            service: permit.service(),
            lifetime: self.lifetime_of(permit.rule(), service, from, egress),
            alg: service
                .and_then(|service| service.alg)
                .filter(|alg| alg.protocol() == tuple.protocol),
            parent: None,
            claims: PerDirection {
                original: leaving.claim,
                reply: None,
            },
            mss: self.mss_of(permit.rule(), tuple, (from, egress)),
        };
        why.step(Step::Lives(origin.lifetime));
        let first = self.first(case, tracked, &origin);
        let reason = reason_of(permit.rule());
        let allowed = judgement(
            Verdict::Forward(egress),
            reason,
            permit.rule(),
            Some(tracked.state()),
        );
        let by = Admission::Permit(permit);
        let control = match self.read_request(case, &origin, why) {
            Ok(control) => control,
            Err(refused) => {
                let dropped = judgement(Verdict::Drop, refused.reason, permit.rule(), None);
                return refused_by_alg(dropped, refused.notes);
            }
        };
        let opening = Opening {
            origin,
            first,
            control,
            replaces,
            evicts: None,
            by,
        };
        self.open(case, allowed, opening, why)
    }

    /// Lets the ALG read the datagram that its session begins with. Of TCP there
    /// is nothing to read in a SYN.
    fn read_request(
        &self,
        case: &Case<'_>,
        origin: &Origin,
        why: &mut impl Observer,
    ) -> Result<Option<Box<ControlStep>>, Refused> {
        match origin.alg {
            Some(kind) if kind.protocol() == Protocol::UDP => {
                let control = Control::new(kind, case.headers);
                let known = (&control, &self.circumstances(case));
                let place = (origin, Direction::Original);
                read_datagram(known, place, (case.headers, case.frame), why)
            }
            _ => Ok(None),
        }
    }

    /// What the rules say of a connection: the permit, or the refusal.
    pub(super) fn permit(
        &self,
        asking: &Asking,
        why: &mut impl Observer,
    ) -> Result<Permit, Judgement> {
        let policy = &self.policy;
        let passed_over = |rule, mismatch| why.step(Step::PassedOver(rule, mismatch));
        let ruling = policy.rules.judge(asking, &policy.services, passed_over);
        why.step(Step::Ruled(&ruling));
        let refused = |verdict, rule| Judgement {
            verdict,
            ct: CtState::New,
            reason: reason_of(rule),
            rule,
            session: None,
            state: None,
            check: None,
        };
        match ruling {
            Ruling::Permitted(permit) => Ok(permit),
            Ruling::Refused(rule, Refusal::Drop) => Err(refused(Verdict::Drop, rule)),
            Ruling::Refused(rule, Refusal::Reject) => Err(refused(Verdict::Reject, rule)),
        }
    }

    /// What becomes of a connection for which there is no public endpoint.
    pub(super) fn without_mapping(
        &self,
        case: &Case<'_>,
        dropped: Judgement,
        shortage: Shortage,
    ) -> Decision {
        Decision {
            shortage: Some(shortage),
            ..told(case, dropped, self.policy.nat.no_mapping)
        }
    }

    /// What the rules allow to the gateway itself: it answers pings, and has
    /// no other service.
    fn decide_local(&self, case: &Case<'_>, permit: Permit, refusal: Answer) -> Decision {
        let (verdict, reason, answer) = match case.headers.transport {
            Transport::Query(query, ..) if query.is_echo_request() => {
                (Verdict::Answer, Reason::GatewayEcho, Answer::Echo)
            }
            _ => {
                let nobody = refusal.saying(Complaint::PortUnreachable);
                (Verdict::Reject, Reason::GatewayService, nobody)
            }
        };
        let judgement = Judgement {
            verdict,
            ct: CtState::New,
            reason,
            rule: permit.rule(),
            session: None,
            state: None,
            check: None,
        };
        answered(case, judgement, answer)
    }

    /// The decision to open a session, if there is room for it.
    #[inline]
    pub(super) fn open(
        &self,
        case: &Case<'_>,
        judgement: Judgement,
        mut opening: Opening,
        why: &mut impl Observer,
    ) -> Decision {
        let limits = &self.policy.limits;
        // What an ALG announced comes under the limits of source and rule that
        // its control session met; it counts, and is not refused by them.
        let (of_source, source_rate, of_rule) = match opening.by {
            Admission::Expected(..) => (None, None, None),
            Admission::Mapped => (limits.per_source, limits.per_source_rate, None),
            Admission::Permit(permit) => {
                let rule = permit.rule().and_then(|rule| self.policy.rules.get(rule));
                let most = rule.and_then(|rule| rule.max_sessions);
                let most = most.map(|most| most as usize);
                (limits.per_source, limits.per_source_rate, most)
            }
        };
        let newcomer = Newcomer {
            origin: &opening.origin,
            first: &opening.first,
            replaces: opening.replaces,
            of_source,
            source_rate,
            now: case.now,
            of_rule,
        };
        opening.evicts = match self.sessions.room_for(&newcomer, limits) {
            Ok(evicts) => evicts,
            Err(limit) => {
                why.step(Step::NoRoom(limit));
                let dropped = Judgement {
                    verdict: Verdict::Drop,
                    reason: reason_of_limit(limit),
                    state: None,
                    ..judgement
                };
                return told(case, dropped, self.policy.no_room);
            }
        };
        if let Some(victim) = opening.evicts.and_then(|handle| self.sessions.get(handle)) {
            why.step(Step::Evicts(victim.id, victim.standing()));
        }
        let session = Some(self.sessions.next_id());
        let left = opening.first.deadline.since(case.now);
        why.step(Step::Begins(&opening.origin, left));
        let judgement = Judgement {
            session,
            ..judgement
        };
        Decision::new(judgement, Plan::Open(*case.headers, opening))
    }

    /// The packet as tracking wants it.
    pub(super) fn seen<'a>(&self, case: &Case<'a>) -> Seen<'a> {
        Seen {
            headers: case.headers,
            frame: case.frame,
            now: case.now,
            checks: self.policy.tcp,
        }
    }

    /// What the first packet of a session does to it.
    #[inline]
    pub(super) fn first(&self, case: &Case<'_>, tracked: Tracked, origin: &Origin) -> Update {
        Update {
            direction: Direction::Original,
            tracked,
            heard: Heard::OneEnd,
            deadline: self.deadline(case.now, tracked.state(), tracked.first_life(), origin),
            bytes: case.headers.length,
        }
    }

    pub(super) fn deadline(
        &self,
        now: Timestamp,
        state: State,
        life: Life,
        origin: &Origin,
    ) -> Timestamp {
        let protocol = origin.tuples.original.protocol;
        let lifetime = self.policy.lifetimes.get(origin.lifetime);
        now.after(lifetime.lasts(state, life, protocol))
    }

    /// The lifetime of a session that begins: what its rule says, else its
    /// service, else the zones that it is between, else `[timeouts]`.
    pub(super) fn lifetime_of(
        &self,
        rule: Option<RuleId>,
        service: Option<&Service>,
        from: ZoneId,
        to: ZoneId,
    ) -> LifetimeId {
        let policy = &self.policy;
        rule.and_then(|rule| policy.rules.get(rule)?.lifetime)
            .or_else(|| service?.lifetime)
            .unwrap_or_else(|| policy.lifetimes.of_zones(from, to))
    }
}

impl Engine {
    /// What the SYNs of a connection may announce at most, by the rule that let
    /// it in. Both ends hear of the narrower link: what one of them sends passes
    /// both.
    pub(super) fn mss_of(
        &self,
        rule: Option<RuleId>,
        tuple: &Tuple,
        (from, to): (ZoneId, ZoneId),
    ) -> Option<NonZeroU16> {
        let mss = self.policy.rules.get(rule?)?.mss?;
        if tuple.protocol != Protocol::TCP {
            return None;
        }
        match mss {
            Mss::Octets(octets) => Some(octets),
            Mss::Mtu => {
                let narrower = [from, to].into_iter().filter_map(|zone| self.mtu(zone));
                let headers = match tuple.source.family() {
                    Family::V4 => 40,
                    Family::V6 => 60,
                };
                NonZeroU16::new(narrower.min()?.saturating_sub(headers))
            }
        }
    }
}

/// What becomes of a connection that a rule refuses, and how its sender is told.
pub(super) fn refused_by_rule(case: &Case<'_>, refused: Judgement, refusal: Answer) -> Decision {
    match refused.verdict {
        Verdict::Reject => answered(case, refused, refusal),
        _ => nothing(refused),
    }
}

/// Whoever finds no place is told so where the file wants it; never by an RST, so
/// that an honest client tries again (RFC 3360 section 4).
fn told(case: &Case<'_>, dropped: Judgement, word: NoMapping) -> Decision {
    let complaint = match word {
        NoMapping::Silent => return nothing(dropped),
        NoMapping::HostUnreachable => Complaint::HostUnreachable,
        NoMapping::Prohibited => Complaint::Prohibited,
    };
    let rejected = Judgement {
        verdict: Verdict::Reject,
        ..dropped
    };
    answered(case, rejected, Answer::Error(complaint))
}

fn reason_of(rule: Option<RuleId>) -> Reason {
    match rule {
        Some(_) => Reason::Rule,
        None => Reason::DefaultPolicy,
    }
}

fn reason_of_limit(limit: Limit) -> Reason {
    match limit {
        Limit::Sessions => Reason::SessionLimit,
        Limit::HalfOpen => Reason::HalfOpenLimit,
        Limit::Source => Reason::SourceLimit,
        Limit::SourceRate => Reason::SourceRate,
        Limit::Rule => Reason::RuleLimit,
    }
}
