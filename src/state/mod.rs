//! What an engine knows, as octets: the format of state files.
//!
//! Owns the format, and nothing of what stands in it, which is the engine's
//! ([`Snapshot`]). Files are the gateway's.
//!
//! ```text
//!  0  magic          8 octets   "spigate", 0x1a
//!  8  version        4 octets   the format's; all numbers have their lowest octet first
//! 12  standing       8 octets   a word: whether packets have passed since ([`Standing`])
//! 20  length         8 octets   of the body
//! 28  body                      parts of a snapshot one after the other, then when it was
//!                               written ([`Written`]): postcard 1
//!     checksum       4 octets   CRC-32C of all before it, but for the word
//! ```
//!
//! The word stands outside of the checksum, so that it can be changed in place, by one
//! write: whoever goes on by a file says so in it before the first packet passes.
//!
//! Another layout of what stands in it is another version, and no version reads another:
//! `tests/state.rs` keeps a file of this one.

mod standing;
mod unreadable;

pub use standing::Standing;
pub use unreadable::Unreadable;

use serde::{Deserialize, Serialize};

use crate::engine::{Part, Snapshot};

/// The version of the format.
pub const VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"spigate\x1a";
const VERSION_AT: usize = 8;
/// Where the [word](Standing::word) stands.
pub const STANDING_AT: usize = 12;
const LENGTH_AT: usize = 20;
const BODY_AT: usize = 28;
const CHECKSUM: usize = 4;

/// When a state was written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Written {
    /// Which run of the kernel it was, if it says so.
    pub boot: Option<[u8; 16]>,
    /// How long that had run by then, in nanoseconds.
    pub since_boot: u64,
    /// What the clock on the wall said, in nanoseconds since 1970.
    pub wall: u64,
}

/// Parts of a snapshot, as they become a file.
#[derive(Debug)]
pub struct Encoder {
    octets: Vec<u8>,
    sessions: usize,
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Encoder {
    /// One that has nothing yet.
    #[must_use]
    pub fn new() -> Self {
        let mut octets = Vec::from(MAGIC);
        octets.extend(VERSION.to_le_bytes());
        octets.extend(Standing::Passing.word());
        octets.extend(0u64.to_le_bytes());
        Self {
            octets,
            sessions: 0,
        }
    }

    /// Appends a part. They come in the order in which they were taken.
    ///
    /// # Errors
    /// There is something in it that cannot be written down.
    pub fn push(&mut self, part: &Part) -> Result<(), postcard::Error> {
        self.sessions += part.sessions();
        self.append(part)
    }

    /// How many sessions were appended.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions
    }

    /// The whole file, behind the last part.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn finish(
        mut self,
        standing: Standing,
        written: &Written,
    ) -> Result<Vec<u8>, postcard::Error> {
        self.append(written)?;
        Ok(sealed(self.octets, standing))
    }

    fn append(&mut self, what: &impl Serialize) -> Result<(), postcard::Error> {
        let octets = std::mem::take(&mut self.octets);
        self.octets = postcard::to_extend(what, octets)?;
        Ok(())
    }
}

/// The file of this body, whatever it says.
#[must_use]
pub fn seal(body: &[u8], standing: Standing) -> Vec<u8> {
    let mut octets = Encoder::new().octets;
    octets.extend(body);
    sealed(octets, standing)
}

fn sealed(mut octets: Vec<u8>, standing: Standing) -> Vec<u8> {
    let length = octets.len().saturating_sub(BODY_AT) as u64;
    put(&mut octets, STANDING_AT, standing.word());
    put(&mut octets, LENGTH_AT, length.to_le_bytes());
    let checksum = checksum(&octets);
    octets.extend(checksum.to_le_bytes());
    octets
}

/// What [`seal`] was given.
#[must_use]
pub fn body(file: &[u8]) -> &[u8] {
    let end = file.len().saturating_sub(CHECKSUM);
    file.get(BODY_AT..end).unwrap_or_default()
}

fn put<const N: usize>(octets: &mut [u8], at: usize, what: [u8; N]) {
    if let Some(place) = octets.get_mut(at..at + N) {
        place.copy_from_slice(&what);
    }
}

fn array<const N: usize>(octets: &[u8], at: usize) -> Option<[u8; N]> {
    octets.get(at..at + N)?.try_into().ok()
}

/// Of all but the word.
fn checksum(octets: &[u8]) -> u32 {
    let before = crc32c::crc32c(octets.get(..STANDING_AT).unwrap_or_default());
    crc32c::crc32c_append(before, octets.get(LENGTH_AT..).unwrap_or_default())
}

/// A file, as it was read.
#[derive(Debug, Clone)]
pub struct State {
    /// What the engine knew.
    pub snapshot: Snapshot,
    /// Whether packets have passed since.
    pub standing: Standing,
    /// When it was written.
    pub written: Written,
}

/// Reads a file. No more memory is asked for than its octets fill.
///
/// # Errors
/// It is damaged, or of another version.
pub fn decode(octets: &[u8]) -> Result<State, Unreadable> {
    if octets.is_empty() {
        return Err(Unreadable::Empty);
    }
    if array(octets, 0) != Some(MAGIC) {
        return Err(Unreadable::NotOurs);
    }
    let version = array(octets, VERSION_AT).map(u32::from_le_bytes);
    match version.ok_or(Unreadable::Cut)? {
        VERSION => {}
        other => return Err(Unreadable::Version(other)),
    }
    let word = array(octets, STANDING_AT).ok_or(Unreadable::Cut)?;
    let length = array(octets, LENGTH_AT).map(u64::from_le_bytes);
    let length = length.ok_or(Unreadable::Cut)?;
    let there = octets.len().checked_sub(BODY_AT + CHECKSUM);
    match there.ok_or(Unreadable::Cut)? as u64 {
        there if there == length => {}
        there if there < length => return Err(Unreadable::Cut),
        _ => return Err(Unreadable::TooLong),
    }
    let (all, sum) = octets
        .split_last_chunk::<CHECKSUM>()
        .ok_or(Unreadable::Cut)?;
    if checksum(all) != u32::from_le_bytes(*sum) {
        return Err(Unreadable::Damaged);
    }
    let standing = Standing::of(word).ok_or(Unreadable::Damaged)?;
    let mut rest = all.get(BODY_AT..).unwrap_or_default();
    let mut parts = Vec::new();
    loop {
        let part: Part = take(&mut rest)?;
        let is_last = part.is_last();
        parts.push(part);
        if is_last {
            break;
        }
    }
    let written = take(&mut rest)?;
    if !rest.is_empty() {
        return Err(Unreadable::TooLong);
    }
    Ok(State {
        snapshot: Snapshot::new(parts).map_err(Unreadable::Unsound)?,
        standing,
        written,
    })
}

fn take<'a, T: Deserialize<'a>>(rest: &mut &'a [u8]) -> Result<T, Unreadable> {
    let (value, behind) = postcard::take_from_bytes(rest).map_err(|_| Unreadable::Malformed)?;
    *rest = behind;
    Ok(value)
}
