//! Datagrams in pieces: gathered, judged whole, and sent on in pieces.

use std::collections::BTreeMap;

use spigate::engine::{CtState, Event, Output, Reason, Verdict};

use super::dialogue::Dialogue;
use super::lab::{LAN, Lab, Sent, WAN, moment};
use super::packets::{Packet, echo, icmp, resummed, tcp, udp};
use super::policies::{OFFICE, PLAIN, PUBLIC};
use super::seen::{Body, Seen, Sums};
use super::wants::{drop_for, forward_to, hold};

const CLIENT: &str = "10.0.0.7:5000";
const SERVER: &str = "198.51.100.9:53";
const V6_CLIENT: &str = "[2001:db8:10::7]:5000";
const V6_SERVER: &str = "[2001:db8:5::9]:53";

/// Where the payload that is cut begins: behind the IP header.
fn header(bytes: &[u8]) -> usize {
    match bytes[0] >> 4 {
        4 => usize::from(bytes[0] & 0x0f) * 4,
        _ => 40,
    }
}

/// The piece of a packet from `start` to `end` of its payload.
fn piece(packet: &[u8], start: usize, end: usize, more: bool) -> Vec<u8> {
    let header = header(packet);
    let mut bytes = packet[..header].to_vec();
    let place = u16::try_from(start).unwrap();
    if packet[0] >> 4 == 4 {
        bytes.extend_from_slice(&packet[header + start..header + end]);
        let length = u16::try_from(bytes.len()).unwrap();
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        let kept = u16::from_be_bytes([bytes[6], bytes[7]]) & 0xc000;
        let field = kept | (u16::from(more) << 13) | (place / 8);
        bytes[6..8].copy_from_slice(&field.to_be_bytes());
        return resummed(bytes);
    }
    bytes.extend_from_slice(&[bytes[6], 0]);
    bytes[6] = 44;
    bytes.extend_from_slice(&(place | u16::from(more)).to_be_bytes());
    bytes.extend_from_slice(&[0, 0, 0x12, 0x34]);
    bytes.extend_from_slice(&packet[header + start..header + end]);
    let length = u16::try_from(bytes.len() - 40).unwrap();
    bytes[4..6].copy_from_slice(&length.to_be_bytes());
    bytes
}

/// A packet in pieces that end at these places and at its end.
fn cut(packet: &Packet, places: &[usize]) -> Vec<Vec<u8>> {
    cut_bytes(&packet.bytes(), places)
}

fn cut_bytes(bytes: &[u8], places: &[usize]) -> Vec<Vec<u8>> {
    let end = bytes.len() - header(bytes);
    let starts = [0].into_iter().chain(places.iter().copied());
    let ends = places.iter().copied().chain([end]);
    starts
        .zip(ends)
        .map(|(start, stop)| piece(bytes, start, stop, stop < end))
        .collect()
}

/// Puts pieces that left together, with a hand as simple as can be.
fn joined(pieces: &[Vec<u8>]) -> Seen {
    let mut payloads = BTreeMap::new();
    let mut first = Vec::new();
    for bytes in pieces {
        let at = header(bytes);
        let (offset, payload) = if bytes[0] >> 4 == 4 {
            assert_eq!(resummed(bytes.clone()), *bytes, "header checksum");
            let field = u16::from_be_bytes([bytes[6], bytes[7]]);
            (usize::from(field & 0x1fff) * 8, &bytes[at..])
        } else {
            let field = u16::from_be_bytes([bytes[42], bytes[43]]);
            (usize::from(field & 0xfff8), &bytes[48..])
        };
        if offset == 0 {
            first = bytes[..at].to_vec();
            if bytes[0] >> 4 == 6 {
                first[6] = bytes[40];
            }
        }
        payloads.insert(offset, payload.to_vec());
    }
    let mut next = 0;
    for (offset, payload) in payloads {
        assert_eq!(offset, next, "a gap");
        next += payload.len();
        first.extend_from_slice(&payload);
    }
    if first[0] >> 4 == 4 {
        let length = u16::try_from(first.len()).unwrap();
        first[2..4].copy_from_slice(&length.to_be_bytes());
        first[6] &= 0x40;
        first[7] = 0;
        first = resummed(first);
    } else {
        let length = u16::try_from(first.len() - 40).unwrap();
        first[4..6].copy_from_slice(&length.to_be_bytes());
    }
    Seen::read(&first, Sums::Right)
}

/// Sends all; all but the last are held.
fn send_all(lab: &mut Lab, zone: &'static str, pieces: &[Vec<u8>]) -> Sent {
    let (last, before) = pieces.split_last().unwrap();
    for piece in before {
        let _ = lab.at(0.0).from(zone).send(piece.clone()).expect(hold());
    }
    lab.at(0.0).from(zone).send(last.clone())
}

fn refuses(lab: &mut Lab, piece: &[u8], reason: Reason) {
    let _ = lab.at(0.0).from(LAN).send(piece).expect(drop_for(reason));
}

