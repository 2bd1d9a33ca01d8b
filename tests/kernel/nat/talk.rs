//! Conversations through each kind of translation: who talks, to what, and as
//! what a server may know its client.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use super::super::chance::Chance;
use super::super::router::Zone;
use super::super::wire::{self, ICMP, ICMPV6, Ip, TCP, UDP};
use super::kind::{Kind, branch, host, outside, public};
use super::names::{Known, own_ends};

/// One end's view of the other, and where it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Talk {
    pub(super) kind: Kind,
    pub(super) protocol: u8,
    pub(super) client: SocketAddr,
    /// Whom the client addresses.
    pub(super) public: SocketAddr,
    /// Where that leads.
    pub(super) server: SocketAddr,
    /// As what the server knows its client, if it is as the client would have
    /// it: the name of whatever a gateway chooses.
    pub(super) name: SocketAddr,
    /// Addresses and ports that a gateway may choose.
    pub(super) addresses: (IpAddr, IpAddr),
    pub(super) ports: (u16, u16),
    /// Where the client is, and the server; `None`: the gateway itself.
    pub(super) zones: (Zone, Option<Zone>),
    /// What each gateway chose, once something came through.
    pub(super) chosen: [Option<SocketAddr>; 2],
    /// Steps that were made of a handshake.
    pub(super) step: u8,
}

/// Which end of a talk, as a sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Client,
    Server,
}

impl Talk {
    /// One of a few clients with one of a few ports, to one of a few servers:
    /// they clash.
    pub(super) fn new(kind: Kind, chance: &mut Chance) -> Self {
        let is_v4 = !chance.once_in(3);
        let icmp = if is_v4 { ICMP } else { ICMPV6 };
        let can_ping = !matches!(
            kind,
            Kind::Range | Kind::Shifted | Kind::Nets | Kind::Twice | Kind::Hairpin
        );
        let protocol = match chance.below(3) {
            0 => TCP,
            2 if can_ping => icmp,
            _ => UDP,
        };
        let is_ping = protocol == icmp;
        let port = chance.of(&[20_000, 21_000, 53, 700]);
        let low = |chance: &mut Chance, n: usize| u16::try_from(chance.below(n)).unwrap();
        // Outward, unless the kind says otherwise.
        let from = match kind {
            Kind::Masquerade | Kind::Exempt | Kind::Redirect => 2 + low(chance, 8),
            Kind::Narrow => 32 + low(chance, 16),
            Kind::Paired => 48 + low(chance, 16),
            Kind::Arbitrary => 64 + low(chance, 16),
            // Two networks that become one: pairs of hosts with one address.
            Kind::Net => chance.of(&[80, 96]) + low(chance, 4),
            Kind::Drawn => 112 + low(chance, 16),
            Kind::OwnAddressOut => 128 + low(chance, 8),
            Kind::Hairpin | Kind::OwnAddressHairpin => {
                chance.of(&[2, 3, 4, 33, 50, 66, 81, 97, 129])
            }
            _ => 10 + low(chance, 4),
        };
        let is_inward = matches!(
            kind,
            Kind::OwnAddressIn
                | Kind::Forward
                | Kind::Range
                | Kind::Shifted
                | Kind::Nets
                | Kind::Twice
                | Kind::Rejected
        );
        let client = match is_inward {
            true => outside(is_v4, from),
            false => host(is_v4, from),
        };
        let service = |port| if is_ping { 0 } else { port };
        let end = |address, port| SocketAddr::new(address, service(port));
        let outward = chance.of(&[(1, 443), (1, 443), (2, 443)]);
        let outward = end(outside(is_v4, outward.0), outward.1);
        let nth = low(chance, 10);
        let (asked, server) = match kind {
            Kind::Exempt => (end(branch(is_v4), 443), end(branch(is_v4), 443)),
            Kind::OwnAddressIn | Kind::OwnAddressHairpin => {
                let last = 136 + low(chance, 3);
                (end(public(is_v4, last), 443), end(host(is_v4, last), 443))
            }
            Kind::Forward if is_ping => (end(public(is_v4, 3), 0), end(host(is_v4, 166), 0)),
            // Two public ports of one server: one client with one port at both.
            Kind::Forward => {
                let port = chance.of(&[8080, 8081]);
                (end(public(is_v4, 2), port), end(host(is_v4, 160), 80))
            }
            Kind::Range => {
                let port = 6000 + nth;
                (end(public(is_v4, 2), port), end(host(is_v4, 161), port))
            }
            Kind::Shifted => (
                end(public(is_v4, 2), 7000 + nth),
                end(host(is_v4, 162), 17_000 + nth),
            ),
            Kind::Nets => {
                let port = if protocol == TCP { 80 } else { 53 };
                let last = 144 + nth;
                (end(public(is_v4, last), port), end(host(is_v4, last), port))
            }
            Kind::Twice => (end(public(is_v4, 2), 8090), end(host(is_v4, 163), 80)),
            Kind::Hairpin => (end(public(is_v4, 2), 8085), end(host(is_v4, 165), 80)),
            Kind::Redirect => (end(outside(is_v4, 77), 80), end(host(is_v4, 1), 3128)),
            Kind::Rejected => (end(public(is_v4, 143), 443), end(host(is_v4, 143), 443)),
            _ => (outward, outward),
        };
        // As what an inside client leaves, or would by the outside.
        let (first, last) = match kind {
            Kind::Exempt | Kind::Redirect => (client, client),
            Kind::Twice => (host(is_v4, 200), host(is_v4, 200)),
            _ if is_inward => (client, client),
            _ => match from {
                32..48 => (public(is_v4, 10), public(is_v4, 10)),
                48..64 => (public(is_v4, 16), public(is_v4, 19)),
                64..80 => (public(is_v4, 20), public(is_v4, 23)),
                80..96 => (public(is_v4, from), public(is_v4, from)),
                96..112 => (public(is_v4, from - 16), public(is_v4, from - 16)),
                112..128 => (public(is_v4, 11), public(is_v4, 11)),
                128..144 => (public(is_v4, from), public(is_v4, from)),
                _ => (public(is_v4, 2), public(is_v4, 2)),
            },
        };
        let is_narrow = !is_inward && (32..48).contains(&from) && kind != Kind::Exempt;
        let ports = match (is_ping, is_narrow) {
            (true, _) => (0, u16::MAX),
            (false, true) => (5000, 5002),
            (false, false) => match port {
                0..512 => (1, 511),
                512..1024 => (600, 1023),
                _ => (1024, u16::MAX),
            },
        };
        let port = match is_narrow && chance.once_in(2) {
            true => 5000 + low(chance, 3),
            false => port,
        };
        Self {
            kind,
            protocol,
            client: SocketAddr::new(client, port),
            public: asked,
            server,
            name: SocketAddr::new(first, port),
            addresses: (first, last),
            ports,
            zones: match (kind, is_inward) {
                (Kind::Redirect, _) => (Zone::Lan, None),
                (Kind::Rejected, _) => (Zone::Wan, None),
                (Kind::Hairpin | Kind::OwnAddressHairpin, _) => (Zone::Lan, Some(Zone::Lan)),
                (_, true) => (Zone::Wan, Some(Zone::Lan)),
                (_, false) => (Zone::Lan, Some(Zone::Wan)),
            },
            chosen: [None; 2],
            step: 0,
        }
    }

