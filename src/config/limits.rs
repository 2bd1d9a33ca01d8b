//! `[limits]`: how many sessions there may be, how much is kept of datagrams in
//! pieces, and how often the gateway itself speaks.

use std::ops::RangeInclusive;

use toml::de::{DeTable, DeValue};

use super::code::Code;
use super::diagnostic::{Diagnostic, Problems};
use super::table::{self, Row, Value, shortened};
use super::{names, word};
use crate::engine::{AnswerRates, FragmentLimits, Rate};
use crate::nat::NoMapping;
use crate::net::Profile;
use crate::session::{Limits, WhenFull};

const KEYS: [&str; 16] = [
    "sessions",
    "half-open",
    "per-source",
    "per-source-rate",
    "when-full",
    "fragment-memory",
    "fragment-memory-per-source",
    "fragment-datagrams",
    "fragment-datagrams-per-source",
    "expectations",
    "no-room",
    "errors-per-second",
    "errors-burst",
    "errors-per-target",
    "resets-per-second",
    "resets-burst",
];

const WHEN_FULL: [(&str, WhenFull); 2] = [
    ("evict-idle", WhenFull::EvictIdle),
    ("refuse", WhenFull::Refuse),
];

/// The word for no limit.
const UNLIMITED: &str = "unlimited";

/// Numbers of sessions: the most take some three gigabytes.
const COUNTS: RangeInclusive<u32> = 1..=16_777_216;
/// Octets for pieces: the longest datagram always finds room.
const OCTETS: RangeInclusive<u32> = 131_072..=1_073_741_824;
/// Numbers of incomplete datagrams.
const DATAGRAMS: RangeInclusive<u32> = 1..=1_048_576;
/// Numbers a second.
const RATES: RangeInclusive<u32> = 1..=1_000_000;

/// What `[limits]` says.
#[derive(Debug)]
pub(super) struct LimitsSection {
    pub(super) limits: Limits,
    pub(super) answers: AnswerRates,
    pub(super) fragments: FragmentLimits,
    pub(super) no_room: NoMapping,
}

/// Reads the section `[limits]`; what it leaves out keeps its default.
pub(super) fn read<'t>(
    section: Option<&'t DeTable<'t>>,
    profile: Profile,
    problems: &mut Problems,
) -> LimitsSection {
    let (mut limits, mut answers) = (Limits::of(profile), AnswerRates::default());
    let mut fragments = FragmentLimits::default();
    let Some(section) = section else {
        return LimitsSection {
            limits,
            answers,
            fragments,
            no_room: NoMapping::Silent,
        };
    };
    let row = Row::of(section, 0..0, "`[limits]`", &KEYS, problems);
    if let Some(most) = row
        .get("sessions")
        .and_then(|value| number(value, &COUNTS, problems))
    {
        limits.sessions = most as usize;
    }
    for (key, limit) in [
        ("half-open", &mut limits.half_open),
        ("per-source", &mut limits.per_source),
    ] {
        let most = row
            .get(key)
            .and_then(|value| limited(value, &COUNTS, problems));
        if let Some(most) = most {
            *limit = most.map(|most| most as usize);
        }
        if limit.is_some_and(|most| most >= limits.sessions) {
            no_effect(
                &row,
                key,
                "it is as many as the whole table may hold",
                problems,
            );
        }
    }
    if let Some(most) = row
        .get("expectations")
        .and_then(|value| number(value, &COUNTS, problems))
    {
        limits.expectations = most as usize;
    }
    limits.per_source_rate = row
        .get("per-source-rate")
        .and_then(|value| match value.get_ref() {
            DeValue::String(_) => limited(value, &RATES, problems).and(None),
            _ => rate_of(value, problems),
        });
    let word = row.get("when-full").and_then(|value| {
        let word = table::text(value, "\"evict-idle\" or \"refuse\"", problems)?;
        names::choose(&word, &WHEN_FULL, "way to make room", problems)
    });
    limits.when_full = word.unwrap_or(limits.when_full);

    pieces(&row, &mut fragments, problems);

    rate(
        &row,
        ["errors-per-second", "errors-burst"],
        &mut answers.errors,
        Burst::AsBefore,
        problems,
    );
    rate(
        &row,
        ["resets-per-second", "resets-burst"],
        &mut answers.resets,
        Burst::OfASecond,
        problems,
    );
    let per_target = row
        .get("errors-per-target")
        .and_then(|value| limited(value, &RATES, problems));
    if let Some(per_second) = per_target {
        answers.per_target =
            per_second.map(|per_second| Rate::new(per_second, AnswerRates::BURST_OF_TARGET));
    }
    // Whoever floods is told nothing, unless the file wants it.
    let no_room = word::to_sender(&row, "no-room", problems).unwrap_or_default();
    LimitsSection {
        limits,
        answers,
        fragments,
        no_room,
    }
}

