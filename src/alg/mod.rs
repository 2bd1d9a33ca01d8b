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
//! text stays as it is.
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

use std::fmt;
use std::net::IpAddr;
use std::ops::Range;

use self::stream::Follow;
use crate::net::{AlgKind, Direction, Endpoint, Port, Protocol, SeqNumber};

/// A fresh ALG for one control session.
#[must_use]
pub fn attach(kind: AlgKind) -> Box<dyn Alg> {
    match kind {
        AlgKind::Ftp => Box::new(ftp::Ftp::default()),
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
    /// again, as the first of the next chunk; all others never do.
    fn inspect(&mut self, chunk: Chunk<'_>, desk: &mut dyn Desk) -> Inspection;

    /// Octets of this direction went by unread: what came before them and
    /// what comes after do not belong together.
    fn skipped(&mut self, direction: Direction);

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
    /// The address of the end that sends in `direction`, as that end itself
    /// knows it.
    fn address_of(&self, direction: Direction) -> IpAddr;

    /// Whether the other end finds what this end announces elsewhere, so that
    /// an announcement has to be rewritten. Only then is anything to be withheld.
    fn translates(&self, by: Direction) -> bool;

    /// Asks for a hole for the one data session that the other end will open
    /// to what was announced. The answer is where the other end finds it: its
    /// translated address and port.
    ///
    /// # Errors
    /// Why there is no hole; then nothing was opened or leased. An endpoint
    /// that the announcement does not [`allow`](Announcement::allows) is
    /// [`NoHole::NeedsRewrite`].
    fn expect(&mut self, announcement: Announcement) -> Result<Endpoint, NoHole>;
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
}

impl Announcement {
    /// Whether the other end, told what it was or can still be told, would
    /// look for the data session at `reached_at`.
    #[must_use]
    pub fn allows(&self, reached_at: Endpoint) -> bool {
        reached_at.family() == self.endpoint.family()
            && match self.fixed {
                Fixed::Nothing => true,
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
}

/// Why the engine opened no hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoHole {
    /// No port of the translated address is free.
    NoPort,
    /// The translated endpoint would have to be written into octets that have
    /// already left.
    NeedsRewrite,
    /// The session has, or all together have, as many holes as they may.
    Limit,
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
    /// Something that looks like an announcement opened nothing.
    NotOpened {
        /// The direction of the line.
        by: Direction,
        /// The command or reply code.
        what: &'static str,
        /// Why it opened nothing.
        why: NotOpened,
    },
    /// The rest of the session is encrypted, and passes unread.
    Encrypted,
}

/// Why an announcement opened nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotOpened {
    /// It does not follow its grammar.
    Malformed,
    /// It names another host than its sender (RFC 2577 section 3).
    ThirdParty(IpAddr),
    /// It names an address of another family than the control session's.
    OtherFamily,
    /// Its port is below 1024 (RFC 2577 section 3).
    PrivilegedPort(Port),
    /// No command asked for this reply.
    Unasked,
    /// The client has promised to use nothing but EPSV (RFC 2428 section 4).
    AfterEpsvAll,
    /// The client has asked for encryption and has no answer yet (RFC 4217).
    AfterAuth,
    /// The engine opened no hole.
    NoHole(NoHole),
}

impl fmt::Display for NoHole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPort => "no port is free",
            Self::NeedsRewrite => "what would have to be rewritten has already left",
            Self::Limit => "too many data sessions are expected",
        })
    }
}

impl fmt::Display for NotOpened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("malformed"),
            Self::ThirdParty(address) => write!(f, "{address} is not its sender"),
            Self::OtherFamily => f.write_str("of another address family than the session"),
            Self::PrivilegedPort(port) => write!(f, "port {port} is privileged"),
            Self::Unasked => f.write_str("no command asked for it"),
            Self::AfterEpsvAll => f.write_str("EPSV ALL was sent before"),
            Self::AfterAuth => f.write_str("AUTH was sent before"),
            Self::NoHole(why) => why.fmt(f),
        }
    }
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
            Self::NotOpened { what, why, .. } => write!(f, "{what} opens nothing: {why}"),
            Self::Encrypted => f.write_str("encrypted from here on, and unread"),
        }
    }
}
