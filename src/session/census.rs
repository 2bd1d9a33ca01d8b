//! How many sessions there are of each kind, of each source and by each rule,
//! and which of a kind is there for longest.
//!
//! Counts are exact at any moment; a packet that changes no session's standing
//! costs nothing here. What is counted by source is bounded by the sessions.

use std::net::IpAddr;

use super::accounts::{add, take};
use super::growing_map::GrowingMap;
use super::hash::TupleHash;
use super::lists::Lists;
use super::record::Origin;
use super::state::{SctpState, State, TcpState};
use super::tallies::Tallies;
use super::tcp::Heard;

/// What a session is worth when there is no room: the first goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Standing {
    /// A connection that was reset, or in which both ends have said goodbye.
    Over,
    /// A TCP connection whose handshake is not complete.
    HalfOpen,
    /// Anything else that only one end has been heard of.
    #[default]
    Unreplied,
    /// Both ends have been heard, and no more than that.
    Replied,
    /// Both ends have shown that they mean it (`IPS_ASSURED`).
    Assured,
}

impl Standing {
    /// All, in the order in which they go.
    pub const ALL: [Self; 5] = [
        Self::Over,
        Self::HalfOpen,
        Self::Unreplied,
        Self::Replied,
        Self::Assured,
    ];

    /// The standing of a session in this state.
    #[must_use]
    pub fn of(state: State, heard: Heard) -> Self {
        match (state, heard) {
            // A connection closes when both ends have sent their FIN: one that is
            // closed at one end only may have much to say yet (RFC 5382 section 5).
            (State::Tcp(TcpState::LastAck | TcpState::TimeWait | TcpState::Close), _) => Self::Over,
            // SCTP knows no such half: whoever is told of a shutdown answers it
            // (`sctp_can_early_drop`).
            (
                State::Sctp(
                    SctpState::ShutdownSent | SctpState::ShutdownRecd | SctpState::ShutdownAckSent,
                ),
                _,
            )
            | (State::Sctp(SctpState::Closed), Heard::Assured) => Self::Over,
            (_, Heard::Assured) => Self::Assured,
            (State::Tcp(TcpState::SynSent | TcpState::SynRecv | TcpState::SynSent2), _) => {
                Self::HalfOpen
            }
            (_, Heard::OneEnd) => Self::Unreplied,
            (_, Heard::BothEnds) => Self::Replied,
        }
    }

    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Over => "over",
            Self::HalfOpen => "half-open",
            Self::Unreplied => "unreplied",
            Self::Replied => "replied",
            Self::Assured => "assured",
        }
    }
}

impl std::fmt::Display for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// The counts.
#[derive(Debug)]
pub struct Census {
    counts: [usize; Standing::ALL.len()],
    /// A list for each standing: those that took it up first are first. There is
    /// none of the assured: nobody asks which of them is oldest.
    queues: Lists,
    sources: Sources,
    rules: Vec<u32>,
}

/// How many sessions each address began: most tables have one family, whose addresses
/// are kept in as few octets as they have.
#[derive(Debug)]
struct Sources {
    v4: Tallies,
    v6: GrowingMap<[u8; 16], u32>,
}

impl Sources {
    fn add(&mut self, source: IpAddr) {
        match source {
            IpAddr::V4(source) => self.v4.add(source.to_bits()),
            IpAddr::V6(source) => {
                add(&mut self.v6, source.octets());
            }
        }
    }

    fn take(&mut self, source: IpAddr) {
        match source {
            IpAddr::V4(source) => self.v4.take(source.to_bits()),
            IpAddr::V6(source) => {
                take(&mut self.v6, &source.octets());
            }
        }
    }

    fn of(&self, source: IpAddr) -> usize {
        let count = match source {
            IpAddr::V4(source) => self.v4.of(source.to_bits()),
            IpAddr::V6(source) => self.v6.get(&source.octets()).copied().unwrap_or_default(),
        };
        count as usize
    }
}

impl Census {
    pub(super) fn new(hash: TupleHash) -> Self {
        Self {
            counts: [0; Standing::ALL.len()],
            queues: Lists::new(Standing::ALL.len()),
            sources: Sources {
                v4: Tallies::new(hash),
                v6: GrowingMap::new(hash),
            },
            rules: Vec::new(),
        }
    }

    /// How many sessions have this standing.
    #[must_use]
    pub fn of_standing(&self, standing: Standing) -> usize {
        self.counts
            .get(standing as usize)
            .copied()
            .unwrap_or_default()
    }

    /// How many sessions this address began.
    #[must_use]
    pub fn of_source(&self, source: IpAddr) -> usize {
        self.sources.of(source)
    }

    /// Has brought near what is kept of an address.
    #[inline]
    pub(super) fn fetch(&self, source: u32) {
        self.sources.v4.fetch(source);
    }

    /// How many addresses have begun sessions that live.
    #[must_use]
    pub fn sources(&self) -> usize {
        self.sources.v4.len() + self.sources.v6.len()
    }

    /// How many sessions the rule at this place let in, data sessions that an
    /// ALG announced in them included.
    #[must_use]
    pub fn of_rule(&self, rule: u16) -> usize {
        let count = self.rules.get(usize::from(rule));
        count.map_or(0, |count| *count as usize)
    }

    /// The slot of the session that took up this standing first.
    pub(super) fn oldest(&self, standing: Standing) -> Option<u32> {
        self.queues.first(standing as usize)
    }

    /// The slots of this standing, oldest first.
    pub(super) fn queue(&self, standing: Standing) -> impl Iterator<Item = u32> {
        self.queues.iter(standing as usize)
    }

    pub(super) fn enter(&mut self, slot: u32, standing: Standing, origin: &Origin) {
        self.take_up(slot, standing);
        self.sources.add(source_of(origin));
        if let Some(rule) = origin.rule.map(usize::from) {
            if self.rules.len() <= rule {
                self.rules.resize(rule + 1, 0);
            }
            if let Some(count) = self.rules.get_mut(rule) {
                *count += 1;
            }
        }
    }

    pub(super) fn change(&mut self, slot: u32, from: Standing, to: Standing) {
        self.give_up(slot, from);
        self.take_up(slot, to);
    }

    pub(super) fn leave(&mut self, slot: u32, standing: Standing, origin: &Origin) {
        self.give_up(slot, standing);
        self.sources.take(source_of(origin));
        let rule = origin.rule.map(usize::from);
        if let Some(count) = rule.and_then(|rule| self.rules.get_mut(rule)) {
            *count -= 1;
        }
    }

    fn take_up(&mut self, slot: u32, standing: Standing) {
        if standing != Standing::Assured {
            self.queues.push(standing as usize, slot);
        }
        if let Some(count) = self.counts.get_mut(standing as usize) {
            *count += 1;
        }
    }

    fn give_up(&mut self, slot: u32, standing: Standing) {
        if standing != Standing::Assured {
            self.queues.unlink(standing as usize, slot);
        }
        if let Some(count) = self.counts.get_mut(standing as usize) {
            *count -= 1;
        }
    }
}

/// Whom a session counts for: who sent its first packet.
pub(super) fn source_of(origin: &Origin) -> IpAddr {
    origin.tuples.original.source.address
}
