//! What time does: sessions that run out, and what their ends are told of it.
//!
//! An established TCP session may end with word to both ends (RFC 5382 section
//! 5): each gets a RST in the name of the other, with exactly the number that it
//! awaits (RFC 5961 section 3.2), translated as all that the other sends. Or both
//! are asked first: a keep-alive (RFC 1122 section 4.2.3.6) to each, and if both
//! answer, the session lives on. What they answer is for the gateway, and goes no
//! further; a RST is an answer, too, and ends the session as any other does.
//!
//! Nothing is sent where it is not known what the ends await. Where many sessions
//! run out together, what their ends are sent has a rate: a session whose turn comes
//! later lives until then, and goes on if anything of it passes.

use std::time::Duration;

use super::fragments::Late;
use super::unsolicited::Held;
use super::{Ending, Engine, Event, Made, Output, Unfinished};
use crate::nat::SourceTarget;
use crate::net::{Direction, RowId, Timestamp};
use crate::packet::{self, Numbers, Speech};
use crate::session::{
    Budget, Due, Expectation, Handle, OnExpiry, Probing, Session, State, TcpState, Tracked, Turn,
};

/// How often the ends of an idle session are asked before it is given up: one
/// keep-alive may be lost (RFC 1122 section 4.2.3.6), and its answer too.
const ROUNDS: u8 = 3;

/// How often the parameters of deterministic rows are written down.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What one call of [`Engine::expire`] does at most.
const A_CALL: Budget = Budget::new(256 * Budget::AN_END);

/// Whether all that is due has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Backlog {
    /// All has.
    Nothing,
    /// There may be more: [`Engine::expire`] is to be called again.
    Left,
}

impl Backlog {
    /// Whether there may be more.
    #[must_use]
    pub fn is_left(self) -> bool {
        self == Self::Left
    }
}

impl Engine {
    /// What is due by `now`, in the order in which it was due: some hundreds of sessions
    /// at most. Whether more is left, which waits for the next call; until then it
    /// is over all the same.
    pub fn expire(&mut self, now: Timestamp, out: &mut Output) -> Backlog {
        self.now = self.now.max(now);
        if !self.is_behind() {
            self.sessions.keep_up(self.now);
            return Backlog::Nothing;
        }
        self.work_off(&mut { A_CALL }, out)
    }

    /// What is due by now, in order, as far as the budget goes.
    pub(super) fn work_off(&mut self, budget: &mut Budget, out: &mut Output) -> Backlog {
        self.sessions.keep_up(self.now);
        self.tell_parameters(out);
        // What came back with a restart.
        self.write_notes(self.now, out);
        self.go_round(budget, out);
        loop {
            if budget.left() < Budget::AN_END {
                return Backlog::Left;
            }
            // Sessions only up to the next announcement: a control session that
            // ends takes what it announced with it, but not what ended before.
            let next_unmet = self.sessions.expectations().next_deadline();
            let until = next_unmet.map_or(self.now, |unmet| unmet.min(self.now));
            let next_unfinished = self.fragments.next_deadline();
            let until = next_unfinished.map_or(until, |unfinished| unfinished.min(until));
            let next_unanswered = self.held_syns.next_deadline();
            let until = next_unanswered.map_or(until, |unanswered| unanswered.min(until));
            match self.sessions.pop_due(until, budget) {
                Due::Session(handle) => self.run_out(handle, out),
                Due::Unknown => return Backlog::Left,
                Due::Nothing => {
                    if let Some(unmet) = self.sessions.pop_unmet(until) {
                        self.give_up_hole(unmet, out);
                    } else if let Some(late) = self.fragments.pop_due(until) {
                        self.give_up_datagram(late, out);
                    } else if let Some(held) = self.held_syns.pop_due(until) {
                        self.give_up_syn(held, out);
                    } else if until == self.now {
                        self.sessions.keep_up(self.now);
                        self.look_ahead();
                        return match self.round {
                            Some(_) => Backlog::Left,
                            None => Backlog::Nothing,
                        };
                    }
                }
            }
            budget.charge(Budget::AN_END);
        }
    }

