//! IPv4 headers with options, good and bad, with any TOS and time to live;
//! IPv6 headers with options for every hop.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::super::chance::Chance;
use super::super::router::Zone;
use super::super::step::{Sent, Step};
use super::super::wire::{self, Ip};

const PACKETS: usize = 300;

/// Options and what they are, each a multiple of four octets long; those that
/// are refused stand last.
const OPTIONS: [(&str, &[u8]); 13] = [
    ("padding", &[1, 1, 1, 1]),
    ("an end in the middle", &[1, 0, 0, 0]),
    ("a full record of the route", &[7, 7, 8, 192, 0, 2, 1, 0]),
    ("a router alert", &[0x94, 4, 0, 0]),
    ("an unknown one", &[0xde, 4, 7, 7]),
    ("another unknown one", &[0x5e, 6, 1, 2, 3, 4, 1, 1]),
    (
        "a security label",
        &[0x82, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ),
    ("a loose source route", &[0x83, 7, 4, 198, 51, 100, 7, 0]),
    ("a strict source route", &[0x89, 7, 4, 198, 51, 100, 7, 0]),
    (
        "a source route that is at its end",
        &[0x83, 7, 8, 198, 51, 100, 7, 0],
    ),
    ("a length of 0", &[0x5e, 0, 1, 1]),
    ("a length of 1", &[0x5e, 1, 1, 1]),
    ("a length beyond the header", &[0x5e, 9, 1, 1]),
];

pub(crate) fn script(_: u64, chance: &mut Chance) -> Vec<Step> {
    (0..PACKETS).map(|_| packet(chance).into()).collect()
}

fn packet(chance: &mut Chance) -> Sent {
    let talk = 20_000 + u16::try_from(chance.below(6)).unwrap();
    let (v4, v6) = (chance.once_in(5), chance.once_in(2));
    let address = |v4: [u8; 4], v6: [u16; 2], is_v4: bool| match is_v4 {
        true => IpAddr::V4(Ipv4Addr::from(v4)),
        false => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, v6[0], 0, 0, 0, 0, v6[1])),
    };
    let is_v4 = !v4;
    let net = if v6 { 0x20 } else { 0x10 };
    let client = SocketAddr::new(address([10, 0, 0, 7], [net, 7], is_v4), talk);
    let public = match net {
        0x20 if !is_v4 => client,
        _ => SocketAddr::new(address([203, 0, 113, 2], [0xff, 2], is_v4), talk),
    };
    let server = SocketAddr::new(address([198, 51, 100, 3], [5, 3], is_v4), 53);
    let zone = chance.of(&[Zone::Lan, Zone::Wan]);
    let (from, to) = match zone {
        Zone::Lan => (client, server),
        Zone::Wan => (server, public),
    };
    let id = talk.to_be_bytes();
    let ping = |request: u8, reply: u8| if zone == Zone::Lan { request } else { reply };
    let transport = match (talk % 2, is_v4) {
        (0, _) => wire::udp(from, to, &[7; 20]),
        (_, true) => wire::icmp(
            from.ip(),
            to.ip(),
            (ping(8, 0), 0),
            [id[0], id[1], 0, 1],
            &[7; 20],
        ),
        (_, false) => wire::icmp(
            from.ip(),
            to.ip(),
            (ping(128, 129), 0),
            [id[0], id[1], 0, 1],
            &[7; 20],
        ),
    };
    let mut ip = Ip::new(from.ip(), to.ip());
    ip.class = u8::try_from(chance.below(256)).unwrap();
    ip.dont_fragment = chance.once_in(2);
    // Not 1 or 0: see `expired` in docs/kernel-parity.md.
    ip.ttl = chance.of(&[2, 3, 64, 128, 255]);
    let mut told = "plain";
    if is_v4 && !chance.once_in(4) {
        // What is refused in an answer: see `expired`.
        let known = if zone == Zone::Lan {
            &OPTIONS[..]
        } else {
            &OPTIONS[..7]
        };
        let (what, options) = chance.of(known);
        told = what;
        ip.options = options.to_vec();
    }
    if !is_v4 && !chance.once_in(4) {
        let all: [(&str, &[u8]); 4] = [
            ("padding for every hop", &[0, 1, 4, 0, 0, 0, 0]),
            ("a router alert", &[0, 5, 2, 0, 1, 1, 0]),
            ("one for every hop to skip", &[0, 0x1e, 4, 1, 2, 3, 4]),
            ("single octets of padding", &[0, 0, 0, 0, 0, 0, 0]),
        ];
        let (what, body) = chance.of(&all);
        told = what;
        ip.extensions = vec![(0, body.to_vec())];
    }
    let mut bytes = ip.carrying(transport);
    if is_v4 && chance.once_in(20) {
        // A header that contradicts itself.
        bytes[0] = chance.of(&[0x44, 0x4f, 0x55]);
        bytes = match bytes[0] {
            0x4f if bytes.len() < 60 => bytes,
            _ => wire::summed(bytes),
        };
        told = "a header that contradicts itself";
    }
    Sent::new(zone, talk, bytes, format!("{from} > {to} {told}"))
}
