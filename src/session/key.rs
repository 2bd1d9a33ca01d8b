//! A tuple in the fewest octets, and its keyed hash.
//!
//! The hash is NH (Black, Halevi, Krawczyk, Krovetz and Rogaway, "UMAC: fast and secure
//! message authentication", 1999) over words of 64 bits, and its 128 bits come to 64 by
//! two more secret numbers. Whoever does not know the numbers finds no two tuples that
//! collide more often than chance has it, for the price of three multiplications. What
//! comes out is mixed once more, so that tuples in a row do not fall into places in a row.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::net::{Endpoint, Port, Protocol, Tuple};

/// A tuple of IPv4 addresses: twelve octets, and the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Narrow {
    /// The source address in the upper half, the destination in the lower.
    pub(crate) addresses: u64,
    /// The ports likewise.
    pub(crate) ports: u32,
    pub(crate) protocol: u8,
}

/// A tuple of IPv6 addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Wide {
    pub(crate) source: u128,
    pub(crate) destination: u128,
    pub(crate) ports: u32,
    pub(crate) protocol: u8,
}

/// A tuple, packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    Narrow(Narrow),
    Wide(Wide),
}

fn ports(tuple: &Tuple) -> u32 {
    u32::from(tuple.source.port.0) << 16 | u32::from(tuple.destination.port.0)
}

fn upper(ports: u32) -> Port {
    Port(u16::try_from(ports >> 16).unwrap_or_default())
}

fn lower(ports: u32) -> Port {
    Port(u16::try_from(ports & 0xffff).unwrap_or_default())
}

impl Key {
    pub(crate) fn of(tuple: &Tuple) -> Self {
        let (ports, protocol) = (ports(tuple), tuple.protocol.0);
        match (tuple.source.address, tuple.destination.address) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => Self::Narrow(Narrow {
                addresses: u64::from(source.to_bits()) << 32 | u64::from(destination.to_bits()),
                ports,
                protocol,
            }),
            (source, destination) => Self::Wide(Wide {
                source: wide(source),
                destination: wide(destination),
                ports,
                protocol,
            }),
        }
    }

    /// The key of the answers to packets that leave like this.
    #[inline]
    pub(crate) fn of_answers(leaves: &Tuple) -> Self {
        let own = match leaves.protocol.is_icmp() {
            true => return Self::of(&leaves.reversed()),
            false => Self::of(leaves),
        };
        match own {
            Self::Narrow(key) => Self::Narrow(Narrow {
                addresses: key.addresses.rotate_left(32),
                ports: key.ports.rotate_left(16),
                ..key
            }),
            Self::Wide(key) => Self::Wide(Wide {
                source: key.destination,
                destination: key.source,
                ports: key.ports.rotate_left(16),
                ..key
            }),
        }
    }

    /// The tuple that it was made of.
    pub(crate) fn tuple(&self) -> Tuple {
        let (source, destination, ports, protocol) = match self {
            Self::Narrow(key) => {
                let address = |bits| IpAddr::V4(Ipv4Addr::from_bits(bits));
                let [a, b, c, d, e, f, g, h] = key.addresses.to_be_bytes();
                let source = address(u32::from_be_bytes([a, b, c, d]));
                let destination = address(u32::from_be_bytes([e, f, g, h]));
                (source, destination, key.ports, key.protocol)
            }
            Self::Wide(key) => {
                let address = |bits| IpAddr::V6(Ipv6Addr::from_bits(bits));
                (
                    address(key.source),
                    address(key.destination),
                    key.ports,
                    key.protocol,
                )
            }
        };
        Tuple::new(
            Protocol(protocol),
            Endpoint::new(source, upper(ports)),
            Endpoint::new(destination, lower(ports)),
        )
    }
}

fn wide(address: IpAddr) -> u128 {
    match address {
        IpAddr::V6(address) => address.to_bits(),
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
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

    pub(crate) fn of(&self, key: &Key) -> u64 {
        match key {
            Key::Narrow(key) => self.of_narrow(key),
            Key::Wide(key) => self.of_wide(key),
        }
    }

    #[inline]
    pub(crate) fn of_narrow(&self, key: &Narrow) -> u64 {
        let [first, second, .., upper, lower] = self.secrets;
        let rest = u64::from(key.ports) << 8 | u64::from(key.protocol);
        let product = times(key.addresses, first, rest, second);
        mixed(product, upper, lower)
    }

    pub(crate) fn of_wide(&self, key: &Wide) -> u64 {
        let [a, b, c, d, e, f, upper, lower] = self.secrets;
        let halves = |bits: u128| {
            let [first, second] = [bits >> 64, bits & u128::from(u64::MAX)];
            // 64 bits each.
            (first as u64, second as u64)
        };
        let (source, rest_of_source) = halves(key.source);
        let (destination, rest_of_destination) = halves(key.destination);
        let rest = u64::from(key.ports) << 8 | u64::from(key.protocol);
        let sum = times(source, a, rest_of_source, b)
            .wrapping_add(times(destination, c, rest_of_destination, d))
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
    let mut bits = (above.wrapping_mul(upper | 1)).wrapping_add(below.wrapping_mul(lower | 1));
    bits ^= bits >> 32;
    bits = bits.wrapping_mul(0xd6e8_feb8_6659_fd93);
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
    use proptest::prelude::*;

    use super::*;

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
        for client in 0..256u64 {
            for port in 0..256u32 {
                let key = Narrow {
                    addresses: (0x0a00_0000 + client) << 32 | 0xc633_6409,
                    ports: (40_000 + port) << 16 | 443,
                    protocol: 6,
                };
                let [first, .., last] = hash.of_narrow(&key).to_be_bytes();
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
