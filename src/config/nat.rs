//! `[nat]`: the lists of translations. What a row says is read by
//! `source_nat`, `forward` and `static_nat`.

use std::ops::Range;

use toml::Spanned;
use toml::de::DeTable;

use super::diagnostic::Problems;
use super::document::Known;
use super::forward::{self, admitting};
use super::ids::Ids;
use super::locations::Spans;
use super::names::{MOST_ENTRIES, too_many};
use super::table::{self, Row, Value};
use super::{source_nat, static_nat};
use crate::nat::NatPolicy;
use crate::rules::Rule;

const KEYS: [&str; 3] = ["source", "forward", "static"];

/// What `[nat]` says.
#[derive(Debug, Default)]
pub(super) struct NatSection {
    pub(super) policy: NatPolicy,
    /// Rules that forwards bring with `admit`, with their places.
    pub(super) rules: Vec<(Rule, Range<usize>)>,
}

/// Reads the section `[nat]`.
pub(super) fn read<'t>(
    section: Option<&'t Spanned<&'t DeTable<'t>>>,
    known: &Known<'t>,
    ids: &mut Ids<'t>,
    spans: &mut Spans,
    problems: &mut Problems,
) -> NatSection {
    let mut nat = NatSection::default();
    let Some(section) = section else { return nat };
    let row = Row::of(
        section.get_ref(),
        section.span(),
        "`[nat]`",
        &KEYS,
        problems,
    );
    for value in rows(&row, "source", problems) {
        let Some(row) = Row::read(value, "a source translation", &source_nat::KEYS, problems)
        else {
            continue;
        };
        let name = ids.read(&row, "translation", problems);
        spans.translations.push((name.clone(), row.extent()));
        if let Some(translation) = source_nat::read(&row, name, known, problems) {
            nat.policy.source.push(translation);
        }
    }
    for value in rows(&row, "forward", problems) {
        let Some(row) = Row::read(value, "a forward", &forward::KEYS, problems) else {
            continue;
        };
        let name = ids.read(&row, "forward", problems);
        spans.translations.push((name.clone(), row.extent()));
        let services = known.services.named(row.get("service"), problems);
        let admit = row
            .get("admit")
            .and_then(|value| table::boolean(value, problems));
        if let Some(forward) = forward::read(&row, name, services.as_deref(), known, problems) {
            if admit == Some(true) {
                nat.rules
                    .push((admitting(&forward, services), row.extent()));
            }
            nat.policy.forwards.push(forward);
        }
    }
    for value in rows(&row, "static", problems) {
        let Some(row) = Row::read(value, "a static translation", &static_nat::KEYS, problems)
        else {
            continue;
        };
        let name = ids.read(&row, "translation", problems);
        spans.translations.push((name.clone(), row.extent()));
        let read = static_nat::read(&row, &name, known, problems);
        nat.policy.statics.extend(read);
    }
    nat
}

fn rows<'t>(row: &Row<'t>, key: &str, problems: &mut Problems) -> Vec<&'t Value<'t>> {
    let Some(value) = row.get(key) else {
        return Vec::new();
    };
    let rows = table::array(value, "an array of translations", problems).unwrap_or_default();
    if let Some(row) = rows.get(MOST_ENTRIES) {
        too_many(row.span(), "translation", problems);
    }
    rows
}
