//! Packets together: what they will need of memory is asked for early, and so is there
//! when each is looked at. The answers are those of one packet after the other.

use std::num::NonZeroU64;

use super::swing::Glance;
use super::{Arrival, Engine, Judgement, Observer, Output};
use crate::net::Timestamp;
use crate::packet::{Checksum, Plain};
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
            let mut glances = [Glance::NONE; AHEAD];
            if !why.listens() {
                self.glance_at_all(batch, &mut glances);
            }
            let mut judged = [Judgement::PENDING; AHEAD];
            let (mut batch, mut first) = (batch, 0);
            while !batch.is_empty() {
                let left = glances.get_mut(first..).unwrap_or_default();
                let swung = self.swing_along(batch, left, &mut judged);
                let (before, rest) = batch.split_at_mut(swung);
                for (waiting, judgement) in before.iter_mut().zip(&judged) {
                    out.checksum = waiting.arrival.checksum;
                    done(waiting, judgement, out);
                }
                out.checksum = Checksum::Complete;
                let Some((waiting, rest)) = rest.split_first_mut() else {
                    break;
                };
                if let Some(glance) = glances.get_mut(first + swung) {
                    self.one(waiting, glance, out, why, &mut done);
                }
                first += swung + 1;
                batch = rest;
            }
        }
    }

    /// One that something else has to be done for.
    fn one(
        &mut self,
        waiting: &mut Waiting,
        glance: &mut Glance,
        out: &mut Output,
        why: &mut impl Observer,
        done: &mut impl FnMut(&mut Waiting, &Judgement, &mut Output),
    ) {
        // Else it was tried already.
        let something_is_due = self.now.max(waiting.at) >= self.quiet_until;
        let (arrival, now) = (waiting.arrival, self.time(waiting.at, out));
        let swung = match something_is_due && glance.hash.is_some() {
            true => waiting
                .come()
                .and_then(|(arrival, packet)| self.swing((now, arrival), packet, glance)),
            false => None,
        };
        let judgement = match swung {
            Some(judgement) => {
                out.checksum = arrival.checksum;
                judgement
            }
            None => {
                let known = glance.hash.is_some().then_some(&*glance);
                self.whole_way(now, arrival, (waiting.bare(), known), out, why)
            }
        };
        done(waiting, &judgement, out);
        out.clear();
    }

    /// Looks at packets, and has brought near where their sessions are.
    #[inline(never)]
    fn glance_at_all(&self, batch: &[Waiting], glances: &mut [Glance; AHEAD]) {
        let mut beginnings: [Option<Beginning<'_>>; AHEAD] = [None; AHEAD];
        for ((glance, beginning), waiting) in glances.iter_mut().zip(&mut beginnings).zip(batch) {
            if let Some(packet) = waiting.frame.get(waiting.headroom..) {
                self.glance(&waiting.arrival, packet, glance);
            }
            if let Some(hash) = glance.hash {
                *beginning = self.sessions.fetch_beginning(hash.get());
            }
        }
        for ((glance, beginning), waiting) in glances.iter_mut().zip(&beginnings).zip(batch) {
            if let (Some(beginning), Some(hash)) = (*beginning, glance.hash) {
                glance.likely = self.sessions.fetch_likely(beginning, hash.get());
                if glance.likely.is_none() {
                    self.fetch_for_newcomer(waiting.packet(), hash);
                }
            }
        }
    }

    #[inline(never)]
    fn fetch_for_newcomer(&self, packet: &[u8], hash: NonZeroU64) {
        if let Some(plain) = Plain::read(packet) {
            let sessions = &self.sessions;
            sessions.fetch_for_newcomer(&plain, packet, hash.get());
        }
    }
}
