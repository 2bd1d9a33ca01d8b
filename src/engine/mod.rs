//! The engine: the path of a packet.

mod judgement;
mod output;
mod policy;
mod reason;

pub use judgement::{CtState, Judgement, Verdict};
pub use output::{Event, Made, Output};
pub use policy::Policy;
pub use reason::Reason;

use std::sync::Arc;

use crate::net::{Timestamp, ZoneId};

/// How an engine is set up besides its policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Options {
    /// Where all its random-looking choices come from.
    pub seed: u64,
    /// What it does about checksums.
    pub checksums: Checksums,
}

/// What the engine does about the checksums of arriving packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Checksums {
    /// A packet with a wrong one is dropped.
    Verify,
    /// They are not looked at; a wrong one leaves as wrong as it came.
    Ignore,
}

/// How a packet reached the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Arrival {
    /// The zone that it came by.
    pub zone: ZoneId,
    /// Whether all its bytes are there.
    pub extent: Extent,
}

/// Whether all bytes of a packet are at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Extent {
    /// All of them.
    Whole,
    /// A capture cut it; it is judged by its headers.
    Cut,
}

/// A stateful firewall, complete but for clock, devices and files.
#[derive(Debug)]
pub struct Engine {
    policy: Arc<Policy>,
}

impl Engine {
    /// An engine that guards by `policy` from the moment `now` on.
    #[must_use]
    pub fn new(policy: Arc<Policy>, _options: Options, _now: Timestamp) -> Self {
        Self { policy }
    }

    /// The policy in force.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// One packet, from its IP header on. A forwarded packet is rewritten in
    /// `frame`; what the gateway itself sends and what happened to sessions
    /// goes to `out`. Everything due by `now` happens first.
    pub fn packet(
        &mut self,
        _now: Timestamp,
        _arrival: Arrival,
        _frame: &mut Vec<u8>,
        _out: &mut Output,
    ) -> Judgement {
        Judgement {
            verdict: Verdict::Drop,
            ct: CtState::Untracked,
            reason: Reason::Internal,
            rule: None,
            session: None,
            state: None,
        }
    }

    /// Everything that is due by `now`.
    pub fn expire(&mut self, _now: Timestamp, _out: &mut Output) {}

    /// When [`expire`](Self::expire) next has work.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        None
    }
}
