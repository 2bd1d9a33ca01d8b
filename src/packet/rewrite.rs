//! Changing a packet in place: addresses, ports, time to live, sequence
//! numbers, payload. Each change carries its checksums along by RFC 1624, so
//! that a checksum that was wrong before stays just as wrong.

use std::net::IpAddr;

use super::addresses::Leaving;
use super::bytes::{array_at, put, u8_at, u16_at};
use super::checksum::Sum;
use super::crc32c;
use super::parse::{Checksum, Fragment, Headers, Transport, udplite_covered};
use super::plain::Plain;
use super::routing_header::{SummedFor, summed_for};
use super::tcp::{self, sack_blocks, sack_edges};
use crate::net::{Port, Protocol, SeqNumber, TcpFlags, Tuple};

const V4_TTL_AT: usize = 8;
const V4_CHECKSUM_AT: usize = 10;
const V4_LENGTH_AT: usize = 2;
const V6_LENGTH_AT: usize = 4;
const V6_HOP_LIMIT_AT: usize = 7;

/// An address as octets, without allocation.
#[derive(Clone, Copy)]
enum Octets {
    V4([u8; 4]),
    V6([u8; 16]),
}

impl Octets {
    fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(a) => Self::V4(a.octets()),
            IpAddr::V6(a) => Self::V6(a.octets()),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::V4(octets) => octets,
            Self::V6(octets) => octets,
        }
    }
}

