//! Packet expressions: what they mean, how they are printed, what is said of
//! wrong ones.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails should say where"
)]

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use proptest::prelude::*;
use spigate::expression::{
    Addresses, IcmpMessage, MAX_PAYLOAD, PacketExpression, PacketSpec, Payload, SctpPacket,
    Transport,
};
use spigate::net::{ChunkType, Port, Protocol, SeqNumber, TcpFlags, Tuple, VerificationTag};

fn parse(text: &str) -> PacketExpression {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn what_is_left_out_is_what_one_assumes() {
    for (short, long) in [
        (
            "tcp 10.0.0.7:51000>198.51.100.9:21",
            "tcp 10.0.0.7:51000 > 198.51.100.9:21 syn seq 0 ack-number 0 ttl 64 length 0",
        ),
        (
            "icmp 10.0.0.7 > 198.51.100.9",
            "icmp 10.0.0.7 > 198.51.100.9 echo-request id 1 seq 1 code 0",
        ),
        (
            "icmp 10.0.0.7 > 198.51.100.9 echo-reply id 7",
            "icmp 10.0.0.7 > 198.51.100.9 id 7 type 0",
        ),
        (
            "icmpv6 2001:db8:10::7 > 2001:db8:ff::9",
            "icmpv6 2001:db8:10::7 > 2001:db8:ff::9 type 128",
        ),
        (
            "gre 10.0.0.7 > 198.51.100.9",
            "proto-47 10.0.0.7 > 198.51.100.9 ttl 64",
        ),
        (
            "udp 10.0.0.7:1 > 198.51.100.9:53 payload 'a\"\\x0d'",
            "udp 10.0.0.7:1 > 198.51.100.9:53 payload \"a\\\"\\r\"",
        ),
    ] {
        assert_eq!(parse(short), parse(long), "{short}");
    }
}

#[test]
fn the_canonical_form_is_printed() {
    for text in [
        "lan tcp 10.0.0.7:51000 > 198.51.100.9:21 syn",
        "tcp [2001:db8:10::7]:51000 > [2001:db8:ff:100::21]:21 syn ack seq 7 ack-number 1001",
        "tcp 10.0.0.7:1 > 198.51.100.9:21 no-flags",
        "tcp 10.0.0.7:1 > 198.51.100.9:21 psh ack payload \"PORT 10,0,0,7,200,10\\r\\n\"",
        "wan udp 198.51.100.9:53 > 203.0.113.2:40000 ttl 1 length 100",
        "lan icmp 10.0.0.7 > 198.51.100.9 echo-request id 7 seq 2",
        "lan icmp 10.0.0.7 > 198.51.100.9 type 3 code 1 length 28",
        "icmpv6 2001:db8:10::7 > 2001:db8:ff::9 echo-reply",
        "lan gre 10.0.0.7 > 198.51.100.9",
        "lan sctp 10.0.0.7:36412 > 198.51.100.9:36412 init",
        "wan sctp 198.51.100.9:36412 > 203.0.113.2:36412 data tag 7 payload \"hello\"",
        "sctp [2001:db8::1]:1 > [2001:db8::2]:2 init tag 7",
        "sctp 10.0.0.7:1 > 198.51.100.9:2 cookie-echo tag 1",
        "lan udplite 10.0.0.7:1 > 198.51.100.9:2 length 3",
        "lan proto-132 10.0.0.7 > 198.51.100.9 length 4",
        "lan proto-6 10.0.0.7 > 198.51.100.9 length 4",
        "tcp tcp 10.0.0.7:1 > 198.51.100.9:21 syn",
        "dmz-2 proto-89 10.0.0.7 > 198.51.100.9",
    ] {
        assert_eq!(parse(text).to_string(), text);
    }
}

#[test]
fn mistakes_are_underlined_and_name_what_was_expected() {
    for (text, underlined, message) in [
        ("", "", "expected a zone or a protocol"),
        (
            "lan tpc 10.0.0.7:1 > 198.51.100.9:21",
            "tpc",
            "expected a protocol: tcp, udp, icmp, icmpv6, sctp, udplite, gre, esp, ah or proto-N; did you mean `tcp`?",
        ),
        (
            "upd 10.0.0.7:1 > 198.51.100.9:21",
            "upd",
            "expected a protocol: tcp, udp, icmp, icmpv6, sctp, udplite, gre, esp, ah or proto-N; did you mean `udp`?",
        ),
        (
            "proto-256 10.0.0.7 > 198.51.100.9",
            "proto-256",
            "expected a protocol number from 0 to 255",
        ),
        (
            "la/n tcp 10.0.0.7:1 > 198.51.100.9:21",
            "la/n",
            "expected the name of a zone",
        ),
        (
            "tcp 10.0.0.7 > 198.51.100.9:21",
            "10.0.0.7",
            "expected an address with a port, as 192.0.2.1:80 or [2001:db8::1]:80",
        ),
        ("tcp 10.0.0.7:1", "", "expected `>` and the destination"),
        (
            "tcp 10.0.0.7:1 198.51.100.9:21",
            "198.51.100.9:21",
            "expected `>` and the destination",
        ),
        (
            "tcp 10.0.0.7:1 > [2001:db8::9]:21",
            "[2001:db8::9]:21",
            "expected an IPv4 address, like the source",
        ),
        (
            "icmp 10.0.0.7:1 > 198.51.100.9",
            "10.0.0.7:1",
            "expected an address without a port",
        ),
        (
            "icmpv6 10.0.0.7 > 198.51.100.9",
            "10.0.0.7",
            "expected an IPv6 address",
        ),
        (
            "sctp 10.0.0.7:1 > 198.51.100.9:2 init abort",
            "abort",
            "a second chunk",
        ),
        (
            "sctp 10.0.0.7:1 > 198.51.100.9:2 innit",
            "innit",
            "expected an SCTP chunk or an option; did you mean `init`?",
        ),
        (
            "tcp 10.0.0.7:1 > 198.51.100.9:21 syn syn",
            "syn",
            "a second `syn`",
        ),
        (
            "tcp 10.0.0.7:1 > 198.51.100.9:21 no-flags ack",
            "ack",
            "expected no flag beside `no-flags`",
        ),
        (
            "udp 10.0.0.7:1 > 198.51.100.9:53 syn",
            "syn",
            "expected an option",
        ),
        (
            "udp 10.0.0.7:1 > 198.51.100.9:53 ttl 256",
            "256",
            "expected a number from 0 to 255",
        ),
        (
            "udp 10.0.0.7:1 > 198.51.100.9:53 length 1 payload \"x\"",
            "payload",
            "a second payload",
        ),
        (
            "icmp 10.0.0.7 > 198.51.100.9 echo-reply type 3",
            "type",
            "a second type",
        ),
        (
            "icmp 10.0.0.7 > 198.51.100.9 echo-requets",
            "echo-requets",
            "expected an ICMP query or an option; did you mean `echo-request`?",
        ),
        (
            "udp 10.0.0.7:1 > 198.51.100.9:53 payload \"x",
            "\"x",
            "expected a closing quote",
        ),
        (
            "udp 10.0.0.7:1 > 198.51.100.9:53 payload x",
            "x",
            "expected a text in quotes",
        ),
        (
            "udp 10.0.0.7:1 > 198.51.100.9:53 payload \"a\\q\"",
            "\\q",
            "expected an escape: \\r \\n \\t \\0 \\\\ \\\" \\' or \\xNN",
        ),
        (
            "udp 10.0.0.7:1 > 198.51.100.9:53 \"x\"",
            "\"",
            "expected an option",
        ),
    ] {
        let error = text.parse::<PacketExpression>().unwrap_err();
        assert_eq!(&text[error.span()], underlined, "{error}");
        assert_eq!(error.message(), message, "{error}");
    }
}

#[test]
fn the_caret_stands_under_its_place_behind_letters_of_several_bytes() {
    let error = "zürich tcp 10.0.0.7 > x\ny".parse::<PacketExpression>();
    assert_eq!(
        error.unwrap_err().to_string(),
        "column 12: expected an address with a port, as 192.0.2.1:80 or [2001:db8::1]:80\n  \
           zürich tcp 10.0.0.7 > x y\n             ^^^^^^^^"
    );
}

#[test]
fn too_much_payload_is_refused() {
    let packet = format!(
        "udp 10.0.0.7:1 > 198.51.100.9:53 length {}",
        MAX_PAYLOAD + 1
    );
    assert!(packet.parse::<PacketExpression>().is_err());
    let text = "x".repeat(usize::from(MAX_PAYLOAD) + 1);
    let packet = format!("udp 10.0.0.7:1 > 198.51.100.9:53 payload \"{text}\"");
    assert!(packet.parse::<PacketExpression>().is_err());
}

#[test]
fn the_packet_of_an_expression_has_what_it_says() {
    let packet = parse(
        "tcp 10.0.0.7:51000 > 198.51.100.9:21 psh ack seq 9 ack-number 8 ttl 3 payload 'QUIT\\r\\n'",
    );
    let bytes = packet.packet.build();
    let sliced = SlicedPacket::from_ip(&bytes).unwrap();
    let Some(NetSlice::Ipv4(ip)) = sliced.net else {
        panic!("no IPv4")
    };
    assert_eq!(ip.header().source_addr(), Ipv4Addr::new(10, 0, 0, 7));
    assert_eq!(ip.header().ttl(), 3);
    let Some(TransportSlice::Tcp(tcp)) = sliced.transport else {
        panic!("no TCP")
    };
    assert!(tcp.psh() && tcp.ack() && !tcp.syn());
    assert_eq!((tcp.sequence_number(), tcp.acknowledgment_number()), (9, 8));
    assert_eq!(tcp.destination_port(), 21);
    assert_eq!(tcp.payload(), b"QUIT\r\n");
}

#[test]
fn the_tuple_of_a_packet_opens_the_same_session() {
    for text in [
        "tcp 10.0.0.7:51000 > 198.51.100.9:21 syn",
        "udp [2001:db8::7]:53 > [2001:db8::9]:53",
        "icmp 10.0.0.7 > 198.51.100.9 echo-request id 7",
        "icmpv6 2001:db8::7 > 2001:db8::9 echo-request",
        "gre 10.0.0.7 > 198.51.100.9",
    ] {
        let packet = parse(text).packet;
        assert_eq!(PacketSpec::opening(&packet.tuple()), Some(packet));
    }
    let mut mixed: Tuple = parse("gre 10.0.0.7 > 198.51.100.9").packet.tuple();
    mixed.source.address = Ipv6Addr::LOCALHOST.into();
    assert_eq!(PacketSpec::opening(&mixed), None);
}

fn addresses() -> impl Strategy<Value = Addresses> {
    prop_oneof![
        any::<[Ipv4Addr; 2]>().prop_map(|[source, destination]| Addresses::V4 {
            source,
            destination
        }),
        any::<[Ipv6Addr; 2]>().prop_map(|[source, destination]| Addresses::V6 {
            source,
            destination
        }),
    ]
}

fn transport() -> impl Strategy<Value = Transport> {
    prop_oneof![
        any::<(u16, u16, u8, u32, u32)>().prop_map(|(from, to, flags, seq, ack)| Transport::Tcp {
            source: Port(from),
            destination: Port(to),
            flags: TcpFlags(flags),
            seq: SeqNumber(seq),
            ack_number: SeqNumber(ack),
        }),
        any::<(u16, u16)>().prop_map(|(from, to)| Transport::Udp {
            source: Port(from),
            destination: Port(to),
        }),
        (0..160_u8, 0..3_u8, 0..3_u16, 0..3_u16).prop_map(|(message_type, code, id, seq)| {
            Transport::Icmp(IcmpMessage {
                message_type,
                code,
                id,
                seq,
            })
        }),
        any::<(u16, u16)>().prop_map(|(from, to)| Transport::UdpLite {
            source: Port(from),
            destination: Port(to),
        }),
        (
            any::<(u16, u16)>(),
            prop::sample::select(ChunkType::WORDS.to_vec()),
            1_u32..9,
        )
            .prop_map(|((from, to), (chunk, _), tag)| Transport::Sctp(SctpPacket {
                source: Port(from),
                destination: Port(to),
                chunk,
                tag: Some(VerificationTag(tag)).filter(|tag| tag.0 > 1),
            })),
        any::<u8>().prop_map(|number| Transport::Other(Protocol(number))),
    ]
}

fn payload() -> impl Strategy<Value = Payload> {
    prop_oneof![
        Just(Payload::EMPTY),
        (0..=MAX_PAYLOAD).prop_map(|count| Payload::zeros(count).unwrap()),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(|b| Payload::bytes(b).unwrap()),
        "[ -~]{0,40}".prop_map(|text| Payload::bytes(text).unwrap()),
    ]
}

prop_compose! {
    fn packets()(
        addresses in addresses(),
        transport in transport(),
        ttl in any::<u8>(),
        payload in payload(),
    ) -> PacketSpec {
        PacketSpec { addresses, transport, ttl, payload }
    }
}

proptest! {
    #[test]
    fn what_is_printed_is_read_back(zone in "([a-zA-Z0-9_.-]{1,9})?", packet in packets()) {
        let zone = Some(zone).filter(|zone| !zone.is_empty());
        let expression = PacketExpression { zone, packet };
        let text = expression.to_string();
        prop_assert_eq!(text.parse(), Ok(expression), "{}", text);
    }

    #[test]
    fn every_packet_has_right_lengths_and_checksums(packet in packets()) {
        let bytes = packet.build();
        let payload = packet.payload.to_vec();
        let is_sctp = matches!(packet.transport, Transport::Sctp(_));
        let padding = if is_sctp { payload.len().next_multiple_of(4) - payload.len() } else { 0 };
        prop_assert!(bytes[..bytes.len() - padding].ends_with(&payload));
        let sliced = etherparse::IpSlice::from_slice(&bytes);
        // etherparse wants to read extension headers, which `proto-N` does not write.
        if let Transport::Other(_) = packet.transport {
            let header = if matches!(packet.addresses, Addresses::V4 { .. }) { 20 } else { 40 };
            prop_assert_eq!(bytes.len(), header + payload.len());
            return Ok(());
        }
        let sliced = sliced.unwrap();
        prop_assert_eq!(sliced.payload_ip_number().0, packet.protocol().0);
        prop_assert_eq!(sliced.source_addr(), packet.addresses.source());
        let body = sliced.payload().payload;
        if let etherparse::IpSlice::Ipv4(ip) = &sliced {
            let header = ip.header().to_header();
            prop_assert_eq!(header.header_checksum, header.calc_header_checksum());
        }
        if is_sctp {
            // Written little-endian, and computed without itself.
            let blank = [&body[..8], &[0; 4], &body[12..]].concat();
            prop_assert_eq!(&body[8..12], &crc32c::crc32c(&blank).to_le_bytes());
            prop_assert!(spigate::packet::Headers::read(&bytes, false).is_ok());
            return Ok(());
        }
        // RFC 1071: with the checksum in place, the sum over all is zero.
        let sum = match (packet.addresses, packet.transport) {
            (Addresses::V4 { .. }, Transport::Icmp(_)) => pnet_packet::util::checksum(body, 9999),
            (Addresses::V4 { source, destination }, _) => pnet_packet::util::ipv4_checksum(
                body, 9999, &[], &source, &destination,
                pnet_packet::ip::IpNextHeaderProtocol(packet.protocol().0),
            ),
            (Addresses::V6 { source, destination }, _) => pnet_packet::util::ipv6_checksum(
                body, 9999, &[], &source, &destination,
                pnet_packet::ip::IpNextHeaderProtocol(packet.protocol().0),
            ),
        };
        prop_assert_eq!(sum, 0);
    }

    #[test]
    fn no_text_makes_a_panic(text in "\\PC{0,60}") {
        if let Err(error) = text.parse::<PacketExpression>() {
            prop_assert!(text.get(error.span()).is_some());
            prop_assert_eq!(error.to_string().lines().count(), 3);
        }
    }

    #[test]
    fn no_damaged_expression_makes_a_panic(packet in packets(), at in 0_usize..200, new in any::<char>()) {
        let mut text: Vec<char> = packet.to_string().chars().collect();
        if let Some(c) = text.get_mut(at) {
            *c = new;
        }
        let text: String = text.into_iter().collect();
        if let Err(error) = text.parse::<PacketExpression>() {
            prop_assert!(text.get(error.span()).is_some());
            prop_assert_eq!(error.to_string().lines().count(), 3);
        }
    }
}
