//! The octets of a stream that its receiver has not acknowledged.

use std::collections::VecDeque;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::net::SeqNumber;

/// The last octets of one direction of a stream, as its sender sent them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The number of the first.
    at: SeqNumber,
    octets: VecDeque<u8>,
}

impl Kept {
    /// Nothing, and what comes next has this number.
    pub(super) fn from(at: SeqNumber) -> Self {
        Self {
            at,
            octets: VecDeque::new(),
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.octets.len()
    }

    /// The number behind the last.
    pub(super) fn end(&self) -> SeqNumber {
        let length = u32::try_from(self.octets.len()).unwrap_or(u32::MAX);
        self.at.advance(length)
    }

    /// Takes the octets that follow.
    pub(super) fn push(&mut self, octets: &[u8]) {
        self.octets.extend(octets);
    }

    /// Forgets what lies before `until`.
    pub(super) fn forget(&mut self, until: SeqNumber) {
        let gone = usize::try_from(until.since(self.at)).unwrap_or(0);
        let gone = gone.min(self.octets.len());
        self.octets.drain(..gone);
        self.at = self.at.advance(u32::try_from(gone).unwrap_or(0));
    }

    /// Those from `from` up to before `to`, as far as they are here.
    pub(super) fn between(&self, from: SeqNumber, to: SeqNumber) -> impl Iterator<Item = u8> + '_ {
        let place = |number: SeqNumber| {
            let place = usize::try_from(number.since(self.at)).unwrap_or(0);
            place.min(self.octets.len())
        };
        let (from, to) = (place(from), place(to));
        self.octets.range(from..to.max(from)).copied()
    }

    /// Whether `octets`, which begin at `seq`, are the same where they overlap.
    pub(super) fn agrees(&self, seq: SeqNumber, octets: &[u8]) -> bool {
        let Some(Range { start, end }) = self.overlap(seq, octets.len()) else {
            return true;
        };
        let place = usize::try_from(seq.since(self.at)).unwrap_or(0);
        let (known, again) = (self.octets.iter().skip(place), octets.get(start..end));
        known.zip(again.unwrap_or_default()).all(|(a, b)| a == b)
    }

    /// Which part of `length` octets from `seq` on is here.
    fn overlap(&self, seq: SeqNumber, length: usize) -> Option<Range<usize>> {
        let before = usize::try_from(self.at.since(seq)).unwrap_or(0);
        let until = i64::from(self.at.since(seq)) + i64::try_from(self.octets.len()).ok()?;
        let end = usize::try_from(until).ok()?.min(length);
        (before < end).then_some(before..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_are_compared_where_they_overlap() {
        let at = SeqNumber(u32::MAX - 2);
        let mut kept = Kept::from(at);
        kept.push(b"abcdef");
        for (shift, octets, agrees) in [
            (0, "abcdef", true),
            (0, "abcdeX", false),
            (3, "defXX", true),
            (3, "deXXX", false),
            (-2, "XXab", true),
            (-2, "XXaX", false),
            (-2, "XX", true),
            (6, "X", true),
            (-20, "XXX", true),
            (-2, "XXabcdefXX", true),
        ] {
            let found = kept.agrees(at.shift(shift), octets.as_bytes());
            assert_eq!(found, agrees, "{octets} at {shift}");
        }
        kept.forget(at.advance(2));
        assert!(kept.agrees(at, b"XXcd"));
        assert!(!kept.agrees(at, b"XXcX"));
        let some: Vec<u8> = kept.between(at.advance(3), at.advance(5)).collect();
        assert_eq!(some, b"de");
    }

    #[test]
    fn what_is_forgotten_is_no_longer_there() {
        let mut kept = Kept::from(SeqNumber(10));
        kept.push(b"abc");
        kept.forget(SeqNumber(5));
        assert_eq!(kept.len(), 3);
        kept.forget(SeqNumber(100));
        assert_eq!(kept.len(), 0);
        assert!(kept.agrees(SeqNumber(10), b"xyz"));
    }
}
