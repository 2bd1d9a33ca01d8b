//! Which sessions.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::span::Span;
use super::tuple::TupleTerm;
use super::{FilterError, Terms};
use crate::engine::Policy;
use crate::net::Direction;
use crate::objects::{View, rule_name};
use crate::session::{Session, State};

/// Which sessions are meant.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionFilter(Terms<SessionTerm>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum SessionTerm {
    Id(Vec<Span<u64>>),
    Parent(Vec<Span<u64>>),
    Tuple(Which, TupleTerm),
    /// By which zone its first packet came, or left.
    Zone(Side, Vec<String>),
    State(Vec<&'static str>),
    Service(Vec<String>),
    Rule(Vec<String>),
    /// A row that translates it.
    Nat(Vec<String>),
    Age(Vec<Span<Duration>>),
    Left(Vec<Span<Duration>>),
    Packets(Vec<Span<u64>>),
    Bytes(Vec<Span<u64>>),
}

/// Which of its tuples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Original,
    Reply,
    Any,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    In,
    Out,
    Either,
}

const KEYS: [&str; 26] = [
    "id",
    "parent",
    "proto",
    "src",
    "dst",
    "addr",
    "sport",
    "dport",
    "port",
    "reply-src",
    "reply-dst",
    "reply-addr",
    "reply-sport",
    "reply-dport",
    "reply-port",
    "in",
    "out",
    "zone",
    "state",
    "service",
    "rule",
    "nat",
    "age",
    "left",
    "packets",
    "bytes",
];

impl SessionFilter {
    /// Whether it is about all sessions.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.all.is_empty()
    }

    /// Looks whether zones, services, rules and rows are those of this policy.
    ///
    /// # Errors
    /// The first name that it does not have.
    pub fn check(&self, policy: &Policy) -> Result<(), FilterError> {
        self.0.iter().try_for_each(|term| match term {
            SessionTerm::Zone(_, names) => {
                all_known(names, "zone", |name| policy.zones.by_name(name).is_some())
            }
            SessionTerm::Service(names) => all_known(names, "service", |name| {
                policy.services.iter().any(|(_, known)| known.name == name)
            }),
            SessionTerm::Rule(names) => all_known(names, "rule", |name| {
                name == DEFAULT || policy.rules.iter().any(|(_, known)| known.name == name)
            }),
            SessionTerm::Nat(names) => all_known(names, "row of translation", |name| {
                policy.nat.rows().any(|row| policy.nat.name(row) == name)
            }),
            _ => Ok(()),
        })
    }

    /// Whether this session is meant.
    #[must_use]
    pub fn admits(&self, session: &Session, view: View<'_>) -> bool {
        self.0.hold(|term| term.holds(session, view))
    }
}

/// What stands for the default policy among the names of rules.
const DEFAULT: &str = "default";

pub(super) fn all_known(
    names: &[String],
    what: &str,
    is_known: impl Fn(&str) -> bool,
) -> Result<(), FilterError> {
    match names.iter().find(|name| !is_known(name)) {
        None => Ok(()),
        Some(name) => Err(FilterError::new(
            name,
            format!("the rule file has no {what} of this name"),
        )),
    }
}

impl SessionTerm {
    fn holds(&self, session: &Session, view: View<'_>) -> bool {
        let (origin, policy) = (&session.origin, view.policy);
        let is_among = |names: &[String], name: &str| names.iter().any(|own| own == name);
        match self {
            Self::Id(any) => contain(any, session.id.0),
            Self::Parent(any) => origin.parent.is_some_and(|parent| contain(any, parent.0)),
            Self::Tuple(which, term) => match which {
                Which::Original => term.holds(&origin.tuples.original),
                Which::Reply => term.holds(&origin.tuples.reply),
                Which::Any => Direction::BOTH
                    .into_iter()
                    .any(|direction| term.holds(&origin.tuples[direction])),
            },
            Self::Zone(side, names) => {
                // A packet of one direction arrives where those of the other leave.
                let zone = |direction| is_among(names, policy.zones.name(origin.egress[direction]));
                match side {
                    Side::In => zone(Direction::Reply),
                    Side::Out => zone(Direction::Original),
                    Side::Either => zone(Direction::Reply) || zone(Direction::Original),
                }
            }
            Self::State(any) => any.contains(&session.state().name()),
            Self::Service(names) => {
                let service = origin.service.and_then(|id| policy.services.get(id));
                service.is_some_and(|service| is_among(names, &service.name))
            }
            Self::Rule(names) => is_among(names, rule_name(session, policy).unwrap_or(DEFAULT)),
            Self::Nat(names) => {
                let mut rows = origin.nat.iter();
                rows.any(|row| is_among(names, policy.nat.name(row)))
            }
            Self::Age(any) => contain(any, view.now.since(session.began)),
            Self::Left(any) => contain(any, session.deadline.since(view.now)),
            Self::Packets(any) => contain(any, packets(session)),
            Self::Bytes(any) => contain(any, bytes(session)),
        }
    }
}

fn contain<T: Copy + PartialOrd>(any: &[Span<T>], value: T) -> bool {
    any.iter().any(|span| span.contains(value))
}

fn packets(session: &Session) -> u64 {
    let counters = &session.counters;
    counters.original.packets + counters.reply.packets
}

fn bytes(session: &Session) -> u64 {
    let counters = &session.counters;
    counters.original.bytes + counters.reply.bytes
}

impl FromStr for SessionFilter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        let read = |term: &super::term::Term<'_>| {
            let counts = || term.values("number", Span::of_count);
            let times = || term.values("length of time", Span::of_time);
            Ok(match term.key {
                "id" => SessionTerm::Id(counts()?),
                "parent" => SessionTerm::Parent(counts()?),
                "in" => SessionTerm::Zone(Side::In, term.names()?),
                "out" => SessionTerm::Zone(Side::Out, term.names()?),
                "zone" => SessionTerm::Zone(Side::Either, term.names()?),
                "state" => SessionTerm::State(term.words("state", State::NAMES.into_iter())?),
                "service" => SessionTerm::Service(term.names()?),
                "rule" => SessionTerm::Rule(term.names()?),
                "nat" => SessionTerm::Nat(term.names()?),
                "age" => SessionTerm::Age(times()?),
                "left" => SessionTerm::Left(times()?),
                "packets" => SessionTerm::Packets(counts()?),
                "bytes" => SessionTerm::Bytes(counts()?),
                key => {
                    let (key, which) = match (key.strip_prefix("reply-"), key) {
                        (Some(key), _) => (key, Which::Reply),
                        (None, "addr" | "port") => (key, Which::Any),
                        (None, key) => (key, Which::Original),
                    };
                    match TupleTerm::read(key, term)? {
                        // Both tuples have the same.
                        Some(TupleTerm::Protocol(_)) if which == Which::Reply => {
                            return Err(term.unknown(&KEYS));
                        }
                        Some(tuple) => SessionTerm::Tuple(which, tuple),
                        None => return Err(term.unknown(&KEYS)),
                    }
                }
            })
        };
        Terms::read(text, read).map(Self)
    }
}

impl TryFrom<String> for SessionFilter {
    type Error = FilterError;

    fn try_from(text: String) -> Result<Self, FilterError> {
        text.parse()
    }
}

impl From<SessionFilter> for String {
    fn from(filter: SessionFilter) -> Self {
        filter.0.text
    }
}

impl fmt::Display for SessionFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

#[cfg(test)]
mod tests;
