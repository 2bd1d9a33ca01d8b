//! A conversation whose ends know what reached them: each keeps its numbers
//! from what was delivered, so that a lost segment is sent again and nobody
//! talks past a closed window for ever.

use std::net::SocketAddrV4;

use super::super::chance::Chance;
use super::super::packets::{ACK, Body, FIN, PSH, Packet, RST, SYN, Tcp, at};
use super::super::router::Zone;
use super::script::{Do, Mix, Step, script};

const GATEWAY: [u8; 4] = [203, 0, 113, 2];

/// One end, and what it knows.
#[derive(Debug, Clone)]
pub(super) struct End {
    pub(super) zone: Zone,
    own: SocketAddrV4,
    other: SocketAddrV4,
    /// The next number that it sends.
    pub(super) next: u32,
    /// The next number that it awaits.
    pub(super) had: u32,
    /// What of its own was acknowledged.
    pub(super) acked: u32,
    /// Behind the last number that the other end takes.
    pub(super) limit: u32,
    /// The largest window that it offered, scaled.
    pub(super) offered: u32,
    /// By how much its windows are scaled.
    scale: u8,
    /// What it sent.
    sent: Vec<Packet>,
}

/// A conversation between two ends, through the gateway.
#[derive(Debug)]
pub(crate) struct Talk {
    pub(super) ends: [End; 2],
    script: Vec<Step>,
    at: usize,
    mix: Mix,
    /// Whose packet was given out last, and whether it was as the script has it.
    last: (usize, Packet, bool),
}

impl Talk {
    /// The `number`th conversation, with client ports from 20 000 on.
    pub(crate) fn new(number: u16, mix: Mix, chance: &mut Chance) -> Self {
        let low = u8::try_from(number % 50).unwrap();
        let port = 20_000 + number;
        let end = |zone, own, other, chance: &mut Chance| End {
            zone,
            own,
            other,
            next: match chance.below(3) {
                0 => u32::MAX - 3000,
                _ => chance.number(),
            },
            had: 0,
            acked: 0,
            limit: 0,
            offered: 1,
            scale: 0,
            sent: Vec::new(),
        };
        let (lan, server) = (at([10, 0, 0, 2 + low], port), at([198, 51, 100, 1], 443));
        let (wan, web) = (at([198, 51, 100, 10 + low], port), at([10, 0, 0, 80], 80));
        let ends = if chance.once_in(3) {
            [
                end(Zone::Wan, wan, at(GATEWAY, 8080), chance),
                end(Zone::Lan, web, wan, chance),
            ]
        } else {
            [
                end(Zone::Lan, lan, server, chance),
                end(Zone::Wan, server, at(GATEWAY, port), chance),
            ]
        };
        let nothing = Packet::new(lan, server, Body::Udp(Vec::new()));
        Self {
            ends,
            script: script(mix, chance),
            at: 0,
            mix,
            last: (0, nothing, false),
        }
    }

    /// Whether the script is at its end.
    pub(crate) fn is_over(&self) -> bool {
        self.at >= self.script.len()
    }

    /// The next packet.
    pub(crate) fn packet(&mut self, chance: &mut Chance) -> (Zone, Packet) {
        let (who, packet, by_script) = self.choose(chance);
        let end = &mut self.ends[who];
        end.sent.push(packet.clone());
        self.last = (who, packet.clone(), by_script);
        (end.zone, packet)
    }

    fn choose(&mut self, chance: &mut Chance) -> (usize, Packet, bool) {
        let who = chance.below(2);
        let odd = self.mix.odd();
        if chance.once_in(odd) && !self.ends[who].sent.is_empty() {
            let sent = &self.ends[who].sent;
            let from = sent.len().saturating_sub(8);
            let again = from + chance.below(sent.len() - from);
            return (who, sent[again].clone(), false);
        }
        if chance.once_in(odd) {
            let (who, tcp) = super::mischief::anything(self, chance);
            return (who, self.send(who, tcp), false);
        }
        let step = self.script[self.at];
        let who = step.who;
        let mut tcp = self.as_told(step, chance);
        let mut by_script = true;
        if chance.once_in(odd) {
            super::mischief::bend(self, who, &mut tcp, chance);
            by_script = false;
        }
        let mut packet = self.send(who, tcp);
        if chance.once_in(40) {
            super::mischief::damage(&mut packet, chance);
            by_script = false;
        }
        (who, packet, by_script)
    }

    fn send(&self, who: usize, tcp: Tcp) -> Packet {
        let end = &self.ends[who];
        Packet::new(end.own, end.other, Body::Tcp(tcp))
    }

