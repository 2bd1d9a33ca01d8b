//! The FTP ALG (RFC 959, RFC 2428): finds where a data session is awaited.
//!
//! Owns the dialogue of one control session. The client is the end that opened
//! it, so its commands travel in the original direction. Commands wait for
//! their replies in order ([`outstanding`]), and each reply counts for the
//! command that it answers:
//!
//! ```text
//!  220 -> USER, PASS .. 230 -> PORT: a hole, closed -> 200 to it: the hole admits
//!                              |                    -> 4yz, 5yz:  the hole is gone
//!                              PASV -> 227 to it:     a hole that admits
//!  REIN, QUIT accepted, 421, FIN, RST: every hole that nobody has used is gone
//! ```
//!
//! So nothing opens before the server has greeted and let somebody in, and an
//! inward hole admits only what the server itself has agreed to. A session
//! whose first line is no command of FTP is none of ours, and is let go for
//! good: a browser that was made to speak to port 21 never gets further (NAT
//! slipstreaming). [`Strictness::Lines`] takes each line by itself instead, as
//! the kernel's helper does. Of a session that was picked up in the middle the
//! login counts as done.
//!
//! Refuses, opening nothing:
//! - whatever does not follow its grammar to the letter, port 0 included;
//! - another address than the sender's own (RFC 2577 section 3), unless the rule
//!   that let the session in names that host; an address of the gateway, or of
//!   no host at all; one of another family (the server answers 522);
//! - ports below 1024, and such at which something else is known to listen;
//! - PORT, EPRT, PASV and 227 once `EPSV ALL` was sent, until it is refused;
//! - everything from AUTH on until AUTH is refused. A 234 or 334 makes the
//!   session opaque (RFC 4217), for good or ([`AfterAuth::Ccc`]) until both ends
//!   have ended TLS: what is between is not read, whatever it looks like;
//! - LPRT and LPSV (RFC 1639): they pass unread, or are kept from the server.
//!
//! Telnet sequences before a line (RFC 854) are no part of it; within it they are,
//! and fit no grammar.
//!
//! What is to be kept from the server leaves as a command that no server knows:
//! its verb becomes `XXXX`. So the server says 500, the client hears of it and
//! goes on as with any server that cannot do it, and no number in the stream
//! changes. Dropping it would hang both.
//!
//! A line may come in pieces. The endpoint in it can be rewritten only if the
//! chunk at hand holds all of it, and the line's end too. So where the session
//! is translated, the endpoint of an announcement that is not whole is withheld,
//! and comes again with what follows it; all else passes at once. A line that
//! can no longer be an announcement (too long, or with a lone CR or LF in it)
//! is let go. What may have to be kept from the server is withheld from its verb on.
//!
//! A packet is refused where a line in it may not pass and cannot be made
//! harmless: no port of the translated address is free (passed on, it would
//! send the other end to an address that means nothing there; repeated, it may
//! find a port. The kernel does the same), or the line is too long and the
//! operator has such blocked.

use serde::{Deserialize, Serialize};

mod announce;
mod client;
mod command;
mod line;
mod notation;
mod outstanding;
mod reply;
mod server;
mod settings;
mod telnet;
#[cfg(test)]
mod tests;
mod tls;

pub use settings::{
    ActiveFrom, ActiveOpens, AfterAuth, DefaultPort, Passage, PassiveHost, Settings, Strictness,
    ThirdParty,
};

use line::{Line, LineReader};
use outstanding::{Awaits, Outstanding};
use reply::ReplyReader;
use tls::Records;

use super::stream::Follow;
use super::{
    Admits, Alg, AlgVerdict, Announcement, Chunk, Desk, Fixed, Hole, Inspection, NotOpened, Note,
    SavedAlg, Start,
};
use crate::net::{AlgKind, Direction, PerDirection, Port, Protocol};

/// How many places of one chunk can be rewritten: far more than the one
/// that a dialogue needs, and fewer than a stream remembers
/// ([`super::stream::MAX_CHANGES`]), so that no single packet overflows it.
const MAX_EDITS: usize = 8;

