//! Several captures as one, in the order of their time stamps.

use super::error::CaptureError;
use super::packet::CapturedPacket;
use super::reader::CaptureReader;

/// A packet of a merged capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// Which file it is from: its place in the arguments.
    pub file: usize,
    /// The packet.
    pub packet: CapturedPacket,
}

/// Merges captures by time stamp. The packets of each file keep their order,
/// also where their times jump back; at equal times the file that was named
/// first goes first.
///
/// One damaged file ends the whole: its packets up to the damage come, then
/// the error, then nothing. The others' later packets without its own would be
/// a story that never happened.
#[derive(Debug)]
pub struct Merge {
    readers: Vec<CaptureReader>,
}

impl Merge {
    /// Merges what these still have to give.
    #[must_use]
    pub fn new(readers: Vec<CaptureReader>) -> Self {
        Self { readers }
    }
}

impl Iterator for Merge {
    type Item = Result<Merged, CaptureError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self
            .readers
            .iter()
            .enumerate()
            .filter_map(|(file, reader)| {
                let head = reader.peek()?;
                // An error, having no time, comes before all packets.
                Some((head.as_ref().ok().map(|packet| packet.time), file))
            });
        let (_, file) = next.min()?;
        let item = self.readers.get_mut(file)?.next()?;
        if item.is_err() {
            self.readers.clear();
        }
        Some(item.map(|packet| Merged { file, packet }))
    }
}

impl std::iter::FusedIterator for Merge {}
