//! All sessions, a page an errand, one worker after the other: a million of them stop
//! nobody.

use std::sync::Arc;

use crate::engine::Policy;
use crate::gateway::errands::{Ended, Inside};
use crate::gateway::workforce::Workforce;
use crate::net::Timestamp;
use crate::objects::View;
use crate::session::{PageStart, Session};

/// How many places of the table one errand looks at.
const PLACES: u32 = 256;

/// A part of the table.
pub(super) struct Page {
    pub(super) policy: Arc<Policy>,
    pub(super) now: Timestamp,
    pub(super) sessions: Vec<Session>,
}

impl Page {
    /// For what is shown of its sessions.
    pub(super) fn view(&self) -> View<'_> {
        View {
            policy: &self.policy,
            now: self.now,
        }
    }
}

/// A walk through the tables.
pub(super) struct Pages<'e> {
    workforce: &'e Workforce,
    /// Whose table comes next.
    worker: usize,
    from: PageStart,
}

impl<'e> Pages<'e> {
    pub(super) fn new(workforce: &'e Workforce) -> Self {
        Self {
            workforce,
            worker: 0,
            from: PageStart::default(),
        }
    }

    /// The next page; `None`: that was the last.
    pub(super) async fn next(&mut self) -> Result<Option<Page>, Ended> {
        self.next_with(|_, _| ())
            .await
            .map(|page| page.map(|(page, ())| page))
    }

    /// The next page, and what `work` makes of it inside.
    pub(super) async fn next_with<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Inside<'_>, &Page) -> T + Send + 'static,
    ) -> Result<Option<(Page, T)>, Ended> {
        let Some(errands) = self.workforce.at(self.worker) else {
            return Ok(None);
        };
        let from = self.from;
        let answer = errands.ask(move |inside| {
            let (sessions, next) = inside.engine.sessions().page(from, PLACES);
            let page = Page {
                policy: Arc::clone(inside.engine.policy()),
                now: inside.now,
                sessions,
            };
            let made = work(inside, &page);
            (page, made, next)
        });
        let (page, made, next) = answer.await?;
        if next.is_none() {
            self.worker += 1;
        }
        self.from = next.unwrap_or_default();
        Ok(Some((page, made)))
    }
}
