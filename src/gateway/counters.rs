//! What a gateway counted, and how it is told at the end.

use std::fmt;

use serde::Serialize;

use super::handover::HandoverCounters;
use crate::engine;

/// What a packet loop counted at its devices; verdicts are the engine's to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DeviceCounters {
    /// Packets read.
    pub received: u64,
    /// Packets written, passed on or made here.
    pub sent: u64,
    /// Packets that the gateway made: RSTs, ICMP errors, echo replies.
    pub made: u64,
    /// Packets for a zone that has no device, or whose device is missing.
    pub no_device: u64,
    /// Reads that the kernel refused.
    pub read_errors: u64,
    /// Writes that the kernel refused: a device that is down, a full queue.
    pub write_errors: u64,
}

impl DeviceCounters {
    /// Adds what another loop has counted.
    pub(super) fn add(&mut self, other: Self) {
        self.received += other.received;
        self.sent += other.sent;
        self.made += other.made;
        self.no_device += other.no_device;
        self.read_errors += other.read_errors;
        self.write_errors += other.write_errors;
    }
}

/// What a gateway did while it ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// What happened at the devices.
    pub devices: DeviceCounters,
    /// What its workers handed over to each other; `None`: there was one alone.
    pub handovers: Option<HandoverCounters>,
    /// What came of the packets.
    pub engine: engine::Counters,
}

impl Summary {
    /// Adds what another worker did.
    pub(super) fn add(&mut self, other: &Self) {
        self.devices.add(other.devices);
        if let (Some(own), Some(others)) = (&mut self.handovers, other.handovers) {
            own.add(others);
        }
        self.engine.add(&other.engine);
    }

    /// One line in the log.
    pub(super) fn log(&self) {
        let DeviceCounters {
            received,
            sent,
            made,
            no_device,
            read_errors,
            write_errors,
        } = self.devices;
        tracing::info!(
            received,
            sent,
            made,
            no_device,
            read_errors,
            write_errors,
            handed_over = self.handovers.map(|handovers| handovers.handed_over),
            lost_on_the_way = self.handovers.map(|handovers| handovers.lost),
            evicted = self.engine.evicted().map(|(_, count)| count).sum::<u64>(),
            not_opened = self.engine.not_opened().map(|(_, count)| count).sum::<u64>(),
            withheld = self.engine.withheld().map(|(_, count)| count).sum::<u64>(),
            verdicts = %Verdicts(&self.engine),
            "traffic"
        );
    }
}

/// `forward/session=12 drop/default-policy=3`.
struct Verdicts<'a>(&'a engine::Counters);

impl fmt::Display for Verdicts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (verdict, reason, count)) in self.0.verdicts().enumerate() {
            let space = if place == 0 { "" } else { " " };
            write!(f, "{space}{verdict}/{reason}={count}")?;
        }
        Ok(())
    }
}
