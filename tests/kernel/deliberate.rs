//! Differences between two outcomes of one packet that are meant: the
//! comparison knows them by name. Those that would part the two for longer are
//! in `meant.rs` alone, and no generator makes them.

use super::compare::Compared;
use super::router::Zone;
use super::step::Sent;
use super::wire::{self, ICMP, ICMPV6, TCP, UDP};

/// Whether a difference is of one kind.
type Kind = fn(&Sent, &Compared) -> bool;

/// The differences that are meant, by their heading in `docs/kernel-parity.md`.
pub(crate) const DELIBERATE: [(&str, Kind); 6] = [
    ("udp-length", |sent, compared| {
        let Some(read) = wire::read(&sent.bytes) else {
            return false;
        };
        let length = sent.bytes.get(read.at + 4..read.at + 6);
        let is_short = length.is_some_and(|octets| {
            usize::from(u16::from_be_bytes([octets[0], octets[1]])) < sent.bytes.len() - read.at
        });
        read.protocol == UDP && is_short && compared.ours.packets.is_empty()
    }),
    ("header-of-pieces", |_, compared| {
        let [kernel, ours] = &compared.normal;
        let plain = |all: &[(Zone, Vec<u8>)]| -> Vec<(Zone, Vec<u8>)> {
            let one = |(zone, bytes): &(Zone, Vec<u8>)| (*zone, plain_piece(bytes));
            all.iter().map(one).collect()
        };
        plain(kernel) == plain(ours)
    }),
    ("options-of-errors", |_, compared| {
        let [kernel, ours] = &compared.normal;
        let without = |(zone, bytes): &(Zone, Vec<u8>)| (*zone, own_error_without_options(bytes));
        *ours == kernel.iter().map(without).collect::<Vec<_>>()
    }),
    ("reject-quote", |sent, compared| {
        let [kernel, ours] = &compared.normal;
        let as_it_came = |(zone, bytes): &(Zone, Vec<u8>)| (*zone, quoting(bytes, &sent.bytes));
        *ours == kernel.iter().map(as_it_came).collect::<Vec<_>>()
    }),
    ("hidden-reset", |sent, compared| {
        let [kernel, ours] = &compared.normal;
        let (Some(cause), [(_, reset)], [(_, error)]) =
            (wire::read(&sent.bytes), &kernel[..], &ours[..])
        else {
            return false;
        };
        let (Some(reset), Some(error)) = (wire::read(reset), wire::read(error)) else {
            return false;
        };
        sent.zone == Zone::Wan
            && (reset.protocol, reset.from, reset.to) == (TCP, cause.to, cause.from)
            && matches!(error.protocol, ICMP | ICMPV6)
            && error.to == cause.from
    }),
    ("atomic-fragment", |sent, compared| {
        let [kernel, ours] = &compared.normal;
        let is_atomic = |bytes: &[u8]| bytes[0] >> 4 == 6 && bytes.get(42..44) == Some(&[0, 0]);
        let without = |(zone, bytes): &(Zone, Vec<u8>)| (*zone, without_fragment_header(bytes));
        is_atomic(&sent.bytes) && *kernel == ours.iter().map(without).collect::<Vec<_>>()
    }),
];

/// An ICMP error of the gateway's own without the options of its cause.
fn own_error_without_options(bytes: &[u8]) -> Vec<u8> {
    let is_own = bytes[0] >> 4 == 4 && bytes[9] == ICMP && bytes[4..8] == [0; 4];
    let at = wire::header_length(bytes);
    if !is_own || !bytes.get(at).is_some_and(|kind| wire::quotes(ICMP, *kind)) {
        return bytes.to_vec();
    }
    let mut plain = [&bytes[..20], &bytes[at..]].concat();
    plain[0] = 0x45;
    let length = u16::try_from(plain.len()).unwrap();
    plain[2..4].copy_from_slice(&length.to_be_bytes());
    plain
}

/// An error that quotes a packet with one hop less, quoting it as it came.
fn quoting(error: &[u8], cause: &[u8]) -> Vec<u8> {
    let same = || error.to_vec();
    let Some(read) = wire::read(error).filter(|read| matches!(read.protocol, ICMP | ICMPV6)) else {
        return same();
    };
    let mut quote = error.get(read.at + 8..).unwrap_or_default().to_vec();
    let at = if error[0] >> 4 == 4 { 8 } else { 7 };
    match (quote.get_mut(at), cause.get(at)) {
        (Some(ttl), Some(before)) if ttl.checked_add(1) == Some(*before) => *ttl += 1,
        _ => return same(),
    }
    let quote = wire::summed(quote);
    let four = <[u8; 4]>::try_from(&error[read.at + 4..read.at + 8]).unwrap();
    let message = (error[read.at], error[read.at + 1]);
    let (_, transport) = wire::icmp(read.from, read.to, message, four, &quote);
    [&error[..read.at], &transport].concat()
}

/// An IPv6 packet, or what an error quotes, without its fragment header.
fn without_fragment_header(bytes: &[u8]) -> Vec<u8> {
    if let Some(plain) = wire::without_fragment_header(bytes) {
        return plain;
    }
    let Some(read) = wire::read(bytes).filter(|read| read.protocol == ICMPV6) else {
        return bytes.to_vec();
    };
    match bytes
        .get(read.at + 8..)
        .and_then(wire::without_fragment_header)
    {
        Some(quote) => {
            let four = <[u8; 4]>::try_from(&bytes[read.at + 4..read.at + 8]).unwrap();
            let message = (bytes[read.at], bytes[read.at + 1]);
            let transport = wire::icmp(read.from, read.to, message, four, &quote);
            wire::Ip::new(read.from, read.to).carrying(transport)
        }
        None => bytes.to_vec(),
    }
}

/// An IPv4 piece without DF, and a later one without options that say nothing.
fn plain_piece(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let place = u16::from_be_bytes([bytes[6], bytes[7]]) & 0x3fff;
    if bytes[0] >> 4 != 4 || place == 0 {
        return bytes;
    }
    bytes[6] &= !0x40;
    if place & 0x1fff != 0 {
        let options = 20..wire::header_length(&bytes);
        let kept = bytes[options.clone()].to_vec();
        // Those that the generator knows are four octets long.
        let kept = kept
            .chunks(4)
            .filter(|option| option[0] > 1)
            .collect::<Vec<_>>();
        let kept = kept.concat();
        bytes.splice(options, kept.iter().copied());
        bytes[0] = 0x45 + u8::try_from(kept.len() / 4).unwrap();
        let length = u16::try_from(bytes.len()).unwrap();
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
    }
    wire::summed(bytes)
}
