//! The addresses that a translation takes from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::net::Family;

/// Addresses from one to another, both included, of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AddressRange {
    first: IpAddr,
    last: IpAddr,
}

impl AddressRange {
    /// The range from `first` to `last`; `None` where they are of two families
    /// or in the wrong order.
    #[must_use]
    pub fn new(first: IpAddr, last: IpAddr) -> Option<Self> {
        (Family::of(first) == Family::of(last) && first <= last).then_some(Self { first, last })
    }

    /// Every address of a network, its first and its last too: towards a
    /// gateway that translates they are as good as the others.
    #[must_use]
    pub fn of_net(net: IpNet) -> Self {
        Self {
            first: net.network(),
            last: net.broadcast(),
        }
    }

    /// The first address.
    #[must_use]
    pub fn first(&self) -> IpAddr {
        self.first
    }

    /// The last address.
    #[must_use]
    pub fn last(&self) -> IpAddr {
        self.last
    }

    /// The family of all of them.
    #[must_use]
    pub fn family(&self) -> Family {
        Family::of(self.first)
    }

    /// Whether `address` is one of them.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        Family::of(address) == self.family() && (self.first..=self.last).contains(&address)
    }

    /// Whether an address is in both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.family() == other.family() && self.first <= other.last && other.first <= self.last
    }

    /// How many there are, less one: 2^128 has no number here.
    fn last_place(&self) -> u128 {
        bits(self.last) - bits(self.first)
    }

    fn at(&self, place: u128) -> IpAddr {
        with_bits(
            self.family(),
            bits(self.first) + place.min(self.last_place()),
        )
    }
}

/// The addresses that a source may become: ranges of either family.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pool {
    ranges: Vec<AddressRange>,
}

impl Pool {
    /// The pool of these ranges, in this order.
    #[must_use]
    pub fn new(ranges: Vec<AddressRange>) -> Self {
        Self { ranges }
    }

    /// Its ranges.
    #[must_use]
    pub fn ranges(&self) -> &[AddressRange] {
        &self.ranges
    }

    /// Whether `address` is in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.ranges.iter().any(|range| range.contains(address))
    }

    /// Whether it has all addresses of another; `false` also where it has them by several
    /// ranges.
    pub(super) fn has_all_of(&self, other: &Self) -> bool {
        let has = |range: &AddressRange| {
            let mut own = self.ranges.iter();
            own.any(|own| own.contains(range.first) && own.contains(range.last))
        };
        other.ranges.iter().all(has)
    }

    fn of(&self, family: Family) -> impl Iterator<Item = &AddressRange> {
        self.ranges
            .iter()
            .filter(move |range| range.family() == family)
    }

    /// How many IPv4 addresses it has.
    pub(super) fn count_v4(&self) -> u64 {
        let counts = self.of(Family::V4).map(|range| range.last_place() + 1);
        u64::try_from(counts.sum::<u128>()).unwrap_or(u64::MAX)
    }

    /// The IPv4 address at this place.
    pub(super) fn nth_v4(&self, place: u64) -> Option<IpAddr> {
        let mut place = u128::from(place);
        for range in self.of(Family::V4) {
            if place <= range.last_place() {
                return Some(range.at(place));
            }
            place -= range.last_place() + 1;
        }
        None
    }

    /// The place of an IPv4 address.
    pub(super) fn place_of_v4(&self, address: IpAddr) -> Option<u64> {
        let mut before = 0;
        for range in self.of(Family::V4) {
            if range.contains(address) {
                let place = before + bits(address) - bits(range.first);
                return u64::try_from(place).ok();
            }
            before += range.last_place() + 1;
        }
        None
    }

    /// The address of this family that `draw` falls on; every one is as likely
    /// as the others. `None` where there is none of the family.
    #[must_use]
    pub fn draw(&self, family: Family, draw: u64) -> Option<IpAddr> {
        let all = self.of(family).fold(0u128, |sum, range| {
            sum.saturating_add(range.last_place()).saturating_add(1)
        });
        // The draw as a fraction of all; where there are more than it can tell
        // apart, it falls on the first 2^64.
        let all = all.min(1 << 64);
        let mut place = (u128::from(draw) * all) >> 64;
        for range in self.of(family) {
            if place <= range.last_place() {
                return Some(range.at(place));
            }
            place -= range.last_place() + 1;
        }
        None
    }
}

