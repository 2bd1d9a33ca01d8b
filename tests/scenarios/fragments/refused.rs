//! Pieces that no honest sender makes.

use spigate::engine::Reason;

use super::super::lab::{LAN, Lab};
use super::super::packets::{Packet, resummed, tcp};
use super::super::policies::PLAIN;
use super::super::wants::{drop_for, hold};
use super::{SERVER, cut, header, joined, piece, question, question_v6, refuses, send_all};

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

#[test]
fn t_diff_15__tcp_in_tiny_pieces_is_refused_and_udp_is_not() {
    let mut lab = Lab::new(PLAIN);
    let tiny = cut(&tcp("10.0.0.7:5000", SERVER).syn().data([0; 9]), &[16]);
    refuses(&mut lab, &tiny[0], Reason::FragmentTiny);
    let sent = send_all(&mut lab, LAN, &cut(&question(), &[8]));
    assert_eq!(sent.pieces.len(), 2);
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
