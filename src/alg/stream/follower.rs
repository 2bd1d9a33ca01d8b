//! One direction of a TCP stream, as its reader follows it.

use std::borrow::Cow;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::kept::Kept;
use super::rewrites::Rewrites;
use crate::alg::Edit;
use crate::net::SeqNumber;

/// How many octets may be on their way, sent and not acknowledged: more than
/// twice the ten segments that a sender begins with (RFC 6928).
pub const MAX_KEPT: usize = 1 << 15;

/// How many segments behind the same gap are treated as lost before the
/// missing octets are given up: more than a sender sends before it repeats
/// what is missing (RFC 6928: it begins with ten).
pub const MAX_BEYOND: u8 = 16;

/// One direction of a TCP stream: how far its reader has come, what it has not
/// let go, what the receiver has not acknowledged, and what was changed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Follower {
    /// The stream's first octet.
    first: Option<SeqNumber>,
    /// The octet that the reader awaits.
    next: Option<SeqNumber>,
    /// Everything up to `next` that is not acknowledged.
    kept: Kept,
    /// How many of the kept octets, the last ones, have not been let go.
    withheld: usize,
    /// How far the receiver has acknowledged, as the sender counts.
    acknowledged: Option<SeqNumber>,
    rewrites: Rewrites,
    /// How many segments have come from behind the present gap.
    beyond: u8,
}

/// How a stream is to be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// Every octet once, in order, and no octet in two versions.
    Strictly,
    /// Octets pass as they come; what comes out of order is skipped.
    Loosely,
}

/// A segment of the stream: where it begins, what it carries, and whether it
/// carries the stream's end.
#[derive(Debug, Clone, Copy)]
pub struct Segment<'a> {
    /// The number of its first octet.
    pub seq: SeqNumber,
    /// How many octets it has.
    pub len: usize,
    /// The octets, unless a capture has cut them.
    pub octets: Option<&'a [u8]>,
    /// Whether nothing follows.
    pub fin: bool,
}

/// What a segment brings to the reader of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// This part of the payload continues the stream. It is not empty.
    New(Range<usize>),
    /// The stream ends here; no octet is new.
    End,
    /// All of it was taken before, or it is empty.
    Nothing,
    /// All of it was taken before, some of it is withheld, and the receiver has
    /// acknowledged all but that: its sender waits for nothing else.
    Withheld,
    /// All of it was acknowledged in the receiver's name up to this number, and left
    /// with the octets behind it; its sender has not heard so.
    Answered(SeqNumber),
    /// Octets before it are missing. It is to be dropped as if it were lost, and
    /// comes again behind them.
    Beyond,
    /// It cannot be read: octets before it will not come, or it was cut. It
    /// passes unread, as will what is missing, and reading goes on behind it.
    Unread(Unreadable),
    /// It has other octets than those that passed, or are withheld, under the
    /// same numbers. It is to be dropped.
    Contradicts,
    /// More is on its way than is kept. It is to be dropped as if it were lost.
    Full,
}

/// Why octets cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// Octets before them are missing, or the stream was not seen from its start.
    Gap,
    /// They are not there.
    Cut,
}

/// What is to become of a follower with a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Nothing.
    None,
    /// The new octets are taken, all but the last so many let go, with changes.
    Taken {
        /// Where they are in the payload.
        new: Range<usize>,
        /// How many octets are withheld now.
        withheld: usize,
        /// The changes to what is let go.
        changes: Vec<Change>,
    },
    /// What is withheld is acknowledged to its sender in the receiver's name.
    Silenced,
    /// It lies behind a gap.
    Beyond,
    /// Reading goes on behind the segment.
    Skipped,
}

/// A change to the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    at: SeqNumber,
    old_len: usize,
    new: Vec<u8>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    /// It begins with octets that the gateway has acknowledged.
    Speaks,
}

impl Follower {
    /// Takes the sequence number of a SYN: the SYN itself takes one, and data,
    /// on the SYN too, begins at the next. A SYN that is repeated changes
    /// nothing; with another number it begins the stream anew.
    pub fn synchronize(&mut self, syn: SeqNumber) {
        let first = syn.advance(1);
        if self.first != Some(first) {
            *self = Self {
                first: Some(first),
                next: Some(first),
                kept: Kept::from(first),
                ..Self::default()
            };
        }
    }

