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

use std::hash::{BuildHasher, Hash, Hasher};
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
use super::key::{Key, KeyHash};
use super::mappings::{Mapping, Socket};
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

/// What is a keyed hash already.
#[derive(Debug, Clone, Copy, Default)]
struct AsItIs;

/// The same, with what it has taken.
#[derive(Debug, Clone, Copy, Default)]
struct Taken(u64);

impl BuildHasher for AsItIs {
    type Hasher = Taken;

    fn build_hasher(&self) -> Taken {
        Taken(0)
    }
}

impl Hasher for Taken {
    fn write(&mut self, bytes: &[u8]) {
        // Not asked for: hashes are numbers.
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A block of ports of a row, at a public address.
type Block = (RowId, IpAddr, u16);

/// Whose a block of ports is.
#[derive(Debug, Clone, Copy)]
struct Leased {
    /// `None`: nobody's any more, and nobody may have it yet.
    client: Option<IpAddr>,
    workers: Together,
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
    usage: Usage,
}

/// What they have it for.
#[derive(Debug, Clone, Copy)]
enum Usage {
    /// Sessions share it, each towards its far end.
    Shared,
    /// It belongs to one socket.
    Own(Mapping),
    /// Nobody has it any more, and nobody may have it yet.
    Resting,
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
    pub(super) fn workers(&self) -> Workers {
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
    pub(super) fn is_anothers(&self, tuple: &Tuple) -> bool {
        self.owner_of(tuple)
            .is_some_and(|owner| owner != self.worker)
    }

    pub(super) fn enter_tuple(&self, tuple: &Tuple) -> Entered {
        enter(&self.crew.tuples, self.hash_of(tuple), self.worker)
    }

    pub(super) fn leave_tuple(&self, tuple: &Tuple) {
        leave(&self.crew.tuples, &self.hash_of(tuple), self.worker);
    }

    /// Who expects this data session.
    pub(crate) fn expecting(&self, tuple: &ExpectedTuple) -> Option<WorkerId> {
        self.crew.expected.get(tuple).map(|owner| *owner)
    }

    pub(super) fn enter_expected(&self, tuple: ExpectedTuple) -> Entered {
        enter(&self.crew.expected, tuple, self.worker)
    }

    pub(super) fn leave_expected(&self, tuple: &ExpectedTuple) {
        leave(&self.crew.expected, tuple, self.worker);
    }

    /// Whether another worker has given it to a client.
    pub(super) fn has_anothers_block(&self, row: RowId, lease: Lease) -> bool {
        let leased = self.crew.blocks.get(&(row, lease.address, lease.block));
        leased.is_some_and(|leased| leased.workers != Together::only(self.worker))
    }

    /// This client has it. Another worker may have sessions by ports of the same client's.
    pub(super) fn enter_block(&self, row: RowId, lease: Lease, client: IpAddr) -> Entered {
        let block = (row, lease.address, lease.block);
        let only = Together::only(self.worker);
        let nobodys = || Leased {
            client: None,
            workers: only,
        };
        let mut leased = self.crew.blocks.entry(block).or_insert_with(nobodys);
        if leased.client == Some(client) {
            leased.workers = leased.workers.with(self.worker);
            return Entered::Had;
        }
        if leased.workers != only {
            return Entered::Refused;
        }
        // Its own table has let it.
        if let Some(old) = leased.client.replace(client) {
            self.is_leased_no_longer(row, lease, old);
        }
        let mut leases = self.crew.leases.entry((row, client)).or_default();
        leases.push(lease);
        Entered::Had
    }

    /// It rests again as it did before this worker was there, unless somebody has it.
    pub(super) fn lay_down_block(&self, row: RowId, lease: Lease) -> Entered {
        let block = (row, lease.address, lease.block);
        match self.crew.blocks.entry(block) {
            Entry::Occupied(_) => Entered::Refused,
            Entry::Vacant(free) => {
                free.insert(Leased {
                    client: None,
                    workers: Together::only(self.worker),
                });
                Entered::Had
            }
        }
    }

    /// A client got its blocks in this order.
    pub(super) fn put_in_order(&self, row: RowId, client: IpAddr, order: &[Lease]) {
        if let Some(mut leases) = self.crew.leases.get_mut(&(row, client)) {
            let place = |lease: &Lease| order.iter().position(|own| own == lease);
            leases.sort_by_key(|lease| place(lease).unwrap_or(usize::MAX));
        }
    }

    /// Nobody has it any more, and nobody may have it yet.
    pub(super) fn rest_block(&self, row: RowId, lease: Lease) {
        let block = (row, lease.address, lease.block);
        if let Entry::Occupied(mut entry) = self.crew.blocks.entry(block)
            && entry.get().workers == Together::only(self.worker)
            && let Some(client) = entry.get_mut().client.take()
        {
            self.is_leased_no_longer(row, lease, client);
        }
    }

    /// This worker has no sessions by its ports any more.
    pub(super) fn leave_block(&self, row: RowId, lease: Lease) {
        let block = (row, lease.address, lease.block);
        let Entry::Occupied(mut entry) = self.crew.blocks.entry(block) else {
            return;
        };
        let leased = entry.get_mut();
        leased.workers = leased.workers.without(self.worker);
        if leased.workers.is_nobody()
            && let Some(client) = entry.remove().client
        {
            self.is_leased_no_longer(row, lease, client);
        }
    }

    fn is_leased_no_longer(&self, row: RowId, lease: Lease, client: IpAddr) {
        if let Entry::Occupied(mut entry) = self.crew.leases.entry((row, client)) {
            entry.get_mut().retain(|own| *own != lease);
            if entry.get().is_empty() {
                entry.remove();
            }
        }
    }

    /// The blocks that a client has by a row, by sessions of any worker.
    pub(super) fn leases(&self, row: RowId, client: IpAddr) -> Vec<Lease> {
        let leases = self.crew.leases.get(&(row, client));
        leases.map_or_else(Vec::new, |leases| leases.clone())
    }
}

/// Public endpoints.
impl Post {
    /// The mapping that has this one, and a worker that has sessions by it.
    pub(crate) fn mapping_of(&self, public: Public) -> Option<(Mapping, WorkerId)> {
        let holders = self.crew.endpoints.get(&public)?;
        let worker = match holders.workers.has(self.worker) {
            true => self.worker,
            false => holders.workers.first(),
        };
        match holders.usage {
            Usage::Own(mapping) => Some((mapping, worker)),
            Usage::Shared | Usage::Resting => None,
        }
    }

    /// Whether sessions of this worker may share it.
    pub(super) fn may_share(&self, public: Public) -> bool {
        let holders = self.crew.endpoints.get(&public);
        holders.is_none_or(|holders| {
            matches!(holders.usage, Usage::Shared) || holders.is_only(self.worker)
        })
    }

    /// Whether no other worker has it.
    pub(super) fn may_own(&self, public: Public) -> bool {
        let holders = self.crew.endpoints.get(&public);
        holders.is_none_or(|holders| holders.is_only(self.worker))
    }

    /// Sessions of this worker share it.
    pub(super) fn share(&self, public: Public) -> Entered {
        self.hold(public, Usage::Shared)
    }

    /// It is one socket's. Another worker may have sessions by the same mapping.
    pub(super) fn own(&self, mapping: Mapping) -> Entered {
        self.hold((mapping.protocol, mapping.outside), Usage::Own(mapping))
    }

    fn hold(&self, public: Public, usage: Usage) -> Entered {
        match self.crew.endpoints.entry(public) {
            Entry::Vacant(free) => {
                self.is_a_sockets(&usage);
                let workers = Together::only(self.worker);
                free.insert(Holders { workers, usage });
                Entered::Had
            }
            Entry::Occupied(mut holders) => {
                let holders = holders.get_mut();
                let is_the_same = match (&holders.usage, &usage) {
                    (Usage::Shared, Usage::Shared) => true,
                    (Usage::Own(known), Usage::Own(own)) => {
                        (known.inside, known.row) == (own.inside, own.row)
                    }
                    _ => false,
                };
                if !is_the_same && holders.is_only(self.worker) {
                    // Its own table has let it.
                    self.is_no_sockets(&holders.usage);
                    self.is_a_sockets(&usage);
                    holders.usage = usage;
                    return Entered::Had;
                }
                if !is_the_same {
                    return Entered::Refused;
                }
                holders.workers = holders.workers.with(self.worker);
                Entered::Had
            }
        }
    }

    fn is_a_sockets(&self, usage: &Usage) {
        if let Usage::Own(mapping) = usage {
            let (socket, outside) = (mapping.socket(), mapping.outside);
            self.crew.sockets.insert(socket, outside);
        }
    }

    fn is_no_sockets(&self, usage: &Usage) {
        if let Usage::Own(mapping) = usage {
            let outside = mapping.outside;
            let is_this = |_: &Socket, public: &Endpoint| *public == outside;
            self.crew.sockets.remove_if(&mapping.socket(), is_this);
        }
    }

    /// The mapping that a socket has, by sessions of any worker.
    pub(super) fn of_socket(&self, socket: &Socket) -> Option<Mapping> {
        let outside = *self.crew.sockets.get(socket)?;
        Some(self.mapping_of((socket.0, outside))?.0)
    }

    /// Whether the client of this endpoint has spoken to somebody, by sessions of any worker.
    pub(super) fn has_contact(&self, public: Public, far: Far) -> bool {
        self.crew.contacts.contains_key(&(public, far))
    }

    pub(super) fn add_contact(&self, public: Public, far: Far) {
        *self.crew.contacts.entry((public, far)).or_default() += 1;
    }

    pub(super) fn take_contact(&self, public: Public, far: Far) {
        if let Entry::Occupied(mut count) = self.crew.contacts.entry((public, far)) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }

    /// It rests again as it did before this worker was there, unless somebody has it.
    pub(super) fn lay_down(&self, public: Public) -> Entered {
        self.hold(public, Usage::Resting)
    }

    /// Nobody has it any more, and nobody may have it yet.
    pub(super) fn rest(&self, public: Public) {
        if let Entry::Occupied(mut entry) = self.crew.endpoints.entry(public)
            && entry.get().is_only(self.worker)
        {
            self.is_no_sockets(&entry.get().usage);
            entry.get_mut().usage = Usage::Resting;
        }
    }

    /// This worker has no sessions by it any more.
    pub(super) fn let_go(&self, public: Public) {
        let Entry::Occupied(mut entry) = self.crew.endpoints.entry(public) else {
            return;
        };
        let holders = entry.get_mut();
        holders.workers = holders.workers.without(self.worker);
        if holders.workers.is_nobody() {
            let usage = holders.usage;
            entry.remove();
            self.is_no_sockets(&usage);
        }
    }
}

impl Holders {
    fn is_only(&self, worker: WorkerId) -> bool {
        self.workers == Together::only(worker)
    }
}

/// What is counted of all workers' sessions together.
impl Post {
    /// How many sessions there are.
    pub(super) fn sessions(&self) -> usize {
        self.crew.sessions.load(Ordering::Relaxed)
    }

    /// How many of them are half-open.
    pub(super) fn half_open(&self) -> usize {
        self.crew.half_open.load(Ordering::Relaxed)
    }

    /// How many a rule has let in.
    pub(super) fn of_rule(&self, rule: u16) -> usize {
        self.crew.rules.get(&rule).map_or(0, |count| *count)
    }

    pub(super) fn began(&self, standing: Standing, rule: Option<u16>) {
        self.crew.sessions.fetch_add(1, Ordering::Relaxed);
        self.took_up(standing);
        if let Some(rule) = rule {
            *self.crew.rules.entry(rule).or_default() += 1;
        }
    }

    pub(super) fn changed(&self, from: Standing, to: Standing) {
        self.gave_up(from);
        self.took_up(to);
    }

    pub(super) fn ended(&self, standing: Standing, rule: Option<u16>) {
        self.crew.sessions.fetch_sub(1, Ordering::Relaxed);
        self.gave_up(standing);
        if let Some(rule) = rule
            && let Entry::Occupied(mut count) = self.crew.rules.entry(rule)
        {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }

    fn took_up(&self, standing: Standing) {
        if standing == Standing::HalfOpen {
            self.crew.half_open.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn gave_up(&self, standing: Standing) {
        if standing == Standing::HalfOpen {
            self.crew.half_open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
