//! Segments of one TCP stream that came one by one, put together as one super-segment: what
//! receive offload does in a network card, under the rules of the kernel's own
//! (`tcp_gro_receive`, and `tools/testing/selftests/net/gro.c`): only what cutting it again gives
//! back as it was.
//!
//! Only plain segments are: data in order, with the same headers and options, no flags but ACK
//! and, at the end, PSH; not a piece of anything, and of IPv4 such as may not be cut
//! (their identification means nothing, RFC 6864). The checksum of the whole is left to
//! the hardware.

use std::num::NonZeroU16;

use super::bytes::{put, u8_at, u16_at, u32_at};
use super::checksum::Sum;
use super::parse::Checksum;
use super::segments::SegmentSize;
use crate::net::{Family, Protocol, SeqNumber, TcpFlags};

const V4_HEADER: usize = 20;
const V6_HEADER: usize = 40;
const V4_LENGTH_AT: usize = 2;
const V4_CHECKSUM_AT: usize = 10;
const V6_LENGTH_AT: usize = 4;
/// Do not fragment, and nothing else in that word.
const DF: u16 = 0x4000;

const TCP_HEADER: usize = 20;
const SEQ_AT: usize = 4;
const DATA_OFFSET_AT: usize = 12;
const FLAGS_AT: usize = 13;
const CHECKSUM_AT: usize = 16;

/// The longest packet that its header can describe.
const LONGEST: usize = u16::MAX as usize;

/// A plain segment, to which others may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mergeable {
    family: Family,
    /// Where its payload begins.
    header: usize,
    length: usize,
    /// What its first segment has of payload.
    size: NonZeroU16,
    seq: SeqNumber,
    /// How many segments it is made of.
    segments: usize,
    /// Whether others may follow: not behind one that is shorter, or pushed.
    end: End,
}

/// Whether a segment is the last of a super-segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    Closed,
}

impl Mergeable {
    /// A packet, if it is such a segment.
    #[must_use]
    pub fn read(packet: &[u8]) -> Option<Self> {
        let (family, transport_at) = match *packet.first()? {
            0x45 => {
                let is_tcp = u8_at(packet, 9)? == Protocol::TCP.0;
                (is_tcp
                    && u16_at(packet, 6)? == DF
                    && u16_at(packet, V4_LENGTH_AT)? as usize == packet.len())
                .then_some((Family::V4, V4_HEADER))?
            }
            first if first >> 4 == 6 => {
                let is_tcp = u8_at(packet, 6)? == Protocol::TCP.0;
                (is_tcp && u16_at(packet, V6_LENGTH_AT)? as usize + V6_HEADER == packet.len())
                    .then_some((Family::V6, V6_HEADER))?
            }
            _ => return None,
        };
        let flags = TcpFlags(u8_at(packet, transport_at + FLAGS_AT)?);
        let end = match flags {
            TcpFlags::ACK => End::Open,
            flags if flags == TcpFlags::ACK | TcpFlags::PSH => End::Closed,
            _ => return None,
        };
        let tcp_header = usize::from(u8_at(packet, transport_at + DATA_OFFSET_AT)? >> 4) * 4;
        let header = transport_at + tcp_header;
        let payload = packet.len().checked_sub(header)?;
        if tcp_header < TCP_HEADER || packet.len() > LONGEST {
            return None;
        }
        Some(Self {
            family,
            header,
            length: packet.len(),
            size: NonZeroU16::new(u16::try_from(payload).ok()?)?,
            seq: SeqNumber(u32_at(packet, transport_at + SEQ_AT)?),
            segments: 1,
            end,
        })
    }

    /// How many segments it is made of.
    #[must_use]
    pub fn segments(&self) -> usize {
        self.segments
    }

    /// How long they are, all but the last.
    #[must_use]
    pub fn size(&self) -> SegmentSize {
        SegmentSize(self.size)
    }

    /// Where its transport's header begins, and its payload.
    #[must_use]
    pub fn layout(&self) -> (usize, usize) {
        (self.transport_at(), self.header)
    }

    /// Its family.
    #[must_use]
    pub fn family(&self) -> Family {
        self.family
    }

    fn transport_at(&self) -> usize {
        match self.family {
            Family::V4 => V4_HEADER,
            Family::V6 => V6_HEADER,
        }
    }

    fn payload(&self) -> usize {
        self.length - self.header
    }

