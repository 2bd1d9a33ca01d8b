//! What the server's lines say: replies of one line or several, and the
//! endpoint in a 227 or 229.

use serde::{Deserialize, Serialize};

use super::notation::{self, Written};

/// A three-digit reply code (RFC 959 section 4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Code([u8; 3]);

impl Code {
    pub(super) const PASSIVE: Self = Self(*b"227");
    pub(super) const EXTENDED_PASSIVE: Self = Self(*b"229");
    /// RFC 959: what was asked for is done.
    pub(super) const DONE: Self = Self(*b"200");
    /// The server is ready for a new user.
    pub(super) const GREETING: Self = Self(*b"220");
    /// The user is logged in; by what the password of RFC 2228 was (232).
    pub(super) const LOGGED_IN: Self = Self(*b"230");
    pub(super) const AUTHORIZED: Self = Self(*b"232");
    /// The server closes the control session: an answer to any command, and to
    /// none.
    pub(super) const NOT_AVAILABLE: Self = Self(*b"421");
    /// RFC 4217 section 4: the TLS handshake comes next.
    pub(super) const SECURITY_ACCEPTED: Self = Self(*b"234");
    /// RFC 2228 section 5.1: security data come next.
    pub(super) const SECURITY_DATA: Self = Self(*b"334");

    /// Whether it tells that a transfer is over, or was broken off.
    pub(super) fn ends_transfer(self) -> bool {
        matches!(&self.0, b"225" | b"226" | b"426")
    }

    /// What its first digit says.
    pub(super) fn outcome(self) -> Outcome {
        match self.0 {
            [b'1', ..] => Outcome::Preliminary,
            [b'2', ..] => Outcome::Done,
            [b'3', ..] => Outcome::MoreNeeded,
            _ => Outcome::Refused,
        }
    }
}

/// How far a command has come (RFC 959 section 4.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Preliminary,
    Done,
    MoreNeeded,
    Refused,
}

/// Tells which lines end a reply.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct ReplyReader {
    /// The code of the reply of several lines that is under way.
    within: Option<Code>,
}

impl ReplyReader {
    /// The code of the reply that ends with this line, if one does.
    ///
    /// A reply of several lines begins with its code and a hyphen and ends
    /// with the same code and a space (RFC 959 section 4.2); whatever stands
    /// between is text, however much it looks like a reply.
    pub(super) fn read(&mut self, line: &[u8]) -> Option<Code> {
        let (code, rest) = line.split_first_chunk::<3>()?;
        if !code.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let code = Code(*code);
        match (self.within, rest.first()) {
            (Some(open), _) if open != code => None,
            (_, None | Some(b' ')) => {
                self.within = None;
                Some(code)
            }
            (None, Some(b'-')) => {
                self.within = Some(code);
                None
            }
            _ => None,
        }
    }

    /// The code of the reply that a line with this beginning ends, if it ends one
    /// and is not only the code.
    pub(super) fn ends_with(&self, beginning: &[u8]) -> Option<Code> {
        beginning.get(3).filter(|octet| **octet == b' ')?;
        self.clone().read(beginning)
    }

    /// Forgets a reply that is under way.
    pub(super) fn lose_place(&mut self) {
        self.within = None;
    }
}

/// Where in a 227 or 229 that is not whole its endpoint may begin, if it may
/// have begun.
pub(super) fn endpoint_in(code: Code, beginning: &[u8]) -> Option<(&'static str, usize)> {
    let begins: fn(&u8) -> bool = match code {
        Code::PASSIVE => |octet| octet.is_ascii_digit() || *octet == b',',
        Code::EXTENDED_PASSIVE => |octet| *octet == b'(',
        _ => return None,
    };
    let what = if code == Code::PASSIVE { "227" } else { "229" };
    let text = beginning.get(4..)?;
    Some((what, 4 + text.iter().position(begins)?))
}

/// The endpoint in the line of a 227.
///
/// Its text is free, so RFC 1123 section 4.1.2.6 bids to look for the digits:
/// six numbers in parentheses, else the first six numbers anywhere.
pub(super) fn passive(line: &[u8]) -> Option<Written> {
    let in_parentheses = runs(line).find(|run| {
        let before = run.start.checked_sub(1).and_then(|at| line.get(at));
        before == Some(&b'(') && line.get(run.end) == Some(&b')')
    });
    let run = in_parentheses.or_else(|| runs(line).next())?;
    notation::six_numbers(line.get(run.clone())?, run.start)
}

/// All runs of digits and commas behind the code that have six fields and
/// stand free.
fn runs(line: &[u8]) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
    let is_part = |octet: &u8| octet.is_ascii_digit() || *octet == b',';
    let mut at = 3;
    let all = std::iter::from_fn(move || {
        let start = at + line.get(at..)?.iter().position(is_part)?;
        let rest = line.get(start..)?;
        at = start + rest.iter().position(|o| !is_part(o)).unwrap_or(rest.len());
        Some(start..at)
    });
    all.filter(move |run| {
        let glued = |octet: &u8| octet.is_ascii_alphanumeric() || b"+-".contains(octet);
        let before = run.start.checked_sub(1).and_then(|at| line.get(at));
        let text = line.get(run.clone()).unwrap_or_default();
        text.iter().filter(|octet| **octet == b',').count() == 5
            && !before.is_some_and(glued)
            && !line.get(run.end).is_some_and(glued)
    })
}

