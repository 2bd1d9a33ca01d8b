//! What happens to the gateway as a whole: counted, and told to the event log.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts what happens to the gateway as a whole, for whoever asks.
#[derive(Debug, Default)]
pub(super) struct Life {
    reloaded: AtomicU64,
    refused: AtomicU64,
}

/// How often the rule file was read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Reloads {
    /// It took over.
    pub(super) taken: u64,
    /// It was refused, and the one before stayed.
    pub(super) refused: u64,
}

impl Life {
    /// A rule file has taken over.
    pub(super) fn reloaded(&self) {
        self.reloaded.fetch_add(1, Ordering::Relaxed);
    }

    /// A rule file was refused.
    pub(super) fn reload_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// How often which of both happened.
    pub(super) fn reloads(&self) -> Reloads {
        Reloads {
            taken: self.reloaded.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }
}