    /// What the gateway made of the last packet.
    pub(crate) fn went(&mut self, forwarded: bool, chance: &mut Chance) {
        let (who, packet, by_script) = self.last.clone();
        let Body::Tcp(tcp) = &packet.body else { return };
        if by_script {
            // Lost, it is sent again once or twice.
            if forwarded || chance.once_in(3) {
                self.at += 1;
            }
            let end = &mut self.ends[who];
            let behind = tcp.seq.wrapping_add(takes(tcp));
            if forwarded && behind.wrapping_sub(end.next).cast_signed() > 0 {
                end.next = behind;
            }
        }
        if forwarded {
            self.arrives(1 - who, tcp);
        }
    }

    /// An end gets a segment: it takes what is next.
    fn arrives(&mut self, who: usize, tcp: &Tcp) {
        let (sender_scale, end) = (self.ends[1 - who].scale, &mut self.ends[who]);
        let behind = tcp.seq.wrapping_add(takes(tcp));
        let is_syn = tcp.flags & SYN != 0;
        if is_syn || tcp.seq == end.had {
            end.had = behind;
        }
        if tcp.flags & ACK != 0 && tcp.ack.wrapping_sub(end.acked).cast_signed() >= 0 || is_syn {
            end.acked = tcp.ack;
            let shift = if is_syn { 0 } else { sender_scale };
            let window = u32::from(tcp.window) << shift;
            let from = if tcp.flags & ACK != 0 {
                tcp.ack
            } else {
                end.next
            };
            end.limit = from.wrapping_add(window);
            let other = &mut self.ends[1 - who];
            other.offered = other.offered.max(window);
        }
    }

    /// The segment that the script asks for, with the right numbers.
    fn as_told(&mut self, step: Step, chance: &mut Chance) -> Tcp {
        let who = step.who;
        if let Do::Anew(by) = step.what {
            let other = &mut self.ends[1 - who];
            (other.had, other.limit) = (0, 0);
            let end = &mut self.ends[who];
            end.next = end.next.wrapping_add(by);
            (end.had, end.limit, end.acked) = (0, 0, end.next);
        }
        let other_next = self.ends[1 - who].next;
        let end = &mut self.ends[who];
        let room = end
            .limit
            .wrapping_sub(end.next)
            .cast_signed()
            .clamp(0, 1400);
        let room = usize::try_from(room).unwrap();
        let window = chance.of(&[0, 1, 512, 8192, 8192, 65_535, 65_535]);
        let mut tcp = Tcp {
            flags: ACK,
            seq: end.next,
            ack: end.had,
            window,
            ..Tcp::default()
        };
        match step.what {
            Do::Syn | Do::Anew(_) | Do::SynWith(_) => {
                (tcp.flags, tcp.ack) = (SYN, 0);
                if let Do::SynWith(length) = step.what {
                    tcp.length = length;
                }
            }
            Do::SynAck => tcp.flags = SYN | ACK,
            Do::Ack => {}
            Do::Stale => (tcp.seq, tcp.ack) = (chance.number(), chance.number()),
            Do::Data => {
                tcp.flags = chance.of(&[ACK, ACK | PSH]);
                // A window that is closed is probed with an octet.
                tcp.length = chance.of(&[1, 10, 536, 1400]).min(room).max(1);
            }
            Do::KeepAlive => {
                tcp.seq = tcp.seq.wrapping_sub(1);
                tcp.length = chance.below(2);
            }
            Do::Urgent => {
                (tcp.flags, tcp.urgent) = (ACK | PSH | super::URG, chance.of(&[1, 5]));
                tcp.length = 5.min(room);
            }
            Do::Fin(length) => {
                tcp.flags = FIN | ACK;
                tcp.length = length.min(room);
            }
            Do::Rst => (tcp.flags, tcp.ack) = (RST, 0),
            Do::RstAck => tcp.flags = RST | ACK,
            // The answer to a segment that nobody expected (RFC 9293 section 3.5.2).
            Do::RstTo => (tcp.flags, tcp.seq, tcp.ack) = (RST, end.acked, 0),
            Do::Refusal => (tcp.flags, tcp.seq, tcp.ack) = (RST | ACK, 0, other_next),
        }
        if tcp.flags & SYN != 0 {
            (tcp.options, end.scale) = super::mischief::syn_options(end.scale, chance);
        } else if chance.once_in(6) {
            tcp.options = super::mischief::options(end, other_next, chance);
        }
        super::mischief::spare_flags(&mut tcp, chance);
        tcp
    }
}

/// How many numbers a segment takes.
fn takes(tcp: &Tcp) -> u32 {
    u32::try_from(tcp.length).unwrap()
        + u32::from(tcp.flags & SYN != 0)
        + u32::from(tcp.flags & FIN != 0)
}
