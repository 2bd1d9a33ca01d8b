//! Packets that are broken, in captures that are not.

use serde_json::Value;
use spigate::net::Timestamp;

use crate::common::{Scratch, objects, packet_lines, replay};
use crate::packets::{NINE, Packet, ethernet, packets, pcap, raw_pcap, syn, udp};

fn replay_made(scratch: &Scratch, made: &[Packet], more: &[&str]) -> String {
    let made = scratch.write("made.pcap", raw_pcap(made));
    replay(&[&[made.as_str()], more].concat()).fine()
}

fn told(line: &Value) -> [&str; 3] {
    ["verdict", "ct", "reason"].map(|key| line[key].as_str().unwrap())
}

#[test]
fn a_packet_shorter_than_its_headers_say_is_dropped() {
    let scratch = Scratch::new("shorter_than_its_headers");
    let mut short = syn("10.0.0.7:40000", "198.51.100.9:80");
    short.truncate(30);
    let lines = replay_made(&scratch, &[Packet::at(0, short)], &["--json"]);
    assert_eq!(told(&objects(&lines)[0]), ["drop", "invalid", "bad-length"]);
}

#[test]
fn a_packet_that_the_snap_length_cut_is_judged_and_marked() {
    let scratch = Scratch::new("the_snap_length_cut");
    let mut cut = Packet::at(0, udp("10.0.0.7:40000", "198.51.100.9:53", &[7; 500]));
    cut.bytes.truncate(60);
    let line = &objects(&replay_made(&scratch, &[cut.clone()], &["--json"]))[0];
    assert_eq!(told(line), ["forward", "new", "rule"]);
    assert_eq!(line["cut"], true);
    let summary = replay_made(&scratch, &[cut], &[]);
    assert!(
        summary.contains("cut by the capture's snap length"),
        "{summary}"
    );
}

#[test]
fn a_wrong_checksum_drops_the_packet_and_the_summary_says_which_switch_helps() {
    let scratch = Scratch::new("a_wrong_checksum");
    let mut wrong = Packet::at(0, udp("10.0.0.7:40000", "198.51.100.9:53", b"question"));
    wrong.bytes[27] ^= 0x55;
    let wrong = [wrong];
    let line = &objects(&replay_made(&scratch, &wrong, &["--json"]))[0];
    assert_eq!(told(line), ["drop", "invalid", "bad-checksum"]);
    let summary = replay_made(&scratch, &wrong, &[]);
    assert!(summary.contains("wrong checksum"), "{summary}");
    assert!(summary.contains("--checksum repair"), "{summary}");
    for checksum in ["repair", "ignore"] {
        let more = ["--json", "--checksum", checksum];
        let line = &objects(&replay_made(&scratch, &wrong, &more))[0];
        assert_eq!(told(line), ["forward", "new", "rule"]);
        let summary = replay_made(&scratch, &wrong, &more[1..]);
        assert!(!summary.contains("wrong checksum"), "{summary}");
    }
}

#[test]
fn repair_leaves_right_checksums_and_ignore_leaves_wrong_ones_wrong() {
    let scratch = Scratch::new("repair_and_ignore");
    let good = udp("10.0.0.7:40000", "198.51.100.9:53", b"question");
    let mut wrong = Packet::at(0, good.clone());
    wrong.bytes[27] ^= 0x55;
    let out = scratch.path("out");
    let left = |packet: &Packet, checksum: &str| {
        let more = ["--out", out.as_str(), "--checksum", checksum];
        replay_made(&scratch, std::slice::from_ref(packet), &more);
        packets(&format!("{out}/wan.pcap")).remove(0)
    };
    let right = left(&Packet::at(0, good), "verify");
    assert_eq!(left(&wrong, "repair"), right);
    assert_ne!(left(&wrong, "ignore"), right);
}

#[test]
fn what_is_no_ip_packet_is_counted_and_dropped() {
    let scratch = Scratch::new("no_ip_packet");
    let arp = |ip: &[u8]| {
        let mut frame = ethernet(ip);
        frame[12..14].copy_from_slice(&[0x08, 0x06]);
        frame
    };
    let capture = pcap(1, &[Packet::at(0, vec![0; 28])], arp);
    let capture = scratch.write("arp.pcap", capture);
    let line = &objects(&replay(&[&capture, "--json"]).fine())[0];
    assert_eq!(told(line), ["drop", "untracked", "not-ip"]);
    assert_eq!(line.get("in"), None);
    let summary = replay(&[&capture]).fine();
    assert!(summary.contains("  drop  not-ip"), "{summary}");
}

#[test]
fn a_capture_of_random_bytes_is_replayed_to_its_end() {
    let scratch = Scratch::new("random_bytes");
    // Numerical Recipes' generator: the same bytes on every machine.
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    let made: Vec<_> = (0..500)
        .map(|n| {
            let length = usize::from(next()) / 2;
            let mut bytes: Vec<u8> = (0..length).map(|_| next()).collect();
            if let Some(first) = bytes.first_mut() {
                *first = if n % 2 == 0 { 0x45 } else { 0x60 };
            }
            Packet::at(n, bytes)
        })
        .collect();
    let lines = packet_lines(&replay_made(&scratch, &made, &["--json"]));
    assert_eq!(lines.len(), 500);
    for line in lines {
        assert_ne!(line["verdict"], "forward", "{line}");
        assert_ne!(line["reason"], "internal", "{line}");
    }
}

#[test]
fn time_that_jumps_back_stops_nothing() {
    let scratch = Scratch::new("time_jumps_back");
    let at = |seconds, port: u16| {
        let query = udp(&format!("10.0.0.7:{port}"), "198.51.100.9:53", b"question");
        Packet::at(seconds, query)
    };
    let mut long_ago = at(0, 4002);
    long_ago.time = Timestamp::from_secs(NINE - 100_000);
    let made = [at(100, 4000), long_ago, at(101, 4000)];
    let lines = objects(&replay_made(&scratch, &made, &["--json"]));
    let sessions: Vec<_> = lines.iter().map(|line| &line["session"]).collect();
    assert_eq!(sessions, [1, 2, 1], "{lines:#?}");
}
