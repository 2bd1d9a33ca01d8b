//! What sessions of one kind have in common: which rule and rows let them in, where
//! they leave, how long they live. There are as many kinds as ways through the rule
//! file, however many sessions: a session keeps the number of its own.

use std::num::NonZeroU16;

use hashbrown::HashMap;

use super::hash::TupleHash;
use super::mappings::Claim;
use super::record::Origin;
use super::state::SessionId;
use crate::net::{AlgKind, LifetimeId, NatRows, PerDirection, ServiceId, Tuple, ZoneId};

/// An [`Origin`] but for what is one session's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Course {
    pub(crate) egress: PerDirection<ZoneId>,
    pub(crate) rule: Option<u16>,
    nat: NatRows,
    service: Option<ServiceId>,
    pub(crate) lifetime: LifetimeId,
    pub(crate) alg: Option<AlgKind>,
    claims: PerDirection<Option<Claim>>,
    mss: Option<NonZeroU16>,
}

impl Course {
    fn of(origin: &Origin) -> Self {
        Self {
            egress: origin.egress,
            rule: origin.rule,
            nat: origin.nat,
            service: origin.service,
            lifetime: origin.lifetime,
            alg: origin.alg,
            claims: origin.claims,
            mss: origin.mss,
        }
    }

    /// The origin of a session of this kind.
    pub(super) fn origin(&self, tuples: PerDirection<Tuple>, parent: Option<SessionId>) -> Origin {
        Origin {
            tuples,
            egress: self.egress,
            rule: self.rule,
            nat: self.nat,
            service: self.service,
            lifetime: self.lifetime,
            alg: self.alg,
            parent,
            claims: self.claims,
            mss: self.mss,
        }
    }
}

/// The number of a course.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct CourseId(u32);

/// All kinds that there have been.
#[derive(Debug)]
pub(super) struct Courses {
    all: Vec<Course>,
    numbers: HashMap<Course, CourseId, TupleHash>,
}

impl Courses {
    pub(super) fn new(hash: TupleHash) -> Self {
        Self {
            all: Vec::new(),
            numbers: HashMap::with_hasher(hash),
        }
    }

    pub(super) fn get(&self, id: CourseId) -> Option<&Course> {
        self.all.get(id.0 as usize)
    }

    /// The number of a session's course.
    pub(super) fn number(&mut self, origin: &Origin) -> CourseId {
        let course = Course::of(origin);
        // Who comes next comes the same way, most often.
        if let Some(id) = self.latest(&course) {
            return id;
        }
        let all = &mut self.all;
        *self.numbers.entry(course).or_insert_with(|| {
            all.push(course);
            // As many as there are ways through a rule file, which counts its rows in
            // 16 bits each.
            CourseId(u32::try_from(all.len() - 1).unwrap_or(u32::MAX))
        })
    }

    fn latest(&self, course: &Course) -> Option<CourseId> {
        let last = self.all.len().checked_sub(1)?;
        let is_it = self.all.get(last) == Some(course);
        is_it.then(|| CourseId(u32::try_from(last).unwrap_or(u32::MAX)))
    }
}
