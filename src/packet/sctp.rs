//! SCTP headers and chunks (RFC 9260 section 3).

use super::bytes::{u8_at, u16_at, u32_at};
use crate::net::{ChunkType, Port, VerificationTag};

/// Length of the common header.
const HEADER: usize = 12;
/// Length of a chunk's own header.
const CHUNK_HEADER: usize = 4;
/// Length of an INIT or INIT ACK without parameters.
const INIT: usize = 20;

/// The common header of an SCTP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SctpHeader {
    /// The sender's port.
    pub source: Port,
    /// The receiver's port.
    pub destination: Port,
    /// What the receiver knows its association by.
    pub tag: VerificationTag,
}

/// One chunk of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// What it is.
    pub kind: ChunkType,
    /// Its flags.
    pub flags: u8,
    /// The tag that the sender of an INIT or INIT ACK has chosen for what it
    /// is sent; `None` for all else.
    pub initiate_tag: Option<VerificationTag>,
}

impl Chunk {
    /// Whether the tag of the packet is the receiver's own, and not its
    /// sender's (the T bit, RFC 9260 section 8.5.1).
    #[must_use]
    pub fn has_reflected_tag(&self) -> bool {
        self.flags & 1 == 1
    }
}

/// The chunks of a packet, in order: as many as are at hand.
#[derive(Debug, Clone, Copy)]
pub struct Chunks<'a> {
    rest: &'a [u8],
}

impl<'a> Chunks<'a> {
    /// The chunks in a packet without its common header, whose lengths were
    /// checked by [`read`].
    pub(super) fn of(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    /// The types that occur.
    #[must_use]
    pub fn kinds(self) -> ChunkTypes {
        self.fold(ChunkTypes::default(), |set, chunk| set.with(chunk.kind))
    }

    /// Whether an honest stack puts these chunks together (RFC 9260 section
    /// 6.10, as `do_basic_checks` of Linux conntrack has it): at least one;
    /// INIT, INIT ACK and SHUTDOWN COMPLETE alone and whole, COOKIE ECHO and
    /// COOKIE ACK first.
    #[must_use]
    pub fn are_valid(self) -> bool {
        let mut alone = false;
        let mut count = 0;
        for chunk in self {
            let is_first = count == 0;
            let leads = matches!(chunk.kind, ChunkType::COOKIE_ECHO | ChunkType::COOKIE_ACK);
            let is_init = matches!(chunk.kind, ChunkType::INIT | ChunkType::INIT_ACK);
            alone |= is_init || chunk.kind == ChunkType::SHUTDOWN_COMPLETE;
            if (leads || alone) && !is_first || is_init && chunk.initiate_tag.is_none() {
                return false;
            }
            count += 1;
        }
        count > 0
    }
}

impl Iterator for Chunks<'_> {
    type Item = Chunk;

    fn next(&mut self) -> Option<Chunk> {
        let kind = ChunkType(u8_at(self.rest, 0)?);
        let flags = u8_at(self.rest, 1)?;
        let length = usize::from(u16_at(self.rest, 2)?);
        let initiate_tag = match kind {
            ChunkType::INIT | ChunkType::INIT_ACK if length >= INIT => {
                u32_at(self.rest, CHUNK_HEADER).map(VerificationTag)
            }
            _ => None,
        };
        // Never less than the header, so that the walk ends.
        let taken = length.max(CHUNK_HEADER).next_multiple_of(4);
        self.rest = self.rest.get(taken..).unwrap_or_default();
        Some(Chunk {
            kind,
            flags,
            initiate_tag,
        })
    }
}

/// A set of chunk types. It holds the sixteen that RFC 9260 knows; tracking
/// asks for no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChunkTypes(u16);

impl ChunkTypes {
    fn with(self, kind: ChunkType) -> Self {
        Self(self.0 | Self::bit(kind))
    }

    /// Whether one of `kinds` is among them.
    #[must_use]
    pub fn has_any(self, kinds: &[ChunkType]) -> bool {
        kinds.iter().any(|kind| self.0 & Self::bit(*kind) != 0)
    }

