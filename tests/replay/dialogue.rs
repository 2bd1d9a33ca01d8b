//! `--dialogue`: what the ends of a control session said, and what came of it.

use serde_json::Value;

use crate::common::{RECORDINGS, Scratch, objects, recording, replay, replay_by};
use crate::packets::{Packet, packets, raw_pcap, segment_of, syn, syn_ack};

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
    let hole = |name: &str, packets: &[_]| {
        let capture = scratch.write(name, raw_pcap(packets));
        let said = dialogue(&[&capture]);
        let found = said.iter().find(|o| o.get("hole").is_some()).unwrap();
        found["hole"].clone()
    };
    let live = hole("live.pcap", &before);
    assert_eq!(live["fate"], "awaited");
    let remaining = live["remaining"].as_f64().unwrap();
    assert!((299.0..=300.0).contains(&remaining), "{live}");
    // The client's last packet comes once more, when the hole's time is over.
    let is_client = |p: &&crate::packets::Packet| p.addresses()[0].to_string() == "10.0.0.7";
    let mut late = before.iter().rfind(is_client).unwrap().clone();
    late.time = late.time.after(std::time::Duration::from_secs(400));
    before.push(late);
    let late = hole("late.pcap", &before);
    assert_eq!(late["fate"], "expired");
    assert!(late.get("remaining").is_none(), "{late}");
}

#[test]
fn sessions_that_nobody_reads_have_no_dialogue() {
    let told = recording("web-fetch").replay(&["--dialogue"]).fine();
    assert_eq!(told, recording("web-fetch").replay(&[]).fine());
}

const CLIENT: &str = "10.0.0.7:51000";
const SERVER: &str = "198.51.100.21:21";

/// A client's control connection, as it is seen before it is translated.
#[derive(Default)]
struct Talk {
    packets: Vec<Packet>,
    /// How many octets client and server have sent.
    said: [u32; 2],
}

impl Talk {
    fn open() -> Self {
        let mut talk = Self::default();
        talk.sent(syn(CLIENT, SERVER));
        talk.sent(syn_ack(SERVER, CLIENT, 5000));
        talk.client(b"");
        for line in [
            "220 ready",
            "USER me",
            "331 password?",
            "PASS secret",
            "230 welcome",
        ] {
            talk.line(line);
        }
        talk
    }

    fn sent(&mut self, bytes: Vec<u8>) {
        let at = self.packets.len() as u64;
        self.packets.push(Packet::at(at, bytes));
    }

    fn client(&mut self, octets: &[u8]) {
        let numbers = (1001 + self.said[0], 5001 + self.said[1]);
        self.sent(segment_of((CLIENT, SERVER), numbers, octets));
        self.said[0] += u32::try_from(octets.len()).unwrap();
    }

    fn server(&mut self, octets: &[u8]) {
        let numbers = (5001 + self.said[1], 1001 + self.said[0]);
        self.sent(segment_of((SERVER, CLIENT), numbers, octets));
        self.said[1] += u32::try_from(octets.len()).unwrap();
    }

    /// A line of whose it is by its first letter.
    fn line(&mut self, line: &str) {
        let octets = format!("{line}\r\n");
        match line.starts_with(|first: char| first.is_ascii_digit()) {
            true => self.server(octets.as_bytes()),
            false => self.client(octets.as_bytes()),
        }
    }
}

/// A TLS record with octets that look like lines.
fn record(kind: u8) -> Vec<u8> {
    let secret = b"PORT 10,0,0,7,1,1\r\nx\r\n";
    let mut record = vec![kind, 3, 3, 0, u8::try_from(secret.len()).unwrap()];
    record.extend(secret);
    record
}

#[test]
fn where_tls_has_ended_the_lines_are_told_again() {
    let (data, close) = (record(23), record(21));
    let mut talk = Talk::open();
    // A change before, so that numbers differ on the two sides.
    talk.line("PORT 10,0,0,7,200,10");
    talk.line("200 fine");
    talk.line("AUTH TLS");
    talk.line("234 go on");
    talk.client(&data);
    talk.server(&data);
    talk.client(&data);
    talk.server(&[&data[..], &close].concat());
    talk.client(&[&close[..], b"TYPE I\r\nPORT 10,0,0,7,200,11\r\n"].concat());
    talk.line("200 binary");
    talk.line("200 fine");
    talk.line("NOOP");

    let scratch = Scratch::new("where_tls_has_ended");
    let rules = crate::common::project_file(crate::common::OFFICE);
    let rules = String::from_utf8(rules).unwrap();
    let rules = format!("{rules}\n[alg.ftp]\nafter-auth-tls = \"ccc\"\n");
    let rules = scratch.write("rules.toml", rules);
    let capture = scratch.write("ccc.pcap", raw_pcap(&talk.packets));
    let told = replay_by(&rules, &[&capture, "--dialogue"]).fine();
    let (_, told) = told.split_once("\nDialogue of").unwrap();
    let (told, _) = told.split_once("\n\n").unwrap();
    insta::assert_snapshot!("ccc", format!("Dialogue of{told}"));
}
