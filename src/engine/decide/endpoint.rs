//! The search for a public endpoint that nobody else's answers use.
//!
//! The port that the packet has, where it may keep that; else one that nobody has
//! at this address, which the map of its ports shows at a price that does not
//! grow; only where there is none, and others may share, one that nobody has
//! towards this server, tried one by one. Within ranges and blocks of a client's
//! own the port is drawn (RFC 6888 REQ-15).

use std::net::IpAddr;
use std::ops::RangeInclusive;

use super::super::{Engine, Reason};
use crate::nat::{SourceNat, Wish};
use crate::net::{Endpoint, Port, RowId, Tuple, ZoneId};
use crate::session::{ExpectedTuple, Handle, Usage};

/// How many ports that the map calls free are passed over in search of one that
/// is not reserved or somebody's otherwise.
const PASSED_OVER: usize = 256;

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

/// Who else may have the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sharing {
    /// Nobody: it is to be one socket's own.
    Own,
    /// Whoever talks to other servers.
    Towards,
}

/// A public endpoint that is looked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) wish: Wish<'a>,
    pub(super) sharing: Sharing,
    pub(super) known_in: ZoneId,
    pub(super) aside: Aside,
}

impl Engine {
    /// One of all that the row's ports allow; `start` is asked where the search
    /// begins, if there is one.
    pub(super) fn endpoint(
        &self,
        wanted: &Wanted<'_>,
        start: impl FnOnce() -> u64,
    ) -> Option<Port> {
        let wish = wanted.wish;
        if let Some(kept) = wish.kept()
            && self.is_free(wanted, kept)
        {
            return Some(kept.source.port);
        }
        let range = wish.range()?;
        let start = start();
        let first = wish.from(start).start_in(&range);
        self.unused(wanted, &range, first)
            .or_else(|| self.shared_by_others(wanted, start, range))
    }

    /// One of the ranges and blocks that the client has by this row, or of a
    /// block that it may have besides.
    pub(super) fn endpoint_of_client(
        &self,
        wanted: &Wanted<'_>,
        start: u64,
        (id, row): (RowId, &SourceNat),
        client: IpAddr,
    ) -> Result<Port, Reason> {
        let wish = wanted.wish;
        let mappings = self.sessions.mappings();
        let address = wish.wanted.source.address;
        let leases = mappings.leases(id, client);
        let leases = leases.iter().filter(|lease| lease.address == address);
        let leased = leases.clone().filter_map(|lease| {
            let layout = row.terms.blocks?;
            Some(layout.ports(lease.block))
        });
        let own = row.own_ports(client, address);
        let has = || own.clone().into_iter().chain(leased.clone());
        if let Some(kept) = wish.kept()
            && has().any(|range| range.contains(&kept.source.port.0))
            && self.is_free(wanted, kept)
        {
            return Ok(kept.source.port);
        }
        if let Some(found) = has().find_map(|range| self.drawn(wanted, start, &range)) {
            return Ok(found);
        }
        let short = match row.terms.blocks {
            Some(layout) if leases.count() < usize::from(row.blocks_per_client) => {
                let block = mappings.free_block((id, address), &layout, start);
                let drawn = block.and_then(|block| self.drawn(wanted, start, &layout.ports(block)));
                match drawn {
                    Some(found) => return Ok(found),
                    None => Reason::NatPortsExhausted,
                }
            }
            Some(_) => Reason::NatClientLimit,
            None => Reason::NatPortsExhausted,
        };
        has()
            .find_map(|range| self.shared_by_others(wanted, start, range))
            .ok_or(short)
    }

    /// One that nobody has at all, drawn from this range.
    fn drawn(&self, wanted: &Wanted<'_>, start: u64, range: &RangeInclusive<u16>) -> Option<Port> {
        let Wish {
            wanted: leaves,
            choice,
        } = wanted.wish;
        let place = (leaves.protocol, leaves.source.address);
        let parity = choice.parity_of(leaves);
        let mappings = self.sessions.mappings();
        let Port(port) = mappings.drawn_port(place, range, start, parity)?;
        self.unused(wanted, range, port)
    }

