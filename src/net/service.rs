//! Services: what a connection is for, told by protocol and port, with what
//! belongs to it: its life and its application-layer gateway.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::{IcmpQuery, LifetimeId, Port, Protocol, Rows, Tuple};

/// A service of the policy in force, by its number (see [`Rows`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ServiceId(pub u16);

/// A service as the operator wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name in the rule file.
    pub name: String,
    /// The traffic that it is.
    pub traffic: Vec<Traffic>,
    /// How long its sessions live, where the service says so.
    pub lifetime: Option<LifetimeId>,
    /// The application-layer gateway that reads its control sessions.
    pub alg: Option<AlgKind>,
    /// Whether its datagrams may go without a checksum in IPv6 too.
    pub checksum: UdpChecksum,
}

/// Whether UDP over IPv6 has to have a checksum. In IPv4 it never has to
/// (RFC 768).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum UdpChecksum {
    /// RFC 8200 section 8.1: whoever gets none throws the datagram away.
    #[default]
    Required,
    /// The ports are a tunnel's that makes none (RFC 6935, RFC 6936).
    Optional,
}

impl Service {
    /// Whether a connection whose first packet has this tuple is of this service.
    #[must_use]
    pub fn covers(&self, first: &Tuple) -> bool {
        self.traffic.iter().any(|traffic| traffic.covers(first))
    }
}

/// One kind of traffic: a protocol, with destination ports or a message type
/// where it has such.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Traffic {
    /// A protocol with ports, to one of these.
    Ports(Protocol, RangeInclusive<Port>),
    /// An ICMP or ICMPv6 query.
    Icmp(IcmpQuery),
    /// All of a protocol.
    Protocol(Protocol),
}

impl Traffic {
    /// Whether a connection whose first packet has this tuple is such traffic.
    #[must_use]
    pub fn covers(&self, first: &Tuple) -> bool {
        match self {
            Self::Ports(protocol, ports) => {
                *protocol == first.protocol && ports.contains(&first.destination.port)
            }
            Self::Icmp(query) => first.icmp_query() == Some(*query),
            Self::Protocol(protocol) => *protocol == first.protocol,
        }
    }
}

/// An application-layer gateway by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AlgKind {
    /// FTP (RFC 959, RFC 2428).
    Ftp,
    /// TFTP (RFC 1350).
    Tftp,
}

impl AlgKind {
    /// Every kind there is.
    pub const ALL: [Self; 2] = [Self::Ftp, Self::Tftp];

    /// The name that rule files use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ftp => "ftp",
            Self::Tftp => "tftp",
        }
    }

    /// The protocol of the control sessions that it reads.
    #[must_use]
    pub fn protocol(self) -> Protocol {
        match self {
            Self::Ftp => Protocol::TCP,
            Self::Tftp => Protocol::UDP,
        }
    }
}

/// All services of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Services(Rows<Service>);

impl Services {
    /// The table of `services`; a service's number is its place here.
    #[must_use]
    pub fn new(services: Vec<Service>) -> Self {
        Self(services.into_iter().collect())
    }

    /// The table of services that have their numbers already.
    #[must_use]
    pub fn of_rows(services: Rows<Service>) -> Self {
        Self(services)
    }

    /// All with their numbers, those that are gone among them.
    #[must_use]
    pub fn rows(&self) -> &Rows<Service> {
        &self.0
    }

    /// The service of this number, also one that is gone.
    #[must_use]
    pub fn get(&self, service: ServiceId) -> Option<&Service> {
        self.0.get(usize::from(service.0))
    }

    /// All services in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = (ServiceId, &Service)> {
        let all = self.0.numbered();
        all.map(|(number, service)| (ServiceId(number), service))
    }

    /// Whether datagrams of this tuple, in either direction, may go without a
    /// checksum over IPv6.
    #[must_use]
    pub fn may_be_unsummed(&self, tuple: &Tuple) -> bool {
        let back = tuple.reversed();
        self.0.iter().any(|service| {
            service.checksum == UdpChecksum::Optional
                && (service.covers(tuple) || service.covers(&back))
        })
    }

    /// The first of `candidates` that covers this tuple.
    #[must_use]
    pub fn first_covering(&self, candidates: &[ServiceId], first: &Tuple) -> Option<ServiceId> {
        let covers = |id: &ServiceId| self.get(*id).is_some_and(|s| s.covers(first));
        candidates.iter().copied().find(covers)
    }

    /// The first service in the file that covers this tuple.
    #[must_use]
    pub fn covering(&self, first: &Tuple) -> Option<ServiceId> {
        self.iter().find(|(_, s)| s.covers(first)).map(|(id, _)| id)
    }
}
