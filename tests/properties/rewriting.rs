//! The laws of rewriting.

use std::net::IpAddr;

use pnet_packet::Packet as _;
use pnet_packet::{icmpv6, ipv4, tcp, udp};
use proptest::prelude::*;
use spigate::net::{Endpoint, Port, SeqNumber, Tuple};
use spigate::packet::checksum::Sum;
use spigate::packet::{
    Headers, Renumber, decrement_ttl, quoted, renumber, repair_checksums, replace_payload,
    translate, translate_error,
};

use super::any_packet::{Content, Ends, content, two_pairs};
use super::packets::icmp;
use super::seen::{Seen, Sums};

fn headers(bytes: &[u8]) -> Headers {
    let headers = Headers::read(bytes, false).unwrap();
    headers.verify_checksums(bytes).unwrap();
    headers
}

/// The tuple that a packet of this content has between these ends.
fn tuple(content: &Content, ends: &Ends) -> Tuple {
    headers(&content.between(ends).bytes()).tuple().unwrap()
}

/// What pnet computes over the whole packet is what stands in it.
fn pnet_agrees(bytes: &[u8]) {
    let headers = Headers::read(bytes, false).unwrap();
    let segment = &bytes[headers.transport_range()];
    if headers.source.is_ipv4() {
        let packet = ipv4::Ipv4Packet::new(bytes).unwrap();
        assert_eq!(
            packet.get_checksum(),
            ipv4::checksum(&packet),
            "IPv4 by pnet"
        );
    }
    match (headers.protocol.0, headers.source, headers.destination) {
        (6, IpAddr::V4(s), IpAddr::V4(d)) => {
            let packet = tcp::TcpPacket::new(segment).unwrap();
            assert_eq!(packet.get_checksum(), tcp::ipv4_checksum(&packet, &s, &d));
        }
        (6, IpAddr::V6(s), IpAddr::V6(d)) => {
            let packet = tcp::TcpPacket::new(segment).unwrap();
            assert_eq!(packet.get_checksum(), tcp::ipv6_checksum(&packet, &s, &d));
        }
        (17, s, d) => {
            let packet = udp::UdpPacket::new(segment).unwrap();
            let right = match (s, d) {
                (IpAddr::V4(s), IpAddr::V4(d)) => udp::ipv4_checksum(&packet, &s, &d),
                (IpAddr::V6(s), IpAddr::V6(d)) => udp::ipv6_checksum(&packet, &s, &d),
                _ => unreachable!("one family"),
            };
            // RFC 768: a sum of zero is sent as its complement, none as zero.
            let sent = if right == 0 { 0xffff } else { right };
            let is = packet.get_checksum();
            assert!(
                is == 0 || is == sent,
                "UDP by pnet: {is:04x}, not {sent:04x}"
            );
        }
        (58, IpAddr::V6(s), IpAddr::V6(d)) => {
            let packet = icmpv6::Icmpv6Packet::new(segment).unwrap();
            assert_eq!(packet.get_checksum(), icmpv6::checksum(&packet, &s, &d));
            assert_eq!(packet.packet().len(), segment.len());
        }
        _ => {}
    }
}

/// Numbers moved by fixed distances.
struct Moved(u32, u32);

impl Renumber for Moved {
    fn seq(&self, seq: SeqNumber) -> SeqNumber {
        seq.advance(self.0)
    }

    fn ack(&self, ack: SeqNumber) -> SeqNumber {
        ack.advance(self.1)
    }

    fn sack(&self, edges: [SeqNumber; 2]) -> [SeqNumber; 2] {
        edges.map(|edge| edge.advance(self.1))
    }
}

