//! Reading a packet once: every length is checked here and nowhere else.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::bytes::{array_at, u8_at, u16_at};
use super::checksum::Sum;
use super::crc32c;
use super::routing_header::{SummedFor, summed_for};
use super::sctp::{self, Chunks, SctpHeader};
use super::tcp::{self, TcpHeader, TcpOptions};
use crate::net::{Endpoint, Family, IcmpQuery, Port, Protocol, Tuple};

/// What the engine reads of a packet. Offsets hold for the bytes it was read
/// from, and for no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headers {
    /// Who sent it.
    pub source: IpAddr,
    /// Who is to have it.
    pub destination: IpAddr,
    /// The transport protocol, behind all extension headers; in a fragment,
    /// whatever comes behind the fragment header.
    pub protocol: Protocol,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// Length of the whole packet as its IP header says.
    pub length: usize,
    /// Where the transport header begins.
    pub transport_at: usize,
    /// Whether it is a piece of a larger packet.
    pub fragment: Fragment,
    /// The transport header.
    pub transport: Transport,
    /// What stands in the checksum field of the transport: as it is read,
    /// [`Checksum::Complete`]; whoever brought the packet may know better.
    pub checksum: Checksum,
}

/// What stands in the checksum field of a transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Checksum {
    /// The checksum.
    #[default]
    Complete,
    /// The sum of the pseudo-header only, not complemented (of ICMP, which has none:
    /// zero). The rest is left to the hardware, as in Linux's `CHECKSUM_PARTIAL` and with
    /// `VIRTIO_NET_HDR_F_NEEDS_CSUM`. A change of ports or payload does not touch
    /// it, a change of addresses does.
    Partial,
}

/// Whether a packet is a piece of a larger one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fragment {
    /// It is whole.
    No,
    /// The first piece: the transport header begins in it.
    First,
    /// A later piece.
    Later,
}

/// What is behind the IP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp(TcpHeader),
    /// UDP, with both ports.
    Udp(Port, Port),
    /// UDP-Lite, with both ports.
    UdpLite(Port, Port),
    /// SCTP.
    Sctp(SctpHeader),
    /// An ICMP or ICMPv6 message that asks or answers, with its identifier and
    /// its code.
    Query(IcmpQuery, Port, u8),
    /// An ICMP or ICMPv6 error: it quotes another packet.
    Error {
        /// The message type.
        kind: u8,
        /// Its code.
        code: u8,
    },
    /// Any other ICMP or ICMPv6 message.
    Icmp {
        /// The message type.
        kind: u8,
    },
    /// Not read further: another protocol, or a fragment.
    Other,
}

/// Why a packet cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BadPacket {
    /// It is shorter than its headers say, or its lengths contradict each other.
    Length,
    /// Neither IPv4 nor IPv6, or a header that means nothing.
    Header,
    /// The checksum of the IP header is wrong.
    IpChecksum,
    /// The checksum of the transport is wrong.
    TransportChecksum,
}

/// IPv6 extension headers walked before a packet is given up (RFC 8200 knows
/// seven; a longer chain is an attack).
const MAX_EXTENSION_HEADERS: usize = 8;

/// Octets of the transport that an ICMP error quotes at least (RFC 792).
const QUOTED_OCTETS: usize = 8;

/// Length of the fixed part of an IPv6 header.
const IPV6_HEADER: usize = 40;
/// A UDP header.
const UDP_HEADER: usize = 8;

impl Headers {
    /// Reads the packet at the start of `bytes`. Octets behind the length that
    /// its header gives are left aside. `cut` packets may end before that
    /// length: they are read as far as the transport header.
    ///
    /// # Errors
    /// What is wrong with it. Checksums are not looked at here.
    pub fn read(bytes: &[u8], cut: bool) -> Result<Self, BadPacket> {
        match u8_at(bytes, 0).ok_or(BadPacket::Length)? >> 4 {
            4 => Self::read_v4(bytes, cut),
            6 => Self::read_v6(bytes, cut),
            _ => Err(BadPacket::Header),
        }
    }

