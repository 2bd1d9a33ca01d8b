//! The conversations of `scenario.rs` in IPv6: behind the gateway's address
//! in one half of the seeds, from addresses of their own in the other. Now and
//! then a packet has extension headers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};

use super::super::chance::Chance;
use super::super::packets::{Body, Damage, Packet};
use super::super::scenario::scenario;
use super::super::step::{Sent, Step};
use super::super::wire::{self, ICMPV6, TCP, UDP};

const GATEWAY: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 2);

/// Whether clients have their own address outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clients {
    Translated,
    Routed,
}

pub(crate) fn script(seed: u64, chance: &mut Chance) -> Vec<Step> {
    let clients = match seed % 2 {
        0 => Clients::Routed,
        _ => Clients::Translated,
    };
    let all = scenario(seed, 500);
    all.into_iter()
        .filter(|(_, packet)| clients == Clients::Translated || !quotes_too_little(packet))
        .map(|(zone, packet)| {
            let talk = packet.from.port().max(packet.to.port());
            let mut told = format!("{packet} (IPv6, {clients:?})");
            let mut bytes = in_ipv6(&packet, clients);
            if chance.once_in(12) {
                let (what, changed) = with_extension(bytes, chance);
                told += &format!(" with {what}");
                bytes = changed;
            }
            if chance.once_in(20) {
                bytes[0..4].copy_from_slice(&chance.of(&[
                    [0x60, 0x0a, 0xbc, 0xde],
                    [0x6b, 0x80, 0, 0],
                    [0x60, 0x10, 0, 1],
                    [0x60, 0x30, 0, 0],
                ]));
            }
            Sent::new(zone, talk, bytes, told).into()
        })
        .collect()
}

/// Whether it is an error with fewer than eight octets of the transport: of
/// what is not translated the kernel needs the ports alone. See `short-quote`
/// in `docs/kernel-parity.md`.
fn quotes_too_little(packet: &Packet) -> bool {
    matches!(&packet.body, Body::Icmp(3 | 4 | 11 | 12, _, _, quote) if quote.len() < 28)
}

/// The IPv6 address that stands for an IPv4 one.
fn address(v4: SocketAddrV4, clients: Clients) -> SocketAddr {
    let [first, second, _, last] = v4.ip().octets();
    let last = u16::from(last);
    let port = v4.port();
    let inside = |net, host| Ipv6Addr::new(0x2001, 0xdb8, net, 0, 0, 0, 0, host);
    let v6 = match (first, second) {
        // The servers that are reached through a forward are translated always.
        (10, _) if last == 80 => inside(0x10, 0x80),
        (10, _) if clients == Clients::Routed => inside(0x20, last),
        (10, _) => inside(0x10, last),
        _ if *v4.ip() == GATEWAY && clients == Clients::Routed && port >= 20_000 => {
            inside(0x20, 2 + (port - 20_000) % 50)
        }
        _ if *v4.ip() == GATEWAY => inside(0xff, 2),
        _ => inside(5, last),
    };
    SocketAddr::new(IpAddr::V6(v6), port)
}

/// A packet of `scenario.rs` as an IPv6 packet, with the same damage.
fn in_ipv6(packet: &Packet, clients: Clients) -> Vec<u8> {
    let (from, to) = (address(packet.from, clients), address(packet.to, clients));
    let (protocol, mut transport) = match &packet.body {
        Body::Icmp(kind, code, four, rest) => {
            let (kind, code, four) = message(*kind, *code, *four);
            let rest = match kind < 128 {
                true => quote(rest, clients),
                false => rest.clone(),
            };
            wire::icmp(from.ip(), to.ip(), (kind, code), four, &rest)
        }
        _ => packet.transport(),
    };
    match packet.damage {
        Some(Damage::TransportLength(n)) if protocol == TCP => transport[12] = n << 4,
        Some(Damage::TransportLength(n)) if protocol == UDP => transport[5] = n,
        _ => {}
    }
    let field = match protocol {
        TCP => 16,
        UDP => 6,
        _ => 2,
    };
    transport[field..field + 2].fill(0);
    let mut sum = wire::transport_sum(from.ip(), to.ip(), protocol, &transport);
    if protocol == UDP && sum == 0 {
        sum = 0xffff;
    }
    if matches!(packet.damage, Some(Damage::TransportChecksum)) {
        sum ^= 0x0100;
    }
    transport[field..field + 2].copy_from_slice(&sum.to_be_bytes());
    let mut bytes = wire::Ip {
        ttl: packet.ttl,
        ..wire::Ip::new(from.ip(), to.ip())
    }
    .carrying((protocol, transport));
    match packet.damage {
        Some(Damage::TotalLength(more)) => {
            let length = u16::from_be_bytes([bytes[4], bytes[5]]) + u16::from(more);
            bytes[4..6].copy_from_slice(&length.to_be_bytes());
        }
        Some(Damage::Trailer) => bytes.extend([0xaa; 7]),
        _ => {}
    }
    bytes
}

