//! SCTP: associations through the firewall, their states, tags and lives.

use spigate::engine::{Checksums, Reason};

use super::lab::{LAN, Lab, WAN, moment};
use super::other_packets::{
    abort, chunk, cookie_ack, cookie_echo, data, heartbeat, heartbeat_ack, init, init_ack, sctp,
    shutdown, shutdown_ack, shutdown_complete,
};
use super::packets::{Frame, icmp};
use super::policies::OFFICE;
use super::wants::{drop_for, forward_to};

const CLIENT: &str = "10.0.0.7:5000";
const PUBLIC: &str = "203.0.113.2:5000";
const SERVER: &str = "198.51.100.9:36412";
/// What the client wants to be addressed with, and the server.
const CLIENTS: u32 = 7001;
const SERVERS: u32 = 9001;

/// The client sends chunks, and they leave.
fn sends(lab: &mut Lab, at: f64, tag: u32, chunks: &[Vec<u8>], state: &'static str) {
    let want = forward_to(WAN).source(PUBLIC).state(state);
    let packet = sctp(CLIENT, SERVER, tag, chunks);
    let _ = lab.at(at).from(LAN).send(packet).expect(want);
}

/// The server does.
fn answers(lab: &mut Lab, at: f64, tag: u32, chunks: &[Vec<u8>], state: &'static str) {
    let want = forward_to(LAN).destination(CLIENT).state(state);
    let packet = sctp(SERVER, PUBLIC, tag, chunks);
    let _ = lab.at(at).from(WAN).send(packet).expect(want);
}

/// Something is refused and leaves everything as it was.
fn refused(lab: &mut Lab, zone: &'static str, packet: impl Frame, reason: Reason) {
    let before = lab.snapshot();
    let sent = lab.at(1.0).from(zone).send(packet);
    let _ = sent.expect(drop_for(reason).ct("invalid"));
    assert_eq!(lab.snapshot(), before);
}

/// An association that is established at once.
fn established() -> Lab {
    let mut lab = Lab::new(OFFICE);
    sends(&mut lab, 0.0, 0, &[init(CLIENTS)], "closed");
    answers(&mut lab, 0.0, CLIENTS, &[init_ack(SERVERS)], "cookie-wait");
    sends(&mut lab, 0.0, SERVERS, &[cookie_echo()], "cookie-echoed");
    answers(&mut lab, 0.0, CLIENTS, &[cookie_ack()], "established");
    lab
}

#[test]
fn t_lnx_other__an_sctp_association_lives_as_its_state_says() {
    let mut lab = Lab::new(OFFICE);
    let deadline = |lab: &Lab, seconds: f64| {
        assert_eq!(lab.session().deadline, moment(seconds));
    };
    sends(&mut lab, 0.0, 0, &[init(CLIENTS)], "closed");
    deadline(&lab, 10.0);
    answers(&mut lab, 1.0, CLIENTS, &[init_ack(SERVERS)], "cookie-wait");
    deadline(&lab, 4.0);
    let echo = [cookie_echo(), data("early")];
    sends(&mut lab, 2.0, SERVERS, &echo, "cookie-echoed");
    deadline(&lab, 5.0);
    answers(&mut lab, 3.0, CLIENTS, &[cookie_ack()], "established");
    deadline(&lab, 213.0);
    sends(&mut lab, 200.0, SERVERS, &[data("hello")], "established");
    deadline(&lab, 410.0);
    answers(&mut lab, 300.0, CLIENTS, &[shutdown()], "shutdown-recd");
    deadline(&lab, 303.0);
    sends(
        &mut lab,
        301.0,
        SERVERS,
        &[shutdown_ack()],
        "shutdown-ack-sent",
    );
    deadline(&lab, 304.0);
    answers(&mut lab, 302.0, CLIENTS, &[shutdown_complete()], "closed");
    deadline(&lab, 312.0);
    assert!(lab.wait_until(312.0 - 1e-6).is_empty());
    assert_eq!(lab.wait_until(312.0).len(), 1);
}

#[test]
fn t_lnx_other__another_path_of_an_association_is_opened_by_its_heartbeat() {
    let mut lab = Lab::new(OFFICE);
    sends(&mut lab, 0.0, SERVERS, &[heartbeat()], "heartbeat-sent");
    assert_eq!(lab.session().deadline, moment(30.0));
    answers(&mut lab, 1.0, CLIENTS, &[heartbeat_ack()], "established");
    assert_eq!(lab.session().deadline, moment(211.0));
    sends(
        &mut lab,
        2.0,
        SERVERS,
        &[data("by this path")],
        "established",
    );
}

#[test]
fn an_init_that_nobody_answers_is_not_kept_alive_by_repeating_it() {
    let mut lab = Lab::new(OFFICE);
    for at in [0.0, 3.0, 9.0] {
        sends(&mut lab, at, 0, &[init(CLIENTS)], "closed");
    }
    assert_eq!(lab.session().deadline, moment(10.0));
}