fn lengths(pieces: &[Vec<u8>]) -> Vec<usize> {
    pieces.iter().map(Vec::len).collect()
}

fn question() -> Packet {
    udp(CLIENT, SERVER).data((0..=255).cycle().take(1000).collect::<Vec<u8>>())
}

fn question_v6() -> Packet {
    udp(V6_CLIENT, V6_SERVER).data((0..=255).cycle().take(1000).collect::<Vec<u8>>())
}

const ORDERS: [[usize; 3]; 6] = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
];

#[test]
fn t_4787_req_14__three_pieces_from_outside_in_each_order_reach_the_client() {
    for order in ORDERS {
        let mut lab = Lab::new(OFFICE);
        let _ = lab.at(0.0).from(LAN).send(question().data("?"));
        let answer = udp(SERVER, &format!("{PUBLIC}:5000")).data([7; 1000]);
        let pieces = cut(&answer, &[400, 800]);
        let sent = send_all(&mut lab, WAN, &order.map(|place| pieces[place].clone()));
        assert_eq!(sent.judgement.ct, CtState::Established);
        let left = joined(&sent.pieces);
        assert_eq!(left.destination, CLIENT);
        assert_eq!(left.body, Body::Udp(vec![7; 1000]));
    }
}

#[test]
fn t_815_order__any_order_gives_the_datagram_and_repeats_are_ignored() {
    for packet in [question(), question_v6()] {
        for order in ORDERS {
            let mut lab = Lab::new(PLAIN);
            let pieces = cut(&packet, &[400, 800]);
            let first = &pieces[order[0]];
            let _ = lab.at(0.0).from(LAN).send(first.clone()).expect(hold());
            let sent = send_all(&mut lab, LAN, &order.map(|place| pieces[place].clone()));
            let left = joined(&sent.pieces);
            assert_eq!(left.kept(), Seen::read(&packet.bytes(), Sums::Right).kept());
        }
    }
}

#[test]
fn t_8200_dup__an_exact_repeat_is_ignored() {
    let mut lab = Lab::new(PLAIN);
    let pieces = cut(&question_v6(), &[400]);
    let _ = lab.at(0.0).from(LAN).send(pieces[0].clone()).expect(hold());
    let sent = send_all(&mut lab, LAN, &pieces);
    assert_eq!(joined(&sent.pieces).source, V6_CLIENT);
}

#[test]
fn t_lnx_frag__a_part_of_a_piece_that_says_the_same_is_ignored_and_another_is_not() {
    for packet in [question(), question_v6()] {
        let bytes = packet.bytes();
        for (start, end) in [(0, 400), (0, 8), (96, 200), (392, 400)] {
            let mut lab = Lab::new(PLAIN);
            let pieces = cut(&packet, &[400]);
            let again = piece(&bytes, start, end, true);
            let sent = send_all(
                &mut lab,
                LAN,
                &[pieces[0].clone(), again, pieces[1].clone()],
            );
            assert_eq!(
                joined(&sent.pieces),
                Seen::read(&passed(&bytes), Sums::Right)
            );
        }
        // Other octets there, or octets of two pieces.
        let mut other = piece(&bytes, 96, 200, true);
        *other.last_mut().unwrap() ^= 1;
        for (again, reason) in [
            (other, Reason::FragmentOverlap),
            (piece(&bytes, 392, 408, true), Reason::FragmentOverlap),
        ] {
            let mut lab = Lab::new(PLAIN);
            let pieces = cut(&packet, &[400, 800]);
            for piece in &pieces[..2] {
                let _ = lab.at(0.0).from(LAN).send(piece.clone()).expect(hold());
            }
            refuses(&mut lab, &again, reason);
            refuses(&mut lab, &pieces[2], reason);
        }
    }
}

/// A packet that has passed a router.
fn passed(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    match bytes[0] >> 4 {
        4 => {
            bytes[8] -= 1;
            resummed(bytes)
        }
        _ => {
            bytes[7] -= 1;
            bytes
        }
    }
}

#[test]
fn an_ipv6_datagram_no_longer_than_its_longest_piece_leaves_whole() {
    let mut lab = Lab::new(PLAIN);
    // The fragment header takes eight octets: 1000 and 8 of payload.
    let sent = send_all(&mut lab, LAN, &cut(&question_v6(), &[1000]));
    assert_eq!(sent.pieces, [[0; 0]; 0]);
    let (_, whole) = sent.forwarded.unwrap();
    assert_eq!(whole.bytes, passed(&question_v6().bytes()));
    let sent = send_all(&mut lab, LAN, &cut(&question_v6(), &[992]));
    assert_eq!(lengths(&sent.pieces), [1040, 64]);
}

