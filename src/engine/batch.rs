//! Packets together: what they will need of memory is asked for early, and so is there
//! when each is looked at. The answers are those of one packet after the other.

use super::swing::Known;
use super::{Arrival, Engine, Judgement, Observer, Output};
use crate::net::Timestamp;

/// How many packets are looked ahead at.
const AHEAD: usize = 32;

/// A packet that waits for its turn.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// When it came.
    pub at: Timestamp,
    /// How.
    pub arrival: Arrival,
    /// Its bytes, from the IP header on; rewritten in place.
    pub frame: Vec<u8>,
}

impl Engine {
    /// Packets in the order in which they came, each as by [`packet`](Self::packet).
    /// What comes of each is told to `done` before the next one's turn, with what the
    /// engine gives back besides, which `done` takes or lets go.
    pub fn packets(
        &mut self,
        batch: &mut [Waiting],
        out: &mut Output,
        why: &mut impl Observer,
        mut done: impl FnMut(&mut Waiting, Judgement, &mut Output),
    ) {
        for batch in batch.chunks_mut(AHEAD) {
            let mut known: [Option<Known>; AHEAD] = [None; AHEAD];
            for (known, waiting) in known.iter_mut().zip(&*batch) {
                *known = self.glance(waiting.arrival, &waiting.frame);
                if let Some(known) = known {
                    self.sessions.fetch_index(known.hash);
                }
            }
            for known in known.iter_mut().flatten() {
                known.likely = self.sessions.fetch_likely(known.hash);
                if known.likely.is_none() {
                    self.sessions.fetch_for_newcomer(&known.plain, known.hash);
                }
            }
            for (waiting, known) in batch.iter_mut().zip(&known) {
                let Waiting { at, arrival, frame } = waiting;
                let judgement = self.one(*at, *arrival, frame, known.as_ref(), out, why);
                done(waiting, judgement, out);
                out.clear();
            }
        }
    }
}
