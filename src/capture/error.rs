//! What can be wrong with a capture file, and how a user is told in one line.

use std::fmt;
use std::io;

use super::LinkType;
use super::compression::{self, Compression};
use super::packet::MAX_RECORD;

/// What is wrong with which file.
#[derive(Debug)]
pub struct CaptureError {
    /// The file as the user named it.
    pub file: String,
    /// How the file is compressed; offsets count decompressed bytes.
    pub compression: Compression,
    /// What is wrong, and where.
    pub fault: Fault,
}

/// What is wrong. `at` counts bytes from the start of the (decompressed) file.
#[derive(Debug)]
pub enum Fault {
    /// It cannot be opened or made.
    Open(io::Error),
    /// The system failed to read on.
    Read {
        /// The first byte that could not be read.
        at: u64,
        /// What the system said.
        error: io::Error,
    },
    /// The system failed to write.
    Write(io::Error),
    /// The compressed stream is damaged or ends early.
    Compression {
        /// The first byte that could not be decompressed.
        at: u64,
        /// What the decompressor said.
        error: io::Error,
    },
    /// There is not one byte in it.
    Empty,
    /// It is neither pcap nor pcapng.
    NotACapture {
        /// How it begins: at most four bytes.
        begins: Vec<u8>,
    },
    /// A version of the format that nobody has defined yet.
    Version {
        /// Where the header with the version begins.
        at: u64,
        /// The version's major number.
        major: u16,
    },
    /// Its packets are of a link type that holds no IP packets that we could find.
    UnknownLink(LinkType),
    /// The file ends within something.
    Cut {
        /// Within what.
        part: Part,
        /// Where that begins.
        at: u64,
        /// How long it says it is, or has to be.
        says: u64,
        /// How much of it there is.
        has: u64,
    },
    /// A record claims to be longer than [`MAX_RECORD`].
    TooLong {
        /// What claims it.
        part: Part,
        /// Where it begins.
        at: u64,
        /// How long it says it is.
        says: u64,
    },
    /// A block of a pcapng file contradicts itself or the blocks before it.
    Block {
        /// Where it begins.
        at: u64,
        /// In which way.
        damage: BlockDamage,
    },
    /// A time stamp beyond February 2106, where pcap's seconds end.
    TimeTooLate(crate::net::Timestamp),
    /// A packet longer than pcap's lengths can say.
    PacketTooLong(usize),
}

/// A part of a capture file that can be cut short or claim to be too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// The header of a pcap file.
    FileHeader,
    /// The header before a packet in a pcap file.
    RecordHeader,
    /// A packet in a pcap file.
    Record,
    /// Type and length before a block of a pcapng file.
    BlockHeader,
    /// A block of a pcapng file.
    Block,
}

/// How a block of a pcapng file can be damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BlockDamage {
    /// Its length is too small for a block of its type, or no multiple of four.
    Length(u32),
    /// The lengths at its two ends differ.
    TwoLengths {
        /// The length at its start.
        first: u32,
        /// The length at its end.
        last: u32,
    },
    /// Neither byte order has this byte-order magic.
    ByteOrder([u8; 4]),
    /// What is in it is longer than it.
    Contents,
    /// It belongs to an interface that no block before it describes.
    Interface(u32),
    /// One interface more than a reader keeps.
    Interfaces,
}

impl CaptureError {
    /// The byte of the (decompressed) file where the fault is, where it has a place.
    #[must_use]
    pub fn offset(&self) -> Option<u64> {
        match self.fault {
            Fault::Read { at, .. }
            | Fault::Compression { at, .. }
            | Fault::Version { at, .. }
            | Fault::Cut { at, .. }
            | Fault::TooLong { at, .. }
            | Fault::Block { at, .. } => Some(at),
            Fault::Open(_)
            | Fault::Write(_)
            | Fault::Empty
            | Fault::NotACapture { .. }
            | Fault::UnknownLink(_)
            | Fault::TimeTooLate(_)
            | Fault::PacketTooLong(_) => None,
        }
    }
}

