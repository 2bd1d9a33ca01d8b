//! How many of something each IPv4 address has: a table that grows by parts, in eight
//! octets for each, of which a place can be asked for early.
//!
//! ```text
//! hash:  | which part: as many bits as it takes | ... | place in the part |
//!
//! directory --> part of 512 places:  | address, count | address, count | ...
//! ```
//!
//! An address lies in its place, or in one of those behind it (linear probing); a
//! part that is fuller than two thirds is split (see [`Directory`]).

use std::hash::BuildHasher;

use super::accounts::take;
use super::directory::{Depth, Directory};
use super::growing_map::GrowingMap;
use super::hash::TupleHash;
use super::prefetch::prefetch;
use super::shelf::Shelf;

const PLACES: usize = 512;
/// A part with so many addresses is split before it takes another.
const ENOUGH: u16 = 344;
/// Most addresses lie no further than this behind the place where they belong.
const NEAR: usize = 5;

/// An address that has any; count nought: nobody's place.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    address: u32,
    count: u32,
}

#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Part([Tally; PLACES]);

const EMPTY: Part = Part(
    [Tally {
        address: 0,
        count: 0,
    }; PLACES],
);

/// What a part is besides its places.
#[derive(Debug, Clone, Copy, Default)]
struct Extent {
    /// By how many bits of the hash its addresses are alike.
    depth: Depth,
    length: u16,
}

/// The counts.
#[derive(Debug)]
pub(super) struct Tallies {
    hash: TupleHash,
    directory: Directory,
    parts: Shelf<Part, 4>,
    extents: Vec<Extent>,
    /// What found no place though the part could not be split.
    spilt: GrowingMap<u32, u32>,
    length: usize,
}

fn home_of(hash: u64) -> usize {
    hash as usize % PLACES
}

impl Part {
    /// The place of an address; else the first that is nobody's, if there is one.
    #[inline]
    fn find(&self, hash: u64, address: u32) -> Result<usize, Option<usize>> {
        let home = home_of(hash);
        for step in 0..PLACES {
            let place = (home + step) % PLACES;
            match self.0.get(place) {
                Some(Tally { count: 0, .. }) | None => return Err(Some(place)),
                Some(own) if own.address == address => return Ok(place),
                Some(_) => {}
            }
        }
        Err(None)
    }

    /// Empties a place, and moves those up that would not be found any more.
    fn vacate(&mut self, mut place: usize, home_of: impl Fn(u32) -> usize) {
        let mut next = place;
        for _ in 1..PLACES {
            next = (next + 1) % PLACES;
            let Some(own) = self.0.get(next).copied().filter(|own| own.count > 0) else {
                break;
            };
            // How far it is from where it belongs, and from the empty place.
            let distance = |from: usize| (next + PLACES - from) % PLACES;
            if distance(home_of(own.address)) >= distance(place) {
                self.set(place, own);
                place = next;
            }
        }
        self.set(place, Tally::default());
    }

    fn add(&mut self, place: usize) {
        if let Some(own) = self.0.get_mut(place) {
            own.count += 1;
        }
    }

    fn set(&mut self, place: usize, tally: Tally) {
        if let Some(own) = self.0.get_mut(place) {
            *own = tally;
        }
    }
}

impl Tallies {
    pub(super) fn new(hash: TupleHash) -> Self {
        Self {
            hash,
            directory: Directory::new(),
            parts: Shelf::new(),
            extents: Vec::new(),
            spilt: GrowingMap::new(hash),
            length: 0,
        }
    }

    /// How many addresses have any.
    pub(super) fn len(&self) -> usize {
        self.length + self.spilt.len()
    }

    /// How many an address has.
    pub(super) fn of(&self, address: u32) -> u32 {
        let hash = self.hash.hash_one(address);
        let part = self.parts.get(self.directory.part_of(hash));
        let place = part.and_then(|part| part.0.get(part.find(hash, address).ok()?));
        let spilt = || self.spilt.get(&address).copied();
        place.map_or_else(|| spilt().unwrap_or_default(), |own| own.count)
    }

    /// Has the place brought near where an address is, or will be.
    #[inline]
    pub(super) fn fetch(&self, address: u32) {
        let hash = self.hash.hash_one(address);
        if let Some(part) = self.parts.get(self.directory.part_of(hash)) {
            let home = home_of(hash);
            // Most lie so near to where they belong; often that is the same cache line.
            for place in [home, (home + NEAR) % PLACES] {
                if let Some(place) = part.0.get(place) {
                    prefetch(place);
                }
            }
        }
    }

    /// An address has one more.
    pub(super) fn add(&mut self, address: u32) {
        let hash = self.hash.hash_one(address);
        let number = self.directory.part_of(hash);
        let is_full = self.is_to_split(number);
        if let (Some(part), Some(extent)) =
            (self.parts.get_mut(number), self.extents.get_mut(number))
        {
            match part.find(hash, address) {
                Ok(place) => return part.add(place),
                Err(Some(place)) if !is_full && self.spilt.is_empty() => {
                    part.set(place, Tally { address, count: 1 });
                    extent.length += 1;
                    self.length += 1;
                    return;
                }
                Err(_) => {}
            }
        }
        self.add_further(hash, address);
    }

    /// The same where the part has no room, or somebody found none before.
    #[cold]
    #[inline(never)]
    fn add_further(&mut self, hash: u64, address: u32) {
        if let Some(count) = self.spilt.get_mut(&address) {
            *count += 1;
            return;
        }
        if self.extents.is_empty() {
            self.parts.push(EMPTY);
            self.extents.push(Extent::default());
        }
        let mut part = self.directory.part_of(hash);
        while self.is_to_split(part) {
            self.split(part, hash);
            part = self.directory.part_of(hash);
        }
        self.put(part, hash, Tally { address, count: 1 });
    }

