//! Captures and packets, made and read: etherparse is the second opinion to
//! what the program's own packet code wrote.

use std::net::{IpAddr, SocketAddr, SocketAddrV4};
use std::path::Path;

use etherparse::{LaxNetSlice, LaxSlicedPacket, PacketBuilder, TransportSlice};
use spigate::capture::{CaptureReader, PcapWriter, Resolution, strip_link};
use spigate::engine::Extent;
use spigate::net::Timestamp;

/// 2026-03-01T09:00:00Z: when the recordings begin, and what is made here too.
pub(crate) const NINE: u64 = 1_772_355_600;

/// An IP packet of a capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) time: Timestamp,
    pub(crate) bytes: Vec<u8>,
    /// How long it was before the snap length cut it.
    pub(crate) length: u32,
}

impl Packet {
    /// A whole one, so many seconds after nine o'clock.
    pub(crate) fn at(seconds: u64, bytes: Vec<u8>) -> Self {
        let length = u32::try_from(bytes.len()).unwrap();
        Self {
            time: Timestamp::from_secs(NINE + seconds),
            bytes,
            length,
        }
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.bytes.len() < self.length as usize
    }

    pub(crate) fn addresses(&self) -> [IpAddr; 2] {
        let packet = LaxSlicedPacket::from_ip(&self.bytes).unwrap();
        let (source, destination, _) = network(&packet);
        [source, destination]
    }
}

/// The IP packets of a capture.
pub(crate) fn packets(path: &str) -> Vec<Packet> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let read = |captured: Result<_, _>| {
        let captured: spigate::capture::CapturedPacket = captured.unwrap();
        let ip = strip_link(captured.link, &captured.data, captured.original_length).unwrap();
        let length = match ip.extent {
            Extent::Whole => u32::try_from(ip.bytes.len()).unwrap(),
            Extent::Cut => captured.original_length - u32::try_from(ip.at).unwrap(),
        };
        Packet {
            time: captured.time,
            bytes: ip.bytes.to_vec(),
            length,
        }
    };
    CaptureReader::open(path).unwrap().map(read).collect()
}

/// Several captures as one, as it would have been taken where all of them pass.
pub(crate) fn merged(files: &[&str]) -> Vec<Packet> {
    let mut all: Vec<_> = files.iter().flat_map(|file| packets(file)).collect();
    all.sort_by_key(|packet| packet.time);
    all
}

/// Packets as a pcap file of link type RAW.
pub(crate) fn raw_pcap(packets: &[Packet]) -> Vec<u8> {
    let mut writer = PcapWriter::new("made by a test", Vec::new(), Resolution::Micros).unwrap();
    for packet in packets {
        writer
            .write(packet.time, &packet.bytes, packet.length)
            .unwrap();
    }
    writer.finish().unwrap()
}

/// Packets as a pcap file of any link type; `frame` puts its header before one.
pub(crate) fn pcap(link: u32, packets: &[Packet], frame: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let words = |words: &[u32]| -> Vec<u8> {
        let bytes = words.iter().map(|word| word.to_le_bytes());
        bytes.flatten().collect()
    };
    let mut file = words(&[0xa1b2_c3d4, 2 | (4 << 16), 0, 0, 262_144, link]);
    for packet in packets {
        let framed = frame(&packet.bytes);
        let micros = packet.time.as_nanos() / 1000;
        let header = framed.len() - packet.bytes.len();
        let record = [
            micros / 1_000_000,
            micros % 1_000_000,
            framed.len() as u64,
            u64::from(packet.length) + header as u64,
        ];
        file.extend(words(&record.map(|word| u32::try_from(word).unwrap())));
        file.extend(framed);
    }
    file
}

/// An untagged Ethernet frame.
pub(crate) fn ethernet(ip: &[u8]) -> Vec<u8> {
    let ether_type: [u8; 2] = if ip[0] >> 4 == 6 {
        [0x86, 0xdd]
    } else {
        [0x08, 0x00]
    };
    [&[2; 12], &ether_type[..], ip].concat()
}

fn ends(source: &str, destination: &str) -> [SocketAddrV4; 2] {
    [source, destination].map(|end| end.parse().unwrap())
}

/// A UDP datagram over IPv4.
pub(crate) fn udp(source: &str, destination: &str, payload: &[u8]) -> Vec<u8> {
    let [source, destination] = ends(source, destination);
    let mut packet = Vec::new();
    PacketBuilder::ipv4(source.ip().octets(), destination.ip().octets(), 64)
        .udp(source.port(), destination.port())
        .write(&mut packet, payload)
        .unwrap();
    packet
}

/// A TCP SYN over IPv4.
pub(crate) fn syn(source: &str, destination: &str) -> Vec<u8> {
    let [source, destination] = ends(source, destination);
    let mut packet = Vec::new();
    PacketBuilder::ipv4(source.ip().octets(), destination.ip().octets(), 64)
        .tcp(source.port(), destination.port(), 1000, 64_000)
        .syn()
        .write(&mut packet, &[])
        .unwrap();
    packet
}

/// A TCP segment over IPv4 that acknowledges what came before.
pub(crate) fn segment_of(
    (source, destination): (&str, &str),
    (seq, ack): (u32, u32),
    payload: &[u8],
) -> Vec<u8> {
    let [source, destination] = ends(source, destination);
    let mut packet = Vec::new();
    PacketBuilder::ipv4(source.ip().octets(), destination.ip().octets(), 64)
        .tcp(source.port(), destination.port(), seq, 64_000)
        .ack(ack)
        .write(&mut packet, payload)
        .unwrap();
    packet
}

