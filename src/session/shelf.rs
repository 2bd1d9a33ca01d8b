//! A vector that grows without moving what is in it: room is added by boards of one
//! length. A table of millions that grows by one stops nobody. Only the first board is
//! moved while it fills, so that a small table stays small.

/// Values by number, from nought on; `2^BITS` on a board.
#[derive(Debug)]
pub(super) struct Shelf<T, const BITS: u32> {
    boards: Vec<Vec<T>>,
    length: usize,
}

impl<T, const BITS: u32> Shelf<T, BITS> {
    /// Values that are filled in together.
    const TOGETHER: usize = 64;
    /// Values on a board.
    const BOARD: usize = 1 << BITS;

    pub(super) fn new() -> Self {
        Self {
            boards: Vec::new(),
            length: 0,
        }
    }

    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// The value of this number.
    #[inline]
    pub(super) fn get(&self, index: usize) -> Option<&T> {
        self.boards
            .get(index >> BITS)?
            .get(index & (Self::BOARD - 1))
    }

    /// The value of this number, to be changed.
    #[inline]
    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        let board = self.boards.get_mut(index >> BITS)?;
        board.get_mut(index & (Self::BOARD - 1))
    }

    /// Adds a value; gives its number.
    pub(super) fn push(&mut self, value: T) -> usize {
        let board = self.length >> BITS;
        if self.boards.len() <= board {
            let room = if board == 0 { 0 } else { Self::BOARD };
            self.boards.push(Vec::with_capacity(room));
        }
        if let Some(board) = self.boards.get_mut(board) {
            board.push(value);
            self.length += 1;
        }
        self.length - 1
    }

    /// All values, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.boards.iter().flatten()
    }
}

impl<T: Copy, const BITS: u32> Shelf<T, BITS> {
    /// Adds as many of `value` as it takes for there to be one of this number, and some
    /// more: whoever fills a shelf one by one seldom has to.
    #[cold]
    #[inline(never)]
    pub(super) fn fill(&mut self, index: usize, value: T) {
        while self.length <= index {
            self.push(value);
            let more = self.length.next_multiple_of(Self::TOGETHER) - self.length;
            if let Some(board) = self.boards.last_mut() {
                board.resize(board.len() + more, value);
                self.length += more;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_there_stays_where_it_is() {
        let mut shelf: Shelf<usize, 6> = Shelf::new();
        let mut seen = Vec::new();
        for n in 0..10_000usize {
            assert_eq!(shelf.push(n), n);
            if n >= 64 {
                seen.push(std::ptr::from_ref(shelf.get(n).unwrap()));
            }
        }
        let now = (64..10_000).map(|n| std::ptr::from_ref(shelf.get(n).unwrap()));
        assert!(now.eq(seen), "one was moved");
        assert!((0..10_000).all(|n| shelf.get(n) == Some(&n)));
        assert!(shelf.iter().copied().eq(0..10_000));
        assert_eq!((shelf.len(), shelf.get(10_000)), (10_000, None));
    }
}
