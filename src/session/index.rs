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
//! [`Directory`]): that is all that growing costs, however many there are. An entry keeps
//! the bits of its hash by which it will be told apart then, so that most of them move
//! without a look at their sessions.

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
/// A segment in which so many of one tag lie one behind the other is split, too: chance
/// brings no such crowd about, and to whoever is in it all others have to be asked about.
const CROWD: u32 = 16;
/// While a segment is split, so many buckets ahead of the one whose entries move.
const AHEAD: usize = 3;
/// Bits of an entry's hash that are kept with it: those by which its segment will be split
/// next.
const KEPT: u32 = 5;
/// Bits of a slot's number: twice as many as there may be sessions.
const SLOT: u32 = 25;

/// So many sessions have room in the index.
pub(super) const MOST: usize = 1 << SLOT;

/// One of a session's two entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) slot: u32,
    pub(super) direction: Direction,
}

/// An entry as a bucket has it.
///
/// ```text
/// | slot: 25 bits | direction | whether it went beyond its bucket | 5 bits of the hash |
/// ```
#[derive(Debug, Clone, Copy, Default)]
struct Packed(u32);

impl Packed {
    const BEYOND: u32 = 1 << KEPT;
    const REPLY: u32 = Self::BEYOND << 1;

    fn of(entry: Entry) -> Self {
        debug_assert!(
            (entry.slot as usize) < MOST,
            "a table has no room for so many"
        );
        let way = match entry.direction {
            Direction::Original => 0,
            Direction::Reply => Self::REPLY,
        };
        Self(entry.slot << (u32::BITS - SLOT) | way)
    }

    /// The same with the bits of its hash that tell it apart where a segment of this depth
    /// is split, and after that.
    fn keeping(self, hash: u64, depth: Depth) -> Self {
        // The bits before those are shifted out, and all behind them.
        let bits = hash << (depth.bits() / KEPT * KEPT) >> (u64::BITS - KEPT);
        Self(self.0 & !(Self::BEYOND - 1) | bits as u32)
    }

    /// Which of the two parts of this depth it belongs to. `None`: what was kept of its hash
    /// does not say.
    fn is_upper(self, depth: Depth) -> Option<bool> {
        let kept = depth.bits() % KEPT;
        // The first bit decided last time, and so on.
        (kept != 0).then(|| self.0 >> (KEPT - kept) & 1 == 1)
    }

    fn gone_beyond(self) -> Self {
        Self(self.0 | Self::BEYOND)
    }

    fn is_beyond(self) -> bool {
        self.0 & Self::BEYOND != 0
    }

    #[inline]
    fn entry(self) -> Entry {
        Entry {
            slot: self.0 >> (u32::BITS - SLOT),
            direction: match self.0 & Self::REPLY {
                0 => Direction::Original,
                _ => Direction::Reply,
            },
        }
    }

    fn is(self, entry: Self) -> bool {
        (self.0 ^ entry.0) < Self::REPLY
    }
}

/// A cache line: tag nought is nobody's.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Bucket {
    /// The tags, and in the last four octets how many entries have gone beyond: so they
    /// are loaded at once.
    head: [u8; HEAD],
    entries: [Packed; WIDTH],
}

