//! Datagrams in pieces, of both families and in both directions: in every
//! order, some repeated, some missing, some that contradict each other; pieces
//! of several at once.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::super::chance::Chance;
use super::super::router::Zone;
use super::super::step::{Sent, Step};
use super::super::wire::{self, Ip};

/// Pieces of one seed.
const PACKETS: usize = 400;

pub(crate) fn script(seed: u64, chance: &mut Chance) -> Vec<Step> {
    let mut open: Vec<Vec<Sent>> = Vec::new();
    let mut steps = Vec::new();
    let mut number = 0;
    while steps.len() < PACKETS {
        if open.len() < 4 {
            open.push(exchange(seed, number, chance));
            number += 1;
        }
        // The pieces of all that are open, in between each other.
        let which = chance.below(open.len());
        steps.push(open[which].remove(0).into());
        if open[which].is_empty() {
            open.swap_remove(which);
        }
    }
    steps
}

/// Both ends of an exchange, as they see themselves and as the gateway does.
struct Ends {
    client: SocketAddr,
    server: SocketAddr,
    /// As what the server sees the client.
    public: SocketAddr,
}

/// Numbers that no other exchange has: what stays incomplete in the kernel
/// must not meet a later seed.
fn ends(seed: u64, number: u16, chance: &mut Chance) -> Ends {
    let low = u8::try_from(seed % 250).unwrap() + 2;
    let port = 20_000 + number;
    let v4 = |octets: [u8; 4]| IpAddr::V4(Ipv4Addr::from(octets));
    let v6 = |net, host| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, net, 0, 0, 0, 0, host));
    let (client, server, public) = match chance.below(5) {
        0..=2 => (
            v4([10, 0, 0, 7]),
            v4([192, 0, 2, low]),
            v4([203, 0, 113, 2]),
        ),
        3 => (v6(0x10, 7), v6(5, 0x100 + u16::from(low)), v6(0xff, 2)),
        _ => (v6(0x20, 7), v6(5, 0x100 + u16::from(low)), v6(0x20, 7)),
    };
    Ends {
        client: SocketAddr::new(client, port),
        server: SocketAddr::new(server, 5353),
        public: SocketAddr::new(public, port),
    }
}

/// A question and its answer, in pieces.
fn exchange(seed: u64, number: u16, chance: &mut Chance) -> Vec<Sent> {
    let ends = ends(seed, number, chance);
    let kind = chance.below(4);
    let mut all = Vec::new();
    for (n, zone) in [Zone::Lan, Zone::Wan, Zone::Lan].into_iter().enumerate() {
        let size = chance.of(&[16, 40, 100, 1000, 1480, 2000, 4000]);
        let packet = datagram(&ends, zone, kind, size, chance);
        let id = (seed << 10) + u64::from(number) * 4 + n as u64;
        // Not a number that begins with 0, which no sender of pieces uses.
        let id = u32::try_from(id % 0xfff0).unwrap() + 1;
        let pieces = in_pieces(&packet, id, chance);
        let count = pieces.len();
        for (n, (bytes, what)) in pieces.into_iter().enumerate() {
            let told = format!(
                "{} {} > {} kind {kind} of {size} octets, number {id}: {what} ({n} of {count})",
                zone.name(),
                ends.client,
                ends.server
            );
            all.push(Sent::new(zone, ends.client.port(), bytes, told));
        }
    }
    all
}

/// A whole packet: UDP, a ping, an error, TCP, by its number.
fn datagram(ends: &Ends, zone: Zone, kind: usize, size: usize, chance: &mut Chance) -> Vec<u8> {
    let (from, to) = match zone {
        Zone::Lan => (ends.client, ends.server),
        Zone::Wan => (ends.server, ends.public),
    };
    let payload: Vec<u8> = (0..size).map(|n| u8::try_from(n % 251).unwrap()).collect();
    let id = ends.client.port().to_be_bytes();
    let is_v4 = from.is_ipv4();
    let transport = match (kind, zone) {
        (0 | 1, _) => wire::udp(from, to, &payload),
        (2, _) => {
            let kind = match (zone, is_v4) {
                (Zone::Lan, true) => 8,
                (Zone::Wan, true) => 0,
                (Zone::Lan, false) => 128,
                (Zone::Wan, false) => 129,
            };
            wire::icmp(
                from.ip(),
                to.ip(),
                (kind, 0),
                [id[0], id[1], 0, 1],
                &payload,
            )
        }
        // Data on a SYN: the answer acknowledges them.
        (_, Zone::Lan) => wire::tcp(from, to, (2, 1000, 0), &payload),
        (_, Zone::Wan) => wire::tcp(from, to, (18, 5000, 1001), &payload),
    };
    let mut ip = Ip::new(from.ip(), to.ip());
    ip.class = chance.of(&[0, 0, 0, 0x10, 0x02, 0xb8]);
    ip.dont_fragment = chance.once_in(6);
    if is_v4 && chance.once_in(6) {
        // Padding; an unknown one that goes into all pieces; one that does not.
        ip.options = chance
            .of(&[[1, 1, 1, 0], [0xde, 4, 7, 7], [0x5e, 4, 7, 7]])
            .to_vec();
    }
    ip.carrying(transport)
}

