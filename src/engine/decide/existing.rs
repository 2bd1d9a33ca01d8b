//! A packet of a session.

use super::super::control::{Circumstances, read as read_control};
use super::super::observer::{Observer, Step};
use super::super::{CtState, Engine, Judgement, Reason, Verdict};
use super::plan::{Decision, Pass, Plan};
use super::{Case, nothing, ttl_expired};
use crate::net::{Direction, Tuple};
use crate::rules::RuleId;
use crate::session::{Handle, Heard, Session, Track, track};

impl Engine {
    pub(super) fn decide_existing(
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
}

/// What tracking says of a packet of this session.
fn ct_of(session: &Session, direction: Direction) -> CtState {
    match (direction, session.heard, session.origin.parent) {
        (Direction::Reply, _, _) | (_, Heard::BothEnds, _) => CtState::Established,
        (Direction::Original, Heard::OneEnd, Some(_)) => CtState::Related,
        (Direction::Original, Heard::OneEnd, None) => CtState::New,
    }
}
