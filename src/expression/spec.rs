//! A packet as an expression describes it: plain values, from which bytes and
//! words are made.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::net::{
    ChunkType, Endpoint, IcmpQuery, Port, Protocol, SeqNumber, TcpFlags, Tuple, VerificationTag,
};

/// The longest payload: what is left of 65,535 bytes behind the longest headers
/// that there are, IPv4, SCTP and an INIT chunk, in whole words of four.
pub const MAX_PAYLOAD: u16 = 65_480;

/// A packet to be built.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PacketSpec {
    /// From whom to whom.
    pub addresses: Addresses,
    /// What it carries.
    pub transport: Transport,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// What is behind the transport's header.
    pub payload: Payload,
}

/// Source and destination, of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Addresses {
    /// IPv4.
    V4 {
        /// Who sends.
        source: Ipv4Addr,
        /// Who is to have it.
        destination: Ipv4Addr,
    },
    /// IPv6.
    V6 {
        /// Who sends.
        source: Ipv6Addr,
        /// Who is to have it.
        destination: Ipv6Addr,
    },
}

/// The transport's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// A TCP segment without options.
    Tcp {
        /// The sender's port.
        source: Port,
        /// The receiver's port.
        destination: Port,
        /// Its flags.
        flags: TcpFlags,
        /// Sequence number.
        seq: SeqNumber,
        /// Acknowledgement number.
        ack_number: SeqNumber,
    },
    /// A UDP datagram.
    Udp {
        /// The sender's port.
        source: Port,
        /// The receiver's port.
        destination: Port,
    },
    /// A UDP-Lite datagram, whose checksum covers it all.
    UdpLite {
        /// The sender's port.
        source: Port,
        /// The receiver's port.
        destination: Port,
    },
    /// An SCTP packet with one chunk.
    Sctp(SctpPacket),
    /// ICMP or ICMPv6, by the addresses' family.
    Icmp(IcmpMessage),
    /// No header: the payload follows the IP header.
    Other(Protocol),
}

/// The headers of an SCTP packet with one chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SctpPacket {
    /// The sender's port.
    pub source: Port,
    /// The receiver's port.
    pub destination: Port,
    /// The type of its chunk.
    pub chunk: ChunkType,
    /// The verification tag; `None`: as usual with such a chunk.
    pub tag: Option<VerificationTag>,
}

/// The header of an ICMP or ICMPv6 message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IcmpMessage {
    /// Its type.
    pub message_type: u8,
    /// Its code.
    pub code: u8,
    /// The identifier of a query: bytes 5 and 6.
    pub id: u16,
    /// The sequence number of a query: bytes 7 and 8.
    pub seq: u16,
}

/// What a packet carries behind its headers: at most [`MAX_PAYLOAD`] bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Payload(pub(super) Content);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Content {
    Zeros(u16),
    Bytes(Vec<u8>),
}

impl PacketSpec {
    /// The default time to live.
    pub const TTL: u8 = 64;

    /// A packet that opens the session of this tuple: SYN for TCP, INIT for SCTP. `None` if
    /// its addresses are of two families.
    #[must_use]
    pub fn opening(tuple: &Tuple) -> Option<Self> {
        let addresses = Addresses::new(tuple.source.address, tuple.destination.address)?;
        let (source, destination) = (tuple.source.port, tuple.destination.port);
        let transport = match tuple.protocol {
            Protocol::TCP => Transport::tcp(source, destination, TcpFlags::SYN),
            Protocol::UDP => Transport::Udp {
                source,
                destination,
            },
            Protocol::UDPLITE => Transport::UdpLite {
                source,
                destination,
            },
            Protocol::SCTP => Transport::Sctp(SctpPacket::init(source, destination)),
            protocol if protocol == addresses.icmp() => {
                let [message_type, _] = destination.0.to_be_bytes();
                Transport::Icmp(IcmpMessage {
                    id: source.0,
                    ..IcmpMessage::new(protocol, message_type)
                })
            }
            protocol => Transport::Other(protocol),
        };
        Some(Self::new(addresses, transport))
    }

    /// A packet without payload and with the default time to live.
    #[must_use]
    pub fn new(addresses: Addresses, transport: Transport) -> Self {
        Self {
            addresses,
            transport,
            ttl: Self::TTL,
            payload: Payload::EMPTY,
        }
    }

