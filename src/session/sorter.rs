//! Many values put in order little by little: whoever adds one, or takes the first
//! out, never waits for all of them to be sorted.
//!
//! ```text
//! added --> run of 256, sorted when it is full --> |
//!                            another sorted run --> |-- heap of the runs' firsts --> ahead: the next few
//!                                            ... --> |
//! ```
//!
//! A merge sort (von Neumann) whose merging is done by those who take. The heap has
//! one value for each run, so it stays small, and near.

use std::cmp::Reverse;
use std::collections::binary_heap::PeekMut;
use std::collections::{BinaryHeap, VecDeque};

/// Values of a run: so many are sorted at once.
const RUN: usize = 256;
/// How many of those that come next are known in advance.
pub(super) const AHEAD: usize = 16;

/// Values that come out in order.
#[derive(Debug)]
pub(super) struct Sorter<T> {
    /// Added, and not sorted yet.
    young: Vec<T>,
    /// Sorted, the last first.
    runs: Vec<Vec<T>>,
    /// The first of each run that has any.
    firsts: BinaryHeap<Reverse<(T, usize)>>,
    /// Those before all others, in order.
    ahead: VecDeque<T>,
}

impl<T: Ord + Copy> Sorter<T> {
    pub(super) fn new() -> Self {
        Self {
            young: Vec::new(),
            runs: Vec::new(),
            firsts: BinaryHeap::new(),
            ahead: VecDeque::new(),
        }
    }

    /// Adds a value. All are added before the first is taken out.
    pub(super) fn add(&mut self, value: T) {
        debug_assert!(self.ahead.is_empty(), "it is late for that");
        self.young.push(value);
        if self.young.len() == RUN {
            self.close();
        }
    }

    /// No more is added.
    pub(super) fn close(&mut self) {
        if self.young.is_empty() {
            return;
        }
        let mut run = std::mem::take(&mut self.young);
        run.sort_unstable_by(|a, b| b.cmp(a));
        if let Some(first) = run.pop() {
            self.firsts.push(Reverse((first, self.runs.len())));
            self.runs.push(run);
        }
    }

    /// The first of all, if one has been looked for.
    pub(super) fn first(&self) -> Option<&T> {
        self.ahead
            .front()
            .or_else(|| self.firsts.peek().map(|Reverse((first, _))| first))
    }

    /// The one that comes so many after the first.
    pub(super) fn coming(&self, after: usize) -> Option<&T> {
        self.ahead.get(after)
    }

    /// Takes the first out. Each time it is seen to that the next few are known.
    pub(super) fn pop(&mut self) -> Option<T> {
        while self.ahead.len() <= AHEAD
            && let Some(next) = self.merge()
        {
            self.ahead.push_back(next);
        }
        let first = self.ahead.pop_front();
        if self.ahead.is_empty() {
            self.clear();
        }
        first
    }

    /// Forgets all, but for room to begin anew.
    pub(super) fn clear(&mut self) {
        if self.young.capacity() == 0
            && let Some(run) = self.runs.pop()
        {
            self.young = run;
        }
        self.young.clear();
        self.runs.clear();
        self.firsts.clear();
        self.ahead.clear();
    }

    /// The next of all runs.
    fn merge(&mut self) -> Option<T> {
        let mut first = self.firsts.peek_mut()?;
        let Reverse((value, run)) = *first;
        match self.runs.get_mut(run).and_then(Vec::pop) {
            Some(next) => *first = Reverse((next, run)),
            None => {
                PeekMut::pop(first);
                if !self.firsts.is_empty()
                    && let Some(run) = self.runs.get_mut(run)
                {
                    *run = Vec::new(); // the others may last for long
                }
            }
        }
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_added_comes_out_in_order(values: Vec<u16>, times in 1..40u32) {
            let mut sorter = Sorter::new();
            let all = (0..times).flat_map(|n| {
                values.iter().map(move |value| u32::from(*value).wrapping_mul(n * 2 + 1))
            });
            let mut expected: Vec<u32> = all.clone().collect();
            expected.sort_unstable();
            all.for_each(|value| sorter.add(value));
            sorter.close();
            for (place, value) in expected.iter().enumerate() {
                prop_assert_eq!(sorter.first(), Some(value));
                if place > 0 {
                    let rest = expected.get(place..).unwrap_or_default();
                    let known = rest.len().min(AHEAD);
                    let coming = (0..known).map(|after| sorter.coming(after).copied());
                    prop_assert!(coming.eq(rest.iter().take(known).map(|value| Some(*value))));
                }
                prop_assert_eq!(sorter.pop(), Some(*value));
            }
            prop_assert_eq!(sorter.pop(), None);
            prop_assert_eq!(sorter.runs.len() + sorter.firsts.len(), 0);
        }
    }
}
