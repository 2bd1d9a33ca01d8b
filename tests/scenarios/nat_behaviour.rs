//! Mappings and filters as a rule asks for them (RFC 4787, RFC 5382).

use std::collections::BTreeSet;

use spigate::engine::Reason;
use spigate::session::Mapping;

use super::dialogue::{Dialogue, forwarded};
use super::lab::{LAN, Lab, WAN};
use super::packets::{endpoint, tcp, udp};
use super::wants::{drop_for, forward_to};

const CLIENT: &str = "10.0.0.7:5000";

const MODES: [&str; 3] = [
    "endpoint-independent",
    "address-dependent",
    "address-and-port-dependent",
];

/// A gateway whose mappings and filters are these, and whose ports are few: what
/// has to move moves.
fn lab(mapping: &str, filtering: &str) -> Lab {
    Lab::new(&format!(
        r#"
version = 1
[zones]
lan = {{ tun = "lan0", net = "10.0.0.0/24" }}
wan = {{ tun = "wan0", net = "0.0.0.0/0", address = "203.0.113.2" }}
[policy]
default = "drop"
rules = [{{ id = "out", from = "lan", to = "wan", action = "allow" }}]
[nat]
source = [{{ id = "masq", from = "lan", to = "wan", as = "masquerade", port-order = "random", mapping = "{mapping}", filtering = "{filtering}" }}]
"#
    ))
}

/// As what the client's packet to this server leaves.
fn leaves(lab: &mut Lab, client: &str, server: &str) -> String {
    let sent = lab.at(0.0).from(LAN).send(udp(client, server));
    sent.forwarded.unwrap().1.source
}

const SERVERS: [&str; 3] = ["198.51.100.1:53", "198.51.100.1:54", "198.51.100.2:53"];

fn three(mapping: &str) -> [String; 3] {
    let mut lab = lab(mapping, "address-and-port-dependent");
    SERVERS.map(|server| leaves(&mut lab, CLIENT, server))
}

#[test]
fn t_4787_req_1__a_client_socket_has_one_public_endpoint_for_all() {
    let [a, b, c] = three("endpoint-independent");
    assert_eq!((&a, &a), (&b, &c));
    // Another socket of the same client has another.
    let mut lab = lab("endpoint-independent", "endpoint-independent");
    let one = leaves(&mut lab, CLIENT, SERVERS[0]);
    assert_ne!(leaves(&mut lab, "10.0.0.7:5001", SERVERS[0]), one);
    assert_ne!(leaves(&mut lab, "10.0.0.8:5000", SERVERS[1]), one);
}

#[test]
fn t_5382_req_1__a_tcp_socket_has_one_public_endpoint_for_all() {
    let mut lab = lab("endpoint-independent", "address-and-port-dependent");
    let all = SERVERS.map(|server| {
        let sent = lab.at(0.0).from(LAN).send(tcp(CLIENT, server).syn());
        sent.forwarded.unwrap().1.source
    });
    assert!(all.iter().all(|one| *one == all[0]), "{all:?}");
}

#[test]
fn t_4787_map_adm__one_for_each_address_that_it_talks_to() {
    let [a, b, c] = three("address-dependent");
    assert_eq!(a, b);
    assert_ne!(a, c);
}

#[test]
fn t_4787_map_apdm__one_for_each_endpoint_that_it_talks_to() {
    let [a, b, c] = three("address-and-port-dependent");
    assert!(a != b && b != c && a != c, "{a} {b} {c}");
}

/// Which of these may answer a client that spoke to the first: that server,
/// another port of its host, another host.
fn let_in(lab: &mut Lab, by: impl Fn(&str, &str) -> super::packets::Packet) -> [bool; 3] {
    let sent = lab.at(0.0).from(LAN).send(by(CLIENT, SERVERS[0]));
    let public = sent.forwarded.unwrap().1.source;
    SERVERS.map(|server| {
        let sent = lab.at(0.0).from(WAN).send(by(server, &public));
        match sent.forwarded {
            Some((zone, seen)) => {
                assert_eq!((zone, seen.destination.as_str()), (LAN, CLIENT));
                true
            }
            None => false,
        }
    })
}

