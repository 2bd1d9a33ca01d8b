//! Blocks of ports among the workers of a crew: whose client has which.

use std::net::IpAddr;

use dashmap::mapref::entry::Entry;

use super::together::Together;
use super::{Entered, Post};
use crate::net::RowId;
use crate::session::blocks::Lease;

/// A block of ports of a row, at a public address.
pub(super) type Block = (RowId, IpAddr, u16);

/// Whose a block of ports is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leased {
    /// `None`: nobody's any more, and nobody may have it yet.
    client: Option<IpAddr>,
    workers: Together,
}

impl Post {
    /// Whether another worker has given it to a client.
    pub(in crate::session) fn has_anothers_block(&self, row: RowId, lease: Lease) -> bool {
        let leased = self.crew.blocks.get(&(row, lease.address, lease.block));
        leased.is_some_and(|leased| leased.workers != Together::only(self.worker))
    }

    /// This client has it. Another worker may have sessions by ports of the same client's.
    pub(in crate::session) fn enter_block(
        &self,
        row: RowId,
        lease: Lease,
        client: IpAddr,
    ) -> Entered {
        let block = (row, lease.address, lease.block);
        let only = Together::only(self.worker);
        let nobodys = || Leased {
            client: None,
            workers: only,
        };
        let mut leased = self.crew.blocks.entry(block).or_insert_with(nobodys);
        if leased.client == Some(client) {
            leased.workers = leased.workers.with(self.worker);
            return Entered::Had;
        }
        if leased.workers != only {
            return Entered::Refused;
        }
        // Its own table has let it.
        if let Some(old) = leased.client.replace(client) {
            self.is_leased_no_longer(row, lease, old);
        }
        let mut leases = self.crew.leases.entry((row, client)).or_default();
        leases.push(lease);
        Entered::Had
    }

    /// It rests again as it did before this worker was there, unless somebody has it.
    pub(in crate::session) fn lay_down_block(&self, row: RowId, lease: Lease) -> Entered {
        let block = (row, lease.address, lease.block);
        match self.crew.blocks.entry(block) {
            Entry::Occupied(_) => Entered::Refused,
            Entry::Vacant(free) => {
                free.insert(Leased {
                    client: None,
                    workers: Together::only(self.worker),
                });
                Entered::Had
            }
        }
    }

    /// A client got its blocks in this order.
    pub(in crate::session) fn put_in_order(&self, row: RowId, client: IpAddr, order: &[Lease]) {
        if let Some(mut leases) = self.crew.leases.get_mut(&(row, client)) {
            let place = |lease: &Lease| order.iter().position(|own| own == lease);
            leases.sort_by_key(|lease| place(lease).unwrap_or(usize::MAX));
        }
    }

    /// Nobody has it any more, and nobody may have it yet.
    pub(in crate::session) fn rest_block(&self, row: RowId, lease: Lease) {
        let block = (row, lease.address, lease.block);
        if let Entry::Occupied(mut entry) = self.crew.blocks.entry(block)
            && entry.get().workers == Together::only(self.worker)
            && let Some(client) = entry.get_mut().client.take()
        {
            self.is_leased_no_longer(row, lease, client);
        }
    }

    /// This worker has no sessions by its ports any more.
    pub(in crate::session) fn leave_block(&self, row: RowId, lease: Lease) {
        let block = (row, lease.address, lease.block);
        let Entry::Occupied(mut entry) = self.crew.blocks.entry(block) else {
            return;
        };
        let leased = entry.get_mut();
        leased.workers = leased.workers.without(self.worker);
        if leased.workers.is_nobody()
            && let Some(client) = entry.remove().client
        {
            self.is_leased_no_longer(row, lease, client);
        }
    }

    fn is_leased_no_longer(&self, row: RowId, lease: Lease, client: IpAddr) {
        if let Entry::Occupied(mut entry) = self.crew.leases.entry((row, client)) {
            entry.get_mut().retain(|own| *own != lease);
            if entry.get().is_empty() {
                entry.remove();
            }
        }
    }

    /// The blocks that a client has by a row, by sessions of any worker.
    pub(in crate::session) fn leases(&self, row: RowId, client: IpAddr) -> Vec<Lease> {
        let leases = self.crew.leases.get(&(row, client));
        leases.map_or_else(Vec::new, |leases| leases.clone())
    }
}
