//! Application-layer gateways: readers of control sessions whose ends agree,
//! inside the stream, on further sessions.
//!
//! Owns the understanding of one control stream: where its lines begin, which
//! of them announce a data session, how such a line reads with another
//! address in it ([`ftp`]), and how a TCP stream is followed and rewritten
//! ([`stream`]). Refuses to open anything or to touch a packet: an ALG asks
//! its [`Desk`] for a hole and says which octets to change; the engine opens,
//! leases ports, rewrites and drops.
//!
//! An announcement counts only if it names the announcing end's own address,
//! as in the kernel's `nf_nat_follow_master` with `loose=0`: all else is a
//! third party (the FTP bounce of RFC 2577 section 3), opens nothing, and its
//! text stays as it is; unless the rule that let the control session in names
//! that host.
//!
//! Life cycle: the engine [`attach`]es an ALG to a session when it is made,
//! gives it every octet of either direction once and in order (but for octets
//! that the ALG withholds, as it may have to rewrite them once it has seen what
//! follows: those come again), and lets it go with the session. Deciding works on a [`Alg::boxed_clone`]; committing
//! stores it, so that a packet dropped later leaves no trace here.

#![cfg_attr(
    test,
    allow(
        non_snake_case,
        reason = "two underscores end a requirement's ID in a test's name"
    )
)]

pub mod ftp;
pub mod stream;
pub mod tftp;

mod excerpt;
mod not_opened;
mod saved;

pub use excerpt::Excerpt;
pub use not_opened::{NoHole, NotOpened};
pub use saved::SavedAlg;

use std::fmt;
use std::net::IpAddr;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use self::stream::Follow;
use crate::net::{AlgKind, Direction, Endpoint, Port, Protocol, SeqNumber};

/// What an operator says about each of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// FTP.
    pub ftp: ftp::Settings,
}

/// From where on a control session is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Start {
    /// From its first packet.
    Beginning,
    /// From somewhere: what was said before is not known.
    Middle,
}

/// A fresh ALG for one control session.
#[must_use]
pub fn attach(kind: AlgKind, start: Start) -> Box<dyn Alg> {
    match kind {
        AlgKind::Ftp => Box::new(ftp::Ftp::new(start)),
        AlgKind::Tftp => Box::new(tftp::Tftp),
    }
}

/// A reader of one control session.
pub trait Alg: fmt::Debug + Send + Sync {
    /// Which ALG this is.
    fn kind(&self) -> AlgKind;

    /// How both streams are to be followed from here on. Loosely, octets come as
    /// they pass, none can be withheld, and what came before may be missing.
    fn follow(&self) -> Follow {
        Follow::Strictly
    }

    /// Reads the next octets of one direction; asks `desk` for the holes that
    /// they announce. Octets that it wants to [hold](Inspection::hold) come
    /// again, as the first of the next chunk; all others never do. Of a session of
    /// datagrams it gets each whole, repetitions too.
    fn inspect(&mut self, chunk: Chunk<'_>, desk: &mut dyn Desk) -> Inspection;

    /// Octets of this direction went by unread: what came before them and
    /// what comes after do not belong together.
    fn skipped(&mut self, direction: Direction);

    /// What it knows, to be written down.
    fn saved(&self) -> SavedAlg;

    /// A copy to decide on.
    fn boxed_clone(&self) -> Box<dyn Alg>;
}

impl Clone for Box<dyn Alg> {
    fn clone(&self) -> Self {
        self.boxed_clone()
    }
}

/// One piece of a control stream, in stream order.
#[derive(Debug, Clone, Copy)]
pub struct Chunk<'a> {
    /// Which way it travels.
    pub direction: Direction,
    /// The number of its first octet, as its sender counts.
    pub seq: SeqNumber,
    /// The octets.
    pub bytes: &'a [u8],
}

/// What an ALG may ask of the engine.
pub trait Desk {
    /// What the operator says.
    fn settings(&self) -> &Settings;

    /// The end that sends in `direction`, as that end itself knows it.
    fn end_of(&self, direction: Direction) -> Endpoint;

    /// Whose this address is that an end has named, its own aside.
    fn whose(&self, address: IpAddr) -> Whose;

    /// Whether the other end finds what this end announces elsewhere, so that
    /// an announcement has to be rewritten. Only then is anything to be withheld.
    fn translates(&self, by: Direction) -> bool;

    /// Asks for a hole for the one data session that the other end will open
    /// to what was announced.
    ///
    /// # Errors
    /// Why there is no hole; then nothing was opened or leased. An endpoint
    /// that the announcement does not [`allow`](Announcement::allows) is
    /// [`NoHole::NeedsRewrite`].
    fn expect(&mut self, announcement: Announcement) -> Result<Hole, NoHole>;

