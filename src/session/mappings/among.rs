//! Public endpoints and blocks of ports among the workers of a crew.

use std::borrow::Cow;
use std::net::IpAddr;

use super::super::blocks::Lease;
use super::super::claims::Granted;
use super::super::crew::{Entered, Post};
use super::super::record::Origin;
use super::{Claim, Held, Mapping, Mappings, Usage, public_of};
use crate::net::{Direction, Endpoint, Family, Protocol, RowId};

impl Mappings {
    /// Has these be the mappings of one of several workers.
    pub(in crate::session) fn join(&mut self, post: Post) {
        self.post = Some(post);
    }

    /// Takes what a session claims that is about to begin: all of it, or nothing.
    pub(in crate::session) fn claim(&self, origin: &Origin) -> Granted {
        let Some(post) = &self.post else {
            return Granted::All;
        };
        let is_had = Direction::BOTH.into_iter().all(|end| {
            let Some(claim) = origin.claims[end] else {
                return true;
            };
            let public = public_of(origin, end);
            let held = Held::of(origin, end);
            let entered = match claim {
                Claim::Shared(_) => post.share(public),
                Claim::Mapped(behaviour, known_in, row) => post.own(Mapping::begun(
                    origin,
                    end,
                    &held,
                    (behaviour, known_in, row),
                )),
            };
            let lease = claim
                .row()
                .and_then(|row| Some((row, self.lease_of(row, public)?)));
            entered == Entered::Had
                && lease.is_none_or(|(row, lease)| {
                    let client = held.inside.address;
                    post.enter_block(row, lease, client) == Entered::Had
                })
        });
        match is_had {
            true => Granted::All,
            false => Granted::Nothing,
        }
    }

    /// Gives back what was taken of that, but for what sessions in the table have.
    pub(in crate::session) fn give_back(&self, origin: &Origin) {
        let Some(post) = &self.post else { return };
        for end in Direction::BOTH {
            let Some(claim) = origin.claims[end] else {
                continue;
            };
            let public = public_of(origin, end);
            if matches!(self.usage(public.0, public.1), Usage::Free) {
                post.let_go(public);
            }
            let lease = claim
                .row()
                .and_then(|row| Some((row, self.lease_of(row, public)?)));
            if let Some((row, lease)) = lease
                && !self.blocks.is_taken(row, lease)
            {
                post.leave_block(row, lease);
            }
        }
    }

    /// The mapping of this endpoint, wherever it is.
    #[must_use]
    pub(crate) fn mapped_anywhere(&self, protocol: Protocol, public: Endpoint) -> Option<Mapping> {
        let own = self.of_endpoint(protocol, public).copied();
        let elsewhere = || Some(self.post.as_ref()?.mapping_of((protocol, public))?.0);
        own.or_else(elsewhere)
    }

    /// The blocks that a client has by a row, the oldest first, by sessions of any worker.
    #[must_use]
    pub fn leases(&self, row: RowId, client: IpAddr) -> Cow<'_, [Lease]> {
        match &self.post {
            None => Cow::Borrowed(self.blocks.leases(row, client)),
            Some(post) => Cow::Owned(post.leases(row, client)),
        }
    }

    /// The address at which a client has blocks.
    #[must_use]
    pub fn address_of(&self, row: RowId, client: IpAddr) -> Option<IpAddr> {
        let family = Family::of(client);
        let leases = self.leases(row, client);
        let lease = leases
            .iter()
            .find(|lease| Family::of(lease.address) == family)?;
        Some(lease.address)
    }

    /// Whether another worker lets nobody share this endpoint.
    pub(crate) fn is_owned_elsewhere(&self, protocol: Protocol, public: Endpoint) -> bool {
        let post = self.post.as_ref();
        post.is_some_and(|post| !post.may_share((protocol, public)))
    }

    /// Whether another worker has this endpoint at all.
    pub(crate) fn is_used_elsewhere(&self, protocol: Protocol, public: Endpoint) -> bool {
        let post = self.post.as_ref();
        post.is_some_and(|post| !post.may_own((protocol, public)))
    }

    /// Whether a block is a client's of another worker.
    pub(super) fn is_anothers_block(&self, row: RowId, lease: Lease) -> bool {
        let post = self.post.as_ref();
        post.is_some_and(|post| post.has_anothers_block(row, lease))
    }

    /// Nobody here has this endpoint any more.
    pub(super) fn is_free_again(&self, public: super::Public) {
        if let Some(post) = &self.post {
            post.let_go(public);
        }
    }

    /// A block may be had again.
    pub(super) fn free_block_again(&mut self, row: RowId, lease: Lease) {
        self.blocks.free(row, lease);
        if let Some(post) = &self.post
            && !self.blocks.is_taken(row, lease)
        {
            post.leave_block(row, lease);
        }
    }
}
