//! `spigate replay`: captures through the engine.

mod dialogue;
mod json;
mod lines;

mod objects;
mod outputs;
mod rows;
mod sinks;
mod summary;
mod tables;

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::dialogue::Dialogues;
pub(super) use self::json::JsonLines;
use self::outputs::ZoneFiles;
use self::sinks::{Sinks, Trouble};
pub(super) use self::summary::{Summary, Tables, translation};
pub(super) use self::tables::protocol;
use super::args::{Checksum, Replay, Vantage};
use super::{Exit, complain, load_rules, output_failed};
use crate::capture::{
    self, CaptureReader, Entry, Feed, LinkLength, Merge, Repair, Stopped, Vantage as CaptureVantage,
};
use crate::config::Compiled;
use crate::engine::{Checksums, Engine, Options};
use crate::journal::Journal;
use crate::net::Timestamp;

/// What is written is put together in parts as large as this.
const BUFFER: usize = 256 << 10;

/// Runs the command.
pub(super) fn run(args: &Replay, out: &mut impl Write, err: &mut impl Write) -> Exit {
    let Some(compiled) = load_rules(&args.rules, err) else {
        return Exit::Unusable;
    };
    let (files, feeds) = match feeds(args, &compiled) {
        Ok(feeds) => feeds.into_iter().unzip::<_, _, Vec<_>, Vec<_>>(),
        Err(why) => {
            complain(err, why);
            return Exit::Unusable;
        }
    };
    let mut readers = Vec::new();
    for file in &files {
        match CaptureReader::open(file) {
            Ok(reader) => readers.push(reader),
            Err(error) => {
                complain(err, error);
                return Exit::Unusable;
            }
        }
    }
    let zone_files = match args
        .out
        .as_deref()
        .map(|dir| ZoneFiles::create(dir, &compiled))
    {
        None => None,
        Some(Ok(files)) => Some(files),
        Some(Err(error)) => {
            complain(err, error);
            return Exit::Unusable;
        }
    };
    let journal = match args.mapping_log.as_deref().map(File::create) {
        None => None,
        Some(Ok(file)) => Some(Journal::new(io::BufWriter::new(file))),
        Some(Err(error)) => {
            complain(err, format_args!("cannot make the mapping log: {error}"));
            return Exit::Unusable;
        }
    };
    let files = (zone_files, journal);
    replay(args, &compiled, readers, &feeds, files, out, err)
}

fn replay(
    args: &Replay,
    compiled: &Compiled,
    readers: Vec<CaptureReader>,
    feeds: &[Feed],
    (zone_files, journal): (Option<ZoneFiles>, Option<Journal<io::BufWriter<File>>>),
    out: &mut impl Write,
    err: &mut impl Write,
) -> Exit {
    let (checksums, repair) = about_checksums(args.checksum);
    let options = Options {
        seed: args.seed,
        checksums,
    };
    let policy = Arc::new(compiled.policy.clone());
    let mut engine = Engine::new(policy, options, Timestamp::EPOCH);
    let mut buffered = io::BufWriter::with_capacity(BUFFER, &mut *out);
    let mut sinks = Sinks {
        json: args.json.then(|| JsonLines::new(&mut buffered, args.bytes)),
        files: zone_files,
        journal,
        summary: Summary::default(),
        dialogues: args.dialogue.then(Dialogues::default),
        progress: sinks::progress(args.json),
    };
    let ended = capture::replay(&mut engine, Merge::new(readers), feeds, repair, &mut sinks);
    let Sinks {
        json,
        files,
        journal,
        mut summary,
        mut dialogues,
        progress,
    } = sinks;
    progress.finish_and_clear();
    summary.finish(&engine);
    if let Some(dialogues) = &mut dialogues {
        dialogues.finish(&engine);
    }
    let mut exit = Exit::Fine;
    let mut damage = None;
    match ended {
        Ok(()) => {}
        Err(Stopped::Source(error)) => damage = Some(error),
        Err(Stopped::Sink(Trouble::Output(error))) => return output_failed(&error, err),
        Err(Stopped::Sink(Trouble::File(error))) => {
            complain(err, error);
            exit = Exit::Unusable;
        }
        Err(Stopped::Sink(Trouble::Journal(error))) => {
            complain(err, format_args!("cannot write the mapping log: {error}"));
            exit = Exit::Unusable;
        }
    }
    if let Some(Err(error)) = journal.map(|mut journal| journal.flush()) {
        complain(err, format_args!("cannot write the mapping log: {error}"));
        exit = Exit::Unusable;
    }
    let tables = match args.tables {
        true => Tables::Listed,
        false => Tables::Counted,
    };
    let printed = match json {
        Some(mut json) => {
            let listed = match tables {
                Tables::Listed => json.tables(&engine),
                Tables::Counted => Ok(()),
            };
            let mut dialogues = dialogues.iter();
            listed.and_then(|()| dialogues.try_for_each(|all| json.dialogues(all, &engine)))
        }
        None => summary.print(
            &mut buffered,
            &engine,
            compiled,
            (tables, dialogues.as_ref()),
        ),
    };
    let written = printed.and_then(|()| buffered.flush());
    if let Some(Err(error)) = files.map(ZoneFiles::finish) {
        complain(err, error);
        exit = Exit::Unusable;
    }
    if let Some(error) = damage {
        complain(
            err,
            format_args!("{error} (what came before it was replayed)"),
        );
        exit = Exit::Unusable;
    }
    match written {
        Ok(()) => exit,
        Err(error) => output_failed(&error, err),
    }
}

/// Each capture with how its packets enter: those bound to zones first, in the
/// order of the command line.
fn feeds(args: &Replay, compiled: &Compiled) -> Result<Vec<(PathBuf, Feed)>, String> {
    let vantage = |default| args.vantage.map_or(default, CaptureVantage::from);
    let mut feeds = Vec::new();
    for binding in &args.zones {
        let zones = &compiled.policy.zones;
        let zone = zones.by_name(&binding.zone).ok_or_else(|| {
            let names: Vec<_> = zones.iter().map(|(_, zone)| zone.name.as_str()).collect();
            let (zone, file) = (&binding.zone, Path::new(&args.rules).display());
            format!(
                "--zone: no zone `{zone}` in {file}; it has {}",
                names.join(", ")
            )
        })?;
        let vantage = vantage(CaptureVantage::Both);
        feeds.push((
            binding.file.clone(),
            Feed {
                entry: Entry::Zone(zone),
                vantage,
                length: LinkLength::AsTheyAre,
            },
        ));
    }
    for file in &args.captures {
        let vantage = vantage(CaptureVantage::Auto);
        feeds.push((
            file.clone(),
            Feed {
                entry: Entry::BySource,
                vantage,
                length: LinkLength::AsTheyAre,
            },
        ));
    }
    Ok(feeds)
}

impl From<Vantage> for CaptureVantage {
    fn from(vantage: Vantage) -> Self {
        match vantage {
            Vantage::Both => Self::Both,
            Vantage::Inside => Self::Inside,
            Vantage::Auto => Self::Auto,
        }
    }
}

/// What the engine does about checksums, and what is done before it.
pub(super) fn about_checksums(checksum: Checksum) -> (Checksums, Repair) {
    match checksum {
        Checksum::Verify => (Checksums::Verify, Repair::No),
        Checksum::Ignore => (Checksums::Ignore, Repair::No),
        Checksum::Repair => (Checksums::Verify, Repair::Yes),
    }
}
