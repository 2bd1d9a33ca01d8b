//! `spigate run`: the live gateway.

use std::io::Write;

use super::args::Run;
use super::log::start_log;
use super::{Exit, complain, show};
use crate::gateway::sandbox::User;
use crate::gateway::{self, EventOptions, Leaves, Options, Pinning, RuleFile, Sandbox};

/// Runs the gateway of a rule file until it is told to stop.
pub(super) fn run(args: &Run, out: &mut impl Write, err: &mut impl Write) -> Exit {
    let file = match RuleFile::read(&args.rules) {
        Ok(file) => file,
        Err(report) => {
            show(&report, err);
            return Exit::Unusable;
        }
    };
    if args.dry_run {
        return match write!(out, "{}", gateway::dry_run(&file, args.workers.workers()))
            .and_then(|()| out.flush())
        {
            Ok(()) => Exit::Fine,
            Err(error) => {
                complain(err, error);
                Exit::Unusable
            }
        };
    }
    let sandbox = match sandbox(args) {
        Ok(sandbox) => sandbox,
        Err(why) => {
            complain(err, why);
            return Exit::Unusable;
        }
    };
    let log = start_log();
    let options = Options {
        mapping_log: args.mapping_log.clone(),
        workers: args.workers.workers(),
        pinning: match args.pin {
            true => Pinning::Pinned,
            false => Pinning::Free,
        },
        sandbox,
        control: args.socket(),
        capture_dir: args.capture_dir.clone(),
        metrics: args.metrics,
        events: args.events.clone().map(|place| EventOptions {
            place,
            rate: args.event_rate,
        }),
        state: args.state(),
        leaves: match args.stay_closed {
            true => Leaves::Closed,
            false => Leaves::AsItWas,
        },
        log,
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

/// What the gateway is to give up.
fn sandbox(args: &Run) -> Result<Sandbox, String> {
    if args.no_sandbox {
        return Ok(Sandbox::Open);
    }
    let user = args.user.as_deref().map(user_of).transpose()?;
    Ok(Sandbox::Confined(user))
}

/// The user of this name or number.
fn user_of(word: &str) -> Result<User, String> {
    let found = match word.parse() {
        Ok(number) => nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(number)),
        Err(_) => nix::unistd::User::from_name(word),
    };
    match found {
        Ok(Some(user)) => Ok(User {
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
        }),
        Ok(None) => Err(format!("there is no user `{word}`")),
        Err(errno) => Err(format!(
            "cannot look for the user `{word}`: {}",
            errno.desc()
        )),
    }
}
