//! Deciding: what is to happen to a packet. Nothing here changes anything.

use std::net::IpAddr;

use super::control::{Circumstances, ControlStep, read as read_control};
use super::observer::{Observer, Step};
use super::{Arrival, Checksums, CtState, Engine, Extent, Judgement, Reason, Verdict};
use crate::nat::{SourceChoice, unique_source};
use crate::net::{AlgKind, Asking, Direction, PerDirection, Place, Timestamp, Tuple};
use crate::packet::{self, BadPacket, Complaint, Fragment, Headers, Quoted, Transport};
use crate::rules::{Permit, Refusal, RuleId, Ruling};
use crate::session::{
    Expectation, ExpectedTuple, Handle, Heard, Origin, Session, State, Track, begin, lifetime,
    track,
};

/// The most sessions that an engine keeps.
const MAX_SESSIONS: usize = 1 << 22;

/// What was decided about a packet, with all that carrying it out needs.
#[derive(Debug)]
pub(super) struct Decision {
    pub(super) judgement: Judgement,
    pub(super) plan: Plan,
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum Plan {
    /// Nothing: the packet is dropped in silence.
    Nothing,
    /// The gateway answers.
    Answer(Headers, Answer),
    /// A packet of a session passes.
    Pass(Headers, Pass),
    /// A session begins with this packet.
    Open(Headers, Opening),
    /// An ICMP error about a session passes.
    Error(Headers, ErrorPass),
}

/// What the gateway itself sends back to where the packet came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// An RST, or for what is no TCP an ICMP port unreachable.
    Refusal,
    /// An ICMP error.
    Error(Complaint),
    /// The reply to an echo request.
    Echo,
}

/// How a packet of a session passes.
#[derive(Debug)]
pub(super) struct Pass {
    pub(super) handle: Handle,
    pub(super) direction: Direction,
    pub(super) state: State,
    pub(super) deadline: Timestamp,
    pub(super) leaves: Tuple,
    pub(super) alg: Option<AlgKind>,
    pub(super) control: Option<Box<ControlStep>>,
}

/// How a session begins. There is none without a permit: its own, or that of
/// the control session which announced it.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) origin: Origin,
    pub(super) state: State,
    pub(super) deadline: Timestamp,
    pub(super) replaces: Option<Handle>,
    pub(super) by: Admission,
}

/// By whose word a session begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// A rule's, or the default policy's.
    Permit(Permit),
    /// The expectation's that its control session's permit covers.
    Expected(ExpectedTuple, Handle),
}

/// How an ICMP error passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ErrorPass {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) quoted: Quoted,
    pub(super) inner: Tuple,
}

/// A packet under decision.
#[derive(Clone, Copy)]
struct Case<'a> {
    now: Timestamp,
    arrival: Arrival,
    frame: &'a [u8],
    headers: &'a Headers,
}

impl Engine {
    /// What is to happen to this packet: the path, in order. Only reads.
    pub(super) fn decide(
        &self,
        now: Timestamp,
        arrival: Arrival,
        frame: &[u8],
        why: &mut impl Observer,
    ) -> Decision {
        let decision = self.decide_by_steps(now, arrival, frame, why);
        why.step(Step::Decided(&decision.judgement));
        decision
    }

    fn decide_by_steps(
        &self,
        now: Timestamp,
        arrival: Arrival,
        frame: &[u8],
        why: &mut impl Observer,
    ) -> Decision {
        let headers = match self.parse(arrival, frame) {
            Ok(headers) => headers,
            Err(reason) => return dropped(CtState::Invalid, reason),
        };
        why.step(Step::Read(&headers));
        if let Some((ct, reason)) = refused_unseen(&headers) {
            return dropped(ct, reason);
        }
        let case = Case {
            now,
            arrival,
            frame,
            headers: &headers,
        };
        let Some(tuple) = headers.tuple() else {
            return match headers.transport {
                Transport::Error { .. } => self.decide_error(&case, why),
                _ => dropped(CtState::Invalid, Reason::NoSession),
            };
        };
        if let Some((handle, session, direction)) = self.sessions.lookup(&tuple) {
            return self.decide_existing(&case, &tuple, (handle, session, direction), why);
        }
        if let Some((expectation, parent)) = self.expectation_for(arrival, &tuple) {
            return self.decide_expected(&case, &tuple, expectation, parent, why);
        }
        why.step(Step::NoSession);
        self.decide_new(&case, &tuple, None, why)
    }

