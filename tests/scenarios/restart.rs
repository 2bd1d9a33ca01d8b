//! A gateway ends, and another goes on with what it knew.

use std::sync::Arc;

use spigate::engine::{Ending, Event, Meanwhile, Output, Policy, Reason, Restored};
use spigate::net::NatRow;
use spigate::session::SessionId;

use super::dialogue::{Dialogue, forwarded};
use super::ftp_active::{CLIENT, DATA, data_syn, masqueraded};
use super::lab::{LAN, Lab, WAN, moment};
use super::packets::{tcp, udp};
use super::policies::OFFICE;
use super::wants::{drop_for, forward_to};

const WEB: &str = "198.51.100.9:80";

fn going_on(sessions: usize) -> Restored {
    Restored {
        sessions,
        ..Restored::default()
    }
}

fn changed(from: &str, to: &str) -> String {
    assert!(OFFICE.contains(from), "{from}");
    OFFICE.replace(from, to)
}

#[test]
fn sessions_go_on_within_their_windows() {
    let mut lab = Lab::new(OFFICE);
    let mut out = Dialogue::open(&mut lab, 0.0, (LAN, CLIENT), WEB);
    let mut into = Dialogue::open(&mut lab, 0.0, (WAN, WEB), "203.0.113.2:2222");
    let before = lab.snapshot();
    let restored = lab.restart(1.0, Meanwhile::Nothing);
    assert_eq!(restored, going_on(2));
    assert_eq!(lab.snapshot(), before);
    assert_eq!(out.client_says(&mut lab, 1.0, "more"), "more");
    assert_eq!(out.server_says(&mut lab, 1.0, "much more"), "much more");
    assert_eq!(into.server_says(&mut lab, 1.0, "SSH-2.0"), "SSH-2.0");
    let far = out.client.segment();
    let far = far.seq(out.client.next.wrapping_add(10_000_000)).data("x");
    let _ = lab
        .at(2.0)
        .from(LAN)
        .send(far)
        .expect(drop_for(Reason::TcpOutOfWindow).ct("invalid"));
}

#[test]
fn numbers_are_given_out_once() {
    let mut lab = Lab::new(OFFICE);
    let _ = Dialogue::open(&mut lab, 0.0, (LAN, CLIENT), WEB);
    let _ = lab
        .at(0.0)
        .from(LAN)
        .send(udp("10.0.0.7:4000", "198.51.100.1:53"));
    let _ = lab.wait_until(60.0);
    let _ = lab.restart(60.0, Meanwhile::Nothing);
    let _ = lab
        .at(60.0)
        .from(LAN)
        .send(udp("10.0.0.7:4000", "198.51.100.1:53"));
    let ids: Vec<_> = lab
        .engine
        .sessions()
        .sorted()
        .iter()
        .map(|s| s.id)
        .collect();
    assert_eq!(ids, [SessionId(1), SessionId(3)]);
}

#[test]
fn time_that_nobody_was_there_for_counts() {
    let mut lab = Lab::new(OFFICE);
    let _ = lab
        .at(0.0)
        .from(LAN)
        .send(udp("10.0.0.7:4000", "198.51.100.1:53"));
    let _ = Dialogue::open(&mut lab, 0.0, (LAN, CLIENT), WEB);
    let _ = lab.restart(20.0, Meanwhile::Nothing);
    assert!(lab.wait_until(29.0).is_empty());
    let ended = lab.wait_until(31.0);
    assert!(matches!(
        &ended[..],
        [Event::Ended { ending: Ending::Expired, at, .. }] if *at == moment(30.0)
    ));
    let _ = lab.restart(6.0 * 24.0 * 3600.0, Meanwhile::Nothing);
    let _ = lab.wait_until(6.0 * 24.0 * 3600.0);
    assert!(lab.engine.sessions().is_empty());
}

