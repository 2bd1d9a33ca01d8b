//! Lines of a control stream that comes in pieces.

use std::borrow::Cow;
use std::mem;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::telnet;

/// Finds the lines of one direction of a stream.
///
/// A line ends with CR LF and nothing else (RFC 959 section 5.3.2, by way of
/// RFC 854): a lone CR or LF is part of it, and CR NUL too (RFC 2640 section
/// 3.1).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct LineReader {
    /// What earlier chunks held of the present line, up to the longest that is
    /// read.
    held: Vec<u8>,
    place: Place,
    after: After,
}

/// Where the reader stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Place {
    /// In a line whose start it knows.
    #[default]
    InLine,
    /// In a line that is too long.
    BeyondLimit,
    /// Somewhere: the next line end will tell.
    Lost,
}

/// The last octet of the chunk before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
enum After {
    Cr,
    #[default]
    Other,
}

impl After {
    fn of(octets: &[u8]) -> Self {
        match octets.last() {
            Some(b'\r') => Self::Cr,
            _ => Self::Other,
        }
    }
}

/// A line, complete.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'c> {
    /// Its text without CR LF, and without Telnet sequences before it; of one that
    /// is too long, as many octets as are read.
    pub(super) text: Cow<'c, [u8]>,
    pub(super) extent: Extent,
    /// How many octets of Telnet sequences were before it, which are no text.
    skipped: usize,
    /// How many octets of the line earlier chunks held.
    earlier: usize,
    /// Where in the chunk the rest of it begins.
    at: usize,
}

/// A line of which there is only the beginning.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Beginning<'r> {
    /// What is there of its text, without Telnet sequences before it.
    pub(super) text: &'r [u8],
    /// How many octets of Telnet sequences were before it.
    pub(super) skipped: usize,
}

/// Whether a line's text is all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    Whole,
    TooLong,
}

impl Line<'_> {
    /// Where the present chunk holds this part of the text, if it holds it
    /// from its first octet on.
    pub(super) fn in_chunk(&self, part: &Range<usize>) -> Option<Range<usize>> {
        let start = (self.skipped + part.start).checked_sub(self.earlier)?;
        let end = (self.skipped + part.end).checked_sub(self.earlier)?;
        Some(self.at + start..self.at + end)
    }

    /// Whether others may see more than one line in this one, taking a lone
    /// CR or LF for a line end.
    pub(super) fn is_ambiguous(&self) -> bool {
        self.text.iter().any(|octet| matches!(octet, b'\r' | b'\n'))
    }
}

impl LineReader {
    /// The next line that ends in `chunk` from `at` on; moves `at` behind it.
    /// Without one the rest of the chunk is kept as the start of a line. Of no line
    /// are more octets read than `longest`, its CR LF included.
    pub(super) fn next<'c>(
        &mut self,
        chunk: &'c [u8],
        at: &mut usize,
        longest: usize,
    ) -> Option<Line<'c>> {
        loop {
            let start = *at;
            let rest = chunk.get(start..).filter(|rest| !rest.is_empty())?;
            let Some(piece) = self.end_in(rest).and_then(|end| rest.get(..end)) else {
                *at = chunk.len();
                self.keep(rest, longest);
                return None;
            };
            *at = start + piece.len();
            if let Some(line) = self.finish(start, piece, longest) {
                return Some(line);
            }
        }
    }

    /// What is there of the present line, if it can still become one that is
    /// read: not too long, and nothing in it that others may take for a line end.
    pub(super) fn beginning(&self) -> Option<Beginning<'_>> {
        let is_clear = match self.held.split_last() {
            Some((b'\r', before)) => !before.iter().any(|octet| matches!(octet, b'\r' | b'\n')),
            _ => !self.held.iter().any(|octet| matches!(octet, b'\r' | b'\n')),
        };
        let skipped = telnet::leading(&self.held);
        let text = self.held.get(skipped..)?;
        (self.place == Place::InLine && is_clear).then_some(Beginning { text, skipped })
    }

    /// Gives back the text of the present line from `place` on, as far as it came
    /// with the present chunk, of this length: it comes again as the start of the
    /// next chunk. Says where in the present one those octets begin.
    pub(super) fn give_back(
        &mut self,
        place: usize,
        skipped: usize,
        chunk: usize,
    ) -> Option<usize> {
        let octets = self.held.len().checked_sub(skipped + place)?.min(chunk);
        self.held.truncate(self.held.len() - octets);
        self.after = After::of(&self.held);
        (octets > 0).then_some(chunk - octets)
    }

    /// Forgets the present line: the octets to come are from within some line.
    pub(super) fn lose_place(&mut self) {
        *self = Self {
            place: Place::Lost,
            ..Self::default()
        };
    }

    /// Whether the present line is longer than any that is read.
    pub(super) fn is_beyond_limit(&self) -> bool {
        self.place == Place::BeyondLimit
    }

    /// How many octets of `rest` belong to the present line, its end included.
    fn end_in(&self, rest: &[u8]) -> Option<usize> {
        if self.after == After::Cr && rest.first() == Some(&b'\n') {
            return Some(1);
        }
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        Some(end + 2)
    }

    fn keep(&mut self, rest: &[u8], longest: usize) {
        self.after = After::of(rest);
        if self.place != Place::InLine {
            return;
        }
        let room = longest.saturating_sub(self.held.len());
        self.held
            .extend_from_slice(rest.get(..room).unwrap_or(rest));
        // At least a LF is still to come.
        if rest.len() >= room {
            self.place = Place::BeyondLimit;
        }
    }

    fn finish<'c>(&mut self, at: usize, piece: &'c [u8], longest: usize) -> Option<Line<'c>> {
        self.after = After::Other;
        let place = mem::take(&mut self.place);
        let mut held = mem::take(&mut self.held);
        let earlier = held.len();
        let room = longest.saturating_sub(earlier);
        let extent = match place {
            Place::Lost => return None,
            Place::InLine if piece.len() <= room => Extent::Whole,
            Place::InLine | Place::BeyondLimit => Extent::TooLong,
        };
        let piece = piece.get(..room).unwrap_or(piece);
        let text = if held.is_empty() {
            Cow::Borrowed(piece)
        } else {
            held.extend_from_slice(piece);
            Cow::Owned(held)
        };
        let mut line = Line {
            text,
            extent,
            skipped: 0,
            earlier,
            at,
        };
        if extent == Extent::Whole {
            line.strip_end();
        }
        line.skip_telnet();
        Some(line)
    }
}

