//! What is due, and when: a hierarchical timing wheel (Varghese and Lauck).
//!
//! ```text
//! moment -> tick of about a millisecond, in eight digits of six bits
//!
//! level 7  | bucket for each value of the highest digit
//!   ...    |                              --> opened --> moved down, some at a time
//! level 0  | bucket for each value of the lowest digit      --> ready, in exact order
//! ```
//!
//! A deadline lies in the level of the first digit in which its tick differs
//! from the tick that the wheel has reached. So the lowest level that holds any
//! holds the nearest, whole buckets move down a level when their time comes, and
//! no deadline moves more than eight times. A word for each level says which of
//! its buckets hold any: a gap between packets costs no walk over empty ones.
//!
//! Within the tick that is reached, deadlines stand in exact order of moment and
//! key: what is due comes out as from a sorted list.
//!
//! However many are due together, nobody who asks for the next waits for all of them: a bucket whose time has
//! come is opened at once, and its deadlines move on little by little, as the budget
//! of each call allows; in order they are put the same way ([`Sorter`]).
//!
//! Each owner has a node under its place in the table of sessions, and never
//! more than one: memory follows the table, whatever packets do. A node keeps the
//! tick at which its owner is looked at; the exact moment, and the key, the owner
//! tells when it is.

use std::collections::BTreeSet;

use hashbrown::HashMap;

use super::budget::Budget;
use super::hash::TupleHash;
use super::lists::Lists;
use super::shelf::Shelf;
use super::sorter::Sorter;
use crate::net::Timestamp;

/// A tick is 2^20 nanoseconds.
const TICK: u32 = 20;
/// Bits of a digit.
const DIGIT: u32 = 6;
/// Buckets of a level.
const BUCKETS: usize = 1 << DIGIT;
/// 8 digits of 6 bits are more than the 44 bits that a tick can have.
const LEVELS: usize = 8;
/// The list of what lay in the bucket that was opened last, and has not moved yet.
const OPENED: usize = LEVELS * BUCKETS;
/// How far ahead a node can say that it is, in ticks: some 26 days. What lies
/// further is looked at then, and goes on.
const HORIZON: u64 = 1 << 31;

/// A node that is on no list.
const NOWHERE: u32 = u32::MAX;
/// A node whose tick was reached when it was armed.
const READY: u32 = NOWHERE - 1;
/// A node whose tick was reached when its time came.
const SORTED: u32 = NOWHERE - 2;

/// How many are moved together: what is asked of memory for one is there when
/// others have been moved.
const TOGETHER: usize = 16;

/// What a deadline is of.
pub(super) trait Owners<K> {
    /// The moment and the key of an armed place's owner. The moment may have come to
    /// lie later than it was armed for: then that counts.
    fn look(&self, place: u32) -> Option<(Timestamp, K)>;

    /// Somebody will look before long.
    fn fetch(&self, place: u32);
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// This place, which was due at this moment.
    Due(u32, Timestamp),
    /// Nothing is due.
    Nothing,
    /// What that is, is not known yet: the budget is spent.
    Unknown,
}

/// The deadlines of the owners of places, one each.
#[derive(Debug)]
pub(super) struct Wheel<K> {
    /// The tick of each place, modulo the horizon.
    ticks: Shelf<u32, 12>,
    buckets: Lists,
    /// Which buckets of a level hold any: a bit each.
    occupied: [u64; LEVELS],
    /// The tick that is reached: what lies in it or before it is ready, or moves.
    reached: u64,
    /// What was armed for a moment that was reached already.
    ready: BTreeSet<(Timestamp, K, u32)>,
    /// Under which moment and key a place is ready.
    ready_as: HashMap<u32, (Timestamp, K), TupleHash>,
    /// What came to be ready with its tick. Some of it may have been disarmed since.
    sorted: Sorter<(Timestamp, K, u32)>,
    /// How many have not been disarmed since.
    in_order: usize,
}

fn tick(moment: Timestamp) -> u64 {
    moment.as_nanos() >> TICK
}

impl<K: Ord + Copy> Wheel<K> {
    /// A wheel on which nothing is due.
    pub(super) fn new(hash: TupleHash) -> Self {
        Self {
            ticks: Shelf::new(),
            buckets: Lists::new(LEVELS * BUCKETS + 1),
            occupied: [0; LEVELS],
            reached: 0,
            ready: BTreeSet::new(),
            ready_as: HashMap::with_hasher(hash),
            sorted: Sorter::new(),
            in_order: 0,
        }
    }

