//! What is told of the packets as they come, and at the end.

use std::io::{self, Write};

use super::lines::Lines;
use crate::capture::{PacketReport, Sink};
use crate::cli::replay::{JsonLines, Summary, Tables};
use crate::config::Compiled;
use crate::engine::{Engine, Event, Made};
use crate::net::Timestamp;

/// What is told of the packets as they come.
pub(super) enum Telling<'a, W: Write> {
    /// An object for each.
    Json(JsonLines<'a, W>),
    /// A line for each session, and each that is refused.
    Lines(Lines<'a, W>),
    /// The summary is all.
    Nothing(&'a mut W),
}

/// Hears what the rules would do.
pub(super) struct Rehearsal<'a, W: Write> {
    telling: Telling<'a, W>,
    summary: Summary,
}

impl<'a, W: Write> Rehearsal<'a, W> {
    pub(super) fn new(telling: Telling<'a, W>) -> Self {
        Self {
            telling,
            summary: Summary::default(),
        }
    }

    /// Tells what it amounts to.
    pub(super) fn finish(
        mut self,
        engine: &Engine,
        compiled: &Compiled,
        tables: Tables,
    ) -> io::Result<()> {
        let to = match self.telling {
            Telling::Json(mut json) => {
                if tables == Tables::Listed {
                    json.tables(engine)?;
                }
                return json.flush();
            }
            Telling::Lines(lines) => {
                let to = lines.finish()?;
                writeln!(to)?;
                to
            }
            Telling::Nothing(to) => to,
        };
        self.summary.finish(engine);
        self.summary.print(to, engine, compiled, (tables, None))?;
        to.flush()
    }
}

impl<W: Write> Sink for Rehearsal<'_, W> {
    type Error = io::Error;

    fn event(&mut self, engine: &Engine, event: &Event, made: &[Made]) -> io::Result<()> {
        self.summary.event(event, made);
        match &mut self.telling {
            Telling::Json(json) => json.event(engine, event, made),
            Telling::Lines(lines) => lines.event(engine, event),
            Telling::Nothing(_) => Ok(()),
        }
    }

    fn packet(&mut self, engine: &Engine, report: &PacketReport<'_>) -> io::Result<()> {
        self.summary.packet(report);
        match &mut self.telling {
            Telling::Json(json) => json.packet(engine, report),
            Telling::Lines(lines) => lines.packet(engine, report),
            Telling::Nothing(_) => Ok(()),
        }
    }

    fn pause(&mut self, now: Timestamp) -> io::Result<()> {
        match &mut self.telling {
            Telling::Json(json) => json.flush(),
            Telling::Lines(lines) => lines.pause(now),
            Telling::Nothing(_) => Ok(()),
        }
    }
}
