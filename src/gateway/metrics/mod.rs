//! Metrics and health: what monitoring asks a running gateway.
//!
//! Owns the snapshot that errands take of all that is counted, its text in Prometheus's
//! format, and the HTTP server on a loopback address that gives it away. Refuses to count
//! anything itself: the engine and the devices do. Nothing that an HTTP client does keeps
//! the gateway from its work: there are few of them at a time, and each has little time.
//!
//! `docs/metrics.md` lists all metrics.

mod address;
mod families;
mod server;
mod snapshot;
mod text;

pub use address::MetricsAddress;
pub(super) use server::MetricsServer;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use self::snapshot::Snapshot;
use super::clock::Clock;
use super::errands::{Ended, Inside};
use super::life::Life;
use super::workforce::Workforce;
use crate::engine::Intake;
use crate::net::Timestamp;

/// How long the packet loop may take for an errand and be called healthy.
const PATIENCE: Duration = Duration::from_secs(1);

/// What monitoring can ask.
#[derive(Clone)]
pub(super) struct Metrics {
    workforce: Workforce,
    life: Arc<Life>,
    started: Timestamp,
}

/// Why monitoring hears nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unwell {
    /// The packet loop has not answered in time.
    Silent,
    /// The packet loop has ended.
    Stopping,
}

impl fmt::Display for Unwell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent => f.write_str("the packet loop does not answer"),
            Self::Stopping => Ended.fmt(f),
        }
    }
}

impl Metrics {
    /// Those of a gateway that starts now.
    pub(super) fn new(workforce: Workforce, life: Arc<Life>, clock: Clock) -> Self {
        Self {
            workforce,
            life,
            started: clock.now(),
        }
    }

    /// All metrics, in Prometheus's text format.
    ///
    /// # Errors
    /// The packet loop does not say what it has.
    pub(super) async fn text(&self) -> Result<String, Unwell> {
        let (reloads, events) = (self.life.reloads(), self.life.events());
        let states = self.life.states();
        let started = self.started;
        let look =
            move |inside: &mut Inside<'_>| Snapshot::of(inside, (reloads, events, states), started);
        let asked = self.workforce.sum(look, Snapshot::add);
        let mut snapshot = in_time(asked).await?;
        snapshot.each_device = self.life.devices();
        Ok(text::text(snapshot))
    }

    /// What happens to the gateway as a whole.
    pub(super) fn life(&self) -> &Life {
        &self.life
    }

    /// Whether all packet loops work, and let sessions begin.
    ///
    /// # Errors
    /// One does not work.
    pub(super) async fn intake(&self) -> Result<Intake, Unwell> {
        let intake = |inside: &mut Inside<'_>| inside.engine.intake();
        let asked = self.workforce.sum(intake, |all, one| {
            if one == Intake::Drained {
                *all = one;
            }
        });
        in_time(asked).await
    }
}

async fn in_time<T>(asked: impl Future<Output = Result<T, Ended>>) -> Result<T, Unwell> {
    match timeout(PATIENCE, asked).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(Ended)) => Err(Unwell::Stopping),
        Err(_) => Err(Unwell::Silent),
    }
}

#[cfg(test)]
mod tests;
