//! A capture with more sessions than there is room for, and than anybody reads.

use crate::common::{Scratch, replay_by};
use crate::packets::{Packet, raw_pcap, udp};

const RULES: &str = r#"
version = 1
[zones]
lan = { net = "10.0.0.0/24" }
wan = { net = "0.0.0.0/0" }
[limits]
sessions = 100
[policy]
rules = [{ id = "out", from = "lan", to = "wan", action = "allow" }]
"#;

#[test]
fn a_summary_lists_a_thousand_sessions_and_says_who_made_room() {
    let scratch = Scratch::new("a_summary_lists_a_thousand");
    let query = |port| udp(&format!("10.0.0.7:{port}"), "198.51.100.21:53", b"question");
    let made: Vec<_> = (1..=1500).map(|port| Packet::at(0, query(port))).collect();
    let capture = scratch.write("flood.pcap", raw_pcap(&made));
    let rules = scratch.write("rules.toml", RULES);
    let told = replay_by(&rules, &[&capture]).fine();
    let has = |line: &str| told.lines().any(|l| l.trim() == line);
    assert!(has("Sessions (1500)"), "{told}");
    assert!(has("and 500 more, which began later"), "{told}");
    assert!(has("evicted to make room: 1400 unreplied"), "{told}");
    let listed = told.lines().filter(|line| line.contains("10.0.0.7:"));
    assert_eq!(listed.count(), 1000);
    let all = told
        .lines()
        .filter(|line| line.contains("evicted, ") || line.contains(", evicted"));
    assert_eq!(all.count(), 1000, "the first thousand have all made room");
}
