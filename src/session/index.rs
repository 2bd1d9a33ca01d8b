//! Where a tuple's session is: buckets of one cache line each, found by the
//! tuple's hash.
//!
//! ```text
//! hash:  | which segment: as many bits as it takes | ...   | bucket | tag |
//!
//! directory --> segment of 64 buckets:  | 12 tags | beyond | 12 entries |  64 octets each
//! ```
//!
//! A look-up compares the twelve tags of a bucket at once, and asks about an entry
//! only where its tag is right. Where a bucket is full, its entries go to the next;
//! it counts how many have gone *beyond*, so that a look-up for what is not there
//! ends where nobody went on. A segment that is nearly full is split in two (see
//! [`Directory`]): that is all that growing costs, however many there are.

use wide::u8x16;

use super::directory::{Depth, Directory};
use super::shelf::Shelf;
use crate::net::Direction;

/// Entries of a bucket.
const WIDTH: usize = 12;
/// Octets before them.
const HEAD: usize = 16;
/// Buckets of a segment.
const BUCKETS: usize = 64;
/// A segment with so many entries is split before it takes another.
const ENOUGH: u32 = 672;
/// While a segment is split, so many buckets ahead of the one whose entries move.
const AHEAD: usize = 3;

/// One of a session's two entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) slot: u32,
    pub(super) direction: Direction,
}

impl Entry {
    fn packed(self) -> u32 {
        // 2^31 sessions would need a third of a terabyte.
        self.slot << 1 | u32::from(self.direction == Direction::Reply)
    }

    #[inline]
    fn unpacked(packed: u32) -> Self {
        Self {
            slot: packed >> 1,
            direction: match packed & 1 {
                0 => Direction::Original,
                _ => Direction::Reply,
            },
        }
    }
}

/// A cache line: tag nought is nobody's.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Bucket {
    /// The tags, and in the last four octets how many entries have gone beyond: so they
    /// are loaded at once.
    head: [u8; HEAD],
    entries: [u32; WIDTH],
}

const EMPTY: Bucket = Bucket {
    head: [0; HEAD],
    entries: [0; WIDTH],
};

impl Bucket {
    /// The first entry here that may be the one of this hash.
    #[inline]
    pub(super) fn likely(&self, hash: u64) -> Option<Entry> {
        let place = self.with_tag(tag_of(hash)).next()?;
        Some(self.entry(place))
    }

    /// The places that have this tag, the first first.
    #[inline]
    fn with_tag(&self, tag: u8) -> impl Iterator<Item = usize> + use<> {
        // The bits of what is no tag say nothing.
        let mut same = same_octets(&self.head, tag);
        std::iter::from_fn(move || {
            let place = same.trailing_zeros() as usize;
            same &= same.wrapping_sub(1);
            (place < WIDTH).then_some(place)
        })
    }

    /// The entries that there are.
    fn used(&self) -> impl Iterator<Item = u32> {
        let used = self.head.iter().zip(self.entries);
        used.filter(|(tag, _)| **tag != 0).map(|(_, packed)| packed)
    }

    #[inline]
    fn entry(&self, place: usize) -> Entry {
        Entry::unpacked(self.entries.get(place).copied().unwrap_or_default())
    }

    fn set(&mut self, place: usize, tag: u8, packed: u32) {
        if let (Some(own), Some(entry)) = (self.head.get_mut(place), self.entries.get_mut(place)) {
            (*own, *entry) = (tag, packed);
        }
    }

    /// How many entries that belong here found no place and went on.
    #[inline]
    fn beyond(&self) -> u32 {
        let [.., a, b, c, d] = self.head;
        u32::from_ne_bytes([a, b, c, d])
    }

    /// One more has gone on, or fewer have.
    fn count_beyond(&mut self, change: i32) {
        let sum = self.beyond().wrapping_add_signed(change);
        let [.., a, b, c, d] = &mut self.head;
        [*a, *b, *c, *d] = sum.to_ne_bytes();
    }
}

/// Which of the octets are this one, a bit each: all are compared at once.
#[inline]
fn same_octets(octets: &[u8; HEAD], octet: u8) -> u32 {
    let same = u8x16::new(*octets).simd_eq(u8x16::splat(octet));
    same.to_bitmask()
}

type Buckets = [Bucket; BUCKETS];

/// What a segment is besides its buckets.
#[derive(Debug, Default)]
struct Extent {
    /// By how many bits of the hash its entries are alike.
    depth: Depth,
    length: u32,
    /// What found no place though the segment could not be split.
    spilt: Vec<(u64, u32)>,
}

/// The index.
#[derive(Debug)]
pub(super) struct Index {
    directory: Directory,
    segments: Shelf<Buckets, 6>,
    extents: Vec<Extent>,
}

