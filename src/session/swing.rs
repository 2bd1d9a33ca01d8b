//! A session in full swing: both ends have spoken, and say what they are expected to
//! say. Its packets take this way through the table, which is short: one line is found,
//! compared and changed. What is not as expected changes nothing here, and takes the way
//! of all other packets, where it is looked at again from the beginning.

use super::index::{Bucket, Entry};
use super::key::Key;
use super::lifetime::{Lifetimes, Refresh};
use super::line::{Aside, Carried, Tracking};
use super::prefetch::prefetch;
use super::shelf::Shelf;
use super::state::{FlowState, Handle, SessionId, State, TcpState};
use super::store::Opened;
use super::table::Sessions;
use super::tracker::STREAM_AFTER;
use crate::net::{Direction, Protocol, Timestamp, ZoneId};
use crate::packet::{Addresses, Changes, Leaving, Plain};

/// A packet that may be of a session in full swing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Passing<'a> {
    /// What was read of it.
    pub(crate) plain: &'a Plain,
    /// Its bytes.
    pub(crate) frame: &'a [u8],
    /// When it came.
    pub(crate) now: Timestamp,
    /// The zone that it came by.
    pub(crate) zone: ZoneId,
    /// How long sessions live.
    pub(crate) lifetimes: &'a Lifetimes,
}

/// How such a packet is passed on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PassedOn {
    pub(crate) session: SessionId,
    /// The place of the rule that let the session in.
    pub(crate) rule: Option<u16>,
    pub(crate) state: State,
    pub(crate) egress: ZoneId,
    pub(crate) leaving: Leaving,
    /// Counts where it is of IPv4.
    pub(crate) changes: Changes,
    pub(crate) lives: Lives,
}

/// How long a session lives now that its packet has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lives {
    /// As long as before, or longer.
    On,
    /// Less long: there is something that it waits for.
    Shorter,
}

/// Where a packet's session is likely to be: its key says whether it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(Entry);

/// Where a packet's session is, for as long as nothing changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found(Entry);

/// Where a search of the index begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beginning<'a>(&'a Bucket);

impl Sessions {
    /// The hash of a packet's tuple.
    #[inline]
    pub(crate) fn hash_of(&self, plain: &Plain, frame: &[u8]) -> Option<u64> {
        Some(self.hash.of(&Key::of_plain(plain, frame)?))
    }

