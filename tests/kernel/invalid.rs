//! Invalid packets that rules let by, and sources that lie elsewhere: packet by
//! packet beside the kernel.

use super::compare::{Ours, both};
use super::enter;
use super::packets::{ACK, Body, Damage, FIN, Packet, RST, SYN, Tcp, at};
use super::router::{Router, Zone};
use super::{RULES, exported};

const CLIENT: [u8; 4] = [10, 0, 0, 7];
const SERVER: [u8; 4] = [198, 51, 100, 1];
const GATEWAY: [u8; 4] = [203, 0, 113, 2];

/// No translation between the two, and what is invalid passes.
const PLAIN: &str = r#"
version = 1
[zones]
lan = { tun = "lan0", net = "10.0.0.0/24", address = "10.0.0.1" }
wan = { tun = "wan0", net = "0.0.0.0/0", address = "203.0.113.2" }
[policy]
default = "drop"
rules = [
  { id = "strays", ct = "invalid", action = "allow" },
  { id = "out", from = "lan", to = "wan", action = "allow" },
]
"#;

/// What a gateway with these rules makes of the kernel, and the same of us.
fn gateways(rules: &str) -> (Router, Ours) {
    (Router::new(&exported(rules).text), Ours::new(rules))
}

fn tcp(from: ([u8; 4], u16), to: ([u8; 4], u16), flags: u8, seq: u32, ack: u32) -> Packet {
    let tcp = Tcp {
        flags,
        seq,
        ack,
        window: 1000,
        options: Vec::new(),
        length: 0,
        ..Tcp::default()
    };
    Packet::new(at(from.0, from.1), at(to.0, to.1), Body::Tcp(tcp))
}

fn udp(from: ([u8; 4], u16), to: ([u8; 4], u16)) -> Packet {
    Packet::new(at(from.0, from.1), at(to.0, to.1), Body::Udp(vec![7; 20]))
}

/// The client's segments, and the server's as they arrive: to the client
/// itself, or to the address that it is seen by.
fn client(flags: u8, seq: u32, ack: u32) -> (Zone, Packet) {
    let ends = ((CLIENT, 20_000), (SERVER, 80));
    (Zone::Lan, tcp(ends.0, ends.1, flags, seq, ack))
}

fn server(seen_as: [u8; 4], flags: u8, seq: u32, ack: u32) -> (Zone, Packet) {
    let ends = ((SERVER, 80), (seen_as, 20_000));
    (Zone::Wan, tcp(ends.0, ends.1, flags, seq, ack))
}

fn handshake(seen_as: [u8; 4]) -> [(Zone, Packet); 3] {
    [
        client(SYN, 100, 0),
        server(seen_as, SYN | ACK, 500, 101),
        client(ACK, 101, 501),
    ]
}

fn damaged((zone, mut packet): (Zone, Packet)) -> (Zone, Packet) {
    packet.damage = Some(Damage::TransportChecksum);
    (zone, packet)
}

#[test]
fn invalid_packets_that_rules_allow_pass_the_kernel_and_us_alike() {
    let test = "invalid::invalid_packets_that_rules_allow_pass_the_kernel_and_us_alike";
    enter::in_own_namespaces(test, &["nft", "conntrack"], || {
        let (mut router, mut ours) = gateways(PLAIN);
        for (zone, packet) in handshake(CLIENT) {
            let compared = both(&mut router, &mut ours, zone, &packet.bytes());
            assert!(compared.agree(), "{packet}:\n{}", compared.shown());
        }
        let table = router.table();
        let stranger = |flags| (Zone::Lan, tcp((CLIENT, 20_001), (SERVER, 80), flags, 9, 9));
        let error = |from, to, quoted: Packet| {
            let body = Body::Icmp(3, 3, [0; 4], quoted.bytes());
            Packet::new(at(from, 0), at(to, 0), body)
        };
        let packets = [
            client(ACK, 9_000_000, 501),
            client(ACK, 101, 9_000_000),
            server(CLIENT, ACK, 9_000_000, 101),
            server(CLIENT, RST, 400, 0),
            client(SYN | FIN, 101, 501),
            server(CLIENT, 0, 501, 101),
            damaged(client(ACK, 101, 501)),
            damaged(server(CLIENT, RST, 501, 101)),
            stranger(ACK),
            stranger(FIN | ACK),
            stranger(RST),
            damaged((Zone::Lan, udp((CLIENT, 9), (SERVER, 53)))),
            (
                Zone::Wan,
                error(SERVER, CLIENT, udp((CLIENT, 9), (SERVER, 53))),
            ),
            (
                Zone::Lan,
                error(CLIENT, SERVER, udp((SERVER, 9), (CLIENT, 53))),
            ),
        ];
        for (zone, packet) in packets {
            let compared = both(&mut router, &mut ours, zone, &packet.bytes());
            assert!(compared.agree(), "{packet}:\n{}", compared.shown());
            assert_eq!(compared.kernel.len(), 1, "{packet} goes on");
            assert_eq!(compared.ours.reason, "rule", "{packet}");
            assert_eq!(router.table(), table, "{packet} changes the kernel's table");
            assert_eq!(ours.table(), table, "{packet} changes ours");
        }
    });
}

