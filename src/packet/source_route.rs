//! Packets that say themselves by which way they want to be sent.

use super::bytes::u8_at;
use super::icmp_error::QUOTE_AT;
use super::parse::{Headers, Quoted};
use crate::net::Family;

/// Options of an IPv4 header (RFC 791 section 3.1).
const END_OF_OPTIONS: u8 = 0;
const NO_OPERATION: u8 = 1;
const RECORD_ROUTE: u8 = 7;
const TIME_STAMP: u8 = 68;
const LOOSE_SOURCE_ROUTE: u8 = 131;
const STRICT_SOURCE_ROUTE: u8 = 137;

/// Lengths of headers that carry no options.
const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;

/// What a packet has to do with its own way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RouteOption {
    /// Routers write their addresses into an IPv4 option: record route, time stamp.
    Record,
    /// An IPv4 option says by which way it goes: a source route, loose or strict.
    Source,
    /// An IPv6 routing header of type 0 does (RFC 5095 has done away with those).
    RoutingHeader,
}

/// What a packet has to do with its own way; of several, the worst. `headers` must
/// have been read from `frame`.
#[must_use]
pub fn route_option(frame: &[u8], headers: &Headers) -> Option<RouteOption> {
    match headers.family() {
        Family::V4 if headers.transport_at > IPV4_HEADER => frame
            .get(IPV4_HEADER..headers.transport_at)
            .and_then(worst_option),
        Family::V6 if headers.transport_at > IPV6_HEADER => {
            has_routing_type_0(frame, headers).then_some(RouteOption::RoutingHeader)
        }
        Family::V4 | Family::V6 => None,
    }
}

/// Whether the IPv4 packet that an ICMP error quotes has a source route.
/// `quoted` must have been read from `frame`.
#[must_use]
pub fn quotes_source_route(frame: &[u8], headers: &Headers, quoted: &Quoted) -> bool {
    let quote_at = headers.transport_at + QUOTE_AT;
    let options = frame.get(quote_at + IPV4_HEADER..quote_at + quoted.transport_at);
    headers.family() == Family::V4 && options.and_then(worst_option) == Some(RouteOption::Source)
}

fn worst_option(mut options: &[u8]) -> Option<RouteOption> {
    let mut worst = None;
    while let [kind, rest @ ..] = options {
        options = match *kind {
            END_OF_OPTIONS => break,
            NO_OPERATION => rest,
            LOOSE_SOURCE_ROUTE | STRICT_SOURCE_ROUTE => return Some(RouteOption::Source),
            kind => {
                if matches!(kind, RECORD_ROUTE | TIME_STAMP) {
                    worst = Some(RouteOption::Record);
                }
                let length = rest.first().map_or(0, |length| usize::from(*length));
                // One that is no option ends what can be read of them.
                match options.get(length..) {
                    Some(next) if length >= 2 => next,
                    _ => break,
                }
            }
        };
    }
    worst
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
    use super::RouteOption::{Record, Source};
    use super::worst_option;

    #[test]
    fn a_route_is_found_behind_other_options_and_broken_ones_end_the_walk() {
        for (options, expected) in [
            (&[][..], None),
            (&[131, 7, 4, 10, 0, 0, 1, 0], Some(Source)),
            (&[1, 1, 137, 3, 4], Some(Source)),
            (&[7, 4, 5, 0, 131, 3, 4, 0], Some(Source)),
            (&[0, 131, 3, 4], None),
            (&[148, 4, 0, 0], None),
            (&[148, 4, 0, 0, 7, 3, 4], Some(Record)),
            (&[68, 4, 5, 0], Some(Record)),
            (&[7, 0, 131, 3], Some(Record)),
            (&[7, 1, 131, 3], Some(Record)),
            (&[7, 200, 131, 3], Some(Record)),
            (&[7], Some(Record)),
        ] {
            assert_eq!(worst_option(options), expected, "{options:?}");
        }
    }
}
