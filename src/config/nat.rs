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
use super::{overlaps, services, source_nat, static_nat, word};
use crate::nat::{NatPolicy, NoMapping, SourceTarget};
use crate::net::Profile;
use crate::rules::Rule;

const KEYS: [&str; 5] = ["source", "forward", "static", "reserved", "no-mapping"];
/// The keys of `reserved`.
const RESERVED: [&str; 2] = ["tcp", "udp"];

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
    nat.policy.no_mapping = by_profile(known.profile);
    let Some(section) = section else { return nat };
    let row = Row::of(
        section.get_ref(),
        section.span(),
        "`[nat]`",
        &KEYS,
        problems,
    );
    // The public addresses that rows give out, each with its place.
    let (mut sources, mut of_forwards, mut statics) = (Vec::new(), Vec::new(), Vec::new());
    for value in rows(&row, "source", problems) {
        let Some(row) = Row::read(value, "a source translation", &source_nat::KEYS, problems)
        else {
            continue;
        };
        let name = ids.read(&row, "translation", problems);
        spans.translations.push((name.clone(), row.extent()));
        if let Some(read) = source_nat::read(&row, name, known, problems) {
            sources.push((nat.policy.source.len(), read.places));
            nat.policy.source.push(read.row);
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
        let places = &mut of_forwards;
        let services_of = services.as_deref();
        if let Some(forward) = forward::read(&row, name, services_of, known, places, problems) {
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
        statics.extend(static_nat::read(&row, &name, known, problems));
    }
    // That a static address is the gateway's own is said with the static row.
    let is_pool = |place: &usize| {
        let row = nat.policy.source.get(*place);
        row.is_some_and(|row| row.target != SourceTarget::Masquerade)
    };
    let pools = sources.iter().filter(|(place, _)| is_pool(place));
    let pools = pools.flat_map(|(_, places)| places);
    overlaps::with_statics(pools.chain(&of_forwards), &statics, problems);
    overlaps::of_ports(&nat.policy.source, &sources, problems);
    nat.policy
        .statics
        .extend(statics.into_iter().map(|(row, _)| row));
    if let Some(value) = row.get("reserved")
        && let Some(reserved) = Row::read(value, "reserved ports", &RESERVED, problems)
    {
        nat.policy.reserved = services::ports(&reserved, problems);
    }
    let word = word::to_sender(&row, "no-mapping", problems);
    nat.policy.no_mapping = word.unwrap_or(nat.policy.no_mapping);
    nat
}

/// Linux says nothing. Of what RFC 5508 REQ-8 and RFC 6888 REQ-11 say the latter
/// is chosen: it is younger, and lets TCP try again.
fn by_profile(profile: Profile) -> NoMapping {
    match profile {
        Profile::Linux => NoMapping::Silent,
        Profile::Rfc | Profile::Carrier => NoMapping::HostUnreachable,
    }
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