    /// Whether both have the same client and server.
    pub(super) fn is(&self, other: &Self) -> bool {
        let key = |talk: &Self| (talk.protocol, talk.client, talk.public);
        key(self) == key(other)
    }

    pub(super) fn is_ping(&self) -> bool {
        matches!(self.protocol, ICMP | ICMPV6)
    }

    /// As what the server knows a client that is called so.
    pub(super) fn known_as(&self, client: SocketAddr) -> Known {
        (self.protocol, self.server, client)
    }

    /// As what the server knows its client by this packet, the first that came
    /// to it. An error says what is wrong with that.
    pub(super) fn choice(&self, left: &[u8]) -> Result<SocketAddr, String> {
        let Some((protocol, client, server)) = own_ends(left) else {
            return Err("it is no packet of a conversation".into());
        };
        if (protocol, server) != (self.protocol, self.server) {
            return Err(format!("it leads to {server}, and not to {}", self.server));
        }
        let (first, last) = self.addresses;
        let addresses: RangeInclusive<_> = first..=last;
        let ports: RangeInclusive<_> = self.ports.0..=self.ports.1;
        match addresses.contains(&client.ip()) && ports.contains(&client.port()) {
            true => Ok(client),
            false => Err(format!(
                "it comes from {client}, and not from {first}-{last}, {ports:?}"
            )),
        }
    }

    /// The next packet of one end, or one of its kind again; of the server as if
    /// its client had its name.
    pub(super) fn next(&mut self, end: End, chance: &mut Chance) -> Vec<u8> {
        // Before that it would move a session on: see `expired`.
        let ttl = match self.step >= 3 && chance.once_in(12) {
            true => 1,
            false => 64,
        };
        let ip_class = chance.of(&[0, 0, 0x10, 0xb8, 3]);
        let bytes = self.packet(
            end,
            ttl,
            ip_class,
            chance.of(&[0, 1, 12, 200]),
            chance.of(&[1460, 1300, 536, 9000]),
        );
        self.step = (self.step + 1).min(3);
        bytes
    }