    /// Whether a stream can have come to this: what was written down may have been changed.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let ends_there = self.next.is_none_or(|next| self.kept.end() == next);
        ends_there
            && self.withheld <= self.kept.len()
            && (self.next.is_some() || self.withheld == 0)
            // The end of a stream is one more.
            && self.kept.len() <= MAX_KEPT + 1
            && self.rewrites.is_sound()
    }

    /// More may have passed since than is known: what comes next from behind a gap is not
    /// waited for, as what is missing will not come.
    pub fn left_behind(&mut self) {
        self.beyond = MAX_BEYOND;
    }

    /// Whether the stream passes as it came: nothing is changed, nothing withheld.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.withheld == 0 && self.rewrites.is_identity()
    }

    /// How many octets are withheld.
    #[must_use]
    pub fn withheld(&self) -> usize {
        self.withheld
    }

    /// The octets that are withheld, in order.
    pub fn withheld_octets(&self) -> impl Iterator<Item = u8> + '_ {
        let (from, to) = self.withheld_at().unwrap_or_default();
        self.kept.between(from, to)
    }

    /// Whether this octet is withheld.
    #[must_use]
    pub fn is_withheld(&self, octet: SeqNumber) -> bool {
        self.withheld_at()
            .is_some_and(|(held_at, next)| !octet.is_before(held_at) && octet.is_before(next))
    }

    /// The number of the next octet to be taken.
    #[must_use]
    pub fn next(&self) -> Option<SeqNumber> {
        self.next
    }

    /// The numbers of the first octet withheld, and of the one behind the last;
    /// both the next where none is.
    fn withheld_at(&self) -> Option<(SeqNumber, SeqNumber)> {
        let next = self.next?;
        let back = u32::try_from(self.withheld).unwrap_or(0);
        Some((SeqNumber(next.0.wrapping_sub(back)), next))
    }

    /// What a segment brings.
    #[must_use]
    pub fn read(&self, segment: &Segment<'_>, follow: Follow) -> Reading {
        let Segment { seq, len, fin, .. } = *segment;
        let Ok(octets) = u32::try_from(len) else {
            return Reading::Nothing;
        };
        if octets == 0 && !fin {
            return Reading::Nothing;
        }
        let Some((held_at, next)) = self.withheld_at() else {
            return match octets {
                0 => Reading::Nothing,
                _ => Reading::Unread(Unreadable::Gap),
            };
        };
        if seq.is_after(next) {
            // Silent octets would be lost for good.
            let waits = self.beyond < MAX_BEYOND || self.rewrites.silent(held_at) > 0;
            return match follow {
                Follow::Strictly if waits => Reading::Beyond,
                _ if octets == 0 => Reading::Nothing,
                _ => Reading::Unread(Unreadable::Gap),
            };
        }
        let strictly = follow == Follow::Strictly;
        if let Some(octets) = segment.octets
            && strictly
            && !self.kept.agrees(seq, octets)
        {
            return Reading::Contradicts;
        }
        let end = seq.advance(octets);
        if end == next && fin {
            return Reading::End;
        }
        if !end.is_after(next) {
            if let Some(behind) = self.rewrites.behind_silent(seq)
                && !end.is_after(behind)
                && self
                    .acknowledged
                    .is_none_or(|known| !known.is_after(behind))
            {
                return Reading::Answered(behind);
            }
            let all_else_arrived = self
                .acknowledged
                .is_some_and(|known| !known.is_before(held_at));
            let is_withheld = self.withheld > 0 && end.is_after(held_at);
            return match is_withheld && all_else_arrived {
                true => Reading::Withheld,
                false => Reading::Nothing,
            };
        }
        if segment.octets.is_none() {
            return Reading::Unread(Unreadable::Cut);
        }
        let before = next.0.wrapping_sub(seq.0) as usize;
        if strictly && self.kept.len() + (len - before.min(len)) > MAX_KEPT {
            return Reading::Full;
        }
        Reading::New(before..len)
    }

    /// What the reader is to read: the octets withheld, and the new ones; with
    /// the number of the first.
    #[must_use]
    pub fn chunk<'a>(&self, new: &'a [u8]) -> (SeqNumber, Cow<'a, [u8]>) {
        let at = self.withheld_at().map(|(at, _)| at).unwrap_or_default();
        if self.withheld == 0 {
            return (at, Cow::Borrowed(new));
        }
        let chunk = self.withheld_octets().chain(new.iter().copied());
        (at, Cow::Owned(chunk.collect()))
    }

    /// The changes by which the octets of a chunk up to `released` leave as the
    /// reader has edited them. A stream that ends has one octet more, its end.
    ///
    /// # Errors
    /// They could not be remembered; by the time that the segment is repeated
    /// they may.
    pub fn changes(
        &self,
        (at, chunk): (SeqNumber, &[u8]),
        edits: &[Edit],
        released: usize,
    ) -> Result<Vec<Change>, TooMany> {
        let number = |place: usize| at.advance(u32::try_from(place).unwrap_or(u32::MAX));
        let mut edits = edits;
        let mut changes = Vec::new();
        let silent = self.rewrites.silent(at);
        if silent > 0 && released > silent {
            // All that the silent octets would have carried, the octet behind
            // them carries; edits that reach into them come along.
            let mut end = silent + 1;
            let mut new = Vec::new();
            let mut copied = 0;
            while let Some((edit, others)) = edits.split_first()
                && edit.range.start < end
            {
                new.extend_from_slice(chunk.get(copied..edit.range.start).unwrap_or_default());
                new.extend_from_slice(&edit.with);
                copied = edit.range.end;
                end = end.max(copied);
                edits = others;
            }
            new.extend_from_slice(chunk.get(copied..end).unwrap_or_default());
            changes.push(Change {
                at: number(0),
                old_len: end,
                new,
                kind: Kind::Speaks,
            });
        }
        changes.extend(edits.iter().map(|edit| Change {
            at: number(edit.range.start),
            old_len: edit.range.len(),
            new: edit.with.clone(),
            kind: Kind::Plain,
        }));
        match self.rewrites.has_room(changes.len()) {
            true => Ok(changes),
            false => Err(TooMany),
        }
    }

    /// Whether what is withheld can be acknowledged in the receiver's name.
    #[must_use]
    pub fn may_silence(&self) -> bool {
        self.withheld > 0 && self.rewrites.has_room(1)
    }

    /// Goes on with a segment that was [`read`](Self::read).
    pub fn go_on(&mut self, segment: &Segment<'_>, progress: Progress, follow: Follow) {
        let octets = u32::try_from(segment.len).unwrap_or(0);
        let end = segment.seq.advance(octets);
        match progress {
            Progress::None => {}
            Progress::Beyond => self.beyond = self.beyond.saturating_add(1),
            Progress::Silenced => {
                if let Some((at, _)) = self.withheld_at() {
                    let silenced = self.rewrites.silence(at, self.withheld);
                    debug_assert_eq!(silenced, Ok(()), "there was room");
                }
            }
            Progress::Skipped => {
                let ends = u32::from(segment.fin);
                self.lose(end.advance(ends));
            }
            Progress::Taken {
                new,
                withheld,
                changes,
            } => {
                for change in &changes {
                    let Change { at, old_len, .. } = *change;
                    let recorded = match change.kind {
                        Kind::Plain => self.rewrites.record(at, old_len, &change.new),
                        Kind::Speaks => self.rewrites.speak(at, old_len, &change.new),
                    };
                    debug_assert_eq!(recorded, Ok(()), "there was room");
                }
                let payload = segment.octets.unwrap_or_default();
                self.kept.push(payload.get(new).unwrap_or_default());
                if segment.fin {
                    self.kept.push(&[END]);
                }
                self.next = Some(end.advance(u32::from(segment.fin)));
                let was_withheld = std::mem::replace(&mut self.withheld, withheld);
                self.beyond = 0;
                if follow == Follow::Loosely && was_withheld == 0 {
                    self.kept = Kept::from(end.advance(u32::from(segment.fin)));
                }
            }
        }
    }

    /// Learns that the receiver has acknowledged up to `ack`, as it counts: to be
    /// called with every acknowledgement that is accepted. Where it has got
    /// octets that were not let go (they took another way), the reader has lost
    /// its place.
    pub fn acknowledged(&mut self, ack: SeqNumber) -> Place {
        let as_sent = self.rewrites.ack(ack);
        self.rewrites.acknowledged(ack);
        if self
            .acknowledged
            .is_none_or(|known| as_sent.is_after(known))
        {
            self.acknowledged = Some(as_sent);
        }
        let Some((held_at, next)) = self.withheld_at() else {
            return Place::Kept;
        };
        let silent = u32::try_from(self.rewrites.silent(held_at)).unwrap_or(0);
        if as_sent.is_after(next) || as_sent.is_after(held_at.advance(silent)) && self.withheld > 0
        {
            self.lose(if as_sent.is_after(next) {
                as_sent
            } else {
                next
            });
            return Place::Lost;
        }
        let arrived = if as_sent.is_after(held_at) {
            held_at
        } else {
            as_sent
        };
        self.kept.forget(arrived);
        Place::Kept
    }

    fn lose(&mut self, next: SeqNumber) {
        self.next = Some(next);
        self.kept = Kept::from(next);
        self.withheld = 0;
        self.beyond = 0;
        self.rewrites.abandon();
    }

    /// The receiver's number of the sender's number `seq`. What is withheld was
    /// never sent, for the receiver.
    #[must_use]
    pub fn seq(&self, seq: SeqNumber) -> SeqNumber {
        match self.withheld_at() {
            Some((held_at, next))
                if self.withheld > 0 && seq.is_after(held_at) && !seq.is_after(next) =>
            {
                self.rewrites.seq(held_at).shift(seq.since(next))
            }
            _ => self.rewrites.seq(seq),
        }
    }

    /// The sender's number up to which everything has arrived once the
    /// receiver has acknowledged `ack`.
    #[must_use]
    pub fn ack(&self, ack: SeqNumber) -> SeqNumber {
        self.rewrites.ack(ack)
    }

    /// A block of a selective acknowledgement as the sender counts. One that
    /// holds no whole octet shrinks to nothing at its place.
    #[must_use]
    pub fn sack(&self, [left, right]: [SeqNumber; 2]) -> [SeqNumber; 2] {
        let mapped = self.rewrites.sack(left, right);
        mapped.map_or_else(|| [self.ack(left); 2], |(left, right)| [left, right])
    }

    /// Appends to `out` what the receiver gets for a segment that was gone on
    /// with, and says which number it begins at. `merged` is where the octets
    /// begin that leave with it, having been withheld before.
    pub fn image(
        &self,
        segment: &Segment<'_>,
        merged: Option<SeqNumber>,
        out: &mut Vec<u8>,
    ) -> SeqNumber {
        let payload = segment.octets.unwrap_or_default();
        let merged = merged.filter(|merged| merged.is_before(segment.seq));
        let from = merged.unwrap_or(segment.seq);
        let withheld_at = self.withheld_at().filter(|_| self.withheld > 0);
        let most = withheld_at.map_or(usize::MAX, |(held_at, _)| {
            usize::try_from(held_at.since(from)).unwrap_or(0)
        });
        if merged.is_none() && !segment.fin {
            let let_go = payload.get(..most).unwrap_or(payload);
            self.rewrites.apply(from, let_go, out);
            return self.seq(from);
        }
        let mut text: Vec<u8> = self.kept.between(from, segment.seq).collect();
        text.extend_from_slice(payload);
        if withheld_at.is_some() || !segment.fin {
            text.truncate(most);
            self.rewrites.apply(from, &text, out);
            return self.seq(from);
        }
        // The end of a stream takes a number, and what was withheld to the last
        // may have nothing else to leave with.
        text.push(END);
        let seq = self.rewrites.apply(from, &text, out);
        out.pop();
        seq
    }
}

/// What stands for the end of a stream among its octets.
const END: u8 = 0;

/// More changes than are remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany;

/// Whether a reader still has its place in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a reader that has lost its place has to be told"]
pub enum Place {
    /// It has.
    Kept,
    /// Octets went by.
    Lost,
}
