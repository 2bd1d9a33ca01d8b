//! The mapping log: who had which public address and port, and when, as JSON
//! lines (RFC 6888 section 4, RFC 7422 section 3).
//!
//! Owns the shape of a record, how one is written and how a log is read back.
//! Refuses to decide what is worth a record: the engine's events say so, by the
//! `log` of each row of source translation. `replay` and `run` write, `who` reads.

mod read;
mod record;

pub use read::{Entry, Unreadable, read};
pub use record::{Block, Mapping, Parameters, Record, Session};

use std::io::{self, Write};

use crate::engine::{Event, Policy};
use crate::net::Timestamp;

/// Writes records.
#[derive(Debug)]
pub struct Journal<W> {
    to: W,
}

impl<W: Write> Journal<W> {
    /// A log that goes there.
    pub fn new(to: W) -> Self {
        Self { to }
    }

    /// Where it goes.
    pub fn to(&self) -> &W {
        &self.to
    }

    /// Says that a gateway begins at this moment, which knows of nothing before.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn begin(&mut self, now: Timestamp) -> io::Result<()> {
        self.write(&Record::began(now))
    }

    /// Writes an event down, if it belongs into the log.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn event(&mut self, event: &Event, policy: &Policy) -> io::Result<()> {
        match Record::of(event, policy) {
            Some(record) => self.write(&record),
            None => Ok(()),
        }
    }

    fn write(&mut self, record: &Record) -> io::Result<()> {
        serde_json::to_writer(&mut self.to, record)?;
        self.to.write_all(b"\n")
    }

    /// Sees to it that all is where it belongs.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
