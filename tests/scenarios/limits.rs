//! A full table: who makes room, who never does, and who is refused.

use spigate::engine::{Ending, Event, Reason};
use spigate::session::{Session, Standing};

use super::dialogue::{Dialogue, forwarded};
use super::lab::{At, LAN, Lab, Sent, WAN};
use super::packets::{Packet, echo, tcp, udp};
use super::policies::{OFFICE, PLAIN};
use super::wants::{drop_for, forward_to};

/// A gateway without translation, with these limits.
fn limited(limits: &str) -> Lab {
    Lab::new(&format!("{PLAIN}\n[limits]\n{limits}"))
}

/// The web server that everybody outside may reach.
const WEB: &str = "10.0.0.80:80";

/// A stranger's SYN, another for each number.
fn stranger(n: usize) -> Packet {
    tcp(
        &format!("198.51.{}.{}:4000", 100 + n / 200, 1 + n % 200),
        WEB,
    )
    .syn()
}

/// The sessions that a packet ended to make its own room.
fn evicted(sent: &Sent) -> Vec<Session> {
    let of = |event: &Event| match event {
        Event::Ended {
            session,
            ending: Ending::Evicted,
            ..
        } => Some(session.clone()),
        _ => None,
    };
    sent.events.iter().filter_map(of).collect()
}

/// The clients of evicted sessions.
fn victims(sent: &Sent) -> Vec<String> {
    let all = evicted(sent);
    let client = |session: &Session| session.origin.tuples.original.source.to_string();
    all.iter().map(client).collect()
}

fn goes(at: At<'_>, zone: &'static str, packet: Packet) {
    let _ = forwarded(at.from(zone).send(packet));
}

/// A connection from the inside, closed by both ends up to the last ACK.
fn closed(lab: &mut Lab, at: f64, client: &str) {
    let mut dialogue = Dialogue::open(lab, at, (LAN, client), "198.51.100.7:80");
    half_closed(lab, at, &mut dialogue);
    let fin = dialogue.server.segment().fin();
    goes(lab.at(at), WAN, fin);
    dialogue.client.awaits = dialogue.client.awaits.wrapping_add(1);
    goes(lab.at(at), LAN, dialogue.client.segment());
}

/// The client has said all that it had to say, and was acknowledged.
fn half_closed(lab: &mut Lab, at: f64, dialogue: &mut Dialogue) {
    goes(lab.at(at), LAN, dialogue.client.segment().fin());
    dialogue.client.next = dialogue.client.next.wrapping_add(1);
    dialogue.server.awaits = dialogue.server.awaits.wrapping_add(1);
    goes(lab.at(at), WAN, dialogue.server.segment());
}

#[test]
fn t_lnx_full__a_session_that_nobody_answered_makes_room_the_oldest_first() {
    let mut lab = limited("sessions = 3");
    for n in 0..3 {
        let sent = lab.at(n as f64).from(WAN).send(stranger(n));
        assert!(victims(&sent).is_empty());
    }
    for n in 3..10 {
        let sent = lab.at(n as f64).from(WAN).send(stranger(n));
        assert_eq!(victims(&sent), [format!("198.51.100.{}:4000", n - 2)]);
        assert_eq!(lab.engine.sessions().len(), 3);
    }
    let counted: Vec<_> = lab.engine.counters().evicted().collect();
    assert_eq!(counted, [(Standing::HalfOpen, 7)]);
}

#[test]
fn t_lnx_full__where_all_are_assured_the_new_packet_is_dropped() {
    let mut lab = limited("sessions = 3");
    let mut all: Vec<_> = (1..=3)
        .map(|n| {
            let client = format!("10.0.0.1{n}:5000");
            Dialogue::open(&mut lab, 0.0, (LAN, &client), "198.51.100.7:80")
        })
        .collect();
    for n in 0..20 {
        let want = drop_for(Reason::SessionLimit).ct("new").rule("in-web");
        let _ = lab.at(1.0).from(WAN).send(stranger(n)).expect(want);
    }
    for dialogue in &mut all {
        dialogue.client_says(&mut lab, 2.0, "still here");
        dialogue.server_says(&mut lab, 2.0, "so am I");
    }
}

