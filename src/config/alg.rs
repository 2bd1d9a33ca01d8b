//! `[alg]`: how the application-layer gateways read.

use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::code::Code;
use super::diagnostic::{Diagnostic, Problems};
use super::limits;
use super::names;
use super::services;
use super::spelling::one_of;
use super::table::{self, Row, Value, shortened};
use crate::alg::Settings;
use crate::alg::ftp::{
    self, ActiveFrom, ActiveOpens, AfterAuth, DefaultPort, Passage, PassiveHost, Strictness,
    ThirdParty,
};
use crate::net::{AlgKind, Port, Profile, Services};

const KEYS: [&str; 1] = ["ftp"];
const FTP_KEYS: [&str; 14] = [
    "strict",
    "data-ports",
    "refused-ports",
    "third-party",
    "passive-host",
    "deny-commands",
    "after-auth-tls",
    "lprt",
    "longest-line",
    "long-lines",
    "active-opens",
    "active-from",
    "default-port",
    "max-expected",
];

const THIRD_PARTY: [(&str, ThirdParty); 2] =
    [("ignore", ThirdParty::Ignore), ("block", ThirdParty::Block)];
const PASSIVE_HOST: [(&str, PassiveHost); 2] = [
    ("named", PassiveHost::Named),
    ("server", PassiveHost::Server),
];
const AFTER_AUTH: [(&str, AfterAuth); 3] = [
    ("pass", AfterAuth::Pass),
    ("block", AfterAuth::Block),
    ("ccc", AfterAuth::Ccc),
];
const PASSAGE: [(&str, Passage); 2] = [("pass", Passage::Pass), ("block", Passage::Block)];
const ACTIVE_OPENS: [(&str, ActiveOpens); 2] = [
    ("announced", ActiveOpens::Announced),
    ("accepted", ActiveOpens::Accepted),
];
const ACTIVE_FROM: [(&str, ActiveFrom); 2] =
    [("any", ActiveFrom::Any), ("one-below", ActiveFrom::Below)];

/// How many data sessions one control session may expect: a client that asks for
/// several ahead asks for a few.
const EXPECTED: RangeInclusive<u32> = 1..=64;

/// How much of a line may be read. From 512 octets on no announcement that is
/// used is too long; a control session keeps up to so many of either direction.
const LONGEST_LINE: RangeInclusive<u32> = 512..=4096;

/// Without these nobody logs in, or learns where a transfer goes: to keep
/// them from a server is to keep the service.
const NEEDED: [&str; 3] = ["USER", "PASS", "QUIT"];

/// Reads the section `[alg]`.
pub(super) fn read<'t>(
    section: Option<&Spanned<&'t DeTable<'t>>>,
    (services, profile): (&Services, Profile),
    problems: &mut Problems,
) -> Settings {
    let mut settings = Settings::default();
    settings.ftp.active_opens = ActiveOpens::of(profile);
    let Some(section) = section else {
        return settings;
    };
    let row = Row::of(
        section.get_ref(),
        section.span(),
        "`[alg]`",
        &KEYS,
        problems,
    );
    let Some(value) = row.get("ftp") else {
        return settings;
    };
    if let Some(ftp) = Row::read(value, "`[alg.ftp]`", &FTP_KEYS, problems) {
        read_ftp(&ftp, &mut settings.ftp, problems);
    }
    let is_used = services
        .iter()
        .any(|(_, service)| service.alg == Some(AlgKind::Ftp));
    if let (false, Some(key)) = (is_used, row.key_span("ftp")) {
        problems.push(
            Diagnostic::new(Code::NoEffect, key, "no service has this ALG")
                .label("no effect")
                .help("give a service `alg = \"ftp\"`, or leave this section out"),
        );
    }
    settings
}

