//! Classic pcap: a file header, then records. Micro- and nanoseconds, both
//! byte orders, and Kuznetzov's "modified" record header.

use pcap_parser::{PcapHeader, parse_pcap_header};

use crate::net::Timestamp;

use super::error::{CaptureError, Fault, Part};
use super::link::LinkType;
use super::packet::{CapturedPacket, MAX_RECORD};
use super::source::Source;

const FILE_HEADER: u32 = 24;

/// The room that is made for a record before any of it is there.
const ROOM: u32 = 64 << 10;

/// A pcap file after its header.
#[derive(Debug)]
pub(super) struct Pcap {
    link: LinkType,
    nanos_per_tick: u64,
    /// How the record header looks.
    record_header: u32,
    big_endian: bool,
    buffer: Vec<u8>,
}

impl Pcap {
    /// Reads the rest of the file header behind its `magic`.
    pub(super) fn begin(magic: Vec<u8>, source: &mut Source) -> Result<Self, CaptureError> {
        let mut buffer = magic;
        if !is_magic(&buffer) {
            return Err(source.error(Fault::NotACapture { begins: buffer }));
        }
        source.read(FILE_HEADER - 4, &mut buffer)?;
        let Ok((_, header)) = parse_pcap_header(&buffer) else {
            return Err(source.error(Fault::Cut {
                part: Part::FileHeader,
                at: 0,
                says: u64::from(FILE_HEADER),
                has: source.offset(),
            }));
        };
        if header.version_major != 2 {
            return Err(source.error(Fault::Version {
                at: 0,
                major: header.version_major,
            }));
        }
        let link = link_type(&header);
        if !link.may_hold_ip() {
            return Err(source.error(Fault::UnknownLink(link)));
        }
        let record_header = match header.is_modified_format() {
            true => 24,
            false => 16,
        };
        Ok(Self {
            link,
            nanos_per_tick: if header.is_nanosecond_precision() {
                1
            } else {
                1_000
            },
            record_header,
            big_endian: header.is_bigendian(),
            buffer,
        })
    }

    /// The next packet; `None` at the proper end of the file.
    pub(super) fn next(
        &mut self,
        source: &mut Source,
    ) -> Result<Option<CapturedPacket>, CaptureError> {
        let at = source.offset();
        self.buffer.clear();
        let has = source.read(self.record_header, &mut self.buffer)?;
        if has == 0 {
            return Ok(None);
        }
        let cut = |part, says: u32, has: u32| Fault::Cut {
            part,
            at,
            says: u64::from(says),
            has: u64::from(has),
        };
        let words = (self.word(0), self.word(4), self.word(8), self.word(12));
        let (Some(seconds), Some(fraction), Some(captured), Some(original_length)) = words else {
            return Err(source.error(cut(Part::RecordHeader, self.record_header, has)));
        };
        if has < self.record_header {
            return Err(source.error(cut(Part::RecordHeader, self.record_header, has)));
        }
        if captured > MAX_RECORD {
            return Err(source.error(Fault::TooLong {
                part: Part::Record,
                at,
                says: u64::from(captured),
            }));
        }
        // The file may say more than it has: no more room than a part of it has.
        let mut data = Vec::with_capacity(captured.min(ROOM) as usize);
        let has = source.read(captured, &mut data)?;
        if has < captured {
            return Err(source.error(cut(Part::Record, captured, has)));
        }
        Ok(Some(CapturedPacket {
            time: self.time(seconds, fraction),
            link: self.link,
            data,
            original_length,
            offset: at,
        }))
    }

    /// A word of the record header in the buffer.
    fn word(&self, at: usize) -> Option<u32> {
        let octets = self.buffer.get(at..)?.first_chunk()?;
        Some(match self.big_endian {
            true => u32::from_be_bytes(*octets),
            false => u32::from_le_bytes(*octets),
        })
    }

    /// A fraction beyond one second, which only a damaged file has, is added as it is.
    fn time(&self, seconds: u32, fraction: u32) -> Timestamp {
        let nanos = u64::from(fraction) * self.nanos_per_tick;
        Timestamp::from_nanos(u64::from(seconds) * 1_000_000_000 + nanos)
    }
}

/// The upper bits of the field say how long the frame check sequence is.
fn link_type(header: &PcapHeader) -> LinkType {
    let [_, _, high, low] = header.network.0.to_be_bytes();
    LinkType::from_number(u16::from_be_bytes([high, low]))
}

/// Whether the file can go on as pcap: a whole magic, or the beginning of one.
fn is_magic(begins: &[u8]) -> bool {
    const MAGICS: [[u8; 4]; 5] = [
        [0xd4, 0xc3, 0xb2, 0xa1],
        [0xa1, 0xb2, 0xc3, 0xd4],
        [0x4d, 0x3c, 0xb2, 0xa1],
        [0xa1, 0xb2, 0x3c, 0x4d],
        [0x34, 0xcd, 0xb2, 0xa1],
    ];
    MAGICS.iter().any(|magic| magic.starts_with(begins))
}
