//! A flat table of lines, one for each direction of a session: open addressing,
//! half of it or a little less empty. Eight lines are a group; a group's eight tags, an octet
//! each, lie together elsewhere, so that the line of a tuple is nearly always
//! the first that is looked at.

use super::prefetch::prefetch;
use super::sum::{add_folded, fold, sum_of};

/// Both addresses and both ports, as they stand in a packet.
pub(crate) type Tuple = [u8; 12];

/// All that must be known of one direction of a session, in one line of memory.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Line {
    /// The tuple of arriving packets.
    arrives: Tuple,
    /// What it becomes. Reversed it is the other direction's.
    pub(super) leaves: Tuple,
    /// What that, and one off the time to live, does to the IP header's checksum.
    pub(super) ip_change: u16,
    /// What it does to TCP's.
    pub(super) tcp_change: u16,
    /// A session device has more to keep of a session.
    _more: [u8; 36],
}

const EMPTY: Line = Line {
    arrives: [0; 12],
    leaves: [0; 12],
    ip_change: 0,
    tcp_change: 0,
    _more: [0; 36],
};

impl Line {
    pub(super) fn new(arrives: Tuple, leaves: Tuple) -> Self {
        let change = |octets: usize| {
            let [was, is] = [arrives, leaves].map(|tuple| fold(sum_of(0, &tuple[..octets])));
            add_folded(!was, is)
        };
        let one_less = !u16::from_ne_bytes([1, 0]);
        Self {
            arrives,
            leaves,
            ip_change: add_folded(change(8), one_less),
            tcp_change: change(12),
            ..EMPTY
        }
    }
}

/// Lines in a group.
const GROUP: usize = 8;
/// One in each octet.
const ONES: u64 = 0x0101_0101_0101_0101;
/// The highest bit of each octet.
const HIGHS: u64 = ONES << 7;

/// The hash of a tuple. Its lowest bits choose the group; its highest octet is
/// the tag, whose highest bit is always set.
#[derive(Clone, Copy)]
pub(super) struct Hash(u64);

impl Hash {
    /// That of a packet that has no tuple.
    pub(super) const NONE: Self = Self(0);

    pub(super) fn is_none(self) -> bool {
        self.0 == 0
    }

    fn tag(self) -> u64 {
        self.0 >> 56
    }
}

/// The place of a line in the table; of none, one that is not in it.
#[derive(Clone, Copy)]
pub(super) struct Place(usize);

impl Place {
    pub(super) const NOWHERE: Self = Self(usize::MAX);
}

pub(super) struct Table {
    /// Tags of a group, the first line's in the lowest octet; zero: an empty line.
    tags: Vec<u64>,
    lines: Vec<Line>,
    mask: usize,
    used: usize,
}

impl Table {
    /// A table of which so many lines are at most seven tenths.
    pub(super) fn for_lines(count: usize) -> Self {
        let groups = (count * 10 / 7 / GROUP).next_power_of_two();
        Self {
            tags: vec![0; groups],
            lines: vec![EMPTY; groups * GROUP],
            mask: groups - 1,
            used: 0,
        }
    }

    /// In percent.
    pub(super) fn load(&self) -> f64 {
        self.used as f64 * 100.0 / self.lines.len() as f64
    }

    pub(super) fn insert(&mut self, line: Line) {
        assert!(self.used * 10 <= self.lines.len() * 7);
        let hash = self.hash(&line.arrives);
        let groups = (0..=self.mask).map(|step| (hash.0 as usize + step) & self.mask);
        let vacant = |group: &usize| zeros(self.tags[*group]) != 0;
        let group = groups.into_iter().find(vacant).expect("some are empty");
        let place = first(zeros(self.tags[group]));
        self.tags[group] |= hash.tag() << (place * 8);
        self.lines[group * GROUP + place] = line;
        self.used += 1;
    }

    #[inline(always)]
    pub(super) fn hash(&self, tuple: &Tuple) -> Hash {
        let (addresses, ports) = words(tuple);
        // Both halves of a product, folded.
        let product = u128::from(addresses ^ 0x2d35_8dcc_aa6c_78a5)
            * u128::from(u64::from(ports) ^ 0x8bb8_4b93_962e_acc9);
        Hash((product >> 64) as u64 ^ product as u64 | 1 << 63)
    }

    #[inline(always)]
    pub(super) fn prefetch_tags(&self, hash: Hash) {
        if let Some(tags) = self.tags.get(hash.0 as usize & self.mask) {
            prefetch(tags);
        }
    }

    /// The first line of a tuple's group that has its tag.
    #[inline(always)]
    pub(super) fn likely(&self, hash: Hash) -> Place {
        self.first_with(hash, hash.tag())
    }

    /// The first line of a tuple's group that is empty.
    #[inline(always)]
    pub(super) fn vacant(&self, hash: Hash) -> Place {
        self.first_with(hash, 0)
    }

    #[inline(always)]
    fn first_with(&self, hash: Hash, tag: u64) -> Place {
        let group = hash.0 as usize & self.mask;
        match self.tags.get(group) {
            Some(tags) if hash.0 != 0 => {
                Place(group * GROUP + first(zeros(tags ^ (tag * ONES))) % GROUP)
            }
            _ => Place::NOWHERE,
        }
    }

    #[inline(always)]
    pub(super) fn prefetch(&self, place: Place) {
        if let Some(line) = self.lines.get(place.0) {
            prefetch(line);
        }
    }

    /// The line of a tuple, which is likely to be at this place.
    #[inline(always)]
    pub(super) fn find(&self, likely: Place, tuple: &Tuple) -> Option<&Line> {
        let line = self.lines.get(likely.0)?;
        if words(&line.arrives) == words(tuple) {
            return Some(line);
        }
        self.find_further(tuple)
    }

    /// The line of a tuple, wherever it is.
    #[cold]
    #[inline(never)]
    pub(super) fn find_further(&self, tuple: &Tuple) -> Option<&Line> {
        let hash = self.hash(tuple);
        for step in 0..=self.mask {
            let group = (hash.0 as usize + step) & self.mask;
            let tags = self.tags[group];
            let mut alike = zeros(tags ^ (hash.tag() * ONES));
            while alike != 0 {
                let line = &self.lines[group * GROUP + first(alike)];
                if words(&line.arrives) == words(tuple) {
                    return Some(line);
                }
                alike &= alike - 1;
            }
            if zeros(tags) != 0 {
                return None;
            }
        }
        None
    }
}

/// The highest bit of each octet that is zero; and perhaps of some above the
/// first, which costs a look and no more.
#[inline(always)]
fn zeros(octets: u64) -> u64 {
    octets.wrapping_sub(ONES) & !octets & HIGHS
}

/// The number of the first octet that is marked; eight if none is.
#[inline(always)]
fn first(marks: u64) -> usize {
    marks.trailing_zeros() as usize / 8
}

/// The addresses, and the ports.
#[inline(always)]
fn words(tuple: &Tuple) -> (u64, u32) {
    let [a, b, c, d, e, f, g, h, ports @ ..] = *tuple;
    let addresses = u64::from_ne_bytes([a, b, c, d, e, f, g, h]);
    (addresses, u32::from_ne_bytes(ports))
}
