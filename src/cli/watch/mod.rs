//! `spigate watch`: a live interface through the engine, which changes nothing on it.

mod lines;
mod rehearsal;
mod throttle;

use std::io::{self, Write};
use std::sync::Arc;

use tracing::{info, warn};

use self::rehearsal::{Rehearsal, Telling};
use super::args::Watch;
use super::log::start_log;
use super::replay::{JsonLines, Tables, about_checksums, zone_named};
use super::words::packets;
use super::{Exit, complain, load_rules, output_failed};
use crate::capture::live::{Hearing, Limits, ListenError, Listener, Live, Promiscuity};
use crate::capture::{self, Entry, Feed, LinkLength, Stopped, Vantage};
use crate::config::Compiled;
use crate::engine::{Engine, Options};
use crate::gateway::sandbox::{Confinement, confine};
use crate::gateway::{Clock, GatewayError, on_stop};
use crate::net::Timestamp;

/// Why it cannot begin.
enum Trouble {
    Usage(String),
    Listen(ListenError),
    Process(GatewayError),
}

/// An interface that is listened to, and how its packets enter.
struct Source {
    listener: Listener,
    feed: Feed,
}

/// Runs the command.
pub(super) fn run(args: &Watch, out: &mut impl Write, err: &mut impl Write) -> Exit {
    let Some(compiled) = load_rules(&args.rules, err) else {
        return Exit::Unusable;
    };
    let clock = Clock::start();
    let begun = sources(args, &compiled).and_then(|sources| {
        start_log();
        begin(args, sources, move || clock.now())
    });
    match begun {
        Ok((live, feeds)) => watch(args, &compiled, live, &feeds, out, err),
        Err(trouble) => {
            match trouble {
                Trouble::Usage(why) => complain(err, why),
                Trouble::Listen(error) => complain(err, error),
                Trouble::Process(error) => complain(err, error),
            }
            Exit::Unusable
        }
    }
}

/// Opens the interfaces.
fn sources(args: &Watch, compiled: &Compiled) -> Result<Vec<Source>, Trouble> {
    let promiscuity = match args.promiscuous {
        true => Promiscuity::All,
        false => Promiscuity::Own,
    };
    let source = |name: &str, entry, hearing, vantage| {
        let listener = Listener::open(name, hearing, promiscuity).map_err(Trouble::Listen)?;
        let feed = Feed {
            entry,
            vantage: args.vantage.map_or(vantage, Vantage::from),
            length: LinkLength::AtMost(listener.mtu()),
        };
        Ok(Source { listener, feed })
    };
    let bare = args.interface.iter();
    let bare = bare.map(|name| source(name, Entry::BySource, Hearing::Both, Vantage::Auto));
    let bound = args.zones.iter().map(|binding| {
        let zone = zone_named(&binding.zone, compiled, &args.rules).map_err(Trouble::Usage)?;
        let (entry, vantage) = (Entry::Zone(zone), Vantage::Both);
        source(&binding.interface, entry, Hearing::Arriving, vantage)
    });
    bare.chain(bound).collect()
}

/// Gives up what is not needed from here on, and begins to listen.
fn begin<C: Fn() -> Timestamp + Clone + Send + 'static>(
    args: &Watch,
    sources: Vec<Source>,
    clock: C,
) -> Result<(Live<C>, Vec<Feed>), Trouble> {
    if !args.no_sandbox {
        // Before there is any other thread. No file is needed any more.
        for missing in confine(&Confinement::default()).map_err(Trouble::Process)? {
            warn!(%missing, "this kernel confines less than others do");
        }
    }
    let (listeners, feeds) = sources
        .into_iter()
        .map(|source| (source.listener, source.feed))
        .unzip();
    let limits = Limits {
        until: args.time.map(|time| clock().after(time)),
        packets: args.count,
    };
    let live = Live::start(listeners, clock, limits).map_err(Trouble::Listen)?;
    let stopper = live.stopper();
    on_stop(move || stopper.stop()).map_err(Trouble::Process)?;
    let bound = args.zones.iter().map(|binding| &binding.interface);
    for interface in args.interface.iter().chain(bound) {
        info!(interface, "watching");
    }
    Ok((live, feeds))
}

fn watch<C: Fn() -> Timestamp + Clone + Send + 'static>(
    args: &Watch,
    compiled: &Compiled,
    mut live: Live<C>,
    feeds: &[Feed],
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
    let ended = capture::replay(&mut engine, live.by_ref(), feeds, repair, &mut rehearsal);
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
