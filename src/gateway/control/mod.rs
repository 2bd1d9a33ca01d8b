//! The control socket: a Unix stream socket at which a running gateway is asked and told.
//!
//! Owns the socket, who may ask for what, and how many ask at a time. Refuses to touch the
//! engine: what is asked becomes an errand of the packet loops, and a short one. Nothing that
//! a client sends, or does not send, keeps the gateway from its work: lines are as long as
//! they may be, whoever is slow is let go, whoever is one too many is told so.
//!
//! The words are [`control`](crate::control)'s; `docs/control.md` is their reference.

mod answers;
mod capture;
mod group;
mod lines;
mod objects;
mod pages;
mod place;
mod reload;
mod replies;
mod server;
mod watch;

pub use place::{SocketMode, SocketPlace, Wanted};

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::task::JoinHandle;
use tracing::{info, warn};

use self::capture::Captures;
use self::place::{Bound, Opened};
use super::GatewayError;
use super::clock::Clock;
use super::metrics::Metrics;
use super::reload::Reloader;
use super::state::Keeper;
use super::workforce::Workforce;
use crate::net::Timestamp;

type Change = dyn Fn(&str) -> Result<(), String> + Send + Sync;

/// Changes which words a gateway says about its life, while it runs.
#[derive(Clone)]
pub struct LogFilter(Arc<Change>);

impl LogFilter {
    /// One that is changed by this; what it says when it cannot is for people.
    pub fn new(change: impl Fn(&str) -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(change))
    }

    fn set(&self, filter: &str) -> Result<(), String> {
        (self.0)(filter)
    }
}

impl fmt::Debug for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogFilter")
    }
}

/// What all connections have in common.
struct Shared {
    workforce: Workforce,
    /// The group that may change things, besides root and the gateway's own user.
    group: Option<group::Group>,
    log: Option<LogFilter>,
    /// Has the rule file take over; `None` where there is no file.
    reloader: Option<Arc<Reloader>>,
    metrics: Metrics,
    /// Saves the state; `None` where none is kept.
    keeper: Option<Arc<Keeper>>,
    captures: Captures,
    started: Timestamp,
    clock: Clock,
}

/// The socket, while it is open.
pub(super) struct ControlSocket {
    bound: Bound,
    /// `None` until it is served.
    serving: Option<Serving>,
}

struct Serving {
    task: JoinHandle<()>,
    shared: Arc<Shared>,
}

impl ControlSocket {
    /// Opens the socket; `None` where it may not be had, and nobody asked for it by name.
    ///
    /// # Errors
    /// It cannot be made where it is wanted, or another gateway has it.
    pub(super) fn open(place: &SocketPlace) -> Result<Option<Self>, GatewayError> {
        match place::open(place)? {
            Opened::Socket(bound) => Ok(Some(Self {
                bound,
                serving: None,
            })),
            Opened::Not(why) => {
                let path = place.path.display();
                warn!(%path, why, "no control socket");
                Ok(None)
            }
        }
    }

    /// The directory that it is in.
    pub(super) fn directory(&self) -> PathBuf {
        super::watch::directory(self.bound.path()).to_owned()
    }

    /// Serves it, from now on.
    ///
    /// # Errors
    /// The async runtime does not take the socket.
    pub(super) fn serve(
        &mut self,
        workforce: Workforce,
        (log, reloader, keeper): (
            Option<LogFilter>,
            Option<Arc<Reloader>>,
            Option<Arc<Keeper>>,
        ),
        metrics: Metrics,
        clock: Clock,
    ) -> Result<(), GatewayError> {
        let listener = self.bound.listener()?;
        let shared = Arc::new(Shared {
            workforce,
            group: self.bound.group(),
            log,
            reloader,
            metrics,
            keeper,
            captures: Captures::default(),
            started: clock.now(),
            clock,
        });
        let task = tokio::spawn(server::serve(listener, Arc::clone(&shared)));
        self.serving = Some(Serving { task, shared });
        info!(path = %self.bound.path().display(), "control socket");
        Ok(())
    }

    /// Lets all clients go, and finishes what is being written. The loop has ended.
    pub(super) async fn close(mut self) {
        if let Some(Serving { task, shared }) = self.serving.take() {
            task.abort();
            let _ = task.await;
            shared.captures.finish().await;
        }
    }
}

/// Why the control socket cannot be had.
#[derive(Debug)]
pub enum ControlTrouble {
    /// A living gateway has it.
    InUse,
    /// There is something else of this name.
    NotASocket,
    /// There is no such group.
    NoGroup(String),
    /// A step failed: what, as the end of "cannot …", and what the kernel said.
    Step(&'static str, std::io::Error),
}

impl ControlTrouble {
    fn step(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |cause| Self::Step(what, cause)
    }

    fn at(self, path: impl Into<PathBuf>) -> GatewayError {
        GatewayError::Control {
            path: path.into(),
            trouble: self,
        }
    }
}

#[cfg(test)]
mod tests;
