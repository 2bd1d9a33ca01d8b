//! Packets that the gateway makes itself: RST, ICMP errors, echo replies.
//! All of them are slow-path; etherparse builds them.

use std::net::IpAddr;

use etherparse::{
    Icmpv4Type, Icmpv6Type, IpDscp, IpEcn, IpHeaders, Ipv4Header, Ipv6Header, PacketBuilder,
    PacketBuilderStep, icmpv4, icmpv6,
};

use super::bytes::{u8_at, u16_at};
use super::parse::{Fragment, Headers, Transport};
use crate::net::{Port, TcpFlags};

/// Time to live of what the gateway sends, as Linux has it.
const TTL: u8 = 64;

/// An IPv4 error quotes as much as fits into 576 octets (RFC 1812 section 4.3.2.3).
const MAX_V4_ERROR: usize = 576;
/// An IPv6 error quotes as much as fits into the minimum MTU (RFC 4443 section 2.4).
const MAX_V6_ERROR: usize = 1280;

/// What an ICMP error says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Complaint {
    /// No such port, or a rule refused it (what nftables' `reject` says).
    PortUnreachable,
    /// There is no way to that network.
    NoRoute,
    /// There is no way to that host, for now.
    HostUnreachable,
    /// The operator does not allow it.
    Prohibited,
    /// Time to live or hop limit ran out.
    TimeExceeded,
    /// Its pieces did not all come in time.
    ReassemblyTime,
    /// It is too long for the next link, which takes this many octets, and may
    /// not be cut (RFC 1191 section 4, RFC 4443 section 3.2).
    TooBig(u16),
    /// The octet at this place of the header is wrong (RFC 792).
    Parameter(u8),
}

/// Whether the sender of this packet may be told of its fate by an error: not
/// of an error, nor of a later fragment, nor where many would answer at once or
/// nobody is there (RFC 1812 section 4.3.2.7, RFC 4443 section 2.4).
fn may_answer(headers: &Headers) -> bool {
    let one_host = |address: IpAddr| match address {
        // Class E and the broadcast address are among the last.
        IpAddr::V4(a) => !a.is_unspecified() && a.octets() < [224, 0, 0, 0],
        IpAddr::V6(a) => !a.is_multicast() && !a.is_unspecified(),
    };
    let is_error = match headers.transport {
        // An unknown ICMPv6 message below 128 is an error; other types ask.
        Transport::Error { .. } => true,
        Transport::Icmp { .. } => headers.protocol == crate::net::Protocol::ICMP,
        _ => false,
    };
    headers.fragment != Fragment::Later
        && !is_error
        && one_host(headers.source)
        && one_host(headers.destination)
}

/// The IP header of what the gateway sends, with this TOS or traffic class.
pub(super) fn ip(
    source: IpAddr,
    destination: IpAddr,
    class: u8,
) -> Option<PacketBuilderStep<IpHeaders>> {
    let header = match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let header = Ipv4Header {
                dscp: IpDscp::try_new(class >> 2).ok()?,
                ecn: IpEcn::try_new(class & 3).ok()?,
                dont_fragment: true,
                time_to_live: TTL,
                source: source.octets(),
                destination: destination.octets(),
                ..Ipv4Header::default()
            };
            IpHeaders::Ipv4(header, Default::default())
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let header = Ipv6Header {
                traffic_class: class,
                hop_limit: TTL,
                source: source.octets(),
                destination: destination.octets(),
                ..Ipv6Header::default()
            };
            IpHeaders::Ipv6(header, Default::default())
        }
        _ => return None,
    };
    Some(PacketBuilder::ip(header))
}

/// TOS or traffic class of the packet at the start of `frame`.
fn class(frame: &[u8]) -> u8 {
    let first = u16_at(frame, 0).unwrap_or(0);
    match first >> 12 {
        4 => u8_at(frame, 1).unwrap_or(0),
        _ => u8::try_from(first >> 4 & 0xff).unwrap_or(0),
    }
}

/// What an error about this packet has, as Linux does it: in IPv4 precedence 6
/// over the type of service of its cause (RFC 1812 section 4.3.2.5), in IPv6
/// nothing.
fn error_class(frame: &[u8]) -> u8 {
    const TYPE_OF_SERVICE: u8 = 0x1e;
    const INTERNETWORK_CONTROL: u8 = 0xc0;
    match u8_at(frame, 0).map(|octet| octet >> 4) {
        Some(4) => class(frame) & TYPE_OF_SERVICE | INTERNETWORK_CONTROL,
        _ => 0,
    }
}

/// The RST that ends what this segment began, as if its receiver had sent it
/// (RFC 9293 section 3.10.7.1). `None` for what is no TCP, or is an RST.
#[must_use]
pub fn reset(headers: &Headers) -> Option<Vec<u8>> {
    let tcp = headers.tcp()?;
    if tcp.flags.has(TcpFlags::RST) || !may_answer(headers) {
        return None;
    }
    let step = ip(headers.destination, headers.source, 0)?;
    let (source, destination) = (tcp.destination.0, tcp.source.0);
    let segment = if tcp.flags.has(TcpFlags::ACK) {
        step.tcp(source, destination, tcp.ack.0, 0).rst()
    } else {
        step.tcp(source, destination, 0, 0)
            .rst()
            .ack(tcp.seq.advance(tcp.sequence_length()).0)
    };
    let mut bytes = Vec::with_capacity(segment.size(0));
    segment.write(&mut bytes, &[]).ok()?;
    Some(bytes)
}

