//! Pieces that stay alone, and how many may.

use spigate::engine::{Event, Output, Reason};

use super::super::lab::{LAN, Lab, WAN, moment};
use super::super::packets::{Packet, echo, resummed, udp};
use super::super::policies::PLAIN;
use super::super::seen::{Seen, Sums};
use super::super::wants::{forward_to, hold};
use super::{SERVER, cut, header, piece, question, question_v6, refuses, send_all};

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
            while lab.engine.expire(moment(61.0), &mut out).is_left() {}
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
    given_up_after(&question(), 30.0);
}

fn ended(events: &[Event]) -> Vec<(Reason, usize)> {
    let of = |event: &Event| match event {
        Event::Unfinished(unfinished) => Some((unfinished.reason, unfinished.pieces)),
        _ => None,
    };
    events.iter().filter_map(of).collect()
}

fn given_up_after(packet: &Packet, seconds: f64) {
    given_up_by(PLAIN, packet, seconds);
}

fn given_up_by(rules: &str, packet: &Packet, seconds: f64) {
    let mut lab = Lab::new(rules);
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
fn t_1122_time__a_file_or_its_profile_may_say_how_long() {
    let said = format!("{PLAIN}\n[timeouts]\nfragments-v4 = \"2s\"\nfragments-v6 = \"1m30s\"\n");
    given_up_by(&said, &question(), 2.0);
    given_up_by(&said, &question_v6(), 90.0);
    let rfc = PLAIN.replace("version = 1", "version = 1\nprofile = \"rfc\"");
    given_up_by(&rfc, &question(), 60.0);
    given_up_by(&rfc, &question_v6(), 60.0);
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

/// The first piece of a datagram, under this number and from this host. Keeping
/// it costs 784 octets.
fn first_of(source: [u8; 4], number: u16) -> Vec<u8> {
    let mut bytes = piece(&question().bytes(), 0, 400, true);
    bytes[4..6].copy_from_slice(&number.to_be_bytes());
    bytes[12..16].copy_from_slice(&source);
    resummed(bytes)
}

#[test]
fn t_frag_limit__a_file_may_say_how_much_and_a_flood_of_pieces_stays_within() {
    for (limits, most) in [
        ("fragment-memory = 262_144", 262_144 / 784),
        ("fragment-datagrams = 100", 100),
    ] {
        let mut lab = Lab::new(&format!("{PLAIN}\n[limits]\n{limits}\n"));
        let opened = lab.at(0.0).from(LAN).send(udp("10.0.0.9:1", SERVER));
        let _ = opened.expect(forward_to(WAN));
        let before = lab.snapshot();
        let mut lost = 0;
        for number in 0..5000u16 {
            let [high, low] = number.to_be_bytes();
            let forged = first_of([203, 0, high, low], number);
            let sent = lab.at(0.0).from(WAN).send(forged);
            lost += ended(&sent.events).len();
            let _ = sent.expect(hold());
        }
        assert_eq!(lost, 5000 - most, "{limits}");
        assert_eq!(lab.snapshot(), before);
        // Whose pieces come one after the other is not hindered.
        let sent = send_all(&mut lab, LAN, &cut(&question(), &[400, 800]));
        assert_eq!(sent.pieces.len(), 3, "{limits}");
    }
}

#[test]
fn t_frag_limit__a_file_may_say_how_much_one_source_gets() {
    for (limits, most) in [
        ("fragment-memory-per-source = 131_072", 167),
        ("fragment-datagrams-per-source = 3", 3),
    ] {
        let mut lab = Lab::new(&format!("{PLAIN}\n[limits]\n{limits}\n"));
        for number in 0..most {
            let sent = lab.at(0.0).from(LAN).send(first_of([10, 0, 0, 7], number));
            let _ = sent.expect(hold());
        }
        refuses(
            &mut lab,
            &first_of([10, 0, 0, 7], most),
            Reason::FragmentLimit,
        );
        let other = lab.at(0.0).from(LAN).send(first_of([10, 0, 0, 8], most));
        let _ = other.expect(hold());
    }
}
