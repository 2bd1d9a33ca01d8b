//! On what terms a row of source translation gives out public endpoints: what
//! is counted, leased, kept back and written down of them.

use std::num::{NonZeroU16, NonZeroU32};
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Port, Rate};

/// A row of source translation, by its number (see [`Rows`](super::Rows)): its place in
/// the file that was read first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RowId(NonZeroU16);

impl RowId {
    /// The row of this number; `None` beyond the last place that a file can have.
    #[must_use]
    pub fn of_place(place: usize) -> Option<Self> {
        let number = u16::try_from(place).ok()?.checked_add(1)?;
        NonZeroU16::new(number).map(Self)
    }

    /// Its number.
    #[must_use]
    pub fn place(self) -> usize {
        usize::from(self.0.get()) - 1
    }
}

/// The terms of one row.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Terms {
    /// How many public endpoints each client may hold.
    pub quota: Option<Quota>,
    /// How often each client may take one that it does not hold yet (RFC 6888
    /// REQ-4).
    pub rate: Option<Rate>,
    /// How many sessions there may be by one public endpoint of a client (RFC 6888
    /// REQ-5).
    pub max_sessions: Option<NonZeroU32>,
    /// The ports that are leased to clients by the block.
    pub blocks: Option<BlockLayout>,
    /// For how long nobody gets what somebody has let go of (RFC 6888 REQ-8).
    pub hold_down: Option<HoldDown>,
    /// What is written down.
    pub log: Logged,
}

impl Terms {
    /// Whether it has to be known what each client holds.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.quota.is_some()
            || self.rate.is_some()
            || self.max_sessions.is_some()
            || self.log == Logged::Mappings
    }

    /// Whether what was counted, leased and written down by other terms goes on by these as
    /// it is: only how much there may be of it differs.
    #[must_use]
    pub fn go_on_as(&self, others: &Self) -> bool {
        let rests = |terms: &Self| terms.hold_down.map(|hold_down| hold_down.of);
        self.counts() == others.counts()
            && self.blocks == others.blocks
            && self.log == others.log
            && rests(self) == rests(others)
    }

    /// Whether nothing is counted, leased or written down of what clients hold.
    #[must_use]
    pub fn keep_no_account(&self) -> bool {
        !self.counts() && self.blocks.is_none() && self.log == Logged::default()
    }
}

/// How many public endpoints one inside address may hold (RFC 6888 REQ-4);
/// `None`: any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Quota {
    /// In all.
    pub all: Option<u32>,
    /// Of TCP.
    pub tcp: Option<u32>,
    /// Of UDP.
    pub udp: Option<u32>,
    /// Identifiers of ICMP queries.
    pub icmp: Option<u32>,
}

/// Ports of every public address in blocks of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlockLayout {
    first: Port,
    size: NonZeroU16,
    count: u16,
}

impl BlockLayout {
    /// As many blocks of this size as `ports` have room for; `None`: they have
    /// room for none. What is left over belongs to no block.
    #[must_use]
    pub fn new(ports: &RangeInclusive<Port>, size: NonZeroU16) -> Option<Self> {
        let (first, last) = (ports.start().0, ports.end().0);
        let room = u32::from(last.checked_sub(first)?) + 1;
        let count = u16::try_from(room / u32::from(size.get())).unwrap_or(u16::MAX);
        (count > 0).then_some(Self {
            first: *ports.start(),
            size,
            count,
        })
    }

    /// How many blocks there are at each address.
    #[must_use]
    pub fn count(&self) -> u16 {
        self.count
    }

    /// How many ports each has.
    #[must_use]
    pub fn size(&self) -> NonZeroU16 {
        self.size
    }

    /// The number of the block that has this port.
    #[must_use]
    pub fn block_of(&self, port: Port) -> Option<u16> {
        let block = port.0.checked_sub(self.first.0)? / self.size;
        (block < self.count).then_some(block)
    }

    /// The blocks that have any of these ports.
    pub fn blocks_of(&self, ports: &RangeInclusive<u16>) -> impl Iterator<Item = u16> + use<> {
        let (first, last) = (*ports.start(), *ports.end());
        let end = last.checked_sub(self.first.0);
        let end = end.map_or(0, |last| (last / self.size).saturating_add(1));
        let start = first.saturating_sub(self.first.0) / self.size;
        start..end.min(self.count)
    }

    /// The ports of a block.
    #[must_use]
    pub fn ports(&self, block: u16) -> RangeInclusive<u16> {
        let first = u32::from(self.first.0) + u32::from(block) * u32::from(self.size.get());
        let last = first + u32::from(self.size.get()) - 1;
        let port = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
        port(first)..=port(last)
    }
}

/// How long what was let go of rests before somebody else gets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldDown {
    /// So long.
    pub time: Duration,
    /// And so many at most: the one that rests for longest makes room.
    pub most: NonZeroU32,
    /// What it is.
    pub of: Rests,
}

/// What rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Rests {
    /// Every port by itself.
    Ports,
    /// Blocks of ports: within one, ports go from a client to the same client.
    Blocks,
}

/// What is written down of public endpoints; each holds what stands before it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
pub enum Logged {
    /// Nothing.
    #[default]
    Nothing,
    /// Blocks of ports, as they are given and come back (RFC 6888 REQ-14).
    Blocks,
    /// Public endpoints, as clients take them and let go (RFC 6888 section 4).
    Mappings,
    /// Every session with its destination, instead (RFC 6888 REQ-12).
    Sessions,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_port_of_a_layout_is_in_the_block_that_has_it() {
        let size = NonZeroU16::new(1000).unwrap();
        let layout = BlockLayout::new(&(Port(1024)..=Port(65535)), size).unwrap();
        assert_eq!(layout.count(), 64);
        assert_eq!(layout.ports(0), 1024..=2023);
        assert_eq!(layout.ports(63), 64024..=65023);
        for port in 0..=u16::MAX {
            let block = layout.block_of(Port(port));
            assert_eq!(block.is_some(), (1024..=65023).contains(&port), "{port}");
            if let Some(block) = block {
                assert!(layout.ports(block).contains(&port));
            }
            let of_one: Vec<_> = layout.blocks_of(&(port..=port)).collect();
            assert_eq!(of_one, Vec::from_iter(block));
        }
        assert!(layout.blocks_of(&(2000..=4023)).eq([0, 1, 2]));
        assert!(layout.blocks_of(&(0..=u16::MAX)).eq(0..64));
        assert!(BlockLayout::new(&(Port(1)..=Port(999)), size).is_none());
    }
}