    /// Where the search for a hash begins, which is brought near.
    #[inline]
    pub(crate) fn fetch_beginning(&self, hash: u64) -> Option<Beginning<'_>> {
        let bucket = self.index.beginning(hash)?;
        prefetch(bucket);
        Some(Beginning(bucket))
    }

    /// Where the session of this hash is likely to be, which is brought near.
    #[inline]
    pub(crate) fn fetch_likely(&self, beginning: Beginning<'_>, hash: u64) -> Option<Place> {
        let likely = beginning.0.likely(hash)?;
        let line = self.store.line_at(likely.slot)?;
        prefetch(line);
        prefetch(line.second());
        Some(Place(likely))
    }

    /// Where the session of this hash is likely to be.
    #[inline]
    pub(crate) fn likely(&self, hash: u64) -> Option<Place> {
        self.index.beginning(hash)?.likely(hash).map(Place)
    }

    /// The session of this packet of IPv4, if it is where it is likely to be and
    /// [swings](Line::swings).
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: docs/performance.md")]
    pub(crate) fn at(&self, Place(entry): Place, plain: &Plain, frame: &[u8]) -> Option<Found> {
        let Addresses::V4(addresses) = plain.addresses(frame)? else {
            return None;
        };
        let line = self.store.line_at(entry.slot)?;
        let may_be_it = line.may_have(entry.direction, addresses, plain.ports);
        may_be_it.then_some(Found(entry))
    }

    /// Whether that is the session of this packet, and not one of another protocol between the
    /// same endpoints.
    #[inline]
    pub(crate) fn is_its(&self, Found(entry): Found, plain: &Plain) -> bool {
        let line = self.store.line_at(entry.slot);
        line.is_some_and(|line| line.protocol == plain.protocol.0)
    }

    /// Whether no session has this hash, as far as one look tells.
    #[inline]
    pub(crate) fn is_nobodys(&self, hash: u64) -> bool {
        self.index.is_nobodys(hash)
    }

    /// The session of this packet, whose hash this is, wherever it is.
    pub(crate) fn elsewhere(&self, hash: u64, plain: &Plain, frame: &[u8]) -> Option<Found> {
        let key = Key::of_plain(plain, frame)?;
        let is_it = |entry: Entry| self.store.has(entry.slot, entry.direction, &key);
        self.index.find(hash, is_it).map(Found)
    }

    /// Moves a session in full swing on with its packet. `None`, and nothing changed: the
    /// packet is not what was expected. `fits` says whether it may leave by a zone as it
    /// is. Whose [lives](PassedOn::lives) are shorter is to be
    /// [brought forward](Self::bring_forward).
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: docs/performance.md")]
    pub(crate) fn swing(
        &mut self,
        Found(Entry { slot, direction }): Found,
        passing: &Passing<'_>,
        fits: impl Fn(ZoneId) -> bool,
    ) -> Option<PassedOn> {
        let Passing { plain, now, .. } = *passing;
        let Opened {
            line,
            course,
            wides,
            asides,
        } = self.store.open(slot)?;
        let egress = course.egress[direction];
        if line.deadline <= now
            || !line.swings(direction, plain)
            || course.egress[!direction] != passing.zone
            || !fits(egress)
        {
            return None;
        }
        let (state, deadline) = if plain.protocol == Protocol::TCP {
            let Tracking::Tcp(packed) = &mut line.tracking else {
                return None;
            };
            let segment = plain.segment(passing.frame)?;
            let options = plain.options(passing.frame)?;
            let life = packed.swing(direction, &segment, plain.payload(), options)?;
            let state = State::Tcp(TcpState::Established);
            let pace = passing.lifetimes.pace(course.lifetime);
            (state, now.after_nanos(pace.established(life)))
        } else {
            let Tracking::Flow(flow) = &line.tracking else {
                return None;
            };
            let pace = passing.lifetimes.pace(course.lifetime);
            let lasts = match flow {
                FlowState::Stream => pace.stream,
                // Too young for a stream still, or it would become one.
                FlowState::Replied
                    if now.since(asides.get(slot as usize)?.began) <= STREAM_AFTER =>
                {
                    pace.replied
                }
                FlowState::Replied | FlowState::Unreplied => return None,
            };
            let deadline = match (pace.refresh, direction) {
                (Refresh::Client, Direction::Reply) => line.deadline,
                _ => now.after_nanos(lasts),
            };
            (State::Flow(*flow), deadline)
        };
        let before = std::mem::replace(&mut line.deadline, deadline);
        line.count(direction, usize::from(plain.length), |carried| {
            carry(asides, slot, direction, carried);
        });
        Some(PassedOn {
            session: line.number(),
            rule: course.rule,
            state,
            egress,
            leaving: line.leaving(direction, plain.family, wides),
            changes: line.changes(direction),
            lives: match deadline < before {
                true => Lives::Shorter,
                false => Lives::On,
            },
        })
    }

    /// The deadline of this session has come to lie earlier.
    #[cold]
    #[inline(never)]
    pub(crate) fn bring_forward(&mut self, Found(Entry { slot, .. }): Found) {
        if let Some(line) = self.store.line_at(slot) {
            self.wheel.bring_forward(slot, line.number(), line.deadline);
        }
    }

    /// A packet of this session has come by this zone, and its addresses were found to
    /// be such as may pass there. Where that is the zone that answers leave by, those
    /// that follow need not be asked again.
    pub(crate) fn vouch(&mut self, handle: Handle, direction: Direction, zone: ZoneId) {
        if let Some(Opened { line, course, .. }) = self.store.open(handle.slot)
            && line.number() == handle.id
            && course.egress[!direction] == zone
            && course.alg.is_none()
        {
            line.vouch(direction);
        }
    }
}

/// Adds what the low counters of a line could not hold.
#[cold]
#[inline(never)]
fn carry(asides: &mut Shelf<Aside, 12>, slot: u32, direction: Direction, carried: Carried) {
    if let Some(aside) = asides.get_mut(slot as usize) {
        aside.carry(direction, carried);
    }
}
