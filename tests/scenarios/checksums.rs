//! Checksums that are not there yet, and those that are made for another
//! destination than the one in the header.

use spigate::engine::{Arrival, Output, Reason, Silent};
use spigate::packet::Checksum;

use super::lab::{LAN, Lab, WAN, moment};
use super::packets::{Packet, echo, icmp, resummed, tcp, udp};
use super::policies::{OFFICE, PLAIN};
use super::wants::{drop_for, forward_to};

/// Where a packet's transport begins, and its checksum stands.
fn places(bytes: &[u8]) -> (usize, usize, u8) {
    let (at, protocol) = match bytes[0] >> 4 {
        4 => (usize::from(bytes[0] & 15) * 4, bytes[9]),
        _ => (40, bytes[6]),
    };
    let field = match protocol {
        6 => 16,
        17 => 6,
        _ => 2,
    };
    (at, at + field, protocol)
}

fn sum(octets: &[u8]) -> u32 {
    octets.chunks(2).fold(0, |sum, pair| {
        let word = u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low));
        let sum = sum + word;
        (sum & 0xffff) + (sum >> 16)
    })
}

fn pseudo_header(bytes: &[u8]) -> u16 {
    let (at, _, protocol) = places(bytes);
    let addresses = match bytes[0] >> 4 {
        4 => 12..20,
        _ => 8..40,
    };
    let length = u32::try_from(bytes.len() - at).unwrap();
    let sum = match protocol {
        1 => 0,
        _ => sum(&bytes[addresses]) + u32::from(protocol) + length,
    };
    u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap()
}

/// The packet as its sender leaves it to the hardware.
pub(crate) fn unfinished(packet: &Packet) -> Vec<u8> {
    let mut bytes = packet.bytes();
    let (_, field, _) = places(&bytes);
    let sum = pseudo_header(&bytes);
    bytes[field..field + 2].copy_from_slice(&sum.to_be_bytes());
    bytes
}

/// What the hardware makes of it.
pub(crate) fn finished(mut bytes: Vec<u8>) -> Vec<u8> {
    let (at, field, protocol) = places(&bytes);
    let sum = !u16::try_from(sum(&bytes[at..])).unwrap();
    let sum = if (protocol, sum) == (17, 0) {
        0xffff
    } else {
        sum
    };
    bytes[field..field + 2].copy_from_slice(&sum.to_be_bytes());
    bytes
}

/// Two firewalls of the same rules: one gets whole packets, the other the same ones
/// unfinished.
struct Both {
    whole: Lab,
    unfinished: Lab,
}

impl Both {
    fn new(rules: &str) -> Self {
        Self {
            whole: Lab::new(rules),
            unfinished: Lab::new(rules),
        }
    }

    /// Sends it through both; gives what left the second, and what else it gave.
    fn send(&mut self, zone: &str, packet: &Packet) -> (Vec<u8>, Output) {
        let zone = self.whole.engine.policy().zones.by_name(zone).unwrap();
        let (mut frame, mut out) = (packet.bytes(), Output::default());
        let arrival = Arrival::whole(zone);
        let engine = &mut self.whole.engine;
        let judged = engine.packet(moment(0.0), arrival, &mut frame, &mut out, &mut Silent);
        assert_eq!(out.checksum, Checksum::Complete);

        let partial = Arrival {
            checksum: Checksum::Partial,
            ..arrival
        };
        let (mut left, mut output) = (unfinished(packet), Output::default());
        let engine = &mut self.unfinished.engine;
        let same = engine.packet(moment(0.0), partial, &mut left, &mut output, &mut Silent);
        assert_eq!(judged, same);
        assert_eq!(
            out.made, output.made,
            "what the gateway itself says is whole"
        );
        if let spigate::engine::Verdict::Forward(_) = judged.verdict {
            let all = |frame: Vec<u8>, more: &[Vec<u8>]| [vec![frame], more.to_vec()].concat();
            let whole = all(frame, &out.more);
            match output.checksum {
                Checksum::Partial => {
                    assert_eq!(pseudo_header(&left).to_be_bytes(), {
                        let (_, field, _) = places(&left);
                        [left[field], left[field + 1]]
                    });
                    assert_eq!(whole, all(finished(left.clone()), &[]));
                }
                Checksum::Complete => assert_eq!(whole, all(left.clone(), &output.more)),
            }
        }
        (left, output)
    }
}

const CLIENT: &str = "10.0.0.7:51000";
const SERVER: &str = "198.51.100.21:21";
const OUTSIDE: &str = "203.0.113.2:51000";

/// What is still unfinished when it leaves.
fn stays_partial(both: &mut Both, zone: &str, packet: &Packet) {
    let (_, out) = both.send(zone, packet);
    assert_eq!(out.checksum, Checksum::Partial);
}

