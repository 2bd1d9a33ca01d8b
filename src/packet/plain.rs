//! A packet as nearly all are: TCP or UDP, in one piece, over IPv4 without options or
//! IPv6 without extension headers. It is read at fixed offsets and changed in one step,
//! checksums included.
//!
//! What is not of this kind is read by [`Headers`](super::Headers); of what is, both
//! say the same, and change the same bytes.
//!
//! Addresses and ports stay as their octets stand in the packet, the first octet the
//! lowest of a number: they are compared, hashed, summed and written so, and never
//! turned.

mod passing;

use super::addresses::{Addresses, Leaving, ports_of};
use super::checksum::{added, is_right, over, total};
use super::parse::{Checksum, Fragment, Headers, Transport};
use super::tcp::{TcpHeader, TcpOptions};
use crate::net::{Family, Protocol, SeqNumber, TcpFlags, Tuple};

const V4_HEADER: usize = 20;
const V6_HEADER: usize = 40;
/// TCP's header, without options.
const TCP_HEADER: usize = 20;
/// What the headers of TCP over IPv4 have at least.
const TCP_V4_HEADERS: usize = V4_HEADER + TCP_HEADER;
const UDP_HEADER: usize = 8;
/// Version 4, five words of header.
const V4: u8 = 0x45;
/// Version 6, and the upper half of the traffic class.
const V6: u8 = 0x60;
/// Of the first eight octets of an IPv4 header: version and length, and whether it is a
/// piece of something or more pieces follow.
const SHAPE_OF_V4: u64 = u64::from_le_bytes([0xff, 0, 0, 0, 0, 0, 0x3f, 0xff]);
/// Those of a packet in one piece without options.
const SHAPE_V4: u64 = u64::from_le_bytes([V4, 0, 0, 0, 0, 0, 0, 0]);
/// What is read of a TCP or UDP packet without IP options or extension headers, which
/// came in one piece. Its addresses are left where they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plain {
    /// Which IP it is.
    pub family: Family,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The time to live; IPv6's hop limit.
    pub ttl: u8,
    /// Octets of the transport's header.
    pub header: u8,
    /// All its octets: those of the frame.
    pub length: u16,
    /// Source and destination port, the source in the lower half, each with its first
    /// octet the lower.
    pub ports: u32,
}

/// What the header of a TCP segment says besides its ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlainSegment {
    /// Sequence number of the first octet.
    pub seq: SeqNumber,
    /// The next number that the sender expects, if ACK is set.
    pub ack: SeqNumber,
    /// The window as sent, not scaled.
    pub window: u16,
    /// The flags.
    pub flags: TcpFlags,
}

/// The options of a TCP segment, where they are such as most have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlainOptions {
    /// None.
    None,
    /// Nothing but a time stamp.
    Stamp(u32),
}

impl Plain {
    /// Reads a packet; `None` where it is not of this kind, whatever else it is.
    #[inline]
    #[must_use]
    pub fn read(frame: &[u8]) -> Option<Self> {
        match *frame.first()? {
            V4 => Self::read_v4(frame),
            first if first & 0xf0 == V6 => Self::read_v6(frame),
            _ => None,
        }
    }

    /// The same, if it is TCP over IPv4: the kind that most are, which is read, tracked and
    /// written without the questions that others have to be asked.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: docs/performance.md")]
    pub(crate) fn read_tcp_v4(frame: &[u8]) -> Option<Self> {
        let head = frame.first_chunk::<TCP_V4_HEADERS>()?;
        let [first, second, _] = words_of_v4(head.first_chunk::<V4_HEADER>()?);
        let [_, protocol, ..] = second.to_le_bytes();
        if !is_whole_v4(first, frame) || Protocol(protocol) != Protocol::TCP {
            return None;
        }
        let plain = Self::tcp_v4_again(frame)?;
        let header = usize::from(plain.header);
        let is_there = header >= TCP_HEADER && header <= frame.len() - V4_HEADER;
        is_there.then_some(plain)
    }