#[test]
fn a_dialogue_goes_on_with_its_numbers_and_what_it_announced_opens() {
    let (mut lab, mut ftp) = masqueraded();
    let heard = ftp.announces(&mut lab, 1.0, "PORT 10,0,0,7,200,10\r\n");
    assert_eq!(heard, "PORT 203,0,113,2,200,10\r\n");
    let restored = lab.restart(2.0, Meanwhile::Nothing);
    assert_eq!((restored.sessions, restored.expectations), (1, 1));
    // Both ends agree, as `Dialogue` sees, though the line has grown.
    assert_eq!(ftp.client_says(&mut lab, 2.0, "LIST\r\n"), "LIST\r\n");
    let syn = data_syn(&mut lab, 3.0, DATA, "203.0.113.2:51210");
    let want = forward_to(LAN).destination("10.0.0.7:51210").ct("related");
    let want = want.state("syn-sent").because(Reason::Expected);
    let _ = syn.expect(want.rule("lan-out"));
    let restored = lab.restart(4.0, Meanwhile::Nothing);
    assert_eq!((restored.sessions, restored.expectations), (2, 0));
    let control = lab.engine.sessions().sorted()[0].id;
    assert_eq!(
        lab.engine.sessions().sorted()[1].origin.parent,
        Some(control)
    );
    assert_eq!(
        ftp.server_says(&mut lab, 4.0, "150 here\r\n"),
        "150 here\r\n"
    );
    ftp.client_says(&mut lab, 4.0, "");
    assert_eq!(
        ftp.server_says(&mut lab, 4.0, "226 there\r\n"),
        "226 there\r\n"
    );
    // And announces again.
    let heard = ftp.announces(&mut lab, 5.0, "PORT 10,0,0,7,200,11\r\n");
    assert_eq!(heard, "PORT 203,0,113,2,200,11\r\n");
    assert_eq!(lab.expected().len(), 1);
}

#[test]
fn a_control_session_lives_while_its_transfer_runs() {
    let (mut lab, mut ftp) = masqueraded();
    ftp.announces(&mut lab, 1.0, "PORT 10,0,0,7,200,10\r\n");
    let syn = forwarded(data_syn(&mut lab, 2.0, DATA, "203.0.113.2:51210")).1;
    let syn_ack = tcp("10.0.0.7:51210", DATA).syn().seq(9).ack(2);
    let _ = lab.at(2.0).from(LAN).send(syn_ack);
    let ack = tcp(DATA, "203.0.113.2:51210").seq(2).ack(10);
    let _ = lab.at(2.0).from(WAN).send(ack);
    assert_eq!(syn.destination, "10.0.0.7:51210");
    let day = 24.0 * 3600.0;
    let _ = lab.restart(3.0, Meanwhile::Nothing);
    let data = tcp(DATA, "203.0.113.2:51210").seq(2).ack(10).data("x");
    let _ = lab.at(4.0 * day).from(WAN).send(data);
    let ack = tcp("10.0.0.7:51210", DATA).seq(10).ack(3);
    let _ = lab.at(4.0 * day).from(LAN).send(ack);
    let _ = lab.wait_until(6.0 * day);
    assert_eq!(
        lab.engine.sessions().len(),
        2,
        "the transfer keeps it alive"
    );
}

/// A gateway that gives a client's socket one public endpoint for all.
const OPEN: &str = r#"
version = 1
[zones]
lan = { tun = "lan0", net = "10.0.0.0/24" }
wan = { tun = "wan0", net = "0.0.0.0/0", address = "203.0.113.2" }
[policy]
default = "drop"
rules = [{ id = "out", from = "lan", to = "wan", action = "allow" }]
[nat]
source = [{ id = "masq", from = "lan", to = "wan", as = "masquerade", port-order = "random", mapping = "endpoint-independent", filtering = "endpoint-independent" }]
"#;

