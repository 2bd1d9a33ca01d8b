//! A seeded generator: conversations of several protocols at once that mostly
//! go right, packets that mostly fit into them, and ICMP errors about them.
//! What becomes of TCP connections is the matter of `tcp/`: here they stay
//! open.

use std::net::SocketAddrV4;

use super::chance::Chance;
use super::packets::{ACK, Body, Damage, FIN, PSH, Packet, SYN, Tcp, at};
use super::router::Zone;

const GATEWAY: [u8; 4] = [203, 0, 113, 2];

/// One end of a conversation: what it sends to, as it sees the other.
#[derive(Debug, Clone)]
struct End {
    zone: Zone,
    own: SocketAddrV4,
    other: SocketAddrV4,
    next: u32,
    scale: u8,
    /// What it has of the other's stream.
    had: u32,
    /// What it sent and may send again.
    sent: Vec<Packet>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tcp,
    Udp,
    Ping,
}

/// A conversation between two ends, through the gateway.
#[derive(Debug)]
struct Talk {
    kind: Kind,
    ends: [End; 2],
    /// How far the handshake is.
    step: u8,
}

/// Packets in the order in which they are to be sent.
pub(crate) fn scenario(seed: u64, packets: usize) -> Vec<(Zone, Packet)> {
    let mut chance = Chance::new(seed);
    let mut talks: Vec<Talk> = (0..6).map(|n| Talk::new(n, &mut chance)).collect();
    (0..packets)
        .map(|_| {
            let which = chance.below(talks.len());
            talks[which].packet(&mut chance)
        })
        .collect()
}

impl Talk {
    fn new(number: u16, chance: &mut Chance) -> Self {
        let kind = chance.of(&[
            Kind::Tcp,
            Kind::Tcp,
            Kind::Tcp,
            Kind::Tcp,
            Kind::Udp,
            Kind::Ping,
        ]);
        let low = u8::try_from(number % 50).unwrap();
        let port = 20_000 + number;
        let end = |zone, own, other, chance: &mut Chance| End {
            zone,
            own,
            other,
            next: if chance.once_in(2) {
                chance.number()
            } else {
                u32::MAX - 3000
            },
            scale: chance.of(&[0, 0, 2, 7, 14]),
            had: 0,
            sent: Vec::new(),
        };
        let inward = kind == Kind::Tcp && chance.once_in(3);
        let ends = if inward {
            let (client, server) = (at([198, 51, 100, 10 + low], port), at([10, 0, 0, 80], 80));
            [
                end(Zone::Wan, client, at(GATEWAY, 8080), chance),
                end(Zone::Lan, server, client, chance),
            ]
        } else {
            let server = match kind {
                Kind::Tcp => at([198, 51, 100, 1], chance.of(&[80, 443, 22])),
                _ => at([198, 51, 100, 3], 53),
            };
            let client = at([10, 0, 0, 2 + low], port);
            [
                end(Zone::Lan, client, server, chance),
                end(Zone::Wan, server, at(GATEWAY, port), chance),
            ]
        };
        Self {
            kind,
            ends,
            step: 0,
        }
    }

    fn packet(&mut self, chance: &mut Chance) -> (Zone, Packet) {
        if chance.once_in(20) {
            return self.error(chance);
        }
        let who = chance.below(2);
        if chance.once_in(12) && !self.ends[who].sent.is_empty() {
            let again = chance.below(self.ends[who].sent.len());
            return (self.ends[who].zone, self.ends[who].sent[again].clone());
        }
        let (who, mut packet) = match self.kind {
            Kind::Tcp => self.segment(who, chance),
            Kind::Udp => {
                let end = &self.ends[who];
                let payload = vec![7; chance.of(&[0, 1, 40, 1200])];
                (who, Packet::new(end.own, end.other, Body::Udp(payload)))
            }
            Kind::Ping => {
                let end = &self.ends[who];
                let kind = [8, 0][who];
                let id = self.ends[0].own.port().to_be_bytes();
                let four = [id[0], id[1], 0, 1];
                (
                    who,
                    Packet::new(end.own, end.other, Body::Icmp(kind, 0, four, vec![9; 56])),
                )
            }
        };
        damage(&mut packet, chance);
        let end = &mut self.ends[who];
        end.sent.push(packet.clone());
        (end.zone, packet)
    }

