//! A blind forger who knows both ends of a connection, and none of its numbers
//! (RFC 5961).

use spigate::engine::{Reason, Verdict};

use super::forged::{as_server, connection, goes_on, harmless, refused};
use super::lab::{Lab, WAN, moment};
use super::packets::Packet;

/// Numbers all over the space, none within a window of `from`.
fn far_from(from: u32) -> impl Iterator<Item = u32> {
    (1..512u32).map(move |n| from.wrapping_add(n << 23).wrapping_add(77_777))
}

#[test]
fn a_blind_reset_closes_nothing() {
    let (mut lab, mut ends) = connection();
    for seq in far_from(ends.server.next) {
        let reset = as_server().rst().seq(seq);
        let why = refused(&mut lab, 1.0, WAN, reset.clone());
        assert!(matches!(
            why,
            Reason::TcpInvalidRst | Reason::TcpOutOfWindow
        ));
        // An acknowledgement makes it no better.
        refused(&mut lab, 1.0, WAN, reset.ack(ends.client.next));
    }
    goes_on(&mut lab, 1.0, &mut ends);
}

/// The bound: one number of those in the window, and it takes effect only if
/// the client says nothing to it (RFC 5961 section 3.2 has it answer).
#[test]
fn a_reset_that_guesses_the_window_but_not_the_number_leaves_the_last_word_to_the_client() {
    let (mut lab, mut ends) = connection();
    for ahead in [1, 100, 60_000] {
        let reset = as_server().rst().seq(ends.server.next.wrapping_add(ahead));
        let sent = lab.at(1.0).from(WAN).send(reset);
        assert!(matches!(sent.judgement.verdict, Verdict::Forward(_)));
        assert_eq!(lab.session().state().name(), "established");
        assert_eq!(lab.session().deadline, moment(11.0));
        // The client's challenge ACK, within those ten seconds.
        ends.client_says(&mut lab, 1.0, "");
        assert_eq!(lab.session().deadline, moment(301.0));
    }
    goes_on(&mut lab, 1.0, &mut ends);
}

#[test]
fn a_blind_syn_changes_nothing_that_counts() {
    let (mut lab, mut ends) = connection();
    for seq in far_from(ends.server.next).take(64) {
        harmless(&mut lab, 1.0, WAN, as_server().syn().seq(seq));
        harmless(&mut lab, 1.0, WAN, as_server().syn().seq(seq).ack(7));
    }
    goes_on(&mut lab, 1.0, &mut ends);
}

#[test]
fn data_out_of_window_change_nothing() {
    let (mut lab, mut ends) = connection();
    let ack = ends.server.awaits;
    for seq in far_from(ends.server.next) {
        let data = as_server().seq(seq).ack(ack).data("rm -rf /");
        let judgement = harmless(&mut lab, 1.0, WAN, data);
        // What may be a very old repetition passes; its receiver has it already.
        let is_old = (seq.wrapping_sub(ends.server.next) as i32) < 0;
        assert!(
            is_old || judgement.reason == Reason::TcpOutOfWindow,
            "{judgement:?}"
        );
    }
    goes_on(&mut lab, 1.0, &mut ends);
}

/// The bound: sequence number and acknowledgement both have to fit, each with
/// one chance in some ten thousands.
#[test]
fn data_in_the_window_with_a_guessed_acknowledgement_change_nothing() {
    let (mut lab, mut ends) = connection();
    for ack in far_from(ends.server.awaits) {
        let data = as_server().seq(ends.server.next).ack(ack).data("rm -rf /");
        let judgement = harmless(&mut lab, 1.0, WAN, data);
        let is_late = (ack.wrapping_sub(ends.server.awaits) as i32) < 0;
        assert!(
            is_late || judgement.reason == Reason::TcpOutOfWindow,
            "{judgement:?}"
        );
    }
    goes_on(&mut lab, 1.0, &mut ends);
}

