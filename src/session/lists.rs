//! Doubly linked lists through one shelf: a place on the shelf is in one of
//! the lists at most, and goes in and out at constant cost. Nothing is allocated
//! but one link for each place, when the place is first used.

use super::shelf::Shelf;

/// No place.
const NONE: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct Link {
    before: u32,
    after: u32,
}

#[derive(Debug, Clone, Copy)]
struct Ends {
    first: u32,
    last: u32,
}

/// A fixed number of lists, by number. Whoever uses it knows which list a place
/// is in.
#[derive(Debug)]
pub(super) struct Lists {
    links: Shelf<Link, 12>,
    ends: Box<[Ends]>,
}

impl Lists {
    /// So many lists, all empty.
    pub(super) fn new(lists: usize) -> Self {
        let empty = Ends {
            first: NONE,
            last: NONE,
        };
        Self {
            links: Shelf::new(),
            ends: vec![empty; lists].into(),
        }
    }

    /// The first of a list: the one that is in it for longest.
    pub(super) fn first(&self, list: usize) -> Option<u32> {
        let first = self.ends.get(list)?.first;
        (first != NONE).then_some(first)
    }

    /// All of a list, first to last.
    pub(super) fn iter(&self, list: usize) -> impl Iterator<Item = u32> {
        std::iter::successors(self.first(list), |place| {
            let after = self.links.get(*place as usize)?.after;
            (after != NONE).then_some(after)
        })
    }

    /// Appends a place that is in no list.
    #[inline]
    pub(super) fn push(&mut self, list: usize, place: u32) {
        let Some(ends) = self.ends.get_mut(list) else {
            return;
        };
        let link = Link {
            before: ends.last,
            after: NONE,
        };
        ends.last = place;
        match self.links.get_mut(link.before as usize) {
            Some(before) => before.after = place,
            None => ends.first = place,
        }
        match self.links.get_mut(place as usize) {
            Some(own) => *own = link,
            None => self.links.fill(place as usize, link),
        }
    }

    /// Takes a place out of its list.
    pub(super) fn unlink(&mut self, list: usize, place: u32) {
        let Some(Link { before, after }) = self.links.get(place as usize).copied() else {
            return;
        };
        self.set_after(list, before, after);
        self.set_before(list, after, before);
    }

    /// What comes after `place`, or first.
    fn set_after(&mut self, list: usize, place: u32, after: u32) {
        if let Some(link) = self.links.get_mut(place as usize) {
            link.after = after;
        } else if let Some(ends) = self.ends.get_mut(list) {
            ends.first = after;
        }
    }

    /// What comes before `place`, or last.
    fn set_before(&mut self, list: usize, place: u32, before: u32) {
        if let Some(link) = self.links.get_mut(place as usize) {
            link.before = before;
        } else if let Some(ends) = self.ends.get_mut(list) {
            ends.last = before;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_out_in_the_order_in_which_they_went_in() {
        let mut lists = Lists::new(2);
        for place in [3, 0, 2] {
            lists.push(1, place);
        }
        lists.push(0, 1);
        assert_eq!(lists.iter(1).collect::<Vec<_>>(), [3, 0, 2]);
        lists.unlink(1, 0);
        assert_eq!(lists.iter(1).collect::<Vec<_>>(), [3, 2]);
        lists.unlink(1, 3);
        lists.push(1, 3);
        assert_eq!(lists.iter(1).collect::<Vec<_>>(), [2, 3]);
        lists.unlink(1, 3);
        lists.unlink(1, 2);
        assert_eq!((lists.first(0), lists.first(1)), (Some(1), None));
    }
}
