//! As what a connection leaves: its public address, and what it may hold of it.

use std::net::IpAddr;
use std::num::NonZeroU32;

use super::super::observer::{Observer, Step};
use super::super::shortage::Shortage;
use super::super::{Engine, Reason};
use super::endpoint::{Aside, Sharing, Wanted};
use super::lease::Found;
use crate::nat::{
    Inward, Outward, Pooling, PortChoice, SourceChoice, SourceNat, SourceTarget, Wish,
};
use crate::net::{Asking, Dependence, Endpoint, Family, NatRow, Protocol, RowId, Tuple, ZoneId};
use crate::session::{Behaviour, Claim, Mappings};

/// How many addresses of a pool are looked at for one that has a block left.
const ADDRESSES: u8 = 16;

/// How many other addresses of a pool are tried for a client whose own has no port
/// left.
const OTHER_ADDRESSES: usize = 8;

/// From where a connection leaves, and what it holds of that endpoint.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leaving {
    pub(super) source: Endpoint,
    pub(super) claim: Option<Claim>,
    /// The row that says so.
    pub(super) row: Option<NatRow>,
}

impl Engine {
    /// As what a permitted connection is known in a zone. `arrives` is its
    /// tuple as it came; `asking` what the rules saw of it.
    pub(super) fn leaving(
        &self,
        arrives: &Tuple,
        asking: &Asking<'_>,
        inward: Option<&Inward<'_>>,
        (known_in, aside): (ZoneId, Aside),
        why: &mut impl Observer,
    ) -> Result<Leaving, Shortage> {
        let policy = &self.policy;
        let (source, destination) = (asking.tuple.source, asking.tuple.destination);
        let (client, server) = (source.address, destination.address);
        let draw = |pooling| match pooling {
            Pooling::Paired | Pooling::Preferred => self.hash.of(&client),
            Pooling::Arbitrary => self.hash.of(&(client, server)),
        };
        let places = (&policy.services, &policy.zones);
        let mut outward = policy.nat.outward(asking, inward, places, draw);
        if outward.row.is_some_and(|row| row.terms.blocks.is_some()) {
            self.where_a_block_is_left(&mut outward, client);
        }
        why.step(Step::Source(outward.choice));
        let row = outward.row_id();
        let short = |reason| Shortage {
            reason,
            row,
            client,
            protocol: asking.tuple.protocol,
        };
        let address = match outward.choice {
            SourceChoice::From(_, address) => address,
            SourceChoice::Unchanged | SourceChoice::Exempt(_) => client,
            SourceChoice::NoAddress(_) => return Err(short(Reason::NatNoAddress)),
        };
        // Written where it is kept: whoever copies it has to wait for it.
        let from = |address| Tuple {
            source: Endpoint::new(address, source.port),
            ..*asking.tuple
        };
        let wanted = &from(address);
        let is_translated = matches!(outward.choice, SourceChoice::From(..));
        let claim = (is_translated && holds_an_endpoint(wanted))
            .then(|| claim_of(&outward, known_in, wanted));
        let at_endpoint = |wanted: &Tuple| match claim {
            None => self.unshared(arrives, wanted, aside),
            Some(claim) => {
                let by = row.zip(outward.row);
                self.claimed((arrives, wanted, source), claim, by, (known_in, aside))
            }
        };
        let elsewhere = |reason| {
            let others = others(outward.row, address);
            let mut found = others.map(|address| at_endpoint(&from(address)));
            found.find(Result::is_ok).unwrap_or(Err(reason))
        };
        let own = match at_endpoint(wanted) {
            Ok(own) => own,
            Err(reason) => elsewhere(reason).map_err(short)?,
        };
        if let Some((id, _)) = row.filter(|_| claim.is_some()).zip(outward.row) {
            let public = (asking.tuple.protocol, own);
            self.within_limits(id, client, public, aside)
                .map_err(short)?;
        }
        if let Some(claim) = &claim {
            why.step(Step::Claims(claim));
        }
        if why.listens() {
            let leaves = Tuple {
                source: own,
                ..*asking.tuple
            };
            if is_translated {
                let found = Found {
                    socket: source,
                    // The address may be another than the first that was wanted.
                    wanted: &from(own.address),
                    leaves: &leaves,
                    claim,
                };
                let usual = PortChoice::default();
                let ports = outward.row.map_or(&usual, |row| &row.ports);
                if let Some(lease) = self.lease(&found, ports, (known_in, aside)) {
                    why.step(Step::Lease(lease));
                }
            }
            why.step(Step::Leaves(&leaves));
        }
        Ok(Leaving {
            source: own,
            claim,
            row: outward.choice.row(),
        })
    }