    /// Has `key`, which owns `place`, come out at the moment `at`, in place of
    /// any moment before.
    pub(super) fn arm(&mut self, place: u32, key: K, at: Timestamp) {
        match self.ticks.get(place as usize) {
            Some(&NOWHERE) => {}
            Some(_) => self.disarm(place),
            None => self.ticks.fill(place as usize, NOWHERE),
        }
        self.put(place, key, at);
    }

    /// Arms a place again if it is not looked at by the moment `at` anyway.
    pub(super) fn bring_forward(&mut self, place: u32, key: K, at: Timestamp) {
        let is_later = match self.ticks.get(place as usize) {
            None | Some(&NOWHERE) => true,
            Some(&READY) => self.ready_as.get(&place).is_none_or(|(own, _)| at < *own),
            Some(&SORTED) => tick(at) <= self.reached,
            Some(low) => tick(at) < self.full(*low),
        };
        if is_later {
            self.arm(place, key, at);
        }
    }

    /// Forgets the deadline of whoever owns `place`.
    pub(super) fn disarm(&mut self, place: u32) {
        let Some(own) = self.ticks.get_mut(place as usize) else {
            return;
        };
        let low = std::mem::replace(own, NOWHERE);
        match low {
            NOWHERE => {}
            READY => {
                if let Some((at, key)) = self.ready_as.remove(&place) {
                    self.ready.remove(&(at, key, place));
                }
            }
            SORTED => {
                self.in_order -= 1;
                self.settle();
            }
            // Between others it makes no difference which list that is.
            _ if self.buckets.is_at_end(OPENED, place) => {
                self.buckets.unlink(OPENED, place);
                self.settle();
            }
            low => {
                let bucket = self.bucket_of(self.full(low));
                self.buckets.unlink(bucket, place);
                if self.buckets.first(bucket).is_none() {
                    self.vacate(bucket);
                }
            }
        }
    }

    /// Takes the first whose moment is not after `now`: its place and moment. What has
    /// to be moved for that takes a step each.
    pub(super) fn pop_due(
        &mut self,
        now: Timestamp,
        owners: &impl Owners<K>,
        budget: &mut Budget,
    ) -> Next {
        loop {
            while self.is_moving() {
                if !budget.spend(1) {
                    return Next::Unknown;
                }
                self.move_some(owners, budget);
            }
            // What was disarmed or armed anew has no turn here.
            while let Some((_, _, place)) = self.sorted.first()
                && self.ticks.get(*place as usize) != Some(&SORTED)
            {
                if !budget.spend(1) {
                    return Next::Unknown;
                }
                self.sorted.pop();
            }
            let (sorted, ready) = (self.sorted.first(), self.ready.first());
            if let Some((at, _, place)) = sorted.into_iter().chain(ready).min().copied() {
                if at > now {
                    return Next::Nothing;
                }
                if self.ticks.get(place as usize) == Some(&SORTED) {
                    self.sorted.pop();
                }
                self.disarm(place);
                return Next::Due(place, at);
            }
            match self.nearest() {
                Some((bucket, start)) if start <= tick(now) => {
                    self.reached = start;
                    self.vacate(bucket);
                    self.buckets.hand_over(bucket, OPENED);
                }
                _ => {
                    // Nothing lies between: all buckets are as right as before.
                    self.keep_up(now);
                    return Next::Nothing;
                }
            }
        }
    }

    /// The place that comes so many after the one that came last, where that is known
    /// in advance.
    pub(super) fn coming(&self, after: usize) -> Option<u32> {
        self.sorted.coming(after).map(|(_, _, place)| *place)
    }

    /// Time has come to `now`, and nothing was due on the way: what is armed from here
    /// on is placed as seen from there. Does nothing where something may be.
    #[inline]
    pub(super) fn keep_up(&mut self, now: Timestamp) {
        // Most packets come within the tick of the last.
        if tick(now) > self.reached
            && !self.is_moving()
            && self.nearest().is_none_or(|(_, start)| start > tick(now))
        {
            self.reached = tick(now);
        }
    }

    /// When to look next: never after the first is due, and sometimes before.
    pub(super) fn next(&self) -> Option<Timestamp> {
        let ready = self.ready.first().map(|(at, ..)| *at);
        if self.is_moving() {
            let start = Timestamp::from_nanos(self.reached << TICK);
            return Some(ready.map_or(start, |at| at.min(start)));
        }
        let sorted = self.sorted.first().map(|(at, ..)| *at);
        match (ready, sorted) {
            (None, None) => {}
            (Some(at), None) | (None, Some(at)) => return Some(at),
            (Some(one), Some(other)) => return Some(one.min(other)),
        }
        let (_, start) = self.nearest()?;
        Some(Timestamp::from_nanos(start << TICK))
    }