#[test]
fn t_1122_texc__who_asks_the_gateway_is_told_that_pieces_are_missing() {
    for (question, address, error) in [
        (echo("10.0.0.7", "10.0.0.1", 7), "10.0.0.1", [11, 1]),
        (
            echo("2001:db8:10::7", "2001:db8:10::1", 7),
            "2001:db8:10::1",
            [3, 1],
        ),
    ] {
        let pieces = cut(&question.data([9; 600]), &[304]);
        for (come, told) in [(0, true), (1, false)] {
            let mut lab = Lab::new(PLAIN);
            let _ = lab
                .at(0.0)
                .from(LAN)
                .send(pieces[come].clone())
                .expect(hold());
            let mut out = Output::default();
            lab.engine.expire(moment(61.0), &mut out);
            let made: Vec<_> = out
                .made
                .iter()
                .map(|made| Seen::read(&made.bytes, Sums::Right))
                .collect();
            assert_eq!(
                made.len(),
                usize::from(told),
                "only who sent the first piece"
            );
            for seen in made {
                assert_eq!(seen.source, address);
                let at = header(&seen.bytes);
                assert_eq!(seen.bytes[at..at + 2], error);
                assert_eq!(seen.quote(), pieces[0]);
            }
        }
    }
    // Of what comes through, its receiver may tell (`wait_until` sees that
    // nothing is sent).
    given_up_after(&super::fragments::question(), 30.0);
}

