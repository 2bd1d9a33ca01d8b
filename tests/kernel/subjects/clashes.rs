//! Many clients with one port (or one identifier) towards one server: all but
//! the first get another, which each gateway chooses for itself from the same
//! range. Answers and errors come back to what each chose.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::super::chance::Chance;
use super::super::router::Zone;
use super::super::step::{Sent, Step};
use super::super::wire::{self, ICMP, ICMPV6, Ip, TCP, UDP};

const PACKETS: usize = 300;

/// A client's conversation.
#[derive(Debug, Clone, Copy)]
struct Talk {
    protocol: u8,
    client: SocketAddr,
    server: SocketAddr,
    gateway: IpAddr,
    /// Handshake steps that were made.
    step: u8,
}

pub(crate) fn script(_: u64, chance: &mut Chance) -> Vec<Step> {
    let mut talks = Vec::new();
    let mut steps = Vec::new();
    // A port of each class, and few clients for each: whatever a gateway
    // chooses for one is hardly ever another's own.
    let ports = [20_000, 21_000, 22_000, 53, 700];
    while steps.len() < PACKETS {
        if talks.len() < 40 && chance.once_in(4) {
            talks.push(Talk::new(&ports, talks.len(), chance));
        }
        if !talks.is_empty() {
            let which = chance.below(talks.len());
            steps.push(talks[which].packet(chance).into());
        }
    }
    steps
}

impl Talk {
    fn new(ports: &[u16], number: usize, chance: &mut Chance) -> Self {
        let protocol = chance.of(&[TCP, UDP, ICMP]);
        let host = u8::try_from(10 + number).unwrap();
        let port = chance.of(ports);
        let v6 = |net, host| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, net, 0, 0, 0, 0, host));
        let v4 = |octets: [u8; 4]| IpAddr::V4(Ipv4Addr::from(octets));
        let service = if protocol == ICMP { 0 } else { 443 };
        if chance.once_in(3) {
            return Self {
                protocol: if protocol == ICMP { ICMPV6 } else { protocol },
                client: SocketAddr::new(v6(0x10, u16::from(host)), port),
                server: SocketAddr::new(v6(5, 1), service),
                gateway: v6(0xff, 2),
                step: 0,
            };
        }
        Self {
            protocol,
            client: SocketAddr::new(v4([10, 0, 0, host]), port),
            server: SocketAddr::new(v4([198, 51, 100, 1]), service),
            gateway: v4([203, 0, 113, 2]),
            step: 0,
        }
    }

    fn packet(&mut self, chance: &mut Chance) -> Sent {
        if self.step > 0 && chance.once_in(6) {
            return self.error(chance);
        }
        let zone = match (self.step, self.protocol) {
            (0, _) => Zone::Lan,
            (1, TCP) => Zone::Wan,
            (2, TCP) => Zone::Lan,
            _ => chance.of(&[Zone::Lan, Zone::Wan]),
        };
        let bytes = self.whole(zone, 64);
        let what = format!("step {}", self.step);
        self.step = (self.step + 1).min(3);
        self.sent(zone, bytes, &what)
    }

    fn sent(&self, zone: Zone, bytes: Vec<u8>, what: &str) -> Sent {
        let Self {
            protocol,
            client,
            server,
            ..
        } = self;
        let told = format!("protocol {protocol} {client} > {server}: {what}");
        let mut sent = Sent::new(zone, client.port(), bytes, told);
        if zone == Zone::Wan {
            sent.answers = Some(*client);
        }
        sent
    }

    /// What one side sends now; towards the gateway as if it had kept the port.
    fn whole(&self, zone: Zone, ttl: u8) -> Vec<u8> {
        let public = SocketAddr::new(self.gateway, self.client.port());
        let (from, to) = match zone {
            Zone::Lan => (self.client, self.server),
            Zone::Wan => (self.server, public),
        };
        self.as_seen(from, to, zone, ttl)
    }

    fn as_seen(&self, from: SocketAddr, to: SocketAddr, zone: Zone, ttl: u8) -> Vec<u8> {
        let id = self.client.port().to_be_bytes();
        let four = [id[0], id[1], 0, 1];
        let numbers = match (self.step, zone) {
            (0, _) => (2, 1000, 0),
            (1, Zone::Wan) => (18, 5000, 1001),
            (_, Zone::Lan) => (16, 1001, 5001),
            (_, Zone::Wan) => (16, 5001, 1001),
        };
        let transport = match (self.protocol, zone) {
            (TCP, _) => wire::tcp(from, to, numbers, &[]),
            (UDP, _) => wire::udp(from, to, &[7; 12]),
            (ICMP, Zone::Lan) => wire::icmp(from.ip(), to.ip(), (8, 0), four, &[7; 12]),
            (ICMP, Zone::Wan) => wire::icmp(from.ip(), to.ip(), (0, 0), four, &[7; 12]),
            (_, Zone::Lan) => wire::icmp(from.ip(), to.ip(), (128, 0), four, &[7; 12]),
            (_, Zone::Wan) => wire::icmp(from.ip(), to.ip(), (129, 0), four, &[7; 12]),
        };
        Ip {
            ttl,
            ..Ip::new(from.ip(), to.ip())
        }
        .carrying(transport)
    }

    /// An error from one side about what came from the other.
    fn error(&self, chance: &mut Chance) -> Sent {
        let zone = chance.of(&[Zone::Lan, Zone::Wan]);
        let public = SocketAddr::new(self.gateway, self.client.port());
        let (about, from, to) = match zone {
            Zone::Wan => (
                self.as_seen(public, self.server, Zone::Lan, 63),
                self.server.ip(),
                self.gateway,
            ),
            Zone::Lan => (
                self.as_seen(self.server, self.client, Zone::Wan, 63),
                self.client.ip(),
                self.server.ip(),
            ),
        };
        let message = match from.is_ipv4() {
            true => chance.of(&[(3, 1), (3, 3), (11, 0)]),
            false => chance.of(&[(1, 0), (1, 4), (3, 0)]),
        };
        let bytes = Ip::new(from, to).carrying(wire::icmp(from, to, message, [0; 4], &about));
        self.sent(zone, bytes, "an error")
    }
}
