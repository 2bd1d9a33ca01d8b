//! Datagrams in any pieces, in any order, among anything.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;
use spigate::engine::{
    Arrival, Checksums, Engine, Event, Options, Output, Reason, Silent, Verdict,
};
use spigate::net::{Timestamp, ZoneId};

use super::packets::{resummed, udp};
use super::seen::{Seen, Sums};

const RULES: &str = r#"
version = 1
[zones]
lan = { tun = "lan0", net = ["10.0.0.0/24", "2001:db8:10::/64"] }
wan = { tun = "wan0", net = ["0.0.0.0/0", "::/0"] }
[policy]
default = "allow"
"#;

fn engine() -> Engine {
    let compiled = spigate::config::compile(Path::new("any.toml"), RULES);
    let report =
        |r: spigate::config::Report| panic!("{}", r.render(spigate::config::Colour::Plain));
    let policy = Arc::new(compiled.unwrap_or_else(report).policy);
    let options = Options {
        seed: 3,
        checksums: Checksums::Verify,
    };
    Engine::new(policy, options, Timestamp::from_secs(1))
}

const FROM_LAN: Arrival = Arrival::whole(ZoneId(0));

/// A piece of a packet: octets `start` to `end` behind its IP header.
fn piece(packet: &[u8], start: usize, end: usize, more: bool) -> Vec<u8> {
    let number = |n: usize| u16::try_from(n).unwrap().to_be_bytes();
    if packet[0] >> 4 == 4 {
        let mut bytes = packet[..20].to_vec();
        bytes.extend_from_slice(&packet[20 + start..20 + end]);
        let length = number(bytes.len());
        bytes[2..4].copy_from_slice(&length);
        bytes[6..8].copy_from_slice(&number((start / 8) | (usize::from(more) << 13)));
        return resummed(bytes);
    }
    let mut bytes = packet[..40].to_vec();
    bytes.extend_from_slice(&[bytes[6], 0]);
    bytes[6] = 44;
    bytes.extend_from_slice(&number(start | usize::from(more)));
    bytes.extend_from_slice(&[1, 2, 3, 4]);
    bytes.extend_from_slice(&packet[40 + start..40 + end]);
    let length = number(bytes.len() - 40);
    bytes[4..6].copy_from_slice(&length);
    bytes
}

/// Every piece of a packet that is cut at these places, in units of eight.
fn cut(packet: &[u8], places: &[Index]) -> Vec<Vec<u8>> {
    let header = if packet[0] >> 4 == 4 { 20 } else { 40 };
    let end = packet.len() - header;
    let units = (end - 1) / 8;
    let mut places: Vec<_> = places
        .iter()
        .map(|place| 8 * (1 + place.index(units)))
        .collect();
    places.sort_unstable();
    places.dedup();
    places.push(end);
    let mut start = 0;
    let one = |stop| {
        let bytes = piece(packet, start, stop, stop < end);
        start = stop;
        bytes
    };
    places.into_iter().map(one).collect()
}

/// What left because of a packet.
fn send(engine: &mut Engine, bytes: &[u8]) -> (Verdict, Reason, Vec<Vec<u8>>) {
    let (mut frame, mut out) = (bytes.to_vec(), Output::default());
    let now = Timestamp::from_secs(1);
    let judgement = engine.packet(now, FROM_LAN, &mut frame, &mut out, &mut Silent);
    let left = match judgement.verdict {
        Verdict::Forward(_) => std::iter::once(frame).chain(out.more).collect(),
        _ => {
            assert!(out.more.is_empty());
            Vec::new()
        }
    };
    (judgement.verdict, judgement.reason, left)
}

