//! What is due, and when: a hierarchical timing wheel (Varghese and Lauck).
//!
//! ```text
//! moment -> tick of about a millisecond, in eight digits of six bits
//!
//! level 7  | bucket for each value of the highest digit
//!   ...    |
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
//! Each owner has a node under its place in the table of sessions, and never
//! more than one: memory follows the table, whatever packets do. A node keeps the
//! tick at which its owner is looked at; the exact moment, and the key, the owner
//! tells when it is.

use std::collections::BTreeSet;

use hashbrown::HashMap;

use super::hash::TupleHash;
use super::lists::Lists;
use super::shelf::Shelf;
use crate::net::Timestamp;

/// A tick is 2^20 nanoseconds.
const TICK: u32 = 20;
/// Bits of a digit.
const DIGIT: u32 = 6;
/// Buckets of a level.
const BUCKETS: usize = 1 << DIGIT;
/// 8 digits of 6 bits are more than the 44 bits that a tick can have.
const LEVELS: usize = 8;
/// How far ahead a node can say that it is, in ticks: some 26 days. What lies
/// further is looked at then, and goes on.
const HORIZON: u64 = 1 << 31;

/// A node that is on no list.
const NOWHERE: u32 = u32::MAX;
/// A node whose tick is reached.
const READY: u32 = NOWHERE - 1;

/// The deadlines of the owners of places, one each.
#[derive(Debug)]
pub(super) struct Wheel<K> {
    /// The tick of each place, modulo the horizon.
    ticks: Shelf<u32, 12>,
    buckets: Lists,
    /// Which buckets of a level hold any: a bit each.
    occupied: [u64; LEVELS],
    /// The tick that is reached: what lies in it or before it is ready.
    reached: u64,
    ready: BTreeSet<(Timestamp, K, u32)>,
    /// Under which moment and key a place is ready.
    ready_as: HashMap<u32, (Timestamp, K), TupleHash>,
}

fn tick(moment: Timestamp) -> u64 {
    moment.as_nanos() >> TICK
}

impl<K: Ord + Copy> Wheel<K> {
    /// A wheel on which nothing is due.
    pub(super) fn new(hash: TupleHash) -> Self {
        Self {
            ticks: Shelf::new(),
            buckets: Lists::new(LEVELS * BUCKETS),
            occupied: [0; LEVELS],
            reached: 0,
            ready: BTreeSet::new(),
            ready_as: HashMap::with_hasher(hash),
        }
    }

    /// Has `key`, which owns `place`, come out at the moment `at`, in place of
    /// any moment before.
    pub(super) fn arm(&mut self, place: u32, key: K, at: Timestamp) {
        self.disarm(place);
        self.ticks.fill(place as usize, NOWHERE);
        self.put(place, key, at);
    }

    /// Arms a place again if it is not looked at by the moment `at` anyway.
    pub(super) fn bring_forward(&mut self, place: u32, key: K, at: Timestamp) {
        let is_later = match self.ticks.get(place as usize) {
            None | Some(&NOWHERE) => true,
            Some(&READY) => self.ready_as.get(&place).is_none_or(|(own, _)| at < *own),
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
            low => {
                let bucket = self.bucket_of(self.full(low));
                self.buckets.unlink(bucket, place);
                if self.buckets.first(bucket).is_none() {
                    self.vacate(bucket);
                }
            }
        }
    }

    /// Takes the first whose moment is not after `now`: its place and moment.
    /// `look` tells the moment and the key of an armed place's owner; a moment that
    /// has come to lie later than it was armed for counts.
    pub(super) fn pop_due(
        &mut self,
        now: Timestamp,
        look: impl Fn(u32) -> Option<(Timestamp, K)>,
    ) -> Option<(u32, Timestamp)> {
        loop {
            if let Some((at, _, place)) = self.ready.first().copied() {
                if at > now {
                    return None;
                }
                self.disarm(place);
                return Some((place, at));
            }
            match self.nearest() {
                Some((bucket, start)) if start <= tick(now) => {
                    self.reached = start;
                    self.vacate(bucket);
                    while let Some(place) = self.buckets.first(bucket) {
                        self.buckets.unlink(bucket, place);
                        if let Some(own) = self.ticks.get_mut(place as usize) {
                            *own = NOWHERE;
                        }
                        if let Some((at, key)) = look(place) {
                            self.put(place, key, at);
                        }
                    }
                }
                _ => {
                    // Nothing lies between: all buckets are as right as before.
                    self.keep_up(now);
                    return None;
                }
            }
        }
    }

    /// Time has come to `now`, and nothing was due on the way: what is armed from here
    /// on is placed as seen from there. Does nothing where something may be.
    #[inline]
    pub(super) fn keep_up(&mut self, now: Timestamp) {
        if self.nearest().is_none_or(|(_, start)| start > tick(now)) {
            self.reached = self.reached.max(tick(now));
        }
    }

    /// When to look next: never after the first is due, and sometimes before.
    pub(super) fn next(&self) -> Option<Timestamp> {
        if let Some((at, _, _)) = self.ready.first() {
            return Some(*at);
        }
        let (_, start) = self.nearest()?;
        Some(Timestamp::from_nanos(start << TICK))
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

        fn look(&self, place: u32) -> Option<(Timestamp, u64)> {
            self.armed.get(&place).map(|(due, key)| (at(*due), *key))
        }

        fn pop_due(&mut self, now: u64) -> Option<(u32, u64)> {
            let (at, _, place) = self.due.first().copied().filter(|due| due.0 <= now)?;
            self.disarm(place);
            Some((place, at))
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Arm(u32, u64),
        Disarm(u32),
        Pass(u64),
        PopOne,
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
        ]
    }

    proptest! {
        #[test]
        fn deadlines_come_out_as_from_a_sorted_list(
            start in prop_oneof![Just(0), span(), Just(u64::MAX >> 1)],
            steps in proptest::collection::vec(step(), 1..300),
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
                        let popped = wheel.pop_due(at(now), |place| model.look(place));
                        prop_assert_eq!(popped.map(|(p, t)| (p, t.as_nanos())), model.pop_due(now));
                    }
                    Step::Pass(span) => {
                        now = now.saturating_add(span);
                        loop {
                            let popped = wheel.pop_due(at(now), |place| model.look(place));
                            let popped = popped.map(|(place, at)| (place, at.as_nanos()));
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
        assert_eq!(counted, (2, 0, 0));
        let look =
            |place| [Some((at(99_999_000), 99_999)), Some((at(far), 99_999))][place as usize];
        assert_eq!(
            wheel.pop_due(at(99_999_000), look),
            Some((0, at(99_999_000)))
        );
        assert_eq!(wheel.pop_due(at(u64::MAX), look), Some((1, at(far))));
        assert_eq!(wheel.next(), None);
    }

    #[test]
    fn a_place_that_moves_within_a_tick_is_ready_once() {
        let mut wheel = Wheel::new(TupleHash::from_seed(1));
        assert_eq!(wheel.pop_due(at(1 << 30), |_| None), None);
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
        let mut looks = 0;
        while wheel
            .pop_due(wheel.next().unwrap(), |_| Some((at(years), 0)))
            .is_none()
        {
            looks += 1;
        }
        let horizons = (years >> TICK) / HORIZON + 1;
        assert!(looks <= LEVELS as u64 * horizons, "{looks}");
    }
}