impl Extent {
    #[inline]
    fn put(&mut self, buckets: &mut Buckets, hash: u64, packed: u32) {
        self.length += 1;
        for step in 0..BUCKETS {
            let Some(bucket) = buckets.get_mut((bucket_of(hash) + step) % BUCKETS) else {
                return;
            };
            if let Some(place) = bucket.with_tag(0).next() {
                return bucket.set(place, tag_of(hash), packed);
            }
            bucket.count_beyond(1);
        }
        self.spilt.push((hash, packed));
    }
}

#[inline]
fn tag_of(hash: u64) -> u8 {
    let [.., last] = hash.to_be_bytes();
    last.max(1)
}

#[inline]
fn bucket_of(hash: u64) -> usize {
    (hash >> 8) as usize % BUCKETS
}

impl Index {
    pub(super) fn new() -> Self {
        Self {
            directory: Directory::new(),
            segments: Shelf::new(),
            extents: Vec::new(),
        }
    }

    /// The bucket where a search for this hash begins.
    #[inline]
    pub(super) fn beginning(&self, hash: u64) -> Option<&Bucket> {
        self.segments
            .get(self.directory.part_of(hash))?
            .get(bucket_of(hash))
    }

    /// What an entry of this hash will be counted in: what to have at hand early where one
    /// is to be added.
    #[inline]
    pub(super) fn extent_line(&self, hash: u64) -> Option<&impl Sized> {
        self.extents.get(self.directory.part_of(hash))
    }

    /// The entry that has this hash and that `is_it`, if there is one.
    #[inline]
    pub(super) fn find(&self, hash: u64, mut is_it: impl FnMut(Entry) -> bool) -> Option<Entry> {
        let segment = self.directory.part_of(hash);
        let buckets = self.segments.get(segment)?;
        let (tag, first) = (tag_of(hash), bucket_of(hash));
        for step in 0..BUCKETS {
            let bucket = buckets.get((first + step) % BUCKETS)?;
            for place in bucket.with_tag(tag) {
                let entry = bucket.entry(place);
                if is_it(entry) {
                    return Some(entry);
                }
            }
            if bucket.beyond() == 0 {
                return None;
            }
        }
        let spilt = &self.extents.get(segment)?.spilt;
        let alike = spilt.iter().filter(|(other, _)| *other == hash);
        alike
            .map(|(_, packed)| Entry::unpacked(*packed))
            .find(|entry| is_it(*entry))
    }

    /// Adds an entry that is not there. `hash_of` gives the hash of one that is; `fetch`
    /// hears of it some time before.
    pub(super) fn insert(
        &mut self,
        hash: u64,
        entry: Entry,
        hash_of: impl Fn(Entry) -> u64,
        fetch: impl Fn(Entry),
    ) {
        if self.extents.is_empty() {
            self.segments.push([EMPTY; BUCKETS]);
            self.extents.push(Extent::default());
        }
        let mut segment = self.directory.part_of(hash);
        while self.is_to_split(segment) {
            self.split(segment, hash, &hash_of, &fetch);
            segment = self.directory.part_of(hash);
        }
        self.put(segment, hash, entry.packed());
    }

    fn is_to_split(&self, segment: usize) -> bool {
        self.extents.get(segment).is_some_and(|extent| {
            extent.length >= ENOUGH && Directory::may_divide(extent.depth, self.extents.len())
        })
    }

    fn put(&mut self, segment: usize, hash: u64, packed: u32) {
        let (Some(extent), Some(buckets)) = (
            self.extents.get_mut(segment),
            self.segments.get_mut(segment),
        ) else {
            return;
        };
        extent.put(buckets, hash, packed);
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, hash: u64, entry: Entry) {
        let packed = entry.packed();
        let segment = self.directory.part_of(hash);
        let (Some(extent), Some(buckets)) = (
            self.extents.get_mut(segment),
            self.segments.get_mut(segment),
        ) else {
            return;
        };
        let (tag, first) = (tag_of(hash), bucket_of(hash));
        let has = |bucket: &Bucket| {
            bucket
                .with_tag(tag)
                .find(|place| bucket.entries.get(*place) == Some(&packed))
        };
        let mut passed = 0;
        let mut found = false;
        for step in 0..BUCKETS {
            let Some(bucket) = buckets.get_mut((first + step) % BUCKETS) else {
                return;
            };
            if let Some(place) = has(bucket) {
                bucket.set(place, 0, 0);
                found = true;
                break;
            }
            passed = step + 1;
            if bucket.beyond() == 0 {
                break;
            }
        }
        if !found && let Some(place) = extent.spilt.iter().position(|own| *own == (hash, packed)) {
            extent.spilt.swap_remove(place);
            found = true;
        }
        debug_assert!(found, "an entry is gone that was never there");
        if found {
            extent.length -= 1;
            for step in 0..passed {
                if let Some(bucket) = buckets.get_mut((first + step) % BUCKETS) {
                    bucket.count_beyond(-1);
                }
            }
        }
    }

