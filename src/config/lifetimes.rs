//! `[lifetimes]`: tables of timeouts under a name, and who lives by which.

use toml::de::DeTable;

use super::diagnostic::Problems;
use super::document::Known;
use super::names::{Kind, Names, too_many};
use super::table::{self, Row, Value};
use super::timeouts::{lifetime_keys, read_lifetime};
use crate::net::{LifetimeId, Profile};
use crate::session::{Between, Lifetime, LifetimeName, Lifetimes};

const BETWEEN_KEYS: [&str; 3] = ["from", "to", "lifetime"];

/// The lifetimes of a file with their names.
#[derive(Debug)]
pub(super) struct LifetimeTable<'t> {
    names: Names<'t>,
    pub(super) profile: Profile,
    pub(super) lifetimes: Lifetimes,
}

impl<'t> LifetimeTable<'t> {
    /// Reads the section `[lifetimes]`; what a table leaves out is as `general`
    /// has it.
    pub(super) fn read(
        section: Option<&'t DeTable<'t>>,
        general: Lifetime,
        profile: Profile,
        problems: &mut Problems,
    ) -> Self {
        let entries = section.map(table::in_order).unwrap_or_default();
        let names = entries.iter().map(|(name, _)| *name);
        let mut read = Self {
            names: Names::declare(Kind::Lifetime, names, problems),
            profile,
            lifetimes: Lifetimes::new(general),
        };
        let keys: Vec<_> = lifetime_keys().collect();
        for (name, value) in entries {
            let named = LifetimeName::Named(name.get_ref().to_string());
            let mut lifetime = Lifetime {
                name: named,
                ..read.lifetimes.general().clone()
            };
            if let Some(row) = Row::read(value, "a lifetime", &keys, problems) {
                read_lifetime(&row, profile, &mut lifetime, problems);
            }
            read.add(lifetime, value, problems);
        }
        read
    }

    /// Adds a lifetime that stands at `place`.
    pub(super) fn add(
        &mut self,
        lifetime: Lifetime,
        place: &Value<'_>,
        problems: &mut Problems,
    ) -> Option<LifetimeId> {
        let added = self.lifetimes.push(lifetime);
        if added.is_none() {
            too_many(place.span(), "lifetime", problems);
        }
        added
    }

    /// Reads the key `lifetime` of a row.
    pub(super) fn named(&self, row: &Row<'t>, problems: &mut Problems) -> Option<LifetimeId> {
        let name = table::text(row.get("lifetime")?, "the name of a lifetime", problems)?;
        let place = self.names.resolve(&name, &[], problems)?;
        // `[timeouts]` stands before those that have a name.
        place.checked_add(1).map(LifetimeId)
    }
}

/// Reads the rows about zones.
pub(super) fn between<'t>(
    rows: Option<&'t Value<'t>>,
    known: &Known<'t>,
    problems: &mut Problems,
) -> Vec<Between> {
    let rows = rows.and_then(|rows| table::array(rows, "an array of rows", problems));
    let mut all = Vec::new();
    for value in rows.unwrap_or_default() {
        let Some(row) = Row::read(value, "a row about zones", &BETWEEN_KEYS, problems) else {
            continue;
        };
        let example = "`lifetime = \"patient\"`, a table of `[lifetimes]`";
        let _ = row.require("lifetime", example, problems);
        all.push(Between {
            from: known.zones.named(row.get("from"), problems),
            to: known.zones.named(row.get("to"), problems),
            lifetime: known.lifetimes.named(&row, problems).unwrap_or_default(),
        });
    }
    all
}
