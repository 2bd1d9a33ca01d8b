//! `[nat]`: source translation; `forward` reads the port forwards.

use std::net::IpAddr;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::addresses;
use super::code::Code;
use super::diagnostic::{Diagnostic, Problems};
use super::document::Known;
use super::forward::{self, admitting};
use super::ids::Ids;
use super::locations::Spans;
use super::names::{MOST_ENTRIES, too_many};
use super::rules::selector;
use super::table::{self, Row, Text, Value, shortened};
use crate::nat::{NatPolicy, SourceNat, SourceTarget};
use crate::net::{Family, Place};
use crate::rules::Rule;

const KEYS: [&str; 2] = ["source", "forward"];
const SOURCE_KEYS: [&str; 7] = ["id", "from", "to", "src", "dst", "service", "as"];

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
        let Some(row) = Row::read(value, "a source translation", &SOURCE_KEYS, problems) else {
            continue;
        };
        let name = ids.read(&row, "translation", problems);
        spans.translations.push((name.clone(), row.extent()));
        if let Some(translation) = source(&row, name, known, problems) {
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

fn source<'t>(
    row: &Row<'t>,
    name: String,
    known: &Known<'t>,
    problems: &mut Problems,
) -> Option<SourceNat> {
    let selector = selector(row, known, problems);
    if let Some(value) = row.get("to")
        && selector
            .to
            .as_ref()
            .is_some_and(|to| to.contains(&Place::Gateway))
    {
        problems.push(
            Diagnostic::new(
                Code::NotHere,
                value.span(),
                "what is bound for the gateway itself leaves by no zone",
            )
            .label("not a way out")
            .help("name the zones that the connections leave by"),
        );
    }
    let example = "`as = \"masquerade\"`, `\"none\"` or an address";
    let value = row.require("as", example, problems)?;
    let target = target(value, problems)?;
    if target == SourceTarget::Masquerade {
        let example = "`to = \"wan\"`: what is masqueraded gets the gateway's address there";
        row.require("to", example, problems);
        let to = selector.to.iter().flatten();
        for zone in to.filter_map(|place| match place {
            Place::Zone(zone) => known.zones.zones.get(*zone),
            Place::Gateway => None,
        }) {
            if zone.addresses.is_empty() {
                problems.push(
                    Diagnostic::new(
                        Code::MasqueradeWithoutAddress,
                        value.span(),
                        format!("the gateway has no address in the zone `{}`", zone.name),
                    )
                    .label("there is no address to take")
                    .help(format!(
                        "give the zone `{}` an `address`, or name one here in place of \"masquerade\"",
                        zone.name
                    )),
                );
            }
        }
    }
    Some(SourceNat {
        name,
        selector,
        target,
    })
}

/// Reads what a source becomes.
fn target(value: &Value<'_>, problems: &mut Problems) -> Option<SourceTarget> {
    match value.get_ref() {
        DeValue::String(word) if word == "masquerade" => return Some(SourceTarget::Masquerade),
        DeValue::String(word) if word == "none" => return Some(SourceTarget::Exempt),
        DeValue::String(_) | DeValue::Array(_) => {}
        _ => {
            let expected = "\"masquerade\", \"none\", an address or an array of addresses";
            return table::wrong_type(value, expected, problems);
        }
    }
    let mut all: Vec<(IpAddr, Range<usize>)> = Vec::new();
    for item in table::one_or_many(value, problems) {
        let Some(text) = table::text(item, "an address", problems) else {
            continue;
        };
        if let Some(address) = target_address(&text, problems) {
            let family = Family::of(address);
            if let Some((_, before)) = all.iter().find(|(a, _)| Family::of(*a) == family) {
                problems.push(
                    Diagnostic::new(
                        Code::TwoAddresses,
                        item.span(),
                        format!("two {family} addresses: the second would never be used"),
                    )
                    .label("this one")
                    .also(before.clone(), "the first")
                    .help("at most one address of each family"),
                );
            } else {
                all.push((address, item.span()));
            }
        }
    }
    Some(SourceTarget::Addresses(
        all.into_iter().map(|(address, _)| address).collect(),
    ))
}

fn target_address(text: &Text<'_>, problems: &mut Problems) -> Option<IpAddr> {
    let words = ["masquerade", "none"];
    let word = *text.get_ref();
    if let Some(near) = super::names::nearest(word, words.into_iter()) {
        let help = if near == word {
            format!("`{near}` stands alone: `as = \"{near}\"`")
        } else {
            format!("did you mean `{near}`?")
        };
        problems.push(
            Diagnostic::new(
                Code::UnknownWord,
                text.span(),
                format!("`{}` is nothing that a source can become", shortened(word)),
            )
            .label("expected an address")
            .help(help),
        );
        return None;
    }
    addresses::parse_address(text, problems)
}