#[test]
fn t_5382_sec_oow__segments_out_of_window_change_no_state_whatever_their_flags() {
    let (mut lab, mut ends) = connection();
    let flags: [fn(Packet) -> Packet; 6] = [
        |p| p,
        Packet::psh,
        Packet::urg,
        Packet::fin,
        Packet::rst,
        |p| p.fin().psh(),
    ];
    for with in flags {
        for ahead in [200_000, 1 << 24, 1 << 30, (1 << 31) - 1] {
            let seq = ends.server.next.wrapping_add(ahead);
            let forgery = with(as_server().seq(seq).ack(ends.server.awaits));
            let why = refused(&mut lab, 1.0, WAN, forgery);
            assert_eq!(why, Reason::TcpOutOfWindow);
        }
    }
    // A SYN passes, since its receiver has to answer it (RFC 5961 section 4);
    // with it nothing changes either.
    harmless(&mut lab, 1.0, WAN, as_server().syn().seq(1 << 30));
    goes_on(&mut lab, 1.0, &mut ends);
}

#[test]
fn an_ack_storm_gets_no_answer_and_keeps_nothing_alive_that_it_does_not_belong_to() {
    let (mut lab, mut ends) = connection();
    let deadline = lab.session().deadline;
    for second in 1u8..100 {
        let ack = ends.server.awaits.wrapping_add(5_000_000);
        let forgery = as_server().seq(ends.server.next).ack(ack);
        refused(&mut lab, f64::from(second), WAN, forgery);
    }
    assert_eq!(lab.session().deadline, deadline);
    goes_on(&mut lab, 100.0, &mut ends);
}

/// CVE-2016-5696: who counts the challenges learns the numbers. The gateway
/// sends none, so there is nothing to count.
#[test]
fn there_are_no_challenges_of_the_gateways_own_to_count() {
    let (mut lab, mut ends) = connection();
    for n in 0..300u32 {
        let seq = ends.server.next.wrapping_add(n * 100_000);
        for forgery in [
            as_server().syn().seq(seq),
            as_server()
                .seq(seq)
                .ack(ends.server.awaits.wrapping_add(n << 16)),
        ] {
            let sent = lab.at(1.0).from(WAN).send(forgery);
            assert!(sent.made.is_empty());
        }
    }
    goes_on(&mut lab, 1.0, &mut ends);
}

#[test]
fn combinations_of_flags_that_scanners_send_open_nothing_and_learn_nothing() {
    let mut lab = Lab::new(super::policies::OFFICE);
    let flags: [fn(Packet) -> Packet; 8] = [
        |p| p,
        Packet::fin,
        |p| p.fin().psh().urg(),
        |p| p.ack(1),
        |p| p.fin().ack(1),
        |p| p.syn().fin(),
        Packet::rst,
        |p| p.syn().rst(),
    ];
    // A forwarded port, the gateway's own address, an inside host by its name.
    for to in ["203.0.113.2:80", "203.0.113.2:22", "10.0.0.7:80"] {
        for with in flags {
            let probe = with(super::packets::tcp("198.51.100.66:4444", to));
            let why = refused(&mut lab, 1.0, WAN, probe);
            assert!(
                matches!(why, Reason::NoSession | Reason::TcpBadFlags),
                "{why}"
            );
        }
    }
    assert!(lab.table().is_empty());
}

#[test]
fn whether_a_session_exists_cannot_be_seen_from_outside() {
    let (mut lab, _) = connection();
    let probes: [fn(Packet) -> Packet; 5] = [
        |p| p.seq(9).ack(9),
        |p| p.rst().seq(9),
        |p| p.fin().seq(9).ack(9),
        |p| p.seq(9).ack(9).data("x"),
        |p| p.syn().seq(9),
    ];
    for port in [51_000, 51_001] {
        for with in probes {
            let probe = super::packets::tcp("198.51.100.9:80", &format!("203.0.113.2:{port}"));
            let sent = lab.at(1.0).from(WAN).send(with(probe));
            assert!(sent.made.is_empty(), "{:?}", sent.judgement);
        }
    }
}