    /// Makes two of the segment that this hash belongs to, by the next bit of the
    /// hash.
    #[cold]
    #[inline(never)]
    fn split(
        &mut self,
        segment: usize,
        hash: u64,
        hash_of: &impl Fn(Entry) -> u64,
        fetch: &impl Fn(Entry),
    ) {
        let (Some(extent), Some(buckets)) = (
            self.extents.get_mut(segment),
            self.segments.get_mut(segment),
        ) else {
            return;
        };
        let depth = extent.depth.further();
        let half = || Extent {
            depth,
            ..Extent::default()
        };
        let (mut lower, mut upper) = (half(), half());
        let old = std::mem::replace(buckets, [EMPTY; BUCKETS]);
        let spilt = std::mem::take(&mut extent.spilt);
        let mut others = [EMPTY; BUCKETS];
        let mut move_to = |hash: u64, packed: u32| match depth.is_upper(hash) {
            false => lower.put(buckets, hash, packed),
            true => upper.put(&mut others, hash, packed),
        };
        for (place, bucket) in old.iter().enumerate() {
            if let Some(later) = old.get(place + AHEAD) {
                later
                    .used()
                    .for_each(|packed| fetch(Entry::unpacked(packed)));
            }
            for packed in bucket.used() {
                move_to(hash_of(Entry::unpacked(packed)), packed);
            }
        }
        for (hash, packed) in spilt {
            move_to(hash, packed);
        }
        *extent = lower;
        let other = self.segments.push(others);
        self.extents.push(upper);
        self.directory.divide(hash, depth, other);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// An index of numbers by a hash of one's choice, beside an obvious one.
    struct Twin<H> {
        index: Index,
        model: HashMap<u32, u64>,
        hash: H,
    }

    impl<H: Fn(u32) -> u64> Twin<H> {
        fn new(hash: H) -> Self {
            Self {
                index: Index::new(),
                model: HashMap::new(),
                hash,
            }
        }

        fn entry(number: u32) -> Entry {
            Entry {
                slot: number / 2,
                direction: [Direction::Original, Direction::Reply][number as usize % 2],
            }
        }

        fn toggle(&mut self, number: u32) {
            let hash = (self.hash)(number);
            match self.model.remove(&number) {
                Some(hash) => self.index.remove(hash, Self::entry(number)),
                None => {
                    self.model.insert(number, hash);
                    let hash_of = |entry: Entry| (self.hash)(entry.packed());
                    self.index
                        .insert(hash, Self::entry(number), hash_of, |_| {});
                }
            }
        }

        fn has(&self, number: u32) -> bool {
            let entry = Self::entry(number);
            let found = self.index.find((self.hash)(number), |other| other == entry);
            found == Some(entry)
        }

        fn check(&self, numbers: impl Iterator<Item = u32>) {
            for number in numbers {
                assert_eq!(
                    self.has(number),
                    self.model.contains_key(&number),
                    "{number}"
                );
            }
            let length: u32 = self.index.extents.iter().map(|extent| extent.length).sum();
            assert_eq!(length as usize, self.model.len());
        }
    }

    fn spread(number: u32) -> u64 {
        u64::from(number)
            .wrapping_add(1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    #[test]
    fn a_hundred_thousand_come_and_go() {
        let mut twin = Twin::new(spread);
        (0..100_000).for_each(|number| twin.toggle(number));
        twin.check(0..120_000);
        (0..100_000)
            .step_by(3)
            .for_each(|number| twin.toggle(number));
        twin.check(0..120_000);
        (0..100_000).for_each(|number| twin.toggle(number));
        (1..100_000)
            .step_by(3)
            .for_each(|number| assert!(!twin.has(number)));
        twin.check(0..120_000);
        let beyond = twin.index.segments.iter().flatten().map(Bucket::beyond);
        assert!(
            beyond.sum::<u32>() < 100_000 / 10,
            "entries lie where they belong"
        );
    }

    #[test]
    fn nobody_is_lost_where_all_hashes_are_alike() {
        let mut twin = Twin::new(|number| u64::from(number % 2));
        (0..5_000).for_each(|number| twin.toggle(number));
        twin.check(0..6_000);
        (0..5_000).for_each(|number| twin.toggle(number));
        twin.check(0..6_000);
        assert!(
            twin.index.directory.len() <= 1 << 20,
            "the directory stays small"
        );
    }

    #[test]
    fn a_bucket_is_a_cache_line() {
        assert_eq!(size_of::<Bucket>(), 64);
    }

    proptest! {
        #[test]
        fn an_index_is_a_map(
            steps in prop::collection::vec(0u32..3_000, 0..6_000),
            // How many of a hash's bits count: few make many collide.
            bits in 1u32..64,
        ) {
            let mask = u64::MAX << (64 - bits) | 0xff;
            let mut twin = Twin::new(move |number| spread(number) & mask);
            steps.iter().for_each(|number| twin.toggle(*number));
            twin.check(0..3_000);
        }
    }
}
