//! Port forwards and rules: who reaches an inside server, and what rules see.

use spigate::engine::Reason;

use super::lab::{DMZ, LAN, Lab, WAN};
use super::packets::{tcp, udp};
use super::policies::{OFFICE, PLAIN};
use super::wants::{drop_for, forward_to, reject_for};

const CLIENT: &str = "198.51.100.9:40000";

#[test]
fn a_forward_changes_address_and_port_and_its_answers_change_back() {
    let mut lab = Lab::new(OFFICE);
    let public = "203.0.113.2:2222";
    let sent = lab.at(0.0).from(WAN).send(tcp(CLIENT, public).syn().seq(9));
    let want = forward_to(DMZ)
        .destination("10.0.9.22:22")
        .rule("fwd-ssh")
        .ct("new");
    let _ = sent.expect(want.because(Reason::Rule));
    let answer = tcp("10.0.9.22:22", CLIENT).syn().seq(70).ack(10);
    let want = forward_to(WAN)
        .source(public)
        .ct("established")
        .state("syn-recv");
    let _ = lab.at(0.0).from(DMZ).send(answer).expect(want);
    let ack = tcp(CLIENT, public).seq(10).ack(71);
    let want = forward_to(DMZ)
        .destination("10.0.9.22:22")
        .state("established");
    let _ = lab.at(0.0).from(WAN).send(ack).expect(want);
    assert_eq!(
        lab.table(),
        [
            "tcp 198.51.100.9:40000 > 203.0.113.2:2222 | tcp 10.0.9.22:22 > 198.51.100.9:40000 | established"
        ]
    );
}

#[test]
fn rules_see_the_real_server_not_the_public_address() {
    let mut lab = Lab::new(OFFICE);
    let sent = lab
        .at(0.0)
        .from(WAN)
        .send(tcp(CLIENT, "203.0.113.2:443").syn());
    let _ = sent.expect(forward_to(DMZ).destination("10.0.9.80:443").rule("pub-web"));
    // The forward leads there, but no rule admits what it leads there.
    let closed = OFFICE.replace(
        r#"dst = "10.0.9.80", service = "web""#,
        r#"dst = "203.0.113.2", service = "web""#,
    );
    let mut lab = Lab::new(&closed);
    let sent = lab
        .at(0.0)
        .from(WAN)
        .send(tcp(CLIENT, "203.0.113.2:443").syn());
    let _ = sent.expect(drop_for(Reason::DefaultPolicy));
}

#[test]
fn rules_see_the_real_client_not_its_public_address() {
    let one = OFFICE.replace(
        r#"{ id = "lan-out",     from"#,
        r#"{ id = "lan-out", src = "10.0.0.7", from"#,
    );
    let mut lab = Lab::new(&one);
    let sent = lab.at(0.0).from(LAN).send(udp("10.0.0.7:5000", CLIENT));
    let _ = sent.expect(forward_to(WAN).source("203.0.113.2:5000").rule("lan-out"));
    let sent = lab.at(0.0).from(LAN).send(udp("10.0.0.8:5000", CLIENT));
    let _ = sent.expect(drop_for(Reason::DefaultPolicy).no_rule());
}

#[test]
fn a_forward_without_a_port_keeps_the_one_that_was_addressed() {
    let mut lab = Lab::new(OFFICE);
    let sent = lab
        .at(0.0)
        .from(WAN)
        .send(udp("198.51.100.9:5353", "203.0.113.2:53"));
    let _ = sent.expect(forward_to(DMZ).destination("10.0.9.53:53").rule("fwd-dns"));
    let back = lab
        .at(0.0)
        .from(DMZ)
        .send(udp("10.0.9.53:53", "198.51.100.9:5353"));
    let _ = back.expect(forward_to(WAN).source("203.0.113.2:53"));
}

#[test]
fn a_forward_is_about_arrivals_of_its_own_zone_only() {
    let mut lab = Lab::new(OFFICE);
    // No hairpin: from inside, the public address is the gateway's own.
    let sent = lab
        .at(0.0)
        .from(LAN)
        .send(tcp("10.0.0.7:51000", "203.0.113.2:443").syn().seq(9));
    let told = super::wants::Told::Reset {
        seq: 0,
        ack: Some(10),
    };
    let _ = sent.expect(
        reject_for(Reason::GatewayService)
            .rule("lan-gateway")
            .told(told),
    );
}

#[test]
fn what_no_forward_names_reaches_no_server() {
    let mut lab = Lab::new(OFFICE);
    let empty = lab.snapshot();
    for packet in [
        tcp(CLIENT, "203.0.113.2:22").syn(),
        tcp(CLIENT, "203.0.113.2:8080").syn(),
        udp(CLIENT, "203.0.113.2:2222"),
        tcp(CLIENT, "10.0.9.52:5432").syn(),
    ] {
        let _ = lab
            .at(0.0)
            .from(WAN)
            .send(packet)
            .expect(drop_for(Reason::DefaultPolicy).no_rule());
    }
    assert_eq!(lab.snapshot(), empty);
}

