//! What is due and has not ended yet, while more is due than can end at once.
//!
//! Much may be due together, and nobody who brings a packet waits for all of it: each packet does
//! a little ([`Engine::catch_up`]), and so does each call of [`Engine::expire`]. What has not had its
//! turn is over all the same. A packet that meets it has it end first, and is decided about
//! as if it had ended in time. What is short of something (a limit is met, no port is free)
//! has more end before it is told so; and so has one that meets a session which may yet speak to its ends or be
//! prolonged: with those it matters who is first, as far as that goes.

use super::decide::{Admission, Decision, Opening, Overdue, Plan};
use super::expiry::Backlog;
use super::swing::Glance;
use super::{Arrival, Engine, Output, Reason, Silent};
use crate::net::{Direction, Timestamp};
use crate::session::{Budget, ExpectedTuple, Handle};

/// What a packet does of it: a session of four.
const A_PACKET: Budget = Budget::new(Budget::AN_END / 4);
/// What a packet does besides that begins a session: more than that session will take, so
/// that those that are over never become more by those that begin.
const A_BEGINNING: Budget = Budget::new(4 * Budget::AN_END);
/// What packets have to do is done together, as much as this at a time.
const TOGETHER: u32 = 8 * Budget::AN_END;
/// What the first packet does: what is due most of the time, it does alone.
pub(super) const AT_FIRST: Budget = Budget::new(64 * Budget::AN_END);
/// What is done before a packet hears that there is too little of something.
const IN_NEED: Budget = Budget::new(128 * Budget::AN_END);
/// How many things a packet may meet. Few meet more than one; one that speaks to its
/// ends is met again, until it is over or lives on.
const MEETINGS: usize = 64;

/// What a packet is about to meet.
enum Met {
    Nothing,
    Overdue(Overdue),
    /// There is too little of something that others have, or somebody has to go.
    Shortage,
}

impl Engine {
    /// Whether something is due.
    pub(super) fn is_behind(&self) -> bool {
        self.now >= self.quiet_until
    }

    /// A packet does its share of what is due.
    #[cold]
    #[inline(never)]
    pub(super) fn catch_up(&mut self, out: &mut Output) {
        self.savings = self.savings.with(A_PACKET);
        if self.savings.left() >= TOGETHER {
            let mut savings = std::mem::replace(&mut self.savings, Budget::new(0));
            self.work_off(&mut savings, out);
        }
    }

    /// A packet that is to be carried out so does its share.
    pub(super) fn pay_for(&mut self, plan: &Plan) {
        if self.is_behind() && opening_of(plan).is_some() {
            self.savings = self.savings.with(A_BEGINNING);
        }
    }

    /// What this packet meets of what is due ends. Gives what is decided about it then.
    #[cold]
    #[inline(never)]
    pub(super) fn settle(
        &mut self,
        now: Timestamp,
        arrival: Arrival,
        (frame, known): (&[u8], Option<&Glance>),
        out: &mut Output,
    ) -> Decision {
        let mut in_need = IN_NEED;
        for _ in 0..MEETINGS {
            let decision = self.decide_by_steps(now, arrival, (frame, known), &mut Silent);
            let is_in_order = |overdue| match overdue {
                Overdue::Session(handle) => !self.sessions.may_go_on(handle),
                _ => true,
            };
            match self.met(now, &decision) {
                Met::Overdue(overdue) if is_in_order(overdue) || in_need.is_spent() => {
                    self.end_overdue(now, overdue, out);
                }
                Met::Overdue(_) | Met::Shortage if !in_need.is_spent() => {
                    if self.work_off(&mut in_need, out) == Backlog::Nothing {
                        break;
                    }
                    in_need = Budget::new(0);
                }
                Met::Shortage | Met::Nothing | Met::Overdue(_) => return decision,
            }
        }
        self.decide_by_steps(now, arrival, (frame, known), &mut Silent)
    }

