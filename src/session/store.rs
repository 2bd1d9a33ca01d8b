//! All sessions by their slots: a [`Line`] each, in as few octets as it takes.
//!
//! IPv6 addresses are kept apart, and so is what hardly any session has. What all
//! sessions of a kind have in common is their [`Course`]. Outside of this room a
//! session is a [`Session`], made anew whenever one is asked for.

use super::census::Standing;
use super::course::{Course, Courses};
use super::growing_map::GrowingMap;
use super::hash::TupleHash;
use super::key::{Key, KeyHash};
use super::line::{Aside, Beside, Line, Marks, Tracking};
use super::prefetch::prefetch;
use super::probing::Probing;
use super::record::{Counter, Origin, Session, Update};
use super::shelf::Shelf;
use super::state::SessionId;
use super::tcp::{Packed, PassedSyn};
use super::tracker::Tracked;
use super::wides::{Wide, Wides};
use crate::net::{Direction, PerDirection, Timestamp};
use crate::packet::Addresses;

/// What hardly any session has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Rare {
    parent: Option<SessionId>,
    probing: Option<Probing>,
    passed_syn: Option<PassedSyn>,
}

/// A session's line, whether or not a session is there, with what belongs to it.
pub(super) struct Opened<'a> {
    pub(super) line: &'a mut Line,
    pub(super) course: &'a Course,
    pub(super) wides: &'a Wides,
    pub(super) asides: &'a mut Shelf<Aside, 12>,
}

/// A session as it begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begun<'a> {
    pub(super) id: SessionId,
    pub(super) origin: &'a Origin,
    pub(super) keys: &'a PerDirection<Key>,
    pub(super) now: Timestamp,
    /// What its first packet does to it.
    pub(super) first: &'a Update,
    pub(super) standing: Standing,
}

/// All sessions by their slots.
#[derive(Debug)]
pub(super) struct Store {
    lines: Shelf<Line, 12>,
    asides: Shelf<Aside, 12>,
    free: Vec<u32>,
    wides: Wides,
    rare: GrowingMap<u32, Rare>,
    courses: Courses,
    length: usize,
    /// How many slots have had a session.
    used: u32,
}

