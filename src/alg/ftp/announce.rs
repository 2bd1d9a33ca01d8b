//! What a line announces, and what becomes of the line.

use std::ops::Range;

use super::line::Line;
use super::notation::{Notation, Written};
use super::settings::{ActiveFrom, ActiveOpens, PassiveHost, Settings, Strictness};
use super::{CLIENT, MAX_EDITS, SERVER, below};
use crate::alg::{
    Admits, AlgVerdict, Announcement, Desk, Edit, Excerpt, Fixed, Hole, Inspection, NoHole,
    NotOpened, Note, Whose,
};
use crate::net::{Direction, Endpoint, Family, Port, Protocol};

/// Ports below are those that only a privileged process could bind.
const FIRST_UNPRIVILEGED: Port = Port(1024);

/// Asks for the hole that a line announces, and rewrites the line if the other
/// end finds it elsewhere.
pub(super) fn announce(
    by: Direction,
    what: &'static str,
    announced: Result<Written, NotOpened>,
    line: &Line<'_>,
    desk: &mut dyn Desk,
    found: &mut Inspection,
) -> Result<Hole, NotOpened> {
    let opened = announced.and_then(|written| expect(by, &written, line, desk, found));
    if let Err(why) = opened {
        match why {
            NotOpened::NoHole(NoHole::NoPort) => found.refuses(by, what, why, &line.text),
            _ => found.opens_nothing(by, what, why, &line.text),
        }
    }
    opened
}

fn expect(
    by: Direction,
    written: &Written,
    line: &Line<'_>,
    desk: &mut dyn Desk,
    found: &mut Inspection,
) -> Result<Hole, NotOpened> {
    let settings = &desk.settings().ftp;
    let own = desk.end_of(by).address;
    let host = match (written.address, by, settings.passive_host) {
        (None, ..) => own,
        (Some(named), SERVER, PassiveHost::Server) if Family::of(named) == Family::of(own) => own,
        (Some(named), ..) => named,
    };
    if Family::of(host) != Family::of(own) {
        return Err(NotOpened::OtherFamily);
    }
    if host != own {
        match desk.whose(host) {
            Whose::Friends => {}
            Whose::Hosts => return Err(NotOpened::ThirdParty(host)),
            Whose::Gateways => return Err(NotOpened::Gateway(host)),
            Whose::NoHosts => return Err(NotOpened::NoHost(host)),
        }
    }
    allowed(written.port, settings)?;
    let place = line
        .in_chunk(&written.range)
        .filter(|_| found.edits.len() < MAX_EDITS);
    let announcement = Announcement {
        by,
        protocol: Protocol::TCP,
        endpoint: Endpoint::new(host, written.port),
        fixed: match (&place, written.notation) {
            (Some(_), _) => Fixed::Nothing,
            (None, Notation::PortAlone) => Fixed::Port,
            (None, _) => Fixed::Endpoint,
        },
        from: match (by, settings.active_from) {
            (CLIENT, ActiveFrom::Below) => Some(below(desk.end_of(SERVER).port)),
            (_, _) => None,
        },
        admits: match (by, settings.strictness, settings.active_opens) {
            (CLIENT, Strictness::Dialogue, ActiveOpens::Accepted) => Admits::OnceAccepted,
            // A server's reply is its word already.
            (_, _, _) => Admits::AtOnce,
        },
    };
    let hole = desk.expect(announcement).map_err(NotOpened::NoHole)?;
    debug_assert!(
        announcement.allows(hole.reached_at),
        "a hole nobody can be told of"
    );
    found.opened(announcement, hole);
    // An equal endpoint keeps its spelling, leading zeros and all.
    let Endpoint { address, port } = hole.reached_at;
    let keeps = port == written.port && written.address.is_none_or(|said| said == address);
    if !keeps && let (Some(range), Some(with)) = (place, written.notation.render(hole.reached_at)) {
        found.edits.push(Edit { range, with });
    }
    Ok(hole)
}

/// Whether a data session may go to this port.
pub(super) fn allowed(port: Port, settings: &Settings) -> Result<(), NotOpened> {
    if settings.allows(port) {
        Ok(())
    } else if settings.is_data_port(port) {
        Err(NotOpened::RefusedPort(port))
    } else if port < FIRST_UNPRIVILEGED {
        Err(NotOpened::PrivilegedPort(port))
    } else {
        Err(NotOpened::PortOutOfRange(port))
    }
}

/// Makes of a command one that no server knows, so that it is refused. Where
/// its whole verb has left already, the packet with its end may not pass.
pub(super) fn keep_from_server(verb: &Range<usize>, line: &Line<'_>, found: &mut Inspection) {
    let mut rests = verb.clone().map(|start| start..verb.end);
    match rests.find_map(|rest| line.in_chunk(&rest)) {
        Some(range) if found.edits.len() < MAX_EDITS => {
            let with = vec![b'X'; range.len()];
            found.edits.push(Edit { range, with });
        }
        _ => found.verdict = AlgVerdict::Refuse(NotOpened::Denied),
    }
}

impl Inspection {
    pub(super) fn opened(&mut self, announcement: Announcement, hole: Hole) {
        self.notes.push(Note::Opened {
            announcement,
            reached_at: hole.reached_at,
        });
    }

    pub(super) fn opens_nothing(
        &mut self,
        by: Direction,
        what: &'static str,
        why: NotOpened,
        line: &[u8],
    ) {
        self.notes.push(Note::NotOpened {
            by,
            what,
            why,
            line: Excerpt::of(line),
        });
    }

    /// It opens nothing, and the packet may not pass.
    pub(super) fn refuses(
        &mut self,
        by: Direction,
        what: &'static str,
        why: NotOpened,
        line: &[u8],
    ) {
        self.opens_nothing(by, what, why, line);
        self.verdict = AlgVerdict::Refuse(why);
    }

    /// The other end has accepted what was announced.
    pub(super) fn admitted(&mut self, hole: Hole, desk: &mut dyn Desk) {
        desk.admit(hole);
        self.notes.push(Note::Admitted(hole));
    }

    /// The other end will not come.
    pub(super) fn withdrawn(&mut self, hole: Hole, desk: &mut dyn Desk) {
        desk.withdraw(hole);
        self.notes.push(Note::Withdrawn(hole));
    }
}
