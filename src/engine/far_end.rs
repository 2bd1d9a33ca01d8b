//! What the far end would have sent, had this gateway stood in its way.
//!
//! A capture taken inside shows packets of the far end as the inside saw them
//! then: addressed to inside hosts, acknowledging the inside's own numbers. On
//! the far side of a translation they would look otherwise. Replay asks here
//! how, before it gives such a packet to the engine.

use std::net::IpAddr;

use super::Engine;
use super::control::Control;
use crate::net::{Direction, SeqNumber, Tuple, ZoneId};
use crate::packet::Renumber;

/// How a far end's packet has to be re-addressed.
#[derive(Debug, Clone, Copy)]
pub struct FarEnd<'a> {
    /// The tuple with which the far end would have sent it.
    pub tuple: Tuple,
    /// Whose changes to the stream its acknowledgements would have counted.
    control: Option<(&'a Control, Direction)>,
}

impl Engine {
    /// How the far end would have sent a packet that the inside saw with this
    /// tuple, arriving by `from`. `None`: no translation is in its way, or it
    /// belongs to nothing that is known.
    #[must_use]
    pub fn far_end(&self, from: ZoneId, seen: &Tuple) -> Option<FarEnd<'_>> {
        self.far_end_in_session(seen)
            .or_else(|| self.far_end_expected(from, seen))
            .or_else(|| self.far_end_forwarded(from, seen))
            .filter(|far| far.tuple != *seen || far.control.is_some())
    }

    /// A packet of a session: its inside end saw it leave the gateway.
    fn far_end_in_session(&self, seen: &Tuple) -> Option<FarEnd<'_>> {
        // What reaches an end is the reverse of what that end sends.
        let (_, session, sends) = self.sessions.lookup(&seen.reversed())?;
        let control = self
            .control_of(&session)
            .filter(|control| !control.is_plain());
        Some(FarEnd {
            tuple: session.origin.tuples[!sends],
            control: control.map(|control| (control, sends)),
        })
    }

    /// How the far end, or a router on its side, would have sent an ICMP error
    /// that the inside saw quoting this packet of its own: to which address,
    /// and quoting which tuple. `None`: nothing is known of the quoted packet.
    #[must_use]
    pub fn far_end_of_error(&self, quoted: &Tuple) -> Option<(IpAddr, Tuple)> {
        let (_, session, direction) = self.sessions.lookup(quoted)?;
        let left_as = session.origin.outgoing(direction);
        (left_as != *quoted).then_some((left_as.source.address, left_as))
    }

    /// The first packet of an announced data session.
    fn far_end_expected(&self, from: ZoneId, seen: &Tuple) -> Option<FarEnd<'_>> {
        let all = self.sessions.expectations();
        if all.is_empty() {
            return None;
        }
        let expectation = all.sorted().into_iter().find(|expectation| {
            let arrives_by = self
                .sessions
                .get(expectation.parent)
                .map(|parent| parent.origin.egress[!expectation.direction]);
            expectation.to == seen.destination
                && expectation.tuple.protocol == seen.protocol
                && expectation.tuple.source == seen.source.address
                && arrives_by == Some(from)
        })?;
        let destination = expectation.tuple.destination;
        Some(FarEnd {
            tuple: Tuple {
                destination,
                ..*seen
            },
            control: None,
        })
    }

    /// The first packet to an inside server that has a public address.
    fn far_end_forwarded(&self, from: ZoneId, seen: &Tuple) -> Option<FarEnd<'_>> {
        let policy = &self.policy;
        let mut public = policy.nat.public_endpoints(from, seen, &policy.zones);
        let leads_here = |tuple: &Tuple| {
            let found = policy.nat.inward(from, tuple, &policy.zones);
            found.is_some_and(|found| found.tuple == *seen)
        };
        let tuple = public.find(leads_here)?;
        Some(FarEnd {
            tuple,
            control: None,
        })
    }
}

impl Renumber for FarEnd<'_> {
    fn seq(&self, seq: SeqNumber) -> SeqNumber {
        seq // its own stream is changed on the way in, not before
    }

    fn ack(&self, ack: SeqNumber) -> SeqNumber {
        match self.control {
            Some((control, stream)) => control.as_received(stream, ack),
            None => ack,
        }
    }

    fn sack(&self, edges: [SeqNumber; 2]) -> [SeqNumber; 2] {
        edges.map(|edge| self.ack(edge))
    }
}