/// The client's end and the server's, by the direction in which they send.
const CLIENT: Direction = Direction::Original;
const SERVER: Direction = Direction::Reply;

/// The reader of one FTP control session.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ftp {
    lines: PerDirection<LineReader>,
    replies: ReplyReader,
    outstanding: Outstanding,
    stage: Stage,
    first_line: FirstLine,
    epsv_all: EpsvAll,
    data_port: DataPort,
    reading: Reading,
}

/// How far the server has let the client come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Stage {
    /// It has not greeted.
    Connected,
    /// It has (220), and knows nobody.
    Greeted,
    /// It has let somebody in (230, 232).
    LoggedIn,
}

/// Whether the client has said anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum FirstLine {
    Awaited,
    Heard,
}

/// Whether the client has bound itself to EPSV (RFC 2428 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum EpsvAll {
    No,
    /// It said so, and has no answer yet.
    Asked,
    Accepted,
}

/// Where a data session goes (RFC 959 section 3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum DataPort {
    /// Where the client's control session comes from.
    Default,
    /// Where PORT, PASV or the like have said.
    Named,
}

/// Whether the stream can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Reading {
    /// It is clear text.
    Clear,
    /// The client has sent AUTH, and has no answer yet.
    AuthAsked,
    /// It is protected by TLS, whose records are followed in both directions.
    Tls(PerDirection<Records>),
    /// It is never read again.
    Never,
}

impl Ftp {
    /// A reader that has read nothing.
    #[must_use]
    pub fn new(start: Start) -> Self {
        let (stage, first_line) = match start {
            Start::Beginning => (Stage::Connected, FirstLine::Awaited),
            Start::Middle => (Stage::LoggedIn, FirstLine::Heard),
        };
        Self {
            lines: PerDirection::default(),
            replies: ReplyReader::default(),
            outstanding: Outstanding::default(),
            stage,
            first_line,
            epsv_all: EpsvAll::No,
            data_port: DataPort::Default,
            reading: Reading::Clear,
        }
    }
}

impl Ftp {
    /// Whether a reader can know this: what was written down may have been changed.
    pub(super) fn is_sound(&self) -> bool {
        let follows = match &self.reading {
            Reading::Tls(records) => Direction::BOTH.iter().all(|way| records[*way].is_sound()),
            Reading::Clear | Reading::AuthAsked | Reading::Never => true,
        };
        follows && self.outstanding.is_sound()
    }
}

impl Alg for Ftp {
    fn kind(&self) -> AlgKind {
        AlgKind::Ftp
    }

