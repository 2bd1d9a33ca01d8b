//! Where a live gateway's mapping log goes.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter};
use std::path::Path;

use tracing::{info, warn};

use super::GatewayError;
use crate::engine::{Event, Policy};
use crate::journal::{Journal, Record};
use crate::net::Timestamp;

/// The mapping log. A file that takes no more is said once: traffic goes on.
#[derive(Debug)]
pub(super) struct Records {
    file: Option<Journal<BufWriter<File>>>,
    written: Written,
}

/// Whether the file took what was written last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    Whole,
    Refused,
}

impl Records {
    /// A log that is appended to a file.
    pub(super) fn open(path: &Path) -> Result<Self, GatewayError> {
        let file = OpenOptions::new().append(true).create(true).open(path);
        let file = file.map_err(GatewayError::process("open the mapping log"))?;
        Ok(Self {
            file: Some(Journal::new(BufWriter::new(file))),
            written: Written::Whole,
        })
    }

    /// A log whose records are told with everything else.
    pub(super) fn told() -> Self {
        Self {
            file: None,
            written: Written::Whole,
        }
    }

    /// The gateway begins.
    pub(super) fn begin(&mut self, now: Timestamp) {
        if let Some(file) = &mut self.file {
            let written = file.begin(now);
            self.look_at(written);
        }
    }

    /// Something happened, which may be worth a record.
    pub(super) fn event(&mut self, event: &Event, policy: &Policy) {
        match &mut self.file {
            Some(file) => {
                let written = file.event(event, policy);
                self.look_at(written);
            }
            None => {
                if let Some(record) = Record::of(event, policy)
                    && let Ok(record) = serde_json::to_string(&record)
                {
                    info!(record, "mapping log");
                }
            }
        }
        if let Event::Short {
            shortage, packets, ..
        } = event
        {
            let (reason, client) = (shortage.reason.name(), shortage.client);
            warn!(reason, %client, packets, "no public endpoint");
        }
    }

    /// What was written goes to the file.
    pub(super) fn flush(&mut self) {
        if let Some(file) = &mut self.file {
            let written = file.flush();
            self.look_at(written);
        }
    }

    fn look_at(&mut self, written: io::Result<()>) {
        match written {
            Ok(()) => self.written = Written::Whole,
            Err(error) if self.written == Written::Whole => {
                self.written = Written::Refused;
                warn!(%error, "the mapping log cannot be written");
            }
            Err(_) => {}
        }
    }
}