fn read_ftp(row: &Row<'_>, ftp: &mut ftp::Settings, problems: &mut Problems) {
    let on = |key, problems: &mut Problems| table::boolean(row.get(key)?, problems);
    if let Some(strict) = on("strict", problems) {
        ftp.strictness = match strict {
            true => Strictness::Dialogue,
            false => Strictness::Lines,
        };
    }
    if let Some(used) = on("default-port", problems) {
        ftp.default_port = match used {
            true => DefaultPort::Used,
            false => DefaultPort::Unused,
        };
    }
    if let Some(value) = row.get("data-ports") {
        ftp.data_ports = ranges(table::one_or_many(value, problems), problems);
    }
    if let Some(value) = row.get("refused-ports") {
        let items = match value.get_ref() {
            DeValue::Array(items) => items.iter().collect(),
            _ => vec![value],
        };
        ftp.refused_ports = ranges(items, problems);
    }
    choose(
        row,
        "third-party",
        &THIRD_PARTY,
        &mut ftp.third_party,
        problems,
    );
    choose(
        row,
        "passive-host",
        &PASSIVE_HOST,
        &mut ftp.passive_host,
        problems,
    );
    choose(
        row,
        "after-auth-tls",
        &AFTER_AUTH,
        &mut ftp.after_auth_tls,
        problems,
    );
    choose(row, "lprt", &PASSAGE, &mut ftp.long_addresses, problems);
    if let Some(longest) = row
        .get("longest-line")
        .and_then(|value| limits::number(value, &LONGEST_LINE, problems))
    {
        ftp.longest_line = longest as usize;
    }
    choose(row, "long-lines", &PASSAGE, &mut ftp.long_lines, problems);
    choose(
        row,
        "active-opens",
        &ACTIVE_OPENS,
        &mut ftp.active_opens,
        problems,
    );
    choose(
        row,
        "active-from",
        &ACTIVE_FROM,
        &mut ftp.active_from,
        problems,
    );
    if let Some(most) = row
        .get("max-expected")
        .and_then(|value| limits::number(value, &EXPECTED, problems))
    {
        ftp.most_expected = most as usize;
    }
    if let Some(value) = row.get("deny-commands") {
        ftp.denied = denied(value, problems);
    }
}

fn ranges(items: Vec<&Value<'_>>, problems: &mut Problems) -> Vec<RangeInclusive<Port>> {
    items
        .into_iter()
        .filter_map(|item| services::range(item, problems))
        .collect()
}

fn choose<T: Copy>(
    row: &Row<'_>,
    key: &'static str,
    choices: &[(&str, T)],
    setting: &mut T,
    problems: &mut Problems,
) {
    let Some(value) = row.get(key) else { return };
    let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
    let Some(word) = table::text(value, &one_of(&words, "or"), problems) else {
        return;
    };
    if let Some(chosen) = names::choose(&word, choices, key, problems) {
        *setting = chosen;
    }
}

/// Reads the verbs that do not reach a server.
fn denied(value: &Value<'_>, problems: &mut Problems) -> Vec<String> {
    let mut verbs = Vec::new();
    for text in table::texts(value, "a command such as \"SITE\"", problems) {
        let verb: &str = text.get_ref();
        let is_verb =
            (1..=16).contains(&verb.len()) && verb.bytes().all(|b| b.is_ascii_alphanumeric());
        let wrong = if !is_verb {
            Some((
                "is no command of FTP",
                "a command is one word, such as `SITE`",
            ))
        } else if NEEDED
            .iter()
            .any(|needed| needed.eq_ignore_ascii_case(verb))
        {
            Some((
                "is a command without which there is no session",
                "to refuse the service, leave it out of the rules that allow it",
            ))
        } else {
            None
        };
        match wrong {
            Some((why, help)) => problems.push(
                Diagnostic::new(
                    Code::BadName,
                    text.span(),
                    format!("`{}` {why}", shortened(verb)),
                )
                .label("not to be denied")
                .help(help),
            ),
            None => verbs.push(verb.to_ascii_uppercase()),
        }
    }
    verbs
}
