//! Super-segments: one packet up to the hardware, which cuts it. What counts at a link
//! is how long its segments are.

use std::num::NonZeroU16;

use spigate::engine::{Arrival, Engine, Judgement, Output, Reason, Silent, Verdict};
use spigate::packet::{Checksum, Headers, SegmentSize};

use super::checksums::{finished, unfinished};
use super::lab::{LAN, Lab, WAN, moment};
use super::packets::{Packet, resummed, tcp, udp};
use super::policies::OFFICE;

/// An office whose way out is this wide.
fn office(mtu: u16) -> Lab {
    let tun = r#"tun = "wan0""#;
    Lab::new(&OFFICE.replace(tun, &format!("{tun}, mtu = {mtu}")))
}

/// What comes of a super-segment, and what leaves.
struct Sent {
    judgement: Judgement,
    left: Vec<Vec<u8>>,
    out: Output,
}

fn send(engine: &mut Engine, zone: &str, size: u16, mut frame: Vec<u8>) -> Sent {
    let arrival = Arrival {
        checksum: Checksum::Partial,
        segments: NonZeroU16::new(size).map(SegmentSize),
        ..Arrival::whole(engine.policy().zones.by_name(zone).unwrap())
    };
    let mut out = Output::default();
    let foretold = engine.explain(arrival, &frame, &mut Silent);
    let judgement = engine.packet(moment(1.0), arrival, &mut frame, &mut out, &mut Silent);
    assert_eq!(foretold, judgement);
    let left = match judgement.verdict {
        Verdict::Forward(_) => std::iter::once(frame).chain(out.more.clone()).collect(),
        _ => Vec::new(),
    };
    Sent {
        judgement,
        left,
        out,
    }
}

const CLIENT: &str = "10.0.0.7:51000";
const CLIENT_V6: &str = "[2001:db8:10::7]:51000";
const WEB: &str = "198.51.100.9:80";
const WEB_V6: &str = "[2001:db8:5::9]:80";
const PUBLIC: &str = "203.0.113.2:51000";

fn established(lab: &mut Lab, client: &str, server: &str, public: &str) {
    for (zone, packet) in [
        (LAN, tcp(client, server).syn().seq(99)),
        (WAN, tcp(server, public).syn().seq(199).ack(100)),
        (LAN, tcp(client, server).seq(100).ack(200)),
    ] {
        assert!(lab.at(1.0).from(zone).send(packet).forwarded.is_some());
    }
}

fn data(client: &str, server: &str, octets: usize) -> Packet {
    let text: Vec<u8> = (0..=u8::MAX).cycle().take(octets).collect();
    tcp(client, server).psh().seq(100).ack(200).data(text)
}

#[test]
fn a_link_has_to_take_the_segments_and_not_the_whole() {
    // From one packet to the next it goes the whole way, or the short one.
    for (client, server, public, fits) in [
        (CLIENT, WEB, PUBLIC, 1460),
        (CLIENT_V6, WEB_V6, "[2001:db8:ff::2]:51000", 1440),
    ] {
        let mut lab = office(1500);
        established(&mut lab, client, server, public);
        for again in 0..3 {
            let frame = unfinished(&data(client, server, 40_000));
            let length = frame.len();
            let sent = send(&mut lab.engine, LAN, fits, frame);
            assert_eq!(sent.judgement.reason, Reason::Session, "{again}");
            let [left] = &sent.left[..] else {
                panic!("{:?}", sent.out);
            };
            assert_eq!((left.len(), sent.out.checksum), (length, Checksum::Partial));
            let headers = Headers::read(left, false).unwrap();
            assert_eq!(headers.verify_checksums(&finished(left.clone())), Ok(()));
        }
        let frame = unfinished(&data(client, server, 40_000));
        let sent = send(&mut lab.engine, LAN, fits + 1, frame);
        assert_eq!(sent.judgement.verdict, Verdict::Reject);
        assert_eq!(sent.judgement.reason, Reason::PacketTooBig);
        assert_eq!(sent.out.made.len(), 1, "its sender is told");
    }
}

/// With routers allowed to cut it.
fn loose(packet: &Packet) -> Vec<u8> {
    let mut bytes = unfinished(packet);
    bytes[6] &= 0xbf;
    resummed(bytes)
}

#[test]
fn who_lets_routers_cut_gets_segments_which_are_cut_each() {
    let mut lab = office(1280);
    established(&mut lab, CLIENT, WEB, PUBLIC);
    let packet = data(CLIENT, WEB, 3300);
    let sent = send(&mut lab.engine, LAN, 1400, loose(&packet));
    assert_eq!(sent.out.checksum, Checksum::Complete);
    // 1400, 1400 and 500 octets, of which the first two are too long for the link.
    let lengths: Vec<_> = sent.left.iter().map(Vec::len).collect();
    assert_eq!(lengths.len(), 5, "{lengths:?}");
    assert!(lengths.iter().all(|length| *length <= 1280), "{lengths:?}");
    let last = Headers::read(&sent.left[4], false).unwrap();
    assert_eq!(last.verify_checksums(&sent.left[4]), Ok(()));
    let last = last.tcp().unwrap();
    assert_eq!((last.seq.0, last.payload), (2900, 500));
}

#[test]
fn a_super_datagram_becomes_datagrams() {
    let mut lab = office(1280);
    let packet = udp(CLIENT, "198.51.100.9:53").data([5; 2860]);
    let sent = send(&mut lab.engine, LAN, 1253, loose(&packet));
    let lengths: Vec<_> = sent.left.iter().map(Vec::len).collect();
    // 1253, 1253 and 354 octets; the first two are one octet too long.
    assert_eq!(lengths.len(), 5, "{lengths:?}");
    let last = Headers::read(&sent.left[4], false).unwrap();
    assert_eq!(last.verify_checksums(&sent.left[4]), Ok(()));
    assert_eq!(last.payload_range().len(), 354);
    let sent = send(&mut lab.engine, LAN, 1252, loose(&packet));
    assert_eq!((sent.left.len(), sent.out.checksum), (1, Checksum::Partial));
}
