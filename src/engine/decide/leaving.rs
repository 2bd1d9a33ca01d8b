//! As what a connection leaves: its public endpoint, which nobody else's
//! answers may use.

use std::net::IpAddr;

use super::super::observer::{Observer, Step};
use super::super::{Engine, Reason};
use super::lease::Found;
use crate::nat::{
    Inward, Pooling, PortChoice, Quota, SourceChoice, SourceNat, SourceTarget, unique_source,
};
use crate::net::{Asking, Dependence, Endpoint, NatRow, Port, Protocol, Tuple, ZoneId};
use crate::session::{Behaviour, Claim, Handle, QuotaId, Usage};

/// How many ranges of reserved ports are stepped over in search of a free one.
const RESERVED_RANGES: usize = 256;

/// How many other addresses of a pool are tried for a client whose own has no port
/// left.
const OTHER_ADDRESSES: usize = 8;

/// A connection as it leaves, and what it holds of its public endpoint.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leaving {
    pub(super) tuple: Tuple,
    pub(super) claim: Option<Claim>,
    /// The row that says so.
    pub(super) row: Option<NatRow>,
}

/// What the search for a public endpoint has to know besides.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Aside {
    /// The session that is about to be replaced counts as gone.
    pub(super) replaces: Option<Handle>,
    /// The socket behind the public endpoint that is addressed, where the packet
    /// goes to a mapping: the answers come from there.
    pub(super) leads_to: Option<Endpoint>,
}

impl Aside {
    /// The answers as they come.
    pub(super) fn answers(self, reply: &Tuple) -> Tuple {
        Tuple {
            source: self.leads_to.unwrap_or(reply.source),
            ..*reply
        }
    }
}

