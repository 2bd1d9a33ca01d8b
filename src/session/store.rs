//! What is kept of all sessions, in as few octets as it takes.
//!
//! ```text
//! line    | both keys, number, deadline, course, low counters |  64 octets: whose packet is this, until when
//!         | tracking: a TCP connection, most often             |  64 octets: does it belong
//! aside   | beginning, high counters                           |  24 octets: touched once in many packets
//! ```
//!
//! IPv6 addresses are kept apart, and so is what hardly any session has. What all
//! sessions of a kind have in common is their [`Course`]. Outside of this room a
//! session is a [`Session`], made anew whenever one is asked for; the path of an
//! established packet works on the line itself.

use hashbrown::HashMap;

use super::census::Standing;
use super::course::{Course, CourseId, Courses};
use super::hash::TupleHash;
use super::key::{Key, Narrow, Wide};
use super::probing::Probing;
use super::record::{Counter, Session, Update};
use super::sctp::Association;
use super::shelf::Shelf;
use super::state::{FlowState, SessionId};
use super::tcp::{Heard, Packed, PassedSyn};
use super::tracker::Tracked;
use crate::net::{Direction, PerDirection, Timestamp};
use crate::packet::Leaving;

/// A tuple of IPv4, or the ports of one of IPv6.
#[derive(Debug, Clone, Copy, Default)]
struct PackedKey {
    source: u32,
    destination: u32,
    ports: u32,
}

/// Two cache lines.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Line {
    keys: PerDirection<PackedKey>,
    /// Nought: the slot is free.
    id: u64,
    pub(super) deadline: Timestamp,
    course: CourseId,
    /// Where the addresses are, if they are IPv6's.
    wide: u32,
    /// Octets and packets that passed, but for what is kept aside.
    octets: PerDirection<u32>,
    packets: PerDirection<u16>,
    protocol: u8,
    pub(super) heard: Heard,
    standing: Standing,
    marks: Marks,
    pub(super) tracking: Tracking,
}

/// What is known of the conversation.
#[derive(Debug, Clone, Copy)]
pub(super) enum Tracking {
    Tcp(Packed),
    Sctp(Association),
    Flow(FlowState),
}

/// Small things about a session, a bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Marks(u8);

impl Marks {
    /// It is being probed, or a SYN was let by: nothing that packets in full swing
    /// know of.
    const BUSY: u8 = 32;
    /// Its addresses are IPv6's.
    const WIDE: PerDirection<u8> = PerDirection {
        original: 1,
        reply: 2,
    };
    /// A packet of it has come by the zone that answers leave by, and its addresses
    /// were found to be such as may pass.
    const KNOWN: PerDirection<u8> = PerDirection {
        original: 4,
        reply: 8,
    };
    /// There is more about it than hardly any session has.
    const RARE: u8 = 16;

    fn has(self, bit: u8) -> bool {
        self.0 & bit != 0
    }

    fn set(&mut self, bit: u8) {
        self.0 |= bit;
    }

    fn clear(&mut self, bit: u8) {
        self.0 &= !bit;
    }
}

#[derive(Debug, Clone, Copy)]
struct Aside {
    began: Timestamp,
    octets: PerDirection<u32>,
    packets: PerDirection<u32>,
}

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

impl Line {
    #[inline]
    pub(super) fn has(&self, direction: Direction, key: &Narrow) -> bool {
        let own = &self.keys[direction];
        let [a, b, c, d, e, f, g, h] = key.addresses.to_be_bytes();
        let source = u32::from_be_bytes([a, b, c, d]);
        let destination = u32::from_be_bytes([e, f, g, h]);
        // One question in place of six: nearly always the answer is yes.
        let differs = (own.source ^ source)
            | (own.destination ^ destination)
            | (own.ports ^ key.ports)
            | u32::from(self.protocol ^ key.protocol)
            | u32::from(self.marks.0 & Marks::WIDE[direction]);
        differs == 0 && self.id != 0
    }

    /// Whether both ends have been heard, nothing else is going on, and a packet of this
    /// direction has been looked at from all sides before.
    #[inline]
    pub(super) fn swings(&self, direction: Direction) -> bool {
        let asked = Marks::BUSY | Marks::KNOWN[direction];
        self.heard != Heard::OneEnd && self.marks.0 & asked == Marks::KNOWN[direction]
    }

    /// With which addresses and ports a packet leaves: the other direction's, the other
    /// way round.
    #[inline]
    pub(super) fn leaving(&self, direction: Direction) -> Leaving {
        let other = &self.keys[!direction];
        Leaving {
            addresses: u64::from(other.destination) << 32 | u64::from(other.source),
            ports: other.ports.rotate_left(16),
        }
    }

    /// Its number, which counts only where there is a session.
    #[inline]
    pub(super) fn number(&self) -> SessionId {
        SessionId(self.id)
    }

    /// Packets of this direction need not be asked again where they come from.
    pub(super) fn vouch(&mut self, direction: Direction) {
        self.marks.set(Marks::KNOWN[direction]);
    }

    /// What stands in its second cache line.
    #[inline]
    pub(super) fn second(&self) -> &impl Sized {
        &self.tracking
    }

    fn narrow(&self, direction: Direction) -> Narrow {
        let own = &self.keys[direction];
        Narrow {
            addresses: u64::from(own.source) << 32 | u64::from(own.destination),
            ports: own.ports,
            protocol: self.protocol,
        }
    }

    /// Counts a packet of so many octets. Gives what has to be carried, now and then.
    #[inline]
    pub(super) fn count(&mut self, direction: Direction, octets: usize) -> Option<Carried> {
        // No packet is longer than 2^32 octets.
        let octets = u32::try_from(octets).unwrap_or(u32::MAX);
        let (sum, octets) = self.octets[direction].overflowing_add(octets);
        self.octets[direction] = sum;
        let (sum, packets) = self.packets[direction].overflowing_add(1);
        self.packets[direction] = sum;
        (octets || packets).then(|| Carried {
            octets: u32::from(octets),
            packets: u32::from(packets),
        })
    }

    /// Its number; `None` where there is no session.
    pub(super) fn id(&self) -> Option<SessionId> {
        (self.id != 0).then_some(SessionId(self.id))
    }
}

/// How often the low counters of a line have run over.
pub(super) struct Carried {
    octets: u32,
    packets: u32,
}

impl Aside {
    fn carry(&mut self, direction: Direction, carried: Carried) {
        let (octets, packets) = (self.octets[direction], self.packets[direction]);
        self.octets[direction] = octets.wrapping_add(carried.octets);
        self.packets[direction] = packets.wrapping_add(carried.packets);
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_takes_two_lines_and_a_little() {
        assert_eq!((size_of::<Line>(), size_of::<Aside>()), (128, 24));
    }
}
