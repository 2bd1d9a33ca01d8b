//! Both sides of a translating router, where what Linux sent is not on record
//! but what the far ends answered is: their acknowledgements count every octet
//! that Linux put into the stream, and they are fit only for a gateway that
//! puts in the same.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::common::{RECORDINGS, Recording, Scratch, objects, recording, replay_by, verdicts};
use crate::packets::{Packet, Segment, merged, packets, raw_pcap, segments};

fn pairs() -> impl Iterator<Item = &'static Recording> {
    RECORDINGS.iter().filter(|r| !r.is_one_sided())
}

/// What passes at one side: what came in there when this was recorded, and
/// what leaves there now.
fn wire(recording: &Recording, scratch: &Scratch, zone: &str) -> (Vec<Segment>, Vec<Segment>) {
    let dir = scratch.path(recording.name);
    recording.replay(&["--out", &dir]).fine();
    let came = segments(&packets(recording.file_of(zone)));
    let left = segments(&packets(&format!("{dir}/{zone}.pcap")));
    (came, left)
}

fn zones(recording: &Recording) -> impl Iterator<Item = &'static str> {
    let bound = recording.args.iter().filter_map(|arg| arg.split_once('='));
    bound.map(|(zone, _)| zone)
}

#[test]
fn all_packets_of_both_sides_pass_and_fit_as_they_are() {
    for recording in pairs() {
        let stdout = recording.replay(&["--json"]).fine();
        for line in objects(&stdout) {
            assert_eq!(line["verdict"], "forward", "{line}");
            assert_eq!(line.get("readdressed"), None, "{line}");
        }
        let expected = verdicts(&stdout);
        let expected = expected.iter().filter(|v| *v == "forward expected");
        assert_eq!(expected.count(), 2, "{}", recording.name);
    }
}

#[test]
fn the_far_end_acknowledged_just_what_leaves_now() {
    let scratch = Scratch::new("the_far_end_acknowledged");
    for recording in pairs() {
        for zone in zones(recording) {
            let (came, left) = wire(recording, &scratch, zone);
            // Where each segment that leaves ends, and when it was there.
            let mut ends = BTreeMap::new();
            let mut last = BTreeMap::new();
            for segment in &left {
                let flow = (segment.source, segment.destination);
                ends.entry((flow, segment.end())).or_insert(segment.time);
                last.insert(flow, segment.end());
            }
            let mut acknowledged = BTreeMap::new();
            for segment in &came {
                let Some(ack) = segment.ack else { continue };
                let flow = (segment.destination, segment.source);
                let sent = ends.get(&(flow, ack));
                let sent = sent.unwrap_or_else(|| {
                    panic!(
                        "{} at {zone}: nothing ends there: {segment:?}",
                        recording.name
                    )
                });
                assert!(*sent <= segment.time, "before it was sent: {segment:?}");
                acknowledged.insert(flow, ack);
            }
            assert_eq!(acknowledged, last, "{} at {zone}", recording.name);
            assert_eq!(acknowledged.len(), 3);
        }
    }
}

#[test]
fn the_far_end_answers_to_where_the_packets_come_from_now() {
    let scratch = Scratch::new("the_far_end_answers");
    for recording in pairs() {
        for zone in zones(recording) {
            let (came, left) = wire(recording, &scratch, zone);
            let flows = |segments: &[Segment], turned: bool| -> Vec<(SocketAddr, SocketAddr)> {
                let mut flows: Vec<_> = segments
                    .iter()
                    .map(|s| (s.source, s.destination))
                    .map(|(from, to)| if turned { (to, from) } else { (from, to) })
                    .collect();
                flows.sort_unstable();
                flows.dedup();
                flows
            };
            assert_eq!(
                flows(&came, true),
                flows(&left, false),
                "{}",
                recording.name
            );
        }
    }
}

/// The payloads that begin so.
fn lines(segments: &[Segment], begins: &str) -> Vec<Segment> {
    let found = segments
        .iter()
        .filter(|s| s.payload.starts_with(begins.as_bytes()));
    found.cloned().collect()
}

#[test]
fn a_port_command_grows_by_what_the_public_address_is_longer() {
    let scratch = Scratch::new("a_port_command_grows");
    let recording = recording("ftp-active-nat");
    let (inside, _) = wire(recording, &scratch, "lan");
    let (_, outside) = wire(recording, &scratch, "wan");
    let (inside, outside) = (lines(&inside, "PORT "), lines(&outside, "PORT "));
    assert_eq!((inside.len(), outside.len()), (2, 2));
    for (before, (inside, outside)) in (0..).zip(inside.iter().zip(&outside)) {
        let text = String::from_utf8(inside.payload.clone()).unwrap();
        let public = text.replace("10,0,0,7", "203,0,113,2");
        assert_eq!(outside.payload, public.as_bytes());
        assert_eq!(outside.payload.len(), inside.payload.len() + 3);
        assert_eq!(outside.seq.wrapping_sub(inside.seq), 3 * before);
    }
}

#[test]
fn an_answer_to_pasv_leaves_naming_the_public_address() {
    let scratch = Scratch::new("an_answer_to_pasv");
    let recording = recording("ftp-forward-passive");
    let (inside, _) = wire(recording, &scratch, "dmz");
    let (_, outside) = wire(recording, &scratch, "wan");
    let (inside, outside) = (lines(&inside, "227 "), lines(&outside, "227 "));
    assert_eq!((inside.len(), outside.len()), (2, 2));
    for (inside, outside) in inside.iter().zip(&outside) {
        let text = String::from_utf8(inside.payload.clone()).unwrap();
        let public = text.replace("(10,0,9,21,", "(203,0,113,2,");
        assert_eq!(outside.payload, public.as_bytes());
    }
}

/// Filters, and translates nothing.
const WITHOUT_NAT: &str = r#"
version = 1

[zones]
near = { tun = "tun0", net = ["203.0.113.2/32"] }
far  = { tun = "tun1", net = ["0.0.0.0/0"] }

[services]
ftp = { tcp = [21], alg = "ftp" }

[policy]
default = "drop"
rules = [{ id = "ftp", service = "ftp", action = "allow" }]
"#;

#[test]
fn what_passes_outside_is_a_conversation_that_replays_without_translation() {
    let scratch = Scratch::new("replays_without_translation");
    let rules = scratch.write("without-nat.toml", WITHOUT_NAT);
    for recording in pairs() {
        let dir = scratch.path(recording.name);
        recording.replay(&["--out", &dir]).fine();
        let written = format!("{dir}/wan.pcap");
        let wire: Vec<Packet> = merged(&[&written, recording.file_of("wan")]);
        let wire = scratch.write(&format!("{}.pcap", recording.name), raw_pcap(&wire));
        for vantage in ["both", "inside", "auto"] {
            let run = replay_by(&rules, &[&wire, "--json", "--vantage", vantage]);
            let told = verdicts(&run.fine());
            let count = |what: &str| told.iter().filter(|v| *v == what).count();
            assert_eq!(count("forward rule"), 1, "{}", recording.name);
            assert_eq!(count("forward expected"), 2, "{}", recording.name);
            assert_eq!(count("forward session"), told.len() - 3, "{told:#?}");
        }
    }
}
