//! Deterministic translation (RFC 7422): every client has a range of ports of one
//! public address by arithmetic alone, so that who had a port can be computed,
//! and need not be written down.
//!
//! ```text
//! clients, in order    .1 ........ .2 ........        .14 ........
//! ports of an address  1024-5055   5056-9087   ...    53440-57471   57472-65535
//!                      own ranges, one after the other              dynamic pool
//! ```

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;

use ipnet::Ipv4Net;

use super::pool::Pool;
use crate::net::{Endpoint, Port};

/// The parameters, and what follows from them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deterministic {
    clients: Vec<Ipv4Net>,
    addresses: Pool,
    ports: RangeInclusive<Port>,
    dynamic: u16,
    /// How many clients share an address (RFC 7422: C).
    sharing: u32,
    /// How many ports each has of its own.
    own: u16,
}

impl Deterministic {
    /// The word for the way in which ranges are given out: clients one after the
    /// other (RFC 7422 section 2.1: sequential). There is no other.
    pub const ALGORITHM: &'static str = "sequential";

    /// The translation of these clients (RFC 7422: I) to these IPv4 addresses (O)
    /// with these ports, which leaves out those that are reserved (R). `dynamic`
    /// (D) says as how many clients more than there are the dynamic pool counts.
    /// `None`: there are no clients, no addresses, or fewer ports than clients.
    #[must_use]
    pub fn new(
        clients: Vec<Ipv4Net>,
        addresses: Pool,
        ports: RangeInclusive<Port>,
        dynamic: u16,
    ) -> Option<Self> {
        let count: u64 = clients.iter().copied().map(hosts).sum();
        let sharing = count.div_ceil(addresses.count_v4().max(1));
        let room = u64::from(ports.end().0.checked_sub(ports.start().0)?) + 1;
        let own = room.checked_div(sharing + u64::from(dynamic))?;
        let is_usable = count > 0 && addresses.count_v4() > 0 && own > 0;
        is_usable.then_some(Self {
            clients,
            addresses,
            ports,
            dynamic,
            sharing: u32::try_from(sharing).ok()?,
            own: u16::try_from(own).unwrap_or(u16::MAX),
        })
    }

    /// The networks whose hosts are the clients.
    #[must_use]
    pub fn clients(&self) -> &[Ipv4Net] {
        &self.clients
    }

    /// The public addresses.
    #[must_use]
    pub fn addresses(&self) -> &Pool {
        &self.addresses
    }

    /// The ports that are not reserved.
    #[must_use]
    pub fn ports(&self) -> &RangeInclusive<Port> {
        &self.ports
    }

    /// As how many clients the dynamic pool counts.
    #[must_use]
    pub fn dynamic(&self) -> u16 {
        self.dynamic
    }

    /// How many ports every client has of its own.
    #[must_use]
    pub fn own_ports(&self) -> u16 {
        self.own
    }

    /// How many clients share an address.
    #[must_use]
    pub fn clients_per_address(&self) -> u32 {
        self.sharing
    }

    /// The address and the ports that a client has for its own; `None`: it is
    /// none of the clients.
    #[must_use]
    pub fn range_of(&self, client: IpAddr) -> Option<(IpAddr, RangeInclusive<u16>)> {
        let IpAddr::V4(client) = client else {
            return None;
        };
        let mut before = 0;
        for net in self.clients.iter().copied() {
            if net.contains(&client) {
                let place = u32::from(client).checked_sub(u32::from(first_host(net)))?;
                if u64::from(place) >= hosts(net) {
                    return None;
                }
                return self.range_at(before + u64::from(place));
            }
            before += hosts(net);
        }
        None
    }

    fn range_at(&self, place: u64) -> Option<(IpAddr, RangeInclusive<u16>)> {
        let sharing = u64::from(self.sharing);
        let address = self.addresses.nth_v4(place / sharing)?;
        let own = u64::from(self.own);
        let first = u64::from(self.ports.start().0) + place % sharing * own;
        let port = |number: u64| u16::try_from(number).ok();
        Some((address, port(first)?..=port(first + own - 1)?))
    }

    /// The client that has this public endpoint for its own; `None`: nobody has,
    /// or it belongs to the dynamic pool.
    #[must_use]
    pub fn client_of(&self, public: Endpoint) -> Option<IpAddr> {
        let sharing = u64::from(self.sharing);
        let number = self.addresses.place_of_v4(public.address)?;
        let port = public.port.0.checked_sub(self.ports.start().0)?;
        let place = u64::from(port / self.own);
        if place >= sharing {
            return None;
        }
        let mut place = number * sharing + place;
        for net in self.clients.iter().copied() {
            if place < hosts(net) {
                let host = u32::from(first_host(net)) + u32::try_from(place).ok()?;
                return Some(Ipv4Addr::from(host).into());
            }
            place -= hosts(net);
        }
        None
    }

