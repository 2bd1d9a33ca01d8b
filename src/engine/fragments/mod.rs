//! The pieces of datagrams that are not whole yet.
//!
//! It keeps pieces until their datagram is whole, refuses what overlaps
//! (RFC 5722; the same for IPv4, RFC 1858) but for repeats of what one piece
//! said, octet by octet, and gives up what is too old or too much. Nobody behind it ever sees a part: tracking, rules, translation
//! and ALGs get whole datagrams only.
//!
//! **What tells datagrams apart** is [`Key`]: source, destination, number,
//! protocol (IPv4) and the zone of arrival.
//!
//! **A spoiled datagram stays spoiled**: its pieces are gone, its key remains
//! until its time is over, so that pieces that come later find it.
//!
//! **Limits** hold whatever arrives. A source that has its share gets no more;
//! where the whole store is full, the datagram that would be given up next
//! makes room. So a flood of pieces pushes out what is incomplete for long,
//! and a datagram whose pieces come one after the other passes.

mod datagram;
mod limits;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::IpAddr;

use hashbrown::HashMap;

use super::Reason;
use crate::net::{Timestamp, ZoneId};
use crate::packet::{Cuts, Headers, Piece};
use crate::session::TupleHash;
use datagram::{Datagram, Held, Place};
pub use limits::{FragmentLimits, Patience};

/// Pieces of one datagram: the longest one in pieces of 576 octets has 119.
const MAX_PIECES: usize = 256;
/// What keeping a piece costs besides its payload, and a datagram besides its
/// pieces, in octets.
const COST_OF_PIECE: usize = 64;
const COST_OF_DATAGRAM: usize = 320;

/// What tells datagrams apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    zone: ZoneId,
    source: IpAddr,
    destination: IpAddr,
    id: u32,
    protocol: u8,
}

impl Key {
    pub(super) fn new(zone: ZoneId, headers: &Headers, piece: &Piece) -> Self {
        Self {
            zone,
            source: headers.source,
            destination: headers.destination,
            id: piece.id,
            // In IPv6 only the first piece says what the others carry.
            protocol: match headers.source {
                IpAddr::V4(_) => headers.protocol.0,
                IpAddr::V6(_) => 0,
            },
        }
    }
}

/// What becomes of a piece.
#[derive(Debug)]
pub(super) enum Fate {
    /// It is kept until the others are there.
    Kept,
    /// What it says was there before.
    Repeated,
    /// It was the last one missing: the datagram, and how it came apart.
    Completes(Vec<u8>, Cuts),
    /// It goes; the others stay.
    Refused(Reason),
    /// It goes, and with it the whole datagram.
    Spoils(Reason),
}

/// A datagram that was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unfinished {
    /// When.
    pub at: Timestamp,
    /// Whose it was.
    pub source: IpAddr,
    /// For whom.
    pub destination: IpAddr,
    /// How many pieces had been kept.
    pub pieces: usize,
    /// Why: `fragment-timeout`, or `fragment-limit`.
    pub reason: Reason,
    /// How many packets its sender was told by: one, or none.
    pub packets: usize,
}

/// A datagram that did not become whole in time.
#[derive(Debug)]
pub(super) struct Late {
    pub(super) unfinished: Unfinished,
    /// The zone that it came by.
    pub(super) zone: ZoneId,
    datagram: Datagram,
}

impl Late {
    /// Its first piece as it came; `None` where that never came.
    pub(super) fn first_piece(&self) -> Option<Vec<u8>> {
        let header = self.datagram.header.as_deref()?;
        let first = self
            .datagram
            .pieces
            .first()
            .filter(|held| held.offset == 0)?;
        Some([header, &first.payload].concat())
    }
}

/// What a source keeps here.
#[derive(Debug, Default)]
struct Share {
    datagrams: usize,
    cost: usize,
}

