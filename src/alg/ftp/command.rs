//! What the client's lines say, as far as an ALG cares.

use std::ops::Range;

use super::line::{Extent, Line};
use super::notation::{self, Written};

/// A line of the client.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// Where in the line its verb stands.
    pub(super) verb: Range<usize>,
    pub(super) command: Command,
}

/// What a line of the client asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// PORT or EPRT: the client awaits a data session. Without an endpoint
    /// where the line does not follow its grammar.
    Active(&'static str, Option<Written>),
    /// PASV, or EPSV but for `EPSV ALL`: the server is to say where it awaits one.
    Passive(&'static str),
    /// `EPSV ALL`: from now on there will be no PORT, EPRT or PASV.
    EpsvAll,
    /// LPRT or LPSV (RFC 1639).
    Long(&'static str),
    /// AUTH: the session may soon be encrypted.
    Auth,
    /// USER, PASS, ACCT: a step of a login.
    Login,
    /// REIN: all is to be as before the login.
    Rein,
    /// QUIT.
    Quit,
    /// A transfer, which has a data session.
    Transfer(&'static str),
    /// Any other of FTP's.
    Other,
    /// None of FTP's.
    Unknown,
}

/// The verbs that ask for a transfer.
const TRANSFERS: [&str; 7] = ["APPE", "LIST", "MLSD", "NLST", "RETR", "STOR", "STOU"];

/// The other verbs with which a client may begin, or go on: those of RFC 5797's
/// registry, and some that are in use without having been registered.
const OTHERS: [&str; 57] = [
    "ABOR", "ADAT", "ALGS", "ALLO", "AVBL", "CCC", "CDUP", "CLNT", "COMB", "CONF", "CSID", "CWD",
    "DELE", "DSIZ", "ENC", "FEAT", "HASH", "HELP", "HOST", "LANG", "MDTM", "MFCT", "MFF", "MFMT",
    "MIC", "MKD", "MLST", "MODE", "NOOP", "OPTS", "PBSZ", "PROT", "PWD", "RANG", "REST", "RMD",
    "RNFR", "RNTO", "SITE", "SIZE", "SMNT", "SPSV", "STAT", "STRU", "SYST", "THMB", "TYPE", "XCRC",
    "XCUP", "XCWD", "XMD5", "XMKD", "XPWD", "XRMD", "XSHA", "XSHA1", "XSHA256",
];

impl Command {
    /// As what it is spoken of.
    pub(super) fn what(&self) -> &'static str {
        match self {
            Self::Active(what, _)
            | Self::Passive(what)
            | Self::Long(what)
            | Self::Transfer(what) => what,
            Self::EpsvAll => "EPSV ALL",
            Self::Auth => "AUTH",
            Self::Rein => "REIN",
            Self::Quit => "QUIT",
            Self::Login | Self::Other | Self::Unknown => "a command",
        }
    }
}

impl Request {
    /// Reads one line. A line that is too long, or that others may take for
    /// several, announces nothing.
    pub(super) fn read(line: &Line<'_>) -> Self {
        let is_clear = line.extent == Extent::Whole && !line.is_ambiguous();
        let Self { verb, command } = Self::read_text(&line.text);
        let command = match command {
            Command::Active(what, written) => Command::Active(what, written.filter(|_| is_clear)),
            Command::Passive(_) | Command::EpsvAll | Command::Transfer(_) if !is_clear => {
                Command::Other
            }
            command => command,
        };
        Self { verb, command }
    }

    fn read_text(text: &[u8]) -> Self {
        let is_space = |octet: &u8| *octet == b' ';
        let length = text.iter().position(is_space).unwrap_or(text.len());
        let verb = 0..length;
        let argument_at = text
            .iter()
            .skip(verb.end)
            .position(|octet| !is_space(octet))
            .map_or(text.len(), |spaces| verb.end + spaces);
        let argument = text.get(argument_at..).unwrap_or_default();
        let word = text.get(verb.clone()).unwrap_or_default();
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        let found = |names: &[&'static str]| names.iter().copied().find(|name| is(name));
        let command = if is("PORT") {
            Command::Active("PORT", notation::six_numbers(argument, argument_at))
        } else if is("EPRT") {
            Command::Active("EPRT", notation::extended(argument, argument_at))
        } else if is("PASV") {
            Command::Passive("PASV")
        } else if is("EPSV") && argument.trim_ascii().eq_ignore_ascii_case(b"ALL") {
            Command::EpsvAll
        } else if is("EPSV") {
            Command::Passive("EPSV")
        } else if let Some(long) = found(&["LPRT", "LPSV"]) {
            Command::Long(long)
        } else if is("AUTH") {
            Command::Auth
        } else if found(&["USER", "PASS", "ACCT"]).is_some() {
            Command::Login
        } else if is("REIN") {
            Command::Rein
        } else if is("QUIT") {
            Command::Quit
        } else if let Some(transfer) = found(&TRANSFERS) {
            Command::Transfer(transfer)
        } else if found(&OTHERS).is_some() {
            Command::Other
        } else {
            Command::Unknown
        };
        Self { verb, command }
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

    fn read(text: impl AsRef<[u8]>) -> Command {
        Request::read_text(text.as_ref()).command
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
        for (text, command) in [
            ("SITE PORT 10,0,0,7,200,10", Command::Other),
            ("RETR 10,0,0,7,200,10", Command::Transfer("RETR")),
            ("XPORT 10,0,0,7,200,10", Command::Unknown),
            ("HOST 192.0.2.1", Command::Other),
            (" PORT 10,0,0,7,200,10", Command::Unknown),
            ("", Command::Unknown),
        ] {
            assert_eq!(read(text), command, "{text:?}");
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
        assert_eq!(read("LPRT 4,4,10,0,0,7,2,200,10"), Command::Long("LPRT"));
        assert_eq!(read("lpsv"), Command::Long("LPSV"));
    }

    #[test]
    fn t_854_iac_in__a_telnet_sequence_within_the_arguments_is_no_endpoint() {
        for line in [
            &b"PORT 10,0,0,\xff\xf47,200,10"[..],
            b"PORT \xff\xfb\x0610,0,0,7,200,10",
            b"PORT 10,0,0,7,200,10\xff\xf2",
            b"EPRT |1|10.0.\xff\xf40.7|2000|",
            b"EPRT |1|10.0.0.7|20\xff\xf100|",
        ] {
            let command = read(line);
            assert!(matches!(command, Command::Active(_, None)), "{command:?}");
        }
        // Within the verb it makes another word of it.
        assert_eq!(read(b"PO\xff\xf4RT 10,0,0,7,200,10"), Command::Unknown);
    }
}
