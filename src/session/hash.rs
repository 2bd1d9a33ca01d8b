//! The keyed hashes of the engine, whose key nobody outside knows, so that nobody can
//! choose tuples that collide, or foretell which port is drawn.
//!
//! Tables hash by a polynomial modulo 2^61 - 1 (Carter and Wegman, "Universal classes of
//! hash functions", 1979): one multiplication for each word, and no two keys of so many
//! words collide more often than one in 2^60 for each word. Choices that are to look
//! random are drawn by SipHash-1-3: who sees some of them learns nothing of the others.

use std::hash::{BuildHasher, Hash, Hasher};

use siphasher::sip::SipHasher13;

/// The modulus: a Mersenne prime.
const PRIME: u64 = (1 << 61) - 1;

/// The hash functions of an engine, with their key.
#[derive(Debug, Clone, Copy)]
pub struct TupleHash {
    key: (u64, u64),
    /// The hash function of the tables before it has taken anything.
    table: TableHasher,
}

impl TupleHash {
    /// The hash functions of an engine with this seed.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        // Two keys from one seed: the halves must differ, no more.
        let key = (seed, seed.rotate_left(32) ^ 0x9e37_79b9_7f4a_7c15);
        // Any number but nought and one, and well away from small ones.
        let base = (mixed(key.0 ^ key.1.rotate_left(17)) % (PRIME >> 1)) + (PRIME >> 2);
        let table = TableHasher {
            base,
            last: mixed(key.1) | 1,
            // Not nought: words of nought in front count, too.
            sum: 1,
        };
        Self { key, table }
    }

    /// A number that looks random to whoever does not know the key, and is always the
    /// same for this value.
    #[must_use]
    pub fn of<T: Hash>(&self, value: &T) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.key.0, self.key.1);
        value.hash(&mut hasher);
        hasher.finish()
    }
}

impl BuildHasher for TupleHash {
    type Hasher = TableHasher;

    #[inline]
    fn build_hasher(&self) -> TableHasher {
        self.table
    }
}

/// The hash function of the tables.
#[derive(Debug, Clone, Copy)]
pub struct TableHasher {
    base: u64,
    last: u64,
    /// Less than the prime.
    sum: u64,
}

impl TableHasher {
    /// Takes a word of less than 2^60.
    #[inline]
    fn take(&mut self, word: u64) {
        // Both are less than 2^62, so that the product is less than 2^123.
        let product = u128::from(self.sum + word) * u128::from(self.base);
        // Its lowest 61 bits, and those above.
        let low = product as u64 & PRIME;
        let high = (product >> 61) as u64;
        let sum = low + (high & PRIME) + (high >> 61);
        self.sum = if sum >= PRIME { sum - PRIME } else { sum };
    }
}

impl Hasher for TableHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<4>();
        for word in words {
            self.take(u64::from(u32::from_ne_bytes(*word)));
        }
        if !rest.is_empty() {
            let mut last = [0; 4];
            for (place, octet) in last.iter_mut().zip(rest) {
                *place = *octet;
            }
            // With its length, lest what ends in nought is what ends sooner.
            let length = bytes.len() as u64 % 4 + 1;
            self.take(u64::from(u32::from_ne_bytes(last)) | length << 32);
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.take(u64::from(number));
    }

    fn write_u16(&mut self, number: u16) {
        self.take(u64::from(number));
    }

    fn write_u32(&mut self, number: u32) {
        self.take(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.take(number >> 32);
        self.take(number & 0xffff_ffff);
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn write_isize(&mut self, number: isize) {
        // The number of an enum's variant: small.
        match u32::try_from(number) {
            Ok(number) => self.write_u32(number),
            Err(_) => self.write_u64(number.cast_unsigned() as u64),
        }
    }

    fn finish(&self) -> u64 {
        mixed(self.sum.wrapping_mul(self.last))
    }
}

/// Every bit in every place.
#[inline]
fn mixed(mut bits: u64) -> u64 {
    bits ^= bits >> 32;
    bits = bits.wrapping_mul(0xd6e8_feb8_6659_fd93);
    bits ^= bits >> 32;
    bits = bits.wrapping_mul(0xd6e8_feb8_6659_fd93);
    bits ^ bits >> 32
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_and_ports_in_a_row_do_not_collide() {
        let hash = TupleHash::from_seed(7);
        let mut seen = HashSet::new();
        let mut low = [0u32; 128];
        for client in 0..512u32 {
            for port in 0..128u16 {
                let address = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + client));
                let hashed = hash.hash_one((6u8, address, port));
                assert!(seen.insert(hashed));
                low[hashed as usize % 128] += 1;
            }
        }
        // 512 expected in each; chance is within 6 times its deviation of 23.
        assert!(
            low.iter().all(|count| (374..650).contains(count)),
            "{low:?}"
        );
    }

    proptest! {
        #[test]
        fn what_differs_hashes_differently(
            one: (u8, u16, u32, u64, Vec<u8>, [u8; 16], bool),
            other: (u8, u16, u32, u64, Vec<u8>, [u8; 16], bool),
            seed: u64,
        ) {
            let hash = TupleHash::from_seed(seed);
            let value = |all: &(u8, u16, u32, u64, Vec<u8>, [u8; 16], bool)| {
                let address = if all.6 { IpAddr::V6(Ipv6Addr::from(all.5)) } else {
                    IpAddr::V4(Ipv4Addr::from_bits(all.2))
                };
                hash.hash_one((all.0, all.1, all.3, &all.4, address))
            };
            prop_assert_eq!(value(&one), value(&one.clone()));
            if (one.0, one.1, one.3, &one.4) != (other.0, other.1, other.3, &other.4) {
                prop_assert_ne!(value(&one), value(&other));
            }
        }

        #[test]
        fn sums_stay_below_the_prime(words in prop::collection::vec(any::<u64>(), 0..40), seed: u64) {
            let mut hasher = TupleHash::from_seed(seed).build_hasher();
            for word in words {
                hasher.write_u64(word);
                prop_assert!(hasher.sum < PRIME);
            }
        }
    }
}
