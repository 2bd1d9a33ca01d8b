//! Which of some sessions cannot be there together.
//!
//! What is saved of a table while packets pass is not of one moment: a session that has
//! ended meanwhile may stand in it beside the one that took its tuple, or its port,
//! afterwards. Whoever asks for one after the other, the last that began first, is told
//! which can be there.

use std::net::IpAddr;

use hashbrown::HashMap;

use super::accounts::Public;
use super::hash::TupleHash;
use super::mapping::Mapping;
use super::mappings::Claim;
use super::record::Origin;
use crate::net::{BlockLayout, Direction, Endpoint, RowId, Tuple};

/// Who has a public endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    /// Whoever speaks to another far end than the others.
    Anyone,
    /// This socket alone.
    Socket(Endpoint),
}

/// What the sessions have that can be there.
#[derive(Debug)]
pub(crate) struct Clashes {
    tuples: HashMap<Tuple, (), TupleHash>,
    public: HashMap<Public, Holder, TupleHash>,
    blocks: HashMap<(RowId, IpAddr, u16), IpAddr, TupleHash>,
}

impl Clashes {
    pub(crate) fn new(hash: TupleHash) -> Self {
        Self {
            tuples: HashMap::with_hasher(hash),
            public: HashMap::with_hasher(hash),
            blocks: HashMap::with_hasher(hash),
        }
    }

    /// Whether a session can be there beside all that could before. `layout` says how a row
    /// leases its ports.
    pub(crate) fn admits(
        &mut self,
        origin: &Origin,
        layout: impl Fn(RowId) -> Option<BlockLayout>,
    ) -> bool {
        let tuples = [origin.tuples.original, origin.tuples.reply];
        if tuples.iter().any(|tuple| self.tuples.contains_key(tuple)) {
            return false;
        }
        let held = Direction::BOTH.map(|end| Held::of(origin, end, &layout));
        if held.iter().flatten().any(|held| self.is_anothers(held)) {
            return false;
        }
        self.tuples.extend(tuples.map(|tuple| (tuple, ())));
        for held in held.into_iter().flatten() {
            self.public.insert(held.public, held.holder);
            if let Some((block, client)) = held.block {
                self.blocks.insert(block, client);
            }
        }
        true
    }

    /// Whether any of those that can be there holds this mapping.
    pub(crate) fn has(&self, mapping: &Mapping) -> bool {
        let holder = self.public.get(&(mapping.protocol, mapping.outside));
        holder == Some(&Holder::Socket(mapping.inside))
    }

    fn is_anothers(&self, held: &Held) -> bool {
        let holder = self.public.get(&held.public);
        let client = |(block, client)| self.blocks.get(&block).is_some_and(|own| *own != client);
        holder.is_some_and(|own| *own != held.holder) || held.block.is_some_and(client)
    }
}

/// What a session holds for one of its ends.
struct Held {
    public: Public,
    holder: Holder,
    block: Option<((RowId, IpAddr, u16), IpAddr)>,
}

impl Held {
    fn of(
        origin: &Origin,
        end: Direction,
        layout: &impl Fn(RowId) -> Option<BlockLayout>,
    ) -> Option<Self> {
        let claim = origin.claims[end]?;
        let held = super::mappings::Held::of(origin, end);
        let (_, public) = held.public;
        let client = held.inside.address;
        let block = claim.row().and_then(|row| {
            let block = layout(row)?.block_of(public.port)?;
            Some(((row, public.address, block), client))
        });
        let holder = match claim {
            Claim::Shared(_) => Holder::Anyone,
            Claim::Mapped(..) => Holder::Socket(held.inside),
        };
        Some(Self {
            public: held.public,
            holder,
            block,
        })
    }
}
