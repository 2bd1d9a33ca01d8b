//! An expectation.

use serde::Serialize;

use super::View;
use crate::session::Expectation;

/// A data session that is awaited.
#[derive(Debug, Serialize)]
pub struct ExpectationObject {
    table: &'static str,
    session: u64,
    protocol: String,
    source: String,
    destination: String,
    to: String,
    remaining: f64,
}

impl ExpectationObject {
    /// What is shown of this expectation.
    #[must_use]
    pub fn of(expectation: &Expectation, view: View<'_>) -> Self {
        let tuple = &expectation.tuple;
        Self {
            table: "expectation",
            session: expectation.parent.id().0,
            protocol: tuple.protocol.to_string(),
            source: tuple.source.to_string(),
            destination: tuple.destination.to_string(),
            to: expectation.to.to_string(),
            remaining: view.remaining(expectation.deadline),
        }
    }
}
