//! A mapping.

use serde::Serialize;

use super::{View, binding_ends};
use crate::session::Binding;

/// A public endpoint that stands for an inside socket.
#[derive(Debug, Serialize)]
pub struct MappingObject<'a> {
    table: &'static str,
    protocol: String,
    inside: String,
    public: String,
    mapping: &'static str,
    filtering: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
    sessions: u32,
    remaining: f64,
}

impl<'a> MappingObject<'a> {
    /// What is shown of this mapping.
    #[must_use]
    pub fn of(binding: &Binding, view: View<'a>) -> Self {
        let [inside, public] = binding_ends(binding);
        let nat = &view.policy.nat;
        Self {
            table: "mapping",
            protocol: binding.protocol.to_string(),
            inside,
            public,
            mapping: binding.behaviour.mapping.name(),
            filtering: binding.behaviour.filtering.name(),
            rule: binding.row.map(|row| nat.name(row)),
            sessions: binding.sessions,
            remaining: view.remaining(binding.deadline),
        }
    }
}
