//! A hash map that grows by parts: nobody waits while a large one doubles.
//!
//! ```text
//! hash:  | tag | which part: as many bits as it takes | ... | place in the part |
//!
//! directory --> part: a small hash table
//! ```
//!
//! A part that is full is split in two (see [`Directory`]): what one call may cost is
//! bounded by the length of a part, however many there are. Memory is that of one table
//! with as many entries: all parts fill alike.

use std::hash::{BuildHasher, Hash};

use hashbrown::HashTable;

use super::directory::{Depth, Directory};
use super::hash::TupleHash;

/// A part with so many entries is split before it takes another: seven eighths of
/// 512, which is what its table has room for.
const ENOUGH: usize = 448;
/// The table of a part tells its entries apart by the highest seven bits of the hash
/// and by its lowest ones; parts are told apart by those between.
const TAG: u32 = 7;

#[derive(Debug)]
struct Part<K, V> {
    entries: HashTable<(K, V)>,
    /// By how many bits of the hash its entries are alike.
    depth: Depth,
}

/// A hash map that grows by parts.
#[derive(Debug)]
pub(crate) struct GrowingMap<K, V> {
    hash: TupleHash,
    directory: Directory,
    parts: Vec<Part<K, V>>,
    length: usize,
}

impl<K: Hash + Eq, V> GrowingMap<K, V> {
    pub(crate) fn new(hash: TupleHash) -> Self {
        Self {
            hash,
            directory: Directory::new(),
            parts: Vec::new(),
            length: 0,
        }
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Whether there is none.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// All values, in no order that anybody may see.
    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        let entries = self.parts.iter().flat_map(|part| &part.entries);
        entries.map(|(_, value)| value)
    }

