//! What leaves the firewall, read by etherparse as strictly as it can: every
//! length and every checksum has to be right.

use std::net::IpAddr;

use etherparse::{
    IpSlice, Ipv4Slice, Ipv6Slice, SlicedPacket, TcpHeader, TransportSlice, ip_number,
};

use super::other_packets::{crc32c, udplite_sum};

/// A packet on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) bytes: Vec<u8>,
    /// Address with port or identifier where it has one: `10.0.0.7:51000`.
    pub(crate) source: String,
    /// Address with port where it has one.
    pub(crate) destination: String,
    pub(crate) ttl: u8,
    pub(crate) body: Body,
}

/// What is behind the IP header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Body {
    Tcp(TcpHeader, Vec<u8>),
    Udp(Vec<u8>),
    Icmp(u8, u8, Vec<u8>),
    Other(u8),
}

/// Whether checksums count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sums {
    Right,
    Unread,
}

impl Seen {
    /// Reads a packet.
    ///
    /// # Panics
    /// When anything about it is wrong.
    pub(crate) fn read(bytes: &[u8], sums: Sums) -> Self {
        let sliced = SlicedPacket::from_ip(bytes)
            .unwrap_or_else(|error| panic!("{error}\n{}", hex::encode(bytes)));
        let (ttl, length, number) = match &sliced.net {
            Some(etherparse::NetSlice::Ipv4(ip)) => {
                if sums == Sums::Right {
                    check_v4_header(ip);
                }
                let header = ip.header();
                (header.ttl(), header.total_len(), ip.payload_ip_number())
            }
            Some(etherparse::NetSlice::Ipv6(ip)) => {
                let header = ip.header();
                let number = ip.payload().ip_number;
                (header.hop_limit(), header.payload_length() + 40, number)
            }
            other => panic!("{other:?} is no IP"),
        };
        assert_eq!(usize::from(length), bytes.len(), "octets behind the packet");
        let (source, destination) = addresses(bytes);
        if sums == Sums::Right {
            check_transport(&sliced, source, destination);
        }
        let with_port =
            |address: IpAddr, port: u16| std::net::SocketAddr::new(address, port).to_string();
        let (source, destination, body) = match &sliced.transport {
            Some(TransportSlice::Tcp(tcp)) => (
                with_port(source, tcp.source_port()),
                with_port(destination, tcp.destination_port()),
                Body::Tcp(tcp.to_header(), tcp.payload().to_vec()),
            ),
            Some(TransportSlice::Udp(udp)) => (
                with_port(source, udp.source_port()),
                with_port(destination, udp.destination_port()),
                Body::Udp(udp.payload().to_vec()),
            ),
            Some(TransportSlice::Icmpv4(icmp)) => {
                let message = icmp.slice();
                let source = match icmp.type_u8() {
                    0 | 8 | 13..=18 => with_port(source, identifier(message)),
                    _ => source.to_string(),
                };
                (source, destination.to_string(), icmp_body(message))
            }
            Some(TransportSlice::Icmpv6(icmp)) => {
                let message = icmp.slice();
                let source = match icmp.type_u8() {
                    128 | 129 => with_port(source, identifier(message)),
                    _ => source.to_string(),
                };
                (source, destination.to_string(), icmp_body(message))
            }
            _ => {
                // etherparse knows neither SCTP nor UDP-Lite, whose ports stand
                // where all have them.
                let at = bytes.len() - transport_length(&sliced);
                let port = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
                let (from, to) = match number.0 {
                    132 | 136 => (
                        with_port(source, port(at)),
                        with_port(destination, port(at + 2)),
                    ),
                    _ => (source.to_string(), destination.to_string()),
                };
                (from, to, Body::Other(number.0))
            }
        };
        Self {
            bytes: bytes.to_vec(),
            source,
            destination,
            ttl,
            body,
        }
    }

