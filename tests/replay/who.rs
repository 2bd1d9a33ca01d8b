//! `spigate who`, and the mapping log that it reads.

use serde_json::Value;

use crate::common::{Run, Scratch, objects, replay_by, spigate};
use crate::packets::{Packet, raw_pcap, udp};

const RULES: &str = r#"
version = 1
[zones]
lan = { net = "10.0.0.0/16" }
wan = { net = "0.0.0.0/0", address = "203.0.113.2" }
[policy]
default = "allow"
[nat]
source = [
  { id = "fixed",  from = "lan", to = "wan", src = "10.0.1.0/28", as = "203.0.113.9", deterministic = { dynamic = 2 } },
  { id = "blocks", from = "lan", to = "wan", src = "10.0.2.0/24", as = "203.0.113.10", ports = "2000-2007", blocks = { size = 8 } },
  { id = "open",   from = "lan", to = "wan", src = "10.0.3.0/24", as = "203.0.113.11", mapping = "endpoint-independent", log = "mappings" },
  { id = "talk",   from = "lan", to = "wan", as = "203.0.113.12", log = "sessions" },
]
"#;

fn who(rules: &str, args: &[&str]) -> Run {
    spigate(&[&["who", rules], args].concat())
}

/// A line for each answer; nothing on stderr.
fn answers(run: Run) -> Vec<String> {
    run.fine().lines().map(str::to_owned).collect()
}