#[test]
fn t_csum_partial__what_the_hardware_makes_of_it_is_what_a_whole_packet_becomes() {
    let mss = r#"{ id = "lan-out", mss = 1200,"#;
    let mut both = Both::new(&OFFICE.replace(r#"{ id = "lan-out","#, mss));
    let six = "[2001:db8:10::7]:51000";
    for packet in [
        tcp(CLIENT, "198.51.100.9:80")
            .syn()
            .tcp_options(&[2, 4, 5, 180]),
        udp(CLIENT, "198.51.100.9:53").data("odd"),
        udp(six, "[2001:db8:5::9]:53"),
        tcp(six, "[2001:db8:5::9]:80").syn(),
        echo("10.0.0.7", "198.51.100.9", 7),
        echo("2001:db8:10::7", "2001:db8:5::9", 7),
    ] {
        stays_partial(&mut both, LAN, &packet);
    }
    // Answers of the host itself come so, too.
    stays_partial(&mut both, WAN, &udp("198.51.100.9:53", OUTSIDE));
}

#[test]
fn t_csum_partial__an_error_is_translated_at_both_depths() {
    let mut both = Both::new(OFFICE);
    let (asked, _) = both.send(LAN, &udp(CLIENT, "198.51.100.9:53"));
    let error = icmp("192.0.2.1", "203.0.113.2", 3, 3).quoting(&finished(asked));
    stays_partial(&mut both, WAN, &error);
}

#[test]
fn t_csum_partial__changed_text_of_a_control_session_too() {
    // Without greeting and login.
    let lenient = OFFICE.replace("[policy]", "[alg.ftp]\nstrict = false\n\n[policy]");
    let mut both = Both::new(&lenient);
    let client = || tcp(CLIENT, SERVER);
    let server = || tcp(SERVER, OUTSIDE);
    stays_partial(&mut both, LAN, &client().syn().seq(100));
    stays_partial(&mut both, WAN, &server().syn().seq(500).ack(101));
    stays_partial(&mut both, LAN, &client().seq(101).ack(501));
    let port = client()
        .psh()
        .seq(101)
        .ack(501)
        .data("PORT 10,0,0,7,200,10\r\n");
    let (left, out) = both.send(LAN, &port);
    assert_eq!(out.checksum, Checksum::Partial);
    assert!(left.ends_with(b"PORT 203,0,113,2,200,10\r\n"));
    let answer = server().psh().seq(501).ack(126).data("200 PORT\r\n");
    stays_partial(&mut both, WAN, &answer);
}

#[test]
fn t_csum_partial__it_is_finished_where_the_packet_is_cut_quoted_or_held() {
    let narrow = OFFICE
        .replace(r#"tun = "wan0""#, r#"tun = "wan0", mtu = 1280"#)
        .replace("[policy]", "[policy]\nunsolicited-syn = \"hold\"");
    let mut both = Both::new(&narrow);
    // Whoever may be cut has DF off, which the expected packet has, too.
    let long = udp(CLIENT, "198.51.100.9:53").data([5; 3000]);
    let mut loose = unfinished(&long);
    loose[6] = 0;
    let loose = resummed(loose);
    let zone = both.unfinished.engine.policy().zones.by_name(LAN).unwrap();
    let partial = Arrival {
        checksum: Checksum::Partial,
        ..Arrival::whole(zone)
    };
    let (mut frame, mut out) = (loose.clone(), Output::default());
    let engine = &mut both.unfinished.engine;
    let _ = engine.packet(moment(0.0), partial, &mut frame, &mut out, &mut Silent);
    let mut whole = finished(loose);
    let mut expected = Output::default();
    let engine = &mut both.whole.engine;
    let arrival = Arrival::whole(zone);
    let _ = engine.packet(moment(0.0), arrival, &mut whole, &mut expected, &mut Silent);
    assert_eq!((out.checksum, out.more.len()), (Checksum::Complete, 2));
    assert_eq!((frame, out.more), (whole, expected.more));

    let (_, out) = both.send(LAN, &udp(CLIENT, "198.51.100.9:53").ttl(1));
    assert_eq!(out.made.len(), 1);
    let _ = both.send(WAN, &tcp("198.51.100.9:40000", "203.0.113.2:4000").syn());
    let told = |lab: &mut Lab| {
        let mut out = Output::default();
        while lab.engine.expire(moment(6.0), &mut out).is_left() {}
        out.made
    };
    let (whole, unfinished) = (told(&mut both.whole), told(&mut both.unfinished));
    assert_eq!((whole.len(), whole), (1, unfinished));
}

#[test]
fn t_csum_partial__only_who_brings_it_can_say_so_and_the_ip_header_is_never_left_out() {
    let mut lab = Lab::new(OFFICE);
    let bytes = unfinished(&udp(CLIENT, "198.51.100.9:53"));
    let sent = lab.at(0.0).from(LAN).send(bytes.clone());
    let _ = sent.expect(drop_for(Reason::BadChecksum));
    let mut broken = bytes;
    broken[10] ^= 1;
    let arrival = Arrival {
        checksum: Checksum::Partial,
        ..Arrival::whole(lab.engine.policy().zones.by_name(LAN).unwrap())
    };
    let judged = lab.engine.explain(arrival, &broken, &mut Silent);
    assert_eq!(judged.reason, Reason::BadChecksum);
}

/// UDP behind a routing header of this type with one segment left, summed for
/// `last`.
fn on_its_way(kind: u8, last: [u8; 16]) -> Vec<u8> {
    let plain = udp("[2001:db8:10::7]:5000", "[2001:db8:5::9]:53").bytes();
    let mut bytes = plain[..40].to_vec();
    bytes.extend([17, 2, kind, 1, 0, 0, 0, 0]);
    bytes.extend(last);
    bytes.extend(&plain[40..]);
    let length = u16::try_from(bytes.len() - 40).unwrap();
    bytes[4..6].copy_from_slice(&length.to_be_bytes());
    bytes[6] = 43;
    let mut summed = plain.clone();
    summed[24..40].copy_from_slice(&last);
    let at = bytes.len() - plain.len() + 46;
    summed[46..48].fill(0);
    let pseudo = pseudo_header(&summed);
    summed[46..48].copy_from_slice(&pseudo.to_be_bytes());
    let right = finished(summed);
    bytes[at..at + 2].copy_from_slice(&right[46..48]);
    bytes
}

const LAST: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8];

#[test]
fn t_csum_v6__a_station_on_the_way_is_not_who_the_checksum_is_made_for() {
    let mut lab = Lab::new(PLAIN);
    let zone = lab.engine.policy().zones.by_name(LAN).unwrap();
    let passes = |packet: Vec<u8>| {
        let engine = &Lab::new(PLAIN).engine;
        let judged = engine.explain(Arrival::whole(zone), &packet, &mut Silent);
        judged.verdict.name() == "forward"
    };
    for kind in [2, 4] {
        assert!(passes(on_its_way(kind, LAST)));
        // Made for the station, it is wrong.
        let mut wrong = on_its_way(kind, LAST);
        let station: [u8; 16] = wrong[24..40].try_into().unwrap();
        wrong[48..64].copy_from_slice(&station);
        let sent = lab.at(0.0).from(LAN).send(wrong);
        let _ = sent.expect(drop_for(Reason::BadChecksum));
    }
    // Of a type that nobody knows it cannot be told.
    assert!(passes(on_its_way(253, LAST)));
}

#[test]
fn t_csum_v6__a_translated_source_is_in_it_and_a_translated_station_is_not() {
    // Both addresses change, and the checksum only for one of them.
    let twice = r#"forward = [
  { id = "twice", on = "lan", dst = "2001:db8:5::9", udp = 53, to = "2001:db8:6::9", admit = true },"#;
    let mut lab = Lab::new(&OFFICE.replace("forward = [", twice));
    let (mut frame, mut out) = (on_its_way(4, LAST), Output::default());
    let zone = lab.engine.policy().zones.by_name(LAN).unwrap();
    let arrival = Arrival::whole(zone);
    let engine = &mut lab.engine;
    let judged = engine.packet(moment(0.0), arrival, &mut frame, &mut out, &mut Silent);
    assert_eq!(judged.verdict.name(), "forward");
    let address =
        |at: usize| std::net::Ipv6Addr::from(<[u8; 16]>::try_from(&frame[at..at + 16]).unwrap());
    assert_eq!(address(8).to_string(), "2001:db8:ff::2");
    assert_eq!(address(24).to_string(), "2001:db8:6::9");
    let (head, udp) = (frame[..40].to_vec(), frame[64..].to_vec());
    let mut last = [head, udp].concat();
    last[24..40].copy_from_slice(&LAST);
    last[6] = 17;
    assert_eq!(sum(&last[40..]) + u32::from(pseudo_header(&last)), 0xffff);
}

#[test]
fn without_a_segment_left_the_destination_counts() {
    let mut packet = on_its_way(4, LAST);
    packet[43] = 0;
    let mut lab = Lab::new(PLAIN);
    let sent = lab.at(0.0).from(LAN).send(packet.clone());
    let _ = sent.expect(drop_for(Reason::BadChecksum));
    let destination: [u8; 16] = packet[24..40].try_into().unwrap();
    let mut packet = on_its_way(4, destination);
    packet[43] = 0;
    let sent = lab.at(0.0).from(LAN).send(packet);
    let _ = sent.expect(forward_to(WAN));
}
