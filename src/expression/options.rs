//! Reading the options behind both ends.

use winnow::Parser;
use winnow::ascii::multispace0;
use winnow::combinator::eof;

use crate::net::{ChunkType, IcmpQuery, SeqNumber, TcpFlags, VerificationTag};

use super::spec::{IcmpMessage, MAX_PAYLOAD, PacketSpec, Payload, Transport};
use super::text::text;
use super::words::{Input, Mistake, Parsed, Word, nearest, number, word};

/// All options up to the end, each at most once.
pub(super) fn options(mut packet: PacketSpec, input: &mut Input<'_>) -> Parsed<PacketSpec> {
    let mut seen: Vec<&str> = Vec::new();
    while (multispace0, eof::<_, Mistake>).parse_next(input).is_err() {
        let what = match packet.transport {
            Transport::Tcp { .. } => "a TCP flag or an option",
            Transport::Icmp(_) => "an ICMP query or an option",
            Transport::Sctp(_) => "an SCTP chunk or an option",
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
            text if is_chunk(&packet, text) => "a chunk",
            text => text,
        };
        if seen.contains(&group) {
            let message = match group {
                "payload" => "a second payload".to_owned(),
                "a type" => "a second type".to_owned(),
                "a chunk" => "a second chunk".to_owned(),
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

fn is_chunk(packet: &PacketSpec, text: &str) -> bool {
    matches!(packet.transport, Transport::Sctp(_)) && ChunkType::from_name(text).is_some()
}

/// Every word that an option of this packet can begin with.
fn option_words(packet: &PacketSpec) -> impl Iterator<Item = &'static str> {
    let (flags, own, icmp): (&[_], &[_], _) = match packet.transport {
        Transport::Tcp { .. } => (&TcpFlags::WORDS, &["no-flags", "seq", "ack-number"], None),
        Transport::Icmp(_) => (&[], &["type", "code", "id", "seq"], Some(packet.protocol())),
        Transport::Sctp(_) => (&[], &["tag"], None),
        Transport::Udp { .. } | Transport::UdpLite { .. } | Transport::Other(_) => (&[], &[], None),
    };
    let chunks: &[_] = match packet.transport {
        Transport::Sctp(_) => &ChunkType::WORDS,
        _ => &[],
    };
    flags
        .iter()
        .map(|(_, word)| *word)
        .chain(chunks.iter().map(|(_, word)| *word))
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
        (Transport::Sctp(sctp), "tag") => {
            sctp.tag = Some(VerificationTag(number(input, u32::MAX)?));
        }
        (Transport::Sctp(sctp), text) => match ChunkType::from_name(text) {
            Some(chunk) => sctp.chunk = chunk,
            None => return Ok(false),
        },
        (Transport::Tcp { flags, .. }, text) => {
            let is_flag = |text: &str| TcpFlags::WORDS.iter().find(|(_, word)| *word == text);
            let before = seen.iter().any(|word| is_flag(word).is_some());
            if text == "no-flags" {
                if before {
                    return Err(word.not("no flag beside `no-flags`"));
                }
                *flags = TcpFlags(0);
                return Ok(true);
            }
            let Some((flag, _)) = is_flag(text) else {
                return Ok(false);
            };
            if seen.contains(&"no-flags") {
                return Err(word.not("no flag beside `no-flags`"));
            }
            // The first flag that is written takes the place of the assumed one.
            *flags = if before { *flags | *flag } else { *flag };
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
        (Transport::Udp { .. } | Transport::UdpLite { .. } | Transport::Other(_), _) => {
            return Ok(false);
        }
    }
    Ok(true)
}