    fn parse(&self, arrival: Arrival, frame: &[u8]) -> Result<Headers, Reason> {
        let reason = |bad| match bad {
            BadPacket::Length => Reason::BadLength,
            BadPacket::Header => Reason::BadHeader,
            BadPacket::IpChecksum | BadPacket::TransportChecksum => Reason::BadChecksum,
        };
        let headers = Headers::read(frame, arrival.extent == Extent::Cut).map_err(reason)?;
        if self.options.checksums == Checksums::Verify {
            headers.verify_checksums(frame).map_err(reason)?;
        }
        Ok(headers)
    }

    /// The expectation that this packet meets, with its parent: only for what
    /// arrives where the parent's packets of that direction arrive.
    fn expectation_for(&self, arrival: Arrival, tuple: &Tuple) -> Option<(&Expectation, &Session)> {
        let expectation = self.sessions.expectations().matching(tuple)?;
        let parent = self.sessions.get(expectation.parent)?;
        let arrives_by = parent.origin.egress[!expectation.direction];
        (arrives_by == arrival.zone).then_some((expectation, parent))
    }

    fn decide_existing(
        &self,
        case: &Case<'_>,
        tuple: &Tuple,
        (handle, session, direction): (Handle, &Session, Direction),
        why: &mut impl Observer,
    ) -> Decision {
        let Session {
            origin,
            state,
            began,
            ..
        } = session;
        let track = track(*state, *began, direction, case.headers, case.now);
        why.step(Step::InSession {
            session: session.id,
            direction,
            state: *state,
            track,
        });
        let judgement = |verdict, reason, state| Judgement {
            verdict,
            ct: ct_of(session, direction),
            reason,
            rule: origin.rule.map(RuleId),
            session: Some(session.id),
            state: Some(state),
        };
        let (next, deadline) = match track {
            Track::Belongs(next) => (next, self.deadline(case.now, next, origin)),
            Track::Ignored => (*state, session.deadline),
            Track::Reopens => return self.decide_new(case, tuple, Some(handle), why),
            Track::Invalid => {
                let refused = judgement(Verdict::Drop, Reason::TcpInvalidState, *state);
                return nothing(Judgement {
                    ct: CtState::Invalid,
                    ..refused
                });
            }
        };
        if case.headers.ttl <= 1 {
            return ttl_expired(case, judgement(Verdict::Reject, Reason::TtlExpired, *state));
        }
        let leaves = origin.outgoing(direction);
        why.step(Step::Leaves(&leaves));
        let control = match self
            .controls
            .get(&session.id)
            .filter(|_| origin.alg.is_some())
        {
            None => None,
            Some(control) => {
                let circumstances = Circumstances {
                    sessions: &self.sessions,
                    hash: self.hash,
                    timeouts: &self.policy.timeouts,
                    now: case.now,
                };
                let place = (handle, session, direction);
                match read_control(
                    control,
                    &circumstances,
                    place,
                    case.headers,
                    case.frame,
                    why,
                ) {
                    Ok(step) => step,
                    Err(_) => return nothing(judgement(Verdict::Drop, Reason::AlgRefused, *state)),
                }
            }
        };
        Decision {
            judgement: judgement(
                Verdict::Forward(origin.egress[direction]),
                Reason::Session,
                next,
            ),
            plan: Plan::Pass(
                *case.headers,
                Pass {
                    handle,
                    direction,
                    state: next,
                    deadline,
                    leaves,
                    alg: origin.alg,
                    control,
                },
            ),
        }
    }

