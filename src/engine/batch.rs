//! Packets together: what they will need of memory is asked for early, and so is there
//! when each is looked at. The answers are those of one packet after the other.

use std::num::NonZeroU64;

use super::handed::Handed;
use super::swing::{Glance, Look};
use super::{Arrival, Engine, Judgement, Observer, Output, Verdict};
use crate::net::Timestamp;
use crate::packet::Checksum;
use crate::session::Beginning;

/// How many packets are looked ahead at.
const AHEAD: usize = 32;

/// A packet that waits for its turn.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// When it came.
    pub at: Timestamp,
    /// How.
    pub arrival: Arrival,
    /// What was read: [`headroom`](Self::headroom) octets that are none of the engine's
    /// business, and the packet from its IP header on, which is rewritten in place.
    pub frame: Vec<u8>,
    /// How many octets stand before the packet: what a device says of it. They stay
    /// where the packet passes as nearly all do, so that nobody has to move it; else they
    /// are gone afterwards, and this is zero.
    pub headroom: usize,
    /// Whether another worker has handed it over. Of one that is
    /// [elsewhere](super::Verdict::Elsewhere) it says what that worker has to know.
    pub handed: Handed,
}

impl Waiting {
    /// The packet.
    #[inline]
    #[must_use]
    pub fn packet(&self) -> &[u8] {
        self.frame.get(self.headroom..).unwrap_or_default()
    }

    /// How it came, and the packet, to be rewritten; `None` where nothing stands behind the
    /// headroom.
    // Not an empty packet: who asks would wait for the choice between the two.
    #[inline]
    pub(super) fn come(&mut self) -> Option<(&Arrival, &mut [u8])> {
        Some((&self.arrival, self.frame.get_mut(self.headroom..)?))
    }

    /// The packet, with nothing before it.
    fn bare(&mut self) -> &mut Vec<u8> {
        let headroom = std::mem::take(&mut self.headroom);
        self.frame.drain(..headroom.min(self.frame.len()));
        &mut self.frame
    }
}

impl Engine {
    /// Packets in the order in which they came, each as by [`packet`](Self::packet).
    /// What comes of each is told to `done`, in this order, with what the engine gives
    /// back besides, which `done` takes or lets go.
    pub fn packets(
        &mut self,
        batch: &mut [Waiting],
        out: &mut Output,
        why: &mut impl Observer,
        mut done: impl FnMut(&mut Waiting, &Judgement, &mut Output),
    ) {
        for batch in batch.chunks_mut(AHEAD) {
            let mut looks = [Look::NONE; AHEAD];
            if !why.listens() {
                self.glance_at_all(batch, &mut looks);
            }
            let (mut batch, mut looks) = (batch, &mut looks[..]);
            while !batch.is_empty() {
                let swung = self.swing_along(batch, looks);
                let (before, rest) = batch.split_at_mut(swung);
                for (waiting, look) in before.iter_mut().zip(&*looks) {
                    out.checksum = waiting.arrival.checksum;
                    done(waiting, &look.judgement, out);
                }
                out.checksum = Checksum::Complete;
                let left = looks.get_mut(swung..).and_then(<[Look]>::split_first_mut);
                let (Some((waiting, rest)), Some((look, left))) = (rest.split_first_mut(), left)
                else {
                    break;
                };
                self.one(waiting, look, out, why, &mut done);
                (batch, looks) = (rest, left);
            }
        }
    }

    /// One that something else has to be done for.
    fn one(
        &mut self,
        waiting: &mut Waiting,
        look: &mut Look,
        out: &mut Output,
        why: &mut impl Observer,
        done: &mut impl FnMut(&mut Waiting, &Judgement, &mut Output),
    ) {
        // Else it was tried already.
        let something_is_due = self.now.max(waiting.at) >= self.quiet_until;
        let (arrival, now) = (waiting.arrival, self.time(waiting.at, out));
        if let Some(worker) = self.owner_at_a_glance(waiting, &look.glance) {
            waiting.handed.times += 1;
            done(waiting, &Judgement::elsewhere(worker), out);
            out.clear();
            return;
        }
        self.in_hand = std::mem::take(&mut waiting.handed);
        let swings = something_is_due
            && look.glance.hash.is_some()
            && (waiting.come())
                .is_some_and(|(arrival, packet)| self.swing((now, arrival), packet, look));
        let mut stops = None;
        let judgement = match swings {
            true => {
                out.checksum = arrival.checksum;
                Some(look.judgement)
            }
            false => (waiting.come()).and_then(|(arrival, packet)| {
                self.begin((now, arrival), packet, &look.glance, out, &mut stops)
            }),
        };
        let judgement = match judgement {
            Some(judgement) => judgement,
            None => {
                let known = look.glance.hash.is_some().then_some(&look.glance);
                let known = (waiting.bare(), known, stops.as_ref());
                self.whole_way(now, arrival, known, out, why)
            }
        };
        let in_hand = std::mem::take(&mut self.in_hand);
        if matches!(judgement.verdict, Verdict::Elsewhere(_)) {
            in_hand.pass_on(waiting, out.cuts.take());
        }
        done(waiting, &judgement, out);
        out.clear();
    }

    /// Looks at packets, and has brought near where their sessions are.
    #[inline(never)]
    fn glance_at_all(&self, batch: &[Waiting], looks: &mut [Look; AHEAD]) {
        let mut beginnings: [Option<Beginning<'_>>; AHEAD] = [None; AHEAD];
        for ((look, beginning), waiting) in looks.iter_mut().zip(&mut beginnings).zip(batch) {
            let glance = &mut look.glance;
            // What came in pieces leaves in pieces.
            if waiting.handed.cuts.is_none()
                && let Some(packet) = waiting.frame.get(waiting.headroom..)
            {
                self.glance(&waiting.arrival, packet, glance);
            }
            if let Some(hash) = glance.hash {
                *beginning = self.sessions.fetch_beginning(hash.get());
            }
        }
        for ((look, beginning), waiting) in looks.iter_mut().zip(&beginnings).zip(batch) {
            let glance = &mut look.glance;
            if let (Some(beginning), Some(hash)) = (*beginning, glance.hash) {
                glance.likely = self.sessions.fetch_likely(beginning, hash.get());
                if glance.likely.is_none() {
                    self.fetch_for_newcomer(glance, waiting.packet(), hash);
                }
            }
        }
    }

    #[inline(never)]
    fn fetch_for_newcomer(&self, glance: &Glance, packet: &[u8], hash: NonZeroU64) {
        if let Some(plain) = glance.plain(packet) {
            let sessions = &self.sessions;
            sessions.fetch_for_newcomer(&plain, packet, hash.get());
        }
    }
}
