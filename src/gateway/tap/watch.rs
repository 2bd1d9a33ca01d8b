//! Sessions that begin and end, as it happens.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

use serde::Serialize;

use crate::engine::{Ending, Engine, Event, Policy};
use crate::gateway::events::Listener;
use crate::net::Timestamp;
use crate::objects::{SessionObject, View};
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

/// What is shown of it.
#[derive(Debug, Serialize)]
pub(in crate::gateway) struct HappeningObject<'a> {
    event: &'static str,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ending: Option<&'static str>,
    /// How long it lived, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<f64>,
    #[serde(flatten)]
    session: SessionObject<'a>,
}

impl<'a> HappeningObject<'a> {
    pub(in crate::gateway) fn of(happening: &Happening, view: View<'a>) -> Self {
        let session = &happening.session;
        let (event, ended) = match happening.what {
            What::Began => ("began", None),
            What::Ended(ending) => {
                let lived = happening.at.since(session.began);
                ("ended", Some((ending.name(), lived.as_secs_f64())))
            }
        };
        Self {
            event,
            time: happening.at.to_string(),
            ending: ended.map(|(ending, _)| ending),
            duration: ended.map(|(_, lived)| lived),
            session: SessionObject::of(session, view),
        }
    }
}

/// Somebody who hears of sessions.
#[derive(Debug, Clone)]
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
    pub(super) fn play(
        &mut self,
        watchers: &mut Vec<Watcher>,
        mut log: Option<&mut Listener>,
        engine: &Engine,
    ) {
        watchers.retain(|watcher| !watcher.queue.is_closed());
        for noted in &self.0 {
            let log = log.as_deref_mut();
            let log = log.and_then(|log| log.admits(engine.now()).then_some(log));
            if log.is_none() && watchers.is_empty() {
                continue;
            }
            let Some(happening) = self.happening(noted, engine) else {
                continue;
            };
            watchers.retain(|watcher| watcher.tell(&happening));
            if let Some(log) = log {
                log.session(happening);
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