/// Reads how much is kept of datagrams that are not whole.
fn pieces(row: &Row<'_>, limits: &mut FragmentLimits, problems: &mut Problems) {
    for (key, of_source, within, all, own) in [
        (
            "fragment-memory",
            "fragment-memory-per-source",
            &OCTETS,
            &mut limits.octets,
            &mut limits.octets_of_source,
        ),
        (
            "fragment-datagrams",
            "fragment-datagrams-per-source",
            &DATAGRAMS,
            &mut limits.datagrams,
            &mut limits.datagrams_of_source,
        ),
    ] {
        for (key, limit) in [(key, &mut *all), (of_source, &mut *own)] {
            let most = row
                .get(key)
                .and_then(|value| number(value, within, problems));
            if let Some(most) = most {
                *limit = most as usize;
            }
        }
        if *own > *all {
            let why = format!("it is more than all may have (`{key}`)");
            no_effect(row, of_source, &why, problems);
        }
    }
}

/// How many at a time, where only the number a second is given.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Burst {
    /// As many as by default.
    AsBefore,
    /// As many as in a second.
    OfASecond,
}

/// Reads how many a second, and how many at a time.
fn rate(
    row: &Row<'_>,
    [per_second, burst]: [&str; 2],
    limit: &mut Option<Rate>,
    otherwise: Burst,
    problems: &mut Problems,
) {
    let Some(default) = *limit else { return };
    let given = row
        .get(per_second)
        .and_then(|value| limited(value, &RATES, problems));
    let at_a_time = row
        .get(burst)
        .and_then(|value| number(value, &RATES, problems));
    let per_second = match given {
        Some(Some(per_second)) => per_second,
        Some(None) => {
            *limit = None;
            if at_a_time.is_some() {
                no_effect(row, burst, "there is no limit that it could ease", problems);
            }
            return;
        }
        None => default.per_second.get(),
    };
    let burst = at_a_time.unwrap_or(match otherwise {
        Burst::AsBefore => default.burst.get(),
        Burst::OfASecond => per_second,
    });
    *limit = Some(Rate::new(per_second, burst));
}

fn no_effect(row: &Row<'_>, key: &str, why: &str, problems: &mut Problems) {
    if let Some(span) = row.key_span(key) {
        problems.push(
            Diagnostic::new(
                Code::NoEffect,
                span,
                format!("`{key}` limits nothing: {why}"),
            )
            .label("no effect"),
        );
    }
}

/// Reads a number, or the word for none (`Some(None)`).
fn limited(
    value: &Value<'_>,
    within: &RangeInclusive<u32>,
    problems: &mut Problems,
) -> Option<Option<u32>> {
    match value.get_ref() {
        DeValue::String(_) => {
            let word = table::text(value, "", problems)?;
            names::choose(&word, &[(UNLIMITED, ())], "limit", problems)?;
            Some(None)
        }
        _ => number(value, within, problems).map(Some),
    }
}

/// Reads how many a second, or that with how many at a time.
pub(super) fn rate_of(value: &Value<'_>, problems: &mut Problems) -> Option<Rate> {
    if !matches!(value.get_ref(), DeValue::Table(_)) {
        let per_second = number(value, &RATES, problems)?;
        return Some(Rate::new(per_second, per_second));
    }
    let keys = ["per-second", "burst"];
    let by = Row::read(value, "a rate", &keys, problems)?;
    let per_second = by.require("per-second", "`per-second = 20`", problems)?;
    let per_second = number(per_second, &RATES, problems)?;
    let burst = by.get("burst").and_then(|v| number(v, &RATES, problems));
    Some(Rate::new(per_second, burst.unwrap_or(per_second)))
}

/// Reads how many sessions there may be.
pub(super) fn sessions(value: &Value<'_>, problems: &mut Problems) -> Option<u32> {
    number(value, &COUNTS, problems)
}

/// Reads a number within these bounds.
pub(super) fn number(
    value: &Value<'_>,
    within: &RangeInclusive<u32>,
    problems: &mut Problems,
) -> Option<u32> {
    let number = table::integer(value, "a number", problems)?;
    let found = u32::try_from(number)
        .ok()
        .filter(|number| within.contains(number));
    if found.is_none() {
        let shown = match value.get_ref() {
            DeValue::Integer(number) => shortened(&number.to_string()),
            _ => number.to_string(),
        };
        problems.push(
            Diagnostic::new(
                Code::BadNumber,
                value.span(),
                format!("{shown} cannot stand here"),
            )
            .label(format!("from {} to {}", within.start(), within.end())),
        );
    }
    found
}