    /// The next segment of the conversation, or one that does not fit.
    fn segment(&mut self, who: usize, chance: &mut Chance) -> (usize, Packet) {
        let (mut flags, mut length, mut options, mut who) = (ACK, 0, Vec::new(), who);
        match self.step {
            0 => (who, flags) = (0, SYN),
            1 => (who, flags) = (1, SYN | ACK),
            2 => who = 0,
            _ => {
                flags = chance.of(&[ACK, ACK, ACK | PSH, ACK | PSH]);
                if flags & PSH != 0 {
                    length = chance.of(&[1, 10, 536, 1400]);
                }
            }
        }
        if self.step > 3 && chance.once_in(14) {
            flags = chance.of(&[ACK, 0, SYN | FIN, 41]);
            who = chance.below(2);
        }
        let end = &self.ends[who];
        if flags & SYN != 0 {
            options = vec![2, 4, 5, 180, 1, 3, 3, end.scale, 4, 2, 1, 1];
            if chance.once_in(4) {
                options = vec![2, 4, 5, 180];
            }
        } else if chance.once_in(8) {
            let left = end.had.wrapping_add(chance.of(&[100, 1460, 70_000]));
            let right = left.wrapping_add(chance.of(&[1, 1460, 100_000]));
            options = [
                &[1, 1, 5, 10][..],
                &left.to_be_bytes(),
                &right.to_be_bytes(),
            ]
            .concat();
        }
        let mut tcp = Tcp {
            flags,
            seq: end.next,
            ack: if flags & ACK == 0 { 0 } else { end.had },
            window: chance.of(&[0, 512, 8192, 65_535, 65_535]),
            options,
            length,
            ..Tcp::default()
        };
        let is_odd = self.step > 3 && chance.once_in(6);
        if is_odd {
            let far: [u32; 10] = [
                0u32.wrapping_sub(1),
                1,
                1000,
                65_535,
                65_536,
                1 << 20,
                (1 << 31) - 9,
                0u32.wrapping_sub(1000),
                0u32.wrapping_sub(66_000),
                0u32.wrapping_sub(70_000),
            ];
            match chance.below(3) {
                0 => tcp.seq = tcp.seq.wrapping_add(chance.of(&far)),
                1 => tcp.ack = tcp.ack.wrapping_add(chance.of(&far)),
                _ => (tcp.seq, tcp.ack) = (tcp.seq.wrapping_add(chance.of(&far)), chance.number()),
            }
        } else {
            self.goes_on(who, &tcp);
        }
        let end = &self.ends[who];
        (who, Packet::new(end.own, end.other, Body::Tcp(tcp)))
    }

    /// The ends take note of a segment that fits.
    fn goes_on(&mut self, who: usize, tcp: &Tcp) {
        let takes = u32::try_from(tcp.length).unwrap()
            + u32::from(tcp.flags & SYN != 0)
            + u32::from(tcp.flags & FIN != 0);
        let next = tcp.seq.wrapping_add(takes);
        self.ends[who].next = next;
        self.ends[1 - who].had = next;
        self.step = match (self.step, tcp.flags & (SYN | ACK), who) {
            (0, SYN, 0) => 1,
            (1, flags, 1) if flags == SYN | ACK => 2,
            (2, ACK, 0) => 3,
            (step, _, _) if step >= 3 => 4,
            (step, _, _) => step,
        };
    }

    /// An ICMP error about something that was sent, true or forged.
    fn error(&self, chance: &mut Chance) -> (Zone, Packet) {
        let who = chance.below(2);
        // Who receives `ends[1 - who]`'s packets sees them as answers to its own.
        let (me, other) = (&self.ends[who], &self.ends[1 - who]);
        let Some(about) = other.sent.last().cloned() else {
            let body = Body::Icmp(
                chance.of(&[0, 3, 8, 5, 13, 17]),
                0,
                [0, 1, 0, 1],
                vec![0; 8],
            );
            return (me.zone, Packet::new(me.own, me.other, body));
        };
        let mut quoted = about;
        quoted.damage = None;
        quoted.from = me.other;
        quoted.to = me.own;
        quoted.ttl = 63;
        if chance.once_in(4) {
            quoted.from.set_port(chance.of(&[1, 4000]));
        }
        let mut quote = quoted.bytes();
        quote.truncate(chance.of(&[20, 27, 28, 48, 548]));
        let (kind, code) = chance.of(&[(3, 1), (3, 3), (3, 13), (3, 4), (11, 0), (12, 0), (4, 0)]);
        let from = match chance.once_in(3) {
            true => at([198, 51, 100, 99], 0),
            false => me.own,
        };
        let four = if code == 4 { [0, 0, 5, 0] } else { [0; 4] };
        let mut packet = Packet::new(from, me.other, Body::Icmp(kind, code, four, quote));
        if from != me.own && me.zone == Zone::Lan {
            packet.from = at([10, 0, 0, 99], 0);
        }
        damage(&mut packet, chance);
        (me.zone, packet)
    }
}

/// Now and then something is wrong with a packet.
fn damage(packet: &mut Packet, chance: &mut Chance) {
    if !chance.once_in(16) {
        return;
    }
    match chance.below(8) {
        // Not 1: see `expired` in docs/kernel-parity.md.
        0 | 1 => packet.ttl = 2,
        2 => packet.damage = Some(Damage::IpChecksum),
        3 | 4 => packet.damage = Some(Damage::TransportChecksum),
        5 => packet.damage = Some(Damage::TransportLength(chance.of(&[0, 4, 15]))),
        6 => packet.damage = Some(Damage::TotalLength(9)),
        _ => packet.damage = Some(Damage::Trailer),
    }
}
