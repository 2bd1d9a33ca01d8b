//! Datagrams cut so that filters see something else than hosts do, or that
//! nobody can put together.

use spigate::engine::{Reason, Verdict};

use super::forged::{CLIENT, SERVER, as_server, connection, goes_on};
use super::lab::{LAN, Lab, WAN};
use super::packets::{Packet, icmp, resummed, tcp, udp};
use super::policies::OFFICE;

/// The octets of an IPv4 packet's transport from `start` to `end`, as a piece.
pub(crate) fn piece(packet: &Packet, start: usize, end: usize, more: bool) -> Vec<u8> {
    let bytes = packet.bytes();
    let mut piece = bytes[..20].to_vec();
    let transport = &bytes[20..];
    piece.extend_from_slice(&transport[start..end.min(transport.len())]);
    let length = u16::try_from(piece.len()).unwrap();
    piece[2..4].copy_from_slice(&length.to_be_bytes());
    let field = u16::from(more) << 13 | u16::try_from(start / 8).unwrap();
    piece[6..8].copy_from_slice(&field.to_be_bytes());
    resummed(piece)
}

/// Sends pieces none of which may get through; the table stays as it was.
fn nothing_comes_through(lab: &mut Lab, zone: &'static str, pieces: &[Vec<u8>]) -> Vec<Reason> {
    let before = lab.snapshot();
    let mut reasons = Vec::new();
    for piece in pieces {
        let sent = lab.at(1.0).from(zone).send(piece.clone());
        assert!(!matches!(sent.judgement.verdict, Verdict::Forward(_)));
        assert!(sent.made.is_empty(), "{:?}", sent.judgement);
        reasons.push(sent.judgement.reason);
    }
    assert_eq!(lab.snapshot(), before);
    reasons
}

#[test]
fn teardrop_and_other_overlaps_never_come_through() {
    let datagram = || udp("198.51.100.66:4444", "203.0.113.2:53").data([7; 120]);
    let overlaps: [&[(usize, usize, bool)]; 4] = [
        // The second lies within the first, ends early.
        &[(0, 64, true), (24, 32, false)],
        &[(0, 64, true), (56, 128, false)],
        &[(64, 128, false), (0, 72, true)],
        // Two ends.
        &[(64, 96, false), (64, 128, false)],
    ];
    for cuts in overlaps {
        let (mut lab, mut ends) = connection();
        let pieces: Vec<_> = cuts
            .iter()
            .map(|(start, end, more)| piece(&datagram(), *start, *end, *more))
            .collect();
        nothing_comes_through(&mut lab, WAN, &pieces[..2]);
        // What would have made it whole comes too late.
        let rest = [
            piece(&datagram(), 0, 64, true),
            piece(&datagram(), 64, 128, false),
        ];
        nothing_comes_through(&mut lab, WAN, &rest);
        goes_on(&mut lab, 1.0, &mut ends);
    }
}

#[test]
fn flags_and_ports_are_not_hidden_in_a_second_piece() {
    let (mut lab, mut ends) = connection();
    let reset = as_server()
        .rst()
        .seq(ends.server.next)
        .ack(ends.server.awaits);
    for cut in [8, 16] {
        let pieces = [piece(&reset, 0, cut, true), piece(&reset, cut, 20, false)];
        let reasons = nothing_comes_through(&mut lab, WAN, &pieces);
        assert_eq!(reasons[0], Reason::FragmentTiny);
    }
    goes_on(&mut lab, 1.0, &mut ends);
}

/// Rose: the first piece and the last, never the middle, from ever new
/// senders. What is kept has a bound, and sessions do not notice.
#[test]
fn datagrams_without_a_middle_fill_nothing_that_others_need() {
    let (mut lab, mut ends) = connection();
    let mut refused = 0;
    for n in 0..6000u32 {
        let from = format!("198.51.{}.{}:4444", 101 + n / 250, 1 + n % 250);
        let datagram = udp(&from, "203.0.113.2:53").data([7; 56]);
        for half in [
            piece(&datagram, 0, 8, true),
            piece(&datagram, 56, 64, false),
        ] {
            let sent = lab.at(1.0).from(WAN).send(half);
            assert!(sent.made.is_empty());
            match sent.judgement.verdict {
                Verdict::Hold => {}
                Verdict::Drop => refused += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(refused, 0, "whoever comes last finds room");
    goes_on(&mut lab, 1.0, &mut ends);
    // They are given up; of so many at once only a few of the named senders are told.
    let passed = lab.let_pass(40.0);
    assert!(passed.events.len() <= 4096, "more datagrams than are kept");
    assert!(passed.made.len() <= 50, "{} are told", passed.made.len());
}

#[test]
fn a_piece_with_a_forged_source_spoils_nobodys_datagram() {
    let mut lab = Lab::new(OFFICE);
    let datagram = udp(CLIENT, SERVER).data([7; 120]);
    let (first, last) = (
        piece(&datagram, 0, 64, true),
        piece(&datagram, 64, 128, false),
    );
    let _ = lab.at(0.0).from(LAN).send(first).judgement;
    // From outside, with the inside host's address: it would overlap.
    let forged = piece(&datagram, 56, 128, false);
    let sent = lab.at(0.0).from(WAN).send(forged);
    assert_eq!(sent.judgement.reason, Reason::SpoofedSource);
    let sent = lab.at(0.0).from(LAN).send(last);
    assert_eq!(sent.pieces.len(), 2, "{:?}", sent.judgement);
}

#[test]
fn an_error_about_a_later_piece_is_about_no_session() {
    let (mut lab, mut ends) = connection();
    // Its data look like the ports of the connection.
    let lookalike = tcp("203.0.113.2:51000", SERVER);
    let mut quoted = lookalike.bytes();
    quoted[7] = 9;
    let quoted = resummed(quoted);
    let error = icmp("198.51.100.66", "203.0.113.2", 3, 3).quoting(&quoted);
    let reasons = nothing_comes_through(&mut lab, WAN, &[error.bytes()]);
    assert_eq!(reasons, [Reason::IcmpUnrelated]);
    goes_on(&mut lab, 1.0, &mut ends);
}
