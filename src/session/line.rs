//! A session's line in the table, and what is kept aside of it.
//!
//! ```text
//! line    | both keys, number, deadline, course, low counters, |  64 octets: whose packet is this, until when,
//!         | what translation does to checksums                 |             how does it leave
//!         | tracking: a TCP connection, most often             |  64 octets: does it belong
//! aside   | beginning, high counters                           |  24 octets: touched once in many packets
//! ```
//!
//! The path of an established packet works on the line itself.

use super::census::Standing;
use super::course::CourseId;
use super::key::Key;
use super::sctp::Association;
use super::state::{FlowState, SessionId};
use super::tcp::{Heard, Packed};
use super::wides::{WideId, Wides};
use crate::net::{Direction, Family, PerDirection, Protocol, Timestamp};
use crate::packet::{Addresses, Changes, Leaving, Plain};

/// A tuple of IPv4, or the ports of one of IPv6, as its octets stand in a packet.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PackedKey {
    /// Source and destination.
    pub(super) addresses: [u8; 8],
    pub(super) ports: u32,
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
    pub(super) beside: Beside,
    /// Octets and packets that passed, but for what is kept aside.
    pub(super) octets: PerDirection<u32>,
    pub(super) packets: PerDirection<u16>,
    pub(super) protocol: u8,
    pub(super) marks: Marks,
    pub(super) heard: Heard,
    pub(super) standing: Standing,
    pub(super) tracking: Tracking,
}

/// Of a session of IPv6 where its addresses are; of one of IPv4 what its translation
/// does to the checksums of packets of the original direction. [Marks](Marks::WIDE) say
/// which.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Beside(u32);

impl Beside {
    pub(super) fn of_wide(WideId(id): WideId) -> Self {
        Self(id)
    }

    #[inline]
    pub(super) fn of_narrow(keys: &PerDirection<Key>) -> Self {
        let PerDirection { original, reply } = keys;
        match (&original.addresses, &reply.addresses) {
            (Addresses::V4(came), Addresses::V4(answers)) => {
                let leaves = (answers.rotate_left(32), reply.ports.rotate_left(16));
                Self(Changes::of((*came, original.ports), leaves).0)
            }
            _ => Self::default(),
        }
    }

    #[inline]
    pub(super) fn wide(self) -> WideId {
        WideId(self.0)
    }

    #[inline]
    fn changes(self) -> Changes {
        Changes(self.0)
    }
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
    /// There is no session any more.
    pub(super) const OVER: u8 = 64;

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
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Aside {
    pub(super) began: Timestamp,
    pub(super) octets: PerDirection<u32>,
    pub(super) packets: PerDirection<u32>,
}

impl Line {
    /// One that nobody ever had.
    #[inline]
    pub(super) fn empty() -> Self {
        Self {
            keys: PerDirection::default(),
            id: 0,
            deadline: Timestamp::EPOCH,
            course: CourseId::default(),
            beside: Beside::default(),
            octets: PerDirection::default(),
            packets: PerDirection::default(),
            protocol: 0,
            marks: Marks::default(),
            heard: Heard::OneEnd,
            standing: Standing::Unreplied,
            tracking: Tracking::Flow(FlowState::Unreplied),
        }
    }

    /// Whether it is that of a session whose packets of this direction have this key; not
    /// asked of lines that nobody ever had.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: docs/performance.md")]
    pub(super) fn has(&self, direction: Direction, key: &Key, wides: &Wides) -> bool {
        let own = &self.keys[direction];
        let is_over_or_wide = self.marks.0 & (Marks::OVER | Marks::WIDE[direction]);
        // One question in place of many: nearly always the answer is yes.
        let differs = u64::from(own.ports ^ key.ports) | u64::from(self.protocol ^ key.protocol);
        match key.addresses {
            Addresses::V4(both) => {
                let own = u64::from_le_bytes(own.addresses);
                (own ^ both | differs | u64::from(is_over_or_wide)) == 0
            }
            Addresses::V6(words) => {
                (differs == 0 && is_over_or_wide == Marks::WIDE[direction])
                    && wides.words(self.beside.wide(), direction) == Some(words)
            }
        }
    }

    /// Its key in this direction.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: docs/performance.md")]
    pub(super) fn key(&self, direction: Direction, wides: &Wides) -> Key {
        let own = &self.keys[direction];
        let wide = match self.marks.has(Marks::WIDE[direction]) {
            true => wides.words(self.beside.wide(), direction),
            false => None,
        };
        let narrow = Addresses::V4(u64::from_le_bytes(own.addresses));
        Key {
            addresses: wide.map_or(narrow, Addresses::V6),
            ports: own.ports,
            protocol: self.protocol,
        }
    }