    /// What was announced has been accepted: its hole admits from now on.
    fn admit(&mut self, hole: Hole);

    /// What was announced has been refused: its hole is closed, if nobody has
    /// used it.
    fn withdraw(&mut self, hole: Hole);

    /// Closes all holes of the session that nobody has used.
    fn withdraw_all(&mut self);
}

/// Whose an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Whose {
    /// Nobody's in particular: unspecified, loopback, multicast, broadcast.
    NoHosts,
    /// The gateway's.
    Gateways,
    /// Some host's.
    Hosts,
    /// That of a host which the operator lets this session name.
    Friends,
}

/// A hole that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hole {
    /// The direction in which the end sends that has announced it.
    pub by: Direction,
    /// The protocol of the data session.
    pub protocol: Protocol,
    /// Where the other end finds it: the translated address and port.
    pub reached_at: Endpoint,
}

/// An end of a control session says where it awaits a data session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announcement {
    /// The direction in which the announcing end sends.
    pub by: Direction,
    /// The protocol of the data session.
    pub protocol: Protocol,
    /// Where it is awaited, as the announcing end itself knows it.
    pub endpoint: Endpoint,
    /// What of this can no longer be told otherwise.
    pub fixed: Fixed,
    /// From which port the other end will come; `None`: from any.
    pub from: Option<Port>,
    /// When it may come.
    pub admits: Admits,
}

/// When an announced data session may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Admits {
    /// From now on.
    AtOnce,
    /// When the other end has [accepted](Desk::admit) the announcement.
    OnceAccepted,
}

impl Announcement {
    /// Whether the other end, told what it was or can still be told, would
    /// look for the data session at `reached_at`.
    #[must_use]
    pub fn allows(&self, reached_at: Endpoint) -> bool {
        reached_at.family() == self.endpoint.family()
            && match self.fixed {
                Fixed::Nothing | Fixed::ToControl => true,
                Fixed::Port => reached_at.port == self.endpoint.port,
                Fixed::Endpoint => reached_at == self.endpoint,
            }
    }
}

/// Which part of an announcement stands as it is, its octets being gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fixed {
    /// All of it can be rewritten.
    Nothing,
    /// The port; the announcement has no address.
    Port,
    /// Address and port.
    Endpoint,
    /// Nothing was said: the other end will come to the endpoint that it knows
    /// the control session's by.
    ToControl,
}

/// What an ALG found in one chunk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inspection {
    /// What to change in the chunk: in order, apart from each other, none empty.
    pub edits: Vec<Edit>,
    /// From where on the octets of the chunk are not to leave before the next
    /// ones have come: they may have to be changed. Where the chunk began with
    /// octets that were withheld before: from its first one on, or from behind a
    /// new one on.
    pub hold: Option<usize>,
    /// Whether the packet may pass.
    pub verdict: AlgVerdict,
    /// What an explanation should tell.
    pub notes: Vec<Note>,
}

/// A change to a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The octets of the chunk to replace: at least one.
    pub range: Range<usize>,
    /// What stands in their place.
    pub with: Vec<u8>,
}

/// Whether the packet that carried a chunk may pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AlgVerdict {
    /// With the edits.
    #[default]
    Pass,
    /// It is to be dropped, as if it had been lost.
    Refuse(NotOpened),
}

/// Something worth telling about a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// A data session was announced and is expected.
    Opened {
        /// What was announced.
        announcement: Announcement,
        /// Where the other end finds it.
        reached_at: Endpoint,
    },
    /// An announcement was accepted: its data session may come.
    Admitted(Hole),
    /// An announcement was refused: its hole is closed.
    Withdrawn(Hole),
    /// Something that looks like an announcement opened nothing.
    NotOpened {
        /// The direction of the line.
        by: Direction,
        /// The command or reply code.
        what: &'static str,
        /// Why it opened nothing.
        why: NotOpened,
        /// The start of the line.
        line: Excerpt,
    },
    /// The session is encrypted, and passes unread.
    Encrypted,
    /// Both ends have gone back to clear text, which is read again.
    Readable {
        /// The number of its first octet, as its sender counts.
        from: SeqNumber,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opened {
                announcement,
                reached_at,
            } => write!(
                f,
                "{} data session to {} expected at {reached_at}",
                announcement.protocol, announcement.endpoint
            ),
            Self::Admitted(hole) => write!(f, "{} is accepted, and admits", hole.reached_at),
            Self::Withdrawn(hole) => write!(f, "{} is refused, and closed", hole.reached_at),
            Self::NotOpened { what, why, .. } => write!(f, "{what} opens nothing: {why}"),
            Self::Encrypted => f.write_str("encrypted from here on, and unread"),
            Self::Readable { .. } => f.write_str("clear text again, and read"),
        }
    }
}