#[test]
fn t_lnx_full_gc__a_connection_that_is_closed_goes_before_one_that_nobody_answered() {
    let mut lab = limited("sessions = 3");
    goes(lab.at(0.0), WAN, stranger(0));
    closed(&mut lab, 1.0, "10.0.0.11:5000");
    closed(&mut lab, 2.0, "10.0.0.2:5000");
    let sent = lab.at(3.0).from(WAN).send(stranger(1));
    assert_eq!(victims(&sent), ["10.0.0.11:5000"]);
    let sent = lab.at(4.0).from(WAN).send(stranger(2));
    assert_eq!(victims(&sent), ["10.0.0.2:5000"]);
    let sent = lab.at(5.0).from(WAN).send(stranger(3));
    assert_eq!(victims(&sent), ["198.51.100.1:4000"]);
}

/// Linux' collector takes what is in FIN_WAIT and CLOSE_WAIT too.
#[test]
fn t_lnx_full_gc__a_connection_that_one_end_has_closed_stays() {
    let mut lab = limited("sessions = 1");
    let mut dialogue = Dialogue::open(&mut lab, 0.0, (LAN, "10.0.0.11:5000"), "198.51.100.7:80");
    half_closed(&mut lab, 1.0, &mut dialogue);
    assert_eq!(lab.session().state().name(), "close-wait");
    let refused = drop_for(Reason::SessionLimit);
    let _ = lab.at(2.0).from(WAN).send(stranger(0)).expect(refused);
    dialogue.server_says(&mut lab, 3.0, "the end of a long answer");
}

#[test]
fn t_5382_s5_pref__closed_then_partly_open_then_unproven_then_none() {
    let mut lab = limited("sessions = 5");
    let mut live = Dialogue::open(&mut lab, 0.0, (LAN, "10.0.0.11:5000"), "198.51.100.7:80");
    // Answered, and no more than that.
    goes(lab.at(1.0), LAN, udp("10.0.0.2:5000", "198.51.100.9:53"));
    goes(lab.at(1.0), WAN, udp("198.51.100.9:53", "10.0.0.2:5000"));
    goes(lab.at(2.0), LAN, udp("10.0.0.3:5000", "198.51.100.9:53"));
    goes(
        lab.at(3.0),
        LAN,
        tcp("10.0.0.4:5000", "198.51.100.7:80").syn(),
    );
    closed(&mut lab, 4.0, "10.0.0.5:5000");
    let standings: Vec<_> = lab
        .engine
        .sessions()
        .sorted()
        .iter()
        .map(|session| session.standing().name())
        .collect();
    assert_eq!(
        standings,
        ["assured", "replied", "unreplied", "half-open", "over"]
    );
    // Pings stay what they are: each is newer than what it finds.
    let mut order = Vec::new();
    for n in 10..14 {
        let ping = echo(&format!("10.0.0.{n}"), "198.51.100.9", 7);
        let sent = lab.at(5.0).from(LAN).send(ping);
        order.extend(victims(&sent));
    }
    assert_eq!(
        order,
        [
            "10.0.0.5:5000",
            "10.0.0.3:5000",
            "10.0.0.4:5000",
            "10.0.0.10:7"
        ]
    );
    live.client_says(&mut lab, 6.0, "unharmed");
}

#[test]
fn what_was_answered_goes_when_nothing_else_can() {
    let mut lab = limited("sessions = 1");
    goes(lab.at(0.0), LAN, udp("10.0.0.2:5000", "198.51.100.9:53"));
    goes(lab.at(0.0), WAN, udp("198.51.100.9:53", "10.0.0.2:5000"));
    let sent = lab.at(1.0).from(WAN).send(stranger(0));
    assert_eq!(victims(&sent), ["10.0.0.2:5000"]);
    // A stream has shown that it is real.
    let mut lab = limited("sessions = 1");
    for at in [0.0, 3.0] {
        goes(lab.at(at), LAN, udp("10.0.0.2:5000", "198.51.100.9:53"));
        goes(lab.at(at), WAN, udp("198.51.100.9:53", "10.0.0.2:5000"));
    }
    let refused = drop_for(Reason::SessionLimit);
    let _ = lab.at(4.0).from(WAN).send(stranger(0)).expect(refused);
}

#[test]
fn t_5508_s6__no_live_session_is_robbed_for_a_new_one() {
    let mut lab = limited("sessions = 2\nhalf-open = 1");
    let mut all: Vec<_> = (1..=2)
        .map(|n| {
            let client = format!("10.0.0.1{n}:5000");
            Dialogue::open(&mut lab, 0.0, (LAN, &client), "198.51.100.7:80")
        })
        .collect();
    let strangers = [
        (WAN, stranger(0), Reason::SessionLimit),
        (
            LAN,
            echo("10.0.0.9", "198.51.100.9", 7),
            Reason::SessionLimit,
        ),
        (
            LAN,
            udp("10.0.0.9:1", "198.51.100.9:53"),
            Reason::SessionLimit,
        ),
    ];
    for (zone, packet, reason) in strangers {
        let _ = lab.at(1.0).from(zone).send(packet).expect(drop_for(reason));
    }
    for dialogue in &mut all {
        dialogue.server_says(&mut lab, 2.0, "still here");
    }
}

