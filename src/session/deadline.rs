//! What is due, and when.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::net::Timestamp;

/// A queue of deadlines that is told of a deadline only when it comes nearer.
///
/// A session's deadline moves with every packet, almost always away. So the
/// session keeps its own deadline, and the queue keeps a moment at which to
/// look: when that comes and the session has moved on, its entry is put back.
/// A packet costs the queue nothing.
#[derive(Debug)]
pub(super) struct DeadlineQueue<T> {
    heap: BinaryHeap<Reverse<(Timestamp, T)>>,
}

impl<T: Ord + Copy> DeadlineQueue<T> {
    /// An empty queue.
    #[must_use]
    pub(super) fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
        }
    }

    /// Looks at `item` at the moment `at`.
    pub(super) fn push(&mut self, at: Timestamp, item: T) {
        self.heap.push(Reverse((at, item)));
    }

    /// The next moment at which something may be due.
    #[must_use]
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes the first item whose moment is not after `now`.
    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<(Timestamp, T)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }
}