impl Pool {
    /// The addresses of the pool that follow this one, from the end on at its start,
    /// up to this one again.
    pub fn after(&self, address: IpAddr) -> impl Iterator<Item = IpAddr> + '_ {
        let family = Family::of(address);
        let next = move |from: IpAddr| {
            let mut ranges = self
                .of(family)
                .skip_while(move |range| !range.contains(from));
            let range = ranges.next()?;
            let place = bits(from) - bits(range.first());
            match place < range.last_place() {
                true => Some(range.at(place + 1)),
                false => {
                    let next = ranges.next().or_else(|| self.of(family).next());
                    next.map(AddressRange::first)
                }
            }
        };
        let following = std::iter::successors(next(address), move |last| next(*last));
        following.take_while(move |next| *next != address)
    }
}

/// The address in `to` that has the place of `address` in `from`: host part
/// kept, network part exchanged. `None` where `address` is not in `from`, or
/// the two are not of one size.
#[must_use]
pub fn same_host(address: IpAddr, from: IpNet, to: IpNet) -> Option<IpAddr> {
    let same_size =
        from.prefix_len() == to.prefix_len() && Family::of(from.addr()) == Family::of(to.addr());
    if !same_size || !from.contains(&address) {
        return None;
    }
    let host = bits(address) - bits(from.network());
    Some(with_bits(Family::of(address), bits(to.network()) + host))
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

fn with_bits(family: Family, bits: u128) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::from(u32::try_from(bits).unwrap_or(u32::MAX)).into(),
        Family::V6 => Ipv6Addr::from(bits).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn range(first: &str, last: &str) -> AddressRange {
        AddressRange::new(first.parse().unwrap(), last.parse().unwrap()).unwrap()
    }

    #[test]
    fn every_address_of_a_pool_is_drawn_about_equally_often() {
        let pool = Pool::new(vec![
            range("203.0.113.10", "203.0.113.12"),
            range("2001:db8::1", "2001:db8::1"),
            range("203.0.113.20", "203.0.113.20"),
        ]);
        let mut drawn = BTreeMap::new();
        for n in 0..4000u64 {
            let address = pool.draw(Family::V4, n << 52).unwrap();
            *drawn.entry(address.to_string()).or_insert(0) += 1;
        }
        assert_eq!(
            drawn.keys().collect::<Vec<_>>(),
            [
                "203.0.113.10",
                "203.0.113.11",
                "203.0.113.12",
                "203.0.113.20"
            ]
        );
        let six = pool.draw(Family::V6, u64::MAX).unwrap();
        assert_eq!(six.to_string(), "2001:db8::1");
        assert_eq!(Pool::default().draw(Family::V4, 7), None);
    }

    #[test]
    fn a_range_is_of_one_family_and_in_order() {
        let new = |a: &str, b: &str| AddressRange::new(a.parse().unwrap(), b.parse().unwrap());
        assert!(new("10.0.0.2", "10.0.0.1").is_none());
        assert!(new("10.0.0.1", "2001:db8::1").is_none());
        assert!(new("10.0.0.1", "10.0.0.1").is_some());
    }

    proptest! {
        #[test]
        fn what_is_drawn_lies_in_the_pool(draw: u64, first: u32, more in 0u32..1000, length in 0u8..=128) {
            let last = first.saturating_add(more);
            let v4 = AddressRange::new(Ipv4Addr::from(first).into(), Ipv4Addr::from(last).into()).unwrap();
            let v6 = AddressRange::of_net(IpNet::new("2001:db8::".parse().unwrap(), length).unwrap());
            let pool = Pool::new(vec![v6, v4]);
            prop_assert!(v4.contains(pool.draw(Family::V4, draw).unwrap()));
            prop_assert!(v6.contains(pool.draw(Family::V6, draw).unwrap()));
        }

        #[test]
        fn the_same_host_there_and_back_is_the_host(host: u32, length in 0u8..=32) {
            let net = |text: &str| IpNet::new(text.parse().unwrap(), length).unwrap().trunc();
            let (inside, outside) = (net("10.1.2.3"), net("203.0.113.9"));
            let host = IpAddr::from(Ipv4Addr::from(
                u32::from_str_radix("a010203", 16).unwrap() & !(u32::MAX.checked_shr(length.into()).unwrap_or(0))
                | host & u32::MAX.checked_shr(length.into()).unwrap_or(0),
            ));
            if let Some(there) = same_host(host, inside, outside) {
                prop_assert!(outside.contains(&there));
                prop_assert_eq!(same_host(there, outside, inside), Some(host));
            } else {
                prop_assert!(!inside.contains(&host));
            }
        }
    }
}
