//! Workers that have something together.

use crate::net::{WorkerId, Workers};

/// Workers that have something together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Together(u64);

impl Together {
    pub(super) fn only(worker: WorkerId) -> Self {
        Self(1 << (worker.0 % Workers::MOST))
    }

    pub(super) fn with(self, worker: WorkerId) -> Self {
        Self(self.0 | Self::only(worker).0)
    }

    pub(super) fn without(self, worker: WorkerId) -> Self {
        Self(self.0 & !Self::only(worker).0)
    }

    pub(super) fn has(self, worker: WorkerId) -> bool {
        self.0 & Self::only(worker).0 != 0
    }

    pub(super) fn is_nobody(self) -> bool {
        self.0 == 0
    }

    pub(super) fn first(self) -> WorkerId {
        // Less than 64, or nobody: then there is none.
        WorkerId(self.0.trailing_zeros() as u8)
    }
}
