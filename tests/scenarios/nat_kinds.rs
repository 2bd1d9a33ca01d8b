//! Every kind of translation: pools, port ranges, networks host by host, static
//! addresses, hairpins, both ends at once, and the gateway itself.

use std::collections::{BTreeMap, BTreeSet};

use spigate::engine::Reason;

use super::lab::{DMZ, LAN, Lab, WAN};
use super::packets::{echo, echo_reply, icmp, tcp, udp};
use super::wants::{Told, answer, drop_for, forward_to, reject_for};

const SERVER: &str = "198.51.100.9:80";

/// An office with these translations, where everything is allowed.
fn lab(nat: &str) -> Lab {
    let rules = r#"
version = 1
[zones]
lan = { tun = "lan0", net = ["10.0.0.0/24", "2001:db8:10::/64"], address = ["10.0.0.1", "2001:db8:10::1"] }
dmz = { tun = "dmz0", net = ["10.0.9.0/24", "2001:db8:9::/64"], address = ["10.0.9.1", "2001:db8:9::1"] }
wan = { tun = "wan0", net = ["0.0.0.0/0", "::/0"], address = ["203.0.113.2", "2001:db8:ff::2"] }
[services]
web  = { tcp = [80, 443] }
ping = { icmp = "echo-request" }
[policy]
default = "allow"
[nat]
"#;
    Lab::new(&format!("{rules}{nat}"))
}

/// As what this client leaves towards this server.
fn leaves(lab: &mut Lab, client: &str, server: &str) -> String {
    let sent = lab.at(0.0).from(LAN).send(tcp(client, server).syn());
    sent.forwarded.unwrap().1.source
}

fn address(endpoint: &str) -> &str {
    endpoint.rsplit_once(':').unwrap().0
}

const POOL: &str = r#"source = [{ id = "pool", from = "lan", to = "wan", as = ["203.0.113.16-203.0.113.18", "203.0.113.32/30"] }]"#;

#[test]
fn t_4787_req_2__a_client_keeps_one_address_of_the_pool() {
    let mut lab = lab(POOL);
    for host in 2..60 {
        let client = format!("10.0.0.{host}");
        let all: BTreeSet<String> = (1..6)
            .map(|n| {
                let server = format!("198.51.100.{n}:80");
                let left = leaves(&mut lab, &format!("{client}:{}", 5000 + n), &server);
                address(&left).to_owned()
            })
            .collect();
        assert_eq!(all.len(), 1, "{client}: {all:?}");
    }
}

