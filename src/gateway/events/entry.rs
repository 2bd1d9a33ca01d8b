//! What is told of each event: its line.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::engine::{Arrival, Intake, Judgement, Policy, Reason};
use crate::gateway::reload::{Refusal, Reloaded};
use crate::gateway::state::StateObject;
use crate::gateway::tap::{Happening, HappeningObject, What};
use crate::net::{Timestamp, Tuple};
use crate::objects::{HoleObject, View, ends};

/// An event on its way to the file.
#[derive(Debug)]
pub(in crate::gateway) enum Entry {
    /// A session began or ended.
    Session(Box<Happening>),
    /// Something about a data session that an ALG announced.
    Hole(Box<HoleObject>),
    /// A packet was dropped, or rejected.
    Dropped(Box<Dropped>),
    /// The rule file was read again.
    Reload(ReloadObject),
    /// An operator lets sessions begin, or not.
    Intake(Timestamp, Intake),
    /// A device is gone, or is there again.
    Device(DeviceObject),
    /// The state was saved, or the gateway began by one.
    State(StateObject),
    /// There is something else to look at.
    Look,
}

/// A packet that goes nowhere.
#[derive(Debug)]
pub(in crate::gateway) struct Dropped {
    pub(in crate::gateway) at: Timestamp,
    pub(in crate::gateway) policy: Arc<Policy>,
    pub(in crate::gateway) arrival: Arrival,
    pub(in crate::gateway) judgement: Judgement,
    pub(in crate::gateway) tuple: Option<Tuple>,
}

#[derive(Debug, Serialize)]
struct DroppedObject<'a> {
    event: &'static str,
    time: String,
    verdict: &'static str,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<&'static str>,
    #[serde(rename = "in")]
    zone: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<String>,
    ct: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<u64>,
}

impl Dropped {
    fn object(&self) -> DroppedObject<'_> {
        let Self {
            at,
            policy,
            arrival,
            judgement,
            tuple,
        } = self;
        let rule = judgement.rule.and_then(|rule| policy.rules.get(rule));
        let [source, destination] = match tuple {
            Some(tuple) => ends(tuple).map(|end| Some(end.to_string())),
            None => [None, None],
        };
        DroppedObject {
            event: "dropped",
            time: at.to_string(),
            verdict: judgement.verdict.name(),
            reason: judgement.reason.name(),
            check: judgement.check.map(Reason::name),
            zone: policy.zones.name(arrival.zone),
            protocol: tuple.map(|tuple| tuple.protocol.to_string()),
            source,
            destination,
            ct: judgement.ct.name(),
            rule: rule.map(|rule| rule.name.as_str()),
            session: judgement.session.map(|session| session.0),
        }
    }
}

/// The rule file was read again.
#[derive(Debug, Serialize)]
pub(in crate::gateway) struct ReloadObject {
    event: &'static str,
    time: String,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rules: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    translations: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

impl ReloadObject {
    /// What is shown of a reload, by what came of it.
    pub(in crate::gateway) fn of(at: Timestamp, came: &Result<Reloaded, Refusal>) -> Self {
        let reloaded = came.as_ref().ok();
        Self {
            event: "reload",
            time: at.to_string(),
            outcome: match came {
                Ok(_) => "ok",
                Err(_) => "refused",
            },
            rules: reloaded.map(|reloaded| reloaded.rules),
            translations: reloaded.map(|reloaded| reloaded.translations),
            why: came.as_ref().err().map(ToString::to_string),
        }
    }
}

/// A device is gone, or is there again.
#[derive(Debug, Serialize)]
pub(in crate::gateway) struct DeviceObject {
    event: &'static str,
    time: String,
    device: String,
    /// For how long it was missing, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<f64>,
}

impl DeviceObject {
    /// Somebody has deleted it.
    pub(in crate::gateway) fn lost(at: Timestamp, device: &str) -> Self {
        Self {
            event: "device-lost",
            time: at.to_string(),
            device: device.to_owned(),
            missing: None,
        }
    }

    /// It is there again, after so long.
    pub(in crate::gateway) fn returned(at: Timestamp, device: &str, after: Duration) -> Self {
        Self {
            event: "device-returned",
            missing: Some(after.as_secs_f64()),
            ..Self::lost(at, device)
        }
    }
}

/// Something that has no more to it than when it was.
#[derive(Debug, Serialize)]
pub(super) struct PlainObject {
    event: &'static str,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'static str>,
}

impl PlainObject {
    pub(super) fn start(at: Timestamp) -> Self {
        Self {
            event: "start",
            time: at.to_string(),
            version: Some(env!("CARGO_PKG_VERSION")),
        }
    }

    pub(super) fn stop(at: Timestamp) -> Self {
        Self::plain("stop", at)
    }

    fn plain(event: &'static str, at: Timestamp) -> Self {
        Self {
            event,
            time: at.to_string(),
            version: None,
        }
    }
}

/// How many there were of something that is not told one by one.
#[derive(Debug, Serialize)]
pub(super) struct CountObject {
    event: &'static str,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    count: u64,
}

impl CountObject {
    pub(super) fn drops(at: Timestamp, reason: Reason, count: u64) -> Self {
        Self {
            event: "drops",
            time: at.to_string(),
            reason: Some(reason.name()),
            count,
        }
    }

    pub(super) fn lost(at: Timestamp, count: u64) -> Self {
        Self {
            event: "lost",
            time: at.to_string(),
            reason: None,
            count,
        }
    }
}

impl Entry {
    /// Puts its lines behind others; gives how many there are.
    pub(super) fn put(&self, lines: &mut Vec<u8>) -> u64 {
        match self {
            Self::Session(happening) => {
                let view = View {
                    policy: &happening.policy,
                    now: happening.at,
                };
                let put = put(lines, &HappeningObject::of(happening, view));
                let parent = happening.session.origin.parent;
                match (happening.what, parent) {
                    (What::Began, Some(parent)) => {
                        let used = HoleObject::HoleUsed {
                            time: happening.at.to_string(),
                            session: parent.0,
                            by: happening.session.id.0,
                        };
                        put + self::put(lines, &used)
                    }
                    (What::Began | What::Ended(_), _) => put,
                }
            }
            Self::Hole(object) => put(lines, object),
            Self::Dropped(dropped) => put(lines, &dropped.object()),
            Self::Reload(object) => put(lines, object),
            Self::State(object) => put(lines, object),
            Self::Device(object) => put(lines, object),
            Self::Intake(at, Intake::Drained) => put(lines, &PlainObject::plain("drain", *at)),
            Self::Intake(at, Intake::Open) => put(lines, &PlainObject::plain("undrain", *at)),
            Self::Look => 0,
        }
    }
}

/// Puts a line behind others.
pub(super) fn put(lines: &mut Vec<u8>, object: &impl Serialize) -> u64 {
    let before = lines.len();
    // What is shown here has no keys that JSON could not have.
    match serde_json::to_writer(&mut *lines, object) {
        Ok(()) => {
            lines.push(b'\n');
            1
        }
        Err(_) => {
            lines.truncate(before);
            0
        }
    }
}
