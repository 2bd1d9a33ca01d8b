//! `spigate run`: the live gateway.

use std::io::{self, IsTerminal, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::args::Run;
use super::{Exit, complain, load_rules};
use crate::gateway::{self, LogFilter, Options};

/// Runs the gateway of a rule file until it is told to stop.
pub(super) fn run(args: &Run, err: &mut impl Write) -> Exit {
    let Some(compiled) = load_rules(&args.rules, err) else {
        return Exit::Unusable;
    };
    let log = start_log();
    let options = Options {
        mapping_log: args.mapping_log.clone(),
        control: args.socket(),
        log,
        ..Options::default()
    };
    match gateway::run(compiled, options) {
        Ok(_) => Exit::Fine,
        Err(error) => {
            complain(err, error);
            Exit::Unusable
        }
    }
}

/// Has the gateway's words go to standard error, those that `RUST_LOG` names, until
/// somebody names others.
fn start_log() -> Option<LogFilter> {
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
