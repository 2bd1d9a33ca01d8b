//! The bytes of a capture file: opened, decompressed, counted.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::Path;

use super::compression::Compression;
use super::error::{CaptureError, Fault};

/// So much is read of a file at a time.
const PART: usize = 256 << 10;
/// A decompressor that meets damage drops what it made in that call: small calls keep
/// what is lost with the damage small.
const DECOMPRESSED: usize = 8 << 10;

/// A stream of decompressed bytes that knows its name and its place.
pub(super) struct Source {
    name: String,
    compression: Compression,
    reader: Box<dyn Read + Send>,
    /// What was read of it last, and how much of that was taken.
    part: Box<[u8]>,
    filled: usize,
    taken: usize,
    offset: u64,
}

impl Source {
    /// Opens a file; `-` is standard input.
    pub(super) fn open(path: &Path) -> Result<Self, CaptureError> {
        if path == Path::new("-") {
            return Self::new("standard input".into(), Box::new(io::stdin()));
        }
        let name = path.display().to_string();
        match File::open(path) {
            Ok(file) => Self::new(name, Box::new(file)),
            Err(error) => Err(CaptureError {
                file: name,
                compression: Compression::None,
                fault: Fault::Open(error),
            }),
        }
    }

    /// A stream that is read already, under the name for messages.
    pub(super) fn new(name: String, mut raw: Box<dyn Read + Send>) -> Result<Self, CaptureError> {
        let failed = |error| CaptureError {
            file: name.clone(),
            compression: Compression::None,
            fault: Fault::Read { at: 0, error },
        };
        let mut magic = Vec::with_capacity(4);
        (&mut raw).take(4).read_to_end(&mut magic).map_err(failed)?;
        let compression = match magic.as_slice() {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd] => Compression::Zstd,
            _ => Compression::None,
        };
        let whole = Cursor::new(magic).chain(raw);
        let buffered = |whole| BufReader::with_capacity(64 << 10, whole);
        let (reader, part): (Box<dyn Read + Send>, _) = match compression {
            Compression::None => (Box::new(whole), PART),
            Compression::Gzip => {
                let decoder = flate2::bufread::MultiGzDecoder::new(buffered(whole));
                (Box::new(decoder), DECOMPRESSED)
            }
            Compression::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(buffered(whole));
                (Box::new(decoder.map_err(failed)?), DECOMPRESSED)
            }
        };
        Ok(Self {
            name,
            compression,
            reader,
            part: vec![0; part].into(),
            filled: 0,
            taken: 0,
            offset: 0,
        })
    }

    /// How many bytes were taken.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Appends the next `wanted` bytes to `into`, fewer at the end of the file,
    /// and says how many. What came before an error stays in `into`.
    pub(super) fn read(&mut self, wanted: u32, into: &mut Vec<u8>) -> Result<u32, CaptureError> {
        self.take(wanted, |bytes| into.extend_from_slice(bytes))
    }

    /// Passes over the next `wanted` bytes and says how many there were.
    pub(super) fn skip(&mut self, wanted: u32) -> Result<u32, CaptureError> {
        self.take(wanted, |_| {})
    }

    /// Shows the next `wanted` bytes to `show`, as they come.
    #[inline]
    fn take(&mut self, wanted: u32, mut show: impl FnMut(&[u8])) -> Result<u32, CaptureError> {
        let mut left = wanted as usize;
        loop {
            let rest = self.part.get(self.taken..self.filled).unwrap_or_default();
            let next = rest.get(..left).unwrap_or(rest);
            show(next);
            left -= next.len();
            self.taken += next.len();
            self.offset += next.len() as u64;
            if left == 0 || !self.refill()? {
                return Ok(wanted - u32::try_from(left).unwrap_or(wanted));
            }
        }
    }

    /// Reads on; whether there was more.
    #[cold]
    fn refill(&mut self) -> Result<bool, CaptureError> {
        (self.taken, self.filled) = (0, 0);
        loop {
            match self.reader.read(&mut self.part) {
                Ok(filled) => {
                    self.filled = filled;
                    return Ok(filled > 0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
    }

    /// The error that `fault` is in this file.
    pub(super) fn error(&self, fault: Fault) -> CaptureError {
        CaptureError {
            file: self.name.clone(),
            compression: self.compression,
            fault,
        }
    }

    fn failed(&self, error: io::Error) -> CaptureError {
        let at = self.offset;
        // What the system says carries its number; what a decompressor says does not.
        let by_system = error.raw_os_error().is_some();
        self.error(if by_system || self.compression == Compression::None {
            Fault::Read { at, error }
        } else {
            Fault::Compression { at, error }
        })
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("name", &self.name)
            .field("compression", &self.compression)
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}
