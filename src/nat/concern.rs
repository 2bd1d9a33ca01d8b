//! Whether a packet outside of any connection could have to be translated, and
//! whether an address stands for hosts behind it.

use super::policy::{Forward, NatPolicy, Server, SourceNat, SourceTarget, Static};
use crate::net::{Asking, Family, Place, Services, ZoneId, Zones};
use std::net::IpAddr;

impl NatPolicy {
    /// Whether a packet that begins nothing could have to be translated, were
    /// it part of a connection: it is for a public address, comes from a host
    /// that has one, or from where a row of source translation is about some
    /// connection. Which one cannot be known, so service and server do not count.
    #[must_use]
    pub fn may_concern(&self, packet: &Asking<'_>, services: &Services, zones: &Zones) -> bool {
        let Asking { from, to, tuple } = packet;
        let source = tuple.source.address;
        let serves = |forward: &Forward| {
            let is_server = match forward.to {
                Server::Host(address, _) => address == source,
                Server::Network(_, inside) => inside.contains(&source),
                Server::Gateway(_) => false,
            };
            is_server && *to == Place::Zone(forward.on)
        };
        let is_known = |row: &Static| row.inside.contains(&source) && *to == Place::Zone(row.on);
        let concerns = |row: &SourceNat| match row.target {
            SourceTarget::Exempt => row.selector.admits(packet, services).map(|_| false),
            _ => row.selector.admits_sender(packet).map(|()| true),
        };
        self.inward(*from, tuple, zones).is_some()
            || self.forwards.iter().any(serves)
            || self.statics.iter().any(is_known)
            || self.source.iter().find_map(|row| concerns(row).ok()) == Some(true)
    }

    /// Whether some inside host may be known in a zone by this address.
    #[must_use]
    pub fn stands_for_hosts(&self, address: IpAddr, known_in: ZoneId, zones: &Zones) -> bool {
        let family = Family::of(address);
        let is_translated = |row: &SourceNat| {
            let place = row.selector.to.as_ref();
            let becomes = match &row.target {
                SourceTarget::Masquerade => zones.own_address(known_in, family) == Some(address),
                SourceTarget::Pool(pool, _) => pool.contains(address),
                SourceTarget::Network(pairs) => pairs.iter().any(|(_, to)| to.contains(&address)),
                SourceTarget::Deterministic(plan) => plan.addresses().contains(address),
                SourceTarget::Exempt => false,
            };
            becomes && place.is_none_or(|places| places.contains(&Place::Zone(known_in)))
        };
        let is_fixed = |row: &Static| row.on == known_in && row.outside.contains(&address);
        self.source.iter().any(is_translated) || self.statics.iter().any(is_fixed)
    }
}
