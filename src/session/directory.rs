//! Which part of a table a hash belongs to, where the table grows by parts.
//!
//! ```text
//! hash:  | which part: as many bits as it takes | the rest is the part's |
//! ```
//!
//! Extendible hashing (Fagin, Nievergelt, Pippenger and Strong, 1979): a part that is full
//! is divided in two by the next bit of the hash, and the others stay as they are. The
//! directory doubles when a part is told apart by more bits than any before: four octets
//! for each, however much lies in them.

/// Whoever knows the key can choose hashes that no number of bits tells apart: a part is
/// not divided further than this, relative to how many there are.
const SPARSE: u32 = 6;

/// By how many bits of the hash all that lies in a part is alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Depth(u8);

impl Depth {
    /// How many bits those are.
    pub(super) fn bits(self) -> u32 {
        u32::from(self.0)
    }

    /// That of the two parts that a part is divided into.
    pub(super) fn further(self) -> Self {
        Self(self.0 + 1)
    }

    /// Whether a hash belongs to the upper one of the two parts of this depth.
    #[inline]
    pub(super) fn is_upper(self, hash: u64) -> bool {
        hash >> (64 - u32::from(self.0)) & 1 == 1
    }
}

/// The directory of a table.
#[derive(Debug)]
pub(super) struct Directory {
    parts: Vec<u32>,
    /// By how many bits of the hash it goes: one at least, since of none there is no shift.
    depth: Depth,
}

impl Directory {
    /// That of a table with one part, whose number is nought.
    pub(super) fn new() -> Self {
        Self {
            parts: vec![0, 0],
            depth: Depth(1),
        }
    }

    /// The number of the part that a hash belongs to.
    #[inline]
    pub(super) fn part_of(&self, hash: u64) -> usize {
        let place = hash >> (64 - u32::from(self.depth.0));
        self.parts.get(place as usize).copied().unwrap_or_default() as usize
    }

    /// Whether a part of this depth may be divided, where there are so many.
    pub(super) fn may_divide(depth: Depth, parts: usize) -> bool {
        u32::from(depth.0) < parts.checked_ilog2().unwrap_or(0) + SPARSE
    }

    /// The part that this hash belongs to was divided in two of this depth: the lower one
    /// keeps the number, the upper one has this.
    pub(super) fn divide(&mut self, hash: u64, depth: Depth, upper: usize) {
        if depth.0 > self.depth.0 {
            self.parts = self.parts.iter().flat_map(|own| [*own, *own]).collect();
            self.depth = depth;
        }
        // Its places stand together; the upper half of them is the new one's.
        let half = 1usize << (self.depth.0 - depth.0);
        let start = (hash >> (64 - u32::from(depth.0)) | 1) as usize * half;
        if let Some(places) = self.parts.get_mut(start..start + half) {
            places.fill(u32::try_from(upper).unwrap_or(u32::MAX));
        }
    }

    /// How many places it has.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.parts.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Each hash is found in the part that every division has put it in.
        #[test]
        fn divisions_are_found_again(hashes in prop::collection::vec(any::<u64>(), 1..200)) {
            let mut directory = Directory::new();
            let mut parts: Vec<(Depth, Vec<u64>)> = vec![(Depth::default(), Vec::new())];
            for hash in hashes {
                let own = directory.part_of(hash);
                parts[own].1.push(hash);
                let (depth, alike) = parts[own].clone();
                if alike.len() < 4 || !Directory::may_divide(depth, parts.len()) {
                    continue;
                }
                let depth = depth.further();
                let (upper, lower) = alike.iter().partition(|hash| depth.is_upper(**hash));
                parts[own] = (depth, lower);
                directory.divide(hash, depth, parts.len());
                parts.push((depth, upper));
            }
            for (number, (_, alike)) in parts.iter().enumerate() {
                for hash in alike {
                    prop_assert_eq!(directory.part_of(*hash), number);
                }
            }
        }
    }
}
