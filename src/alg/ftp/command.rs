//! What the client's lines say, as far as an ALG cares.

use super::line::{Extent, Line};
use super::notation::{self, Written};

/// A line of the client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// PORT or EPRT: the client awaits a data session. Without an endpoint
    /// where the line does not follow its grammar.
    Active(&'static str, Option<Written>),
    /// PASV, or EPSV but for `EPSV ALL`: the server is to say where it awaits one.
    Passive(&'static str),
    /// `EPSV ALL`: from now on there will be no PORT, EPRT or PASV.
    EpsvAll,
    /// AUTH: the session may soon be encrypted.
    Auth,
    /// All else, LPRT and LPSV (RFC 1639) among it: they open nothing.
    Other,
}

impl Command {
    /// Reads one line. A line that is too long, or that others may take for
    /// several, announces nothing.
    pub(super) fn read(line: &Line<'_>) -> Self {
        let is_clear = line.extent == Extent::Whole && !line.is_ambiguous();
        match Self::read_text(&line.text) {
            Self::Active(what, written) => Self::Active(what, written.filter(|_| is_clear)),
            Self::Auth => Self::Auth,
            command if is_clear => command,
            _ => Self::Other,
        }
    }

    fn read_text(text: &[u8]) -> Self {
        let is_space = |octet: &u8| *octet == b' ';
        let verb_len = text.iter().position(is_space).unwrap_or(text.len());
        let (verb, rest) = text.split_at_checked(verb_len).unwrap_or((text, &[]));
        let argument_at = text
            .iter()
            .skip(verb_len)
            .position(|octet| !is_space(octet))
            .map_or(text.len(), |spaces| verb_len + spaces);
        let argument = text.get(argument_at..).unwrap_or_default();
        let is = |name: &[u8]| verb.eq_ignore_ascii_case(name);
        if is(b"PORT") {
            Self::Active("PORT", notation::six_numbers(argument, argument_at))
        } else if is(b"EPRT") {
            Self::Active("EPRT", notation::extended(argument, argument_at))
        } else if is(b"PASV") {
            Self::Passive("PASV")
        } else if is(b"EPSV") && rest.trim_ascii().eq_ignore_ascii_case(b"ALL") {
            Self::EpsvAll
        } else if is(b"EPSV") {
            Self::Passive("EPSV")
        } else if is(b"AUTH") {
            Self::Auth
        } else {
            Self::Other
        }
    }
}

/// Where in a PORT or EPRT that is not whole its endpoint begins, if it has begun
/// and can still follow its grammar.
pub(super) fn endpoint_in(beginning: &[u8]) -> Option<(&'static str, usize)> {
    let (verb, rest) = beginning.split_at_checked(4)?;
    let what = ["PORT", "EPRT"]
        .into_iter()
        .find(|what| verb.eq_ignore_ascii_case(what.as_bytes()))?;
    let spaces = rest.iter().take_while(|octet| **octet == b' ').count();
    let endpoint = rest.get(spaces..).filter(|_| spaces > 0)?;
    let text = endpoint.strip_suffix(b"\r").unwrap_or(endpoint);
    let may_be = text.iter().all(|octet| matches!(octet, b' '..=b'~'));
    (!endpoint.is_empty() && may_be).then_some((what, 4 + spaces))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Command {
        Command::read_text(text.as_bytes())
    }

    fn range(command: &Command) -> Option<std::ops::Range<usize>> {
        match command {
            Command::Active(_, Some(written)) => Some(written.range.clone()),
            _ => None,
        }
    }

    #[test]
    fn t_959_case__verbs_have_no_case() {
        assert!(matches!(
            read("pOrT 10,0,0,7,200,10"),
            Command::Active("PORT", Some(_))
        ));
        assert!(matches!(
            read("eprt |1|10.0.0.7|2000|"),
            Command::Active("EPRT", Some(_))
        ));
        assert_eq!(read("pasv"), Command::Passive("PASV"));
        assert_eq!(read("ePSV"), Command::Passive("EPSV"));
        assert_eq!(read("epsv all"), Command::EpsvAll);
        assert_eq!(read("auth tls"), Command::Auth);
    }

    #[test]
    fn t_959_sp__any_number_of_spaces_before_the_argument() {
        assert_eq!(range(&read("PORT 10,0,0,7,200,10")), Some(5..20));
        assert_eq!(range(&read("PORT   10,0,0,7,200,10")), Some(7..22));
        assert_eq!(range(&read("EPRT |1|10.0.0.7|2000|")), Some(8..21));
        assert_eq!(range(&read("PORT10,0,0,7,200,10")), None);
    }

    #[test]
    fn t_2428_epsv_arg__a_family_is_no_promise() {
        assert_eq!(read("EPSV 1"), Command::Passive("EPSV"));
        assert_eq!(read("EPSV 2"), Command::Passive("EPSV"));
    }

    #[test]
    fn t_959_other__no_other_verb_announces_anything() {
        for text in [
            "SITE PORT 10,0,0,7,200,10",
            "RETR 10,0,0,7,200,10",
            "XPORT 10,0,0,7,200,10",
            "HOST 192.0.2.1",
            " PORT 10,0,0,7,200,10",
            "",
        ] {
            assert_eq!(read(text), Command::Other, "{text:?}");
        }
    }

    #[test]
    fn the_endpoint_of_a_line_that_is_not_whole_begins_behind_the_spaces() {
        for (beginning, place) in [
            ("PORT 1", Some(("PORT", 5))),
            ("port   10,0\r", Some(("PORT", 7))),
            ("eprt |", Some(("EPRT", 5))),
            ("PORT ", None),
            ("PORT", None),
            ("POR", None),
            ("PORT1", None),
            ("PORT 1\u{1}", None),
            ("PORT 1\u{e9}", None),
            ("SITE PORT 1", None),
        ] {
            assert_eq!(endpoint_in(beginning.as_bytes()), place, "{beginning:?}");
        }
    }

    #[test]
    fn t_1639_lprt__lprt_opens_nothing() {
        assert_eq!(read("LPRT 4,4,10,0,0,7,2,200,10"), Command::Other);
        assert_eq!(read("LPSV"), Command::Other);
    }
}
