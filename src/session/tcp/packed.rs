//! What is known of a TCP connection, in a cache line: what every session in the
//! table takes. A SYN that was let by is kept elsewhere: hardly any has one.

use super::super::state::TcpState;
use super::connection::{Connection, Last, Opened, PassedSyn};
use super::table::SegmentKind;
use super::window::{Check, Closing, End, Sack, Sent};
use crate::net::{Direction, PerDirection, SeqNumber};

/// A [`Connection`], packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::session) struct Packed {
    pub(super) ends: PerDirection<PackedEnd>,
    pub(super) last_seq: SeqNumber,
    pub(super) last_ack: SeqNumber,
    pub(super) last_end: SeqNumber,
    pub(super) last_window: u16,
    pub(super) state: TcpState,
    pub(super) bits: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PackedEnd {
    pub(super) end: SeqNumber,
    pub(super) max_end: SeqNumber,
    pub(super) max_window: u32,
    pub(super) max_ack: SeqNumber,
    pub(super) stamp: u32,
    pub(super) bits: u16,
}

// The bits of a connection: the kind of its last segment in the lowest three.
pub(super) const KIND: u8 = 0x07;
/// That it was an ACK.
pub(super) const ACK_KIND: u8 = SegmentKind::Ack as u8 + 1;
pub(super) const REPLY: u8 = 0x08;
const BY_BOTH: u8 = 0x10;
pub(super) const REPEATED: u32 = 5;

// The bits of an end: the shift of its windows in the lowest four, the scale that it
// announced in the next.
pub(super) const SHIFT: u16 = 0x000f;
const SCALE: u32 = 4;
const HAS_SCALE: u16 = 0x0100;
const SACK: u16 = 0x0200;
pub(super) const UNACKNOWLEDGED: u16 = 0x0400;
const LIBERAL: u16 = 0x0800;
const CLOSING: u16 = 0x1000;
pub(super) const HAS_ACK: u16 = 0x2000;
pub(super) const HAS_STAMP: u16 = 0x4000;

fn flag(is_set: bool, bit: u16) -> u16 {
    if is_set { bit } else { 0 }
}

#[inline]
fn bits_of(end: &End) -> u16 {
    u16::from(end.shift) & SHIFT
        | (u16::from(end.scale.unwrap_or_default()) & SHIFT) << SCALE
        | flag(end.scale.is_some(), HAS_SCALE)
        | flag(end.sack == Sack::Permitted, SACK)
        | flag(end.sent == Sent::Unacknowledged, UNACKNOWLEDGED)
        | flag(end.check == Check::Liberal, LIBERAL)
        | flag(end.closing == Closing::Initiated, CLOSING)
        | flag(end.max_ack.is_some(), HAS_ACK)
        | flag(end.stamp.is_some(), HAS_STAMP)
}

impl PackedEnd {
    #[inline]
    fn of(end: &End) -> Self {
        Self {
            end: end.end,
            max_end: end.max_end,
            max_window: end.max_window,
            max_ack: end.max_ack.unwrap_or_default(),
            stamp: end.stamp.unwrap_or_default(),
            bits: bits_of(end),
        }
    }

    #[inline]
    fn end(&self) -> End {
        let bits = self.bits;
        let has = |bit| bits & bit != 0;
        // Four bits each.
        let [_, scale] = (bits >> SCALE & SHIFT).to_be_bytes();
        let [_, shift] = (bits & SHIFT).to_be_bytes();
        End {
            end: self.end,
            max_end: self.max_end,
            max_window: self.max_window,
            max_ack: has(HAS_ACK).then_some(self.max_ack),
            scale: has(HAS_SCALE).then_some(scale),
            shift,
            sack: if has(SACK) {
                Sack::Permitted
            } else {
                Sack::NotPermitted
            },
            sent: if has(UNACKNOWLEDGED) {
                Sent::Unacknowledged
            } else {
                Sent::Acknowledged
            },
            check: if has(LIBERAL) {
                Check::Liberal
            } else {
                Check::Strict
            },
            closing: if has(CLOSING) {
                Closing::Initiated
            } else {
                Closing::No
            },
            stamp: has(HAS_STAMP).then_some(self.stamp),
        }
    }
}

const KINDS: [SegmentKind; 5] = [
    SegmentKind::Syn,
    SegmentKind::SynAck,
    SegmentKind::Fin,
    SegmentKind::Ack,
    SegmentKind::Rst,
];

