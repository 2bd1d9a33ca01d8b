//! Packets that say themselves by which way they want to be sent.

use super::bytes::u8_at;
use super::icmp_error::QUOTE_AT;
use super::parse::{Headers, Quoted};
use crate::net::Family;

/// Options of an IPv4 header (RFC 791 section 3.1).
const END_OF_OPTIONS: u8 = 0;
const NO_OPERATION: u8 = 1;
const LOOSE_SOURCE_ROUTE: u8 = 131;
const STRICT_SOURCE_ROUTE: u8 = 137;

/// Lengths of headers that carry no options.
const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;

/// Whether an IPv4 packet has a source route, loose or strict, or an IPv6
/// packet a routing header of type 0 (which RFC 5095 has done away with).
/// `headers` must have been read from `frame`.
#[must_use]
pub fn is_source_routed(frame: &[u8], headers: &Headers) -> bool {
    match headers.family() {
        Family::V4 if headers.transport_at > IPV4_HEADER => frame
            .get(IPV4_HEADER..headers.transport_at)
            .is_some_and(has_source_route),
        Family::V6 if headers.transport_at > IPV6_HEADER => has_routing_type_0(frame, headers),
        Family::V4 | Family::V6 => false,
    }
}

/// Whether the IPv4 packet that an ICMP error quotes has a source route.
/// `quoted` must have been read from `frame`.
#[must_use]
pub fn quotes_source_route(frame: &[u8], headers: &Headers, quoted: &Quoted) -> bool {
    let quote_at = headers.transport_at + QUOTE_AT;
    let options = frame.get(quote_at + IPV4_HEADER..quote_at + quoted.transport_at);
    headers.family() == Family::V4 && options.is_some_and(has_source_route)
}

fn has_source_route(mut options: &[u8]) -> bool {
    while let [kind, rest @ ..] = options {
        options = match *kind {
            END_OF_OPTIONS => return false,
            NO_OPERATION => rest,
            LOOSE_SOURCE_ROUTE | STRICT_SOURCE_ROUTE => return true,
            _ => {
                let length = rest.first().map_or(0, |length| usize::from(*length));
                // One that is no option ends what can be read of them.
                match options.get(length..) {
                    Some(next) if length >= 2 => next,
                    _ => return false,
                }
            }
        };
    }
    false
}

/// Walks the extension headers, whose lengths were checked when the packet was
/// read; a fragment header ends the walk.
fn has_routing_type_0(frame: &[u8], headers: &Headers) -> bool {
    const HOP_BY_HOP: u8 = 0;
    const ROUTING: u8 = 43;
    const DESTINATION: u8 = 60;
    let (mut next, mut at) = (u8_at(frame, 6), IPV6_HEADER);
    while at < headers.transport_at {
        match next {
            Some(ROUTING) if u8_at(frame, at + 2) == Some(0) => return true,
            Some(HOP_BY_HOP | ROUTING | DESTINATION) => {}
            _ => return false,
        }
        next = u8_at(frame, at);
        at += (u8_at(frame, at + 1).map_or(0, usize::from) + 1) * 8;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::has_source_route;

    #[test]
    fn a_source_route_is_found_behind_other_options_and_broken_ones_end_the_walk() {
        for (options, expected) in [
            (&[][..], false),
            (&[131, 7, 4, 10, 0, 0, 1, 0], true),
            (&[1, 1, 137, 3, 4], true),
            (&[7, 4, 5, 0, 131, 3, 4, 0], true),
            (&[0, 131, 3, 4], false),
            (&[148, 4, 0, 0], false),
            (&[7, 0, 131, 3], false),
            (&[7, 1, 131, 3], false),
            (&[7, 200, 131, 3], false),
            (&[7], false),
        ] {
            assert_eq!(has_source_route(options), expected, "{options:?}");
        }
    }
}
