//! `--out`: what leaves by each zone, read again by another program's parser.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::common::{RECORDINGS, Recording, Scratch, packet_lines, recording, replay};
use crate::packets::{
    Packet, Segment, apart_from_hops, assert_checksums, packets, raw_pcap, segments,
};

/// Replays with `--out`; gives the path of one zone's file.
pub(crate) fn out_of(recording: &Recording, scratch: &Scratch, zone: &str) -> String {
    let dir = scratch.path(recording.name);
    recording.replay(&["--out", &dir]).fine();
    format!("{dir}/{zone}.pcap")
}

fn is_public(address: IpAddr) -> bool {
    ["203.0.113.2", "2001:db8:ff::2"].contains(&address.to_string().as_str())
}

/// The payloads of each flow, put together, by source and destination. No
/// recording repeats or loses a segment, so neither may what leaves.
#[track_caller]
fn streams(segments: &[Segment]) -> BTreeMap<(SocketAddr, SocketAddr), Vec<u8>> {
    let mut next = BTreeMap::new();
    let mut streams = BTreeMap::<_, Vec<u8>>::new();
    for segment in segments {
        let flow = (segment.source, segment.destination);
        if let Some(due) = next.insert(flow, segment.end()) {
            assert_eq!(segment.seq, due, "a gap or an overlap before {segment:?}");
        } else {
            assert!(segment.begins, "{segment:?}");
        }
        streams.entry(flow).or_default().extend(&segment.payload);
    }
    streams
}

fn text_of_control(packets: &[Packet]) -> String {
    let all: Vec<_> = streams(&segments(packets)).into_iter().collect();
    let mut control = all
        .iter()
        .filter(|((from, to), _)| from.port() == 21 || to.port() == 21);
    let (_, text) = control.next().unwrap();
    assert!(control.next().is_none(), "one side only");
    String::from_utf8(text.clone()).unwrap()
}

#[test]
fn every_checksum_of_what_leaves_is_right() {
    let scratch = Scratch::new("every_checksum");
    for recording in &RECORDINGS {
        let dir = scratch.path(recording.name);
        recording.replay(&["--out", &dir]).fine();
        for zone in ["lan", "dmz", "wan"] {
            for packet in packets(&format!("{dir}/{zone}.pcap")) {
                assert_checksums(&packet);
            }
        }
    }
}

#[test]
fn outside_there_is_the_public_address_only() {
    let scratch = Scratch::new("the_public_address_only");
    for recording in &RECORDINGS {
        let written = packets(&out_of(recording, &scratch, "wan"));
        assert!(!written.is_empty());
        for packet in written {
            let [source, _] = packet.addresses();
            assert!(is_public(source), "{} from {source}", recording.name);
            for inside in ["10,0,0,7", "10.0.0.7", "10,0,9,21", "10.0.9.21"] {
                let mut text = packet.bytes.windows(inside.len());
                assert!(text.all(|w| w != inside.as_bytes()), "{}", recording.name);
            }
        }
    }
}

#[test]
fn the_commands_leave_as_they_were_but_for_the_address_that_they_name() {
    let scratch = Scratch::new("the_commands_leave");
    for (name, inside, public, times) in [
        ("ftp-active-lftp", "PORT 10,0,0,7,", "PORT 203,0,113,2,", 2),
        (
            "ftp-eprt-curl",
            "EPRT |1|10.0.0.7|",
            "EPRT |1|203.0.113.2|",
            2,
        ),
        ("ftp-passive-lftp", "PORT", "PORT", 0),
        ("ftp-epsv-curl", "PORT", "PORT", 0),
        ("ftp-epsv-curl-v6", "EPRT", "EPRT", 0),
        ("ftp-passive-upload", "PORT", "PORT", 0),
        ("ftp-passive-bulk", "PORT", "PORT", 0),
    ] {
        let recording = recording(name);
        let mut sent = packets(recording.args[0]);
        sent.retain(|packet| segments(std::slice::from_ref(packet))[0].destination.port() == 21);
        let sent = text_of_control(&sent);
        let left = packets(&out_of(recording, &scratch, "wan"));
        assert_eq!(text_of_control(&left), sent.replace(inside, public));
        assert_eq!(sent.matches(inside).count(), times, "{name}");
    }
}

