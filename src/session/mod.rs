//! Sessions: what belongs together, in which state it is, how long it lives.
//!
//! Owns the table of sessions under both of their tuples, the state machines,
//! the deadlines, and the expectations of data sessions that an ALG
//! announced. Whether a packet may pass is not decided here; bytes are not
//! changed here.
//!
//! A session begins with its first allowed packet ([`Sessions::insert`]), moves
//! with each further one ([`track`], then [`Sessions::update`]), and ends when
//! its time runs out ([`Sessions::pop_expired`]). States, names and defaults
//! are Linux conntrack's.

mod accounts;
mod bindings;
mod blocks;
mod budget;
mod census;
mod claims;
mod clashes;
mod course;
mod crew;
mod directory;
mod expectation;
mod growing_map;
mod hash;
mod index;
mod key;
mod lifetime;
mod limits;
mod line;
mod lists;
mod mapping;
mod mappings;
mod newcomer;
mod note;
mod port_map;
mod prefetch;
mod probing;
mod queue;
mod record;
mod revival;
mod room;
mod sctp;
mod shelf;
mod sorter;
mod state;
mod store;
mod swing;
mod table;
mod tallies;
mod tcp;
mod timeouts;
mod tracker;
mod wheel;
mod wides;

pub use accounts::Tally;
pub use bindings::{Binding, Bindings};
pub use blocks::{Blocks, Lease};
pub use budget::Budget;
pub use census::{Census, Standing};
pub(crate) use claims::Granted;
pub(crate) use clashes::Clashes;
pub use crew::{Crew, Post};
pub use expectation::{Expectation, Expectations, ExpectedTuple, Readiness};
pub(crate) use growing_map::GrowingMap;
pub use hash::TupleHash;
pub use key::KeyHash;
pub use lifetime::{Between, Lifetime, LifetimeName, Lifetimes, OnExpiry, Refresh};
pub use limits::{Limit, Limits, WhenFull};
pub use mapping::{Behaviour, Mapping, Permission};
pub(crate) use mappings::AtRest;
pub use mappings::{Claim, Holding, Mappings, Usage};
pub use note::{Change, Note, Noted};
pub use probing::{Probing, Turn};
pub use record::{Counter, Origin, Session, Update};
pub(crate) use revival::Aftermath;
pub use room::Newcomer;
pub use sctp::Association;
pub use state::{FlowState, Handle, SctpState, SessionId, State, TcpState};
pub(crate) use swing::{Beginning, Found, Lives, Passing, Place};
pub use table::{Due, PageStart, Sessions};
pub use tcp::{Connection, Heard, Life, PickUp, Resets, TcpChecks, Windows};
pub use timeouts::Timeouts;
pub(crate) use tracker::begin_plain;
pub use tracker::{CannotBegin, Invalid, Seen, Track, Tracked, answers_probe, begin, track};
