//! IPv6 routing headers that have segments left: the destination in the IP header
//! is then a station on the way, and the transport's checksum is made for the
//! last one (RFC 8200 section 8.1).

use std::net::Ipv6Addr;

use super::bytes::{array_at, u8_at};

const IPV6_HEADER: usize = 40;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION: u8 = 60;

/// Types of routing headers.
const SOURCE_ROUTE: u8 = 0;
const HOME_ADDRESS: u8 = 2;
const SEGMENTS: u8 = 4;

/// For which destination the transport's checksum of a packet was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SummedFor {
    /// That of the IP header.
    Destination,
    /// The last one of its routing header.
    Last(Ipv6Addr),
    /// One that cannot be told: the type of the routing header is not known.
    Unknown,
}

/// For which destination the transport's checksum of the packet in `frame` was made,
/// whose transport begins at `transport_at`.
pub(super) fn summed_for(frame: &[u8], transport_at: usize) -> SummedFor {
    let is_v6 = u8_at(frame, 0).is_some_and(|octet| octet >> 4 == 6);
    if !is_v6 || transport_at <= IPV6_HEADER {
        return SummedFor::Destination;
    }
    let (mut next, mut at) = (u8_at(frame, 6), IPV6_HEADER);
    while at < transport_at {
        let size = match next {
            Some(FRAGMENT) => 8,
            Some(HOP_BY_HOP | ROUTING | DESTINATION) => {
                (u8_at(frame, at + 1).map_or(0, usize::from) + 1) * 8
            }
            _ => break,
        };
        let segments_left = u8_at(frame, at + 3);
        if next == Some(ROUTING) && segments_left.is_some_and(|left| left > 0) {
            return last(frame, at, size);
        }
        next = u8_at(frame, at);
        at += size;
    }
    SummedFor::Destination
}

/// The last address of the routing header at `at`, which has `size` octets.
fn last(frame: &[u8], at: usize, size: usize) -> SummedFor {
    let place = match u8_at(frame, at + 2) {
        // RFC 6275: the one address. RFC 8754: the first of the list.
        Some(HOME_ADDRESS | SEGMENTS) => at + 8,
        Some(SOURCE_ROUTE) => (at + size).saturating_sub(16),
        _ => return SummedFor::Unknown,
    };
    if place < at + 8 || place + 16 > at + size {
        return SummedFor::Unknown;
    }
    array_at::<16>(frame, place).map_or(SummedFor::Unknown, |octets| {
        SummedFor::Last(Ipv6Addr::from(octets))
    })
}
