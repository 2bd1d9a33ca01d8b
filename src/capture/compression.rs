//! How a capture file is compressed.

use std::fmt;

/// How a file is compressed; told by its first bytes, never by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip (RFC 1952), several members too.
    Gzip,
    /// zstd (RFC 8878), several frames too.
    Zstd,
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }
}

/// The compression that these first bytes announce and that is not read here.
pub(super) fn foreign_compression(begins: &[u8]) -> Option<&'static str> {
    const KNOWN: [(&[u8], &str); 4] = [
        (b"BZh", "bzip2"),
        (b"\xfd7zX", "xz"),
        (b"\x04\x22\x4d\x18", "lz4"),
        (b"PK\x03\x04", "zip"),
    ];
    KNOWN
        .iter()
        .find(|(magic, _)| begins.starts_with(magic))
        .map(|(_, name)| *name)
}
