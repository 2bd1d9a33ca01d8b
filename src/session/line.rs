//! A session's line in the table, and what is kept aside of it.
//!
//! ```text
//! line    | both keys, number, deadline, course, low counters |  64 octets: whose packet is this, until when
//!         | tracking: a TCP connection, most often             |  64 octets: does it belong
//! aside   | beginning, high counters                           |  24 octets: touched once in many packets
//! ```
//!
//! The path of an established packet works on the line itself.

use super::census::Standing;
use super::course::CourseId;
use super::key::Narrow;
use super::sctp::Association;
use super::state::{FlowState, SessionId};
use super::tcp::{Heard, Packed};
use crate::net::{Direction, PerDirection, Timestamp};
use crate::packet::Leaving;

/// A tuple of IPv4, or the ports of one of IPv6.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PackedKey {
    pub(super) source: u32,
    pub(super) destination: u32,
    pub(super) ports: u32,
}

impl PackedKey {
    #[inline]
    pub(super) fn of(key: &Narrow) -> Self {
        let [a, b, c, d, e, f, g, h] = key.addresses.to_be_bytes();
        Self {
            source: u32::from_be_bytes([a, b, c, d]),
            destination: u32::from_be_bytes([e, f, g, h]),
            ports: key.ports,
        }
    }
}

/// Two cache lines.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Line {
    pub(super) keys: PerDirection<PackedKey>,
    /// Nought: the slot is free.
    pub(super) id: u64,
    pub(super) deadline: Timestamp,
    pub(super) course: CourseId,
    /// Where the addresses are, if they are IPv6's.
    pub(super) wide: u32,
    /// Octets and packets that passed, but for what is kept aside.
    pub(super) octets: PerDirection<u32>,
    pub(super) packets: PerDirection<u16>,
    pub(super) protocol: u8,
    pub(super) heard: Heard,
    pub(super) standing: Standing,
    pub(super) marks: Marks,
    pub(super) tracking: Tracking,
}

/// What is known of the conversation.
#[derive(Debug, Clone, Copy)]
pub(super) enum Tracking {
    Tcp(Packed),
    Sctp(Association),
    Flow(FlowState),
}

/// Small things about a session, a bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Marks(u8);

impl Marks {
    /// It is being probed, or a SYN was let by: nothing that packets in full swing
    /// know of.
    pub(super) const BUSY: u8 = 32;
    /// Its addresses are IPv6's.
    pub(super) const WIDE: PerDirection<u8> = PerDirection {
        original: 1,
        reply: 2,
    };
    /// A packet of it has come by the zone that answers leave by, and its addresses
    /// were found to be such as may pass.
    pub(super) const KNOWN: PerDirection<u8> = PerDirection {
        original: 4,
        reply: 8,
    };
    /// There is more about it than hardly any session has.
    pub(super) const RARE: u8 = 16;

    pub(super) fn has(self, bit: u8) -> bool {
        self.0 & bit != 0
    }

    pub(super) fn set(&mut self, bit: u8) {
        self.0 |= bit;
    }

    pub(super) fn clear(&mut self, bit: u8) {
        self.0 &= !bit;
    }
}

/// What a session's line has no room for, and hardly needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Aside {
    pub(super) began: Timestamp,
    pub(super) octets: PerDirection<u32>,
    pub(super) packets: PerDirection<u32>,
}

impl Line {
    #[inline]
    pub(super) fn has(&self, direction: Direction, key: &Narrow) -> bool {
        let own = &self.keys[direction];
        let [a, b, c, d, e, f, g, h] = key.addresses.to_be_bytes();
        let source = u32::from_be_bytes([a, b, c, d]);
        let destination = u32::from_be_bytes([e, f, g, h]);
        // One question in place of six: nearly always the answer is yes.
        let differs = (own.source ^ source)
            | (own.destination ^ destination)
            | (own.ports ^ key.ports)
            | u32::from(self.protocol ^ key.protocol)
            | u32::from(self.marks.0 & Marks::WIDE[direction]);
        differs == 0 && self.id != 0
    }

    /// Whether both ends have been heard, nothing else is going on, and a packet of this
    /// direction has been looked at from all sides before.
    #[inline]
    pub(super) fn swings(&self, direction: Direction) -> bool {
        let wide = Marks::WIDE.original | Marks::WIDE.reply;
        let asked = Marks::BUSY | wide | Marks::KNOWN[direction];
        self.heard != Heard::OneEnd && self.marks.0 & asked == Marks::KNOWN[direction]
    }

    /// With which addresses and ports a packet leaves: the other direction's, the other
    /// way round.
    #[inline]
    pub(super) fn leaving(&self, direction: Direction) -> Leaving {
        let other = &self.keys[!direction];
        Leaving {
            addresses: u64::from(other.destination) << 32 | u64::from(other.source),
            ports: other.ports.rotate_left(16),
        }
    }

    /// Its number, which counts only where there is a session.
    #[inline]
    pub(super) fn number(&self) -> SessionId {
        SessionId(self.id)
    }

    /// Packets of this direction need not be asked again where they come from.
    pub(super) fn vouch(&mut self, direction: Direction) {
        self.marks.set(Marks::KNOWN[direction]);
    }

    /// What stands in its second cache line.
    #[inline]
    pub(super) fn second(&self) -> &impl Sized {
        &self.tracking
    }

    pub(super) fn narrow(&self, direction: Direction) -> Narrow {
        let own = &self.keys[direction];
        Narrow {
            addresses: u64::from(own.source) << 32 | u64::from(own.destination),
            ports: own.ports,
            protocol: self.protocol,
        }
    }

    /// Counts a packet of so many octets. Gives what has to be carried, now and then.
    #[inline]
    pub(super) fn count(&mut self, direction: Direction, octets: usize) -> Option<Carried> {
        // No packet is longer than 2^32 octets.
        let octets = u32::try_from(octets).unwrap_or(u32::MAX);
        let (sum, octets) = self.octets[direction].overflowing_add(octets);
        self.octets[direction] = sum;
        let (sum, packets) = self.packets[direction].overflowing_add(1);
        self.packets[direction] = sum;
        (octets || packets).then(|| Carried {
            octets: u32::from(octets),
            packets: u32::from(packets),
        })
    }

    /// Its number; `None` where there is no session.
    pub(super) fn id(&self) -> Option<SessionId> {
        (self.id != 0).then_some(SessionId(self.id))
    }
}

/// How often the low counters of a line have run over.
pub(super) struct Carried {
    octets: u32,
    packets: u32,
}

impl Aside {
    pub(super) fn carry(&mut self, direction: Direction, carried: Carried) {
        let (octets, packets) = (self.octets[direction], self.packets[direction]);
        self.octets[direction] = octets.wrapping_add(carried.octets);
        self.packets[direction] = packets.wrapping_add(carried.packets);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_takes_two_lines_and_a_little() {
        assert_eq!((size_of::<Line>(), size_of::<Aside>()), (128, 24));
    }
}
