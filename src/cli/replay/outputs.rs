//! `--out`: what leaves by each zone, as a capture.

use std::path::Path;

use crate::capture::{CaptureError, PacketReport, PcapWriter, Resolution};
use crate::config::Compiled;
use crate::engine::{Event, Made};

/// One capture for each zone.
pub(super) struct ZoneFiles {
    writers: Vec<PcapWriter>,
}

/// Why a file cannot be written.
pub(super) enum Unwritable {
    /// The directory.
    Directory(String),
    /// A file in it.
    File(CaptureError),
}

impl std::fmt::Display for Unwritable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Directory(why) => f.write_str(why),
            Self::File(error) => error.fmt(f),
        }
    }
}

impl ZoneFiles {
    pub(super) fn create(directory: &Path, compiled: &Compiled) -> Result<Self, Unwritable> {
        std::fs::create_dir_all(directory).map_err(|error| {
            Unwritable::Directory(format!("cannot make {}: {error}", directory.display()))
        })?;
        let create = |name: &str| {
            PcapWriter::create(directory.join(format!("{name}.pcap")), Resolution::Micros)
        };
        let zones = compiled.policy.zones.iter();
        let writers = zones
            .map(|(_, zone)| create(&zone.name))
            .collect::<Result<_, _>>();
        writers
            .map(|writers| Self { writers })
            .map_err(Unwritable::File)
    }

    pub(super) fn packet(&mut self, report: &PacketReport<'_>) -> Result<(), CaptureError> {
        for (zone, bytes, length) in report.sent() {
            if let Some(writer) = self.writers.get_mut(usize::from(zone.0)) {
                writer.write(
                    report.time,
                    bytes,
                    u32::try_from(length).unwrap_or(u32::MAX),
                )?;
            }
        }
        Ok(())
    }

    /// What time alone has sent.
    pub(super) fn event(&mut self, event: &Event, made: &[Made]) -> Result<(), CaptureError> {
        let at = match event {
            Event::Ended { at, .. } | Event::Probed { at, .. } => at,
            Event::Unfinished(unfinished) => &unfinished.at,
            Event::Unanswered(unanswered) => &unanswered.at,
            Event::Began(_)
            | Event::Unmet(_)
            | Event::Alg { .. }
            | Event::Noted { .. }
            | Event::Parameters { .. }
            | Event::Short { .. } => return Ok(()),
        };
        for Made { zone, bytes } in made {
            if let Some(writer) = self.writers.get_mut(usize::from(zone.0)) {
                let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                writer.write(*at, bytes, length)?;
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<(), CaptureError> {
        self.writers
            .into_iter()
            .try_for_each(|writer| writer.finish().map(drop))
    }
}
