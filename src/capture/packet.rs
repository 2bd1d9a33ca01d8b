//! A packet as a capture file holds it.

use crate::net::Timestamp;

use super::link::LinkType;

/// The longest record (packet with what surrounds it) that is read. Linux
/// sends at most 512 KiB in one piece; the rest is room for other systems.
pub const MAX_RECORD: u32 = 16 << 20;

/// One packet as the file holds it, from the link layer's header on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapturedPacket {
    /// When it was captured; for a packet without a time, that of the packet before it.
    pub time: Timestamp,
    /// What `data` begins with.
    pub link: LinkType,
    /// The captured bytes.
    pub data: Vec<u8>,
    /// How long the packet was on the wire.
    pub original_length: u32,
    /// Where its record begins in the (decompressed) file.
    pub offset: u64,
}
