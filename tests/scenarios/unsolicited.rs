//! SYNs from outside that nobody inside has asked for: held for six seconds, in case
//! both ends connect to each other at once.

use spigate::engine::{AnswerKind, Event, Reason};

use super::lab::{LAN, Lab, Passed, WAN};
use super::packets::{Packet, tcp};
use super::policies::{OFFICE, PLAIN};
use super::wants::{Told, Want, drop_for, forward_to, reject_for};

/// Both ends of a connection as they see themselves, and the near one from outside.
const NEAR: &str = "10.0.0.7:51000";
const PUBLIC: &str = "203.0.113.2:51000";
const FAR: &str = "198.51.100.9:40000";

fn by_rfc(rules: &str) -> Lab {
    Lab::new(&rules.replace("version = 1", "version = 1\nprofile = \"rfc\""))
}

fn unsolicited() -> Packet {
    tcp(FAR, PUBLIC).syn().seq(500)
}

/// It is held, and nothing is said.
fn held() -> Want {
    drop_for(Reason::UnsolicitedSyn).ct("new").no_rule()
}

/// What the far end is told, and by how many packets the event counts it.
fn told(passed: &Passed, syn: &Packet, error: &Told) {
    let [(zone, made)] = &passed.made[..] else {
        panic!("{passed:?}");
    };
    assert_eq!(*zone, WAN);
    error.check(&syn.bytes(), made);
    let [Event::Unanswered(unanswered)] = &passed.events[..] else {
        panic!("{:?}", passed.events);
    };
    assert_eq!(unanswered.packets, 1);
}

