//! `--tables`: what is live at the end, and how often each row decided.

use serde_json::{Value, json};

use crate::common::{OFFICE, Scratch, objects, recording, replay, replay_by};
use crate::packets::{Packet, packets, raw_pcap, udp};

/// One row of every list, and one behaviour that is not the usual one.
const RULES: &str = r#"
version = 1
[zones]
lan = { net = "10.0.0.0/24" }
dmz = { net = "10.0.9.0/24" }
wan = { net = "0.0.0.0/0", address = "203.0.113.2" }
[policy]
default = "allow"
[nat]
source = [
  { id = "branch", from = "lan", to = "wan", dst = "192.0.2.0/24", as = "none" },
  { id = "games", from = "lan", to = "wan", as = "masquerade", mapping = "endpoint-independent", filtering = "endpoint-independent" },
]
forward = [{ id = "dns", on = "wan", udp = 53, to = "10.0.9.53" }]
static = [{ id = "own", on = "wan", inside = "10.0.9.80", outside = "203.0.113.80" }]
"#;

/// A client that speaks to three servers by one socket, a stranger who comes to
/// that by its mapping, and one session by each of the other rows.
fn made() -> Vec<u8> {
    let datagram = |source, destination| udp(source, destination, b"hello");
    raw_pcap(&[
        Packet::at(0, datagram("10.0.0.7:5000", "198.51.100.1:3478")),
        Packet::at(1, datagram("10.0.0.7:5000", "198.51.100.2:3478")),
        Packet::at(2, datagram("198.51.100.3:9999", "203.0.113.2:5000")),
        Packet::at(3, datagram("10.0.0.7:5000", "192.0.2.9:7000")),
        Packet::at(4, datagram("198.51.100.9:4000", "203.0.113.2:53")),
        Packet::at(5, datagram("10.0.9.80:4000", "198.51.100.53:123")),
        Packet::at(6, datagram("198.51.100.9:4000", "203.0.113.80:9")),
    ])
}

fn replay_made(scratch: &Scratch, args: &[&str]) -> String {
    let rules = scratch.write("rules.toml", RULES);
    let capture = scratch.write("made.pcap", made());
    let told = replay_by(
        &rules,
        &[&[capture.as_str(), "--vantage", "both"], args].concat(),
    );
    told.fine().replace(&rules, "rules.toml")
}

/// The control connection of a recording up to the announcement of its first
/// data session.
fn up_to_the_announcement(scratch: &Scratch, name: &str) -> String {
    up_to_the_nth(scratch, name, 0)
}

/// The same up to that of a later one.
fn up_to_the_nth(scratch: &Scratch, name: &str, nth: usize) -> String {
    let all = objects(&recording(name).replay(&["--json"]).fine());
    let mut came = all.iter().enumerate();
    let mut comes = came
        .by_ref()
        .filter(|(_, line)| line["reason"] == "expected");
    let (comes, _) = comes.nth(nth).unwrap();
    let before = &packets(&format!("captures/{name}.pcap"))[..comes];
    scratch.write("announced.pcap", raw_pcap(before))
}

#[test]
fn a_summary_with_tables_is_the_one_that_is_stored() {
    let scratch = Scratch::new("a_summary_with_tables");
    insta::assert_snapshot!("every-row", replay_made(&scratch, &["--tables"]));
    let capture = up_to_the_announcement(&scratch, "ftp-active-lftp");
    let told = replay(&[&capture, "--tables"]).fine();
    let tables = told.split_once("\nSessions at the end").unwrap().1;
    insta::assert_snapshot!("announced", format!("Sessions at the end{tables}"));
}

