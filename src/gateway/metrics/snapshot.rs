//! All that is counted, at one moment.

use std::sync::Arc;

use crate::engine::{Counters, Intake, Policy};
use crate::gateway::errands::Inside;
use crate::gateway::life::{DeviceLife, Reloads};
use crate::gateway::state::States;
use crate::gateway::{DeviceCounters, HandoverCounters};
use crate::net::Timestamp;
use crate::session::Standing;

/// What errands find between two bursts: nothing is walked through for it.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) policy: Arc<Policy>,
    pub(super) counters: Counters,
    pub(super) devices: DeviceCounters,
    /// Which of them are there. No worker knows more of that than others.
    pub(super) each_device: Vec<DeviceLife>,
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
    /// Each worker apart, where there are several.
    pub(super) workers: Vec<Worker>,
}

/// What one of several workers has.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) devices: DeviceCounters,
    pub(super) sessions: usize,
    pub(super) handovers: HandoverCounters,
    /// Packets in its inbox.
    pub(super) waiting: usize,
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
            each_device: Vec::new(),
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
            workers: inside
                .handover
                .iter()
                .map(|handover| Worker {
                    devices: *inside.counters,
                    sessions: sessions.len(),
                    handovers: handover.counters(),
                    waiting: handover.waiting(),
                })
                .collect(),
        }
    }

    /// Adds what another worker has. What they have together is counted by each: an address
    /// with sessions at two of them, a public endpoint that they share.
    pub(super) fn add(&mut self, other: Self) {
        self.counters.add(&other.counters);
        self.devices.add(other.devices);
        self.sessions += other.sessions;
        for ((_, count), (_, more)) in self.standings.iter_mut().zip(other.standings) {
            *count += more;
        }
        for (count, more) in self.by_rule.iter_mut().zip(other.by_rule) {
            *count += more;
        }
        self.sources += other.sources;
        self.expectations += other.expectations;
        self.mappings += other.mappings;
        self.at_rest += other.at_rest;
        if other.intake == Intake::Drained {
            self.intake = other.intake;
        }
        self.workers.extend(other.workers);
    }
}