    /// An address has one less.
    pub(super) fn take(&mut self, address: u32) {
        let hash = self.hash.hash_one(address);
        let number = self.directory.part_of(hash);
        let (Some(part), Some(extent)) = (self.parts.get_mut(number), self.extents.get_mut(number))
        else {
            debug_assert!(false, "more was given back than was taken");
            return;
        };
        let Ok(place) = part.find(hash, address) else {
            take(&mut self.spilt, &address);
            return;
        };
        if let Some(own) = part.0.get_mut(place)
            && own.count > 1
        {
            own.count -= 1;
            return;
        }
        part.vacate(place, |address| home_of(self.hash.hash_one(address)));
        extent.length -= 1;
        self.length -= 1;
    }

    /// Puts what is not there into its part.
    fn put(&mut self, part: usize, hash: u64, tally: Tally) {
        let (Some(places), Some(extent)) = (self.parts.get_mut(part), self.extents.get_mut(part))
        else {
            return;
        };
        match places.find(hash, tally.address) {
            Ok(place) | Err(Some(place)) => {
                places.set(place, tally);
                extent.length += 1;
                self.length += 1;
            }
            Err(None) => {
                self.spilt.insert(tally.address, tally.count);
            }
        }
    }

    fn is_to_split(&self, part: usize) -> bool {
        self.extents.get(part).is_some_and(|extent| {
            extent.length >= ENOUGH && Directory::may_divide(extent.depth, self.extents.len())
        })
    }

    /// Makes two of the part that this hash belongs to, by the next bit of the hash.
    #[cold]
    #[inline(never)]
    fn split(&mut self, part: usize, hash: u64) {
        let (Some(places), Some(extent)) = (self.parts.get_mut(part), self.extents.get_mut(part))
        else {
            return;
        };
        let old = std::mem::replace(places, EMPTY);
        let depth = extent.depth.further();
        extent.depth = depth;
        self.length -= usize::from(std::mem::take(&mut extent.length));
        let extent = *extent;
        let other = self.parts.push(EMPTY);
        self.extents.push(extent);
        self.directory.divide(hash, depth, other);
        for tally in old.0.iter().filter(|tally| tally.count > 0) {
            let hash = self.hash.hash_one(tally.address);
            let own = if depth.is_upper(hash) { other } else { part };
            self.put(own, hash, *tally);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn tallies() -> Tallies {
        Tallies::new(TupleHash::from_seed(1))
    }

    /// Addresses that no number of bits of the hash tells apart, as far as parts go.
    fn alike(count: usize) -> Vec<u32> {
        let hash = TupleHash::from_seed(1);
        let is_alike = |address: &u32| hash.hash_one(*address) >> 55 == 0;
        (0..u32::MAX).filter(is_alike).take(count).collect()
    }

    #[test]
    fn a_hundred_thousand_come_and_go() {
        let mut tallies = tallies();
        (0..100_000).for_each(|address| tallies.add(address));
        (0..100_000)
            .step_by(3)
            .for_each(|address| tallies.add(address));
        assert_eq!(tallies.len(), 100_000);
        let longest = tallies.extents.iter().map(|extent| extent.length).max();
        assert!(longest.unwrap() <= ENOUGH);
        for address in 0..110_000 {
            let count =
                u32::from(address < 100_000) + u32::from(address < 100_000 && address % 3 == 0);
            assert_eq!(tallies.of(address), count, "{address}");
        }
        (0..100_000).for_each(|address| tallies.take(address));
        assert_eq!(tallies.len(), 100_000usize.div_ceil(3));
        (0..100_000)
            .step_by(3)
            .for_each(|address| tallies.take(address));
        assert_eq!((tallies.len(), tallies.of(3)), (0, 0));
    }

    #[test]
    fn nobody_is_lost_where_hashes_are_alike() {
        let mut tallies = tallies();
        let addresses = alike(700);
        addresses.iter().for_each(|address| tallies.add(*address));
        assert!(!tallies.spilt.is_empty(), "more than a part holds");
        assert!(
            tallies.directory.len() <= 1 << 12,
            "the directory stays small"
        );
        for address in &addresses {
            tallies.add(*address);
            assert_eq!(tallies.of(*address), 2);
        }
        assert_eq!(tallies.len(), 700);
        for address in addresses.iter().chain(&addresses) {
            tallies.take(*address);
        }
        assert_eq!(tallies.len(), 0);
    }

    proptest! {
        #[test]
        fn they_are_a_map(
            steps in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..3_000),
        ) {
            // Some whose hashes are alike, so that they stand in each other's way.
            let addresses: Vec<u32> = (0..60).chain(alike(40)).collect();
            let mut tallies = tallies();
            let mut model: BTreeMap<u32, u32> = BTreeMap::new();
            for (place, more) in steps {
                let address = *place.get(&addresses);
                let count = model.entry(address).or_default();
                if more {
                    *count += 1;
                    tallies.add(address);
                } else if *count > 0 {
                    *count -= 1;
                    tallies.take(address);
                }
                model.retain(|_, count| *count > 0);
                prop_assert_eq!(tallies.len(), model.len());
            }
            for address in addresses {
                let count = model.get(&address).copied().unwrap_or_default();
                prop_assert_eq!(tallies.of(address), count);
            }
        }
    }
}
