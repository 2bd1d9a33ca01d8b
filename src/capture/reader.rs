//! Reading a capture file packet by packet, whatever its format.

use std::io::Read;
use std::path::Path;

use crate::net::Timestamp;

use super::error::{CaptureError, Fault, Part};
use super::packet::CapturedPacket;
use super::pcap::Pcap;
use super::pcapng::Pcapng;
use super::source::Source;

const PCAPNG_MAGIC: &[u8] = &[0x0a, 0x0d, 0x0d, 0x0a];

/// A capture file being read. As an iterator it gives every packet up to the
/// end or the damage; after an error nothing more comes.
#[derive(Debug)]
pub struct CaptureReader {
    source: Source,
    format: Format,
    ahead: Option<Result<CapturedPacket, CaptureError>>,
}

#[derive(Debug)]
enum Format {
    Pcap(Pcap),
    Pcapng(Pcapng),
}

impl CaptureReader {
    /// Opens a pcap or pcapng file, compressed by gzip or zstd or not; `-` is
    /// standard input.
    ///
    /// # Errors
    /// If it cannot be opened, is no capture, or begins with packets of a link
    /// type in which no IP packet can be found.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CaptureError> {
        Self::begin(Source::open(path.as_ref())?)
    }

    /// Reads from a stream under this name.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn from_stream(
        name: impl Into<String>,
        stream: impl Read + Send + 'static,
    ) -> Result<Self, CaptureError> {
        Self::begin(Source::new(name.into(), Box::new(stream))?)
    }

    fn begin(mut source: Source) -> Result<Self, CaptureError> {
        let mut magic = Vec::with_capacity(4);
        source.read(4, &mut magic)?;
        let format = match magic.as_slice() {
            [] => return Err(source.error(Fault::Empty)),
            PCAPNG_MAGIC => Format::Pcapng(Pcapng::default()),
            begins if PCAPNG_MAGIC.starts_with(begins) => {
                return Err(source.error(Fault::Cut {
                    part: Part::BlockHeader,
                    at: 0,
                    says: 8,
                    has: source.offset(),
                }));
            }
            _ => Format::Pcap(Pcap::begin(magic, &mut source)?),
        };
        let mut reader = Self {
            source,
            format,
            ahead: None,
        };
        // Reading one packet ahead tells a file of an unknown link type before any packet.
        match reader.read() {
            Some(Err(error)) if matches!(error.fault, Fault::UnknownLink(_)) => Err(error),
            first => {
                reader.ahead = first;
                Ok(reader)
            }
        }
    }

    /// The time of the packet that comes next, if one does.
    #[must_use]
    pub fn next_time(&self) -> Option<Timestamp> {
        match &self.ahead {
            Some(Ok(packet)) => Some(packet.time),
            _ => None,
        }
    }

    fn read(&mut self) -> Option<Result<CapturedPacket, CaptureError>> {
        match &mut self.format {
            Format::Pcap(pcap) => pcap.next(&mut self.source),
            Format::Pcapng(pcapng) => pcapng.next(&mut self.source),
        }
        .transpose()
    }

    /// What comes next, without taking it.
    pub(super) fn peek(&self) -> Option<&Result<CapturedPacket, CaptureError>> {
        self.ahead.as_ref()
    }
}

impl Iterator for CaptureReader {
    type Item = Result<CapturedPacket, CaptureError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.ahead.take()?;
        if item.is_ok() {
            self.ahead = self.read();
        }
        Some(item)
    }
}

impl std::iter::FusedIterator for CaptureReader {}
