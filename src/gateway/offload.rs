//! What the kernel says of a packet before it, and is told: the virtio-net header
//! (Virtual I/O Device 1.3, section 5.1.6), in the host's byte order as TUN devices
//! have it.
//!
//! It says whether the transport's checksum is to be finished, and into how long
//! segments a super-segment is to be cut. The engine takes both as they are; what it
//! lets go is told in the same words. Nothing is cut or summed here.

use std::num::NonZeroU16;

use crate::engine::Arrival;
use crate::net::{Family, ZoneId};
use crate::packet::{Checksum, Headers, Mergeable, SegmentSize};

/// How many octets stand before each packet.
pub(super) const LENGTH: usize = 10;

/// The checksum is to be finished, from `csum_start` on.
const NEEDS_CSUM: u8 = 1;
/// It is no super-segment.
const GSO_NONE: u8 = 0;
/// It is one of TCP.
const GSO_TCPV4: u8 = 1;
const GSO_TCPV6: u8 = 4;
/// Where in TCP's header its checksum is.
const TCP_CHECKSUM_AT: usize = 16;

/// The header as it stands before a packet.
pub(super) type Octets = [u8; LENGTH];

/// What stands before a packet that is complete and no super-segment.
pub(super) const NOTHING: Octets = [0; LENGTH];

/// What the kernel says of a packet that it hands over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Offload {
    octets: Octets,
    /// The packet's length as it came.
    length: usize,
}

impl Offload {
    /// That of a packet which is complete.
    pub(super) const NONE: Self = Self {
        octets: NOTHING,
        length: 0,
    };

    /// The header of what was read, packet and all.
    pub(super) fn of(read: &[u8]) -> Option<Self> {
        let (octets, packet) = read.split_first_chunk::<LENGTH>()?;
        Some(Self {
            octets: *octets,
            length: packet.len(),
        })
    }

    /// That of a packet which was put together of several segments, its checksum to be
    /// finished.
    pub(super) fn merged(packet: &[u8], merged: &Mergeable) -> Self {
        let (transport_at, header) = merged.layout();
        // Headers of IP and TCP are no longer than a hundred octets.
        let number = |at: usize| u16::try_from(at).unwrap_or(0).to_ne_bytes();
        let gso_type = match merged.family() {
            Family::V4 => GSO_TCPV4,
            Family::V6 => GSO_TCPV6,
        };
        let [h0, h1] = number(header);
        let [s0, s1] = merged.size().0.get().to_ne_bytes();
        let [c0, c1] = number(transport_at);
        let [o0, o1] = number(TCP_CHECKSUM_AT);
        Self {
            octets: [NEEDS_CSUM, gso_type, h0, h1, s0, s1, c0, c1, o0, o1],
            length: packet.len(),
        }
    }

    /// How a packet arrives of which this was said.
    pub(super) fn arrival(&self, zone: ZoneId) -> Arrival {
        let [flags, ..] = self.octets;
        Arrival {
            checksum: match flags & NEEDS_CSUM {
                0 => Checksum::Complete,
                _ => Checksum::Partial,
            },
            segments: self.segments(),
            ..Arrival::whole(zone)
        }
    }

    fn segments(&self) -> Option<SegmentSize> {
        match self.octets {
            [_, GSO_NONE, ..] => None,
            [_, _, _, _, s0, s1, ..] => {
                NonZeroU16::new(u16::from_ne_bytes([s0, s1])).map(SegmentSize)
            }
        }
    }

    /// What is said of the packet as it leaves, its checksum being as told.
    #[inline]
    pub(super) fn leaving(&self, packet: &[u8], checksum: Checksum) -> Octets {
        match checksum {
            Checksum::Complete => NOTHING,
            Checksum::Partial if packet.len() == self.length => self.octets,
            Checksum::Partial => self.of_changed(packet),
        }
    }

    /// The same where its payload was changed: a super-segment may be one no longer.
    #[cold]
    fn of_changed(&self, packet: &[u8]) -> Octets {
        let is_longer = |size: SegmentSize| {
            let headers = Headers::read(packet, false);
            headers.is_ok_and(|headers| {
                let header = headers.payload_range().start;
                packet.len() > size.longest(header, packet.len())
            })
        };
        if self.segments().is_some_and(is_longer) {
            return self.octets;
        }
        let [flags, _, _, _, _, _, c0, c1, o0, o1] = self.octets;
        [flags, GSO_NONE, 0, 0, 0, 0, c0, c1, o0, o1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A TCP segment with so many octets of payload, and what the kernel says of it.
    fn segment(payload: usize, said: Octets) -> (Vec<u8>, Offload) {
        let mut packet = Vec::new();
        etherparse::PacketBuilder::ipv4([10, 0, 0, 7], [198, 51, 100, 21], 64)
            .tcp(1, 2, 3, 4)
            .write(&mut packet, &vec![7; payload])
            .unwrap();
        let read = [&said[..], &packet].concat();
        (packet, Offload::of(&read).unwrap())
    }

    /// `gso_size` of 1000, a checksum to be finished in the TCP header.
    fn super_segment() -> Octets {
        let [s0, s1] = 1000_u16.to_ne_bytes();
        let [h0, h1] = 40_u16.to_ne_bytes();
        let [c0, c1] = 20_u16.to_ne_bytes();
        let [o0, o1] = 16_u16.to_ne_bytes();
        [NEEDS_CSUM, 1, h0, h1, s0, s1, c0, c1, o0, o1]
    }

    #[test]
    fn a_complete_packet_arrives_and_leaves_as_such() {
        let (packet, offload) = segment(10, NOTHING);
        let arrival = offload.arrival(ZoneId(3));
        assert_eq!(arrival, Arrival::whole(ZoneId(3)));
        assert_eq!(offload.leaving(&packet, Checksum::Complete), NOTHING);
    }

    #[test]
    fn a_super_segment_leaves_as_it_came_unless_it_was_finished() {
        let (packet, offload) = segment(2500, super_segment());
        let arrival = offload.arrival(ZoneId(3));
        assert_eq!(arrival.checksum, Checksum::Partial);
        let size = arrival.segments.unwrap();
        assert_eq!(size.longest(40, packet.len()), 1040);
        assert_eq!(offload.leaving(&packet, Checksum::Partial), super_segment());
        assert_eq!(offload.leaving(&packet, Checksum::Complete), NOTHING);
    }

    #[test]
    fn a_changed_super_segment_is_one_as_long_as_it_is_longer_than_a_segment() {
        let (_, offload) = segment(2500, super_segment());
        let (shorter, _) = segment(1001, NOTHING);
        assert_eq!(
            offload.leaving(&shorter, Checksum::Partial),
            super_segment()
        );
        let (shortest, _) = segment(1000, NOTHING);
        let left = offload.leaving(&shortest, Checksum::Partial);
        let [flags, gso_type, ..] = left;
        assert_eq!((flags, gso_type), (NEEDS_CSUM, GSO_NONE));
        assert_eq!(left[6..], super_segment()[6..], "where the checksum is");
    }

    #[test]
    fn a_header_that_is_cut_is_none() {
        assert_eq!(Offload::of(&[0; LENGTH - 1]), None);
        assert_eq!(Offload::of(&[0; LENGTH]), Some(Offload::NONE));
    }
}
