//! Writing classic pcap of link type RAW: IP packets as they are.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::net::Timestamp;

use super::compression::Compression;
use super::error::{CaptureError, Fault};
use super::link::LinkType;

/// What is written is put together in parts as large as this.
const BUFFER: usize = 256 << 10;

/// What libpcap and its users take for "not limited".
const SNAP_LENGTH: u32 = 262_144;

/// How fine the written time stamps are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resolution {
    /// Microseconds, which every program reads; finer parts are cut off.
    Micros,
    /// Nanoseconds, with the magic that says so.
    Nanos,
}

/// A pcap file being written. Call [`finish`](Self::finish) at the end: a drop
/// writes what is buffered too, but cannot say that it failed.
#[derive(Debug)]
pub struct PcapWriter<W: Write = File> {
    name: String,
    resolution: Resolution,
    to: BufWriter<W>,
}

impl PcapWriter<File> {
    /// Makes the file, or empties it.
    ///
    /// # Errors
    /// If it cannot be made or written.
    pub fn create(path: impl AsRef<Path>, resolution: Resolution) -> Result<Self, CaptureError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        match File::create(path) {
            Ok(file) => Self::new(name, file, resolution),
            Err(error) => Err(CaptureError {
                file: name,
                compression: Compression::None,
                fault: Fault::Open(error),
            }),
        }
    }
}

impl<W: Write> PcapWriter<W> {
    /// Begins a pcap file on a stream; `name` is for messages.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn new(
        name: impl Into<String>,
        stream: W,
        resolution: Resolution,
    ) -> Result<Self, CaptureError> {
        let mut writer = Self {
            name: name.into(),
            resolution,
            to: BufWriter::with_capacity(BUFFER, stream),
        };
        let written = writer.header();
        writer.done(written)?;
        Ok(writer)
    }

    /// Appends one packet, from its IP header on. `original_length` is more
    /// than the bytes of a packet that was cut.
    ///
    /// # Errors
    /// If it cannot be written, or pcap cannot say its time or length.
    pub fn write(
        &mut self,
        time: Timestamp,
        packet: &[u8],
        original_length: u32,
    ) -> Result<(), CaptureError> {
        let nanos = time.as_nanos();
        let Ok(seconds) = u32::try_from(nanos / 1_000_000_000) else {
            return self.done(Err(Fault::TimeTooLate(time)));
        };
        let Ok(captured) = u32::try_from(packet.len()) else {
            return self.done(Err(Fault::PacketTooLong(packet.len())));
        };
        let fraction = match self.resolution {
            Resolution::Micros => nanos % 1_000_000_000 / 1_000,
            Resolution::Nanos => nanos % 1_000_000_000,
        };
        let fraction = u32::try_from(fraction).unwrap_or(u32::MAX);
        let original = original_length.max(captured);
        let written = self
            .words([seconds, fraction, captured, original])
            .and_then(|()| self.to.write_all(packet))
            .map_err(Fault::Write);
        self.done(written)
    }

    /// Writes what is still buffered and gives the stream back.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn finish(mut self) -> Result<W, CaptureError> {
        let flushed = self.to.flush().map_err(Fault::Write);
        self.done(flushed)?;
        let Self { name, to, .. } = self;
        to.into_inner().map_err(|error| CaptureError {
            file: name,
            compression: Compression::None,
            fault: Fault::Write(error.into_error()),
        })
    }

    fn header(&mut self) -> Result<(), Fault> {
        let magic = match self.resolution {
            Resolution::Micros => 0xa1b2_c3d4,
            Resolution::Nanos => 0xa1b2_3c4d,
        };
        // Version 2.4; two words that are always zero.
        let version = 2 | (4 << 16);
        let link = u32::from(LinkType::Raw.number());
        self.words([magic, version, 0, 0, SNAP_LENGTH, link])
            .map_err(Fault::Write)
    }

    /// Little-endian on every machine: the same replay writes the same bytes.
    fn words<const N: usize>(&mut self, words: [u32; N]) -> io::Result<()> {
        words
            .into_iter()
            .try_for_each(|word| self.to.write_all(&word.to_le_bytes()))
    }

    fn done(&self, result: Result<(), Fault>) -> Result<(), CaptureError> {
        result.map_err(|fault| CaptureError {
            file: self.name.clone(),
            compression: Compression::None,
            fault,
        })
    }
}