#[test]
fn t_4787_map_x_filt__mapping_and_filtering_combine_freely() {
    for mapping in MODES {
        for (filtering, wanted) in MODES.into_iter().zip(FILTERS) {
            let mut lab = lab(mapping, filtering);
            assert_eq!(let_in(&mut lab, udp), wanted, "{mapping}, {filtering}");
        }
    }
}

const FILTERS: [[bool; 3]; 3] = [
    [true, true, true],
    [true, true, false],
    [true, false, false],
];

#[test]
fn t_4787_req_8_eif__a_filter_that_lets_everybody_in() {
    let mut lab = lab(MODES[0], MODES[0]);
    assert_eq!(let_in(&mut lab, udp), FILTERS[0]);
    // Whoever came in is answered, and is seen by the same endpoint.
    let stranger = SERVERS[2];
    let public = lab.mappings()[0].outside.to_string();
    let sent = lab.at(1.0).from(LAN).send(udp(CLIENT, stranger));
    let _ = sent.expect(forward_to(WAN).source(public).ct("established"));
}

#[test]
fn t_4787_req_8_adf__a_filter_that_lets_known_hosts_in() {
    let mut lab = lab(MODES[0], MODES[1]);
    assert_eq!(let_in(&mut lab, udp), FILTERS[1]);
    // The other host is let in once the client has spoken to it.
    let public = leaves(&mut lab, CLIENT, "198.51.100.2:99");
    let sent = lab.at(0.0).from(WAN).send(udp(SERVERS[2], &public));
    let _ = sent.expect(forward_to(LAN).destination(CLIENT).because(Reason::Mapping));
}

#[test]
fn t_4787_req_8a__the_filter_is_a_setting_and_the_strictest_by_default() {
    let mut lab = lab(MODES[0], MODES[2]);
    assert_eq!(let_in(&mut lab, udp), FILTERS[2]);
}

fn syn(source: &str, destination: &str) -> super::packets::Packet {
    tcp(source, destination).syn()
}

#[test]
fn t_5382_req_3_eif__strangers_may_connect_where_the_filter_says_so() {
    let mut lab = lab(MODES[0], MODES[0]);
    let [_, port, host] = let_in(&mut lab, syn);
    assert!(port && host);
}

#[test]
fn t_5382_req_3_adf__only_known_hosts_or_only_known_servers() {
    for (filtering, wanted) in [(MODES[1], [true, false]), (MODES[2], [false, false])] {
        let mut lab = lab(MODES[0], filtering);
        let [_, port, host] = let_in(&mut lab, syn);
        assert_eq!([port, host], wanted, "{filtering}");
    }
}

