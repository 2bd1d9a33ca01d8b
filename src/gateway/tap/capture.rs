//! Packets that are caught: which, and what is said of each.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};

use crate::control::PacketFilter;
use crate::engine::{Arrival, Judgement, Policy, Reason, Verdict};
use crate::net::Timestamp;
use crate::packet::Headers;

/// A packet on its way to the file.
#[derive(Debug)]
pub(in crate::gateway) struct Caught {
    pub(in crate::gateway) at: Timestamp,
    /// The number of the zone that it came by.
    pub(in crate::gateway) zone: u32,
    pub(in crate::gateway) bytes: Vec<u8>,
    /// What came of it.
    pub(in crate::gateway) comment: String,
}

/// How far a capture is.
#[derive(Debug, Default)]
pub(in crate::gateway) struct Counts {
    /// Packets in the file.
    pub(in crate::gateway) packets: AtomicU64,
    /// Octets of the file.
    pub(in crate::gateway) bytes: AtomicU64,
    /// Packets that found the queue full.
    pub(in crate::gateway) dropped: AtomicU64,
    /// Nothing more is written: it was stopped, is as large as it may be, or the disk is.
    pub(in crate::gateway) is_over: AtomicBool,
}

/// Which packets are caught, and where they go.
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Packets {
    pub(in crate::gateway) filter: PacketFilter,
    /// A bounded queue.
    pub(in crate::gateway) queue: SyncSender<Caught>,
    pub(in crate::gateway) counts: Arc<Counts>,
}

impl Packets {
    /// Whether nobody takes them any more.
    pub(super) fn is_over(&self) -> bool {
        self.counts.is_over.load(Ordering::Relaxed)
    }

    /// Catches a packet, if it is one of those.
    pub(super) fn look_at(
        &self,
        (at, arrival): (Timestamp, Arrival),
        came: &[u8],
        judgement: &Judgement,
        policy: &Policy,
    ) {
        let tuple = || Headers::read(came, false).ok()?.tuple();
        if !self.filter.admits(arrival, judgement, policy, tuple) {
            return;
        }
        let caught = Caught {
            at,
            zone: u32::from(arrival.zone.0),
            bytes: came.to_vec(),
            comment: comment(judgement, policy),
        };
        if let Err(TrySendError::Full(_)) = self.queue.try_send(caught) {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// `verdict=forward reason=session ct=established rule=out session=7 state=established out=wan`:
/// in the words of filters.
fn comment(judgement: &Judgement, policy: &Policy) -> String {
    let mut text = format!(
        "verdict={} reason={} ct={}",
        judgement.verdict.name(),
        judgement.reason,
        judgement.ct.name()
    );
    // Nothing refuses to be written to a string.
    if let Some(check) = judgement.check.map(Reason::name) {
        let _ = write!(text, " check={check}");
    }
    if let Some(rule) = judgement.rule.and_then(|rule| policy.rules.get(rule)) {
        let _ = write!(text, " rule={}", rule.name);
    }
    if let Some(session) = judgement.session {
        let _ = write!(text, " session={session}");
    }
    if let Some(state) = judgement.state {
        let _ = write!(text, " state={state}");
    }
    if let Verdict::Forward(zone) = judgement.verdict {
        let _ = write!(text, " out={}", policy.zones.name(zone));
    }
    text
}
