//! A tuple in the fewest octets, and its keyed hash.
//!
//! The hash is NH (Black, Halevi, Krawczyk, Krovetz and Rogaway, "UMAC: fast and secure
//! message authentication", 1999) over words of 64 bits, and its 128 bits come to 64 by
//! two more secret numbers. Whoever does not know the numbers finds no two tuples that
//! collide more often than chance has it, for the price of three multiplications. What
//! comes out is mixed once more, so that tuples in a row do not fall into places in a row.

use crate::net::{Protocol, Tuple};
use crate::packet::{Addresses, Leaving, Plain};

/// A tuple, packed: as its octets stand in a packet, the first of each number the lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) addresses: Addresses,
    /// The source port in the lower half.
    pub(crate) ports: u32,
    pub(crate) protocol: u8,
}

impl Key {
    #[inline]
    pub(crate) fn of(tuple: &Tuple) -> Self {
        let Leaving { addresses, ports } = Leaving::of(tuple);
        Self {
            addresses,
            ports,
            protocol: tuple.protocol.0,
        }
    }

    /// The key of the answers to packets that leave like this.
    pub(crate) fn of_answers(leaves: &Tuple) -> Self {
        if leaves.protocol.is_icmp() {
            return Self::of(&leaves.reversed());
        }
        let own = Self::of(leaves);
        Self {
            addresses: own.addresses.reversed(),
            ports: own.ports.rotate_left(16),
            ..own
        }
    }

    /// That of a packet.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: docs/performance.md")]
    pub(crate) fn of_plain(plain: &Plain, frame: &[u8]) -> Option<Self> {
        Some(Self {
            addresses: plain.addresses(frame)?,
            ports: plain.ports,
            protocol: plain.protocol.0,
        })
    }

    /// The tuple that it was made of.
    pub(crate) fn tuple(&self) -> Tuple {
        let Self {
            addresses, ports, ..
        } = *self;
        Leaving { addresses, ports }.tuple(Protocol(self.protocol))
    }
}

/// The keyed hash function of the index.
#[derive(Debug, Clone, Copy)]
pub struct KeyHash {
    secrets: [u64; 8],
}

impl KeyHash {
    /// The hash function of an engine with this seed.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        let mut state = seed;
        Self {
            secrets: std::array::from_fn(|_| split_mix(&mut state)),
        }
    }

    /// The hash of a tuple.
    #[must_use]
    pub fn of_tuple(&self, tuple: &Tuple) -> u64 {
        self.of(&Key::of(tuple))
    }

    #[inline]
    pub(crate) fn of(&self, key: &Key) -> u64 {
        let rest = u64::from(key.ports) << 8 | u64::from(key.protocol);
        match key.addresses {
            Addresses::V4(addresses) => {
                let [first, second, .., upper, lower] = self.secrets;
                mixed(times(addresses, first, rest, second), upper, lower)
            }
            Addresses::V6(words) => self.of_wide(words, rest),
        }
    }

    fn of_wide(&self, [s0, s1, d0, d1]: [u64; 4], rest: u64) -> u64 {
        let [a, b, c, d, e, f, upper, lower] = self.secrets;
        let sum = times(s0, a, s1, b)
            .wrapping_add(times(d0, c, d1, d))
            .wrapping_add(times(rest, e, 0, f));
        mixed(sum, upper, lower)
    }
}

/// Two words, each with its secret number added.
#[inline]
fn times(one: u64, secret: u64, other: u64, another: u64) -> u128 {
    u128::from(one.wrapping_add(secret)) * u128::from(other.wrapping_add(another))
}

/// 64 bits of it, every bit in every place.
#[inline]
fn mixed(product: u128, upper: u64, lower: u64) -> u64 {
    // The two halves.
    let (above, below) = ((product >> 64) as u64, product as u64);
    // The higher a bit, the better: the lower ones get something of those.
    let bits = (above.wrapping_mul(upper | 1)).wrapping_add(below.wrapping_mul(lower | 1));
    bits ^ bits >> 32
}

/// Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut bits = *state;
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;
    use crate::net::{Endpoint, Port};

    fn tuple(source: IpAddr, destination: IpAddr, ports: (u16, u16), protocol: u8) -> Tuple {
        Tuple::new(
            Protocol(protocol),
            Endpoint::new(source, Port(ports.0)),
            Endpoint::new(destination, Port(ports.1)),
        )
    }

    proptest! {
        #[test]
        fn a_key_is_its_tuple_and_hashes_alike(
            v4: (Ipv4Addr, Ipv4Addr),
            v6: (Ipv6Addr, Ipv6Addr),
            ports: (u16, u16),
            protocol: u8,
            seed: u64,
        ) {
            let hash = KeyHash::from_seed(seed);
            for tuple in [
                tuple(v4.0.into(), v4.1.into(), ports, protocol),
                tuple(v6.0.into(), v6.1.into(), ports, protocol),
            ] {
                let key = Key::of(&tuple);
                prop_assert_eq!(key.tuple(), tuple);
                prop_assert_eq!(hash.of(&key), hash.of(&Key::of(&tuple)));
                prop_assert_eq!(Key::of_answers(&tuple), Key::of(&tuple.reversed()));
                for protocol in [Protocol::ICMP, Protocol::ICMPV6] {
                    let query = Tuple { protocol, ..tuple };
                    prop_assert_eq!(Key::of_answers(&query), Key::of(&query.reversed()));
                }
            }
        }
    }

    #[test]
    fn neighbours_are_spread_over_all_places() {
        // Clients in a row, ports in a row: every 256th part, by either end of the
        // hash, gets about as many as the others.
        let hash = KeyHash::from_seed(7);
        let mut parts = [[0u32; 256]; 2];
        for client in 0..256u32 {
            for port in 0..256u16 {
                let key = Key::of(&tuple(
                    Ipv4Addr::from_bits(0x0a00_0000 + client).into(),
                    Ipv4Addr::from_bits(0xc633_6409).into(),
                    (40_000 + port, 443),
                    6,
                ));
                let [first, .., last] = hash.of(&key).to_be_bytes();
                parts[0][usize::from(first)] += 1;
                parts[1][usize::from(last)] += 1;
            }
        }
        // 256 expected; chance is within 6 times its deviation of 16.
        assert!(
            parts
                .iter()
                .flatten()
                .all(|count| (160..352).contains(count)),
            "{parts:?}"
        );
    }
}