    /// Nobody has met an announcement.
    pub(super) fn give_up_hole(&mut self, unmet: Expectation, out: &mut Output) {
        if let Some(parent) = self.controls.get_mut(&unmet.parent.id()) {
            parent.holes.retain(|own| *own != unmet.tuple);
        }
        out.events.push(Event::Unmet(unmet));
    }

    /// A datagram has not become whole; `None`: it was spoiled before.
    pub(super) fn give_up_datagram(&mut self, late: Option<Late>, out: &mut Output) {
        let Some(late) = late else { return };
        self.counters.count_unfinished(&late.unfinished);
        let told = self.tell_of(&late);
        out.events.push(Event::Unfinished(Unfinished {
            packets: usize::from(told.is_some()),
            ..late.unfinished
        }));
        out.made.extend(told);
    }

    /// A SYN was held for as long as it may be; `None`: it was forgotten before.
    pub(super) fn give_up_syn(&mut self, held: Option<Held>, out: &mut Output) {
        let Some(held) = held else { return };
        let (unanswered, told) = self.tell_unsolicited(&held);
        out.events.push(Event::Unanswered(unanswered));
        out.made.extend(told);
    }

    /// When [`expire`](Self::expire) next has work. It may find none: a
    /// session that went on is looked at, and left.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let sessions = self.sessions.next_deadline();
        let deadlines = [
            sessions,
            self.fragments.next_deadline(),
            self.held_syns.next_deadline(),
            self.parameters_due,
            self.round.map(|_| self.now),
            self.sessions.has_notes().then_some(self.now),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// A session's time is up: it ends, or its ends are asked.
    pub(super) fn run_out(&mut self, handle: Handle, out: &mut Output) {
        if let Some(session) = self.sessions.remove_over(handle) {
            return self.tell_end(session, Vec::new(), out);
        }
        let Some(session) = self.sessions.get(handle) else {
            return;
        };
        if let Some(until) = self.until_of_children(&session) {
            self.sessions.prolong(handle, until, session.probing);
            return;
        }
        let lifetime = self.policy.lifetimes.get(session.origin.lifetime);
        let on_expiry = match session.state() {
            State::Tcp(TcpState::Established) => lifetime.on_expiry,
            State::Tcp(_) | State::Sctp(_) | State::Flow(_) => OnExpiry::Silent,
        };
        let (at, before) = (session.deadline, session.probing);
        let next = before.map_or_else(Probing::begun, Probing::again);
        let asked = (on_expiry == OnExpiry::Probe && next.rounds <= ROUNDS).then(|| {
            let asked = Direction::BOTH.into_iter().filter(|to| next.awaits(!*to));
            self.speak(&session, asked, Speech::KeepAlive)
        });
        let asked = asked.filter(|made| !made.is_empty());
        let is_asked = asked.is_some();
        let made = asked.unwrap_or_else(|| match on_expiry {
            OnExpiry::Silent => Vec::new(),
            OnExpiry::Reset | OnExpiry::Probe => {
                self.speak(&session, Direction::BOTH.into_iter(), Speech::Reset)
            }
        });
        let until = at.after(lifetime.timeouts.probe);
        let has_turn = before.is_some_and(|before| before.turn == Turn::Taken);
        if !made.is_empty() && !has_turn {
            let turn = self.limiter.turn(&self.policy.answers, at, made.len());
            if turn > at {
                let waiting = Some(Probing::waiting(before));
                self.sessions.prolong(handle, turn, waiting);
                return;
            }
        }
        if is_asked {
            out.events.push(Event::Probed {
                at,
                session: session.id,
                packets: made.len(),
            });
            out.made.extend(made);
            self.sessions.prolong(handle, until, Some(next));
            return;
        }
        if let Some(session) = self.end(handle, at) {
            self.tell_end(session, made, out);
        }
    }

    /// Tells of a session that has run out, at its deadline.
    fn tell_end(&mut self, session: Session, made: Vec<Made>, out: &mut Output) {
        let at = session.deadline;
        out.events.push(Event::Ended {
            at,
            session,
            ending: Ending::Expired,
            packets: made.len(),
        });
        out.made.extend(made);
        self.write_notes(at, out);
    }

    /// Passes on what is to be written down of public endpoints.
    #[inline]
    pub(super) fn write_notes(&mut self, at: Timestamp, out: &mut Output) {
        if self.sessions.has_notes() {
            self.pass_on_notes(at, out);
        }
    }

    #[inline(never)]
    fn pass_on_notes(&mut self, at: Timestamp, out: &mut Output) {
        let notes = self.sessions.notes();
        out.events
            .extend(notes.map(|note| Event::Noted { at, note }));
    }

    /// The parameters of deterministic rows, when the engine begins and once a day.
    fn tell_parameters(&mut self, out: &mut Output) {
        let Some(due) = self.parameters_due.filter(|due| *due <= self.now) else {
            return;
        };
        // A day that nobody was here for is not made up for.
        let at = match due.after(A_DAY) <= self.now {
            true => self.now,
            false => due,
        };
        self.parameters_due = Some(at.after(A_DAY));
        let rows = self.policy.nat.source.numbered();
        let rows = rows.filter(|(_, row)| matches!(row.target, SourceTarget::Deterministic(_)));
        let rows = rows.filter_map(|(number, _)| RowId::of_place(usize::from(number)));
        let told = rows.map(|row| Event::Parameters { at, row });
        out.events.extend(told);
    }

    /// Until when a control session lives though nothing is said in it: while a
    /// transfer that it announced runs, its ends have nothing to say.
    pub(super) fn until_of_children(&self, session: &Session) -> Option<Timestamp> {
        if session.state() != State::Tcp(TcpState::Established) {
            return None;
        }
        let children = self.control_of(session)?.children.iter();
        let running = children
            .filter_map(|child| self.sessions.get(*child))
            .filter(|child| !child.state().is_over() && child.deadline > session.deadline);
        running.map(|child| child.deadline).max()
    }

    /// Segments in the name of the ends, each travelling in one of `directions`.
    /// None at all where it is not known what both ends await.
    pub(super) fn speak(
        &self,
        session: &Session,
        directions: impl Iterator<Item = Direction>,
        speech: Speech,
    ) -> Vec<Made> {
        let Tracked::Tcp(connection) = &session.tracked else {
            return Vec::new();
        };
        let says = |direction| connection.nothing_new(direction);
        let segment = |direction| self.spoken(session, direction, says(direction)?, speech);
        directions.filter_map(segment).collect()
    }

    /// Resets for both ends. Each is taken only where it has the very number that its
    /// receiver awaits (RFC 5961 section 3.2): of data that was not acknowledged yet nobody
    /// here knows whether it has arrived, so that there are two for an end to which
    /// some are on their way, and it takes one.
    pub(super) fn resets(&self, session: &Session) -> Vec<Made> {
        let Tracked::Tcp(connection) = &session.tracked else {
            return Vec::new();
        };
        let both = |direction| {
            let says = connection.nothing_new(direction)?;
            let seq = connection.sent(direction);
            Some((
                direction,
                [
                    Some(says),
                    (seq != says.seq).then_some(Numbers { seq, ..says }),
                ],
            ))
        };
        let all = Direction::BOTH.into_iter().filter_map(both);
        let all = all.flat_map(|(direction, says)| {
            let says = says.into_iter().flatten();
            says.filter_map(move |says| self.spoken(session, direction, says, Speech::Reset))
        });
        all.collect()
    }

    /// A segment that says so in the name of the end that sends in `direction`.
    fn spoken(
        &self,
        session: &Session,
        direction: Direction,
        mut says: Numbers,
        speech: Speech,
    ) -> Option<Made> {
        if let Some(control) = self.control_of(session) {
            says.seq = control.as_received(direction, says.seq);
        }
        let tuple = session.origin.outgoing(direction);
        Some(Made {
            zone: session.origin.egress[direction],
            bytes: packet::in_the_name_of(&tuple, &says, speech)?,
        })
    }
}
