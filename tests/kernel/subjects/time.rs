//! Sessions in every state, left alone or gone on with, and the tables at
//! moments in between: timeouts are seconds, and pass for real.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::super::chance::Chance;
use super::super::packets::{ACK, FIN, PSH, RST, SYN};
use super::super::router::Zone;
use super::super::step::{Sent, Step};
use super::super::wire::{self, Ip};

const TALKS: u16 = 120;

/// When the tables are compared and some go on, in milliseconds: far from all
/// moments at which something may end, which are one, two or three seconds after these.
const MOMENTS: [u64; 6] = [0, 400, 1200, 1700, 2550, 3950];

pub(crate) fn script(_: u64, chance: &mut Chance) -> Vec<Step> {
    let mut talks: Vec<Talk> = (0..TALKS).map(|n| Talk::new(n, chance)).collect();
    let mut steps = Vec::new();
    for (n, moment) in MOMENTS.into_iter().enumerate() {
        if n > 0 {
            steps.push(Step::Until(Duration::from_millis(moment)));
            steps.push(Step::Compare);
        }
        for talk in &mut talks {
            let count = match n {
                0 => talk.first,
                _ => usize::from(chance.once_in(3)),
            };
            for _ in 0..count {
                steps.push(talk.next().into());
            }
        }
    }
    steps
}

/// A conversation: all that is ever said in it, in order.
struct Talk {
    /// What is said at once.
    first: usize,
    said: usize,
    packets: Vec<Sent>,
}

impl Talk {
    fn new(number: u16, chance: &mut Chance) -> Self {
        let talk = 20_000 + number;
        let v6 = |net, host| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, net, 0, 0, 0, 0, host));
        let v4 = |octets: [u8; 4]| IpAddr::V4(Ipv4Addr::from(octets));
        let (client, server, public) = match chance.once_in(3) {
            false => (
                v4([10, 0, 0, 7]),
                v4([198, 51, 100, 3]),
                v4([203, 0, 113, 2]),
            ),
            true => (v6(0x10, 7), v6(5, 3), v6(0xff, 2)),
        };
        let port = 443;
        let end = |address, port| SocketAddr::new(address, port);
        let ends = |zone| match zone {
            Zone::Lan => (end(client, talk), end(server, port)),
            Zone::Wan => (end(server, port), end(public, talk)),
        };
        let (first, packets) = match chance.below(4) {
            0 => datagrams(talk, ends, chance),
            1 => pings(talk, ends, chance),
            _ => segments(talk, ends, chance),
        };
        Self {
            first,
            said: 0,
            packets,
        }
    }

    /// The next packet; the last one again and again.
    fn next(&mut self) -> Sent {
        let which = self.said.min(self.packets.len() - 1);
        self.said += 1;
        self.packets[which].clone()
    }
}

fn sent(
    (talk, zone): (u16, Zone),
    (from, to): (SocketAddr, SocketAddr),
    transport: (u8, Vec<u8>),
) -> Sent {
    let bytes = Ip::new(from.ip(), to.ip()).carrying(transport);
    Sent::new(zone, talk, bytes, format!("{from} > {to}"))
}

fn either_way(chance: &mut Chance) -> Vec<Zone> {
    let later = (0..8).map(|_| chance.of(&[Zone::Lan, Zone::Wan]));
    [Zone::Lan].into_iter().chain(later).collect()
}

fn datagrams(
    talk: u16,
    ends: impl Fn(Zone) -> (SocketAddr, SocketAddr),
    chance: &mut Chance,
) -> (usize, Vec<Sent>) {
    let packets = either_way(chance).into_iter().map(|zone| {
        let (from, to) = ends(zone);
        sent((talk, zone), (from, to), wire::udp(from, to, &[7; 9]))
    });
    (1 + chance.below(4), packets.collect())
}

fn pings(
    talk: u16,
    ends: impl Fn(Zone) -> (SocketAddr, SocketAddr),
    chance: &mut Chance,
) -> (usize, Vec<Sent>) {
    let id = talk.to_be_bytes();
    let packets = either_way(chance).into_iter().map(|zone| {
        let (from, to) = ends(zone);
        let kind = match (zone, from.is_ipv4()) {
            (Zone::Lan, true) => 8,
            (Zone::Wan, true) => 0,
            (Zone::Lan, false) => 128,
            (Zone::Wan, false) => 129,
        };
        let four = [id[0], id[1], 0, 1];
        let transport = wire::icmp(from.ip(), to.ip(), (kind, 0), four, &[7; 9]);
        sent((talk, zone), (from, to), transport)
    });
    (1 + chance.below(3), packets.collect())
}

/// From the first SYN to the last acknowledgement, or to a reset.
fn segments(
    talk: u16,
    ends: impl Fn(Zone) -> (SocketAddr, SocketAddr),
    chance: &mut Chance,
) -> (usize, Vec<Sent>) {
    let (lan, wan) = (Zone::Lan, Zone::Wan);
    let end = match chance.once_in(4) {
        true => vec![(wan, RST | ACK, 5011, 1011, 0)],
        false => vec![
            (lan, FIN | ACK, 1011, 5011, 0),
            (wan, ACK, 5011, 1012, 0),
            (wan, FIN | ACK, 5011, 1012, 0),
            (lan, ACK, 1012, 5012, 0),
        ],
    };
    let all = [
        vec![
            (lan, SYN, 1000, 0, 0),
            (wan, SYN | ACK, 5000, 1001, 0),
            (lan, ACK, 1001, 5001, 0),
            (lan, PSH | ACK, 1001, 5001, 10),
            (wan, ACK, 5001, 1011, 0),
            (wan, PSH | ACK, 5001, 1011, 10),
            (lan, ACK, 1011, 5011, 0),
        ],
        end,
    ]
    .concat();
    let first = 1 + chance.below(all.len());
    let packets = all.into_iter().map(|(zone, flags, seq, ack, length)| {
        let (from, to) = ends(zone);
        let transport = wire::tcp(from, to, (flags, seq, ack), &[7; 10][..length]);
        sent((talk, zone), (from, to), transport)
    });
    (first, packets.collect())
}
