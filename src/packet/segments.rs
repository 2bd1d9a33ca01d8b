//! Segments that are too long: TCP segments whose payload was changed, and
//! super-segments, which hardware would cut (segmentation offload), cut here with flags
//! and urgent pointer where they belong.

use std::num::NonZeroU16;

use super::bytes::{put, u8_at, u16_at};
use super::checksum::Sum;
use super::parse::Headers;
use super::rewrite::{Change, repair_checksums, replace_payload, update_transport_checksum};
use super::tcp;
use crate::net::{Protocol, SeqNumber, TcpFlags};

/// How many octets of payload each segment of a super-segment has, all but the last:
/// one packet up to the hardware, which cuts it (TCP and UDP segmentation offload; the
/// `gso_size` of Linux).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SegmentSize(pub NonZeroU16);

impl SegmentSize {
    /// The length of the longest packet that one of `length` octets becomes, `header` of
    /// which are headers.
    #[must_use]
    #[inline]
    pub fn longest(self, header: usize, length: usize) -> usize {
        length.min(header + usize::from(self.0.get()))
    }
}

/// What a SYN without the option announces (RFC 9293 section 3.7.1).
const DEFAULT_V4: u16 = 536;
const DEFAULT_V6: u16 = 1220;

const UDP_HEADER: usize = 8;
const UDP_LENGTH_AT: usize = 4;

const FLAGS_AT: usize = 12;
const URGENT_AT: usize = 18;

/// The longest segment, without options, that the sender of a SYN takes.
#[must_use]
pub fn announced_mss(frame: &[u8], headers: &Headers) -> Option<u16> {
    let tcp = headers.tcp().filter(|tcp| tcp.flags.has(TcpFlags::SYN))?;
    let header = headers.transport_at..headers.transport_at + tcp.length;
    let place = frame.get(header).and_then(tcp::max_segment);
    place.and_then(|place| u16_at(frame, headers.transport_at + place))
}

/// What a receiver takes that has not announced anything.
#[must_use]
pub fn default_mss(headers: &Headers) -> u16 {
    match headers.source {
        std::net::IpAddr::V4(_) => DEFAULT_V4,
        std::net::IpAddr::V6(_) => DEFAULT_V6,
    }
}

/// Where the urgent data of a segment end (RFC 9293 section 3.8.5), if it has some.
#[must_use]
pub fn urgent(frame: &[u8], headers: &Headers) -> Option<SeqNumber> {
    let tcp = headers.tcp().filter(|tcp| tcp.flags.has(TcpFlags::URG))?;
    let pointer = u16_at(frame, headers.transport_at + URGENT_AT)?;
    Some(tcp.seq.advance(u32::from(pointer)))
}

/// Gives a segment that begins at `seq` the end of its urgent data; without, or
/// where that lies elsewhere than ahead, none.
pub fn put_urgent(frame: &mut [u8], headers: &Headers, seq: SeqNumber, end: Option<SeqNumber>) {
    let pointer = end.and_then(|end| u16::try_from(end.since(seq)).ok());
    let pointer = pointer.filter(|pointer| *pointer > 0);
    put_word(frame, headers, URGENT_AT, |_| pointer.unwrap_or(0));
    if pointer.is_none() {
        clear_flags(frame, headers, TcpFlags::URG);
    }
}

/// Takes flags from a segment.
pub fn clear_flags(frame: &mut [u8], headers: &Headers, flags: TcpFlags) {
    put_word(frame, headers, FLAGS_AT, |word| word & !u16::from(flags.0));
}

/// Changes two octets at an even place of the TCP header.
fn put_word(frame: &mut [u8], headers: &Headers, at: usize, new: impl Fn(u16) -> u16) {
    let at = headers.transport_at + at;
    let Some(old) = u16_at(frame, at) else {
        return;
    };
    let new = new(old);
    if new != old {
        put(frame, at, &new.to_be_bytes());
        let change = Sum::default().change(&old.to_be_bytes(), &new.to_be_bytes());
        update_transport_checksum(frame, headers, Change::of_octets(change));
    }
}

