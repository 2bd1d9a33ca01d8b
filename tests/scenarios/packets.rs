//! What hosts send. Built by etherparse, independently of the engine's own
//! reading and writing.

use std::net::{IpAddr, SocketAddr};

use etherparse::{
    IpHeaders, IpNumber, Ipv4Header, Ipv4Options, Ipv6Extensions, Ipv6Header, PacketBuilder,
    PacketBuilderStep, TcpHeader, TcpOptionElement,
};

/// Something that can be put on the wire.
pub(crate) trait Frame {
    fn frame(&self) -> Vec<u8>;
}

impl Frame for Vec<u8> {
    fn frame(&self) -> Vec<u8> {
        self.clone()
    }
}

impl Frame for &[u8] {
    fn frame(&self) -> Vec<u8> {
        self.to_vec()
    }
}

impl Frame for Packet {
    fn frame(&self) -> Vec<u8> {
        self.bytes()
    }
}

/// A packet as its sender means it.
#[derive(Debug, Clone)]
pub(crate) struct Packet {
    source: SocketAddr,
    destination: SocketAddr,
    ttl: u8,
    identification: u16,
    options: Vec<u8>,
    extensions: Ipv6Extensions,
    body: Body,
    payload: Vec<u8>,
}

#[derive(Debug, Clone)]
enum Body {
    Tcp(TcpHeader),
    Udp { summed: bool },
    Icmp { kind: u8, code: u8, rest: [u8; 4] },
    Other(u8),
}

/// Reads `10.0.0.7:51000`, `[2001:db8::1]:80`, or an address alone.
pub(crate) fn endpoint(text: &str) -> SocketAddr {
    text.parse()
        .or_else(|_| {
            text.parse::<IpAddr>()
                .map(|address| SocketAddr::new(address, 0))
        })
        .unwrap_or_else(|_| panic!("{text} is no endpoint"))
}

fn packet(source: &str, destination: &str, body: Body) -> Packet {
    Packet {
        source: endpoint(source),
        destination: endpoint(destination),
        ttl: 64,
        identification: 0x1234,
        options: Vec::new(),
        extensions: Ipv6Extensions::default(),
        body,
        payload: Vec::new(),
    }
}

/// A TCP segment without flags.
pub(crate) fn tcp(source: &str, destination: &str) -> Packet {
    let header = TcpHeader::new(
        endpoint(source).port(),
        endpoint(destination).port(),
        1000,
        64_000,
    );
    packet(source, destination, Body::Tcp(header))
}

/// A UDP datagram.
pub(crate) fn udp(source: &str, destination: &str) -> Packet {
    packet(source, destination, Body::Udp { summed: true }).data(b"a question")
}

/// An echo request with this identifier.
pub(crate) fn echo(source: &str, destination: &str, identifier: u16) -> Packet {
    query(source, destination, identifier, [8, 128])
}

/// The reply to it.
pub(crate) fn echo_reply(source: &str, destination: &str, identifier: u16) -> Packet {
    query(source, destination, identifier, [0, 129])
}

fn query(source: &str, destination: &str, identifier: u16, kinds: [u8; 2]) -> Packet {
    let kind = kinds[usize::from(endpoint(source).is_ipv6())];
    icmp(source, destination, kind, 0)
        .rest([identifier.to_be_bytes(), 7u16.to_be_bytes()].concat())
        .data(b"abcdefgh")
}

/// Any ICMP or ICMPv6 message.
pub(crate) fn icmp(source: &str, destination: &str, kind: u8, code: u8) -> Packet {
    let rest = [0; 4];
    packet(source, destination, Body::Icmp { kind, code, rest })
}

/// A packet of another protocol.
pub(crate) fn protocol(number: u8, source: &str, destination: &str) -> Packet {
    packet(source, destination, Body::Other(number)).data(b"\0\0\x08\0tunnelled")
}

impl Packet {
    fn header(&mut self) -> &mut TcpHeader {
        match &mut self.body {
            Body::Tcp(header) => header,
            other => panic!("{other:?} has no TCP header"),
        }
    }

    pub(crate) fn syn(mut self) -> Self {
        self.header().syn = true;
        self
    }

    pub(crate) fn fin(mut self) -> Self {
        self.header().fin = true;
        self
    }

    pub(crate) fn rst(mut self) -> Self {
        self.header().rst = true;
        self
    }

    pub(crate) fn psh(mut self) -> Self {
        self.header().psh = true;
        self
    }

    pub(crate) fn urg(mut self) -> Self {
        self.header().urg = true;
        self
    }

    /// The reserved bit beside the data offset, and both ECN bits.
    pub(crate) fn ecn(mut self) -> Self {
        let header = self.header();
        (header.ns, header.ece, header.cwr) = (true, true, true);
        self
    }

