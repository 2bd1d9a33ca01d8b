//! The way of most packets: of a session in full swing, plain IPv4, as expected.
//!
//! It is the way of all packets with what cannot matter left out, and gives the same
//! answer and the same bytes: `tests/properties/` holds one against the other. Whoever
//! listens to the steps of deciding gets the whole way.

use super::{Arrival, Checksums, CtState, Engine, Extent, Judgement, Output, Reason, Verdict};
use crate::net::{Timestamp, ZoneId};
use crate::packet::Plain;
use crate::rules::RuleId;
use crate::session::{Passing, Place};

/// A packet that may take the short way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) plain: Plain,
    pub(super) hash: u64,
    /// Where its session is likely to be.
    pub(super) likely: Option<Place>,
}

impl Engine {
    /// A packet that can be read at a glance, if its bytes are right.
    // Else it is written once here and copied by its caller, which has to wait for it.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: docs/performance.md")]
    pub(super) fn glance(&self, arrival: Arrival, frame: &[u8]) -> Option<Known> {
        if arrival.extent == Extent::Cut {
            return None;
        }
        let plain = Plain::read(frame)?;
        let is_right =
            self.options.checksums == Checksums::Ignore || plain.is_intact(frame, arrival.checksum);
        (is_right && plain.ttl > 1).then(|| Known {
            plain,
            hash: self.sessions.hash_of(&plain),
            likely: None,
        })
    }

    /// Passes a packet on that is of a session in full swing. `None`, and nothing
    /// changed: it is not.
    #[inline]
    pub(super) fn swing(
        &mut self,
        now: Timestamp,
        arrival: Arrival,
        frame: &mut [u8],
        known: &Known,
        out: &mut Output,
    ) -> Option<Judgement> {
        let Known {
            plain,
            hash,
            likely,
        } = known;
        let policy = &*self.policy;
        let passing = Passing {
            plain,
            frame,
            now,
            zone: arrival.zone,
            lifetimes: &policy.lifetimes,
        };
        let mtus = &self.mtus;
        let fits = |zone: ZoneId| {
            let mtu = mtus.get(usize::from(zone.0));
            mtu.is_some_and(|mtu| plain.length <= *mtu)
        };
        let passed = self.sessions.swing((*hash, *likely), &passing, fits)?;
        if let Some(sooner) = passed.sooner {
            self.quiet_until = self.quiet_until.min(sooner);
        }
        plain.pass_on(frame, passed.leaving, arrival.checksum);
        out.checksum = arrival.checksum;
        let judgement = Judgement {
            verdict: Verdict::Forward(passed.egress),
            ct: CtState::Established,
            reason: Reason::Session,
            rule: passed.rule.map(RuleId),
            session: Some(passed.session),
            state: Some(passed.state),
            check: None,
        };
        self.counters.count_in_full_swing();
        Some(judgement)
    }
}
