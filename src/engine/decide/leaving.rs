//! As what a connection leaves: its public endpoint, which nobody else's
//! answers may use.

use super::super::observer::{Observer, Step};
use super::super::{Engine, Reason};
use crate::nat::{Inward, NatRow, Pooling, PortChoice, SourceChoice, SourceNat, unique_source};
use crate::net::{Asking, Dependence, Endpoint, Tuple, ZoneId};
use crate::session::{Behaviour, Claim, Handle, Usage};

/// A connection as it leaves, and what it holds of its public endpoint.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leaving {
    pub(super) tuple: Tuple,
    pub(super) claim: Option<Claim>,
}

impl Engine {
    /// As what a permitted connection is known in a zone. `arrives` is its
    /// tuple as it came; `asking` what the rules saw of it.
    pub(super) fn leaving(
        &self,
        arrives: &Tuple,
        asking: &Asking,
        inward: Option<&Inward<'_>>,
        (known_in, replaces): (ZoneId, Option<Handle>),
        why: &mut impl Observer,
    ) -> Result<Leaving, Reason> {
        let policy = &self.policy;
        let mut wanted = asking.tuple;
        let (client, server) = (wanted.source.address, wanted.destination.address);
        let draw = |pooling| match pooling {
            Pooling::Paired => self.hash.of(&client),
            Pooling::Arbitrary => self.hash.of(&(client, server)),
        };
        let places = (&policy.services, &policy.zones);
        let outward = policy.nat.outward(asking, inward, places, draw);
        why.step(Step::Source(outward.choice));
        let claim = match outward.choice {
            SourceChoice::From(_, address) => {
                wanted.source.address = address;
                wanted
                    .protocol
                    .has_ports()
                    .then(|| claim_of(outward.choice, outward.row, known_in))
            }
            SourceChoice::Unchanged | SourceChoice::Exempt(_) => None,
            SourceChoice::NoAddress(_) => return Err(Reason::NatNoAddress),
        };
        let ports = outward.row.map(|row| &row.ports);
        let found = match claim {
            Some(Claim::Mapped(behaviour, _)) => {
                let socket = asking.tuple.source;
                self.mapped(
                    (arrives, wanted, socket),
                    behaviour,
                    ports,
                    known_in,
                    replaces,
                )
            }
            Some(Claim::Shared) => self.shared(arrives, wanted, ports, replaces),
            None => self.unique(arrives, wanted, ports, replaces),
        };
        let tuple = found.ok_or(Reason::NatPortsExhausted)?;
        why.step(Step::Leaves(&tuple));
        Ok(Leaving { tuple, claim })
    }

    /// The public endpoint that the socket has already; else one that nobody
    /// has at all.
    fn mapped(
        &self,
        (arrives, wanted, socket): (&Tuple, Tuple, Endpoint),
        behaviour: Behaviour,
        ports: Option<&PortChoice>,
        known_in: ZoneId,
        replaced: Option<Handle>,
    ) -> Option<Tuple> {
        let mappings = self.sessions.mappings();
        let (protocol, far) = (wanted.protocol, wanted.destination);
        let socket = (protocol, socket);
        if let Some(mapping) = mappings.of_socket(socket, known_in, behaviour.mapping, far) {
            let own = Tuple {
                source: mapping.outside,
                ..wanted
            };
            return (!self.is_taken(&own.reversed(), replaced)).then_some(own);
        }
        let start = self.hash.of(&(arrives, wanted.source));
        let is_taken = |reply: &Tuple| {
            mappings.usage(protocol, reply.destination) != Usage::Free
                || self.is_taken(reply, replaced)
        };
        unique_source(
            wanted,
            ports.unwrap_or(&PortChoice::default()),
            start,
            is_taken,
        )
    }

    /// A public endpoint that towards this server nobody has, and that is no
    /// socket's own.
    fn shared(
        &self,
        arrives: &Tuple,
        wanted: Tuple,
        ports: Option<&PortChoice>,
        replaced: Option<Handle>,
    ) -> Option<Tuple> {
        let mappings = self.sessions.mappings();
        let start = self.hash.of(&(arrives, wanted));
        let is_taken = |reply: &Tuple| {
            let usage = mappings.usage(wanted.protocol, reply.destination);
            matches!(usage, Usage::Mapped(_)) || self.is_taken(reply, replaced)
        };
        unique_source(
            wanted,
            ports.unwrap_or(&PortChoice::default()),
            start,
            is_taken,
        )
    }

    /// The leaving tuple with a source port that no other session's answers
    /// use.
    ///
    /// Where the search begins depends on the real client too: many clients
    /// with one port would otherwise all search the same few ports.
    pub(super) fn unique(
        &self,
        arrives: &Tuple,
        wanted: Tuple,
        ports: Option<&PortChoice>,
        replaced: Option<Handle>,
    ) -> Option<Tuple> {
        let start = self.hash.of(&(arrives, wanted));
        let is_taken = |reply: &Tuple| self.is_taken(reply, replaced);
        unique_source(
            wanted,
            ports.unwrap_or(&PortChoice::default()),
            start,
            is_taken,
        )
    }

    /// Whether answers of this tuple are somebody's. The session that is about
    /// to be replaced counts as gone.
    fn is_taken(&self, reply: &Tuple, replaced: Option<Handle>) -> bool {
        match self.sessions.lookup(reply) {
            Some((handle, _, _)) => Some(handle) != replaced,
            None => self.sessions.is_taken(reply),
        }
    }
}

/// What a connection that this row translates holds of its public endpoint.
fn claim_of(choice: SourceChoice, row: Option<&SourceNat>, known_in: ZoneId) -> Claim {
    let usual = Dependence::default();
    match row {
        // One host's whole address is its own already.
        _ if matches!(choice, SourceChoice::From(NatRow::Static(_), _)) => Claim::Shared,
        Some(row) if (row.mapping, row.filtering) != (usual, usual) => {
            let behaviour = Behaviour {
                mapping: row.mapping,
                filtering: row.filtering,
            };
            Claim::Mapped(behaviour, known_in)
        }
        _ => Claim::Shared,
    }
}
