//! The words of SCTP that several rooms share: chunk types and tags.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What tells packets of one SCTP association from those of a stranger with
/// the same ports (RFC 9260 section 8.5): chosen by the receiver in its INIT or
/// INIT ACK, and written into every packet that it is to accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct VerificationTag(pub u32);

impl VerificationTag {
    /// That of a packet with an INIT; as what an end has chosen, not known.
    pub const NONE: Self = Self(0);
}

impl fmt::Display for VerificationTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The type of a chunk (RFC 9260 section 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChunkType(pub u8);

impl ChunkType {
    /// User data.
    pub const DATA: Self = Self(0);
    /// Begins an association.
    pub const INIT: Self = Self(1);
    /// Answers an INIT, with a cookie.
    pub const INIT_ACK: Self = Self(2);
    /// Acknowledges data.
    pub const SACK: Self = Self(3);
    /// Asks whether a path is alive.
    pub const HEARTBEAT: Self = Self(4);
    /// Says that it is.
    pub const HEARTBEAT_ACK: Self = Self(5);
    /// Ends the association at once.
    pub const ABORT: Self = Self(6);
    /// No more data from the sender.
    pub const SHUTDOWN: Self = Self(7);
    /// Answers a SHUTDOWN when all data has arrived.
    pub const SHUTDOWN_ACK: Self = Self(8);
    /// Reports an error.
    pub const ERROR: Self = Self(9);
    /// Brings the cookie back.
    pub const COOKIE_ECHO: Self = Self(10);
    /// Takes the cookie: the association is established.
    pub const COOKIE_ACK: Self = Self(11);
    /// The association is over.
    pub const SHUTDOWN_COMPLETE: Self = Self(14);

    /// All that have a name, with their words.
    pub const WORDS: [(Self, &'static str); 13] = [
        (Self::DATA, "data"),
        (Self::INIT, "init"),
        (Self::INIT_ACK, "init-ack"),
        (Self::SACK, "sack"),
        (Self::HEARTBEAT, "heartbeat"),
        (Self::HEARTBEAT_ACK, "heartbeat-ack"),
        (Self::ABORT, "abort"),
        (Self::SHUTDOWN, "shutdown"),
        (Self::SHUTDOWN_ACK, "shutdown-ack"),
        (Self::ERROR, "error"),
        (Self::COOKIE_ECHO, "cookie-echo"),
        (Self::COOKIE_ACK, "cookie-ack"),
        (Self::SHUTDOWN_COMPLETE, "shutdown-complete"),
    ];

    /// The chunk type of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let mut words = Self::WORDS.iter();
        words.find(|(_, word)| *word == name).map(|(kind, _)| *kind)
    }
}

impl fmt::Display for ChunkType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::WORDS.iter().find(|(kind, _)| kind == self) {
            Some((_, word)) => f.pad(word),
            None => write!(f, "chunk-{}", self.0),
        }
    }
}