    /// A data session that an ALG announced: translated as its control session
    /// is, allowed by the rule that allowed it.
    fn decide_expected(
        &self,
        case: &Case<'_>,
        tuple: &Tuple,
        expectation: &Expectation,
        parent: &Session,
        why: &mut impl Observer,
    ) -> Decision {
        why.step(Step::Expected(expectation));
        let judgement = |verdict, reason, state| Judgement {
            verdict,
            ct: CtState::Related,
            reason,
            rule: parent.origin.rule.map(RuleId),
            session: None,
            state,
        };
        let Ok(state) = begin(case.headers) else {
            return dropped(CtState::Invalid, Reason::NoSession);
        };
        if case.headers.ttl <= 1 {
            return ttl_expired(case, judgement(Verdict::Reject, Reason::TtlExpired, None));
        }
        let mut wanted = Tuple {
            destination: expectation.to,
            ..*tuple
        };
        wanted.source.address = expectation.source;
        let Some(leaves) = self.unique(tuple, wanted, None) else {
            return nothing(judgement(Verdict::Drop, Reason::NatPortsExhausted, None));
        };
        why.step(Step::Leaves(&leaves));
        let egress = parent.origin.egress[expectation.direction];
        let origin = Origin {
            tuples: PerDirection {
                original: *tuple,
                reply: leaves.reversed(),
            },
            egress: PerDirection {
                original: egress,
                reply: case.arrival.zone,
            },
            rule: parent.origin.rule,
            service: None,
            idle: None,
            alg: None,
            parent: Some(parent.id),
        };
        let judgement = judgement(Verdict::Forward(egress), Reason::Expected, Some(state));
        let by = Admission::Expected(expectation.tuple, expectation.parent);
        self.open(
            case,
            judgement,
            Opening {
                origin,
                state,
                deadline: self.deadline(case.now, state, &origin),
                replaces: None,
                by,
            },
        )
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
        let Ok(state) = begin(case.headers) else {
            return dropped(CtState::Invalid, Reason::NoSession);
        };
        let judgement = |verdict, reason, rule, state| Judgement {
            verdict,
            ct: CtState::New,
            reason,
            rule,
            session: None,
            state,
        };

        let forwarded = policy.nat.forward(from, tuple, &policy.zones);
        why.step(Step::Forwarded(forwarded));
        let inward = forwarded.map_or(*tuple, |(_, tuple)| tuple);

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
        let passed_over = |rule, mismatch| why.step(Step::PassedOver(rule, mismatch));
        let ruling = policy.rules.judge(&asking, &policy.services, passed_over);
        why.step(Step::Ruled(&ruling));
        let reason_of = |rule: Option<RuleId>| match rule {
            Some(_) => Reason::Rule,
            None => Reason::DefaultPolicy,
        };
        let permit = match ruling {
            Ruling::Permitted(permit) => permit,
            Ruling::Refused(rule, Refusal::Drop) => {
                return nothing(judgement(Verdict::Drop, reason_of(rule), rule, None));
            }
            Ruling::Refused(rule, Refusal::Reject) => {
                let refused = judgement(Verdict::Reject, reason_of(rule), rule, None);
                return answered(case, refused, Answer::Refusal);
            }
        };
        let Place::Zone(egress) = to else {
            return self.decide_local(case, permit);
        };

        let choice = policy.nat.source(&asking, &policy.services, &policy.zones);
        why.step(Step::Source(choice));
        let mut wanted = inward;
        match choice {
            SourceChoice::From(_, address) => wanted.source.address = address,
            SourceChoice::Unchanged | SourceChoice::Exempt(_) => {}
            SourceChoice::NoAddress(_) => {
                let refused = judgement(Verdict::Drop, Reason::NatNoAddress, permit.rule(), None);
                return nothing(refused);
            }
        }
        let Some(leaves) = self.unique(tuple, wanted, replaces) else {
            let refused = judgement(
                Verdict::Drop,
                Reason::NatPortsExhausted,
                permit.rule(),
                None,
            );
            return nothing(refused);
        };
        why.step(Step::Leaves(&leaves));

        let service = permit
            .service()
            .and_then(|service| policy.services.get(service));
        let origin = Origin {
            tuples: PerDirection {
                original: *tuple,
                reply: leaves.reversed(),
            },
            egress: PerDirection {
                original: egress,
                reply: from,
            },
            rule: permit.rule().map(|rule| rule.0),
            service: permit.service(),
            idle: service.and_then(|service| service.idle),
            alg: service
                .and_then(|service| service.alg)
                .filter(|_| case.headers.tcp().is_some()),
            parent: None,
        };
        let deadline = self.deadline(case.now, state, &origin);
        let reason = reason_of(permit.rule());
        let allowed = judgement(Verdict::Forward(egress), reason, permit.rule(), Some(state));
        let by = Admission::Permit(permit);
        self.open(
            case,
            allowed,
            Opening {
                origin,
                state,
                deadline,
                replaces,
                by,
            },
        )
    }

