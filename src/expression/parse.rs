//! Reading an expression up to its options.

use std::net::IpAddr;
use std::ops::Range;

use winnow::Parser;
use winnow::ascii::multispace0;
use winnow::combinator::{opt, peek};

use crate::net::{Endpoint, Protocol, TcpFlags};

use super::options::options;
use super::spec::{Addresses, IcmpMessage, PacketSpec, SctpPacket, Transport};
use super::words::{Input, Mistake, Parsed, Word, nearest, next_word_span, word};
use super::{ExpressionError, PacketExpression};

const PROTOCOLS: &str =
    "a protocol: tcp, udp, icmp, icmpv6, sctp, udplite, gre, esp, ah or proto-N";

pub(super) fn expression(text: &str) -> Result<PacketExpression, ExpressionError> {
    whole(&mut Input::new(text)).map_err(|mistake| {
        let Mistake { span, message } = mistake;
        ExpressionError::new(text, span, message)
    })
}

fn whole(input: &mut Input<'_>) -> Parsed<PacketExpression> {
    let (zone, named) = zone_and_protocol(input)?;
    let packet = packet(named, input)?;
    Ok(PacketExpression { zone, packet })
}

fn zone_and_protocol(input: &mut Input<'_>) -> Parsed<(Option<String>, Named)> {
    let first = word(input).map_err(|m| m.expected("a zone or a protocol"))?;
    let second = peek(opt(word)).parse_next(input)?;
    let second_is = |is: fn(&str) -> bool| second.as_ref().is_some_and(|word| is(word.text));
    match Named::of(&first)? {
        Some(named) if !second_is(|text| matches!(Named::from_text(text), Some(Ok(_)))) => {
            Ok((None, named))
        }
        // What stands before an address is meant as a protocol.
        None if second.is_none() || second_is(looks_like_address) => {
            let names = Named::names();
            Err(first.not(&format!("{PROTOCOLS}{}", nearest(first.text, names))))
        }
        _ => {
            let in_zone = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
            if !first.text.chars().all(in_zone) {
                return Err(first.not("the name of a zone"));
            }
            let word = word(input).map_err(|m| m.expected(PROTOCOLS))?;
            let named = Named::of(&word)?.ok_or_else(|| {
                let names = Named::names();
                word.not(&format!("{PROTOCOLS}{}", nearest(word.text, names)))
            })?;
            Ok((Some(first.text.to_owned()), named))
        }
    }
}

fn looks_like_address(text: &str) -> bool {
    text.starts_with(|c: char| c == '[' || c.is_ascii_digit()) && text.contains(['.', ':'])
        || text.contains(':')
}

/// A protocol as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    /// One with ports.
    Ported(Protocol),
    Icmp(Protocol),
    Other(Protocol),
}

impl Named {
    fn names() -> impl Iterator<Item = &'static str> {
        Protocol::NAMES.into_iter().map(|(_, name)| name)
    }

    /// `None` for a word that names no protocol.
    fn of(word: &Word<'_>) -> Parsed<Option<Self>> {
        Self::from_text(word.text)
            .transpose()
            .map_err(|()| word.not("a protocol number from 0 to 255"))
    }

    fn from_text(text: &str) -> Option<Result<Self, ()>> {
        if let Some(number) = text.strip_prefix("proto-") {
            let number = number.parse().map(|number| Self::Other(Protocol(number)));
            return Some(number.map_err(|_| ()));
        }
        Some(Ok(match Protocol::from_name(text)? {
            ported if ported.has_ports() => Self::Ported(ported),
            icmp if icmp.is_icmp() => Self::Icmp(icmp),
            other => Self::Other(other),
        }))
    }
}

fn packet(named: Named, input: &mut Input<'_>) -> Parsed<PacketSpec> {
    match named {
        Named::Ported(protocol) => {
            let (source, destination, addresses) = ends(input, None, endpoint, |e| e.address)?;
            let (source, destination) = (source.port, destination.port);
            let transport = match protocol {
                Protocol::TCP => Transport::tcp(source, destination, TcpFlags::SYN),
                Protocol::SCTP => Transport::Sctp(SctpPacket::init(source, destination)),
                Protocol::UDPLITE => Transport::UdpLite {
                    source,
                    destination,
                },
                _ => Transport::Udp {
                    source,
                    destination,
                },
            };
            options(PacketSpec::new(addresses, transport), input)
        }
        Named::Icmp(protocol) => {
            let (_, _, addresses) = ends(input, Some(protocol), address, |address| address)?;
            let kind = if protocol == Protocol::ICMP { 8 } else { 128 };
            let transport = Transport::Icmp(IcmpMessage::new(protocol, kind));
            options(PacketSpec::new(addresses, transport), input)
        }
        Named::Other(protocol) => {
            let (_, _, addresses) = ends(input, None, address, |address| address)?;
            let transport = Transport::Other(protocol);
            options(PacketSpec::new(addresses, transport), input)
        }
    }
}

/// Reads one end, and says where it stands.
type EndParser<T> = fn(&mut Input<'_>) -> Parsed<(T, Range<usize>)>;

/// Both ends, of one family, and of that of `icmp`.
fn ends<T: Copy>(
    input: &mut Input<'_>,
    icmp: Option<Protocol>,
    end: EndParser<T>,
    address: fn(T) -> IpAddr,
) -> Parsed<(T, T, Addresses)> {
    let (source, source_span) = end(input)?;
    if let Some(protocol) = icmp {
        let family = if protocol == Protocol::ICMP {
            "IPv4"
        } else {
            "IPv6"
        };
        if address(source).is_ipv4() != (protocol == Protocol::ICMP) {
            return Err(Mistake::at(source_span, &format!("an {family} address")));
        }
    }
    let at_arrow = next_word_span(input);
    (multispace0, '>')
        .parse_next(input)
        .map_err(|_: Mistake| Mistake::at(at_arrow, "`>` and the destination"))?;
    let (destination, span) = end(input)?;
    let family = if address(source).is_ipv4() {
        "IPv4"
    } else {
        "IPv6"
    };
    let addresses = Addresses::new(address(source), address(destination))
        .ok_or_else(|| Mistake::at(span, &format!("an {family} address, like the source")))?;
    Ok((source, destination, addresses))
}

fn endpoint(input: &mut Input<'_>) -> Parsed<(Endpoint, Range<usize>)> {
    const WANTED: &str = "an address with a port, as 192.0.2.1:80 or [2001:db8::1]:80";
    let word = word(input).map_err(|m| m.expected(WANTED))?;
    let endpoint = word.text.parse().map_err(|_| word.not(WANTED))?;
    Ok((endpoint, word.span))
}

fn address(input: &mut Input<'_>) -> Parsed<(IpAddr, Range<usize>)> {
    let word = word(input).map_err(|m| m.expected("an address"))?;
    let wanted = match word.text.parse::<Endpoint>() {
        Ok(_) => "an address without a port",
        Err(_) => "an address",
    };
    let address = word.text.parse().map_err(|_| word.not(wanted))?;
    Ok((address, word.span))
}
