//! All that is counted, at one moment.

use std::sync::Arc;

use crate::engine::{Counters, Intake, Policy};
use crate::gateway::DeviceCounters;
use crate::gateway::errands::Inside;
use crate::gateway::life::Reloads;
use crate::gateway::state::States;
use crate::net::Timestamp;
use crate::session::Standing;

/// What an errand finds between two bursts: nothing is walked through for it.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) policy: Arc<Policy>,
    pub(super) counters: Counters,
    pub(super) devices: DeviceCounters,
    pub(super) sessions: usize,
    pub(super) standings: [(Standing, usize); Standing::ALL.len()],
    /// Sessions by rule, in the order of the rules.
    pub(super) by_rule: Vec<usize>,
    /// Addresses that have begun sessions which live.
    pub(super) sources: usize,
    pub(super) expectations: usize,
    pub(super) mappings: usize,
    pub(super) at_rest: usize,
    pub(super) intake: Intake,
    pub(super) reloads: Reloads,
    /// Lines in the event log, and events that it lost.
    pub(super) events: Option<(u64, u64)>,
    pub(super) states: States,
    pub(super) started: Timestamp,
}

impl Snapshot {
    pub(super) fn of(
        inside: &Inside<'_>,
        (reloads, events, states): (Reloads, Option<(u64, u64)>, States),
        started: Timestamp,
    ) -> Self {
        let engine = &*inside.engine;
        let policy = Arc::clone(engine.policy());
        let sessions = engine.sessions();
        let census = sessions.census();
        let rules = policy.rules.iter();
        Self {
            counters: engine.counters().clone(),
            devices: *inside.counters,
            sessions: sessions.len(),
            standings: Standing::ALL.map(|standing| (standing, census.of_standing(standing))),
            by_rule: rules.map(|(id, _)| census.of_rule(id.0)).collect(),
            sources: census.sources(),
            expectations: sessions.expectations().len(),
            mappings: sessions.mappings().in_use(),
            at_rest: sessions.mappings().at_rest(),
            intake: engine.intake(),
            reloads,
            events,
            states,
            started,
            policy,
        }
    }
}
