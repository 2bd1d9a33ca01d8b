//! What an engine knows of the sessions that live, to be written down and read again.
//!
//! ```text
//! Engine::snapshot_part, again and again -> parts: sessions .. what rests .. names and numbers
//! parts -> Snapshot::new -> Engine::restore, under any policy -> an engine that goes on
//! ```
//!
//! A snapshot has all that a session needs to go on: both tuples, what tracking knows, how
//! long it lives, what was counted, who let it in, as whom it is known; of control
//! sessions the reader and what it announced besides. It names zones, rules and rows as
//! the rule file does (`names`), since another file may be in force when it is read.
//! What an engine can do without is not in it: pieces of datagrams, SYNs that are held, what is left of rates, its own
//! counters, and in which order sessions would make room for others.
//!
//! **What it is of one moment, and what not.** Each part is. While packets pass between two
//! parts, a session that has ended may stand in it beside the one that took its tuple or
//! its port: the one that began later wins. And its packets go on after it was looked at:
//! who restores says so ([`Meanwhile`]), and TCP's windows are learnt anew.
//!
//! **What is read is not believed.** A snapshot that no engine could have made is refused
//! as a whole ([`Unsound`]); what cannot be there any more is left out and counted
//! ([`Restored`]).

mod names;
mod restore;
mod save;
mod unsound;

pub use restore::{Gap, Meanwhile, Restored};
pub use save::Bookmark;
pub use unsound::Unsound;

use serde::{Deserialize, Serialize};

use self::names::Names;
use super::control::Said;
use super::desk::Expected;
use crate::alg::SavedAlg;
use crate::alg::stream::Follower;
use crate::net::{PerDirection, Timestamp};
use crate::session::{Aftermath, AtRest, Session, SessionId};

/// A part of a snapshot.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Part(Content);

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Content {
    Sessions(Page),
    Resting(Vec<AtRest>),
    Frame(Box<Frame>),
}

impl Part {
    /// How many sessions it has.
    #[must_use]
    pub fn sessions(&self) -> usize {
        match &self.0 {
            Content::Sessions(page) => page.sessions.len(),
            Content::Resting(_) | Content::Frame(_) => 0,
        }
    }

    /// The last part of all, made of the last ones of several engines that work for one
    /// gateway; `None`: these are none.
    #[must_use]
    pub fn last_of_all(parts: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut frames = parts.into_iter().filter_map(|Self(content)| match content {
            Content::Frame(frame) => Some(frame),
            Content::Sessions(_) | Content::Resting(_) => None,
        });
        let mut last = frames.next()?;
        for frame in frames {
            last.at = last.at.max(frame.at);
            last.last = last.last.max(frame.last);
        }
        Some(Self(Content::Frame(last)))
    }

    /// Whether nothing comes after it.
    #[must_use]
    pub fn is_last(&self) -> bool {
        matches!(self.0, Content::Frame(_))
    }
}

/// Some sessions, with what they have besides.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Page {
    sessions: Vec<SavedSession>,
    aftermath: Aftermath,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct SavedSession {
    session: Session,
    control: Option<Box<SavedControl>>,
}

/// What is kept of one control session.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct SavedControl {
    alg: SavedAlg,
    streams: PerDirection<Follower>,
    said: PerDirection<Option<Said>>,
    mss: PerDirection<Option<u16>>,
    /// What it announced and that has not come, the oldest first.
    expected: Vec<Expected>,
}

/// What all parts have in common.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Frame {
    /// The moment of the engine that it was.
    at: Timestamp,
    /// The session that began last, lives it or not.
    last: SessionId,
    names: Names,
}

/// What an engine knew.
#[derive(Debug, Clone)]
pub struct Snapshot {
    sessions: Vec<SavedSession>,
    aftermath: Vec<Aftermath>,
    resting: Vec<AtRest>,
    frame: Box<Frame>,
}

impl Snapshot {
    /// What these parts say.
    ///
    /// # Errors
    /// They are not those of one snapshot.
    pub fn new(parts: impl IntoIterator<Item = Part>) -> Result<Self, Unsound> {
        let (mut sessions, mut aftermath, mut resting) = (Vec::new(), Vec::new(), Vec::new());
        let mut parts = parts.into_iter();
        while let Some(Part(content)) = parts.next() {
            match content {
                Content::Sessions(page) => {
                    sessions.extend(page.sessions);
                    aftermath.push(page.aftermath);
                }
                Content::Resting(some) => resting.extend(some),
                Content::Frame(frame) => {
                    return match parts.next() {
                        Some(_) => Err(Unsound::Parts),
                        None => Ok(Self {
                            sessions,
                            aftermath,
                            resting,
                            frame,
                        }),
                    };
                }
            }
        }
        Err(Unsound::Parts)
    }

    /// How many sessions there are in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// The moment of the engine that it was.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.frame.at
    }
}
