//! The lines of one direction of a TCP stream, put together from its segments.

use crate::net::{SeqNumber, TcpFlags};
use crate::packet::Headers;

/// The longest line that is shown whole.
const LONGEST: usize = 512;

/// How many segments are kept that came before others.
const HELD: usize = 64;

/// One direction of a stream, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The number of the next octet.
    next: Option<SeqNumber>,
    /// What came before its turn.
    early: Vec<(SeqNumber, Vec<u8>)>,
    /// The line that has not ended.
    begun: Vec<u8>,
}

impl Lines {
    /// A stream that is read from this octet on.
    pub(super) fn from(next: SeqNumber) -> Self {
        Self {
            next: Some(next),
            ..Self::default()
        }
    }

    /// Takes a segment in, and gives the lines that end by it, without their
    /// line ends.
    pub(super) fn take(&mut self, headers: &Headers, frame: &[u8]) -> Vec<Vec<u8>> {
        let Some(tcp) = headers.tcp() else {
            return Vec::new();
        };
        let is_syn = tcp.flags.has(TcpFlags::SYN);
        let at = tcp.seq.advance(u32::from(is_syn));
        if is_syn {
            *self = Self::from(at);
        }
        let Some(octets) = frame.get(headers.payload_range()) else {
            return Vec::new(); // cut by the capture
        };
        self.next.get_or_insert(at);
        if self.early.len() >= HELD {
            // What is missing does not come any more.
            *self = Self::from(at);
        }
        if !octets.is_empty() {
            self.early.push((at, octets.to_vec()));
        }
        let mut lines = Vec::new();
        while let Some(piece) = self.in_turn() {
            self.read(&piece, &mut lines);
        }
        lines
    }

    /// What is to be read next, of all that is at hand.
    fn in_turn(&mut self) -> Option<Vec<u8>> {
        let next = self.next?;
        // What is wholly behind is a repetition.
        self.early.retain(|(at, octets)| {
            let len = u32::try_from(octets.len()).unwrap_or(u32::MAX);
            next.is_before(at.advance(len))
        });
        let is_due = |(at, _): &(SeqNumber, Vec<u8>)| !next.is_before(*at);
        let place = self.early.iter().position(is_due)?;
        let (at, mut octets) = self.early.swap_remove(place);
        let known = usize::try_from(next.since(at)).unwrap_or(0);
        let new = octets.split_off(known.min(octets.len()));
        let len = u32::try_from(new.len()).unwrap_or(u32::MAX);
        self.next = Some(next.advance(len));
        Some(new)
    }

    fn read(&mut self, octets: &[u8], lines: &mut Vec<Vec<u8>>) {
        for octet in octets {
            if *octet == b'\n' {
                let mut line = std::mem::take(&mut self.begun);
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                lines.push(line);
            } else if self.begun.len() < LONGEST {
                self.begun.push(*octet);
            }
        }
    }
}
