//! Public ports that no client is ever given: those that the operator keeps,
//! and those by which forwards and static rows lead inside. A client that had one
//! would hide what stands behind it from the hosts that it talks to, or from all.

use super::policy::{Forward, Hairpin, NatPolicy};
use crate::net::{Endpoint, Port, Protocol, Traffic, ZoneId, Zones};

impl NatPolicy {
    /// Whether the operator keeps this port for the gateway. A `static` address is
    /// its host's with all ports.
    #[must_use]
    pub fn keeps(&self, protocol: Protocol, public: Endpoint) -> bool {
        self.kept_to(protocol, public).is_some()
    }

    /// Whether every port is a client's to have.
    #[must_use]
    pub fn reserves_nothing(&self) -> bool {
        self.reserved.is_empty() && self.forwards.is_empty()
    }

    /// Where this port of a public address that is known in a zone is no
    /// client's to have: the last port of the range for which that holds. A
    /// forward of a whole protocol reserves nothing: it gets what no client has.
    #[must_use]
    pub fn reserved_to(
        &self,
        protocol: Protocol,
        public: Endpoint,
        known_in: ZoneId,
        zones: &Zones,
    ) -> Option<Port> {
        let forwards = self.forwards.iter();
        let mut forwarded =
            forwards.filter_map(|row| row.takes_to(protocol, public, known_in, zones));
        self.kept_to(protocol, public).or_else(|| forwarded.next())
    }

    /// The host whose static address it is asks for its ports itself; a row that
    /// would give them to another is refused with the file.
    fn kept_to(&self, protocol: Protocol, public: Endpoint) -> Option<Port> {
        last_of(&self.reserved, protocol, public.port).filter(|_| !self.is_static(public))
    }

    fn is_static(&self, public: Endpoint) -> bool {
        let mut statics = self.statics.iter();
        statics.any(|row| row.outside.contains(&public.address))
    }
}

impl Forward {
    fn takes_to(
        &self,
        protocol: Protocol,
        public: Endpoint,
        known_in: ZoneId,
        zones: &Zones,
    ) -> Option<Port> {
        let to = last_of(&self.traffic, protocol, public.port)?;
        let is_there = self.on == known_in || self.hairpin == Hairpin::Yes;
        (is_there && self.is_public(public.address, zones)).then_some(to)
    }
}

/// The last port of the range that has this one.
fn last_of(traffic: &[Traffic], protocol: Protocol, port: Port) -> Option<Port> {
    traffic.iter().find_map(|traffic| match traffic {
        Traffic::Ports(own, ports) if *own == protocol && ports.contains(&port) => {
            Some(*ports.end())
        }
        Traffic::Ports(..) | Traffic::Icmp(_) | Traffic::Protocol(_) => None,
    })
}
