//! FTP as real programs speak it: the recordings of `captures/` that were taken on
//! both sides of a translating router, sent again, packet by packet.

use std::net::IpAddr;
use std::path::Path;

use super::super::chance::Chance;
use super::super::router::Zone;
use super::super::step::{Sent, Step};

const PAIRS: [&str; 2] = ["ftp-active-nat", "ftp-passive-nat"];
/// The client that was recorded; the others have an address each.
const CLIENT: [u8; 4] = [10, 0, 0, 7];

/// A pair for each seed, in turn.
pub(crate) fn script(seed: u64, _: &mut Chance) -> Vec<Step> {
    let pair = PAIRS[usize::try_from(seed).unwrap() % PAIRS.len()];
    let sides = [(Zone::Lan, "lan"), (Zone::Wan, "wan")];
    let mut all: Vec<_> = sides
        .into_iter()
        .flat_map(|(zone, side)| packets(&format!("{pair}.{side}.pcap"), zone))
        .collect();
    all.sort_by_key(|(time, _)| *time);
    assert!(all.len() > 50, "{pair}");
    all.into_iter().map(|(_, sent)| sent.into()).collect()
}

/// The IPv4 packets of a capture with Ethernet frames, each with its time.
fn packets(name: &str, zone: Zone) -> Vec<((u32, u32), Sent)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures");
    let file = std::fs::read(path.join(name)).unwrap();
    let (header, mut rest) = file.split_at(24);
    assert_eq!(header[..4], 0xa1b2_c3d4_u32.to_le_bytes(), "{name}");
    let mut found = Vec::new();
    while !rest.is_empty() {
        let word = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
        let (time, length) = ((word(0), word(4)), word(8) as usize);
        let frame = &rest[16..16 + length];
        assert_eq!(frame[12..14], [8, 0], "{name}");
        // What follows the packet fills the frame.
        let total = usize::from(u16::from_be_bytes([frame[16], frame[17]]));
        let packet = frame[14..14 + total].to_vec();
        let port = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
        let from = IpAddr::from(<[u8; 4]>::try_from(&packet[12..16]).unwrap());
        let talk = if from == IpAddr::from(CLIENT) {
            port(20)
        } else {
            port(22)
        };
        let told = format!("{name} {}.{:06}", time.0, time.1);
        found.push((time, Sent::new(zone, talk, packet, told)));
        rest = &rest[16 + length..];
    }
    found
}