#[test]
fn t_5382_req_4_wait__nothing_is_said_for_six_seconds_whatever_the_rules_say() {
    for default in ["drop", "reject"] {
        let mut lab =
            by_rfc(&OFFICE.replace(r#"default = "drop""#, &format!(r#"default = "{default}""#)));
        let _ = lab.at(0.0).from(WAN).send(unsolicited()).expect(held());
        // Nor is anything said to what its sender repeats meanwhile.
        for second in [1.0, 3.0] {
            let again = lab.at(second).from(WAN).send(unsolicited());
            let _ = again.expect(held());
        }
        assert!(lab.wait_until(5.999).is_empty());
        assert!(lab.table().is_empty());
    }
}

#[test]
fn t_5382_req_4_wait__also_where_a_row_rejects_or_a_filter_refuses() {
    let reject = r#"rules = [{ id = "no", from = "wan", action = "reject" },"#;
    let mut lab = by_rfc(&OFFICE.replace("rules = [", reject));
    let want = drop_for(Reason::UnsolicitedSyn).ct("new").rule("no");
    let _ = lab.at(0.0).from(WAN).send(unsolicited()).expect(want);
    assert!(lab.wait_until(5.999).is_empty());

    // There is a mapping, whose filter does not know this sender.
    let mut lab = by_rfc(OFFICE);
    let sent = lab.at(0.0).from(LAN).send(tcp(NEAR, "192.0.2.1:80").syn());
    let _ = sent.expect(forward_to(WAN).source(PUBLIC));
    let _ = lab.at(1.0).from(WAN).send(unsolicited()).expect(held());
    assert!(lab.wait_until(6.999).is_empty());
}

#[test]
fn t_5382_req_4_cancel__an_inside_syn_makes_it_a_simultaneous_open() {
    for rules in [
        OFFICE.to_owned(),
        OFFICE.replace(r#"default = "drop""#, r#"default = "reject""#),
    ] {
        let mut lab = by_rfc(&rules);
        let _ = lab.at(0.0).from(WAN).send(unsolicited()).expect(held());
        let ours = || tcp(NEAR, FAR).syn().seq(100);
        let sent = lab.at(2.0).from(LAN).send(ours());
        let _ = sent.expect(forward_to(WAN).source(PUBLIC).state("syn-sent"));
        let again = lab.at(3.0).from(WAN).send(unsolicited());
        let _ = again.expect(forward_to(LAN).destination(NEAR).state("syn-sent2"));
        let sent = lab.at(3.1).from(LAN).send(ours().ack(501));
        let _ = sent.expect(forward_to(WAN).source(PUBLIC).state("syn-recv"));
        // What was held is forgotten: its sender hears nothing of it.
        assert!(lab.wait_until(20.0).is_empty());
    }
}

#[test]
fn t_5382_req_4_cancel__an_inside_syn_of_another_connection_does_not() {
    let mut lab = by_rfc(OFFICE);
    let _ = lab.at(0.0).from(WAN).send(unsolicited()).expect(held());
    for (near, far) in [(NEAR, "198.51.100.9:40001"), ("10.0.0.7:51001", FAR)] {
        let sent = lab.at(1.0).from(LAN).send(tcp(near, far).syn());
        assert!(sent.forwarded.is_some());
    }
    assert_eq!(lab.let_pass(6.0).made.len(), 1);
}

#[test]
fn t_5382_req_4_icmp__then_its_sender_is_told_that_there_is_no_such_port() {
    let mut lab = by_rfc(OFFICE);
    let syn = unsolicited().data("with data");
    let _ = lab.at(0.0).from(WAN).send(syn.clone()).expect(held());
    let error = Told::Error(3, 3, "203.0.113.2");
    told(&lab.let_pass(6.0), &syn, &error);
    // It may try again, and waits again.
    let _ = lab.at(7.0).from(WAN).send(syn.clone()).expect(held());
    assert!(lab.wait_until(12.999).is_empty());
    told(&lab.let_pass(13.0), &syn, &error);
}

#[test]
fn t_5382_req_4_icmp__also_at_addresses_of_a_pool_and_of_one_host() {
    let pool = r#"as = "203.0.113.16-203.0.113.31""#;
    let fixed =
        r#"static = [{ id = "one", on = "wan", inside = "10.0.0.80", outside = "203.0.113.80" }]"#;
    let rules = OFFICE
        .replace(r#"as = "masquerade""#, pool)
        .replace("[nat]", &format!("[nat]\n{fixed}"))
        .replace(
            r#"{ id = "no-lan-in","#,
            r#"{ id = "no-lan-in", dst = "10.0.0.1","#,
        );
    for public in ["203.0.113.20:4000", "203.0.113.80:22"] {
        let mut lab = by_rfc(&rules);
        let syn = tcp(FAR, public).syn();
        let _ = lab.at(0.0).from(WAN).send(syn.clone()).expect(held());
        told(&lab.let_pass(6.0), &syn, &Told::Error(3, 3, "203.0.113.2"));
    }
}

#[test]
fn t_5382_req_4a__a_row_that_drops_is_silent_for_ever_and_so_is_a_zone_without_errors() {
    let silent = r#"rules = [{ id = "no", from = "wan", action = "drop" },"#;
    let mut lab = by_rfc(&OFFICE.replace("rules = [", silent));
    let want = drop_for(Reason::Rule).rule("no");
    let _ = lab.at(0.0).from(WAN).send(unsolicited()).expect(want);
    assert!(lab.wait_until(20.0).is_empty());

    let quiet = r#"wan = { tun = "wan0", icmp-errors = false,"#;
    let mut lab = by_rfc(&OFFICE.replace(r#"wan = { tun = "wan0","#, quiet));
    let _ = lab.at(0.0).from(WAN).send(unsolicited()).expect(held());
    let [Event::Unanswered(unanswered)] = lab.wait_until(20.0)[..] else {
        panic!("one event");
    };
    assert_eq!(unanswered.packets, 0);
}

#[test]
fn t_5382_req_4_own__the_gateways_own_ports_answer_at_once() {
    let own = r#"rules = [{ id = "own", to = "gateway", action = "allow" },"#;
    let mut lab = by_rfc(&OFFICE.replace("rules = [", own));
    let reset = Told::Reset {
        seq: 0,
        ack: Some(501),
    };
    let want = reject_for(Reason::GatewayService).rule("own");
    let sent = lab.at(0.0).from(WAN).send(unsolicited());
    let _ = sent.expect(want.told(reset.clone()));

    let kept = OFFICE
        .replace("[nat]", "[nat]\nreserved = { tcp = 51000 }")
        .replace(r#"default = "drop""#, r#"default = "reject""#);
    let mut lab = by_rfc(&kept);
    let want = reject_for(Reason::DefaultPolicy).told(reset);
    let _ = lab.at(0.0).from(WAN).send(unsolicited()).expect(want);
    // What goes out is no matter of this: its sender is told at once.
    let rejected = r#"rules = [{ id = "no", from = "lan", to = "wan", action = "reject" },"#;
    let mut lab = by_rfc(&OFFICE.replace("rules = [", rejected));
    let sent = lab.at(0.0).from(LAN).send(tcp(NEAR, FAR).syn().seq(7));
    let reset = Told::Reset {
        seq: 0,
        ack: Some(8),
    };
    let _ = sent.expect(reject_for(Reason::Rule).rule("no").told(reset));
}

#[test]
fn t_5382_req_4_bound__beyond_so_many_they_are_dropped_in_silence() {
    let mut lab = by_rfc(OFFICE);
    let from = |n: u16| tcp(&format!("198.51.100.9:{}", 10_000 + n), PUBLIC).syn();
    for n in 0..1_024 {
        let _ = lab.at(0.0).from(WAN).send(from(n)).expect(held());
    }
    for n in 1_024..1_100 {
        let want = drop_for(Reason::DefaultPolicy).no_rule();
        let _ = lab.at(0.0).from(WAN).send(from(n)).expect(want);
    }
    // One that finds no place may still be opened from inside.
    let far = format!("198.51.100.9:{}", 10_000 + 1_050);
    let sent = lab.at(1.0).from(LAN).send(tcp(NEAR, &far).syn());
    let _ = sent.expect(forward_to(WAN).source(PUBLIC));
    // Six errors at a time to one target, and the others are counted.
    let passed = lab.let_pass(6.0);
    assert_eq!((passed.events.len(), passed.made.len()), (1_024, 6));
    let withheld: Vec<_> = lab.engine.counters().withheld().collect();
    assert_eq!(withheld, [(AnswerKind::Error, 1_018)]);
    let other = tcp("198.51.100.10:9", PUBLIC).syn();
    let _ = lab.at(7.0).from(WAN).send(other).expect(held());
}

#[test]
fn t_6092_rec_34__in_ipv6_its_sender_hears_after_six_seconds_that_it_is_not_allowed() {
    let rules = PLAIN.replace(
        r#"  { id = "silent",  from = "wan", to = "lan", action = "drop" },"#,
        "",
    );
    let (near, far) = ("[2001:db8:10::7]:51000", "[2001:db8:5::9]:40000");
    let syn = || tcp(far, near).syn().seq(500);
    let mut lab = by_rfc(&rules);
    let _ = lab.at(0.0).from(WAN).send(syn()).expect(held());
    assert!(lab.wait_until(5.999).is_empty());
    let error = Told::Error(1, 1, "2001:db8:ff::2");
    told(&lab.let_pass(6.0), &syn(), &error);

    let mut lab = by_rfc(&rules);
    let _ = lab.at(0.0).from(WAN).send(syn()).expect(held());
    let sent = lab.at(2.0).from(LAN).send(tcp(near, far).syn().seq(100));
    let _ = sent.expect(forward_to(WAN).state("syn-sent"));
    let again = lab.at(3.0).from(WAN).send(syn());
    let _ = again.expect(forward_to(LAN).state("syn-sent2"));
    assert!(lab.wait_until(20.0).is_empty());
}

#[test]
fn t_diff_11__at_once_with_linux_and_after_six_seconds_by_the_rfcs() {
    let set = |word: &str| {
        let policy = format!("[policy]\nunsolicited-syn = \"{word}\"");
        OFFICE
            .replace("[policy]", &policy)
            .replace(r#"default = "drop""#, r#"default = "reject""#)
    };
    let reset = Told::Reset {
        seq: 0,
        ack: Some(501),
    };
    let refused = || reject_for(Reason::DefaultPolicy).told(reset.clone());
    let office = OFFICE.replace(r#"default = "drop""#, r#"default = "reject""#);
    for (mut lab, want) in [
        (Lab::new(&office), refused()),
        (by_rfc(&office), held()),
        (Lab::new(&set("hold")), held()),
        (by_rfc(&set("refuse")), refused()),
    ] {
        let _ = lab.at(0.0).from(WAN).send(unsolicited()).expect(want);
    }
}
