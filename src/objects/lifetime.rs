//! How long sessions live.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::config;
use crate::session::{Lifetime, LifetimeName, OnExpiry, Refresh, Timeouts};

/// A complete table of timeouts.
#[derive(Debug, Serialize)]
pub struct LifetimeObject<'a> {
    table: &'static str,
    of: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    lifetime: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idle: Option<f64>,
    #[serde(rename = "on-expiry")]
    on_expiry: &'static str,
    refresh: &'static str,
    #[serde(serialize_with = "in_seconds")]
    timeouts: &'a Timeouts,
}

impl<'a> LifetimeObject<'a> {
    /// What is shown of this lifetime.
    #[must_use]
    pub fn of(lifetime: &'a Lifetime) -> Self {
        let (of, name) = match &lifetime.name {
            LifetimeName::Timeouts => ("timeouts", None),
            LifetimeName::Named(name) => ("lifetimes", Some(name.as_str())),
            LifetimeName::Service(name) => ("service", Some(name.as_str())),
        };
        Self {
            table: "lifetime",
            of,
            lifetime: name,
            idle: lifetime.idle.map(|idle| idle.as_secs_f64()),
            on_expiry: match lifetime.on_expiry {
                OnExpiry::Silent => "silent",
                OnExpiry::Reset => "reset",
                OnExpiry::Probe => "probe",
            },
            refresh: match lifetime.refresh {
                Refresh::BothEnds => "both",
                Refresh::Client => "client",
            },
            timeouts: &lifetime.timeouts,
        }
    }
}

fn in_seconds<S: Serializer>(timeouts: &Timeouts, to: S) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(None)?;
    for (name, timeout) in config::timeouts_by_name(timeouts) {
        map.serialize_entry(name, &timeout.as_secs_f64())?;
    }
    map.end()
}