#[test]
fn t_7112_chain__a_first_piece_without_the_whole_chain_waits_and_is_judged_whole() {
    let bytes = question_v6().bytes();
    // A header for the receiver of 16 octets, cut in its middle.
    let mut long = bytes[..40].to_vec();
    long[6] = 60;
    long.extend([17, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    long.extend(&bytes[40..]);
    let length = u16::try_from(long.len() - 40).unwrap();
    long[4..6].copy_from_slice(&length.to_be_bytes());
    let mut lab = Lab::new(PLAIN);
    let sent = send_all(&mut lab, LAN, &cut_bytes(&long, &[8]));
    assert_eq!(sent.judgement.reason, Reason::Rule);
    assert!(sent.forwarded.is_some(), "it fits whole");
    let [entry] = &lab.table()[..] else {
        panic!("{:?}", lab.table());
    };
    assert!(entry.contains(":5000"), "tracked by its ports: {entry}");
}

#[test]
fn t_lnx_frag__a_datagram_leaves_in_the_pieces_it_came_in_first_one_first() {
    for (packet, extra) in [(question(), 20), (question_v6(), 48)] {
        let mut lab = Lab::new(OFFICE);
        let mut pieces = cut(&packet, &[24, 648]);
        pieces.reverse();
        let sent = send_all(&mut lab, LAN, &pieces);
        assert_eq!(
            lengths(&sent.pieces),
            [24, 624, 360].map(|size| size + extra)
        );
        assert_eq!(sent.frame, pieces[2]);
        let ids = |bytes: &Vec<u8>| match bytes[0] >> 4 {
            4 => bytes[4..6].to_vec(),
            _ => bytes[44..48].to_vec(),
        };
        assert!(
            sent.pieces
                .iter()
                .all(|piece| ids(piece) == ids(&pieces[0]))
        );
        let source = joined(&sent.pieces).source;
        assert!(["203.0.113.2:5000", "[2001:db8:ff::2]:5000"].contains(&&*source));
    }
}

#[test]
fn t_frag_nat__all_pieces_get_one_translation_and_the_sum_is_right() {
    let mut lab = Lab::new(OFFICE);
    let sent = send_all(&mut lab, LAN, &cut(&question(), &[8, 16, 504]));
    assert_eq!(sent.judgement.reason, Reason::Rule);
    let source = [203, 0, 113, 2];
    assert!(sent.pieces.iter().all(|piece| piece[12..16] == source));
    assert!(sent.pieces.iter().all(|piece| piece[8] == 63));
    assert_eq!(joined(&sent.pieces).source, format!("{PUBLIC}:5000"));
    assert_eq!(lab.table().len(), 1);
}

#[test]
fn t_frag_rules__one_answer_for_all_pieces() {
    // The rule is about a port that only the first piece has.
    let rules = OFFICE.replace(
        r#"{ id = "lan-out",     from = "lan", to = "wan", action"#,
        r#"{ id = "lan-out",     from = "lan", to = "wan", service = "web", action"#,
    );
    for order in ORDERS {
        let mut lab = Lab::new(&rules);
        let pieces = cut(&question(), &[400, 800]);
        let sent = send_all(&mut lab, LAN, &order.map(|place| pieces[place].clone()));
        let _ = sent.expect(drop_for(Reason::DefaultPolicy));
        assert!(lab.table().is_empty());
    }
    // Without the first piece nothing passes.
    let mut lab = Lab::new(PLAIN);
    for piece in &cut(&question(), &[400, 800])[1..] {
        let _ = lab.at(0.0).from(LAN).send(piece.clone()).expect(hold());
    }
}

fn overlapping(packet: &Packet) {
    let bytes = packet.bytes();
    let end = bytes.len() - header(&bytes);
    for (start, stop, more) in [
        (0, 8, true),
        (0, 408, true),
        (8, 16, true),
        (392, 400, true),
        (392, 800, true),
        (792, 808, true),
        (792, end, false),
        (808, end, false),
        (end - 16, end - 8, false),
    ] {
        let mut lab = Lab::new(PLAIN);
        let pieces = cut(packet, &[400, 800]);
        for known in [&pieces[0], &pieces[2]] {
            let _ = lab.at(0.0).from(LAN).send(known.clone()).expect(hold());
        }
        let mut wrong = piece(&bytes, start, stop, more);
        *wrong.last_mut().unwrap() ^= 1;
        refuses(&mut lab, &wrong, Reason::FragmentOverlap);
        for late in &pieces {
            refuses(&mut lab, late, Reason::FragmentOverlap);
        }
    }
}

#[test]
fn t_5722_overlap__overlapping_ipv6_pieces_lose_the_datagram_and_what_comes_later() {
    overlapping(&question_v6());
}

#[test]
fn t_1858_overlap__overlapping_ipv4_pieces_lose_the_datagram_too() {
    overlapping(&question());
    // The same place, other octets.
    let mut lab = Lab::new(PLAIN);
    let pieces = cut(&question(), &[400]);
    let _ = lab.at(0.0).from(LAN).send(pieces[0].clone()).expect(hold());
    let mut other = pieces[0].clone();
    other[22] ^= 1;
    refuses(&mut lab, &other, Reason::FragmentOverlap);
    refuses(&mut lab, &pieces[1], Reason::FragmentOverlap);
}

#[test]
fn t_1858_tiny__a_first_piece_without_the_whole_tcp_header_is_refused() {
    for octets in [8, 16] {
        let mut lab = Lab::new(PLAIN);
        let pieces = cut(
            &tcp("10.0.0.7:5000", SERVER).syn().data([0; 100]),
            &[octets],
        );
        refuses(&mut lab, &pieces[0], Reason::FragmentTiny);
        refuses(&mut lab, &pieces[1], Reason::FragmentTiny);
        assert!(lab.table().is_empty());
    }
}

#[test]
fn t_3128_fo1__a_piece_that_would_overwrite_flags_is_refused() {
    let packet = tcp("10.0.0.7:5000", SERVER).syn().data([0; 100]);
    let bytes = packet.bytes();
    let mut lab = Lab::new(PLAIN);
    refuses(&mut lab, &piece(&bytes, 8, 16, true), Reason::FragmentTiny);
    // Three pieces: a right one, one of eight octets with another port, the rest.
    let mut lab = Lab::new(PLAIN);
    let pieces = cut(&packet, &[24]);
    let _ = lab.at(0.0).from(LAN).send(pieces[0].clone()).expect(hold());
    let mut other = bytes.clone();
    other[23] = 80;
    refuses(&mut lab, &piece(&other, 0, 8, true), Reason::FragmentTiny);
    refuses(&mut lab, &pieces[1], Reason::FragmentTiny);
}

#[test]
fn t_791_mult8__a_piece_that_ends_between_is_dropped() {
    for packet in [question(), question_v6()] {
        let mut lab = Lab::new(PLAIN);
        refuses(
            &mut lab,
            &piece(&packet.bytes(), 0, 20, true),
            Reason::BadLength,
        );
        let sent = send_all(&mut lab, LAN, &cut(&packet, &[400]));
        assert_eq!(joined(&sent.pieces).ttl, 63);
    }
}

#[test]
fn t_791_64k__a_piece_behind_the_longest_packet_is_dropped() {
    for packet in [question(), question_v6()] {
        let mut lab = Lab::new(PLAIN);
        let mut beyond = piece(&packet.bytes(), 0, 400, false);
        match beyond[0] >> 4 {
            4 => {
                beyond[6..8].copy_from_slice(&[0x1f, 0xff]);
                beyond = resummed(beyond);
            }
            _ => beyond[42..44].copy_from_slice(&[0xff, 0xf8]),
        }
        refuses(&mut lab, &beyond, Reason::BadLength);
    }
}

#[test]
fn t_791_empty__an_empty_piece_or_a_second_end_spoils_the_datagram() {
    for packet in [question(), question_v6()] {
        let bytes = packet.bytes();
        let pieces = cut(&packet, &[400]);
        for (wrong, reason) in [
            (piece(&bytes, 400, 400, true), Reason::BadLength),
            (piece(&bytes, 800, 808, false), Reason::FragmentOverlap),
        ] {
            let mut lab = Lab::new(PLAIN);
            let _ = lab.at(0.0).from(LAN).send(pieces[1].clone()).expect(hold());
            refuses(&mut lab, &wrong, reason);
            refuses(&mut lab, &pieces[0], reason);
        }
    }
}

fn ended(events: &[Event]) -> Vec<(Reason, usize)> {
    let of = |event: &Event| match event {
        Event::Unfinished(unfinished) => Some((unfinished.reason, unfinished.pieces)),
        _ => None,
    };
    events.iter().filter_map(of).collect()
}

fn given_up_after(packet: &Packet, seconds: f64) {
    let mut lab = Lab::new(PLAIN);
    let pieces = cut(packet, &[400, 800]);
    let _ = lab.at(0.0).from(LAN).send(pieces[0].clone()).expect(hold());
    // A later piece does not prolong it.
    let late = seconds - 0.1;
    let _ = lab
        .at(late)
        .from(LAN)
        .send(pieces[1].clone())
        .expect(hold());
    assert_eq!(ended(&lab.wait_until(late)), []);
    let events = lab.wait_until(seconds);
    assert_eq!(ended(&events), [(Reason::FragmentTimeout, 2)]);
    let count = |(_, reason, count)| (reason == Reason::FragmentTimeout).then_some(count);
    assert_eq!(lab.engine.counters().verdicts().find_map(count), Some(2));
    assert_eq!(lab.engine.next_deadline(), None);
    let last = lab.at(seconds).from(LAN).send(pieces[2].clone());
    let _ = last.expect(hold());
}

#[test]
fn t_1122_time__an_incomplete_datagram_is_given_up_after_a_fixed_time() {
    given_up_after(&question(), 30.0);
    given_up_after(&question_v6(), 60.0);
}

#[test]
fn t_lnx_frag_lim__ipv4_thirty_seconds_ipv6_sixty_in_silence() {
    // `wait_until` fails if time alone sends anything.
    given_up_after(&question(), 30.0);
    given_up_after(&question_v6(), 60.0);
}

#[test]
fn t_diff_13__pieces_wait_as_long_as_with_linux() {
    given_up_after(&question(), 30.0);
    given_up_after(&question_v6(), 60.0);
}

#[test]
fn t_diff_15__tcp_in_tiny_pieces_is_refused_and_udp_is_not() {
    let mut lab = Lab::new(PLAIN);
    let tiny = cut(&tcp("10.0.0.7:5000", SERVER).syn().data([0; 9]), &[16]);
    refuses(&mut lab, &tiny[0], Reason::FragmentTiny);
    let sent = send_all(&mut lab, LAN, &cut(&question(), &[8]));
    assert_eq!(sent.pieces.len(), 2);
}

#[test]
fn t_6946_atomic__an_atomic_fragment_touches_no_queued_pieces() {
    let mut lab = Lab::new(PLAIN);
    let pieces = cut(&question_v6(), &[400]);
    let _ = lab.at(0.0).from(LAN).send(pieces[0].clone()).expect(hold());
    let atomic = piece(&question_v6().data("alone").bytes(), 0, 13, false);
    let sent = lab.at(0.0).from(LAN).send(atomic);
    assert_eq!(sent.judgement.reason, Reason::Rule);
    assert!(sent.pieces.is_empty() && sent.forwarded.is_some());
    let sent = lab.at(0.0).from(LAN).send(pieces[1].clone());
    assert_eq!(joined(&sent.pieces).source, V6_CLIENT);
}

#[test]
fn t_frag_key__equal_numbers_of_two_hosts_protocols_or_zones_never_mix() {
    let wan = "wan = { tun = \"wan0\",";
    let mut lab = Lab::new(&PLAIN.replace(wan, &format!("{wan} source-check = \"off\",")));
    let pieces = cut(&question(), &[400]);
    let others = [
        cut(&udp("10.0.0.8:5000", SERVER).data([1; 1000]), &[400]),
        cut(&udp(CLIENT, "198.51.100.10:53").data([2; 1000]), &[400]),
        cut(&echo("10.0.0.7", "198.51.100.9", 1).data([3; 1000]), &[400]),
    ];
    let _ = lab.at(0.0).from(LAN).send(pieces[0].clone()).expect(hold());
    for other in &others {
        let _ = lab.at(0.0).from(LAN).send(other[1].clone()).expect(hold());
    }
    // The same host's piece by another zone.
    let _ = lab.at(0.0).from(WAN).send(pieces[1].clone()).expect(hold());
    for other in &others {
        let sent = lab.at(0.0).from(LAN).send(other[0].clone());
        assert_eq!(sent.pieces.len(), 2, "{:?}", sent.judgement);
        joined(&sent.pieces);
    }
    let sent = lab.at(0.0).from(LAN).send(pieces[1].clone());
    let whole = Seen::read(&question().bytes(), Sums::Right);
    assert_eq!(joined(&sent.pieces).kept(), whole.kept());
}

#[test]
fn t_frag_limit__a_source_over_its_share_is_refused_and_others_are_not() {
    let mut lab = Lab::new(PLAIN);
    let first = piece(&question().bytes(), 0, 400, true);
    let numbered = |number: u16| {
        let mut bytes = first.clone();
        bytes[4..6].copy_from_slice(&number.to_be_bytes());
        resummed(bytes)
    };
    for number in 0..256 {
        let _ = lab.at(0.0).from(LAN).send(numbered(number)).expect(hold());
    }
    refuses(&mut lab, &numbered(256), Reason::FragmentLimit);
    let other = cut(&udp("10.0.0.8:5000", SERVER).data([1; 1000]), &[400]);
    assert_eq!(send_all(&mut lab, LAN, &other).pieces.len(), 2);
    // And as many pieces of one datagram.
    let mut lab = Lab::new(PLAIN);
    let bytes = question().data([0; 8 * 300]).bytes();
    for number in 0..256 {
        let small = piece(&bytes, 8 * number, 8 * number + 8, true);
        let _ = lab.at(0.0).from(LAN).send(small).expect(hold());
    }
    refuses(
        &mut lab,
        &piece(&bytes, 2048, 2056, true),
        Reason::FragmentLimit,
    );
}

#[test]
fn t_4787_req_14a__a_full_store_hinders_neither_whole_packets_nor_pieces_in_order() {
    let mut lab = Lab::new(PLAIN);
    let first = piece(&question().bytes(), 0, 400, true);
    let mut lost = 0;
    for number in 0..6000u16 {
        let mut bytes = first.clone();
        let [high, low] = number.to_be_bytes();
        bytes[12..16].copy_from_slice(&[203, 0, high, low]);
        let sent = lab.at(0.0).from(WAN).send(resummed(bytes));
        lost += ended(&sent.events).len();
        let _ = sent.expect(hold());
    }
    assert!(lost >= 6000 - 4096, "{lost}");
    let _ = lab
        .at(0.0)
        .from(LAN)
        .send(udp("10.0.0.9:1", SERVER))
        .expect(forward_to(WAN));
    let sent = send_all(&mut lab, LAN, &cut(&question(), &[400, 800]));
    assert_eq!(sent.pieces.len(), 3);
}

#[test]
fn t_frag_icmp__queries_and_errors_in_pieces_are_translated() {
    let mut lab = Lab::new(OFFICE);
    let query = echo("10.0.0.7", "198.51.100.9", 5).data([9; 2000]);
    let sent = send_all(&mut lab, LAN, &cut(&query, &[1480]));
    let left = joined(&sent.pieces);
    assert_eq!(left.source, format!("{PUBLIC}:5"));
    let error = icmp("192.0.2.1", PUBLIC, 11, 0).quoting(&left.bytes[..600]);
    let sent = send_all(&mut lab, WAN, &cut(&error, &[16, 304]));
    assert_eq!(sent.judgement.reason, Reason::Related);
    let told = joined(&sent.pieces);
    assert_eq!(told.destination, "10.0.0.7");
    assert_eq!(told.quote()[12..16], [10, 0, 0, 7]);
}

#[test]
fn t_frag_alg__a_control_segment_in_pieces_is_read_whole() {
    let mut lab = Lab::new(OFFICE);
    let server = "198.51.100.21:21";
    let ftp = Dialogue::ftp(&mut lab, 0.0, (LAN, "10.0.0.7:51000"), server);
    let segment = ftp.client.segment().data("PORT 10,0,0,7,200,10\r\n");
    let sent = send_all(&mut lab, LAN, &cut(&segment, &[24, 32]));
    assert_eq!(joined(&sent.pieces).text(), "PORT 203,0,113,2,200,10\r\n");
    assert_eq!(lab.expected().len(), 1);
}

#[test]
fn t_slip_frag__a_piece_that_looks_like_a_control_line_is_none() {
    let mut lab = Lab::new(OFFICE);
    let server = "198.51.100.21:21";
    let ftp = Dialogue::ftp(&mut lab, 0.0, (LAN, "10.0.0.7:51000"), server);
    // A line that stands at the start of a piece, and in the midst of a line.
    let text = format!("STAT {}PORT 10,0,0,7,200,10\r\n", "x".repeat(47));
    let pieces = cut(&ftp.client.segment().data(&text), &[72]);
    let sent = send_all(&mut lab, LAN, &pieces);
    assert_eq!(joined(&sent.pieces).text(), text);
    assert_eq!(lab.expected().len(), 0);
}

#[test]
fn t_frag_opt__options_are_where_they_belong_after_cutting_again() {
    // Security (copied), then record route (first piece only).
    let options = [
        &[0x86, 7, 8, 198, 51, 100, 1][..],
        &[1, 7, 7, 4, 0, 0, 0, 0],
        &[0],
    ]
    .concat();
    let mut lab = narrow(PLAIN, 576);
    let sent = lab
        .at(0.0)
        .from(LAN)
        .send(loose(&question().ip_options(&options)));
    assert_eq!(lengths(&sent.pieces), [36 + 536, 28 + 472]);
    assert_eq!(sent.pieces[0][20..36], options);
    assert_eq!(sent.pieces[1][20..28], [&options[..7], &[0]].concat());
    let left = joined(&sent.pieces);
    assert_eq!(
        left.kept(),
        Seen::read(&loose(&question().ip_options(&options)), Sums::Right).kept()
    );
}

#[test]
fn t_8200_nh__only_the_first_pieces_next_header_counts() {
    let mut lab = Lab::new(PLAIN);
    let mut pieces = cut(&question_v6(), &[400]);
    pieces[1][40] = 6;
    let sent = send_all(&mut lab, LAN, &pieces);
    assert_eq!(joined(&sent.pieces).source, V6_CLIENT);
}

#[test]
fn t_3168_ecn__congestion_on_one_way_is_congestion_on_all() {
    let marked = |packet: &Packet, marks: [u8; 2]| -> Vec<Vec<u8>> {
        let mut pieces = cut(packet, &[400]);
        for (piece, mark) in pieces.iter_mut().zip(marks) {
            let shift = if piece[0] >> 4 == 4 { 0 } else { 4 };
            piece[1] |= mark << shift;
            if shift == 0 {
                *piece = resummed(piece.clone());
            }
        }
        pieces
    };
    let ecn = |bytes: &Vec<u8>| match bytes[0] >> 4 {
        4 => bytes[1] & 3,
        _ => bytes[1] >> 4 & 3,
    };
    for packet in [question(), question_v6()] {
        for (marks, left) in [
            ([2, 3], 3),
            ([3, 1], 3),
            ([2, 2], 2),
            ([1, 1], 1),
            ([0, 0], 0),
        ] {
            let sent = send_all(&mut Lab::new(PLAIN), LAN, &marked(&packet, marks));
            assert!(
                sent.pieces.iter().all(|piece| ecn(piece) == left),
                "{marks:?}"
            );
        }
        for marks in [[0, 3], [3, 0], [0, 2]] {
            let sent = send_all(&mut Lab::new(PLAIN), LAN, &marked(&packet, marks));
            let _ = sent.expect(drop_for(Reason::FragmentOverlap));
        }
    }
}

/// The way out takes packets of so many octets.
fn narrow(rules: &str, mtu: u16) -> Lab {
    let mut rules = rules.replace(r#"tun = "wan0""#, &format!(r#"tun = "wan0", mtu = {mtu}"#));
    if mtu < 1280 {
        rules = rules.replace(r#"["0.0.0.0/0", "::/0"]"#, r#""0.0.0.0/0""#);
    }
    Lab::new(&rules)
}

/// With DF cleared: routers may cut it.
fn loose(packet: &Packet) -> Vec<u8> {
    let mut bytes = packet.bytes();
    bytes[6] &= !0x40;
    resummed(bytes)
}

fn unfragmented(packet: &Packet) -> Vec<u8> {
    let mut bytes = packet.bytes();
    bytes[6] |= 0x40;
    resummed(bytes)
}

#[test]
fn t_4787_req_13__too_long_with_df_is_refused_with_the_mtu_and_the_senders_own_addresses() {
    let mut lab = narrow(OFFICE, 1280);
    let long = unfragmented(&question().data([0; 1300]));
    let sent = lab.at(0.0).from(LAN).send(long.clone());
    assert_eq!(sent.judgement.verdict, Verdict::Reject);
    assert_eq!(sent.judgement.reason, Reason::PacketTooBig);
    let (zone, told) = &sent.made[0];
    assert_eq!(
        (*zone, &*told.source, &*told.destination),
        (LAN, "10.0.0.1", "10.0.0.7")
    );
    let Body::Icmp(3, 4, message) = &told.body else {
        panic!("{told:?}");
    };
    assert_eq!(message[4..8], [0, 0, 5, 0]);
    assert_eq!(told.quote(), &long[..told.quote().len()]);
    assert!(lab.table().is_empty());
    // As long as the link takes.
    let fits = unfragmented(&question().data([0; 1252]));
    let _ = lab
        .at(0.0)
        .from(LAN)
        .send(fits)
        .expect(forward_to(WAN).source("203.0.113.2:5000"));
}

#[test]
fn t_1191_mtu__the_next_hops_mtu_stands_in_the_low_sixteen_bits() {
    let mut lab = narrow(OFFICE, 1492);
    let sent = lab
        .at(0.0)
        .from(LAN)
        .send(unfragmented(&question().data([0; 1465])));
    assert_eq!(sent.made[0].1.bytes[24..28], [0, 0, 0x05, 0xd4]);
}

#[test]
fn t_5508_s7_1_1__a_query_that_does_not_fit_is_refused_with_df_and_cut_without() {
    let mut lab = narrow(OFFICE, 1280);
    let query = echo("10.0.0.7", "198.51.100.9", 5).data([9; 2000]);
    let sent = lab.at(0.0).from(LAN).send(unfragmented(&query));
    assert_eq!(sent.judgement.reason, Reason::PacketTooBig);
    let sent = lab.at(0.0).from(LAN).send(loose(&query));
    assert_eq!(joined(&sent.pieces).source, format!("{PUBLIC}:5"));
}

#[test]
fn a_refused_packet_of_a_session_leaves_it_as_it_was() {
    let mut lab = narrow(OFFICE, 1280);
    let _ = lab
        .at(0.0)
        .from(LAN)
        .send(question())
        .expect(forward_to(WAN).source("203.0.113.2:5000"));
    let before = lab.snapshot();
    let sent = lab
        .at(1.0)
        .from(LAN)
        .send(unfragmented(&question().data([0; 1300])));
    assert_eq!(sent.judgement.reason, Reason::PacketTooBig);
    assert!(sent.judgement.session.is_some());
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn a_ping_in_pieces_for_the_gateway_itself_is_answered() {
    let mut lab = Lab::new(OFFICE);
    let ping = echo("10.0.0.7", "10.0.0.1", 5).data([9; 2000]);
    let sent = send_all(&mut lab, LAN, &cut(&ping, &[1480]));
    assert_eq!(sent.judgement.verdict, Verdict::Answer);
    assert_eq!(sent.made[0].1.source, "10.0.0.1:5");
}

#[test]
fn ipv6_that_is_too_long_is_refused_with_the_mtu() {
    let mut lab = narrow(OFFICE, 1280);
    let sent = lab.at(0.0).from(LAN).send(question_v6().data([0; 1233]));
    assert_eq!(sent.judgement.reason, Reason::PacketTooBig);
    let Body::Icmp(2, 0, message) = &sent.made[0].1.body else {
        panic!("{:?}", sent.made);
    };
    assert_eq!(message[4..8], [0, 0, 5, 0]);
    // So are pieces of which one is too long; in smaller ones it passes.
    let long = question_v6().data([0; 3000]);
    let sent = send_all(&mut lab, LAN, &cut(&long, &[1400]));
    assert_eq!(sent.judgement.reason, Reason::PacketTooBig);
    let sent = send_all(&mut lab, LAN, &cut(&long, &[1232, 2464]));
    assert_eq!(lengths(&sent.pieces), [1280, 1280, 592]);
}

#[test]
fn t_4787_req_13a__too_long_without_df_leaves_in_pieces_in_order() {
    let mut lab = narrow(OFFICE, 1280);
    let packet = question().data([5; 3000]);
    let sent = lab.at(0.0).from(LAN).send(loose(&packet));
    assert_eq!(lengths(&sent.pieces), [1276, 1276, 516]);
    let left = joined(&sent.pieces);
    assert_eq!(left.source, "203.0.113.2:5000");
    assert_eq!(left.body, Body::Udp(vec![5; 3000]));
}

#[test]
fn t_1812_frag__the_least_number_of_pieces_in_order() {
    let mut lab = narrow(OFFICE, 1500);
    let sent = lab
        .at(0.0)
        .from(LAN)
        .send(loose(&question().data([5; 2952])));
    assert_eq!(lengths(&sent.pieces), [1500, 1500]);
    let offsets: Vec<_> = sent
        .pieces
        .iter()
        .map(|piece| [piece[6], piece[7]])
        .collect();
    assert_eq!(offsets, [[0x20, 0], [0, 185]]);
}

#[test]
fn t_frag_out__no_piece_is_longer_than_the_longest_received_or_than_the_link() {
    let mut lab = narrow(OFFICE, 576);
    let sent = send_all(&mut lab, LAN, &cut_bytes(&loose(&question()), &[800]));
    assert_eq!(lengths(&sent.pieces), [572, 476]);
    joined(&sent.pieces);
    // DF on the pieces is honoured.
    let mut whole = question();
    whole = whole.data([1; 1000]);
    let bytes = unfragmented(&whole);
    let pieces = [piece(&bytes, 0, 800, true), piece(&bytes, 800, 1008, false)];
    let sent = send_all(&mut lab, LAN, &pieces);
    assert_eq!(sent.judgement.reason, Reason::PacketTooBig);
    assert_eq!(sent.made[0].1.bytes[20..22], [3, 4]);
    let pieces = [piece(&bytes, 0, 504, true), piece(&bytes, 504, 1008, false)];
    let sent = send_all(&mut lab, LAN, &pieces);
    assert_eq!(lengths(&sent.pieces), [524, 524]);
    assert!(sent.pieces.iter().all(|piece| piece[6] & 0x40 != 0), "DF");
}

#[test]
fn pieces_within_pieces_are_refused() {
    let mut lab = Lab::new(PLAIN);
    let inner = piece(&question_v6().bytes(), 0, 400, true);
    let inner = {
        // The inner fragment header is the payload of the outer pieces.
        let mut bytes = inner;
        bytes.extend_from_slice(&[0; 8]);
        let length = u16::try_from(bytes.len() - 40).unwrap();
        bytes[4..6].copy_from_slice(&length.to_be_bytes());
        bytes
    };
    let end = inner.len() - 40;
    let pieces = [piece(&inner, 0, 200, true), piece(&inner, 200, end, false)];
    let sent = send_all(&mut lab, LAN, &pieces);
    let _ = sent.expect(drop_for(Reason::BadHeader));
}
