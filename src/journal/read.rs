//! A mapping log, read back.

use std::io::{self, BufRead};

use serde::Deserialize;

use super::record::Record;
use crate::net::Timestamp;

/// A record with its moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When it was written.
    pub time: Timestamp,
    /// What it says.
    pub record: Record,
}

/// Why a log cannot be read.
#[derive(Debug)]
pub enum Unreadable {
    /// What the host said.
    Io(io::Error),
    /// This line (from 1) is no record, and why.
    Line(usize, String),
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Line(line, why) => write!(f, "line {line}: {why}"),
        }
    }
}

impl std::error::Error for Unreadable {}

/// What all lines are looked at for: those that have no event are the packets and
/// timers of `replay --json`.
#[derive(Deserialize)]
struct Any {
    event: Option<String>,
    time: Option<String>,
}

/// Reads all records of a log, in its order.
///
/// # Errors
/// A line that is not JSON, or that says no record. The last one may be cut: a
/// gateway that is killed may have written half of it.
pub fn read(log: impl BufRead) -> Result<Vec<Entry>, Unreadable> {
    let mut entries = Vec::new();
    let mut cut = None;
    for (number, line) in (1..).zip(log.split(b'\n')) {
        let line = line.map_err(Unreadable::Io)?;
        if let Some(error) = cut.take() {
            return Err(error);
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let bad = |error: serde_json::Error| Unreadable::Line(number, error.to_string());
        let any: Any = match serde_json::from_slice(&line) {
            Ok(any) => any,
            Err(error) => {
                cut = Some(bad(error));
                continue;
            }
        };
        let Some(time) = any.time.filter(|_| any.event.is_some()) else {
            continue;
        };
        let record = serde_json::from_slice(&line).map_err(bad)?;
        let time = time.parse();
        let time = time.map_err(|_| Unreadable::Line(number, "no moment in `time`".to_owned()))?;
        entries.push(Entry { time, record });
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: &str = r#"{"event":"block-given","time":"2026-03-01T09:00:00.000001Z","row":"cgn","client":"10.0.0.7","address":"203.0.113.2","first-port":1024,"last-port":1535}"#;

    #[test]
    fn a_log_reads_back_as_it_was_written_and_packets_are_passed_over() {
        let packet = r#"{"packet":1,"time":"2026-03-01T09:00:00.000000Z","out":[]}"#;
        let text = format!("{packet}\n{BLOCK}\n\n{{\"event\":\"block-giv");
        let entries = read(text.as_bytes()).unwrap();
        assert_eq!(entries.len(), 1);
        assert_eq!(
            entries[0].time,
            Timestamp::from_micros(1_772_355_600_000_001)
        );
        assert_eq!(serde_json::to_string(&entries[0].record).unwrap(), BLOCK);
    }

    #[test]
    fn what_is_no_log_is_refused_with_its_line() {
        let said = |text: &str| read(text.as_bytes()).unwrap_err().to_string();
        assert!(said(&format!("{BLOCK}\nno log\n{BLOCK}\n")).starts_with("line 2: "));
        let strange = BLOCK.replace("block-given", "block-eaten");
        assert!(said(&strange).starts_with("line 1: "));
    }
}
