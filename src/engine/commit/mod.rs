//! Committing: carrying out what was decided. Nothing here decides.

mod answering;
mod leaving;
mod opening;
mod passing;

use super::control::ControlStep;
use super::decide::{Decision, Plan};
use super::desk::HoleChange;
use super::{Arrival, Engine, Event, Extent, Output, Verdict};
use crate::alg::Note;
use crate::net::Timestamp;
use crate::packet::{self, Checksum, Plain};
use crate::session::{Handle, Session, SessionId};

impl Engine {
    /// Carries out a decision about the packet in `frame`, of which `plain` was read at a
    /// glance, if it was.
    pub(super) fn commit(
        &mut self,
        now: Timestamp,
        arrival: Arrival,
        (frame, plain): (&mut Vec<u8>, Option<&Plain>),
        decision: &mut Decision,
        out: &mut Output,
    ) {
        let verdict = decision.judgement.verdict;
        if let Some(shortage) = decision.shortage
            && let Some(packets) = self.alarms.sound(&shortage, now)
        {
            out.events.push(Event::Short {
                at: now,
                shortage,
                packets,
            });
        }
        match &mut decision.plan {
            Plan::Gathered(gathered) => {
                self.gathered(now, arrival, frame, verdict, gathered, out);
            }
            plan => {
                let checksum = plan.checksum();
                self.carry_out(now, arrival, (frame, plain), plan, out);
                if let Verdict::Forward(zone) = verdict {
                    // What became several segments was completed before.
                    out.checksum = match out.more.is_empty() {
                        true => checksum,
                        false => Checksum::Complete,
                    };
                    if arrival.extent == Extent::Whole {
                        self.cut_to_fit(arrival, zone, frame, out);
                    }
                }
            }
        }
    }

    fn carry_out(
        &mut self,
        now: Timestamp,
        arrival: Arrival,
        (frame, plain): (&mut Vec<u8>, Option<&Plain>),
        plan: &mut Plan,
        out: &mut Output,
    ) {
        match plan {
            Plan::Nothing | Plan::Elsewhere | Plan::Gathered(_) | Plan::Late(_) => {}
            Plan::Keep(key, piece) => {
                let counters = &mut self.counters;
                let limits = &self.policy.fragments;
                self.fragments
                    .keep(limits, now, *key, piece, frame, |unfinished| {
                        counters.count_unfinished(&unfinished);
                        out.events.push(Event::Unfinished(unfinished));
                    });
            }
            Plan::Spoil(key, reason) => {
                let counters = &mut self.counters;
                let limits = &self.policy.fragments;
                self.fragments
                    .spoil(limits, now, *key, *reason, |unfinished| {
                        counters.count_unfinished(&unfinished);
                        out.events.push(Event::Unfinished(unfinished));
                    });
            }
            Plan::Answer(headers, answer) => {
                packet::complete_checksum(frame, headers);
                self.answer(now, arrival, frame, headers, *answer, out);
            }
            Plan::Told(session, notes) => self.tell(now, *session, std::mem::take(notes), out),
            Plan::HoldSyn(headers) => {
                packet::complete_checksum(frame, headers);
                self.held_syns.hold(now, arrival.zone, headers, frame);
            }
            Plan::Withheld(kind) => self.counters.count_withheld(*kind),
            Plan::Pass(headers, pass) => {
                self.pass((now, arrival), (frame, plain), headers, pass, out);
            }
            Plan::Open(headers, opening) => {
                self.open_session(now, (frame, plain), headers, opening, out);
            }
            Plan::Error(headers, pass) => leaving::forward_error(frame, headers, pass),
            Plan::Answered(answered) => {
                self.sessions
                    .prolong(answered.handle, answered.deadline, answered.probing);
            }
            Plan::LetBy(headers, leaves) => leaving::let_by(frame, headers, leaves.as_ref()),
        }
    }

    /// Takes a session away, and with it what hangs on it.
    pub(super) fn end(&mut self, handle: Handle, at: Timestamp) -> Option<Session> {
        let session = self.sessions.remove(handle, at)?;
        self.forget_control(&session);
        Some(session)
    }

    pub(super) fn forget_control(&mut self, session: &Session) {
        if session.origin.alg.is_some()
            && let Some(control) = self.controls.remove(&session.id)
        {
            for hole in &control.holes {
                self.sessions.unexpect(hole);
            }
        }
    }

    /// What an ALG has asked for comes to be, and what it has to tell is told.
    fn carry_on(
        &mut self,
        now: Timestamp,
        handle: Handle,
        step: &mut ControlStep,
        out: &mut Output,
    ) {
        for change in step.changes.drain(..) {
            match change {
                HoleChange::Expect(expected) => {
                    let expectation = expected.of(handle);
                    self.end_overdue_hole(&expectation.tuple, out);
                    self.sessions.expect(expectation);
                }
                HoleChange::Admit(tuple) => self.sessions.admit(&tuple),
                HoleChange::Withdraw(tuple) => {
                    self.sessions.unexpect(&tuple);
                }
            }
        }
        let notes = std::mem::take(&mut step.notes);
        self.tell(now, Some(handle.id()), notes, out);
    }

    /// Counts and passes on what an ALG has to tell.
    fn tell(
        &mut self,
        at: Timestamp,
        session: Option<SessionId>,
        notes: Vec<Note>,
        out: &mut Output,
    ) {
        for note in notes {
            if let Note::NotOpened { why, .. } = note {
                self.counters.count_not_opened(why);
            }
            out.events.push(Event::Alg { at, session, note });
        }
    }

    /// A control session that is ending announces nothing any more.
    fn close_holes(&mut self, control: SessionId) {
        if let Some(control) = self.controls.get_mut(&control) {
            for hole in control.holes.drain(..) {
                self.sessions.unexpect(&hole);
            }
        }
    }
}