    /// The protocol number in the IP header.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        match self.transport {
            Transport::Tcp { .. } => Protocol::TCP,
            Transport::Udp { .. } => Protocol::UDP,
            Transport::UdpLite { .. } => Protocol::UDPLITE,
            Transport::Sctp(_) => Protocol::SCTP,
            Transport::Icmp(_) => self.addresses.icmp(),
            Transport::Other(protocol) => protocol,
        }
    }

    /// By what its session is known; an ICMP message that is no query has no
    /// identifier there, only its type.
    #[must_use]
    pub fn tuple(&self) -> Tuple {
        let (source, destination) = match self.transport {
            Transport::Tcp {
                source,
                destination,
                ..
            }
            | Transport::Udp {
                source,
                destination,
            }
            | Transport::UdpLite {
                source,
                destination,
            }
            | Transport::Sctp(SctpPacket {
                source,
                destination,
                ..
            }) => (source, destination),
            Transport::Icmp(message) => {
                let of_type = Port(u16::from_be_bytes([message.message_type, 0]));
                match IcmpQuery::from_type(self.protocol(), message.message_type) {
                    Some(query) => (Port(message.id), query.as_port()),
                    None => (Port(0), of_type),
                }
            }
            Transport::Other(_) => (Port(0), Port(0)),
        };
        Tuple::new(
            self.protocol(),
            Endpoint::new(self.addresses.source(), source),
            Endpoint::new(self.addresses.destination(), destination),
        )
    }
}

impl Addresses {
    /// Both, if they are of one family.
    #[must_use]
    pub fn new(source: IpAddr, destination: IpAddr) -> Option<Self> {
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => Some(Self::V4 {
                source,
                destination,
            }),
            (IpAddr::V6(source), IpAddr::V6(destination)) => Some(Self::V6 {
                source,
                destination,
            }),
            _ => None,
        }
    }

    /// Who sends.
    #[must_use]
    pub fn source(self) -> IpAddr {
        match self {
            Self::V4 { source, .. } => source.into(),
            Self::V6 { source, .. } => source.into(),
        }
    }

    /// Who is to have it.
    #[must_use]
    pub fn destination(self) -> IpAddr {
        match self {
            Self::V4 { destination, .. } => destination.into(),
            Self::V6 { destination, .. } => destination.into(),
        }
    }

    /// The ICMP of this family.
    pub(super) fn icmp(self) -> Protocol {
        match self {
            Self::V4 { .. } => Protocol::ICMP,
            Self::V6 { .. } => Protocol::ICMPV6,
        }
    }
}

impl Transport {
    /// A segment with these flags and all numbers zero.
    #[must_use]
    pub fn tcp(source: Port, destination: Port, flags: TcpFlags) -> Self {
        Self::Tcp {
            source,
            destination,
            flags,
            seq: SeqNumber(0),
            ack_number: SeqNumber(0),
        }
    }
}

impl SctpPacket {
    /// The first packet of an association.
    #[must_use]
    pub fn init(source: Port, destination: Port) -> Self {
        Self {
            source,
            destination,
            chunk: ChunkType::INIT,
            tag: None,
        }
    }

    /// The tag that it carries.
    #[must_use]
    pub fn verification_tag(&self) -> VerificationTag {
        match self.chunk {
            ChunkType::INIT => self.tag.unwrap_or(VerificationTag::NONE),
            _ => self.tag.unwrap_or(VerificationTag(1)),
        }
    }
}

impl IcmpMessage {
    /// A message of this type; one of a query has identifier and sequence
    /// number 1.
    #[must_use]
    pub fn new(protocol: Protocol, message_type: u8) -> Self {
        let query = IcmpQuery::from_type(protocol, message_type);
        let number = u16::from(query.is_some());
        Self {
            message_type,
            code: 0,
            id: number,
            seq: number,
        }
    }
}

impl Payload {
    /// None.
    pub const EMPTY: Self = Self(Content::Zeros(0));

    /// So many zeros, if that is not more than [`MAX_PAYLOAD`].
    #[must_use]
    pub fn zeros(count: u16) -> Option<Self> {
        (count <= MAX_PAYLOAD).then_some(Self(Content::Zeros(count)))
    }

    /// These bytes, if they are not more than [`MAX_PAYLOAD`].
    #[must_use]
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Option<Self> {
        let bytes = bytes.into();
        (bytes.len() <= usize::from(MAX_PAYLOAD)).then_some(Self(Content::Bytes(bytes)))
    }

    /// The bytes themselves.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        match &self.0 {
            Content::Zeros(count) => vec![0; usize::from(*count)],
            Content::Bytes(bytes) => bytes.clone(),
        }
    }
}