    fn read_v4(bytes: &[u8], cut: bool) -> Result<Self, BadPacket> {
        let first: [u8; 20] = array_at(bytes, 0).ok_or(BadPacket::Length)?;
        let [
            version,
            _,
            l0,
            l1,
            _,
            _,
            f0,
            f1,
            ttl,
            protocol,
            _,
            _,
            rest @ ..,
        ] = first;
        let [s0, s1, s2, s3, d0, d1, d2, d3] = rest;
        let header = usize::from(version & 0x0f) * 4;
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        if header < 20 || header > length || header > bytes.len() {
            return Err(BadPacket::Length);
        }
        let fragment = fragment(u16::from_be_bytes([f0, f1]) & 0x1fff, f0 & 0x20 != 0);
        Self {
            source: IpAddr::V4(Ipv4Addr::new(s0, s1, s2, s3)),
            destination: IpAddr::V4(Ipv4Addr::new(d0, d1, d2, d3)),
            protocol: Protocol(protocol),
            ttl,
            length,
            transport_at: header,
            fragment,
            transport: Transport::Other,
            checksum: Checksum::Complete,
        }
        .with_transport(bytes, cut)
    }

    fn read_v6(bytes: &[u8], cut: bool) -> Result<Self, BadPacket> {
        const HOP_BY_HOP: u8 = 0;
        const ROUTING: u8 = 43;
        const FRAGMENT: u8 = 44;
        const DESTINATION: u8 = 60;
        let source: [u8; 16] = array_at(bytes, 8).ok_or(BadPacket::Length)?;
        let destination: [u8; 16] = array_at(bytes, 24).ok_or(BadPacket::Length)?;
        let length = IPV6_HEADER + usize::from(u16_at(bytes, 4).ok_or(BadPacket::Length)?);
        let mut next = u8_at(bytes, 6).ok_or(BadPacket::Length)?;
        let mut at = IPV6_HEADER;
        let mut piece = Fragment::No;
        for _ in 0..MAX_EXTENSION_HEADERS {
            let size = match next {
                FRAGMENT => {
                    let field = u16_at(bytes, at + 2).ok_or(BadPacket::Length)?;
                    piece = fragment(field >> 3, field & 1 == 1);
                    8
                }
                HOP_BY_HOP | ROUTING | DESTINATION => {
                    (usize::from(u8_at(bytes, at + 1).ok_or(BadPacket::Length)?) + 1) * 8
                }
                _ => break,
            };
            next = u8_at(bytes, at).ok_or(BadPacket::Length)?;
            at += size;
            if at > length {
                return Err(BadPacket::Length);
            }
            if piece != Fragment::No {
                break;
            }
        }
        if piece == Fragment::No && matches!(next, HOP_BY_HOP | ROUTING | FRAGMENT | DESTINATION) {
            return Err(BadPacket::Header);
        }
        Self {
            source: IpAddr::V6(Ipv6Addr::from(source)),
            destination: IpAddr::V6(Ipv6Addr::from(destination)),
            protocol: Protocol(next),
            ttl: u8_at(bytes, 7).ok_or(BadPacket::Length)?,
            length,
            transport_at: at,
            fragment: piece,
            transport: Transport::Other,
            checksum: Checksum::Complete,
        }
        .with_transport(bytes, cut)
    }

    fn with_transport(mut self, bytes: &[u8], cut: bool) -> Result<Self, BadPacket> {
        let at_hand = self.length.min(bytes.len());
        if at_hand < self.length && !cut {
            return Err(BadPacket::Length);
        }
        if self.fragment != Fragment::No {
            return Ok(self); // the whole datagram says what its transport is
        }
        let segment = bytes
            .get(self.transport_at..at_hand)
            .ok_or(BadPacket::Length)?;
        let length = self.length - self.transport_at;
        self.transport = read_transport(self.protocol, segment, length).ok_or(BadPacket::Length)?;
        Ok(self)
    }

    /// Where the transport's bytes are: from its header to the packet's end.
    #[must_use]
    pub fn transport_range(&self) -> Range<usize> {
        self.transport_at..self.length
    }

    /// Where the payload of a TCP segment or a UDP datagram is; empty for all else.
    #[must_use]
    pub fn payload_range(&self) -> Range<usize> {
        match self.transport {
            Transport::Tcp(tcp) => self.transport_at + tcp.length..self.length,
            Transport::Udp(..) => self.transport_at + UDP_HEADER..self.length,
            _ => self.length..self.length,
        }
    }

