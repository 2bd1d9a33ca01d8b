//! The hash function of what is a keyed hash already.

use std::hash::{BuildHasher, Hasher};

/// What is a keyed hash already.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct AsItIs;

/// The same, with what it has taken.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Taken(u64);

impl BuildHasher for AsItIs {
    type Hasher = Taken;

    fn build_hasher(&self) -> Taken {
        Taken(0)
    }
}

impl Hasher for Taken {
    fn write(&mut self, bytes: &[u8]) {
        // Not asked for: hashes are numbers.
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
