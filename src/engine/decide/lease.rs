//! How the port of a public endpoint was found: for whoever wants to know,
//! looked up again after it was.

use super::super::Engine;
use super::super::observer::{Lease, Moved};
use super::endpoint::Aside;
use crate::nat::{PortChoice, PortOrder};
use crate::net::{Endpoint, Tuple, ZoneId};
use crate::session::{Behaviour, Claim, Usage};

/// What is asked about: as what the connection was to leave, and as what it does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) socket: Endpoint,
    pub(super) wanted: &'a Tuple,
    pub(super) leaves: &'a Tuple,
    pub(super) claim: Option<Claim>,
}

impl Engine {
    /// `None` where the protocol has no ports.
    pub(super) fn lease(
        &self,
        found: &Found<'_>,
        ports: &PortChoice,
        known: (ZoneId, Aside),
    ) -> Option<Lease> {
        let Found {
            wanted,
            leaves,
            socket,
            claim,
        } = *found;
        let range = ports.ports_for(wanted)?;
        let behaviour = match claim {
            Some(Claim::Mapped(behaviour, ..)) => Some(behaviour),
            Some(Claim::Shared(_)) | None => None,
        };
        if let Some(Claim::Mapped(behaviour, known_in, row)) = claim {
            let socket = (wanted.protocol, socket);
            let far = wanted.destination;
            let mappings = self.sessions.mappings();
            let held = mappings.of_socket(socket, (row, known_in), behaviour.mapping, far);
            if held.is_some() {
                return Some(Lease::Held);
            }
        }
        if leaves.source.port == wanted.source.port {
            return Some(Lease::Kept);
        }
        let moved = if ports.order == PortOrder::Random {
            Moved::Random
        } else if ports.range.is_some() && !range.contains(&wanted.source.port.0) {
            Moved::OutOfRange
        } else {
            self.in_the_way(&wanted.reversed(), behaviour, known)
        };
        Some(Lease::Moved(moved))
    }

    /// What keeps a connection from leaving such that its answers are `reply`.
    fn in_the_way(
        &self,
        reply: &Tuple,
        behaviour: Option<Behaviour>,
        (known_in, aside): (ZoneId, Aside),
    ) -> Moved {
        if self.reserved_to(reply, known_in).is_some() {
            return Moved::Reserved;
        }
        let mappings = self.sessions.mappings();
        match mappings.usage(reply.protocol, reply.target()) {
            Usage::Mapped(mapping) => return Moved::Owned(mapping.inside),
            Usage::Shared if behaviour.is_some() => return Moved::Shared,
            Usage::Resting => return Moved::Resting,
            Usage::Shared | Usage::Free => {}
        }
        let reply = aside.answers(reply);
        match self.sessions.find(&reply) {
            Some((handle, _)) => Moved::Session(handle.id()),
            None => Moved::Expected,
        }
    }
}
