//! One of several engines: which packets are another's, and how they agree on what is
//! given out.
//!
//! A packet of a session that is here is this worker's, and nobody is asked. Another may be a packet of
//! somebody else's session, a data session that somebody expects, a stranger to
//! somebody's mapping: it is handed over. What nobody knows stays where it came, but where
//! the file gives each client something of its own (mappings, blocks, limits): there all that a client
//! begins is one worker's. Pieces of a datagram are gathered by the worker to whom its
//! two ends fall.

use super::decide::{Decision, Plan, nobody_had_any};
use super::desk::HoleChange;
use super::swing::{Glance, Owner};
use super::{Arrival, Engine, Observer, Output, Policy, Waiting};
use crate::net::{Dependence, Timestamp, Tuple, WorkerId, ZoneId};
use crate::packet::Headers;
use crate::session::{ExpectedTuple, Granted};

/// How often is decided anew where another worker was faster.
const ATTEMPTS: usize = 16;

/// With whom what a client begins is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clients {
    /// Any worker.
    Anywhere,
    /// One of them, which is the same for all that it begins.
    Together,
}

impl Clients {
    /// As a file has it: whether anything is a client's own.
    pub(super) fn by(policy: &Policy) -> Self {
        let usual = Dependence::default();
        let mut rows = policy.nat.source.iter();
        let has_its_own = rows.any(|row| {
            (row.mapping, row.filtering) != (usual, usual)
                || row.has_ranges()
                || !row.terms.keep_no_account()
                || row.terms.hold_down.is_some()
        });
        let limits = &policy.limits;
        let is_limited = limits.per_source.is_some() || limits.per_source_rate.is_some();
        match has_its_own || is_limited {
            true => Self::Together,
            false => Self::Anywhere,
        }
    }
}

impl Engine {
    /// The other worker to whom a packet goes that is of no session here.
    #[inline]
    pub(super) fn worker_for(&self, zone: ZoneId, tuple: &Tuple) -> Option<WorkerId> {
        self.sessions.post()?;
        self.other_worker_for(zone, tuple)
    }

    #[cold]
    #[inline(never)]
    fn other_worker_for(&self, zone: ZoneId, tuple: &Tuple) -> Option<WorkerId> {
        let post = self.sessions.post()?;
        if !self.in_hand.may_go_on() {
            return None;
        }
        let other = |worker: WorkerId| (worker != post.worker).then_some(worker);
        if let Some(owner) = post.owner_of(tuple) {
            return other(owner);
        }
        if self.sessions.expectations().matching(tuple).is_some() {
            return None;
        }
        if let Some(expecting) = post.expecting(&ExpectedTuple::of(tuple)) {
            return other(expecting);
        }
        if let Some((mapping, worker)) = post.mapping_of((tuple.protocol, tuple.destination))
            && mapping.known_in == zone
        {
            return other(worker);
        }
        match self.clients {
            Clients::Anywhere => None,
            Clients::Together => other(post.drawn(&tuple.source.address)),
        }
    }

    /// The other worker whose session a packet is of that was looked at and is of none here.
    #[inline]
    pub(super) fn owner_at_a_glance(&self, waiting: &Waiting, glance: &Glance) -> Option<WorkerId> {
        self.sessions.post()?;
        match glance.owner == Owner::Nobody && waiting.handed.may_go_on() {
            true => self.sessions.hash_elsewhere(glance.hash?.get()),
            false => None,
        }
    }

    /// The other worker who gathers the pieces of a datagram.
    #[inline]
    pub(super) fn gatherer_of(&self, headers: &Headers) -> Option<WorkerId> {
        let post = self.sessions.post()?;
        if !self.in_hand.may_go_on() {
            return None;
        }
        let gatherer = post.drawn(&(headers.source, headers.destination));
        (gatherer != post.worker).then_some(gatherer)
    }

    /// The other worker whose session a packet is of that an ICMP error quotes; `answers`
    /// are of the tuple of the answers to it.
    #[inline]
    pub(super) fn worker_quoted(&self, answers: &Tuple) -> Option<WorkerId> {
        match self.in_hand.may_go_on() {
            true => self.sessions.owner_elsewhere(answers),
            false => None,
        }
    }

    /// Takes what a decision gives out, before it is carried out; where another worker was
    /// faster, decides again.
    #[inline]
    pub(super) fn agree(
        &mut self,
        (now, arrival): (Timestamp, Arrival),
        (frame, known): (&[u8], Option<&Glance>),
        decision: &mut Decision,
        out: &mut Output,
        why: &mut impl Observer,
    ) {
        if self.sessions.post().is_some() {
            self.agree_with_others((now, arrival), (frame, known), decision, out, why);
        }
    }

    #[cold]
    #[inline(never)]
    fn agree_with_others(
        &mut self,
        (now, arrival): (Timestamp, Arrival),
        (frame, known): (&[u8], Option<&Glance>),
        decision: &mut Decision,
        out: &mut Output,
        why: &mut impl Observer,
    ) {
        for _ in 0..ATTEMPTS {
            if self.claim(&decision.plan) == Granted::All {
                return;
            }
            *decision = match self.is_behind() {
                true => self.decide_behind(now, arrival, (frame, known), out, why),
                false => self.decide_by_steps(now, arrival, (frame, known), why),
            };
        }
        *decision = nobody_had_any();
    }

    /// Takes what a plan gives out: all of it, or nothing.
    fn claim(&self, plan: &Plan) -> Granted {
        let (origin, control) = match plan.innermost() {
            Plan::Open(_, opening) => (Some(&opening.origin), &opening.control),
            Plan::Pass(_, pass) => (None, &pass.control),
            _ => return Granted::All,
        };
        if origin.is_some_and(|origin| self.sessions.claim(origin) == Granted::Nothing) {
            return Granted::Nothing;
        }
        let changes = control.iter().flat_map(|step| &step.changes);
        let mut expected = changes.filter_map(|change| match change {
            HoleChange::Expect(expected) => Some(expected.tuple()),
            HoleChange::Admit(_) | HoleChange::Withdraw(_) => None,
        });
        let refused =
            |tuple: &ExpectedTuple| self.sessions.claim_expected(*tuple) == Granted::Nothing;
        let Some(_) = expected.clone().find(refused) else {
            return Granted::All;
        };
        for tuple in &mut expected {
            self.sessions.give_back_expected(&tuple);
        }
        if let Some(origin) = origin {
            self.sessions.give_back(origin);
        }
        Granted::Nothing
    }
}
