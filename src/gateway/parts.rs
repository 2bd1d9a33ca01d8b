//! What a gateway has besides its devices and its packet loops: the mapping log, the control
//! socket, the HTTP server, the event log.
//!
//! Their life: opened while it still has all privileges, served while packets pass, closed
//! when the loops have ended.

use std::path::PathBuf;
use std::sync::Arc;

use super::clock::Clock;
use super::control::ControlSocket;
use super::events::{self, EventLog, Listener, Queue};
use super::metrics::{Metrics, MetricsServer};
use super::options::{Options, Sandbox};
use super::records::Records;
use super::reload::Reloader;
use super::state::Keeper;
use super::workforce::Workforce;
use super::{GatewayError, LogFilter};

/// Those that are open.
pub(super) struct Parts {
    control: Option<ControlSocket>,
    http: Option<MetricsServer>,
    events: Option<events::Opened>,
    event_log: Option<EventLog>,
}

impl Parts {
    /// Opens those that are wanted; and the mapping log, which is the loops'.
    ///
    /// # Errors
    /// One of them cannot be had.
    pub(super) fn open(options: &Options) -> Result<(Self, Records), GatewayError> {
        let records = match &options.mapping_log {
            Some(file) => Records::open(file)?,
            None => Records::told(),
        };
        let control = match &options.control {
            Some(place) => ControlSocket::open(place)?,
            None => None,
        };
        let http = options.metrics.map(MetricsServer::open).transpose()?;
        let events = options.events.clone().map(events::Opened::open);
        let parts = Self {
            control,
            http,
            events: events.transpose()?,
            event_log: None,
        };
        Ok((parts, records))
    }

    /// The directories in which they make, change and remove files.
    pub(super) fn writes(&self) -> Vec<PathBuf> {
        let socket = self.control.as_ref().map(ControlSocket::directory);
        let events = self.events.iter().flat_map(events::Opened::directories);
        socket.into_iter().chain(events).collect()
    }

    /// The way to the event log, where there is one.
    pub(super) fn event_queue(&self) -> Option<Queue> {
        self.events.as_ref().map(events::Opened::queue)
    }

    /// Starts the event log, where there is one; gives the packet loops' end of it.
    ///
    /// # Errors
    /// The kernel gives no thread.
    pub(super) fn start_events(
        &mut self,
        clock: Clock,
        sandbox: Sandbox,
    ) -> Result<Option<Listener>, GatewayError> {
        let Some(opened) = self.events.take() else {
            return Ok(None);
        };
        let (log, listener) = opened.start(clock, sandbox)?;
        self.event_log = Some(log);
        Ok(Some(listener))
    }

    /// Serves whoever asks, from now on.
    ///
    /// # Errors
    /// The async runtime does not take a socket.
    pub(super) fn serve(
        &mut self,
        workforce: Workforce,
        (log, reloader, keeper): (Option<LogFilter>, Arc<Reloader>, Option<Arc<Keeper>>),
        metrics: Metrics,
        clock: Clock,
    ) -> Result<(), GatewayError> {
        if let Some(http) = &mut self.http {
            http.serve(metrics.clone())?;
        }
        match &mut self.control {
            Some(control) => {
                let rest = (log, Some(reloader), keeper);
                control.serve(workforce, rest, metrics, clock)
            }
            None => Ok(()),
        }
    }

    /// Lets all who ask go, and finishes what is being written. The loops have ended.
    pub(super) async fn close(self) {
        if let Some(http) = self.http {
            http.close().await;
        }
        if let Some(control) = self.control {
            control.close().await;
        }
        if let Some(log) = self.event_log {
            log.close().await;
        }
    }
}
