//! What does not fit: numbers at the edges of windows and beyond, flags that
//! nobody sends, broken options.

use super::super::chance::Chance;
use super::super::packets::{ACK, Damage, FIN, PSH, Packet, RST, SYN, Tcp};
use super::talk::{End, Talk};
use super::{CWR, ECE, URG};

/// The least span within which an acknowledgement may be late.
const ACK_WINDOW: u32 = 66_000;

/// Any segment of any end.
pub(super) fn anything(talk: &Talk, chance: &mut Chance) -> (usize, Tcp) {
    let who = chance.below(2);
    let end = &talk.ends[who];
    let scanners = [
        0,
        SYN | FIN,
        SYN | RST,
        FIN,
        FIN | PSH | URG,
        URG,
        PSH,
        0x3f,
        ACK | SYN | FIN,
    ];
    let flags = match chance.below(12) {
        0 => chance.of(&scanners),
        1 => u8::try_from(chance.below(256)).unwrap(),
        2 | 3 => SYN,
        4 | 5 => SYN | ACK,
        6 | 7 => RST,
        8 => RST | ACK,
        9 => FIN | ACK,
        _ => ACK,
    };
    let mut tcp = Tcp {
        flags,
        seq: end.next,
        ack: if flags & ACK == 0 { 0 } else { end.had },
        window: chance.of(&[0, 512, 8192, 65_535]),
        length: chance.of(&[0, 0, 0, 1, 300]),
        ..Tcp::default()
    };
    if flags & SYN != 0 {
        tcp.options = syn_options(0, chance).0;
        tcp.length = chance.of(&[0, 0, 0, 0, 100]);
    }
    if !chance.once_in(3) {
        bend_numbers(talk, who, &mut tcp, chance);
    }
    spare_flags(&mut tcp, chance);
    (who, tcp)
}

/// Something about a segment is not right.
pub(super) fn bend(talk: &Talk, who: usize, tcp: &mut Tcp, chance: &mut Chance) {
    match chance.below(8) {
        0 => tcp.flags ^= chance.of(&[SYN, FIN, RST, ACK, URG]),
        1 => tcp.window = chance.of(&[0, 1, 65_535]),
        2 => tcp.length = chance.of(&[0, 1, 1400]),
        3 => {
            tcp.options = chance
                .of::<&[u8]>(&[
                    &[5, 6, 0, 0, 0, 1, 1, 1],
                    &[3, 4, 1, 1],
                    &[254, 0, 0, 0],
                    &[2, 44, 1, 1],
                    &[1, 1, 1, 4],
                ])
                .to_vec();
        }
        _ => bend_numbers(talk, who, tcp, chance),
    }
}

fn bend_numbers(talk: &Talk, who: usize, tcp: &mut Tcp, chance: &mut Chance) {
    let which = chance.below(5);
    if which != 1 {
        tcp.seq = odd_seq(talk, who, tcp, chance);
    }
    if which == 1 || which == 2 {
        tcp.ack = odd_ack(talk, who, tcp, chance);
    }
}

/// A number at one of the edges that tracking knows, or far from all.
fn odd_seq(talk: &Talk, who: usize, tcp: &Tcp, chance: &mut Chance) -> u32 {
    let (end, other) = (&talk.ends[who], &talk.ends[1 - who]);
    let length = u32::try_from(tcp.length).unwrap();
    let far = chance.number();
    let edge = chance.of(&[
        end.next,
        end.acked,
        other.had,
        end.limit,
        end.limit.wrapping_add(other.offered).wrapping_sub(length),
        end.next.wrapping_sub(other.offered).wrapping_sub(length),
        tcp.seq.wrapping_add(100_000),
        tcp.seq.wrapping_sub(100_000),
        0,
        far,
    ]);
    edge.wrapping_add(chance.of(&[0, 0, 1, 2, 0u32.wrapping_sub(1), 0u32.wrapping_sub(2), 500]))
}

fn odd_ack(talk: &Talk, who: usize, tcp: &Tcp, chance: &mut Chance) -> u32 {
    let (end, other) = (&talk.ends[who], &talk.ends[1 - who]);
    let late = end.offered.max(ACK_WINDOW);
    let far = chance.number();
    let edge = chance.of(&[
        end.had,
        other.next,
        other.next.wrapping_sub(late),
        other.acked,
        tcp.ack.wrapping_add(70_000),
        0,
        far,
    ]);
    edge.wrapping_add(chance.of(&[0, 1, 2, 0u32.wrapping_sub(1), 0u32.wrapping_sub(2)]))
}

/// Options of a SYN, and how it scales.
pub(super) fn syn_options(scale: u8, chance: &mut Chance) -> (Vec<u8>, u8) {
    let scale = match chance.below(4) {
        0 => scale,
        _ => chance.of(&[0, 2, 7, 14, 15]),
    };
    let all = vec![2, 4, 5, 180, 1, 3, 3, scale, 4, 2, 1, 1];
    match chance.below(8) {
        0 => (vec![2, 4, 5, 180], 0),
        1 => (Vec::new(), 0),
        2 => (vec![4, 2, 1, 1], 0),
        3 => (vec![3, 3, scale, 0, 4, 2, 1, 1], scale.min(14)),
        _ => (all, scale.min(14)),
    }
}

/// Options of any other segment: time stamps, and what was got out of order.
pub(super) fn options(end: &End, other_next: u32, chance: &mut Chance) -> Vec<u8> {
    let block = |chance: &mut Chance| {
        let right = chance.of(&[
            other_next,
            other_next.wrapping_add(1),
            other_next.wrapping_sub(1),
            end.had.wrapping_add(1460),
            end.had.wrapping_add(100_000),
            end.had.wrapping_sub(100_000),
        ]);
        [right.wrapping_sub(100).to_be_bytes(), right.to_be_bytes()].concat()
    };
    let stamps = [8, 10, 0, 0, 0, 1, 0, 0, 0, 2];
    match chance.below(6) {
        0 => [&[1, 1][..], &stamps].concat(),
        1 => [&[1, 1, 5, 18][..], &block(chance), &block(chance)].concat(),
        2 => [&[5, 10][..], &block(chance), &[5, 10], &block(chance)].concat(),
        3 => [&stamps[..], &[5, 10], &block(chance)].concat(),
        4 => [&[5, 14][..], &block(chance), &[0, 0, 0, 9, 1, 1]].concat(),
        _ => [&[1, 1, 5, 10][..], &block(chance)].concat(),
    }
}

/// Flags that do not count: PSH, those of congestion, reserved ones.
pub(super) fn spare_flags(tcp: &mut Tcp, chance: &mut Chance) {
    if chance.once_in(12) {
        tcp.flags ^= chance.of(&[PSH, ECE, CWR, ECE | CWR]);
    }
    if chance.once_in(30) {
        tcp.reserved = u8::try_from(1 + chance.below(15)).unwrap();
    }
}

/// Now and then something else is wrong with a packet.
pub(super) fn damage(packet: &mut Packet, chance: &mut Chance) {
    packet.damage = Some(chance.of(&[
        Damage::IpChecksum,
        Damage::TransportChecksum,
        Damage::TransportChecksum,
        Damage::TransportLength(0),
        Damage::TransportLength(4),
        Damage::TransportLength(15),
        Damage::TotalLength(9),
        Damage::Trailer,
    ]));
}
