//! `spigate watch`: a live interface through the engine, which changes nothing on it.

mod lines;
mod rehearsal;
mod throttle;

use std::error::Error;
use std::io::{self, Write};
use std::sync::Arc;

use tracing::{info, warn};

use self::rehearsal::{Rehearsal, Telling};
use super::args::Watch;
use super::log::start_log;
use super::replay::{JsonLines, Tables, about_checksums};
use super::words::packets;
use super::{Exit, complain, load_rules, output_failed};
use crate::capture::live::{Limits, Listener, Live, Promiscuity};
use crate::capture::{self, Entry, Feed, LinkLength, Stopped};
use crate::config::Compiled;
use crate::engine::{Engine, Options};
use crate::gateway::sandbox::{Confinement, confine, keep_no_capability};
use crate::gateway::{Clock, on_stop};
use crate::net::Timestamp;

/// Runs the command.
pub(super) fn run(args: &Watch, out: &mut impl Write, err: &mut impl Write) -> Exit {
    let Some(compiled) = load_rules(&args.rules, err) else {
        return Exit::Unusable;
    };
    let promiscuity = match args.promiscuous {
        true => Promiscuity::All,
        false => Promiscuity::Own,
    };
    let listener = match Listener::open(&args.interface, promiscuity) {
        Ok(listener) => listener,
        Err(error) => {
            complain(err, error);
            return Exit::Unusable;
        }
    };
    let feed = Feed {
        entry: Entry::BySource,
        vantage: args.vantage.into(),
        length: LinkLength::AtMost(listener.mtu()),
    };
    start_log();
    let clock = Clock::start();
    match begin(args, listener, move || clock.now()) {
        Ok(live) => watch(args, &compiled, live, feed, out, err),
        Err(why) => {
            complain(err, why);
            Exit::Unusable
        }
    }
}

/// Gives up what is not needed from here on, and begins to listen.
fn begin<C: Fn() -> Timestamp + Clone + Send + 'static>(
    args: &Watch,
    listener: Listener,
    clock: C,
) -> Result<Live<C>, Box<dyn Error>> {
    if !args.no_sandbox {
        // Before there is any other thread. No file is needed any more.
        for missing in confine(&Confinement::default())? {
            warn!(%missing, "this kernel confines less than others do");
        }
        keep_no_capability()?;
    }
    let limits = Limits {
        until: args.time.map(|time| clock().after(time)),
        packets: args.count,
    };
    let live = Live::start(listener, clock, limits)?;
    let stopper = live.stopper();
    on_stop(move || stopper.stop())?;
    info!(interface = args.interface, "watching");
    Ok(live)
}

fn watch<C: Fn() -> Timestamp + Clone + Send + 'static>(
    args: &Watch,
    compiled: &Compiled,
    mut live: Live<C>,
    feed: Feed,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Exit {
    let (checksums, repair) = about_checksums(args.checksum);
    let options = Options { seed: 0, checksums };
    let policy = Arc::new(compiled.policy.clone());
    let mut engine = Engine::new(policy, options, live.now());
    let mut buffered = io::BufWriter::new(out);
    let telling = match (args.json, args.quiet) {
        (true, _) => Telling::Json(JsonLines::new(&mut buffered, args.bytes)),
        (false, false) => Telling::Lines(lines::Lines::new(&mut buffered)),
        (false, true) => Telling::Nothing(&mut buffered),
    };
    let mut rehearsal = Rehearsal::new(telling);
    let ended = capture::replay(&mut engine, live.by_ref(), &[feed], repair, &mut rehearsal);
    let exit = match ended {
        Ok(()) => Exit::Fine,
        Err(Stopped::Source(error)) => {
            complain(err, format_args!("{error} (what came before it is told)"));
            Exit::Unusable
        }
        Err(Stopped::Sink(error)) => return output_failed(&error, err),
    };
    let tables = match args.tables {
        true => Tables::Listed,
        false => Tables::Counted,
    };
    let written = rehearsal.finish(&engine, compiled, tables);
    match live.dropped() {
        Some(0) => {}
        Some(missed) => complain(
            err,
            format_args!(
                "{} came faster than they were read, and are missing above",
                packets(missed)
            ),
        ),
        None => complain(
            err,
            "whether packets are missing is not known: this kernel does not tell",
        ),
    }
    match written {
        Ok(()) => exit,
        Err(error) => output_failed(&error, err),
    }
}
