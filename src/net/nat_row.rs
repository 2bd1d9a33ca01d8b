//! The rows of the translation lists by their numbers.

use serde::{Deserialize, Serialize};

/// A row of a translation list, by its number there (see [`Rows`](super::Rows)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum NatRow {
    /// Of `nat.source`.
    Source(u16),
    /// Of `nat.forward`.
    Forward(u16),
    /// Of `nat.static`.
    Static(u16),
}

/// The rows that say what becomes of a session's first packet; its answers
/// undo it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct NatRows {
    /// What says where it leads; for what comes in by a mapping, the row that
    /// made the mapping.
    pub destination: Option<NatRow>,
    /// What says as whom it leaves, an exemption among them.
    pub source: Option<NatRow>,
}

impl NatRows {
    /// The rows as the answers meet them.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self {
            destination: self.source,
            source: self.destination,
        }
    }

    /// Each of them once: that of a forward may say both.
    #[inline]
    pub fn iter(self) -> impl Iterator<Item = NatRow> {
        let second = self.source.filter(|row| Some(*row) != self.destination);
        self.destination.into_iter().chain(second)
    }
}