proptest! {
    #[test]
    fn t_1624_prop__a_translated_packet_is_the_one_its_new_ends_would_have_sent(
        content in content(),
        (from, to) in two_pairs(),
    ) {
        let mut frame = content.between(&from).bytes();
        let read = headers(&frame);
        translate(&mut frame, &read, &tuple(&content, &to));
        prop_assert_eq!(hex::encode(&frame), hex::encode(content.between(&to).bytes()));
        let _ = Seen::read(&frame, Sums::Right);
        pnet_agrees(&frame);
    }

    #[test]
    fn translating_there_and_back_is_identity(
        content in content(),
        (from, to) in two_pairs(),
        damage in any::<u16>(),
    ) {
        let mut frame = content.between(&from).bytes();
        // With any checksum: a wrong one stays as wrong, and comes back.
        let at = frame.len() - 1;
        frame[at] ^= u8::try_from(damage & 0xff).unwrap();
        let before = frame.clone();
        // The last octet of an empty chunk is its length.
        prop_assume!(Headers::read(&frame, false).is_ok());
        let read = |frame: &[u8]| Headers::read(frame, false).unwrap();
        translate(&mut frame, &read(&before), &tuple(&content, &to));
        let there = read(&frame);
        translate(&mut frame, &there, &read(&before).tuple().unwrap());
        prop_assert_eq!(hex::encode(&frame), hex::encode(&before));
    }

    #[test]
    fn one_hop_less_is_the_packet_sent_with_one_hop_less(
        content in content(),
        (from, _) in two_pairs(),
        ttl in 1..=255u8,
    ) {
        let mut frame = content.with_ttl(ttl).between(&from).bytes();
        let read = headers(&frame);
        decrement_ttl(&mut frame, &read);
        prop_assert_eq!(frame, content.with_ttl(ttl - 1).between(&from).bytes());
    }

    #[test]
    fn a_replaced_payload_is_the_packet_sent_with_it(
        content in content().prop_filter("TCP", Content::is_tcp),
        (from, _) in two_pairs(),
        data in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut frame = content.between(&from).bytes();
        let read = headers(&frame);
        prop_assert!(replace_payload(&mut frame, &read, &data));
        prop_assert_eq!(
            hex::encode(&frame),
            hex::encode(content.with_data(&data).between(&from).bytes())
        );
        pnet_agrees(&frame);
    }

    #[test]
    fn a_renumbered_segment_is_the_one_sent_with_those_numbers(
        content in content().prop_filter("TCP", Content::is_tcp),
        (from, _) in two_pairs(),
        by in any::<(u32, u32)>(),
    ) {
        let mut frame = content.between(&from).bytes();
        let read = headers(&frame);
        renumber(&mut frame, &read, &Moved(by.0, by.1));
        let (seq, ack) = content.numbers();
        let moved = content.with_numbers(seq.wrapping_add(by.0), ack.wrapping_add(by.1));
        prop_assert_eq!(hex::encode(&frame), hex::encode(moved.between(&from).bytes()));
    }

    #[test]
    fn repaired_checksums_are_those_the_sender_makes(
        content in content(),
        (from, _) in two_pairs(),
        wrong in 1..=u16::MAX,
    ) {
        let right = content.between(&from).bytes();
        let mut frame = right.clone();
        let read = headers(&frame);
        let field = match read.protocol.0 {
            6 => 16,
            17 | 136 => 6,
            132 => 8,
            _ => 2,
        };
        let at = read.transport_at + field;
        // A datagram without a checksum is left without one.
        if read.protocol.0 != 17 || frame[at..at + 2] != [0, 0] {
            frame[at..at + 2].copy_from_slice(&wrong.to_be_bytes());
        }
        repair_checksums(&mut frame, &read);
        prop_assert_eq!(hex::encode(frame), hex::encode(right));
    }

    #[test]
    fn an_error_is_translated_at_both_depths(
        content in content(),
        (inside, outside) in two_pairs(),
        length in 28usize..200,
    ) {
        // The error is about the packet between the outside ends, as a router
        // beside its destination reports it to its source.
        let quote = content.between(&outside).bytes();
        let header = quote.len() - quote[headers(&quote).transport_range()].len();
        let quote = &quote[..quote.len().min(length.max(header + 8))];
        let address = |end: &str| super::packets::endpoint(end).ip();
        let (router, sender) = (address(&outside.destination), address(&outside.source));
        let kind = if router.is_ipv4() { 11 } else { 3 };
        let error = icmp(&router.to_string(), &sender.to_string(), kind, 0).quoting(quote);
        let mut frame = error.bytes();
        let read = headers(&frame);
        let found = quoted(&frame, &read).unwrap();
        prop_assert_eq!(found.tuple, tuple(&content, &outside));
        let (source, destination) = (address(&inside.destination), address(&inside.source));
        let inner = tuple(&content, &inside);
        translate_error(&mut frame, &read, source, destination, &found, &inner);
        let seen = Seen::read(&frame, Sums::Right);
        let as_sent = content.between(&inside).bytes();
        // A quote may end within the checksum; what is there of it stays.
        let field = header + match read_protocol(&as_sent) {
            6 => 16,
            17 | 136 => 6,
            132 => 8,
            _ => 2,
        };
        let width = if read_protocol(&as_sent) == 132 { 4 } else { 2 };
        prop_assume!(!(field + 1..field + width).contains(&quote.len()));
        prop_assert_eq!(hex::encode(seen.quote()), hex::encode(&as_sent[..quote.len()]));
        pnet_agrees(&frame);
    }

    #[test]
    fn a_tuple_reversed_is_the_tuple_of_the_answer(
        content in content(),
        (from, _) in two_pairs(),
    ) {
        let own = tuple(&content, &from);
        prop_assert_eq!(own.reversed().reversed(), own);
        if !content.is_echo() {
            let back = Ends { source: from.destination, destination: from.source };
            prop_assert_eq!(own.reversed(), tuple(&content, &back));
        }
    }
}

