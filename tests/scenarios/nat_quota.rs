//! How many public endpoints a client may hold, and what it is told when there
//! is none for it.

use spigate::engine::Reason;
use spigate::net::RowId;

use super::lab::{LAN, Lab, WAN};
use super::packets::{echo, tcp, udp};
use super::wants::{Told, drop_for, forward_to, reject_for};

const SERVER: &str = "198.51.100.1:53";
const OTHER: &str = "198.51.100.2:53";

/// A gateway that masquerades by a row of which `more` is said, by a file that says
/// `head` first and of `[nat]` besides `others`.
fn lab(head: &str, more: &str, others: &str) -> Lab {
    Lab::new(&format!(
        r#"
version = 1
{head}
[zones]
lan = {{ tun = "lan0", net = ["10.0.0.0/24", "2001:db8:10::/64"], address = ["10.0.0.1", "2001:db8:10::1"] }}
wan = {{ tun = "wan0", net = ["0.0.0.0/0", "::/0"], address = ["203.0.113.2", "2001:db8:ff::2"] }}
[services]
web = {{ tcp = [80, 443] }}
[policy]
default = "drop"
rules = [{{ id = "out", from = "lan", to = "wan", action = "allow" }}]
[nat]
source = [
  {{ id = "web", from = "lan", to = "wan", service = "web", as = "masquerade" }},
  {{ id = "masq", from = "lan", to = "wan", as = "masquerade", {more} }},
]
{others}
"#
    ))
}

