//! Pieces that are put together, and what the datagram is then.

use spigate::engine::{CtState, Reason, Verdict};

use super::super::dialogue::Dialogue;
use super::super::lab::{LAN, Lab, WAN};
use super::super::packets::{Packet, echo, resummed, udp};
use super::super::policies::{OFFICE, PLAIN, PUBLIC};
use super::super::seen::{Body, Seen, Sums};
use super::super::wants::{drop_for, hold};
use super::{
    CLIENT, SERVER, V6_CLIENT, cut, cut_bytes, joined, passed, piece, question, question_v6,
    refuses, send_all,
};

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
fn t_frag_alg__a_control_segment_in_pieces_is_read_whole() {
    let mut lab = Lab::new(OFFICE);
    let server = "198.51.100.21:21";
    let ftp = Dialogue::open(&mut lab, 0.0, (LAN, "10.0.0.7:51000"), server);
    let segment = ftp.client.segment().data("PORT 10,0,0,7,200,10\r\n");
    let sent = send_all(&mut lab, LAN, &cut(&segment, &[24, 32]));
    assert_eq!(joined(&sent.pieces).text(), "PORT 203,0,113,2,200,10\r\n");
    assert_eq!(lab.expected().len(), 1);
}

#[test]
fn t_slip_frag__a_piece_that_looks_like_a_control_line_is_none() {
    let mut lab = Lab::new(OFFICE);
    let server = "198.51.100.21:21";
    let ftp = Dialogue::open(&mut lab, 0.0, (LAN, "10.0.0.7:51000"), server);
    // A line that stands at the start of a piece, and in the midst of a line.
    let text = format!("STAT {}PORT 10,0,0,7,200,10\r\n", "x".repeat(47));
    let pieces = cut(&ftp.client.segment().data(&text), &[72]);
    let sent = send_all(&mut lab, LAN, &pieces);
    assert_eq!(joined(&sent.pieces).text(), text);
    assert_eq!(lab.expected().len(), 0);
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

#[test]
fn a_ping_in_pieces_for_the_gateway_itself_is_answered() {
    let mut lab = Lab::new(OFFICE);
    let ping = echo("10.0.0.7", "10.0.0.1", 5).data([9; 2000]);
    let sent = send_all(&mut lab, LAN, &cut(&ping, &[1480]));
    assert_eq!(sent.judgement.verdict, Verdict::Answer);
    assert_eq!(sent.made[0].1.source, "10.0.0.1:5");
}