fn read_protocol(bytes: &[u8]) -> u8 {
    Headers::read(bytes, false).unwrap().protocol.0
}

#[test]
fn the_ends_of_an_echo_are_addresses_and_an_identifier() {
    let tuple = Tuple {
        destination: Endpoint::new("198.51.100.9".parse().unwrap(), Port(0x0800)),
        source: "10.0.0.7:77".parse().unwrap(),
        protocol: spigate::net::Protocol::ICMP,
    };
    let ping = super::packets::echo("10.0.0.7", "198.51.100.9", 77).bytes();
    assert_eq!(headers(&ping).tuple(), Some(tuple));
}

#[test]
fn t_1624_eq3__the_example_of_section_4_gives_zero_and_not_its_complement() {
    let change = Sum::default().change(&[0x55, 0x55], &[0x32, 0x85]);
    assert_eq!(change.update(0xdd2f), 0x0000);
}

#[test]
fn t_1624_ttl__one_hop_less_carries_the_header_checksum_along() {
    for (before, after) in [(0xfeff_u16, 0x0000_u16), (0xff00, 0x0001)] {
        let mut frame = super::packets::udp("10.0.0.7:5000", "198.51.100.9:53").bytes();
        // An identification that gives the header this checksum.
        let identification = (0..=u16::MAX).find(|identification| {
            frame[4..6].copy_from_slice(&identification.to_be_bytes());
            frame = super::packets::resummed(std::mem::take(&mut frame));
            frame[10..12] == before.to_be_bytes()
        });
        assert!(identification.is_some());
        let read = headers(&frame);
        decrement_ttl(&mut frame, &read);
        assert_eq!(frame[10..12], after.to_be_bytes());
        let _ = headers(&frame);
    }
}

#[test]
fn t_1624_ffff__the_other_zero_is_accepted_and_verifies_after_translation() {
    let content =
        |data: [u8; 2]| super::packets::tcp("10.0.0.7:51000", "198.51.100.9:80").data(data);
    // Data that give the segment a checksum of zero; then it is sent as its
    // complement.
    let zero = (0..=u16::MAX).map(|n| content(n.to_be_bytes()).bytes());
    let mut frame = zero
        .into_iter()
        .find(|bytes| bytes[36..38] == [0, 0])
        .unwrap();
    frame[36..38].fill(0xff);
    let read = headers(&frame);
    let to = Tuple {
        source: "203.0.113.2:1024".parse().unwrap(),
        ..read.tuple().unwrap()
    };
    translate(&mut frame, &read, &to);
    let _ = headers(&frame);
    let _ = Seen::read(&frame, Sums::Right);
}
