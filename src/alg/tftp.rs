//! The TFTP ALG (RFC 1350): the server answers a request to port 69 from a
//! port of its own choice.
//!
//! Owns one thing: that RRQ and WRQ announce, without saying so, that a
//! datagram will come from the server to the port which the request came from.
//! Where that is expected is not written anywhere, so nothing is rewritten.
//!
//! A session of datagrams has no order to keep, and the transfer is a session of
//! its own: what else goes to port 69 announces nothing.

use super::{
    Admits, Alg, Announcement, Chunk, Desk, Excerpt, Fixed, Inspection, NotOpened, Note, SavedAlg,
};
use crate::net::{AlgKind, Direction, Protocol};

/// The longest request that is one: RFC 1350 section 5 knows no longer packet
/// than a full block with its header, and RFC 2347 section 3 keeps requests with
/// options within 512 octets.
const LONGEST: usize = 516;

/// The reader of a TFTP request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tftp;

impl Alg for Tftp {
    fn kind(&self) -> AlgKind {
        AlgKind::Tftp
    }

    fn inspect(&mut self, chunk: Chunk<'_>, desk: &mut dyn Desk) -> Inspection {
        let mut found = Inspection::default();
        if chunk.direction != Direction::Original {
            return found;
        }
        let Some(request) = Request::read(chunk.bytes) else {
            return found;
        };
        let announcement = Announcement {
            by: Direction::Original,
            protocol: Protocol::UDP,
            endpoint: desk.end_of(Direction::Original),
            fixed: Fixed::ToControl,
            from: None,
            admits: Admits::AtOnce,
        };
        found.notes.push(match desk.expect(announcement) {
            Ok(hole) => Note::Opened {
                announcement,
                reached_at: hole.reached_at,
            },
            Err(why) => Note::NotOpened {
                by: Direction::Original,
                what: request.name(),
                why: NotOpened::NoHole(why),
                line: Excerpt::of(chunk.bytes),
            },
        });
        found
    }

    fn skipped(&mut self, _: Direction) {}

    fn saved(&self) -> SavedAlg {
        SavedAlg::Tftp
    }

    fn boxed_clone(&self) -> Box<dyn Alg> {
        Box::new(*self)
    }
}

/// What a client may begin with (RFC 1350 section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Request {
    Read,
    Write,
}

impl Request {
    /// Reads a whole request: opcode, file name and mode, the two ended by a
    /// NUL each; behind them there may be options (RFC 2347).
    fn read(datagram: &[u8]) -> Option<Self> {
        let (opcode, rest) = datagram.split_first_chunk::<2>()?;
        let request = match opcode {
            [0, 1] => Self::Read,
            [0, 2] => Self::Write,
            _ => return None,
        };
        let mut texts = rest.strip_suffix(&[0])?.split(|octet| *octet == 0);
        let (file, mode) = (texts.next()?, texts.next()?);
        let is_mode = [&b"netascii"[..], b"octet", b"mail"]
            .iter()
            .any(|known| mode.eq_ignore_ascii_case(known));
        (!file.is_empty() && is_mode && datagram.len() <= LONGEST).then_some(request)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Read => "RRQ",
            Self::Write => "WRQ",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_requests_are_requests() {
        for (datagram, request) in [
            (&b"\0\x01file\0octet\0"[..], Some(Request::Read)),
            (b"\0\x02a/b c\0NetASCII\0", Some(Request::Write)),
            (b"\0\x01file\0octet\0blksize\x001428\0", Some(Request::Read)),
            (b"\0\x01file\0octet", None),
            (b"\0\x01file\0", None),
            (b"\0\x01\0octet\0", None),
            (b"\0\x01file\0morse\0", None),
            (b"\0\x03\0\x01data\0octet\0", None),
            (b"\0\x04\0\x01", None),
            (b"\x01\x01file\0octet\0", None),
            (b"\0", None),
            (b"", None),
        ] {
            assert_eq!(Request::read(datagram), request, "{datagram:?}");
        }
        let long = [b"\0\x01".as_slice(), &[b'x'; 600], b"\0octet\0"].concat();
        assert_eq!(Request::read(&long), None);
    }
}