    /// The ports of each address that are nobody's own; `None`: no pool was asked
    /// for.
    #[must_use]
    pub fn dynamic_ports(&self) -> Option<RangeInclusive<Port>> {
        if self.dynamic == 0 {
            return None;
        }
        let taken = u64::from(self.sharing) * u64::from(self.own);
        let first = u16::try_from(u64::from(self.ports.start().0) + taken).ok()?;
        (first <= self.ports.end().0).then_some(Port(first)..=*self.ports.end())
    }
}

/// How many hosts a network has: its own address and that of its broadcasts are
/// none, where it is large enough to have such.
fn hosts(net: Ipv4Net) -> u64 {
    let all = 1u64 << (32 - net.prefix_len());
    match net.prefix_len() {
        31 | 32 => all,
        _ => all - 2,
    }
}

fn first_host(net: Ipv4Net) -> Ipv4Addr {
    match net.prefix_len() {
        31 | 32 => net.network(),
        _ => Ipv4Addr::from(u32::from(net.network()).saturating_add(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::pool::AddressRange;
    use super::*;
    use proptest::prelude::*;

    fn plan(clients: &[&str], addresses: &[&str], dynamic: u16) -> Deterministic {
        let clients = clients.iter().map(|net| net.parse().unwrap()).collect();
        let range = |net: &&str| AddressRange::of_net(net.parse().unwrap());
        let addresses = Pool::new(addresses.iter().map(range).collect());
        Deterministic::new(clients, addresses, Port(1024)..=Port(65535), dynamic).unwrap()
    }

    #[test]
    fn the_example_of_the_rfc_comes_out_to_the_port() {
        let plan = plan(&["198.51.100.0/28"], &["192.0.2.1/32"], 2);
        assert_eq!((plan.own_ports(), plan.clients_per_address()), (4032, 14));
        let range = |host: u8| {
            let (address, ports) = plan.range_of([198, 51, 100, host].into())?;
            assert_eq!(address.to_string(), "192.0.2.1");
            Some((*ports.start(), *ports.end()))
        };
        assert_eq!(range(1), Some((1024, 5055)));
        assert_eq!(range(2), Some((5056, 9087)));
        assert_eq!(range(14), Some((53440, 57471)));
        assert_eq!((range(0), range(15)), (None, None));
        assert_eq!(plan.dynamic_ports(), Some(Port(57472)..=Port(65535)));
    }

    #[test]
    fn what_has_no_port_for_each_is_no_translation() {
        let one = Pool::new(vec![AddressRange::of_net("192.0.2.1/32".parse().unwrap())]);
        let new = |net: &str| {
            let nets = vec![net.parse().unwrap()];
            Deterministic::new(nets, one.clone(), Port(1024)..=Port(65535), 0)
        };
        assert!(new("10.0.0.0/16").is_none());
        assert!(new("10.0.0.0/17").is_some());
    }

    proptest! {
        #[test]
        fn there_and_back_is_the_client_and_no_two_meet(
            lengths in (22u8..=32, 24u8..=32),
            addresses in 28u8..=32,
            dynamic in 0u16..4,
            host: u32,
            port: u16,
        ) {
            let inside = [format!("10.0.0.0/{}", lengths.0), format!("10.9.0.0/{}", lengths.1)];
            let nets: Vec<_> = inside.iter().map(String::as_str).collect();
            let public = format!("192.0.2.0/{addresses}");
            let plan = plan(&nets, &[&public, "203.0.113.7/32"], dynamic);
            let host = host % 2048;
            let base = if host < 1024 { 0x0a00_0000 } else { 0x0a09_0000 };
            let client = IpAddr::from(Ipv4Addr::from(base + host % 1024));
            if let Some((address, ports)) = plan.range_of(client) {
                for port in [*ports.start(), ports.start() + (ports.end() - ports.start()) / 2, *ports.end()] {
                    prop_assert_eq!(plan.client_of(Endpoint::new(address, Port(port))), Some(client));
                    if let Some(pool) = plan.dynamic_ports() {
                        prop_assert!(!pool.contains(&Port(port)));
                    }
                }
            }
            // Whoever has a port, has it by its own range.
            let public = Endpoint::new(plan.addresses().nth_v4(u64::from(host) % 2).unwrap(), Port(port));
            if let Some(client) = plan.client_of(public) {
                let (address, ports) = plan.range_of(client).unwrap();
                prop_assert!(address == public.address && ports.contains(&port));
            }
        }
    }
}
