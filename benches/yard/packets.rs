//! Making packets: TCP and UDP over both versions of IP, checksums included.

use std::net::{IpAddr, SocketAddr};

/// What is in a packet besides its sockets and its payload.
#[derive(Clone, Copy)]
pub(crate) enum Transport<'a> {
    Tcp {
        flags: u8,
        seq: u32,
        ack: u32,
        options: &'a [u8],
    },
    Udp,
}

/// Whether the transport's checksum is made, or left to the hardware.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checksum {
    Complete,
    Partial,
}

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Flags of a TCP header.
pub(crate) const SYN: u8 = 0x02;
pub(crate) const PSH: u8 = 0x08;
pub(crate) const ACK: u8 = 0x10;

/// The window that every segment offers.
const WINDOW: u16 = 0xffff;

/// A packet of exactly `length` octets, whose payload fills it.
pub(crate) fn write(
    frame: &mut Vec<u8>,
    (source, destination): (SocketAddr, SocketAddr),
    transport: Transport<'_>,
    length: usize,
    checksum: Checksum,
) {
    frame.clear();
    let (protocol, field) = match transport {
        Transport::Tcp { .. } => (TCP, 16),
        Transport::Udp => (UDP, 6),
    };
    let ip_header = if source.is_ipv4() { 20 } else { 40 };
    write_ip(frame, (source.ip(), destination.ip()), protocol, length);
    assert_eq!(frame.len(), ip_header);
    frame.extend_from_slice(&source.port().to_be_bytes());
    frame.extend_from_slice(&destination.port().to_be_bytes());
    let mut salt = 0;
    match transport {
        Transport::Tcp {
            flags,
            seq,
            ack,
            options,
        } => {
            salt = seq;
            frame.extend_from_slice(&seq.to_be_bytes());
            frame.extend_from_slice(&ack.to_be_bytes());
            let words = u8::try_from(5 + options.len() / 4).expect("options fit");
            frame.extend_from_slice(&[words << 4, flags]);
            frame.extend_from_slice(&WINDOW.to_be_bytes());
            frame.extend_from_slice(&[0; 4]);
            frame.extend_from_slice(options);
        }
        Transport::Udp => {
            let length = u16::try_from(length - ip_header).expect("it fits");
            frame.extend_from_slice(&length.to_be_bytes());
            frame.extend_from_slice(&[0; 2]);
        }
    }
    let payload = length.checked_sub(frame.len()).expect("the headers fit");
    frame.extend((0..payload).map(|n| (n as u32 ^ salt) as u8));
    let segment = &frame[ip_header..];
    let mut sum = pseudo_header(&frame[..ip_header], protocol, segment.len());
    if checksum == Checksum::Complete {
        sum = !folded(u64::from(sum) + sum_of(segment));
    }
    frame[ip_header + field..ip_header + field + 2].copy_from_slice(&sum.to_be_bytes());
}

fn write_ip(frame: &mut Vec<u8>, ends: (IpAddr, IpAddr), protocol: u8, length: usize) {
    let octets = u16::try_from(length).expect("a packet's length");
    match ends {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let [l0, l1] = octets.to_be_bytes();
            // Fragments forbidden, 64 hops to live.
            frame.extend_from_slice(&[0x45, 0, l0, l1, 0, 0, 0x40, 0, 64, protocol, 0, 0]);
            frame.extend_from_slice(&source.octets());
            frame.extend_from_slice(&destination.octets());
            let sum = !folded(sum_of(frame));
            frame[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let [l0, l1] = (octets - 40).to_be_bytes();
            frame.extend_from_slice(&[0x60, 0, 0, 0, l0, l1, protocol, 64]);
            frame.extend_from_slice(&source.octets());
            frame.extend_from_slice(&destination.octets());
        }
        _ => panic!("two families in one packet"),
    }
}

fn pseudo_header(ip_header: &[u8], protocol: u8, length: usize) -> u16 {
    let addresses = if ip_header.len() == 20 {
        &ip_header[12..]
    } else {
        &ip_header[8..]
    };
    folded(sum_of(addresses) + u64::from(protocol) + length as u64)
}

fn sum_of(octets: &[u8]) -> u64 {
    let (words, rest) = octets.as_chunks::<2>();
    let sum: u64 = words
        .iter()
        .map(|word| u64::from(u16::from_be_bytes(*word)))
        .sum();
    sum + rest.first().map_or(0, |last| u64::from(*last) << 8)
}

fn folded(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// The source and the destination of a packet as they stand in it, for a
/// packet over IPv4 without options.
pub(crate) fn tuple_of(frame: &[u8]) -> [u8; 12] {
    frame[12..24].try_into().expect("two addresses, two ports")
}
