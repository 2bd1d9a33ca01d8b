//! Where a live gateway's mapping log goes.
//!
//! Each worker has lines of its own, which go to the end of the file together, whole lines
//! only: so the lines of several stay apart, and none waits for another. They stand in the
//! order in which they were written, which differs by a burst of packets at most from that of
//! their moments.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use tracing::{info, warn};

use super::GatewayError;
use crate::engine::{Event, Policy};
use crate::journal::{Journal, Record};
use crate::net::Timestamp;

/// How many octets wait for a file that takes nothing, at most.
const MOST_WAITING: usize = 64 << 10;

/// The mapping log, as one worker writes it. A file that takes no more is said once: traffic
/// goes on.
#[derive(Debug)]
pub(super) struct Records {
    file: Option<Journal<WholeLines<File>>>,
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
            file: Some(Journal::new(WholeLines::new(file))),
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

    /// The same log, as another worker writes it.
    pub(super) fn another(&self) -> Result<Self, GatewayError> {
        let file = self.file.as_ref().map(|file| file.to().to.try_clone());
        let file = file.transpose();
        let file = file.map_err(GatewayError::process("open the mapping log"))?;
        Ok(Self {
            file: file.map(|file| Journal::new(WholeLines::new(file))),
            written: self.written,
        })
    }

    /// The gateway begins.
    pub(super) fn begin(&mut self, now: Timestamp) {
        if let Some(file) = &mut self.file {
            // Memory takes it always.
            let _ = file.begin(now);
            self.flush();
        }
    }

    /// Something happened, which may be worth a record.
    pub(super) fn event(&mut self, event: &Event, policy: &Policy) {
        match &mut self.file {
            Some(file) => {
                // Memory takes it always.
                let _ = file.event(event, policy);
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
        if let Some(file) = &mut self.file
            && !file.to().lines.is_empty()
        {
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

/// Lines on their way to a file.
#[derive(Debug)]
struct WholeLines<W> {
    to: W,
    lines: Vec<u8>,
    /// How many octets of them are written.
    written: usize,
}

impl<W: Write> WholeLines<W> {
    fn new(to: W) -> Self {
        Self {
            to,
            lines: Vec::new(),
            written: 0,
        }
    }

    /// Forgets what is too much, but for the rest of a line that is begun.
    fn forget(&mut self) {
        let rest = self.lines.get(self.written..).unwrap_or_default();
        if rest.len() < MOST_WAITING {
            return;
        }
        let is_begun = |at: usize| self.lines.get(at).is_some_and(|octet| *octet != b'\n');
        let keep = match self.written.checked_sub(1).is_some_and(is_begun) {
            true => rest.iter().position(|octet| *octet == b'\n'),
            false => None,
        };
        let end = self.written + keep.map_or(0, |end| end + 1);
        self.lines.truncate(end);
    }
}

impl<W: Write> Write for WholeLines<W> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.lines.extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        while let Some(rest) = self
            .lines
            .get(self.written..)
            .filter(|rest| !rest.is_empty())
        {
            let refused = match self.to.write(rest) {
                Ok(0) => ErrorKind::WriteZero.into(),
                Ok(length) => {
                    self.written += length;
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            self.forget();
            return Err(refused);
        }
        self.lines.clear();
        self.written = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many octets.
    struct Disk(Vec<u8>, usize);

    impl Write for Disk {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            let length = octets.len().min(self.1);
            if length == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            self.0.extend_from_slice(&octets[..length]);
            self.1 -= length;
            Ok(length)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_go_out_together_and_stay_whole_where_there_is_no_room() {
        let mut lines = WholeLines::new(Disk(Vec::new(), 15));
        lines.write_all(b"first\n").unwrap();
        assert!(lines.to.0.is_empty());
        lines.flush().unwrap();
        assert_eq!(lines.to.0, b"first\n");
        let line = [&[b'x'; 999][..], b"\n"].concat();
        for _ in 0..1000 {
            lines.write_all(&line).unwrap();
            assert!(lines.flush().is_err());
            assert!(lines.lines.len() <= MOST_WAITING + 2 * line.len());
        }
        lines.to.1 = usize::MAX;
        lines.write_all(b"last\n").unwrap();
        lines.flush().unwrap();
        let text = String::from_utf8(lines.to.0).unwrap();
        let mut written = text.lines();
        assert_eq!(written.next_back(), Some("last"));
        assert_eq!(written.next(), Some("first"));
        assert!(written.all(|line| line.len() == 999));
    }
}
