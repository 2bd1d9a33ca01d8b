//! Two ends that began anew while the gateway still knows their old
//! connection: it lets by what may be true, and believes the answer.

use spigate::engine::Reason;
use spigate::session::{PickUp, TcpChecks};

use super::lab::{LAN, Lab, WAN, moment};
use super::packets::Packet;
use super::policies::OFFICE;
use super::tcp_life::{
    ACK, MASQUERADE, SYN, SYN_ACK, WHOLE_LIFE, from_client, from_server, lab_after, pass, play,
    refuse,
};
use super::wants::forward_to;

const SCALE_7: [u8; 4] = [3, 3, 7, 1];

fn new_syn() -> Packet {
    from_client().syn().seq(7_000_000)
}

#[test]
fn t_lnx_tcp_syn_est__the_answer_to_a_syn_that_was_let_by_is_believed() {
    // The client lost its connection, the server too.
    let mut lab = lab_after(&[SYN, SYN_ACK, ACK]);
    let old = lab.session().id;
    let syn = new_syn().tcp_options(&SCALE_7).window(1000);
    pass(&mut lab, 10.0, LAN, syn, "established");
    assert_eq!(lab.session().deadline, moment(432_000.0));
    let syn_ack = from_server().syn().seq(9_000_000).ack(7_000_001);
    let syn_ack = syn_ack.tcp_options(&SCALE_7).window(1000);
    pass(&mut lab, 10.1, WAN, syn_ack, "syn-recv");
    assert_eq!(lab.session().deadline, moment(70.1));
    let ack = from_client().seq(7_000_001).ack(9_000_001).window(1000);
    pass(&mut lab, 10.2, LAN, ack, "established");
    // The new scales count.
    let far = from_server().seq(9_128_000).ack(7_000_001).data("x");
    pass(&mut lab, 11.0, WAN, far, "established");
    let farther = from_server().seq(9_300_000).ack(7_000_001).data("x");
    refuse(&mut lab, 11.0, WAN, farther, Reason::TcpOutOfWindow);
    assert_eq!(lab.session().id, old, "one session it is");
}

#[test]
fn t_lnx_tcp_syn_est__an_answer_to_another_syn_is_not() {
    let mut lab = lab_after(&[SYN, SYN_ACK, ACK]);
    pass(&mut lab, 10.0, LAN, new_syn(), "established");
    let forged = from_server().syn().seq(9_000_000).ack(7_000_002);
    pass(&mut lab, 10.1, WAN, forged, "established");
    // What was known before still holds.
    let data = from_client().seq(101).ack(501).data("x");
    pass(&mut lab, 11.0, LAN, data, "established");
    pass(
        &mut lab,
        11.0,
        WAN,
        from_server().seq(501).ack(102),
        "established",
    );
}

#[test]
fn t_lnx_tcp_syn_est__a_challenge_and_the_reset_that_it_draws_close() {
    let mut lab = lab_after(&[SYN, SYN_ACK, ACK]);
    pass(&mut lab, 10.0, LAN, new_syn(), "established");
    let challenge = from_server().seq(501).ack(101);
    pass(&mut lab, 10.1, WAN, challenge, "established");
    pass(&mut lab, 10.2, LAN, from_client().rst().seq(101), "close");
    // The SYN comes again, and this time it begins something.
    let sent = lab.at(11.0).from(LAN).send(new_syn());
    let want = forward_to(WAN).source(MASQUERADE).ct("new");
    let _ = sent.expect(want.state("syn-sent"));
}

#[test]
fn t_lnx_tcp_syn_est__in_last_ack_a_challenge_is_not_the_last_ack() {
    let mut lab = lab_after(&WHOLE_LIFE[..6]);
    pass(&mut lab, 1.0, LAN, new_syn(), "last-ack");
    let challenge = || from_server().seq(502).ack(102);
    pass(&mut lab, 1.1, WAN, challenge(), "last-ack");
    assert_eq!(lab.session().deadline, moment(30.0));
    // The client, which knows of no connection, resets the old one.
    pass(&mut lab, 1.2, LAN, from_client().rst().seq(102), "close");
    let sent = lab.at(2.0).from(LAN).send(new_syn());
    let want = forward_to(WAN).source(MASQUERADE).ct("new");
    let _ = sent.expect(want.state("syn-sent"));

    // Without a SYN before it, the same ACK is.
    let mut lab = lab_after(&WHOLE_LIFE[..6]);
    pass(&mut lab, 1.1, WAN, challenge(), "time-wait");
}

#[test]
fn t_lnx_tcp_syn_est__only_one_challenge_is_expected() {
    let mut lab = lab_after(&WHOLE_LIFE[..6]);
    pass(&mut lab, 1.0, LAN, new_syn(), "last-ack");
    let challenge = || from_server().seq(502).ack(102);
    pass(&mut lab, 1.1, WAN, challenge(), "last-ack");
    pass(&mut lab, 1.2, WAN, challenge(), "time-wait");
}

