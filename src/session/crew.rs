//! A crew: several engines that work for one gateway, each over sessions of its own.
//!
//! What they have in common is a directory of who owns what: tuples, announced data
//! sessions, public endpoints, blocks of ports. A worker asks it where its own table has nothing,
//! and before it gives something away; whoever enters something in it first, has it. For
//! packets of its own sessions no worker looks at it.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use super::accounts::Public;
use super::blocks::Lease;
use super::census::Standing;
use super::expectation::ExpectedTuple;
use super::hash::TupleHash;
use super::mappings::Mapping;
use crate::net::{RowId, Tuple, WorkerId, Workers};

/// What the workers of one gateway have in common.
#[derive(Debug)]
pub struct Crew {
    workers: Workers,
    hash: TupleHash,
    /// Whose packets are those of a tuple that a session has.
    tuples: DashMap<Tuple, WorkerId, TupleHash>,
    /// Who expects a data session.
    expected: DashMap<ExpectedTuple, WorkerId, TupleHash>,
    /// Who has each public endpoint.
    endpoints: DashMap<Public, Holders, TupleHash>,
    /// Who gives out the ports of each block.
    blocks: DashMap<(RowId, IpAddr, u16), WorkerId, TupleHash>,
    /// How many sessions there are.
    sessions: AtomicUsize,
    /// How many of them are half-open.
    half_open: AtomicUsize,
    /// How many sessions each rule has let in.
    rules: DashMap<u16, usize, TupleHash>,
}

/// Workers that have something together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Together(u64);

impl Together {
    fn only(worker: WorkerId) -> Self {
        Self(1 << (worker.0 % Workers::MOST))
    }

    fn with(self, worker: WorkerId) -> Self {
        Self(self.0 | Self::only(worker).0)
    }

    fn without(self, worker: WorkerId) -> Self {
        Self(self.0 & !Self::only(worker).0)
    }

    fn has(self, worker: WorkerId) -> bool {
        self.0 & Self::only(worker).0 != 0
    }

    fn is_nobody(self) -> bool {
        self.0 == 0
    }

    fn first(self) -> WorkerId {
        // Less than 64, or nobody: then there is none.
        WorkerId(self.0.trailing_zeros() as u8)
    }
}

/// Who has a public endpoint.
#[derive(Debug, Clone, Copy)]
struct Holders {
    workers: Together,
    /// The one socket that it belongs to; `None`: sessions share it.
    own: Option<Mapping>,
}

/// One worker's place in a crew.
#[derive(Debug, Clone)]
pub struct Post {
    /// Which one it is.
    pub worker: WorkerId,
    crew: Arc<Crew>,
}

/// What came of entering something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entered {
    /// It was nobody's.
    New,
    /// It was this worker's already.
    Again,
    /// It is somebody else's.
    Refused,
}

impl Crew {
    /// So many workers, by the hash functions of `seed`.
    #[must_use]
    pub fn new(workers: Workers, seed: u64) -> Arc<Self> {
        let hash = TupleHash::from_seed(seed);
        Arc::new(Self {
            workers,
            hash,
            tuples: DashMap::with_hasher(hash),
            expected: DashMap::with_hasher(hash),
            endpoints: DashMap::with_hasher(hash),
            blocks: DashMap::with_hasher(hash),
            sessions: AtomicUsize::new(0),
            half_open: AtomicUsize::new(0),
            rules: DashMap::with_hasher(hash),
        })
    }

    /// How many workers.
    #[must_use]
    pub fn workers(&self) -> Workers {
        self.workers
    }

    /// The places of all of them.
    pub fn posts(self: &Arc<Self>) -> impl Iterator<Item = Post> {
        self.workers.all().map(|worker| Post {
            worker,
            crew: Arc::clone(self),
        })
    }

    /// How many tuples have an owner.
    #[must_use]
    pub fn tuples(&self) -> usize {
        self.tuples.len()
    }

    /// Whether nobody has anything.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.tuples.is_empty()
            && self.expected.is_empty()
            && self.endpoints.is_empty()
            && self.blocks.is_empty()
            && self.sessions.load(Ordering::Relaxed) == 0
            && self.half_open.load(Ordering::Relaxed) == 0
            && self.rules.iter().all(|count| *count == 0)
    }
}