impl Packed {
    /// The connection without the SYN that was let by, if one was.
    #[inline]
    pub(in crate::session) fn of(connection: &Connection) -> (Self, Option<PassedSyn>) {
        let last = &connection.last;
        // Nought: none.
        let kind = last.kind.map_or(0, |kind| kind as u8 + 1);
        let reply = if last.direction == Direction::Reply {
            REPLY
        } else {
            0
        };
        let both = if connection.opening == Opened::ByBoth {
            BY_BOTH
        } else {
            0
        };
        let packed = Self {
            ends: PerDirection {
                original: PackedEnd::of(&connection.ends.original),
                reply: PackedEnd::of(&connection.ends.reply),
            },
            last_seq: last.seq,
            last_ack: last.ack,
            last_end: last.end,
            last_window: last.window,
            state: connection.state,
            bits: kind & KIND | reply | both | connection.repeated << REPEATED,
        };
        (packed, connection.passed_syn)
    }

    /// The whole connection again.
    #[inline]
    pub(in crate::session) fn connection(&self, passed_syn: Option<PassedSyn>) -> Connection {
        let kind = usize::from(self.bits & KIND).checked_sub(1);
        Connection {
            state: self.state,
            ends: PerDirection {
                original: self.ends.original.end(),
                reply: self.ends.reply.end(),
            },
            last: Last {
                kind: kind.and_then(|place| KINDS.get(place).copied()),
                direction: match self.bits & REPLY {
                    0 => Direction::Original,
                    _ => Direction::Reply,
                },
                seq: self.last_seq,
                ack: self.last_ack,
                end: self.last_end,
                window: self.last_window,
            },
            passed_syn,
            opening: match self.bits & BY_BOTH {
                0 => Opened::ByOne,
                _ => Opened::ByBoth,
            },
            repeated: self.bits >> REPEATED,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn end(seed: [u32; 6], small: [u8; 8]) -> End {
        let [end, max_end, max_window, ack, stamp, _] = seed;
        let [scale, shift, flags @ ..] = small;
        let [has_ack, has_scale, has_stamp, sack, sent, rest] = flags.map(|flag| flag % 2 == 1);
        End {
            end: SeqNumber(end),
            max_end: SeqNumber(max_end),
            max_window,
            max_ack: has_ack.then_some(SeqNumber(ack)),
            scale: has_scale.then_some(scale % 15),
            shift: shift % 15,
            sack: if sack {
                Sack::Permitted
            } else {
                Sack::NotPermitted
            },
            sent: if sent {
                Sent::Unacknowledged
            } else {
                Sent::Acknowledged
            },
            check: if rest { Check::Liberal } else { Check::Strict },
            closing: if rest == sent {
                Closing::Initiated
            } else {
                Closing::No
            },
            stamp: has_stamp.then_some(stamp),
        }
    }

    /// A connection, most often established.
    pub(in crate::session::tcp) fn any_connection() -> impl Strategy<Value = Connection> {
        let ends = (any::<[[u32; 6]; 2]>(), any::<[[u8; 8]; 2]>(), any::<u32>());
        let last = any::<(u32, u32, u32, u16)>();
        let small = (0usize..6, any::<bool>(), 0u8..4, 0u8..8);
        (ends, last, small).prop_map(
            |((numbers, small, base), last, (kind, reply, repeated, far))| {
                // Numbers of one conversation, most often, and windows that it may have.
                let close = |number: u32| match far {
                    0 => number,
                    _ => base.wrapping_add(number % 200_000),
                };
                let [original, reply_end] = [0, 1].map(|n: usize| {
                    let [a, b, window, d, e, f] = numbers[n];
                    end(
                        [
                            close(a),
                            close(b),
                            window % 200_000 * u32::from(far != 1),
                            close(d),
                            e,
                            f,
                        ],
                        small[n],
                    )
                });
                Connection {
                    state: if far == 2 {
                        TcpState::LastAck
                    } else {
                        TcpState::Established
                    },
                    ends: PerDirection {
                        original,
                        reply: reply_end,
                    },
                    last: Last {
                        kind: KINDS.get(kind).copied(),
                        direction: if reply {
                            Direction::Reply
                        } else {
                            Direction::Original
                        },
                        seq: SeqNumber(close(last.0)),
                        ack: SeqNumber(close(last.1)),
                        end: SeqNumber(close(last.2)),
                        window: last.3,
                    },
                    passed_syn: None,
                    opening: if reply { Opened::ByOne } else { Opened::ByBoth },
                    repeated,
                }
            },
        )
    }

    proptest! {
        #[test]
        fn a_connection_that_was_packed_is_the_same(connection in any_connection()) {
            let (packed, passed_syn) = Packed::of(&connection);
            prop_assert_eq!(packed.connection(passed_syn), connection);
        }
    }

    #[test]
    fn a_packed_connection_fits_into_a_line_with_its_kind() {
        assert_eq!(size_of::<Packed>(), 64);
    }
}