/// The port in the line of a 229: `(|||port|)` (RFC 2428 section 3).
pub(super) fn extended_passive(line: &[u8]) -> Option<Written> {
    line.iter()
        .enumerate()
        .filter(|(_, octet)| **octet == b'(')
        .find_map(|(at, _)| notation::port_alone(line.get(at + 1..)?, at + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(lines: &[&str]) -> Vec<Option<Code>> {
        let mut reader = ReplyReader::default();
        lines.iter().map(|l| reader.read(l.as_bytes())).collect()
    }

    #[test]
    fn t_1123_ml__the_last_line_of_a_reply_ends_it() {
        let found = codes(&["227-Entering", " 227 no", "227-", "no", "227 yes"]);
        assert_eq!(found, [None, None, None, None, Some(Code::PASSIVE)]);
    }

    #[test]
    fn t_959_ml_text__a_code_within_another_reply_is_text() {
        let found = codes(&["230-Welcome", "227 (10,0,0,7,200,10)", "230 done", "227 x"]);
        assert_eq!(
            found,
            [None, None, Some(Code(*b"230")), Some(Code::PASSIVE)]
        );
    }

    #[test]
    fn the_endpoint_of_a_reply_that_is_not_whole_begins_with_its_first_digit() {
        let begins = |text: &str| {
            let code = ReplyReader::default().ends_with(text.as_bytes())?;
            endpoint_in(code, text.as_bytes())
        };
        for (beginning, place) in [
            ("227 Entering Passive Mode (1", Some(("227", 27))),
            ("227 mode 2 (1", Some(("227", 9))),
            ("227 Entering Passive Mode (", None),
            ("227-Entering 1", None),
            ("227", None),
            ("229 Entering (", Some(("229", 13))),
            ("229 Entering (|||6", Some(("229", 13))),
            ("229 Entering 6", None),
            ("200 1,2,3,4,5,6", None),
        ] {
            assert_eq!(begins(beginning), place, "{beginning:?}");
        }
    }

    #[test]
    fn lines_without_a_code_end_nothing() {
        assert_eq!(codes(&["", "22", "hello", "2270 x", "22a x"]), [None; 5]);
        assert_eq!(codes(&["220"]), [Some(Code(*b"220"))]);
    }

    fn found(line: &str) -> Option<(&str, u16)> {
        let written = passive(line.as_bytes())?;
        Some((&line[written.range], written.port.0))
    }

    #[test]
    fn t_1123_227_par__in_parentheses_with_anything_around() {
        for line in [
            "227 Entering Passive Mode (10,0,0,7,200,10).",
            "227 Entering Passive Mode (10,0,0,7,200,10)",
            "227 Entering Passive Mode (10,0,0,7,200,10) ",
            "227 (10,0,0,7,200,10) is where I wait",
        ] {
            assert_eq!(found(line), Some(("10,0,0,7,200,10", 51210)), "{line}");
        }
    }

    #[test]
    fn t_1123_227_bare__without_parentheses() {
        for line in [
            "227 Entering Passive Mode. 10,0,0,7,200,10",
            "227 10,0,0,7,200,10",
            "227 =10,0,0,7,200,10",
            "227 Entering Passive Mode 10,0,0,7,200,10.",
        ] {
            assert_eq!(found(line), Some(("10,0,0,7,200,10", 51210)), "{line}");
        }
    }

    #[test]
    fn t_1123_227_digit__numbers_before_the_list_are_text() {
        for line in [
            "227 Passive mode 2 (10,0,0,7,200,10)",
            "227 Passive mode 1,2 (10,0,0,7,200,10)",
            "227 not 10,0,0,8,200,11 but (10,0,0,7,200,10)",
            "227 mode 2, at 10,0,0,7,200,10",
        ] {
            assert_eq!(found(line), Some(("10,0,0,7,200,10", 51210)), "{line}");
        }
    }

    #[test]
    fn t_1123_227_cut__what_is_cut_or_out_of_range_is_no_endpoint() {
        for line in [
            "227 Entering Passive Mode (",
            "227 Entering Passive Mode (10,0,0,7,200)",
            "227 Entering Passive Mode (10,0,0,7,200,10,1)",
            "227 Entering Passive Mode (10,0,0,7,200,256)",
            "227 Entering Passive Mode (10,0,0,7,0,0)",
            "227 Entering Passive Mode (10,0,0,7,200,10000000000000)",
            "227 Entering Passive Mode (10,0,0,7,200,)",
            "227 Entering Passive Mode (-10,0,0,7,200,10)",
            "227 Entering Passive Mode (10,0,0,7,200,10x)",
            "227",
        ] {
            assert_eq!(found(line), None, "{line}");
        }
    }

    #[test]
    fn t_2428_229_delim__any_delimiter_but_a_digit() {
        for (line, port) in [
            ("229 Entering Extended Passive Mode (|||6446|)", Some(6446)),
            ("229 Entering Extended Passive Mode (!!!6446!).", Some(6446)),
            ("229 (see below) (|||6446|)", Some(6446)),
            ("229 Entering Extended Passive Mode (11164461)", None),
            ("229 Entering Extended Passive Mode |||6446|", None),
        ] {
            let written = extended_passive(line.as_bytes());
            assert_eq!(written.map(|w| w.port.0), port, "{line}");
        }
    }

    #[test]
    fn t_2428_229_fill__filled_fields_and_bad_ports_are_no_endpoint() {
        for line in [
            "229 x (|1||6446|)",
            "229 x (|1|10.0.0.7|6446|)",
            "229 x (|||0|)",
            "229 x (|||65536|)",
            "229 x (|||999999|)",
            "229 x (|||+644|)",
            "229 x (||||)",
            "229 x (|||6446)",
            "229 x (|||6446",
            "229 x (",
        ] {
            assert_eq!(extended_passive(line.as_bytes()), None, "{line}");
        }
    }
}
