//! A session in full swing: both ends have spoken, and say what they are expected to
//! say. Its packets take this way through the table, which is short: one line is found,
//! compared and changed. What is not as expected changes nothing here, and takes the way
//! of all other packets, where it is looked at again from the beginning.

use super::index::Entry;
use super::key::Narrow;
use super::lifetime::{Lifetimes, Refresh};
use super::line::Tracking;
use super::prefetch::prefetch;
use super::state::{FlowState, Handle, SessionId, State, TcpState};
use super::table::Sessions;
use super::tcp::Heard;
use super::tracker::STREAM_AFTER;
use crate::net::{Direction, Protocol, Timestamp, ZoneId};
use crate::packet::{Leaving, Plain};

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
    /// Until when the session lives now, where that is sooner than it was.
    pub(crate) sooner: Option<Timestamp>,
}

/// Where a packet's session is: it holds as long as the table says so itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(Entry);

impl Narrow {
    fn of_plain(plain: &Plain) -> Self {
        Self {
            addresses: plain.addresses,
            ports: plain.ports,
            protocol: plain.protocol.0,
        }
    }
}

impl Sessions {
    /// The hash of a packet's tuple.
    #[inline]
    pub(crate) fn hash_of(&self, plain: &Plain) -> u64 {
        self.hash.of_narrow(&Narrow::of_plain(plain))
    }

    /// Has the part of the index brought near that this hash leads to.
    #[inline]
    pub(crate) fn fetch_index(&self, hash: u64) {
        if let Some(line) = self.index.first_line(hash) {
            prefetch(line);
        }
    }

    /// Where the session of this hash is likely to be, which is brought near.
    #[inline]
    pub(crate) fn fetch_likely(&self, hash: u64) -> Option<Place> {
        let likely = self.index.find(hash, |_| true)?;
        let line = self.store.line_at(likely.slot)?;
        prefetch(line);
        prefetch(line.second());
        Some(Place(likely))
    }

    /// Where the session of a packet is.
    #[inline]
    fn place_of(&self, key: &Narrow, hash: u64, likely: Option<Place>) -> Option<Entry> {
        let is_it = |entry: Entry| {
            let line = self.store.line_at(entry.slot);
            line.is_some_and(|line| line.has(entry.direction, key))
        };
        match likely {
            Some(Place(entry)) if is_it(entry) => Some(entry),
            _ => self.found(key, hash),
        }
    }

    /// Whether a packet of a UDP session changes nothing about what kind of session it
    /// is: a stream stays one, and what is young does not become one yet.
    #[inline]
    fn stays(&self, slot: u32, now: Timestamp) -> bool {
        let is_stream = self
            .store
            .line(slot)
            .is_some_and(|line| matches!(line.tracking, Tracking::Flow(FlowState::Stream)));
        let began = || self.store.began(slot);
        is_stream || began().is_some_and(|began| now.since(began) <= STREAM_AFTER)
    }

    #[inline(never)]
    fn found(&self, key: &Narrow, hash: u64) -> Option<Entry> {
        self.index.find(hash, |entry| {
            let line = self.store.line_at(entry.slot);
            line.is_some_and(|line| line.has(entry.direction, key))
        })
    }

    /// Moves a session in full swing on with its packet, whose hash this is. `None`,
    /// and nothing changed: the packet is not what was expected. `fits` says whether it
    /// may leave by a zone as it is.
    #[inline]
    pub(crate) fn swing(
        &mut self,
        (hash, likely): (u64, Option<Place>),
        passing: &Passing<'_>,
        fits: impl Fn(ZoneId) -> bool,
    ) -> Option<PassedOn> {
        let Passing { plain, now, .. } = *passing;
        let Entry { slot, direction } = self.place_of(&Narrow::of_plain(plain), hash, likely)?;
        if plain.protocol == Protocol::UDP && !self.stays(slot, now) {
            return None;
        }
        let (line, course) = self.store.line_mut(slot)?;
        if line.deadline <= now
            || !line.swings(direction)
            || course.alg.is_some()
            || course.egress[!direction] != passing.zone
            || !fits(course.egress[direction])
        {
            return None;
        }
        let pace = passing.lifetimes.pace(course.lifetime)?;
        let before = line.deadline;
        let (state, deadline) = match (&mut line.tracking, plain.protocol) {
            (Tracking::Tcp(packed), Protocol::TCP) if line.heard == Heard::Assured => {
                let options = plain.options(passing.frame)?;
                let life = packed.swing(direction, &plain.segment, plain.payload(), options)?;
                let state = State::Tcp(TcpState::Established);
                (state, now.after_nanos(pace.established(life)))
            }
            (Tracking::Flow(flow @ (FlowState::Replied | FlowState::Stream)), Protocol::UDP) => {
                let lasts = match flow {
                    FlowState::Stream => pace.stream,
                    _ => pace.replied,
                };
                let deadline = match (pace.refresh, direction) {
                    (Refresh::Client, Direction::Reply) => before,
                    _ => now.after_nanos(lasts),
                };
                (State::Flow(*flow), deadline)
            }
            _ => return None,
        };
        line.deadline = deadline;
        let passed = PassedOn {
            session: line.number(),
            rule: course.rule,
            state,
            egress: course.egress[direction],
            leaving: line.leaving(direction),
            sooner: (deadline < before).then_some(deadline),
        };
        if let Some(carried) = line.count(direction, usize::from(plain.length)) {
            self.store.carry(slot, direction, carried);
        }
        if let Some(deadline) = passed.sooner {
            self.wheel.bring_forward(slot, passed.session, deadline);
        }
        Some(passed)
    }

    /// A packet of this session has come by this zone, and its addresses were found to
    /// be such as may pass there. Where that is the zone that answers leave by, those
    /// that follow need not be asked again.
    pub(crate) fn vouch(&mut self, handle: Handle, direction: Direction, zone: ZoneId) {
        if let Some((line, course)) = self.store.line_mut(handle.slot)
            && line.number() == handle.id
            && course.egress[!direction] == zone
        {
            line.vouch(direction);
        }
    }
}