/// The ICMPv6 message that says what an ICMP one says.
fn message(kind: u8, code: u8, four: [u8; 4]) -> (u8, u8, [u8; 4]) {
    match (kind, code) {
        (8, _) => (128, 0, four),
        (0, _) => (129, 0, four),
        (3, 4) => (2, 0, [0, 0, 5, 0]),
        (3, 3) => (1, 4, [0; 4]),
        (3, 13) => (1, 1, [0; 4]),
        (3, _) => (1, 0, [0; 4]),
        (11, _) => (3, 0, [0; 4]),
        (12, _) => (4, 0, [0, 0, 0, 6]),
        (4, _) => (100, 0, [0; 4]),
        (13, _) => (139, 0, four),
        _ => (200, 0, four),
    }
}

/// A quoted IPv4 packet as a quoted IPv6 one, cut at the same place.
fn quote(v4: &[u8], clients: Clients) -> Vec<u8> {
    if v4.len() < 20 {
        return v4.to_vec();
    }
    let inner = &v4[20..];
    let octets = |at: usize| Ipv4Addr::new(v4[at], v4[at + 1], v4[at + 2], v4[at + 3]);
    let port = |at: usize| {
        let octets = inner.get(at..at + 2)?;
        Some(u16::from_be_bytes([octets[0], octets[1]]))
    };
    let protocol = if v4[9] == 1 { ICMPV6 } else { v4[9] };
    let mut transport = inner.to_vec();
    let (from, to) = match protocol {
        ICMPV6 => (port(4), port(4)),
        _ => (port(0), port(2)),
    };
    if protocol == ICMPV6 && !transport.is_empty() {
        transport[0] = if transport[0] == 8 { 128 } else { 129 };
    }
    let end = |at, port: Option<u16>| {
        address(
            SocketAddrV4::new(octets(at), port.unwrap_or(20_000)),
            clients,
        )
        .ip()
    };
    let mut bytes = wire::Ip {
        ttl: v4[8],
        ..wire::Ip::new(end(12, from), end(16, to))
    }
    .carrying((protocol, transport));
    // As long as the quoted packet was.
    let total = u16::from_be_bytes([v4[2], v4[3]]).saturating_sub(20);
    bytes[4..6].copy_from_slice(&total.to_be_bytes());
    bytes
}

/// A packet with an extension header between header and transport.
fn with_extension(bytes: Vec<u8>, chance: &mut Chance) -> (&'static str, Vec<u8>) {
    let all: [(&str, u8, &[u8]); 6] = [
        ("padding for every hop", 0, &[0, 1, 4, 0, 0, 0, 0]),
        ("a router alert", 0, &[0, 5, 2, 0, 1, 1, 0]),
        (
            "an unknown option for every hop to skip",
            0,
            &[0, 0x1e, 4, 1, 2, 3, 4],
        ),
        ("padding for the receiver", 60, &[0, 1, 4, 0, 0, 0, 0]),
        (
            "an unknown option for the receiver",
            60,
            &[0, 0xde, 4, 1, 2, 3, 4],
        ),
        ("a routing header without a way", 43, &[0, 4, 0, 0, 0, 0, 0]),
    ];
    let (what, number, body) = chance.of(&all);
    (what, inserted(&bytes, number, body))
}

/// A packet with an extension header in front of all that is behind its header.
pub(crate) fn inserted(bytes: &[u8], number: u8, body: &[u8]) -> Vec<u8> {
    let mut changed = bytes[..40].to_vec();
    changed.push(changed[6]);
    changed[6] = number;
    changed.extend(body);
    changed.extend(&bytes[40..]);
    let length = u16::from_be_bytes([bytes[4], bytes[5]]);
    let length = length + u16::try_from(body.len() + 1).unwrap();
    changed[4..6].copy_from_slice(&length.to_be_bytes());
    changed
}