    /// What the rules allow to the gateway itself: it answers pings, and has
    /// no other service.
    fn decide_local(&self, case: &Case<'_>, permit: Permit) -> Decision {
        let (verdict, reason, answer) = match case.headers.transport {
            Transport::Query(query, _) if query.to_string() == "echo-request" => {
                (Verdict::Answer, Reason::GatewayEcho, Answer::Echo)
            }
            _ => (Verdict::Reject, Reason::GatewayService, Answer::Refusal),
        };
        let judgement = Judgement {
            verdict,
            ct: CtState::New,
            reason,
            rule: permit.rule(),
            session: None,
            state: None,
        };
        answered(case, judgement, answer)
    }

    /// An ICMP error: it belongs to the session of the packet that it quotes,
    /// as that packet left here, and goes to that packet's sender.
    fn decide_error(&self, case: &Case<'_>, why: &mut impl Observer) -> Decision {
        let unrelated = || dropped(CtState::Invalid, Reason::IcmpUnrelated);
        let Ok(quoted) = packet::quoted(case.frame, case.headers) else {
            return unrelated();
        };
        // It comes from the packet's way, so it must be for the packet's sender.
        if quoted.tuple.source.address != case.headers.destination {
            return unrelated();
        }
        let Some((_, session, direction)) = self.sessions.lookup(&quoted.tuple.reversed()) else {
            return unrelated();
        };
        why.step(Step::AboutSession(session.id, direction));
        let origin = &session.origin;
        let judgement = |verdict, reason| Judgement {
            verdict,
            ct: CtState::Related,
            reason,
            rule: origin.rule.map(RuleId),
            session: Some(session.id),
            state: Some(session.state),
        };
        if case.headers.ttl <= 1 {
            return ttl_expired(case, judgement(Verdict::Reject, Reason::TtlExpired));
        }
        let (arrives, leaves) = (&origin.tuples[direction], origin.outgoing(direction));
        // A redirect names a router beside the sender of the quoted packet; on
        // the other side of a translation that is no neighbour, and its address
        // cannot be translated (the kernel drops it there too).
        if case.headers.is_redirect() && *arrives != leaves {
            return unrelated();
        }
        // Where the answers' source is translated, so is a router's on the way
        // (nf_nat_icmp_reply_translation): it stands behind the same address.
        let source = if arrives.source.address == leaves.source.address {
            case.headers.source
        } else {
            leaves.source.address
        };
        let pass = ErrorPass {
            source,
            destination: leaves.destination.address,
            quoted,
            inner: origin.tuples[!direction],
        };
        Decision {
            judgement: judgement(Verdict::Forward(origin.egress[direction]), Reason::Related),
            plan: Plan::Error(*case.headers, pass),
        }
    }

