//! The FTP ALG (RFC 959, RFC 2428): finds where a data session is awaited.
//!
//! Owns the dialogue of one control session: PORT and EPRT of the client; the
//! server's 227 and 229, which count only while a PASV or EPSV of the client
//! waits for its reply. The client is the end that opened the session, so its
//! commands travel in the original direction.
//!
//! Refuses, opening nothing and leaving the text as it is:
//! - whatever does not follow its grammar to the letter, port 0 included;
//! - another address than the sender's own, and ports below 1024 (RFC 2577
//!   section 3): both are what a bounce is made of;
//! - an address of another family than the session's (the server answers 522);
//! - PORT, EPRT, PASV and 227 once `EPSV ALL` was sent, until it is refused;
//! - everything from AUTH on until AUTH is refused. A 234 or 334 makes the
//!   session opaque for good (RFC 4217): what follows is not read, whatever it
//!   looks like;
//! - LPRT and LPSV (RFC 1639) are not read. Telnet sequences before a line (RFC
//!   854) are no part of it; within it they are, and fit no grammar.
//!
//! A line may come in pieces. The endpoint in it can be rewritten only if the
//! chunk at hand holds all of it, and the line's end too. So where the session
//! is translated, the endpoint of an announcement that is not whole is withheld,
//! and comes again with what follows it; all else passes at once. A line that
//! can no longer be an announcement (too long, or with a lone CR or LF in it)
//! is let go.
//!
//! A packet is refused in one case: the announcement is in order, but no port
//! of the translated address is free. Passed on, it would send the other end
//! to an address that means nothing there; dropped, it is repeated, and may
//! find a port then. The kernel does the same.

mod command;
mod line;
mod notation;
mod reply;
mod telnet;
#[cfg(test)]
mod tests;

use command::Command;
use line::{Extent, Line, LineReader};
use notation::{Notation, Written};
use reply::{Code, Outcome, ReplyReader};

use super::stream::Follow;
use super::{
    Alg, AlgVerdict, Announcement, Chunk, Desk, Edit, Fixed, Inspection, NoHole, NotOpened, Note,
};
use crate::net::{AlgKind, Direction, Endpoint, Family, Protocol};

/// Ports that only a privileged process could bind, and that no data session
/// needs.
const FIRST_UNPRIVILEGED: u16 = 1024;

/// How many endpoints of one chunk can be rewritten: far more than the one
/// that a dialogue needs, and fewer than a stream remembers
/// ([`super::stream::MAX_CHANGES`]), so that no single packet overflows it.
const MAX_EDITS: usize = 8;

/// The client's end and the server's, by the direction in which they send.
const CLIENT: Direction = Direction::Original;
const SERVER: Direction = Direction::Reply;

/// The reader of one FTP control session.
#[derive(Debug, Clone, Default)]
pub struct Ftp {
    commands: LineReader,
    lines_of_replies: LineReader,
    replies: ReplyReader,
    /// How many PASV and EPSV wait for their reply.
    awaited: u8,
    epsv_all: EpsvAll,
    security: Security,
}

/// Whether the client has bound itself to EPSV (RFC 2428 section 4).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum EpsvAll {
    #[default]
    No,
    /// It said so, and has no answer yet.
    Asked,
    Accepted,
}

/// Whether the stream is clear text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Security {
    #[default]
    Clear,
    /// The client has sent AUTH, and has no answer yet.
    Asked,
    Encrypted,
}

impl Alg for Ftp {
    fn kind(&self) -> AlgKind {
        AlgKind::Ftp
    }

    fn inspect(&mut self, chunk: Chunk<'_>, desk: &mut dyn Desk) -> Inspection {
        let mut inspection = Inspection::default();
        let mut at = 0;
        while self.security != Security::Encrypted && inspection.verdict == AlgVerdict::Pass {
            let reader = match chunk.direction {
                CLIENT => &mut self.commands,
                SERVER => &mut self.lines_of_replies,
            };
            let Some(line) = reader.next(chunk.bytes, &mut at) else {
                inspection.hold = self.withhold(&chunk, desk);
                break;
            };
            match chunk.direction {
                CLIENT => self.command(&line, desk, &mut inspection),
                SERVER => self.reply(&line, desk, &mut inspection),
            }
        }
        inspection
    }

    fn follow(&self) -> Follow {
        match self.security {
            Security::Clear | Security::Asked => Follow::Strictly,
            Security::Encrypted => Follow::Loosely,
        }
    }

    fn skipped(&mut self, direction: Direction) {
        match direction {
            CLIENT => self.commands.lose_place(),
            SERVER => {
                self.lines_of_replies.lose_place();
                self.replies.lose_place();
                // What was awaited may have gone by.
                self.awaited = 0;
            }
        }
    }

    fn boxed_clone(&self) -> Box<dyn Alg> {
        Box::new(self.clone())
    }
}

impl Ftp {
    /// From where on the line that is not whole yet is not to leave: from where
    /// the endpoint in it may begin that will have to be rewritten.
    fn withhold(&mut self, chunk: &Chunk<'_>, desk: &dyn Desk) -> Option<usize> {
        let by = chunk.direction;
        if !desk.translates(by) {
            return None;
        }
        let reader = match by {
            CLIENT => &self.commands,
            SERVER => &self.lines_of_replies,
        };
        let beginning = reader.beginning()?;
        let (what, endpoint_at) = match by {
            CLIENT => command::endpoint_in(beginning.text)?,
            SERVER if self.awaited > 0 => {
                let code = self.replies.ends_with(beginning.text)?;
                reply::endpoint_in(code, beginning.text)?
            }
            SERVER => return None,
        };
        self.may_announce(what).ok()?;
        let skipped = beginning.skipped;
        let reader = match by {
            CLIENT => &mut self.commands,
            SERVER => &mut self.lines_of_replies,
        };
        reader.give_back(endpoint_at, skipped, chunk.bytes.len())
    }

