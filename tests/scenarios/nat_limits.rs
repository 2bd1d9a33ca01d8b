//! What each client may hold and how often, what rests, and what the operator is
//! told (RFC 6888 REQ-4, 5, 7, 8 and 11).

use spigate::engine::Reason;
use spigate::net::Protocol;

use super::lab::{LAN, Lab, WAN};
use super::nat_carrier::{lab, lab_with, records};
use super::packets::{Packet, echo, tcp, udp};
use super::wants::{Told, drop_for, forward_to, reject_for};

const SERVER: &str = "198.51.100.1:53";

fn passes(lab: &mut Lab, at: f64, client: &str, server: &str) -> bool {
    let sent = lab.at(at).from(LAN).send(udp(client, server));
    sent.forwarded.is_some()
}

/// It leaves, as whatever.
fn leaves(lab: &mut Lab, at: f64, packet: Packet) {
    let sent = lab.at(at).from(LAN).send(packet);
    assert!(sent.forwarded.is_some(), "{:?}", sent.judgement);
}

#[test]
fn t_6888_req_4__identifiers_of_icmp_count_as_ports_do() {
    let ping = |n: u16| echo("10.0.0.7", "198.51.100.1", n);
    let refused = || drop_for(Reason::NatClientLimit).rule("out");
    let mut by_all = lab(r#"as = "masquerade", max-ports = 2"#);
    assert!(passes(&mut by_all, 0.0, "10.0.0.7:1001", SERVER));
    leaves(&mut by_all, 0.0, ping(1));
    let _ = by_all.at(0.0).from(LAN).send(ping(2)).expect(refused());
    // By the identifier that it holds it may ask another.
    leaves(&mut by_all, 0.0, echo("10.0.0.7", "198.51.100.2", 1));
    assert!(passes(&mut by_all, 0.0, "10.0.0.8:1001", SERVER));

    let mut by_kind = lab(r#"as = "masquerade", max-ports = { icmp = 1 }"#);
    leaves(&mut by_kind, 0.0, ping(1));
    let _ = by_kind.at(0.0).from(LAN).send(ping(2)).expect(refused());
    assert!(passes(&mut by_kind, 0.0, "10.0.0.7:1001", SERVER));
    let _ = by_kind.wait_until(40.0);
    leaves(&mut by_kind, 40.0, ping(2));
}

#[test]
fn what_is_replaced_does_not_count_beside_what_replaces_it() {
    let row = r#"as = "masquerade", max-ports = 1, port-order = "random", ports = "2000-2999""#;
    let mut lab = lab(row);
    let (client, server) = ("10.0.0.7:1001", "198.51.100.1:80");
    let syn = || tcp(client, server).syn().seq(1);
    leaves(&mut lab, 0.0, syn());
    let public = lab.session().origin.tuples.reply.destination.to_string();
    let answer = tcp(server, &public).syn().seq(9).ack(2);
    let sent = lab.at(0.0).from(WAN).send(answer);
    let _ = sent.expect(forward_to(LAN).destination(client));
    leaves(&mut lab, 0.1, tcp(client, server).seq(2).ack(10));
    leaves(&mut lab, 0.1, tcp(client, server).rst().seq(2));
    let first = lab.session();
    leaves(&mut lab, 0.2, syn().seq(77));
    let second = lab.session();
    assert!(second.id > first.id, "it was replaced");
    assert_ne!(second.origin.tuples.reply, first.origin.tuples.reply);
    let row = spigate::net::RowId::of_place(0).unwrap();
    let mappings = lab.engine.sessions().mappings();
    let tally = mappings.held(row, "10.0.0.7".parse().unwrap());
    assert_eq!((tally.tcp, tally.all()), (1, 1));
    // Another connection is one too many.
    let other = tcp("10.0.0.7:1002", server).syn();
    let sent = lab.at(0.3).from(LAN).send(other);
    let _ = sent.expect(drop_for(Reason::NatClientLimit));
}

#[test]
fn t_6888_req_4c__a_client_takes_new_ports_at_its_rate_and_others_at_theirs() {
    let mut lab = lab(r#"as = "masquerade", new-ports = { per-second = 10, burst = 3 }"#);
    let mut asked = 0;
    let mut burst = |lab: &mut Lab, at: f64, client: u8| {
        let all = (0..10).filter(|_| {
            asked += 1;
            passes(
                lab,
                at,
                &format!("10.0.0.{client}:{}", 1000 + asked),
                SERVER,
            )
        });
        all.count()
    };
    assert_eq!(burst(&mut lab, 0.0, 7), 3);
    assert_eq!(burst(&mut lab, 0.0, 8), 3);
    assert_eq!(burst(&mut lab, 0.21, 7), 2);
    assert_eq!(burst(&mut lab, 5.0, 7), 3);
    let sent = lab.at(5.0).from(LAN).send(udp("10.0.0.7:999", SERVER));
    let _ = sent.expect(drop_for(Reason::NatClientRate).rule("out"));
    // By a port that it has it may speak to whom it likes.
    assert!(passes(&mut lab, 5.0, "10.0.0.8:1011", "198.51.100.2:53"));
}

#[test]
fn t_6888_req_5__sessions_by_one_public_endpoint_are_limited() {
    let kinds = ["", r#", mapping = "endpoint-independent""#];
    for kind in kinds {
        let mut lab = lab(&format!(r#"as = "masquerade", max-sessions = 2{kind}"#));
        let server = |n: u8| format!("198.51.100.{n}:53");
        assert!(passes(&mut lab, 0.0, "10.0.0.7:1001", &server(1)));
        assert!(passes(&mut lab, 0.0, "10.0.0.7:1001", &server(2)));
        let sent = lab.at(0.0).from(LAN).send(udp("10.0.0.7:1001", &server(3)));
        let _ = sent.expect(drop_for(Reason::NatMappingLimit).rule("out"));
        assert!(passes(&mut lab, 0.0, "10.0.0.7:1002", &server(3)));
        assert!(
            passes(&mut lab, 0.0, "10.0.0.7:1001", &server(1)),
            "it is there"
        );
        assert!(passes(&mut lab, 31.0, "10.0.0.7:1001", &server(4)));
    }
}

#[test]
fn t_6888_req_5__strangers_cannot_fill_the_table_through_one_mapping() {
    let row = r#"as = "masquerade", max-sessions = 3, mapping = "endpoint-independent", filtering = "endpoint-independent""#;
    let mut lab = lab(row);
    assert!(passes(&mut lab, 0.0, "10.0.0.7:1001", SERVER));
    let came: Vec<_> = (0..5)
        .map(|n| {
            let stranger = udp(&format!("192.0.2.{n}:9"), "203.0.113.2:1001");
            let sent = lab.at(0.0).from(WAN).send(stranger);
            sent.judgement.reason
        })
        .collect();
    let (ok, full) = (Reason::Mapping, Reason::NatMappingLimit);
    assert_eq!(came, [ok, ok, full, full, full]);
}

#[test]
fn t_6888_req_5__sessions_of_a_client_are_limited_in_rate_too() {
    let head = "[limits]\nper-source-rate = { per-second = 2, burst = 4 }\n";
    let mut lab = lab_with(head, r#"as = "masquerade""#, "");
    let mut burst = |at: f64, client: u8, from: u16| {
        let all = (from..from + 8).filter(|n| {
            passes(
                &mut lab,
                at,
                "10.0.0.7:1001".replace('7', &client.to_string()).as_str(),
                &format!("198.51.100.1:{n}"),
            )
        });
        all.count()
    };
    assert_eq!(burst(0.0, 7, 100), 4);
    assert_eq!(burst(0.0, 8, 100), 4);
    assert_eq!(burst(1.0, 7, 200), 2);
    let sent = lab
        .at(1.0)
        .from(LAN)
        .send(udp("10.0.0.7:1001", "198.51.100.1:999"));
    let _ = sent.expect(drop_for(Reason::SourceRate).rule("out"));
}

#[test]
fn t_6888_req_7__by_the_carrier_profile_anyone_gets_in_by_a_mapping() {
    let mut lab = lab_with(r#"profile = "carrier""#, r#"as = "masquerade""#, "");
    assert!(passes(&mut lab, 0.0, "10.0.0.7:1001", SERVER));
    let stranger = udp("192.0.2.9:9", "203.0.113.2:1001");
    let sent = lab.at(0.0).from(WAN).send(stranger);
    let _ = sent.expect(
        forward_to(LAN)
            .destination("10.0.0.7:1001")
            .because(Reason::Mapping),
    );
    // Another server, the same endpoint.
    let sent = lab
        .at(0.0)
        .from(LAN)
        .send(udp("10.0.0.7:1001", "198.51.100.7:7"));
    let _ = sent.expect(forward_to(WAN).source("203.0.113.2:1001"));
}

const OPEN: &str = r#"as = "masquerade", ports = "2000-2001", filtering = "endpoint-independent", mapping = "endpoint-independent""#;

#[test]
fn t_6888_req_8__a_freed_port_rests_so_long_and_then_is_given_again() {
    let mut lab = lab(&format!(r#"{OPEN}, hold-down = "120s""#));
    assert!(passes(&mut lab, 0.0, "10.0.0.7:2000", SERVER));
    // It ends at 30.
    assert!(passes(&mut lab, 40.0, "10.0.0.8:2000", SERVER));
    let sent = lab.at(40.0).from(LAN).send(udp("10.0.0.9:2000", SERVER));
    let _ = sent.expect(drop_for(Reason::NatPortsExhausted));
    let mappings = lab.engine.sessions().mappings();
    assert_eq!((mappings.in_use(), mappings.at_rest()), (1, 1));
    // Who comes to it while it rests comes to nobody.
    let late = udp("192.0.2.9:9", "203.0.113.2:2000");
    let _ = lab
        .at(41.0)
        .from(WAN)
        .send(late)
        .expect(drop_for(Reason::DefaultPolicy));
    assert!(!passes(&mut lab, 149.9, "10.0.0.9:2000", SERVER));
    let sent = lab.at(150.0).from(LAN).send(udp("10.0.0.9:2000", SERVER));
    let _ = sent.expect(forward_to(WAN).source("203.0.113.2:2000"));
}

#[test]
fn t_6888_req_8__so_many_rest_at_most() {
    let mut lab = lab(&format!(
        r#"{OPEN}, hold-down = {{ time = "120s", ports = 1 }}"#
    ));
    for port in [2000, 2001] {
        assert!(passes(&mut lab, 0.0, &format!("10.0.0.7:{port}"), SERVER));
    }
    let _ = lab.wait_until(31.0);
    assert_eq!(lab.engine.sessions().mappings().at_rest(), 1);
    assert!(
        passes(&mut lab, 31.0, "10.0.0.8:2000", SERVER),
        "the older one is free"
    );
    assert!(!passes(&mut lab, 31.0, "10.0.0.8:2001", SERVER));
}

#[test]
fn t_6888_req_8__tcp_and_mappings_with_a_stricter_filter_need_no_rest() {
    let mut open = lab(&format!(r#"{OPEN}, hold-down = "120s""#));
    for (at, host) in [(0.0, 7), (121.0, 8)] {
        for port in [2000, 2001] {
            let syn = tcp(&format!("10.0.0.{host}:{port}"), SERVER).syn();
            let sent = open.at(at).from(LAN).send(syn);
            assert!(sent.forwarded.is_some(), "{at} {port}");
        }
    }
    let stricter = OPEN.replacen("endpoint-independent", "address-dependent", 1);
    let mut lab = lab_with(r#"profile = "carrier""#, &stricter, "");
    for (at, host) in [(0.0, 7), (301.0, 8)] {
        for port in [2000, 2001] {
            assert!(passes(
                &mut lab,
                at,
                &format!("10.0.0.{host}:{port}"),
                SERVER
            ));
        }
    }
}

#[test]
fn t_6888_req_8__a_block_rests_before_another_client_has_it() {
    let row =
        r#"as = "masquerade", ports = "2000-2007", blocks = { size = 8 }, hold-down = "120s""#;
    let mut lab = lab(row);
    assert!(passes(&mut lab, 0.0, "10.0.0.7:2000", SERVER));
    let _ = lab.wait_until(31.0);
    assert!(!passes(&mut lab, 149.9, "10.0.0.8:2000", SERVER));
    assert!(passes(&mut lab, 150.0, "10.0.0.8:2000", SERVER));
}

#[test]
fn t_6888_req_11c__the_operator_is_told_at_once_and_then_once_a_minute() {
    let mut lab = lab(r#"as = "masquerade", max-ports = 1"#);
    assert!(passes(&mut lab, 0.0, "10.0.0.7:1", SERVER));
    let told = |lab: &mut Lab, at: f64, client: &str| {
        let sent = lab.at(at).from(LAN).send(udp(client, SERVER));
        assert!(sent.forwarded.is_none());
        let mut records = records(lab, &sent.events);
        records.retain(|record| record["event"] == "nat-short");
        records
    };
    let expected = serde_json::json!({
        "event": "nat-short", "time": "2026-03-01T09:00:01.000000Z", "row": "cgn",
        "reason": "nat-client-limit", "client": "10.0.0.7", "protocol": "udp", "packets": 1,
    });
    assert_eq!(told(&mut lab, 1.0, "10.0.0.7:2"), [expected]);
    for _ in 0..20 {
        assert!(told(&mut lab, 2.0, "10.0.0.7:3").is_empty());
    }
    for at in [25.0, 50.0] {
        assert!(passes(&mut lab, at, "10.0.0.7:1", SERVER));
    }
    let records = told(&mut lab, 61.0, "10.0.0.7:4");
    assert_eq!(records[0]["packets"], 21);
}

#[test]
fn the_sender_of_what_is_too_much_is_told_what_the_file_says() {
    let say = r#"no-mapping = "host-unreachable""#;
    let mut lab = lab_with("", r#"as = "masquerade", new-ports = 1"#, say);
    assert!(passes(&mut lab, 0.0, "10.0.0.7:1", SERVER));
    let sent = lab.at(0.0).from(LAN).send(udp("10.0.0.7:2", SERVER));
    let _ = sent.expect(reject_for(Reason::NatClientRate).told(Told::Error(3, 1, "10.0.0.1")));
}

#[test]
fn each_row_gives_a_socket_a_mapping_of_its_own() {
    let eim = r#"mapping = "endpoint-independent""#;
    let first = format!(
        r#"dst = "198.51.100.0/24", as = "203.0.113.16", {eim} }}, {{ id = "rest", from = "lan", to = "wan", as = "203.0.113.17", {eim}"#
    );
    let mut lab = lab(&first);
    for (server, public) in [
        ("198.51.100.1:53", "203.0.113.16:1001"),
        ("192.0.2.1:53", "203.0.113.17:1001"),
        ("198.51.100.2:53", "203.0.113.16:1001"),
        ("192.0.2.2:53", "203.0.113.17:1001"),
    ] {
        let sent = lab.at(0.0).from(LAN).send(udp("10.0.0.7:1001", server));
        let _ = sent.expect(forward_to(WAN).source(public));
    }
    let mappings = lab.engine.sessions().mappings();
    assert_eq!(mappings.sorted().len(), 2);
    assert!(
        mappings
            .sorted()
            .iter()
            .all(|m| m.protocol == Protocol::UDP && m.holders == 2)
    );
}
