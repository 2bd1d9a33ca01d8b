//! What hosts send besides TCP, UDP and ICMP: SCTP and UDP-Lite, with sums of
//! their own, and the same sums for what leaves.

use super::packets::{Packet, endpoint, protocol};

/// An SCTP packet with these chunks.
pub(crate) fn sctp(source: &str, destination: &str, tag: u32, chunks: &[Vec<u8>]) -> Packet {
    let mut bytes = ports(source, destination);
    bytes.extend(tag.to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(chunks.concat());
    let sum = crc32c(&bytes).to_le_bytes();
    bytes[8..12].copy_from_slice(&sum);
    protocol(132, source, destination).data(bytes)
}

/// A chunk, padded.
pub(crate) fn chunk(kind: u8, flags: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap().to_be_bytes();
    let mut bytes = [&[kind, flags, length[0], length[1]], value].concat();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// An INIT whose sender wants to be addressed with this tag.
pub(crate) fn init(tag: u32) -> Vec<u8> {
    chunk(1, 0, &of_init(tag))
}

pub(crate) fn init_ack(tag: u32) -> Vec<u8> {
    chunk(2, 0, &of_init(tag))
}

fn of_init(tag: u32) -> Vec<u8> {
    let streams = [0, 0, 0xff, 0xff, 0, 1, 0, 1, 0, 0, 0, 1];
    [&tag.to_be_bytes()[..], &streams].concat()
}

pub(crate) fn cookie_echo() -> Vec<u8> {
    chunk(10, 0, b"a cookie")
}

pub(crate) fn cookie_ack() -> Vec<u8> {
    chunk(11, 0, b"")
}

pub(crate) fn data(text: &str) -> Vec<u8> {
    chunk(0, 3, &[&[0; 12], text.as_bytes()].concat())
}

pub(crate) fn heartbeat() -> Vec<u8> {
    chunk(4, 0, b"are you there?")
}

pub(crate) fn heartbeat_ack() -> Vec<u8> {
    chunk(5, 0, b"are you there?")
}

pub(crate) fn abort() -> Vec<u8> {
    chunk(6, 0, b"")
}

pub(crate) fn shutdown() -> Vec<u8> {
    chunk(7, 0, &[0; 4])
}

pub(crate) fn shutdown_ack() -> Vec<u8> {
    chunk(8, 0, b"")
}

pub(crate) fn shutdown_complete() -> Vec<u8> {
    chunk(14, 0, b"")
}

/// A UDP-Lite datagram whose checksum covers so many octets; 0: all.
pub(crate) fn udplite(
    source: &str,
    destination: &str,
    coverage: u16,
    data: impl AsRef<[u8]>,
) -> Packet {
    let mut bytes = ports(source, destination);
    bytes.extend(coverage.to_be_bytes());
    bytes.extend([0; 2]);
    bytes.extend(data.as_ref());
    let ends = [source, destination].map(|end| match endpoint(end).ip() {
        std::net::IpAddr::V4(address) => address.octets().to_vec(),
        std::net::IpAddr::V6(address) => address.octets().to_vec(),
    });
    let sum = udplite_sum(&ends.concat(), &bytes);
    bytes[6..8].copy_from_slice(&sum.to_be_bytes());
    protocol(136, source, destination).data(bytes)
}

fn ports(source: &str, destination: &str) -> Vec<u8> {
    let ports = [source, destination].map(|end| endpoint(end).port().to_be_bytes());
    ports.concat()
}

/// The checksum of a UDP-Lite datagram between these addresses (RFC 3828),
/// whatever stands in its field.
pub(crate) fn udplite_sum(addresses: &[u8], datagram: &[u8]) -> u16 {
    let length = u32::try_from(datagram.len()).unwrap().to_be_bytes();
    let coverage = usize::from(u16::from_be_bytes([datagram[4], datagram[5]]));
    let covered = match coverage {
        0 => datagram,
        some => &datagram[..some],
    };
    let mut all = [addresses, &length, &[0, 0, 0, 136], covered].concat();
    let at = addresses.len() + 8 + 6;
    all[at..at + 2].fill(0);
    match pnet_packet::util::checksum(&all, usize::MAX) {
        0 => 0xffff,
        sum => sum,
    }
}

/// CRC32c bit by bit, as RFC 9260 appendix A describes it.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    let shift =
        |register: u32, _: i32| (register >> 1) ^ (0x82f6_3b78 & (register & 1).wrapping_neg());
    !bytes.iter().fold(!0u32, |register, octet| {
        (0..8).fold(register ^ u32::from(*octet), shift)
    })
}
