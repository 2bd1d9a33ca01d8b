//! Zones: who stands where, and by which zone a packet leaves.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Family;

/// A zone of the policy in force: a named set of devices or prefixes that
/// rules speak of. The number is the zone's place in [`Zones`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ZoneId(pub u16);

/// One zone as the operator wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// Its name in the rule file.
    pub name: String,
    /// The prefixes that lie behind it.
    pub nets: Vec<IpNet>,
    /// The gateway's own addresses towards this zone.
    pub addresses: Vec<IpAddr>,
    /// The longest packet that its link takes, where the operator says so.
    pub mtu: Option<u16>,
    /// Whether the gateway sends ICMP errors into it.
    pub errors: IcmpErrors,
}

/// Whether the gateway tells senders by ICMP errors what became of their
/// packets (RFC 5508 REQ-9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum IcmpErrors {
    /// It does.
    #[default]
    Sent,
    /// It keeps silent; verdicts stay as they are.
    Withheld,
}

/// Where a packet is bound for once its final destination is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// Out by this zone.
    Zone(ZoneId),
    /// The gateway itself.
    Gateway,
}

/// All zones, with the look-up by longest prefix.
#[derive(Debug, Clone, Default)]
pub struct Zones {
    zones: Vec<Zone>,
    /// Every prefix with its zone, longest first; ties by order in the file.
    prefixes: Vec<(IpNet, ZoneId)>,
}

impl Zones {
    /// The table of `zones`; a zone's number is its place here. More zones
    /// than [`ZoneId`] can number are left out (the reader of rule files
    /// refuses such a file).
    #[must_use]
    pub fn new(zones: Vec<Zone>) -> Self {
        let numbered = || (0..=u16::MAX).zip(&zones);
        let mut prefixes: Vec<_> = numbered()
            .flat_map(|(number, zone)| zone.nets.iter().map(move |net| (*net, ZoneId(number))))
            .collect();
        prefixes.sort_by_key(|(net, _)| std::cmp::Reverse(net.prefix_len()));
        Self { zones, prefixes }
    }

    /// Says how long a packet the link of a zone takes.
    pub fn set_mtu(&mut self, zone: ZoneId, mtu: u16) {
        if let Some(zone) = self.zones.get_mut(usize::from(zone.0)) {
            zone.mtu = Some(mtu);
        }
    }

    /// The zone of this number.
    #[must_use]
    pub fn get(&self, zone: ZoneId) -> Option<&Zone> {
        self.zones.get(usize::from(zone.0))
    }

    /// The name of a zone; empty for a number that no zone has.
    #[must_use]
    pub fn name(&self, zone: ZoneId) -> &str {
        self.get(zone).map_or("", |zone| &zone.name)
    }

    /// The zone of this name.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<ZoneId> {
        self.iter()
            .find(|(_, zone)| zone.name == name)
            .map(|(id, _)| id)
    }

    /// All zones in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = (ZoneId, &Zone)> {
        (0..=u16::MAX).map(ZoneId).zip(&self.zones)
    }

    /// The zone whose longest prefix holds `address`.
    #[must_use]
    pub fn holding(&self, address: IpAddr) -> Option<ZoneId> {
        self.prefixes
            .iter()
            .find(|(net, _)| net.contains(&address))
            .map(|(_, zone)| *zone)
    }

    /// Whether `address` is one of the gateway's own.
    #[must_use]
    pub fn is_own(&self, address: IpAddr) -> bool {
        self.zones
            .iter()
            .any(|zone| zone.addresses.contains(&address))
    }

    /// Where a packet to `address` goes: the gateway itself, or the zone with
    /// the longest matching prefix; `None` where no zone has it.
    #[must_use]
    pub fn route(&self, address: IpAddr) -> Option<Place> {
        if self.is_own(address) {
            return Some(Place::Gateway);
        }
        self.holding(address).map(Place::Zone)
    }

    /// The gateway's first address of this family towards `zone`.
    #[must_use]
    pub fn own_address(&self, zone: ZoneId, family: Family) -> Option<IpAddr> {
        let addresses = &self.get(zone)?.addresses;
        addresses.iter().copied().find(|a| Family::of(*a) == family)
    }

    /// The address the gateway speaks from when it answers into `zone`: its
    /// own there, else the first it has at all in this family.
    #[must_use]
    pub fn speaking_address(&self, zone: ZoneId, family: Family) -> Option<IpAddr> {
        self.own_address(zone, family).or_else(|| {
            let all = self.zones.iter().flat_map(|zone| &zone.addresses);
            all.copied().find(|a| Family::of(*a) == family)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str, nets: &[&str], addresses: &[&str]) -> Zone {
        Zone {
            name: name.into(),
            nets: nets.iter().map(|n| n.parse().unwrap()).collect(),
            addresses: addresses.iter().map(|a| a.parse().unwrap()).collect(),
            mtu: None,
            errors: IcmpErrors::Sent,
        }
    }

    #[test]
    fn the_longest_prefix_wins_and_own_addresses_come_first() {
        let zones = Zones::new(vec![
            zone("wan", &["0.0.0.0/0"], &["203.0.113.2"]),
            zone("lan", &["10.0.0.0/8"], &[]),
            zone("dmz", &["10.0.9.0/24"], &[]),
        ]);
        let at = |a: &str| zones.route(a.parse().unwrap());
        assert_eq!(at("10.0.9.21"), Some(Place::Zone(ZoneId(2))));
        assert_eq!(at("10.1.9.21"), Some(Place::Zone(ZoneId(1))));
        assert_eq!(at("8.8.8.8"), Some(Place::Zone(ZoneId(0))));
        assert_eq!(at("203.0.113.2"), Some(Place::Gateway));
        assert_eq!(at("2001:db8::1"), None);
    }
}
