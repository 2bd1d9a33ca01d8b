//! What has to be so of a packet that begins a session as most do, or is refused as most
//! are: asked of what is read at a glance, and answered as [`decide`](Engine::decide) does.

use std::num::NonZeroU64;

use super::super::swing::{Arrived, Glance};
use super::super::{Arrival, Engine, Judgement, Observer, UnsolicitedSyn, Verdict};
use super::fresh::{Stop, Stopped};
use super::plan::Decision;
use super::refuse::may_be_forwarded;
use super::{Case, headers_of};
use crate::net::{Timestamp, Tuple};
use crate::packet::Plain;

impl Engine {
    /// Whether the rules are asked next about a plain packet that has no session: it may be
    /// passed on, no link is too narrow for it, and nobody waits for it.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "it has one caller")]
    pub(in crate::engine) fn may_ask_the_rules(
        &self,
        (_, arrival): Arrived<'_>,
        plain: &Plain,
        tuple: &Tuple,
    ) -> bool {
        let (policy, zones) = (&*self.policy, &self.policy.zones);
        let [source, destination] = [tuple.source.address, tuple.destination.address];
        let headers = usize::from(plain.headers_length());
        let longest = arrival.longest(headers, usize::from(plain.length));
        may_be_forwarded(policy.profile, source, destination)
            && !zones.is_broadcast(destination)
            && !zones.is_broadcast(source)
            && zones.accepts_source(arrival.zone, source)
            && longest <= usize::from(self.least_mtu)
            && self.expectation_for(*arrival, tuple).is_none()
            && self.mapping_for(tuple).is_none()
    }

    /// What becomes of such a packet, of which it is known what stops it.
    #[cold]
    #[inline(never)]
    pub(in crate::engine) fn decide_stopped_plain(
        &self,
        now: Timestamp,
        arrival: Arrival,
        (frame, known): (&[u8], &Glance),
        (stops, why): (&Stopped, &mut impl Observer),
    ) -> Decision {
        let read = headers_of(arrival, known, frame);
        let tuple = read.and_then(|(headers, _)| headers.tuple());
        let (Some((headers, _)), Some(tuple)) = (read, tuple) else {
            return self.decide_by_steps(now, arrival, (frame, Some(known)), why);
        };
        let case = Case {
            now,
            arrival,
            frame,
            headers: &headers,
            hash: known.hash.map(NonZeroU64::get),
            owner: known.owner,
        };
        self.decide_stopped(&case, &tuple, stops, why)
    }

    /// What is judged of a connection that is dropped in silence; `None`: more comes of it.
    pub(in crate::engine) fn refused_in_silence(&self, stopped: &Stopped) -> Option<Judgement> {
        match stopped.at {
            Stop::Refused(refused, _) => {
                let is_dropped = refused.verdict == Verdict::Drop
                    && self.policy.unsolicited_syn != UnsolicitedSyn::Hold;
                is_dropped.then_some(refused)
            }
            _ => None,
        }
    }
}
