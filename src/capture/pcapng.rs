//! pcapng: sections of blocks, each section with its own byte order and
//! interfaces, each interface with its own link type and clock.
//!
//! Blocks that hold no packet are passed over unread.

use pcap_parser::{
    Block, InterfaceDescriptionBlock, parse_block_be, parse_block_le, traits::PcapNGPacketBlock,
};

use crate::net::Timestamp;

use super::clock::{ByteOrder, Clock};
use super::error::{BlockDamage, CaptureError, Fault, Part};
use super::link::LinkType;
use super::packet::{CapturedPacket, MAX_RECORD};
use super::source::Source;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
/// Obsolete, and unknown to pcap-parser; old files have it.
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// More interfaces than this make no sense and cost memory.
const MAX_INTERFACES: usize = 4096;
/// The options of a packet cost several times their size when they are parsed.
const MAX_OPTIONS: u32 = 1 << 20;

/// A pcapng file; at first only its first four bytes are read.
#[derive(Debug)]
pub(super) struct Pcapng {
    order: ByteOrder,
    /// The interfaces of this section.
    interfaces: Vec<Interface>,
    /// Whether any interface of the file so far may carry IP.
    may_hold_ip: bool,
    /// The time of the packet before: that of one without a time.
    time: Timestamp,
    buffer: Vec<u8>,
    started: bool,
}