#[test]
fn t_diff_7__refuse_takes_nothing_from_anybody() {
    let mut lab = limited("sessions = 2\nwhen-full = \"refuse\"");
    goes(lab.at(0.0), WAN, stranger(0));
    closed(&mut lab, 0.0, "10.0.0.11:5000");
    let refused = || drop_for(Reason::SessionLimit).rule("in-web");
    let _ = lab.at(1.0).from(WAN).send(stranger(1)).expect(refused());
    assert_eq!(lab.engine.counters().evicted().count(), 0);
    // When time has taken one, there is room.
    lab.wait_until(121.0);
    goes(lab.at(121.0), WAN, stranger(1));
}

#[test]
fn t_3360_load__a_syn_that_finds_no_room_is_dropped_and_not_reset() {
    for limits in [
        "sessions = 1\nwhen-full = \"refuse\"",
        "half-open = 1\nwhen-full = \"refuse\"",
        "per-source = 1",
    ] {
        let mut lab = limited(limits);
        let syn = |port: u16| tcp(&format!("198.51.100.1:{port}"), WEB).syn();
        goes(lab.at(0.0), WAN, syn(4000));
        let sent = lab.at(0.0).from(WAN).send(syn(4001));
        assert_eq!(sent.judgement.verdict.name(), "drop", "{limits}");
        assert!(sent.made.is_empty(), "{limits}: {:?}", sent.made);
    }
}

#[test]
fn half_open_connections_have_a_share_of_the_table() {
    let mut lab = limited("sessions = 10\nhalf-open = 2");
    goes(lab.at(0.0), LAN, udp("10.0.0.2:5000", "198.51.100.9:53"));
    goes(lab.at(1.0), WAN, stranger(0));
    goes(lab.at(2.0), WAN, stranger(1));
    // What is no TCP is not of that share.
    goes(lab.at(3.0), LAN, udp("10.0.0.3:5000", "198.51.100.9:53"));
    let sent = lab.at(4.0).from(WAN).send(stranger(2));
    assert_eq!(victims(&sent), ["198.51.100.1:4000"]);
    // A connection whose handshake is complete leaves the share.
    lab.wait_until(200.0);
    let _live = Dialogue::open(&mut lab, 200.0, (LAN, "10.0.0.4:5000"), "198.51.100.7:80");
    goes(lab.at(201.0), WAN, stranger(3));
    let sent = lab.at(201.0).from(WAN).send(stranger(4));
    assert!(victims(&sent).is_empty());

    let mut strict = limited("half-open = 1\nwhen-full = \"refuse\"");
    goes(strict.at(0.0), WAN, stranger(0));
    let refused = drop_for(Reason::HalfOpenLimit).rule("in-web").ct("new");
    let _ = strict.at(0.0).from(WAN).send(stranger(1)).expect(refused);
}

#[test]
fn t_6888_req_5__a_client_has_its_share_and_takes_nobody_elses() {
    let mut lab = Lab::new(&format!("{OFFICE}\n[limits]\nper-source = 3"));
    let ask = |client: &str, port: u16| udp(&format!("{client}:{port}"), "198.51.100.9:53");
    for port in 1..=3 {
        goes(lab.at(0.0), LAN, ask("10.0.0.7", port));
    }
    let refused = || drop_for(Reason::SourceLimit).rule("lan-out").ct("new");
    let _ = lab
        .at(0.0)
        .from(LAN)
        .send(ask("10.0.0.7", 4))
        .expect(refused());
    // Its sessions go on, and its neighbour has a share of its own.
    goes(lab.at(1.0), LAN, ask("10.0.0.7", 1));
    goes(lab.at(1.0), LAN, ask("10.0.0.8", 1));
    // When its sessions are over, it may begin others.
    goes(lab.at(30.5), LAN, ask("10.0.0.7", 4));
    // Every address counts for itself, in IPv6 too.
    let ask = |host: u16| {
        let client = format!("[2001:db8:10::{host:x}]:5000");
        udp(&client, "[2001:db8:5::9]:53")
    };
    for host in 7..=11 {
        goes(lab.at(31.0), LAN, ask(host));
    }
}

