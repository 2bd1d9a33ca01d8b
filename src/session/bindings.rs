//! Bindings: which public endpoint stands for which inside socket now, for
//! whoever lists what is going on.
//!
//! Nothing is kept here: the sessions say it. What the path itself looks up
//! is in the mappings.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::mapping::Behaviour;
use super::mappings::Claim;
use super::record::Session;
use super::table::Sessions;
use crate::net::{Direction, Endpoint, NatRow, Protocol, Timestamp};

/// A public endpoint, and the inside socket that it stands for (RFC 4787:
/// mapping).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// The transport protocol. Where it has no ports, those of the endpoints are
    /// identifiers (ICMP queries) or zero.
    pub protocol: Protocol,
    /// The inside socket.
    pub inside: Endpoint,
    /// Its public endpoint.
    pub outside: Endpoint,
    /// How it behaves.
    pub behaviour: Behaviour,
    /// The row that made it; `None` where none is about the socket, and only its
    /// port had to change.
    pub row: Option<NatRow>,
    /// How many sessions use it.
    pub sessions: u32,
    /// When the last of them ends unless another packet comes.
    pub deadline: Timestamp,
}

impl Binding {
    /// What a session holds for one of its ends.
    fn of(session: &Session, end: Direction) -> Option<Self> {
        let origin = &session.origin;
        let arrives = &origin.tuples[end];
        let (inside, outside) = (arrives.source, origin.outgoing(end).source);
        let claim = origin.claims[end];
        let row = match end {
            Direction::Original => origin.nat.source,
            Direction::Reply => origin.nat.destination,
        };
        // A server's public endpoint is its own by the rule file, not by any
        // session; only what strangers came in by is somebody's.
        let is_bound = match end {
            Direction::Original => claim.is_some() || inside != outside,
            Direction::Reply => claim.is_some(),
        };
        let behaviour = match claim {
            Some(Claim::Mapped(behaviour, ..)) => behaviour,
            Some(Claim::Shared(_)) | None => Behaviour::default(),
        };
        is_bound.then_some(Self {
            protocol: arrives.protocol,
            inside,
            outside,
            behaviour,
            row,
            sessions: 1,
            deadline: session.deadline,
        })
    }
}

/// Bindings, put together from sessions one by one.
#[derive(Debug, Clone, Default)]
pub struct Bindings(BTreeMap<(Protocol, Endpoint, Endpoint), Binding>);

impl Bindings {
    /// Takes in what a session holds.
    pub fn add(&mut self, session: &Session) {
        let ends = Direction::BOTH.into_iter();
        for binding in ends.filter_map(|end| Binding::of(session, end)) {
            let key = (binding.protocol, binding.outside, binding.inside);
            match self.0.entry(key) {
                Entry::Vacant(entry) => {
                    entry.insert(binding);
                }
                Entry::Occupied(mut entry) => {
                    let known: &mut Binding = entry.get_mut();
                    known.sessions += 1;
                    known.deadline = known.deadline.max(binding.deadline);
                }
            }
        }
    }

    /// All, in the order of their public endpoints.
    #[must_use]
    pub fn into_sorted(self) -> Vec<Binding> {
        self.0.into_values().collect()
    }
}

impl Sessions {
    /// All bindings, in the order of their public endpoints. What they cost is
    /// a walk through the table.
    #[must_use]
    pub fn bindings(&self) -> Vec<Binding> {
        let mut all = Bindings::default();
        for session in self.sorted() {
            all.add(&session);
        }
        all.into_sorted()
    }
}
