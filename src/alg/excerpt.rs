//! The start of a line, as it may stand in a log.

use std::fmt;

/// How many octets of a line are kept: more than any announcement has.
const LONGEST: usize = 80;

/// The first octets of a line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Excerpt {
    octets: [u8; LONGEST],
    len: u8,
}

impl Excerpt {
    /// The start of this line.
    #[must_use]
    pub fn of(line: &[u8]) -> Self {
        let mut octets = [0; LONGEST];
        let len = line.len().min(LONGEST);
        for (cell, octet) in octets.iter_mut().zip(line) {
            *cell = *octet;
        }
        Self {
            octets,
            len: u8::try_from(len).unwrap_or(u8::MAX),
        }
    }

    /// Its octets, as they were sent.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        self.octets.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// In graphic ASCII, all else escaped: a log has to survive what it tells of.
impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.octets().escape_ascii())
    }
}

impl fmt::Debug for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_and_what_a_terminal_would_obey_is_escaped() {
        assert_eq!(
            Excerpt::of(b"PORT 1\x1b[2J\xff").to_string(),
            r"PORT 1\x1b[2J\xff"
        );
        let long = Excerpt::of(&[b'x'; 1000]);
        assert_eq!(long.octets().len(), LONGEST);
        assert_eq!(Excerpt::of(b"").to_string(), "");
    }
}
