//! A snapshot is taken, part by part: each costs little, however many sessions there are.

use super::names::Names;
use super::{Content, Frame, Page, Part, SavedControl, SavedSession};
use crate::engine::Engine;
use crate::engine::control::Control;
use crate::engine::desk::Expected;
use crate::net::Timestamp;
use crate::session::{PageStart, Session};

/// How many places of the table are in a part.
const PLACES: u32 = 256;
/// How much of what rests is.
const AT_REST: usize = 1024;

/// Which part comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bookmark(Place);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Sessions(PageStart),
    Resting(usize),
}

impl Default for Bookmark {
    fn default() -> Self {
        Self(Place::Sessions(PageStart::default()))
    }
}

impl Engine {
    /// A part of a snapshot at `now`, and where the next begins; `None`: this is the last.
    #[must_use]
    pub fn snapshot_part(&self, now: Timestamp, at: Bookmark) -> (Part, Option<Bookmark>) {
        match at.0 {
            Place::Sessions(from) => {
                let (sessions, rest) = self.sessions.page(from, PLACES);
                let aftermath = self.sessions.aftermath(&sessions);
                let sessions = sessions.into_iter().map(|session| self.saved(session));
                let page = Page {
                    sessions: sessions.collect(),
                    aftermath,
                };
                let next = rest.map_or(Place::Resting(0), Place::Sessions);
                (Part(Content::Sessions(page)), Some(Bookmark(next)))
            }
            Place::Resting(from) => match self.sessions.resting(from, AT_REST) {
                Some(some) => {
                    let next = Place::Resting(from + some.len());
                    (Part(Content::Resting(some)), Some(Bookmark(next)))
                }
                None => {
                    let frame = Frame {
                        at: self.now.max(now),
                        last: self.sessions.last_id(),
                        names: Names::of(&self.policy),
                    };
                    (Part(Content::Frame(Box::new(frame))), None)
                }
            },
        }
    }

    /// All parts of a snapshot of this moment.
    pub fn snapshot_parts(&self, now: Timestamp) -> impl Iterator<Item = Part> + '_ {
        let mut next = Some(Bookmark::default());
        std::iter::from_fn(move || {
            let (part, rest) = self.snapshot_part(now, next?);
            next = rest;
            Some(part)
        })
    }

    fn saved(&self, session: Session) -> SavedSession {
        let control = self.control_of(&session);
        SavedSession {
            control: control.map(|control| Box::new(self.saved_control(control))),
            session,
        }
    }

    fn saved_control(&self, control: &Control) -> SavedControl {
        let Control {
            alg,
            streams,
            said,
            mss,
            holes,
            // They say themselves whose they are.
            children: _,
            handle: _,
        } = control;
        let expectations = self.sessions.expectations();
        let expected = holes.iter().filter_map(|hole| expectations.get(hole));
        SavedControl {
            alg: alg.saved(),
            streams: streams.clone(),
            said: *said,
            mss: *mss,
            expected: expected.map(Expected::from).collect(),
        }
    }
}