impl std::error::Error for CaptureError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.fault {
            Fault::Open(error)
            | Fault::Write(error)
            | Fault::Read { error, .. }
            | Fault::Compression { error, .. } => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.fault)?;
        match (self.compression, self.offset()) {
            (Compression::None, _) | (_, None) => Ok(()),
            (compression, Some(_)) => write!(
                f,
                " (byte counts are of the {compression} stream, decompressed)"
            ),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(error) => write!(f, "cannot be opened: {error}"),
            Self::Write(error) => write!(f, "cannot be written: {error}"),
            Self::Read { at, error } => write!(f, "cannot be read on from byte {at}: {error}"),
            Self::Compression { at, error } => {
                write!(
                    f,
                    "the compressed stream is damaged after byte {at}: {error}"
                )
            }
            Self::Empty => f.write_str("the file is empty"),
            Self::NotACapture { begins } => match compression::foreign_compression(begins) {
                Some(name) => write!(f, "compressed with {name}; only gzip and zstd are read"),
                None => write!(
                    f,
                    "neither pcap nor pcapng: it begins with {}",
                    SpacedHex(begins)
                ),
            },
            Self::Version { at, major } => {
                write!(
                    f,
                    "the header at byte {at} is of version {major}, which is unknown"
                )
            }
            Self::UnknownLink(link) => write!(f, "cannot find IP packets in link type {link}"),
            Self::Cut {
                part,
                at,
                says,
                has,
            } => {
                let needs = match part {
                    Part::FileHeader | Part::RecordHeader | Part::BlockHeader => "needs",
                    Part::Record | Part::Block => "says",
                };
                write!(
                    f,
                    "{} is cut short: it {needs} {says} bytes, the file ends after {has}",
                    At(*part, *at)
                )
            }
            Self::TooLong { part, at, says } => write!(
                f,
                "{} says {says} bytes, more than the {MAX_RECORD} that any packet needs",
                At(*part, *at)
            ),
            Self::Block { at, damage } => {
                write!(f, "the block that begins at byte {at} is damaged: {damage}")
            }
            Self::TimeTooLate(time) => write!(f, "a pcap file cannot hold the time {time}"),
            Self::PacketTooLong(bytes) => {
                write!(f, "a pcap file cannot hold a packet of {bytes} bytes")
            }
        }
    }
}

impl fmt::Display for BlockDamage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(length) => write!(f, "no such block is {length} bytes long"),
            Self::TwoLengths { first, last } => {
                write!(
                    f,
                    "it says {first} bytes at its start and {last} at its end"
                )
            }
            Self::ByteOrder(magic) => {
                write!(f, "{} is no byte-order magic", SpacedHex(magic))
            }
            Self::Contents => f.write_str("what it holds is longer than itself"),
            Self::Interface(number) => {
                write!(f, "no block before it describes interface {number}")
            }
            Self::Interfaces => f.write_str("there are too many interfaces before it"),
        }
    }
}

/// A part with its place, as the subject of a sentence.
struct At(Part, u64);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(part, at) = self;
        match part {
            Part::FileHeader => f.write_str("the file header"),
            Part::RecordHeader => write!(f, "the header of the record that begins at byte {at}"),
            Part::Record => write!(f, "the record that begins at byte {at}"),
            Part::BlockHeader => write!(f, "the header of the block that begins at byte {at}"),
            Part::Block => write!(f, "the block that begins at byte {at}"),
        }
    }
}

/// Bytes as `de ad be ef`.
struct SpacedHex<'a>(&'a [u8]);

impl fmt::Display for SpacedHex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.0.iter().enumerate() {
            let space = if place == 0 { "" } else { " " };
            write!(f, "{space}{byte:02x}")?;
        }
        Ok(())
    }
}
