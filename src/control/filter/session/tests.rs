//! Filters, and which sessions they let through.

use std::path::Path;

use super::*;
use crate::engine::{Arrival, Checksums, Engine, Options, Output, Silent};
use crate::net::{Timestamp, ZoneId};

const RULES: &str = r#"
    version = 1
    [zones]
    lan = { tun = "lan0", net = ["10.0.0.0/24"] }
    wan = { tun = "wan0", net = ["0.0.0.0/0"], address = ["203.0.113.2"] }
    [services]
    dns = { udp = [53] }
    [policy]
    default = "drop"
    rules = [ { id = "out", from = "lan", to = "wan", service = "dns", action = "allow" } ]
    [nat]
    source = [ { id = "masq", from = "lan", to = "wan", as = "masquerade" } ]
"#;

/// An engine with one session: 10.0.0.7:5000 asks 198.51.100.9:53.
fn engine() -> Engine {
    let policy = crate::config::compile(Path::new("test.toml"), RULES).unwrap();
    let options = Options {
        seed: 1,
        checksums: Checksums::Verify,
    };
    let now = Timestamp::from_secs(1000);
    let mut engine = Engine::new(std::sync::Arc::new(policy.policy), options, now);
    let mut frame = Vec::new();
    etherparse::PacketBuilder::ipv4([10, 0, 0, 7], [198, 51, 100, 9], 64)
        .udp(5000, 53)
        .write(&mut frame, b"payload")
        .unwrap();
    let arrival = Arrival::whole(ZoneId(0));
    let mut out = Output::default();
    let _ = engine.packet(now, arrival, &mut frame, &mut out, &mut Silent);
    assert_eq!(engine.sessions().len(), 1);
    engine
}

#[test]
fn a_session_is_admitted_by_any_part_of_it() {
    let engine = engine();
    let session = &engine.sessions().sorted()[0];
    let view = View::of(&engine);
    let admits = |text: &str| {
        let filter: SessionFilter = text.parse().unwrap();
        filter.check(view.policy).unwrap();
        filter.admits(session, view)
    };
    for yes in [
        "",
        "id=1",
        "id=1.. proto=udp",
        "proto=tcp,udp,proto-89",
        "src=10.0.0.0/24",
        "dst=198.51.100.9 dport=53",
        "sport=4000-6000",
        "sport=..5000 sport=5000..",
        "addr=203.0.113.2",
        "reply-dst=203.0.113.2 reply-sport=53",
        "port=53",
        "in=lan out=wan",
        "zone=wan",
        "state=unreplied",
        "state!=established,stream",
        "service=dns rule=out nat=masq",
        "age=..1s left=29s..31s",
        "packets=1 bytes=35",
    ] {
        assert!(admits(yes), "{yes}");
    }
    for no in [
        "id=2",
        "proto=tcp",
        "src=10.0.1.0/24",
        "src!=10.0.0.0/24",
        "dport=54",
        "reply-dport=53",
        "in=wan",
        "state=established",
        "rule=default",
        "age=1s..",
        "bytes=36..",
        "proto=udp dport=54",
        "parent=1",
    ] {
        assert!(!admits(no), "{no}");
    }
}

#[test]
fn what_is_wrong_with_a_filter_is_said() {
    let engine = engine();
    let complaint = |text: &str| match text.parse::<SessionFilter>() {
        Err(error) => error.to_string(),
        Ok(filter) => filter.check(engine.policy()).unwrap_err().to_string(),
    };
    insta::assert_snapshot!(
        [
            "tcp",
            "proto=tpc",
            "src=10.0.0.256",
            "dport=70000",
            "dport=2..1",
            "dport=..",
            "state=open",
            "age=5",
            "reply-proto=tcp",
            "zone=lna",
            "rule=",
            "rule=nobody",
            "nat=nothing",
            "colour=red",
        ]
        .map(complaint)
        .join("\n")
    );
}

#[test]
fn every_state_has_its_word_among_the_names() {
    use crate::session::{FlowState, SctpState, TcpState};
    for state in [
        State::Tcp(TcpState::SynSent2),
        State::Sctp(SctpState::HeartbeatSent),
        State::Sctp(SctpState::Established),
        State::Flow(FlowState::Stream),
    ] {
        assert!(State::NAMES.contains(&state.name()), "{state}");
    }
}