/// The store.
#[derive(Debug)]
pub(super) struct Fragments {
    datagrams: HashMap<Key, Datagram, TupleHash>,
    /// Every datagram by its deadline.
    due: BTreeSet<(Timestamp, Key)>,
    shares: HashMap<(ZoneId, IpAddr), Share, TupleHash>,
    cost: usize,
}

impl Fragments {
    pub(super) fn new(hash: TupleHash) -> Self {
        Self {
            datagrams: HashMap::with_hasher(hash),
            due: BTreeSet::new(),
            shares: HashMap::with_hasher(hash),
            cost: 0,
        }
    }

    /// When the next datagram is given up.
    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// What would become of this piece of `frame`. Only reads.
    pub(super) fn judge(
        &self,
        limits: &FragmentLimits,
        key: &Key,
        piece: &Piece,
        frame: &[u8],
    ) -> Fate {
        let Some(payload) = frame.get(piece.payload_at..piece.length) else {
            return Fate::Refused(Reason::BadLength); // a capture cut it
        };
        let cost = payload.len() + COST_OF_PIECE;
        let share = self.shares.get(&(key.zone, key.source));
        let (kept, spent) = share.map_or((0, 0), |share| (share.datagrams, share.cost));
        let Some(datagram) = self.datagrams.get(key) else {
            let is_over = kept >= limits.datagrams_of_source
                || spent + cost + COST_OF_DATAGRAM > limits.octets_of_source;
            return if is_over {
                Fate::Refused(Reason::FragmentLimit)
            } else {
                Fate::Kept
            };
        };
        if let Some(reason) = datagram.spoiled {
            return Fate::Refused(reason);
        }
        let place = match datagram.place(piece, payload) {
            Place::Free(place) => place,
            Place::Same => return Fate::Repeated,
            Place::Taken => return Fate::Spoils(Reason::FragmentOverlap),
        };
        if datagram.is_completed_by(piece) {
            return datagram.put_together(piece, place, frame);
        }
        if datagram.pieces.len() >= MAX_PIECES {
            Fate::Spoils(Reason::FragmentLimit)
        } else if spent + cost > limits.octets_of_source {
            Fate::Refused(Reason::FragmentLimit)
        } else {
            Fate::Kept
        }
    }

    /// Keeps a piece that was judged so; tells what had to make room for it.
    pub(super) fn keep(
        &mut self,
        limits: &FragmentLimits,
        now: Timestamp,
        key: Key,
        piece: &Piece,
        frame: &[u8],
        mut given_up: impl FnMut(Unfinished),
    ) {
        let Some(payload) = frame.get(piece.payload_at..piece.length) else {
            return;
        };
        let cost = payload.len() + COST_OF_PIECE;
        self.make_room(limits, now, &key, cost, &mut given_up);
        let datagram = self.open(now.after(limits.patience.with(key.source)), key);
        let place = datagram
            .pieces
            .partition_point(|held| held.offset < piece.offset);
        let held = Held {
            offset: piece.offset,
            end: piece.end,
            follows: piece.follows,
            payload: payload.into(),
        };
        datagram.pieces.insert(place, held);
        datagram.note(piece);
        if piece.offset == 0 {
            datagram.header = frame.get(..piece.payload_at).map(Into::into);
        }
        datagram.cost += cost;
        self.spend(&key, cost);
    }

    /// Throws away what is there of a datagram, and what will come of it.
    pub(super) fn spoil(
        &mut self,
        limits: &FragmentLimits,
        now: Timestamp,
        key: Key,
        reason: Reason,
        mut given_up: impl FnMut(Unfinished),
    ) {
        if !self.datagrams.contains_key(&key) {
            let share = self.shares.get(&(key.zone, key.source));
            if share.is_some_and(|share| share.datagrams >= limits.datagrams_of_source) {
                return; // nothing more of this source is kept anyway
            }
            self.make_room(limits, now, &key, 0, &mut given_up);
        }
        let datagram = self.open(now.after(limits.patience.with(key.source)), key);
        let cost = datagram.cost - COST_OF_DATAGRAM;
        datagram.pieces = Vec::new();
        datagram.header = None;
        datagram.cost -= cost;
        datagram.spoiled = Some(reason);
        self.cost -= cost;
        if let Some(share) = self.shares.get_mut(&(key.zone, key.source)) {
            share.cost -= cost;
        }
    }