const KINDS: [&str; 2] = ["", r#", mapping = "endpoint-independent""#];

/// The client's packet leaves.
fn passes(lab: &mut Lab, client: &str, server: &str) {
    let sent = lab.at(0.0).from(LAN).send(udp(client, server));
    assert!(sent.forwarded.is_some(), "{client}: {:?}", sent.judgement);
}

/// It does not, for the client holds too much already.
fn is_one_too_many(lab: &mut Lab, client: &str, server: &str) {
    let before = lab.snapshot();
    let sent = lab.at(0.0).from(LAN).send(udp(client, server));
    let _ = sent.expect(drop_for(Reason::NatClientLimit).rule("out"));
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn t_6888_req_4__a_client_holds_so_many_public_ports_and_others_as_many() {
    for kind in KINDS {
        let mut lab = lab("", &format!("max-ports = 2{kind}"), "");
        for client in ["10.0.0.7:1001", "10.0.0.7:1002", "10.0.0.8:1001"] {
            passes(&mut lab, client, SERVER);
        }
        is_one_too_many(&mut lab, "10.0.0.7:1003", SERVER);
        // Another session by a port that it holds takes no further one.
        passes(&mut lab, "10.0.0.7:1001", OTHER);
        passes(&mut lab, "10.0.0.8:1002", SERVER);
        // By another row it is not limited.
        let web = tcp("10.0.0.7:1009", "198.51.100.1:80").syn();
        let sent = lab.at(0.0).from(LAN).send(web);
        let _ = sent.expect(forward_to(WAN).source("203.0.113.2:1009"));
    }
}

#[test]
fn t_6888_req_4__what_ends_makes_room_for_another() {
    for kind in KINDS {
        let mut lab = lab("", &format!("max-ports = 1{kind}"), "");
        let client = "10.0.0.7:1001";
        passes(&mut lab, client, SERVER);
        let sent = lab.at(20.0).from(LAN).send(udp(client, OTHER));
        let _ = sent.expect(forward_to(WAN).source("203.0.113.2:1001"));
        // Its first session ends at 30, and its endpoint is held by the second.
        let sent = lab.at(40.0).from(LAN).send(udp("10.0.0.7:1002", SERVER));
        let _ = sent.expect(drop_for(Reason::NatClientLimit));
        let sent = lab.at(51.0).from(LAN).send(udp("10.0.0.7:1002", SERVER));
        let _ = sent.expect(forward_to(WAN).source("203.0.113.2:1002"));
        let _ = lab.wait_until(200.0);
        let mappings = lab.engine.sessions().mappings();
        let row = RowId::of_place(1).unwrap();
        let held = mappings.held(row, "10.0.0.7".parse().unwrap());
        assert_eq!((held.all(), mappings.in_use()), (0, 0));
    }
}

#[test]
fn t_6888_req_4b__each_protocol_has_its_limit() {
    let mut lab = lab("", "max-ports = { tcp = 1, udp = 2, all = 2 }", "");
    let syn = |port: u16| tcp(&format!("10.0.0.7:{port}"), SERVER).syn();
    let sent = lab.at(0.0).from(LAN).send(syn(1));
    let _ = sent.expect(forward_to(WAN).source("203.0.113.2:1"));
    let sent = lab.at(0.0).from(LAN).send(syn(2));
    let _ = sent.expect(drop_for(Reason::NatClientLimit));
    passes(&mut lab, "10.0.0.7:1", SERVER);
    // Two of UDP it might hold, but not three in all.
    is_one_too_many(&mut lab, "10.0.0.7:2", SERVER);
    passes(&mut lab, "10.0.0.8:1", SERVER);
    passes(&mut lab, "10.0.0.8:2", SERVER);
    is_one_too_many(&mut lab, "10.0.0.8:3", SERVER);
}

/// One endpoint for all, and what is said to the second who wants it.
fn second(head: &str, others: &str) -> Lab {
    let mut lab = lab(head, r#"ports = 4000, port-order = "random""#, others);
    for client in ["10.0.0.7:1", "[2001:db8:10::7]:1"] {
        let server = match client.starts_with('[') {
            true => "[2001:db8:99::1]:53",
            false => SERVER,
        };
        passes(&mut lab, client, server);
    }
    lab
}

const RFC: &str = r#"profile = "rfc""#;

#[test]
fn t_diff_6__linux_says_nothing_and_rfc_that_the_host_cannot_be_reached() {
    let mut lab = second("", "");
    let sent = lab.at(0.0).from(LAN).send(udp("10.0.0.8:1", SERVER));
    let _ = sent.expect(drop_for(Reason::NatPortsExhausted));
    let mut lab = second(RFC, "");
    let sent = lab.at(0.0).from(LAN).send(udp("10.0.0.8:1", SERVER));
    let want = reject_for(Reason::NatPortsExhausted).told(Told::Error(3, 1, "10.0.0.1"));
    let _ = sent.expect(want);
    // The file may say otherwise.
    let mut lab = second(RFC, r#"no-mapping = "silent""#);
    let sent = lab.at(0.0).from(LAN).send(udp("10.0.0.8:1", SERVER));
    let _ = sent.expect(drop_for(Reason::NatPortsExhausted));
}

#[test]
fn t_6888_req_11b__the_sender_of_what_gets_no_mapping_is_told_3_1() {
    let say = r#"no-mapping = "host-unreachable""#;
    let mut lab = second("", say);
    let want = |kind, code, by| {
        reject_for(Reason::NatPortsExhausted)
            .told(Told::Error(kind, code, by))
            .rule("out")
    };
    let sent = lab.at(0.0).from(LAN).send(udp("10.0.0.8:1", SERVER));
    let _ = sent.expect(want(3, 1, "10.0.0.1"));
    let six = udp("[2001:db8:10::8]:1", "[2001:db8:99::1]:53");
    let sent = lab.at(0.0).from(LAN).send(six);
    let _ = sent.expect(want(1, 3, "2001:db8:10::1"));
    // A client that holds too much is told the same.
    let mut lab = self::lab("", "max-ports = 1", say);
    passes(&mut lab, "10.0.0.7:1", SERVER);
    let sent = lab.at(0.0).from(LAN).send(udp("10.0.0.7:2", SERVER));
    let want = reject_for(Reason::NatClientLimit).told(Told::Error(3, 1, "10.0.0.1"));
    let _ = sent.expect(want);
}

#[test]
fn t_5508_req_8__the_sender_of_what_gets_no_session_may_be_told_3_13() {
    let mut lab = second("", r#"no-mapping = "prohibited""#);
    let want =
        |kind, code, by| reject_for(Reason::NatPortsExhausted).told(Told::Error(kind, code, by));
    let sent = lab.at(0.0).from(LAN).send(udp("10.0.0.8:1", SERVER));
    let _ = sent.expect(want(3, 13, "10.0.0.1"));
    let sent = lab.at(0.0).from(LAN).send(tcp("10.0.0.9:1", SERVER).syn());
    assert!(sent.forwarded.is_some(), "of TCP the port is free");
    let sent = lab.at(0.0).from(LAN).send(tcp("10.0.0.8:1", SERVER).syn());
    let _ = sent.expect(want(3, 13, "10.0.0.1"));
    let six = udp("[2001:db8:10::8]:1", "[2001:db8:99::1]:53");
    let sent = lab.at(0.0).from(LAN).send(six);
    let _ = sent.expect(want(1, 1, "2001:db8:10::1"));
    // An identifier is another matter: there is one for each.
    let sent = lab
        .at(0.0)
        .from(LAN)
        .send(echo("10.0.0.8", "198.51.100.1", 1));
    assert!(sent.forwarded.is_some());
}

#[test]
fn t_7857_s4__a_host_whose_address_has_no_port_left_gets_no_other_address() {
    let mut lab = Lab::new(
        r#"
version = 1
[zones]
lan = { tun = "lan0", net = "10.0.0.0/24" }
wan = { tun = "wan0", net = "0.0.0.0/0" }
[policy]
default = "allow"
[nat]
source = [{ id = "pool", from = "lan", to = "wan", as = "203.0.113.16-203.0.113.31", ports = 4000 }]
"#,
    );
    passes(&mut lab, "10.0.0.7:1001", SERVER);
    let second = [
        udp("10.0.0.7:1002", SERVER),
        tcp("10.0.0.7:1002", SERVER).syn(),
        tcp("10.0.0.7:1003", SERVER).syn(),
    ];
    let passed = second.map(|packet| {
        let sent = lab.at(0.0).from(LAN).send(packet);
        sent.forwarded.is_some()
    });
    assert_eq!(passed, [false, true, false]);
}

#[test]
fn t_7857_s4__where_the_file_says_so_it_gets_a_port_of_another_address_of_the_pool() {
    let pool = |pooling: &str| {
        Lab::new(&format!(
            r#"
version = 1
[zones]
lan = {{ tun = "lan0", net = "10.0.0.0/24" }}
wan = {{ tun = "wan0", net = "0.0.0.0/0" }}
[policy]
default = "allow"
[nat]
source = [{{ id = "pool", from = "lan", to = "wan", as = "203.0.113.16-203.0.113.18", ports = 4000, pooling = "{pooling}" }}]
"#
        ))
    };
    let mut lab = pool("preferred");
    let left = |lab: &mut Lab, packet: super::packets::Packet| {
        let sent = lab.at(0.0).from(LAN).send(packet);
        sent.forwarded.map(|(_, left)| left.source)
    };
    // Of TCP and of UDP, one after the other; its own address comes first.
    let own = left(&mut lab, udp("10.0.0.7:1", SERVER)).unwrap();
    let tcp_first = left(&mut lab, tcp("10.0.0.7:1", SERVER).syn()).unwrap();
    assert_eq!(own, tcp_first);
    let mut all = vec![own];
    for port in 2..4 {
        let client = format!("10.0.0.7:{port}");
        all.push(left(&mut lab, udp(&client, SERVER)).unwrap());
        assert!(left(&mut lab, tcp(&client, SERVER).syn()).is_some());
    }
    all.sort();
    let each = [
        "203.0.113.16:4000",
        "203.0.113.17:4000",
        "203.0.113.18:4000",
    ];
    assert_eq!(all, each);
    assert_eq!(left(&mut lab, udp("10.0.0.7:9", SERVER)), None);
    let mut strict = pool("paired");
    assert!(left(&mut strict, udp("10.0.0.7:1", SERVER)).is_some());
    assert_eq!(left(&mut strict, udp("10.0.0.7:2", SERVER)), None);
}

#[test]
fn t_5508_req_8__so_may_be_the_sender_of_what_finds_no_room() {
    for (say, code) in [("host-unreachable", 1), ("prohibited", 13)] {
        let limits = format!("[limits]\nper-source = 1\nno-room = \"{say}\"\n");
        let mut lab = Lab::new(&format!("{}\n{limits}", super::policies::OFFICE));
        let sent = lab.at(0.0).from(LAN).send(udp("10.0.0.7:1", SERVER));
        assert!(sent.forwarded.is_some());
        for packet in [
            udp("10.0.0.7:2", SERVER),
            tcp("10.0.0.7:2", SERVER).syn(),
            echo("10.0.0.7", "198.51.100.1", 1),
        ] {
            let told = Told::Error(3, code, "10.0.0.1");
            let sent = lab.at(0.0).from(LAN).send(packet);
            let _ = sent.expect(reject_for(Reason::SourceLimit).told(told));
        }
    }
}
