//! An idle connection whose ends are being asked whether they are still there, or
//! wait for their turn to be asked or told.

use serde::{Deserialize, Serialize};

use crate::net::Direction;

/// How far the asking has come. It ends with any other packet of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Probing {
    /// How often the ends were asked.
    pub rounds: u8,
    /// The end that has answered, by the direction of what it sends. When both
    /// have, the asking is over.
    pub answered: Option<Direction>,
    /// Whether what its ends are sent next has its place in the rate.
    pub turn: Turn,
}

/// Whether what the ends of a session are sent next has its place in the rate of
/// what is sent so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Turn {
    /// It has yet to take one.
    Open,
    /// It has taken one, and waits for that moment.
    Taken,
}

impl Probing {
    /// The ends were asked once, and nobody has answered.
    #[must_use]
    pub fn begun() -> Self {
        Self {
            rounds: 1,
            answered: None,
            turn: Turn::Open,
        }
    }

    /// What follows `before` waits for its turn, which it has taken.
    #[must_use]
    pub fn waiting(before: Option<Self>) -> Self {
        Self {
            rounds: before.map_or(0, |before| before.rounds),
            answered: before.and_then(|before| before.answered),
            turn: Turn::Taken,
        }
    }

    /// They are asked once more.
    #[must_use]
    pub fn again(self) -> Self {
        Self {
            rounds: self.rounds.saturating_add(1),
            turn: Turn::Open,
            ..self
        }
    }

    /// Whether the end that sends in this direction was asked, and still owes an answer.
    #[must_use]
    pub fn awaits(self, direction: Direction) -> bool {
        self.rounds > 0 && self.answered != Some(direction)
    }

    /// That end has answered. `None`: both have by now.
    #[must_use]
    pub fn answered_by(self, direction: Direction) -> Option<Self> {
        match self.answered {
            Some(other) if other != direction => None,
            _ => Some(Self {
                answered: Some(direction),
                ..self
            }),
        }
    }
}