#[test]
fn two_clients_of_a_forward_with_the_same_tuple_inside_are_told_apart() {
    // Two public ports lead to one server: one client through both of them
    // would look the same to it.
    let two = OFFICE.replace(
        "forward = [",
        r#"forward = [{ id = "also-ssh", on = "wan", tcp = 2223, to = "10.0.9.22:22", admit = true },"#,
    );
    let mut lab = Lab::new(&two);
    let sent = lab
        .at(0.0)
        .from(WAN)
        .send(tcp(CLIENT, "203.0.113.2:2222").syn());
    let _ = sent.expect(forward_to(DMZ).destination("10.0.9.22:22"));
    let second = lab
        .at(0.0)
        .from(WAN)
        .send(tcp(CLIENT, "203.0.113.2:2223").syn().seq(5));
    let left = second.forwarded.unwrap().1;
    assert_eq!(left.destination, "10.0.9.22:22");
    assert_ne!(left.source, CLIENT);
    let answer = tcp("10.0.9.22:22", &left.source).syn().ack(6);
    let want = forward_to(WAN)
        .source("203.0.113.2:2223")
        .destination(CLIENT);
    let _ = lab.at(0.0).from(DMZ).send(answer).expect(want);
}

#[test]
fn the_first_rule_that_matches_wins() {
    let mut lab = Lab::new(OFFICE);
    let banned = tcp("192.0.2.66:40000", "203.0.113.2:443").syn();
    let _ = lab
        .at(0.0)
        .from(WAN)
        .send(banned)
        .expect(drop_for(Reason::Rule).rule("banned").ct("new"));
    let sent = lab
        .at(0.0)
        .from(WAN)
        .send(tcp(CLIENT, "203.0.113.2:443").syn());
    let _ = sent.expect(forward_to(DMZ).destination("10.0.9.80:443"));
}

#[test]
fn what_no_rule_names_falls_to_the_default_policy() {
    let mut lab = Lab::new(OFFICE);
    let ssh = tcp("10.0.9.80:51000", "198.51.100.9:22").syn();
    let _ = lab
        .at(0.0)
        .from(DMZ)
        .send(ssh)
        .expect(drop_for(Reason::DefaultPolicy).ct("new").no_rule());
    let open = PLAIN.replace(r#"default = "reject""#, r#"default = "allow""#);
    let open = open.replace(
        r#"  { id = "silent",  from = "wan", to = "lan", action = "drop" },"#,
        "",
    );
    let mut lab = Lab::new(&open);
    let sent = lab
        .at(0.0)
        .from(WAN)
        .send(udp("198.51.100.9:53", "10.0.0.7:5000"));
    let _ = sent.expect(forward_to(LAN).because(Reason::DefaultPolicy).no_rule());
}

#[test]
fn t_6092_rec_49__one_default_lets_unsolicited_flows_pass_both_ways() {
    let open = PLAIN.replace(r#"default = "reject""#, r#"default = "allow""#);
    let open = open.replace(
        r#"  { id = "silent",  from = "wan", to = "lan", action = "drop" },"#,
        "",
    );
    let mut lab = Lab::new(&open);
    let (inside, outside) = ("[2001:db8:10::7]:5000", "[2001:db8:5::9]:5300");
    let _ = lab
        .at(0.0)
        .from(WAN)
        .send(udp(outside, inside))
        .expect(forward_to(LAN));
    let _ = lab
        .at(0.0)
        .from(LAN)
        .send(tcp(inside, outside).syn())
        .expect(forward_to(WAN));
}

#[test]
fn a_syn_to_an_inside_host_from_outside_is_refused() {
    let mut lab = Lab::new(PLAIN);
    let empty = lab.snapshot();
    for (client, host) in [
        (CLIENT, "10.0.0.7:22"),
        ("[2001:db8:5::9]:40000", "[2001:db8:10::7]:22"),
    ] {
        let sent = lab.at(0.0).from(WAN).send(tcp(client, host).syn());
        let _ = sent.expect(drop_for(Reason::Rule).rule("silent"));
    }
    assert_eq!(lab.snapshot(), empty);
    // The published server is reached.
    let sent = lab
        .at(0.0)
        .from(WAN)
        .send(tcp(CLIENT, "10.0.0.80:80").syn());
    let _ = sent.expect(forward_to(LAN).rule("in-web"));
}

#[test]
fn t_1812_filter__rules_match_prefixes_of_any_length_and_refuse_in_silence_or_not() {
    let rules = |row: &str| OFFICE.replace("rules = [", &format!("rules = [{row},"));
    for prefix in [
        "0.0.0.0/0",
        "198.51.100.0/24",
        "198.51.100.8/31",
        "198.51.100.9/32",
    ] {
        let row = format!(r#"{{ id = "no", dst = "{prefix}", action = "drop" }}"#);
        let mut lab = Lab::new(&rules(&row));
        let sent = lab.at(0.0).from(LAN).send(udp("10.0.0.7:5000", CLIENT));
        let _ = sent.expect(drop_for(Reason::Rule).rule("no"));
        let hits = lab.engine.counters().hits(spigate::rules::RuleId(0));
        assert_eq!(hits, 1);
    }
    let mut lab = Lab::new(&rules(
        r#"{ id = "no", dst = "198.51.100.10/31", action = "reject" }"#,
    ));
    let sent = lab.at(0.0).from(LAN).send(udp("10.0.0.7:5000", CLIENT));
    let _ = sent.expect(forward_to(WAN).source("203.0.113.2:5000"));
    let refused = lab
        .at(0.0)
        .from(LAN)
        .send(udp("10.0.0.7:5000", "198.51.100.11:53"));
    let told = super::wants::Told::Error(3, 3, "10.0.0.1");
    let _ = refused.expect(reject_for(Reason::Rule).rule("no").told(told));
}
