//! `--vantage`: from where a capture was taken.

use serde_json::Value;

use crate::common::{RECORDINGS, objects, recording};

fn lines(name: &str, vantage: &str) -> Vec<Value> {
    objects(
        &recording(name)
            .replay(&["--json", "--vantage", vantage])
            .fine(),
    )
}

const INSIDE: [&str; 5] = [
    "ftp-active-lftp",
    "refused-port",
    "ping",
    "ping-v6",
    "ftp-epsv-curl-v6",
];

#[test]
fn inside_and_auto_let_all_of_a_capture_of_the_inside_pass() {
    for name in INSIDE {
        for vantage in ["inside", "auto"] {
            for line in lines(name, vantage) {
                assert_eq!(line["verdict"], "forward", "{name}: {line}");
                let is_far_end = line["in"] == "wan";
                let readdressed = line.get("readdressed").is_some();
                assert_eq!(readdressed, is_far_end, "{name}: {line}");
            }
        }
    }
}

#[test]
fn auto_is_what_a_bare_capture_gets() {
    for recording in RECORDINGS.iter().filter(|r| r.is_one_sided()) {
        let bare = recording.replay(&["--json", "--bytes"]);
        let auto = recording.replay(&["--json", "--bytes", "--vantage", "auto"]);
        let inside = recording.replay(&["--json", "--bytes", "--vantage", "inside"]);
        assert_eq!(bare, auto);
        assert_eq!(bare, inside);
    }
}

#[test]
fn with_both_the_far_end_of_a_capture_of_the_inside_is_a_stranger() {
    for name in INSIDE {
        let all = lines(name, "both");
        assert!(all.iter().all(|line| line.get("readdressed").is_none()));
        let far: Vec<_> = all.iter().filter(|line| line["in"] == "wan").collect();
        assert!(!far.is_empty());
        for line in far {
            assert_ne!(line["verdict"], "forward", "{name}: {line}");
            let reason = line["reason"].as_str().unwrap();
            let fits = match line["verdict"].as_str().unwrap() {
                // The SYN of a data session that nobody announced: no-lan-in.
                "reject" => reason == "rule" && line["rule"] == "no-lan-in",
                _ => ["no-session", "icmp-unrelated"].contains(&reason),
            };
            assert!(fits, "{name}: {line}");
        }
        // What began inside went out all the same.
        assert_eq!(all[0]["verdict"], "forward");
        assert_eq!(all[0]["reason"], "rule");
    }
}

#[test]
fn with_both_nothing_that_an_answer_would_have_allowed_goes_on() {
    let all = lines("ftp-active-lftp", "both");
    let passed: Vec<_> = all.iter().filter(|l| l["verdict"] == "forward").collect();
    assert_eq!(passed.len(), 1, "{passed:#?}");
    let rejected = all.iter().filter(|l| l["verdict"] == "reject").count();
    assert_eq!(rejected, 2, "one SYN for each data session");
}

#[test]
fn an_icmp_error_is_readdressed_with_the_packet_that_it_quotes() {
    for vantage in ["inside", "auto"] {
        let error = &lines("refused-port", vantage)[3];
        assert_eq!(error["ct"], "related", "{error}");
        assert_eq!(error["reason"], "related");
        assert_eq!(error["readdressed"], true);
        assert_eq!(error["session"], 2);
    }
    let error = &lines("refused-port", "both")[3];
    assert_eq!(error["reason"], "icmp-unrelated", "{error}");
}

#[test]
fn what_was_taken_on_both_sides_stays_as_it_is_from_every_vantage() {
    for recording in RECORDINGS.iter().filter(|r| !r.is_one_sided()) {
        let bound = recording.replay(&["--json", "--bytes"]);
        for vantage in ["both", "auto", "inside"] {
            let named = recording.replay(&["--json", "--bytes", "--vantage", vantage]);
            assert_eq!(named, bound, "{} {vantage}", recording.name);
        }
    }
}

#[test]
fn without_the_alg_no_data_session_gets_in() {
    let scratch = crate::common::Scratch::new("without_the_alg");
    let rules = crate::common::office_with(r#", alg = "ftp""#, "");
    let rules = scratch.write("without-alg.toml", rules);
    for (recording, begins) in RECORDINGS.iter().filter_map(|r| {
        let begins = match r.name {
            "ftp-active-lftp" | "ftp-eprt-curl" => "reject rule", // no-lan-in
            name if name.starts_with("ftp-") => "drop default-policy",
            _ => return None,
        };
        Some((r, begins))
    }) {
        let args = [recording.args, &["--json"]].concat();
        let told = crate::common::verdicts(&crate::common::replay_by(&rules, &args).fine());
        let count = |what: &str| told.iter().filter(|v| *v == what).count();
        assert_eq!(count("forward rule"), 1, "{}", recording.name);
        assert_eq!(count("forward expected"), 0, "{}", recording.name);
        assert!(
            (1..=2).contains(&count(begins)),
            "{} {told:#?}",
            recording.name
        );
        // In these pairs Linux made PORT or 227 longer on the way. Without the
        // ALG they are not, and octets are acknowledged that never left here.
        let (passing, beyond) = (count("forward session"), count("drop tcp-out-of-window"));
        match recording.name {
            "ftp-active-nat" | "ftp-forward-passive" => assert!(beyond > 0, "{told:#?}"),
            _ => assert!(passing > 30 && beyond == 0, "the control connection passes"),
        }
    }
}
