//! The command line: one file for each command; output and exit codes.
//!
//! Data goes to standard output, words about it to standard error.

mod args;
mod check;
mod ctl;
mod device_helper;
mod explain;
mod export;
mod listing;
mod log;
mod replay;
mod run;
mod watch;
mod who;
mod words;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use self::args::{Args, Command};
use crate::config::{Colour, Compiled, Report};

/// How a command ended, from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Exit {
    /// All is well.
    Fine,
    /// The answer is no: a check, an expectation or a comparison failed.
    No,
    /// Bad usage, or input that cannot be read.
    Unusable,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Fine => 0,
            Exit::No => 1,
            Exit::Unusable => 2,
        })
    }
}

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    let args = Args::parse();
    let (mut out, mut err) = (io::stdout().lock(), io::stderr());
    let exit = match args.command {
        Command::Replay(replay) => replay::run(&replay, &mut out, &mut err),
        Command::Check(check) => {
            let colour = Colour::for_stream(&io::stderr());
            check::run(&check.files, colour, &mut out, &mut err)
        }
        Command::Explain(explain) => explain::run(&explain, &mut out, &mut err),
        Command::Export(export) => export::run(&export, &mut out, &mut err),
        Command::Run(run) => run::run(&run, &mut out, &mut err),
        Command::Watch(watch) => watch::run(&watch, &mut out, &mut err),
        Command::Who(who) => who::run(&who, &mut out, &mut err),
        Command::Ctl(ctl) => ctl::run(&ctl, &mut out, &mut err),
        Command::DeviceHelper(helper) => device_helper::run(&helper, &mut err),
    };
    ExitCode::from(exit)
}

/// Says one line about what went wrong.
fn complain(err: &mut impl Write, what: impl std::fmt::Display) {
    // With nowhere left to say it, the exit code has to do.
    let _ = writeln!(err, "spigate: {what}");
}

/// Loads a rule file, or prints all that is wrong with it.
fn load_rules(file: &std::path::Path, err: &mut impl Write) -> Option<Compiled> {
    let loaded = crate::config::load(file);
    loaded.map_err(|report| show(&report, err)).ok()
}

/// Prints all that is wrong with a rule file.
fn show(report: &Report, err: &mut impl Write) {
    let text = report.render(Colour::for_stream(&io::stderr()));
    let _ = write!(err, "{text}");
}

/// The exit for a write to standard output that failed: a reader who has seen
/// enough (`| head`) is no failure.
fn output_failed(error: &io::Error, err: &mut impl Write) -> Exit {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Exit::Fine;
    }
    complain(err, format_args!("cannot write the output: {error}"));
    Exit::Unusable
}
