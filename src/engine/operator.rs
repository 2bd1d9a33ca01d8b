//! What an operator does to a running engine: ends a session, lets none begin.

use super::{Ending, Engine, Event, Output};
use crate::net::{Direction, Timestamp, Tuple};
use crate::session::SessionId;

/// Whether new sessions may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Intake {
    /// They may, as the rules say.
    #[default]
    Open,
    /// None may; those that are there go on, and so does what an ALG announces in them.
    Drained,
}

/// What the ends of a session hear of it when an operator ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Parting {
    /// Nothing.
    #[default]
    Silent,
    /// Those of a TCP session a RST each, in the name of the other, where it is known what
    /// they await.
    Reset,
}

impl Engine {
    /// Whether new sessions may begin.
    #[must_use]
    pub fn intake(&self) -> Intake {
        self.intake
    }

    /// Says whether new sessions may begin from now on.
    pub fn set_intake(&mut self, intake: Intake) {
        self.intake = intake;
    }

    /// Ends the session of this number, to whose first direction `original` belongs, and
    /// what it awaits with it. The sessions that it announced, and that have begun, go on.
    /// Whether there was such a session.
    pub fn kill(
        &mut self,
        now: Timestamp,
        (session, original): (SessionId, &Tuple),
        parting: Parting,
        out: &mut Output,
    ) -> bool {
        self.now = self.now.max(now);
        let now = self.now;
        let found = self.sessions.find(original);
        let found = found.filter(|(handle, direction)| {
            handle.id() == session && *direction == Direction::Original
        });
        let Some((handle, _)) = found else {
            return false;
        };
        let made = match (parting, self.sessions.get(handle)) {
            (Parting::Reset, Some(session)) => self.resets(&session),
            (Parting::Reset, None) | (Parting::Silent, _) => Vec::new(),
        };
        let Some(session) = self.end(handle, now) else {
            return false;
        };
        out.events.push(Event::Ended {
            at: now,
            session,
            ending: Ending::Killed,
            packets: made.len(),
        });
        out.made.extend(made);
        self.write_notes(now, out);
        true
    }
}
