//! The way of most packets: of a session in full swing, plain, as expected.
//!
//! It is the way of all packets with what cannot matter left out, and gives the same
//! answer and the same bytes: `tests/properties/` holds one against the other. Whoever
//! listens to the steps of deciding gets the whole way.

use std::num::NonZeroU64;

use super::{Arrival, Checksums, CtState, Engine, Extent, Judgement, Reason, Verdict, Waiting};
use crate::net::{Family, Protocol, Timestamp};
use crate::packet::{Plain, SegmentSize};
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

/// What is seen of a packet at a glance. It is little: what else there is to know stands
/// in the packet, and is sooner read again than kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Glance {
    /// The hash of its tuple, if its bytes are right and it may take the short way; else
    /// nothing here counts. (One tuple in 2^64 has none, and takes the whole way.)
    pub(super) hash: Option<NonZeroU64>,
    /// Where its session is likely to be.
    pub(super) likely: Option<Place>,
    /// Counts only until another packet begins a session.
    pub(super) owner: Owner,
    kind: Kind,
}

/// What kind of packet it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// TCP over IPv4.
    TcpV4,
    /// UDP over IPv4.
    UdpV4,
    /// Another, perhaps plain all the same.
    Other,
}

impl Glance {
    /// What was read of this packet, once more.
    #[inline]
    pub(super) fn plain(&self, frame: &[u8]) -> Option<Plain> {
        match self.kind {
            Kind::TcpV4 => Plain::tcp_v4_again(frame),
            Kind::UdpV4 => Plain::udp_v4_again(frame),
            Kind::Other => Plain::read(frame),
        }
    }
}

/// When a packet came, and how.
pub(super) type Arrived<'a> = (Timestamp, &'a Arrival);

/// What is known of a packet on its way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) glance: Glance,
    /// Counts where it was passed on.
    pub(super) judgement: Judgement,
}

impl Look {
    /// Nothing is known yet.
    pub(super) const NONE: Self = Self {
        glance: Glance {
            hash: None,
            likely: None,
            owner: Owner::Unasked,
            kind: Kind::Other,
        },
        judgement: Judgement::PENDING,
    };
}

impl Engine {
    /// A packet at a glance.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: docs/performance.md")]
    pub(super) fn glance(&self, arrival: &Arrival, frame: &[u8], glance: &mut Glance) {
        match Plain::read_tcp_v4(frame) {
            Some(plain) => {
                glance.kind = Kind::TcpV4;
                glance.hash = self.look_at(arrival, frame, &plain);
            }
            None => self.glance_at_other(arrival, frame, glance),
        }
    }

    /// The same, of a packet that comes alone.
    #[inline(never)]
    pub(super) fn glance_alone(&self, arrival: &Arrival, frame: &[u8], glance: &mut Glance) {
        self.glance(arrival, frame, glance);
        glance.likely = glance
            .hash
            .and_then(|hash| self.sessions.likely(hash.get()));
    }