#[test]
fn what_no_handshake_began_is_not_let_in_by_any_filter() {
    let mut lab = lab(MODES[0], MODES[0]);
    let sent = lab.at(0.0).from(LAN).send(tcp(CLIENT, SERVERS[0]).syn());
    let public = sent.forwarded.unwrap().1.source;
    let before = lab.snapshot();
    let stray = tcp(SERVERS[2], &public).seq(7).ack(9);
    let sent = lab.at(0.0).from(WAN).send(stray);
    let _ = sent.expect(drop_for(Reason::NoSession));
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn a_mapping_ends_with_the_last_session_that_holds_it() {
    let mut lab = lab(MODES[0], MODES[0]);
    let public = leaves(&mut lab, CLIENT, SERVERS[0]);
    let sent = lab.at(20.0).from(WAN).send(udp(SERVERS[2], &public));
    let _ = sent.expect(forward_to(LAN).destination(CLIENT).ct("new"));
    let holders = |lab: &Lab| -> Vec<u32> { lab.mappings().iter().map(|m| m.holders).collect() };
    assert_eq!(holders(&lab), [2]);
    let _ = lab.wait_until(31.0); // its own session is over; the stranger's is not
    assert_eq!(holders(&lab), [1]);
    let sent = lab.at(31.0).from(WAN).send(udp(SERVERS[1], &public));
    let _ = sent.expect(forward_to(LAN).destination(CLIENT));
    let _ = lab.wait_until(100.0);
    assert_eq!(lab.engine.sessions().mappings().in_use(), 0);
    let sent = lab.at(100.0).from(WAN).send(udp(SERVERS[2], &public));
    let _ = sent.expect(drop_for(Reason::DefaultPolicy));
}

#[test]
fn t_4787_req_9__clients_reach_each_other_by_their_public_endpoints() {
    let mut lab = lab(MODES[0], MODES[0]);
    let (one, two) = (CLIENT, "10.0.0.8:6000");
    let [public_one, public_two] = [one, two].map(|client| leaves(&mut lab, client, SERVERS[0]));
    let sent = lab.at(0.0).from(LAN).send(udp(one, &public_two));
    let want = forward_to(LAN).source(public_one.as_str()).destination(two);
    let _ = sent.expect(want.because(Reason::Mapping).rule("out"));
    let sent = lab.at(0.0).from(LAN).send(udp(two, &public_one));
    let want = forward_to(LAN).source(public_two.as_str()).destination(one);
    let _ = sent.expect(want.ct("established"));
}

#[test]
fn t_4787_req_9a__a_hairpinned_packet_has_the_public_source() {
    let mut lab = lab(MODES[0], MODES[0]);
    let two = "10.0.0.8:6000";
    let public = leaves(&mut lab, two, SERVERS[0]);
    // The first that this client says to anybody.
    let sent = lab.at(0.0).from(LAN).send(udp(CLIENT, &public));
    let seen = sent.forwarded.unwrap().1;
    assert_eq!(endpoint(&seen.source).ip().to_string(), "203.0.113.2");
    assert_eq!(leaves(&mut lab, CLIENT, SERVERS[1]), seen.source);
}

#[test]
fn t_4787_hp_filt__hairpinned_packets_meet_the_same_filter() {
    let mut lab = lab(MODES[0], MODES[2]);
    let (one, two) = (CLIENT, "10.0.0.8:6000");
    let [_, public_two] = [one, two].map(|client| leaves(&mut lab, client, SERVERS[0]));
    let sent = lab.at(0.0).from(LAN).send(udp(one, &public_two));
    assert!(sent.forwarded.is_none(), "{:?}", sent.judgement);
    // A client that spoke to its own public endpoint would hear itself, no more.
    let mut open = self::lab(MODES[0], MODES[0]);
    let public = leaves(&mut open, one, SERVERS[0]);
    let sent = open.at(0.0).from(LAN).send(udp(one, &public));
    let want = forward_to(LAN).source(public.as_str()).destination(one);
    let _ = sent.expect(want);
}

#[test]
fn t_4787_req_11__the_same_packets_give_the_same_endpoints() {
    for mapping in MODES {
        assert_eq!(three(mapping), three(mapping));
    }
}

/// A gateway that masquerades, by this profile, and says no more.
fn by_profile(profile: &str) -> Lab {
    let rules = POLICY
        .replace(
            "version = 1",
            &format!("version = 1\nprofile = \"{profile}\""),
        )
        .replace(
            r#"mapping = "endpoint-independent", MODES"#,
            r#"port-order = "random""#,
        );
    Lab::new(&rules)
}

#[test]
fn t_diff_5__mappings_depend_on_the_far_end_with_linux_and_not_with_rfc() {
    for (profile, alike) in [("linux", false), ("rfc", true)] {
        let mut lab = by_profile(profile);
        let [a, b, c] = SERVERS.map(|server| leaves(&mut lab, CLIENT, server));
        assert_eq!((a == b, b == c), (alike, alike), "{profile}");
    }
}

#[test]
fn t_diff_14__filters_know_endpoints_with_linux_and_hosts_with_rfc() {
    for (profile, wanted) in [("linux", FILTERS[2]), ("rfc", FILTERS[1])] {
        let mut lab = by_profile(profile);
        let sent = lab.at(0.0).from(LAN).send(udp(CLIENT, SERVERS[0]));
        let public = sent.forwarded.unwrap().1.source;
        let came = SERVERS.map(|server| {
            let sent = lab.at(0.0).from(WAN).send(udp(server, &public));
            sent.forwarded.is_some()
        });
        assert_eq!(came, wanted, "{profile}");
    }
}

#[test]
fn t_6888_req_11a__no_endpoint_left_and_the_packet_is_dropped_by_name() {
    let few = r#"port-order = "random", ports = "4000-4001""#;
    let rules = POLICY.replace("MODES", few);
    let mut lab = Lab::new(&rules);
    let all = ["10.0.0.2:1", "10.0.0.3:1"].map(|client| leaves(&mut lab, client, SERVERS[0]));
    assert_ne!(all[0], all[1]);
    let before = lab.snapshot();
    let sent = lab.at(0.0).from(LAN).send(udp("10.0.0.4:1", SERVERS[2]));
    let _ = sent.expect(drop_for(Reason::NatPortsExhausted));
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn t_6888_req_11d__no_mapping_is_taken_from_another() {
    let rules = POLICY.replace("MODES", r#"ports = "4000-4001""#);
    let mut lab = Lab::new(&rules);
    for client in ["10.0.0.2:1", "10.0.0.3:1", "10.0.0.4:1", "10.0.0.5:1"] {
        let _ = lab.at(0.0).from(LAN).send(udp(client, SERVERS[0]));
    }
    let mut held: Vec<String> = lab
        .mappings()
        .iter()
        .map(|m| m.inside.to_string())
        .collect();
    held.sort();
    assert_eq!(held, ["10.0.0.2:1", "10.0.0.3:1"]);
}

const POLICY: &str = r#"
version = 1
[zones]
lan = { tun = "lan0", net = "10.0.0.0/24" }
wan = { tun = "wan0", net = "0.0.0.0/0", address = "203.0.113.2" }
[policy]
default = "allow"
[nat]
source = [
  { id = "plain", from = "lan", to = "wan", src = "10.0.0.9", as = "masquerade" },
  { id = "masq", from = "lan", to = "wan", as = "masquerade", mapping = "endpoint-independent", MODES },
]
"#;

#[test]
fn the_last_free_port_is_found_among_a_thousand() {
    for (mapping, parity) in [
        (MODES[0], "random"),
        (MODES[2], "random"),
        (MODES[0], "keep-parity"),
    ] {
        let rules = POLICY
            .replace(
                r#"mapping = "endpoint-independent""#,
                &format!(r#"mapping = "{mapping}""#),
            )
            .replace(
                "MODES",
                &format!(r#"ports = "4000-4999", port-order = "{parity}""#),
            );
        let mut lab = Lab::new(&rules);
        let mut given = BTreeSet::new();
        for n in 0..1000 {
            let client = format!("10.0.0.{}:{}", 10 + n % 100, 1000 + n);
            assert!(given.insert(leaves(&mut lab, &client, SERVERS[0])), "{n}");
        }
        let sent = lab.at(0.0).from(LAN).send(udp("10.0.0.200:7", SERVERS[0]));
        let _ = sent.expect(drop_for(Reason::NatPortsExhausted));
        assert_eq!(lab.engine.sessions().mappings().in_use(), 1000);
    }
}

#[test]
fn an_endpoint_that_is_one_sockets_own_is_shared_with_nobody() {
    let mut lab = Lab::new(&POLICY.replace(", MODES", ""));
    assert_eq!(leaves(&mut lab, CLIENT, SERVERS[0]), "203.0.113.2:5000");
    // Of a row whose endpoints are shared, towards another server.
    assert_ne!(
        leaves(&mut lab, "10.0.0.9:5000", SERVERS[2]),
        "203.0.113.2:5000"
    );
    // And the other way round.
    assert_eq!(
        leaves(&mut lab, "10.0.0.9:6000", SERVERS[2]),
        "203.0.113.2:6000"
    );
    assert_ne!(
        leaves(&mut lab, "10.0.0.7:6000", SERVERS[0]),
        "203.0.113.2:6000"
    );
}

#[test]
fn t_5382_req_8__two_clients_talk_tcp_by_their_public_endpoints() {
    let mut lab = lab(MODES[0], MODES[0]);
    let two = "10.0.0.8:6000";
    let [public_one, public_two] = [CLIENT, two].map(|client| {
        let sent = lab.at(0.0).from(LAN).send(syn(client, SERVERS[0]));
        sent.forwarded.unwrap().1.source
    });
    let mut talk = Dialogue::open(&mut lab, 1.0, (LAN, CLIENT), &public_two);
    // Each end knows the other as the outside would.
    assert_eq!(
        (&talk.server.own, &talk.server.peer),
        (&two.to_owned(), &public_one)
    );
    assert_eq!(talk.client_says(&mut lab, 2.0, "hello"), "hello");
    assert_eq!(talk.server_says(&mut lab, 2.0, "good day"), "good day");
    for (end, public) in [(&talk.client, &public_two), (&talk.server, &public_one)] {
        let fin = end.segment().fin();
        let (zone, seen) = forwarded(lab.at(3.0).from(LAN).send(fin));
        assert!(zone == LAN && seen.tcp().fin);
        assert_eq!(end.peer, *public);
    }
}

#[test]
fn t_5382_req_3ab__tcp_and_udp_of_one_client_may_have_different_filters() {
    let row = |service: &str, filtering: &str| {
        format!(
            r#"{{ id = "{service}", from = "lan", to = "wan", service = "all-{service}", as = "masquerade", mapping = "endpoint-independent", filtering = "{filtering}" }}"#
        )
    };
    let services = "[services]\nall-tcp = { tcp = \"1-65535\" }\nall-udp = { udp = \"1-65535\" }\n";
    let (start, _) = POLICY.split_once("[nat]").unwrap();
    let rows = [row("tcp", MODES[1]), row("udp", MODES[0])].join(",");
    let mut lab = Lab::new(&format!("{start}{services}[nat]\nsource = [{rows}]\n"));
    assert_eq!(let_in(&mut lab, syn), FILTERS[1]);
    assert_eq!(let_in(&mut lab, udp), FILTERS[0]);
}

#[test]
fn a_forwards_port_is_no_clients_own() {
    let published = r#"
forward = [{ id = "ssh", on = "wan", src = "192.0.2.0/24", tcp = "4000-4299", to = "10.0.0.22" }]
"#;
    let rules = POLICY.replace(
        r#"mapping = "endpoint-independent", MODES"#,
        r#"mapping = "endpoint-independent", ports = "4000-4300""#,
    );
    let mut lab = Lab::new(&(rules + published));
    let sent = lab.at(0.0).from(LAN);
    let sent = sent.send(tcp("10.0.0.7:4000", SERVERS[0]).syn());
    // Of all its ports one is left.
    let _ = sent.expect(forward_to(WAN).source("203.0.113.2:4300"));
}

#[test]
fn a_forward_of_a_whole_protocol_gets_what_no_client_has() {
    let published = r#"
forward = [{ id = "rest", on = "wan", service = "all", to = "10.0.0.80" }]
[services]
all = { protocol = "udp" }
"#;
    let mut lab =
        Lab::new(&(POLICY.replace("MODES", r#"filtering = "endpoint-independent""#) + published));
    let sent = lab.at(0.0).from(LAN).send(udp(CLIENT, SERVERS[0]));
    let public = sent.forwarded.unwrap().1.source;
    let stranger = "192.0.2.77:7";
    let sent = lab.at(0.0).from(WAN).send(udp(stranger, &public));
    assert_eq!(sent.forwarded.unwrap().1.destination, CLIENT);
}

#[test]
fn a_stranger_whom_the_client_knows_by_another_endpoint_is_told_apart() {
    let mut lab = lab(MODES[2], MODES[0]);
    let [one, two] = [SERVERS[0], SERVERS[2]].map(|server| leaves(&mut lab, CLIENT, server));
    assert_ne!(one, two);
    // The second server comes to the endpoint that is for the first.
    let sent = lab.at(0.0).from(WAN).send(udp(SERVERS[2], &one));
    let seen = sent.forwarded.unwrap().1;
    assert_eq!(seen.destination, CLIENT);
    assert_ne!(seen.source, SERVERS[2]);
    let sent = lab.at(0.0).from(LAN).send(udp(CLIENT, &seen.source));
    let _ = sent.expect(forward_to(WAN).source(one.as_str()).destination(SERVERS[2]));
    let sent = lab.at(0.0).from(LAN).send(udp(CLIENT, SERVERS[2]));
    let _ = sent.expect(forward_to(WAN).source(two.as_str()).destination(SERVERS[2]));
}

#[test]
fn clients_know_each_other_by_their_public_endpoints_in_every_mode() {
    let mut lab = lab(MODES[1], MODES[0]);
    let (one, two) = (CLIENT, "10.0.0.8:6000");
    let public = [two, "10.0.0.9:7000"].map(|client| leaves(&mut lab, client, SERVERS[0]));
    let seen = public.map(|public| {
        let sent = lab.at(0.0).from(LAN).send(udp(one, &public));
        sent.forwarded.unwrap().1.source
    });
    // Both have one public address, and it keeps its endpoint for that.
    assert_eq!(seen[0], seen[1]);
}

#[test]
fn a_mapping_outlives_the_session_that_makes_room_for_a_stranger() {
    let rules = POLICY.replace("MODES", r#"filtering = "endpoint-independent""#);
    let limits = "[limits]\nsessions = 1\n[policy]";
    let mut lab = Lab::new(&rules.replace("[policy]", limits));
    let public = leaves(&mut lab, CLIENT, SERVERS[0]);
    let sent = lab.at(1.0).from(WAN).send(udp(SERVERS[2], &public));
    let _ = sent.expect(forward_to(LAN).destination(CLIENT).because(Reason::Mapping));
    let [mapping] = lab.mappings()[..] else {
        panic!("{:?}", lab.mappings());
    };
    assert_eq!((mapping.holders, mapping.outside.to_string()), (1, public));
    assert_eq!(mapping.inside.to_string(), CLIENT);
    // Its client still goes by it.
    let public = mapping.outside.to_string();
    assert_eq!(leaves(&mut lab, CLIENT, SERVERS[1]), public);
}

impl Lab {
    fn mappings(&self) -> Vec<Mapping> {
        let all = self.engine.sessions().mappings().sorted();
        all.into_iter().copied().collect()
    }
}

#[test]
fn t_5382_req_3ab__tcp_and_udp_have_filters_of_their_own() {
    let mut lab = Lab::new(
        r#"
version = 1
[zones]
lan = { tun = "lan0", net = "10.0.0.0/24" }
wan = { tun = "wan0", net = "0.0.0.0/0", address = "203.0.113.2" }
[services]
tcp = { tcp = "1-65535" }
[policy]
default = "drop"
rules = [{ id = "out", from = "lan", to = "wan", action = "allow" }]
[nat]
source = [
  { id = "tcp", from = "lan", to = "wan", service = "tcp", as = "masquerade", mapping = "endpoint-independent" },
  { id = "udp", from = "lan", to = "wan", as = "masquerade", mapping = "endpoint-independent", filtering = "endpoint-independent" },
]
"#,
    );
    assert_eq!(let_in(&mut lab, udp), FILTERS[0]);
    let [_, port, host] = let_in(&mut lab, syn);
    assert_eq!([port, host], [false, false]);
}

#[test]
fn t_4787_req_7__an_outside_address_may_be_an_inside_hosts_too() {
    // A gateway behind another, which gave it an address of our own numbers.
    let rules = POLICY.replace("MODES", r#"filtering = "address-dependent""#);
    let rules = rules.replace("203.0.113.2", "10.0.0.2");
    // Otherwise a source that is the gateway's own is taken for a forged one.
    let mut lab = Lab::new(&rules.replace("lan = {", r#"lan = { source-check = "off","#));
    let twin = "10.0.0.2:5000";
    let sent = lab.at(0.0).from(LAN).send(udp(twin, SERVERS[0]));
    let _ = sent.expect(forward_to(WAN).source(twin));
    let sent = lab.at(0.0).from(LAN).send(udp(CLIENT, SERVERS[0]));
    let public = sent.forwarded.unwrap().1.source;
    assert!(public.starts_with("10.0.0.2:") && public != twin);
    let sent = lab.at(0.0).from(WAN).send(udp(SERVERS[0], twin));
    let _ = sent.expect(forward_to(LAN).destination(twin));
    let sent = lab.at(0.0).from(WAN).send(udp(SERVERS[0], &public));
    let _ = sent.expect(forward_to(LAN).destination(CLIENT));
}

#[test]
fn t_3022_s3_1__all_sessions_of_a_host_share_its_address() {
    let pool = r#"as = ["203.0.113.16-203.0.113.31"]"#;
    let rules = POLICY.replace(", MODES", "");
    let mut lab = Lab::new(&rules.replace(r#"as = "masquerade""#, pool));
    let mut addresses = BTreeSet::new();
    for host in 10..40 {
        let mut own = BTreeSet::new();
        for (port, server) in SERVERS.into_iter().enumerate() {
            let client = format!("10.0.0.{host}:{}", 5000 + port);
            own.insert(endpoint(&leaves(&mut lab, &client, server)).ip());
        }
        assert_eq!(own.len(), 1, "{own:?}");
        addresses.extend(own);
    }
    assert!(addresses.len() > 8, "{addresses:?}");
}
