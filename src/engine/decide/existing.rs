//! A packet of a session.

use super::super::control::{Leaves, read as read_control};
use super::super::desk::Circumstances;
use super::super::observer::{Observer, Step};
use super::super::{CtState, Engine, Judgement, Reason, Verdict};
use super::plan::{After, Answered, Decision, Pass, Plan};
use super::{Case, refused_by_alg, ttl_expired};
use crate::net::{Direction, LifetimeId, Protocol, Timestamp, Tuple};
use crate::rules::RuleId;
use crate::session::{
    Handle, Heard, Invalid, Life, Origin, Probing, Refresh, Session, State, TcpState, Track,
    Update, answers_probe, track,
};

impl Engine {
    pub(super) fn decide_existing(
        &self,
        case: &Case<'_>,
        tuple: &Tuple,
        (handle, session, direction): (Handle, &Session, Direction),
        why: &mut impl Observer,
    ) -> Decision {
        let origin = &session.origin;
        let control = self.control_of(session);
        // A changed stream is acknowledged in its receiver's numbers.
        let as_sent = |ack| control.map_or(ack, |control| control.as_sent(!direction, ack));
        let known = (&session.tracked, session.heard, session.began);
        let seen = self.seen(case);
        let track = track(known, direction, &seen, as_sent);
        let state = session.state();
        why.step(Step::InSession {
            session: session.id,
            direction,
            state,
            track,
        });
        let judgement = |verdict, reason, state| Judgement {
            verdict,
            ct: ct_of(session, direction),
            reason,
            rule: origin.rule.map(RuleId),
            session: Some(session.id),
            state: Some(state),
            check: None,
        };
        if let Some(probing) = session.probing.filter(|p| p.awaits(direction))
            && matches!(track, Track::Belongs(..) | Track::Passes(_))
            && answers_probe(&session.tracked, direction, &seen, as_sent)
        {
            let plan = self.answered(case, (handle, session), probing, direction);
            return Decision::new(judgement(Verdict::Drop, Reason::ProbeAnswered, state), plan);
        }
        let (tracked, heard, deadline, after) = match track {
            Track::Belongs(next, heard, life) => {
                let deadline = self.renewed(case, session, direction, next.state(), life);
                (next, heard, deadline, After::Lives)
            }
            Track::Passes(next) => (
                next,
                heard_of(session, direction),
                session.deadline,
                After::Lives,
            ),
            Track::Ends => (
                session.tracked,
                session.heard,
                session.deadline,
                After::Ends,
            ),
            Track::Reopens => {
                let over = Some((handle, session));
                return self.decide_beginning(case, tuple, over, why);
            }
            Track::Invalid(check) => {
                let refused = Judgement {
                    ct: CtState::Invalid,
                    ..judgement(Verdict::Drop, reason_of(check), state)
                };
                return self.decide_invalid(case, refused, why);
            }
        };
        let next = match after {
            After::Lives => tracked.state(),
            After::Ends => State::Tcp(TcpState::Close),
        };
        if case.headers.ttl <= 1 {
            return ttl_expired(case, judgement(Verdict::Reject, Reason::TtlExpired, state));
        }
        let leaves = origin.outgoing(direction);
        why.step(Step::Leaves(&leaves));
        let control = match control {
            None => None,
            Some(control) => {
                let known = (control, &self.circumstances(case));
                match read_control(known, session, direction, (case.headers, case.frame), why) {
                    Ok(step) => step,
                    Err(refused) => {
                        let dropped = judgement(Verdict::Drop, refused.reason, state);
                        return refused_by_alg(dropped, refused.notes);
                    }
                }
            }
        };
        let forward = Verdict::Forward(origin.egress[direction]);
        let (verdict, reason) = match control.as_ref().map(|step| step.leaves) {
            None | Some(Leaves::Segment) => (forward, Reason::Session),
            Some(Leaves::Header) => (forward, Reason::AlgHeld),
            Some(Leaves::Nothing | Leaves::Acknowledged(_)) => (Verdict::Hold, Reason::AlgHeld),
            Some(Leaves::Lost) => (Verdict::Drop, Reason::AlgOutOfOrder),
        };
        let pass = Pass {
            handle,
            update: Update {
                direction,
                tracked,
                heard,
                deadline,
                bytes: case.headers.length,
            },
            after,
            leaves,
            mss: origin.mss,
            alg: origin.alg,
            control,
        };
        Decision::new(
            judgement(verdict, reason, next),
            Plan::Pass(*case.headers, pass),
        )
    }
}

impl Engine {
    /// What an ALG is asked and asks with.
    pub(super) fn circumstances(&self, case: &Case<'_>) -> Circumstances<'_> {
        Circumstances {
            sessions: &self.sessions,
            policy: &self.policy,
            hash: self.hash,
            now: case.now,
        }
    }

    /// What an answer to a keep-alive of the gateway does: when both ends have
    /// answered, their session lives as if they had spoken to each other.
    fn answered(
        &self,
        case: &Case<'_>,
        (handle, session): (Handle, &Session),
        probing: Probing,
        direction: Direction,
    ) -> Plan {
        let probing = probing.answered_by(direction);
        let deadline = match probing {
            Some(_) => session.deadline,
            None => {
                let kind = kind_of(&session.origin);
                self.deadline(case.now, session.state(), Life::OfState, kind)
            }
        };
        Plan::Answered(Answered {
            handle,
            probing,
            deadline,
        })
    }

    /// Until when a session lives that a packet belongs to.
    fn renewed(
        &self,
        case: &Case<'_>,
        session: &Session,
        direction: Direction,
        next: State,
        life: Life,
    ) -> Timestamp {
        let origin = &session.origin;
        let refresh = self.policy.lifetimes.get(origin.lifetime).refresh;
        match (next, refresh, direction) {
            (State::Flow(_), Refresh::Client, Direction::Reply) => session.deadline,
            _ => self.deadline(case.now, next, life, kind_of(origin)),
        }
    }
}

/// What the deadline of a session depends on besides its state.
fn kind_of(origin: &Origin) -> (Protocol, LifetimeId) {
    (origin.tuples.original.protocol, origin.lifetime)
}

/// What tracking says of a packet of this session.
fn ct_of(session: &Session, direction: Direction) -> CtState {
    match (direction, session.heard, session.origin.parent) {
        (Direction::Original, Heard::OneEnd, Some(_)) => CtState::Related,
        (Direction::Original, Heard::OneEnd, None) => CtState::New,
        (_, _, _) => CtState::Established,
    }
}

/// Whether both ends have been heard once this packet has passed.
fn heard_of(session: &Session, direction: Direction) -> Heard {
    match direction {
        Direction::Original => session.heard,
        Direction::Reply => session.heard.max(Heard::BothEnds),
    }
}

fn reason_of(invalid: Invalid) -> Reason {
    match invalid {
        Invalid::State => Reason::TcpInvalidState,
        Invalid::Window => Reason::TcpOutOfWindow,
        Invalid::Reset => Reason::TcpInvalidRst,
        Invalid::Chunk => Reason::SctpInvalidState,
        Invalid::Tag => Reason::SctpWrongTag,
    }
}
