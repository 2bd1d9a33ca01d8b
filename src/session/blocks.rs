//! Blocks of ports: which client has which (RFC 6888 REQ-14, RFC 7422).
//!
//! A block is its client's while a session of that client holds a port of it,
//! and comes back with the last. Whoever finds one for a client asks
//! [`Mappings::free_block`](super::Mappings::free_block); a session that enters with a port of a block that
//! nobody has takes it for its client.

use std::net::IpAddr;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use serde::{Deserialize, Serialize};

use super::growing_map::GrowingMap;
use super::hash::TupleHash;
use super::port_map::PortMap;
use crate::net::{BlockLayout, RowId};

/// A block that a client has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Its public address.
    pub address: IpAddr,
    /// Its number there.
    pub block: u16,
}

/// Who has a block.
#[derive(Debug, Clone, Copy)]
struct Owner {
    client: IpAddr,
    sessions: u32,
}

/// The blocks of one public address.
#[derive(Debug)]
struct Address {
    /// Those that nobody may get: leased, or at rest.
    taken: PortMap,
    owners: HashMap<u16, Owner, TupleHash>,
}

/// All of them.
#[derive(Debug)]
pub struct Blocks {
    hash: TupleHash,
    addresses: GrowingMap<(RowId, IpAddr), Address>,
    leases: GrowingMap<(RowId, IpAddr), Vec<Lease>>,
}

impl Blocks {
    pub(super) fn new(hash: TupleHash) -> Self {
        Self {
            hash,
            addresses: GrowingMap::new(hash),
            leases: GrowingMap::new(hash),
        }
    }

    /// What a client has by a row, the oldest first.
    #[must_use]
    pub fn leases(&self, row: RowId, client: IpAddr) -> &[Lease] {
        self.leases.get(&(row, client)).map_or(&[], Vec::as_slice)
    }

    /// A block at this address that nobody has: the first from `start` on, going
    /// round.
    pub(super) fn free_block(
        &self,
        (row, address): (RowId, IpAddr),
        layout: &BlockLayout,
        start: u64,
    ) -> Option<u16> {
        let start = u16::try_from(start % u64::from(layout.count())).unwrap_or(0);
        match self.addresses.get(&(row, address)) {
            Some(known) => {
                let all = 0..=layout.count() - 1;
                known.taken.first_free(&all, start, u64::MAX)
            }
            None => Some(start),
        }
    }

    /// Whether somebody has this block, or it is at rest.
    pub(super) fn is_taken(&self, row: RowId, lease: Lease) -> bool {
        let address = self.addresses.get(&(row, lease.address));
        address.is_some_and(|address| address.taken.has(lease.block))
    }

    /// How many blocks somebody has, or are at rest.
    #[must_use]
    pub fn in_use(&self) -> usize {
        let all = self.addresses.values();
        all.map(|address| address.taken.len()).sum()
    }

    /// A session of this client enters a block; whether nobody had it.
    pub(super) fn enter(&mut self, row: RowId, client: IpAddr, lease: Lease) -> bool {
        let hash = self.hash;
        let make = || Address::new(hash);
        let place = (row, lease.address);
        let enter = |address: &mut Address| address.enter(lease.block, client);
        let is_new = self.addresses.change(place, make, enter);
        if is_new {
            let add = |leases: &mut Vec<Lease>| leases.push(lease);
            self.leases.change((row, client), Vec::new, add);
        }
        is_new
    }

    /// A session leaves a block; the client that has lost it by that.
    pub(super) fn leave(&mut self, row: RowId, lease: Lease) -> Option<IpAddr> {
        let address = self.addresses.get_mut(&(row, lease.address))?;
        let Entry::Occupied(mut entry) = address.owners.entry(lease.block) else {
            debug_assert!(false, "a block that nobody has");
            return None;
        };
        let owner = entry.get_mut();
        owner.sessions -= 1;
        if owner.sessions > 0 {
            return None;
        }
        let client = entry.remove().client;
        self.leases.remove_if(&(row, client), |leases| {
            leases.retain(|own| *own != lease);
            leases.is_empty()
        });
        Some(client)
    }

    /// Puts what a client has in this order, as far as it has it.
    pub(super) fn put_in_order(&mut self, row: RowId, client: IpAddr, order: &[Lease]) {
        if let Some(leases) = self.leases.get_mut(&(row, client)) {
            let place = |lease: &Lease| order.iter().position(|own| own == lease);
            leases.sort_by_key(|lease| place(lease).unwrap_or(usize::MAX));
        }
    }

    /// Nobody is to get a block that nobody has.
    pub(super) fn withhold(&mut self, row: RowId, lease: Lease) {
        let hash = self.hash;
        let make = || Address::new(hash);
        let withhold = |address: &mut Address| address.taken.take(lease.block);
        self.addresses.change((row, lease.address), make, withhold);
    }

    /// Somebody may get the block again. One that has an owner by now stays
    /// taken.
    pub(super) fn free(&mut self, row: RowId, lease: Lease) {
        self.addresses.remove_if(&(row, lease.address), |address| {
            if !address.owners.contains_key(&lease.block) {
                address.taken.free(lease.block);
            }
            address.taken.is_empty()
        });
    }
}

impl Address {
    fn new(hash: TupleHash) -> Self {
        Self {
            taken: PortMap::new(),
            owners: HashMap::with_hasher(hash),
        }
    }

    /// A session of this client enters a block; whether nobody had it.
    fn enter(&mut self, block: u16, client: IpAddr) -> bool {
        match self.owners.entry(block) {
            Entry::Occupied(mut entry) => {
                let owner = entry.get_mut();
                debug_assert_eq!(owner.client, client, "a block of two clients");
                owner.sessions += 1;
                false
            }
            Entry::Vacant(entry) => {
                entry.insert(Owner {
                    client,
                    sessions: 1,
                });
                if !self.taken.has(block) {
                    self.taken.take(block);
                }
                true
            }
        }
    }
}
