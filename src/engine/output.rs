//! What the engine gives back besides the verdict.

use super::{Shortage, Unanswered, Unfinished};
use crate::alg;
use crate::net::{RowId, Timestamp, ZoneId};
use crate::packet::{Checksum, Cuts};
use crate::session::{Expectation, Handle, Note, Session, SessionId};

/// A packet that the gateway itself made: an RST, a keep-alive, an ICMP error, an
/// echo reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The zone that it leaves by.
    pub zone: ZoneId,
    /// The packet from its IP header on.
    pub bytes: Vec<u8>,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    /// Its time ran out.
    Expired,
    /// Nothing but a reset ever answered.
    Refused,
    /// It was over, and a new one has taken its tuple.
    Replaced,
    /// A new one found no room, and this was the one to make it.
    Evicted,
    /// Another rule file has taken over, by which it could not begin.
    Forbidden,
    /// An operator has ended it.
    Killed,
}

impl Ending {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Refused => "refused",
            Self::Replaced => "replaced",
            Self::Evicted => "evicted",
            Self::Forbidden => "forbidden",
            Self::Killed => "killed",
        }
    }
}

/// Something that happened to a session, or to a datagram in pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "events are rare, and kept in a list whose memory is used again"
)]
pub enum Event {
    /// A session began.
    Began(Handle),
    /// A session ended.
    Ended {
        /// When it was due.
        at: Timestamp,
        /// What it was at its end.
        session: Session,
        /// Why.
        ending: Ending,
        /// How many packets its ends were told by.
        packets: usize,
    },
    /// The ends of an idle session were asked whether they are still there.
    Probed {
        /// When it was due.
        at: Timestamp,
        /// Which one.
        session: SessionId,
        /// How many packets they were asked by.
        packets: usize,
    },
    /// An ALG has something to tell of its control session: what was announced,
    /// and what of it opened nothing.
    Alg {
        /// When.
        at: Timestamp,
        /// The control session; `None` of one that did not begin.
        session: Option<SessionId>,
        /// What.
        note: alg::Note,
    },
    /// A data session that an ALG announced never came.
    Unmet(Expectation),
    /// A datagram never became whole, or had to make room for others.
    Unfinished(Unfinished),
    /// Something that a row of source translation wants written down.
    Noted {
        /// When it was.
        at: Timestamp,
        /// What.
        note: Note,
    },
    /// The parameters of a row of deterministic translation: when the engine
    /// begins, and once a day (RFC 7422 section 3).
    Parameters {
        /// When.
        at: Timestamp,
        /// Which row.
        row: RowId,
    },
    /// There is too little of something. More of the same is counted, and told a
    /// minute later at the earliest.
    Short {
        /// When.
        at: Timestamp,
        /// Of what, for whom.
        shortage: Shortage,
        /// For how many packets since it was told last.
        packets: u64,
    },
    /// A SYN from outside was held for long enough, and nobody inside had asked
    /// for it.
    Unanswered(Unanswered),
}

impl Event {
    /// How many packets of [`Output::made`] were sent because of it. They stand
    /// there in the order of the events, before what a packet has caused.
    #[must_use]
    pub fn packets(&self) -> usize {
        match self {
            Self::Ended { packets, .. } | Self::Probed { packets, .. } => *packets,
            Self::Unfinished(unfinished) => unfinished.packets,
            Self::Unanswered(unanswered) => unanswered.packets,
            Self::Began(_)
            | Self::Unmet(_)
            | Self::Alg { .. }
            | Self::Noted { .. }
            | Self::Parameters { .. }
            | Self::Short { .. } => 0,
        }
    }
}

/// What one call of the engine produced. Complete when the call returns; the
/// caller empties it (keeping its memory) before the next.
#[derive(Debug, Default)]
pub struct Output {
    /// Where a forwarded packet leaves in several pieces: those behind the first,
    /// in order. The first is in place of the packet.
    pub more: Vec<Vec<u8>>,
    /// Packets made by the gateway, in order. The forwarded packet is not
    /// among them: it was rewritten in place.
    pub made: Vec<Made>,
    /// What happened to sessions, in order.
    pub events: Vec<Event>,
    /// Whether the checksum of the forwarded packet's transport is complete: one that
    /// was left to the hardware when it came is still so, unless it was cut. What the
    /// gateway makes itself is always complete.
    pub checksum: Checksum,
    /// How a datagram leaves in pieces that came in some, and is another worker's.
    pub(super) cuts: Option<Box<Cuts>>,
}

impl Output {
    /// Forgets everything but the memory.
    #[inline]
    pub fn clear(&mut self) {
        // Most packets produce nothing.
        if !(self.more.is_empty() && self.made.is_empty() && self.events.is_empty()) {
            self.clear_all();
        }
        self.checksum = Checksum::Complete;
    }

    #[cold]
    fn clear_all(&mut self) {
        self.more.clear();
        self.made.clear();
        self.events.clear();
    }
}
