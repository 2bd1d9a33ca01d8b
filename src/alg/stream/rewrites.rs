//! The changes made to one direction of a stream.
//!
//! A change replaces the octets of a range one by one: the n-th octet of the
//! range carries the n-th octet of the replacement; the last octet of the
//! range carries all that is left of a longer replacement; octets beyond the
//! end of a shorter one carry nothing. So each octet of the sender's stream
//! has one fixed image in the receiver's, and any cutting, repeating or
//! reordering of the former gives the same latter.
//!
//! A change may begin with *silent* octets, which the gateway itself has
//! acknowledged: their sender need not repeat them, so they carry nothing, and
//! the octet behind them carries what they would have. Until it is known what
//! that is, such a change is *open*: silent octets and nothing else.
//!
//! The kernel keeps only the newest change of a direction and its offset
//! before and after (`nf_ct_seqadj`); a repetition from before an older one
//! goes wrong there.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::net::SeqNumber;

/// How many changes a direction remembers.
///
/// A change is needed as long as its octets may be repeated. Beyond this
/// number the oldest gives way once it is acknowledged, and until then
/// [`Rewrites::record`] refuses.
pub const MAX_CHANGES: usize = 32;

/// The largest window that TCP can offer (RFC 7323 section 2.3): nothing
/// further back than this can be repeated, or acknowledged anew.
const MAX_WINDOW: i32 = 1 << 30;

/// One replaced range of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Change {
    /// Where the range begins, as the sender counts.
    at: SeqNumber,
    /// How many octets it has: at least one.
    old_len: u32,
    /// How many of them, the first ones, carry nothing. All of them while it is
    /// open, else fewer.
    silent: u32,
    /// What the receiver gets in its place.
    new: Box<[u8]>,
}

impl Change {
    fn end(&self) -> SeqNumber {
        self.at.advance(self.old_len)
    }

    fn new_len(&self) -> u32 {
        // `record` takes nothing longer.
        u32::try_from(self.new.len()).unwrap_or(u32::MAX)
    }

    /// By how much the receiver's count grows over the range.
    fn growth(&self) -> i32 {
        self.new_len().wrapping_sub(self.old_len).cast_signed()
    }

    /// Where in the replacement the image of the range's `n`-th octet begins.
    fn image(&self, n: u32) -> u32 {
        if n >= self.old_len {
            self.new_len()
        } else if n <= self.silent {
            0
        } else {
            n.min(self.new_len())
        }
    }

    /// Whether it waits for what its octets are to become.
    fn is_open(&self) -> bool {
        self.silent == self.old_len
    }

    /// The octet of the range up to which all has arrived, once `within` octets
    /// of the replacement have, but not all.
    fn arrived(&self, within: u32) -> u32 {
        // All octets but the last and the one behind the silent ones have at
        // most one octet for image.
        within.max(self.silent).min(self.old_len.wrapping_sub(1))
    }

    /// The first octet of the range whose image begins at `within` or later.
    fn begins(&self, within: u32) -> u32 {
        match within {
            0 => 0,
            _ if self.silent == 0 => within.min(self.old_len),
            _ => within.max(self.silent + 1).min(self.old_len),
        }
    }
}

/// Why a change cannot be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unrecordable {
    /// [`MAX_CHANGES`] are recorded, and the oldest is not yet acknowledged.
    Full,
    /// It changes no octet, lies before or within an earlier change, or is
    /// longer than any segment.
    Misplaced,
}

/// The changes made to one direction of a stream.
///
/// "Sender's" numbers count the stream as it was sent, "receiver's" as it was
/// rewritten.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rewrites {
    /// The growth by all changes that are no longer remembered.
    base: i32,
    /// The growth by all changes: what most segments need, as they lie behind
    /// the last one.
    total: i32,
    /// In stream order, apart from each other.
    changes: VecDeque<Change>,
    /// How far the receiver has acknowledged, as the sender counts.
    acknowledged: Option<SeqNumber>,
}

