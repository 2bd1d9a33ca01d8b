//! What the packet loop counts, and how it is told at the end.

use std::fmt;

use crate::engine::{Judgement, Reason, Verdict};

/// Everything that the packet loop counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// Packets read from all devices.
    pub received: u64,
    /// Packets passed on.
    pub forwarded: u64,
    /// Packets dropped in silence.
    pub dropped: u64,
    /// Packets refused with word to the sender.
    pub rejected: u64,
    /// Packets for the gateway itself, answered.
    pub answered: u64,
    /// Packets that the gateway made: RSTs, ICMP errors, echo replies.
    pub made: u64,
    /// Packets of a shared device whose source is in none of its zones; the
    /// engine never saw them.
    pub no_zone: u64,
    /// Packets for a zone that has no device.
    pub no_device: u64,
    /// Reads that the kernel refused.
    pub read_errors: u64,
    /// Writes that the kernel refused: a device that is down, a full queue.
    pub write_errors: u64,
    by_reason: [u64; Reason::ALL.len()],
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            received: 0,
            forwarded: 0,
            dropped: 0,
            rejected: 0,
            answered: 0,
            made: 0,
            no_zone: 0,
            no_device: 0,
            read_errors: 0,
            write_errors: 0,
            by_reason: [0; Reason::ALL.len()],
        }
    }
}

impl Counters {
    /// Counts what came of a packet.
    pub(super) fn judged(&mut self, judgement: &Judgement) {
        let count = match judgement.verdict {
            Verdict::Forward(_) => &mut self.forwarded,
            Verdict::Drop => &mut self.dropped,
            Verdict::Reject => &mut self.rejected,
            Verdict::Answer => &mut self.answered,
        };
        *count += 1;
        if let Some(count) = self.by_reason.get_mut(judgement.reason as usize) {
            *count += 1;
        }
    }

    /// The packets that each reason decided, reasons without any left out.
    pub fn by_reason(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        let counted = Reason::ALL.iter().copied().zip(self.by_reason);
        counted.filter(|(_, count)| *count > 0)
    }

    /// One line in the log.
    pub(super) fn log(&self) {
        tracing::info!(
            received = self.received,
            forwarded = self.forwarded,
            dropped = self.dropped,
            rejected = self.rejected,
            answered = self.answered,
            made = self.made,
            no_zone = self.no_zone,
            no_device = self.no_device,
            read_errors = self.read_errors,
            write_errors = self.write_errors,
            reasons = %Reasons(self),
            "traffic"
        );
    }
}

/// `session=12 rule=3`.
struct Reasons<'a>(&'a Counters);

impl fmt::Display for Reasons<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (reason, count)) in self.0.by_reason().enumerate() {
            let space = if place == 0 { "" } else { " " };
            write!(f, "{space}{reason}={count}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::CtState;
    use crate::net::ZoneId;

    fn judgement(verdict: Verdict, reason: Reason) -> Judgement {
        Judgement {
            verdict,
            ct: CtState::New,
            reason,
            rule: None,
            session: None,
            state: None,
        }
    }

    #[test]
    fn each_packet_counts_once_by_verdict_and_once_by_reason() {
        let mut counters = Counters::default();
        counters.judged(&judgement(Verdict::Forward(ZoneId(0)), Reason::Rule));
        counters.judged(&judgement(Verdict::Drop, Reason::NoSession));
        counters.judged(&judgement(Verdict::Drop, Reason::NoSession));
        assert_eq!((counters.forwarded, counters.dropped), (1, 2));
        assert_eq!(Reasons(&counters).to_string(), "rule=1 no-session=2");
    }

    #[test]
    fn every_reason_has_its_own_place() {
        for (place, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, place);
        }
    }
}
