//! What is counted of all workers' sessions together, for limits.

use std::sync::atomic::Ordering;

use dashmap::mapref::entry::Entry;

use super::Post;
use crate::session::census::Standing;

impl Post {
    /// How many sessions there are.
    pub(in crate::session) fn sessions(&self) -> usize {
        self.crew.sessions.load(Ordering::Relaxed)
    }

    /// How many of them are half-open.
    pub(in crate::session) fn half_open(&self) -> usize {
        self.crew.half_open.load(Ordering::Relaxed)
    }

    /// How many a rule has let in.
    pub(in crate::session) fn of_rule(&self, rule: u16) -> usize {
        self.crew.rules.get(&rule).map_or(0, |count| *count)
    }

    pub(in crate::session) fn began(&self, standing: Standing, rule: Option<u16>) {
        self.crew.sessions.fetch_add(1, Ordering::Relaxed);
        self.took_up(standing);
        if let Some(rule) = rule {
            *self.crew.rules.entry(rule).or_default() += 1;
        }
    }

    pub(in crate::session) fn changed(&self, from: Standing, to: Standing) {
        self.gave_up(from);
        self.took_up(to);
    }

    pub(in crate::session) fn ended(&self, standing: Standing, rule: Option<u16>) {
        self.crew.sessions.fetch_sub(1, Ordering::Relaxed);
        self.gave_up(standing);
        if let Some(rule) = rule
            && let Entry::Occupied(mut count) = self.crew.rules.entry(rule)
        {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }

    fn took_up(&self, standing: Standing) {
        if standing == Standing::HalfOpen {
            self.crew.half_open.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn gave_up(&self, standing: Standing) {
        if standing == Standing::HalfOpen {
            self.crew.half_open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
