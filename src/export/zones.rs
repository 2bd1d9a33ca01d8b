//! By what a ruleset knows a zone: its device where it has one alone, else
//! the addresses that lie in it.

use ipnet::IpNet;

use super::conditions::{Alternative, family_word, set_of};
use crate::config::Device;
use crate::net::{AddressSet, Family, SourceCheck, ZoneId, Zones};

/// From which end a packet is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Where it came by.
    Arrival,
    /// Where it leaves.
    Departure,
}

/// The zones of a policy with their devices.
#[derive(Debug, Clone, Copy)]
pub(super) struct ZoneNames<'a> {
    pub(super) zones: &'a Zones,
    pub(super) devices: &'a [Device],
}

impl ZoneNames<'_> {
    /// The interfaces that are this zone's alone: its device, and those of the
    /// host that belong to it.
    fn interfaces(&self, zone: ZoneId) -> Vec<String> {
        let own = |device: &&Device| device.zones == [zone];
        let quoted = |name: &String| format!("\"{name}\"");
        let devices = self.devices.iter().filter(own);
        devices
            .flat_map(|device| std::iter::once(&device.name).chain(&device.interfaces))
            .map(quoted)
            .collect()
    }

    /// What drops packets of a device whose source lies elsewhere, by the
    /// host's routes, which say what lies where. (To `fib` the host's own
    /// addresses lie nowhere else.)
    pub(super) fn source_checks(&self) -> impl Iterator<Item = String> + '_ {
        let check_of = |zone: &ZoneId| self.zones.get(*zone).map(|zone| zone.source_check);
        self.devices.iter().filter_map(move |device| {
            let has = |check| {
                device
                    .zones
                    .iter()
                    .any(|zone| check_of(zone) == Some(check))
            };
            // By which of several zones a packet came, only its source could say.
            let condition = match (has(SourceCheck::Off), has(SourceCheck::Loose)) {
                (true, _) => return None,
                (false, true) => "fib saddr oif missing",
                (false, false) => "fib saddr . iif oif missing",
            };
            let names = std::iter::once(&device.name).chain(&device.interfaces);
            let names: Vec<_> = names.map(|name| format!("\"{name}\"")).collect();
            Some(format!("iifname {} {condition} drop", set_of(&names)))
        })
    }

    /// The zones that only their addresses tell.
    pub(super) fn by_address(&self) -> impl Iterator<Item = ZoneId> + '_ {
        let all = self.zones.iter().map(|(id, _)| id);
        all.filter(|id| self.interfaces(*id).is_empty())
    }

    /// The addresses of a zone, those that a longer prefix gives to another
    /// zone left out.
    pub(super) fn addresses(&self, zone: ZoneId) -> AddressSet {
        let of_others: Vec<IpNet> = self
            .zones
            .iter()
            .filter(|(id, _)| *id != zone)
            .flat_map(|(_, other)| other.nets.iter().copied())
            .collect();
        let own = self.zones.get(zone).into_iter().flat_map(|z| &z.nets);
        own.flat_map(|net| {
            let inner = |other: &&IpNet| net.contains(*other) && *other != net;
            let holes = of_others.iter().filter(inner);
            holes.fold(vec![*net], |left, hole| {
                left.into_iter()
                    .flat_map(|part| without(part, *hole))
                    .collect()
            })
        })
        .collect()
    }

    /// The alternatives that together are these zones.
    pub(super) fn alternatives(&self, zones: &[ZoneId], side: Side) -> Vec<Alternative> {
        let word = match side {
            Side::Arrival => "iifname",
            Side::Departure => "oifname",
        };
        let interfaces: Vec<_> = zones.iter().flat_map(|z| self.interfaces(*z)).collect();
        let mut all = Vec::new();
        if !interfaces.is_empty() {
            all.push(Alternative::any(format!("{word} {}", set_of(&interfaces))));
        }
        for zone in zones {
            if !self.interfaces(*zone).is_empty() {
                continue;
            }
            let held = self.addresses(*zone);
            for family in [Family::V4, Family::V6] {
                let mut nets = held.prefixes().iter();
                if !nets.any(|net| Family::of(net.addr()) == family) {
                    continue;
                }
                let (ip, name) = (
                    family_word(family),
                    zone_set(self.zones.name(*zone), family),
                );
                let end = match side {
                    Side::Arrival => "saddr",
                    Side::Departure => "daddr",
                };
                all.push(Alternative::of(family, format!("{ip} {end} @{name}")));
            }
        }
        all
    }
}

/// The name of the set of a zone's addresses.
pub(super) fn zone_set(zone: &str, family: Family) -> String {
    match family {
        Family::V4 => format!("zone-{zone}-v4"),
        Family::V6 => format!("zone-{zone}-v6"),
    }
}

/// A network without one inside it: what is left, in prefixes.
fn without(net: IpNet, hole: IpNet) -> Vec<IpNet> {
    if hole.contains(&net) {
        return Vec::new();
    }
    if !net.contains(&hole) {
        return vec![net];
    }
    match net.subnets(net.prefix_len() + 1) {
        Ok(halves) => halves.flat_map(|half| without(half, hole)).collect(),
        Err(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_network_and_the_hole_are_the_network() {
        let (net, hole): (IpNet, IpNet) = (
            "10.0.0.0/8".parse().unwrap(),
            "10.3.0.0/16".parse().unwrap(),
        );
        let left = without(net, hole);
        assert!(left.iter().all(|part| !part.contains(&hole)));
        let all: AddressSet = left.into_iter().chain([hole]).collect();
        assert_eq!(all.prefixes(), [net]);
    }
}
