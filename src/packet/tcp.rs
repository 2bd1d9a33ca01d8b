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

/// The options of a TCP header that tracking needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TcpOptions {
    window_scale: Option<u8>,
    sack: SackOption,
    time_stamp: Option<u32>,
    /// Right edges of SACK blocks; a header has room for four.
    edges: [Option<SeqNumber>; 4],
    /// How many octets they take.
    length: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum SackOption {
    #[default]
    Absent,
    Permitted,
}

impl TcpOptions {
    /// Whether the header ends where options would begin.
    #[must_use]
    pub fn are_absent(&self) -> bool {
        self.length == 0
    }

    /// By how many bits the sender shifts its windows (RFC 7323 section 2.3:
    /// fourteen at most).
    #[must_use]
    pub fn window_scale(&self) -> Option<u8> {
        self.window_scale
    }

    /// Whether the sender takes selective acknowledgements (RFC 2018 section 2).
    #[must_use]
    pub fn permits_sack(&self) -> bool {
        self.sack == SackOption::Permitted
    }

    /// The time stamp of the segment (RFC 7323 section 3.2: `TSval`).
    #[must_use]
    pub fn time_stamp(&self) -> Option<u32> {
        self.time_stamp
    }

    /// The right edges of what is acknowledged selectively.
    #[inline]
    pub fn sack_edges(&self) -> impl Iterator<Item = SeqNumber> {
        // Behind the first that is not there, there is none.
        self.edges.into_iter().map_while(|edge| edge)
    }

    /// Reads the options of a whole TCP header.
    pub(crate) fn read(header: &[u8]) -> Self {
        // What most segments carry, and nothing else: two NOPs and a time stamp.
        const TIME_STAMP_ALONE: [u8; 4] = [NOP, NOP, 8, 10];
        let mut read = Self {
            length: header.len().saturating_sub(20),
            ..Self::default()
        };
        if header.len() == 20 {
            return read;
        }
        if header.len() == 32 && array_at(header, 20) == Some(TIME_STAMP_ALONE) {
            read.time_stamp = u32_at(header, 24);
            return read;
        }
        let mut rest = header.get(20..).unwrap_or_default();
        loop {
            let (kind, length, behind) = match rest {
                [] | [END, ..] => break,
                [NOP, behind @ ..] => {
                    rest = behind;
                    continue;
                }
                [kind, length, behind @ ..] => (*kind, usize::from(*length), behind),
                [_] => break,
            };
            let Some((body, others)) = length
                .checked_sub(2)
                .and_then(|length| behind.split_at_checked(length))
            else {
                break;
            };
            rest = others;
            match (kind, body) {
                (WINDOW_SCALE, [scale]) => read.window_scale = Some(*scale.min(&14)),
                (TIME_STAMP, [a, b, c, d, _, _, _, _]) => {
                    read.time_stamp = Some(u32::from_be_bytes([*a, *b, *c, *d]));
                }
                (SACK_PERMITTED, []) => read.sack = SackOption::Permitted,
                (SACK, blocks) => read.take_blocks(blocks),
                _ => {}
            }
        }
        read
    }

    /// Takes the blocks of an option that has whole ones, if none before had.
    fn take_blocks(&mut self, body: &[u8]) {
        let (blocks, rest) = body.as_chunks::<8>();
        if !rest.is_empty() || blocks.len() > self.edges.len() || self.sack_edges().next().is_some()
        {
            return;
        }
        for (place, [_, _, _, _, a, b, c, d]) in self.edges.iter_mut().zip(blocks) {
            *place = Some(SeqNumber(u32::from_be_bytes([*a, *b, *c, *d])));
        }
    }
}

const END: u8 = 0;
const NOP: u8 = 1;
const MAX_SEGMENT: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const SACK: u8 = 5;
const TIME_STAMP: u8 = 8;

/// The options of a TCP header: their kind, and where their body is.
fn options(header: &[u8]) -> impl Iterator<Item = (u8, Range<usize>)> + '_ {
    let mut at = 20;
    std::iter::from_fn(move || {
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
    })
}

/// Where the maximum segment size stands in a TCP header (RFC 9293 section
/// 3.2), relative to the header.
pub(super) fn max_segment(header: &[u8]) -> Option<usize> {
    let mut found = options(header).filter(|(kind, body)| (*kind, body.len()) == (MAX_SEGMENT, 2));
    found.next().map(|(_, body)| body.start)
}

/// Where the edges of SACK blocks stand in a TCP header (RFC 2018 section 3),
/// as pairs of four octets each, relative to the header.
pub(super) fn sack_blocks(header: &[u8]) -> impl Iterator<Item = Range<usize>> + '_ {
    options(header)
        .filter(|(kind, _)| *kind == SACK)
        .flat_map(|(_, body)| {
            (body.start..body.end)
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
    use proptest::prelude::*;

    use super::*;

    /// What the walk by offsets, which rewriting takes, finds of the same options.
    fn by_offsets(header: &[u8]) -> TcpOptions {
        let mut read = TcpOptions {
            length: header.len().saturating_sub(20),
            ..TcpOptions::default()
        };
        for (kind, body) in options(header) {
            match (kind, body.len()) {
                (WINDOW_SCALE, 1) => read.window_scale = Some(header[body.start].min(14)),
                (TIME_STAMP, 8) => read.time_stamp = u32_at(header, body.start),
                (SACK_PERMITTED, 0) => read.sack = SackOption::Permitted,
                (SACK, 8 | 16 | 24 | 32) if read.sack_edges().next().is_none() => {
                    for (place, block) in read.edges.iter_mut().zip(sack_blocks_of(&body)) {
                        *place = u32_at(header, block + 4).map(SeqNumber);
                    }
                }
                _ => {}
            }
        }
        read
    }

    fn sack_blocks_of(body: &Range<usize>) -> impl Iterator<Item = usize> {
        body.clone().step_by(8)
    }

    proptest! {
        #[test]
        fn options_are_what_a_walk_by_offsets_finds(
            parts in prop::collection::vec(
                prop_oneof![
                    Just(vec![NOP]),
                    Just(vec![SACK_PERMITTED, 2]),
                    any::<u8>().prop_map(|scale| vec![WINDOW_SCALE, 3, scale]),
                    any::<[u8; 8]>().prop_map(|stamps| [vec![TIME_STAMP, 10], stamps.to_vec()].concat()),
                    (1usize..5, any::<[u8; 32]>()).prop_map(|(blocks, octets)| {
                        [&[SACK, blocks as u8 * 8 + 2], &octets[..blocks * 8]].concat()
                    }),
                    prop::collection::vec(0u8..12, 0..5),
                ],
                0..6,
            ),
        ) {
            let mut header = [vec![0u8; 20], parts.concat()].concat();
            header.truncate(60);
            prop_assert_eq!(TcpOptions::read(&header), by_offsets(&header));
        }
    }

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