    /// A client of a pool that gives out blocks stays at the address where it has
    /// some; else, where its own address has none left, another is looked for.
    fn where_a_block_is_left(&self, outward: &mut Outward<'_>, client: IpAddr) {
        let (Some(row), Some(id)) = (outward.row, outward.row_id()) else {
            return;
        };
        let SourceChoice::From(place, address) = outward.choice else {
            return;
        };
        let (SourceTarget::Pool(pool, _), Some(layout)) = (&row.target, row.terms.blocks) else {
            return;
        };
        let mappings = self.sessions.mappings();
        let has_one = |address: &IpAddr| mappings.free_block((id, *address), &layout, 0).is_some();
        let others = || {
            let draws = (0..ADDRESSES).map(|n| self.hash.of(&(client, n)));
            let mut drawn = draws.filter_map(|draw| pool.draw(Family::of(client), draw));
            drawn.find(has_one)
        };
        let found = mappings
            .address_of(id, client)
            .or_else(|| Some(address).filter(has_one))
            .or_else(others);
        outward.choice = SourceChoice::From(place, found.unwrap_or(address));
    }

    /// The public endpoint that the socket has already; else another.
    fn claimed(
        &self,
        (arrives, wanted, socket): (&Tuple, &Tuple, Endpoint),
        claim: Claim,
        by: Option<(RowId, &SourceNat)>,
        (known_in, aside): (ZoneId, Aside),
    ) -> Result<Endpoint, Reason> {
        let sharing = match claim {
            Claim::Shared(_) => Sharing::Towards,
            Claim::Mapped(behaviour, _, row) => {
                let mappings = self.sessions.mappings();
                let socket = (wanted.protocol, socket);
                let known = (row, known_in);
                let far = wanted.destination;
                if let Some(own) = mappings.of_socket(socket, known, behaviour.mapping, far) {
                    let leaves = Tuple {
                        source: own.outside,
                        ..*wanted
                    };
                    let is_free = !self.is_taken(&leaves.reversed(), aside);
                    let own = is_free.then_some(own.outside);
                    return own.ok_or(Reason::NatPortsExhausted);
                }
                Sharing::Own
            }
        };
        let start = || match sharing {
            Sharing::Towards => self.hash.of(&(arrives, wanted)),
            Sharing::Own => self.hash.of(&(arrives, wanted.source)),
        };
        let usual = PortChoice::default();
        let wish = Wish {
            wanted,
            choice: by.map_or(&usual, |(_, row)| &row.ports),
        };
        let search = Wanted {
            wish,
            sharing,
            known_in,
            aside,
        };
        let port = match by {
            Some((id, row)) if row.has_ranges() => {
                self.endpoint_of_client(&search, start(), (id, row), socket.address)?
            }
            _ => {
                let found = self.endpoint(&search, start);
                found.ok_or(Reason::NatPortsExhausted)?
            }
        };
        Ok(Endpoint::new(wanted.source.address, port))
    }

