//! Echo and its like, told apart by identifier.

use spigate::engine::Reason;

use super::lab::{LAN, Lab, WAN, moment};
use super::packets::{Packet, echo, echo_reply, icmp};
use super::policies::{OFFICE, PLAIN};
use super::seen::Body;
use super::wants::{drop_for, forward_to};

const SERVER: &str = "198.51.100.9";

#[test]
fn t_5508_req_1__a_ping_leaves_translated_and_its_reply_comes_back() {
    let mut lab = Lab::new(OFFICE);
    let sent = lab.at(0.0).from(LAN).send(echo("10.0.0.7", SERVER, 77));
    let _ = sent.expect(
        forward_to(WAN)
            .source("203.0.113.2:77")
            .state("unreplied")
            .ct("new"),
    );
    let back = lab
        .at(1.0)
        .from(WAN)
        .send(echo_reply(SERVER, "203.0.113.2", 77));
    let _ = back.expect(forward_to(LAN).destination("10.0.0.7").state("replied"));
}

#[test]
fn t_5508_req_1_id__two_hosts_with_one_identifier_get_two() {
    for (hosts, server, public) in [
        (["10.0.0.7", "10.0.0.8"], SERVER, "203.0.113.2"),
        (
            ["2001:db8:10::7", "2001:db8:10::8"],
            "2001:db8:5::9",
            "2001:db8:ff::2",
        ),
    ] {
        let mut lab = Lab::new(OFFICE);
        let mut outside = Vec::new();
        for host in hosts {
            let left = lab
                .at(0.0)
                .from(LAN)
                .send(echo(host, server, 77))
                .forwarded
                .unwrap()
                .1;
            let source = super::packets::endpoint(&left.source);
            assert_eq!(source.ip().to_string(), public);
            outside.push((host, source.port()));
        }
        assert_eq!(outside[0].1, 77);
        assert_ne!(outside[1].1, 77);
        for (host, identifier) in outside.into_iter().rev() {
            let reply = echo_reply(server, public, identifier);
            let left = lab.at(1.0).from(WAN).send(reply).forwarded.unwrap().1;
            assert_eq!(left.destination, host);
            let Body::Icmp(_, _, message) = left.body else {
                panic!("no ICMP")
            };
            assert_eq!(message[4..6], 77u16.to_be_bytes());
        }
    }
}

#[test]
fn t_5508_req_1a__one_identifier_towards_two_servers_stays_one() {
    let mut lab = Lab::new(OFFICE);
    for server in [SERVER, "198.51.100.10"] {
        let sent = lab.at(0.0).from(LAN).send(echo("10.0.0.7", server, 77));
        let _ = sent.expect(forward_to(WAN).source("203.0.113.2:77"));
    }
}

#[test]
fn t_5508_req_2a__the_query_timer_is_a_setting() {
    let mut lab = Lab::new(&format!("{OFFICE}\n[timeouts]\nicmp = \"60s\""));
    let sent = lab.at(0.0).from(LAN).send(echo("10.0.0.7", SERVER, 77));
    let _ = sent.expect(forward_to(WAN).source("203.0.113.2:77"));
    let back = lab
        .at(59.0)
        .from(WAN)
        .send(echo_reply(SERVER, "203.0.113.2", 77));
    let _ = back.expect(forward_to(LAN).destination("10.0.0.7"));
}

#[test]
fn t_lnx_icmp__only_questions_begin_sessions_and_they_last_30_seconds() {
    for (asks, answers) in [(8, 0), (13, 14), (15, 16), (17, 18)] {
        let mut lab = Lab::new(OFFICE);
        let question = icmp("10.0.0.7", SERVER, asks, 0)
            .rest([0, 9, 0, 1])
            .data([0; 12]);
        let sent = lab.at(0.0).from(LAN).send(question);
        let _ = sent.expect(forward_to(WAN).source("203.0.113.2:9"));
        assert_eq!(lab.session().deadline, moment(30.0));
        for second in [1.0, 2.0] {
            let answer = icmp(SERVER, "203.0.113.2", answers, 0)
                .rest([0, 9, 0, 1])
                .data([0; 12]);
            let sent = lab.at(second).from(WAN).send(answer);
            let _ = sent.expect(forward_to(LAN).destination("10.0.0.7"));
        }
        assert_eq!(lab.session().deadline, moment(32.0));
    }
    let mut lab = Lab::new(OFFICE);
    let empty = lab.snapshot();
    for kind in [0, 14, 16, 18, 6, 9, 10, 42] {
        let sent = lab
            .at(0.0)
            .from(LAN)
            .send(icmp("10.0.0.7", SERVER, kind, 0).data([0; 12]));
        let _ = sent.expect(drop_for(Reason::NoSession).ct("invalid"));
    }
    for kind in [3, 4, 5, 11, 12] {
        let sent = lab
            .at(0.0)
            .from(LAN)
            .send(icmp("10.0.0.7", SERVER, kind, 0).data([0; 28]));
        let _ = sent.expect(drop_for(Reason::IcmpUnrelated).ct("invalid"));
    }
    assert_eq!(lab.snapshot(), empty);
}

#[test]
fn t_5508_req_11__messages_that_neither_ask_nor_report_are_dropped() {
    let mut lab = Lab::new(OFFICE);
    for kind in [1, 2, 6, 9, 10, 30, 40, 42, 255] {
        let sent = lab
            .at(0.0)
            .from(WAN)
            .send(icmp(SERVER, "203.0.113.2", kind, 0).data([0; 12]));
        let _ = sent.expect(drop_for(Reason::NoSession).ct("invalid"));
    }
}

