//! The addresses of IPv6 sessions, which a line has no room for: a cache line for both
//! tuples.

use super::shelf::Shelf;
use crate::net::{Direction, PerDirection};

/// The addresses of both tuples, as they stand in packets.
#[derive(Debug, Clone, Copy, Default)]
#[repr(align(64))]
pub(super) struct Wide(pub(super) PerDirection<[u64; 4]>);

/// Where a session's are.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct WideId(pub(super) u32);

/// Those of all sessions.
#[derive(Debug)]
pub(super) struct Wides {
    all: Shelf<Wide, 12>,
    free: Vec<WideId>,
}

impl Wides {
    pub(super) fn new() -> Self {
        Self {
            all: Shelf::new(),
            free: Vec::new(),
        }
    }

    #[inline]
    pub(super) fn get(&self, id: WideId) -> Option<&Wide> {
        self.all.get(id.0 as usize)
    }

    /// The addresses of a session's tuple.
    #[inline]
    pub(super) fn words(&self, id: WideId, direction: Direction) -> Option<[u64; 4]> {
        Some(self.get(id)?.0[direction])
    }

    pub(super) fn keep(&mut self, wide: Wide) -> WideId {
        let Some(id) = self.free.pop() else {
            // As many as there are slots at most.
            return WideId(u32::try_from(self.all.push(wide)).unwrap_or(u32::MAX));
        };
        if let Some(own) = self.all.get_mut(id.0 as usize) {
            *own = wide;
        }
        id
    }

    /// A session is over.
    pub(super) fn release(&mut self, id: WideId) {
        self.free.push(id);
    }
}
