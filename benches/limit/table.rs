//! A flat table of lines, one for each direction of a session: open addressing,
//! half of it empty. Eight lines are a group; a group's eight tags, an octet
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
            let [was, is] = [arrives, leaves].map(|tuple| fold(sum_of(&tuple[..octets])));
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

/// Where a tuple belongs: its group, and its tag in all eight octets.
#[derive(Clone, Copy)]
pub(super) struct Home {
    group: usize,
    tags: u64,
}

impl Home {
    /// That of packets that have none.
    pub(super) const NOWHERE: Self = Self {
        group: usize::MAX,
        tags: 0,
    };

    pub(super) fn is_nowhere(self) -> bool {
        self.group == usize::MAX
    }
}

pub(super) struct Table {
    /// Tags of a group, the first line's in the lowest octet; zero: an empty line.
    tags: Vec<u64>,
    lines: Vec<[Line; GROUP]>,
    mask: usize,
    used: usize,
}

impl Table {
    /// A table of which so many lines are at most half.
    pub(super) fn for_lines(count: usize) -> Self {
        let groups = (count * 2 / GROUP).next_power_of_two();
        Self {
            tags: vec![0; groups],
            lines: vec![[EMPTY; GROUP]; groups],
            mask: groups - 1,
            used: 0,
        }
    }

    /// In percent.
    pub(super) fn load(&self) -> f64 {
        self.used as f64 * 100.0 / (self.lines.len() * GROUP) as f64
    }

    pub(super) fn insert(&mut self, line: Line) {
        assert!(self.used * 2 < self.lines.len() * GROUP);
        let home = self.home(&line.arrives);
        let groups = (0..=self.mask).map(|step| (home.group + step) & self.mask);
        let vacant = |group: &usize| zeros(self.tags[*group]) != 0;
        let group = groups.into_iter().find(vacant).expect("half is empty");
        let place = first(zeros(self.tags[group]));
        self.tags[group] |= (home.tags & 0xff) << (place * 8);
        self.lines[group][place] = line;
        self.used += 1;
    }

    #[inline(always)]
    pub(super) fn home(&self, tuple: &Tuple) -> Home {
        let (addresses, ports) = words(tuple);
        // Both halves of a product, folded.
        let product = u128::from(addresses ^ 0x2d35_8dcc_aa6c_78a5)
            * u128::from(u64::from(ports) ^ 0x8bb8_4b93_962e_acc9);
        let hash = (product >> 64) as u64 ^ product as u64;
        Home {
            group: hash as usize & self.mask,
            // The highest bit says that the line is in use.
            tags: ((hash >> 57) | 0x80) * ONES,
        }
    }

    #[inline(always)]
    pub(super) fn prefetch_tags(&self, home: Home) {
        if let Some(tags) = self.tags.get(home.group) {
            prefetch(tags);
        }
    }

    #[inline(always)]
    pub(super) fn prefetch_line(&self, home: Home) {
        if let Some(tags) = self.tags.get(home.group)
            && let Some(lines) = self.lines.get(home.group)
        {
            prefetch(&lines[first(zeros(tags ^ home.tags)) % GROUP]);
        }
    }

    /// The line where one of this home would be stored.
    #[inline(always)]
    pub(super) fn prefetch_vacant(&self, home: Home) {
        if let Some(tags) = self.tags.get(home.group)
            && let Some(lines) = self.lines.get(home.group)
        {
            prefetch(&lines[first(zeros(*tags)) % GROUP]);
        }
    }

    /// The line of a tuple.
    #[inline(always)]
    pub(super) fn find(&self, home: Home, tuple: &Tuple) -> Option<&Line> {
        let wanted = words(tuple);
        let mut group = home.group;
        loop {
            let (tags, lines) = (self.tags.get(group)?, self.lines.get(group)?);
            let mut alike = zeros(tags ^ home.tags);
            while alike != 0 {
                let line = &lines[first(alike) % GROUP];
                if words(&line.arrives) == wanted {
                    return Some(line);
                }
                alike &= alike - 1;
            }
            if zeros(*tags) != 0 {
                return None;
            }
            group = (group + 1) & self.mask;
        }
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
