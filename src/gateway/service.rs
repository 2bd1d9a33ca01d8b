//! The service manager, if one has started the gateway: told when packets pass, when the
//! rule file takes over, when the gateway ends, and again and again that it is alive
//! (`sd_notify(3)`).
//!
//! It is alive while all packet loops do what they are asked: one that stands still
//! is silence, after which the manager starts the gateway anew.

use sd_notify::NotifyState;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tracing::warn;

use super::workforce::Workforce;

/// Who started the gateway. Where nobody waits for it, nothing is said.
pub(super) struct Service {
    alive: Option<JoinHandle<()>>,
}

impl Service {
    /// Packets pass.
    pub(super) fn ready(workforce: Workforce) -> Self {
        tell(&[NotifyState::Ready]);
        let interval = sd_notify::watchdog_enabled();
        let alive = interval.map(|interval| {
            tokio::spawn(async move {
                loop {
                    // Twice as often as it is waited for.
                    sleep(interval / 2).await;
                    if workforce.ask_all(|_| ()).await.is_err() {
                        return;
                    }
                    tell(&[NotifyState::Watchdog]);
                }
            })
        });
        Self { alive }
    }

    /// The rule file is read again.
    pub(super) fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(_) => tell(&[NotifyState::Reloading]),
        }
    }

    /// It has been, whatever came of it.
    pub(super) fn reloaded(&self) {
        tell(&[NotifyState::Ready]);
    }

    /// The gateway ends.
    pub(super) fn stopping(self) {
        if let Some(alive) = self.alive {
            alive.abort();
        }
        tell(&[NotifyState::Stopping]);
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "the service manager does not listen");
    }
}
