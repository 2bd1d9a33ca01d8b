//! What the engine reads of a TCP header (RFC 9293 section 3.1).

use std::ops::Range;

use super::bytes::{array_at, u8_at, u16_at, u32_at};
use crate::net::{Port, SeqNumber, TcpFlags};

/// A TCP header whose lengths were checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpHeader {
    /// The sender's port.
    pub source: Port,
    /// The receiver's port.
    pub destination: Port,
    /// Sequence number of the first octet.
    pub seq: SeqNumber,
    /// The next number that the sender expects, if ACK is set.
    pub ack: SeqNumber,
    /// The flags.
    pub flags: TcpFlags,
    /// The window as sent, not scaled.
    pub window: u16,
    /// Length of the header with its options, in octets.
    pub length: usize,
    /// Length of the payload as the IP header counts it, in octets.
    pub payload: usize,
}

impl TcpHeader {
    /// Octets of sequence space that the segment takes: payload, SYN and FIN.
    #[must_use]
    pub fn sequence_length(&self) -> u32 {
        let flags =
            u32::from(self.flags.has(TcpFlags::SYN)) + u32::from(self.flags.has(TcpFlags::FIN));
        u32::try_from(self.payload)
            .unwrap_or(u32::MAX)
            .wrapping_add(flags)
    }
}

/// Offsets of the fields that translation changes.
pub(super) const SEQ_AT: usize = 4;
pub(super) const ACK_AT: usize = 8;
pub(super) const CHECKSUM_AT: usize = 16;

/// Reads the header at the start of `segment`; `length` is the segment's
/// length as the IP header says (a capture may have cut the bytes).
pub(super) fn read(segment: &[u8], length: usize) -> Option<TcpHeader> {
    let header = usize::from(u8_at(segment, 12)? >> 4) * 4;
    if header < 20 || header > length || segment.len() < header {
        return None;
    }
    Some(TcpHeader {
        source: Port(u16_at(segment, 0)?),
        destination: Port(u16_at(segment, 2)?),
        seq: SeqNumber(u32_at(segment, SEQ_AT)?),
        ack: SeqNumber(u32_at(segment, ACK_AT)?),
        flags: TcpFlags(u8_at(segment, 13)?),
        window: u16_at(segment, 14)?,
        length: header,
        payload: length - header,
    })
}

/// Where the edges of SACK blocks stand in a TCP header (RFC 2018 section 3),
/// as pairs of four octets each, relative to the header.
pub(super) fn sack_blocks(header: &[u8]) -> impl Iterator<Item = Range<usize>> + '_ {
    const END: u8 = 0;
    const NOP: u8 = 1;
    const SACK: u8 = 5;
    let mut at = 20;
    let options = std::iter::from_fn(move || {
        loop {
            match u8_at(header, at)? {
                END => return None,
                NOP => at += 1,
                kind => {
                    let length = usize::from(u8_at(header, at + 1)?);
                    if length < 2 || at + length > header.len() {
                        return None;
                    }
                    let body = at + 2..at + length;
                    at += length;
                    return Some((kind, body));
                }
            }
        }
    });
    options
        .filter(|(kind, _)| *kind == SACK)
        .flat_map(|(_, body)| {
            body.clone()
                .step_by(8)
                .map(move |at| at..(at + 8).min(body.end))
        })
        .filter(|block| block.len() == 8)
}

/// Both edges of the SACK block at `block`.
pub(super) fn sack_edges(header: &[u8], block: &Range<usize>) -> Option<[SeqNumber; 2]> {
    let [a, b, c, d, e, f, g, h] = array_at::<8>(header, block.start)?;
    Some([
        SeqNumber(u32::from_be_bytes([a, b, c, d])),
        SeqNumber(u32::from_be_bytes([e, f, g, h])),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sack_blocks_are_found_behind_other_options() {
        let mut header = vec![0u8; 20];
        header.extend([1, 1, 5, 18]);
        header.extend([0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4]);
        let blocks: Vec<_> = sack_blocks(&header).collect();
        assert_eq!(blocks, [24..32, 32..40]);
        assert_eq!(
            sack_edges(&header, &blocks[1]),
            Some([SeqNumber(3), SeqNumber(4)])
        );
        header[22] = 3; // not SACK
        assert_eq!(sack_blocks(&header).count(), 0);
        header[23] = 200; // longer than the header
        assert_eq!(sack_blocks(&header).count(), 0);
    }
}