/// The ICMP error about this packet, sent from `gateway`. `None` where nothing
/// may be answered, or the families differ.
#[must_use]
pub fn icmp_error(
    frame: &[u8],
    headers: &Headers,
    gateway: IpAddr,
    complaint: Complaint,
) -> Option<Vec<u8>> {
    if !may_answer(headers) {
        return None;
    }
    let step = ip(gateway, headers.source, error_class(frame))?;
    let quote = |limit: usize, overhead: usize| {
        let length = headers.length.min(frame.len()).min(limit - overhead);
        frame.get(..length)
    };
    let mut bytes = Vec::new();
    if headers.source.is_ipv4() {
        let message = match complaint {
            Complaint::PortUnreachable => {
                Icmpv4Type::DestinationUnreachable(icmpv4::DestUnreachableHeader::Port)
            }
            Complaint::NoRoute => {
                Icmpv4Type::DestinationUnreachable(icmpv4::DestUnreachableHeader::Network)
            }
            Complaint::HostUnreachable => {
                Icmpv4Type::DestinationUnreachable(icmpv4::DestUnreachableHeader::Host)
            }
            Complaint::Prohibited => {
                Icmpv4Type::DestinationUnreachable(icmpv4::DestUnreachableHeader::FilterProhibited)
            }
            Complaint::TimeExceeded => {
                Icmpv4Type::TimeExceeded(icmpv4::TimeExceededCode::TtlExceededInTransit)
            }
            Complaint::Parameter(place) => Icmpv4Type::ParameterProblem(
                icmpv4::ParameterProblemHeader::PointerIndicatesError(place),
            ),
            Complaint::ReassemblyTime => {
                Icmpv4Type::TimeExceeded(icmpv4::TimeExceededCode::FragmentReassemblyTimeExceeded)
            }
            Complaint::TooBig(next_hop_mtu) => Icmpv4Type::DestinationUnreachable(
                icmpv4::DestUnreachableHeader::FragmentationNeeded { next_hop_mtu },
            ),
        };
        step.icmpv4(message)
            .write(&mut bytes, quote(MAX_V4_ERROR, 28)?)
            .ok()?;
    } else {
        let message = match complaint {
            Complaint::PortUnreachable => {
                Icmpv6Type::DestinationUnreachable(icmpv6::DestUnreachableCode::Port)
            }
            Complaint::NoRoute => {
                Icmpv6Type::DestinationUnreachable(icmpv6::DestUnreachableCode::NoRoute)
            }
            Complaint::HostUnreachable => {
                Icmpv6Type::DestinationUnreachable(icmpv6::DestUnreachableCode::Address)
            }
            Complaint::Prohibited => {
                Icmpv6Type::DestinationUnreachable(icmpv6::DestUnreachableCode::Prohibited)
            }
            Complaint::TimeExceeded => {
                Icmpv6Type::TimeExceeded(icmpv6::TimeExceededCode::HopLimitExceeded)
            }
            Complaint::ReassemblyTime => {
                Icmpv6Type::TimeExceeded(icmpv6::TimeExceededCode::FragmentReassemblyTimeExceeded)
            }
            Complaint::TooBig(mtu) => Icmpv6Type::PacketTooBig { mtu: mtu.into() },
            Complaint::Parameter(place) => {
                Icmpv6Type::ParameterProblem(icmpv6::ParameterProblemHeader {
                    code: icmpv6::ParameterProblemCode::ErroneousHeaderField,
                    pointer: place.into(),
                })
            }
        };
        step.icmpv6(message)
            .write(&mut bytes, quote(MAX_V6_ERROR, 48)?)
            .ok()?;
    }
    Some(bytes)
}

/// The answer to an echo request that was addressed to the gateway itself.
#[must_use]
pub fn echo_reply(frame: &[u8], headers: &Headers) -> Option<Vec<u8>> {
    let Transport::Query(query, Port(identifier), code) = headers.transport else {
        return None;
    };
    let range = headers.transport_range();
    let sequence = u16_at(frame, range.start + 6)?;
    let data = frame.get(range.start + 8..range.end)?;
    let step = ip(headers.destination, headers.source, class(frame))?;
    let mut bytes = Vec::new();
    let [high, low] = identifier.to_be_bytes();
    let [first, second] = sequence.to_be_bytes();
    let numbers = [high, low, first, second];
    // The code is the request's, or the reply would answer another.
    match query.message_type() {
        8 => step
            .icmpv4_raw(0, code, numbers)
            .write(&mut bytes, data)
            .ok()?,
        128 => step
            .icmpv6_raw(129, code, numbers)
            .write(&mut bytes, data)
            .ok()?,
        _ => return None,
    }
    Some(bytes)
}