#[test]
fn a_control_session_its_child_and_what_it_awaits_stand_together() {
    let scratch = Scratch::new("a_control_session_its_child");
    let capture = up_to_the_nth(&scratch, "ftp-active-lftp", 1);
    let told = replay(&[&capture, "--tables"]).fine();
    let (_, told) = told.split_once("\nSessions (").unwrap();
    let (family, rest) = told.split_once("\n\nVerdicts").unwrap();
    let (_, tables) = rest.split_once("\nSessions at the end").unwrap();
    let shown = format!("Sessions ({family}\n\nSessions at the end{tables}");
    insta::assert_snapshot!("family", shown);
    let lines = objects(&replay(&[&capture, "--json", "--tables"]).fine());
    let sessions = of_table(&lines, "session");
    let parents: Vec<_> = sessions
        .iter()
        .map(|s| (&s["session"], &s["parent"]))
        .collect();
    assert_eq!(parents, [(&json!(1), &Value::Null), (&json!(2), &json!(1))]);
    let awaited = of_table(&lines, "expectation");
    assert_eq!(awaited.len(), 1);
    assert_eq!(awaited[0]["session"], 1);
    assert!(awaited[0]["remaining"].as_f64().unwrap() > 299.0);
}

#[test]
fn no_line_of_a_summary_of_ipv4_is_wider_than_140_columns() {
    let scratch = Scratch::new("no_line_of_a_summary_is_wider");
    let mut all = vec![replay_made(&scratch, &["--tables"])];
    for name in ["ftp-active-lftp", "ftp-forward-passive", "ping", "dns-udp"] {
        all.push(recording(name).replay(&["--tables"]).fine());
    }
    for line in all.iter().flat_map(|told| told.lines()) {
        assert!(line.chars().count() <= 140, "{line}");
    }
}

#[test]
fn without_the_option_nothing_is_listed() {
    let scratch = Scratch::new("without_the_option_nothing_is_listed");
    let told = replay_made(&scratch, &[]);
    assert!(!told.contains("at the end ("), "{told}");
    assert!(
        told.contains("\nLive at the end: 7 sessions, 2 mappings (--tables lists them)\n"),
        "{told}"
    );
    let lines = objects(&replay_made(&scratch, &["--json"]));
    assert!(lines.iter().all(|line| line.get("table").is_none()));
}

fn of_table(lines: &[Value], table: &str) -> Vec<Value> {
    let of_table = lines.iter().filter(|line| line["table"] == table);
    of_table.cloned().collect()
}

#[test]
fn the_packet_that_begins_a_session_tells_its_translation_and_no_other_does() {
    let scratch = Scratch::new("the_packet_that_begins_a_session_tells");
    let lines = objects(&replay_made(&scratch, &["--json"]));
    let told: Vec<_> = lines.iter().map(|line| line["nat"].clone()).collect();
    let from = |rule, from, to| json!({"source": {"rule": rule, "from": from, "to": to}});
    let to = |rule, from, to| json!({"destination": {"rule": rule, "from": from, "to": to}});
    assert_eq!(
        told,
        [
            from("games", "10.0.0.7:5000", "203.0.113.2:5000"),
            from("games", "10.0.0.7:5000", "203.0.113.2:5000"),
            to("games", "203.0.113.2:5000", "10.0.0.7:5000"),
            from("branch", "10.0.0.7:5000", "10.0.0.7:5000"),
            to("dns", "203.0.113.2:53", "10.0.9.53:53"),
            from("own", "10.0.9.80:4000", "203.0.113.80:4000"),
            to("own", "203.0.113.80:9", "10.0.9.80:9"),
        ]
    );
    for line in objects(&recording("dns-udp").replay(&["--json"]).fine()) {
        assert_eq!(line.get("nat").is_some(), line["ct"] == "new", "{line}");
    }
}