#[test]
fn t_6888_req_8_loss__a_client_keeps_its_public_endpoint_and_who_may_come_in_by_it() {
    let mut lab = Lab::new(OPEN);
    let client = "10.0.0.7:5000";
    let leaves = |lab: &mut Lab, at: f64, server: &str| {
        forwarded(lab.at(at).from(LAN).send(udp(client, server)))
            .1
            .source
    };
    let public = leaves(&mut lab, 0.0, "198.51.100.1:53");
    let mappings = |lab: &Lab| format!("{:?}", lab.engine.sessions().mappings().sorted());
    let before = mappings(&lab);
    let _ = lab.restart(1.0, Meanwhile::Nothing);
    assert_eq!(mappings(&lab), before);
    assert_eq!(leaves(&mut lab, 1.0, "198.51.100.2:53"), public);
    let stranger = udp("198.51.100.77:9", &public);
    let (zone, seen) = forwarded(lab.at(2.0).from(WAN).send(stranger));
    assert_eq!((zone, seen.destination), (LAN, client.to_owned()));
    // The session that has made the mapping is gone: it is what it was.
    let _ = lab.wait_until(30.5);
    let before = mappings(&lab);
    let _ = lab.restart(30.5, Meanwhile::Nothing);
    assert_eq!(mappings(&lab), before);
    assert_eq!(leaves(&mut lab, 30.6, "198.51.100.3:53"), public);
}

#[test]
fn t_6888_req_8_loss__what_rests_goes_on_to_rest() {
    let rules = OPEN.replace("filtering =", "hold-down = \"40s\", filtering =");
    let mut lab = Lab::new(&rules);
    let _ = lab
        .at(0.0)
        .from(LAN)
        .send(udp("10.0.0.7:5000", "198.51.100.1:53"));
    let _ = lab.wait_until(31.0);
    assert_eq!(lab.engine.sessions().mappings().at_rest(), 1);
    let _ = lab.restart(32.0, Meanwhile::Nothing);
    assert_eq!(lab.engine.sessions().mappings().at_rest(), 1);
    let out = &mut Output::default();
    let _ = lab.engine.expire(moment(69.0), out);
    assert_eq!(lab.engine.sessions().mappings().at_rest(), 1);
    let _ = lab.engine.expire(moment(71.0), out);
    assert_eq!(lab.engine.sessions().mappings().at_rest(), 0);
}

const RECHECK: (&str, &str) = (
    r#"default = "drop""#,
    "default = \"drop\"\non-reload = \"recheck\"",
);
const LAN_OUT: &str = r#"{ id = "lan-out",     from = "lan", to = "wan", action = "allow" },"#;

#[test]
fn what_a_rule_that_is_gone_has_let_in_goes_on_and_still_knows_its_name() {
    let without = changed(LAN_OUT, "").replace("id = \"masq\"", "id = \"other\"");
    let mut lab = Lab::new(OFFICE);
    let mut out = Dialogue::open(&mut lab, 0.0, (LAN, CLIENT), WEB);
    let reordered = changed(
        "rules = [",
        "rules = [{ id = \"new\", src = \"192.0.2.1\", action = \"drop\" },",
    );
    for (at, rules) in [(1.0, &without[..]), (2.0, OFFICE), (3.0, &reordered)] {
        let sessions = lab.engine.sessions().len();
        assert_eq!(lab.restart_by(at, rules), going_on(sessions));
        assert_eq!(out.client_says(&mut lab, at, "more"), "more");
        assert_eq!(out.server_says(&mut lab, at, "much more"), "much more");
        let session = lab.engine.sessions().sorted()[0].clone();
        let policy = lab.engine.policy();
        let rule = policy.rules.rows().get(session.origin.rule.unwrap().into());
        assert_eq!(rule.unwrap().name, "lan-out");
        let Some(row @ NatRow::Source(_)) = session.origin.nat.source else {
            panic!("it is translated");
        };
        assert_eq!(policy.nat.name(row), "masq");
        let client = format!("10.0.0.7:5100{at}");
        let syn = tcp(&client, WEB).syn().seq(1);
        let judgement = lab.at(at).from(LAN).send(syn).judgement;
        let may_begin = rules != without;
        assert_eq!(judgement.reason == Reason::Rule, may_begin, "{judgement:?}");
    }
}