    /// Whether there is still something in the bucket that was opened last.
    #[inline]
    fn is_moving(&self) -> bool {
        self.buckets.first(OPENED).is_some()
    }

    /// Moves a few of what lay in the opened bucket where they belong now; one is paid
    /// for.
    fn move_some(&mut self, owners: &impl Owners<K>, budget: &mut Budget) {
        let mut some = [NOWHERE; TOGETHER];
        let mut next = self.buckets.first(OPENED);
        let mut count = 0;
        for own in &mut some {
            let Some(place) = next else { break };
            if count > 0 && !budget.spend(1) {
                break;
            }
            owners.fetch(place);
            *own = place;
            next = self.buckets.after(place);
            count += 1;
        }
        self.buckets.begin_with(OPENED, next);
        for place in some.into_iter().take(count) {
            if let Some((at, key)) = owners.look(place) {
                self.sort_in(place, key, at);
            } else if let Some(own) = self.ticks.get_mut(place as usize) {
                *own = NOWHERE;
            }
        }
        self.settle();
    }

    /// Once nothing moves, what there is stands in order.
    fn settle(&mut self) {
        if self.is_moving() {
            return;
        }
        match self.in_order {
            0 => self.sorted.clear(),
            _ => self.sorted.close(),
        }
    }

    /// Puts a node from the opened bucket where it belongs.
    fn sort_in(&mut self, place: u32, key: K, at: Timestamp) {
        if tick(at) > self.reached {
            self.put(place, key, at);
        } else if let Some(own) = self.ticks.get_mut(place as usize) {
            *own = SORTED;
            self.in_order += 1;
            self.sorted.add((at, key, place));
        }
    }

    /// The bucket that holds the nearest, and the tick that it begins with.
    fn nearest(&self) -> Option<(usize, u64)> {
        let level = self.occupied.iter().position(|buckets| *buckets != 0)?;
        let digit = self.occupied.get(level)?.trailing_zeros();
        let shift = DIGIT * u32::try_from(level).ok()?;
        let above = self.reached >> (shift + DIGIT) << (shift + DIGIT);
        let bucket = level * BUCKETS + digit as usize;
        Some((bucket, above | (u64::from(digit) << shift)))
    }

    /// The tick of a node in a bucket: it is not reached yet, and lies within the
    /// horizon.
    fn full(&self, low: u32) -> u64 {
        self.reached + (u64::from(low).wrapping_sub(self.reached) & (HORIZON - 1))
    }

    /// Where a tick that is not reached belongs. It stays there until it is the
    /// bucket's turn: the digits above it are those of the tick that is reached.
    fn bucket_of(&self, tick: u64) -> usize {
        let level = (tick ^ self.reached).checked_ilog2().unwrap_or(0) / DIGIT;
        let digit = (tick >> (level * DIGIT)) % BUCKETS as u64;
        level as usize * BUCKETS + digit as usize
    }

    /// Puts a node that is nowhere where it belongs.
    fn put(&mut self, place: u32, key: K, at: Timestamp) {
        let tick = tick(at).min(self.reached + HORIZON - 1);
        let Some(own) = self.ticks.get_mut(place as usize) else {
            return;
        };
        if tick <= self.reached {
            *own = READY;
            self.ready.insert((at, key, place));
            self.ready_as.insert(place, (at, key));
            return;
        }
        // 31 bits: neither of the two words.
        *own = u32::try_from(tick & (HORIZON - 1)).unwrap_or(READY);
        let bucket = self.bucket_of(tick);
        self.buckets.push(bucket, place);
        if let Some(occupied) = self.occupied.get_mut(bucket / BUCKETS) {
            *occupied |= 1 << (bucket % BUCKETS);
        }
    }

