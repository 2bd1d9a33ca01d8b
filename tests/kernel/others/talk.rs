//! A conversation of one protocol: who its ends are, and what they send next.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::super::chance::Chance;
use super::super::router::Zone;
use super::super::wire::{self, Ip};
use super::sctp::{self, SCTP};
use super::udplite::{self, UDPLITE};

const GRE: u8 = 47;

/// Of which family all is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

/// A packet as it is sent, and for people.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) zone: Zone,
    pub(super) bytes: Vec<u8>,
    pub(super) told: String,
    /// An ICMP error that quotes only a part of an SCTP packet, or a wrong one,
    /// and its checksum with it.
    pub(super) quotes_a_part: bool,
}

/// One end: what it sends to, as it sees the other.
#[derive(Debug, Clone)]
pub(super) struct End {
    pub(super) zone: Zone,
    pub(super) own: SocketAddr,
    pub(super) other: SocketAddr,
    /// What it has chosen to be addressed by (SCTP).
    pub(super) tag: u32,
    sent: Vec<Sent>,
}

/// A conversation between two ends, through the gateway; the first begins.
#[derive(Debug)]
pub(super) struct Talk {
    number: u16,
    pub(super) protocol: u8,
    pub(super) ends: [End; 2],
    /// How far an association is.
    pub(super) step: u8,
    /// Who shuts it down.
    pub(super) closer: usize,
    /// Whether its next packet may be wrong.
    pub(super) may_go_wrong: bool,
}

/// How hosts are called that talk, in one family.
struct Hosts {
    gateway: IpAddr,
    stranger: IpAddr,
    published: IpAddr,
    inside: fn(u8) -> IpAddr,
    outside: fn(u8) -> IpAddr,
}

impl Family {
    fn hosts(self) -> Hosts {
        let v6 = |net, host| Ipv6Addr::new(0x2001, 0xdb8, net, 0, 0, 0, 0, host).into();
        match self {
            Self::V4 => Hosts {
                gateway: Ipv4Addr::new(203, 0, 113, 2).into(),
                stranger: Ipv4Addr::new(198, 51, 100, 9).into(),
                published: Ipv4Addr::new(10, 0, 0, 80).into(),
                inside: |host| Ipv4Addr::new(10, 0, 0, host).into(),
                outside: |host| Ipv4Addr::new(198, 51, 100, host).into(),
            },
            Self::V6 => Hosts {
                gateway: v6(0xff, 2),
                stranger: v6(5, 9),
                published: v6(0x10, 0x80),
                inside: |host| {
                    Ipv6Addr::new(0x2001, 0xdb8, 0x10, 0, 0, 0, 0, u16::from(host)).into()
                },
                outside: |host| Ipv6Addr::new(0x2001, 0xdb8, 5, 0, 0, 0, 0, u16::from(host)).into(),
            },
        }
    }
}

/// The same host in the network that keeps its addresses.
fn routed(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => {
            let mut segments = v6.segments();
            segments[2] = 0x20;
            IpAddr::V6(segments.into())
        }
    }
}

impl Talk {
    pub(super) fn new(number: u16, family: Family, chance: &mut Chance) -> Self {
        let hosts = family.hosts();
        // In IPv6 an authentication header is no protocol but a header before
        // one: see `ah-in-ipv6`.
        let without_ports: [u8; 5] = match family {
            Family::V4 => [GRE, 50, 51, 33, 253],
            Family::V6 => [GRE, 50, 254, 33, 253],
        };
        let [a, b, c, d, e] = without_ports;
        let protocol = chance.of(&[SCTP, SCTP, SCTP, SCTP, UDPLITE, a, b, c, d, e]);
        let has_ports = matches!(protocol, SCTP | UDPLITE);
        let port = |port: u16| if has_ports { port } else { 0 };
        let end = |zone, own, other, chance: &mut Chance| End {
            zone,
            own,
            other,
            tag: chance.number() | 1,
            sent: Vec::new(),
        };
        let client = port(20_000 + number);
        let ends = if chance.once_in(3) && has_ports {
            let outside = SocketAddr::new(hosts.stranger, client);
            let published = SocketAddr::new(hosts.published, 80);
            [
                end(
                    Zone::Wan,
                    outside,
                    SocketAddr::new(hosts.gateway, 8080),
                    chance,
                ),
                end(Zone::Lan, published, outside, chance),
            ]
        } else {
            // Some clients share a server: without ports, one of them only.
            let host = u8::try_from(number % 3).unwrap();
            let server = (hosts.outside)(10 + u8::try_from(number % 4).unwrap());
            let server = SocketAddr::new(server, port(7000));
            let mut inside = (hosts.inside)(7 + host);
            let mut public = hosts.gateway;
            if family == Family::V6 && chance.once_in(3) {
                inside = routed(inside);
                public = inside;
            }
            [
                end(Zone::Lan, SocketAddr::new(inside, client), server, chance),
                end(Zone::Wan, server, SocketAddr::new(public, client), chance),
            ]
        };
        Self {
            number,
            protocol,
            ends,
            step: 0,
            closer: 0,
            may_go_wrong: false,
        }
    }

