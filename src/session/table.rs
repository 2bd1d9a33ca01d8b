//! The session table: every session under both of its tuples.

use std::net::IpAddr;

use super::accounts::Buckets;
use super::budget::Budget;
use super::census::{Census, Standing};
use super::crew::Post;
use super::expectation::{Expectation, Expectations, ExpectedTuple};
use super::hash::TupleHash;
use super::index::{Entry, Index};
use super::key::{Key, KeyHash};
use super::lifetime::{Lifetimes, OnExpiry};
use super::line::{Line, Tracking};
use super::mappings::{Mappings, On};
use super::newcomer::Latest;
use super::note::Note;
use super::prefetch::prefetch;
use super::probing::Probing;
use super::record::{Origin, Session, Update};
use super::state::{Handle, SessionId};
use super::store::{Begun, Store};
use super::wheel::{Next, Owners, Wheel};
use crate::net::{Direction, LifetimeId, PerDirection, Rate, RowId, Terms, Timestamp, Tuple};

/// All sessions, and the data sessions that are expected.
#[derive(Debug)]
pub struct Sessions {
    pub(super) store: Store,
    pub(super) index: Index,
    pub(super) hash: KeyHash,
    pub(super) wheel: Wheel<SessionId>,
    pub(super) census: Census,
    pub(super) mappings: Mappings,
    /// How the session came that began last.
    pub(super) latest: Latest,
    expectations: Expectations,
    /// How often each source has begun sessions lately.
    source_rates: Buckets<IpAddr>,
    /// The number of the session that begins next.
    pub(super) next: u64,
    /// Its worker's place among others; `None`: there are none.
    post: Option<Post>,
    /// The tuples of a session that is about to begin while others go: they stay this
    /// worker's.
    reserved: Option<PerDirection<Tuple>>,
    /// The moment that time has come to: whose deadline is not after it is over.
    now: Timestamp,
    /// Those whose TCP sessions may live on after their deadline, to speak to their ends.
    speaking: Vec<LifetimeId>,
}

/// Which session is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// This one is.
    Session(Handle),
    /// None is.
    Nothing,
    /// It is not known yet whether one is: the budget is spent.
    Unknown,
}

/// Where a page of the table begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PageStart(u32);

/// How long before a session's turn to end its line is asked for, and where the index
/// has it.
const LINE_AHEAD: usize = 12;
const INDEX_AHEAD: usize = 6;

