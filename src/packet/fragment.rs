//! Pieces of a datagram: reading one, putting all together, cutting again
//! (RFC 791 section 3.2, RFC 8200 section 4.5).
//!
//! It owns how a piece says where it belongs and how a whole datagram comes
//! apart. Which pieces belong together, and for how long they are kept, is the
//! engine's affair.
//!
//! What was put together is cut where its sender cut it, so that no receiver
//! sees other pieces than without a gateway; where that is no longer possible
//! (a link further on is narrower, an ALG changed the text), by the rule of
//! RFC 1812 section 5.2.6: the least number of pieces, in order.

use std::net::IpAddr;

use super::bytes::{put, u8_at, u16_at, u32_at};
use super::checksum::Sum;
use super::parse::{Fragment, Headers};
use crate::net::Protocol;

/// The longest IP packet, and the longest payload of an IPv6 one.
const MAX_LENGTH: usize = 65_535;
/// The fixed part of an IPv6 header.
const V6_HEADER: usize = 40;
/// The IPv6 fragment header.
const FRAGMENT_HEADER: usize = 8;
/// Its number as a next header.
const FRAGMENT_NUMBER: u8 = 44;
/// The IPv4 header without options.
const V4_HEADER: usize = 20;
const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;
/// The fields of a TCP header that rules and tracking need (RFC 1858 section 3).
const TCP_HEADER: usize = 20;

/// Whether more of the datagram follows behind a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Follows {
    /// More.
    More,
    /// It is the last piece.
    Nothing,
}

/// Whether routers may cut what is too long for a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cutting {
    /// They may.
    Allowed,
    /// They may not: DF is set, or it is IPv6.
    Forbidden,
}

/// What is wrong with a piece, whatever the others are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BadPiece {
    /// It carries nothing.
    Empty,
    /// It is not the last, and its length is no multiple of eight.
    Misaligned,
    /// It would end behind the end of the longest packet.
    TooLong,
    /// Only a part of the TCP header (RFC 1858, RFC 3128).
    Tiny,
}

/// One piece of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// The number that all pieces of the datagram have.
    pub id: u32,
    /// Where its payload begins in the datagram's.
    pub offset: usize,
    /// Where its payload ends there.
    pub end: usize,
    /// What is behind it.
    pub follows: Follows,
    /// Where its payload begins in the packet.
    pub payload_at: usize,
    /// The length of the packet that it came as.
    pub length: usize,
    /// Whether that packet might have been cut again.
    pub cutting: Cutting,
    /// Its two bits of ECN (RFC 3168 section 5).
    pub ecn: u8,
}

impl Piece {
    /// Reads the piece in `frame`; `None` for what is whole.
    #[must_use]
    pub fn read(frame: &[u8], headers: &Headers) -> Option<Self> {
        if headers.fragment == Fragment::No {
            return None;
        }
        let payload_at = headers.transport_at;
        let (id, offset, more, cutting) = match headers.source {
            IpAddr::V4(_) => {
                let field = u16_at(frame, 6)?;
                let cutting = match field & DONT_FRAGMENT {
                    0 => Cutting::Allowed,
                    _ => Cutting::Forbidden,
                };
                let id = u32::from(u16_at(frame, 4)?);
                let offset = usize::from(field & 0x1fff) * 8;
                let more = field & MORE_FRAGMENTS != 0;
                (id, offset, more, cutting)
            }
            IpAddr::V6(_) => {
                let at = payload_at.checked_sub(FRAGMENT_HEADER)?;
                let field = u16_at(frame, at + 2)?;
                let offset = usize::from(field & 0xfff8);
                let id = u32_at(frame, at + 4)?;
                (id, offset, field & 1 == 1, Cutting::Forbidden)
            }
        };
        Some(Self {
            id,
            offset,
            end: offset + headers.length.checked_sub(payload_at)?,
            follows: if more {
                Follows::More
            } else {
                Follows::Nothing
            },
            payload_at,
            length: headers.length,
            cutting,
            ecn: ecn(frame),
        })
    }

    /// Looks at the piece alone.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, headers: &Headers) -> Result<(), BadPiece> {
        let octets = self.end - self.offset;
        let before = match headers.source {
            IpAddr::V4(_) => self.payload_at,
            IpAddr::V6(_) => self.payload_at.saturating_sub(V6_HEADER + FRAGMENT_HEADER),
        };
        let is_last = self.follows == Follows::Nothing;
        if octets == 0 {
            Err(BadPiece::Empty)
        } else if !is_last && !octets.is_multiple_of(8) {
            Err(BadPiece::Misaligned)
        } else if before + self.end > MAX_LENGTH {
            Err(BadPiece::TooLong)
        } else if headers.protocol == Protocol::TCP
            && ((self.offset == 0 && octets < TCP_HEADER) || self.offset == 8)
        {
            Err(BadPiece::Tiny)
        } else {
            Ok(())
        }
    }
}

