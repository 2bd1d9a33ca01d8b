//! Reading an expression.

use std::net::IpAddr;
use std::ops::Range;

use winnow::Parser;
use winnow::ascii::multispace0;
use winnow::combinator::{alt, eof, opt, peek, preceded};
use winnow::error::ParserError;
use winnow::stream::{LocatingSlice, Location};
use winnow::token::{literal, none_of, one_of, take, take_while};

use crate::net::{Endpoint, IcmpQuery, Protocol, SeqNumber};

use super::spec::{Addresses, Flags, IcmpMessage, MAX_PAYLOAD, PacketSpec, Payload, Transport};
use super::{ExpressionError, PacketExpression};

type Input<'a> = LocatingSlice<&'a str>;
type Parsed<T> = winnow::Result<T, Mistake>;

/// Where reading failed and what was expected there.
#[derive(Debug)]
struct Mistake {
    span: Range<usize>,
    message: String,
}

/// A piece of the text without spaces.
#[derive(Debug, Clone)]
struct Word<'a> {
    text: &'a str,
    span: Range<usize>,
}

const PROTOCOLS: &str = "a protocol: tcp, udp, icmp, icmpv6, gre, sctp or proto-N";

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
            let names = Named::NAMES.into_iter();
            Err(first.not(&format!("{PROTOCOLS}{}", nearest(first.text, names))))
        }
        _ => {
            let in_zone = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
            if !first.text.chars().all(in_zone) {
                return Err(first.not("the name of a zone"));
            }
            let word = word(input).map_err(|m| m.expected(PROTOCOLS))?;
            let named = Named::of(&word)?.ok_or_else(|| {
                let names = Named::NAMES.into_iter();
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
    Tcp,
    Udp,
    Icmp(Protocol),
    Other(Protocol),
}

impl Named {
    const NAMES: [&'static str; 6] = ["tcp", "udp", "icmp", "icmpv6", "gre", "sctp"];

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
            Protocol::TCP => Self::Tcp,
            Protocol::UDP => Self::Udp,
            icmp if icmp.is_icmp() => Self::Icmp(icmp),
            other => Self::Other(other),
        }))
    }
}

