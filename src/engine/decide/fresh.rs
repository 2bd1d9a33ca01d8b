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
    AlgKind, Asking, Direction, Endpoint, Family, LifetimeId, NatRow, NatRows, PerDirection, Place,
    Protocol, Service, Timestamp, Tuple, ZoneId,
};
use crate::packet::{Complaint, Transport};
use crate::rules::{Mss, Permit, Refusal, RuleId, Ruling};
use crate::session::{
    Handle, Heard, Life, Limit, Newcomer, Origin, Seen, Standing, State, Tracked, Update, begin,
};

/// What a session that the rules allow is made of.
pub(in crate::engine) struct Begins<'a> {
    tuple: &'a Tuple,
    /// Where it leads.
    to: Endpoint,
    leaving: Leaving,
    /// The zone that it came by, and that which it leaves by.
    ways: (ZoneId, ZoneId),
    pub(in crate::engine) permit: Permit,
    /// The row that says where it leads.
    destination: Option<NatRow>,
    pub(in crate::engine) lifetime: LifetimeId,
    pub(in crate::engine) alg: Option<AlgKind>,
    pub(in crate::engine) mss: Option<NonZeroU16>,
}

/// How far a connection came that does not begin.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Stopped {
    pub(super) at: Stop,
    /// The row that says where it leads.
    destination: Option<NatRow>,
}

/// What stopped it.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) enum Stop {
    NoRoute,
    TtlExpired,
    /// A rule, or the default policy.
    Refused(Judgement, Place),
    /// It is for the gateway itself.
    Local(Permit),
    /// There is no public endpoint for it.
    Unmapped(Permit, Shortage),
}

