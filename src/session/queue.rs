//! A queue that grows by boards of one length: what stands in it is not moved when it
//! grows, however long it is.

use std::collections::VecDeque;

/// Values on a board.
const BOARD: usize = 1 << 12;

/// Values, the first first.
#[derive(Debug)]
pub(super) struct Queue<T> {
    /// Only the last may be empty. The first of all moves what is on it while it grows,
    /// so that a short queue stays small.
    boards: VecDeque<VecDeque<T>>,
    length: usize,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        Self {
            boards: VecDeque::new(),
            length: 0,
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// The first.
    pub(super) fn front(&self) -> Option<&T> {
        self.boards.front()?.front()
    }

    /// Some of them, from a place on.
    pub(super) fn some_from(&self, place: usize, most: usize) -> impl Iterator<Item = &T> {
        let boards = self.boards.iter();
        boards.flatten().skip(place).take(most)
    }

    /// Appends one.
    pub(super) fn push_back(&mut self, value: T) {
        self.length += 1;
        let boards = self.boards.len();
        match self.boards.back_mut() {
            Some(last) if last.len() < BOARD => last.push_back(value),
            _ => {
                let room = if boards == 0 { 0 } else { BOARD };
                let mut board = VecDeque::with_capacity(room);
                board.push_back(value);
                self.boards.push_back(board);
            }
        }
    }

    /// Takes the first out.
    pub(super) fn pop_front(&mut self) -> Option<T> {
        let first = self.boards.front_mut()?;
        let value = first.pop_front();
        self.length -= usize::from(value.is_some());
        // The last board is kept for what comes.
        if first.is_empty() && self.boards.len() > 1 {
            self.boards.pop_front();
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_queue(steps in prop::collection::vec((1usize..6_000, 0usize..6_000), 1..12)) {
            let mut queue = Queue::new();
            let mut model = VecDeque::new();
            let mut next = 0u32;
            for (pushed, popped) in steps {
                for _ in 0..pushed {
                    queue.push_back(next);
                    model.push_back(next);
                    next += 1;
                }
                for _ in 0..popped {
                    prop_assert_eq!(queue.pop_front(), model.pop_front());
                    prop_assert_eq!(queue.front(), model.front());
                }
                prop_assert_eq!(queue.len(), model.len());
                let full = queue.boards.iter().all(|board| board.len() <= BOARD);
                prop_assert!(full && queue.boards.len() <= model.len() / BOARD + 2);
            }
        }
    }
}
