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
//! more than one: memory follows the table, whatever packets do.

use std::collections::BTreeSet;

use super::lists::Lists;
use crate::net::Timestamp;

/// A tick is 2^20 nanoseconds.
const TICK: u32 = 20;
/// Bits of a digit.
const DIGIT: u32 = 6;
/// Buckets of a level.
const BUCKETS: usize = 1 << DIGIT;
/// 8 digits of 6 bits are more than the 44 bits that a tick can have.
const LEVELS: usize = 8;

/// Where a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Nowhere,
    Bucket(u16),
    Ready,
}

#[derive(Debug, Clone, Copy)]
struct Node<K> {
    at: Timestamp,
    key: K,
    place: Place,
}

/// The deadlines of the owners of places, one each.
#[derive(Debug)]
pub(super) struct Wheel<K> {
    nodes: Vec<Node<K>>,
    buckets: Lists,
    /// Which buckets of a level hold any: a bit each.
    occupied: [u64; LEVELS],
    /// The tick that is reached: what lies in it or before it is ready.
    reached: u64,
    ready: BTreeSet<(Timestamp, K, u32)>,
}

fn tick(moment: Timestamp) -> u64 {
    moment.as_nanos() >> TICK
}

impl<K: Ord + Copy> Wheel<K> {
    /// A wheel on which nothing is due.
    pub(super) fn new() -> Self {
        Self {
            nodes: Vec::new(),
            buckets: Lists::new(LEVELS * BUCKETS),
            occupied: [0; LEVELS],
            reached: 0,
            ready: BTreeSet::new(),
        }
    }

    /// Has `key`, which owns `place`, come out at the moment `at`, in place of
    /// any moment before.
    pub(super) fn arm(&mut self, place: u32, key: K, at: Timestamp) {
        self.disarm(place);
        let node = Node {
            at,
            key,
            place: Place::Nowhere,
        };
        let index = place as usize;
        if self.nodes.len() <= index {
            self.nodes.resize(index + 1, node);
        }
        if let Some(own) = self.nodes.get_mut(index) {
            *own = node;
        }
        self.put(place);
    }

    /// Forgets the deadline of whoever owns `place`.
    pub(super) fn disarm(&mut self, place: u32) {
        let Some(node) = self.nodes.get_mut(place as usize) else {
            return;
        };
        match node.place {
            Place::Nowhere => {}
            Place::Ready => {
                self.ready.remove(&(node.at, node.key, place));
            }
            Place::Bucket(bucket) => {
                let bucket = usize::from(bucket);
                self.buckets.unlink(bucket, place);
                if self.buckets.first(bucket).is_none() {
                    self.vacate(bucket);
                }
            }
        }
        if let Some(node) = self.nodes.get_mut(place as usize) {
            node.place = Place::Nowhere;
        }
    }

    /// Takes the first whose moment is not after `now`: its place and moment.
    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<(u32, Timestamp)> {
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
                        self.put(place);
                    }
                }
                _ => {
                    // Nothing lies between: all buckets are as right as before.
                    self.reached = self.reached.max(tick(now));
                    return None;
                }
            }
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

    /// Puts an armed node where it belongs.
    fn put(&mut self, place: u32) {
        let Some(node) = self.nodes.get_mut(place as usize) else {
            return;
        };
        let tick = tick(node.at);
        if tick <= self.reached {
            node.place = Place::Ready;
            self.ready.insert((node.at, node.key, place));
            return;
        }
        let level = (tick ^ self.reached).ilog2() / DIGIT;
        let digit = (tick >> (level * DIGIT)) % BUCKETS as u64;
        let bucket = level as usize * BUCKETS + digit as usize;
        node.place = Place::Bucket(u16::try_from(bucket).unwrap_or(u16::MAX));
        self.buckets.push(bucket, place);
        if let Some(occupied) = self.occupied.get_mut(level as usize) {
            *occupied |= 1 << digit;
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
            let (mut wheel, mut model) = (Wheel::new(), Model::default());
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
                        let popped = wheel.pop_due(at(now));
                        prop_assert_eq!(popped.map(|(p, t)| (p, t.as_nanos())), model.pop_due(now));
                    }
                    Step::Pass(span) => {
                        now = now.saturating_add(span);
                        loop {
                            let popped = wheel.pop_due(at(now)).map(|(p, t)| (p, t.as_nanos()));
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
        let mut wheel = Wheel::new();
        for n in 0..100_000 {
            wheel.arm(0, n, at(n * 1_000));
            wheel.arm(1, n, at(u64::MAX - n));
        }
        assert_eq!((wheel.nodes.len(), wheel.ready.len()), (2, 0));
        assert_eq!(wheel.pop_due(at(99_999_000)), Some((0, at(99_999_000))));
        assert_eq!(
            wheel.pop_due(at(u64::MAX)),
            Some((1, at(u64::MAX - 99_999)))
        );
        assert_eq!(wheel.next(), None);
    }

    #[test]
    fn a_gap_of_centuries_costs_a_few_steps() {
        let mut wheel = Wheel::new();
        wheel.arm(0, 0, at(u64::MAX));
        let mut looks = 0;
        while wheel.pop_due(wheel.next().unwrap()).is_none() {
            looks += 1;
        }
        assert!(looks <= LEVELS, "{looks}");
    }
}
