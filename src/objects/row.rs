//! Rows of the rule file, and how often each decided.

use serde::Serialize;

use crate::engine::{Counters, Policy};

/// How often a row of the file decided.
#[derive(Debug, Serialize)]
pub struct RowObject<'a> {
    table: &'static str,
    rule: &'a str,
    hits: u64,
}

/// Rules, then rows of translation, each in the order in which they are asked.
pub fn row_objects<'a>(
    policy: &'a Policy,
    counters: &'a Counters,
) -> impl Iterator<Item = RowObject<'a>> {
    rule_objects(policy, counters).chain(translation_objects(policy, counters))
}

/// Rules, in the order in which they are asked.
pub fn rule_objects<'a>(
    policy: &'a Policy,
    counters: &'a Counters,
) -> impl Iterator<Item = RowObject<'a>> {
    policy.rules.iter().map(|(id, rule)| RowObject {
        table: "rule",
        rule: &rule.name,
        hits: counters.hits(id),
    })
}

/// Rows of translation, in the order in which they are asked.
pub fn translation_objects<'a>(
    policy: &'a Policy,
    counters: &'a Counters,
) -> impl Iterator<Item = RowObject<'a>> {
    policy.nat.rows().map(|row| RowObject {
        table: "translation",
        rule: policy.nat.name(row),
        hits: counters.translated(row),
    })
}

/// How often no rule decided.
#[derive(Debug, Serialize)]
pub struct DefaultObject {
    table: &'static str,
    hits: u64,
}

impl DefaultObject {
    /// What is shown of it.
    #[must_use]
    pub fn of(counters: &Counters) -> Self {
        Self {
            table: "default-policy",
            hits: counters.default_hits(),
        }
    }
}