    /// Whether the checksum of its transport is right.
    #[must_use]
    pub fn is_intact(&self, packet: &[u8], checksum: Checksum) -> bool {
        match checksum {
            Checksum::Partial => true,
            Checksum::Complete => {
                let transport = packet.get(self.transport_at()..).unwrap_or_default();
                let header = match self.family {
                    Family::V4 => packet
                        .get(..V4_HEADER)
                        .map(|header| Sum::default().over(header)),
                    Family::V6 => Some(Sum::default()),
                };
                let is_right =
                    header.is_some_and(|header| self.family == Family::V6 || header.is_intact());
                is_right
                    && self
                        .pseudo_header(packet, transport.len())
                        .over(transport)
                        .is_intact()
            }
        }
    }

    fn pseudo_header(&self, packet: &[u8], transport: usize) -> Sum {
        let addresses = match self.family {
            Family::V4 => packet.get(12..20),
            Family::V6 => packet.get(8..40),
        };
        // No longer than a packet.
        let length = u16::try_from(transport).unwrap_or(u16::MAX);
        Sum::default()
            .over(addresses.unwrap_or_default())
            .add_u16(u16::from(Protocol::TCP.0))
            .add_u16(length)
    }

    /// Whether `next` goes on where this ends, and differs from it in nothing else.
    #[must_use]
    pub fn may_take(&self, packet: &[u8], next: &Self, next_packet: &[u8]) -> bool {
        // Its length is bounded by a packet's.
        let end = self
            .seq
            .advance(u32::try_from(self.payload()).unwrap_or(u32::MAX));
        self.end == End::Open
            && next.segments == 1
            && end == next.seq
            && next.size <= self.size
            && self.length + next.payload() <= LONGEST
            && (self.family, self.header) == (next.family, next.header)
            && self.has_the_headers_of(packet, next_packet)
    }

    /// Whether all of their headers is the same that has to be.
    fn has_the_headers_of(&self, one: &[u8], other: &[u8]) -> bool {
        let is_same = |from: usize, to: usize| one.get(from..to) == other.get(from..to);
        let tcp = self.transport_at();
        let is_ip_the_same = match self.family {
            // Class; DF; time to live; addresses. Length, identification and checksum differ.
            Family::V4 => is_same(0, 2) && is_same(6, 10) && is_same(12, 20),
            Family::V6 => is_same(0, 4) && is_same(6, 40),
        };
        // Ports; acknowledgement and offset; window; urgent pointer and options.
        is_ip_the_same
            && is_same(tcp, tcp + SEQ_AT)
            && is_same(tcp + 8, tcp + FLAGS_AT)
            && is_same(tcp + 14, tcp + CHECKSUM_AT)
            && is_same(tcp + 18, self.header)
    }

    /// Adds the payload of `next` to the packet that begins in `frame` behind `headroom`
    /// octets: it [may take](Self::may_take) it, and both are [intact](Self::is_intact). What
    /// its headers say of it is written by [`finish`](Self::finish).
    pub fn take(&mut self, frame: &mut Vec<u8>, headroom: usize, next: &Self, next_packet: &[u8]) {
        let payload = next_packet.get(next.header..).unwrap_or_default();
        frame.extend_from_slice(payload);
        self.length += payload.len();
        self.segments += next.segments;
        if next.end == End::Closed {
            let at = headroom + self.transport_at() + FLAGS_AT;
            put(frame, at, &[(TcpFlags::ACK | TcpFlags::PSH).0]);
            self.end = End::Closed;
        }
        if next.size < self.size {
            self.end = End::Closed;
        }
    }

    /// Writes what its headers say of the whole, and its checksum as hardware wants to find it.
    pub fn finish(&self, packet: &mut [u8]) {
        // Both are no longer than a packet.
        let length = |octets: usize| u16::try_from(octets).unwrap_or(u16::MAX).to_be_bytes();
        match self.family {
            Family::V4 => {
                put(packet, V4_LENGTH_AT, &length(self.length));
                put(packet, V4_CHECKSUM_AT, &[0, 0]);
                let header = packet.get(..V4_HEADER).unwrap_or_default();
                let sum = Sum::default().over(header).checksum();
                put(packet, V4_CHECKSUM_AT, &sum.to_be_bytes());
            }
            Family::V6 => put(packet, V6_LENGTH_AT, &length(self.length - V6_HEADER)),
        }
        let tcp = self.transport_at();
        let sum = self.pseudo_header(packet, self.length - tcp).fold();
        put(packet, tcp + CHECKSUM_AT, &sum.to_be_bytes());
    }
}
