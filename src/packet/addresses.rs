//! Addresses and ports as their octets stand in a packet, the first octet the lowest of a
//! number: so they are compared, hashed, summed and written, and never turned.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::net::{Endpoint, Port, Protocol, Tuple};

/// Source and destination address, in the order in which they stand in a packet; the
/// first octet of each word is its lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Addresses {
    /// IPv4's: the source in the lower half.
    V4(u64),
    /// IPv6's: the source in the first two words.
    V6([u64; 4]),
}

/// Addresses and ports with which a plain packet leaves, as it has them itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaving {
    /// Both addresses.
    pub addresses: Addresses,
    /// Both ports.
    pub ports: u32,
}

impl Addresses {
    /// Those of a packet from one to the other. IPv4 among IPv6 is written as IPv6.
    #[must_use]
    pub fn of(source: IpAddr, destination: IpAddr) -> Self {
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let [source, destination] = [source, destination].map(|a| a.to_bits().swap_bytes());
                Self::V4(u64::from(source) | u64::from(destination) << 32)
            }
            (source, destination) => {
                let [[a, b], [c, d]] = [source, destination].map(|address| {
                    let bits = match address {
                        IpAddr::V6(address) => address.to_bits(),
                        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
                    };
                    halves(bits.swap_bytes())
                });
                Self::V6([a, b, c, d])
            }
        }
    }

    /// Source and destination.
    #[must_use]
    pub fn ends(self) -> [IpAddr; 2] {
        match self {
            Self::V4(both) => {
                let [source, destination] = words(both);
                [source, destination].map(|word| Ipv4Addr::from_bits(word.swap_bytes()).into())
            }
            Self::V6([a, b, c, d]) => [[a, b], [c, d]].map(|[low, high]| {
                let bits = u128::from(low) | u128::from(high) << 64;
                Ipv6Addr::from_bits(bits.swap_bytes()).into()
            }),
        }
    }

    /// Those of a packet that goes the other way.
    #[inline]
    #[must_use]
    pub fn reversed(self) -> Self {
        match self {
            Self::V4(both) => Self::V4(both.rotate_left(32)),
            Self::V6([a, b, c, d]) => Self::V6([c, d, a, b]),
        }
    }
}

impl Leaving {
    /// Those of a packet that goes the other way.
    #[inline]
    #[must_use]
    pub fn reversed(self) -> Self {
        Self {
            addresses: self.addresses.reversed(),
            ports: self.ports.rotate_left(16),
        }
    }

    /// The tuple of a packet of this protocol with them.
    #[inline]
    #[must_use]
    pub fn tuple(self, protocol: Protocol) -> Tuple {
        let [source, destination] = self.addresses.ends();
        let [from, to] = ports_of(self.ports);
        Tuple::new(
            protocol,
            Endpoint::new(source, from),
            Endpoint::new(destination, to),
        )
    }

    /// Those of a packet with this tuple.
    #[inline]
    #[must_use]
    pub fn of(tuple: &Tuple) -> Self {
        let ends = [tuple.source, tuple.destination];
        let [source, destination] = ends.map(|end| end.port.0.swap_bytes());
        Self {
            addresses: Addresses::of(tuple.source.address, tuple.destination.address),
            ports: u32::from(source) | u32::from(destination) << 16,
        }
    }
}

/// Source and destination port.
#[must_use]
pub fn ports_of(ports: u32) -> [Port; 2] {
    // 16 bits each.
    [ports as u16, (ports >> 16) as u16].map(|port| Port(port.swap_bytes()))
}

/// The lower half and the upper half.
fn halves(bits: u128) -> [u64; 2] {
    // 64 bits each.
    [bits as u64, (bits >> 64) as u64]
}

/// The lower half and the upper half.
fn words(bits: u64) -> [u32; 2] {
    // 32 bits each.
    [bits as u32, (bits >> 32) as u32]
}
