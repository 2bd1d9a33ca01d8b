//! What was said in control sessions as JSON objects.

use serde::Serialize;

use super::dialogue::{Entry, Fate, What, speaker};
use crate::engine::Engine;
use crate::objects::View;
use crate::session::SessionId;

/// Something that was said in a control session, or came of it.
#[derive(Debug, Serialize)]
pub(super) struct DialogueObject<'a> {
    dialogue: u64,
    packet: u64,
    by: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<&'a str>,
    #[serde(rename = "left-as", skip_serializing_if = "Option::is_none")]
    left_as: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hole: Option<HoleObject>,
}

/// A hole that was opened.
#[derive(Debug, Serialize)]
struct HoleObject {
    destination: String,
    to: String,
    fate: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remaining: Option<f64>,
}

impl<'a> DialogueObject<'a> {
    pub(super) fn of(session: SessionId, entry: &'a Entry, engine: &Engine) -> Self {
        let mut object = Self {
            dialogue: session.0,
            packet: entry.packet,
            by: speaker(entry.by),
            line: None,
            left_as: None,
            note: None,
            hole: None,
        };
        match &entry.what {
            What::Line { came, went } => {
                object.line = Some(came);
                object.left_as = went.as_deref();
            }
            What::Note(note) => object.note = Some(note),
            What::Hole(hole) => {
                let (fate, session) = match hole.fate {
                    Fate::Awaited => ("closed", None),
                    Fate::Used(session) => ("used", Some(session.0)),
                    Fate::Expired => ("expired", None),
                    Fate::Live(_) => ("awaited", None),
                };
                object.hole = Some(HoleObject {
                    destination: hole.reached_at.to_string(),
                    to: hole.to.to_string(),
                    fate,
                    session,
                    remaining: match hole.fate {
                        Fate::Live(until) => Some(View::of(engine).remaining(until)),
                        Fate::Awaited | Fate::Used(_) | Fate::Expired => None,
                    },
                });
            }
        }
        object
    }
}
