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

    /// What comes after a place in its list.
    pub(super) fn after(&self, place: u32) -> Option<u32> {
        let after = self.links.get(place as usize)?.after;
        (after != NONE).then_some(after)
    }

    /// Whether a place is the first or the last of this list.
    pub(super) fn is_at_end(&self, list: usize, place: u32) -> bool {
        let ends = self.ends.get(list);
        ends.is_some_and(|ends| ends.first == place || ends.last == place)
    }

    /// All that is in the list `from` is in the list `to`, which was empty.
    pub(super) fn hand_over(&mut self, from: usize, to: usize) {
        let empty = Ends {
            first: NONE,
            last: NONE,
        };
        let all = self.ends.get_mut(from);
        let all = all.map(|ends| std::mem::replace(ends, empty));
        if let (Some(own), Some(all)) = (self.ends.get_mut(to), all) {
            *own = all;
        }
    }

    /// Takes out all that comes before this place; all there is where there is none.
    pub(super) fn begin_with(&mut self, list: usize, first: Option<u32>) {
        self.set_after(list, NONE, first.unwrap_or(NONE));
        self.set_before(list, first.unwrap_or(NONE), NONE);
    }

    /// All of a list, first to last.
    pub(super) fn iter(&self, list: usize) -> impl Iterator<Item = u32> {
        std::iter::successors(self.first(list), |place| self.after(*place))
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

    #[test]
    fn a_list_is_handed_over_as_it_is() {
        let mut lists = Lists::new(2);
        for place in [3, 0, 2] {
            lists.push(0, place);
        }
        lists.hand_over(0, 1);
        assert_eq!(lists.first(0), None);
        assert_eq!(lists.iter(1).collect::<Vec<_>>(), [3, 0, 2]);
        let ends = [3, 0, 2].map(|place| lists.is_at_end(1, place));
        assert_eq!(ends, [true, false, true]);
        lists.begin_with(1, Some(2));
        assert_eq!(lists.iter(1).collect::<Vec<_>>(), [2]);
        lists.push(0, 3);
        lists.push(1, 0);
        assert_eq!(lists.iter(1).collect::<Vec<_>>(), [2, 0]);
        lists.begin_with(1, None);
        assert_eq!((lists.first(1), lists.first(0)), (None, Some(3)));
    }
}
