//! Whether a packet outside of any connection could have to be translated.

use super::policy::{Forward, NatPolicy, Server, SourceNat, SourceTarget, Static};
use crate::net::{Asking, Place, Services, Zones};

impl NatPolicy {
    /// Whether a packet that begins nothing could have to be translated, were
    /// it part of a connection: it is for a public address, comes from a host
    /// that has one, or from where a row of source translation is about some
    /// connection. Which one cannot be known, so service and server do not count.
    #[must_use]
    pub fn may_concern(&self, packet: &Asking, services: &Services, zones: &Zones) -> bool {
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
}
