//! Datagrams of somebody who was not asked.

use spigate::engine::Reason;

use super::forged::refused;
use super::lab::{LAN, Lab, WAN};
use super::packets::{echo, echo_reply, udp};
use super::policies::OFFICE;
use super::wants::forward_to;

const CLIENT: &str = "10.0.0.7:5000";
const RESOLVER: &str = "198.51.100.53:53";
const PUBLIC: &str = "203.0.113.2:5000";

fn asked() -> Lab {
    let mut lab = Lab::new(OFFICE);
    let want = forward_to(WAN).source(PUBLIC);
    let _ = lab
        .at(0.0)
        .from(LAN)
        .send(udp(CLIENT, RESOLVER))
        .expect(want);
    lab
}

/// The bound: sixteen bits of the client's port, which stays its own choice as
/// long as it is free.
#[test]
fn an_answer_of_another_host_or_port_or_to_another_port_is_none() {
    let mut lab = asked();
    for (from, to) in [
        ("198.51.100.54:53", PUBLIC),
        ("198.51.100.53:54", PUBLIC),
        (RESOLVER, "203.0.113.2:5001"),
        (RESOLVER, "203.0.113.2:4999"),
    ] {
        let why = refused(&mut lab, 1.0, WAN, udp(from, to));
        assert_eq!(why, Reason::DefaultPolicy);
    }
    // The real one arrives.
    let want = forward_to(LAN).destination(CLIENT).ct("established");
    let _ = lab
        .at(2.0)
        .from(WAN)
        .send(udp(RESOLVER, PUBLIC))
        .expect(want);
}

#[test]
fn a_flood_of_guessed_ports_leaves_one_session_as_it_was() {
    let mut lab = asked();
    for port in (1024..65_000u16).step_by(97).filter(|port| *port != 5000) {
        refused(
            &mut lab,
            1.0,
            WAN,
            udp(RESOLVER, &format!("203.0.113.2:{port}")),
        );
    }
    assert_eq!(lab.table().len(), 1);
}

#[test]
fn an_echo_reply_with_another_identifier_or_from_another_host_is_none() {
    let mut lab = Lab::new(OFFICE);
    let ping = echo("10.0.0.7", "198.51.100.9", 77);
    let _ = lab
        .at(0.0)
        .from(LAN)
        .send(ping)
        .expect(forward_to(WAN).source("203.0.113.2:77"));
    for (from, identifier) in [("198.51.100.9", 78), ("198.51.100.10", 77)] {
        let reply = echo_reply(from, "203.0.113.2", identifier);
        assert_eq!(refused(&mut lab, 1.0, WAN, reply), Reason::NoSession);
    }
}

/// Reflection: what comes back may not be more than what a session asked for.
#[test]
fn nobody_unasked_gets_an_answer_of_the_gateway() {
    let mut lab = Lab::new(OFFICE);
    for to in ["203.0.113.2:53000", "203.0.113.2:161", "203.0.113.2:123"] {
        refused(&mut lab, 0.0, WAN, udp("192.0.2.99:7", to));
    }
    refused(&mut lab, 0.0, WAN, echo("192.0.2.99", "203.0.113.2", 1));
}
