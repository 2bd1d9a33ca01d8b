//! Zones: who stands where, and by which zone a packet leaves.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::Family;

/// A zone of the policy in force: a named set of devices or prefixes that
/// rules speak of. The number is the zone's place in [`Zones`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ZoneId(pub u16);

/// Which source addresses a zone's packets may have (RFC 2827, RFC 3704).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SourceCheck {
    /// Only such as lie in the zone, by the longest prefix, and never the
    /// gateway's own: a reverse path by the same way.
    #[default]
    Strict,
    /// Such as lie in any zone, and never the gateway's own.
    Loose,
    /// Any.
    Off,
}

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
    /// Which source addresses its packets may have.
    pub source_check: SourceCheck,
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

/// All zones, with the look-up by longest prefix: every packet's source is
/// looked up, so prefixes and addresses stand in lists of plain numbers.
#[derive(Debug, Clone, Default)]
pub struct Zones {
    zones: Vec<Zone>,
    /// The prefixes of each family.
    v4: Vec<Prefix<u32>>,
    v6: Vec<Prefix<u128>>,
    /// The gateway's own addresses, of all zones.
    own: Vec<IpAddr>,
    /// The broadcast addresses of the networks that the gateway has an own
    /// address in.
    broadcasts: Vec<Ipv4Addr>,
}

/// A prefix with its zone. A list of them is ordered, the longest first; ties
/// by order in the file.
#[derive(Debug, Clone, Copy)]
struct Prefix<T> {
    network: T,
    mask: T,
    zone: ZoneId,
}

impl Zones {
    /// The table of `zones`; a zone's number is its place here. More zones
    /// than [`ZoneId`] can number are left out (the reader of rule files
    /// refuses such a file).
    #[must_use]
    pub fn new(zones: Vec<Zone>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (zone, Zone { nets, .. }) in (0..=u16::MAX).map(ZoneId).zip(&zones) {
            for net in nets {
                match net {
                    IpNet::V4(net) => v4.push(Prefix {
                        network: net.network().to_bits(),
                        mask: net.netmask().to_bits(),
                        zone,
                    }),
                    IpNet::V6(net) => v6.push(Prefix {
                        network: net.network().to_bits(),
                        mask: net.netmask().to_bits(),
                        zone,
                    }),
                }
            }
        }
        v4.sort_by_key(|prefix| std::cmp::Reverse(prefix.mask));
        v6.sort_by_key(|prefix| std::cmp::Reverse(prefix.mask));
        let own = zones.iter().flat_map(|zone| &zone.addresses);
        Self {
            own: own.copied().collect(),
            broadcasts: zones.iter().flat_map(attached_broadcasts).collect(),
            zones,
            v4,
            v6,
        }
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
    #[inline]
    #[must_use]
    pub fn holding(&self, address: IpAddr) -> Option<ZoneId> {
        match address {
            IpAddr::V4(address) => first_holding(&self.v4, address.to_bits()),
            IpAddr::V6(address) => first_holding(&self.v6, address.to_bits()),
        }
    }

    /// Whether `address` is one of the gateway's own.
    #[inline]
    #[must_use]
    pub fn is_own(&self, address: IpAddr) -> bool {
        self.own.contains(&address)
    }

    /// Whether all hosts of an attached network are addressed at once (a
    /// directed broadcast, RFC 1812 section 5.3.5.2).
    #[inline]
    #[must_use]
    pub fn is_broadcast(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.broadcasts.contains(&address),
            IpAddr::V6(_) => false,
        }
    }

    /// Whether a packet that came by `zone` may have this source.
    #[inline]
    #[must_use]
    pub fn accepts_source(&self, zone: ZoneId, source: IpAddr) -> bool {
        match self.get(zone).map(|zone| zone.source_check) {
            Some(SourceCheck::Strict) => self.holding(source) == Some(zone) && !self.is_own(source),
            Some(SourceCheck::Loose) => self.holding(source).is_some() && !self.is_own(source),
            Some(SourceCheck::Off) | None => true,
        }
    }

    /// Where a packet to `address` goes: the gateway itself, or the zone with
    /// the longest matching prefix; `None` where no zone has it.
    #[inline]
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

/// A prefix that has no address of the gateway's may be many networks, whose
/// broadcast addresses are not ours to know.
fn attached_broadcasts(zone: &Zone) -> impl Iterator<Item = Ipv4Addr> + '_ {
    zone.nets.iter().filter_map(|net| match net {
        IpNet::V4(v4) if v4.prefix_len() < 31 => {
            let is_attached = zone.addresses.iter().any(|address| net.contains(address));
            is_attached.then(|| v4.broadcast())
        }
        IpNet::V4(_) | IpNet::V6(_) => None,
    })
}

fn first_holding<T: Copy + Eq + std::ops::BitAnd<Output = T>>(
    prefixes: &[Prefix<T>],
    address: T,
) -> Option<ZoneId> {
    let holds = |prefix: &&Prefix<T>| address & prefix.mask == prefix.network;
    prefixes.iter().find(holds).map(|prefix| prefix.zone)
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
            source_check: SourceCheck::default(),
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

    #[test]
    fn the_source_check_goes_by_the_same_prefixes() {
        let with = |check| {
            let mut lan = zone("lan", &["10.0.0.0/8", "2001:db8::/32"], &["10.0.0.1"]);
            lan.source_check = check;
            Zones::new(vec![lan, zone("dmz", &["10.0.9.0/24"], &["203.0.113.2"])])
        };
        let sources = [
            "10.0.0.7",
            "2001:db8::7",
            "10.0.9.7",
            "192.0.2.7",
            "10.0.0.1",
            "203.0.113.2",
        ];
        for (check, accepted) in [
            (
                SourceCheck::Strict,
                [true, true, false, false, false, false],
            ),
            (SourceCheck::Loose, [true, true, true, false, false, false]),
            (SourceCheck::Off, [true; 6]),
        ] {
            let zones = with(check);
            let accepts = |source: &str| zones.accepts_source(ZoneId(0), source.parse().unwrap());
            assert_eq!(sources.map(accepts), accepted, "{check:?}");
        }
    }
}
