//! Choosing what a new session's addresses and ports become.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use super::policy::{Forward, NatPolicy, SourceTarget};
use crate::net::{
    AddressSet, Asking, Endpoint, Family, Place, Port, Services, Traffic, Tuple, ZoneId, Zones,
};

/// How many ports are tried before a public address counts as used up towards
/// one server: it bounds what a new session may cost when ports are scarce.
const ATTEMPTS: u32 = 256;

/// A row of a translation list, by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Row(pub usize);

/// What the source translation says of a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceChoice {
    /// No row is about it: its address stays.
    Unchanged,
    /// A row says that its address stays.
    Exempt(Row),
    /// It leaves from this address.
    From(Row, IpAddr),
    /// A row is about it, but has no address of its family.
    NoAddress(Row),
}

impl NatPolicy {
    /// The first port forward that is about a packet arriving by `from`, and
    /// what the packet's tuple becomes by it.
    #[must_use]
    pub fn forward(&self, from: ZoneId, tuple: &Tuple, zones: &Zones) -> Option<(Row, Tuple)> {
        let is_about = |forward: &&Forward| {
            let destination = tuple.destination.address;
            let addressed = match &forward.address {
                Some(public) => public.contains(destination),
                None => zones
                    .get(forward.on)
                    .is_some_and(|zone| zone.addresses.contains(&destination)),
            };
            forward.on == from
                && addressed
                && Family::of(forward.to) == tuple.source.family()
                && forward.traffic.iter().any(|traffic| traffic.covers(tuple))
                && forward
                    .source
                    .as_ref()
                    .is_none_or(|set| set.contains(tuple.source.address))
        };
        let (row, forward) = self
            .forwards
            .iter()
            .enumerate()
            .find(|(_, f)| is_about(f))?;
        let port = match forward.port {
            Some(port) if tuple.protocol.has_ports() => port,
            _ => tuple.destination.port,
        };
        let destination = Endpoint::new(forward.to, port);
        Some((
            Row(row),
            Tuple {
                destination,
                ..*tuple
            },
        ))
    }

    /// The tuples with which a packet may have been sent that arrives inside,
    /// through some forward on `from`, as `inward`. Each has to be tried.
    pub fn public_endpoints<'a>(
        &'a self,
        from: ZoneId,
        inward: &'a Tuple,
        zones: &'a Zones,
    ) -> impl Iterator<Item = Tuple> + 'a {
        let to_server = move |forward: &&Forward| {
            forward.on == from && forward.to == inward.destination.address
        };
        self.forwards
            .iter()
            .filter(to_server)
            .flat_map(move |forward| {
                let own = zones
                    .get(forward.on)
                    .into_iter()
                    .flat_map(|zone| zone.addresses.iter());
                let named = forward.address.iter().flat_map(AddressSet::prefixes);
                let addresses = own.copied().chain(named.map(ipnet::IpNet::addr));
                let ports = forward.traffic.iter().map(move |traffic| match traffic {
                    Traffic::Ports(_, ports) if forward.port.is_some() => *ports.start(),
                    _ => inward.destination.port,
                });
                addresses.flat_map(move |address| {
                    ports.clone().map(move |port| Tuple {
                        destination: Endpoint::new(address, port),
                        ..*inward
                    })
                })
            })
    }

    /// What the first row about this connection makes of its source address.
    #[must_use]
    pub fn source(&self, asking: &Asking, services: &Services, zones: &Zones) -> SourceChoice {
        let rows = self.source.iter().enumerate();
        let mut fitting = rows.filter(|(_, row)| row.selector.admits(asking, services).is_ok());
        let Some((row, found)) = fitting.next() else {
            return SourceChoice::Unchanged;
        };
        let family = asking.tuple.source.family();
        let address = match &found.target {
            SourceTarget::Exempt => return SourceChoice::Exempt(Row(row)),
            SourceTarget::Masquerade => match asking.to {
                Place::Zone(zone) => zones.own_address(zone, family),
                Place::Gateway => None,
            },
            SourceTarget::Addresses(all) => all
                .iter()
                .copied()
                .find(|address| Family::of(*address) == family),
        };
        match address {
            Some(address) => SourceChoice::From(Row(row), address),
            None => SourceChoice::NoAddress(Row(row)),
        }
    }
}

/// Gives a leaving packet's tuple a source port (or identifier) such that its
/// answers cannot be mistaken for another session's: the port it has, where
/// that is free; else another of the same class, from a place that `start`
/// determines. `None` where none is found.
///
/// The classes are Linux's (`nf_nat_l4proto_unique_tuple`): below 512, below
/// 1024, all above; identifiers are one class (RFC 5508 REQ-1).
#[must_use]
pub fn unique_source(
    wanted: Tuple,
    start: u64,
    is_taken: impl Fn(&Tuple) -> bool,
) -> Option<Tuple> {
    let is_free = |candidate: &Tuple| !is_taken(&candidate.reversed());
    if is_free(&wanted) {
        return Some(wanted);
    }
    let class = port_class(&wanted)?;
    ports_from(class, start)
        .map(|port| Tuple {
            source: Endpoint::new(wanted.source.address, port),
            ..wanted
        })
        .find(is_free)
}

/// Ports of a class, each at most once, in an order that `start` determines;
/// as many as may be tried.
pub fn ports_from(class: RangeInclusive<u16>, start: u64) -> impl Iterator<Item = Port> {
    let first = u64::from(*class.start());
    let size = u64::from(*class.end()).saturating_sub(first) + 1;
    let start = start % size;
    (0..u64::from(ATTEMPTS).min(size)).map(move |n| {
        let port = first + (start + n) % size;
        Port(u16::try_from(port).unwrap_or(u16::MAX))
    })
}

fn port_class(tuple: &Tuple) -> Option<RangeInclusive<u16>> {
    let protocol = tuple.protocol;
    match tuple.source.port.0 {
        _ if protocol.is_icmp() => Some(0..=65535),
        _ if !protocol.has_ports() => None,
        0..512 => Some(1..=511),
        512..1024 => Some(600..=1023),
        _ => Some(1024..=65535),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Protocol;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn leaving(port: u16) -> Tuple {
        Tuple::new(
            Protocol::TCP,
            format!("203.0.113.2:{port}").parse().unwrap(),
            "198.51.100.9:80".parse().unwrap(),
        )
    }

    #[test]
    fn a_free_port_is_kept_and_a_taken_one_gives_way_within_its_class() {
        assert_eq!(
            unique_source(leaving(51000), 7, |_| false),
            Some(leaving(51000))
        );
        let taken = leaving(80).reversed();
        let other = unique_source(leaving(80), 7, |tuple| *tuple == taken).unwrap();
        assert!(other.source.port != Port(80) && (1..512).contains(&other.source.port.0));
    }

    #[test]
    fn used_up_ports_end_the_search() {
        assert_eq!(unique_source(leaving(51000), 7, |_| true), None);
        let gre = Tuple {
            protocol: Protocol::GRE,
            ..leaving(0)
        };
        assert_eq!(unique_source(gre, 7, |_| true), None);
    }

    proptest! {
        #[test]
        fn no_two_sessions_share_a_reply_tuple(ports in proptest::collection::vec(any::<u16>(), 1..300), seed: u64) {
            let mut taken = HashSet::new();
            for (n, port) in ports.into_iter().enumerate() {
                let start = seed.wrapping_add(n as u64);
                if let Some(tuple) = unique_source(leaving(port % 40), start, |t| taken.contains(t)) {
                    prop_assert!(taken.insert(tuple.reversed()));
                }
            }
        }
    }
}