/// The two bits of ECN of the packet at the start of `frame`.
#[must_use]
pub fn ecn(frame: &[u8]) -> u8 {
    let class = u8_at(frame, 1).unwrap_or(0);
    match u8_at(frame, 0).map(|octet| octet >> 4) {
        Some(4) => class & 3,
        _ => class >> 4 & 3,
    }
}

/// Whether routers may cut this packet.
#[must_use]
pub fn cutting(frame: &[u8]) -> Cutting {
    let is_v4 = u8_at(frame, 0).is_some_and(|octet| octet >> 4 == 4);
    match u16_at(frame, 6) {
        Some(field) if is_v4 && field & DONT_FRAGMENT == 0 => Cutting::Allowed,
        _ => Cutting::Forbidden,
    }
}

/// Puts a datagram together: `header` is all of its first piece before the
/// payload, `pieces` are the payloads in order, without a gap. `cutting` says
/// whether the whole may be cut smaller than its pieces were; `ecn` are its
/// bits. `None` for a header that is none.
#[must_use]
pub fn assemble<'a>(
    header: &[u8],
    pieces: impl Iterator<Item = &'a [u8]>,
    cutting: Cutting,
    ecn: u8,
) -> Option<Vec<u8>> {
    let is_v4 = u8_at(header, 0)? >> 4 == 4;
    let mut whole = Vec::with_capacity(MAX_LENGTH);
    let before = if is_v4 {
        header
    } else {
        header.get(..header.len().checked_sub(FRAGMENT_HEADER)?)?
    };
    whole.extend_from_slice(before);
    for piece in pieces {
        whole.extend_from_slice(piece);
    }
    whole.shrink_to_fit();
    if is_v4 {
        let length = u16::try_from(whole.len()).ok()?;
        let kept = u16_at(&whole, 6)? & 0x8000;
        let field = match cutting {
            Cutting::Allowed => kept,
            Cutting::Forbidden => kept | DONT_FRAGMENT,
        };
        let class = u8_at(&whole, 1)? & !3 | ecn;
        put(&mut whole, 1, &[class]);
        put(&mut whole, 2, &length.to_be_bytes());
        put(&mut whole, 6, &field.to_be_bytes());
        sum_v4_header(&mut whole, before.len());
    } else {
        let length = u16::try_from(whole.len().checked_sub(V6_HEADER)?).ok()?;
        let next = u8_at(header, before.len())?;
        let class = u8_at(&whole, 1)? & !0x30 | ecn << 4;
        let field = next_header_field(&whole, before.len())?;
        put(&mut whole, 1, &[class]);
        put(&mut whole, 4, &length.to_be_bytes());
        put(&mut whole, field, &[next]);
    }
    Some(whole)
}

/// How a datagram is to be cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cuts {
    /// The number that its pieces get (IPv4 packets have theirs already).
    pub id: u32,
    /// The length of what stands before the payload of each piece, a fragment
    /// header left aside.
    pub header: usize,
    /// The payloads of the pieces that it came in; none for what came whole.
    pub sizes: Vec<u16>,
    /// The length of the longest piece.
    pub largest: usize,
}

impl Cuts {
    /// How an IPv4 packet that came whole is cut to `limit`.
    #[must_use]
    pub fn new(headers: &Headers, limit: usize) -> Self {
        Self {
            id: 0,
            header: headers.transport_at,
            sizes: Vec::new(),
            largest: limit,
        }
    }