impl Begins<'_> {
    // Made where it is kept: it is large, and whoever copies it has to wait for it.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "else it is moved once more")]
    pub(in crate::engine) fn origin(&self) -> Origin {
        let (from, egress) = self.ways;
        Origin {
            tuples: PerDirection {
                original: *self.tuple,
                reply: self.leaves().reversed(),
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

    /// As what it leaves.
    #[inline]
    pub(in crate::engine) fn leaves(&self) -> Tuple {
        Tuple {
            protocol: self.tuple.protocol,
            source: self.leaving.source,
            destination: self.to,
        }
    }

    /// What is judged of a packet with which it begins, but for its number.
    #[inline]
    pub(in crate::engine) fn allowed(&self, state: State) -> Judgement {
        let (_, egress) = self.ways;
        let rule = self.permit.rule();
        Judgement {
            state: Some(state),
            ..new(Verdict::Forward(egress), reason_of(rule), rule)
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
        let from = case.arrival.zone;
        let Ok(tracked) = begin(&self.seen(case)) else {
            return self.decide_invalid(case, invalid(Reason::NoSession), why);
        };
        let came = (from, case.headers.ttl);
        let begins = match self.way_of(tuple, came, replaces, why) {
            Ok(begins) => begins,
            Err(stopped) => return self.decide_stopped(case, tuple, &stopped, why),
        };
        let permit = begins.permit;
        let allowed = begins.allowed(tracked.state());
        let by = Admission::Permit(permit);
        // Of TCP there is nothing to read in a SYN.
        let request = match begins.alg {
            Some(kind) if kind.protocol() == Protocol::UDP => {
                self.read_request(case, kind, &begins, why)
            }
            _ => Ok(None),
        };
        let control = match request {
            Ok(control) => control,
            Err(refused) => {
                let dropped = new(Verdict::Drop, refused.reason, permit.rule());
                return refused_by_alg(dropped, refused.notes);
            }
        };
        let newcomer = self.newcomer(case.now, tuple.source.address, &tracked, replaces, by);
        let evicts = match self.room(&newcomer, by, why) {
            Ok(evicts) => evicts,
            Err(limit) => return self.without_room(case, allowed, limit),
        };
        let kind = (tuple.protocol, begins.lifetime);
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
                    first: first(case.headers.length, tracked, deadline),
                    control,
                    replaces,
                    evicts,
                    by,
                },
            ),
            shortage: None,
        }
    }

    /// The way of a connection that came by this zone, with so long to live: destination NAT,
    /// route, rules, source NAT.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "else what it gives is moved once more"
    )]
    pub(in crate::engine) fn way_of<'a>(
        &self,
        tuple: &'a Tuple,
        (from, ttl): (ZoneId, u8),
        replaces: Option<Handle>,
        why: &mut impl Observer,
    ) -> Result<Begins<'a>, Stopped> {
        let policy = &self.policy;
        let translated = policy.nat.inward(from, tuple, &policy.zones);
        why.step(Step::Inward(
            translated.map(|found| (found.row, found.tuple)),
        ));
        let destination = translated.map(|found| found.row);
        let inward = translated.as_ref().map_or(tuple, |found| &found.tuple);
        let stopped = |at| Stopped { at, destination };

        let to = policy.zones.route(inward.destination.address);
        why.step(Step::Routed(to));
        let Some(to) = to else {
            return Err(stopped(Stop::NoRoute));
        };
        if ttl <= 1 && to != Place::Gateway {
            return Err(stopped(Stop::TtlExpired));
        }

        let asking = Asking {
            from,
            to,
            tuple: inward,
        };
        let permit = match self.permit(&asking, why) {
            Ok(permit) => permit,
            Err(refused) => return Err(stopped(Stop::Refused(refused, to))),
        };
        let Place::Zone(egress) = to else {
            return Err(stopped(Stop::Local(permit)));
        };

        let aside = Aside {
            replaces,
            leads_to: None,
        };
        let known = (egress, aside);
        let leaving = match self.leaving(tuple, &asking, translated.as_ref(), known, why) {
            Ok(leaving) => leaving,
            Err(short) => return Err(stopped(Stop::Unmapped(permit, short))),
        };

        let service = permit
            .service()
            .and_then(|service| policy.services.get(service));
        let lifetime = self.lifetime_of(permit.rule(), service, from, egress);
        let alg = service
            .and_then(|service| service.alg)
            .filter(|alg| alg.protocol() == tuple.protocol);
        why.step(Step::Lives(lifetime));
        Ok(Begins {
            tuple,
            to: inward.destination,
            leaving,
            ways: (from, egress),
            permit,
            destination,
            lifetime,
            alg,
            mss: self.mss_of(permit.rule(), tuple, (from, egress)),
        })
    }

    /// What becomes of a connection that came no further.
    #[inline(never)]
    pub(super) fn decide_stopped(
        &self,
        case: &Case<'_>,
        tuple: &Tuple,
        stopped: &Stopped,
        why: &mut impl Observer,
    ) -> Decision {
        let refusal = || {
            let usual = self.refusal(case.arrival.zone, case.headers);
            match (stopped.destination, usual) {
                (Some(_), Answer::Refusal(complaint)) => Answer::RefusalAsAddressed(complaint),
                _ => usual,
            }
        };
        match stopped.at {
            Stop::NoRoute => answered(
                case,
                new(Verdict::Reject, Reason::NoRoute, None),
                Answer::Error(Complaint::NoRoute),
            ),
            Stop::TtlExpired => ttl_expired(case, new(Verdict::Reject, Reason::TtlExpired, None)),
            Stop::Refused(refused, to) => {
                let (from, policy) = (case.arrival.zone, &self.policy);
                let translated = policy.nat.inward(from, tuple, &policy.zones);
                let asking = Asking {
                    from,
                    to,
                    tuple: translated.as_ref().map_or(tuple, |found| &found.tuple),
                };
                match self.is_unsolicited(case, tuple, &asking) {
                    true => self.decide_unsolicited(case, tuple, refused, why),
                    false => refused_by_rule(case, refused, refusal()),
                }
            }
            Stop::Local(permit) => self.decide_local(case, permit, refusal()),
            Stop::Unmapped(permit, short) => {
                let unmapped = new(Verdict::Drop, short.reason, permit.rule());
                self.without_mapping(case, unmapped, short)
            }
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
        asking: &Asking<'_>,
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
        let newcomer = self.newcomer(case.now, source, &first.tracked, replaces, by);
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
    pub(in crate::engine) fn newcomer(
        &self,
        now: Timestamp,
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
            now,
            of_rule: most.map(|most| most as usize),
        }
    }

    /// Whether there is room for one more, and who goes to make it.
    #[inline]
    pub(in crate::engine) fn room(
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
        first(case.headers.length, tracked, deadline)
    }

    pub(in crate::engine) fn deadline(
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
pub(in crate::engine) fn first(bytes: usize, tracked: Tracked, deadline: Timestamp) -> Update {
    Update {
        direction: Direction::Original,
        tracked,
        heard: Heard::OneEnd,
        deadline,
        bytes,
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

/// Of a packet that may begin something.
#[inline]
fn new(verdict: Verdict, reason: Reason, rule: Option<RuleId>) -> Judgement {
    Judgement {
        verdict,
        ct: CtState::New,
        reason,
        rule,
        session: None,
        state: None,
        check: None,
    }
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