    /// The packet's address family.
    #[must_use]
    pub fn family(&self) -> Family {
        Family::of(self.source)
    }

    /// The key by which the packet's session is found. `None` for ICMP
    /// messages that neither ask nor answer: those have no session of their own.
    #[must_use]
    pub fn tuple(&self) -> Option<Tuple> {
        let (source, destination) = match self.transport {
            Transport::Tcp(tcp) => (tcp.source, tcp.destination),
            Transport::Udp(source, destination) | Transport::UdpLite(source, destination) => {
                (source, destination)
            }
            Transport::Sctp(sctp) => (sctp.source, sctp.destination),
            Transport::Query(query, identifier, code) => (identifier, query.with_code(code)),
            Transport::Other if !self.protocol.is_icmp() => (Port(0), Port(0)),
            Transport::Other | Transport::Error { .. } | Transport::Icmp { .. } => return None,
        };
        Some(Tuple::new(
            self.protocol,
            Endpoint::new(self.source, source),
            Endpoint::new(self.destination, destination),
        ))
    }

    /// Whether it is an ICMP redirect (RFC 792). ICMPv6's is no error message
    /// (RFC 4861 section 4.5), and crosses no router.
    #[must_use]
    pub fn is_redirect(&self) -> bool {
        self.protocol == Protocol::ICMP
            && matches!(self.transport, Transport::Error { kind: 5, .. })
    }

    /// Whether it is a UDP datagram over IPv6 without a checksum.
    #[must_use]
    pub fn is_unsummed_in_v6(&self, bytes: &[u8]) -> bool {
        matches!(self.transport, Transport::Udp(..))
            && self.family() == Family::V6
            && u16_at(bytes, self.transport_at + 6) == Some(0)
    }

    /// Whether it is an ICMPv6 message between neighbours, or of multicast
    /// listeners: those belong to no session, and Linux conntrack never looks
    /// for one (`noct_valid_new`).
    #[must_use]
    pub fn is_of_the_link(&self) -> bool {
        self.protocol == Protocol::ICMPV6
            && matches!(
                self.transport,
                Transport::Icmp {
                    kind: 130..=136 | 143
                }
            )
    }

    /// The TCP header, if it is TCP.
    #[must_use]
    pub fn tcp(&self) -> Option<&TcpHeader> {
        match &self.transport {
            Transport::Tcp(tcp) => Some(tcp),
            _ => None,
        }
    }

