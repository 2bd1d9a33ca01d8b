//! A connection that nobody announced: destination NAT, route, rules, source
//! NAT; and what every session that begins has in common.

use std::net::IpAddr;
use std::num::NonZeroU16;

use super::super::control::{Control, ControlStep, Refused, read_datagram};
use super::super::observer::{Observer, Step};
use super::super::shortage::Shortage;
use super::super::{CtState, Engine, Intake, Judgement, Reason, Verdict};
use super::endpoint::Aside;
use super::leaving::Leaving;
use super::plan::{Admission, Answer, Decision, Opening, Plan};
use super::{Case, answered, invalid, nothing, refused_by_alg, ttl_expired};
use crate::nat::NoMapping;
use crate::net::{
    AlgKind, Asking, Direction, Family, LifetimeId, NatRow, NatRows, PerDirection, Place, Protocol,
    Service, Timestamp, Tuple, ZoneId,
};
use crate::packet::{Complaint, Transport};
use crate::rules::{Mss, Permit, Refusal, RuleId, Ruling};
use crate::session::{
    Handle, Heard, Life, Limit, Newcomer, Origin, Seen, Standing, State, Tracked, Update, begin,
};

/// What a session that the rules allow is made of.
struct Begins<'a> {
    tuple: &'a Tuple,
    leaving: &'a Leaving,
    /// The zone that it came by, and that which it leaves by.
    ways: (ZoneId, ZoneId),
    permit: Permit,
    /// The row that says where it leads.
    destination: Option<NatRow>,
    lifetime: LifetimeId,
    alg: Option<AlgKind>,
    mss: Option<NonZeroU16>,
}

