//! The keyed hash of the tables: SipHash-1-3, whose key nobody outside knows,
//! so that nobody can choose tuples that collide.

use std::hash::{BuildHasher, Hash};

use siphasher::sip::SipHasher13;

/// A hash function with its key.
#[derive(Debug, Clone, Copy)]
pub struct TupleHash {
    key: (u64, u64),
}

impl TupleHash {
    /// The hash function of an engine with this seed.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        // Two keys from one seed: the halves must differ, no more.
        Self {
            key: (seed, seed.rotate_left(32) ^ 0x9e37_79b9_7f4a_7c15),
        }
    }

    /// The hash of a value under this key.
    #[must_use]
    pub fn of<T: Hash>(&self, value: &T) -> u64 {
        self.hash_one(value)
    }
}

impl BuildHasher for TupleHash {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.key.0, self.key.1)
    }
}