    fn vacate(&mut self, bucket: usize) {
        if let Some(occupied) = self.occupied.get_mut(bucket / BUCKETS) {
            *occupied &= !(1 << (bucket % BUCKETS));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn at(nanos: u64) -> Timestamp {
        Timestamp::from_nanos(nanos)
    }

    /// The obvious wheel.
    #[derive(Default)]
    struct Model {
        due: BTreeSet<(u64, u64, u32)>,
        armed: BTreeMap<u32, (u64, u64)>,
    }

    impl Model {
        fn disarm(&mut self, place: u32) {
            if let Some((at, key)) = self.armed.remove(&place) {
                self.due.remove(&(at, key, place));
            }
        }

        fn arm(&mut self, place: u32, key: u64, at: u64) {
            self.disarm(place);
            self.armed.insert(place, (at, key));
            self.due.insert((at, key, place));
        }

        fn pop_due(&mut self, now: u64) -> Option<(u32, u64)> {
            let (at, _, place) = self.due.first().copied().filter(|due| due.0 <= now)?;
            self.disarm(place);
            Some((place, at))
        }
    }

    impl Owners<u64> for Model {
        fn look(&self, place: u32) -> Option<(Timestamp, u64)> {
            self.armed.get(&place).map(|(due, key)| (at(*due), *key))
        }

        fn fetch(&self, _: u32) {}
    }

    /// Owners that are known by heart, and how often each was asked.
    struct Known<F>(F, std::cell::Cell<u64>);

    impl<F> Known<F> {
        fn new(look: F) -> Self {
            Self(look, std::cell::Cell::new(0))
        }
    }

    impl<F: Fn(u32) -> Option<(Timestamp, u64)>> Owners<u64> for Known<F> {
        fn look(&self, place: u32) -> Option<(Timestamp, u64)> {
            self.1.set(self.1.get() + 1);
            (self.0)(place)
        }

        fn fetch(&self, _: u32) {}
    }

    /// The next that is due, by as many calls of so many steps as it takes.
    fn pop(
        wheel: &mut Wheel<u64>,
        now: u64,
        owners: &impl Owners<u64>,
        steps: u32,
    ) -> Option<(u32, u64)> {
        loop {
            match wheel.pop_due(at(now), owners, &mut Budget::new(steps)) {
                Next::Due(place, at) => return Some((place, at.as_nanos())),
                Next::Nothing => return None,
                Next::Unknown => {
                    let next = wheel.next().map(Timestamp::as_nanos);
                    assert!(next.is_some_and(|next| next <= now), "it is called again");
                }
            }
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Arm(u32, u64),
        Disarm(u32),
        Pass(u64),
        PopOne,
        /// A call whose budget is soon spent, and nobody calls again at once.
        Move(u32),
    }

    /// From nanoseconds to years, so that every level has its share.
    fn span() -> impl Strategy<Value = u64> {
        (0..56u32, any::<u64>()).prop_map(|(bits, noise)| (1 << bits) | (noise % (1 << bits)))
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (0..40u32, span()).prop_map(|(place, span)| Step::Arm(place, span)),
            2 => (0..40u32).prop_map(Step::Disarm),
            2 => span().prop_map(Step::Pass),
            1 => Just(Step::PopOne),
            2 => (0..5u32).prop_map(Step::Move),
        ]
    }

    proptest! {
        #[test]
        fn deadlines_come_out_as_from_a_sorted_list(
            start in prop_oneof![Just(0), span(), Just(u64::MAX >> 1)],
            steps in proptest::collection::vec(step(), 1..300),
            budget in prop_oneof![Just(u32::MAX), 1..20u32],
        ) {
            let mut wheel = Wheel::new(TupleHash::from_seed(1));
            let mut model = Model::default();
            let (mut now, mut key) = (start, 0);
            for step in steps {
                match step {
                    Step::Arm(place, span) => {
                        key += 1;
                        // Sometimes in the past, sometimes two in one moment.
                        let due = if span % 7 == 0 { now.saturating_sub(span) } else {
                            now.saturating_add(span)
                        };
                        wheel.arm(place, key, at(due));
                        model.arm(place, key, due);
                    }
                    Step::Disarm(place) => {
                        wheel.disarm(place);
                        model.disarm(place);
                    }
                    Step::PopOne => {
                        let popped = pop(&mut wheel, now, &model, budget);
                        prop_assert_eq!(popped, model.pop_due(now));
                    }
                    Step::Move(steps) => {
                        now = now.saturating_add(u64::from(steps) << 22);
                        match wheel.pop_due(at(now), &model, &mut Budget::new(steps)) {
                            Next::Due(place, at) => {
                                let popped = Some((place, at.as_nanos()));
                                prop_assert_eq!(popped, model.pop_due(now));
                            }
                            Next::Nothing => prop_assert_eq!(model.pop_due(now), None),
                            Next::Unknown => {}
                        }
                    }
                    Step::Pass(span) => {
                        now = now.saturating_add(span);
                        loop {
                            let popped = pop(&mut wheel, now, &model, budget);
                            prop_assert_eq!(popped, model.pop_due(now));
                            if popped.is_none() {
                                break;
                            }
                        }
                        let next = wheel.next().map(Timestamp::as_nanos);
                        prop_assert!(next.is_none_or(|next| next > now));
                    }
                }
                let (next, first) = (wheel.next().map(Timestamp::as_nanos), model.due.first());
                prop_assert_eq!(next.is_none(), first.is_none());
                if let (Some(next), Some(first)) = (next, first) {
                    prop_assert!(next <= first.0, "a deadline is forgotten");
                }
            }
        }
    }

    #[test]
    fn a_place_that_is_armed_again_and_again_takes_no_more_memory() {
        let mut wheel = Wheel::new(TupleHash::from_seed(1));
        let far = u64::MAX - 99_999;
        for n in 0..100_000 {
            wheel.arm(0, n, at(n * 1_000));
            wheel.arm(1, n, at(u64::MAX - n));
        }
        let counted = (wheel.ticks.len(), wheel.ready.len(), wheel.ready_as.len());
        // Places are filled in 64 together.
        assert_eq!(counted, (64, 0, 0));
        let known = Known::new(|place| {
            [Some((at(99_999_000), 99_999)), Some((at(far), 99_999))][place as usize]
        });
        let popped = pop(&mut wheel, 99_999_000, &known, u32::MAX);
        assert_eq!(popped, Some((0, 99_999_000)));
        assert_eq!(pop(&mut wheel, u64::MAX, &known, u32::MAX), Some((1, far)));
        assert_eq!(wheel.next(), None);
    }

    #[test]
    fn a_place_that_moves_within_a_tick_is_ready_once() {
        let mut wheel = Wheel::new(TupleHash::from_seed(1));
        let nobody = Known::new(|_| None);
        assert_eq!(pop(&mut wheel, 1 << 30, &nobody, u32::MAX), None);
        for n in 0..1000 {
            wheel.arm(0, 7, at((1 << 30) + 1000 - n));
        }
        assert_eq!((wheel.ready.len(), wheel.ready_as.len()), (1, 1));
        wheel.bring_forward(0, 7, at((1 << 30) + 500));
        assert_eq!(wheel.next(), Some(at((1 << 30) + 1)));
        wheel.disarm(0);
        assert_eq!((wheel.ready.len(), wheel.ready_as.len()), (0, 0));
    }

    #[test]
    fn a_gap_of_years_costs_a_few_steps_for_each_horizon() {
        let years = 10 * 365 * 24 * 3600 * 1_000_000_000;
        let mut wheel = Wheel::new(TupleHash::from_seed(1));
        wheel.arm(0, 0, at(years));
        let known = Known::new(|_| Some((at(years), 0)));
        loop {
            let next = wheel.next().unwrap().as_nanos();
            if pop(&mut wheel, next, &known, u32::MAX).is_some() {
                break;
            }
        }
        let looks = known.1.get();
        let horizons = (years >> TICK) / HORIZON + 1;
        assert!(looks <= LEVELS as u64 * horizons, "{looks}");
    }

    #[test]
    fn no_call_looks_at_more_than_its_budget_however_many_are_due_together() {
        const MANY: u32 = 100_000;
        let mut wheel = Wheel::new(TupleHash::from_seed(1));
        // All in one tick; two share each moment, and the later key has the lower place.
        let moment = |place: u32| (7 << 40) + u64::from(place.reverse_bits() >> 16);
        let key = |place: u32| u64::from(MANY - place);
        for place in 0..MANY {
            wheel.arm(place, key(place), at(moment(place)));
        }
        let known = Known::new(|place| Some((at(moment(place)), key(place))));
        let mut all: Vec<_> = (0..MANY).map(|p| (moment(p), key(p), p)).collect();
        all.sort_unstable();
        let mut due = all.into_iter();
        let mut calls = 0;
        while due.len() > 0 {
            let (before, mut budget) = (known.1.get(), Budget::new(20));
            calls += 1;
            match wheel.pop_due(at(8 << 40), &known, &mut budget) {
                Next::Due(place, _) => assert_eq!(due.next().map(|(.., p)| p), Some(place)),
                Next::Nothing => panic!("{} were forgotten", due.len()),
                Next::Unknown => assert_eq!(budget.left(), 0),
            }
            assert!(known.1.get() - before <= 20);
        }
        assert!(calls < 2 * MANY, "{calls}");
        assert_eq!(wheel.next(), None);
    }
}
