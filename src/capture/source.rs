//! The bytes of a capture file: opened, decompressed, counted.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::Path;

use super::compression::Compression;
use super::error::{CaptureError, Fault};

/// A stream of decompressed bytes that knows its name and its place.
pub(super) struct Source {
    name: String,
    compression: Compression,
    reader: Box<dyn Read + Send>,
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
    pub(super) fn new(name: String, raw: Box<dyn Read + Send>) -> Result<Self, CaptureError> {
        let failed = |error| CaptureError {
            file: name.clone(),
            compression: Compression::None,
            fault: Fault::Read { at: 0, error },
        };
        let mut raw = BufReader::with_capacity(64 << 10, raw);
        let mut magic = Vec::with_capacity(4);
        (&mut raw).take(4).read_to_end(&mut magic).map_err(failed)?;
        let compression = match magic.as_slice() {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd] => Compression::Zstd,
            _ => Compression::None,
        };
        let whole = Cursor::new(magic).chain(raw);
        // A decompressor that meets damage drops what it made in that call: small
        // calls keep what is lost with the damage small.
        let reader: Box<dyn Read + Send> = match compression {
            Compression::None => Box::new(whole),
            Compression::Gzip => {
                Box::new(BufReader::new(flate2::bufread::MultiGzDecoder::new(whole)))
            }
            Compression::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(whole).map_err(failed)?;
                Box::new(BufReader::new(decoder))
            }
        };
        Ok(Self {
            name,
            compression,
            reader,
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
        let before = into.len();
        let result = (&mut self.reader).take(u64::from(wanted)).read_to_end(into);
        let got = into.len() - before;
        self.offset += got as u64;
        match result {
            Ok(_) => Ok(u32::try_from(got).unwrap_or(wanted)),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Passes over the next `wanted` bytes and says how many there were.
    pub(super) fn skip(&mut self, wanted: u32) -> Result<u32, CaptureError> {
        let mut passage = (&mut self.reader).take(u64::from(wanted));
        let result = io::copy(&mut passage, &mut io::sink());
        let left = passage.limit();
        let got = u64::from(wanted) - left;
        self.offset += got;
        match result {
            Ok(_) => Ok(u32::try_from(got).unwrap_or(wanted)),
            Err(error) => Err(self.failed(error)),
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
