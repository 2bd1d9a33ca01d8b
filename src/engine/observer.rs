//! Telling the steps of a decision to whoever wants to know.

use std::time::Duration;

use super::rates::AnswerKind;
use super::unsolicited::Holding;
use super::{Judgement, Reason};
use crate::alg::Note;
use crate::nat::SourceChoice;
use crate::net::{Direction, Endpoint, LifetimeId, Mismatch, NatRow, Place, Tuple, ZoneId};
use crate::packet::Headers;
use crate::rules::{Action, RuleId, Ruling};
use crate::session::{
    Claim, Expectation, Limit, Mapping, Origin, SessionId, Standing, State, Track,
};

/// One step of deciding about a packet, in the order of the path.
#[derive(Debug, Clone, Copy)]
pub enum Step<'a> {
    /// The packet was read.
    Read(&'a Headers),
    /// It was the last piece of a datagram, which is whole now; from here on
    /// the steps are about that.
    Gathered {
        /// How many pieces it came in.
        pieces: usize,
        /// Its length.
        octets: usize,
    },
    /// It belongs to a session.
    InSession {
        /// Which one.
        session: SessionId,
        /// The way it travels.
        direction: Direction,
        /// The state it met.
        state: State,
        /// What it does to the session.
        track: Track,
    },
    /// It opens an expected data session.
    Expected(&'a Expectation),
    /// It is an ICMP error about a session.
    AboutSession(SessionId, Direction),
    /// It belongs to no session.
    NoSession,
    /// A row of destination translation is about it (`None`: none is).
    Inward(Option<(NatRow, Tuple)>),
    /// A client's mapping lets it in.
    Mapped(&'a Mapping),
    /// It is invalid, and the rules about such packets are asked.
    Invalid(Reason),
    /// One of them decided.
    RuledInvalid(RuleId, Action),
    /// A rule about announced data sessions is about it.
    RuledRelated(RuleId, Action),
    /// Its source lies in this zone (`None`: in none), and not where the
    /// packet came from.
    Spoofed(Option<ZoneId>),
    /// Where it goes.
    Routed(Option<Place>),
    /// A rule did not match: the first condition that failed.
    PassedOver(RuleId, Mismatch),
    /// The rule set decided.
    Ruled(&'a Ruling),
    /// It is a SYN from outside that is refused, and to be held.
    Unsolicited(Holding),
    /// What source translation says.
    Source(SourceChoice),
    /// How long its session lives.
    Lives(LifetimeId),
    /// What it holds of its public endpoint.
    Claims(&'a Claim),
    /// How the port (or identifier) of its public endpoint was found.
    Lease(Lease),
    /// As what it leaves.
    Leaves(&'a Tuple),
    /// A session begins with it, and lives so long if nothing more comes.
    Begins(&'a Origin, Duration),
    /// There is no room for its session unless this one goes.
    Evicts(SessionId, Standing),
    /// There is no room for its session.
    NoRoom(Limit),
    /// There would be an answer of this kind, if there had not been so many.
    Withheld(AnswerKind),
    /// An ALG read its payload.
    Alg(&'a Note),
    /// A control segment that no ALG could read: why.
    Unread(Unread),
    /// So many octets of a control stream wait for those that follow them.
    Withholds(usize),
    /// What waits is acknowledged to its sender, which sends nothing else before.
    Acknowledges,
    /// What was acknowledged so, and has left by now, is acknowledged once more: its
    /// sender has not heard of it.
    AcknowledgesAgain,
    /// The end of deciding.
    Decided(&'a Judgement),
}

/// How the port of a public endpoint was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lease {
    /// It is the one that the client has.
    Kept,
    /// It is the one that the client's socket is known by already.
    Held,
    /// It is another.
    Moved(Moved),
}

/// Why a connection does not leave by the port that its client has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Moved {
    /// The row draws ports at random.
    Random,
    /// It is not one of the row's.
    OutOfRange,
    /// The operator keeps it, or a forward has it.
    Reserved,
    /// Somebody let go of it lately, and it rests.
    Resting,
    /// It is this socket's own.
    Owned(Endpoint),
    /// Others use it, and it would have to be the socket's own.
    Shared,
    /// This session has it towards this server.
    Session(SessionId),
    /// An announced data session awaits it.
    Expected,
}

/// Why an ALG did not read a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unread {
    /// A capture cut it.
    Cut,
    /// Octets before it are missing.
    Gap,
}

/// Somebody who wants to know how a decision comes about.
pub trait Observer {
    /// Hears of one step.
    fn step(&mut self, step: Step<'_>);

    /// Whether it wants to hear what has to be looked up for it alone.
    fn listens(&self) -> bool {
        true
    }
}

/// Nobody: the live path, which pays nothing for explanations.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    #[inline]
    fn step(&mut self, _: Step<'_>) {}

    #[inline]
    fn listens(&self) -> bool {
        false
    }
}