    /// The TCP header.
    pub(crate) fn tcp(&self) -> &TcpHeader {
        match &self.body {
            Body::Tcp(header, _) => header,
            other => panic!("{other:?} is no TCP"),
        }
    }

    /// What the packet carries as text.
    pub(crate) fn text(&self) -> String {
        match &self.body {
            Body::Tcp(_, payload) | Body::Udp(payload) => String::from_utf8_lossy(payload).into(),
            other => panic!("{other:?} carries no text"),
        }
    }

    /// The packet that an ICMP error is about, as far as it is quoted.
    pub(crate) fn quote(&self) -> &[u8] {
        match &self.body {
            Body::Icmp(_, _, message) => &message[8..],
            other => panic!("{other:?} quotes nothing"),
        }
    }

    /// The quoted packet read strictly: for quotes that hold all of it.
    pub(crate) fn quoted(&self) -> Self {
        Self::read(self.quote(), Sums::Right)
    }

    /// Everything but what a gateway may change: addresses, ports or
    /// identifier, time to live, and the checksums over them (RFC 3022
    /// section 4.1), also within the quote of an ICMP error.
    pub(crate) fn kept(&self) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        mask(&mut bytes);
        bytes
    }
}

fn identifier(message: &[u8]) -> u16 {
    u16::from_be_bytes([message[4], message[5]])
}

fn icmp_body(message: &[u8]) -> Body {
    Body::Icmp(message[0], message[1], message.to_vec())
}

fn addresses(bytes: &[u8]) -> (IpAddr, IpAddr) {
    let ip = IpSlice::from_slice(bytes).expect("an IP packet");
    (ip.source_addr(), ip.destination_addr())
}

fn check_v4_header(ip: &Ipv4Slice<'_>) {
    // Over the octets themselves: etherparse's sum knows no reserved bit.
    let header = ip.header();
    let right = pnet_packet::util::checksum(header.slice(), 5);
    assert_eq!(header.header_checksum(), right, "IPv4 header checksum");
}

fn check_transport(sliced: &SlicedPacket<'_>, source: IpAddr, destination: IpAddr) {
    match &sliced.transport {
        Some(TransportSlice::Tcp(tcp)) => {
            let right = match (source, destination) {
                (IpAddr::V4(s), IpAddr::V4(d)) => tcp.calc_checksum_ipv4(s.octets(), d.octets()),
                (IpAddr::V6(s), IpAddr::V6(d)) => tcp.calc_checksum_ipv6(s.octets(), d.octets()),
                _ => unreachable!("one family"),
            };
            assert_eq!(tcp.checksum(), right.unwrap(), "TCP checksum");
        }
        // RFC 768: zero means that the sender made none.
        Some(TransportSlice::Udp(udp)) if udp.checksum() == 0 => {}
        Some(TransportSlice::Udp(udp)) => {
            let header = udp.to_header();
            let right = match (source, destination) {
                (IpAddr::V4(s), IpAddr::V4(d)) => {
                    header.calc_checksum_ipv4_raw(s.octets(), d.octets(), udp.payload())
                }
                (IpAddr::V6(s), IpAddr::V6(d)) => {
                    header.calc_checksum_ipv6_raw(s.octets(), d.octets(), udp.payload())
                }
                _ => unreachable!("one family"),
            };
            assert_eq!(udp.checksum(), right.unwrap(), "UDP checksum");
        }
        Some(TransportSlice::Icmpv4(icmp)) => {
            // etherparse's own sum goes through its typed messages; pnet's
            // goes over the octets.
            let right = pnet_packet::util::checksum(icmp.slice(), 1);
            assert_eq!(icmp.checksum(), right, "ICMP checksum");
        }
        Some(TransportSlice::Icmpv6(icmp)) => {
            let (IpAddr::V6(source), IpAddr::V6(destination)) = (source, destination) else {
                unreachable!("one family");
            };
            let (source, destination) = (source.octets(), destination.octets());
            let right = icmp.is_checksum_valid(source, destination);
            assert!(right, "ICMPv6 checksum");
        }
        _ => {
            let number = match &sliced.net {
                Some(etherparse::NetSlice::Ipv4(ip)) => ip.payload_ip_number(),
                Some(etherparse::NetSlice::Ipv6(ip)) => ip.payload().ip_number,
                _ => return,
            };
            check_other(number.0, transport(sliced), source, destination);
        }
    }
}

