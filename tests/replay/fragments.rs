//! Datagrams in pieces, as a replay tells of them.

use serde_json::json;

use crate::common::{Scratch, objects, replay};
use crate::packets::{Packet, packets, raw_pcap, udp};

/// An IPv4 packet in two pieces, the second from this octet on.
fn pieces(packet: &[u8], at: usize) -> [Vec<u8>; 2] {
    let piece = |from: usize, to: usize, field: u16| {
        let mut bytes = packet[..20].to_vec();
        bytes.extend_from_slice(&packet[20 + from..20 + to]);
        let length = u16::try_from(bytes.len()).unwrap();
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        bytes[6..8].copy_from_slice(&field.to_be_bytes());
        bytes[10..12].fill(0);
        let sum = pnet_packet::util::checksum(&bytes[..20], 5);
        bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        bytes
    };
    let place = u16::try_from(at / 8).unwrap();
    [piece(0, at, 0x2000), piece(at, packet.len() - 20, place)]
}

fn question() -> [Vec<u8>; 2] {
    pieces(&udp("10.0.0.7:5000", "198.51.100.21:53", &[7; 200]), 104)
}

#[test]
fn the_last_piece_sends_all_of_them_by_their_zone() {
    let scratch = Scratch::new("the_last_piece_sends_all");
    let [first, last] = question();
    let made = [Packet::at(0, last), Packet::at(1, first)];
    let capture = scratch.write("made.pcap", raw_pcap(&made));
    let out = scratch.path("out");
    let run = replay(&[&capture, "--json", "--bytes", "--out", &out]);
    let lines = objects(&run.fine());
    assert_eq!(lines[0]["verdict"], "forward");
    assert_eq!(lines[0]["reason"], "fragment-held");
    assert_eq!(lines[0]["out"], json!([]));
    assert_eq!(lines[1]["reason"], "rule");
    let sent = lines[1]["out"].as_array().unwrap();
    assert_eq!(sent.len(), 2);
    let written = packets(&format!("{out}/wan.pcap"));
    assert_eq!(written.len(), 2);
    for (piece, left) in written.iter().zip(sent) {
        assert_eq!(left["zone"], "wan");
        assert_eq!(left["bytes"], hex::encode(&piece.bytes));
    }
    assert_eq!(written[0].bytes.len(), 124);
}

#[test]
fn a_datagram_that_stays_incomplete_is_told_of() {
    let scratch = Scratch::new("a_datagram_that_stays_incomplete");
    let [first, last] = question();
    let made = [Packet::at(0, first), Packet::at(60, last)];
    let capture = scratch.write("made.pcap", raw_pcap(&made));
    let lines = objects(&replay(&[&capture, "--json"]).fine());
    let told = json!({
        "timer": "fragment-timeout",
        "time": "2026-03-01T09:00:30.000000Z",
        "source": "10.0.0.7",
        "destination": "198.51.100.21",
        "pieces": 1,
    });
    assert_eq!(lines[1], told);
    assert_eq!(lines[2]["reason"], "fragment-held");
}