/// `invalid-untranslated` in `docs/kernel-parity.md`.
#[test]
fn t_lnx_nat_invalid__the_kernel_sends_invalid_packets_past_its_translation_and_we_do_not() {
    let test = "invalid::t_lnx_nat_invalid__the_kernel_sends_invalid_packets_past_its_translation_and_we_do_not";
    enter::in_own_namespaces(test, &["nft", "conntrack"], || {
        let strays = r#"rules = [ { id = "strays", ct = "invalid", action = "allow" },"#;
        let (mut router, mut ours) = gateways(&RULES.replace("rules = [", strays));
        for (zone, packet) in handshake(GATEWAY) {
            let compared = both(&mut router, &mut ours, zone, &packet.bytes());
            assert!(compared.agree(), "{packet}:\n{}", compared.shown());
        }
        let mut ends = |(zone, packet): (Zone, Packet)| {
            let compared = both(&mut router, &mut ours, zone, &packet.bytes());
            let end = |all: &[(Zone, Vec<u8>)]| {
                let ends = all.iter().map(|(zone, b)| (*zone, b[12..20].to_vec()));
                ends.collect::<Vec<_>>()
            };
            (
                end(&compared.kernel),
                end(&compared.ours.packets),
                compared.ours.reason,
            )
        };
        let leaves = |zone, from: [u8; 4], to: [u8; 4]| vec![(zone, [from, to].concat())];
        // Out of the session's window: past the masquerade there, through it here.
        assert_eq!(
            ends(client(ACK, 9_000_000, 501)),
            (
                leaves(Zone::Wan, CLIENT, SERVER),
                leaves(Zone::Wan, GATEWAY, SERVER),
                "rule"
            )
        );
        // Its other end: to the gateway itself there, to the client here.
        assert_eq!(
            ends(server(GATEWAY, ACK, 9_000_000, 101)),
            (
                leaves(Zone::Wan, GATEWAY, SERVER),
                leaves(Zone::Lan, SERVER, CLIENT),
                "rule"
            )
        );
        // Of no session.
        let stranger = tcp((CLIENT, 20_001), (SERVER, 80), ACK, 9, 9);
        assert_eq!(
            ends((Zone::Lan, stranger)),
            (
                leaves(Zone::Wan, CLIENT, SERVER),
                Vec::new(),
                "untranslatable"
            )
        );
    });
}

#[test]
fn sources_that_lie_elsewhere_are_dropped_by_both_or_by_neither() {
    let test = "invalid::sources_that_lie_elsewhere_are_dropped_by_both_or_by_neither";
    enter::in_own_namespaces(test, &["nft", "conntrack"], || {
        let elsewhere = [
            (Zone::Wan, udp(([10, 0, 0, 9], 9), ([10, 0, 0, 80], 53))),
            (Zone::Lan, udp(([198, 51, 100, 7], 9), (SERVER, 53))),
        ];
        let own = [
            (Zone::Lan, udp(([10, 0, 0, 1], 9), (SERVER, 53))),
            (Zone::Wan, udp((GATEWAY, 9), ([10, 0, 0, 80], 53))),
        ];
        let rules = PLAIN.replace(r#"default = "drop""#, r#"default = "allow""#);
        let (mut router, mut ours) = gateways(&rules);
        // Neither sends on what is for all of an attached network.
        let broadcast = udp((SERVER, 9), ([10, 0, 0, 255], 53));
        let compared = both(&mut router, &mut ours, Zone::Wan, &broadcast.bytes());
        assert!(compared.agree(), "{}", compared.shown());
        assert!(compared.kernel.is_empty(), "{}", compared.shown());
        for (check, passes) in [("strict", false), ("loose", true), ("off", true)] {
            let zone = format!("source-check = \"{check}\", tun");
            let rules = rules.replace("tun", &zone);
            router.load(&exported(&rules).text);
            router.forget();
            ours.guard_by(&rules);
            for (zone, packet) in &elsewhere {
                let compared = both(&mut router, &mut ours, *zone, &packet.bytes());
                let shown = compared.shown();
                assert!(compared.agree(), "{check} {packet}:\n{shown}");
                assert_eq!(!compared.kernel.is_empty(), passes, "{check} {packet}");
            }
            for (zone, packet) in &own {
                let compared = both(&mut router, &mut ours, *zone, &packet.bytes());
                let shown = compared.shown();
                assert!(compared.kernel.is_empty(), "{packet}:\n{shown}");
                // `own-source` in `docs/kernel-parity.md`.
                let ours = !compared.ours.packets.is_empty();
                assert_eq!(ours, check == "off", "{check} {packet}:\n{shown}");
            }
        }
    });
}
