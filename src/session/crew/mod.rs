//! A crew: several engines that work for one gateway, each over sessions of its own.
//!
//! What they have in common is a directory of who owns what: tuples, announced data
//! sessions, public endpoints, blocks of ports. A worker asks it where its own table has nothing,
//! and before it gives something away; whoever enters something in it first, has it. For
//! packets of its own sessions no worker looks at it.
//!
//! What is counted of all sessions (limits) is counted here too. Two that begin sessions at the
//! same moment may each find the last place free: a limit may be passed by as many as
//! there are workers.

mod as_it_is;
mod blocks;
mod counts;
mod endpoints;
mod together;

use std::hash::{BuildHasher, Hash};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use self::as_it_is::AsItIs;
use self::blocks::{Block, Leased};
use self::endpoints::Holders;
use super::accounts::Public;
use super::blocks::Lease;
use super::expectation::ExpectedTuple;
use super::hash::TupleHash;
use super::key::{Key, KeyHash};
use super::mapping::Socket;
use crate::net::{Endpoint, Far, RowId, Tuple, WorkerId, Workers};

/// What the workers of one gateway have in common.
#[derive(Debug)]
pub struct Crew {
    workers: Workers,
    hash: TupleHash,
    /// Whose packets are those of a tuple that a session has, by the tuple's keyed hash: of 64
    /// bits, so that among ten million sessions not one in a hundred thousand gateways
    /// has two of the same. Whoever meets such a one finds its tuple taken.
    tuples: DashMap<u64, WorkerId, AsItIs>,
    key: KeyHash,
    /// Who expects a data session.
    expected: DashMap<ExpectedTuple, WorkerId, TupleHash>,
    /// Who has each public endpoint.
    endpoints: DashMap<Public, Holders, TupleHash>,
    /// Which public endpoint each socket has that has one alone.
    sockets: DashMap<Socket, Endpoint, TupleHash>,
    /// By how many sessions the client of a public endpoint has spoken to whom its filter
    /// asks about.
    contacts: DashMap<(Public, Far), u32, TupleHash>,
    /// Whose client has each block of ports.
    blocks: DashMap<Block, Leased, TupleHash>,
    /// Which blocks each client has by a row, the oldest first.
    leases: DashMap<(RowId, IpAddr), Vec<Lease>, TupleHash>,
    /// How many sessions there are.
    sessions: AtomicUsize,
    /// How many of them are half-open.
    half_open: AtomicUsize,
    /// How many sessions each rule has let in.
    rules: DashMap<u16, usize, TupleHash>,
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
pub(in crate::session) enum Entered {
    /// This worker has it.
    Had,
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
            tuples: DashMap::with_hasher(AsItIs),
            key: KeyHash::from_seed(seed),
            expected: DashMap::with_hasher(hash),
            endpoints: DashMap::with_hasher(hash),
            sockets: DashMap::with_hasher(hash),
            contacts: DashMap::with_hasher(hash),
            blocks: DashMap::with_hasher(hash),
            leases: DashMap::with_hasher(hash),
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

    /// The worker to whom somebody falls.
    pub(crate) fn drawn(&self, who: &impl Hash) -> WorkerId {
        self.workers.drawn(self.hash.of(who))
    }

    /// Whether nobody has anything.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.tuples.is_empty()
            && self.expected.is_empty()
            && self.endpoints.is_empty()
            && self.sockets.is_empty()
            && self.contacts.is_empty()
            && self.blocks.is_empty()
            && self.leases.is_empty()
            && self.rules.is_empty()
            && self.sessions.load(Ordering::Relaxed) == 0
            && self.half_open.load(Ordering::Relaxed) == 0
    }
}

/// Enters a worker as the one who has something.
fn enter<K: Eq + Hash, S: BuildHasher + Clone>(
    directory: &DashMap<K, WorkerId, S>,
    key: K,
    worker: WorkerId,
) -> Entered {
    match directory.entry(key) {
        Entry::Occupied(owner) if *owner.get() == worker => Entered::Had,
        Entry::Occupied(_) => Entered::Refused,
        Entry::Vacant(free) => {
            free.insert(worker);
            Entered::Had
        }
    }
}

/// A worker has something no longer.
fn leave<K: Eq + Hash, S: BuildHasher + Clone>(
    directory: &DashMap<K, WorkerId, S>,
    key: &K,
    worker: WorkerId,
) {
    directory.remove_if(key, |_, owner| *owner == worker);
}

impl Post {
    /// How many workers there are.
    pub(in crate::session) fn workers(&self) -> Workers {
        self.crew.workers
    }

    /// The worker to whom a client, or the two ends of a datagram in pieces, fall.
    pub(crate) fn drawn(&self, who: &impl Hash) -> WorkerId {
        self.crew.drawn(who)
    }

    /// Whose packets are those of this tuple.
    pub(crate) fn owner_of(&self, tuple: &Tuple) -> Option<WorkerId> {
        self.owner_of_hash(self.hash_of(tuple))
    }

    /// The same by its hash.
    pub(crate) fn owner_of_hash(&self, hash: u64) -> Option<WorkerId> {
        self.crew.tuples.get(&hash).map(|owner| *owner)
    }

    fn hash_of(&self, tuple: &Tuple) -> u64 {
        self.crew.key.of(&Key::of(tuple))
    }

    /// Whether they are another worker's.
    pub(in crate::session) fn is_anothers(&self, tuple: &Tuple) -> bool {
        self.owner_of(tuple)
            .is_some_and(|owner| owner != self.worker)
    }

    pub(in crate::session) fn enter_tuple(&self, tuple: &Tuple) -> Entered {
        enter(&self.crew.tuples, self.hash_of(tuple), self.worker)
    }

    pub(in crate::session) fn leave_tuple(&self, tuple: &Tuple) {
        leave(&self.crew.tuples, &self.hash_of(tuple), self.worker);
    }

    /// Who expects this data session.
    pub(crate) fn expecting(&self, tuple: &ExpectedTuple) -> Option<WorkerId> {
        self.crew.expected.get(tuple).map(|owner| *owner)
    }

    pub(in crate::session) fn enter_expected(&self, tuple: ExpectedTuple) -> Entered {
        enter(&self.crew.expected, tuple, self.worker)
    }

    pub(in crate::session) fn leave_expected(&self, tuple: &ExpectedTuple) {
        leave(&self.crew.expected, tuple, self.worker);
    }
}
