//! One public address and protocol: which ports anybody has, and how many sessions
//! share each that is nobody's own.

use std::hash::{Hash, Hasher};
use std::net::IpAddr;

use super::super::port_map::PortMap;
use super::super::prefetch::prefetch;
use crate::net::Protocol;

/// A public address and a protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    V4(u8, u32),
    V6(u8, [u8; 16]),
}

impl Place {
    #[inline]
    pub(super) fn new(protocol: Protocol, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::V4(protocol.0, address.to_bits()),
            IpAddr::V6(address) => Self::V6(protocol.0, address.octets()),
        }
    }
}

/// Of IPv4 in one word: each new session is counted at one.
impl Hash for Place {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::V4(protocol, address) => {
                state.write_u64(u64::from(*protocol) << 32 | u64::from(*address));
            }
            Self::V6(protocol, octets) => {
                state.write_u8(*protocol);
                octets.hash(state);
            }
        }
    }
}

/// Ports that are counted together: their counts stand in two lines of memory.
const GROUP: usize = 32;
const GROUPS: usize = (1 << 16) / GROUP;

/// The sessions of each port of a group.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Group([u32; GROUP]);

/// The ports of one public address and protocol.
#[derive(Debug)]
pub(super) struct PublicAddress {
    ports: PortMap,
    /// Which group the counts of so many ports are, from one on; nought: nobody has
    /// ever shared any of them.
    places: Box<[u16; GROUPS]>,
    groups: Vec<Group>,
}

impl PublicAddress {
    pub(super) fn new() -> Self {
        Self {
            ports: PortMap::new(),
            places: Box::new([0; GROUPS]),
            groups: Vec::new(),
        }
    }

    /// Which ports anybody has.
    pub(super) fn ports(&self) -> &PortMap {
        &self.ports
    }

    /// Somebody takes a port that nobody has.
    pub(super) fn take(&mut self, port: u16) {
        self.ports.take(port);
    }

    /// Nobody has the port any more.
    pub(super) fn free(&mut self, port: u16) {
        self.ports.free(port);
    }

    /// How many sessions share a port.
    #[inline]
    pub(super) fn shared_by(&self, port: u16) -> u32 {
        self.count(port).copied().unwrap_or_default()
    }

    /// Has brought near how many they are.
    #[inline]
    pub(super) fn fetch(&self, port: u16) {
        if let Some(count) = self.count(port) {
            prefetch(count);
        }
    }

    #[inline]
    fn count(&self, port: u16) -> Option<&u32> {
        let (group, place) = place(port);
        let number = self.places.get(group)?;
        let group = usize::from(*number).checked_sub(1)?;
        self.groups.get(group)?.0.get(place)
    }

    /// One session more shares a port; how many do now.
    #[inline]
    pub(super) fn share(&mut self, port: u16) -> u32 {
        self.change(port, |count| *count += 1)
    }

    /// One session less shares a port; how many are left.
    pub(super) fn let_go(&mut self, port: u16) -> u32 {
        self.change(port, |count| *count = count.saturating_sub(1))
    }

    #[inline]
    fn change(&mut self, port: u16, change: impl FnOnce(&mut u32)) -> u32 {
        let (group, place) = place(port);
        let Some(number) = self.places.get_mut(group) else {
            return 0;
        };
        if *number == 0 {
            self.groups.push(Group([0; GROUP]));
            // There are no more groups than that.
            *number = u16::try_from(self.groups.len()).unwrap_or_default();
        }
        let group = usize::from(*number)
            .checked_sub(1)
            .and_then(|group| self.groups.get_mut(group));
        let Some(count) = group.and_then(|group| group.0.get_mut(place)) else {
            return 0;
        };
        change(count);
        *count
    }
}

fn place(port: u16) -> (usize, usize) {
    let port = usize::from(port);
    (port / GROUP, port % GROUP)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_port_is_counted_by_itself(steps in prop::collection::vec((0u16..200, any::<bool>()), 0..2_000)) {
            let mut address = PublicAddress::new();
            let mut model: BTreeMap<u16, u32> = BTreeMap::new();
            for (n, more) in steps {
                // Some in a row, and the last of all.
                let port = if n < 100 { n } else { u16::MAX - (n - 100) * 300 };
                let count = model.entry(port).or_default();
                if more {
                    *count += 1;
                    prop_assert_eq!(address.share(port), *count);
                } else if *count > 0 {
                    *count -= 1;
                    prop_assert_eq!(address.let_go(port), *count);
                }
                prop_assert_eq!(address.shared_by(port), *count);
            }
            for port in 0..=u16::MAX {
                prop_assert_eq!(address.shared_by(port), model.get(&port).copied().unwrap_or(0));
            }
        }
    }
}
