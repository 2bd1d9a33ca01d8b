//! What a gateway remembers and counts, as JSON objects: sessions, mappings, expectations,
//! rows of the rule file, counters, lifetimes.
//!
//! Owns their keys, so that a replay and a running gateway say the same in the same words
//! (`docs/replay.md`, `docs/control.md`). Refuses to know where they are written to.

mod counts;
mod ends;
mod expectation;
mod hole;
mod lease;
mod lifetime;
mod mapping;
mod row;
mod session;

pub use counts::{CountObject, VerdictObject, count_objects, verdict_objects};
pub use ends::{Shown, binding_ends, ends};
pub use expectation::ExpectationObject;
pub use hole::{HoleObject, Reached};
pub use lease::{LeaseObject, Leases};
pub use lifetime::LifetimeObject;
pub use mapping::MappingObject;
pub use row::{DefaultObject, RowObject, row_objects, rule_objects, translation_objects};
pub use session::{NatObject, SessionObject, rule_name};

use crate::engine::{Engine, Policy};
use crate::net::Timestamp;

/// By which policy, and at which moment, something is shown.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// Where names come from.
    pub policy: &'a Policy,
    /// From when on the remaining time counts.
    pub now: Timestamp,
}

impl<'a> View<'a> {
    /// As an engine has them now.
    #[must_use]
    pub fn of(engine: &'a Engine) -> Self {
        Self {
            policy: engine.policy(),
            now: engine.now(),
        }
    }

    /// Seconds until something ends that ends at `deadline`.
    #[must_use]
    pub fn remaining(self, deadline: Timestamp) -> f64 {
        deadline.since(self.now).as_secs_f64()
    }
}
