//! Everyone who hears of a replay's packets.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::dialogue::Dialogues;
use super::json::JsonLines;
use super::outputs::ZoneFiles;
use super::summary::Summary;
use crate::capture::{CaptureError, PacketReport, Sink};
use crate::engine::{Engine, Event, Made, Step};
use crate::journal::Journal;

/// All that is done with what a replay gives.
pub(super) struct Sinks<'a, W: Write> {
    pub(super) json: Option<JsonLines<'a, W>>,
    pub(super) files: Option<ZoneFiles>,
    pub(super) journal: Option<Journal<BufWriter<File>>>,
    pub(super) summary: Summary,
    pub(super) dialogues: Option<Dialogues>,
    pub(super) progress: ProgressBar,
}

/// Why the output of a replay stopped.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Standard output.
    Output(io::Error),
    /// A file of `--out`.
    File(CaptureError),
    /// The mapping log.
    Journal(io::Error),
}

impl<W: Write> Sink for Sinks<'_, W> {
    type Error = Trouble;

    fn wants_arrivals(&self) -> bool {
        self.dialogues.is_some()
    }

    fn wants_steps(&self) -> bool {
        self.dialogues.is_some()
    }

    fn step(&mut self, step: Step<'_>) {
        if let Some(dialogues) = &mut self.dialogues {
            dialogues.step(step);
        }
    }

    fn event(&mut self, engine: &Engine, event: &Event, made: &[Made]) -> Result<(), Trouble> {
        if let Some(json) = &mut self.json {
            json.event(engine, event, made).map_err(Trouble::Output)?;
        }
        if let Some(files) = &mut self.files {
            files.event(event, made).map_err(Trouble::File)?;
        }
        if let Some(journal) = &mut self.journal {
            let written = journal.event(event, engine.policy());
            written.map_err(Trouble::Journal)?;
        }
        if let Some(dialogues) = &mut self.dialogues {
            dialogues.event(engine, event);
        }
        self.summary.event(event, made);
        Ok(())
    }

    fn packet(&mut self, engine: &Engine, report: &PacketReport<'_>) -> Result<(), Trouble> {
        if let Some(json) = &mut self.json {
            json.packet(engine, report).map_err(Trouble::Output)?;
        }
        if let Some(files) = &mut self.files {
            files.packet(report).map_err(Trouble::File)?;
        }
        if let Some(dialogues) = &mut self.dialogues {
            dialogues.packet(report);
        }
        self.summary.packet(report);
        // The bar redraws by time; telling it of every packet would cost more
        // than the packet does.
        if report.number.is_multiple_of(1024) {
            self.progress.set_position(report.number);
        }
        Ok(())
    }
}

/// A bar on a terminal, nothing elsewhere.
pub(super) fn progress(json: bool) -> ProgressBar {
    if json {
        return ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    }
    let style = ProgressStyle::with_template("{spinner} {human_pos} packets, {per_sec}, {elapsed}");
    let bar = ProgressBar::no_length();
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