/// Cuts a segment into some with at most `limit` octets of payload each. The
/// first stays in `frame`; gives the others, in order. All have its options;
/// the last has its PSH and FIN, and none points at urgent data that lie
/// before it. Its checksum must be complete.
#[must_use]
pub fn split(frame: &mut Vec<u8>, limit: usize) -> Vec<Vec<u8>> {
    let Ok(headers) = Headers::read(frame, false) else {
        return Vec::new();
    };
    let (Some(tcp), limit) = (headers.tcp().copied(), limit.max(1)) else {
        return Vec::new();
    };
    let Some(payload) = frame.get(headers.payload_range()).map(<[u8]>::to_vec) else {
        return Vec::new();
    };
    if payload.len() <= limit {
        return Vec::new();
    }
    let end_of_urgent = urgent(frame, &headers);
    let count = payload.len().div_ceil(limit);
    let mut segments = Vec::with_capacity(count);
    let mut seq = tcp.seq;
    for (place, part) in payload.chunks(limit).enumerate() {
        let mut segment = frame.clone();
        if !replace_payload(&mut segment, &headers, part) {
            return Vec::new();
        }
        let Ok(headers) = Headers::read(&segment, false) else {
            return Vec::new();
        };
        let [high, low, higher, lower] = seq.0.to_be_bytes();
        put_word(&mut segment, &headers, tcp::SEQ_AT, |_| {
            u16::from_be_bytes([high, low])
        });
        put_word(&mut segment, &headers, tcp::SEQ_AT + 2, |_| {
            u16::from_be_bytes([higher, lower])
        });
        if place + 1 < count {
            clear_flags(&mut segment, &headers, TcpFlags::PSH | TcpFlags::FIN);
        }
        if end_of_urgent.is_some() {
            put_urgent(&mut segment, &headers, seq, end_of_urgent);
        }
        if place > 0 {
            renew_identification(&mut segment, place);
        }
        seq = seq.advance(u32::try_from(part.len()).unwrap_or(0));
        segments.push(segment);
    }
    let others = segments.split_off(1);
    if let Some(first) = segments.pop() {
        *frame = first;
    }
    others
}

/// Cuts a super-segment as hardware would, with at most `limit` octets of payload in
/// each segment. The first stays in `frame`; gives the others, in order. Of TCP see
/// [`split`]; of UDP each becomes a datagram, whose length may be no other than `limit`.
/// Its checksum must be complete; so are theirs.
#[must_use]
pub fn segment(frame: &mut Vec<u8>, limit: SegmentSize) -> Vec<Vec<u8>> {
    let limit = usize::from(limit.0.get());
    match Headers::read(frame, false) {
        Ok(headers) if headers.protocol == Protocol::UDP => split_udp(frame, &headers, limit),
        _ => split(frame, limit),
    }
}

fn split_udp(frame: &mut Vec<u8>, headers: &Headers, limit: usize) -> Vec<Vec<u8>> {
    let Some(payload) = frame.get(headers.payload_range()).map(<[u8]>::to_vec) else {
        return Vec::new();
    };
    let mut datagrams = Vec::with_capacity(payload.len().div_ceil(limit));
    for (place, part) in payload.chunks(limit).enumerate() {
        let mut datagram = frame.clone();
        if !replace_payload(&mut datagram, headers, part) {
            return Vec::new();
        }
        let length = u16::try_from(UDP_HEADER + part.len()).unwrap_or(u16::MAX);
        put(
            &mut datagram,
            headers.transport_at + UDP_LENGTH_AT,
            &length.to_be_bytes(),
        );
        if let Ok(headers) = Headers::read(&datagram, false) {
            repair_checksums(&mut datagram, &headers);
        }
        if place > 0 {
            renew_identification(&mut datagram, place);
        }
        datagrams.push(datagram);
    }
    let mut datagrams = datagrams.into_iter();
    if let Some(first) = datagrams.next() {
        *frame = first;
    }
    datagrams.collect()
}

/// An IPv4 packet made of another gets an identification that its source will
/// not soon use (RFC 6864 section 4.1: where it may be cut, it must be another).
fn renew_identification(frame: &mut [u8], place: usize) {
    const AT: usize = 4;
    const CHECKSUM_AT: usize = 10;
    if u8_at(frame, 0).is_none_or(|octet| octet >> 4 != 4) {
        return;
    }
    let (Some(old), Some(sum)) = (u16_at(frame, AT), u16_at(frame, CHECKSUM_AT)) else {
        return;
    };
    let place = u16::try_from(place).unwrap_or(0);
    let new = old.wrapping_add(0x8000).wrapping_add(place);
    put(frame, AT, &new.to_be_bytes());
    let change = Sum::default().change(&old.to_be_bytes(), &new.to_be_bytes());
    put(frame, CHECKSUM_AT, &change.update(sum).to_be_bytes());
}
