//! How a gateway runs, besides what the rule file says.

use std::num::NonZero;
use std::path::PathBuf;
use std::str::FromStr;
use std::thread;

use super::GatewayError;
use super::control::{LogFilter, SocketPlace};
use super::events::EventOptions;
use super::metrics::MetricsAddress;
use super::pinning::Pinning;
use super::sandbox::{self, User};
use super::state::StatePlace;
use crate::engine::Checksums;
use crate::net::Workers;

/// How the gateway runs, besides what the rule file says.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where all random-looking choices come from; `None`: from the kernel's
    /// randomness, so that nobody outside can foresee them.
    pub seed: Option<u64>,
    /// What to do about the checksums of arriving packets.
    pub checksums: Checksums,
    /// How many threads move packets.
    pub workers: Workers,
    /// Whether each of them stays on a core.
    pub pinning: Pinning,
    /// The file to which the mapping log is appended; `None`: its records go to
    /// the log of all else.
    pub mapping_log: Option<PathBuf>,
    /// What it gives up once its devices are open.
    pub sandbox: Sandbox,
    /// A directory for captures, besides that of the control socket.
    pub capture_dir: Option<PathBuf>,
    /// The socket at which it is asked and told; `None`: there is none.
    pub control: Option<SocketPlace>,
    /// Where it tells metrics over HTTP; `None`: nowhere.
    pub metrics: Option<MetricsAddress>,
    /// Where it writes what happens; `None`: nowhere.
    pub events: Option<EventOptions>,
    /// Where it keeps what it knows of sessions; `None`: nowhere.
    pub state: Option<StatePlace>,
    /// How it leaves the host.
    pub leaves: Leaves,
    /// Changes what it says of its life; `None`: that stays as it is.
    pub log: Option<LogFilter>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: None,
            checksums: Checksums::Verify,
            workers: Workers::ONE,
            pinning: Pinning::Free,
            mapping_log: None,
            sandbox: Sandbox::Confined(None),
            capture_dir: None,
            control: None,
            metrics: None,
            events: None,
            state: None,
            leaves: Leaves::AsItWas,
            log: None,
        }
    }
}

/// How many threads are to move packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WorkersWanted {
    /// So many.
    Exactly(Workers),
    /// One for each core that the process may use.
    EachCore,
}

impl WorkersWanted {
    /// How many these are on this host.
    #[must_use]
    pub fn workers(self) -> Workers {
        match self {
            Self::Exactly(workers) => workers,
            Self::EachCore => {
                let cores = thread::available_parallelism().map_or(1, NonZero::get);
                let cores = u8::try_from(cores).unwrap_or(u8::MAX);
                Workers::new(cores.clamp(1, Workers::MOST)).unwrap_or(Workers::ONE)
            }
        }
    }
}

impl FromStr for WorkersWanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::EachCore);
        }
        let workers = text.parse().ok().and_then(Workers::new);
        workers
            .map(Self::Exactly)
            .ok_or_else(|| format!("expected a number from 1 to {}, or `auto`", Workers::MOST))
    }
}

/// How a gateway leaves the host when it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Leaves {
    /// As it found it.
    AsItWas,
    /// What arrives by the gateway's interfaces goes nowhere until it is there again; all
    /// else as it found it.
    Closed,
}

/// What a gateway gives up once its devices are open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sandbox {
    /// Everything but what it needs; it becomes the user, where one is named.
    Confined(Option<User>),
    /// Nothing.
    Open,
}

impl Sandbox {
    /// Leaves a thread no capability: it opens and writes files.
    pub(super) fn keep_no_capability(self) -> Result<(), GatewayError> {
        match self {
            Self::Confined(_) => sandbox::keep_no_capability(),
            Self::Open => Ok(()),
        }
    }

    /// Confines a thread that has all that it works on.
    pub(super) fn confine_worker(self) -> Result<(), GatewayError> {
        match self {
            Self::Confined(_) => sandbox::confine_worker(),
            Self::Open => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_as_many_as_there_may_be() {
        let read = |text: &str| text.parse::<WorkersWanted>().map(WorkersWanted::workers);
        assert_eq!(read("1"), Ok(Workers::ONE));
        assert_eq!(read("64").unwrap().count(), 64);
        assert!((1..=64).contains(&read("auto").unwrap().count()));
        for bad in ["0", "65", "256", "-1", "two", ""] {
            let said = read(bad).unwrap_err();
            assert_eq!(said, "expected a number from 1 to 64, or `auto`", "{bad}");
        }
    }
}
