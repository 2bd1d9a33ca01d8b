//! What only a running gateway has to show.

use serde::Serialize;

use super::Shared;
use crate::control;
use crate::engine::Intake;
use crate::gateway::errands::Inside;
use crate::gateway::handover::Handover;
use crate::gateway::pinning::Core;
use crate::gateway::{DeviceCounters, HandoverCounters};

/// What happened at the devices.
#[derive(Debug, Serialize)]
pub(super) struct DevicesObject {
    table: &'static str,
    #[serde(flatten)]
    devices: DeviceCounters,
}

impl DevicesObject {
    pub(super) fn of(devices: DeviceCounters) -> Self {
        Self {
            table: "devices",
            devices,
        }
    }
}

/// What several workers handed over to each other.
#[derive(Debug, Serialize)]
pub(super) struct HandoversObject {
    table: &'static str,
    #[serde(flatten)]
    handovers: HandoverCounters,
}

impl HandoversObject {
    pub(super) fn of(handovers: HandoverCounters) -> Self {
        Self {
            table: "hand-overs",
            handovers,
        }
    }
}

/// How much there is at the moment.
#[derive(Debug, Serialize)]
pub(super) struct TotalsObject {
    table: &'static str,
    sessions: usize,
    expectations: usize,
}

/// Metrics, as they are served over HTTP.
#[derive(Debug, Serialize)]
pub(super) struct MetricsObject<'a> {
    table: &'static str,
    text: &'a str,
}

/// Somebody who moves packets.
#[derive(Debug, Serialize)]
pub(super) struct WorkerObject {
    table: &'static str,
    worker: u32,
    received: u64,
    sent: u64,
    sessions: usize,
    /// What it handed over and took over, where there are several.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    handovers: Option<HandoverCounters>,
    /// How many packets wait in its inbox.
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting: Option<usize>,
    /// The core that it stays on.
    #[serde(skip_serializing_if = "Option::is_none")]
    core: Option<usize>,
}

/// Which gateway this is, and how it is.
#[derive(Debug, Serialize)]
pub(super) struct VersionObject {
    table: &'static str,
    protocol: u32,
    version: &'static str,
    started: String,
    uptime: f64,
    sessions: usize,
    draining: bool,
}

impl TotalsObject {
    pub(super) fn of(inside: &Inside<'_>) -> Self {
        let sessions = inside.engine.sessions();
        Self {
            table: "totals",
            sessions: sessions.len(),
            expectations: sessions.expectations().len(),
        }
    }

    /// Adds what there is at another worker.
    pub(super) fn add(&mut self, other: &Self) {
        self.sessions += other.sessions;
        self.expectations += other.expectations;
    }
}

impl<'a> MetricsObject<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self {
            table: "metrics",
            text,
        }
    }
}

impl WorkerObject {
    /// The first.
    pub(super) fn of(inside: &Inside<'_>) -> Self {
        Self {
            table: "worker",
            worker: 1,
            received: inside.counters.received,
            sent: inside.counters.sent,
            sessions: inside.engine.sessions().len(),
            handovers: inside.handover.map(Handover::counters),
            waiting: inside.handover.map(Handover::waiting),
            core: inside.core.map(|Core(number)| number),
        }
    }

    /// The one of this number: they are counted from one.
    pub(super) fn numbered(self, worker: u32) -> Self {
        Self { worker, ..self }
    }
}

impl VersionObject {
    pub(super) fn of(shared: &Shared, sessions: usize, intake: Intake) -> Self {
        Self {
            table: "version",
            protocol: control::VERSION,
            version: env!("CARGO_PKG_VERSION"),
            started: shared.started.to_string(),
            uptime: shared.clock.now().since(shared.started).as_secs_f64(),
            sessions,
            draining: intake == Intake::Drained,
        }
    }
}
