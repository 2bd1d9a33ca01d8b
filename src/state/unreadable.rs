//! Why a file is no state.

use std::fmt;

use super::VERSION;
use crate::engine::Unsound;

/// Why a file is no state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unreadable {
    /// There is nothing in it.
    Empty,
    /// It is something else.
    NotOurs,
    /// It is of another version of the format.
    Version(u32),
    /// Its end is missing.
    Cut,
    /// There is something behind its end.
    TooLong,
    /// Some of its octets are not those that were written.
    Damaged,
    /// Its octets are those that were written, and say nothing.
    Malformed,
    /// No gateway could have come to this.
    Unsound(Unsound),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "it is empty",
            Self::NotOurs => "it is no state of spigate",
            Self::Version(version) => {
                return write!(f, "it is of version {version} of the format, not {VERSION}");
            }
            Self::Cut => "its end is missing",
            Self::TooLong => "there is something behind its end",
            Self::Damaged => "it is damaged: its checksum is wrong",
            Self::Malformed => "it is malformed",
            Self::Unsound(why) => return write!(f, "it cannot be: {why}"),
        })
    }
}

impl std::error::Error for Unreadable {}
