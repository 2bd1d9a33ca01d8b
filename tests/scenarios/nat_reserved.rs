//! Public ports that no client is given.

use spigate::engine::Reason;

use super::lab::{LAN, Lab, WAN};
use super::packets::{endpoint, tcp, udp};
use super::wants::{drop_for, forward_to};

const SERVER: &str = "198.51.100.1:53";

/// A gateway that masquerades by a row of which `more` is said, with these other
/// translations.
fn lab(more: &str, others: &str) -> Lab {
    Lab::new(&format!(
        r#"
version = 1
[zones]
lan = {{ tun = "lan0", net = "10.0.0.0/24", address = "10.0.0.1" }}
wan = {{ tun = "wan0", net = "0.0.0.0/0", address = "203.0.113.2" }}
[policy]
default = "allow"
[nat]
source = [{{ id = "masq", from = "lan", to = "wan", as = "masquerade"{more} }}]
{others}
"#
    ))
}

const KINDS: [&str; 2] = ["", r#", mapping = "endpoint-independent""#];

/// The port with which a client's packet leaves.
fn udp_port(lab: &mut Lab, port: u16) -> u16 {
    let sent = lab.at(0.0).from(LAN);
    let sent = sent.send(udp(&format!("10.0.0.7:{port}"), SERVER));
    endpoint(&sent.forwarded.unwrap().1.source).port()
}

fn tcp_port(lab: &mut Lab, port: u16) -> u16 {
    let client = format!("10.0.0.7:{port}");
    let sent = lab.at(0.0).from(LAN).send(tcp(&client, SERVER).syn());
    endpoint(&sent.forwarded.unwrap().1.source).port()
}

#[test]
fn t_3022_s2_2_own__what_the_gateway_keeps_is_given_to_nobody() {
    for kind in KINDS {
        let mut lab = lab(
            kind,
            r#"reserved = { tcp = [8022, "9000-9999"], udp = 500 }"#,
        );
        for port in [8022, 9000, 9500, 9999] {
            let given = tcp_port(&mut lab, port);
            assert!(given >= 1024 && given != port, "{port}: {given}");
            assert!(given != 8022 && !(9000..=9999).contains(&given));
            assert_eq!(udp_port(&mut lab, port), port, "by protocol");
        }
        assert!(udp_port(&mut lab, 500) != 500);
        assert_eq!(tcp_port(&mut lab, 500), 500);
    }
}

#[test]
fn t_3022_s2_2_own__what_comes_to_it_is_for_the_gateway() {
    let mut lab = lab(KINDS[0], "reserved = { tcp = 8022 }");
    let given = tcp_port(&mut lab, 8022);
    assert_ne!(given, 8022);
    let syn = tcp(SERVER, "203.0.113.2:8022").syn();
    let sent = lab.at(0.0).from(WAN).send(syn);
    assert_eq!(sent.judgement.reason, Reason::GatewayService);
}

#[test]
fn t_7422_s2_r__reserved_ports_are_in_no_range() {
    for kind in KINDS {
        let more = format!(r#", ports = "1-1030"{kind}"#);
        let mut lab = lab(&more, r#"reserved = { udp = "1-1023" }"#);
        let mut given: Vec<_> = (0..7).map(|n| udp_port(&mut lab, 100 + n)).collect();
        given.sort_unstable();
        assert_eq!(given, [1024, 1025, 1026, 1027, 1028, 1029, 1030]);
        let sent = lab.at(0.0).from(LAN).send(udp("10.0.0.7:99", SERVER));
        let _ = sent.expect(drop_for(Reason::NatPortsExhausted));
    }
}

#[test]
fn the_port_of_a_forward_is_given_to_no_client() {
    let forward = r#"forward = [
  { id = "game", on = "wan", udp = 5000, to = "10.0.0.80" },
  { id = "elsewhere", on = "wan", dst = "203.0.113.9", udp = 6000, to = "10.0.0.80" },
  { id = "proxy", on = "lan", udp = 7000, to = "gateway" },
]"#;
    for kind in KINDS {
        let mut lab = lab(kind, forward);
        assert_ne!(udp_port(&mut lab, 5000), 5000);
        // Nobody, not even the server that the client talks to, misses the forward.
        let sent = lab.at(0.0).from(WAN).send(udp(SERVER, "203.0.113.2:5000"));
        let _ = sent.expect(forward_to(LAN).destination("10.0.0.80:5000"));
        // Of another address, or another zone, it takes nothing.
        assert_eq!(udp_port(&mut lab, 6000), 6000);
        assert_eq!(udp_port(&mut lab, 7000), 7000);
        assert_eq!(tcp_port(&mut lab, 5000), 5000);
    }
}

#[test]
fn a_static_address_is_its_hosts_with_all_ports() {
    let others = r#"reserved = { udp = 5000 }
static = [{ id = "own", on = "wan", inside = "10.0.0.7", outside = "203.0.113.7" }]"#;
    let mut lab = lab(KINDS[0], others);
    let sent = lab.at(0.0).from(LAN).send(udp("10.0.0.7:5000", SERVER));
    let _ = sent.expect(forward_to(WAN).source("203.0.113.7:5000"));
}