#[test]
fn t_4890_link__neighbour_discovery_never_crosses_the_gateway() {
    let mut lab = Lab::new(PLAIN);
    for kind in [
        130, 131, 132, 133, 134, 135, 136, 137, 141, 142, 143, 148, 149, 151, 152, 153,
    ] {
        let message = icmp("2001:db8:10::7", "2001:db8:5::9", kind, 0)
            .ttl(255)
            .data([0; 16]);
        let _ = lab
            .at(0.0)
            .from(LAN)
            .send(message)
            .expect(drop_for(Reason::NoSession));
    }
}

#[test]
fn a_reply_of_another_code_than_its_question_answers_nothing() {
    let with_code = |packet: Packet, code: u8| {
        let mut bytes = packet.bytes();
        bytes[21] = code;
        let sum = u16::from_be_bytes([bytes[22], bytes[23]]);
        let sum = sum.checked_sub(code.into()).unwrap();
        bytes[22..24].copy_from_slice(&sum.to_be_bytes());
        bytes
    };
    let mut lab = Lab::new(OFFICE);
    let question = with_code(echo("10.0.0.7", "198.51.100.9", 7), 3);
    let sent = lab.at(0.0).from(LAN).send(question);
    assert_eq!(sent.judgement.reason, Reason::Rule);
    let before = lab.snapshot();
    let reply = || echo_reply("198.51.100.9", "203.0.113.2", 7);
    let sent = lab.at(0.0).from(WAN).send(reply());
    assert_eq!(sent.judgement.reason, Reason::NoSession);
    assert_eq!(lab.snapshot(), before);
    let sent = lab.at(0.0).from(WAN).send(with_code(reply(), 3));
    assert_eq!(sent.judgement.reason, Reason::Session);
}

#[test]
fn an_identifier_is_not_a_port_and_a_request_not_a_reply() {
    let mut lab = Lab::new(OFFICE);
    let sent = lab.at(0.0).from(LAN).send(echo("10.0.0.7", SERVER, 77));
    let _ = sent.expect(forward_to(WAN).source("203.0.113.2:77"));
    let before = lab.snapshot();
    // A request back with the same identifier asks the gateway.
    let request = lab.at(1.0).from(WAN).send(echo(SERVER, "203.0.113.2", 77));
    let _ = request.expect(drop_for(Reason::DefaultPolicy));
    let other = lab
        .at(1.0)
        .from(WAN)
        .send(echo_reply(SERVER, "203.0.113.2", 78));
    let _ = other.expect(drop_for(Reason::NoSession));
    let elsewhere = lab
        .at(1.0)
        .from(WAN)
        .send(echo_reply("198.51.100.10", "203.0.113.2", 77));
    let _ = elsewhere.expect(drop_for(Reason::NoSession));
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn an_echo_reply_of_nothing_but_zeros_keeps_a_right_checksum() {
    // Its sum is zero, which no sum over a header ever is (RFC 1624 section 3).
    let mut lab = Lab::new(OFFICE);
    for host in ["10.0.0.7", "10.0.0.8"] {
        let left = lab
            .at(0.0)
            .from(LAN)
            .send(echo(host, SERVER, 0))
            .forwarded
            .unwrap()
            .1;
        let identifier = super::packets::endpoint(&left.source).port().to_be_bytes();
        for data in [0, 1, 64] {
            let reply = icmp(SERVER, "203.0.113.2", 0, 0);
            let reply = reply
                .rest([identifier, [0, 0]].concat())
                .data(vec![0; data]);
            let want = forward_to(LAN).source("198.51.100.9:0").destination(host);
            let _ = lab.at(1.0).from(WAN).send(reply).expect(want);
        }
    }
}

#[test]
fn t_7857_s11__an_identifier_is_free_when_its_last_session_has_ended() {
    let mut lab = Lab::new(OFFICE);
    let one = lab.at(0.0).from(LAN).send(echo("10.0.0.7", SERVER, 77));
    let _ = one.expect(forward_to(WAN).source("203.0.113.2:77"));
    let taken = lab.at(1.0).from(LAN).send(echo("10.0.0.8", SERVER, 77));
    assert_ne!(taken.forwarded.unwrap().1.source, "203.0.113.2:77");
    let _ = lab.wait_until(31.0);
    let free = lab.at(31.0).from(LAN).send(echo("10.0.0.9", SERVER, 77));
    let _ = free.expect(forward_to(WAN).source("203.0.113.2:77"));
}

#[test]
fn t_4890_drop__what_has_no_business_in_transit_is_dropped_unless_a_rule_asks_for_it() {
    let asked = r#"{ id = "asked", ct = "invalid", from = "lan", to = "wan", action = "allow" },"#;
    let asking = PLAIN.replace("rules = [", &format!("rules = [\n  {asked}"));
    // A query for information (139) is one, as in Linux: any rule may allow it.
    for kind in [100, 101, 127, 138, 140, 200, 201, 255] {
        let message = || icmp("2001:db8:10::7", "2001:db8:5::9", kind, 0).data([0; 60]);
        let sent = Lab::new(PLAIN).at(0.0).from(LAN).send(message());
        assert!(sent.forwarded.is_none(), "{kind}");
        let sent = Lab::new(&asking).at(0.0).from(LAN).send(message());
        assert!(sent.forwarded.is_some(), "{kind}");
    }
}