    /// By which its lines begin.
    pub(super) fn name(&self) -> String {
        format!("  [{} proto-{}]", self.number, self.protocol)
    }

    /// The port that no other conversation has; 0 where there are none.
    pub(super) fn port(&self) -> u16 {
        self.ends[0].own.port()
    }

    pub(super) fn packet(&mut self, chance: &mut Chance) -> Sent {
        // Nobody but the client begins with a server that a forward leads to:
        // ports that clash behind the masquerade are each gateway's own choice.
        let is_forwarded = self.ends[0].zone == Zone::Wan;
        self.may_go_wrong = !is_forwarded || !self.ends[0].sent.is_empty();
        let who = if self.may_go_wrong {
            chance.below(2)
        } else {
            0
        };
        if chance.once_in(12) && !self.ends[who].sent.is_empty() {
            let again = chance.below(self.ends[who].sent.len());
            return self.ends[who].sent[again].clone();
        }
        if self.may_go_wrong
            && chance.once_in(16)
            && let Some(error) = self.error(who, chance)
        {
            return error;
        }
        let (who, content, told) = match self.protocol {
            SCTP => sctp::packet(self, who, chance),
            UDPLITE => {
                let (content, told) = udplite::datagram(self, who, chance);
                (who, content, told)
            }
            GRE => (who, vec![0, 0, 8, 0, 0x45, 0, 1, 2, 3], "v0".to_owned()),
            _ => (who, vec![9; chance.of(&[0, 1, 20, 60])], String::new()),
        };
        let name = self.name();
        let end = &mut self.ends[who];
        let sent = Sent {
            zone: end.zone,
            told: format!(
                "{name} {} {} > {} {told}",
                end.zone.name(),
                end.own,
                end.other
            ),
            bytes: header(end.own, end.other).carrying((self.protocol, content)),
            quotes_a_part: false,
        };
        end.sent.push(sent.clone());
        sent
    }

    /// An ICMP error about what the other end sent last.
    fn error(&self, who: usize, chance: &mut Chance) -> Option<Sent> {
        let (me, other) = (&self.ends[who], &self.ends[1 - who]);
        let about = other.sent.last()?;
        let mut quoted = header(me.other, me.own);
        quoted.ttl = 63;
        let at = wire::header_length(&about.bytes);
        let mut transport = about.bytes[at..].to_vec();
        // Of what is not translated the kernel needs the ports alone: see
        // `short-quote`.
        if me.own.is_ipv6() && transport.len() < 8 {
            return None;
        }
        if matches!(self.protocol, SCTP | UDPLITE) && transport.len() >= 4 {
            let ports = [me.other.port(), me.own.port()].map(u16::to_be_bytes);
            let old: [u8; 4] = transport[..4].try_into().unwrap();
            transport[..4].copy_from_slice(ports.as_flattened());
            // As the translated packet has it.
            if self.protocol == SCTP && transport.len() >= 12 && old != *ports.as_flattened() {
                sctp::sum(&mut transport);
            }
        }
        let mut quote = quoted.carrying((self.protocol, transport));
        let whole = quote.len();
        quote.truncate(chance.of(&[at + 8, at + 8, at + 20, whole]));
        let message = match me.own {
            SocketAddr::V4(_) => (3, chance.of(&[1, 3, 13])),
            SocketAddr::V6(_) => (1, chance.of(&[1, 3, 4])),
        };
        let error = wire::icmp(me.own.ip(), me.other.ip(), message, [0; 4], &quote);
        let sum_ends = at + 12;
        Some(Sent {
            zone: me.zone,
            bytes: header(me.own, me.other).carrying(error),
            told: format!(
                "{} {} error about {} in {} of {whole}",
                self.name(),
                me.zone.name(),
                about.told.trim(),
                quote.len()
            ),
            quotes_a_part: self.protocol == SCTP
                && ((sum_ends..whole).contains(&quote.len()) || about.told.contains("bad sum"))
                && quote.len() >= sum_ends,
        })
    }
}

fn header(from: SocketAddr, to: SocketAddr) -> Ip {
    let mut ip = Ip::new(from.ip(), to.ip());
    ip.dont_fragment = true;
    ip
}
