//! Limits of sources and of rules: `ct count` in the exported ruleset lets in
//! the same connections as the engine's census. And the rate of ICMP errors, and
//! how long pieces wait.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use etherparse::PacketBuilder;

use super::compare::{Both, Clock, Ours, both};
use super::enter;
use super::router::{Router, Zone};
use super::run::ruleset;
use super::step::Sent;
use super::wire::{self, Ip, piece};

const RULES: &str = r#"
version = 1
[zones]
lan = { tun = "lan0", net = "10.0.0.0/24", address = "10.0.0.1" }
wan = { tun = "wan0", net = "0.0.0.0/0", address = "203.0.113.2" }
[services]
dns = { tcp = 53, udp = 53 }
[limits]
per-source = 3
[policy]
rules = [
  { id = "out", from = "lan", to = "wan", service = "dns", action = "allow", max-sessions = 5 },
]
[nat]
source = [ { id = "masq", from = "lan", to = "wan", as = "masquerade" } ]
"#;

fn question(client: u8, port: u16, ttl: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    PacketBuilder::ipv4([10, 0, 0, client], [198, 51, 100, 9], ttl)
        .udp(port, 53)
        .write(&mut bytes, b"question")
        .unwrap();
    bytes
}

fn gateways() -> (Router, Ours) {
    let compiled = spigate::config::compile(Path::new("limits.toml"), RULES).unwrap();
    let exported = spigate::export::nftables(&compiled);
    assert_eq!(exported.missing, [""; 0]);
    (Router::new(&exported.text), Ours::new(RULES))
}

#[test]
fn a_share_is_as_large_in_the_kernel() {
    let test = "limits::a_share_is_as_large_in_the_kernel";
    enter::in_own_namespaces(test, &["nft", "conntrack"], || {
        let (mut router, mut ours) = gateways();
        let mut passed = Vec::new();
        // The first client meets its own limit, the second that of the rule.
        for (client, first) in [(7, 5000), (8, 6000)] {
            for port in first..first + 6 {
                let sent = question(client, port, 64);
                let compared = both(&mut router, &mut ours, Zone::Lan, &sent);
                let counts = (compared.kernel.len(), compared.ours.packets.len());
                assert_eq!(counts.0, counts.1, "10.0.0.{client}:{port}");
                passed.push(counts.0);
            }
        }
        assert_eq!(passed, [1, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0]);
        assert_eq!(router.table(), ours.table());
    });
}

#[test]
fn a_target_gets_as_many_errors_at_a_time_from_the_kernel() {
    let test = "limits::a_target_gets_as_many_errors_at_a_time_from_the_kernel";
    enter::in_own_namespaces(test, &["nft", "conntrack"], || {
        let (mut router, mut ours) = gateways();
        for client in [7, 8] {
            let mut told = (0, 0);
            for port in 5000..5020 {
                let sent = question(client, port, 1);
                let compared = both(&mut router, &mut ours, Zone::Lan, &sent);
                told.0 += compared.kernel.len();
                told.1 += compared.ours.packets.len();
            }
            // One more for each second that the machine took.
            assert!(
                (6..9).contains(&told.0) && told.1 == 6,
                "10.0.0.{client}: {told:?}"
            );
        }
    });
}

#[test]
fn t_1122_time__pieces_wait_as_long_in_the_kernel_as_the_file_says() {
    let test = "limits::t_1122_time__pieces_wait_as_long_in_the_kernel_as_the_file_says";
    let timeouts = "[timeouts]\nfragments-v4 = \"2s\"\nfragments-v6 = \"4s\"\n";
    let rules = format!("{}\n{timeouts}", super::RULES);
    enter::in_own_namespaces(test, &["nft", "conntrack"], || {
        let mut router = Router::new(&ruleset(&rules));
        let mut both = Both::new(&mut router, &rules, Clock::Real);
        let whole = |from: &str, to: &str| {
            let (from, to): (SocketAddr, SocketAddr) = (from.parse().unwrap(), to.parse().unwrap());
            Ip::new(from.ip(), to.ip()).carrying(wire::udp(from, to, &[7; 40]))
        };
        let v4 = whole("10.0.0.7:20001", "198.51.100.3:53");
        let v6 = whole("[2001:db8:20::7]:20001", "[2001:db8:5::3]:53");
        let part = |whole: &[u8], id: u32, is_first: bool| {
            let place = if is_first { (0, 16) } else { (16, 48) };
            Sent::new(Zone::Lan, 20_001, piece(whole, place, is_first, id), "")
        };
        // Each: which, and after how many milliseconds its last piece comes.
        let all = [
            (&v4, 1, 500),
            (&v4, 2, 3000),
            (&v6, 3, 3000),
            (&v6, 4, 5000),
        ];
        for (whole, id, _) in all {
            assert!(both.send(&part(whole, id, true)).agree());
        }
        let (mut passed, mut told) = (Vec::new(), Vec::new());
        for at in [500, 3000, 5000] {
            both.wait_until(Duration::from_millis(at));
            for (whole, id, _) in all.into_iter().filter(|(.., when)| *when == at) {
                let compared = both.send(&part(whole, id, false));
                let forwarded = |all: &[(Zone, Vec<u8>)]| {
                    all.iter().filter(|(zone, _)| *zone == Zone::Wan).count()
                };
                let kernel = forwarded(&compared.kernel);
                let ours = forwarded(&compared.ours.packets);
                assert_eq!(kernel, ours, "{id}: {}", compared.shown());
                passed.push((id, kernel > 0));
                told.extend(
                    compared
                        .kernel
                        .into_iter()
                        .filter(|(zone, _)| *zone == Zone::Lan),
                );
                assert!(
                    compared
                        .ours
                        .packets
                        .iter()
                        .all(|(zone, _)| *zone == Zone::Wan)
                );
            }
        }
        // `late-pieces`: the kernel tells who sent the first piece in IPv6.
        let told: Vec<_> = told
            .iter()
            .map(|(_, bytes)| (bytes[6], bytes[40], bytes[41]))
            .collect();
        assert_eq!(told, [(wire::ICMPV6, 3, 1)]);
        assert_eq!(passed, [(1, true), (2, false), (3, true), (4, false)]);
    });
}
