//! What only a running gateway has to show.

use serde::Serialize;

use super::Shared;
use crate::control;
use crate::engine::Intake;
use crate::gateway::DeviceCounters;
use crate::gateway::errands::Inside;

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
    /// The only one that there is.
    pub(super) fn of(inside: &Inside<'_>) -> Self {
        Self {
            table: "worker",
            worker: 1,
            received: inside.counters.received,
            sent: inside.counters.sent,
            sessions: inside.engine.sessions().len(),
        }
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
