//! Which octets of a segment are new to the reader of a stream.

use std::ops::Range;

use crate::net::SeqNumber;

/// How far one direction of a stream has been read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The stream's first octet.
    first: Option<SeqNumber>,
    next: Option<SeqNumber>,
}

/// What a segment brings to the reader of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// This part of the payload continues the stream. It is not empty.
    New(Range<usize>),
    /// All of it was read before, or it is empty.
    Nothing,
    /// It does not continue the stream: octets before it are missing (or the
    /// stream was not seen from its start). It passes unread, as will what is
    /// missing; reading goes on behind it, and the reader has to be told that
    /// it lost its place.
    Gap,
}

impl Cursor {
    /// A cursor for a stream whose SYN has this sequence number.
    #[must_use]
    pub fn begin(syn: SeqNumber) -> Self {
        let mut cursor = Self::default();
        cursor.synchronize(syn);
        cursor
    }

    /// Takes the sequence number of a SYN: the SYN itself takes one, and data,
    /// on the SYN too, begins at the next. A SYN that is repeated changes
    /// nothing; with another number it begins the stream anew.
    pub fn synchronize(&mut self, syn: SeqNumber) {
        let first = Some(syn.advance(1));
        if self.first != first {
            self.first = first;
            self.next = first;
        }
    }

    /// Takes a segment whose payload of `len` octets begins at `seq`.
    pub fn read(&mut self, seq: SeqNumber, len: usize) -> Reading {
        let Ok(octets) = u32::try_from(len) else {
            return Reading::Nothing;
        };
        if octets == 0 {
            return Reading::Nothing;
        }
        let end = seq.advance(octets);
        let Some(next) = self.next.filter(|next| !seq.is_after(*next)) else {
            self.next = Some(end);
            return Reading::Gap;
        };
        if !end.is_after(next) {
            return Reading::Nothing;
        }
        self.next = Some(end);
        let read_before = next.0.wrapping_sub(seq.0) as usize;
        Reading::New(read_before..len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYN: SeqNumber = SeqNumber(u32::MAX - 3);

    fn at(offset: u32) -> SeqNumber {
        SYN.advance(1 + offset)
    }

    #[test]
    fn every_octet_is_read_once_across_the_wrap() {
        let mut cursor = Cursor::begin(SYN);
        assert_eq!(cursor.read(at(0), 10), Reading::New(0..10));
        assert_eq!(cursor.read(at(0), 10), Reading::Nothing);
        assert_eq!(cursor.read(at(3), 4), Reading::Nothing);
        assert_eq!(cursor.read(at(5), 10), Reading::New(5..10));
        assert_eq!(cursor.read(at(15), 1), Reading::New(0..1));
    }

    #[test]
    fn a_segment_without_payload_is_nothing_wherever_it_stands() {
        let mut cursor = Cursor::begin(SYN);
        for offset in [0, 7, u32::MAX - 1] {
            assert_eq!(cursor.read(at(offset), 0), Reading::Nothing);
        }
        assert_eq!(cursor.read(at(0), 1), Reading::New(0..1));
    }

    #[test]
    fn a_repeated_syn_makes_nothing_be_read_again() {
        let mut cursor = Cursor::begin(SYN);
        cursor.read(at(0), 10);
        cursor.synchronize(SYN);
        assert_eq!(cursor.read(at(0), 10), Reading::Nothing);
        cursor.synchronize(SYN.advance(5000));
        assert_eq!(cursor.read(at(5000), 10), Reading::New(0..10));
    }

    #[test]
    fn a_keep_alive_probe_is_nothing() {
        let mut cursor = Cursor::begin(SYN);
        cursor.read(at(0), 10);
        assert_eq!(cursor.read(at(9), 1), Reading::Nothing);
    }

    #[test]
    fn t_slip_frag__what_is_out_of_order_passes_unread_and_reading_goes_on_behind_it() {
        let mut cursor = Cursor::begin(SYN);
        assert_eq!(cursor.read(at(5), 5), Reading::Gap);
        assert_eq!(cursor.read(at(0), 5), Reading::Nothing);
        assert_eq!(cursor.read(at(0), 12), Reading::New(10..12));
    }

    #[test]
    fn a_stream_not_seen_from_its_start_begins_with_a_gap() {
        let mut cursor = Cursor::default();
        assert_eq!(cursor.read(at(5), 5), Reading::Gap);
        assert_eq!(cursor.read(at(10), 5), Reading::New(0..5));
    }
}
