//! Bytes of both families: headers with anything in them, transports with
//! right checksums, pieces; and what the comparison reads of a packet.

use std::net::{IpAddr, SocketAddr};

use super::packets::checksum;

pub(crate) const ICMP: u8 = 1;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const ICMPV6: u8 = 58;
const FRAGMENT: u8 = 44;

/// An IP header, right unless it is made wrong.
#[derive(Debug, Clone)]
pub(crate) struct Ip {
    pub(crate) from: IpAddr,
    pub(crate) to: IpAddr,
    /// TOS, or traffic class.
    pub(crate) class: u8,
    pub(crate) ttl: u8,
    pub(crate) id: u16,
    pub(crate) dont_fragment: bool,
    /// IPv4 options, a multiple of four octets.
    pub(crate) options: Vec<u8>,
    /// IPv6 extension headers: the number of each, and all of it behind its
    /// first octet.
    pub(crate) extensions: Vec<(u8, Vec<u8>)>,
}

impl Ip {
    pub(crate) fn new(from: IpAddr, to: IpAddr) -> Self {
        Self {
            from,
            to,
            class: 0,
            ttl: 64,
            id: 0x1234,
            dont_fragment: false,
            options: Vec::new(),
            extensions: Vec::new(),
        }
    }

    /// A packet with this header around a transport.
    pub(crate) fn carrying(&self, (protocol, transport): (u8, Vec<u8>)) -> Vec<u8> {
        let mut bytes = Vec::new();
        match (self.from, self.to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let header = 20 + self.options.len();
                bytes.extend([0x40 | octet(header / 4), self.class]);
                bytes.extend(length(header + transport.len()));
                bytes.extend(self.id.to_be_bytes());
                let flags = if self.dont_fragment { 0x40 } else { 0 };
                bytes.extend([flags, 0, self.ttl, protocol, 0, 0]);
                bytes.extend(from.octets());
                bytes.extend(to.octets());
                bytes.extend(&self.options);
                bytes.extend(transport);
                summed(bytes)
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                let numbers = self.extensions.iter().map(|(number, _)| *number);
                let numbers: Vec<u8> = numbers.chain([protocol]).collect();
                let mut payload = Vec::new();
                for ((_, body), next) in self.extensions.iter().zip(&numbers[1..]) {
                    payload.push(*next);
                    payload.extend(body);
                }
                payload.extend(transport);
                bytes.extend([0x60 | self.class >> 4, self.class << 4, 0, 0]);
                bytes.extend(length(payload.len()));
                bytes.extend([numbers[0], self.ttl]);
                bytes.extend(from.octets());
                bytes.extend(to.octets());
                bytes.extend(payload);
                bytes
            }
            _ => panic!("two families in one packet"),
        }
    }
}

/// An IPv4 packet with the right header checksum; another as it is.
pub(crate) fn summed(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes[0] >> 4 == 4 {
        bytes[10..12].fill(0);
        let sum = checksum(&bytes[..header_length(&bytes)]);
        bytes[10..12].copy_from_slice(&sum.to_be_bytes());
    }
    bytes
}