#[test]
fn t_6888_req_5__a_rule_lets_in_as_many_sessions_as_it_may() {
    let rules = OFFICE.replace(r#"id = "pub-web","#, r#"id = "pub-web", max-sessions = 2,"#);
    let mut lab = Lab::new(&rules);
    let syn = |n: u8| tcp(&format!("198.51.100.{n}:4000"), "203.0.113.2:80").syn();
    goes(lab.at(0.0), WAN, syn(1));
    goes(lab.at(0.0), WAN, syn(2));
    let refused = || drop_for(Reason::RuleLimit).rule("pub-web").ct("new");
    let _ = lab.at(0.0).from(WAN).send(syn(3)).expect(refused());
    // Other rules have limits of their own, or none.
    let ssh = tcp("198.51.100.3:4000", "203.0.113.2:2222").syn();
    goes(lab.at(0.0), WAN, ssh);
    // One that its server refused is over, and leaves its place.
    let reset = tcp("10.0.9.80:80", "198.51.100.1:4000").rst().ack(1001);
    goes(lab.at(1.0), "dmz", reset);
    goes(lab.at(1.0), WAN, syn(3));
}

#[test]
fn a_connection_that_begins_anew_needs_no_more_room() {
    for limits in ["sessions = 1\nwhen-full = \"refuse\"", "per-source = 1"] {
        let mut lab = limited(limits);
        closed(&mut lab, 0.0, "10.0.0.11:5000");
        let again = tcp("10.0.0.11:5000", "198.51.100.7:80").syn().seq(900_000);
        let sent = lab.at(1.0).from(LAN).send(again);
        let outcome = sent.expect(forward_to(WAN).state("syn-sent"));
        let replaced = |event: &Event| {
            let ending = Ending::Replaced;
            matches!(event, Event::Ended { ending: own, .. } if *own == ending)
        };
        let events = outcome.events();
        assert!(events.len() == 2 && replaced(&events[0]), "{events:?}");
    }
}

#[test]
fn a_control_session_that_makes_room_takes_its_announcement_along() {
    let ftp = r#"ftp  = { tcp = 21, alg = "ftp" }"#;
    let tftp = r#"tftp = { udp = 69, alg = "tftp" }"#;
    let rules = OFFICE.replace(ftp, &format!("{ftp}\n{tftp}"));
    let mut lab = Lab::new(&format!("{rules}\n[limits]\nsessions = 2"));
    let request = udp("10.0.0.7:51000", "198.51.100.21:69").data("\0\u{1}file\0octet\0");
    goes(lab.at(0.0), LAN, request);
    assert_eq!(lab.expected().len(), 1);
    for port in 1..=2 {
        let ask = udp(&format!("10.0.0.8:{port}"), "198.51.100.9:53");
        goes(lab.at(2.0), LAN, ask);
    }
    assert!(lab.expected().is_empty());
    let data = udp("198.51.100.21:40000", "203.0.113.2:51000");
    let stranger = lab.at(3.0).from(WAN).send(data);
    assert_ne!(stranger.judgement.reason, Reason::Expected);
}

#[test]
fn an_announced_data_session_counts_and_only_the_table_refuses_it() {
    let announced = |limits: &str| {
        let rules = OFFICE.replace(r#"id = "lan-out","#, r#"id = "lan-out", max-sessions = 1,"#);
        let mut lab = Lab::new(&format!("{rules}\n[limits]\n{limits}"));
        let mut ftp = Dialogue::ftp(&mut lab, 0.0, (LAN, "10.0.0.7:51000"), "198.51.100.21:21");
        ftp.announces(&mut lab, 0.0, "PORT 10,0,0,7,200,10\r\n");
        lab
    };
    let data = || tcp("198.51.100.21:20", "203.0.113.2:51210").syn();
    let mut lab = announced("per-source = 1");
    let want = forward_to(LAN)
        .because(Reason::Expected)
        .rule("lan-out")
        .destination("10.0.0.7:51210");
    let _ = lab.at(1.0).from(WAN).send(data()).expect(want);
    let census = lab.engine.sessions().census();
    assert_eq!(census.of_source("198.51.100.21".parse().unwrap()), 1);
    let rules = &lab.engine.policy().rules;
    let (rule, _) = rules.iter().find(|(_, r)| r.name == "lan-out").unwrap();
    assert_eq!(census.of_rule(rule.0), 2);

    let mut full = announced("sessions = 1");
    let refused = drop_for(Reason::SessionLimit).ct("related").rule("lan-out");
    let _ = full.at(1.0).from(WAN).send(data()).expect(refused);
    assert_eq!(full.expected().len(), 1, "it may try again");
}
