//! The way of most packets: of a session in full swing, plain, as expected.
//!
//! It is the way of all packets with what cannot matter left out, and gives the same
//! answer and the same bytes: `tests/properties/` holds one against the other. Whoever
//! listens to the steps of deciding gets the whole way.

use super::{Arrival, Checksums, CtState, Engine, Extent, Judgement, Reason, Verdict, Waiting};
use crate::net::{Family, Timestamp, ZoneId};
use crate::packet::Plain;
use crate::rules::RuleId;
use crate::session::{Found, Lives, Passing, Place};

/// Whose a packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// Nobody has looked.
    Unasked,
    /// No session's.
    Nobody,
}

/// What is seen of a packet at a glance.
#[derive(Debug, Clone, Copy)]
pub(super) struct Glance {
    /// The hash of its tuple, if its bytes are right and it may take the short way; else
    /// nothing here counts.
    pub(super) hash: Option<u64>,
    /// Where its session is likely to be.
    pub(super) likely: Option<Place>,
    /// Counts only until another packet begins a session.
    pub(super) owner: Owner,
    pub(super) plain: Plain,
    arrival: Arrival,
}

impl Glance {
    /// Nothing is seen yet.
    pub(super) const NONE: Self = Self {
        hash: None,
        likely: None,
        owner: Owner::Unasked,
        plain: Plain::UNREAD,
        arrival: Arrival::whole(ZoneId(0)),
    };
}

impl Engine {
    /// A packet at a glance.
    // Written where it is kept: whoever copies it has to wait for it.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: docs/performance.md")]
    pub(super) fn glance(&self, arrival: Arrival, frame: &[u8], glance: &mut Glance) {
        glance.arrival = arrival;
        glance.hash = match Plain::family_of(frame) {
            Some(Family::V4) => self.look_at(Family::V4, arrival, frame, &mut glance.plain),
            Some(Family::V6) => self.look_at_v6(arrival, frame, &mut glance.plain),
            None => None,
        };
    }

    /// The same, of a packet that comes alone.
    #[inline(never)]
    pub(super) fn glance_alone(&self, arrival: Arrival, frame: &[u8], glance: &mut Glance) {
        self.glance(arrival, frame, glance);
        glance.likely = glance.hash.and_then(|hash| self.sessions.likely(hash));
    }

    #[inline(never)]
    fn look_at_v6(&self, arrival: Arrival, frame: &[u8], plain: &mut Plain) -> Option<u64> {
        self.look_at(Family::V6, arrival, frame, plain)
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: docs/performance.md")]
    fn look_at(
        &self,
        family: Family,
        arrival: Arrival,
        frame: &[u8],
        plain: &mut Plain,
    ) -> Option<u64> {
        if arrival.extent == Extent::Cut {
            return None;
        }
        plain.read_as(family, frame)?;
        let is_right =
            self.options.checksums == Checksums::Ignore || plain.is_intact(frame, arrival.checksum);
        if !is_right || plain.ttl <= 1 {
            return None;
        }
        self.sessions.hash_of(plain, frame)
    }

    /// Passes packets on, one after the other, as long as they are of sessions in full swing
    /// and nothing is due. Says how many, and what is judged of each.
    // A loop of its own: what calls it is made for each observer, in crates that know less.
    #[inline(never)]
    pub(super) fn swing_along(
        &mut self,
        batch: &mut [Waiting],
        glances: &mut [Glance],
        judged: &mut [Judgement],
    ) -> usize {
        let mut passed = 0;
        for ((waiting, glance), judgement) in batch.iter_mut().zip(glances).zip(judged) {
            let now = self.now.max(waiting.at);
            if now >= self.quiet_until || glance.hash.is_none() {
                break;
            }
            self.now = now;
            // Judged where it is kept, as it is looked at where it is kept.
            let Some(packet) = waiting.packet_mut() else {
                break;
            };
            if self.swing_on(now, packet, glance, judgement).is_none() {
                break;
            }
            passed += 1;
        }
        passed
    }

    /// Passes a packet on that is of a session in full swing. `None`, and nothing
    /// changed: it is not.
    #[inline(never)]
    pub(super) fn swing(
        &mut self,
        now: Timestamp,
        frame: &mut [u8],
        glance: &mut Glance,
    ) -> Option<Judgement> {
        let mut judgement = Judgement::PENDING;
        self.swing_on(now, frame, glance, &mut judgement)?;
        Some(judgement)
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: docs/performance.md")]
    fn swing_on(
        &mut self,
        now: Timestamp,
        frame: &mut [u8],
        glance: &mut Glance,
        judgement: &mut Judgement,
    ) -> Option<()> {
        let Glance { plain, likely, .. } = glance;
        // Once for either family: neither way has a trace of the other.
        match (plain.family, *likely) {
            (Family::V4, Some(likely)) => match self.sessions.at(likely, plain, frame) {
                Some(found) => self.swing_found(found, now, frame, glance, judgement),
                None => self.swing_elsewhere(now, frame, glance, judgement),
            },
            _ => self.swing_elsewhere(now, frame, glance, judgement),
        }
    }

    /// When the table is next looked at. It need not be when a session runs out: its
    /// deadline may have come to lie earlier than where the table looks for it.
    #[cold]
    fn next_look(&self) -> Timestamp {
        self.sessions.next_deadline().unwrap_or(Timestamp::NEVER)
    }

    /// The same for IPv6, and where the session is not where it was likely to be.
    #[inline(never)]
    fn swing_elsewhere(
        &mut self,
        now: Timestamp,
        frame: &mut [u8],
        glance: &mut Glance,
        judgement: &mut Judgement,
    ) -> Option<()> {
        let Glance { plain, hash, .. } = glance;
        let Some(found) = self.sessions.elsewhere((*hash)?, plain, frame) else {
            glance.owner = Owner::Nobody;
            return None;
        };
        self.swing_found(found, now, frame, glance, judgement)
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: docs/performance.md")]
    fn swing_found(
        &mut self,
        found: Found,
        now: Timestamp,
        frame: &mut [u8],
        glance: &Glance,
        judgement: &mut Judgement,
    ) -> Option<()> {
        let Glance { plain, arrival, .. } = glance;
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
            let is_cut = |mtu: u16| {
                let segments = arrival.segments.map(|size| plain.longest(size));
                segments.is_some_and(|longest| longest <= usize::from(mtu))
            };
            mtu.is_some_and(|mtu| plain.length <= *mtu || is_cut(*mtu))
        };
        let passed = self.sessions.swing(found, &passing, fits)?;
        if passed.lives == Lives::Shorter {
            self.quiet_until = self.quiet_until.min(self.next_look());
        }
        plain.pass_on(frame, passed.leaving, arrival.checksum);
        *judgement = Judgement {
            verdict: Verdict::Forward(passed.egress),
            ct: CtState::Established,
            reason: Reason::Session,
            rule: passed.rule.map(RuleId),
            session: Some(passed.session),
            state: Some(passed.state),
            check: None,
        };
        self.counters.count_in_full_swing();
        Some(())
    }
}
