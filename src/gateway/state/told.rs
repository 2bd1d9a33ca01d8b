//! What is told of the state: in answers, metrics and the event log.

use std::fmt;

use serde::Serialize;

use super::keeper::NotSaved;
use crate::engine::Restored;
use crate::net::Timestamp;

/// A state that was saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gateway) struct Saved {
    /// When.
    pub(in crate::gateway) at: Timestamp,
    /// How many sessions are in it.
    pub(in crate::gateway) sessions: usize,
    /// How long the file is.
    pub(in crate::gateway) octets: usize,
}

impl fmt::Display for Saved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            sessions, octets, ..
        } = self;
        write!(f, "state saved: {sessions} sessions, {octets} octets")
    }
}

/// What metrics tell of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::gateway) struct States {
    /// The last that was saved.
    pub(in crate::gateway) last: Option<Saved>,
    /// How often one was saved, and how often it was not.
    pub(in crate::gateway) saved: u64,
    pub(in crate::gateway) failed: u64,
    /// Sessions that went on when the gateway began.
    pub(in crate::gateway) restored: u64,
}

/// Something about the state, in the event log.
#[derive(Debug, Serialize)]
pub(in crate::gateway) struct StateObject {
    event: &'static str,
    time: String,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sessions: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    octets: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

impl StateObject {
    fn new(event: &'static str, at: Timestamp, outcome: &'static str) -> Self {
        Self {
            event,
            time: at.to_string(),
            outcome,
            sessions: None,
            octets: None,
            left_out: None,
            why: None,
        }
    }

    /// It was saved, or not.
    pub(in crate::gateway) fn saved(at: Timestamp, saved: &Result<Saved, NotSaved>) -> Self {
        match saved {
            Ok(saved) => Self {
                sessions: Some(saved.sessions),
                octets: Some(saved.octets),
                ..Self::new("state-saved", at, "ok")
            },
            Err(why) => Self {
                why: Some(why.to_string()),
                ..Self::new("state-saved", at, "failed")
            },
        }
    }

    /// The gateway goes on by it.
    pub(in crate::gateway) fn restored(at: Timestamp, restored: &Restored) -> Self {
        Self {
            sessions: Some(restored.sessions),
            left_out: Some(restored.without_zone + restored.overtaken),
            ..Self::new("state-restored", at, "ok")
        }
    }

    /// It cannot be read.
    pub(in crate::gateway) fn refused(at: Timestamp, why: String) -> Self {
        Self {
            why: Some(why),
            ..Self::new("state-restored", at, "refused")
        }
    }
}