#[test]
fn an_old_syn_ack_is_reset_by_the_client_and_its_next_syn_begins_anew() {
    // The server still knows a connection with a number a little before.
    let mut lab = lab_after(&[SYN]);
    let old = from_server().syn().seq(900_000).ack(42);
    pass(&mut lab, 0.1, WAN, old, "syn-recv");
    pass(&mut lab, 0.2, LAN, from_client().rst().seq(42), "close");
    for (zone, packet, state) in [SYN, SYN_ACK, ACK] {
        pass(&mut lab, 1.0, zone, packet(), state);
    }
    let data = from_server().seq(501).ack(101).data("x");
    pass(&mut lab, 1.0, WAN, data, "established");
}

#[test]
fn a_syn_ack_of_what_was_never_sent_is_refused() {
    let mut lab = lab_after(&[SYN]);
    let forged = from_server().syn().seq(900_000).ack(102);
    refuse(&mut lab, 0.1, WAN, forged, Reason::TcpOutOfWindow);
    play(&mut lab, 0.2, SYN_ACK);
}

#[test]
fn t_9293_synsent_ack__a_reset_after_a_challenge_needs_its_number() {
    let mut lab = lab_after(&[SYN]);
    let stale = from_server().seq(7777).ack(10_000_000);
    pass(&mut lab, 0.1, WAN, stale, "syn-sent");
    let reset = from_client().rst().seq(10_000_000);
    pass(&mut lab, 0.2, LAN, reset, "close");
    let sent = lab.at(1.0).from(LAN).send(SYN.1());
    let _ = sent.expect(forward_to(WAN).source(MASQUERADE).state("syn-sent"));
}

#[test]
fn a_repeated_syn_with_a_larger_number_counts_as_the_beginning() {
    let mut lab = Lab::new(OFFICE);
    play(&mut lab, 0.0, SYN);
    pass(&mut lab, 1.0, LAN, new_syn(), "syn-sent");
    assert_eq!(lab.session().deadline, moment(120.0));
    let syn_ack = from_server().syn().seq(500).ack(7_000_001);
    pass(&mut lab, 1.1, WAN, syn_ack, "syn-recv");
    let ack = from_client().seq(7_000_001).ack(501);
    pass(&mut lab, 1.2, LAN, ack, "established");
}

/// The kernel keeps the numbers of the refused answer; a right one that does
/// not lie behind them then opens nothing: `refused-answer`.
#[test]
fn nothing_of_a_refused_answer_is_kept() {
    let mut lab = lab_after(&[SYN]);
    for forged in [
        from_server().syn().seq(3_000_000_000).ack(5000),
        from_server().rst().seq(3_000_000_000).ack(5000),
    ] {
        refuse(&mut lab, 0.1, WAN, forged, Reason::TcpOutOfWindow);
    }
    play(&mut lab, 0.2, SYN_ACK);
    play(&mut lab, 0.3, ACK);
}

/// The kernel deletes the session before it asks the rules:
/// `refused-reopening`.
#[test]
fn t_lnx_tcp_syn_tw__a_syn_that_no_rule_allows_leaves_the_closed_session_alone() {
    let mut lab = lab_after(&WHOLE_LIFE);
    let before = lab.snapshot();
    let syn = from_server().syn().seq(9_000_000);
    let sent = lab.at(1.0).from(WAN).send(syn);
    assert!(sent.forwarded.is_none() && sent.made.is_empty());
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn a_new_syn_makes_simultaneous_opening_a_thing_of_the_past() {
    let mut lab = lab_after(&[SYN]);
    let syn = from_server().syn().seq(500);
    pass(&mut lab, 0.1, WAN, syn, "syn-sent2");
    let answer = from_client().syn().seq(100).ack(501);
    pass(&mut lab, 0.2, LAN, answer, "syn-recv");
    // The client's SYN again: it passes, and what is open begins anew with it.
    pass(&mut lab, 0.3, LAN, SYN.1(), "syn-recv");
    let ack = from_server().seq(501).ack(101);
    pass(&mut lab, 0.4, WAN, ack, "syn-recv");
    pass(
        &mut lab,
        0.5,
        LAN,
        from_client().seq(101).ack(501),
        "established",
    );
}

#[test]
fn a_session_from_the_middle_stays_lenient_with_the_end_that_answers_a_new_syn() {
    let checks = TcpChecks {
        pick_up: PickUp::Loose,
        ..TcpChecks::default()
    };
    let mut lab = Lab::lenient(OFFICE, checks);
    pass(
        &mut lab,
        0.0,
        LAN,
        from_client().seq(100).ack(500),
        "established",
    );
    pass(
        &mut lab,
        0.0,
        WAN,
        from_server().seq(500).ack(100),
        "established",
    );
    pass(&mut lab, 1.0, LAN, new_syn(), "established");
    let syn_ack = from_server().syn().seq(9_000_000).ack(7_000_001);
    pass(&mut lab, 1.0, WAN, syn_ack, "syn-recv");
    let ack = from_client().seq(7_000_001).ack(9_000_001);
    pass(&mut lab, 1.0, LAN, ack, "established");
    let far = |packet: Packet, seq: u32| packet.seq(seq).data("x");
    let beyond = far(from_server().ack(7_000_001), 90_000_000);
    pass(&mut lab, 1.0, WAN, beyond, "established");
    let beyond = far(from_client().ack(9_000_001), 90_000_000);
    refuse(&mut lab, 1.0, LAN, beyond, Reason::TcpOutOfWindow);
}