proptest! {
    #[test]
    fn any_cutting_in_any_order_gives_the_same_pieces_and_the_same_datagram(
        data in proptest::collection::vec(any::<u8>(), 16..4000),
        is_v6 in any::<bool>(),
        places in proptest::collection::vec(any::<Index>(), 1..40),
        order in any::<u64>(),
        repeats in proptest::collection::vec(any::<Index>(), 0..4),
    ) {
        let packet = if is_v6 {
            udp("[2001:db8:10::7]:5000", "[2001:db8:5::9]:53")
        } else {
            udp("10.0.0.7:5000", "198.51.100.9:53")
        };
        let whole = packet.data(&data).bytes();
        let pieces = cut(&whole, &places);
        let mut shuffled = pieces.clone();
        let mut seed = order | 1;
        for at in (1..shuffled.len()).rev() {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            shuffled.swap(at, usize::try_from(seed >> 33).unwrap() % (at + 1));
        }
        let mut engine = engine();
        let (last, before) = shuffled.split_last().unwrap();
        for piece in before {
            prop_assert_eq!(send(&mut engine, piece), (Verdict::Hold, Reason::FragmentHeld, vec![]));
        }
        for repeat in repeats.iter().filter(|_| !before.is_empty()) {
            let again = &before[repeat.index(before.len())];
            prop_assert_eq!(send(&mut engine, again).0, Verdict::Hold);
        }
        let (verdict, _, left) = send(&mut engine, last);
        prop_assert_eq!(verdict, Verdict::Forward(ZoneId(1)));
        // Where the sender cut it; only the time to live has changed. In IPv6 it
        // leaves whole where that is no longer than its longest piece, whose
        // fragment header it saves.
        let longest = pieces.iter().map(Vec::len).max().unwrap();
        let fits = is_v6 && whole.len() <= longest;
        let pieces = if fits { vec![whole.clone()] } else { pieces };
        prop_assert_eq!(left.len(), pieces.len());
        for (left, came) in left.iter().zip(&pieces) {
            let mut came = came.clone();
            if is_v6 {
                came[7] -= 1;
            } else {
                came[8] -= 1;
                came = resummed(came);
            }
            prop_assert_eq!(left, &came);
        }
        let header = match (is_v6, fits) {
            (true, false) => 48,
            (true, true) => 40,
            (false, _) => 20,
        };
        let payload: Vec<u8> = left.iter().flat_map(|piece| piece[header..].to_vec()).collect();
        prop_assert_eq!(&payload[..], &whole[if is_v6 { 40 } else { 20 }..]);
        prop_assert_eq!(engine.next_deadline(), engine.sessions().next_deadline());
        let _ = Seen::read(&whole, Sums::Right);
    }

    #[test]
    fn whatever_is_cut_again_for_a_narrow_link_is_no_longer_than_it(
        data in proptest::collection::vec(any::<u8>(), 600..4000),
        mtu in 576..1500u16,
    ) {
        let rules = RULES.replace(r#"tun = "wan0", net = ["0.0.0.0/0", "::/0"]"#,
            &format!(r#"tun = "wan0", net = ["0.0.0.0/0"], mtu = {mtu}"#));
        let compiled = spigate::config::compile(Path::new("any.toml"), &rules).unwrap();
        let options = Options { seed: 3, checksums: Checksums::Verify };
        let mut engine = Engine::new(Arc::new(compiled.policy), options, Timestamp::from_secs(1));
        let mut whole = udp("10.0.0.7:5000", "198.51.100.9:53").data(&data).bytes();
        whole[6] = 0;
        let whole = resummed(whole);
        let (_, _, left) = send(&mut engine, &whole);
        let room = usize::from(mtu - 20) & !7;
        let octets = whole.len() - 20;
        // The least number of them: the last may fill what is left of the link.
        let least = 1 + octets.saturating_sub(usize::from(mtu) - 20).div_ceil(room);
        prop_assert_eq!(left.len(), least);
        prop_assert!(left.iter().all(|piece| piece.len() <= usize::from(mtu)));
        let payload: Vec<u8> = left.iter().flat_map(|piece| piece[20..].to_vec()).collect();
        prop_assert_eq!(&payload[..], &whole[20..]);
    }

    #[test]
    fn limits_hold_under_any_flood(
        pieces in proptest::collection::vec(
            (0..3u8, 0..4u8, 0..40usize, 1..40usize, any::<bool>(), any::<bool>()), 1..400),
        step in 0..2000u64,
    ) {
        let mut engine = engine();
        let mut now = Timestamp::from_secs(1);
        let (mut held, mut lost) = (0, 0);
        for (host, id, start, octets, more, damaged) in pieces {
            let source = format!("10.0.0.{host}:5000");
            let whole = udp(&source, "198.51.100.9:53").data([id; 800]).bytes();
            let end = (8 * start + octets).min(808);
            let mut bytes = piece(&whole, (8 * start).min(end), end, more);
            bytes[5] = id;
            if damaged {
                let last = bytes.len() - 1;
                bytes[last] ^= 1;
            }
            let mut frame = resummed(bytes);
            let mut out = Output::default();
            now = now.after(Duration::from_millis(step));
            let foretold_late = engine.next_deadline().is_some_and(|due| due <= now);
            let foretold = engine.explain(FROM_LAN, &frame, &mut Silent);
            let judgement = engine.packet(now, FROM_LAN, &mut frame, &mut out, &mut Silent);
            prop_assert!(foretold_late || foretold == judgement);
            held += usize::from(judgement.verdict == Verdict::Hold);
            lost += out.events.iter().map(|event| match event {
                Event::Unfinished(unfinished) => unfinished.pieces,
                _ => 0,
            }).sum::<usize>();
            prop_assert!(engine.next_deadline().is_none_or(|due| due > now));
        }
        let mut out = Output::default();
        while engine.expire(now.after(Duration::from_secs(3600)), &mut out).is_left() {}
        prop_assert_eq!(engine.next_deadline(), None);
        prop_assert!(lost <= held);
    }
}