    /// Whether the client may hold this public endpoint by one more session.
    fn within_limits(
        &self,
        row: RowId,
        client: IpAddr,
        public: (Protocol, Endpoint),
        aside: Aside,
    ) -> Result<(), Reason> {
        let mappings = self.sessions.mappings();
        let Some(terms) = mappings.terms(row).filter(|terms| terms.counts()) else {
            return Ok(());
        };
        let replaced = aside.replaces.and_then(|handle| self.sessions.get(handle));
        let replaced = replaced.and_then(|session| Mappings::holding(&session.origin));
        let replaced = replaced.filter(|held| (held.row, held.client) == (row, client));
        let sessions = mappings.sessions_by(row, client, public);
        if sessions > 0 {
            let goes = replaced.is_some_and(|held| held.public == public);
            let most = terms.max_sessions.map_or(u32::MAX, NonZeroU32::get);
            return match sessions - u32::from(goes) < most {
                true => Ok(()),
                false => Err(Reason::NatMappingLimit),
            };
        }
        // What only the session holds that is replaced, is not held for long.
        let goes = replaced.filter(|held| mappings.sessions_by(row, client, held.public) == 1);
        let mut tally = mappings.held(row, client);
        if let Some(held) = goes {
            tally = tally.without_one(held.public.0);
        }
        let fills = |quota| tally.fills(quota, public.0);
        if terms.quota.is_some_and(fills) {
            return Err(Reason::NatClientLimit);
        }
        let allows = |rate| mappings.allows(row, client, rate, self.now);
        match terms.rate.is_none_or(allows) {
            true => Ok(()),
            false => Err(Reason::NatClientRate),
        }
    }

    /// As what a connection leaves whose source address somebody else has
    /// chosen, by the second row where one has.
    pub(super) fn leaving_from(
        &self,
        arrives: &Tuple,
        wanted: &Tuple,
        (known_in, aside): (ZoneId, Aside),
        (row, by): (Option<RowId>, Option<NatRow>),
    ) -> Result<Leaving, Shortage> {
        let is_translated = wanted.source.address != arrives.source.address;
        let claim = (is_translated && holds_an_endpoint(wanted)).then_some(Claim::Shared(row));
        let source = match claim {
            Some(claim) => {
                let terms = row.and_then(|id| Some((id, self.policy.nat.source.get(id.place())?)));
                let socket = arrives.source;
                self.claimed((arrives, wanted, socket), claim, terms, (known_in, aside))
            }
            None => self.unshared(arrives, wanted, aside),
        };
        let short = |reason| Shortage {
            reason,
            row,
            client: arrives.source.address,
            protocol: arrives.protocol,
        };
        let source = source.map_err(short)?;
        let row = by;
        Ok(Leaving { source, claim, row })
    }

    /// The source of a leaving tuple, with a port that no other session's answers
    /// use.
    ///
    /// Where the search begins depends on the real client too: many clients
    /// with one port would otherwise all search the same few ports.
    pub(super) fn unshared(
        &self,
        arrives: &Tuple,
        wanted: &Tuple,
        aside: Aside,
    ) -> Result<Endpoint, Reason> {
        let wish = Wish {
            wanted,
            choice: &PortChoice::default(),
        };
        let start = || self.hash.of(&(arrives, wanted));
        let port = wish.first_free(start, |reply| self.is_taken(reply, aside));
        let port = port.ok_or(Reason::NatPortsExhausted)?;
        Ok(Endpoint::new(wanted.source.address, port))
    }
}

/// Whether there is a port or an identifier to hold.
fn holds_an_endpoint(leaves: &Tuple) -> bool {
    leaves.protocol.has_ports() || leaves.icmp_query().is_some()
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
fn claim_of(outward: &Outward<'_>, known_in: ZoneId, leaves: &Tuple) -> Claim {
    let usual = Dependence::default();
    // One host's whole address is its own already.
    if matches!(outward.choice, SourceChoice::From(NatRow::Static(_), _)) {
        return Claim::Shared(None);
    }
    let id = outward.row_id();
    match (outward.row, id) {
        // Of identifiers RFC 5508 asks no more than that answers come back.
        (Some(row), Some(id))
            if leaves.protocol.has_ports() && (row.mapping, row.filtering) != (usual, usual) =>
        {
            let behaviour = Behaviour {
                mapping: row.mapping,
                filtering: row.filtering,
            };
            Claim::Mapped(behaviour, known_in, id)
        }
        _ => Claim::Shared(id),
    }
}
