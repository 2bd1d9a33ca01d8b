//! `[policy]`: the default and the rules, first match first.

use std::num::NonZeroU16;
use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::code::Code;
use super::diagnostic::{Diagnostic, Problems};
use super::document::Known;
use super::ids::Ids;
use super::limits;
use super::locations::Spans;
use super::names;
use super::table::{self, Row, Value};
use crate::engine::{OnReload, Passage, RouteOptions, UnsolicitedSyn};
use crate::net::{AddressSet, AlgKind, Profile, Selector};
use crate::rules::{Action, Judges, Mss, Rule};

const KEYS: [&str; 6] = [
    "default",
    "rules",
    "unsolicited-syn",
    "on-reload",
    "source-route",
    "record-route",
];
const PASSAGES: [(&str, Passage); 2] = [("pass", Passage::Pass), ("drop", Passage::Drop)];
const RULE_KEYS: [&str; 12] = [
    "id",
    "from",
    "to",
    "src",
    "dst",
    "service",
    "ct",
    "action",
    "lifetime",
    "max-sessions",
    "mss",
    "third-party",
];
const CLASSES: [(&str, Judges); 3] = [
    ("new", Judges::Connections),
    ("related", Judges::Related),
    ("invalid", Judges::Invalid),
];
const UNSOLICITED: [(&str, UnsolicitedSyn); 2] = [
    ("refuse", UnsolicitedSyn::Refuse),
    ("hold", UnsolicitedSyn::Hold),
];
const ON_RELOAD: [(&str, OnReload); 2] = [("keep", OnReload::Keep), ("recheck", OnReload::Recheck)];
const ACTIONS: [(&str, Action); 3] = [
    ("allow", Action::Allow),
    ("drop", Action::Drop),
    ("reject", Action::Reject),
];

/// What `[policy]` says.
#[derive(Debug)]
pub(super) struct PolicySection {
    pub(super) default: Action,
    pub(super) rules: Vec<Rule>,
    pub(super) unsolicited_syn: UnsolicitedSyn,
    pub(super) on_reload: OnReload,
    pub(super) route_options: RouteOptions,
}

/// Reads the section `[policy]`. A file without one drops all.
pub(super) fn read<'t>(
    section: Option<&'t Spanned<&'t DeTable<'t>>>,
    known: &Known<'t>,
    ids: &mut Ids<'t>,
    spans: &mut Spans,
    problems: &mut Problems,
) -> PolicySection {
    let mut policy = PolicySection {
        default: Action::Drop,
        rules: Vec::new(),
        // RFC 5382 REQ-4 against what every Linux host does.
        unsolicited_syn: match known.profile {
            Profile::Linux => UnsolicitedSyn::Refuse,
            Profile::Rfc | Profile::Carrier => UnsolicitedSyn::Hold,
        },
        on_reload: OnReload::default(),
        route_options: RouteOptions::default(),
    };
    let Some(section) = section else {
        return policy;
    };
    let row = Row::of(
        section.get_ref(),
        section.span(),
        "`[policy]`",
        &KEYS,
        problems,
    );
    if let Some(value) = row.get("default") {
        let start = row
            .key_span("default")
            .map_or(value.span().start, |key| key.start);
        spans.default = Some(start..value.span().end);
        policy.default = action(value, problems).unwrap_or(Action::Drop);
    }
    let word = row.get("unsolicited-syn").and_then(|value| {
        let word = table::text(value, "\"refuse\" or \"hold\"", problems)?;
        names::choose(&word, &UNSOLICITED, "way with unsolicited SYNs", problems)
    });
    policy.unsolicited_syn = word.unwrap_or(policy.unsolicited_syn);
    let word = row.get("on-reload").and_then(|value| {
        let word = table::text(value, "\"keep\" or \"recheck\"", problems)?;
        names::choose(&word, &ON_RELOAD, "way with sessions at a reload", problems)
    });
    policy.on_reload = word.unwrap_or_default();
    let options = &mut policy.route_options;
    for (key, passage) in [
        ("source-route", &mut options.source),
        ("record-route", &mut options.record),
    ] {
        let word = row.get(key).and_then(|value| {
            let word = table::text(value, "\"pass\" or \"drop\"", problems)?;
            names::choose(&word, &PASSAGES, "passage", problems)
        });
        *passage = word.unwrap_or(*passage);
        if let (Some(Passage::Pass), Some(place)) = (word, row.key_span(key)) {
            spans.route_options.push(place);
        }
    }
    let rows = row.get("rules");
    for value in rows
        .and_then(|rows| table::array(rows, "an array of rules", problems))
        .unwrap_or_default()
    {
        if let Some(row) = Row::read(value, "a rule", &RULE_KEYS, problems) {
            spans.rules.push(row.extent());
            policy.rules.push(rule(&row, known, ids, problems));
        }
    }
    policy
}

