//! The same packets, read by etherparse: what it accepts strictly, we read
//! alike.

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use proptest::prelude::*;
use spigate::packet::{Headers, Transport};

use super::any_packet::{Content, content, two_pairs};

/// What two readers can agree about.
#[derive(Debug, PartialEq, Eq)]
struct Reading {
    protocol: u8,
    ports: (u16, u16),
    length: usize,
    transport_at: usize,
    /// Of a TCP segment: header and payload.
    tcp: Option<(usize, usize)>,
}

fn ours(bytes: &[u8]) -> Option<Reading> {
    let headers = Headers::read(bytes, false).ok()?;
    let (ports, tcp) = match headers.transport {
        Transport::Tcp(tcp) => {
            let ports = (tcp.source.0, tcp.destination.0);
            (ports, Some((tcp.length, tcp.payload)))
        }
        Transport::Udp(source, destination) => ((source.0, destination.0), None),
        _ => return None,
    };
    Some(Reading {
        protocol: headers.protocol.0,
        ports,
        length: headers.length,
        transport_at: headers.transport_at,
        tcp,
    })
}

/// `None` where etherparse finds neither TCP nor UDP, or anything wrong.
fn etherparses(bytes: &[u8]) -> Option<Reading> {
    let sliced = SlicedPacket::from_ip(bytes).ok()?;
    let (protocol, payload, length) = match sliced.net? {
        NetSlice::Ipv4(ip) => {
            // We do not look behind an authentication header.
            ip.extensions().auth.is_none().then_some(())?;
            let length = usize::from(ip.header().total_len());
            (ip.payload().ip_number, ip.payload().payload, length)
        }
        NetSlice::Ipv6(ip) => {
            let length = usize::from(ip.header().payload_length());
            // etherparse takes a length of zero for "as long as the slice".
            (length > 0).then_some(())?;
            let walked = [0u8, 43, 44, 60];
            let chain = ip.extensions().clone().into_iter();
            let known = chain.count() <= 8;
            let first = ip.header().next_header().0;
            let plain = first == ip.payload().ip_number.0;
            (plain || (known && walked.contains(&first))).then_some(())?;
            (ip.payload().ip_number, ip.payload().payload, length + 40)
        }
        NetSlice::Arp(_) => return None,
    };
    let (ports, tcp) = match sliced.transport? {
        TransportSlice::Tcp(tcp) => (
            (tcp.source_port(), tcp.destination_port()),
            Some((tcp.header_slice().len(), tcp.payload().len())),
        ),
        TransportSlice::Udp(udp) => ((udp.source_port(), udp.destination_port()), None),
        _ => return None,
    };
    Some(Reading {
        protocol: protocol.0,
        ports,
        length,
        transport_at: length - payload.len(),
        tcp,
    })
}

proptest! {
    #[test]
    fn etherparse_and_we_read_every_whole_packet_alike(
        content in content().prop_filter("TCP or UDP", Content::is_known_to_etherparse),
        (ends, _) in two_pairs(),
    ) {
        let bytes = content.between(&ends).bytes();
        prop_assert!(ours(&bytes).is_some());
        prop_assert_eq!(ours(&bytes), etherparses(&bytes));
    }

    #[test]
    fn what_etherparse_accepts_of_damaged_packets_we_read_alike(
        content in content(),
        (ends, _) in two_pairs(),
        damage in proptest::collection::vec((0usize..80, any::<u8>()), 0..6),
        length in proptest::option::of(0usize..160),
    ) {
        let mut bytes = content.between(&ends).bytes();
        for (at, octet) in damage {
            if let Some(place) = bytes.get_mut(at) {
                *place = octet;
            }
        }
        if let Some(length) = length {
            bytes.resize(length, 0xa5);
        }
        if let Some(theirs) = etherparses(&bytes) {
            prop_assert_eq!(ours(&bytes), Some(theirs));
        }
    }

    #[test]
    fn no_octets_make_reading_panic(
        first in prop_oneof![Just(0x45u8), Just(0x4f), Just(0x60), any::<u8>()],
        rest in proptest::collection::vec(any::<u8>(), 0..200),
        cut in any::<bool>(),
    ) {
        let mut bytes = vec![first];
        bytes.extend(rest);
        if let Ok(headers) = Headers::read(&bytes, cut) {
            let _ = headers.verify_checksums(&bytes);
            prop_assert!(headers.transport_at <= headers.length);
            prop_assert!(cut || headers.length <= bytes.len());
            let _ = spigate::packet::quoted(&bytes, &headers);
        }
    }
}