impl Default for Pcapng {
    fn default() -> Self {
        Self {
            order: ByteOrder::Little,
            interfaces: Vec::new(),
            may_hold_ip: false,
            time: Timestamp::EPOCH,
            buffer: Vec::new(),
            started: false,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Interface {
    link: LinkType,
    snap_length: u32,
    clock: Clock,
}

/// Where a block begins, and what it says of itself.
#[derive(Debug, Clone, Copy)]
struct BlockHeader {
    at: u64,
    block_type: u32,
    length: u32,
}

impl Pcapng {
    /// The next packet; `None` at the proper end of the file.
    pub(super) fn next(
        &mut self,
        source: &mut Source,
    ) -> Result<Option<CapturedPacket>, CaptureError> {
        while let Some((at, block_type)) = self.next_block(source)? {
            match self.take_block(block_type, at) {
                Ok(None) => {}
                Ok(Some(packet)) if !self.may_hold_ip => {
                    return Err(source.error(Fault::UnknownLink(packet.link)));
                }
                Ok(Some(packet)) => {
                    self.time = packet.time;
                    return Ok(Some(packet));
                }
                Err(fault) => return Err(source.error(fault)),
            }
        }
        Ok(None)
    }

    /// Reads the next block that matters whole into the buffer: where it began
    /// and its type.
    fn next_block(&mut self, source: &mut Source) -> Result<Option<(u64, u32)>, CaptureError> {
        while let Some(header) = self.block_header(source)? {
            let BlockHeader {
                at,
                block_type,
                length,
            } = header;
            let matters = matches!(
                block_type,
                SECTION_HEADER | INTERFACE | PACKET | SIMPLE_PACKET | ENHANCED_PACKET
            );
            if matters {
                if length > MAX_RECORD {
                    return Err(source.error(Fault::TooLong {
                        part: Part::Block,
                        at,
                        says: u64::from(length),
                    }));
                }
                let taken = u32::try_from(self.buffer.len()).unwrap_or(length);
                source.read(length.saturating_sub(taken), &mut self.buffer)?;
            } else {
                source.skip(length - 12)?;
                source.read(4, &mut self.buffer)?;
            }
            let has = source.offset() - at;
            if has < u64::from(length) {
                return Err(source.error(Fault::Cut {
                    part: Part::Block,
                    at,
                    says: u64::from(length),
                    has,
                }));
            }
            let end = self.buffer.len().saturating_sub(4);
            let first = length;
            match self.order.u32_at(&self.buffer, end) {
                Some(last) if last != first => {
                    let damage = BlockDamage::TwoLengths { first, last };
                    return Err(source.error(Fault::Block { at, damage }));
                }
                _ if matters => return Ok(Some((at, block_type))),
                _ => {}
            }
        }
        Ok(None)
    }

    /// Reads type and length of the next block, and of a section header the
    /// byte order too, into the buffer; `None` at the proper end of the file.
    fn block_header(&mut self, source: &mut Source) -> Result<Option<BlockHeader>, CaptureError> {
        self.buffer.clear();
        let mut at = source.offset();
        if !self.started {
            // The reader took the first four bytes to know the format.
            self.buffer.extend_from_slice(&SECTION_HEADER.to_le_bytes());
            (self.started, at) = (true, 0);
        }
        let known = u32::try_from(self.buffer.len()).unwrap_or(0);
        source.read(8 - known, &mut self.buffer)?;
        let has = source.offset() - at;
        let cut = |says, has| Fault::Cut {
            part: Part::BlockHeader,
            at,
            says,
            has,
        };
        let damaged = |damage| Fault::Block { at, damage };
        if has == 0 {
            return Ok(None);
        }
        let Some(block_type) = self.order.u32_at(&self.buffer, 0).filter(|_| has == 8) else {
            return Err(source.error(cut(8, has)));
        };
        // The section header's type is the same in both byte orders.
        if block_type == SECTION_HEADER {
            source.read(4, &mut self.buffer)?;
            self.order = match self.buffer.get(8..12) {
                Some(&[0x4d, 0x3c, 0x2b, 0x1a]) => ByteOrder::Little,
                Some(&[0x1a, 0x2b, 0x3c, 0x4d]) => ByteOrder::Big,
                Some(&[a, b, c, d]) => {
                    let damage = BlockDamage::ByteOrder([a, b, c, d]);
                    return Err(source.error(damaged(damage)));
                }
                _ => return Err(source.error(cut(12, source.offset() - at))),
            };
        }
        match self.order.u32_at(&self.buffer, 4) {
            Some(length) if length >= shortest_length(block_type) && length % 4 == 0 => {
                Ok(Some(BlockHeader {
                    at,
                    block_type,
                    length,
                }))
            }
            length => {
                let damage = BlockDamage::Length(length.unwrap_or(0));
                Err(source.error(damaged(damage)))
            }
        }
    }

    /// What the block in the buffer says: a packet, or something to remember.
    fn take_block(&mut self, block_type: u32, at: u64) -> Result<Option<CapturedPacket>, Fault> {
        let damaged = |damage| Fault::Block { at, damage };
        let order = self.order;
        if block_type == PACKET {
            return self.obsolete_packet(at).map(Some);
        }
        if block_type == ENHANCED_PACKET {
            let length = u32::try_from(self.buffer.len()).unwrap_or(u32::MAX);
            let captured = order.u32_at(&self.buffer, 20).unwrap_or(0);
            if length.saturating_sub(captured) > MAX_OPTIONS {
                return Err(damaged(BlockDamage::Length(length)));
            }
        }
        let parsed = match order {
            ByteOrder::Little => parse_block_le(&self.buffer),
            ByteOrder::Big => parse_block_be(&self.buffer),
        };
        let Ok((_, block)) = parsed else {
            return Err(damaged(BlockDamage::Contents));
        };
        match block {
            Block::SectionHeader(header) => {
                if header.major_version != 1 {
                    let major = header.major_version;
                    return Err(Fault::Version { at, major });
                }
                self.interfaces.clear();
                Ok(None)
            }
            Block::InterfaceDescription(description) => {
                if self.interfaces.len() >= MAX_INTERFACES {
                    return Err(damaged(BlockDamage::Interfaces));
                }
                let interface = Interface::new(&description, order);
                self.may_hold_ip |= interface.link.may_hold_ip();
                self.interfaces.push(interface);
                Ok(None)
            }
            Block::EnhancedPacket(packet) => {
                let interface = self.interface(packet.if_id, at)?;
                Ok(Some(CapturedPacket {
                    time: interface.clock.time(packet.ts_high, packet.ts_low),
                    link: interface.link,
                    data: packet.packet_data().to_vec(),
                    original_length: packet.origlen,
                    offset: at,
                }))
            }
            Block::SimplePacket(packet) => {
                let interface = self.interface(0, at)?;
                // It has no captured length: the snap length tells data from padding.
                let captured = match interface.snap_length {
                    0 => packet.origlen,
                    snap_length => packet.origlen.min(snap_length),
                };
                let captured = usize::try_from(captured).unwrap_or(usize::MAX);
                let data = packet.data.get(..captured).unwrap_or(packet.data);
                Ok(Some(CapturedPacket {
                    time: self.time,
                    link: interface.link,
                    data: data.to_vec(),
                    original_length: packet.origlen,
                    offset: at,
                }))
            }
            _ => Ok(None),
        }
    }

    /// The Packet Block of the format's drafts: like the enhanced one, but with
    /// a count of drops beside a shorter interface number.
    fn obsolete_packet(&self, at: u64) -> Result<CapturedPacket, Fault> {
        let contents = Fault::Block {
            at,
            damage: BlockDamage::Contents,
        };
        let word = |at| self.order.u32_at(&self.buffer, at);
        let (Some(id), Some(high), Some(low), Some(captured), Some(original_length)) = (
            self.order.u16_at(&self.buffer, 8),
            word(12),
            word(16),
            word(20),
            word(24),
        ) else {
            return Err(contents);
        };
        let interface = self.interface(u32::from(id), at)?;
        let captured = usize::try_from(captured).unwrap_or(usize::MAX);
        let body = self.buffer.get(28..self.buffer.len().saturating_sub(4));
        let Some(data) = body.and_then(|body| body.get(..captured)) else {
            return Err(contents);
        };
        Ok(CapturedPacket {
            time: interface.clock.time(high, low),
            link: interface.link,
            data: data.to_vec(),
            original_length,
            offset: at,
        })
    }

    fn interface(&self, number: u32, at: u64) -> Result<Interface, Fault> {
        usize::try_from(number)
            .ok()
            .and_then(|place| self.interfaces.get(place).copied())
            .ok_or(Fault::Block {
                at,
                damage: BlockDamage::Interface(number),
            })
    }
}

/// The shortest length that a block of this type can have.
fn shortest_length(block_type: u32) -> u32 {
    match block_type {
        SECTION_HEADER => 28,
        INTERFACE => 20,
        SIMPLE_PACKET => 16,
        PACKET | ENHANCED_PACKET => 32,
        _ => 12,
    }
}

impl Interface {
    fn new(description: &InterfaceDescriptionBlock<'_>, order: ByteOrder) -> Self {
        let [_, _, high, low] = description.linktype.0.to_be_bytes();
        Self {
            link: LinkType::from_number(u16::from_be_bytes([high, low])),
            snap_length: description.snaplen,
            clock: Clock::new(&description.options, order),
        }
    }
}