    fn open(&self, case: &Case<'_>, judgement: Judgement, opening: Opening) -> Decision {
        if self.sessions.len() >= MAX_SESSIONS {
            let judgement = Judgement {
                verdict: Verdict::Drop,
                reason: Reason::SessionLimit,
                state: None,
                ..judgement
            };
            return nothing(judgement);
        }
        let session = Some(self.sessions.next_id());
        Decision {
            judgement: Judgement {
                session,
                ..judgement
            },
            plan: Plan::Open(*case.headers, opening),
        }
    }

    /// The leaving tuple with a source port that no other session's answers
    /// use. The session that is about to be replaced counts as gone.
    ///
    /// Where the search begins depends on the real client too: many clients
    /// with one port would otherwise all search the same few ports.
    fn unique(&self, arrives: &Tuple, wanted: Tuple, replaced: Option<Handle>) -> Option<Tuple> {
        unique_source(wanted, self.hash.of(&(arrives, wanted)), |reply| match self
            .sessions
            .lookup(reply)
        {
            Some((handle, _, _)) => Some(handle) != replaced,
            None => self.sessions.is_taken(reply),
        })
    }

    fn deadline(&self, now: Timestamp, state: State, origin: &Origin) -> Timestamp {
        let protocol = origin.tuples.original.protocol;
        now.after(lifetime(
            state,
            protocol,
            origin.idle,
            &self.policy.timeouts,
        ))
    }
}

/// What tracking says of a packet of this session.
fn ct_of(session: &Session, direction: Direction) -> CtState {
    match (direction, session.heard, session.origin.parent) {
        (Direction::Reply, _, _) | (_, Heard::BothEnds, _) => CtState::Established,
        (Direction::Original, Heard::OneEnd, Some(_)) => CtState::Related,
        (Direction::Original, Heard::OneEnd, None) => CtState::New,
    }
}

/// What is refused before anybody looks at sessions.
fn refused_unseen(headers: &Headers) -> Option<(CtState, Reason)> {
    if !may_be_forwarded(headers.source, headers.destination) {
        return Some((CtState::Untracked, Reason::BadAddress));
    }
    if headers.fragment != Fragment::No {
        return Some((CtState::Untracked, Reason::Fragment));
    }
    if headers.tcp().is_some_and(|tcp| !tcp.flags.are_valid()) {
        return Some((CtState::Invalid, Reason::TcpBadFlags));
    }
    None
}

/// Addresses that a router passes on (RFC 1812 section 5.3.7, RFC 4291
/// section 2.5): one sender, one receiver, neither on this link or host alone.
fn may_be_forwarded(source: IpAddr, destination: IpAddr) -> bool {
    let unicast = |address: IpAddr| match address {
        IpAddr::V4(a) => {
            !a.is_multicast()
                && !a.is_broadcast()
                && !a.is_loopback()
                && !a.is_link_local()
                && a.octets().first() != Some(&0)
        }
        IpAddr::V6(a) => {
            !a.is_multicast()
                && !a.is_loopback()
                && !a.is_unspecified()
                && !a.is_unicast_link_local()
        }
    };
    unicast(source) && unicast(destination)
}

fn nothing(judgement: Judgement) -> Decision {
    Decision {
        judgement,
        plan: Plan::Nothing,
    }
}

fn dropped(ct: CtState, reason: Reason) -> Decision {
    nothing(Judgement {
        verdict: Verdict::Drop,
        ct,
        reason,
        rule: None,
        session: None,
        state: None,
    })
}

fn answered(case: &Case<'_>, judgement: Judgement, answer: Answer) -> Decision {
    Decision {
        judgement,
        plan: Plan::Answer(*case.headers, answer),
    }
}

fn ttl_expired(case: &Case<'_>, judgement: Judgement) -> Decision {
    answered(case, judgement, Answer::Error(Complaint::TimeExceeded))
}
