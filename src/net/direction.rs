//! Which way a packet travels within its session.

use std::ops::Not;

use serde::{Deserialize, Serialize};

/// The way a packet travels within its session: never "in" or "out", which
/// depend on where one stands.
///
/// Follows `IP_CT_DIR_ORIGINAL` and `IP_CT_DIR_REPLY` of Linux conntrack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Direction {
    /// As the first packet of the session went.
    Original,
    /// The way of the answers.
    Reply,
}

impl Direction {
    /// Both directions, `Original` first.
    pub const BOTH: [Self; 2] = [Self::Original, Self::Reply];
}

impl Not for Direction {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::Original => Self::Reply,
            Self::Reply => Self::Original,
        }
    }
}

/// One value for each direction of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
pub struct PerDirection<T> {
    /// The value of [`Direction::Original`].
    pub original: T,
    /// The value of [`Direction::Reply`].
    pub reply: T,
}

impl<T> std::ops::Index<Direction> for PerDirection<T> {
    type Output = T;

    fn index(&self, direction: Direction) -> &T {
        match direction {
            Direction::Original => &self.original,
            Direction::Reply => &self.reply,
        }
    }
}

impl<T> std::ops::IndexMut<Direction> for PerDirection<T> {
    fn index_mut(&mut self, direction: Direction) -> &mut T {
        match direction {
            Direction::Original => &mut self.original,
            Direction::Reply => &mut self.reply,
        }
    }
}