/// What is behind the IP headers.
fn transport<'a>(sliced: &SlicedPacket<'a>) -> &'a [u8] {
    match &sliced.net {
        Some(etherparse::NetSlice::Ipv4(ip)) => ip.payload().payload,
        Some(etherparse::NetSlice::Ipv6(ip)) => ip.payload().payload,
        _ => &[],
    }
}

fn transport_length(sliced: &SlicedPacket<'_>) -> usize {
    transport(sliced).len()
}

fn check_other(number: u8, bytes: &[u8], source: IpAddr, destination: IpAddr) {
    match number {
        132 => {
            let sum = bytes[8..12].to_vec();
            let mut blank = bytes.to_vec();
            blank[8..12].fill(0);
            assert_eq!(sum, crc32c(&blank).to_le_bytes(), "SCTP checksum");
        }
        136 => {
            let octets = |address| match address {
                IpAddr::V4(address) => address.octets().to_vec(),
                IpAddr::V6(address) => address.octets().to_vec(),
            };
            let right = udplite_sum(&[octets(source), octets(destination)].concat(), bytes);
            let sum = u16::from_be_bytes([bytes[6], bytes[7]]);
            assert_eq!(sum, right, "UDP-Lite checksum");
        }
        _ => {}
    }
}

/// Blanks out what translation may change in the packet at the start of
/// `bytes`, which a quote may have cut anywhere.
fn mask(bytes: &mut [u8]) {
    let (fields, protocol, at): (&[(usize, usize)], u8, usize) = match bytes[0] >> 4 {
        4 => {
            let header = usize::from(bytes[0] & 0x0f) * 4;
            (&[(8, 9), (10, 20)], bytes[9], header)
        }
        _ => {
            let whole = Ipv6Slice::from_slice(bytes).ok();
            let payload = whole.map(|ip| (ip.payload().ip_number.0, ip.payload().payload.len()));
            let (number, length) = payload.unwrap_or((bytes[6], bytes.len() - 40));
            (&[(7, 40)], number, bytes.len() - length)
        }
    };
    let is_query = |kind: u8| match protocol {
        1 => matches!(kind, 0 | 8 | 13..=18),
        _ => kind >= 128,
    };
    let kind = bytes.get(at).copied().unwrap_or(0);
    let inner: &[(usize, usize)] = match ip_number_of(protocol) {
        ip_number::TCP => &[(0, 4), (16, 18)],
        ip_number::UDP | etherparse::IpNumber(136) => &[(0, 4), (6, 8)],
        etherparse::IpNumber(132) => &[(0, 4), (8, 12)],
        ip_number::ICMP | ip_number::IPV6_ICMP if is_query(kind) => &[(2, 6)],
        ip_number::ICMP | ip_number::IPV6_ICMP => &[(2, 4)],
        _ => &[],
    };
    let within = inner.iter().map(|(start, end)| (at + start, at + end));
    for (start, end) in fields.iter().copied().chain(within) {
        let end = end.min(bytes.len());
        if let Some(field) = bytes.get_mut(start..end) {
            field.fill(0);
        }
    }
    let is_icmp = matches!(
        ip_number_of(protocol),
        ip_number::ICMP | ip_number::IPV6_ICMP
    );
    if is_icmp && !is_query(kind) && bytes.len() > at + 8 + 20 {
        mask(&mut bytes[at + 8..]);
    }
}

fn ip_number_of(protocol: u8) -> etherparse::IpNumber {
    etherparse::IpNumber(protocol)
}