    /// Whether packets of this direction have these addresses of IPv4 and these ports, if
    /// there is a session of such, which [`swings`](Self::swings) asks.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: docs/performance.md")]
    pub(super) fn may_have(&self, direction: Direction, addresses: u64, ports: u32) -> bool {
        let own = &self.keys[direction];
        let differs = u64::from_le_bytes(own.addresses) ^ addresses;
        differs | u64::from(own.ports ^ ports) == 0
    }

    /// Whether there is a session of this packet's protocol and family in which nothing but
    /// talking is going on, and a packet of this direction has been looked at from all sides
    /// before. Of TCP both ends have been heard, and what they said fits together.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: docs/performance.md")]
    pub(super) fn swings(&self, direction: Direction, plain: &Plain) -> bool {
        let wide = Marks::WIDE.original | Marks::WIDE.reply;
        let known = Marks::KNOWN.original | Marks::KNOWN.reply;
        let asked = Marks::BUSY | Marks::OVER | wide | known;
        let due = match plain.family {
            Family::V4 => known,
            Family::V6 => known | wide,
        };
        // What is known of the other direction is all the same.
        let marks = self.marks.0 | Marks::KNOWN[!direction];
        // Who is heard so stands so, or looks so over that it is asked further.
        let (all, heard, standing) = match plain.protocol {
            Protocol::TCP => (u8::MAX, Heard::Assured as u8, Standing::Assured as u8),
            _ => (0, 0, 0),
        };
        // One question in place of four.
        let own = [self.protocol, marks, self.heard as u8, self.standing as u8];
        let asked = [u8::MAX, asked, all, all];
        let due = [plain.protocol.0, due, heard, standing];
        u32::from_le_bytes(own) & u32::from_le_bytes(asked) == u32::from_le_bytes(due)
    }

    /// With which addresses and ports a packet of this family leaves: the other
    /// direction's, the other way round. The session [is of it](Self::swings).
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: docs/performance.md")]
    pub(super) fn leaving(&self, direction: Direction, family: Family, wides: &Wides) -> Leaving {
        let other = &self.keys[!direction];
        let wide = || wides.words(self.beside.wide(), !direction);
        let addresses = match family {
            Family::V4 => Addresses::V4(u64::from_le_bytes(other.addresses)),
            Family::V6 => Addresses::V6(wide().unwrap_or_default()),
        };
        let answers = Leaving {
            addresses,
            ports: other.ports,
        };
        answers.reversed()
    }

    /// What leaving like that does to the checksums of a packet of IPv4.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: docs/performance.md")]
    pub(super) fn changes(&self, direction: Direction) -> Changes {
        let there = self.beside.changes();
        match direction {
            Direction::Original => there,
            Direction::Reply => there.reversed(),
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

    /// Counts a packet of so many octets. `carry` hears of what has to be carried, now and
    /// then.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: docs/performance.md")]
    pub(super) fn count(
        &mut self,
        direction: Direction,
        octets: usize,
        mut carry: impl FnMut(Carried),
    ) {
        // No packet is longer than 2^32 octets.
        let octets = u32::try_from(octets).unwrap_or(u32::MAX);
        let own = &mut self.octets[direction];
        let (sum, runs_over) = own.overflowing_add(octets);
        *own = sum;
        if runs_over {
            carry(Carried::Octets);
        }
        let own = &mut self.packets[direction];
        let (sum, runs_over) = own.overflowing_add(1);
        *own = sum;
        if runs_over {
            carry(Carried::Packets);
        }
    }

    /// Its number; `None` where there is no session.
    pub(super) fn id(&self) -> Option<SessionId> {
        (self.id != 0).then_some(SessionId(self.id))
    }
}

/// Which of the low counters of a line has run over.
#[derive(Debug, Clone, Copy)]
pub(super) enum Carried {
    Octets,
    Packets,
}

impl Aside {
    #[cold]
    #[inline(never)]
    pub(super) fn carry(&mut self, direction: Direction, carried: Carried) {
        let own = match carried {
            Carried::Octets => &mut self.octets[direction],
            Carried::Packets => &mut self.packets[direction],
        };
        *own = own.wrapping_add(1);
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