    /// Forgets a datagram.
    pub(super) fn forget(&mut self, key: &Key) {
        self.remove(key);
    }

    /// Gives up the next datagram that is due by `now`; `None` in the inner
    /// place for one that was spoiled before.
    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<Option<Late>> {
        self.due.first().filter(|(at, _)| *at <= now)?;
        let (at, key) = self.due.pop_first()?;
        let datagram = self.remove(&key)?;
        let unfinished = datagram.unfinished(&key, at, Reason::FragmentTimeout);
        Some(unfinished.map(|unfinished| Late {
            unfinished,
            zone: key.zone,
            datagram,
        }))
    }

    /// Whether the time of this datagram is over.
    pub(super) fn is_late(&self, key: &Key, now: Timestamp) -> bool {
        let datagram = self.datagrams.get(key);
        datagram.is_some_and(|datagram| datagram.deadline <= now)
    }

    /// Gives it up then. `None` for one that was spoiled before.
    pub(super) fn take_late(&mut self, key: &Key, now: Timestamp) -> Option<Late> {
        if !self.is_late(key, now) {
            return None;
        }
        let datagram = self.remove(key)?;
        let at = datagram.deadline;
        let unfinished = datagram.unfinished(key, at, Reason::FragmentTimeout)?;
        Some(Late {
            unfinished,
            zone: key.zone,
            datagram,
        })
    }

    fn make_room(
        &mut self,
        limits: &FragmentLimits,
        now: Timestamp,
        for_one: &Key,
        cost: usize,
        given_up: &mut impl FnMut(Unfinished),
    ) {
        let is_new = !self.datagrams.contains_key(for_one);
        let (more, cost) = if is_new {
            (1, cost + COST_OF_DATAGRAM)
        } else {
            (0, cost)
        };
        while self.cost + cost > limits.octets || self.datagrams.len() + more > limits.datagrams {
            let next = self
                .due
                .iter()
                .map(|(_, key)| *key)
                .find(|key| key != for_one);
            let Some(next) = next else {
                return; // one datagram alone never fills the store
            };
            if let Some(unfinished) = self.give_up(&next, now, Reason::FragmentLimit) {
                given_up(unfinished);
            }
        }
    }

    fn give_up(&mut self, key: &Key, at: Timestamp, reason: Reason) -> Option<Unfinished> {
        self.remove(key)?.unfinished(key, at, reason)
    }

    fn open(&mut self, deadline: Timestamp, key: Key) -> &mut Datagram {
        if !self.datagrams.contains_key(&key) {
            self.due.insert((deadline, key));
            self.shares
                .entry((key.zone, key.source))
                .or_default()
                .datagrams += 1;
            self.spend(&key, COST_OF_DATAGRAM);
        }
        self.datagrams
            .entry(key)
            .or_insert_with(|| Datagram::new(deadline))
    }

    fn spend(&mut self, key: &Key, cost: usize) {
        self.cost += cost;
        self.shares.entry((key.zone, key.source)).or_default().cost += cost;
    }

    fn remove(&mut self, key: &Key) -> Option<Datagram> {
        let datagram = self.datagrams.remove(key)?;
        self.due.remove(&(datagram.deadline, *key));
        self.cost -= datagram.cost;
        let source = (key.zone, key.source);
        if let Some(share) = self.shares.get_mut(&source) {
            share.datagrams -= 1;
            share.cost -= datagram.cost;
            if share.datagrams == 0 {
                self.shares.remove(&source);
            }
        }
        Some(datagram)
    }
}
