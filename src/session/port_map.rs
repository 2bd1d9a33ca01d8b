//! Which ports of one public address anybody has: a bit each.
//!
//! Finding a port that nobody has costs at most a look at every word, however
//! few are left.

use std::ops::RangeInclusive;

const BITS: usize = u64::BITS as usize;
const WORDS: usize = (1 << 16) / BITS;

/// The ports of one address and protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PortMap {
    taken: Box<[u64; WORDS]>,
    count: u32,
}

impl PortMap {
    pub(super) fn new() -> Self {
        Self {
            taken: Box::new([0; WORDS]),
            count: 0,
        }
    }

    /// Whether nobody has any.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many somebody has.
    pub(super) fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether somebody has this one.
    pub(super) fn has(&self, port: u16) -> bool {
        let (word, bit) = place(port);
        self.taken.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Somebody takes a port that nobody has.
    pub(super) fn take(&mut self, port: u16) {
        let (word, bit) = place(port);
        if let Some(word) = self.taken.get_mut(word) {
            debug_assert!(*word & bit == 0, "port {port} was taken");
            self.count += u32::from(*word & bit == 0);
            *word |= bit;
        }
    }

    /// Nobody has the port any more.
    pub(super) fn free(&mut self, port: u16) {
        let (word, bit) = place(port);
        if let Some(word) = self.taken.get_mut(word) {
            debug_assert!(*word & bit != 0, "port {port} was free");
            self.count -= u32::from(*word & bit != 0);
            *word &= !bit;
        }
    }

    /// The first port from `start` on that nobody has, going round within
    /// `range`; of those only that `mask` has, a bit for each of 64 ports.
    pub(super) fn first_free(
        &self,
        range: &RangeInclusive<u16>,
        start: u16,
        mask: u64,
    ) -> Option<u16> {
        let (first, last) = (*range.start(), *range.end());
        if first > last {
            return None;
        }
        let start = start.clamp(first, last);
        self.between(start, last, mask)
            .or_else(|| self.between(first, start, mask))
    }

    /// One of the ports of `range` that nobody has, of those that `mask` has;
    /// `draw` says which, each as likely as the others.
    pub(super) fn drawn_free(
        &self,
        range: &RangeInclusive<u16>,
        draw: u64,
        mask: u64,
    ) -> Option<u16> {
        let count = |first, last| -> u64 {
            let words = self.free_words(first, last, mask);
            words.map(|(_, free)| u64::from(free.count_ones())).sum()
        };
        let (first, last) = (*range.start(), *range.end());
        if first > last {
            return None;
        }
        let mut place = draw.checked_rem(count(first, last))?;
        for (base, mut free) in self.free_words(first, last, mask) {
            let here = u64::from(free.count_ones());
            if place >= here {
                place -= here;
                continue;
            }
            for _ in 0..place {
                free &= free - 1; // the lowest bit goes
            }
            return u16::try_from(base + free.trailing_zeros() as usize).ok();
        }
        None
    }

    /// The first free port from `first` to `last`, both included.
    fn between(&self, first: u16, last: u16, mask: u64) -> Option<u16> {
        let mut words = self.free_words(first, last, mask);
        let (base, free) = words.find(|(_, free)| *free != 0)?;
        u16::try_from(base + free.trailing_zeros() as usize).ok()
    }

    /// The words that have ports from `first` to `last`: the first port of each,
    /// and a bit for each port in it that is free.
    fn free_words(&self, first: u16, last: u16, mask: u64) -> impl Iterator<Item = (usize, u64)> {
        let (from, to) = (usize::from(first), usize::from(last));
        let words = self.taken.get(from / BITS..=to / BITS).unwrap_or_default();
        words.iter().enumerate().map(move |(n, taken)| {
            let base = (from / BITS + n) * BITS;
            let mut free = !taken & mask;
            if base < from {
                free &= u64::MAX << (from - base);
            }
            if to - base < BITS - 1 {
                free &= (1 << (to - base + 1)) - 1;
            }
            (base, free)
        })
    }
}

fn place(port: u16) -> (usize, u64) {
    let port = usize::from(port);
    (port / BITS, 1 << (port % BITS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn the_first_free_port_is_what_a_set_says(
            taken in proptest::collection::btree_set(0u16..400, 0..400),
            bounds: (u8, u8),
            start in 0u16..500,
            odd: Option<bool>,
        ) {
            let mut map = PortMap::new();
            taken.iter().for_each(|port| map.take(*port));
            let range = u16::from(bounds.0.min(bounds.1))..=u16::from(bounds.0.max(bounds.1)) + 60;
            let mask = odd.map_or(u64::MAX, |odd| 0x5555_5555_5555_5555 << u32::from(odd));
            let fits = |port: &u16| {
                !taken.contains(port) && odd.is_none_or(|odd| (port % 2 == 1) == odd)
            };
            let from = start.clamp(*range.start(), *range.end());
            let wanted = (from..=*range.end()).chain(range.clone()).find(fits);
            prop_assert_eq!(map.first_free(&range, start, mask), wanted);
            let free: BTreeSet<u16> = range.clone().filter(fits).collect();
            let drawn = (0..free.len() as u64).filter_map(|n| map.drawn_free(&range, n, mask));
            prop_assert_eq!(drawn.collect::<BTreeSet<_>>(), free);
            taken.iter().for_each(|port| map.free(*port));
            prop_assert_eq!(&map, &PortMap::new());
        }
    }

    #[test]
    fn the_last_port_of_all_is_found() {
        let mut map = PortMap::new();
        let all: BTreeSet<u16> = (0..u16::MAX).collect();
        all.iter().for_each(|port| map.take(*port));
        assert_eq!(map.first_free(&(1024..=65535), 5000, u64::MAX), Some(65535));
        map.take(65535);
        assert_eq!(map.first_free(&(0..=65535), 5000, u64::MAX), None);
    }
}
