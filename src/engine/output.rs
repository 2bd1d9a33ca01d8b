//! What the engine gives back besides the verdict.

use crate::net::{Timestamp, ZoneId};
use crate::session::{SessionId, State};

/// A packet that the gateway itself made: an RST, an ICMP error, an echo reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The zone that it leaves by.
    pub zone: ZoneId,
    /// The packet from its IP header on.
    pub bytes: Vec<u8>,
}

/// Something that happened to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A session began.
    Opened(SessionId),
    /// A session ended because its time ran out, at the moment it was due.
    Expired {
        /// When it was due.
        at: Timestamp,
        /// Which one.
        session: SessionId,
        /// The state it died in.
        state: State,
    },
    /// A data session that an ALG announced never came.
    ExpectationExpired {
        /// When it was due.
        at: Timestamp,
        /// The control session that announced it.
        parent: SessionId,
    },
}

/// What one call of the engine produced. Complete when the call returns; the
/// caller empties it (keeping its memory) before the next.
#[derive(Debug, Default)]
pub struct Output {
    /// Packets made by the gateway, in order. The forwarded packet is not
    /// among them: it was rewritten in place.
    pub made: Vec<Made>,
    /// What happened to sessions, in order.
    pub events: Vec<Event>,
}

impl Output {
    /// Forgets everything but the memory.
    pub fn clear(&mut self) {
        self.made.clear();
        self.events.clear();
    }
}