#[test]
fn what_could_not_begin_by_the_rules_ends_where_they_say_so() {
    let without = changed(LAN_OUT, "").replace(RECHECK.0, RECHECK.1);
    let mut lab = Lab::new(OFFICE);
    let _ = Dialogue::open(&mut lab, 0.0, (LAN, CLIENT), WEB);
    let _ = Dialogue::open(&mut lab, 0.0, (WAN, WEB), "203.0.113.2:2222");
    assert_eq!(lab.restart_by(1.0, &without), going_on(2));
    let events = lab.wait_until(1.0);
    assert!(matches!(
        &events[..],
        [Event::Ended { ending: Ending::Forbidden, session, .. }] if session.id == SessionId(1)
    ));
}

#[test]
fn sessions_of_a_zone_that_is_gone_are_left_out() {
    let rules = OPEN.replace(
        "lan = {",
        "dmz = { tun = \"dmz0\", net = \"10.0.9.0/24\" }\nlan = {",
    );
    let rules = rules.replace("from = \"lan\"", "from = [\"lan\", \"dmz\"]");
    let mut lab = Lab::new(&rules);
    let _ = lab
        .at(0.0)
        .from(LAN)
        .send(udp("10.0.0.7:5000", "198.51.100.1:53"));
    let _ = lab
        .at(0.0)
        .from("dmz")
        .send(udp("10.0.9.7:5000", "198.51.100.1:53"));
    let restored = lab.restart_by(1.0, OPEN);
    assert_eq!((restored.sessions, restored.without_zone), (1, 1));
    assert_eq!(lab.engine.sessions().mappings().in_use(), 1);
    // Zones stand in another order, and are what they are called.
    let session = lab.session();
    assert_eq!(
        lab.engine
            .policy()
            .zones
            .name(session.origin.egress.original),
        WAN
    );
}

#[test]
fn a_row_that_gives_out_something_else_is_another_row() {
    let mut lab = Lab::new(OPEN);
    let client = "10.0.0.7:5000";
    let public = |lab: &mut Lab, at: f64, server: &str| {
        forwarded(lab.at(at).from(LAN).send(udp(client, server)))
            .1
            .source
    };
    let before = public(&mut lab, 0.0, "198.51.100.1:53");
    let other = OPEN.replace("as = \"masquerade\"", "as = [\"203.0.113.9\"]");
    assert_eq!(lab.restart_by(1.0, &other), going_on(1));
    // What is there goes on by the old one, what begins begins by the new.
    assert_eq!(public(&mut lab, 1.0, "198.51.100.1:53"), before);
    assert!(public(&mut lab, 1.0, "198.51.100.2:53").starts_with("203.0.113.9:"));
}

#[test]
fn connections_of_which_more_has_passed_are_learnt_anew() {
    let mut lab = Lab::new(OFFICE);
    let mut out = Dialogue::open(&mut lab, 0.0, (LAN, CLIENT), WEB);
    let policy = Arc::clone(lab.engine.policy());
    let parts: Vec<_> = lab.engine.snapshot_parts(lab.engine.now()).collect();
    for _ in 0..200 {
        out.client_says(&mut lab, 1.0, &"x".repeat(1000));
        out.server_says(&mut lab, 1.0, &"y".repeat(1400));
    }
    let mut strict = Lab::new(OFFICE);
    let _ = strict.restart_with(2.0, &policy, (parts.clone(), Meanwhile::Nothing));
    let refused = strict
        .at(2.0)
        .from(LAN)
        .send(out.client.segment().data("x"));
    let _ = refused.expect(drop_for(Reason::TcpOutOfWindow).ct("invalid"));
    let _ = lab.restart_with(2.0, &policy, (parts, Meanwhile::Packets));
    for _ in 0..50 {
        out.client_says(&mut lab, 2.0, &"x".repeat(1000));
        out.server_says(&mut lab, 2.0, &"y".repeat(1400));
    }
    // A reset that does not know where the connection is ends nothing.
    let rst = tcp(WEB, "203.0.113.2:51000").rst().seq(77);
    let _ = lab.at(3.0).from(WAN).send(rst);
    assert_eq!(lab.session().state().name(), "established");
    out.client_says(&mut lab, 3.0, "x");
}

