//! From which address the gateway speaks, and how it refuses: whatever rules say,
//! nothing leaves with an address that translation hides (RFC 2663 section 9).

use std::net::IpAddr;

use super::Engine;
use super::decide::Answer;
use crate::net::{Asking, Endpoint, Family, Place, Profile, Tuple, ZoneId};
use crate::packet::{Complaint, Headers};

impl Engine {
    /// How the sender of this packet, which came by `zone`, is refused. An RST comes
    /// from the address that the packet names; where that is one which translation
    /// hides from there, an ICMP error of the gateway's says it instead.
    pub(super) fn refusal(&self, zone: ZoneId, headers: &Headers) -> Answer {
        let complaint = match self.policy.profile {
            Profile::Linux => Complaint::PortUnreachable, // as nftables' reject
            // RFC 1812 section 5.2.7.1
            Profile::Rfc | Profile::Carrier => Complaint::Prohibited,
        };
        match self.is_hidden(headers.destination, zone, headers) {
            true => Answer::Error(complaint),
            false => Answer::Refusal(complaint),
        }
    }

    /// The address from which the gateway tells the sender of this packet, which
    /// came by `zone`, of its fate: its own there; else the one that was addressed,
    /// where that stands for hosts behind it; else any of its own that is not hidden.
    pub(super) fn speaking_address(&self, zone: ZoneId, headers: &Headers) -> Option<IpAddr> {
        let (nat, zones) = (&self.policy.nat, &self.policy.zones);
        let family = Family::of(headers.source);
        let addressed = || {
            let address = headers.destination;
            nat.stands_for_hosts(address, zone, zones)
                .then_some(address)
        };
        zones
            .own_address(zone, family)
            .or_else(addressed)
            .or_else(|| {
                let own = zones.speaking_address(zone, family);
                own.filter(|own| !self.is_hidden(*own, zone, headers))
            })
    }

    /// Whether a packet from this address to the sender of `headers`, behind `zone`,
    /// could have to be translated.
    fn is_hidden(&self, address: IpAddr, zone: ZoneId, headers: &Headers) -> bool {
        let policy = &self.policy;
        let Some(tuple) = headers.tuple() else {
            return false;
        };
        let from = policy.zones.holding(address).filter(|from| *from != zone);
        from.is_some_and(|from| {
            let back = Asking {
                from,
                to: Place::Zone(zone),
                tuple: &Tuple {
                    source: Endpoint::new(address, tuple.destination.port),
                    ..tuple.reversed()
                },
            };
            policy
                .nat
                .may_concern(&back, &policy.services, &policy.zones)
        })
    }
}
