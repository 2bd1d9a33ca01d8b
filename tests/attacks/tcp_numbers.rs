//! Forgeries that are to make the gateway believe in other numbers, so that a
//! later one fits: windows, acknowledgements, a second SYN.

use spigate::engine::Reason;

use super::dialogue::Dialogue;
use super::forged::{CLIENT, PUBLIC, SERVER, as_server, connection, goes_on, harmless, refused};
use super::lab::{LAN, Lab, WAN};
use super::packets::tcp;
use super::policies::OFFICE;
use super::wants::forward_to;

#[test]
fn a_forged_segment_widens_no_window() {
    let (mut lab, mut ends) = connection();
    let (seq, ack) = (ends.server.next, ends.server.awaits);
    // What the client may send goes by the window that the server offers.
    let beyond = ends.client.next.wrapping_add(200_000);
    let probe = || {
        tcp(CLIENT, SERVER)
            .seq(beyond)
            .ack(ends.client.awaits)
            .data("x")
    };
    assert_eq!(refused(&mut lab, 1.0, LAN, probe()), Reason::TcpOutOfWindow);
    for (seq, ack) in [
        (seq, ack.wrapping_add(100_000)),
        (seq.wrapping_add(200_000), ack),
        (seq.wrapping_add(200_000), ack.wrapping_add(100_000)),
    ] {
        let forgery = as_server().seq(seq).ack(ack).window(65_535);
        refused(&mut lab, 1.0, WAN, forgery);
    }
    // Late ones pass, and say nothing that counts.
    for (seq, ack) in [
        (seq.wrapping_sub(100_000), ack),
        (seq, ack.wrapping_sub(100_000)),
    ] {
        let forgery = as_server().seq(seq).ack(ack).window(65_535);
        harmless(&mut lab, 1.0, WAN, forgery);
    }
    assert_eq!(refused(&mut lab, 1.0, LAN, probe()), Reason::TcpOutOfWindow);
    goes_on(&mut lab, 1.0, &mut ends);
}

#[test]
fn a_forged_selective_acknowledgement_moves_no_window() {
    let syn = |own: &str, peer: &str| tcp(own, peer).syn().tcp_options(&[4, 2, 1, 1]);
    let mut lab = Lab::new(OFFICE);
    let _ = lab
        .at(0.0)
        .from(LAN)
        .send(syn(CLIENT, SERVER).seq(1000))
        .expect(forward_to(WAN).source(PUBLIC));
    let inward = || forward_to(LAN).destination(CLIENT);
    let answer = syn(SERVER, PUBLIC).seq(5000).ack(1001);
    let _ = lab.at(0.0).from(WAN).send(answer).expect(inward());
    let ack = tcp(CLIENT, SERVER).seq(1001).ack(5001);
    let _ = lab
        .at(0.0)
        .from(LAN)
        .send(ack)
        .expect(forward_to(WAN).source(PUBLIC));
    for block in [(100_000, 101_000), (1 << 30, (1 << 30) + 1), (0, u32::MAX)] {
        let forgery = as_server().seq(5001).ack(1001).sack(&[block]);
        harmless(&mut lab, 0.0, WAN, forgery);
        let beyond = tcp(CLIENT, SERVER).seq(200_000).ack(5001).data("x");
        assert_eq!(refused(&mut lab, 0.0, LAN, beyond), Reason::TcpOutOfWindow);
    }
}

#[test]
fn a_forged_syn_with_its_own_answer_takes_no_connection_over() {
    let (mut lab, mut ends) = connection();
    // Both from the one zone that the forger can send from.
    harmless(&mut lab, 1.0, WAN, as_server().syn().seq(777));
    for ack in [778, ends.server.awaits] {
        harmless(&mut lab, 1.0, WAN, as_server().syn().seq(888).ack(ack));
    }
    goes_on(&mut lab, 1.0, &mut ends);
}

/// The bound of a second SYN: a reset behind it has to lie in the window, but
/// need not be exact (as in Linux); without one, one in the window is inexact.
#[test]
fn a_forged_syn_makes_no_forged_reset_fit_that_acknowledges_it() {
    let mut lab = Lab::new(OFFICE);
    let client = "198.51.100.9:51000";
    let mut ends = Dialogue::open(&mut lab, 0.0, (WAN, client), "203.0.113.2:80");
    ends.client_says(&mut lab, 0.0, "a question");
    ends.server_says(&mut lab, 0.0, "an answer");
    ends.client_says(&mut lab, 0.0, "");
    let forged = || tcp(client, "203.0.113.2:80");
    for seq in [777, 1 << 30] {
        harmless(&mut lab, 1.0, WAN, forged().syn().seq(seq));
        let reset = forged().rst().seq(ends.client.next.wrapping_add(1 << 29));
        refused(&mut lab, 1.0, WAN, reset.clone());
        refused(&mut lab, 1.0, WAN, reset.ack(seq + 1));
    }
    ends.client_says(&mut lab, 1.0, "another question");
    ends.server_says(&mut lab, 1.0, "another answer");
    assert_eq!(lab.session().state().name(), "established");
}

/// The bound: within the round trip of a handshake a forged SYN looks like one
/// of a simultaneous open, to Linux too. That attempt fails; the next does not.
#[test]
fn a_syn_forged_before_the_answer_costs_one_attempt_and_takes_nothing_over() {
    let (mut lab, mut ends) = connection();
    let (client, public) = ("10.0.0.7:52000", "203.0.113.2:52000");
    let syn = tcp(client, SERVER).syn().seq(1000);
    let _ = lab
        .at(1.0)
        .from(LAN)
        .send(syn)
        .expect(forward_to(WAN).source(public));
    let first = lab.engine.sessions().sorted()[0].clone();
    let forgery = tcp(SERVER, public).syn().seq(3_000_000_000);
    let _ = lab
        .at(1.0)
        .from(WAN)
        .send(forgery)
        .expect(forward_to(LAN).destination(client).state("syn-sent2"));
    // What the forger says next is no answer to the client's SYN.
    let guess = tcp(SERVER, public).seq(3_000_000_001).ack(7).data("x");
    harmless(&mut lab, 1.0, WAN, guess);
    assert_eq!(lab.engine.sessions().sorted()[0], first);
    let _ = Dialogue::open(&mut lab, 2.0, (LAN, "10.0.0.7:52001"), SERVER);
    ends.client_says(&mut lab, 2.0, "another question");
}