    /// What an end sends, as it looks on its own side.
    fn packet(&self, end: End, ttl: u8, class: u8, size: usize, mss: u16) -> Vec<u8> {
        let (from, to) = match end {
            End::Client => (self.client, self.public),
            End::Server => (self.server, self.name),
        };
        self.between(end, (from, to), ttl, class, size, mss)
    }

    /// What an end sent, as it looks on the other side.
    fn delivered(&self, end: End, size: usize) -> Vec<u8> {
        let (from, to) = match end {
            End::Client => (self.name, self.server),
            End::Server => (self.public, self.client),
        };
        self.between(end, (from, to), 63, 0, size, 536)
    }

    fn between(
        &self,
        end: End,
        (from, to): (SocketAddr, SocketAddr),
        ttl: u8,
        class: u8,
        size: usize,
        mss: u16,
    ) -> Vec<u8> {
        let payload = vec![7; size];
        let id = self.client.port().to_be_bytes();
        let four = [id[0], id[1], 0, 1];
        let transport = match (self.protocol, end) {
            (TCP, _) => self.segment(end, from, to, mss),
            (UDP, _) => wire::udp(from, to, &payload),
            (ICMP, End::Client) => wire::icmp(from.ip(), to.ip(), (8, 0), four, &payload),
            (ICMP, End::Server) => wire::icmp(from.ip(), to.ip(), (0, 0), four, &payload),
            (_, End::Client) => wire::icmp(from.ip(), to.ip(), (128, 0), four, &payload),
            (_, End::Server) => wire::icmp(from.ip(), to.ip(), (129, 0), four, &payload),
        };
        Ip {
            ttl,
            class,
            ..Ip::new(from.ip(), to.ip())
        }
        .carrying(transport)
    }

    /// A handshake, and then acknowledgements.
    fn segment(&self, end: End, from: SocketAddr, to: SocketAddr, mss: u16) -> (u8, Vec<u8>) {
        let [high, low] = mss.to_be_bytes();
        let options = [2, 4, high, low];
        match (self.step, end) {
            (0, _) => wire::tcp_with(from, to, (2, 1000, 0), &options),
            (1, End::Server) => wire::tcp_with(from, to, (18, 5000, 1001), &options),
            (_, End::Client) => wire::tcp(from, to, (16, 1001, 5001), &[]),
            (_, End::Server) => wire::tcp(from, to, (16, 5001, 1001), &[]),
        }
    }

    /// An error from one end's side about what the other sent, true or forged,
    /// and what it is.
    pub(super) fn error(&self, from: End, chance: &mut Chance) -> (String, Vec<u8>) {
        let sender = match from {
            End::Client => End::Server,
            End::Server => End::Client,
        };
        let mut about = self.delivered(sender, chance.of(&[0, 12, 200]));
        let header = wire::header_length(&about);
        let is_forged = chance.once_in(6);
        if is_forged {
            about[header + if self.is_ping() { 4 } else { 1 }] ^= 0x40;
        }
        let is_v4 = self.client.is_ipv4();
        // At least eight octets: see `short-quote`; and of TCP all of its header or none
        // of its checksum: see `short-tcp-quote`.
        about.truncate(header + chance.of(&[8, 9, 12, 17, 20, 28, 500]));
        let (kind, code) = match is_v4 {
            true => chance.of(&[
                (3, 0),
                (3, 1),
                (3, 3),
                (3, 4),
                (3, 13),
                (11, 0),
                (11, 1),
                (12, 0),
                (4, 0),
            ]),
            false => chance.of(&[(1, 0), (1, 1), (1, 4), (2, 0), (3, 0), (3, 1), (4, 0)]),
        };
        let four = match (is_v4, kind, code) {
            (true, 3, 4) => [0, 0, 5, 0],
            (false, 2, _) => [0, 0, 5, 0],
            _ => [0; 4],
        };
        let (own, to) = match from {
            End::Client => (self.client.ip(), self.public.ip()),
            End::Server => (self.server.ip(), self.name.ip()),
        };
        let zone = match from {
            End::Client => self.zones.0,
            End::Server => self.zones.1.unwrap_or(Zone::Lan),
        };
        let source = match (chance.once_in(3), zone) {
            (false, _) => own,
            (true, Zone::Lan) => host(is_v4, 250),
            (true, Zone::Wan) => outside(is_v4, 250),
        };
        let transport = wire::icmp(source, to, (kind, code), four, &about);
        let told = format!(
            "an error {kind}/{code} from {source}, forged {is_forged}, {} octets",
            about.len()
        );
        (told, Ip::new(source, to).carrying(transport))
    }
}