impl Line<'_> {
    fn skip_telnet(&mut self) {
        self.skipped = telnet::leading(&self.text);
        match &mut self.text {
            Cow::Borrowed(text) => *text = text.get(self.skipped..).unwrap_or(text),
            Cow::Owned(text) => {
                text.drain(..self.skipped.min(text.len()));
            }
        }
    }

    fn strip_end(&mut self) {
        let length = self.text.len().saturating_sub(2);
        match &mut self.text {
            Cow::Borrowed(text) => *text = text.get(..length).unwrap_or(text),
            Cow::Owned(text) => text.truncate(length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: usize = 512;

    fn lines(reader: &mut LineReader, chunk: &[u8]) -> Vec<(String, Extent)> {
        lines_up_to(LONGEST, reader, chunk)
    }

    fn lines_up_to(longest: usize, reader: &mut LineReader, chunk: &[u8]) -> Vec<(String, Extent)> {
        let mut at = 0;
        let mut found = Vec::new();
        while let Some(line) = reader.next(chunk, &mut at, longest) {
            found.push((
                String::from_utf8_lossy(&line.text).into_owned(),
                line.extent,
            ));
        }
        assert_eq!(at, chunk.len());
        found
    }

    #[test]
    fn several_lines_in_one_chunk_come_one_by_one() {
        let mut reader = LineReader::default();
        let found = lines(&mut reader, b"NOOP\r\n\r\nLIST\r\nQU");
        let whole = |text: &str| (text.to_owned(), Extent::Whole);
        assert_eq!(found, [whole("NOOP"), whole(""), whole("LIST")]);
        assert_eq!(lines(&mut reader, b"IT\r\n"), [whole("QUIT")]);
    }

    #[test]
    fn a_line_cut_anywhere_is_read_whole() {
        let text = b"USER x\r\n";
        for cut in 0..text.len() {
            let mut reader = LineReader::default();
            let (first, second) = text.split_at(cut);
            assert_eq!(lines(&mut reader, first), []);
            let expected = [("USER x".to_owned(), Extent::Whole)];
            assert_eq!(lines(&mut reader, second), expected, "cut at {cut}");
        }
    }

    #[test]
    fn t_2640_crnul__cr_nul_and_lone_cr_or_lf_end_no_line() {
        let mut reader = LineReader::default();
        let found = lines(&mut reader, b"RETR a\r\0b\nc\rd\xff\r\n");
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn t_ftp_len__a_line_beyond_the_limit_is_skipped_to_its_end() {
        let lengths = |longest: usize| {
            [
                (longest, longest - 2, Extent::Whole),
                (longest, longest - 1, Extent::TooLong),
                (longest, longest, Extent::TooLong),
                (longest, 10 * longest, Extent::TooLong),
            ]
        };
        for (longest, length, extent) in [512, 1000, 4096].into_iter().flat_map(lengths) {
            let mut stream = vec![b'x'; length];
            stream.extend_from_slice(b"\r\nNOOP\r\n");
            for chunk_len in [1, 7, longest - 1, longest, stream.len()] {
                let mut reader = LineReader::default();
                let mut found = Vec::new();
                for chunk in stream.chunks(chunk_len) {
                    found.extend(lines_up_to(longest, &mut reader, chunk));
                    assert!(reader.held.len() <= longest);
                }
                assert_eq!(found.len(), 2, "{length} in {chunk_len}");
                assert_eq!(found[0].1, extent, "{length} in {chunk_len}");
                assert_eq!(found[1].0, "NOOP");
            }
        }
    }

    #[test]
    fn t_ftp_mid__nothing_is_read_before_the_first_line_end() {
        let mut reader = LineReader::default();
        assert_eq!(lines(&mut reader, b"PO"), []);
        reader.lose_place();
        let found = lines(&mut reader, b"RT x\r\nNOOP\r\n");
        assert_eq!(found, [("NOOP".to_owned(), Extent::Whole)]);
    }

    #[test]
    fn only_what_the_chunk_holds_has_a_place_in_it() {
        let mut reader = LineReader::default();
        assert_eq!(
            lines(&mut reader, b"a\r\nPORT "),
            [("a".to_owned(), Extent::Whole)]
        );
        let mut at = 3;
        let line = reader.next(b"xy\n1,2\r\n", &mut at, LONGEST).unwrap();
        assert_eq!(&*line.text, b"PORT 1,2");
        assert_eq!(line.in_chunk(&(5..8)), Some(3..6));
        assert_eq!(line.in_chunk(&(4..8)), None);
    }
}
