//! Whether a new session finds room, and which one makes it.
//!
//! The order in which sessions go (RFC 5382 section 5): those that are over,
//! then those that only one end was heard of, then those that were answered and
//! have not shown more. Among equals the oldest goes. One that is assured never
//! goes for a stranger's sake.

use std::net::IpAddr;

use super::census::{Standing, source_of};
use super::index;
use super::limits::{Limit, Limits, WhenFull};
use super::record::Session;
use super::state::Handle;
use super::table::Sessions;
use crate::net::{Rate, Timestamp};

/// A session that is about to begin.
#[derive(Debug, Clone, Copy)]
pub struct Newcomer {
    /// Who sent its first packet.
    pub source: IpAddr,
    /// The place of the rule that lets it in.
    pub rule: Option<u16>,
    /// What it is worth when there is no room.
    pub standing: Standing,
    /// A session whose place it takes.
    pub replaces: Option<Handle>,
    /// How many sessions its source may have; `None`: any number.
    pub of_source: Option<usize>,
    /// How often its source may begin one; `None`: as often as it likes.
    pub source_rate: Option<Rate>,
    /// When that is.
    pub now: Timestamp,
    /// How many sessions its rule may have let in; `None`: any number.
    pub of_rule: Option<usize>,
}

impl Sessions {
    /// Whether there is room for one more, and which session makes it by going.
    ///
    /// # Errors
    /// The limit that it has met. Whoever has its share takes nobody's place, so
    /// the limits of source and rule come first.
    pub fn room_for(&self, newcomer: &Newcomer, limits: &Limits) -> Result<Option<Handle>, Limit> {
        let census = self.census();
        let replaced = newcomer.replaces.and_then(|handle| self.get(handle));
        // What there will be, once that one is gone.
        let without = |count: usize, is_counted: fn(&Newcomer, &Session) -> bool| {
            let counted = replaced
                .as_ref()
                .is_some_and(|session| is_counted(newcomer, session));
            count.saturating_sub(usize::from(counted))
        };

        if let (Some(rule), Some(most)) = (newcomer.rule, newcomer.of_rule) {
            let same = |own: &Newcomer, other: &Session| other.origin.rule == own.rule;
            if without(self.let_in_by(rule), same) >= most {
                return Err(Limit::Rule);
            }
        }
        if let Some(most) = newcomer.of_source {
            let same = |own: &Newcomer, other: &Session| source_of(&other.origin) == own.source;
            if without(census.of_source(newcomer.source), same) >= most {
                return Err(Limit::Source);
            }
        }

        if let Some(rate) = newcomer.source_rate
            && !self.source_allows(newcomer.source, rate, newcomer.now)
        {
            return Err(Limit::SourceRate);
        }

        let evicts = limits.when_full == WhenFull::EvictIdle;
        if let (Standing::HalfOpen, Some(most)) = (newcomer.standing, limits.half_open) {
            let same = |_: &Newcomer, other: &Session| other.standing() == Standing::HalfOpen;
            if without(self.half_open(), same) >= most {
                let victim = self.oldest(Standing::HalfOpen).filter(|_| evicts);
                return victim.map(Some).ok_or(Limit::HalfOpen);
            }
        }
        let most = limits.sessions.min(index::MOST);
        if without(self.of_all_workers(), |_, _| true) >= most {
            let victim = self.dispensable().filter(|_| evicts);
            return victim.map(Some).ok_or(Limit::Sessions);
        }
        Ok(None)
    }

    /// The session that goes first when there is no room.
    fn dispensable(&self) -> Option<Handle> {
        // Neither end of these two kinds has answered: the older one goes.
        let unanswered = [Standing::HalfOpen, Standing::Unreplied]
            .into_iter()
            .filter_map(|standing| self.oldest(standing))
            .min();
        self.oldest(Standing::Over)
            .or(unanswered)
            .or_else(|| self.oldest(Standing::Replied))
    }

    /// The session that took up this standing first.
    #[must_use]
    pub fn oldest(&self, standing: Standing) -> Option<Handle> {
        self.at_slot(self.census().oldest(standing)?)
    }

    /// All sessions of a standing other than assured, oldest first.
    pub fn queue(&self, standing: Standing) -> impl Iterator<Item = Handle> {
        let slots = self.census().queue(standing);
        slots.filter_map(|slot| self.at_slot(slot))
    }
}