#[test]
fn a_stranger_who_does_not_know_the_tag_changes_nothing() {
    let mut lab = established();
    for chunks in [
        vec![data("forged")],
        vec![abort()],
        vec![shutdown_complete()],
        vec![init_ack(SERVERS + 1)],
        // An abort that reflects a tag has to reflect the right one.
        vec![chunk(6, 1, b"")],
        vec![cookie_echo()],
        vec![chunk(3, 0, &[0; 12]), abort()],
    ] {
        let forged = sctp(SERVER, PUBLIC, 1, &chunks);
        refused(&mut lab, WAN, forged, Reason::SctpWrongTag);
    }
    answers(&mut lab, 2.0, CLIENTS, &[abort()], "closed");
}

#[test]
fn an_abort_with_the_t_bit_carries_its_receivers_tag() {
    let mut lab = established();
    let reflected = sctp(SERVER, PUBLIC, CLIENTS, &[chunk(6, 1, b"")]);
    refused(&mut lab, WAN, reflected, Reason::SctpWrongTag);
    answers(&mut lab, 1.0, SERVERS, &[chunk(6, 1, b"")], "closed");
}

#[test]
fn an_init_sent_again_opens_no_way_for_another_servers_tag() {
    let mut lab = established();
    sends(&mut lab, 0.5, 0, &[init(CLIENTS)], "established");
    let other = sctp(SERVER, PUBLIC, CLIENTS, &[init_ack(SERVERS + 1)]);
    refused(&mut lab, WAN, other, Reason::SctpWrongTag);
    // The client that restarts has another tag, and a server that answers it.
    sends(&mut lab, 1.0, 0, &[init(CLIENTS + 1)], "established");
    answers(
        &mut lab,
        1.0,
        CLIENTS + 1,
        &[init_ack(SERVERS + 1)],
        "established",
    );
    sends(&mut lab, 1.0, SERVERS + 1, &[data("anew")], "established");
}

#[test]
fn a_strange_heartbeat_passes_and_renews_nothing_until_it_is_answered() {
    let mut lab = established();
    sends(&mut lab, 5.0, SERVERS + 1, &[heartbeat()], "established");
    assert_eq!(lab.session().deadline, moment(210.0));
    answers(
        &mut lab,
        6.0,
        CLIENTS + 1,
        &[heartbeat_ack()],
        "established",
    );
    assert_eq!(lab.session().deadline, moment(216.0));
    answers(&mut lab, 7.0, CLIENTS + 1, &[data("moved")], "established");
}

#[test]
fn chunks_that_no_stack_puts_together_are_refused_by_name() {
    let mut lab = established();
    for chunks in [
        vec![],
        vec![init(CLIENTS), data("x")],
        vec![data("x"), cookie_ack()],
        vec![chunk(1, 0, &[0; 4])],
    ] {
        let packet = sctp(CLIENT, SERVER, SERVERS, &chunks);
        refused(&mut lab, LAN, packet, Reason::SctpBadChunks);
    }
}

#[test]
fn a_chunk_without_length_or_beyond_the_end_is_refused() {
    let mut lab = established();
    for length in [0u16, 3, 21, 60_000] {
        let mut one = data("four");
        one[2..4].copy_from_slice(&length.to_be_bytes());
        let packet = sctp(CLIENT, SERVER, SERVERS, &[one]);
        refused(&mut lab, LAN, packet, Reason::BadLength);
    }
}

#[test]
fn what_answers_nothing_and_data_begin_no_association() {
    for chunk in [
        data("x"),
        abort(),
        shutdown(),
        shutdown_complete(),
        cookie_ack(),
        cookie_echo(),
        init_ack(1),
    ] {
        let mut lab = Lab::new(OFFICE);
        let packet = sctp(CLIENT, SERVER, SERVERS, &[chunk]);
        refused(&mut lab, LAN, packet, Reason::NoSession);
    }
}

#[test]
fn a_wrong_checksum_is_refused_and_where_nobody_looks_stays_as_wrong() {
    let taken = || sctp("10.0.0.8:5000", SERVER, 0, &[init(3)]);
    let mut bytes = sctp(CLIENT, SERVER, 0, &[init(CLIENTS)]).frame();
    bytes[28] ^= 0x10;
    refused(
        &mut Lab::new(OFFICE),
        LAN,
        bytes.clone(),
        Reason::BadChecksum,
    );
    let mut lab = Lab::with(OFFICE, Checksums::Ignore);
    // Somebody else has the port, so that it changes, and the sum with it.
    let _ = lab
        .at(0.0)
        .from(LAN)
        .send(taken())
        .expect(forward_to(WAN).source(PUBLIC));
    let mut left = lab.at(0.0).from(LAN).send(bytes).forwarded.unwrap().1.bytes;
    left[28] ^= 0x10;
    let _ = super::seen::Seen::read(&left, super::seen::Sums::Right);
}