    /// The chunks of an SCTP packet; none for all else.
    #[must_use]
    pub fn sctp_chunks<'a>(&self, bytes: &'a [u8]) -> Chunks<'a> {
        let from = self.transport_at + sctp::CHUNKS_AT;
        let chunks = match self.transport {
            Transport::Sctp(_) => bytes.get(from..self.length.min(bytes.len())),
            _ => None,
        };
        Chunks::of(chunks.unwrap_or_default())
    }

    /// The options of a TCP segment; none for all else.
    #[must_use]
    pub fn tcp_options(&self, bytes: &[u8]) -> TcpOptions {
        let header = self
            .tcp()
            .and_then(|tcp| bytes.get(self.transport_at..self.transport_at + tcp.length));
        header.map(TcpOptions::read).unwrap_or_default()
    }

    /// The packet with a checksum that was left to the hardware; as it is where its
    /// transport has none that could be, or it is a piece.
    #[must_use]
    pub fn with_partial_checksum(self) -> Self {
        let may_have = matches!(
            self.protocol,
            Protocol::TCP | Protocol::UDP | Protocol::UDPLITE | Protocol::ICMP | Protocol::ICMPV6
        );
        match (self.fragment, may_have) {
            (Fragment::No, true) => Self {
                checksum: Checksum::Partial,
                ..self
            },
            _ => self,
        }
    }

    /// Whether the checksums are right: the IP header's always, the
    /// transport's where all its bytes are there (`bytes` is not cut, and it
    /// is no fragment), it has one, that is complete, and it is known for which
    /// destination it was made.
    ///
    /// # Errors
    /// Which one is wrong.
    pub fn verify_checksums(&self, bytes: &[u8]) -> Result<(), BadPacket> {
        if self.family() == Family::V4 {
            let header = usize::from(u8_at(bytes, 0).ok_or(BadPacket::Length)? & 0x0f) * 4;
            let header = bytes.get(..header).ok_or(BadPacket::Length)?;
            if !Sum::default().over(header).is_intact() {
                return Err(BadPacket::IpChecksum);
            }
        }
        let Some(segment) = bytes.get(self.transport_range()) else {
            return Ok(()); // cut: nothing can be said of the transport
        };
        if self.fragment != Fragment::No || self.checksum == Checksum::Partial {
            return Ok(());
        }
        let destination = match summed_for(bytes, self.transport_at) {
            SummedFor::Destination => self.destination,
            SummedFor::Last(address) => IpAddr::V6(address),
            SummedFor::Unknown => return Ok(()),
        };
        let pseudo_of =
            |length| Sum::default().pseudo_header(self.source, destination, self.protocol, length);
        let pseudo = || pseudo_of(segment.len());
        let sum = match self.protocol {
            // RFC 768: zero means that the sender made none.
            Protocol::UDP if u16_at(segment, 6) == Some(0) => return Ok(()),
            Protocol::UDP => {
                let length = u16_at(segment, 4).map_or(0, usize::from);
                let datagram = segment.get(..length).ok_or(BadPacket::Length)?;
                pseudo_of(length).over(datagram)
            }
            Protocol::UDPLITE => {
                // RFC 3828 section 3.1: there is always one, and nought as its
                // coverage is all.
                if u16_at(segment, 6) == Some(0) {
                    return Err(BadPacket::TransportChecksum);
                }
                pseudo().over(udplite_covered(segment).ok_or(BadPacket::Length)?)
            }
            Protocol::SCTP => {
                let right = crc32c::checksum(segment);
                return match right.as_ref().map(<[u8; 4]>::as_slice)
                    == segment.get(crc32c::CHECKSUM_RANGE)
                {
                    true => Ok(()),
                    false => Err(BadPacket::TransportChecksum),
                };
            }
            Protocol::TCP | Protocol::ICMPV6 => pseudo().over(segment),
            Protocol::ICMP => Sum::default().over(segment),
            _ => return Ok(()),
        };
        if sum.is_intact() {
            Ok(())
        } else {
            Err(BadPacket::TransportChecksum)
        }
    }
}

fn fragment(offset: u16, more: bool) -> Fragment {
    match (offset, more) {
        (0, false) => Fragment::No,
        (0, true) => Fragment::First,
        (_, _) => Fragment::Later,
    }
}

/// What the checksum of a UDP-Lite datagram covers (RFC 3828 section 3.1).
pub(super) fn udplite_covered(datagram: &[u8]) -> Option<&[u8]> {
    match u16_at(datagram, 4)? {
        0 => Some(datagram),
        coverage => datagram.get(..usize::from(coverage)),
    }
}

/// Reads the transport header; `length` is the transport's length as the IP
/// header says.
fn read_transport(protocol: Protocol, segment: &[u8], length: usize) -> Option<Transport> {
    match protocol {
        Protocol::TCP => tcp::read(segment, length).map(Transport::Tcp),
        Protocol::UDP => {
            let datagram = usize::from(u16_at(segment, 4)?);
            u16_at(segment, 6)?;
            if datagram < 8 || datagram > length {
                return None;
            }
            let (source, destination) = (u16_at(segment, 0)?, u16_at(segment, 2)?);
            Some(Transport::Udp(Port(source), Port(destination)))
        }
        Protocol::UDPLITE => {
            let coverage = usize::from(u16_at(segment, 4)?);
            u16_at(segment, 6)?;
            if length < 8 || coverage > length || (1..8).contains(&coverage) {
                return None;
            }
            let (source, destination) = (u16_at(segment, 0)?, u16_at(segment, 2)?);
            Some(Transport::UdpLite(Port(source), Port(destination)))
        }
        Protocol::SCTP => sctp::read(segment, length).map(Transport::Sctp),
        Protocol::ICMP | Protocol::ICMPV6 => {
            let (kind, code) = (u8_at(segment, 0)?, u8_at(segment, 1)?);
            u16_at(segment, 6)?;
            if let Some(query) = IcmpQuery::from_type(protocol, kind) {
                let identifier = Port(u16_at(segment, 4)?);
                return Some(Transport::Query(query, identifier, code));
            }
            if is_error(protocol, kind) {
                return Some(Transport::Error { kind, code });
            }
            Some(Transport::Icmp { kind })
        }
        _ => Some(Transport::Other),
    }
}

