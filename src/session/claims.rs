//! What a session takes among the workers of a crew, before it begins.
//!
//! Deciding only looks; another worker may take the same thing meanwhile. So what is to be
//! given out is entered in the crew's directory first, all of it or nothing, and whoever
//! comes too late decides again, and sees who was faster.

use super::crew::{Entered, Post};
use super::expectation::ExpectedTuple;
use super::record::Origin;
use super::table::Sessions;
use crate::net::{Direction, Tuple, WorkerId};

/// Whether all that was wanted could be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Granted {
    /// It is this worker's now.
    All,
    /// Another worker has some of it.
    Nothing,
}

impl Sessions {
    /// Takes the tuples, public endpoints and blocks of a session that is about to begin.
    #[inline]
    pub(crate) fn claim(&self, origin: &Origin) -> Granted {
        match self.post() {
            None => Granted::All,
            Some(post) => self.claim_of(post, origin),
        }
    }

    #[inline(never)]
    fn claim_of(&self, post: &Post, origin: &Origin) -> Granted {
        let mut tuples = Direction::BOTH.into_iter().map(|d| origin.tuples[d]);
        let is_had = tuples.all(|tuple| post.enter_tuple(&tuple) == Entered::Had)
            && self.mappings().claim(origin) == Granted::All;
        if !is_had {
            self.give_back(origin);
            return Granted::Nothing;
        }
        Granted::All
    }

    /// Gives back what was taken of a session that does not begin after all, but for what
    /// those in the table have.
    pub(crate) fn give_back(&self, origin: &Origin) {
        let Some(post) = self.post() else { return };
        for direction in Direction::BOTH {
            let tuple = &origin.tuples[direction];
            if self.lookup(tuple).is_none() {
                post.leave_tuple(tuple);
            }
        }
        self.mappings().give_back(origin);
    }

    /// Whether it works alone, or is the first of all: it tells what is to be told once.
    pub(crate) fn is_the_first_worker(&self) -> bool {
        self.post().is_none_or(|post| post.worker == WorkerId(0))
    }

    /// Takes a data session that is about to be expected.
    pub(crate) fn claim_expected(&self, tuple: ExpectedTuple) -> Granted {
        match self.post().map(|post| post.enter_expected(tuple)) {
            Some(Entered::Refused) => Granted::Nothing,
            None | Some(Entered::Had) => Granted::All,
        }
    }

    /// Gives back what was taken of a data session that is not expected after all.
    pub(crate) fn give_back_expected(&self, tuple: &ExpectedTuple) {
        if let Some(post) = self.post()
            && self.expectations().get(tuple).is_none()
        {
            post.leave_expected(tuple);
        }
    }

    /// Whose packets are those of this tuple, where they are another worker's.
    pub(crate) fn owner_elsewhere(&self, tuple: &Tuple) -> Option<WorkerId> {
        let post = self.post()?;
        post.owner_of(tuple).filter(|owner| *owner != post.worker)
    }

    /// The same of a packet that was looked at, by the hash of its tuple.
    pub(crate) fn hash_elsewhere(&self, hash: u64) -> Option<WorkerId> {
        let post = self.post()?;
        let owner = post.owner_of_hash(hash)?;
        (owner != post.worker).then_some(owner)
    }

    /// Whether packets of this tuple are another worker's, by a session or as a data
    /// session that it expects.
    pub(crate) fn is_anothers(&self, tuple: &Tuple) -> bool {
        self.post().is_some_and(|post| {
            post.is_anothers(tuple) || self.is_expected_elsewhere(&ExpectedTuple::of(tuple))
        })
    }

    /// Whether another worker expects this data session.
    pub(crate) fn is_expected_elsewhere(&self, tuple: &ExpectedTuple) -> bool {
        self.post().is_some_and(|post| {
            let expecting = post.expecting(tuple);
            expecting.is_some_and(|worker| worker != post.worker)
        })
    }

    /// A session that has ended has its tuples no longer, but for those that its
    /// successor has.
    pub(super) fn leave_tuples(&self, post: &Post, origin: &Origin) {
        for direction in Direction::BOTH {
            let tuple = &origin.tuples[direction];
            let is_reserved = self
                .reserved_tuples()
                .is_some_and(|reserved| reserved.original == *tuple || reserved.reply == *tuple);
            if !is_reserved {
                post.leave_tuple(tuple);
            }
        }
    }

    /// How many sessions there are, those of other workers included.
    pub(super) fn of_all_workers(&self) -> usize {
        self.post().map_or_else(|| self.len(), Post::sessions)
    }

    /// How many of them are half-open.
    pub(super) fn half_open(&self) -> usize {
        let own = || self.census().of_standing(super::Standing::HalfOpen);
        self.post().map_or_else(own, Post::half_open)
    }

    /// How many of them a rule has let in.
    pub(super) fn let_in_by(&self, rule: u16) -> usize {
        let own = || self.census().of_rule(rule);
        self.post().map_or_else(own, |post| post.of_rule(rule))
    }
}