    fn command(&mut self, line: &Line<'_>, desk: &mut dyn Desk, found: &mut Inspection) {
        match Command::read(line) {
            Command::Active(what, written) => {
                let announced = self
                    .may_announce(what)
                    .and(written.ok_or(NotOpened::Malformed));
                announce(CLIENT, what, announced, line, desk, found);
            }
            Command::Passive(what) => match self.may_announce(what) {
                Ok(()) => self.awaited = self.awaited.saturating_add(1),
                Err(why) => found.opens_nothing(CLIENT, what, why),
            },
            Command::EpsvAll => self.epsv_all = EpsvAll::Asked,
            Command::Auth => self.security = Security::Asked,
            Command::Other => {}
        }
    }

    fn reply(&mut self, line: &Line<'_>, desk: &mut dyn Desk, found: &mut Inspection) {
        let Some(code) = self.replies.read(&line.text) else {
            return;
        };
        let is_clear = line.extent == Extent::Whole && !line.is_ambiguous();
        let (what, written) = match code {
            Code::SECURITY_ACCEPTED | Code::SECURITY_DATA => {
                self.security = Security::Encrypted;
                found.notes.push(Note::Encrypted);
                return;
            }
            // By its code, not by the command that it answers: servers that
            // answer EPSV with 227, or PASV with 229, exist.
            Code::PASSIVE => ("227", reply::passive(&line.text)),
            Code::EXTENDED_PASSIVE => ("229", reply::extended_passive(&line.text)),
            _ => return self.outcome(code.outcome()),
        };
        let announced = self.take_awaited().and_then(|()| self.may_announce(what));
        let written = written.filter(|_| is_clear).ok_or(NotOpened::Malformed);
        announce(SERVER, what, announced.and(written), line, desk, found);
    }

    /// A reply without an endpoint: what it means for what waits for one.
    fn outcome(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Preliminary | Outcome::MoreNeeded => {}
            Outcome::Done => {
                if self.epsv_all == EpsvAll::Asked {
                    self.epsv_all = EpsvAll::Accepted;
                }
            }
            Outcome::Refused => {
                self.awaited = self.awaited.saturating_sub(1);
                if self.epsv_all == EpsvAll::Asked {
                    self.epsv_all = EpsvAll::No;
                }
                if self.security == Security::Asked {
                    self.security = Security::Clear;
                }
            }
        }
    }

    /// One command, one reply.
    fn take_awaited(&mut self) -> Result<(), NotOpened> {
        self.awaited = self.awaited.checked_sub(1).ok_or(NotOpened::Unasked)?;
        Ok(())
    }

    /// Whether this command or reply may announce anything in this state.
    fn may_announce(&self, what: &str) -> Result<(), NotOpened> {
        if self.security != Security::Clear {
            return Err(NotOpened::AfterAuth);
        }
        if self.epsv_all != EpsvAll::No && !matches!(what, "EPSV" | "229") {
            return Err(NotOpened::AfterEpsvAll);
        }
        Ok(())
    }
}

/// Asks for the hole that a line announces, and rewrites the line if the other
/// end finds it elsewhere.
fn announce(
    by: Direction,
    what: &'static str,
    announced: Result<Written, NotOpened>,
    line: &Line<'_>,
    desk: &mut dyn Desk,
    found: &mut Inspection,
) {
    if let Err(why) = announced.and_then(|written| expect(by, &written, line, desk, found)) {
        found.opens_nothing(by, what, why);
        if why == NotOpened::NoHole(NoHole::NoPort) {
            found.verdict = AlgVerdict::Refuse(why);
        }
    }
}

fn expect(
    by: Direction,
    written: &Written,
    line: &Line<'_>,
    desk: &mut dyn Desk,
    found: &mut Inspection,
) -> Result<(), NotOpened> {
    let own = desk.address_of(by);
    let named = written.address.unwrap_or(own);
    if Family::of(named) != Family::of(own) {
        return Err(NotOpened::OtherFamily);
    }
    if named != own {
        return Err(NotOpened::ThirdParty(named));
    }
    if written.port.0 < FIRST_UNPRIVILEGED {
        return Err(NotOpened::PrivilegedPort(written.port));
    }
    let place = line
        .in_chunk(&written.range)
        .filter(|_| found.edits.len() < MAX_EDITS);
    let announcement = Announcement {
        by,
        protocol: Protocol::TCP,
        endpoint: Endpoint::new(named, written.port),
        fixed: match (&place, written.notation) {
            (Some(_), _) => Fixed::Nothing,
            (None, Notation::PortAlone) => Fixed::Port,
            (None, _) => Fixed::Endpoint,
        },
    };
    let reached_at = desk.expect(announcement).map_err(NotOpened::NoHole)?;
    debug_assert!(
        announcement.allows(reached_at),
        "a hole nobody can be told of"
    );
    found.notes.push(Note::Opened {
        announcement,
        reached_at,
    });
    // An equal endpoint keeps its spelling, leading zeros and all.
    let says = |endpoint: Endpoint| written.notation.render(endpoint);
    if says(reached_at) == says(announcement.endpoint) {
        return Ok(());
    }
    if let (Some(range), Some(with)) = (place, says(reached_at)) {
        found.edits.push(Edit { range, with });
    }
    Ok(())
}

impl Inspection {
    fn opens_nothing(&mut self, by: Direction, what: &'static str, why: NotOpened) {
        self.notes.push(Note::NotOpened { by, what, why });
    }
}