/// The SYN of [`syn`], answered.
pub(crate) fn syn_ack(source: &str, destination: &str, seq: u32) -> Vec<u8> {
    let [source, destination] = ends(source, destination);
    let mut packet = Vec::new();
    PacketBuilder::ipv4(source.ip().octets(), destination.ip().octets(), 64)
        .tcp(source.port(), destination.port(), seq, 64_000)
        .syn()
        .ack(1001)
        .write(&mut packet, &[])
        .unwrap();
    packet
}

/// An echo request over IPv4.
pub(crate) fn echo_request(source: [u8; 4], destination: [u8; 4]) -> Vec<u8> {
    let mut packet = Vec::new();
    PacketBuilder::ipv4(source, destination, 64)
        .icmpv4_echo_request(7, 1)
        .write(&mut packet, b"ping")
        .unwrap();
    packet
}

/// A TCP segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) time: Timestamp,
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    pub(crate) seq: u32,
    pub(crate) ack: Option<u32>,
    /// How much of the sequence space it takes, SYN and FIN included.
    pub(crate) takes: u32,
    pub(crate) begins: bool,
    /// What of its payload the capture holds.
    pub(crate) payload: Vec<u8>,
}

impl Segment {
    /// The sequence number behind it: what acknowledges it.
    pub(crate) fn end(&self) -> u32 {
        self.seq.wrapping_add(self.takes)
    }
}

/// The TCP segments among packets.
pub(crate) fn segments(packets: &[Packet]) -> Vec<Segment> {
    packets.iter().filter_map(segment).collect()
}

fn segment(packet: &Packet) -> Option<Segment> {
    let sliced = LaxSlicedPacket::from_ip(&packet.bytes).unwrap();
    let (source, destination, header) = network(&sliced);
    let Some(TransportSlice::Tcp(tcp)) = &sliced.transport else {
        return None;
    };
    let headers = u32::try_from(header + tcp.header_slice().len()).unwrap();
    let flags = u32::from(tcp.syn()) + u32::from(tcp.fin());
    Some(Segment {
        time: packet.time,
        source: (source, tcp.source_port()).into(),
        destination: (destination, tcp.destination_port()).into(),
        seq: tcp.sequence_number(),
        ack: tcp.ack().then(|| tcp.acknowledgment_number()),
        takes: packet.length - headers + flags,
        begins: tcp.syn(),
        payload: tcp.payload().to_vec(),
    })
}

/// Source, destination, and the length of the IP header.
fn network(packet: &LaxSlicedPacket<'_>) -> (IpAddr, IpAddr, usize) {
    match packet.net.as_ref().unwrap() {
        LaxNetSlice::Ipv4(ip) => {
            let header = ip.header();
            let [source, destination] = [header.source_addr(), header.destination_addr()];
            (source.into(), destination.into(), header.slice().len())
        }
        LaxNetSlice::Ipv6(ip) => {
            let header = ip.header();
            let [source, destination] = [header.source_addr(), header.destination_addr()];
            (source.into(), destination.into(), header.slice().len())
        }
        LaxNetSlice::Arp(_) => panic!("ARP is no IP packet"),
    }
}

/// Looks over every checksum of a packet that is all there; the IP header's of
/// one that was cut.
#[track_caller]
pub(crate) fn assert_checksums(packet: &Packet) {
    let sliced = LaxSlicedPacket::from_ip(&packet.bytes).unwrap();
    if let Some(LaxNetSlice::Ipv4(ip)) = &sliced.net {
        let header = ip.header().to_header();
        assert_eq!(header.header_checksum, header.calc_header_checksum());
    }
    if packet.is_cut() {
        return;
    }
    let addresses = packet.addresses();
    match (sliced.transport.as_ref().unwrap(), addresses) {
        (TransportSlice::Tcp(tcp), [IpAddr::V4(source), IpAddr::V4(destination)]) => {
            let right = tcp.calc_checksum_ipv4(source.octets(), destination.octets());
            assert_eq!(tcp.checksum(), right.unwrap());
        }
        (TransportSlice::Tcp(tcp), [IpAddr::V6(source), IpAddr::V6(destination)]) => {
            let right = tcp.calc_checksum_ipv6(source.octets(), destination.octets());
            assert_eq!(tcp.checksum(), right.unwrap());
        }
        (TransportSlice::Udp(udp), [IpAddr::V4(source), IpAddr::V4(destination)]) => {
            let header = udp.to_header();
            let right =
                header.calc_checksum_ipv4_raw(source.octets(), destination.octets(), udp.payload());
            assert_eq!(udp.checksum(), right.unwrap());
        }
        (TransportSlice::Icmpv4(icmp), _) => {
            let right = icmp.icmp_type().calc_checksum(icmp.payload());
            assert_eq!(icmp.checksum(), right);
        }
        (TransportSlice::Icmpv6(icmp), [IpAddr::V6(source), IpAddr::V6(destination)]) => {
            assert!(icmp.is_checksum_valid(source.octets(), destination.octets()));
        }
        (other, _) => panic!("nothing here knows the checksum of {other:?}"),
    }
}

/// A packet without what every hop changes, and its hops left.
pub(crate) fn apart_from_hops(packet: &Packet) -> (Vec<u8>, u8) {
    let mut bytes = packet.bytes.clone();
    let hops = match bytes[0] >> 4 {
        4 => {
            bytes[10..12].fill(0);
            std::mem::take(&mut bytes[8])
        }
        _ => std::mem::take(&mut bytes[7]),
    };
    (bytes, hops)
}
