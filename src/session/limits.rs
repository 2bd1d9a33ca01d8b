//! How many sessions there may be, and who makes room when there are as many.

use crate::net::{Profile, Rate};

/// How many sessions there may be. The default is Linux conntrack's: so many
/// sessions in all, and no other limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// In all (`nf_conntrack_max`).
    pub sessions: usize,
    /// TCP connections whose handshake is not complete; `None`: no limit.
    pub half_open: Option<usize>,
    /// From one address; `None`: no limit.
    pub per_source: Option<usize>,
    /// How often one address may begin a session; `None`: as often as it likes.
    pub per_source_rate: Option<Rate>,
    /// What happens at the first two of these.
    pub when_full: WhenFull,
    /// How many data sessions may be expected (`nf_conntrack_expect_max`).
    pub expectations: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 262_144,
            half_open: None,
            per_source: None,
            per_source_rate: None,
            when_full: WhenFull::EvictIdle,
            expectations: 16_384,
        }
    }
}

impl Limits {
    /// The limits of a profile: by the RFCs no live session is robbed of its
    /// place (RFC 5508 section 6, RFC 6888 REQ-11).
    #[must_use]
    pub fn of(profile: Profile) -> Self {
        let when_full = match profile {
            Profile::Linux => WhenFull::EvictIdle,
            Profile::Rfc | Profile::Carrier => WhenFull::Refuse,
        };
        Self {
            when_full,
            ..Self::default()
        }
    }
}

/// What happens to a new session when the table is full, or the half-open part
/// of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WhenFull {
    /// One that is over or that never proved real makes room; one that did
    /// never does.
    EvictIdle,
    /// None makes room: the new one is refused.
    Refuse,
}

/// A limit that a new session has met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    /// The table is full.
    Sessions,
    /// There are as many half-open connections as there may be.
    HalfOpen,
    /// Its source has its share.
    Source,
    /// Its source begins too many at a time.
    SourceRate,
    /// Its rule has its share.
    Rule,
    /// None may begin: an operator has said so.
    Drained,
}
