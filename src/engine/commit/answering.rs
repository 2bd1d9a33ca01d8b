//! What the gateway says itself.

use super::super::decide::Answer;
use super::super::fragments::Late;
use super::super::rates::AnswerKind;
use super::super::{Arrival, Engine, Made, Output};
use crate::net::Timestamp;
use crate::packet::{self, Complaint, Headers};

impl Engine {
    /// Sends something of the gateway's own back to where the packet came from.
    pub(super) fn answer(
        &mut self,
        now: Timestamp,
        arrival: Arrival,
        frame: &[u8],
        headers: &Headers,
        answer: Answer,
        out: &mut Output,
    ) {
        let gateway = self.speaking_address(arrival.zone, headers);
        let complain = |complaint| packet::icmp_error(frame, headers, gateway?, complaint);
        let bytes = match answer {
            Answer::Echo => packet::echo_reply(frame, headers),
            Answer::Error(complaint) => complain(complaint),
            Answer::Refusal(_) | Answer::RefusalAsAddressed(_) if headers.tcp().is_some() => {
                packet::reset(headers)
            }
            Answer::Refusal(complaint) => complain(complaint),
            Answer::RefusalAsAddressed(complaint) => {
                packet::icmp_error(frame, headers, headers.destination, complaint)
            }
        };
        let Some(bytes) = bytes else { return };
        if let Some(kind) = answer.kind(headers) {
            let rates = &self.policy.answers;
            self.limiter.spend(rates, now, kind, headers.source);
        }
        out.made.push(Made {
            zone: arrival.zone,
            bytes,
        });
    }

    /// Tells the sender of a datagram for the gateway itself that it did not
    /// become whole in time, if its first piece is here (RFC 1122 section
    /// 3.3.2, RFC 8200 section 4.5). Of what only comes through, its receiver
    /// may tell.
    pub(in crate::engine) fn tell_of(&mut self, late: &Late) -> Option<Made> {
        let (rates, target) = (&self.policy.answers, late.unfinished.source);
        let kind = AnswerKind::Error;
        if !self.policy.zones.is_own(late.unfinished.destination) {
            return None;
        }
        let answer = || {
            let frame = late.first_piece()?;
            let headers = Headers::read(&frame, false).ok()?;
            let gateway = self.speaking_address(late.zone, &headers)?;
            packet::icmp_error(&frame, &headers, gateway, Complaint::ReassemblyTime)
        };
        let bytes = answer()?;
        if !self.limiter.allows(rates, self.now, kind, target) {
            self.counters.count_withheld(kind);
            return None;
        }
        self.limiter.spend(rates, self.now, kind, target);
        Some(Made {
            zone: late.zone,
            bytes,
        })
    }
}