impl Rewrites {
    /// Whether the receiver's stream is the sender's, octet by octet.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        self.base == 0 && self.changes.is_empty()
    }

    /// Whether changes can have come to this.
    #[must_use]
    pub(super) fn is_sound(&self) -> bool {
        let most = u32::from(u16::MAX);
        let is_one = |change: &Change| {
            (1..=most).contains(&change.old_len)
                && change.silent <= change.old_len
                && change.new_len() <= most
        };
        let is_before =
            |(one, next): (&Change, &Change)| !one.is_open() && !next.at.is_before(one.end());
        let growth = self.changes.iter().map(Change::growth);
        let total = growth.fold(self.base, i32::wrapping_add);
        self.changes.len() <= MAX_CHANGES
            && self.changes.iter().all(is_one)
            && self
                .changes
                .iter()
                .zip(self.changes.iter().skip(1))
                .all(is_before)
            && total == self.total
    }

    /// Whether another `changes` can be remembered.
    #[must_use]
    pub fn has_room(&self, changes: usize) -> bool {
        if self.changes.len() + changes <= MAX_CHANGES {
            return true;
        }
        let foldable = self
            .changes
            .iter()
            .take_while(|change| self.is_old(change, 0));
        self.changes.len() - foldable.count() + changes <= MAX_CHANGES
    }

    /// Replaces `old_len` octets of the sender's stream from `at` on.
    ///
    /// # Errors
    /// The change was not taken; then the segment must not pass changed. One
    /// that is [`Unrecordable::Full`] may be dropped: by the time it is
    /// repeated, there is room.
    pub fn record(
        &mut self,
        at: SeqNumber,
        old_len: usize,
        new: &[u8],
    ) -> Result<(), Unrecordable> {
        self.insert(at, old_len, 0, new)
    }

    /// The gateway has acknowledged `octets` octets from `at` on, which are the
    /// last that it took: nothing is sent for them, until
    /// [`speak`](Self::speak) says what follows them. May be said again for
    /// more octets from the same place on.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub fn silence(&mut self, at: SeqNumber, octets: usize) -> Result<(), Unrecordable> {
        self.take_open(at);
        self.insert(at, octets, octets, &[])
    }

    /// What the first octet behind the silent ones at `at`, and the others up to
    /// `old_len`, become together with those.
    ///
    /// # Errors
    /// As [`record`](Self::record); also where no octet behind them is among
    /// `old_len`.
    pub fn speak(&mut self, at: SeqNumber, old_len: usize, new: &[u8]) -> Result<(), Unrecordable> {
        match self.changes.back() {
            Some(open) if open.is_open() && open.at == at && (open.silent as usize) < old_len => {
                let silent = open.silent as usize;
                self.take_open(at);
                self.insert(at, old_len, silent, new)
            }
            _ => Err(Unrecordable::Misplaced),
        }
    }

    /// How many octets from `at` on were acknowledged by the gateway and wait
    /// for what follows them.
    #[must_use]
    pub fn silent(&self, at: SeqNumber) -> usize {
        let open = self
            .changes
            .back()
            .filter(|last| last.is_open() && last.at == at);
        open.map_or(0, |open| open.silent as usize)
    }

    /// The number behind the silent octets that `octet` is one of, whose voice has
    /// left.
    #[must_use]
    pub fn behind_silent(&self, octet: SeqNumber) -> Option<SeqNumber> {
        let spoken = self.changes.iter().filter(|change| !change.is_open());
        let mut silent = spoken.map(|change| (change.at, change.at.advance(change.silent)));
        let (_, end) = silent.find(|(at, end)| !octet.is_before(*at) && octet.is_before(*end))?;
        Some(end)
    }

    /// What waits for the octets behind silent ones will not come from here: they
    /// took another way.
    pub fn abandon(&mut self) {
        if let Some(open) = self.changes.back_mut().filter(|last| last.is_open()) {
            open.silent = open.old_len.wrapping_sub(1);
        }
    }

    fn take_open(&mut self, at: SeqNumber) {
        let is_that = |last: &Change| last.is_open() && last.at == at;
        if let Some(open) = self.changes.back().filter(|last| is_that(last)) {
            self.total = self.total.wrapping_sub(open.growth());
            self.changes.pop_back();
        }
    }

    fn insert(
        &mut self,
        at: SeqNumber,
        old_len: usize,
        silent: usize,
        new: &[u8],
    ) -> Result<(), Unrecordable> {
        let (Ok(old_len), Ok(silent), Ok(_)) = (
            u16::try_from(old_len),
            u16::try_from(silent),
            u16::try_from(new.len()),
        ) else {
            return Err(Unrecordable::Misplaced);
        };
        if old_len == 0 || !self.is_behind_all(at) {
            return Err(Unrecordable::Misplaced);
        }
        if self.changes.len() >= MAX_CHANGES && !self.fold_oldest(0) {
            return Err(Unrecordable::Full);
        }
        if self.changes.is_empty() {
            // What was acknowledged long before may have wrapped around.
            self.acknowledged = None;
        }
        let change = Change {
            at,
            old_len: u32::from(old_len),
            silent: u32::from(silent),
            new: new.into(),
        };
        self.total = self.total.wrapping_add(change.growth());
        self.changes.push_back(change);
        Ok(())
    }

    /// Learns that the receiver has acknowledged up to `ack`, as the receiver
    /// counts: to be called with every acknowledgement that is accepted.
    /// Without it nothing is ever forgotten.
    pub fn acknowledged(&mut self, ack: SeqNumber) {
        if self.is_identity() {
            return;
        }
        let ack = self.ack(ack);
        if self.acknowledged.is_none_or(|known| ack.is_after(known)) {
            self.acknowledged = Some(ack);
        }
        while self.fold_oldest(MAX_WINDOW) {}
    }

    /// Forgets the oldest change, but for its growth, if it lies at least
    /// `distance` behind what the receiver has acknowledged.
    ///
    /// Nothing is lost by it: what a repetition carries from before the change
    /// then lands on octets that the receiver has and ignores, and a late
    /// acknowledgement from before it moves no further than to its end.
    fn fold_oldest(&mut self, distance: i32) -> bool {
        let oldest = self.changes.front();
        if !oldest.is_some_and(|oldest| self.is_old(oldest, distance)) {
            return false;
        }
        let Some(oldest) = self.changes.pop_front() else {
            return false;
        };
        self.base = self.base.wrapping_add(oldest.growth());
        true
    }

    fn is_old(&self, change: &Change, distance: i32) -> bool {
        let known = self.acknowledged;
        !change.is_open() && known.is_some_and(|known| known.since(change.end()) >= distance)
    }

    /// The receiver's number of the sender's number `seq`.
    #[must_use]
    pub fn seq(&self, seq: SeqNumber) -> SeqNumber {
        if self.is_behind_all(seq) {
            return seq.shift(self.total);
        }
        let mut growth = self.base;
        for change in &self.changes {
            if !seq.is_after(change.at) {
                break;
            }
            if seq.is_before(change.end()) {
                let within = seq.0.wrapping_sub(change.at.0);
                return change.at.shift(growth).advance(change.image(within));
            }
            growth = growth.wrapping_add(change.growth());
        }
        seq.shift(growth)
    }

    /// The sender's number up to which everything has arrived once the
    /// receiver has acknowledged `ack`: never more than was received.
    #[must_use]
    pub fn ack(&self, ack: SeqNumber) -> SeqNumber {
        self.unmap(ack, Rounding::Down)
    }

    /// A block of a selective acknowledgement (RFC 2018) as the sender counts,
    /// or nothing if it holds no whole octet of the sender's.
    #[must_use]
    pub fn sack(&self, left: SeqNumber, right: SeqNumber) -> Option<(SeqNumber, SeqNumber)> {
        let left = self.unmap(left, Rounding::Up);
        let right = self.unmap(right, Rounding::Down);
        left.is_before(right).then_some((left, right))
    }

    /// Whether a number of the sender's lies behind every change.
    fn is_behind_all(&self, seq: SeqNumber) -> bool {
        let last = self.changes.back();
        last.is_none_or(|last| !seq.is_before(last.end()))
    }

    fn unmap(&self, number: SeqNumber, rounding: Rounding) -> SeqNumber {
        let as_sent = number.shift(self.total.wrapping_neg());
        if self.is_behind_all(as_sent) {
            return as_sent;
        }
        let mut growth = self.base;
        for change in &self.changes {
            let start = change.at.shift(growth);
            if number.is_before(start) {
                break;
            }
            let within = number.0.wrapping_sub(start.0);
            if number.is_before(start.advance(change.new_len())) {
                let octet = match rounding {
                    Rounding::Down => change.arrived(within),
                    Rounding::Up => change.begins(within),
                };
                return change.at.advance(octet);
            }
            growth = growth.wrapping_add(change.growth());
        }
        number.shift(growth.wrapping_neg())
    }

    /// Appends to `out` what the receiver gets for a segment of the sender's
    /// stream, new or repeated, and says which number it begins at. The
    /// payload may grow, shrink, or vanish.
    pub fn apply(&self, seq: SeqNumber, payload: &[u8], out: &mut Vec<u8>) -> SeqNumber {
        if self.is_behind_all(seq) {
            out.extend_from_slice(payload);
            return seq.shift(self.total);
        }
        let mut rest = payload;
        let mut here = seq;
        for change in &self.changes {
            if rest.is_empty() || !change.end().is_after(here) {
                continue;
            }
            let before = u32::try_from(change.at.since(here)).unwrap_or(0);
            let Some((plain, from_change)) = rest.split_at_checked(before as usize) else {
                break;
            };
            out.extend_from_slice(plain);
            here = here.advance(before);
            let first = here.0.wrapping_sub(change.at.0);
            let covered = from_change
                .len()
                .min(change.old_len.saturating_sub(first) as usize);
            let (replaced, behind) = from_change.split_at(covered);
            let octets = u32::try_from(replaced.len()).unwrap_or(0);
            let image =
                change.image(first) as usize..change.image(first.wrapping_add(octets)) as usize;
            out.extend_from_slice(change.new.get(image).unwrap_or_default());
            here = here.advance(octets);
            rest = behind;
        }
        out.extend_from_slice(rest);
        self.seq(seq)
    }
}

/// Which way a number within a replacement goes to an octet's edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rounding {
    /// To the start of the octet whose image it lies in.
    Down,
    /// To the end of that octet, unless it is at its start.
    Up,
}

#[cfg(test)]
impl Rewrites {
    /// How many changes are remembered one by one.
    pub(super) fn remembered(&self) -> usize {
        self.changes.len()
    }

    /// Forgets all that may be forgotten once `ack` is acknowledged.
    pub(super) fn forget_acknowledged(&mut self, ack: SeqNumber) {
        self.acknowledged(ack);
        while self.fold_oldest(0) {}
    }
}