    fn met(&self, now: Timestamp, decision: &Decision) -> Met {
        let plan = decision.plan.innermost();
        if let Plan::Late(overdue) = plan {
            return Met::Overdue(*overdue);
        }
        if let Some(opening) = opening_of(plan) {
            let goes = opening
                .evicts
                .filter(|handle| self.sessions.is_due(*handle));
            if let Some(handle) = goes {
                return Met::Overdue(Overdue::Session(handle));
            }
            let mut tuples = Direction::BOTH.iter().map(|d| &opening.origin.tuples[*d]);
            if let Some(held) = tuples.find(|tuple| self.held_syns.is_late(tuple, now)) {
                return Met::Overdue(Overdue::HeldSyn(*held));
            }
        }
        // Whose sessions hold a mapping is not known to it: those that are over may.
        let by_mapping = opening_of(plan).is_some_and(|opening| opening.by == Admission::Mapped);
        let evicts = opening_of(plan).is_some_and(|opening| opening.evicts.is_some());
        match by_mapping || evicts || is_short(decision) {
            true => Met::Shortage,
            false => Met::Nothing,
        }
    }

    /// Ends something before its turn.
    fn end_overdue(&mut self, now: Timestamp, overdue: Overdue, out: &mut Output) {
        match overdue {
            Overdue::Session(handle) => self.end_due(handle, out),
            Overdue::Expectation(tuple) => self.end_overdue_hole(&tuple, out),
            Overdue::Datagram(key) => {
                let late = self.fragments.take_late(&key, now);
                self.give_up_datagram(late, out);
            }
            // Their senders are told by a rate: those before it come first. There are no
            // more than may be held.
            Overdue::HeldSyn(tuple) => {
                while self.held_syns.is_late(&tuple, now)
                    && let Some(held) = self.held_syns.pop_due(now)
                {
                    self.give_up_syn(held, out);
                }
            }
            Overdue::FirstSyn => {
                let held = self.held_syns.pop_due(now).flatten();
                self.give_up_syn(held, out);
            }
        }
    }

    /// Ends a session whose deadline has passed, unless it is prolonged.
    pub(super) fn end_due(&mut self, handle: Handle, out: &mut Output) {
        // While it lives its control session does.
        if let Some(parent) = self.due_parent(handle) {
            self.run_out(parent, out);
        }
        if self.sessions.is_due(handle) {
            self.run_out(handle, out);
        }
    }

    /// Gives up an announcement whose time is over, before another takes its place.
    pub(super) fn end_overdue_hole(&mut self, tuple: &ExpectedTuple, out: &mut Output) {
        let now = self.now;
        let expectation = self.sessions.expectations().get(tuple);
        if expectation.is_some_and(|expectation| expectation.deadline <= now)
            && let Some(unmet) = self.sessions.unexpect(tuple)
        {
            self.give_up_hole(unmet, out);
        }
    }

    /// Whether a session that had no turn yet is sure to end when it has.
    pub(super) fn is_finished(&self, handle: Handle) -> bool {
        let has_running_children = || {
            let session = self.sessions.get(handle);
            session.is_none_or(|session| self.until_of_children(&session).is_some())
        };
        self.is_behind()
            && self.sessions.is_due(handle)
            && !self.sessions.may_speak(handle)
            && (!self.sessions.may_go_on(handle) || !has_running_children())
    }

    /// The control session of a data session, if that is due.
    pub(super) fn due_parent(&self, handle: Handle) -> Option<Handle> {
        let id = self.sessions.parent_of(handle)?;
        let parent = self.controls.get(&id)?.handle?;
        self.sessions.is_due(parent).then_some(parent)
    }
}

fn opening_of(plan: &Plan) -> Option<&Opening> {
    match plan.innermost() {
        Plan::Open(_, opening) => Some(opening),
        _ => None,
    }
}

/// Whether a packet is refused what others have.
fn is_short(decision: &Decision) -> bool {
    decision.shortage.is_some()
        || matches!(
            decision.judgement.reason,
            Reason::SessionLimit
                | Reason::HalfOpenLimit
                | Reason::SourceLimit
                | Reason::RuleLimit
                | Reason::NatPortsExhausted
                | Reason::NatMappingLimit
                | Reason::NatClientLimit
                | Reason::FragmentLimit
        )
}