/// Whether this message type quotes the packet that it is about: unreachable,
/// source quench, redirect, time exceeded, parameter problem (RFC 792); types
/// below 128 (RFC 4443 section 2.1).
fn is_error(protocol: Protocol, kind: u8) -> bool {
    match protocol {
        Protocol::ICMP => matches!(kind, 3 | 4 | 5 | 11 | 12),
        Protocol::ICMPV6 => kind < 128,
        _ => false,
    }
}

/// A packet as far as an ICMP error quotes it: addresses, and what is there of
/// ports or identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quoted {
    /// The tuple of the quoted packet.
    pub tuple: Tuple,
    /// Where its transport header begins, relative to the quote.
    pub transport_at: usize,
    /// How long its transport was when it was sent, as its IP header says.
    pub length: usize,
}

impl Quoted {
    /// Reads a quote: an IP header and at least the first octets of the
    /// transport (RFC 792: eight).
    ///
    /// # Errors
    /// When it is too short (also where ports could be read from it: a sender
    /// of errors quotes eight octets of them), or quotes a later fragment or an
    /// ICMP error (which nothing may answer with an error, RFC 1122 section
    /// 3.2.2).
    pub fn read(bytes: &[u8]) -> Result<Self, BadPacket> {
        let version = u8_at(bytes, 0).ok_or(BadPacket::Length)? >> 4;
        let (source, destination, protocol, at, end) = match version {
            4 => {
                let header: [u8; 20] = array_at(bytes, 0).ok_or(BadPacket::Length)?;
                let [ihl, _, l0, l1, _, _, f0, f1, _, protocol, _, _, rest @ ..] = header;
                let [s0, s1, s2, s3, d0, d1, d2, d3] = rest;
                if u16::from_be_bytes([f0, f1]) & 0x1fff != 0 {
                    return Err(BadPacket::Header);
                }
                let at = usize::from(ihl & 0x0f) * 4;
                if at < 20 {
                    return Err(BadPacket::Length);
                }
                (
                    IpAddr::V4(Ipv4Addr::new(s0, s1, s2, s3)),
                    IpAddr::V4(Ipv4Addr::new(d0, d1, d2, d3)),
                    Protocol(protocol),
                    at,
                    usize::from(u16::from_be_bytes([l0, l1])),
                )
            }
            6 => {
                let source: [u8; 16] = array_at(bytes, 8).ok_or(BadPacket::Length)?;
                let destination: [u8; 16] = array_at(bytes, 24).ok_or(BadPacket::Length)?;
                let next = u8_at(bytes, 6).ok_or(BadPacket::Length)?;
                (
                    IpAddr::V6(Ipv6Addr::from(source)),
                    IpAddr::V6(Ipv6Addr::from(destination)),
                    Protocol(next),
                    IPV6_HEADER,
                    IPV6_HEADER + u16_at(bytes, 4).map_or(0, usize::from),
                )
            }
            _ => return Err(BadPacket::Header),
        };
        let first: Option<[u8; QUOTED_OCTETS]> = array_at(bytes, at);
        let field = |offset| {
            let port = first.and_then(|octets| u16_at(&octets, offset));
            port.map(Port).ok_or(BadPacket::Length)
        };
        let (from, to) = match protocol {
            _ if protocol.has_ports() => (field(0)?, field(2)?),
            Protocol::ICMP | Protocol::ICMPV6 => {
                let kind = u8_at(bytes, at).ok_or(BadPacket::Length)?;
                let query = IcmpQuery::from_type(protocol, kind).ok_or(BadPacket::Header)?;
                let code = u8_at(bytes, at + 1).ok_or(BadPacket::Length)?;
                (field(4)?, query.with_code(code))
            }
            _ => (Port(0), Port(0)),
        };
        let tuple = Tuple::new(
            protocol,
            Endpoint::new(source, from),
            Endpoint::new(destination, to),
        );
        Ok(Self {
            tuple,
            transport_at: at,
            length: end.saturating_sub(at),
        })
    }
}