    /// Cuts a whole packet: where it was cut before, or else into the least
    /// number of pieces no longer than any of those or than `limit`.
    #[must_use]
    pub fn cut(&self, whole: &[u8], limit: usize) -> Vec<Vec<u8>> {
        let limit = limit.min(self.largest);
        let (Some(before), Some(mut rest)) = (whole.get(..self.header), whole.get(self.header..))
        else {
            return vec![whole.to_vec()];
        };
        let is_v4 = u8_at(whole, 0).is_some_and(|octet| octet >> 4 == 4);
        if !is_v4 && whole.len() <= limit {
            // No longer than a piece that came: without the fragment header it
            // needs no pieces.
            return vec![whole.to_vec()];
        }
        let later = if is_v4 {
            copied_header(before)
        } else {
            Vec::new()
        };
        let sizes = self.sizes.iter().map(|size| usize::from(*size));
        let as_it_came = self.largest <= limit
            && !self.sizes.is_empty()
            && sizes.clone().sum::<usize>() == rest.len();
        let mut sizes = sizes.filter(|_| as_it_came);
        let mut pieces = Vec::new();
        let mut offset = 0;
        while !rest.is_empty() {
            let header = if is_v4 && offset > 0 { &later } else { before };
            let extra = if is_v4 { 0 } else { FRAGMENT_HEADER };
            let room = limit.saturating_sub(header.len() + extra);
            let size = sizes.next().unwrap_or(if rest.len() <= room {
                rest.len()
            } else {
                (room & !7).max(8)
            });
            let (payload, behind) = rest.split_at(size.min(rest.len()));
            let more = !behind.is_empty();
            pieces.push(if is_v4 {
                v4_piece(header, payload, offset, more)
            } else {
                self.v6_piece(header, payload, offset, more)
            });
            offset += payload.len();
            rest = behind;
        }
        pieces
    }

    fn v6_piece(&self, before: &[u8], payload: &[u8], offset: usize, more: bool) -> Vec<u8> {
        let length = before.len() + FRAGMENT_HEADER + payload.len();
        let mut piece = Vec::with_capacity(length);
        piece.extend_from_slice(before);
        let field = next_header_field(before, before.len()).unwrap_or(6);
        let next = u8_at(before, field).unwrap_or(0);
        put(&mut piece, field, &[FRAGMENT_NUMBER]);
        put(&mut piece, 4, &as_u16(length - V6_HEADER.min(length)));
        let place = u16::from_be_bytes(as_u16(offset)) & 0xfff8 | u16::from(more);
        piece.extend_from_slice(&[next, 0]);
        piece.extend_from_slice(&place.to_be_bytes());
        piece.extend_from_slice(&self.id.to_be_bytes());
        piece.extend_from_slice(payload);
        piece
    }
}

fn v4_piece(header: &[u8], payload: &[u8], offset: usize, more: bool) -> Vec<u8> {
    let mut piece = Vec::with_capacity(header.len() + payload.len());
    piece.extend_from_slice(header);
    piece.extend_from_slice(payload);
    let length = as_u16(piece.len());
    put(&mut piece, 2, &length);
    let kept = u16_at(&piece, 6).unwrap_or(0) & 0xc000;
    let more = if more { MORE_FRAGMENTS } else { 0 };
    let place = kept | more | u16::from_be_bytes(as_u16(offset / 8)) & 0x1fff;
    put(&mut piece, 6, &place.to_be_bytes());
    sum_v4_header(&mut piece, header.len());
    piece
}

/// An IPv4 header as later pieces have it: of the options only those whose
/// copy bit is set (RFC 791 section 3.1).
fn copied_header(first: &[u8]) -> Vec<u8> {
    let (fixed, mut options) = first.split_at(first.len().min(V4_HEADER));
    let mut header = fixed.to_vec();
    while let [kind, rest @ ..] = options {
        let length = match (kind, rest) {
            (0, _) => break,
            (1, _) => 1,
            (_, [length, ..]) => usize::from(*length).max(2),
            (_, []) => break,
        };
        let Some(option) = options.get(..length) else {
            break;
        };
        if kind & 0x80 != 0 {
            header.extend_from_slice(option);
        }
        options = options.get(length..).unwrap_or_default();
    }
    header.resize(header.len().next_multiple_of(4), 0);
    // At most 60 octets: fifteen words.
    let words = u8::try_from(header.len() / 4).unwrap_or(5);
    let version = u8_at(&header, 0).unwrap_or(0x40) & 0xf0;
    put(&mut header, 0, &[version | words]);
    header
}

/// Where the number of the header at `until` stands: in the IPv6 header, or in
/// the last extension header before it.
fn next_header_field(packet: &[u8], until: usize) -> Option<usize> {
    let (mut field, mut at) = (6, V6_HEADER);
    while at < until {
        let size = match u8_at(packet, field)? {
            FRAGMENT_NUMBER => FRAGMENT_HEADER,
            _ => (usize::from(u8_at(packet, at + 1)?) + 1) * 8,
        };
        field = at;
        at += size;
    }
    (at == until).then_some(field)
}

fn sum_v4_header(packet: &mut [u8], length: usize) {
    put(packet, 10, &[0, 0]);
    if let Some(header) = packet.get(..length) {
        let sum = Sum::default().over(header).checksum();
        put(packet, 10, &sum.to_be_bytes());
    }
}

/// A length that an IP packet can have, as it stands in a header.
fn as_u16(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}
