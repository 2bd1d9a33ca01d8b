//! `--json`: one object for each packet, for programs.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use spigate::engine::{Reason, Verdict};

use crate::common::{RECORDINGS, Scratch, objects, office_with, recording, replay, replay_by};
use crate::packets::{Packet, echo_request, packets, raw_pcap, syn, udp};

/// The keys of an object, in the order in which they are written.
#[derive(Debug)]
struct Keys(Vec<String>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Keys;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
                let mut keys = Vec::new();
                while let Some((key, _)) = map.next_entry::<String, IgnoredAny>()? {
                    keys.push(key);
                }
                Ok(Keys(keys))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// All keys that the object of a packet may have, in their order.
const KEYS: [&str; 14] = [
    "packet",
    "time",
    "in",
    "verdict",
    "ct",
    "reason",
    "check",
    "rule",
    "session",
    "state",
    "nat",
    "cut",
    "readdressed",
    "out",
];
/// Those that every one has.
const ALWAYS: [&str; 6] = ["packet", "time", "verdict", "ct", "reason", "out"];

#[test]
fn every_object_has_the_keys_of_the_contract_in_their_order() {
    for recording in &RECORDINGS {
        for line in recording.replay(&["--json"]).fine().lines() {
            let Keys(keys) = serde_json::from_str(line).unwrap();
            let in_order: Vec<_> = KEYS
                .into_iter()
                .filter(|key| keys.iter().any(|k| k == key))
                .collect();
            assert_eq!(keys, in_order, "{line}");
            for key in ALWAYS {
                assert!(in_order.contains(&key), "{key} is not in {line}");
            }
        }
    }
}

#[test]
fn the_words_are_those_that_the_engine_has() {
    const CT: [&str; 5] = ["new", "established", "related", "invalid", "untracked"];
    for recording in &RECORDINGS {
        for line in objects(&recording.replay(&["--json"]).fine()) {
            let word = |key| line[key].as_str().unwrap();
            assert!(Verdict::NAMES.contains(&word("verdict")), "{line}");
            assert!(CT.contains(&word("ct")), "{line}");
            let mut reasons = Reason::ALL.iter();
            assert!(reasons.any(|r| r.name() == word("reason")), "{line}");
            assert_eq!(line.get("session").is_some(), line.get("state").is_some());
        }
    }
}

#[test]
fn packets_are_counted_from_one_in_the_order_of_the_input() {
    for recording in &RECORDINGS {
        let lines = objects(&recording.replay(&["--json"]).fine());
        let numbers: Vec<_> = lines.iter().map(|line| line["packet"].as_u64()).collect();
        let files = recording.args.iter().filter(|arg| **arg != "--zone");
        let count: usize = files
            .map(|file| packets(file.split('=').next_back().unwrap()).len())
            .sum();
        let expected: Vec<_> = (1..=count as u64).map(Some).collect();
        assert_eq!(numbers, expected, "{}", recording.name);
        let times: Vec<_> = lines.iter().map(|line| line["time"].as_str()).collect();
        assert!(times.is_sorted(), "{}", recording.name);
    }
}

#[test]
fn times_are_those_of_the_capture() {
    let lines = objects(&recording("dns-udp").replay(&["--json"]).fine());
    let captured = packets("captures/dns-udp.pcap");
    for (line, packet) in lines.iter().zip(captured) {
        assert_eq!(line["time"], packet.time.to_string());
    }
}

/// Takes the bytes out of `out`, and gives them.
fn take_bytes(line: &mut Value) -> Vec<(String, String)> {
    let sent = line["out"].as_array_mut().unwrap();
    sent.iter_mut()
        .map(|sent| {
            let bytes = sent.as_object_mut().unwrap().remove("bytes").unwrap();
            let zone = sent["zone"].as_str().unwrap().to_owned();
            (zone, bytes.as_str().unwrap().to_owned())
        })
        .collect()
}

#[test]
fn bytes_are_there_only_when_asked_for_and_are_those_that_out_writes() {
    let scratch = Scratch::new("bytes_are_those_that_out_writes");
    for recording in &RECORDINGS {
        let without = recording.replay(&["--json"]).fine();
        assert!(!without.contains("\"bytes\""));
        let dir = scratch.path(recording.name);
        let with = recording.replay(&["--json", "--bytes", "--out", &dir]);
        let mut lines = objects(&with.fine());
        let sent: Vec<_> = lines.iter_mut().flat_map(take_bytes).collect();
        assert_eq!(lines, objects(&without));
        for zone in ["lan", "dmz", "wan"] {
            let told = sent.iter().filter(|(z, _)| z == zone);
            let told: Vec<_> = told.map(|(_, bytes)| bytes.clone()).collect();
            let written = packets(&format!("{dir}/{zone}.pcap"));
            let written: Vec<_> = written.iter().map(|p| hex::encode(&p.bytes)).collect();
            assert!(told == written, "{} by {zone}", recording.name);
        }
    }
}

#[test]
fn a_cut_packet_is_marked_and_no_other() {
    let capture = "captures/ftp-passive-bulk.pcap";
    let lines = objects(&replay(&[capture, "--json"]).fine());
    for (line, packet) in lines.iter().zip(packets(capture)) {
        let cut = packet.is_cut().then_some(Value::Bool(true));
        assert_eq!(line.get("cut"), cut.as_ref(), "{line}");
    }
}

#[test]
fn what_the_gateway_itself_sends_is_among_the_packets_sent() {
    let scratch = Scratch::new("what_the_gateway_itself_sends");
    let capture = raw_pcap(&[
        Packet::at(0, syn("198.51.100.9:40000", "10.0.0.7:22")),
        Packet::at(1, echo_request([10, 0, 0, 7], [10, 0, 9, 21])),
        Packet::at(2, syn("198.51.100.9:40000", "10.0.9.21:22")),
    ]);
    let capture = scratch.write("made.pcap", capture);
    let out = scratch.path("out");
    let lines = replay(&[&capture, "--vantage", "both", "--json", "--out", &out]).fine();
    let lines = objects(&lines);
    let told = |n: usize| {
        let word = |key| lines[n][key].as_str().unwrap_or_default();
        let zones = lines[n]["out"].as_array().unwrap().iter();
        let zones: Vec<_> = zones.map(|sent| sent["zone"].as_str().unwrap()).collect();
        (word("verdict"), word("rule"), zones)
    };
    assert_eq!(told(0), ("reject", "no-lan-in", vec!["wan"]));
    assert_eq!(told(1), ("forward", "lan-dmz", vec!["dmz"]));
    assert_eq!(told(2), ("drop", "", vec![]));
    // Not a reset from an address that nobody outside is to see.
    let error = packets(&format!("{out}/wan.pcap"));
    assert_eq!(error.len(), 1);
    let told = error[0].addresses().map(|address| address.to_string());
    assert_eq!(told, ["203.0.113.2", "198.51.100.9"]);
}

#[test]
fn of_an_invalid_packet_that_a_rule_judged_the_check_is_told() {
    let scratch = Scratch::new("of_an_invalid_packet_that_a_rule_judged_the_check_is_told");
    let strays =
        r#"rules = [ { id = "strays", ct = "invalid", src = "10.0.0.7", action = "drop" },"#;
    let rules = scratch.write("strays.toml", office_with("rules = [", strays));
    let damaged = |source: &str| {
        let mut bytes = udp(source, "198.51.100.9:53", b"a question");
        bytes[30] ^= 1;
        bytes
    };
    let packets = ["10.0.0.7:5000", "10.0.0.8:5000"].map(|source| Packet::at(0, damaged(source)));
    let capture = scratch.write("damaged.pcap", raw_pcap(&packets));
    let lines = objects(&replay_by(&rules, &[&capture, "--json"]).fine());
    let told = |n: usize| ["reason", "check", "rule"].map(|key| lines[n][key].as_str());
    assert_eq!(
        told(0),
        [Some("rule"), Some("bad-checksum"), Some("strays")]
    );
    assert_eq!(told(1), [Some("bad-checksum"), None, None]);
}
