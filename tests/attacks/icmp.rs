//! Forged ICMP errors (RFC 5927): they may reach the host that can judge them,
//! and change nothing on their way.

use spigate::engine::Reason;

use super::forged::{CLIENT, PUBLIC, SERVER, connection, goes_on, refused};
use super::lab::{LAN, Lab, WAN};
use super::packets::{Packet, icmp, tcp, udp};
use super::wants::forward_to;

const FORGER: &str = "198.51.100.66";

fn error(kind: u8, code: u8, rest: [u8; 4], quoted: &Packet) -> Packet {
    icmp(FORGER, "203.0.113.2", kind, code)
        .rest(rest)
        .quoting(&quoted.bytes())
}

/// Every error that a connection could be told to end by.
const KINDS: [(u8, u8, [u8; 4]); 8] = [
    (3, 1, [0; 4]),
    (3, 2, [0; 4]),
    (3, 3, [0; 4]),
    (3, 13, [0; 4]),
    (3, 4, [0, 0, 0, 68]),
    (3, 4, [0, 0, 0, 0]),
    (4, 0, [0; 4]),
    (11, 0, [0; 4]),
];

/// Sends an error that reaches the client, and sees that the whole table is as
/// it was.
fn reaches_the_client_and_changes_nothing(lab: &mut Lab, at: f64, error: Packet) {
    lab.wait_until(at);
    let before = lab.snapshot();
    let want = forward_to(LAN).destination("10.0.0.7").ct("related");
    let _ = lab.at(at).from(WAN).send(error).expect(want);
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn unreachables_tiny_mtus_and_quenches_change_no_session() {
    let (mut lab, mut ends) = connection();
    for (kind, code, rest) in KINDS {
        let quoted = tcp(PUBLIC, SERVER).seq(ends.client.next).ack(1);
        let error = error(kind, code, rest, &quoted);
        reaches_the_client_and_changes_nothing(&mut lab, 1.0, error);
    }
    goes_on(&mut lab, 1.0, &mut ends);
}

/// RFC 5927 section 4.1 has the host look at the number; the gateway lets the
/// host judge, and believes none of it.
#[test]
fn t_5927_seq__errors_about_numbers_that_are_not_in_flight_change_nothing() {
    let (mut lab, mut ends) = connection();
    for ahead in [0u32, 100_000, 1 << 30, 1 << 31, u32::MAX - 100_000] {
        let quoted = tcp(PUBLIC, SERVER).seq(ends.client.next.wrapping_add(ahead));
        let error = error(3, 3, [0; 4], &quoted);
        reaches_the_client_and_changes_nothing(&mut lab, 1.0, error);
    }
    goes_on(&mut lab, 1.0, &mut ends);
}

#[test]
fn errors_about_other_tuples_get_nowhere() {
    let (mut lab, mut ends) = connection();
    for (from, to) in [
        ("203.0.113.2:51001", SERVER),
        (PUBLIC, "198.51.100.9:81"),
        (PUBLIC, "198.51.100.10:80"),
        // The inside's own view of it, and the answers'.
        (CLIENT, SERVER),
        (SERVER, PUBLIC),
    ] {
        let why = refused(&mut lab, 1.0, WAN, error(3, 3, [0; 4], &tcp(from, to)));
        assert_eq!(why, Reason::IcmpUnrelated);
    }
    let why = refused(
        &mut lab,
        1.0,
        WAN,
        error(3, 3, [0; 4], &udp(PUBLIC, SERVER)),
    );
    assert_eq!(why, Reason::IcmpUnrelated);
    // The right quote for another host.
    let astray = icmp(FORGER, "203.0.113.3", 3, 3).quoting(&tcp(PUBLIC, SERVER).bytes());
    assert_eq!(refused(&mut lab, 1.0, WAN, astray), Reason::IcmpUnrelated);
    goes_on(&mut lab, 1.0, &mut ends);
}

#[test]
fn a_redirect_does_not_cross_a_translation() {
    let (mut lab, mut ends) = connection();
    let quoted = tcp(PUBLIC, SERVER).seq(ends.client.next);
    for code in 0..4 {
        let redirect = error(5, code, [198, 51, 100, 66], &quoted);
        assert_eq!(refused(&mut lab, 1.0, WAN, redirect), Reason::IcmpUnrelated);
    }
    goes_on(&mut lab, 1.0, &mut ends);
}

#[test]
fn an_error_with_an_inside_address_does_not_come_from_outside() {
    let (mut lab, mut ends) = connection();
    let quoted = tcp(PUBLIC, SERVER).seq(ends.client.next).bytes();
    for from in ["10.0.0.1", "10.0.9.1", "203.0.113.2"] {
        let error = icmp(from, "203.0.113.2", 3, 3).quoting(&quoted);
        assert_eq!(refused(&mut lab, 1.0, WAN, error), Reason::SpoofedSource);
    }
    goes_on(&mut lab, 1.0, &mut ends);
}