    #[inline(never)]
    fn glance_at_other(&self, arrival: &Arrival, frame: &[u8], glance: &mut Glance) {
        if let Some(plain) = Plain::read(frame) {
            glance.kind = match (plain.family, plain.protocol) {
                (Family::V4, Protocol::UDP) => Kind::UdpV4,
                _ => Kind::Other,
            };
            glance.hash = self.look_at(arrival, frame, &plain);
        }
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: docs/performance.md")]
    fn look_at(&self, arrival: &Arrival, frame: &[u8], plain: &Plain) -> Option<NonZeroU64> {
        if arrival.extent == Extent::Cut || plain.ttl <= 1 {
            return None;
        }
        let is_right =
            self.options.checksums == Checksums::Ignore || plain.is_intact(frame, arrival.checksum);
        if !is_right {
            return None;
        }
        NonZeroU64::new(self.sessions.hash_of(plain, frame)?)
    }

    /// Passes packets on, one after the other, as long as they are of sessions in full swing
    /// and nothing is due. Says how many, and what is judged of each.
    // A loop of its own: what calls it is made for each observer, in crates that know less.
    #[inline(never)]
    pub(super) fn swing_along(&mut self, batch: &mut [Waiting], looks: &mut [Look]) -> usize {
        let mut passed = 0;
        for (waiting, look) in batch.iter_mut().zip(looks) {
            let now = self.now.max(waiting.at);
            if now >= self.quiet_until {
                break;
            }
            self.now = now;
            // Judged where it is kept, as it is looked at where it is kept.
            let Some((arrival, packet)) = waiting.come() else {
                break;
            };
            let passes = self.swing_on((now, arrival), packet, look);
            if passes.is_none() {
                break;
            }
            passed += 1;
        }
        passed
    }

    /// Passes a packet on that is of a session in full swing, and says what is judged of
    /// it. False, and nothing changed: it is not.
    #[inline(never)]
    pub(super) fn swing(&mut self, came: Arrived<'_>, frame: &mut [u8], look: &mut Look) -> bool {
        self.swing_on(came, frame, look).is_some()
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: docs/performance.md")]
    fn swing_on(&mut self, came: Arrived<'_>, frame: &mut [u8], look: &mut Look) -> Option<()> {
        let Look { glance, judgement } = look;
        // A way of its own for the kind that most are: neither has a trace of the other.
        if let (Kind::TcpV4, Some(likely)) = (glance.kind, glance.likely) {
            let plain = Plain::tcp_v4_again(frame)?;
            if let Some(found) = self.sessions.at(likely, &plain, frame) {
                let passes = self.swing_found(found, came, frame, &plain, judgement);
                // A session that began since it was looked may have another's place.
                if passes.is_some() || self.sessions.is_its(found, &plain) {
                    return passes;
                }
            }
        }
        self.swing_elsewhere(came, frame, look)
    }

    /// When the table is next looked at. It need not be when a session runs out: its
    /// deadline may have come to lie earlier than where the table looks for it.
    fn next_look(&self) -> Timestamp {
        self.sessions.next_deadline().unwrap_or(Timestamp::NEVER)
    }

    /// The same for all other kinds, and where the session is not where it was likely to be.
    // Most that are nowhere begin something. They end here, before much is made ready.
    #[inline(never)]
    fn swing_elsewhere(
        &mut self,
        came: Arrived<'_>,
        frame: &mut [u8],
        look: &mut Look,
    ) -> Option<()> {
        let glance = &mut look.glance;
        if glance.likely.is_none() && self.sessions.is_nobodys(glance.hash?.get()) {
            glance.owner = Owner::Nobody;
            return None;
        }
        self.swing_wherever(came, frame, look)
    }

    #[inline(never)]
    fn swing_wherever(
        &mut self,
        came: Arrived<'_>,
        frame: &mut [u8],
        look: &mut Look,
    ) -> Option<()> {
        let Look { glance, judgement } = look;
        let Glance { hash, likely, .. } = *glance;
        let (hash, plain) = (hash?.get(), glance.plain(frame)?);
        let at = likely.and_then(|likely| self.sessions.at(likely, &plain, frame));
        let at = at.filter(|found| self.sessions.is_its(*found, &plain));
        let found = match at {
            Some(found) => Some(found),
            None => self.sessions.elsewhere(hash, &plain, frame),
        };
        let Some(found) = found else {
            glance.owner = Owner::Nobody;
            return None;
        };
        self.swing_found(found, came, frame, &plain, judgement)
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: docs/performance.md")]
    fn swing_found(
        &mut self,
        found: Found,
        (now, arrival): Arrived<'_>,
        frame: &mut [u8],
        plain: &Plain,
        judgement: &mut Judgement,
    ) -> Option<()> {
        let policy = &*self.policy;
        let passing = Passing {
            plain,
            frame,
            now,
            zone: arrival.zone,
            lifetimes: &policy.lifetimes,
        };
        let mtus = &self.mtus;
        let lengths = (plain.headers_length(), plain.length);
        let fits = |zone| {
            plain.length <= mtus.least()
                || is_taken_by(mtus.of_zone(zone), arrival.segments, lengths)
        };
        let passed = self.sessions.swing(found, &passing, fits)?;
        *judgement = Judgement {
            verdict: Verdict::Forward(passed.egress),
            ct: CtState::Established,
            reason: Reason::Session,
            rule: passed.rule.map(RuleId),
            session: Some(passed.session),
            state: Some(passed.state),
            check: None,
        };
        plain.pass_on_as(frame, passed.leaving, passed.changes, arrival.checksum);
        self.counters.count_in_full_swing();
        if passed.lives == Lives::Shorter {
            self.look_earlier(found);
        }
        Some(())
    }

    /// A session's deadline has come to lie earlier.
    #[cold]
    #[inline(never)]
    fn look_earlier(&mut self, found: Found) {
        self.sessions.bring_forward(found);
        self.quiet_until = self.quiet_until.min(self.next_look());
    }
}

/// Whether this link takes a packet, or what hardware cuts it into.
// What is lent has to be kept somewhere: this is given what it asks.
#[cold]
#[inline(never)]
fn is_taken_by(mtu: u16, segments: Option<SegmentSize>, (headers, whole): (u8, u16)) -> bool {
    let (headers, whole) = (usize::from(headers), usize::from(whole));
    let longest = segments.map_or(whole, |size| size.longest(headers, whole));
    longest <= usize::from(mtu)
}
