//! Packets that the gateway makes itself: RST, ICMP errors, echo replies.
//! All of them are slow-path; etherparse builds them.

use std::net::IpAddr;

use etherparse::{Icmpv4Type, Icmpv6Type, PacketBuilder, PacketBuilderStep, icmpv4, icmpv6};

use super::bytes::u16_at;
use super::parse::{Fragment, Headers, Transport};
use crate::net::TcpFlags;

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
    /// It is too long for the next link, which takes this many octets, and may
    /// not be cut (RFC 1191 section 4, RFC 4443 section 3.2).
    TooBig(u16),
}

/// Whether the sender of this packet may be told of its fate by an error: not
/// of an error, nor of a later fragment, nor where many would answer at once
/// (RFC 1122 section 3.2.2, RFC 4443 section 2.4).
fn may_answer(headers: &Headers) -> bool {
    let one_host = |address: IpAddr| match address {
        IpAddr::V4(a) => !a.is_multicast() && !a.is_broadcast() && !a.is_unspecified(),
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

pub(super) fn ip(
    source: IpAddr,
    destination: IpAddr,
) -> Option<PacketBuilderStep<etherparse::IpHeaders>> {
    match (source, destination) {
        (IpAddr::V4(s), IpAddr::V4(d)) => Some(PacketBuilder::ipv4(s.octets(), d.octets(), TTL)),
        (IpAddr::V6(s), IpAddr::V6(d)) => Some(PacketBuilder::ipv6(s.octets(), d.octets(), TTL)),
        _ => None,
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
    let step = ip(headers.destination, headers.source)?;
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
    let step = ip(gateway, headers.source)?;
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
            Complaint::TooBig(mtu) => Icmpv6Type::PacketTooBig { mtu: mtu.into() },
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
    let Transport::Query(query, identifier) = headers.transport else {
        return None;
    };
    let range = headers.transport_range();
    let sequence = u16_at(frame, range.start + 6)?;
    let data = frame.get(range.start + 8..range.end)?;
    let step = ip(headers.destination, headers.source)?;
    let mut bytes = Vec::new();
    match query.message_type() {
        8 => step
            .icmpv4_echo_reply(identifier.0, sequence)
            .write(&mut bytes, data)
            .ok()?,
        128 => step
            .icmpv6_echo_reply(identifier.0, sequence)
            .write(&mut bytes, data)
            .ok()?,
        _ => return None,
    }
    Some(bytes)
}