#[test]
fn sessions_mappings_and_rows_are_objects_behind_the_packets() {
    let scratch = Scratch::new("sessions_mappings_and_rows_are_objects");
    let lines = objects(&replay_made(&scratch, &["--json", "--tables"]));
    assert!(lines[..7].iter().all(|line| line.get("packet").is_some()));
    assert!(lines[7..].iter().all(|line| line.get("table").is_some()));
    let sessions = of_table(&lines, "session");
    assert_eq!(sessions.len(), 7);
    assert_eq!(
        sessions[2],
        json!({
            "table": "session",
            "session": 3,
            "protocol": "udp",
            "state": "unreplied",
            "original": {
                "in": "wan", "source": "198.51.100.3:9999", "destination": "203.0.113.2:5000",
                "packets": 1, "bytes": 33,
            },
            "reply": {
                "in": "lan", "source": "10.0.0.7:5000", "destination": "198.51.100.3:9999",
                "packets": 0, "bytes": 0,
            },
            "nat": {"destination": {"rule": "games", "from": "203.0.113.2:5000", "to": "10.0.0.7:5000"}},
            "began": "2026-03-01T09:00:02.000000Z",
            // Of 30 s, at the seventh packet.
            "remaining": 26.0,
        })
    );
    let mappings = of_table(&lines, "mapping");
    assert_eq!(
        mappings[0],
        json!({
            "table": "mapping", "protocol": "udp",
            "inside": "10.0.0.7:5000", "public": "203.0.113.2:5000",
            "mapping": "endpoint-independent", "filtering": "endpoint-independent",
            "rule": "games", "sessions": 3, "remaining": 26.0,
        })
    );
    assert_eq!(mappings[1]["rule"], "own");
    assert_eq!(mappings.len(), 2);
    let hits: Vec<_> = of_table(&lines, "translation")
        .iter()
        .map(|line| format!("{} {}", line["rule"].as_str().unwrap(), line["hits"]))
        .collect();
    // Who came in by the mapping was sent by no row.
    assert_eq!(hits, ["dns 1", "own 2", "branch 1", "games 2"]);
}

#[test]
fn an_awaited_data_session_is_listed_with_its_parent_and_its_time() {
    let scratch = Scratch::new("an_awaited_data_session_is_listed");
    for (name, direction) in [("ftp-active-lftp", "wan"), ("ftp-passive-lftp", "lan")] {
        let capture = up_to_the_announcement(&scratch, name);
        let lines = objects(&replay(&[&capture, "--json", "--tables"]).fine());
        let expectations = of_table(&lines, "expectation");
        assert_eq!(expectations.len(), 1, "{lines:?}");
        let awaited = &expectations[0];
        assert_eq!(awaited["session"], 1);
        assert_eq!(awaited["protocol"], "tcp");
        let remaining = awaited["remaining"].as_f64().unwrap();
        assert!((299.0..=300.0).contains(&remaining), "{awaited}");
        // It is the one that the recording goes on with.
        let all = objects(&recording(name).replay(&["--json", "--tables"]).fine());
        let sessions = of_table(&all, "session");
        let data = &sessions[1];
        assert_eq!(data["parent"], 1);
        assert_eq!(data["original"]["in"], direction);
        assert_eq!(data["original"]["destination"], awaited["destination"]);
        assert_eq!(data["reply"]["source"], awaited["to"]);
    }
}

#[test]
fn a_data_session_is_translated_by_the_row_of_its_control_session_and_is_no_hit_of_it() {
    let lines = objects(
        &recording("ftp-active-nat")
            .replay(&["--json", "--tables"])
            .fine(),
    );
    let sessions = of_table(&lines, "session");
    assert_eq!(sessions[0]["nat"]["source"]["rule"], "masq");
    for data in &sessions[1..] {
        assert_eq!(data["nat"]["destination"]["rule"], "masq", "{data}");
    }
    let hits = of_table(&lines, "translation");
    let masq = hits.iter().find(|row| row["rule"] == "masq").unwrap();
    assert_eq!(masq["hits"], 1);
}

#[test]
fn the_place_named_after_a_translation_is_where_it_stands_in_the_file() {
    let summary = recording("ping").replay(&[]).fine();
    let text = String::from_utf8(crate::common::project_file(OFFICE)).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let rows = summary.split_once("\nTranslations (").unwrap().1;
    let mut found = 0;
    for row in rows.lines().skip(2).take_while(|row| !row.is_empty()) {
        let (told, place) = row.split_once(&format!("{OFFICE}:")).unwrap();
        let name = told.split_whitespace().next().unwrap();
        let line = lines[place.parse::<usize>().unwrap() - 1];
        assert!(line.contains(&format!("id = \"{name}\"")), "{row}: {line}");
        found += 1;
    }
    assert_eq!(found, 4);
}