#[test]
fn a_port_that_is_taken_gives_way_and_the_checksum_follows() {
    let mut lab = Lab::new(OFFICE);
    sends(&mut lab, 0.0, 0, &[init(CLIENTS)], "closed");
    let packet = sctp("10.0.0.8:5000", SERVER, 0, &[init(CLIENTS)]);
    let sent = lab.at(0.0).from(LAN).send(packet);
    let public = sent.forwarded.as_ref().unwrap().1.source.clone();
    assert_ne!(public, PUBLIC);
    let _ = sent.expect(forward_to(WAN).source(public.clone()));
    // Both get their answers.
    answers(&mut lab, 0.0, CLIENTS, &[init_ack(SERVERS)], "cookie-wait");
    let packet = sctp(SERVER, &public, CLIENTS, &[init_ack(SERVERS)]);
    let want = forward_to(LAN).destination("10.0.0.8:5000");
    let _ = lab.at(0.0).from(WAN).send(packet).expect(want);
}

#[test]
fn a_port_forward_leads_sctp_to_its_server() {
    let forward =
        r#"{ id = "fwd-s1ap", on = "wan", sctp = 36412, to = "10.0.9.60:36413", admit = true },"#;
    let rules = OFFICE.replace("forward = [", &format!("forward = [\n  {forward}"));
    let mut lab = Lab::new(&rules);
    let (peer, public, inside) = ("198.51.100.9:500", "203.0.113.2:36412", "10.0.9.60:36413");
    let packet = sctp(peer, public, 0, &[init(1)]);
    let want = forward_to(super::lab::DMZ)
        .destination(inside)
        .rule("fwd-s1ap");
    let _ = lab.at(0.0).from(WAN).send(packet).expect(want);
    let packet = sctp(inside, peer, 1, &[init_ack(2)]);
    let want = forward_to(WAN).source(public).state("cookie-wait");
    let _ = lab.at(0.0).from(super::lab::DMZ).send(packet).expect(want);
}

#[test]
fn an_error_about_a_translated_packet_quotes_it_as_it_was_sent() {
    let mut lab = Lab::new(OFFICE);
    sends(&mut lab, 0.0, 0, &[init(CLIENTS)], "closed");
    // Another client, whose port changes.
    let sent = sctp("10.0.0.8:5000", SERVER, 0, &[init(3)]).frame();
    let left = lab
        .at(0.0)
        .from(LAN)
        .send(sent.clone())
        .forwarded
        .unwrap()
        .1;
    for octets in [28, 32, 40, left.bytes.len()] {
        let error = icmp("198.51.100.9", "203.0.113.2", 3, 3).quoting(&left.bytes[..octets]);
        let sent_error = lab.at(0.0).from(WAN).send(error);
        let want = forward_to(LAN)
            .destination("10.0.0.8")
            .because(Reason::Related);
        let told = sent_error.expect(want).left();
        // Ports and checksum as they were sent; only the time to live differs.
        assert_eq!(told.quote()[20..], sent[20..octets]);
    }
}

#[test]
fn an_association_that_shuts_down_makes_room_and_one_that_is_established_does_not() {
    let full = format!("{OFFICE}\n[limits]\nsessions = 1");
    let open = |lab: &mut Lab| {
        sends(lab, 0.0, 0, &[init(CLIENTS)], "closed");
        answers(lab, 0.0, CLIENTS, &[init_ack(SERVERS)], "cookie-wait");
        sends(lab, 0.0, SERVERS, &[cookie_echo()], "cookie-echoed");
        answers(lab, 0.0, CLIENTS, &[cookie_ack()], "established");
    };
    let other = || sctp("10.0.0.8:6000", SERVER, 0, &[init(3)]);
    let mut lab = Lab::new(&full);
    open(&mut lab);
    let sent = lab.at(1.0).from(LAN).send(other());
    let _ = sent.expect(drop_for(Reason::SessionLimit).ct("new"));
    for chunks in [[shutdown()], [abort()]] {
        let mut lab = Lab::new(&full);
        open(&mut lab);
        let packet = sctp(SERVER, PUBLIC, CLIENTS, &chunks);
        let want = forward_to(LAN).destination(CLIENT);
        let _ = lab.at(1.0).from(WAN).send(packet).expect(want);
        let want = forward_to(WAN).source("203.0.113.2:6000");
        let _ = lab.at(1.0).from(LAN).send(other()).expect(want);
    }
}

#[test]
fn a_bundle_that_is_refused_for_its_last_chunk_changes_nothing() {
    let mut lab = established();
    // An abort that says that it reflects a tag, and does not.
    let chunks = [shutdown(), chunk(6, 1, b"")];
    let packet = sctp(CLIENT, SERVER, SERVERS, &chunks);
    refused(&mut lab, LAN, packet, Reason::SctpWrongTag);
    sends(&mut lab, 2.0, SERVERS, &[data("still here")], "established");
}
