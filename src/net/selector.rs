//! Which connections one row of the policy is about.

use std::net::IpAddr;

use super::{AddressSet, Place, ServiceId, Services, Traffic, Tuple, ZoneId};

/// The conditions of one row, whether a rule or a translation. An absent
/// condition means "any".
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selector {
    /// The zones that the first packet may arrive by.
    pub from: Option<Vec<ZoneId>>,
    /// The places that it may be bound for.
    pub to: Option<Vec<Place>>,
    /// The real client.
    pub source: Option<AddressSet>,
    /// The real server.
    pub destination: Option<AddressSet>,
    /// The services, any one of them.
    pub services: Option<Vec<ServiceId>>,
    /// Traffic told by protocol and port, where no service of the file says it.
    pub traffic: Option<UnnamedTraffic>,
}

/// Traffic that no service of the file is: what a port forward leads to
/// another port, as it looks at the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnnamedTraffic {
    /// The traffic, any one of these.
    pub any_of: Vec<Traffic>,
    /// The service that it is of all the same; `None`: the first in the file
    /// that covers it.
    pub service: Option<ServiceId>,
}

/// A connection that asks to be let through, as rules see it: the real client
/// and the real server (after destination NAT, before source NAT).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asking<'a> {
    /// The zone the first packet arrived by.
    pub from: ZoneId,
    /// Where it is bound for.
    pub to: Place,
    /// Client and server.
    pub tuple: &'a Tuple,
}

/// The condition of a [`Selector`] that a connection does not meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mismatch {
    /// It arrived by another zone.
    From,
    /// It is bound for another place.
    To,
    /// It has another client.
    Source,
    /// It has another server.
    Destination,
    /// It is of another service.
    Service,
}

impl Selector {
    /// Whether the connection meets the conditions about its sender and its
    /// way, whatever server and service it is for.
    ///
    /// # Errors
    /// The first condition that is not met.
    pub fn admits_sender(&self, asking: &Asking<'_>) -> Result<(), Mismatch> {
        let Asking { from, to, tuple } = asking;
        if self
            .from
            .as_ref()
            .is_some_and(|zones| !zones.contains(from))
        {
            return Err(Mismatch::From);
        }
        if self.to.as_ref().is_some_and(|places| !places.contains(to)) {
            return Err(Mismatch::To);
        }
        if outside(self.source.as_ref(), tuple.source.address) {
            return Err(Mismatch::Source);
        }
        Ok(())
    }

    /// Whether the connection meets the conditions about its ends and its way,
    /// whatever service it is of.
    ///
    /// # Errors
    /// The first condition that is not met.
    pub fn admits_ends(&self, asking: &Asking<'_>) -> Result<(), Mismatch> {
        self.admits_sender(asking)?;
        match outside(self.destination.as_ref(), asking.tuple.destination.address) {
            true => Err(Mismatch::Destination),
            false => Ok(()),
        }
    }

    /// Names services by the numbers that these have now.
    pub fn renumber(&mut self, services: impl Fn(ServiceId) -> ServiceId) {
        for id in self.services.iter_mut().flatten() {
            *id = services(*id);
        }
        if let Some(id) = self.traffic.as_mut().and_then(|t| t.service.as_mut()) {
            *id = services(*id);
        }
    }

    /// Whether the connection meets every condition, whatever service it is of where
    /// none is asked for.
    #[must_use]
    pub fn is_about(&self, asking: &Asking<'_>, services: &Services) -> bool {
        let tuple = asking.tuple;
        let covers = |traffic: &Traffic| traffic.covers(tuple);
        self.admits_ends(asking).is_ok()
            && self
                .traffic
                .as_ref()
                .is_none_or(|unnamed| unnamed.any_of.iter().any(covers))
            && self.services.as_ref().is_none_or(|named| {
                let is_unnamed = self.traffic.as_ref().is_some_and(|t| t.service.is_some());
                is_unnamed || services.first_covering(named, tuple).is_some()
            })
    }

    /// Whether the connection meets every condition; gives the service that it
    /// is of (the first named one that covers it, or the first in the file).
    ///
    /// # Errors
    /// The first condition that is not met.
    pub fn admits(
        &self,
        asking: &Asking<'_>,
        services: &Services,
    ) -> Result<Option<ServiceId>, Mismatch> {
        let tuple = asking.tuple;
        self.admits_ends(asking)?;
        if let Some(unnamed) = &self.traffic {
            if !unnamed.any_of.iter().any(|traffic| traffic.covers(tuple)) {
                return Err(Mismatch::Service);
            }
            if unnamed.service.is_some() {
                return Ok(unnamed.service);
            }
        }
        match &self.services {
            None => Ok(services.covering(tuple)),
            Some(named) => match services.first_covering(named, tuple) {
                None => Err(Mismatch::Service),
                found => Ok(found),
            },
        }
    }
}

fn outside(set: Option<&AddressSet>, address: IpAddr) -> bool {
    set.is_some_and(|set| !set.contains(address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{AlgKind, Port, Protocol, Service, UdpChecksum};

    fn to_port(port: u16) -> Tuple {
        Tuple::new(
            Protocol::TCP,
            "198.51.100.9:40000".parse().unwrap(),
            format!("10.0.9.21:{port}").parse().unwrap(),
        )
    }

    fn tcp(port: u16) -> Traffic {
        Traffic::Ports(Protocol::TCP, Port(port)..=Port(port))
    }

    #[test]
    fn unnamed_traffic_is_of_the_service_it_says_or_of_the_first_that_covers_it() {
        let service = |name: &str, port| Service {
            name: name.into(),
            traffic: vec![tcp(port)],
            lifetime: None,
            alg: Some(AlgKind::Ftp),
            checksum: UdpChecksum::Required,
        };
        let services = Services::new(vec![service("ftp", 21), service("other", 2121)]);
        let mut selector = Selector {
            traffic: Some(UnnamedTraffic {
                any_of: vec![tcp(2121)],
                service: Some(ServiceId(0)),
            }),
            ..Selector::default()
        };
        let admits = |selector: &Selector, port| {
            let asking = Asking {
                from: ZoneId(0),
                to: Place::Zone(ZoneId(1)),
                tuple: &to_port(port),
            };
            let found = selector.admits(&asking, &services);
            assert_eq!(selector.is_about(&asking, &services), found.is_ok());
            found
        };
        assert_eq!(admits(&selector, 2121), Ok(Some(ServiceId(0))));
        assert_eq!(admits(&selector, 21), Err(Mismatch::Service));
        if let Some(unnamed) = &mut selector.traffic {
            unnamed.service = None;
        }
        assert_eq!(admits(&selector, 2121), Ok(Some(ServiceId(1))));
        selector.services = Some(vec![ServiceId(0)]);
        assert_eq!(admits(&selector, 2121), Err(Mismatch::Service));
        selector.traffic = None;
        assert_eq!(admits(&selector, 2121), Err(Mismatch::Service));
        assert_eq!(admits(&selector, 21), Ok(Some(ServiceId(0))));
        selector.from = Some(vec![ZoneId(1)]);
        assert_eq!(admits(&selector, 21), Err(Mismatch::From));
    }
}
