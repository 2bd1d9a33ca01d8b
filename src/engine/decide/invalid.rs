//! What tracking calls invalid: rules with `ct = "invalid"` judge it, and
//! where none is about it, it is dropped for the reason that its check gives.
//!
//! An invalid packet that a rule lets by changes no session and opens none.
//! Nor does it get past a translation (Linux sends it on with its inside
//! address): with a session's tuple it leaves as that session's packets do,
//! without one only where nothing could have to be translated.

use super::super::observer::{Observer, Step};
use super::super::{CtState, Engine, Judgement, Reason, Verdict};
use super::plan::{Decision, Plan};
use super::{Case, answered, nothing, ttl_expired};
use crate::net::{Asking, Direction, Endpoint, Place, Port, Tuple};
use crate::packet::{Headers, Transport};
use crate::rules::{Action, RuleId};
use crate::session::Session;

impl Engine {
    /// An invalid packet. `dropped` is what becomes of it where no rule is
    /// about it, and says what made it invalid.
    pub(super) fn decide_invalid(
        &self,
        case: &Case<'_>,
        dropped: Judgement,
        why: &mut impl Observer,
    ) -> Decision {
        let policy = &self.policy;
        if !policy.rules.judge_invalid_packets() {
            return nothing(dropped);
        }
        let Some(tuple) = as_rules_see(case.headers) else {
            return nothing(dropped);
        };
        let known = case.headers.tuple();
        let known = known.and_then(|tuple| self.sessions.lookup(&tuple));
        let late = known.as_ref().map(|(handle, ..)| *handle);
        if let Some(late) = late.and_then(|handle| self.late_session(handle)) {
            return late;
        }
        let known = known
            .as_ref()
            .map(|(_, session, direction)| (session, *direction));
        let (to, tuple) = match known {
            Some((session, direction)) => {
                let destination = session.origin.outgoing(direction).destination;
                let egress = session.origin.egress[direction];
                let tuple = Tuple {
                    destination,
                    ..tuple
                };
                (Some(Place::Zone(egress)), tuple)
            }
            None => (policy.zones.route(tuple.destination.address), tuple),
        };
        let Some(to) = to else {
            return nothing(dropped);
        };
        let asking = Asking {
            from: case.arrival.zone,
            to,
            tuple: &tuple,
        };
        why.step(Step::Invalid(dropped.reason));
        let passed_over = |rule, mismatch| why.step(Step::PassedOver(rule, mismatch));
        let found = policy
            .rules
            .judge_invalid(&asking, &policy.services, passed_over);
        let Some((rule, action)) = found else {
            return nothing(dropped);
        };
        why.step(Step::RuledInvalid(rule, action));
        let judged = by_rule(rule, dropped.reason, known);
        match action {
            Action::Drop => nothing(judged),
            Action::Reject => self.refused(case, judged),
            Action::Allow => self.let_by(case, judged, known, &asking, why),
        }
    }

    /// A rule lets an invalid packet by.
    fn let_by(
        &self,
        case: &Case<'_>,
        judged: Judgement,
        known: Option<(&Session, Direction)>,
        asking: &Asking<'_>,
        why: &mut impl Observer,
    ) -> Decision {
        let Place::Zone(egress) = asking.to else {
            let reason = Reason::GatewayService;
            return self.refused(case, Judgement { reason, ..judged });
        };
        let policy = &self.policy;
        let may_leave = match known {
            // A changed stream has other numbers on its far side, and what does
            // not fit into the stream has no place in those.
            Some((session, _)) => self
                .control_of(session)
                .is_none_or(super::super::control::Control::is_plain),
            None => !policy
                .nat
                .may_concern(asking, &policy.services, &policy.zones),
        };
        if !may_leave {
            let reason = Reason::Untranslatable;
            return nothing(Judgement { reason, ..judged });
        }
        if case.headers.ttl <= 1 {
            let (verdict, reason) = (Verdict::Reject, Reason::TtlExpired);
            return ttl_expired(
                case,
                Judgement {
                    verdict,
                    reason,
                    ..judged
                },
            );
        }
        let leaves = known.map(|(session, direction)| session.origin.outgoing(direction));
        if let Some(leaves) = &leaves {
            why.step(Step::Leaves(leaves));
        }
        let verdict = Verdict::Forward(egress);
        let passes = Judgement { verdict, ..judged };
        Decision::new(passes, Plan::LetBy(*case.headers, leaves))
    }

    /// Tells the sender; but not of a packet that was damaged on its way, whose
    /// sender may be another (as `nf_reject` does).
    fn refused(&self, case: &Case<'_>, judged: Judgement) -> Decision {
        let judged = Judgement {
            verdict: Verdict::Reject,
            ..judged
        };
        match judged.check {
            Some(Reason::BadChecksum) => nothing(judged),
            _ => answered(case, judged, self.refusal(case.arrival.zone, case.headers)),
        }
    }
}

/// The judgement of a rule that drops; the other actions change it.
fn by_rule(rule: RuleId, check: Reason, known: Option<(&Session, Direction)>) -> Judgement {
    Judgement {
        verdict: Verdict::Drop,
        ct: CtState::Invalid,
        reason: Reason::Rule,
        rule: Some(rule),
        session: known.map(|(session, _)| session.id),
        state: known.map(|(session, _)| session.state()),
        check: Some(check),
    }
}

/// What rules about invalid packets compare: the packet's own ends. ICMP
/// messages without a session have their type where a query has it.
fn as_rules_see(headers: &Headers) -> Option<Tuple> {
    let kind = match headers.transport {
        Transport::Error { kind, .. } | Transport::Icmp { kind } => kind,
        _ => return headers.tuple(),
    };
    Some(Tuple::new(
        headers.protocol,
        Endpoint::new(headers.source, Port(0)),
        Endpoint::new(headers.destination, Port(u16::from_be_bytes([kind, 0]))),
    ))
}
