//! Connections that are closing, or over (RFC 1337).

use spigate::engine::Reason;

use super::dialogue::Dialogue;
use super::forged::{CLIENT, PUBLIC, SERVER, as_server, connection, refused};
use super::lab::{LAN, Lab, WAN};
use super::packets::tcp;
use super::wants::forward_to;

/// Both ends have closed.
fn closed() -> (Lab, Dialogue) {
    let (mut lab, mut ends) = connection();
    let fin = ends.client.segment().fin();
    let _ = lab
        .at(1.0)
        .from(LAN)
        .send(fin)
        .expect(forward_to(WAN).source(PUBLIC));
    (ends.client.next, ends.server.awaits) = (ends.client.next + 1, ends.server.awaits + 1);
    let fin = ends.server.segment().fin();
    let _ = lab
        .at(1.0)
        .from(WAN)
        .send(fin)
        .expect(forward_to(LAN).destination(CLIENT));
    (ends.server.next, ends.client.awaits) = (ends.server.next + 1, ends.client.awaits + 1);
    let ack = ends.client.segment();
    let want = forward_to(WAN).source(PUBLIC).state("time-wait");
    let _ = lab.at(1.0).from(LAN).send(ack).expect(want);
    (lab, ends)
}

#[test]
fn segments_of_nobody_neither_prolong_time_wait_nor_end_it() {
    let (mut lab, ends) = closed();
    for ahead in [200_000, 1 << 24, 1 << 30] {
        let seq = ends.server.next.wrapping_add(ahead);
        for forgery in [
            as_server().seq(seq).ack(ends.client.next).data("x"),
            as_server().fin().seq(seq).ack(ends.client.next),
        ] {
            let why = refused(&mut lab, 2.0, WAN, forgery);
            assert_eq!(why, Reason::TcpOutOfWindow);
        }
    }
}

/// The bound: a reset of any number closes what is closing (as in Linux: the
/// tuple may be in use again, unseen). Nobody can use the closed session, and
/// a new connection takes its place as before.
#[test]
fn a_reset_assassinates_time_wait_and_nothing_else() {
    let (mut lab, _) = closed();
    let other = Dialogue::open(&mut lab, 2.0, (LAN, "10.0.0.8:50000"), SERVER);
    let before = lab.engine.sessions().sorted()[1].clone();
    let reset = as_server().rst().seq(1 << 30);
    let _ = lab
        .at(2.0)
        .from(WAN)
        .send(reset)
        .expect(forward_to(LAN).destination(CLIENT).state("close"));
    assert_eq!(lab.engine.sessions().sorted()[1], before);
    let mut other = other;
    other.client_says(&mut lab, 2.0, "still here");
    let syn = tcp(CLIENT, SERVER).syn().seq(77);
    let want = forward_to(WAN).source(PUBLIC).ct("new").state("syn-sent");
    let _ = lab.at(3.0).from(LAN).send(syn).expect(want);
}

#[test]
fn a_syn_from_the_other_side_opens_nothing_in_the_place_of_a_closed_session() {
    let (mut lab, _) = closed();
    let table = lab.table();
    let syn = as_server().syn().seq(1 << 30);
    let sent = lab.at(2.0).from(WAN).send(syn.clone());
    assert!(sent.made.is_empty());
    assert!(sent.forwarded.is_none(), "{:?}", sent.judgement);
    assert_eq!(lab.table(), table);
    // Nor after it has expired.
    lab.wait_until(1000.0);
    assert!(lab.table().is_empty());
    refused(&mut lab, 1000.0, WAN, syn);
}

/// The bound: what answers no SYN shows at most that somebody is there.
#[test]
fn an_old_duplicate_after_the_tuple_is_used_again_takes_no_part_in_the_new_session() {
    let (mut lab, old) = closed();
    let syn = tcp(CLIENT, SERVER).syn().seq(900_000_000);
    let want = forward_to(WAN).source(PUBLIC).ct("new");
    let _ = lab.at(2.0).from(LAN).send(syn).expect(want);
    let deadline = lab.session().deadline;
    for forgery in [
        old.server.segment().data("late"),
        old.server.segment().fin(),
        old.server.segment().rst(),
    ] {
        let sent = lab.at(3.0).from(WAN).send(forgery);
        assert!(sent.made.is_empty());
        assert_eq!(lab.session().state().name(), "syn-sent");
        assert_eq!(lab.session().deadline, deadline);
    }
    let answer = as_server().syn().seq(5000).ack(900_000_001);
    let want = forward_to(LAN).destination(CLIENT).state("syn-recv");
    let _ = lab.at(3.0).from(WAN).send(answer).expect(want);
}