/// Where the transport's checksum stands within its header, and whether it
/// covers the addresses.
fn checksum_field(protocol: Protocol) -> Option<(usize, Covers)> {
    match protocol {
        Protocol::TCP => Some((tcp::CHECKSUM_AT, Covers::Addresses)),
        Protocol::UDP | Protocol::UDPLITE => Some((6, Covers::Addresses)),
        Protocol::ICMPV6 => Some((2, Covers::Addresses)),
        Protocol::ICMP => Some((2, Covers::MessageOnly)),
        _ => None,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Covers {
    Addresses,
    MessageOnly,
}

/// How what a transport's checksum covers changes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Change {
    /// Addresses and length.
    pub(super) pseudo_header: Sum,
    /// The transport's own octets.
    pub(super) octets: Sum,
}

impl Change {
    pub(super) fn of_octets(octets: Sum) -> Self {
        Self {
            octets,
            ..Self::default()
        }
    }
}

/// Sends the packet on with the addresses and ports of `to`, one step nearer to the end
/// of its time; `plain` is what was read of it at a glance, if it was. The caller has
/// seen that it is not at that end yet. `headers` are stale afterwards.
pub fn send_on(frame: &mut [u8], headers: &Headers, plain: Option<&Plain>, to: &Tuple) {
    match plain {
        Some(plain) => plain.pass_on(frame, Leaving::of(to), headers.checksum),
        None => {
            translate(frame, headers, to);
            decrement_ttl(frame, headers);
        }
    }
}

/// Gives the packet the addresses, and the ports or the identifier, of `to`.
/// `headers` must have been read from `frame`; they are stale afterwards.
pub fn translate(frame: &mut [u8], headers: &Headers, to: &Tuple) {
    let addresses = translate_addresses(frame, headers, to.source.address, to.destination.address);
    let mut covered = Sum::default();
    if headers.fragment == Fragment::No {
        let at = headers.transport_at;
        match headers.transport {
            Transport::Sctp(_) => {
                let length = headers.length - at;
                put_sctp_ports(frame, at, to.source.port, to.destination.port, length);
            }
            // The checksum of UDP-Lite covers the ports, whatever else it covers.
            Transport::Tcp(_) | Transport::Udp(..) | Transport::UdpLite(..) => {
                covered = put_port(frame, at, to.source.port, covered);
                covered = put_port(frame, at + 2, to.destination.port, covered);
            }
            Transport::Query(..) => covered = put_port(frame, at + 4, to.source.port, covered),
            Transport::Error { .. } | Transport::Icmp { .. } | Transport::Other => {}
        }
        let change = Change {
            pseudo_header: addresses,
            octets: covered,
        };
        update_transport_checksum(frame, headers, change);
    }
}

/// Changes the addresses and the IPv4 header checksum; gives the change of the
/// transport's pseudo-header, whose checksum is not touched.
fn translate_addresses(
    frame: &mut [u8],
    headers: &Headers,
    source: IpAddr,
    destination: IpAddr,
) -> Sum {
    let (first_at, v4) = match headers.source {
        IpAddr::V4(_) => (12, true),
        IpAddr::V6(_) => (8, false),
    };
    let mut changes = [Sum::default(); 2];
    let ends = [(headers.source, source), (headers.destination, destination)];
    let mut at = first_at;
    for ((old, new), change) in ends.into_iter().zip(&mut changes) {
        let (old, new) = (Octets::of(old), Octets::of(new));
        debug_assert_eq!(
            old.bytes().len(),
            new.bytes().len(),
            "translation keeps the family"
        );
        if old.bytes() != new.bytes() && old.bytes().len() == new.bytes().len() {
            *change = change.change(old.bytes(), new.bytes());
            put(frame, at, new.bytes());
        }
        at += old.bytes().len();
    }
    let [of_source, of_destination] = changes;
    let change = of_source.and(of_destination);
    if v4 {
        update_v4_checksum(frame, change);
    }
    match summed_for(frame, headers.transport_at) {
        SummedFor::Destination => change,
        // A station on the way is in no checksum.
        SummedFor::Last(_) | SummedFor::Unknown => of_source,
    }
}

/// Changes the addresses of an ICMP error (or of anything whose transport is
/// left alone), its pseudo-header checksum included where it has one.
pub(super) fn readdress(frame: &mut [u8], headers: &Headers, source: IpAddr, destination: IpAddr) {
    let pseudo_header = translate_addresses(frame, headers, source, destination);
    if let Some((_, Covers::Addresses)) = checksum_field(headers.protocol) {
        let change = Change {
            pseudo_header,
            octets: Sum::default(),
        };
        update_transport_checksum(frame, headers, change);
    }
}

fn put_port(frame: &mut [u8], at: usize, port: Port, change: Sum) -> Sum {
    let new = port.0.to_be_bytes();
    let Some(old) = u16_at(frame, at).map(u16::to_be_bytes) else {
        return change;
    };
    // One that stays changes nothing, not even which of two noughts a checksum is.
    if old == new {
        return change;
    }
    put(frame, at, &new);
    change.change(&old, &new)
}

/// Gives the SCTP packet at `at`, of which `length` octets were sent, other
/// ports; its checksum follows, if it is there. Addresses are not in it.
pub(super) fn put_sctp_ports(
    frame: &mut [u8],
    at: usize,
    source: Port,
    destination: Port,
    length: usize,
) {
    let Some(old) = array_at::<4>(frame, at) else {
        return;
    };
    let ([a, b], [c, d]) = (source.0.to_be_bytes(), destination.0.to_be_bytes());
    let new = [a, b, c, d];
    if new == old {
        return;
    }
    put(frame, at, &new);
    let sum_at = at + crc32c::CHECKSUM_AT;
    if let Some(sum) = array_at(frame, sum_at) {
        put(frame, sum_at, &crc32c::after_change(sum, old, new, length));
    }
}

fn update_v4_checksum(frame: &mut [u8], change: Sum) {
    if let Some(old) = u16_at(frame, V4_CHECKSUM_AT) {
        put(frame, V4_CHECKSUM_AT, &change.update(old).to_be_bytes());
    }
}

pub(super) fn update_transport_checksum(frame: &mut [u8], headers: &Headers, change: Change) {
    let Some((field, covers)) = checksum_field(headers.protocol) else {
        return;
    };
    let pseudo_header = match covers {
        Covers::Addresses => change.pseudo_header,
        Covers::MessageOnly => Sum::default(),
    };
    let at = headers.transport_at + field;
    let Some(old) = u16_at(frame, at) else {
        return;
    };
    if headers.checksum == Checksum::Partial {
        let new = pseudo_header.add_u16(old).fold();
        return put(frame, at, &new.to_be_bytes());
    }
    let change = pseudo_header.and(change.octets);
    let new = match (headers.protocol, change.update(old)) {
        // RFC 768: zero means "none", and a sum of zero is sent as its complement.
        (Protocol::UDP | Protocol::UDPLITE, _) if old == 0 => return,
        (Protocol::UDP | Protocol::UDPLITE, 0) => 0xffff,
        // RFC 1624 takes it that a sum is never zero, as headers are not. An
        // echo reply may be.
        (Protocol::ICMP, 0) if is_blank(frame, headers, at) => 0xffff,
        (_, new) => new,
    };
    put(frame, at, &new.to_be_bytes());
}

/// Whether the transport's octets are all zero but for the checksum at `at`.
fn is_blank(frame: &[u8], headers: &Headers, at: usize) -> bool {
    let end = headers.length.min(frame.len());
    let is_zero = |range| {
        let octets: Option<&[u8]> = frame.get(range);
        octets.is_none_or(|octets| octets.iter().all(|octet| *octet == 0))
    };
    is_zero(headers.transport_at..at) && is_zero(at + 2..end)
}

/// Takes one from the time to live or hop limit. The caller has seen that it
/// is more than one.
pub fn decrement_ttl(frame: &mut [u8], headers: &Headers) {
    let new = headers.ttl.saturating_sub(1);
    match headers.source {
        IpAddr::V4(_) => {
            let protocol = headers_protocol_octet(frame);
            put(frame, V4_TTL_AT, &[new]);
            let change = Sum::default().change(&[headers.ttl, protocol], &[new, protocol]);
            update_v4_checksum(frame, change);
        }
        IpAddr::V6(_) => put(frame, V6_HOP_LIMIT_AT, &[new]),
    }
}

fn headers_protocol_octet(frame: &[u8]) -> u8 {
    u8_at(frame, V4_TTL_AT + 1).unwrap_or(0)
}

/// How the numbers of one TCP segment change.
pub trait Renumber {
    /// A sequence number of the segment's own stream.
    fn seq(&self, seq: SeqNumber) -> SeqNumber;
    /// An acknowledgement of the other stream.
    fn ack(&self, ack: SeqNumber) -> SeqNumber;
    /// Both edges of a selective acknowledgement of the other stream.
    fn sack(&self, edges: [SeqNumber; 2]) -> [SeqNumber; 2];
}

/// Gives a TCP segment other sequence and acknowledgement numbers, those in
/// SACK blocks included. The acknowledgement is left alone without ACK.
pub fn renumber(frame: &mut [u8], headers: &Headers, numbers: &impl Renumber) {
    let Some(tcp) = headers.tcp() else {
        return;
    };
    let at = headers.transport_at;
    let mut change = Sum::default();
    let mut put_number = |frame: &mut [u8], at: usize, old: SeqNumber, new: SeqNumber| {
        let (old, new) = (old.0.to_be_bytes(), new.0.to_be_bytes());
        if old != new {
            // Numbers in options may stand at odd places: the sum of octets
            // there is the same with its two halves swapped.
            change = if at.is_multiple_of(2) {
                change.change(&old, &new)
            } else {
                change.change(&swapped(old), &swapped(new))
            };
            put(frame, at, &new);
        }
    };
    put_number(frame, at + tcp::SEQ_AT, tcp.seq, numbers.seq(tcp.seq));
    if tcp.flags.has(TcpFlags::ACK) {
        put_number(frame, at + tcp::ACK_AT, tcp.ack, numbers.ack(tcp.ack));
        // At most three or four blocks fit into a header; the copy of the
        // header (at most 60 octets) lets them be read while it is written.
        let mut header = [0u8; 60];
        let length = tcp.length.min(header.len());
        if let (Some(copy), Some(from)) = (header.get_mut(..length), frame.get(at..at + length)) {
            copy.copy_from_slice(from);
        }
        let header = header.get(..length).unwrap_or(&[]);
        for block in sack_blocks(header) {
            if let Some(edges) = sack_edges(header, &block) {
                for (place, (old, new)) in edges.into_iter().zip(numbers.sack(edges)).enumerate() {
                    put_number(frame, at + block.start + 4 * place, old, new);
                }
            }
        }
    }
    update_transport_checksum(frame, headers, Change::of_octets(change));
}

/// Lowers the maximum segment size that a SYN announces to `most`; never raises
/// it, and gives none to a SYN that has none.
pub fn lower_mss(frame: &mut [u8], headers: &Headers, most: u16) {
    let Some(tcp) = headers.tcp().filter(|tcp| tcp.flags.has(TcpFlags::SYN)) else {
        return;
    };
    let header = headers.transport_at..headers.transport_at + tcp.length;
    let Some(place) = frame.get(header).and_then(tcp::max_segment) else {
        return;
    };
    let at = headers.transport_at + place;
    let Some(old) = u16_at(frame, at).filter(|old| *old > most) else {
        return;
    };
    let [old, new] = [old, most].map(|number| match at.is_multiple_of(2) {
        true => number,
        false => number.swap_bytes(),
    });
    let change = Sum::default().change(&old.to_be_bytes(), &new.to_be_bytes());
    put(frame, at, &most.to_be_bytes());
    update_transport_checksum(frame, headers, Change::of_octets(change));
}

fn swapped([a, b, c, d]: [u8; 4]) -> [u8; 4] {
    [b, a, d, c]
}

/// Gives a TCP segment another payload; lengths and checksums follow.
/// Returns false, with nothing changed, where the packet would outgrow an IP
/// packet's 65535 octets.
#[must_use]
pub fn replace_payload(frame: &mut Vec<u8>, headers: &Headers, payload: &[u8]) -> bool {
    let old_range = headers.payload_range();
    let new_length = old_range.start + payload.len();
    let Ok(v4_length) = u16::try_from(new_length) else {
        return false;
    };
    if frame.len() < old_range.end {
        return false; // cut
    }
    let old_segment = headers.length - headers.transport_at;
    let new_segment = new_length - headers.transport_at;
    let mut octets = Sum::default();
    if let Some(old) = frame.get(old_range.clone()) {
        octets = octets.remove(old).over(payload);
    }
    // The length in the pseudo-header; TCP's upper half is zero in both.
    let as_u16 = |length| u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
    let pseudo_header = Sum::default().change(&as_u16(old_segment), &as_u16(new_segment));
    frame.splice(old_range, payload.iter().copied());
    match headers.source {
        IpAddr::V4(_) => {
            let old = u16_at(frame, V4_LENGTH_AT).unwrap_or(0).to_be_bytes();
            put(frame, V4_LENGTH_AT, &v4_length.to_be_bytes());
            update_v4_checksum(frame, Sum::default().change(&old, &v4_length.to_be_bytes()));
        }
        IpAddr::V6(_) => {
            put(
                frame,
                V6_LENGTH_AT,
                &v4_length.saturating_sub(40).to_be_bytes(),
            );
        }
    }
    let change = Change {
        pseudo_header,
        octets,
    };
    update_transport_checksum(frame, headers, change);
    true
}

/// Finishes a checksum that was left to the hardware, as that would do it: what
/// stands in its field is a part of the sum. Of a packet that a capture cut, it
/// cannot be finished.
pub fn complete_checksum(frame: &mut [u8], headers: &Headers) {
    let Some((field, _)) = checksum_field(headers.protocol) else {
        return;
    };
    let mut range = headers.transport_range();
    if headers.checksum != Checksum::Partial || frame.len() < range.end {
        return;
    }
    if headers.protocol == Protocol::UDP {
        let length = u16_at(frame, range.start + 4).map_or(0, usize::from);
        range.end = range.end.min(range.start + length);
    }
    let Some(segment) = frame.get(range.clone()) else {
        return;
    };
    let covered = match headers.protocol {
        Protocol::UDPLITE => udplite_covered(segment).unwrap_or(segment),
        _ => segment,
    };
    let sum = match (headers.protocol, Sum::default().over(covered).checksum()) {
        (Protocol::UDP | Protocol::UDPLITE, 0) => 0xffff,
        (_, sum) => sum,
    };
    put(frame, range.start + field, &sum.to_be_bytes());
}

/// Computes every checksum anew, whatever stood there: for captures made on
/// the sending host, whose checksums the hardware would have finished.
pub fn repair_checksums(frame: &mut [u8], headers: &Headers) {
    if headers.source.is_ipv4() {
        let length = usize::from(u8_at(frame, 0).unwrap_or(0) & 0x0f) * 4;
        put(frame, V4_CHECKSUM_AT, &[0, 0]);
        if let Some(header) = frame.get(..length) {
            let sum = Sum::default().over(header).checksum();
            put(frame, V4_CHECKSUM_AT, &sum.to_be_bytes());
        }
    }
    let mut range = headers.transport_range();
    if headers.fragment != Fragment::No || frame.len() < range.end {
        return;
    }
    if headers.protocol == Protocol::SCTP {
        if let Some(sum) = frame.get(range.clone()).and_then(crc32c::checksum) {
            put(frame, range.start + crc32c::CHECKSUM_AT, &sum);
        }
        return;
    }
    let Some((field, covers)) = checksum_field(headers.protocol) else {
        return;
    };
    if headers.protocol == Protocol::UDP {
        // A datagram may end before its packet does (RFC 768 has a length of its own).
        let length = u16_at(frame, range.start + 4).map_or(0, usize::from);
        range.end = range.end.min(range.start + length);
    }
    if headers.protocol == Protocol::UDP && u16_at(frame, range.start + field) == Some(0) {
        return;
    }
    let destination = summed_for(frame, headers.transport_at);
    if destination == SummedFor::Unknown {
        return;
    }
    put(frame, range.start + field, &[0, 0]);
    let Some(segment) = frame.get(range.clone()) else {
        return;
    };
    let length = segment.len();
    let sum = match covers {
        Covers::MessageOnly => Sum::default(),
        Covers::Addresses => {
            let destination = match destination {
                SummedFor::Destination => headers.destination,
                SummedFor::Last(address) => IpAddr::V6(address),
                SummedFor::Unknown => return,
            };
            Sum::default().pseudo_header(headers.source, destination, headers.protocol, length)
        }
    };
    let covered = match headers.protocol {
        Protocol::UDPLITE => udplite_covered(segment).unwrap_or(segment),
        _ => segment,
    };
    let sum = match (headers.protocol, sum.over(covered).checksum()) {
        (Protocol::UDP | Protocol::UDPLITE, 0) => 0xffff,
        (_, sum) => sum,
    };
    put(frame, range.start + field, &sum.to_be_bytes());
}