fn rule<'t>(row: &Row<'t>, known: &Known<'t>, ids: &mut Ids<'t>, problems: &mut Problems) -> Rule {
    let name = ids.read(row, "rule", problems);
    let example = "`action = \"allow\"`, `\"drop\"` or `\"reject\"`";
    let action = row
        .require("action", example, problems)
        .and_then(|value| action(value, problems));
    let lifetime = known.lifetimes.named(row, problems);
    if let (Some(Action::Drop | Action::Reject), Some(key)) = (action, row.key_span("lifetime")) {
        problems.push(
            Diagnostic::new(
                Code::NoEffect,
                key,
                "a rule that lets nothing in has no sessions that could live",
            )
            .label("no effect")
            .help("leave `lifetime` out, or let the rule allow"),
        );
    }
    let class = row.get("ct").and_then(|value| {
        let word = table::text(value, "\"new\", \"related\" or \"invalid\"", problems)?;
        names::choose(&word, &CLASSES, "class of packets", problems)
    });
    let lets_in = LetsIn::of(action, class);
    Rule {
        name,
        judges: class.unwrap_or_default(),
        selector: selector(row, known, problems),
        action: action.unwrap_or(Action::Drop),
        max_sessions: max_sessions(row, lets_in, problems),
        lifetime,
        mss: mss(row, lets_in, known, problems),
        third_parties: third_parties(row, lets_in, known, problems),
    }
}

/// Whether sessions begin by a rule's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LetsIn {
    Sessions,
    Nothing,
}

impl LetsIn {
    fn of(action: Option<Action>, class: Option<Judges>) -> Self {
        match (action, class) {
            (Some(Action::Drop | Action::Reject), _)
            | (_, Some(Judges::Invalid | Judges::Related)) => Self::Nothing,
            (_, _) => Self::Sessions,
        }
    }
}

/// Reads whom control sessions may name beside their own two ends.
fn third_parties<'t>(
    row: &Row<'t>,
    lets_in: LetsIn,
    known: &Known<'t>,
    problems: &mut Problems,
) -> Option<AddressSet> {
    let value = row.get("third-party")?;
    let named = known.sets.addresses(Some(value), problems);
    let services = &known.services.services;
    let is_read = services
        .iter()
        .any(|(_, service)| service.alg == Some(AlgKind::Ftp));
    let idle = match lets_in {
        LetsIn::Nothing => Some("a rule that lets no session in has none that names anybody"),
        LetsIn::Sessions if !is_read => Some("no service has `alg = \"ftp\"`"),
        LetsIn::Sessions => None,
    };
    if let (Some(why), Some(key)) = (idle, row.key_span("third-party")) {
        problems.push(Diagnostic::new(Code::NoEffect, key, why).label("no effect"));
    }
    named
}

/// What a SYN may announce: Linux takes no less than 88 octets for any.
const MSS: RangeInclusive<u32> = 88..=65_495;

fn mss(row: &Row<'_>, lets_in: LetsIn, known: &Known<'_>, problems: &mut Problems) -> Option<Mss> {
    let value = row.get("mss")?;
    let mss = match value.get_ref() {
        DeValue::String(_) => {
            let word = table::text(value, "", problems)?;
            names::choose(&word, &[("mtu", Mss::Mtu)], "segment size", problems)?
        }
        _ => {
            let octets = limits::number(value, &MSS, problems)?;
            Mss::Octets(u16::try_from(octets).ok().and_then(NonZeroU16::new)?)
        }
    };
    let has_mtu = known.zones.zones.iter().any(|(_, zone)| zone.mtu.is_some());
    let idle = match (lets_in, mss) {
        (LetsIn::Nothing, _) => Some("a rule that lets no session in has no segments to shorten"),
        (_, Mss::Mtu) if !has_mtu => Some("no zone has an `mtu` that segments would have to fit"),
        _ => None,
    };
    if let (Some(why), Some(key)) = (idle, row.key_span("mss")) {
        problems.push(Diagnostic::new(Code::NoEffect, key, why).label("no effect"));
    }
    Some(mss)
}

/// How many sessions a rule may have let in: one that lets none in needs no limit.
fn max_sessions(row: &Row<'_>, lets_in: LetsIn, problems: &mut Problems) -> Option<u32> {
    let most = limits::sessions(row.get("max-sessions")?, problems);
    if let (LetsIn::Nothing, Some(span)) = (lets_in, row.key_span("max-sessions")) {
        problems.push(
            Diagnostic::new(
                Code::NoEffect,
                span,
                "a rule that lets no session in has none to count",
            )
            .label("no effect")
            .help("leave `max-sessions` out, or let the rule `allow` connections"),
        );
    }
    most
}

/// Reads `from`, `to`, `src`, `dst` and `service`.
pub(super) fn selector<'t>(row: &Row<'t>, known: &Known<'t>, problems: &mut Problems) -> Selector {
    Selector {
        from: known.zones.named(row.get("from"), problems),
        to: known.zones.places(row.get("to"), problems),
        source: known.sets.addresses(row.get("src"), problems),
        destination: known.sets.addresses(row.get("dst"), problems),
        services: known.services.named(row.get("service"), problems),
        traffic: None,
    }
}

fn action(value: &Value<'_>, problems: &mut Problems) -> Option<Action> {
    let word = table::text(value, "\"allow\", \"drop\" or \"reject\"", problems)?;
    names::choose(&word, &ACTIONS, "action", problems)
}
