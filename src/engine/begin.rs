//! The way of most packets that begin a session, or are refused in silence: plain, let
//! out by a rule, translated by a row.
//!
//! It is the way of all packets with what cannot matter left out, as that of sessions
//! [in full swing](super::swing) is, and held against it by the same tests. What else
//! could come of a packet (an ALG reads it, somebody goes to make room, its sender is
//! told something, it is another worker's) is left to the whole way, and nothing has changed.

use super::decide::{Admission, Stopped, as_it_came, first};
use super::swing::{Arrived, Glance, Owner};
use super::{Engine, Judgement, Output, Silent};
use crate::packet::{Leaving, lower_mss};
use crate::session::{Granted, begin_plain};

impl Engine {
    /// Judges a packet that is nobody's, and begins its session. `None`: it has to go the
    /// whole way. Where it is known what stops it there, that is told to `stops`, so that nobody
    /// looks for it twice.
    // What it makes is large, and changed where it is kept: so it is one piece.
    #[inline(never)]
    pub(super) fn begin(
        &mut self,
        came: Arrived<'_>,
        frame: &mut [u8],
        glance: &Glance,
        out: &mut Output,
        // Hardly any is, so that nothing is moved for it.
        stops: &mut Option<Stopped>,
    ) -> Option<Judgement> {
        // Else it may meet what is over.
        if glance.owner != Owner::Nobody || glance.hash.is_none() || self.is_behind() {
            return None;
        }
        let (now, arrival) = came;
        self.sessions.keep_up(now);

        // Deciding: it only reads.
        let plain = glance.plain(frame)?;
        let tuple = plain.tuple(frame)?;
        if !self.may_ask_the_rules(came, &plain, &tuple)
            || self.worker_for(arrival.zone, &tuple).is_some()
        {
            return None;
        }
        let tracked = begin_plain(&plain, frame)?;
        let mut first = first(usize::from(plain.length), tracked, now);
        let way = self.way_of(&tuple, (arrival.zone, plain.ttl), None, &mut Silent);
        let begins = match &way {
            Ok(begins) if begins.alg.is_none() => begins,
            Ok(_) => return None,
            Err(stopped) => {
                let Some(dropped) = self.refused_in_silence(stopped) else {
                    *stops = Some(*stopped);
                    return None;
                };
                self.counters.count(&dropped);
                return Some(dropped);
            }
        };
        let tracked = &first.tracked;
        let by = Admission::Permit(begins.permit);
        let newcomer = self.newcomer(now, tuple.source.address, tracked, None, by);
        if self.room(&newcomer, by, &mut Silent) != Ok(None) {
            return None;
        }
        let kind = (plain.protocol, begins.lifetime);
        first.deadline = self.deadline(now, tracked.state(), tracked.first_life(), kind);
        let judgement = Judgement {
            session: Some(self.sessions.next_id()),
            ..begins.allowed(first.tracked.state())
        };

        // What it gives out is taken, where there are other workers; who finds that one of them
        // was faster decides again.
        let origin = begins.origin();
        if self.sessions.claim(&origin) == Granted::Nothing {
            return None;
        }

        // Committing: it only writes.
        self.counters.count_translated(origin.nat);
        let handle = self.sessions.insert(&origin, now, &first);
        self.spend_of_source(&origin, now);
        self.has_begun(now, &origin, handle, out);
        let leaves = Leaving::of(&begins.leaves());
        plain.pass_on(frame, leaves, arrival.checksum);
        if let Some(most) = begins.mss
            && let Some(headers) = plain.headers(frame)
        {
            lower_mss(frame, &as_it_came(headers, *arrival), most.get());
        }
        out.checksum = arrival.checksum;
        self.look_for_newest();
        self.counters.count(&judgement);
        Some(judgement)
    }
}