pub(crate) fn udp(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> (u8, Vec<u8>) {
    let mut bytes = ports(from, to);
    bytes.extend(length(8 + payload.len()));
    bytes.extend([0; 2]);
    bytes.extend(payload);
    let sum = match transport_sum(from.ip(), to.ip(), UDP, &bytes) {
        0 => 0xffff,
        sum => sum,
    };
    bytes[6..8].copy_from_slice(&sum.to_be_bytes());
    (UDP, bytes)
}

/// Flags, sequence and acknowledgement number; no options.
pub(crate) fn tcp(
    from: SocketAddr,
    to: SocketAddr,
    (flags, seq, ack): (u8, u32, u32),
    payload: &[u8],
) -> (u8, Vec<u8>) {
    let mut bytes = ports(from, to);
    bytes.extend(seq.to_be_bytes());
    bytes.extend(ack.to_be_bytes());
    bytes.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    bytes.extend(payload);
    let sum = transport_sum(from.ip(), to.ip(), TCP, &bytes);
    bytes[16..18].copy_from_slice(&sum.to_be_bytes());
    (TCP, bytes)
}

/// A segment without payload, with options of a multiple of four octets.
pub(crate) fn tcp_with(
    from: SocketAddr,
    to: SocketAddr,
    (flags, seq, ack): (u8, u32, u32),
    options: &[u8],
) -> (u8, Vec<u8>) {
    let (protocol, mut bytes) = tcp(from, to, (flags, seq, ack), options);
    bytes[12] += octet(options.len() / 4) << 4;
    bytes[16..18].fill(0);
    let sum = transport_sum(from.ip(), to.ip(), TCP, &bytes);
    bytes[16..18].copy_from_slice(&sum.to_be_bytes());
    (protocol, bytes)
}

/// Type and code, the four octets behind the checksum, the rest.
pub(crate) fn icmp(
    from: IpAddr,
    to: IpAddr,
    (kind, code): (u8, u8),
    four: [u8; 4],
    rest: &[u8],
) -> (u8, Vec<u8>) {
    let mut bytes = vec![kind, code, 0, 0];
    bytes.extend(four);
    bytes.extend(rest);
    let protocol = if from.is_ipv4() { ICMP } else { ICMPV6 };
    let sum = transport_sum(from, to, protocol, &bytes);
    bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    (protocol, bytes)
}

fn ports(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    [from.port().to_be_bytes(), to.port().to_be_bytes()].concat()
}

/// The checksum of a transport whose own field is zero.
pub(crate) fn transport_sum(from: IpAddr, to: IpAddr, protocol: u8, bytes: &[u8]) -> u16 {
    let octets = |address| match address {
        IpAddr::V4(address) => std::net::Ipv4Addr::octets(&address).to_vec(),
        IpAddr::V6(address) => std::net::Ipv6Addr::octets(&address).to_vec(),
    };
    let pseudo = match protocol {
        ICMP => Vec::new(),
        _ => {
            let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
            let end = [&length[..], &[0, 0, 0, protocol]].concat();
            [octets(from), octets(to), end].concat()
        }
    };
    checksum(&[&pseudo[..], bytes].concat())
}

/// One piece of a packet: from `start` to `end` of what is behind its header.
pub(crate) fn piece(packet: &[u8], (start, end): (usize, usize), more: bool, id: u32) -> Vec<u8> {
    let header = header_length(packet);
    piece_of(
        packet,
        &packet[header + start..header + end],
        start,
        more,
        id,
    )
}

/// A piece that carries any payload at any place.
pub(crate) fn piece_of(
    packet: &[u8],
    payload: &[u8],
    start: usize,
    more: bool,
    id: u32,
) -> Vec<u8> {
    let header = header_length(packet);
    let mut bytes = packet[..header].to_vec();
    let place = u16::try_from(start).unwrap();
    if packet[0] >> 4 == 4 {
        bytes.extend(payload);
        let total = length(bytes.len());
        bytes[2..4].copy_from_slice(&total);
        bytes[4..6].copy_from_slice(&u16::try_from(id & 0xffff).unwrap().to_be_bytes());
        let kept = u16::from(bytes[6] & 0xc0) << 8;
        let field = kept | (u16::from(more) << 13) | (place / 8);
        bytes[6..8].copy_from_slice(&field.to_be_bytes());
        return summed(bytes);
    }
    bytes.extend([bytes[6], 0]);
    bytes[6] = FRAGMENT;
    bytes.extend((place & 0xfff8 | u16::from(more)).to_be_bytes());
    bytes.extend(id.to_be_bytes());
    bytes.extend(payload);
    let total = length(bytes.len() - 40);
    bytes[4..6].copy_from_slice(&total);
    bytes
}

/// The length of the IP header, without IPv6 extension headers.
pub(crate) fn header_length(packet: &[u8]) -> usize {
    match packet[0] >> 4 {
        4 => usize::from(packet[0] & 0x0f) * 4,
        _ => 40,
    }
}

/// The same header, without IPv6 extension headers, before another payload.
pub(crate) fn with_payload(packet: &[u8], payload: &[u8]) -> Vec<u8> {
    let header = header_length(packet);
    let mut bytes = [&packet[..header], payload].concat();
    let (field, counted) = match bytes[0] >> 4 {
        4 => (2..4, bytes.len()),
        _ => (4..6, payload.len()),
    };
    bytes[field].copy_from_slice(&length(counted));
    summed(bytes)
}

fn octet(n: usize) -> u8 {
    u8::try_from(n).unwrap()
}

fn length(n: usize) -> [u8; 2] {
    u16::try_from(n).unwrap().to_be_bytes()
}

/// What the comparison reads of a packet that is no piece.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Read {
    pub(crate) from: IpAddr,
    pub(crate) to: IpAddr,
    pub(crate) protocol: u8,
    /// Where the transport begins.
    pub(crate) at: usize,
}

/// Reads a header (also a quoted one); `None` for what is too short.
pub(crate) fn read(bytes: &[u8]) -> Option<Read> {
    let word = |at: usize| {
        bytes
            .get(at..at + 4)
            .map(|b| <[u8; 4]>::try_from(b).unwrap())
    };
    let long = |at: usize| {
        bytes
            .get(at..at + 16)
            .map(|b| <[u8; 16]>::try_from(b).unwrap())
    };
    if bytes.first()? >> 4 == 4 {
        return Some(Read {
            from: word(12)?.into(),
            to: word(16)?.into(),
            protocol: *bytes.get(9)?,
            at: header_length(bytes),
        });
    }
    let (mut next, mut at) = (*bytes.get(6)?, 40);
    while matches!(next, 0 | 43 | 44 | 60) {
        let size = match next {
            FRAGMENT => 8,
            _ => (usize::from(*bytes.get(at + 1)?) + 1) * 8,
        };
        next = *bytes.get(at)?;
        at += size;
    }
    Some(Read {
        from: long(8)?.into(),
        to: long(24)?.into(),
        protocol: next,
        at,
    })
}

/// Whether an ICMP message of this type quotes a packet.
pub(crate) fn quotes(protocol: u8, kind: u8) -> bool {
    match protocol {
        ICMP => matches!(kind, 3 | 4 | 5 | 11 | 12),
        ICMPV6 => kind < 128,
        _ => false,
    }
}

/// An IPv6 packet that has a fragment header behind its header without it.
pub(crate) fn without_fragment_header(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.len() < 48 || bytes[0] >> 4 != 6 || bytes[6] != FRAGMENT {
        return None;
    }
    let mut plain = [&bytes[..40], &bytes[48..]].concat();
    plain[6] = bytes[40];
    let total = length(plain.len() - 40);
    plain[4..6].copy_from_slice(&total);
    Some(plain)
}
