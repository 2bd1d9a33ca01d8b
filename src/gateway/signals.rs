//! The signals that a gateway listens to.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::GatewayError;

/// The signals that the gateway listens to.
pub(super) struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

/// What a signal says.
pub(super) enum Told {
    /// The gateway is to end, by the signal of this name.
    Stop(&'static str),
    /// The rule file is to be read again.
    Reload,
}

impl Signals {
    /// Listens from now on.
    ///
    /// # Errors
    /// The kernel or the async runtime refuses.
    pub(super) fn listen() -> Result<Self, GatewayError> {
        let listen = |kind| signal(kind).map_err(GatewayError::process("listen for signals"));
        Ok(Self {
            hangup: listen(SignalKind::hangup())?,
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    /// What the next one says.
    pub(super) async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.hangup.recv() => Told::Reload,
            _ = self.interrupt.recv() => Told::Stop("SIGINT"),
            _ = self.terminate.recv() => Told::Stop("SIGTERM"),
        }
    }
}