impl Sessions {
    /// An empty table under the hash function of `seed`, in which every row of
    /// source translation has the usual terms.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with_terms(seed, Box::default())
    }

    /// An empty table under the hash function of `seed`; the terms of each row of
    /// source translation, in order.
    #[must_use]
    pub fn with_terms(seed: u64, terms: Box<[Terms]>) -> Self {
        let hash = TupleHash::from_seed(seed);
        Self {
            store: Store::new(hash),
            index: Index::new(),
            hash: KeyHash::from_seed(seed),
            wheel: Wheel::new(hash),
            census: Census::new(hash),
            mappings: Mappings::new(hash, terms),
            latest: Latest::default(),
            expectations: Expectations::new(hash),
            source_rates: Buckets::new(hash),
            next: 1,
            post: None,
            reserved: None,
            now: Timestamp::EPOCH,
            speaking: Vec::new(),
        }
    }

    /// Has this be the table of one of several workers, before anything is in it.
    pub fn join(&mut self, post: Post) {
        self.next = u64::from(post.worker.0) + 1;
        self.mappings.join(post.clone());
        self.post = Some(post);
    }

    /// Its worker's place among others; `None`: there are none.
    #[inline]
    #[must_use]
    pub(crate) fn post(&self) -> Option<&Post> {
        self.post.as_ref()
    }

    /// Has sessions live and end as these lifetimes say.
    pub fn set_lifetimes(&mut self, lifetimes: &Lifetimes) {
        let speaking = lifetimes
            .iter()
            .filter(|(_, lifetime)| lifetime.on_expiry != OnExpiry::Silent);
        self.speaking = speaking.map(|(id, _)| id).collect();
    }

    /// Has public endpoints be given out on these terms, by the numbers of rows of
    /// source translation. What is held already is held as before: a number stands for the
    /// same kind of account. Blocks of `rivals` may be of the same ports.
    pub fn set_terms(&mut self, terms: Box<[Terms]>, rivals: Vec<RowId>) {
        self.mappings.set_terms(terms, rivals);
    }

    /// How many places of sessions there are, taken or free.
    pub(crate) fn slots(&self) -> u32 {
        self.store.slot_count()
    }

    /// The session in this place.
    pub(crate) fn in_slot(&self, slot: u32) -> Option<Handle> {
        self.at_slot(slot)
    }

    /// Has the next packets of the session in this place be looked at from all sides, as
    /// if none had come before.
    pub(crate) fn look_anew(&mut self, slot: u32) {
        self.store.look_anew(slot);
    }

    /// The session that a packet of this tuple belongs to, and its direction; also
    /// one whose deadline has passed, and whose turn to end has not come.
    #[must_use]
    pub fn lookup(&self, tuple: &Tuple) -> Option<(Handle, Session, Direction)> {
        let (handle, direction) = self.entry(tuple)?;
        Some((handle, self.store.get(handle.slot)?, direction))
    }

    /// The same, where the hash of the tuple is known.
    pub(crate) fn lookup_hashed(
        &self,
        tuple: &Tuple,
        hash: u64,
    ) -> Option<(Handle, Session, Direction)> {
        let (handle, direction) = self.find_key(&Key::of(tuple), hash)?;
        Some((handle, self.store.get(handle.slot)?, direction))
    }

    /// Whose packet one of this tuple is, and which way it goes. What is over is nobody.
    #[must_use]
    pub fn find(&self, tuple: &Tuple) -> Option<(Handle, Direction)> {
        let found = self.entry(tuple)?;
        (!self.is_over(found.0.slot)).then_some(found)
    }

    /// The session that still stands under this tuple though its deadline has passed:
    /// it ends before another takes its place.
    #[must_use]
    pub fn find_due(&self, tuple: &Tuple) -> Option<Handle> {
        let (handle, _) = self.entry(tuple)?;
        self.is_due(handle).then_some(handle)
    }

    pub(super) fn entry(&self, tuple: &Tuple) -> Option<(Handle, Direction)> {
        let key = Key::of(tuple);
        self.find_key(&key, self.hash.of(&key))
    }

    /// Whose the answers are to packets that leave like this. What is over is nobody.
    #[must_use]
    pub fn find_answers(&self, leaves: &Tuple) -> Option<(Handle, Direction)> {
        let key = Key::of_answers(leaves);
        let found = self.find_key(&key, self.hash.of(&key))?;
        (!self.is_over(found.0.slot)).then_some(found)
    }

    #[inline]
    fn find_key(&self, key: &Key, hash: u64) -> Option<(Handle, Direction)> {
        match self.index.is_nobodys(hash) {
            true => None,
            false => self.look_for(key, hash),
        }
    }

    fn look_for(&self, key: &Key, hash: u64) -> Option<(Handle, Direction)> {
        let is_it = |entry: Entry| self.store.has(entry.slot, entry.direction, key);
        let Entry { slot, direction } = self.index.find(hash, is_it)?;
        Some((self.at_slot(slot)?, direction))
    }

    /// Whether the session in this slot has nothing before it but its end. Of one that
    /// may yet be prolonged that is known only when its turn has come.
    fn is_over(&self, slot: u32) -> bool {
        let line = self.store.line(slot);
        line.is_some_and(|line| line.deadline <= self.now && !self.line_may_go_on(line))
    }

    /// Whether this session may live on when its deadline has passed: to speak to its
    /// ends, or for its data sessions.
    #[must_use]
    pub fn may_go_on(&self, handle: Handle) -> bool {
        let line = self.store.line(handle.slot);
        line.is_some_and(|line| line.number() == handle.id && self.line_may_go_on(line))
    }

    /// Whether it may speak to its ends then.
    #[must_use]
    pub fn may_speak(&self, handle: Handle) -> bool {
        let line = self.store.line(handle.slot);
        line.is_some_and(|line| line.number() == handle.id && self.line_may_speak(line))
    }

    fn line_may_go_on(&self, line: &Line) -> bool {
        let course = self.store.course(line);
        course.is_none_or(|course| course.alg.is_some()) || self.line_may_speak(line)
    }

    fn line_may_speak(&self, line: &Line) -> bool {
        let lifetime = self.store.course(line).map(|course| course.lifetime);
        matches!(line.tracking, Tracking::Tcp(_))
            && lifetime.is_none_or(|lifetime| self.speaking.contains(&lifetime))
    }

    /// The control session that announced this one.
    #[must_use]
    pub fn parent_of(&self, handle: Handle) -> Option<SessionId> {
        match self.lives(handle) {
            true => self.store.parent(handle.slot),
            false => None,
        }
    }

    /// Whether the deadline of this session has passed.
    #[must_use]
    pub fn is_due(&self, handle: Handle) -> bool {
        let line = self.store.line(handle.slot);
        line.is_some_and(|line| line.number() == handle.id && line.deadline <= self.now)
    }

    /// Whether packets of this tuple have an owner already: a session, or one
    /// that is expected.
    #[must_use]
    pub fn is_taken(&self, tuple: &Tuple) -> bool {
        self.find(tuple).is_some() || self.expected_by(&ExpectedTuple::of(tuple)).is_some()
    }

    /// Who expects a data session of this tuple.
    #[must_use]
    pub fn expected_by(&self, tuple: &ExpectedTuple) -> Option<Handle> {
        let expectation = self.expectations.get(tuple)?;
        (expectation.deadline > self.now).then_some(expectation.parent)
    }

    /// Whether the session of this handle lives.
    #[must_use]
    pub fn lives(&self, handle: Handle) -> bool {
        self.store.id(handle.slot) == Some(handle.id)
    }

    /// The session of this handle, while it lives.
    #[must_use]
    pub fn get(&self, handle: Handle) -> Option<Session> {
        self.lives(handle).then(|| self.store.get(handle.slot))?
    }

    /// The session in this slot.
    pub(super) fn at_slot(&self, slot: u32) -> Option<Handle> {
        let id = self.store.id(slot)?;
        Some(Handle { id, slot })
    }

    /// How many there are of each kind, source and rule.
    #[must_use]
    pub fn census(&self) -> &Census {
        &self.census
    }

    /// Which public endpoints are held, and by whom.
    #[must_use]
    pub fn mappings(&self) -> &Mappings {
        &self.mappings
    }

    /// How many sessions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.store.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All sessions in the order in which they began.
    #[must_use]
    pub fn sorted(&self) -> Vec<Session> {
        let slots = self.store.slots();
        let mut all: Vec<_> = slots.filter_map(|slot| self.store.get(slot)).collect();
        all.sort_by_key(|session| session.id);
        all
    }

    /// The sessions in some of the places of the table, from a place on, and where to go
    /// on; `None`: these were the last. Whoever goes from page to page meets each session
    /// once that lives all the while, at a price for each page that does not grow with
    /// the table.
    #[must_use]
    pub fn page(&self, from: PageStart, places: u32) -> (Vec<Session>, Option<PageStart>) {
        let first = from.0;
        let last = first.saturating_add(places);
        let used = (first..last).filter_map(|slot| self.store.get(slot));
        let is_last = self.store.line_at(last).is_none();
        (used.collect(), (!is_last).then_some(PageStart(last)))
    }

    /// How far numbers of sessions are apart: the workers of a crew count in turns.
    pub(super) fn step(&self) -> u64 {
        let workers = self.post.as_ref().map(|post| post.workers().count());
        workers.map_or(1, u64::from)
    }

    /// The number that the next session gets.
    #[must_use]
    pub fn next_id(&self) -> SessionId {
        SessionId(self.next)
    }

    /// Stores a session that begins at `now` with a packet that does `first` to
    /// it. The caller has seen that neither
    /// of its tuples [is taken](Self::is_taken).
    pub fn insert(&mut self, origin: &Origin, now: Timestamp, first: &Update) -> Handle {
        debug_assert!(
            Direction::BOTH
                .iter()
                .all(|d| self.entry(&origin.tuples[*d]).is_none()),
            "a tuple belongs to one session"
        );
        let id = self.next_id();
        self.next += self.step();
        let standing = Standing::of(first.tracked.state(), first.heard);
        let keys = PerDirection {
            original: Key::of(&origin.tuples.original),
            reply: Key::of(&origin.tuples.reply),
        };
        let slot = self.store.insert(&Begun {
            id,
            origin,
            keys: &keys,
            now,
            first,
            standing,
        });
        for direction in Direction::BOTH {
            self.enter_index(&keys[direction], Entry { slot, direction });
        }
        self.latest = Latest::of(&keys);
        self.wheel.arm(slot, id, first.deadline);
        self.census.enter(slot, standing, origin);
        if let Some(post) = &self.post {
            post.began(standing, origin.rule);
        }
        self.mappings.enter(origin, now, On::Session);
        Handle { id, slot }
    }

    pub(super) fn enter_index(&mut self, key: &Key, entry: Entry) {
        let Self {
            store, index, hash, ..
        } = self;
        let hash_of = |entry: Entry| {
            let hash = store.hash_of(entry.slot, entry.direction, hash);
            hash.unwrap_or_default()
        };
        let fetch = |entry: Entry| {
            if let Some(line) = store.line_at(entry.slot) {
                prefetch(line);
            }
        };
        index.insert(hash.of(key), entry, hash_of, fetch);
    }

    /// Holds what a session claims of public endpoints before it is
    /// [inserted](Self::insert), while others go to make room for it; until
    /// [released](Self::release).
    pub fn reserve(&mut self, origin: &Origin, now: Timestamp) {
        if self.post.is_some() {
            self.reserved = Some(origin.tuples);
        }
        self.mappings.enter(origin, now, On::Reservation);
    }

    /// Ends a [reservation](Self::reserve).
    pub fn release(&mut self, origin: &Origin, now: Timestamp) {
        self.reserved = None;
        self.mappings.leave(origin, now, On::Reservation);
    }

    /// What is to be written down of public endpoints since this was asked last.
    pub fn notes(&mut self) -> impl Iterator<Item = Note> {
        self.mappings.fetch_notes()
    }

    /// Whether there is anything to be written down.
    pub(crate) fn has_notes(&self) -> bool {
        self.mappings.has_notes()
    }

    /// Time has come to `now`: what has rested long enough may be had again.
    pub fn keep_up(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        self.wheel.keep_up(now);
        self.mappings.awaken(now);
    }

    /// The tuples that stay this worker's while others go.
    pub(super) fn reserved_tuples(&self) -> Option<&PerDirection<Tuple>> {
        self.reserved.as_ref()
    }

    /// Whether a source may begin another session, as often as it has lately.
    #[must_use]
    pub fn source_allows(&self, source: IpAddr, rate: Rate, now: Timestamp) -> bool {
        self.source_rates.allows(&source, rate, now)
    }

    /// Counts a session that a source begins against its rate.
    pub fn spend_of_source(&mut self, source: IpAddr, rate: Rate, now: Timestamp) {
        self.source_rates.spend(source, rate, now);
    }

    /// Counts a packet and moves the session on.
    pub fn update(&mut self, handle: Handle, update: &Update) {
        if !self.lives(handle) {
            debug_assert!(false, "an update for a session that is gone");
            return;
        }
        let Some((before, standing)) = self.store.advance(handle.slot, update) else {
            return;
        };
        if standing != before {
            self.census.change(handle.slot, before, standing);
            if let Some(post) = &self.post {
                post.changed(before, standing);
            }
        }
        self.wheel
            .bring_forward(handle.slot, handle.id, update.deadline);
    }

    /// Takes a session out of the table at this moment.
    pub fn remove(&mut self, handle: Handle, at: Timestamp) -> Option<Session> {
        let Handle { slot, .. } = handle;
        if !self.lives(handle) {
            return None;
        }
        for direction in Direction::BOTH {
            let key = self.store.key(slot, direction)?;
            self.index
                .remove(self.hash.of(&key), Entry { slot, direction });
        }
        let session = self.store.remove(slot)?;
        self.wheel.disarm(slot);
        self.census.leave(slot, session.standing, &session.origin);
        if let Some(post) = &self.post {
            post.ended(session.standing, session.origin.rule);
            self.leave_tuples(post, &session.origin);
        }
        self.mappings.leave(&session.origin, at, On::Session);
        Some(session)
    }

    /// Takes out a session that is over, and has nothing before it but its end.
    pub fn remove_over(&mut self, handle: Handle) -> Option<Session> {
        let deadline = self.store.line(handle.slot)?.deadline;
        match self.is_over(handle.slot) {
            true => self.remove(handle, deadline),
            false => None,
        }
    }

    /// Lets a session live until `deadline` though no packet of it has passed.
    pub fn prolong(&mut self, handle: Handle, deadline: Timestamp, probing: Option<Probing>) {
        if !self.lives(handle) {
            return;
        }
        self.store.prolong(handle.slot, deadline, probing);
        self.wheel.arm(handle.slot, handle.id, deadline);
    }

    /// Takes out the next session whose time ran out by `now`, in the order in
    /// which they were due.
    pub fn pop_expired(&mut self, now: Timestamp) -> Option<(Handle, Session)> {
        match self.pop_due(now, &mut Budget::unlimited()) {
            Due::Session(handle) => self.remove(handle, now).map(|session| (handle, session)),
            Due::Nothing | Due::Unknown => None,
        }
    }

    /// The next session whose time ran out by `now`, in the order in which they
    /// were due. It is told once: the caller [removes](Self::remove) or
    /// [prolongs](Self::prolong) it.
    pub fn pop_due(&mut self, now: Timestamp, budget: &mut Budget) -> Due {
        loop {
            let (slot, at) = match self.wheel.pop_due(now, &self.store, budget) {
                Next::Due(slot, at) => (slot, at),
                Next::Nothing => return Due::Nothing,
                Next::Unknown => return Due::Unknown,
            };
            self.fetch_coming();
            let Some((deadline, id)) = self.store.look(slot) else {
                debug_assert!(false, "a deadline of nobody");
                continue;
            };
            if deadline > at {
                // It went on. Even if it is due by now: others may be due before.
                self.wheel.arm(slot, id, deadline);
                if !budget.spend(1) {
                    return Due::Unknown;
                }
                continue;
            }
            return Due::Session(Handle { id, slot });
        }
    }

    /// Asks memory for what those sessions need that end next.
    fn fetch_coming(&self) {
        if let Some(slot) = self.wheel.coming(LINE_AHEAD) {
            self.store.fetch(slot);
        }
        if let Some(slot) = self.wheel.coming(INDEX_AHEAD) {
            for direction in Direction::BOTH {
                let key = self.store.key(slot, direction);
                let first = key.and_then(|key| self.index.beginning(self.hash.of(&key)));
                if let Some(bucket) = first {
                    prefetch(bucket);
                }
            }
        }
    }

    /// When a session or an expectation may next be due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        // What rests here others may be waiting for.
        let rested = self.post.as_ref().and_then(|_| self.mappings.next_rested());
        [self.wheel.next(), self.expectations.next_deadline(), rested]
            .into_iter()
            .flatten()
            .min()
    }

    /// When a session may next be due.
    #[inline]
    pub(crate) fn next_look(&self) -> Option<Timestamp> {
        self.wheel.next()
    }

    /// The data sessions that are expected.
    #[must_use]
    pub fn expectations(&self) -> &Expectations {
        &self.expectations
    }

    /// Expects a data session.
    pub fn expect(&mut self, expectation: Expectation) {
        if let Some(post) = &self.post {
            // It is this worker's already, but where it has just let go of the same one.
            let _ = post.enter_expected(expectation.tuple);
        }
        self.expectations.insert(expectation);
    }

    /// Lets an expected data session come.
    pub fn admit(&mut self, tuple: &ExpectedTuple) {
        self.expectations.admit(tuple);
    }

    /// Expects a data session no longer.
    pub fn unexpect(&mut self, tuple: &ExpectedTuple) -> Option<Expectation> {
        let removed = self.expectations.remove(tuple)?;
        self.is_unexpected(&removed);
        Some(removed)
    }

    /// Takes out an expectation that nothing met by `now`.
    pub fn pop_unmet(&mut self, now: Timestamp) -> Option<Expectation> {
        let unmet = self.expectations.pop_due(now)?;
        self.is_unexpected(&unmet);
        Some(unmet)
    }

    fn is_unexpected(&self, expectation: &Expectation) {
        if let Some(post) = &self.post {
            post.leave_expected(&expectation.tuple);
        }
    }
}

impl Owners<SessionId> for Store {
    fn look(&self, slot: u32) -> Option<(Timestamp, SessionId)> {
        let line = self.line(slot)?;
        Some((line.deadline, line.id()?))
    }

    fn fetch(&self, slot: u32) {
        self.bring_near(slot);
    }
}

#[cfg(test)]
mod tests;
