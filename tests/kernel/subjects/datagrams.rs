//! UDP with wrong lengths and without checksums, ICMP of every type, errors
//! true and forged about both, and what rules refuse, in both families.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::super::chance::Chance;
use super::super::router::Zone;
use super::super::step::{Sent, Step};
use super::super::wire::{self, Ip};

const PACKETS: usize = 400;

pub(crate) fn script(_: u64, chance: &mut Chance) -> Vec<Step> {
    (0..PACKETS).map(|_| packet(chance).into()).collect()
}

/// Who talks to whom: client, server, and the client as the server sees it.
#[derive(Debug, Clone, Copy)]
struct Ends {
    client: SocketAddr,
    server: SocketAddr,
    public: SocketAddr,
}

impl Ends {
    fn of(talk: u16, port: u16, chance: &mut Chance) -> Self {
        let v6 = |net, host| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, net, 0, 0, 0, 0, host));
        let v4 = |octets: [u8; 4]| IpAddr::V4(Ipv4Addr::from(octets));
        let (client, server, public) = match chance.below(4) {
            0 | 1 => (
                v4([10, 0, 0, 7]),
                v4([198, 51, 100, 3]),
                v4([203, 0, 113, 2]),
            ),
            2 => (v6(0x10, 7), v6(5, 3), v6(0xff, 2)),
            _ => (v6(0x20, 7), v6(5, 3), v6(0x20, 7)),
        };
        Self {
            client: SocketAddr::new(client, talk),
            server: SocketAddr::new(server, port),
            public: SocketAddr::new(public, talk),
        }
    }

    fn from(&self, zone: Zone) -> (SocketAddr, SocketAddr) {
        match zone {
            Zone::Lan => (self.client, self.server),
            Zone::Wan => (self.server, self.public),
        }
    }
}

fn packet(chance: &mut Chance) -> Sent {
    let talk = 20_000 + u16::try_from(chance.below(8)).unwrap();
    let ends = Ends::of(talk, 53, chance);
    let zone = chance.of(&[Zone::Lan, Zone::Wan]);
    let (from, to) = ends.from(zone);
    let (told, bytes) = match chance.below(8) {
        0..=2 => datagram(from, to, chance),
        3 => message(from, to, talk, chance),
        4 | 5 => error(&ends, zone, chance),
        6 => refused(talk, chance),
        _ => ping(from, to, zone, talk),
    };
    // What rules refuse comes from inside.
    let zone = match told.starts_with("refused") {
        true => Zone::Lan,
        false => zone,
    };
    Sent::new(zone, talk, bytes, format!("{from} > {to} {told}"))
}

fn datagram(from: SocketAddr, to: SocketAddr, chance: &mut Chance) -> (String, Vec<u8>) {
    let size = chance.of(&[0, 1, 11, 300]);
    let (protocol, mut bytes) = wire::udp(from, to, &vec![7; size]);
    let length = u16::from_be_bytes([bytes[4], bytes[5]]);
    let what = match chance.below(8) {
        0 => {
            // One longer, far longer, or none at all.
            let wrong = chance.of(&[length + 1, 0xffff, 0, 7]);
            bytes[4..6].copy_from_slice(&wrong.to_be_bytes());
            "with a wrong length"
        }
        // IPv6 allows none: see `no-checksum`.
        1 if from.is_ipv4() => {
            bytes[6..8].fill(0);
            "without checksum"
        }
        2 => {
            bytes[7] ^= 1;
            "with a wrong checksum"
        }
        3 => {
            bytes.truncate(chance.of(&[0, 4, 7]));
            "with a part of a header"
        }
        _ => "",
    };
    let ip = Ip::new(from.ip(), to.ip());
    (
        format!("udp of {size} {what}"),
        ip.carrying((protocol, bytes)),
    )
}

fn ping(from: SocketAddr, to: SocketAddr, zone: Zone, talk: u16) -> (String, Vec<u8>) {
    let id = talk.to_be_bytes();
    let kind = match (zone, from.is_ipv4()) {
        (Zone::Lan, true) => 8,
        (Zone::Wan, true) => 0,
        (Zone::Lan, false) => 128,
        (Zone::Wan, false) => 129,
    };
    let four = [id[0], id[1], 0, 1];
    let transport = wire::icmp(from.ip(), to.ip(), (kind, 0), four, &[7; 30]);
    let ip = Ip::new(from.ip(), to.ip());
    (format!("ping {kind}"), ip.carrying(transport))
}