#[test]
fn a_dialogue_of_which_more_has_passed_is_read_on() {
    let (mut lab, mut ftp) = masqueraded();
    let policy = Arc::clone(lab.engine.policy());
    let parts: Vec<_> = lab.engine.snapshot_parts(lab.engine.now()).collect();
    let _ = lab.restart_with(1.0, &policy, (parts.clone(), Meanwhile::Packets));
    // Nothing has passed after all.
    let heard = ftp.announces(&mut lab, 1.0, "PORT 10,0,0,7,200,10\r\n");
    assert_eq!(heard, "PORT 203,0,113,2,200,10\r\n");

    let (mut lab, mut ftp) = masqueraded();
    for _ in 0..3 {
        ftp.client_says(&mut lab, 1.0, "NOOP\r\n");
        ftp.server_says(&mut lab, 1.0, "200 fine\r\n");
    }
    let _ = lab.restart_with(2.0, &policy, (parts, Meanwhile::Packets));
    ftp.client_says(&mut lab, 2.0, "NOOP\r\n");
    ftp.server_says(&mut lab, 2.0, "200 fine\r\n");
    ftp.client_says(&mut lab, 2.0, "NOOP\r\n");
    ftp.server_says(&mut lab, 2.0, "200 fine\r\n");
    let heard = ftp.announces(&mut lab, 3.0, "PORT 10,0,0,7,200,10\r\n");
    assert_eq!(heard, "PORT 203,0,113,2,200,10\r\n");
    assert_eq!(lab.expected().len(), 1);
}

#[test]
fn of_two_that_cannot_be_together_the_later_one_is_there() {
    let mut lab = Lab::new(OPEN);
    let policy: Arc<Policy> = Arc::clone(lab.engine.policy());
    let _ = lab
        .at(0.0)
        .from(LAN)
        .send(udp("10.0.0.7:5000", "198.51.100.1:53"));
    let early: Vec<_> = lab.engine.snapshot_parts(lab.engine.now()).collect();
    // It ends, and another one has its tuple before the last part is written down.
    let _ = lab.wait_until(40.0);
    let _ = lab
        .at(40.0)
        .from(LAN)
        .send(udp("10.0.0.7:5000", "198.51.100.1:53"));
    let late: Vec<_> = lab.engine.snapshot_parts(lab.engine.now()).collect();
    let mut parts: Vec<_> = early
        .into_iter()
        .filter(|part| part.sessions() > 0)
        .collect();
    parts.extend(late);
    let restored = lab.restart_with(40.0, &policy, (parts, Meanwhile::Packets));
    assert_eq!((restored.sessions, restored.overtaken), (1, 1));
    assert_eq!(lab.session().id, SessionId(2));
    assert_eq!(lab.engine.sessions().mappings().in_use(), 1);
    let _ = lab.wait_until(400.0);
    assert_eq!(lab.engine.sessions().mappings().in_use(), 0);
}

#[test]
fn a_clock_that_was_set_ends_nothing_and_keeps_nothing_alive() {
    let mut lab = Lab::new(OFFICE);
    let _ = lab
        .at(100.0)
        .from(LAN)
        .send(udp("10.0.0.7:4000", "198.51.100.1:53"));
    // Back by a hundred seconds: no time has passed, as far as anybody can tell.
    let _ = lab.restart(0.0, Meanwhile::Nothing);
    let session = lab.session();
    assert_eq!(
        (session.began, session.deadline),
        (moment(0.0), moment(30.0))
    );
    // Deadlines beyond all that this file allows are cut.
    let short = format!("{OFFICE}\n[timeouts]\n{SHORT}");
    let mut lab = Lab::new(OFFICE);
    let _ = Dialogue::open(&mut lab, 0.0, (LAN, CLIENT), WEB);
    let _ = lab.restart_by(1.0, &short);
    // Nobody lives longer than who speaks ssh.
    assert_eq!(lab.session().deadline, moment(1.0 + 12.0 * 3600.0));
}

const SHORT: &str = r#"
tcp-established = "1h"
"#;