    fn bit(kind: ChunkType) -> u16 {
        1u16.checked_shl(u32::from(kind.0)).unwrap_or(0)
    }
}

/// Reads the common header, and checks the length of every chunk that is at
/// hand: each holds its own header and ends within the packet, which is
/// `length` octets long (RFC 9260 section 3.2). A last chunk may lack its
/// padding; up to three octets behind the last one mean nothing.
pub(super) fn read(segment: &[u8], length: usize) -> Option<SctpHeader> {
    let header = SctpHeader {
        source: Port(u16_at(segment, 0)?),
        destination: Port(u16_at(segment, 2)?),
        tag: VerificationTag(u32_at(segment, 4)?),
    };
    segment.get(..length.clamp(HEADER, HEADER + CHUNK_HEADER))?;
    let mut at = HEADER;
    while at + CHUNK_HEADER <= length
        && let Some(own) = u16_at(segment, at + 2)
    {
        let own = usize::from(own);
        if own < CHUNK_HEADER || at + own > length {
            return None;
        }
        at += own.next_multiple_of(4);
    }
    Some(header)
}

/// Where the chunks of a packet begin.
pub(super) const CHUNKS_AT: usize = HEADER;

#[cfg(test)]
mod tests {
    use super::*;

    /// Chunks of these types and lengths behind a common header.
    fn packet(chunks: &[(ChunkType, u16)]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER];
        for (kind, length) in chunks {
            bytes.extend([kind.0, 0]);
            bytes.extend(length.to_be_bytes());
            let rest = usize::from(*length).next_multiple_of(4);
            bytes.resize(bytes.len() + rest.saturating_sub(CHUNK_HEADER), 7);
        }
        bytes
    }

    fn are_valid(chunks: &[(ChunkType, u16)]) -> bool {
        Chunks::of(&packet(chunks)[CHUNKS_AT..]).are_valid()
    }

    #[test]
    fn a_chunk_without_length_and_one_beyond_the_end_cannot_be_read() {
        for wrong in [0, 1, 3, 9, u16::MAX] {
            let mut bytes = packet(&[(ChunkType::DATA, 8)]);
            bytes[HEADER + 2..HEADER + 4].copy_from_slice(&wrong.to_be_bytes());
            assert_eq!(read(&bytes, bytes.len()), None, "{wrong}");
        }
        let bytes = packet(&[(ChunkType::DATA, 7), (ChunkType::SACK, 5)]);
        assert!(read(&bytes, bytes.len()).is_some());
        // The padding of the last one may be missing.
        assert!(read(&bytes[..bytes.len() - 3], bytes.len() - 3).is_some());
        assert!(read(&bytes[..bytes.len() - 4], bytes.len() - 4).is_none());
        assert!(read(&bytes[..11], 11).is_none());
    }

    #[test]
    fn what_a_capture_cut_off_is_not_missed() {
        let bytes = packet(&[(ChunkType::DATA, 1000), (ChunkType::SACK, 16)]);
        assert!(read(&bytes[..60], bytes.len()).is_some());
        assert_eq!(Chunks::of(&bytes[CHUNKS_AT..60]).count(), 1);
        assert!(read(&bytes[..14], bytes.len()).is_none());
    }

    #[test]
    fn chunks_that_stand_alone_or_lead_do_so() {
        use ChunkType as C;
        assert!(are_valid(&[(C::INIT, 20)]));
        assert!(are_valid(&[
            (C::COOKIE_ECHO, 8),
            (C::DATA, 20),
            (C(192), 4)
        ]));
        assert!(are_valid(&[(C::SACK, 16), (C::ABORT, 4)]));
        for wrong in [
            &[][..],
            &[(C::INIT, 16)],
            &[(C::INIT, 20), (C::DATA, 20)],
            &[(C::DATA, 20), (C::INIT_ACK, 20)],
            &[(C::DATA, 20), (C::COOKIE_ACK, 4)],
            &[(C::ERROR, 4), (C::COOKIE_ECHO, 8)],
            &[(C::SHUTDOWN_COMPLETE, 4), (C::ABORT, 4)],
        ] {
            assert!(!are_valid(wrong), "{wrong:?}");
        }
    }
}