/// Re-addressing to the translation, and the translation, undo each other: the
/// client gets to the byte what it got when this was recorded.
#[test]
fn the_inside_gets_what_it_got_when_it_was_recorded() {
    let scratch = Scratch::new("the_inside_gets");
    for recording in RECORDINGS.iter().filter(|r| r.is_one_sided()) {
        let mut recorded = packets(recording.args[0]);
        recorded.retain(|packet| {
            let [source, _] = packet.addresses();
            ["198.51.100.21", "2001:db8:ff:100::21"].contains(&source.to_string().as_str())
        });
        let written = packets(&out_of(recording, &scratch, "lan"));
        assert_eq!(written.len(), recorded.len(), "{}", recording.name);
        for (written, recorded) in written.iter().zip(&recorded) {
            let (now, hops_now) = apart_from_hops(written);
            let (then, hops_then) = apart_from_hops(recorded);
            assert_eq!(hex::encode(now), hex::encode(then), "{}", recording.name);
            assert_eq!(hops_now, hops_then - 1);
            assert_eq!(written.time, recorded.time);
            assert_eq!(written.length, recorded.length);
        }
    }
}

#[test]
fn no_stream_that_leaves_has_a_gap() {
    let scratch = Scratch::new("no_gap");
    // The RST of a refused connection has no stream to be part of.
    for recording in RECORDINGS.iter().filter(|r| r.name != "refused-port") {
        let dir = scratch.path(recording.name);
        recording.replay(&["--out", &dir]).fine();
        for zone in ["lan", "dmz", "wan"] {
            streams(&segments(&packets(&format!("{dir}/{zone}.pcap"))));
        }
    }
}

#[test]
fn packets_that_were_cut_leave_cut_and_say_how_long_they_were() {
    let scratch = Scratch::new("packets_that_were_cut");
    let recording = recording("ftp-passive-bulk");
    let of_inside = |packets: Vec<Packet>| -> Vec<_> {
        let lengths = packets.iter().map(|p| (p.bytes.len(), p.length));
        lengths.collect()
    };
    let mut recorded = packets(recording.args[0]);
    recorded.retain(|packet| packet.addresses()[0].to_string() == "198.51.100.21");
    let written = packets(&out_of(recording, &scratch, "lan"));
    assert!(written.iter().any(Packet::is_cut));
    assert_eq!(of_inside(written), of_inside(recorded));
}

/// One direction alone is no conversation: of each session the SYN passes,
/// and what needs its answer does not. But nothing in it is broken.
#[test]
fn what_was_written_for_one_side_can_be_read_again() {
    let scratch = Scratch::new("read_again");
    for recording in RECORDINGS.iter().filter(|r| r.is_ftp()) {
        let written = out_of(recording, &scratch, "wan");
        for line in packet_lines(&replay(&[&written, "--json"]).fine()) {
            let reason = line["reason"].as_str().unwrap();
            assert!(!reason.starts_with("bad-"), "{line}");
            assert_ne!(reason, "not-ip");
        }
    }
}

#[test]
fn a_capture_that_is_written_anew_replaces_the_old_one() {
    let scratch = Scratch::new("written_anew");
    let dir = scratch.path("out");
    let bulk = recording("ftp-passive-bulk");
    let ping = recording("ping");
    bulk.replay(&["--out", &dir]).fine();
    ping.replay(&["--out", &dir]).fine();
    assert_eq!(packets(&format!("{dir}/wan.pcap")).len(), 3);
}

#[test]
fn a_zone_that_nothing_leaves_by_gets_an_empty_capture() {
    let scratch = Scratch::new("an_empty_capture");
    let written = std::fs::read(out_of(recording("ping"), &scratch, "dmz")).unwrap();
    assert_eq!(written, raw_pcap(&[]));
}