const EMPTY: Bucket = Bucket {
    head: [0; HEAD],
    entries: [Packed(0); WIDTH],
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

    /// How many have this tag.
    #[inline]
    fn count_of(&self, tag: u8) -> u32 {
        (same_octets(&self.head, tag) & ((1 << WIDTH) - 1)).count_ones()
    }

    /// The entries that there are, each behind its tag.
    fn used(&self) -> impl Iterator<Item = (u8, Packed)> {
        let used = self.head.iter().zip(&self.entries);
        used.filter(|(tag, _)| **tag != 0)
            .map(|(tag, packed)| (*tag, *packed))
    }

    #[inline]
    fn entry(&self, place: usize) -> Entry {
        let packed = self.entries.get(place).copied();
        packed.unwrap_or_default().entry()
    }

    fn set(&mut self, place: usize, tag: u8, packed: Packed) {
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
// Aligned, so that each is in one cache line.
#[derive(Debug, Default)]
#[repr(align(32))]
struct Extent {
    /// By how many bits of the hash its entries are alike.
    depth: Depth,
    length: u32,
    /// Whether there is a [crowd](CROWD).
    is_crowded: bool,
    /// What found no place though the segment could not be split.
    spilt: Vec<(u64, Packed)>,
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
    fn put(&mut self, buckets: &mut Buckets, hash: u64, packed: Packed) {
        let packed = packed.keeping(hash, self.depth);
        if !self.put_from(buckets, bucket_of(hash), (tag_of(hash), packed)) {
            self.length += 1;
            self.spilt.push((hash, packed));
        }
    }

    /// Puts an entry where it belongs, or behind; false: there is no room.
    #[inline]
    fn put_from(
        &mut self,
        buckets: &mut Buckets,
        first: usize,
        (tag, mut packed): (u8, Packed),
    ) -> bool {
        let mut alike = 0;
        for step in 0..BUCKETS {
            let Some(bucket) = buckets.get_mut((first + step) % BUCKETS) else {
                break;
            };
            alike += bucket.count_of(tag);
            if let Some(place) = bucket.with_tag(0).next() {
                bucket.set(place, tag, packed);
                self.length += 1;
                self.is_crowded |= alike >= CROWD;
                return true;
            }
            bucket.count_beyond(1);
            packed = packed.gone_beyond();
        }
        false
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

    /// Whether nobody has this hash, as far as one look tells.
    #[inline]
    pub(super) fn is_nobodys(&self, hash: u64) -> bool {
        let bucket = self.beginning(hash);
        bucket.is_none_or(|bucket| bucket.beyond() == 0 && bucket.likely(hash).is_none())
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
            .map(|(_, packed)| packed.entry())
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
        self.put(segment, hash, Packed::of(entry));
    }

    fn is_to_split(&self, segment: usize) -> bool {
        self.extents.get(segment).is_some_and(|extent| {
            (extent.length >= ENOUGH || extent.is_crowded)
                && Directory::may_divide(extent.depth, self.extents.len())
        })
    }

    fn put(&mut self, segment: usize, hash: u64, packed: Packed) {
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
        let packed = Packed::of(entry);
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
                .find(|place| bucket.entries.get(*place).is_some_and(|own| own.is(packed)))
        };
        let mut passed = 0;
        let mut found = false;
        for step in 0..BUCKETS {
            let Some(bucket) = buckets.get_mut((first + step) % BUCKETS) else {
                return;
            };
            if let Some(place) = has(bucket) {
                bucket.set(place, 0, Packed::default());
                found = true;
                break;
            }
            passed = step + 1;
            if bucket.beyond() == 0 {
                break;
            }
        }
        if !found && let Some(place) = extent.spilt.iter().position(|own| own.1.is(packed)) {
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
        let half_of = |packed: Packed| match packed.is_beyond() {
            true => None,
            false => packed.is_upper(depth),
        };
        for (place, bucket) in old.iter().enumerate() {
            for (_, later) in old
                .iter()
                .skip(place + AHEAD)
                .take(1)
                .flat_map(Bucket::used)
            {
                if half_of(later).is_none() {
                    fetch(later.entry());
                }
            }
            for (tag, packed) in bucket.used() {
                // Where it stands is where it belongs; a half has room for all of the whole.
                match half_of(packed) {
                    Some(false) => lower.put_from(buckets, place, (tag, packed)),
                    Some(true) => upper.put_from(&mut others, place, (tag, packed)),
                    None => {
                        let hash = hash_of(packed.entry());
                        match depth.is_upper(hash) {
                            false => lower.put(buckets, hash, packed),
                            true => upper.put(&mut others, hash, packed),
                        }
                        true
                    }
                };
            }
        }
        for (hash, packed) in spilt {
            match depth.is_upper(hash) {
                false => lower.put(buckets, hash, packed),
                true => upper.put(&mut others, hash, packed),
            }
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

        fn number(entry: Entry) -> u32 {
            entry.slot * 2 + u32::from(entry.direction == Direction::Reply)
        }

        fn toggle(&mut self, number: u32) {
            let hash = (self.hash)(number);
            match self.model.remove(&number) {
                Some(hash) => self.index.remove(hash, Self::entry(number)),
                None => {
                    self.model.insert(number, hash);
                    let hash_of = |entry: Entry| (self.hash)(Self::number(entry));
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
                let is_there = self.model.contains_key(&number);
                assert_eq!(self.has(number), is_there, "{number}");
                let is_nobodys = self.index.is_nobodys((self.hash)(number));
                assert!(!(is_there && is_nobodys), "{number}");
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
    fn a_crowd_is_parted() {
        // One tag and one bucket, and the rest of the hash as it comes.
        let mut twin = Twin::new(|number| spread(number) & !0x3fff);
        (0..4_000).for_each(|number| twin.toggle(number));
        twin.check(0..4_000);
        let (index, hash) = (&twin.index, &twin.hash);
        let asked = (0..4_000).map(|number| {
            let mut asked = 0;
            index.find(hash(number), |other| {
                asked += 1;
                other == Twin::<fn(u32) -> u64>::entry(number)
            });
            asked
        });
        assert!(asked.max() <= Some(CROWD + 1), "all are asked about");
        assert!(index.extents.len() < 4_000 / 4, "it takes much room");
    }

    #[test]
    fn what_is_kept_of_a_hash_says_which_half() {
        let entry = Entry {
            slot: (1 << SLOT) - 1,
            direction: Direction::Reply,
        };
        let mut depth = Depth::default();
        for _ in 0..30 {
            for hash in (0..64).map(|bit| 1u64 << bit) {
                let packed = Packed::of(entry).keeping(hash, depth);
                assert_eq!(packed.gone_beyond().entry(), entry);
                // Whatever a part of this depth is divided into before more is looked up.
                let mut later = depth.further();
                while let Some(is_upper) = packed.is_upper(later) {
                    assert_eq!(is_upper, later.is_upper(hash), "{hash:x} {later:?}");
                    later = later.further();
                }
                assert_eq!(later.bits() % KEPT, 0);
            }
            depth = depth.further();
        }
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
