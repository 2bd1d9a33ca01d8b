//! A data session that an ALG announced.

use super::super::observer::{Observer, Step};
use super::super::{Arrival, CtState, Engine, Judgement, Reason, Verdict};
use super::endpoint::Aside;
use super::fresh::refused_by_rule;
use super::plan::{Admission, Decision, Opening};
use super::{Case, invalid, ttl_expired};
use crate::net::{Asking, Direction, PerDirection, Place, Timestamp, Tuple};
use crate::rules::{Action, RuleId};
use crate::session::{
    Claim, Expectation, ExpectedTuple, Handle, Origin, Readiness, Session, begin,
};

impl Engine {
    /// The expectation that this packet meets, with its parent: only for what
    /// arrives where the parent's packets of that direction arrive.
    pub(super) fn expectation_for(
        &self,
        arrival: Arrival,
        tuple: &Tuple,
    ) -> Option<(&Expectation, Session)> {
        let expectation = self.sessions.expectations().matching(tuple)?;
        let parent = self.sessions.get(expectation.parent)?;
        let arrives_by = parent.origin.egress[!expectation.direction];
        (arrives_by == arrival.zone).then_some((expectation, parent))
    }

    /// The announcement that a session came by which nobody took up, as it stood: who
    /// opened it may do so again. A host that still waits on an earlier connection
    /// of the same two ends answers the SYN with an acknowledgement, is reset for it,
    /// and takes the SYN that comes after (RFC 9293 section 3.5.1, RFC 5961 section 4).
    /// To Linux the announcement is spent by then.
    pub(super) fn unanswered(
        &self,
        now: Timestamp,
        over: &Session,
    ) -> Option<(Expectation, Session)> {
        let origin = &over.origin;
        if !over.tracked.is_unanswered() {
            return None;
        }
        let handle = self.controls.get(&origin.parent?)?.handle?;
        let parent = self.sessions.get(handle)?;
        let (arrives, leaves) = (origin.tuples.original, origin.outgoing(Direction::Original));
        let is_by = |direction: &Direction| {
            parent.origin.tuples[*direction].source.address == arrives.source.address
                && parent.origin.egress[!*direction] == origin.egress.reply
        };
        let direction = Direction::BOTH.into_iter().find(is_by)?;
        let expectation = Expectation {
            tuple: ExpectedTuple::of(&arrives),
            source_port: Some(arrives.source.port),
            readiness: Readiness::Ready,
            parent: handle,
            direction,
            to: leaves.destination,
            source: leaves.source.address,
            egress: origin.egress.original,
            deadline: now,
        };
        Some((expectation, parent))
    }

    /// A data session that an ALG announced: translated as its control session
    /// is, allowed by the rule that allowed it. It may take the place of one that is
    /// over.
    pub(super) fn decide_expected(
        &self,
        case: &Case<'_>,
        tuple: &Tuple,
        (expectation, parent): (&Expectation, &Session),
        replaces: Option<Handle>,
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
            check: None,
        };
        let Ok(tracked) = begin(&self.seen(case)) else {
            return self.decide_invalid(case, invalid(Reason::NoSession), why);
        };
        if let Some(refused) = self.refused_as_related(case, tuple, expectation, why) {
            let refusal = self.refusal(case.arrival.zone, case.headers);
            return refused_by_rule(case, refused, refusal);
        }
        if case.headers.ttl <= 1 {
            return ttl_expired(case, judgement(Verdict::Reject, Reason::TtlExpired, None));
        }
        let mut wanted = Tuple {
            destination: expectation.to,
            ..*tuple
        };
        wanted.source.address = expectation.source;
        let egress = expectation.egress;
        // It counts for its client, whichever end opens it, and is not refused by
        // that.
        let row = parent.origin.claims.original.and_then(Claim::row);
        let (by, known_by) = match expectation.direction {
            Direction::Original => (row, None),
            Direction::Reply => (None, row.map(|row| Claim::Shared(Some(row)))),
        };
        let nat = match expectation.direction {
            Direction::Original => parent.origin.nat,
            Direction::Reply => parent.origin.nat.reversed(),
        };
        let aside = Aside {
            replaces,
            leads_to: None,
        };
        let known = (egress, aside);
        let leaving = match self.leaving_from(tuple, &wanted, known, (by, nat.source)) {
            Ok(leaving) => leaving,
            Err(short) => {
                let unmapped = judgement(Verdict::Drop, short.reason, None);
                return self.without_mapping(case, unmapped, short);
            }
        };
        let leaves = Tuple {
            source: leaving.source,
            ..wanted
        };
        why.step(Step::Leaves(&leaves));
        let parent_rule = parent.origin.rule.map(RuleId);
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
            nat,
            service: None,
            lifetime: self.lifetime_of(parent_rule, None, case.arrival.zone, egress),
            alg: None,
            parent: Some(parent.id),
            claims: PerDirection {
                original: leaving.claim,
                reply: known_by,
            },
            mss: parent.origin.mss,
        };
        why.step(Step::Lives(origin.lifetime));
        let judgement = judgement(
            Verdict::Forward(egress),
            Reason::Expected,
            Some(tracked.state()),
        );
        let by = Admission::Expected(expectation.tuple, expectation.parent);
        let opening = Opening {
            origin,
            first: self.first(case, tracked, (tuple.protocol, origin.lifetime)),
            control: None,
            replaces,
            evicts: None,
            by,
        };
        self.open(case, judgement, opening, why)
    }

    /// What a rule about announced data sessions says, if it refuses this one.
    /// It sees the real client and the real server, as any rule.
    fn refused_as_related(
        &self,
        case: &Case<'_>,
        tuple: &Tuple,
        expectation: &Expectation,
        why: &mut impl Observer,
    ) -> Option<Judgement> {
        let policy = &self.policy;
        let asking = Asking {
            from: case.arrival.zone,
            to: Place::Zone(expectation.egress),
            tuple: &Tuple {
                destination: expectation.to,
                ..*tuple
            },
        };
        let passed_over = |rule, mismatch| why.step(Step::PassedOver(rule, mismatch));
        let ruling = policy
            .rules
            .judge_related(&asking, &policy.services, passed_over);
        let (rule, action) = ruling?;
        why.step(Step::RuledRelated(rule, action));
        let verdict = match action {
            Action::Allow => return None,
            Action::Drop => Verdict::Drop,
            Action::Reject => Verdict::Reject,
        };
        Some(Judgement {
            verdict,
            ct: CtState::Related,
            reason: Reason::Rule,
            rule: Some(rule),
            session: None,
            state: None,
            check: None,
        })
    }
}
