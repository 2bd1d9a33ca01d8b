//! Destination translation: where a connection to a public address leads.

use std::net::IpAddr;

use super::policy::{Forward, Hairpin, NatPolicy, Server, ServerPort, SourceTarget, Static};
use super::pool::same_host;
use crate::net::{AddressSet, Endpoint, Family, NatRow, Port, Traffic, Tuple, ZoneId, Zones};

/// What destination translation makes of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Inward<'p> {
    /// The row that says so.
    pub row: NatRow,
    /// Client and real server.
    pub tuple: Tuple,
    /// What the client is to become, where the row says so.
    pub client: Option<&'p SourceTarget>,
    /// The zone that the public address belongs to, where the connection came
    /// from another.
    pub hairpin: Option<ZoneId>,
}

impl NatPolicy {
    /// What the first row makes of a packet of this tuple that arrives by
    /// `from`: forwards before static addresses, as they say more.
    #[must_use]
    pub fn inward(&self, from: ZoneId, tuple: &Tuple, zones: &Zones) -> Option<Inward<'_>> {
        if self.forwards.is_empty() && self.statics.is_empty() {
            return None; // the common case costs no walk
        }
        let mut forwards = self.forwards.numbered();
        let forwarded = forwards.find_map(|(n, row)| {
            let server = row.meets(from, tuple, zones)?;
            Some((NatRow::Forward(n), server, row.on, row.client.as_ref()))
        });
        let (row, destination, on, client) = forwarded.or_else(|| {
            self.statics.numbered().find_map(|(n, row)| {
                let host = row.meets(from, tuple)?;
                Some((NatRow::Static(n), host, row.on, None))
            })
        })?;
        Some(Inward {
            row,
            tuple: Tuple {
                destination,
                ..*tuple
            },
            client,
            hairpin: (on != from).then_some(on),
        })
    }

    /// The tuples with which a packet may have been sent that arrives inside,
    /// through some row on `from`, as `inward`. Each has to be tried.
    pub fn public_endpoints<'a>(
        &'a self,
        from: ZoneId,
        inward: &'a Tuple,
        zones: &'a Zones,
    ) -> impl Iterator<Item = Tuple> + 'a {
        let server = inward.destination;
        let forwards = self.forwards.iter().filter(move |row| row.on == from);
        let forwarded = forwards.flat_map(move |row| row.public_endpoints(server, zones));
        let statics = self.statics.iter().filter(move |row| row.on == from);
        let fixed = statics.filter_map(move |row| {
            let address = same_host(server.address, row.inside, row.outside)?;
            Some(Endpoint::new(address, server.port))
        });
        forwarded.chain(fixed).map(|destination| Tuple {
            destination,
            ..*inward
        })
    }
}

fn reaches(on: ZoneId, from: ZoneId, hairpin: Hairpin) -> bool {
    on == from || hairpin == Hairpin::Yes
}

impl Static {
    fn meets(&self, from: ZoneId, tuple: &Tuple) -> Option<Endpoint> {
        let Endpoint { address, port } = tuple.destination;
        let inside = same_host(address, self.outside, self.inside)?;
        reaches(self.on, from, self.hairpin).then_some(Endpoint::new(inside, port))
    }
}

impl Forward {
    /// Where this forward leads a packet that it is about.
    fn meets(&self, from: ZoneId, tuple: &Tuple, zones: &Zones) -> Option<Endpoint> {
        let is_about = reaches(self.on, from, self.hairpin)
            && self.is_public(tuple.destination.address, zones)
            && self.traffic.iter().any(|traffic| traffic.covers(tuple))
            && self
                .source
                .as_ref()
                .is_none_or(|set| set.contains(tuple.source.address));
        if !is_about {
            return None;
        }
        let addressed = tuple.destination;
        let with_ports = tuple.protocol.has_ports();
        match self.to {
            Server::Host(address, port) => {
                let same_family = Family::of(address) == tuple.source.family();
                let port = if with_ports { port } else { ServerPort::Same };
                same_family.then_some(Endpoint::new(address, port.of(addressed.port)))
            }
            Server::Network(public, inside) => {
                let address = same_host(addressed.address, public, inside)?;
                Some(Endpoint::new(address, addressed.port))
            }
            Server::Gateway(port) => {
                let address = zones.speaking_address(from, tuple.source.family())?;
                let port = port.filter(|_| with_ports).unwrap_or(addressed.port);
                Some(Endpoint::new(address, port))
            }
        }
    }

    pub(super) fn is_public(&self, address: IpAddr, zones: &Zones) -> bool {
        match (&self.address, self.to) {
            (Some(public), _) => public.contains(address),
            (None, Server::Gateway(_)) => true,
            (None, Server::Network(public, _)) => public.contains(&address),
            (None, Server::Host(..)) => zones
                .get(self.on)
                .is_some_and(|zone| zone.addresses.contains(&address)),
        }
    }

    /// The public endpoints that may lead to this one.
    fn public_endpoints(&self, server: Endpoint, zones: &Zones) -> Vec<Endpoint> {
        let to_host = |port: ServerPort| {
            let own = zones.get(self.on).into_iter();
            let own = own.flat_map(|zone| zone.addresses.iter()).copied();
            let named = self.address.iter().flat_map(AddressSet::prefixes);
            let addresses = own.chain(named.map(ipnet::IpNet::addr));
            let ports = self
                .traffic
                .iter()
                .filter_map(move |traffic| match (traffic, port) {
                    (Traffic::Ports(_, public), ServerPort::One(_)) => Some(*public.start()),
                    (_, ServerPort::Shifted { public, to }) => {
                        let place = server.port.0.checked_sub(to.0)?;
                        Some(Port(public.0.checked_add(place)?))
                    }
                    _ => Some(server.port),
                });
            let ports: Vec<_> = ports.collect();
            let with_each = |address| ports.iter().map(move |port| Endpoint::new(address, *port));
            addresses.flat_map(with_each).collect()
        };
        match self.to {
            Server::Host(address, port) if address == server.address => to_host(port),
            Server::Network(public, inside) => same_host(server.address, inside, public)
                .map(|address| Endpoint::new(address, server.port))
                .into_iter()
                .collect(),
            Server::Host(..) | Server::Gateway(_) => Vec::new(),
        }
    }
}

impl ServerPort {
    /// The port that the one that was addressed leads to.
    #[must_use]
    pub fn of(self, addressed: Port) -> Port {
        match self {
            Self::Same => addressed,
            Self::One(port) => port,
            Self::Shifted { public, to } => {
                let place = addressed.0.saturating_sub(public.0);
                Port(to.0.saturating_add(place))
            }
        }
    }
}
