//! Sessions that begin and end, as it happens.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

use crate::engine::{Ending, Engine, Event, Policy};
use crate::net::Timestamp;
use crate::session::{Handle, Session, SessionId};

/// Something that happened to a session.
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Happening {
    /// By which policy, for names.
    pub(in crate::gateway) policy: Arc<Policy>,
    /// When.
    pub(in crate::gateway) at: Timestamp,
    pub(in crate::gateway) what: What,
    /// What it was then, or soon after.
    pub(in crate::gateway) session: Session,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gateway) enum What {
    Began,
    Ended(Ending),
}

/// Somebody who hears of sessions.
#[derive(Debug)]
pub(in crate::gateway) struct Watcher {
    /// A bounded queue.
    pub(in crate::gateway) queue: Sender<Happening>,
    /// How much did not fit into it.
    pub(in crate::gateway) lost: Arc<AtomicU64>,
}

impl Watcher {
    /// Tells it; whether it is still there.
    fn tell(&self, happening: &Happening) -> bool {
        match self.queue.try_send(happening.clone()) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.lost.fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(TrySendError::Closed(_)) => false,
        }
    }
}

/// What happened since it was told last: a session that began can be looked at only when
/// the engine has done with the burst.
#[derive(Debug, Default)]
pub(super) struct Tape(Vec<Noted>);

#[derive(Debug)]
enum Noted {
    Began(Handle),
    Ended(Timestamp, Box<Session>, Ending),
}

impl Tape {
    pub(super) fn note(&mut self, events: &[Event]) {
        self.0.extend(events.iter().filter_map(|event| match event {
            Event::Began(handle) => Some(Noted::Began(*handle)),
            Event::Ended {
                at,
                session,
                ending,
                ..
            } => Some(Noted::Ended(*at, Box::new(session.clone()), *ending)),
            _ => None,
        }));
    }

    /// Tells it, and forgets it.
    pub(super) fn play(&mut self, watchers: &mut Vec<Watcher>, engine: &Engine) {
        watchers.retain(|watcher| !watcher.queue.is_closed());
        if !watchers.is_empty() {
            for noted in &self.0 {
                let Some(happening) = self.happening(noted, engine) else {
                    continue;
                };
                watchers.retain(|watcher| watcher.tell(&happening));
            }
        }
        self.0.clear();
    }

    fn happening(&self, noted: &Noted, engine: &Engine) -> Option<Happening> {
        let (at, what, session) = match noted {
            Noted::Began(handle) => {
                let lives = engine.sessions().get(*handle);
                let session = lives.or_else(|| self.ended(handle.id()))?;
                (session.began, What::Began, session)
            }
            Noted::Ended(at, session, ending) => (*at, What::Ended(*ending), (**session).clone()),
        };
        Some(Happening {
            policy: Arc::clone(engine.policy()),
            at,
            what,
            session,
        })
    }

    /// The session of this number, if it has ended already.
    fn ended(&self, id: SessionId) -> Option<Session> {
        self.0.iter().find_map(|noted| match noted {
            Noted::Ended(_, session, _) if session.id == id => Some((**session).clone()),
            _ => None,
        })
    }
}
