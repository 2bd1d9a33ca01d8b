//! A vector that grows without moving what is in it: room is added in boards,
//! each as long as all before it together. A table of millions that grows by one
//! stops nobody, and a board that is not used yet takes no memory.

/// Octets of no board are touched before they are used; the first holds this many.
const FIRST: usize = 64;

/// Values by number, from nought on.
#[derive(Debug)]
pub(super) struct Shelf<T> {
    boards: Vec<Vec<T>>,
    length: usize,
}

/// The board that holds a value, and its place there.
fn place(index: usize) -> (usize, usize) {
    let from_first = index + FIRST;
    let board = (from_first.ilog2() - FIRST.ilog2()) as usize;
    (board, from_first - (FIRST << board))
}

impl<T> Shelf<T> {
    pub(super) fn new() -> Self {
        Self {
            boards: Vec::new(),
            length: 0,
        }
    }

    /// How many values there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// The value of this number.
    pub(super) fn get(&self, index: usize) -> Option<&T> {
        let (board, place) = place(index);
        self.boards.get(board)?.get(place)
    }

    /// The value of this number, to be changed.
    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        let (board, place) = place(index);
        self.boards.get_mut(board)?.get_mut(place)
    }

    /// Adds a value; gives its number.
    pub(super) fn push(&mut self, value: T) -> usize {
        let (board, _) = place(self.length);
        if self.boards.len() <= board {
            self.boards.push(Vec::with_capacity(FIRST << board));
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

impl<T: Copy> Shelf<T> {
    /// Adds as many of `value` as it takes for there to be one of this number.
    pub(super) fn fill(&mut self, index: usize, value: T) {
        while self.length <= index {
            self.push(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_there_stays_where_it_is() {
        let mut shelf = Shelf::new();
        let mut first = None;
        for n in 0..10_000usize {
            assert_eq!(shelf.push(n), n);
            let now = std::ptr::from_ref(shelf.get(0).unwrap());
            assert_eq!(*first.get_or_insert(now), now, "moved by the {n}th");
        }
        assert!((0..10_000).all(|n| shelf.get(n) == Some(&n)));
        assert!(shelf.iter().copied().eq(0..10_000));
        assert_eq!((shelf.len(), shelf.get(10_000)), (10_000, None));
    }

    #[test]
    fn each_number_has_a_place_of_its_own() {
        assert_eq!(
            [0, 63, 64, 191, 192].map(place),
            [(0, 0), (0, 63), (1, 0), (1, 127), (2, 0)]
        );
    }
}