    /// What was read of TCP over IPv4, once more: it is sooner read again than kept.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: docs/performance.md")]
    pub(crate) fn tcp_v4_again(frame: &[u8]) -> Option<Self> {
        let head = frame.first_chunk::<TCP_V4_HEADERS>()?;
        let (ip, tcp) = head.split_first_chunk::<V4_HEADER>()?;
        let [_, _, _, _, _, _, _, _, ttl, ..] = *ip;
        let [.., offset, _, _, _, _, _, _, _] = *tcp else {
            return None;
        };
        Some(Self {
            family: Family::V4,
            protocol: Protocol::TCP,
            ttl,
            header: (offset >> 4) * 4,
            // It is what the header says, in 16 bits.
            length: frame.len() as u16,
            ports: u32::from_le_bytes(*tcp.first_chunk::<4>()?),
        })
    }

    /// The same of UDP over IPv4.
    #[inline]
    pub(crate) fn udp_v4_again(frame: &[u8]) -> Option<Self> {
        let head = frame.first_chunk::<{ V4_HEADER + UDP_HEADER }>()?;
        let (ip, udp) = head.split_first_chunk::<V4_HEADER>()?;
        let [_, _, _, _, _, _, _, _, ttl, ..] = *ip;
        Some(Self {
            family: Family::V4,
            protocol: Protocol::UDP,
            ttl,
            header: 8,
            // It is what the header says, in 16 bits.
            length: frame.len() as u16,
            ports: u32::from_le_bytes(*udp.first_chunk::<4>()?),
        })
    }

    #[inline]
    fn read_v4(frame: &[u8]) -> Option<Self> {
        let (ip, transport) = frame.split_first_chunk::<V4_HEADER>()?;
        let [first, second, _] = words_of_v4(ip);
        if !is_whole_v4(first, frame) {
            return None;
        }
        let [ttl, protocol, ..] = second.to_le_bytes();
        let header = header_of(Protocol(protocol), transport)?;
        let ports = u32::from_le_bytes(*transport.first_chunk::<4>()?);
        Some(Self {
            family: Family::V4,
            ports,
            length: u16::try_from(frame.len()).ok()?,
            ttl,
            protocol: Protocol(protocol),
            header,
        })
    }

    #[inline]
    fn read_v6(frame: &[u8]) -> Option<Self> {
        let (ip, transport) = frame.split_first_chunk::<V6_HEADER>()?;
        let [_, _, _, _, l0, l1, next_header, hop_limit, ..] = ip;
        if usize::from(u16::from_be_bytes([*l0, *l1])) != transport.len() {
            return None;
        }
        let header = header_of(Protocol(*next_header), transport)?;
        let is_udp = Protocol(*next_header) == Protocol::UDP;
        if is_udp && transport.get(6..8) == Some(&[0, 0]) {
            // RFC 8200 section 8.1: there has to be a checksum, but where somebody says not.
            return None;
        }
        let ports = u32::from_le_bytes(*transport.first_chunk::<4>()?);
        Some(Self {
            family: Family::V6,
            ports,
            length: u16::try_from(frame.len()).ok()?,
            ttl: *hop_limit,
            protocol: Protocol(*next_header),
            header,
        })
    }

    /// Octets of the IP header.
    #[inline]
    fn ip_header(&self) -> u8 {
        match self.family {
            Family::V4 => 20,
            Family::V6 => 40,
        }
    }

    /// All that its headers say: what [`Headers::read`] makes of it.
    #[inline]
    #[must_use]
    pub fn headers(&self, frame: &[u8]) -> Option<Headers> {
        let [source, destination] = self.addresses(frame)?.ends();
        let transport = match self.protocol {
            Protocol::TCP => Transport::Tcp(self.tcp_header(frame)?),
            _ => {
                let [from, to] = ports_of(self.ports);
                Transport::Udp(from, to)
            }
        };
        Some(Headers {
            source,
            destination,
            protocol: self.protocol,
            ttl: self.ttl,
            length: usize::from(self.length),
            transport_at: usize::from(self.ip_header()),
            fragment: Fragment::No,
            transport,
            checksum: Checksum::Complete,
        })
    }