    fn inspect(&mut self, chunk: Chunk<'_>, desk: &mut dyn Desk) -> Inspection {
        let mut inspection = Inspection::default();
        let Some(mut at) = self.clear_from(chunk, &mut inspection) else {
            return inspection;
        };
        let longest = desk.settings().ftp.longest_line;
        while self.is_readable() && inspection.verdict == AlgVerdict::Pass {
            let lines = &mut self.lines[chunk.direction];
            let Some(line) = lines.next(chunk.bytes, &mut at, longest) else {
                self.begun(chunk.direction, desk, &mut inspection);
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
        match self.reading {
            // Where TLS ends has to be found, however the stream comes.
            Reading::Clear | Reading::AuthAsked | Reading::Tls(_) => Follow::Strictly,
            Reading::Never => Follow::Loosely,
        }
    }

    fn skipped(&mut self, direction: Direction) {
        self.lines[direction].lose_place();
        if let Reading::Tls(records) = &mut self.reading {
            records[direction].lose_place();
        }
        match direction {
            CLIENT => self.first_line = FirstLine::Heard,
            SERVER => {
                self.replies.lose_place();
                // What was awaited may have gone by, and so may the login.
                self.outstanding.clear();
                self.stage = Stage::LoggedIn;
            }
        }
    }

    fn saved(&self) -> SavedAlg {
        SavedAlg::Ftp(Box::new(self.clone()))
    }

    fn boxed_clone(&self) -> Box<dyn Alg> {
        Box::new(self.clone())
    }
}

impl Ftp {
    fn is_readable(&self) -> bool {
        matches!(self.reading, Reading::Clear | Reading::AuthAsked)
    }

    /// From where on this chunk is clear text that can be read.
    fn clear_from(&mut self, chunk: Chunk<'_>, found: &mut Inspection) -> Option<usize> {
        let Reading::Tls(records) = &mut self.reading else {
            return self.is_readable().then_some(0);
        };
        let at = records[chunk.direction].follow(chunk.bytes)?;
        // Lines that go ahead of the other end's close are not read, nor is what
        // of them comes later.
        self.lines[chunk.direction] = LineReader::default();
        if !records[!chunk.direction].is_closed() {
            self.lines[chunk.direction].lose_place();
            return None;
        }
        // What was said in between nobody knows; without a login there is no CCC.
        self.reading = Reading::Clear;
        self.outstanding.clear();
        self.replies.lose_place();
        self.stage = Stage::LoggedIn;
        let before = u32::try_from(at).unwrap_or(u32::MAX);
        found.notes.push(Note::Readable {
            from: chunk.seq.advance(before),
        });
        Some(at)
    }

    /// From where on the line that is not whole yet is not to leave: from where
    /// the endpoint in it may begin that will have to be rewritten, or from its
    /// verb on, where that may be one which the server is not to see.
    fn withhold(&mut self, chunk: &Chunk<'_>, desk: &dyn Desk) -> Option<usize> {
        let by = chunk.direction;
        let settings = &desk.settings().ftp;
        let beginning = self.lines[by].beginning()?;
        let place = match by {
            CLIENT if settings.may_hide(beginning.text) => 0,
            CLIENT if desk.translates(by) => {
                let (what, place) = command::endpoint_in(beginning.text)?;
                self.may_announce(what, settings.strictness).ok()?;
                place
            }
            SERVER if desk.translates(by) => {
                let is_asked = self.outstanding.has(Awaits::Passive)
                    || settings.strictness == Strictness::Lines;
                let code = self
                    .replies
                    .ends_with(beginning.text)
                    .filter(|_| is_asked)?;
                let (what, place) = reply::endpoint_in(code, beginning.text)?;
                self.may_announce(what, settings.strictness).ok()?;
                place
            }
            _ => return None,
        };
        let skipped = beginning.skipped;
        self.lines[by].give_back(place, skipped, chunk.bytes.len())
    }

    /// A line that has not ended: one that is too long may not go on.
    fn begun(&self, by: Direction, desk: &dyn Desk, found: &mut Inspection) {
        let is_blocked = desk.settings().ftp.long_lines == Passage::Block;
        if is_blocked && self.lines[by].is_beyond_limit() {
            found.refuses(by, "a line", NotOpened::LongLine, &[]);
        }
    }

    /// Whether this command or reply may announce anything in this state.
    fn may_announce(&self, what: &str, strictness: Strictness) -> Result<(), NotOpened> {
        if strictness == Strictness::Dialogue && self.stage < Stage::LoggedIn {
            return Err(NotOpened::BeforeLogin);
        }
        if self.reading != Reading::Clear {
            return Err(NotOpened::AfterAuth);
        }
        if self.epsv_all != EpsvAll::No && !matches!(what, "EPSV" | "229") {
            return Err(NotOpened::AfterEpsvAll);
        }
        Ok(())
    }

    /// Reads nothing more of this session.
    fn let_go(
        &mut self,
        what: &'static str,
        why: NotOpened,
        line: &Line<'_>,
        desk: &mut dyn Desk,
        found: &mut Inspection,
    ) {
        self.reading = Reading::Never;
        desk.withdraw_all();
        found.opens_nothing(CLIENT, what, why, &line.text);
    }
}

/// The port next below: where an active server connects from.
fn below(port: Port) -> Port {
    Port(port.0.saturating_sub(1))
}