impl Store {
    pub(super) fn new(hash: TupleHash) -> Self {
        Self {
            lines: Shelf::new(),
            asides: Shelf::new(),
            free: Vec::new(),
            wides: Wides::new(),
            rare: GrowingMap::new(hash),
            courses: Courses::new(hash),
            length: 0,
            used: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// The line in a slot, whether or not a session is there.
    #[inline]
    pub(super) fn line_at(&self, slot: u32) -> Option<&Line> {
        self.lines.get(slot as usize)
    }

    /// The line of a session.
    #[inline]
    pub(super) fn line(&self, slot: u32) -> Option<&Line> {
        self.lines.get(slot as usize).filter(|line| line.id != 0)
    }

    /// The control session that announced this one.
    pub(super) fn parent(&self, slot: u32) -> Option<SessionId> {
        let line = self.line(slot)?;
        match line.marks.has(Marks::RARE) {
            true => self.rare.get(&slot)?.parent,
            false => None,
        }
    }

    /// What the session of this line has in common with others.
    pub(super) fn course(&self, line: &Line) -> Option<&Course> {
        self.courses.get(line.course)
    }

    /// Has the line in a slot brought near, and what is aside of it.
    pub(super) fn bring_near(&self, slot: u32) {
        if let Some(line) = self.lines.get(slot as usize) {
            prefetch(line);
            prefetch(line.second());
        }
        if let Some(aside) = self.asides.get(slot as usize) {
            prefetch(aside);
        }
    }

    /// The line in a slot, to be changed, with what belongs to it.
    #[inline]
    pub(super) fn open(&mut self, slot: u32) -> Option<Opened<'_>> {
        let line = self.lines.get_mut(slot as usize)?;
        Some(Opened {
            course: self.courses.get(line.course)?,
            line,
            wides: &self.wides,
            asides: &mut self.asides,
        })
    }

    /// The number of the session in this slot.
    pub(super) fn id(&self, slot: u32) -> Option<SessionId> {
        self.line(slot)?.id()
    }

    /// Whether the session in this slot has this key.
    #[inline]
    pub(super) fn has(&self, slot: u32, direction: Direction, key: &Key) -> bool {
        let line = self.lines.get(slot as usize);
        line.is_some_and(|line| line.has(direction, key, &self.wides))
    }

    /// The key of a session in this direction.
    pub(super) fn key(&self, slot: u32, direction: Direction) -> Option<Key> {
        Some(self.line(slot)?.key(direction, &self.wides))
    }

    /// The hash of a session's key in this direction.
    #[inline]
    pub(super) fn hash_of(&self, slot: u32, direction: Direction, hash: &KeyHash) -> Option<u64> {
        Some(hash.of(&self.line(slot)?.key(direction, &self.wides)))
    }

    /// All slots that have a session.
    pub(super) fn slots(&self) -> impl Iterator<Item = u32> {
        let used = self.lines.iter().zip(0..).filter(|(line, _)| line.id != 0);
        used.map(|(_, slot)| slot)
    }

    /// How many slots there are, with a session or without.
    pub(super) fn slot_count(&self) -> u32 {
        self.used
    }

    /// What was found of the packets of a session counts no more.
    pub(super) fn look_anew(&mut self, slot: u32) {
        if let Some(line) = self.lines.get_mut(slot as usize) {
            line.marks.clear(Marks::KNOWN.original | Marks::KNOWN.reply);
        }
    }

    /// The session in this slot.
    pub(super) fn get(&self, slot: u32) -> Option<Session> {
        let line = self.line(slot)?;
        let aside = self.asides.get(slot as usize)?;
        let rare = match line.marks.has(Marks::RARE) {
            true => self.rare.get(&slot).copied().unwrap_or_default(),
            false => Rare::default(),
        };
        let tuples = PerDirection {
            original: line.key(Direction::Original, &self.wides).tuple(),
            reply: line.key(Direction::Reply, &self.wides).tuple(),
        };
        let counter = |direction| Counter {
            packets: u64::from(aside.packets[direction]) << 16 | u64::from(line.packets[direction]),
            bytes: u64::from(aside.octets[direction]) << 32 | u64::from(line.octets[direction]),
        };
        Some(Session {
            id: SessionId(line.id),
            origin: self.courses.get(line.course)?.origin(tuples, rare.parent),
            tracked: match &line.tracking {
                Tracking::Tcp(packed) => Tracked::Tcp(packed.connection(rare.passed_syn)),
                Tracking::Sctp(association) => Tracked::Sctp(*association),
                Tracking::Flow(state) => Tracked::Flow(*state),
            },
            heard: line.heard,
            began: aside.began,
            deadline: line.deadline,
            probing: rare.probing,
            counters: PerDirection {
                original: counter(Direction::Original),
                reply: counter(Direction::Reply),
            },
            standing: line.standing,
        })
    }

    /// Keeps a session that begins with its first packet; gives its slot.
    pub(super) fn insert(&mut self, begun: &Begun<'_>) -> u32 {
        let Begun {
            id,
            origin,
            keys,
            now,
            first,
            standing,
        } = *begun;
        let course = self.courses.number(origin);
        let slot = self.room();
        let places = (
            self.lines.get_mut(slot as usize),
            self.asides.get_mut(slot as usize),
        );
        // Written where it is kept: whoever copies it has to wait for it.
        let (Some(line), Some(aside)) = places else {
            debug_assert!(false, "there is no room where there is");
            return slot;
        };
        let (tracking, passed_syn) = tracking(&first.tracked);
        *line = Line {
            keys: PerDirection::default(),
            id: id.0,
            deadline: first.deadline,
            course,
            beside: Beside::of_narrow(keys),
            octets: PerDirection::default(),
            packets: PerDirection::default(),
            protocol: origin.tuples.original.protocol.0,
            heard: first.heard,
            standing,
            marks: Marks::default(),
            tracking,
        };
        let mut wides = Wide::default();
        for direction in Direction::BOTH {
            let key = &keys[direction];
            let packed = &mut line.keys[direction];
            packed.ports = key.ports;
            match key.addresses {
                Addresses::V4(addresses) => packed.addresses = addresses.to_le_bytes(),
                Addresses::V6(words) => {
                    line.marks.set(Marks::WIDE[direction]);
                    wides.0[direction] = words;
                }
            }
        }
        if line.marks != Marks::default() {
            line.beside = Beside::of_wide(self.wides.keep(wides));
        }
        *aside = Aside {
            began: now,
            ..Aside::default()
        };
        line.count(first.direction, first.bytes, |carried| {
            aside.carry(first.direction, carried);
        });
        self.length += 1;
        if origin.parent.is_some() || passed_syn.is_some() {
            let rare = Rare {
                parent: origin.parent,
                probing: None,
                passed_syn,
            };
            self.set_rare(slot, rare);
        }
        slot
    }

    /// Has a session that was put into this slot as if it began be what it was.
    pub(super) fn put_back(&mut self, slot: u32, session: &Session) {
        let place = slot as usize;
        let (Some(line), Some(aside)) = (self.lines.get_mut(place), self.asides.get_mut(place))
        else {
            return;
        };
        // Their low halves in the line.
        let counted = |counter: &Counter| {
            let [octets, packets] = [counter.bytes, counter.packets];
            let low = (octets as u32, packets as u16);
            (low, ((octets >> 32) as u32, (packets >> 16) as u32))
        };
        for direction in Direction::BOTH {
            let (low, high) = counted(&session.counters[direction]);
            (line.octets[direction], line.packets[direction]) = low;
            (aside.octets[direction], aside.packets[direction]) = high;
        }
        aside.began = session.began;
        let (_, passed_syn) = tracking(&session.tracked);
        let rare = Rare {
            parent: session.origin.parent,
            probing: session.probing,
            passed_syn,
        };
        self.set_rare(slot, rare);
    }

    /// Where there is no session.
    #[inline]
    fn room(&mut self) -> u32 {
        if let Some(slot) = self.free.pop() {
            return slot;
        }
        let slot = self.used;
        if self.lines.len() <= slot as usize {
            self.lines.fill(slot as usize, Line::empty());
            self.asides.fill(slot as usize, Aside::default());
        }
        self.used += 1;
        slot
    }

    fn set_rare(&mut self, slot: u32, rare: Rare) {
        let Some(line) = self.lines.get_mut(slot as usize) else {
            return;
        };
        line.marks.clear(Marks::BUSY);
        if rare.probing.is_some() || rare.passed_syn.is_some() {
            line.marks.set(Marks::BUSY);
        }
        if rare != Rare::default() {
            line.marks.set(Marks::RARE);
            self.rare.insert(slot, rare);
        } else if line.marks.has(Marks::RARE) {
            line.marks.clear(Marks::RARE);
            self.rare.remove(&slot);
        }
    }

    /// Frees a slot; gives what was in it.
    pub(super) fn remove(&mut self, slot: u32) -> Option<Session> {
        let session = self.get(slot)?;
        self.set_rare(slot, Rare::default());
        let line = self.lines.get_mut(slot as usize)?;
        line.id = 0;
        line.keys = PerDirection::default();
        line.marks.set(Marks::OVER);
        if line.marks.has(Marks::WIDE.original | Marks::WIDE.reply) {
            self.wides.release(line.beside.wide());
        }
        self.free.push(slot);
        self.length -= 1;
        Some(session)
    }

    /// Counts a packet and moves a session on. Gives its standing before and after.
    pub(super) fn advance(&mut self, slot: u32, update: &Update) -> Option<(Standing, Standing)> {
        let line = self
            .lines
            .get_mut(slot as usize)
            .filter(|line| line.id != 0)?;
        let (tracking, passed_syn) = tracking(&update.tracked);
        line.tracking = tracking;
        line.heard = update.heard;
        line.deadline = update.deadline;
        let before = line.standing;
        line.standing = Standing::of(update.tracked.state(), update.heard);
        let standings = (before, line.standing);
        line.count(update.direction, update.bytes, |carried| {
            if let Some(aside) = self.asides.get_mut(slot as usize) {
                aside.carry(update.direction, carried);
            }
        });
        if line.marks.has(Marks::RARE) || passed_syn.is_some() {
            let rare = self.rare.get(&slot).copied().unwrap_or_default();
            self.set_rare(
                slot,
                Rare {
                    probing: None,
                    passed_syn,
                    ..rare
                },
            );
        }
        Some(standings)
    }

    /// Gives a session another deadline, and says how far its ends have been asked.
    pub(super) fn prolong(&mut self, slot: u32, deadline: Timestamp, probing: Option<Probing>) {
        let Some(line) = self.lines.get_mut(slot as usize) else {
            return;
        };
        line.deadline = deadline;
        let rare = self.rare.get(&slot).copied().unwrap_or_default();
        self.set_rare(slot, Rare { probing, ..rare });
    }
}

// Written where it is kept.
#[inline(always)]
#[expect(clippy::inline_always, reason = "else it is moved once more")]
fn tracking(tracked: &Tracked) -> (Tracking, Option<PassedSyn>) {
    match tracked {
        Tracked::Tcp(connection) => {
            let (packed, passed_syn) = Packed::of(connection);
            (Tracking::Tcp(packed), passed_syn)
        }
        Tracked::Sctp(association) => (Tracking::Sctp(*association), None),
        Tracked::Flow(state) => (Tracking::Flow(*state), None),
    }
}