fn packet(named: Named, input: &mut Input<'_>) -> Parsed<PacketSpec> {
    match named {
        Named::Tcp | Named::Udp => {
            let (source, destination, addresses) = ends(input, None, endpoint, |e| e.address)?;
            let (source, destination) = (source.port, destination.port);
            if named == Named::Tcp {
                let transport = Transport::tcp(source, destination, Flags::SYN);
                options(PacketSpec::new(addresses, transport), input)
            } else {
                let transport = Transport::Udp {
                    source,
                    destination,
                };
                options(PacketSpec::new(addresses, transport), input)
            }
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

/// Both ends, of one family, and of that of `icmp`.
fn ends<T: Copy>(
    input: &mut Input<'_>,
    icmp: Option<Protocol>,
    end: fn(&mut Input<'_>) -> Parsed<(T, Range<usize>)>,
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

/// All options up to the end, each at most once.
fn options(mut packet: PacketSpec, input: &mut Input<'_>) -> Parsed<PacketSpec> {
    let mut seen: Vec<&str> = Vec::new();
    while (multispace0, eof::<_, Mistake>).parse_next(input).is_err() {
        let what = match packet.transport {
            Transport::Tcp { .. } => "a TCP flag or an option",
            Transport::Icmp(_) => "an ICMP query or an option",
            _ => "an option",
        };
        let word = word(input).map_err(|m| m.expected(what))?;
        let known = option(&word, &mut packet, &seen, input)?;
        if !known {
            let nearest = nearest(word.text, option_words(&packet));
            return Err(word.not(&format!("{what}{nearest}")));
        }
        // These say the same of a packet, so that one of them is enough.
        let group = match word.text {
            "length" => "payload",
            "type" => "a type",
            text if is_query(&packet, text) => "a type",
            text => text,
        };
        if seen.contains(&group) {
            let message = match group {
                "payload" => "a second payload".to_owned(),
                "a type" => "a second type".to_owned(),
                word => format!("a second `{word}`"),
            };
            let span = word.span;
            return Err(Mistake { span, message });
        }
        seen.push(group);
    }
    Ok(packet)
}

fn is_query(packet: &PacketSpec, text: &str) -> bool {
    matches!(packet.transport, Transport::Icmp(_))
        && IcmpQuery::from_name(packet.protocol(), text).is_some()
}

/// Every word that an option of this packet can begin with.
fn option_words(packet: &PacketSpec) -> impl Iterator<Item = &'static str> {
    let (flags, own, icmp): (&[_], &[_], _) = match packet.transport {
        Transport::Tcp { .. } => (&Flags::WORDS, &["no-flags", "seq", "ack-number"], None),
        Transport::Icmp(_) => (&[], &["type", "code", "id", "seq"], Some(packet.protocol())),
        Transport::Udp { .. } | Transport::Other(_) => (&[], &[], None),
    };
    flags
        .iter()
        .map(|(_, word)| *word)
        .chain(own.iter().copied())
        .chain(icmp.into_iter().flat_map(IcmpQuery::names))
        .chain(["ttl", "length", "payload"])
}

/// Applies the option that begins with `word`; whether there is such a one.
fn option(
    word: &Word<'_>,
    packet: &mut PacketSpec,
    seen: &[&str],
    input: &mut Input<'_>,
) -> Parsed<bool> {
    let protocol = packet.protocol();
    match (&mut packet.transport, word.text) {
        (_, "ttl") => packet.ttl = number(input, u8::MAX)?,
        (_, "length") => {
            let count = number(input, MAX_PAYLOAD)?;
            packet.payload = Payload::zeros(count).unwrap_or(Payload::EMPTY);
        }
        (_, "payload") => packet.payload = text(input)?,
        (Transport::Tcp { seq, .. }, "seq") => *seq = SeqNumber(number(input, u32::MAX)?),
        (Transport::Tcp { ack_number, .. }, "ack-number") => {
            *ack_number = SeqNumber(number(input, u32::MAX)?);
        }
        (Transport::Tcp { flags, .. }, text) => {
            let is_flag = |text: &str| Flags::WORDS.iter().find(|(_, word)| *word == text);
            let before = seen.iter().any(|word| is_flag(word).is_some());
            if text == "no-flags" {
                if before {
                    return Err(word.not("no flag beside `no-flags`"));
                }
                *flags = Flags(0);
                return Ok(true);
            }
            let Some((flag, _)) = is_flag(text) else {
                return Ok(false);
            };
            if seen.contains(&"no-flags") {
                return Err(word.not("no flag beside `no-flags`"));
            }
            // The first flag that is written takes the place of the assumed one.
            *flags = if before { flags.with(*flag) } else { *flag };
        }
        (Transport::Icmp(message), "code") => message.code = number(input, u8::MAX)?,
        (Transport::Icmp(message), "id") => message.id = number(input, u16::MAX)?,
        (Transport::Icmp(message), "seq") => message.seq = number(input, u16::MAX)?,
        (Transport::Icmp(message), text) => {
            let message_type = match IcmpQuery::from_name(protocol, text) {
                Some(query) => query.message_type(),
                None if text == "type" => number(input, u8::MAX)?,
                None => return Ok(false),
            };
            let default = IcmpMessage::new(protocol, message_type);
            *message = IcmpMessage {
                message_type,
                // What was said before the type stays said.
                code: message.code,
                id: if seen.contains(&"id") {
                    message.id
                } else {
                    default.id
                },
                seq: if seen.contains(&"seq") {
                    message.seq
                } else {
                    default.seq
                },
            };
        }
        (Transport::Udp { .. } | Transport::Other(_), _) => return Ok(false),
    }
    Ok(true)
}

/// A decimal number up to `max`.
fn number<T>(input: &mut Input<'_>, max: T) -> Parsed<T>
where
    T: TryFrom<u64> + PartialOrd + std::fmt::Display + Copy,
{
    let wanted = format!("a number from 0 to {max}");
    let word = word(input).map_err(|m| m.expected(&wanted))?;
    let digits = word.text.bytes().all(|b| b.is_ascii_digit());
    let value = word.text.parse().ok().filter(|_| digits);
    value
        .and_then(|value: u64| T::try_from(value).ok())
        .filter(|value| *value <= max)
        .ok_or_else(|| word.not(&wanted))
}

/// A text in quotes.
fn text(input: &mut Input<'_>) -> Parsed<Payload> {
    let span = next_word_span(input);
    let quote = preceded(multispace0, one_of(['"', '\'']))
        .parse_next(input)
        .map_err(|_: Mistake| Mistake::at(span.clone(), "a text in quotes"))?;
    let start = input.current_token_start().saturating_sub(1);
    let mut bytes = Vec::new();
    loop {
        let at = input.current_token_start();
        let plain = none_of(['"', '\'', '\\']).map(Piece::Character);
        let other_quote = one_of(['"', '\'']).map(Piece::Quote);
        let escape = literal("\\").value(Piece::Escape);
        match alt((plain, other_quote, escape)).parse_next(input) {
            Ok(Piece::Quote(c)) if c == quote => break,
            Ok(Piece::Quote(c) | Piece::Character(c)) => {
                bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            Ok(Piece::Escape) => {
                let next = input.chars().next().map_or(0, char::len_utf8);
                let span = at..at + 1 + next;
                bytes.push(escaped(input).map_err(|_| {
                    Mistake::at(span, r#"an escape: \r \n \t \0 \\ \" \' or \xNN"#)
                })?);
            }
            Err(Mistake { .. }) => {
                return Err(Mistake::at(start..at, "a closing quote"));
            }
        }
    }
    let end = input.current_token_start();
    Payload::bytes(bytes)
        .ok_or_else(|| Mistake::at(start..end, &format!("at most {MAX_PAYLOAD} bytes")))
}

#[derive(Debug, Clone, Copy)]
enum Piece {
    Character(char),
    Quote(char),
    Escape,
}

/// What follows a backslash.
fn escaped(input: &mut Input<'_>) -> Parsed<u8> {
    let hex = preceded('x', take(2_usize)).verify_map(|digits: &str| {
        let digits = Some(digits).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
        u8::from_str_radix(digits, 16).ok()
    });
    alt((
        'r'.value(b'\r'),
        'n'.value(b'\n'),
        't'.value(b'\t'),
        '0'.value(0),
        '\\'.value(b'\\'),
        '"'.value(b'"'),
        '\''.value(b'\''),
        hex,
    ))
    .parse_next(input)
}

/// Everything up to a space, a `>` or a quote.
fn word<'a>(input: &mut Input<'a>) -> Parsed<Word<'a>> {
    let ends = |c: char| c.is_whitespace() || matches!(c, '>' | '"' | '\'');
    preceded(multispace0, take_while(1.., move |c| !ends(c)).with_span())
        .map(|(text, span)| Word { text, span })
        .parse_next(input)
}

/// Where the next word is, or would be.
fn next_word_span(input: &mut Input<'_>) -> Range<usize> {
    match peek(word).parse_next(input) {
        Ok(word) => word.span,
        Err(mistake) => mistake.span,
    }
}

/// `; did you mean ...?` if a word is near enough.
fn nearest(word: &str, words: impl Iterator<Item = &'static str>) -> String {
    words
        .map(|near| (strsim::damerau_levenshtein(word, near), near))
        .filter(|(distance, near)| *distance <= 2 && *distance < near.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, near)| format!("; did you mean `{near}`?"))
        .unwrap_or_default()
}

impl Word<'_> {
    fn not(&self, wanted: &str) -> Mistake {
        Mistake::at(self.span.clone(), wanted)
    }
}

impl Mistake {
    fn at(span: Range<usize>, wanted: &str) -> Self {
        Self {
            span,
            message: format!("expected {wanted}"),
        }
    }

    fn expected(self, wanted: &str) -> Self {
        Self::at(self.span, wanted)
    }
}

impl ParserError<Input<'_>> for Mistake {
    type Inner = Self;

    fn from_input(input: &Input<'_>) -> Self {
        let start = input.current_token_start();
        let next = input.chars().next().map_or(0, char::len_utf8);
        Self {
            span: start..start + next,
            message: String::new(),
        }
    }

    fn into_inner(self) -> Result<Self, Self> {
        Ok(self)
    }
}