#[test]
fn t_6888_req_2__pooling_in_pairs_is_the_default_and_can_be_switched_off() {
    let mut lab = lab(&POOL.replace("as =", r#"pooling = "arbitrary", as ="#));
    let left = (1..40).map(|n| leaves(&mut lab, "10.0.0.7:5000", &format!("198.51.100.{n}:80")));
    let all: BTreeSet<String> = left.map(|left| address(&left).to_owned()).collect();
    assert!(all.len() > 3, "{all:?}");
}

#[test]
fn t_6888_req_3__a_pool_of_several_ranges_is_used_whole() {
    let mut lab = lab(POOL);
    let mut clients: BTreeMap<String, usize> = BTreeMap::new();
    for host in 2..=254 {
        let left = leaves(&mut lab, &format!("10.0.0.{host}:5000"), SERVER);
        *clients.entry(address(&left).to_owned()).or_default() += 1;
    }
    let pool = ["16", "17", "18", "32", "33", "34", "35"].map(|n| format!("203.0.113.{n}"));
    assert_eq!(clients.keys().cloned().collect::<Vec<_>>(), pool);
    assert!(
        clients.values().all(|n| (15..60).contains(n)),
        "{clients:?}"
    );
}

#[test]
fn ports_stay_within_their_range_and_used_up_ones_are_refused_by_name() {
    let mut lab = lab(
        r#"source = [{ id = "few", from = "lan", to = "wan", as = "masquerade", ports = "4000-4003" }]"#,
    );
    let mut ports = BTreeSet::new();
    for host in 2..6 {
        ports.insert(leaves(&mut lab, &format!("10.0.0.{host}:4001"), SERVER));
    }
    let range = [4000, 4001, 4002, 4003].map(|port| format!("203.0.113.2:{port}"));
    assert_eq!(ports, BTreeSet::from(range));
    let before = lab.snapshot();
    let sent = lab
        .at(0.0)
        .from(LAN)
        .send(tcp("10.0.0.9:4001", SERVER).syn());
    let _ = sent.expect(drop_for(Reason::NatPortsExhausted));
    assert_eq!(lab.snapshot(), before);
    // Towards another server they are free.
    assert_eq!(
        leaves(&mut lab, "10.0.0.9:4001", "198.51.100.10:80"),
        "203.0.113.2:4001"
    );
}

fn ten_clients(order: &str) -> Vec<u16> {
    let mut lab = lab(&format!(
        r#"source = [{{ id = "a", from = "lan", to = "wan", as = "masquerade", port-order = "{order}" }}]"#
    ));
    let clients = (2..12).map(|host| format!("10.0.0.{host}:5001"));
    let left = clients.map(|client| leaves(&mut lab, &client, SERVER));
    left.map(|left| left.rsplit_once(':').unwrap().1.parse().unwrap())
        .collect()
}

#[test]
fn t_4787_req_4__port_parity_is_kept_where_that_is_asked_for() {
    let ports = ten_clients("keep-parity");
    assert_eq!(ports[0], 5001);
    assert!(ports.iter().all(|port| port % 2 == 1), "{ports:?}");
}

#[test]
fn t_7857_s8__parity_is_not_kept_unless_asked_for() {
    let ports = ten_clients("keep");
    assert!(ports.iter().any(|port| port % 2 == 0), "{ports:?}");
}

#[test]
fn t_7857_s9_a__ports_that_are_not_kept_follow_no_sequence() {
    for order in ["keep", "random"] {
        let ports = ten_clients(order);
        let distances: BTreeSet<_> = ports
            .windows(2)
            .map(|two| two[1].abs_diff(two[0]))
            .collect();
        assert!(distances.len() > 7, "{ports:?}");
        assert!(distances.iter().all(|distance| *distance > 2), "{ports:?}");
    }
    assert!(ten_clients("random").iter().all(|port| *port != 5001));
}

#[test]
fn a_network_becomes_another_host_by_host() {
    let mut lab = lab(
        r#"source = [{ id = "net", from = "lan", to = "wan", src = ["10.0.0.16/28", "2001:db8:10:0:8000::/68"], map = ["203.0.113.16/28", "2001:db8:ff:0:8000::/68"] }]"#,
    );
    assert_eq!(
        leaves(&mut lab, "10.0.0.23:5000", SERVER),
        "203.0.113.23:5000"
    );
    assert_eq!(
        leaves(
            &mut lab,
            "[2001:db8:10:0:8000::7]:5000",
            "[2001:db8:1::9]:80"
        ),
        "[2001:db8:ff:0:8000::7]:5000"
    );
    // Another host is not in it, and keeps its address.
    assert_eq!(leaves(&mut lab, "10.0.0.7:5000", SERVER), "10.0.0.7:5000");
    // A stranger who calls the public address of a host reaches nobody.
    let stranger = tcp("198.51.100.7:999", "203.0.113.23:22").syn();
    let sent = lab.at(0.0).from(WAN).send(stranger);
    let _ = sent.expect(forward_to(WAN).destination("203.0.113.23:22"));
}

const STATIC: &str = r#"static = [
  { id = "server", on = "wan", inside = "10.0.9.80", outside = "203.0.113.80", hairpin = true },
  { id = "net", on = "wan", inside = ["10.0.0.16/28", "2001:db8:10:0:8000::/68"], outside = ["203.0.113.16/28", "2001:db8:ff:0:8000::/68"], hairpin = true },
]
source = [{ id = "masq", from = ["lan", "dmz"], to = "wan", as = "masquerade" }]
"#;

#[test]
fn a_static_address_works_both_ways() {
    let mut lab = lab(STATIC);
    let public = "203.0.113.80:443";
    let sent = lab
        .at(0.0)
        .from(WAN)
        .send(tcp("198.51.100.9:4000", public).syn().seq(5));
    let _ = sent.expect(forward_to(DMZ).destination("10.0.9.80:443"));
    let back = tcp("10.0.9.80:443", "198.51.100.9:4000")
        .syn()
        .seq(7)
        .ack(6);
    let sent = lab.at(0.0).from(DMZ).send(back);
    let _ = sent.expect(forward_to(WAN).source(public).ct("established"));
    let out = udp("10.0.9.80:5353", "198.51.100.53:53");
    let sent = lab.at(0.0).from(DMZ).send(out);
    let _ = sent.expect(forward_to(WAN).source("203.0.113.80:5353"));
    let six = tcp("[2001:db8:1::9]:4000", "[2001:db8:ff:0:8000::5]:22").syn();
    let sent = lab.at(0.0).from(WAN).send(six);
    let _ = sent.expect(forward_to(LAN).destination("[2001:db8:10:0:8000::5]:22"));
}

#[test]
fn t_7857_s12__a_ping_to_a_static_address_reaches_its_host() {
    let mut lab = lab(STATIC);
    let ping = echo("198.51.100.9", "203.0.113.23", 7);
    let sent = lab.at(0.0).from(WAN).send(ping);
    let _ = sent.expect(forward_to(LAN).destination("10.0.0.23"));
    let sent = lab
        .at(0.0)
        .from(LAN)
        .send(echo_reply("10.0.0.23", "198.51.100.9", 7));
    let _ = sent.expect(forward_to(WAN).source("203.0.113.23:7"));
}

#[test]
fn t_5508_req_7__a_host_pings_the_static_address_of_another() {
    let mut lab = lab(STATIC);
    let sent = lab
        .at(0.0)
        .from(LAN)
        .send(echo("10.0.0.17", "203.0.113.18", 7));
    let _ = sent.expect(
        forward_to(LAN)
            .source("203.0.113.17:7")
            .destination("10.0.0.18"),
    );
    let back = echo_reply("10.0.0.18", "203.0.113.17", 7);
    let sent = lab.at(0.0).from(LAN).send(back);
    let _ = sent.expect(
        forward_to(LAN)
            .source("203.0.113.18:7")
            .destination("10.0.0.17"),
    );
}

#[test]
fn t_5508_req_7a__an_error_about_a_hairpinned_packet_reaches_its_sender() {
    let mut lab = lab(STATIC);
    let sent = lab
        .at(0.0)
        .from(LAN)
        .send(udp("10.0.0.17:500", "203.0.113.80:53"));
    let want = forward_to(DMZ)
        .source("203.0.113.17:500")
        .destination("10.0.9.80:53");
    let arrived = sent.expect(want).left();
    let error = icmp("10.0.9.80", "203.0.113.17", 3, 3).quoting(&arrived.bytes);
    let sent = lab.at(0.0).from(DMZ).send(error);
    let want = forward_to(LAN)
        .source("203.0.113.80")
        .destination("10.0.0.17");
    let seen = sent.expect(want.ct("related")).left();
    let quoted = seen.quoted();
    let ends = [quoted.source, quoted.destination];
    assert_eq!(ends, ["10.0.0.17:500", "203.0.113.80:53"]);
}

const HAIRPIN: &str = r#"source = [{ id = "masq", from = ["lan", "dmz"], to = "wan", as = "masquerade" }]
forward = [{ id = "web", on = "wan", tcp = 8080, to = "10.0.0.80:80", hairpin = true }]
"#;

#[test]
fn t_5382_req_8__inside_clients_reach_an_inside_server_by_its_public_endpoint() {
    let mut lab = lab(HAIRPIN);
    for (zone, client) in [(LAN, "10.0.0.7:5000"), (DMZ, "10.0.9.7:5001")] {
        let public = "203.0.113.2:8080";
        let sent = lab
            .at(0.0)
            .from(zone)
            .send(tcp(client, public).syn().seq(1));
        let port = client.rsplit_once(':').unwrap().1;
        let seen_as = format!("203.0.113.2:{port}");
        let want = forward_to(LAN)
            .source(seen_as.as_str())
            .destination("10.0.0.80:80");
        let _ = sent.expect(want);
        let back = tcp("10.0.0.80:80", &seen_as).syn().seq(9).ack(2);
        let sent = lab.at(0.0).from(LAN).send(back);
        let want = forward_to(if zone == LAN { LAN } else { DMZ });
        let _ = sent.expect(want.source(public).destination(client).ct("established"));
    }
}

#[test]
fn without_hairpin_the_public_endpoint_is_for_the_outside() {
    let mut lab = lab(&HAIRPIN.replace(", hairpin = true", ""));
    let inside = tcp("10.0.0.7:5000", "203.0.113.2:8080").syn();
    let sent = lab.at(0.0).from(LAN).send(inside);
    let told = Told::Reset {
        seq: 0,
        ack: Some(1001),
    };
    let _ = sent.expect(reject_for(Reason::GatewayService).told(told));
}

#[test]
fn a_hairpin_without_source_translation_is_seen_by_the_gateways_address() {
    let only = HAIRPIN
        .lines()
        .find(|line| line.starts_with("forward"))
        .unwrap();
    let mut lab = lab(only);
    let sent = lab
        .at(0.0)
        .from(LAN)
        .send(tcp("10.0.0.7:5000", "203.0.113.2:8080").syn());
    let _ = sent.expect(
        forward_to(LAN)
            .source("203.0.113.2:5000")
            .destination("10.0.0.80:80"),
    );
}

#[test]
fn both_ends_can_change_at_once() {
    let mut lab = lab(
        r#"forward = [{ id = "twice", on = "wan", tcp = 8080, to = "10.0.9.80:80", as = "10.0.9.1" }]"#,
    );
    let (client, public) = ("198.51.100.9:4000", "203.0.113.2:8080");
    let sent = lab.at(0.0).from(WAN).send(tcp(client, public).syn().seq(1));
    let want = forward_to(DMZ)
        .source("10.0.9.1:4000")
        .destination("10.0.9.80:80");
    let _ = sent.expect(want);
    let back = tcp("10.0.9.80:80", "10.0.9.1:4000").syn().seq(5).ack(2);
    let sent = lab.at(0.0).from(DMZ).send(back);
    let _ = sent.expect(forward_to(WAN).source(public).destination(client));
}

#[test]
fn a_range_of_ports_is_shifted() {
    let mut lab = lab(
        r#"forward = [{ id = "shift", on = "wan", udp = "7000-7010", to = "10.0.9.60:17000-17010" }]"#,
    );
    for (public, inside) in [(7000, 17000), (7003, 17003), (7010, 17010)] {
        let (public, inside) = (
            format!("203.0.113.2:{public}"),
            format!("10.0.9.60:{inside}"),
        );
        let sent = lab
            .at(0.0)
            .from(WAN)
            .send(udp("198.51.100.9:4000", &public));
        let _ = sent.expect(forward_to(DMZ).destination(inside.as_str()));
        let sent = lab
            .at(0.0)
            .from(DMZ)
            .send(udp(&inside, "198.51.100.9:4000"));
        let _ = sent.expect(forward_to(WAN).source(public.as_str()).ct("established"));
    }
}

#[test]
fn a_public_network_leads_to_an_inside_one_host_by_host() {
    let mut lab = lab(
        r#"forward = [{ id = "hosts", on = "wan", dst = "203.0.113.144/28", service = "web", to = "10.0.9.144/28" }]"#,
    );
    let sent = lab
        .at(0.0)
        .from(WAN)
        .send(tcp("198.51.100.9:4000", "203.0.113.150:80").syn());
    let _ = sent.expect(forward_to(DMZ).destination("10.0.9.150:80"));
}

#[test]
fn what_leads_to_the_gateway_itself_is_answered_as_if_it_were_the_one_addressed() {
    let mut lab = lab(r#"forward = [
  { id = "proxy", on = "lan", tcp = 80, to = "gateway:3128" },
  { id = "pings", on = "lan", service = "ping", to = "gateway" },
]"#);
    let sent = lab
        .at(0.0)
        .from(LAN)
        .send(tcp("10.0.0.7:5000", SERVER).syn().seq(0));
    let told = Told::Reset {
        seq: 0,
        ack: Some(1),
    };
    let _ = sent.expect(reject_for(Reason::GatewayService).told(told));
    let sent = lab
        .at(0.0)
        .from(LAN)
        .send(echo("10.0.0.7", "198.51.100.9", 3));
    let _ = sent.expect(answer().told(Told::EchoReply));
}

#[test]
fn who_is_refused_behind_a_public_address_hears_so_from_that_address() {
    let mut lab = lab(r#"forward = [
  { id = "proxy", on = "lan", dst = "198.51.100.9", udp = 80, to = "gateway:3128" },
]"#);
    let sent = lab
        .at(0.0)
        .from(LAN)
        .send(udp("10.0.0.7:5000", "198.51.100.9:80"));
    let told = Told::Error(3, 3, "198.51.100.9");
    let _ = sent.expect(reject_for(Reason::GatewayService).told(told));
    // Whoever addresses the gateway itself hears from it.
    let sent = lab
        .at(0.0)
        .from(LAN)
        .send(udp("10.0.0.7:5000", "10.0.0.1:80"));
    let told = Told::Error(3, 3, "10.0.0.1");
    let _ = sent.expect(reject_for(Reason::GatewayService).told(told));
    // So too where a rule refuses what the address leads to.
    let mut lab = self::lab(
        r#"forward = [{ id = "hosts", on = "wan", dst = "203.0.113.144/28", udp = 53, to = "10.0.9.144/28" }]
[[policy.rules]]
id = "no"
to = "dmz"
action = "reject"
"#,
    );
    let sent = lab
        .at(0.0)
        .from(WAN)
        .send(udp("198.51.100.9:4000", "203.0.113.150:53"));
    let told = Told::Error(3, 3, "203.0.113.150");
    let _ = sent.expect(reject_for(Reason::Rule).rule("no").told(told));
}
