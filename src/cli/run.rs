//! `spigate run`: the live gateway.

use std::io::{self, IsTerminal, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::args::Run;
use super::{Exit, complain, show};
use crate::gateway::{self, Options, RuleFile};

/// Runs the gateway of a rule file until it is told to stop.
pub(super) fn run(args: &Run, err: &mut impl Write) -> Exit {
    let file = match RuleFile::read(&args.rules) {
        Ok(file) => file,
        Err(report) => {
            show(&report, err);
            return Exit::Unusable;
        }
    };
    start_log();
    let options = Options {
        mapping_log: args.mapping_log.clone(),
        ..Options::default()
    };
    match gateway::run(file, options) {
        Ok(_) => Exit::Fine,
        Err(error) => {
            complain(err, error);
            Exit::Unusable
        }
    }
}

/// Has the gateway's words go to standard error, those that `RUST_LOG` names.
fn start_log() {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .from_env_lossy();
    // A log that was started before (by a test) goes on as it is.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .try_init();
}