/// Pieces of a packet, in the order in which they are sent.
fn in_pieces(packet: &[u8], id: u32, chance: &mut Chance) -> Vec<(Vec<u8>, String)> {
    let length = packet.len() - wire::header_length(packet);
    let is_v4 = packet[0] >> 4 == 4;
    let is_tcp = packet.get(9) == Some(&6) && packet[0] >> 4 == 4 || packet.get(6) == Some(&6);
    // What a first piece has to hold at least; see `tiny-pieces`.
    let least = if is_tcp || packet[0] >> 4 == 6 { 24 } else { 8 };
    let mut places = vec![0];
    let step = chance
        .of(&[8, 24, 48, 256, 512, 1400])
        .max(length / 24 / 8 * 8);
    while let Some(last) = places.last().copied() {
        let next = last + (1 + chance.below(step / 8)) * 8;
        let next = if last == 0 { next.max(least) } else { next };
        if next >= length || (places.len() == 1 && packet.len() <= 1500 && chance.once_in(10)) {
            break;
        }
        // A piece is no longer than a link.
        places.push(next.min(last + 1400));
    }
    places.push(length);
    let spans: Vec<(usize, usize)> = places.windows(2).map(|two| (two[0], two[1])).collect();
    if spans.len() == 1 {
        return whole(packet, id, chance);
    }
    let make = |(start, end): (usize, usize), more, what: &str| {
        let bytes = wire::piece(packet, (start, end), more, id);
        (bytes, format!("{what} {start}..{end} of {length}"))
    };
    let mut pieces: Vec<_> = spans
        .iter()
        .map(|span| make(*span, span.1 < length, "piece"))
        .collect();
    shuffled(&mut pieces, chance);
    let which = chance.below(spans.len());
    let (start, end) = spans[which];
    let more = end < length;
    let at = chance.below(pieces.len() + 1);
    match chance.below(16) {
        0 => pieces.insert(at, make((start, end), more, "again")),
        1 => drop(pieces.remove(at.min(pieces.len() - 1))),
        // A part of a piece that is there or comes, with the same octets.
        2 if end - start >= 16 && (start > 0 || !is_tcp) => {
            let middle = start + (1 + chance.below((end - start) / 8 - 1)) * 8;
            let place = placed_behind(&pieces, &format!("piece {start}..{end} "));
            pieces.insert(place, make((start, middle), true, "contained"));
        }
        3 if end - start >= 24 && (start > 0 || !is_tcp) => {
            let place = placed_behind(&pieces, &format!("piece {start}..{end} "));
            pieces.insert(
                place,
                make((start + 8, end - (end - start) % 8), true, "contained"),
            );
        }
        // Over the border of two that are not both here yet: see `repeats`.
        4 if which + 1 < spans.len() && end - start >= 16 => {
            let next = spans[which + 1];
            let places = [(start, end), next]
                .map(|(start, end)| placed_behind(&pieces, &format!("piece {start}..{end} ")));
            let at = chance.below(places[0].max(places[1]));
            pieces.insert(at, make((end - 8, next.1), next.1 < length, "overlap"));
        }
        // In IPv6 the kernel passes over these: see `second-end`.
        5 if more && is_v4 => {
            // Not first: what is spoiled begins anew in the kernel.
            let bytes = wire::piece_of(packet, &[], start, true, id);
            pieces.insert(at.max(1), (bytes, format!("empty at {start}")));
        }
        6 if more && is_v4 => pieces.insert(at, make((start, end), false, "early end")),
        7 if is_v4 => {
            let bytes = wire::piece_of(packet, &[7; 8], length.next_multiple_of(8), false, id);
            pieces.insert(at, (bytes, "late end".to_owned()));
        }
        9 => {
            let marked = chance.below(pieces.len());
            let mark = chance.of(&[1, 2, 3]);
            let bytes = &mut pieces[marked].0;
            match bytes[0] >> 4 {
                4 => bytes[1] |= mark,
                _ => bytes[1] |= mark << 4,
            }
            *bytes = wire::summed(std::mem::take(bytes));
            pieces[marked].1 += " marked";
        }
        10 if is_v4 => {
            let marked = chance.below(pieces.len());
            let bytes = &mut pieces[marked].0;
            bytes[6] ^= 0x40;
            *bytes = wire::summed(std::mem::take(bytes));
            pieces[marked].1 += " other df";
        }
        _ => {}
    }
    pieces
}

/// Behind the first piece that is told so.
fn placed_behind(pieces: &[(Vec<u8>, String)], told: &str) -> usize {
    let place = pieces.iter().position(|(_, what)| what.starts_with(told));
    place.map_or(pieces.len(), |place| place + 1)
}

fn whole(packet: &[u8], id: u32, chance: &mut Chance) -> Vec<(Vec<u8>, String)> {
    let length = packet.len() - wire::header_length(packet);
    if packet[0] >> 4 == 6 && chance.once_in(2) {
        let atomic = wire::piece(packet, (0, length), false, id);
        return vec![(atomic, "one piece that is all".to_owned())];
    }
    let mut bytes = packet.to_vec();
    if packet[0] >> 4 == 4 {
        bytes[4..6].copy_from_slice(&u16::try_from(id).unwrap().to_be_bytes());
    }
    vec![(wire::summed(bytes), "whole".to_owned())]
}

fn shuffled<T>(all: &mut [T], chance: &mut Chance) {
    if chance.once_in(3) {
        return;
    }
    for n in (1..all.len()).rev() {
        all.swap(n, chance.below(n + 1));
    }
}