impl Begins<'_> {
    // Made where it is kept: it is large, and whoever copies it has to wait for it.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "else it is moved once more")]
    fn origin(&self) -> Origin {
        let (from, egress) = self.ways;
        Origin {
            tuples: PerDirection {
                original: *self.tuple,
                reply: self.leaving.tuple.reversed(),
            },
            egress: PerDirection {
                original: egress,
                reply: from,
            },
            rule: self.permit.rule().map(|rule| rule.0),
            nat: NatRows {
                destination: self.destination,
                source: self.leaving.row,
            },
            service: self.permit.service(),
            lifetime: self.lifetime,
            alg: self.alg,
            parent: None,
            claims: PerDirection {
                original: self.leaving.claim,
                reply: None,
            },
            mss: self.mss,
        }
    }
}

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
            && let Some(decision) = self.decide_mapped(case, tuple, &mapping, replaces, why)
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
        let lifetime = self.lifetime_of(permit.rule(), service, from, egress);
        let alg = service
            .and_then(|service| service.alg)
            .filter(|alg| alg.protocol() == tuple.protocol);
        let mss = self.mss_of(permit.rule(), tuple, (from, egress));
        let begins = Begins {
            tuple,
            leaving: &leaving,
            ways: (from, egress),
            permit,
            destination: translated.map(|found| found.row),
            lifetime,
            alg,
            mss,
        };
        why.step(Step::Lives(lifetime));
        let reason = reason_of(permit.rule());
        let allowed = judgement(
            Verdict::Forward(egress),
            reason,
            permit.rule(),
            Some(tracked.state()),
        );
        let by = Admission::Permit(permit);
        // Of TCP there is nothing to read in a SYN.
        let request = match alg {
            Some(kind) if kind.protocol() == Protocol::UDP => {
                self.read_request(case, kind, &begins, why)
            }
            _ => Ok(None),
        };
        let control = match request {
            Ok(control) => control,
            Err(refused) => {
                let dropped = judgement(Verdict::Drop, refused.reason, permit.rule(), None);
                return refused_by_alg(dropped, refused.notes);
            }
        };
        let newcomer = self.newcomer(case, tuple.source.address, &tracked, replaces, by);
        let evicts = match self.room(&newcomer, by, why) {
            Ok(evicts) => evicts,
            Err(limit) => return self.without_room(case, allowed, limit),
        };
        let kind = (tuple.protocol, lifetime);
        let deadline = self.deadline(case.now, tracked.state(), tracked.first_life(), kind);
        if why.listens() {
            why.step(Step::Begins(&begins.origin(), deadline.since(case.now)));
        }
        let judgement = Judgement {
            session: Some(self.sessions.next_id()),
            ..allowed
        };
        Decision {
            judgement,
            plan: Plan::Open(
                *case.headers,
                Opening {
                    origin: begins.origin(),
                    first: first(case, tracked, deadline),
                    control,
                    replaces,
                    evicts,
                    by,
                },
            ),
            shortage: None,
        }
    }

    /// Lets the ALG read the datagram that its session begins with.
    #[inline(never)]
    fn read_request(
        &self,
        case: &Case<'_>,
        kind: AlgKind,
        begins: &Begins<'_>,
        why: &mut impl Observer,
    ) -> Result<Option<Box<ControlStep>>, Refused> {
        let control = Control::new(kind, case.headers);
        let known = (&control, &self.circumstances(case));
        let place = (&begins.origin(), Direction::Original);
        read_datagram(known, place, (case.headers, case.frame), why)
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
    pub(super) fn open(
        &self,
        case: &Case<'_>,
        judgement: Judgement,
        opening: Opening,
        why: &mut impl Observer,
    ) -> Decision {
        let Opening {
            ref origin,
            ref first,
            replaces,
            by,
            ..
        } = opening;
        let source = origin.tuples.original.source.address;
        let newcomer = self.newcomer(case, source, &first.tracked, replaces, by);
        let evicts = match self.room(&newcomer, by, why) {
            Ok(evicts) => evicts,
            Err(limit) => return self.without_room(case, judgement, limit),
        };
        let left = first.deadline.since(case.now);
        why.step(Step::Begins(origin, left));
        let judgement = Judgement {
            session: Some(self.sessions.next_id()),
            ..judgement
        };
        let opening = Opening { evicts, ..opening };
        Decision::new(judgement, Plan::Open(*case.headers, opening))
    }

    /// What the limits ask of a session that is about to begin.
    #[inline]
    fn newcomer(
        &self,
        case: &Case<'_>,
        source: IpAddr,
        tracked: &Tracked,
        replaces: Option<Handle>,
        by: Admission,
    ) -> Newcomer {
        let limits = &self.policy.limits;
        // What an ALG announced comes under the limits of source and rule that
        // its control session met; it counts, and is not refused by them.
        let (of_source, source_rate, by_rule) = match by {
            Admission::Expected(..) => (None, None, None),
            Admission::Mapped => (limits.per_source, limits.per_source_rate, None),
            Admission::Permit(permit) => (limits.per_source, limits.per_source_rate, permit.rule()),
        };
        let rule = by_rule.and_then(|rule| self.policy.rules.get(rule));
        let most = rule.and_then(|rule| rule.max_sessions);
        Newcomer {
            source,
            rule: by_rule.map(|rule| rule.0),
            standing: Standing::of(tracked.state(), Heard::OneEnd),
            replaces,
            of_source,
            source_rate,
            now: case.now,
            of_rule: most.map(|most| most as usize),
        }
    }

    /// Whether there is room for one more, and who goes to make it.
    #[inline]
    fn room(
        &self,
        newcomer: &Newcomer,
        by: Admission,
        why: &mut impl Observer,
    ) -> Result<Option<Handle>, Limit> {
        let room = match (self.intake, by) {
            // What an ALG announced belongs to a session that goes on.
            (Intake::Open, _) | (Intake::Drained, Admission::Expected(..)) => {
                self.sessions.room_for(newcomer, &self.policy.limits)
            }
            (Intake::Drained, Admission::Permit(_) | Admission::Mapped) => Err(Limit::Drained),
        };
        match room {
            Ok(None) => {}
            Ok(Some(victim)) => {
                if let Some(victim) = self.sessions.get(victim) {
                    why.step(Step::Evicts(victim.id, victim.standing()));
                }
            }
            Err(limit) => why.step(Step::NoRoom(limit)),
        }
        room
    }

    #[inline(never)]
    fn without_room(&self, case: &Case<'_>, judgement: Judgement, limit: Limit) -> Decision {
        let dropped = Judgement {
            verdict: Verdict::Drop,
            reason: reason_of_limit(limit),
            state: None,
            ..judgement
        };
        told(case, dropped, self.policy.no_room)
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
    pub(super) fn first(
        &self,
        case: &Case<'_>,
        tracked: Tracked,
        kind: (Protocol, LifetimeId),
    ) -> Update {
        let deadline = self.deadline(case.now, tracked.state(), tracked.first_life(), kind);
        first(case, tracked, deadline)
    }

    pub(super) fn deadline(
        &self,
        now: Timestamp,
        state: State,
        life: Life,
        (protocol, lifetime): (Protocol, LifetimeId),
    ) -> Timestamp {
        let lifetime = self.policy.lifetimes.get(lifetime);
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

#[inline(always)]
#[expect(clippy::inline_always, reason = "else it is moved once more")]
fn first(case: &Case<'_>, tracked: Tracked, deadline: Timestamp) -> Update {
    Update {
        direction: Direction::Original,
        tracked,
        heard: Heard::OneEnd,
        deadline,
        bytes: case.headers.length,
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
        Limit::Drained => Reason::Draining,
    }
}