/// Any message, also such as begin nothing and such as nobody asked for.
fn message(from: SocketAddr, to: SocketAddr, talk: u16, chance: &mut Chance) -> (String, Vec<u8>) {
    let kind = match from.is_ipv4() {
        true => chance.of(&[0, 6, 8, 9, 10, 13, 14, 15, 16, 17, 18, 30, 40, 42, 43, 254]),
        // Neighbour discovery is the link's: see `neighbours`.
        false => chance.of(&[128, 129, 138, 141, 144, 145, 150, 200, 255]),
    };
    let code = chance.of(&[0, 0, 0, 1]);
    let id = talk.to_be_bytes();
    let four = [id[0], id[1], 0, 1];
    let rest = vec![7; chance.of(&[0, 8, 12, 40])];
    let transport = wire::icmp(from.ip(), to.ip(), (kind, code), four, &rest);
    let ip = Ip::new(from.ip(), to.ip());
    (format!("message {kind}/{code}"), ip.carrying(transport))
}

/// An error from one side about what the other may have sent.
fn error(ends: &Ends, zone: Zone, chance: &mut Chance) -> (String, Vec<u8>) {
    let (from, to) = ends.from(zone);
    // As it looks on this side.
    let (mut sender, mut receiver) = (to, from);
    let forged = chance.below(6);
    match forged {
        0 => sender.set_port(sender.port() ^ 1),
        1 => receiver.set_port(receiver.port() ^ 1),
        _ => {}
    }
    let id = ends.client.port().to_be_bytes();
    let is_v4 = from.is_ipv4();
    let inner = match chance.below(3) {
        0 | 1 => wire::udp(sender, receiver, &[7; 40]),
        _ => {
            let kind = match (zone, is_v4) {
                (Zone::Wan, true) => 8,
                (Zone::Lan, true) => 0,
                (Zone::Wan, false) => 128,
                (Zone::Lan, false) => 129,
            };
            let four = [id[0], id[1], 0, 1];
            wire::icmp(sender.ip(), receiver.ip(), (kind, 0), four, &[7; 40])
        }
    };
    let mut quoted = Ip {
        ttl: 63,
        ..Ip::new(sender.ip(), receiver.ip())
    };
    if is_v4 && chance.once_in(6) {
        quoted.options = vec![1, 1, 1, 1];
    }
    let mut quote = quoted.carrying(inner);
    let header = wire::header_length(&quote);
    match forged {
        2 if is_v4 => quote[10] ^= 1,
        3 => quote[header + 2] ^= 0x40,
        _ => {}
    }
    // At least eight octets: see `short-quote`.
    quote.truncate(header + chance.of(&[8, 12, 20, 48]));
    let message = match is_v4 {
        true => chance.of(&[
            (3, 0),
            (3, 1),
            (3, 3),
            (3, 9),
            (3, 13),
            (4, 0),
            (11, 0),
            (11, 1),
            (12, 0),
            (5, 1),
        ]),
        false => chance.of(&[
            (1, 0),
            (1, 1),
            (1, 4),
            (2, 0),
            (3, 0),
            (3, 1),
            (4, 0),
            (4, 1),
            (4, 2),
        ]),
    };
    let mut source = from.ip();
    if chance.once_in(3) {
        source = match (zone, is_v4) {
            (Zone::Wan, true) => IpAddr::V4(Ipv4Addr::new(192, 0, 2, 77)),
            (Zone::Lan, true) => IpAddr::V4(Ipv4Addr::new(10, 0, 0, 99)),
            (Zone::Wan, false) => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 9, 0, 0, 0, 0, 77)),
            (Zone::Lan, false) => match from.ip() {
                IpAddr::V6(own) if own.segments()[2] == 0x20 => {
                    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x20, 0, 0, 0, 0, 99))
                }
                _ => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x10, 0, 0, 0, 0, 99)),
            },
        };
    }
    let four = if message == (2, 0) {
        [0, 0, 5, 0]
    } else {
        [0; 4]
    };
    let mut transport = wire::icmp(source, to.ip(), message, four, &quote);
    if forged == 4 && chance.once_in(2) {
        transport.1[3] ^= 1;
    }
    let ip = Ip::new(source, to.ip());
    let told = format!("error {message:?} forged {forged} about {sender} > {receiver}");
    (told, ip.carrying(transport))
}

/// Connections that the rules reject or drop.
fn refused(talk: u16, chance: &mut Chance) -> (String, Vec<u8>) {
    let port = chance.of(&[23, 25, 69, 80]);
    let mut ends = Ends::of(talk, port, chance);
    if port == 80 {
        let host = match ends.server.ip() {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::new(198, 51, 100, 66)),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 5, 0, 0, 0, 0, 0x66)),
        };
        ends.server.set_ip(host);
    }
    let (from, to) = ends.from(Zone::Lan);
    let (flags, ack) = chance.of(&[(2, 0), (2, 0), (2, 77), (0xc2, 0)]);
    let payload = vec![7; chance.of(&[0, 0, 30, 900])];
    let transport = match chance.below(3) {
        0 | 1 => wire::tcp(from, to, (flags, chance.number(), ack), &payload),
        _ => wire::udp(from, to, &payload),
    };
    let mut ip = Ip::new(from.ip(), to.ip());
    ip.class = chance.of(&[0, 0x10, 0xb8, 3]);
    (format!("refused to {to}"), ip.carrying(transport))
}
