//! What of mappings no session says, and how it comes back.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::resting::Rest;
use super::{Claim, Held, Holder, Mapping, Mappings, public_of};
use crate::net::{Direction, RowId, Timestamp};
use crate::session::blocks::Lease;
use crate::session::crew::Entered;
use crate::session::note::Change;
use crate::session::record::Origin;

/// Something that nobody has any more, and nobody may have yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AtRest {
    pub(crate) row: RowId,
    /// Until when.
    pub(crate) until: Timestamp,
    what: Rest,
}

impl AtRest {
    /// The same by another row, and until another moment.
    pub(crate) fn by(self, row: RowId, until: Timestamp) -> Self {
        Self { row, until, ..self }
    }
}

impl Mappings {
    /// The mappings that a session holds.
    pub(in crate::session) fn of_session<'a>(
        &'a self,
        origin: &'a Origin,
    ) -> impl Iterator<Item = &'a Mapping> {
        Direction::BOTH.into_iter().filter_map(|end| {
            origin.claims[end].filter(|claim| matches!(claim, Claim::Mapped(..)))?;
            let (protocol, public) = public_of(origin, end);
            self.of_endpoint(protocol, public)
        })
    }

    /// The block that a session holds a port of.
    pub(in crate::session) fn lease_of_session(&self, origin: &Origin) -> Option<Leased> {
        let row = origin.claims.original?.row()?;
        let held = Held::of(origin, Direction::Original);
        Some(Leased {
            row,
            client: held.inside.address,
            lease: self.lease_of(row, held.public)?,
        })
    }

    /// A mapping is there again, for the sessions that hold it and come after it.
    pub(in crate::session) fn revive(&mut self, saved: &Mapping) {
        let Mapping {
            protocol,
            inside,
            outside,
            row,
            ..
        } = *saved;
        let public = (protocol, outside);
        if self.public.contains_key(&public) || self.is_shared(public) {
            return;
        }
        let mapping = Mapping {
            holders: 0,
            ..*saved
        };
        self.public.insert(public, Holder::Mapped(mapping));
        self.take_port(public);
        if self.counts(row) {
            self.accounts.hold(row, inside.address, protocol);
        }
        self.sockets.insert(mapping.socket(), outside);
        if let Some(post) = &self.post {
            let _ = post.own(mapping);
        }
    }

    /// The sessions are there again that hold this mapping: by the log it begins.
    pub(in crate::session) fn tell_revived(&mut self, saved: &Mapping) {
        let public = (saved.protocol, saved.outside);
        let Some(Holder::Mapped(own)) = self.public.get(&public) else {
            return;
        };
        let Mapping {
            inside,
            row,
            behaviour,
            known_in,
            ..
        } = *own;
        let held = Held {
            public,
            inside,
            far: inside,
            home: own.first.home,
        };
        match own.holders {
            0 => {
                self.let_go(public, Timestamp::EPOCH);
            }
            _ => {
                let claim = Claim::Mapped(behaviour, known_in, row);
                self.note_mapping(row, claim, &held, Change::Began);
            }
        }
    }

    /// Some of what rests, from a place on; `None`: there is no more.
    pub(in crate::session) fn resting(&self, from: usize, most: usize) -> Option<Vec<AtRest>> {
        let mut passed = 0;
        for (row, queue) in &self.resting {
            if from < passed + queue.len() {
                let some = queue.some_from(from - passed, most);
                let some = some.map(|(until, what)| AtRest {
                    row: *row,
                    until: *until,
                    what: *what,
                });
                return Some(some.collect());
            }
            passed += queue.len();
        }
        None
    }

    /// Lays down again what rested, unless somebody has it, or nothing rests by its row.
    pub(in crate::session) fn lay_down(&mut self, at_rest: AtRest, now: Timestamp) {
        let AtRest { row, until, what } = at_rest;
        let Some(hold_down) = self.terms(row).and_then(|terms| terms.hold_down) else {
            return;
        };
        let is_free = match what {
            Rest::Port((protocol, public)) => {
                matches!(self.usage(protocol, public), super::Usage::Free)
            }
            Rest::Block(lease) => {
                let layout = self.terms(row).and_then(|terms| terms.blocks);
                layout.is_some_and(|layout| lease.block < layout.count())
                    && !self.blocks.is_taken(row, lease)
            }
        };
        let mut rows = self.resting.iter_mut();
        let queue = rows.find(|(own, _)| *own == row);
        let Some((_, queue)) = queue.filter(|_| is_free) else {
            return;
        };
        if queue.len() >= hold_down.most.get() as usize {
            return;
        }
        let entered = self.post.as_ref().map(|post| match what {
            Rest::Port(public) => post.lay_down(public),
            Rest::Block(lease) => post.lay_down_block(row, lease),
        });
        if entered == Some(Entered::Refused) {
            return;
        }
        queue.push_back((until.min(now.after(hold_down.time)), what));
        match what {
            Rest::Port(public) => {
                self.public.insert(public, Holder::Resting);
                self.at_rest += 1;
                self.take_port(public);
            }
            Rest::Block(lease) => self.blocks.withhold(row, lease),
        }
    }

    /// Puts the blocks that a client has in the order in which it got them.
    pub(in crate::session) fn order_leases(
        &mut self,
        (row, client): (RowId, IpAddr),
        order: &[Lease],
    ) {
        self.blocks.put_in_order(row, client, order);
        if let Some(post) = &self.post {
            post.put_in_order(row, client, order);
        }
    }
}

/// A block that a client has by a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::session) struct Leased {
    pub(in crate::session) row: RowId,
    pub(in crate::session) client: IpAddr,
    pub(in crate::session) lease: Lease,
}
