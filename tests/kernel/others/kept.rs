//! `refused-bundle` in `docs/kernel-parity.md`: of an SCTP packet that the
//! kernel refuses for one of its chunks, it keeps what the chunks before that
//! one did. The engine keeps nothing.
//!
//! So the two may part. What explains that is told exactly: a second engine
//! gets the same packets of the conversation, and of a refused bundle the
//! chunks that came before the wrong one, as a packet of their own. A
//! difference is meant where the kernel does what that engine does; and then
//! the conversation is compared no further, and counted.

use std::collections::BTreeSet;

use super::super::compare::Ours;
use super::super::router::Zone;
use super::super::table::Entry;
use super::talk::Sent;
use super::{RULES, sctp};

/// The heading of the row.
pub(super) const REFUSED_BUNDLE: &str = "refused-bundle";

/// An engine that keeps of one conversation what the kernel does.
pub(super) struct Kept {
    engine: Ours,
    /// All tags that its packets have named.
    tags: BTreeSet<u32>,
    /// Whether a bundle was refused of which something was kept.
    differs: bool,
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            engine: Ours::new(RULES),
            tags: BTreeSet::new(),
            differs: false,
        }
    }
}

impl Kept {
    /// The next packet. What leaves; `None` where nothing has been kept so far.
    pub(super) fn packet(&mut self, sent: &Sent) -> Option<Vec<(Zone, Vec<u8>)>> {
        let is_sctp = sctp::is_sctp(&sent.bytes);
        if is_sctp {
            self.tags.extend(sctp::tags(&sent.bytes));
        }
        let differed = self.differs;
        let left = self.engine.send(sent.zone, &sent.bytes);
        if is_sctp && matches!(left.reason, "sctp-wrong-tag" | "sctp-invalid-state") {
            let beginnings = sctp::beginnings(&sent.bytes, self.tags.iter().copied());
            for beginning in beginnings {
                if !self.engine.send(sent.zone, &beginning).packets.is_empty() {
                    self.differs = true;
                    break;
                }
            }
        }
        differed.then_some(left.packets)
    }

    /// Whether the kernel's entry is as what was kept has it. Whether the other
    /// end was heard does not count: a refused packet is no answer.
    pub(super) fn explains(&self, kernel: &Entry) -> bool {
        let kept = self.engine.table();
        self.differs
            && kept
                .iter()
                .any(|entry| entry.differs_in_heard_alone(kernel))
    }
}