impl Engine {
    /// As what a permitted connection is known in a zone. `arrives` is its
    /// tuple as it came; `asking` what the rules saw of it.
    pub(super) fn leaving(
        &self,
        arrives: &Tuple,
        asking: &Asking,
        inward: Option<&Inward<'_>>,
        (known_in, aside): (ZoneId, Aside),
        why: &mut impl Observer,
    ) -> Result<Leaving, Reason> {
        let policy = &self.policy;
        let mut wanted = asking.tuple;
        let (client, server) = (wanted.source.address, wanted.destination.address);
        let draw = |pooling| match pooling {
            Pooling::Paired | Pooling::Preferred => self.hash.of(&client),
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
        let usual = PortChoice::default();
        let ports = outward.row.map_or(&usual, |row| &row.ports);
        let at_endpoint = |wanted| match claim {
            Some(Claim::Mapped(behaviour, ..)) => {
                let socket = asking.tuple.source;
                self.mapped(
                    (arrives, wanted, socket),
                    behaviour,
                    ports,
                    (known_in, aside),
                )
            }
            Some(Claim::Shared(_)) => self.shared(arrives, wanted, ports, (known_in, aside)),
            None => self.unshared(arrives, wanted, aside),
        };
        let elsewhere = || {
            let from = |address| Tuple {
                source: Endpoint::new(address, wanted.source.port),
                ..wanted
            };
            let others = others(outward.row, wanted.source.address);
            others.map(from).find_map(at_endpoint)
        };
        let tuple = at_endpoint(wanted)
            .or_else(elsewhere)
            .ok_or(Reason::NatPortsExhausted)?;
        if let (Some(quota), Some(claim)) = (outward.row.and_then(|row| row.quota), claim)
            && self.is_over(quota, claim, client, &tuple)
        {
            return Err(Reason::NatClientLimit);
        }
        if let Some(claim) = &claim {
            why.step(Step::Claims(claim));
        }
        if why.listens() && matches!(outward.choice, SourceChoice::From(..)) {
            // The address may be another than the first that was wanted.
            wanted.source.address = tuple.source.address;
            let found = Found {
                socket: asking.tuple.source,
                wanted: &wanted,
                leaves: &tuple,
                claim,
            };
            if let Some(lease) = self.lease(&found, ports, (known_in, aside)) {
                why.step(Step::Lease(lease));
            }
        }
        why.step(Step::Leaves(&tuple));
        let row = outward.choice.row();
        Ok(Leaving { tuple, claim, row })
    }

    /// Whether this public endpoint would be one too many for the client.
    fn is_over(&self, quota: Quota, claim: Claim, client: IpAddr, leaves: &Tuple) -> bool {
        let Some(id) = claim.quota() else {
            return false;
        };
        let mappings = self.sessions.mappings();
        if mappings.holds(id, client, (leaves.protocol, leaves.source)) {
            return false;
        }
        let [tcp, udp] =
            [Protocol::TCP, Protocol::UDP].map(|protocol| mappings.held(id, protocol, client));
        let own = match leaves.protocol {
            Protocol::TCP => quota.tcp.map(|most| (tcp, most)),
            Protocol::UDP => quota.udp.map(|most| (udp, most)),
            _ => None,
        };
        let all = quota.all.map(|most| (tcp + udp, most));
        [own, all]
            .into_iter()
            .flatten()
            .any(|(count, most)| count >= most)
    }

    /// The public endpoint that the socket has already; else one that nobody
    /// has at all.
    fn mapped(
        &self,
        (arrives, wanted, socket): (&Tuple, Tuple, Endpoint),
        behaviour: Behaviour,
        ports: &PortChoice,
        (known_in, aside): (ZoneId, Aside),
    ) -> Option<Tuple> {
        let mappings = self.sessions.mappings();
        let (protocol, far) = (wanted.protocol, wanted.destination);
        let socket = (protocol, socket);
        if let Some(mapping) = mappings.of_socket(socket, known_in, behaviour.mapping, far) {
            let own = Tuple {
                source: mapping.outside,
                ..wanted
            };
            return (!self.is_taken(&own.reversed(), aside)).then_some(own);
        }
        let start = self.hash.of(&(arrives, wanted.source));
        let is_taken = |reply: &Tuple| {
            mappings.usage(protocol, reply.destination) != Usage::Free
                || self.is_published(known_in, reply)
                || self.is_taken(reply, aside)
                || self.reserved_to(reply, known_in).is_some()
        };
        unique_source(wanted, ports, start, is_taken)
            .or_else(|| self.unused(wanted, ports, start, (known_in, aside)))
            .filter(|found| !self.is_published(known_in, &found.reversed()))
    }

    /// Whether strangers' packets like this one lead elsewhere by the file: a
    /// client may not have for itself what a forward or a static row gives out.
    pub(super) fn is_published(&self, known_in: ZoneId, reply: &Tuple) -> bool {
        let policy = &self.policy;
        policy.nat.is_published(known_in, reply, &policy.zones)
    }

    /// A public endpoint that towards this server nobody has, and that is no
    /// socket's own.
    fn shared(
        &self,
        arrives: &Tuple,
        wanted: Tuple,
        ports: &PortChoice,
        (known_in, aside): (ZoneId, Aside),
    ) -> Option<Tuple> {
        let mappings = self.sessions.mappings();
        let start = self.hash.of(&(arrives, wanted));
        let is_taken = |reply: &Tuple| {
            let usage = mappings.usage(wanted.protocol, reply.destination);
            matches!(usage, Usage::Mapped(_))
                || self.is_taken(reply, aside)
                || self.reserved_to(reply, known_in).is_some()
        };
        unique_source(wanted, ports, start, is_taken)
            .or_else(|| self.unused(wanted, ports, start, (known_in, aside)))
    }

    /// When those that were tried are all taken: one that nobody has towards
    /// anybody, found in the map of ports at a price that does not grow.
    fn unused(
        &self,
        wanted: Tuple,
        ports: &PortChoice,
        start: u64,
        (known_in, aside): (ZoneId, Aside),
    ) -> Option<Tuple> {
        let range = ports.ports_for(&wanted)?;
        let place = (wanted.protocol, wanted.source.address);
        let size = u64::from(range.end().saturating_sub(*range.start())) + 1;
        let start = u64::from(*range.start()) + start % size;
        let mut start = u16::try_from(start).unwrap_or(u16::MAX);
        let parity = ports.parity_of(&wanted);
        let mappings = self.sessions.mappings();
        let mut found = wanted;
        for _ in 0..RESERVED_RANGES {
            found.source.port = mappings.unused_port(place, &range, start, parity)?;
            let reply = found.reversed();
            match self.reserved_to(&reply, known_in) {
                None => return (!self.is_taken(&reply, aside)).then_some(found),
                // Behind them it goes on, from the end of the range at its start.
                Some(last) if last.0 >= *range.end() => start = *range.start(),
                Some(last) => start = last.0 + 1,
            }
        }
        None
    }

    /// The last port of the range of reserved ones that the public endpoint of
    /// these answers lies in, if it does.
    pub(super) fn reserved_to(&self, reply: &Tuple, known_in: ZoneId) -> Option<Port> {
        let (nat, zones) = (&self.policy.nat, &self.policy.zones);
        nat.reserved_to(reply.protocol, reply.destination, known_in, zones)
    }

    /// As what a connection leaves whose source address somebody else has
    /// chosen.
    pub(super) fn leaving_from(
        &self,
        arrives: &Tuple,
        wanted: Tuple,
        (known_in, quota): (ZoneId, Option<QuotaId>),
        row: Option<NatRow>,
    ) -> Option<Leaving> {
        let is_translated = wanted.source.address != arrives.source.address;
        let claim = (is_translated && wanted.protocol.has_ports()).then_some(Claim::Shared(quota));
        let aside = Aside::default();
        let tuple = match claim {
            Some(_) => self.shared(arrives, wanted, &PortChoice::default(), (known_in, aside))?,
            None => self.unshared(arrives, wanted, aside)?,
        };
        Some(Leaving { tuple, claim, row })
    }

    /// The leaving tuple with a source port that no other session's answers
    /// use.
    ///
    /// Where the search begins depends on the real client too: many clients
    /// with one port would otherwise all search the same few ports.
    pub(super) fn unshared(&self, arrives: &Tuple, wanted: Tuple, aside: Aside) -> Option<Tuple> {
        let start = self.hash.of(&(arrives, wanted));
        let is_taken = |reply: &Tuple| self.is_taken(reply, aside);
        unique_source(wanted, &PortChoice::default(), start, is_taken)
    }

    /// Whether answers of this tuple are somebody's.
    fn is_taken(&self, reply: &Tuple, aside: Aside) -> bool {
        let reply = aside.answers(reply);
        match self.sessions.lookup(&reply) {
            Some((handle, _, _)) => Some(handle) != aside.replaces,
            None => self.sessions.is_taken(&reply),
        }
    }
}

/// The addresses that a client may have besides the one that it is to have, where
/// that has no port left.
fn others(row: Option<&SourceNat>, own: IpAddr) -> impl Iterator<Item = IpAddr> {
    let pool = row.and_then(|row| match &row.target {
        SourceTarget::Pool(pool, Pooling::Preferred) => Some(pool),
        _ => None,
    });
    let all = pool.into_iter().flat_map(move |pool| pool.after(own));
    all.take(OTHER_ADDRESSES)
}

/// What a connection that this row translates holds of its public endpoint.
fn claim_of(choice: SourceChoice, row: Option<&SourceNat>, known_in: ZoneId) -> Claim {
    let usual = Dependence::default();
    let quota = match choice {
        SourceChoice::From(NatRow::Source(place), _) => row
            .and_then(|row| row.quota)
            .and_then(|_| QuotaId::of_row(usize::from(place))),
        _ => None,
    };
    match row {
        // One host's whole address is its own already.
        _ if matches!(choice, SourceChoice::From(NatRow::Static(_), _)) => Claim::Shared(None),
        Some(row) if (row.mapping, row.filtering) != (usual, usual) => {
            let behaviour = Behaviour {
                mapping: row.mapping,
                filtering: row.filtering,
            };
            Claim::Mapped(behaviour, known_in, quota)
        }
        _ => Claim::Shared(quota),
    }
}
