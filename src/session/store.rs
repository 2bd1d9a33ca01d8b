//! All sessions by their slots: a [`Line`] each, in as few octets as it takes.
//!
//! IPv6 addresses are kept apart, and so is what hardly any session has. What all
//! sessions of a kind have in common is their [`Course`]. Outside of this room a
//! session is a [`Session`], made anew whenever one is asked for.

use hashbrown::HashMap;

use super::census::Standing;
use super::course::{Course, Courses};
use super::hash::TupleHash;
use super::key::{Key, Wide};
use super::line::{Aside, Carried, Line, Marks, PackedKey, Tracking};
use super::prefetch::prefetch;
use super::probing::Probing;
use super::record::{Counter, Session, Update};
use super::shelf::Shelf;
use super::state::SessionId;
use super::tcp::{Packed, PassedSyn};
use super::tracker::Tracked;
use crate::net::{Direction, PerDirection, Timestamp};

/// What hardly any session has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Rare {
    parent: Option<SessionId>,
    probing: Option<Probing>,
    passed_syn: Option<PassedSyn>,
}

/// Both tuples of an IPv6 session.
type WideKeys = PerDirection<(u128, u128)>;

/// All sessions by their slots.
#[derive(Debug)]
pub(super) struct Store {
    lines: Shelf<Line, 12>,
    asides: Shelf<Aside, 12>,
    free: Vec<u32>,
    wides: Shelf<WideKeys, 12>,
    free_wides: Vec<u32>,
    rare: HashMap<u32, Rare, TupleHash>,
    courses: Courses,
    length: usize,
}

impl Store {
    pub(super) fn new(hash: TupleHash) -> Self {
        Self {
            lines: Shelf::new(),
            asides: Shelf::new(),
            free: Vec::new(),
            wides: Shelf::new(),
            free_wides: Vec::new(),
            rare: HashMap::with_hasher(hash),
            courses: Courses::new(hash),
            length: 0,
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

    /// When a session began.
    pub(super) fn began(&self, slot: u32) -> Option<Timestamp> {
        Some(self.asides.get(slot as usize)?.began)
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

    /// The line of a session, to be changed, with its course.
    #[inline]
    pub(super) fn line_mut(&mut self, slot: u32) -> Option<(&mut Line, &Course)> {
        let line = self
            .lines
            .get_mut(slot as usize)
            .filter(|line| line.id != 0)?;
        let course = self.courses.get(line.course)?;
        Some((line, course))
    }

    /// Adds what the low counters of a line could not hold.
    #[cold]
    pub(super) fn carry(&mut self, slot: u32, direction: Direction, carried: Carried) {
        if let Some(aside) = self.asides.get_mut(slot as usize) {
            aside.carry(direction, carried);
        }
    }

    /// The number of the session in this slot.
    pub(super) fn id(&self, slot: u32) -> Option<SessionId> {
        self.line(slot)?.id()
    }

    /// Whether the session in this slot has this key.
    #[inline]
    pub(super) fn has(&self, slot: u32, direction: Direction, key: &Key) -> bool {
        let Some(line) = self.lines.get(slot as usize) else {
            return false;
        };
        match key {
            Key::Narrow(key) => line.has(direction, key),
            Key::Wide(_) => line.id != 0 && self.key_of(line, direction) == *key,
        }
    }

    /// The key of a session in this direction.
    pub(super) fn key(&self, slot: u32, direction: Direction) -> Option<Key> {
        Some(self.key_of(self.line(slot)?, direction))
    }

    fn key_of(&self, line: &Line, direction: Direction) -> Key {
        let narrow = line.narrow(direction);
        let addresses = match line.marks.has(Marks::WIDE[direction]) {
            true => self.wides.get(line.wide as usize),
            false => None,
        };
        match addresses.map(|both| both[direction]) {
            None => Key::Narrow(narrow),
            Some((source, destination)) => Key::Wide(Wide {
                source,
                destination,
                ports: narrow.ports,
                protocol: narrow.protocol,
            }),
        }
    }

    /// All slots that have a session.
    pub(super) fn slots(&self) -> impl Iterator<Item = u32> {
        let used = self.lines.iter().zip(0..).filter(|(line, _)| line.id != 0);
        used.map(|(_, slot)| slot)
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
            original: self.key_of(line, Direction::Original).tuple(),
            reply: self.key_of(line, Direction::Reply).tuple(),
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

    /// Keeps a session that nothing has passed of yet; gives its slot.
    pub(super) fn insert(&mut self, session: &Session) -> u32 {
        let origin = &session.origin;
        let keys = PerDirection {
            original: Key::of(&origin.tuples.original),
            reply: Key::of(&origin.tuples.reply),
        };
        let mut marks = Marks::default();
        let mut wides = WideKeys::default();
        let mut packed = PerDirection::default();
        for direction in Direction::BOTH {
            packed[direction] = match &keys[direction] {
                Key::Narrow(key) => {
                    let [a, b, c, d, e, f, g, h] = key.addresses.to_be_bytes();
                    PackedKey {
                        source: u32::from_be_bytes([a, b, c, d]),
                        destination: u32::from_be_bytes([e, f, g, h]),
                        ports: key.ports,
                    }
                }
                Key::Wide(key) => {
                    marks.set(Marks::WIDE[direction]);
                    wides[direction] = (key.source, key.destination);
                    PackedKey {
                        ports: key.ports,
                        ..PackedKey::default()
                    }
                }
            };
        }
        let wide = match marks == Marks::default() {
            true => 0,
            false => self.keep_wide(wides),
        };
        let (tracking, passed_syn) = tracking(&session.tracked);
        let line = Line {
            keys: packed,
            id: session.id.0,
            deadline: session.deadline,
            course: self.courses.number(origin),
            wide,
            octets: PerDirection::default(),
            packets: PerDirection::default(),
            protocol: origin.tuples.original.protocol.0,
            heard: session.heard,
            standing: session.standing,
            marks,
            tracking,
        };
        let aside = Aside {
            began: session.began,
            octets: PerDirection::default(),
            packets: PerDirection::default(),
        };
        let slot = match self.free.pop() {
            Some(slot) => {
                let places = (
                    self.lines.get_mut(slot as usize),
                    self.asides.get_mut(slot as usize),
                );
                if let (Some(own), Some(beside)) = places {
                    (*own, *beside) = (line, aside);
                }
                slot
            }
            None => {
                self.asides.push(aside);
                // The index counts slots in 31 bits.
                u32::try_from(self.lines.push(line)).unwrap_or(u32::MAX)
            }
        };
        self.length += 1;
        self.set_rare(
            slot,
            Rare {
                parent: origin.parent,
                probing: session.probing,
                passed_syn,
            },
        );
        slot
    }

    fn keep_wide(&mut self, keys: WideKeys) -> u32 {
        match self.free_wides.pop() {
            Some(place) => {
                if let Some(own) = self.wides.get_mut(place as usize) {
                    *own = keys;
                }
                place
            }
            None => u32::try_from(self.wides.push(keys)).unwrap_or(u32::MAX),
        }
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
        if line.marks.has(Marks::WIDE.original | Marks::WIDE.reply) {
            self.free_wides.push(line.wide);
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
        let carried = line.count(update.direction, update.bytes);
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
        if let Some(carried) = carried {
            self.carry(slot, update.direction, carried);
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
