//! Writing pcapng of link type RAW: IP packets as they are, each with a comment, by
//! interfaces that have names.

use std::io::{self, Write};

use crate::net::Timestamp;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
const INTERFACE: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
/// LINKTYPE_RAW.
const RAW: u32 = 101;

const COMMENT: u16 = 1;
const USER_APPLICATION: u16 = 4;
const INTERFACE_NAME: u16 = 2;
const TIME_RESOLUTION: u16 = 9;
/// Nanoseconds.
const NANOS: [u8; 1] = [9];

/// A pcapng stream being written: one section, in little-endian order.
#[derive(Debug)]
pub struct PcapngWriter<W> {
    to: W,
    /// Where a block is put together.
    block: Vec<u8>,
}

impl<W: Write> PcapngWriter<W> {
    /// Begins a stream with these interfaces, which are numbered from nought on.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn new<'n>(to: W, interfaces: impl Iterator<Item = &'n str>) -> io::Result<Self> {
        let mut writer = Self {
            to,
            block: Vec::new(),
        };
        writer.begin(SECTION_HEADER);
        writer.word(BYTE_ORDER);
        writer.half(1); // version 1.0
        writer.half(0);
        writer.block.extend([0xff; 8]); // a section of unknown length
        writer.option(
            USER_APPLICATION,
            concat!("spigate ", env!("CARGO_PKG_VERSION")).as_bytes(),
        );
        writer.end()?;
        for name in interfaces {
            writer.begin(INTERFACE);
            writer.word(RAW);
            writer.word(0); // no snap length
            writer.option(INTERFACE_NAME, name.as_bytes());
            writer.option(TIME_RESOLUTION, &NANOS);
            writer.end()?;
        }
        Ok(writer)
    }

    /// Appends a packet that came by an interface; how many octets it took in the file.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(
        &mut self,
        time: Timestamp,
        interface: u32,
        packet: &[u8],
        comment: &str,
    ) -> io::Result<usize> {
        let length = u32::try_from(packet.len()).map_err(io::Error::other)?;
        let nanos = time.as_nanos();
        self.begin(ENHANCED_PACKET);
        self.word(interface);
        self.word(u32::try_from(nanos >> 32).unwrap_or(u32::MAX));
        self.word(u32::try_from(nanos & u64::from(u32::MAX)).unwrap_or(u32::MAX));
        self.word(length);
        self.word(length);
        self.block.extend_from_slice(packet);
        self.pad();
        self.option(COMMENT, comment.as_bytes());
        self.end()
    }

    /// Writes what is held back.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }

    /// The stream.
    pub fn into_inner(self) -> W {
        self.to
    }

    fn begin(&mut self, kind: u32) {
        self.block.clear();
        self.word(kind);
        self.word(0); // its length, which is not known yet
    }

    fn word(&mut self, word: u32) {
        self.block.extend(word.to_le_bytes());
    }

    fn half(&mut self, half: u16) {
        self.block.extend(half.to_le_bytes());
    }

    fn pad(&mut self) {
        let whole = self.block.len().next_multiple_of(4);
        self.block.resize(whole, 0);
    }

    /// One that is longer than an option may be is left out.
    fn option(&mut self, code: u16, value: &[u8]) {
        if let Ok(length) = u16::try_from(value.len()) {
            self.half(code);
            self.half(length);
            self.block.extend_from_slice(value);
            self.pad();
        }
    }

    fn end(&mut self) -> io::Result<usize> {
        self.word(0); // no further options
        let length = self.block.len() + 4;
        let word = u32::try_from(length).map_err(io::Error::other)?;
        self.word(word);
        if let Some(place) = self.block.get_mut(4..8) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        self.to.write_all(&self.block)?;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::CaptureReader;

    #[test]
    fn what_is_written_is_read_again() {
        let packet = [
            0x45, 0, 0, 21, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 7, 10, 0, 0, 8, 9,
        ];
        let at = Timestamp::from_nanos(1_772_355_600_123_456_789);
        let mut writer = PcapngWriter::new(Vec::new(), ["lan", "wan"].into_iter()).unwrap();
        let first = writer.write(at, 1, &packet, "verdict=drop").unwrap();
        writer.write(at.after_nanos(1), 0, &packet, "").unwrap();
        let bytes = writer.into_inner();
        assert!(bytes.len().is_multiple_of(4) && first.is_multiple_of(4));
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(text.contains("verdict=drop") && text.contains("wan"));
        let file = std::env::temp_dir().join(format!("spigate-pcapng-{}", std::process::id()));
        std::fs::write(&file, &bytes).unwrap();
        let read: Vec<_> = CaptureReader::open(&file)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        std::fs::remove_file(&file).unwrap();
        assert!(read.iter().all(|read| read.data == packet), "{read:?}");
        let times: Vec<_> = read.iter().map(|read| read.time).collect();
        assert_eq!(times, [at, at.after_nanos(1)]);
    }
}