    pub(crate) fn seq(mut self, number: u32) -> Self {
        self.header().sequence_number = number;
        self
    }

    /// Sets ACK with this number.
    pub(crate) fn ack(mut self, number: u32) -> Self {
        self.header().ack = true;
        self.header().acknowledgment_number = number;
        self
    }

    /// The window as its field says it, not scaled.
    pub(crate) fn window(mut self, window: u16) -> Self {
        self.header().window_size = window;
        self
    }

    /// Selective acknowledgements, behind two NOPs as stacks send them.
    pub(crate) fn sack(mut self, blocks: &[(u32, u32)]) -> Self {
        let mut more = [None; 3];
        for (place, block) in more.iter_mut().zip(&blocks[1..]) {
            *place = Some(*block);
        }
        let elements = [
            TcpOptionElement::Noop,
            TcpOptionElement::Noop,
            TcpOptionElement::SelectiveAcknowledgement(blocks[0], more),
        ];
        self.header().set_options(&elements).unwrap();
        self
    }

    /// TCP options as octets.
    pub(crate) fn tcp_options(mut self, raw: &[u8]) -> Self {
        self.header().set_options_raw(raw).unwrap();
        self
    }

    pub(crate) fn data(mut self, payload: impl AsRef<[u8]>) -> Self {
        self.payload = payload.as_ref().to_vec();
        self
    }

    pub(crate) fn ttl(mut self, ttl: u8) -> Self {
        self.ttl = ttl;
        self
    }

    /// IPv4 options as octets.
    pub(crate) fn ip_options(mut self, raw: &[u8]) -> Self {
        self.options = raw.to_vec();
        self
    }

    /// IPv6 extension headers.
    pub(crate) fn extensions(mut self, extensions: Ipv6Extensions) -> Self {
        self.extensions = extensions;
        self
    }

    /// A UDP datagram without checksum.
    pub(crate) fn unsummed(mut self) -> Self {
        self.body = Body::Udp { summed: false };
        self
    }

    /// The second four octets of an ICMP message.
    pub(crate) fn rest(mut self, octets: impl AsRef<[u8]>) -> Self {
        if let Body::Icmp { rest, .. } = &mut self.body {
            rest.copy_from_slice(octets.as_ref());
        }
        self
    }

    /// The packet that an ICMP error is about, as its reporter saw it.
    pub(crate) fn quoting(self, packet: &[u8]) -> Self {
        self.data(packet)
    }

    fn ip(&self) -> PacketBuilderStep<IpHeaders> {
        match (self.source.ip(), self.destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let (source, destination) = (source.octets(), destination.octets());
                let mut header =
                    Ipv4Header::new(0, self.ttl, IpNumber::TCP, source, destination).unwrap();
                header.identification = self.identification;
                header.options = Ipv4Options::try_from(&self.options[..]).unwrap();
                PacketBuilder::ip(IpHeaders::Ipv4(header, Default::default()))
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let header = Ipv6Header {
                    hop_limit: self.ttl,
                    source: source.octets(),
                    destination: destination.octets(),
                    ..Ipv6Header::default()
                };
                PacketBuilder::ip(IpHeaders::Ipv6(header, self.extensions.clone()))
            }
            _ => panic!("{} and {} do not meet", self.source, self.destination),
        }
    }

    /// The packet from its IP header on, with all its checksums.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let (ip, payload) = (self.ip(), &self.payload[..]);
        let mut bytes = Vec::new();
        let ports = (self.source.port(), self.destination.port());
        match &self.body {
            Body::Tcp(header) => ip
                .tcp_header(header.clone())
                .write(&mut bytes, payload)
                .unwrap(),
            Body::Udp { summed } => {
                ip.udp(ports.0, ports.1).write(&mut bytes, payload).unwrap();
                if !summed {
                    let at = bytes.len() - payload.len() - 2;
                    bytes[at..at + 2].fill(0);
                }
            }
            Body::Icmp { kind, code, rest } if self.source.is_ipv4() => ip
                .icmpv4_raw(*kind, *code, *rest)
                .write(&mut bytes, payload)
                .unwrap(),
            Body::Icmp { kind, code, rest } => ip
                .icmpv6_raw(*kind, *code, *rest)
                .write(&mut bytes, payload)
                .unwrap(),
            Body::Other(number) => ip.write(&mut bytes, IpNumber(*number), payload).unwrap(),
        }
        bytes
    }
}

/// Puts the header checksum of an IPv4 packet right after its header was
/// changed by hand.
pub(crate) fn resummed(mut bytes: Vec<u8>) -> Vec<u8> {
    let length = usize::from(bytes[0] & 0x0f) * 4;
    bytes[10..12].fill(0);
    let sum = pnet_packet::util::checksum(&bytes[..length], 5);
    bytes[10..12].copy_from_slice(&sum.to_be_bytes());
    bytes
}
