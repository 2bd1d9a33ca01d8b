//! The words that a running program says of itself.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::gateway::LogFilter;

/// Has these words go to standard error, those that `RUST_LOG` names, until somebody
/// names others.
pub(super) fn start_log() -> Option<LogFilter> {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .from_env_lossy();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_filter_reloading();
    let handle = log.reload_handle();
    // A log that was started before (by a test) goes on as it is.
    log.try_init().ok()?;
    Some(LogFilter::new(move |text| {
        let filter = EnvFilter::try_new(text).map_err(|error| error.to_string())?;
        handle.reload(filter).map_err(|error| error.to_string())
    }))
}