    /// The header of a TCP segment.
    #[inline]
    #[must_use]
    pub fn tcp_header(&self, frame: &[u8]) -> Option<TcpHeader> {
        let [source, destination] = ports_of(self.ports);
        let said = self.segment(frame)?;
        Some(TcpHeader {
            source,
            destination,
            seq: said.seq,
            ack: said.ack,
            flags: said.flags,
            window: said.window,
            length: usize::from(self.header),
            payload: self.payload() as usize,
        })
    }

    /// All options of a TCP segment that tracking needs.
    #[must_use]
    pub fn tcp_options(&self, frame: &[u8]) -> TcpOptions {
        let (from, to) = (self.ip_header(), self.headers_length());
        let header = frame.get(usize::from(from)..usize::from(to));
        header.map(TcpOptions::read).unwrap_or_default()
    }

    /// Its tuple.
    #[inline]
    #[must_use]
    pub fn tuple(&self, frame: &[u8]) -> Option<Tuple> {
        let own = Leaving {
            addresses: self.addresses(frame)?,
            ports: self.ports,
        };
        Some(own.tuple(self.protocol))
    }

    /// Both addresses, as they stand in the packet that it was read of.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: docs/performance.md")]
    #[must_use]
    pub fn addresses(&self, frame: &[u8]) -> Option<Addresses> {
        Some(match self.family {
            Family::V4 => {
                let [_, _, addresses] = words_of_v4(frame.first_chunk::<V4_HEADER>()?);
                Addresses::V4(addresses)
            }
            Family::V6 => {
                let (_, addresses) = frame.first_chunk::<V6_HEADER>()?.split_last_chunk::<32>()?;
                Addresses::V6(words_of(addresses))
            }
        })
    }

    /// Octets of its headers, the transport's included.
    #[inline]
    #[must_use]
    pub fn headers_length(&self) -> u8 {
        self.ip_header() + self.header
    }

    /// Octets of payload of a TCP segment.
    #[inline]
    #[must_use]
    pub fn payload(&self) -> u32 {
        // The headers are all there.
        u32::from(self.length).wrapping_sub(u32::from(self.headers_length()))
    }

    /// What the header of a TCP segment says.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: docs/performance.md")]
    #[must_use]
    pub fn segment(&self, frame: &[u8]) -> Option<PlainSegment> {
        let header = match self.family {
            Family::V4 => frame
                .first_chunk::<{ V4_HEADER + 20 }>()?
                .last_chunk::<20>()?,
            Family::V6 => frame
                .first_chunk::<{ V6_HEADER + 20 }>()?
                .last_chunk::<20>()?,
        };
        let [_, _, _, _, numbers @ .., _, flags, w0, w1, _, _, _, _] = header;
        let [s0, s1, s2, s3, k0, k1, k2, k3] = *numbers;
        Some(PlainSegment {
            seq: SeqNumber(u32::from_be_bytes([s0, s1, s2, s3])),
            ack: SeqNumber(u32::from_be_bytes([k0, k1, k2, k3])),
            window: u16::from_be_bytes([*w0, *w1]),
            flags: TcpFlags(*flags),
        })
    }