/// Says why there is none.
fn nobody(run: Run) -> String {
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{run:#?}");
    run.stderr
}

/// A capture in which clients of every row speak at 09:00:00, and one an hour
/// later; and its log.
fn logged(scratch: &Scratch) -> (String, String, Run) {
    let rules = scratch.write("rules.toml", RULES);
    let server = "198.51.100.9:53";
    let mut all: Vec<_> = [
        "10.0.1.5:5000",
        "10.0.2.7:5000",
        "10.0.3.7:5000",
        "10.0.4.7:5000",
    ]
    .iter()
    .map(|client| Packet::at(0, udp(client, server, b"?")))
    .collect();
    all.push(Packet::at(
        1,
        udp("10.0.4.8:5000", "198.51.100.10:53", b"?"),
    ));
    all.push(Packet::at(3600, udp("10.0.2.8:5000", server, b"?")));
    let capture = scratch.write("all.pcap", raw_pcap(&all));
    let log = scratch.path("log.jsonl");
    let run = replay_by(&rules, &["--json", "--mapping-log", &log, &capture]);
    (rules, log, run)
}

#[test]
fn t_7422_s2_fn__both_directions_are_answered_from_the_rule_file() {
    let scratch = Scratch::new("who-by-arithmetic");
    let rules = scratch.write("rules.toml", RULES);
    let line = "10.0.1.5  203.0.113.9 ports 17152-21183  its own by row fixed";
    for whom in ["203.0.113.9:17152", "203.0.113.9:21183", "10.0.1.5"] {
        assert_eq!(answers(who(&rules, &[whom])), [line], "{whom}");
    }
    let said = nobody(who(&rules, &["203.0.113.9:60000"]));
    assert!(said.contains("dynamic pool of row fixed"), "{said}");
    assert!(nobody(who(&rules, &["203.0.113.9:80"])).contains("nobody had"));
    assert!(nobody(who(&rules, &["10.0.1.15"])).contains("nothing"));
}

#[test]
fn t_6888_s4_log__the_log_says_who_had_what_and_when() {
    let scratch = Scratch::new("who-by-log");
    let (rules, log, run) = logged(&scratch);
    let _ = run.fine();
    let ask = |more: &[&str]| who(&rules, &[&["--log", &log], more].concat());
    let at_nine = ["--at", "2026-03-01T09:00:10Z"];
    let nine = "since 2026-03-01T09:00:00.000000Z";
    let block = "203.0.113.10 ports 2000-2007  a block by row blocks";
    let asked = answers(ask(&[&["203.0.113.10:2003"], &at_nine[..]].concat()));
    assert_eq!(asked, [format!("10.0.2.7  {block}, {nine}")]);
    // An hour later another client had it.
    let asked = answers(ask(&["203.0.113.10:2003"]));
    let ten = "since 2026-03-01T10:00:00.000000Z";
    assert_eq!(asked, [format!("10.0.2.8  {block}, {ten}")]);
    let between = ["203.0.113.10:2003", "--at", "2026-03-01T09:30:00Z"];
    assert!(nobody(ask(&between)).contains("nobody had"));
    let asked = answers(ask(&[&["203.0.113.11:5000"], &at_nine[..]].concat()));
    let mapping = "10.0.3.7:5000  udp 203.0.113.11:5000  by row open";
    assert_eq!(asked, [format!("{mapping}, {nine}")]);
    let of_tcp = [&["203.0.113.11:5000", "--protocol", "tcp"], &at_nine[..]].concat();
    assert!(nobody(ask(&of_tcp)).contains("nobody had"));
    // Two had one port at once, towards two servers.
    let both = answers(ask(&[&["203.0.113.12:5000"], &at_nine[..]].concat()));
    assert_eq!(both.len(), 2, "{both:?}");
    for server in ["198.51.100.10", "198.51.100.10:53"] {
        let args = [&["203.0.113.12:5000", "--server", server], &at_nine[..]].concat();
        let one = answers(ask(&args));
        assert_eq!(one.len(), 1);
        assert!(one[0].starts_with("10.0.4.8:5000  udp"), "{one:?}");
    }
    let asked = answers(ask(&[&["10.0.2.7"], &at_nine[..]].concat()));
    assert_eq!(asked, [format!("10.0.2.7  {block}, {nine}")]);
}

#[test]
fn parameters_of_the_log_go_before_those_of_the_file() {
    let scratch = Scratch::new("who-after-a-change");
    let (_, log, run) = logged(&scratch);
    let _ = run.fine();
    let changed = scratch.write("now.toml", RULES.replace("dynamic = 2", "dynamic = 6"));
    let asked = answers(who(&changed, &["203.0.113.9:17152", "--log", &log]));
    assert_eq!(
        asked,
        ["10.0.1.5  203.0.113.9 ports 17152-21183  its own by row fixed"]
    );
    let asked = answers(who(&changed, &["203.0.113.9:17152"]));
    assert_ne!(
        asked[0],
        "10.0.1.5  203.0.113.9 ports 17152-21183  its own by row fixed"
    );
}

#[test]
fn in_json_the_records_stand_before_the_packet_that_caused_them() {
    let scratch = Scratch::new("who-json");
    let (_, log, run) = logged(&scratch);
    let lines = objects(&run.fine());
    let word = |line: &Value| match line.get("packet") {
        Some(number) => format!("packet {number}"),
        None => line
            .get("event")
            .or(line.get("timer"))
            .unwrap()
            .as_str()
            .unwrap()
            .to_owned(),
    };
    let words: Vec<_> = lines.iter().map(word).collect();
    assert_eq!(
        words[..9],
        [
            "nat-parameters",
            "packet 1",
            "block-given",
            "packet 2",
            "mapping-began",
            "packet 3",
            "session-began",
            "packet 4",
            "session-began",
        ]
    );
    let events: Vec<_> = lines
        .iter()
        .filter(|line| line.get("event").is_some())
        .collect();
    let written = objects(&std::fs::read_to_string(log).unwrap());
    assert_eq!(written.iter().collect::<Vec<_>>(), events);
}

#[test]
fn what_cannot_be_asked_is_named() {
    let scratch = Scratch::new("who-bad");
    let rules = scratch.write("rules.toml", RULES);
    let strange = scratch.write("log", "no log\n{}\n");
    for (args, said) in [
        (vec!["nobody"], "neither an address nor one with a port"),
        (
            vec!["10.0.0.1", "--at", "yesterday"],
            "--at: expected a moment",
        ),
        (
            vec!["10.0.0.1", "--server", "x"],
            "--server: expected an address",
        ),
        (vec!["10.0.0.1", "--log", "/no/such/log"], "/no/such/log"),
        (vec!["10.0.0.1", "--log", &strange], "line 1"),
    ] {
        let (out, err) = who(&rules, &args).unusable();
        assert!(out.is_empty() && err.contains(said), "{args:?}: {err}");
    }
}