    /// One that nobody has at all: the first from `start` on.
    fn unused(
        &self,
        wanted: &Wanted<'_>,
        range: &RangeInclusive<u16>,
        mut start: u16,
    ) -> Option<Port> {
        let leaves = wanted.wish.wanted;
        let place = (leaves.protocol, leaves.source.address);
        let parity = wanted.wish.choice.parity_of(leaves);
        let mappings = self.sessions.mappings();
        for _ in 0..PASSED_OVER {
            let port = mappings.unused_port(place, range, start, parity)?;
            let found = wanted.wish.with(port);
            let reply = found.reversed();
            let last = match self.reserved_to(&reply, wanted.known_in) {
                Some(last) => last,
                None if !self.is_taken(&reply, wanted.aside)
                    && !mappings.is_used_elsewhere(leaves.protocol, found.source) =>
                {
                    return Some(port);
                }
                None => port,
            };
            // Behind it the search goes on, from the end of the range at its start.
            start = match last.0 >= *range.end() {
                true => *range.start(),
                false => last.0 + 1,
            };
        }
        None
    }

    /// One that others have towards other servers.
    fn shared_by_others(
        &self,
        wanted: &Wanted<'_>,
        start: u64,
        range: RangeInclusive<u16>,
    ) -> Option<Port> {
        if wanted.sharing == Sharing::Own {
            return None;
        }
        let mut each = wanted.wish.from(start).each(range);
        let found = each.find(|candidate| self.is_free(wanted, candidate))?;
        Some(found.source.port)
    }

    /// Whether it may be had.
    fn is_free(&self, wanted: &Wanted<'_>, candidate: &Tuple) -> bool {
        let mappings = self.sessions.mappings();
        let (protocol, public) = (candidate.protocol, candidate.source);
        let is_open = match wanted.sharing {
            Sharing::Towards => mappings.may_be_shared(protocol, public),
            Sharing::Own => matches!(mappings.usage(protocol, public), Usage::Free),
        };
        let is_reserved = || {
            let reply = candidate.reversed();
            self.reserved_to(&reply, wanted.known_in).is_some()
        };
        is_open
            && !self.is_elsewhere(wanted, candidate)
            && !self.has_its_answers_taken(candidate, wanted.aside)
            && (self.policy.nat.reserves_nothing() || !is_reserved())
    }

    /// Whether another worker's clients have this endpoint, so that it may not be had.
    fn is_elsewhere(&self, wanted: &Wanted<'_>, candidate: &Tuple) -> bool {
        let mappings = self.sessions.mappings();
        let (protocol, public) = (candidate.protocol, candidate.source);
        match wanted.sharing {
            Sharing::Towards => mappings.is_owned_elsewhere(protocol, public),
            Sharing::Own => mappings.is_used_elsewhere(protocol, public),
        }
    }

    /// Whether the answers to what leaves like this are somebody's.
    fn has_its_answers_taken(&self, leaves: &Tuple, aside: Aside) -> bool {
        if aside.leads_to.is_some() {
            return self.is_taken(&leaves.reversed(), aside);
        }
        match self.sessions.find_answers(leaves) {
            Some((handle, _)) => Some(handle) != aside.replaces && !self.is_finished(handle),
            None => {
                let reply = leaves.reversed();
                self.is_announced(&reply) || self.sessions.is_anothers(&reply)
            }
        }
    }

    /// Whether a data session of this tuple is expected.
    fn is_announced(&self, reply: &Tuple) -> bool {
        if self.sessions.expectations().is_empty() {
            return false;
        }
        let parent = self.sessions.expected_by(&ExpectedTuple::of(reply));
        parent.is_some_and(|parent| !self.is_finished(parent))
    }

    /// The last port of the range of reserved ones that the public endpoint of
    /// these answers lies in, if it does.
    pub(super) fn reserved_to(&self, reply: &Tuple, known_in: ZoneId) -> Option<Port> {
        let (nat, zones) = (&self.policy.nat, &self.policy.zones);
        nat.reserved_to(reply.protocol, reply.destination, known_in, zones)
    }

    /// Whether answers of this tuple are somebody's.
    pub(super) fn is_taken(&self, reply: &Tuple, aside: Aside) -> bool {
        let reply = aside.answers(reply);
        match self.sessions.find(&reply) {
            Some((handle, _)) => Some(handle) != aside.replaces && !self.is_finished(handle),
            None => self.is_announced(&reply) || self.sessions.is_anothers(&reply),
        }
    }
}