    /// The options of a TCP segment; `None` where they are not such as most have.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: docs/performance.md")]
    #[must_use]
    pub fn options(&self, frame: &[u8]) -> Option<PlainOptions> {
        match self.header {
            20 => Some(PlainOptions::None),
            32 => {
                let options = usize::from(self.ip_header()) + 20;
                match frame.get(options..)?.first_chunk::<12>()? {
                    [1, 1, 8, 10, a, b, c, d, ..] => {
                        Some(PlainOptions::Stamp(u32::from_be_bytes([*a, *b, *c, *d])))
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Whether the checksums of the packet are right; the transport's counts only
    /// where it is complete and there is one.
    // Else the number of octets is looked at more often than need be.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: docs/performance.md")]
    #[must_use]
    pub fn is_intact(&self, frame: &[u8], checksum: Checksum) -> bool {
        // The addresses are in both sums.
        let (transport, addresses) = match self.family {
            Family::V4 => {
                let Some((ip, transport)) = frame.split_first_chunk::<V4_HEADER>() else {
                    return false;
                };
                let [first, second, addresses] = words_of_v4(ip);
                if !is_right(total([first, second, addresses])) {
                    return false;
                }
                (transport, addresses)
            }
            Family::V6 => {
                let Some((ip, transport)) = frame.split_first_chunk::<V6_HEADER>() else {
                    return false;
                };
                let [_, _, _, _, _, _, _, _, addresses @ ..] = ip;
                let [a, b, c, d] = words_of(addresses);
                (transport, added(added(a, b), added(c, d)))
            }
        };
        let has_none = || self.is_udp() && transport.get(6..8) == Some(&[0, 0]);
        if checksum == Checksum::Partial || has_none() {
            return true;
        }
        let length = self.length.wrapping_sub(u16::from(self.ip_header()));
        let pseudo = u64::from(length.swap_bytes()) + (u64::from(self.protocol.0) << 8);
        // Of all transports the first octets are there, and are summed without asking.
        let sum = match transport.split_first_chunk::<TCP_HEADER>() {
            Some((header, rest)) if !self.is_udp() => {
                total([of_tcp_header(header), over(rest), addresses, pseudo])
            }
            _ => total([over(transport), addresses, pseudo]),
        };
        is_right(sum)
    }

    #[inline]
    fn is_udp(&self) -> bool {
        self.protocol == Protocol::UDP
    }
}

/// How long the header of a transport is; `None` where the transport is neither TCP nor
/// UDP, or not whole.
#[inline(always)]
#[expect(clippy::inline_always, reason = "measured: docs/performance.md")]
fn header_of(protocol: Protocol, transport: &[u8]) -> Option<u8> {
    match protocol {
        Protocol::TCP => {
            let [.., offset, _, _, _, _, _, _, _] = *transport.first_chunk::<20>()?;
            let header = (offset >> 4) * 4;
            if header < 20 || usize::from(header) > transport.len() {
                return None;
            }
            Some(header)
        }
        Protocol::UDP => {
            let [.., u0, u1, _, _] = *transport.first_chunk::<UDP_HEADER>()?;
            if usize::from(u16::from_be_bytes([u0, u1])) != transport.len() {
                return None;
            }
            Some(8)
        }
        _ => None,
    }
}

/// Whether a packet of IPv4 is whole and in one piece, without options. These are its
/// first eight octets.
#[inline(always)]
#[expect(clippy::inline_always, reason = "measured: docs/performance.md")]
fn is_whole_v4(first: u64, frame: &[u8]) -> bool {
    // Octets 2 and 3 of the header.
    let length = ((first >> 16) as u16).swap_bytes();
    first & SHAPE_OF_V4 == SHAPE_V4 && usize::from(length) == frame.len()
}

/// The sum of a TCP header without its options.
#[inline(always)]
#[expect(clippy::inline_always, reason = "measured: docs/performance.md")]
fn of_tcp_header(header: &[u8; TCP_HEADER]) -> u64 {
    let [first, second, third] = words_of_v4(header);
    total([first, second, third])
}

/// An IPv4 header: eight octets, four, and the addresses.
#[inline(always)]
#[expect(clippy::inline_always, reason = "measured: docs/performance.md")]
fn words_of_v4(header: &[u8; V4_HEADER]) -> [u64; 3] {
    let (first, rest) = header.split_at(8);
    let (second, addresses) = rest.split_at(4);
    [
        first
            .first_chunk::<8>()
            .map_or(0, |word| u64::from_le_bytes(*word)),
        second
            .first_chunk::<4>()
            .map_or(0, |word| u64::from(u32::from_le_bytes(*word))),
        addresses
            .first_chunk::<8>()
            .map_or(0, |word| u64::from_le_bytes(*word)),
    ]
}

/// Both addresses of an IPv6 header.
#[inline]
fn words_of(addresses: &[u8; 32]) -> [u64; 4] {
    let (words, _) = addresses.as_chunks::<8>();
    let mut all = [0; 4];
    for (own, word) in all.iter_mut().zip(words) {
        *own = u64::from_le_bytes(*word);
    }
    all
}

#[cfg(test)]
mod tests;
