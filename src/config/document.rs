//! A whole rule file: TOML, then its sections in the order in which they need
//! each other.

use std::path::Path;

use toml::Spanned;
use toml::de::DeValue;

use super::addresses::Sets;
use super::code::Code;
use super::devices;
use super::diagnostic::{Diagnostic, Problems};
use super::ids::Ids;
use super::lifetimes::{self, LifetimeTable};
use super::locations::Spans;
use super::names::{self, MOST_ENTRIES, too_many};
use super::services::ServiceTable;
use super::table::{self, Row, shortened};
use super::zones::ZoneTable;
use super::{Compiled, alg, limits, lint, nat, rules, syntax, timeouts};
use crate::engine::{FragmentLimits, Policy};
use crate::net::Profile;
use crate::rules::RuleSet;

const SECTIONS: [&str; 11] = [
    "version",
    "profile",
    "zones",
    "sets",
    "services",
    "lifetimes",
    "timeouts",
    "limits",
    "alg",
    "policy",
    "nat",
];

const PROFILES: [(&str, Profile); 3] = [
    ("linux", Profile::Linux),
    ("rfc", Profile::Rfc),
    ("carrier", Profile::Carrier),
];

/// The version of the format that this program reads.
const VERSION: i64 = 1;

/// What rows can name.
#[derive(Debug)]
pub(super) struct Known<'t> {
    pub(super) zones: ZoneTable<'t>,
    pub(super) sets: Sets<'t>,
    pub(super) lifetimes: LifetimeTable<'t>,
    pub(super) services: ServiceTable<'t>,
    pub(super) profile: Profile,
}

/// Reads a rule file's text. What comes back is a policy to use only where
/// nothing was reported.
pub(super) fn read(file: &Path, text: &str, problems: &mut Problems) -> Option<Compiled> {
    let tree = syntax::parse(text, problems)?;
    let row = Row::of(tree.get_ref(), 0..0, "a rule file", &SECTIONS, problems);
    version(&row, problems);
    let profile = profile(&row, problems);
    let zones = row.require("zones", "`[zones]` with a line for each zone", problems);
    let zones = zones.and_then(|value| table::table(value, "`[zones]`", problems));
    if let (Some(zones), Some(place)) = (zones, row.key_span("zones"))
        && zones.is_empty()
    {
        problems.push(
            Diagnostic::new(Code::Empty, place, "the file has no zone")
                .label("nothing here")
                .help("such as `lan = { tun = \"lan0\", net = [\"10.0.0.0/24\"] }`"),
        );
    }
    let mut section = |name: &'static str, title: &str| {
        let value = row.get(name)?;
        let table = table::table(value, title, problems)?;
        Some(Spanned::new(value.span(), table))
    };
    let sets = section("sets", "`[sets]`").map(Spanned::into_inner);
    let services = section("services", "`[services]`").map(Spanned::into_inner);
    let lifetimes = section("lifetimes", "`[lifetimes]`").map(Spanned::into_inner);
    let timeouts = section("timeouts", "`[timeouts]`").map(Spanned::into_inner);
    let limits = section("limits", "`[limits]`").map(Spanned::into_inner);
    let alg = section("alg", "`[alg]`");
    let policy = section("policy", "`[policy]`");
    let nat = section("nat", "`[nat]`");

    let general = timeouts::read(timeouts, profile, problems);
    let mut lifetimes = LifetimeTable::read(lifetimes, general.lifetime, profile, problems);
    let mut known = Known {
        zones: ZoneTable::read(zones, problems),
        sets: Sets::read(sets, problems),
        services: ServiceTable::read(services, &mut lifetimes, problems),
        profile,
        lifetimes,
    };
    let between = lifetimes::between(general.between, &known, problems);
    known.lifetimes.lifetimes.set_between(between);
    let devices = devices::gather(&mut known.zones, problems);
    let algs = alg::read(alg.as_ref(), (&known.services.services, profile), problems);
    let limits = limits::read(limits, profile, problems);
    let (mut ids, mut spans) = (Ids::default(), Spans::default());
    let policy = rules::read(policy.as_ref(), &known, &mut ids, &mut spans, problems);
    let nat = nat::read(nat.as_ref(), &known, &mut ids, &mut spans, problems);

    // What forwards admit comes after all written rules.
    let mut rules = policy.rules;
    let written = rules.len();
    for (rule, place) in nat.rules {
        rules.push(rule);
        spans.rules.push(place);
    }
    if let Some(place) = spans.rules.get(MOST_ENTRIES) {
        too_many(place.clone(), "rule", problems);
    }
    let compiled = Policy {
        profile,
        zones: known.zones.zones,
        services: known.services.services,
        rules: RuleSet::new(rules, policy.default),
        nat: nat.policy,
        limits: limits.limits,
        fragments: FragmentLimits {
            patience: general.patience,
            ..limits.fragments
        },
        answers: limits.answers,
        no_room: limits.no_room,
        unsolicited_syn: policy.unsolicited_syn,
        on_reload: policy.on_reload,
        route_options: policy.route_options,
        tcp: general.checks,
        lifetimes: known.lifetimes.lifetimes,
        algs,
    };
    if problems.is_empty() {
        lint::across(&compiled, written, &spans, problems);
    }
    Some(Compiled {
        policy: compiled,
        devices,
        locations: spans.locate(file, text),
        lints: None,
    })
}

/// Whose word holds where the file says nothing.
fn profile(row: &Row<'_>, problems: &mut Problems) -> Profile {
    row.get("profile")
        .and_then(|value| {
            let word = table::text(value, "\"linux\" or \"rfc\"", problems)?;
            names::choose(&word, &PROFILES, "profile", problems)
        })
        .unwrap_or_default()
}

fn version(row: &Row<'_>, problems: &mut Problems) {
    let Some(value) = row.require("version", "`version = 1` as the first line", problems) else {
        return;
    };
    let Some(version) = table::integer(value, "the number of the format's version", problems)
    else {
        return;
    };
    if version != VERSION {
        let shown = match value.get_ref() {
            DeValue::Integer(number) => shortened(&number.to_string()),
            _ => version.to_string(),
        };
        problems.push(
            Diagnostic::new(
                Code::Version,
                value.span(),
                format!("this program does not read version {shown} of the format"),
            )
            .label("expected 1"),
        );
    }
}
