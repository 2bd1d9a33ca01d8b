//! Which packets.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::session::all_known;
use super::span::Span;
use super::tuple::TupleTerm;
use super::{FilterError, Terms};
use crate::engine::{Arrival, CtState, Judgement, Policy, Reason, Verdict};
use crate::net::Tuple;

/// Which packets are meant, as they came.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PacketFilter(Terms<PacketTerm>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum PacketTerm {
    Tuple(TupleTerm),
    In(Vec<String>),
    Verdict(Vec<&'static str>),
    Reason(Vec<&'static str>),
    Ct(Vec<&'static str>),
    Rule(Vec<String>),
    Session(Vec<Span<u64>>),
}

const KEYS: [&str; 13] = [
    "proto", "src", "dst", "addr", "sport", "dport", "port", "in", "verdict", "reason", "ct",
    "rule", "session",
];

const CT: [CtState; 5] = [
    CtState::New,
    CtState::Established,
    CtState::Related,
    CtState::Invalid,
    CtState::Untracked,
];

impl PacketFilter {
    /// Whether it is about all packets.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.all.is_empty()
    }

    /// Looks whether zones and rules are those of this policy.
    ///
    /// # Errors
    /// The first name that it does not have.
    pub fn check(&self, policy: &Policy) -> Result<(), FilterError> {
        self.0.iter().try_for_each(|term| match term {
            PacketTerm::In(names) => {
                all_known(names, "zone", |name| policy.zones.by_name(name).is_some())
            }
            PacketTerm::Rule(names) => all_known(names, "rule", |name| {
                policy.rules.iter().any(|(_, known)| known.name == name)
            }),
            _ => Ok(()),
        })
    }

    /// Whether a packet is meant. `tuple` reads it, if that is asked for; one that cannot be
    /// read has no tuple.
    #[must_use]
    pub fn admits(
        &self,
        arrival: Arrival,
        judgement: &Judgement,
        policy: &Policy,
        tuple: impl Fn() -> Option<Tuple>,
    ) -> bool {
        let is_among = |names: &[String], name: &str| names.iter().any(|own| own == name);
        self.0.hold(|term| match term {
            PacketTerm::Tuple(term) => tuple().is_some_and(|tuple| term.holds(&tuple)),
            PacketTerm::In(names) => is_among(names, policy.zones.name(arrival.zone)),
            PacketTerm::Verdict(any) => any.contains(&judgement.verdict.name()),
            PacketTerm::Reason(any) => any.contains(&judgement.reason.name()),
            PacketTerm::Ct(any) => any.contains(&judgement.ct.name()),
            PacketTerm::Rule(names) => {
                let rule = judgement.rule.and_then(|rule| policy.rules.get(rule));
                rule.is_some_and(|rule| is_among(names, &rule.name))
            }
            PacketTerm::Session(any) => judgement
                .session
                .is_some_and(|session| any.iter().any(|span| span.contains(session.0))),
        })
    }
}

impl FromStr for PacketFilter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        let read = |term: &super::term::Term<'_>| {
            Ok(match term.key {
                "in" => PacketTerm::In(term.names()?),
                "verdict" => {
                    PacketTerm::Verdict(term.words("verdict", Verdict::NAMES.into_iter())?)
                }
                "reason" => {
                    let names = Reason::ALL.iter().map(|reason| reason.name());
                    PacketTerm::Reason(term.words("reason", names)?)
                }
                "ct" => PacketTerm::Ct(term.words("state", CT.iter().map(|ct| ct.name()))?),
                "rule" => PacketTerm::Rule(term.names()?),
                "session" => PacketTerm::Session(term.values("number", Span::of_count)?),
                key => match TupleTerm::read(key, term)? {
                    Some(tuple) => PacketTerm::Tuple(tuple),
                    None => return Err(term.unknown(&KEYS)),
                },
            })
        };
        Terms::read(text, read).map(Self)
    }
}

impl TryFrom<String> for PacketFilter {
    type Error = FilterError;

    fn try_from(text: String) -> Result<Self, FilterError> {
        text.parse()
    }
}

impl From<PacketFilter> for String {
    fn from(filter: PacketFilter) -> Self {
        filter.0.text
    }
}

impl fmt::Display for PacketFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}
