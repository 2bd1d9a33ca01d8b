//! Byte offsets of a text as lines and columns.

use std::ops::Range;

/// Where the lines of a text begin.
#[derive(Debug)]
pub(super) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        let after_breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            text,
            starts: std::iter::once(0).chain(after_breaks).collect(),
        }
    }

    /// The line of this byte, counted from 0.
    fn index(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at).max(1) - 1
    }

    /// Line and column of this byte, both counted from 1; columns count
    /// characters.
    pub(super) fn position(&self, at: usize) -> (usize, usize) {
        let line = self.index(at);
        let start = self.starts.get(line).copied().unwrap_or(0);
        let before = self.text.get(start..self.clamp(at)).unwrap_or("");
        (line + 1, before.chars().count() + 1)
    }

    /// The bytes of all lines that `span` touches, the last line break left out.
    pub(super) fn around(&self, span: &Range<usize>) -> Range<usize> {
        let (first, last) = (self.index(span.start), self.index(span.end.max(span.start)));
        let start = self.starts.get(first).copied().unwrap_or(0);
        let end = match self.starts.get(last + 1) {
            Some(next) => next - 1,
            None => self.text.len(),
        };
        start..end.max(start)
    }

    /// The nearest place at or before `at` where a character begins.
    pub(super) fn clamp(&self, at: usize) -> usize {
        let at = at.min(self.text.len());
        (0..=at)
            .rev()
            .find(|at| self.text.is_char_boundary(*at))
            .unwrap_or(0)
    }

    /// The text of a span, as far as there is any.
    pub(super) fn text(&self, span: &Range<usize>) -> &'t str {
        let start = self.clamp(span.start);
        self.text
            .get(start..self.clamp(span.end).max(start))
            .unwrap_or("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_lines_count_from_one() {
        let lines = Lines::of("a\nÜber x\n");
        assert_eq!(lines.position(0), (1, 1));
        assert_eq!(lines.position(1), (1, 2));
        assert_eq!(lines.position(2), (2, 1));
        assert_eq!(lines.position(8), (2, 6));
        assert_eq!(lines.position(99), (3, 1));
        assert_eq!(lines.text(&lines.around(&(5..6))), "Über x");
        assert_eq!(lines.text(&lines.around(&(0..6))), "a\nÜber x");
        assert_eq!(lines.around(&(99..99)), 10..10);
        assert_eq!(lines.clamp(3), 2);
    }
}
