//! SYNs that nobody inside has asked for, held for a while (RFC 5382 REQ-4).
//!
//! Two hosts behind gateways of their own connect to each other by sending their
//! SYNs at the same time. The one that comes first finds no mapping, or is
//! refused by the rules, and whatever its sender is told then ends the attempt.
//! So a refused SYN is held in silence for [`PATIENCE`]: if an inside SYN of the
//! same connection leaves meanwhile, the held one is forgotten, and its sender's
//! next one passes. Else its sender is told then what became of it.
//!
//! **Limits.** So many are held and no more; one that finds no place is dropped in
//! silence. A place in the queue is free again only when its time is over, so that
//! nobody makes the queue grow by having SYNs forgotten.

use std::collections::VecDeque;
use std::time::Duration;

use hashbrown::HashMap;

use super::rates::AnswerKind;
use super::{Engine, Made};
use crate::net::{Family, Timestamp, Tuple, ZoneId};
use crate::packet::{self, Complaint, Headers};
use crate::session::TupleHash;

/// How long one is held (RFC 5382 REQ-4, RFC 6092 REC-34: at least six seconds).
pub(super) const PATIENCE: Duration = Duration::from_secs(6);
/// How many are held at a time.
const MOST: usize = 1024;
/// How much of one is kept: as much as an error quotes of the longest.
const KEPT_OCTETS: usize = 1280;

/// What becomes of a SYN from outside that the rules refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum UnsolicitedSyn {
    /// What refuses it says at once what its sender is told, as in Linux.
    #[default]
    Refuse,
    /// It is held, so that its sender's connection may still come to be.
    Hold,
}

/// What came of the wish to hold a SYN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Holding {
    /// It is held from now on.
    Begins,
    /// It was held before; its sender has repeated it.
    GoesOn,
    /// As many are held as may be.
    Full,
}

/// A SYN whose time is over, and whether its sender was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unanswered {
    /// When.
    pub at: Timestamp,
    /// The SYN as it came.
    pub tuple: Tuple,
    /// How many packets its sender was told by: one, or none.
    pub packets: usize,
}

/// A held SYN.
#[derive(Debug)]
pub(super) struct Held {
    at: Timestamp,
    tuple: Tuple,
    zone: ZoneId,
    headers: Headers,
    /// Its octets, as many as are kept.
    frame: Box<[u8]>,
}

/// All held SYNs.
#[derive(Debug)]
pub(super) struct HeldSyns {
    held: HashMap<Tuple, Held, TupleHash>,
    /// Every place that is taken, by the moment at which it is free again: all
    /// are held for as long, so the first in is the first out.
    due: VecDeque<(Timestamp, Tuple)>,
}

impl HeldSyns {
    pub(super) fn new(hash: TupleHash) -> Self {
        Self {
            held: HashMap::with_hasher(hash),
            due: VecDeque::new(),
        }
    }

    /// What would come of holding this one. Only reads.
    pub(super) fn judge(&self, tuple: &Tuple) -> Holding {
        if self.held.contains_key(tuple) {
            Holding::GoesOn
        } else if self.due.len() >= MOST {
            Holding::Full
        } else {
            Holding::Begins
        }
    }

    /// Holds the SYN in `frame`, from which `headers` were read.
    pub(super) fn hold(&mut self, now: Timestamp, zone: ZoneId, headers: &Headers, frame: &[u8]) {
        let Some(tuple) = headers.tuple() else {
            return;
        };
        let at = now.after(PATIENCE);
        let length = headers.length.min(frame.len()).min(KEPT_OCTETS);
        let held = Held {
            at,
            tuple,
            zone,
            headers: *headers,
            frame: frame.get(..length).unwrap_or_default().into(),
        };
        self.held.insert(tuple, held);
        self.due.push_back((at, tuple));
    }

    /// Forgets the SYN that came with this tuple: its connection has begun.
    pub(super) fn forget(&mut self, tuple: &Tuple) {
        if !self.held.is_empty() {
            self.held.remove(tuple);
        }
    }

    /// Whether the SYN that came with this tuple has been held for as long as it may be.
    pub(super) fn is_late(&self, tuple: &Tuple, now: Timestamp) -> bool {
        !self.held.is_empty() && self.held.get(tuple).is_some_and(|held| held.at <= now)
    }

    /// When the next place is free.
    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        self.due.front().map(|(at, _)| *at)
    }

    /// Frees the next place that is due by `now`; gives the SYN that is still held
    /// there.
    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<Option<Held>> {
        self.due.front().filter(|(at, _)| *at <= now)?;
        let (at, tuple) = self.due.pop_front()?;
        // One that was forgotten may be held anew, in another place.
        let is_here = self.held.get(&tuple).is_some_and(|held| held.at == at);
        Some(is_here.then(|| self.held.remove(&tuple)).flatten())
    }
}

impl Engine {
    /// Tells the sender of a SYN that nobody inside has asked for it in time: in
    /// IPv4 that there is no such port (RFC 5382 REQ-4), in IPv6 that it is not
    /// allowed (RFC 6092 REC-34).
    pub(super) fn tell_unsolicited(&mut self, held: &Held) -> (Unanswered, Option<Made>) {
        let (zone, target) = (held.zone, held.tuple.source.address);
        let complaint = match Family::of(target) {
            Family::V4 => Complaint::PortUnreachable,
            Family::V6 => Complaint::Prohibited,
        };
        let (rates, kind) = (&self.policy.answers, AnswerKind::Error);
        let bytes = if self.is_silent(zone, kind) {
            None
        } else if self.limiter.allows(rates, held.at, kind, target) {
            let gateway = self.speaking_address(zone, &held.headers);
            gateway.and_then(|own| packet::icmp_error(&held.frame, &held.headers, own, complaint))
        } else {
            self.counters.count_withheld(kind);
            None
        };
        if bytes.is_some() {
            self.limiter.spend(rates, held.at, kind, target);
        }
        let unanswered = Unanswered {
            at: held.at,
            tuple: held.tuple,
            packets: usize::from(bytes.is_some()),
        };
        (unanswered, bytes.map(|bytes| Made { zone, bytes }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_grows_no_longer_than_it_may_whatever_is_forgotten() {
        let mut held = HeldSyns::new(TupleHash::from_seed(1));
        let now = Timestamp::EPOCH;
        let mut full = 0;
        for port in 0..2_000u16 {
            let [high, low] = port.to_be_bytes();
            let mut syn = vec![0; 40];
            syn[..4].copy_from_slice(&[0x45, 0, 0, 40]);
            syn[8..10].copy_from_slice(&[64, 6]);
            syn[12..20].copy_from_slice(&[198, 51, 100, 9, 203, 0, 113, 2]);
            syn[20..24].copy_from_slice(&[high, low, 0, 80]);
            syn[32..34].copy_from_slice(&[0x50, 2]);
            let headers = Headers::read(&syn, false).unwrap();
            let tuple = headers.tuple().unwrap();
            match held.judge(&tuple) {
                Holding::Begins => held.hold(now, ZoneId(0), &headers, &syn),
                Holding::Full => full += 1,
                Holding::GoesOn => unreachable!(),
            }
            held.forget(&tuple);
        }
        assert_eq!((held.due.len(), held.held.len(), full), (MOST, 0, 976));
        let later = now.after(PATIENCE);
        assert_eq!(held.next_deadline(), Some(later));
        let popped = std::iter::from_fn(|| held.pop_due(later));
        assert_eq!(popped.filter(Option::is_none).count(), MOST);
        assert_eq!(held.next_deadline(), None);
    }
}