    /// The value of this key.
    #[inline]
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        if self.is_empty() {
            return None; // the common case of many maps costs no hash
        }
        let hash = self.hash.hash_one(key);
        let part = self.parts.get(self.part_of(hash))?;
        let entry = part.entries.find(hash, |(own, _)| own == key)?;
        Some(&entry.1)
    }

    /// The value of this key, to be changed.
    #[inline]
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        if self.is_empty() {
            return None;
        }
        let hash = self.hash.hash_one(key);
        let part = self.part_of(hash);
        let part = self.parts.get_mut(part)?;
        let entry = part.entries.find_mut(hash, |(own, _)| own == key)?;
        Some(&mut entry.1)
    }

    /// Whether there is one of this key.
    pub(crate) fn contains_key(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    /// Changes the value of this key, which is made first where there is none; gives
    /// what `change` gives.
    #[inline]
    pub(crate) fn change<R>(
        &mut self,
        key: K,
        make: impl FnOnce() -> V,
        change: impl FnOnce(&mut V) -> R,
    ) -> R {
        let hash = self.hash.hash_one(&key);
        let part = self.part_of(hash);
        if let Some(part) = self.parts.get_mut(part)
            && let Some((_, value)) = part.entries.find_mut(hash, |(own, _)| *own == key)
        {
            return change(value);
        }
        let mut value = make();
        let given = change(&mut value);
        self.add(hash, key, value);
        given
    }

    /// Gives this key a value; gives the one that it had.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let hash = self.hash.hash_one(&key);
        let part = self.part_of(hash);
        if let Some(part) = self.parts.get_mut(part)
            && let Some((_, own)) = part.entries.find_mut(hash, |(own, _)| *own == key)
        {
            return Some(std::mem::replace(own, value));
        }
        self.add(hash, key, value);
        None
    }

    /// Takes out the value of this key.
    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        self.remove_if(key, |_| true)
    }

    /// Takes out the value of this key if it `goes`, which may change it.
    #[inline]
    pub(crate) fn remove_if(&mut self, key: &K, goes: impl FnOnce(&mut V) -> bool) -> Option<V> {
        if self.is_empty() {
            return None;
        }
        let hash = self.hash.hash_one(key);
        let part = self.part_of(hash);
        let part = self.parts.get_mut(part)?;
        let mut found = part.entries.find_entry(hash, |(own, _)| own == key).ok()?;
        if !goes(&mut found.get_mut().1) {
            return None;
        }
        self.length -= 1;
        let ((_, value), _) = found.remove();
        Some(value)
    }

    #[inline]
    fn part_of(&self, hash: u64) -> usize {
        self.directory.part_of(hash << TAG)
    }

    /// Adds an entry that is not there.
    fn add(&mut self, hash: u64, key: K, value: V) {
        if self.parts.is_empty() {
            self.parts.push(Part {
                entries: HashTable::new(),
                depth: Depth::default(),
            });
        }
        let mut part = self.part_of(hash);
        while self.is_to_split(part) {
            self.split(part, hash);
            part = self.part_of(hash);
        }
        let function = self.hash;
        if let Some(part) = self.parts.get_mut(part) {
            let entries = &mut part.entries;
            entries.insert_unique(hash, (key, value), |(own, _)| function.hash_one(own));
            self.length += 1;
        }
    }

    fn is_to_split(&self, part: usize) -> bool {
        self.parts.get(part).is_some_and(|part| {
            part.entries.len() >= ENOUGH && Directory::may_divide(part.depth, self.parts.len())
        })
    }

    /// Makes two of the part that this hash belongs to, by the next bit of the hash.
    #[cold]
    #[inline(never)]
    fn split(&mut self, part: usize, hash: u64) {
        let number = self.parts.len();
        let Some(own) = self.parts.get_mut(part) else {
            return;
        };
        let depth = own.depth.further();
        let room = own.entries.len().min(ENOUGH);
        let mut halves = [
            HashTable::with_capacity(room),
            HashTable::with_capacity(room),
        ];
        for (key, value) in std::mem::take(&mut own.entries) {
            let hash = self.hash.hash_one(&key);
            let [lower, upper] = &mut halves;
            let half = match depth.is_upper(hash << TAG) {
                false => lower,
                true => upper,
            };
            half.insert_unique(hash, (key, value), |(own, _)| self.hash.hash_one(own));
        }
        let [lower, upper] = halves;
        (own.entries, own.depth) = (lower, depth);
        self.parts.push(Part {
            entries: upper,
            depth,
        });
        self.directory.divide(hash << TAG, depth, number);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::BTreeMap;
    use std::hash::Hasher;

    use proptest::prelude::*;

    use super::*;

    thread_local! {
        static HASHED: Cell<usize> = const { Cell::new(0) };
    }

    /// A key that counts how often any is hashed, by as many of its bits as it says.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    struct Counting {
        number: u32,
        mask: u32,
    }

    impl Hash for Counting {
        fn hash<H: Hasher>(&self, state: &mut H) {
            HASHED.set(HASHED.get() + 1);
            state.write_u32(self.number & self.mask);
        }
    }

    fn map() -> GrowingMap<Counting, u32> {
        GrowingMap::new(TupleHash::from_seed(1))
    }

    fn key(number: u32) -> Counting {
        Counting {
            number,
            mask: u32::MAX,
        }
    }

    #[test]
    fn no_call_moves_more_than_a_part() {
        let mut map = map();
        let mut most = 0;
        for number in 0..200_000 {
            let before = HASHED.get();
            map.insert(key(number), number);
            most = most.max(HASHED.get() - before);
        }
        assert!(most <= 3 * ENOUGH, "{most} were hashed in one call");
        let longest = map.parts.iter().map(|part| part.entries.len()).max();
        assert!(longest.unwrap() <= ENOUGH);
        assert!((0..200_000).all(|number| map.get(&key(number)) == Some(&number)));
        let room: usize = map.parts.iter().map(|part| part.entries.capacity()).sum();
        assert!(room < 200_000 * 3, "room for {room}");
    }

    #[test]
    fn nobody_is_lost_where_all_hashes_are_alike() {
        let mut map = map();
        let key = |number| Counting { number, mask: 1 };
        for number in 0..5_000 {
            map.insert(key(number), number);
        }
        assert!((0..5_000).all(|number| map.get(&key(number)) == Some(&number)));
        assert!(map.directory.len() <= 1 << 12, "the directory stays small");
        for number in 0..5_000 {
            assert_eq!(map.remove(&key(number)), Some(number));
        }
        assert!(map.is_empty());
    }

    #[derive(Debug, Clone)]
    enum Step {
        Insert(u32, u32),
        Remove(u32),
        CountUp(u32),
        CountDown(u32),
    }

    fn step() -> impl Strategy<Value = Step> {
        let number = 0u32..2_000;
        prop_oneof![
            4 => (number.clone(), 1..9u32).prop_map(|(key, value)| Step::Insert(key, value)),
            2 => number.clone().prop_map(Step::Remove),
            3 => number.clone().prop_map(Step::CountUp),
            2 => number.prop_map(Step::CountDown),
        ]
    }

    proptest! {
        #[test]
        fn it_is_a_map(steps in prop::collection::vec(step(), 0..6_000), bits in 1u32..32) {
            let mut map = map();
            let mut model = BTreeMap::new();
            let mask = u32::MAX >> (32 - bits);
            for step in steps {
                match step {
                    Step::Insert(number, value) => {
                        let key = Counting { number, mask };
                        prop_assert_eq!(map.insert(key, value), model.insert(number, value));
                    }
                    Step::Remove(number) => {
                        let key = Counting { number, mask };
                        prop_assert_eq!(map.remove(&key), model.remove(&number));
                    }
                    Step::CountUp(number) => {
                        let count = |count: &mut u32| {
                            *count += 1;
                            *count
                        };
                        let key = Counting { number, mask };
                        let own = map.change(key, || 0, count);
                        prop_assert_eq!(own, count(model.entry(number).or_insert(0)));
                    }
                    Step::CountDown(number) => {
                        let goes = |count: &mut u32| {
                            *count -= 1;
                            *count == 0
                        };
                        let key = Counting { number, mask };
                        let own = map.remove_if(&key, goes);
                        let gone = model.get_mut(&number).is_some_and(goes);
                        prop_assert_eq!(own, gone.then(|| model.remove(&number)).flatten());
                    }
                }
                prop_assert_eq!(map.len(), model.len());
            }
            for number in 0..2_000 {
                let key = Counting { number, mask };
                prop_assert_eq!(map.get(&key), model.get(&number));
                prop_assert_eq!(map.contains_key(&key), model.contains_key(&number));
                prop_assert_eq!(map.get_mut(&key).copied(), model.get(&number).copied());
            }
            let mut values: Vec<_> = map.values().copied().collect();
            let mut wanted: Vec<_> = model.values().copied().collect();
            values.sort_unstable();
            wanted.sort_unstable();
            prop_assert_eq!(values, wanted);
        }
    }
}
