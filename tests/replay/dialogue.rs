//! `--dialogue`: what the ends of a control session said, and what came of it.

use serde_json::Value;

use crate::common::{RECORDINGS, Scratch, objects, recording, replay};
use crate::packets::{packets, raw_pcap};

/// The objects of one recording's dialogue.
fn dialogue(args: &[&str]) -> Vec<Value> {
    let args = [args, &["--json", "--dialogue"]].concat();
    let lines = objects(&replay(&args).fine());
    let said = lines
        .into_iter()
        .filter(|line| line.get("dialogue").is_some());
    said.collect()
}

#[test]
fn a_dialogue_is_the_one_that_is_stored() {
    for name in ["ftp-active-nat", "ftp-forward-passive"] {
        let told = recording(name).replay(&["--dialogue"]).fine();
        let (_, told) = told.split_once("\nDialogue of").unwrap();
        let (told, _) = told.split_once("\n\n").unwrap();
        insta::assert_snapshot!(name, format!("Dialogue of{told}"));
    }
}

#[test]
fn every_line_leaves_and_only_announcements_leave_changed() {
    for recording in RECORDINGS.iter().filter(|recording| recording.is_ftp()) {
        let said = dialogue(recording.args);
        let lines: Vec<_> = said.iter().filter(|o| o.get("line").is_some()).collect();
        assert!(lines.len() > 10, "{}", recording.name);
        for line in lines {
            let (came, left) = (&line["line"], &line["left-as"]);
            let text = came.as_str().unwrap();
            let announces = ["PORT", "EPRT", "227"].iter().any(|a| text.starts_with(a));
            assert!(left == came || announces, "{line}");
            assert!(!text.starts_with("PASS") || text == "PASS ****", "{line}");
        }
    }
}

#[test]
fn every_hole_of_a_recording_is_used_by_the_session_that_came() {
    for recording in RECORDINGS.iter().filter(|recording| recording.is_ftp()) {
        let all = objects(&recording.replay(&["--json"]).fine());
        let came = all.iter().filter(|line| line["reason"] == "expected");
        let came: Vec<_> = came.map(|line| line["session"].clone()).collect();
        let said = dialogue(recording.args);
        let holes = said.iter().filter(|o| o.get("hole").is_some());
        let used: Vec<_> = holes.map(|o| o["hole"]["session"].clone()).collect();
        assert_eq!(used, came, "{}", recording.name);
    }
}

#[test]
fn a_hole_that_nobody_uses_is_live_and_then_expires() {
    let scratch = Scratch::new("a_hole_that_nobody_uses");
    let lines = objects(&recording("ftp-active-lftp").replay(&["--json"]).fine());
    let comes = lines.iter().position(|line| line["reason"] == "expected");
    let mut before = packets("captures/ftp-active-lftp.pcap")[..comes.unwrap()].to_vec();
    let fate = |name: &str, packets: &[_]| {
        let capture = scratch.write(name, raw_pcap(packets));
        let said = dialogue(&[&capture]);
        let hole = said.iter().find(|o| o.get("hole").is_some()).unwrap();
        hole["hole"]["fate"].clone()
    };
    assert_eq!(fate("live.pcap", &before), "awaited");
    // The client's last packet comes once more, when the hole's time is over.
    let is_client = |p: &&crate::packets::Packet| p.addresses()[0].to_string() == "10.0.0.7";
    let mut late = before.iter().rfind(is_client).unwrap().clone();
    late.time = late.time.after(std::time::Duration::from_secs(400));
    before.push(late);
    assert_eq!(fate("late.pcap", &before), "expired");
}

#[test]
fn sessions_that_nobody_reads_have_no_dialogue() {
    let told = recording("web-fetch").replay(&["--dialogue"]).fine();
    assert_eq!(told, recording("web-fetch").replay(&[]).fine());
}
