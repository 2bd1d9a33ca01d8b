//! An idle connection whose ends are being asked whether they are still there.

use crate::net::Direction;

/// How far the asking has come. It ends with any other packet of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Probing {
    /// How often the ends were asked.
    pub rounds: u8,
    /// The end that has answered, by the direction of what it sends. When both
    /// have, the asking is over.
    pub answered: Option<Direction>,
}

impl Probing {
    /// The ends were asked once, and nobody has answered.
    #[must_use]
    pub fn begun() -> Self {
        Self {
            rounds: 1,
            answered: None,
        }
    }

    /// They are asked once more.
    #[must_use]
    pub fn again(self) -> Self {
        Self {
            rounds: self.rounds.saturating_add(1),
            ..self
        }
    }

    /// Whether the end that sends in this direction still owes an answer.
    #[must_use]
    pub fn awaits(self, direction: Direction) -> bool {
        self.answered != Some(direction)
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
