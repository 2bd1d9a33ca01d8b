//! Expectations: data sessions that an ALG announced.
//!
//! An expectation names exactly one data session: who opens it (from any port,
//! or from one), to which endpoint, of which protocol. It may have to be accepted by
//! the other end before anybody gets in by it. It is used once, lives a bounded
//! time, and dies with the control session that announced it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::hash::TupleHash;
use super::state::Handle;
use crate::net::{Direction, Endpoint, Port, Protocol, Timestamp, Tuple, ZoneId};

/// What the first packet of an expected data session looks like on arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ExpectedTuple {
    /// Its protocol.
    pub protocol: Protocol,
    /// Who opens it, from any port.
    pub source: IpAddr,
    /// Where it is addressed to.
    pub destination: Endpoint,
}

impl ExpectedTuple {
    /// The expectation that a packet of this tuple would meet.
    #[must_use]
    pub fn of(tuple: &Tuple) -> Self {
        Self {
            protocol: tuple.protocol,
            source: tuple.source.address,
            destination: tuple.destination,
        }
    }
}

/// A data session that an ALG announced and that has not come yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expectation {
    /// What its first packet looks like on arrival.
    pub tuple: ExpectedTuple,
    /// From which port it comes; `None`: from any.
    pub source_port: Option<Port>,
    /// Whether it may come.
    pub readiness: Readiness,
    /// The control session that announced it.
    pub parent: Handle,
    /// Which way within the parent the data session's first packet travels.
    pub direction: Direction,
    /// The real endpoint that it is for.
    pub to: Endpoint,
    /// The source address with which it leaves.
    pub source: IpAddr,
    /// The zone that it leaves by.
    pub egress: ZoneId,
    /// When it is given up.
    pub deadline: Timestamp,
}

/// Whether an expected data session may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Readiness {
    /// It may.
    Ready,
    /// The other end has not accepted the announcement yet: its port is kept,
    /// and nobody gets in by it.
    Unaccepted,
}

/// All expectations.
#[derive(Debug)]
pub struct Expectations {
    live: HashMap<ExpectedTuple, Expectation, TupleHash>,
    /// Every live one by its deadline.
    due: BTreeSet<(Timestamp, ExpectedTuple)>,
}

impl Expectations {
    pub(super) fn new(hash: TupleHash) -> Self {
        Self {
            live: HashMap::with_hasher(hash),
            due: BTreeSet::new(),
        }
    }

    /// The expectation that a packet of this tuple meets, if it may come.
    #[must_use]
    pub fn matching(&self, tuple: &Tuple) -> Option<&Expectation> {
        if self.live.is_empty() {
            return None; // the common case costs no hash
        }
        let found = self.live.get(&ExpectedTuple::of(tuple))?;
        let is_from = |port: Port| tuple.source.port == port;
        (found.readiness == Readiness::Ready && found.source_port.is_none_or(is_from))
            .then_some(found)
    }

    /// That of exactly this tuple.
    #[must_use]
    pub fn get(&self, tuple: &ExpectedTuple) -> Option<&Expectation> {
        self.live.get(tuple)
    }

    /// Whether a data session of this tuple is expected already.
    #[must_use]
    pub fn is_taken(&self, tuple: &ExpectedTuple) -> bool {
        self.live.contains_key(tuple)
    }

    /// How many are live.
    #[must_use]
    pub fn len(&self) -> usize {
        self.live.len()
    }

    /// Whether none is live.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    /// All of them, in the order of their tuples.
    #[must_use]
    pub fn sorted(&self) -> Vec<Expectation> {
        let mut all: Vec<_> = self.live.values().copied().collect();
        all.sort_by_key(|expectation| expectation.tuple);
        all
    }

    pub(super) fn insert(&mut self, expectation: Expectation) {
        self.remove(&expectation.tuple);
        self.due.insert((expectation.deadline, expectation.tuple));
        self.live.insert(expectation.tuple, expectation);
    }

    pub(super) fn remove(&mut self, tuple: &ExpectedTuple) -> Option<Expectation> {
        let expectation = self.live.remove(tuple)?;
        self.due.remove(&(expectation.deadline, *tuple));
        Some(expectation)
    }

    pub(super) fn admit(&mut self, tuple: &ExpectedTuple) {
        if let Some(expectation) = self.live.get_mut(tuple) {
            expectation.readiness = Readiness::Ready;
        }
    }

    /// When the next one is due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes one that is due by `now`.
    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<Expectation> {
        let (at, tuple) = self.due.first().copied()?;
        if at > now {
            return None;
        }
        self.remove(&tuple)
    }
}
