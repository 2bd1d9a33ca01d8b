//! What becomes of a hole that an ALG asked for.

use serde::Serialize;

use crate::alg::Note;
use crate::engine::Event;
use crate::net::Timestamp;
use crate::session::SessionId;

/// Something that happened to a hole, or to an announcement that got none.
#[derive(Debug, Serialize)]
#[serde(
    tag = "event",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case"
)]
pub enum HoleObject {
    /// A data session was announced, and is awaited.
    HoleOpened {
        /// When.
        time: String,
        /// The control session.
        #[serde(skip_serializing_if = "Option::is_none")]
        session: Option<u64>,
        /// Of the data session.
        protocol: String,
        /// What was announced.
        announced: String,
        /// Where the other end finds it.
        reached_at: String,
    },
    /// The other end has accepted it: it admits.
    HoleAccepted(Reached),
    /// The other end has refused it.
    HoleWithdrawn(Reached),
    /// A data session that was announced never came.
    HoleExpired {
        /// When.
        time: String,
        /// The control session.
        session: u64,
        /// Of the data session.
        protocol: String,
        /// Who was to open it.
        source: String,
        /// Where to.
        destination: String,
    },
    /// The data session that was announced has begun.
    HoleUsed {
        /// When.
        time: String,
        /// The control session.
        session: u64,
        /// The data session.
        by: u64,
    },
    /// Something that looks like an announcement opened nothing.
    NotOpened {
        /// When.
        time: String,
        /// The control session.
        #[serde(skip_serializing_if = "Option::is_none")]
        session: Option<u64>,
        /// The command or reply code.
        command: &'static str,
        /// The check that refused it.
        check: &'static str,
        /// In words.
        why: String,
    },
}

/// A hole, by where it is found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Reached {
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<u64>,
    protocol: String,
    reached_at: String,
}

impl HoleObject {
    /// What is shown of this event; `None` where it is about no hole.
    #[must_use]
    pub fn of(event: &Event) -> Option<Self> {
        match event {
            Event::Alg { at, session, note } => Self::of_note(*at, *session, note),
            Event::Unmet(expectation) => Some(Self::HoleExpired {
                time: expectation.deadline.to_string(),
                session: expectation.parent.id().0,
                protocol: expectation.tuple.protocol.to_string(),
                source: expectation.tuple.source.to_string(),
                destination: expectation.tuple.destination.to_string(),
            }),
            _ => None,
        }
    }

    fn of_note(at: Timestamp, session: Option<SessionId>, note: &Note) -> Option<Self> {
        let (time, session) = (at.to_string(), session.map(|session| session.0));
        match note {
            Note::Opened {
                announcement,
                reached_at,
            } => Some(Self::HoleOpened {
                time,
                session,
                protocol: announcement.protocol.to_string(),
                announced: announcement.endpoint.to_string(),
                reached_at: reached_at.to_string(),
            }),
            Note::Admitted(hole) | Note::Withdrawn(hole) => {
                let reached = Reached {
                    time,
                    session,
                    protocol: hole.protocol.to_string(),
                    reached_at: hole.reached_at.to_string(),
                };
                Some(match note {
                    Note::Admitted(_) => Self::HoleAccepted(reached),
                    _ => Self::HoleWithdrawn(reached),
                })
            }
            Note::NotOpened { what, why, .. } => Some(Self::NotOpened {
                time,
                session,
                command: what,
                check: why.check(),
                why: why.to_string(),
            }),
            Note::Encrypted | Note::Readable { .. } => None,
        }
    }
}
