//! `[timeouts]`: how long sessions live without traffic, how they end, and what
//! may begin one and keep it alive. Also the keys that it shares with the tables
//! of `[lifetimes]`.

use std::time::Duration;

use toml::de::DeTable;

use super::diagnostic::Problems;
use super::floors;
use super::services::read_duration;
use super::spelling;
use super::table::{self, Row, Value};
use super::{lint, names};
use crate::engine::Patience;
use crate::net::Profile;
use crate::session::{Lifetime, OnExpiry, PickUp, Refresh, Resets, TcpChecks, Timeouts, Windows};

/// A timeout by the name that the file gives it.
type Field = fn(&mut Timeouts) -> &mut Duration;

/// How long pieces wait, by the name that the file gives it.
type Wait = fn(&mut Patience) -> &mut Duration;

/// Every timeout with what it sets.
pub(super) const FIELDS: &[(&str, Field)] = &[
    ("tcp-syn-sent", |t| &mut t.tcp_syn_sent),
    ("tcp-syn-recv", |t| &mut t.tcp_syn_recv),
    ("tcp-established", |t| &mut t.tcp_established),
    ("tcp-fin-wait", |t| &mut t.tcp_fin_wait),
    ("tcp-close-wait", |t| &mut t.tcp_close_wait),
    ("tcp-last-ack", |t| &mut t.tcp_last_ack),
    ("tcp-time-wait", |t| &mut t.tcp_time_wait),
    ("tcp-close", |t| &mut t.tcp_close),
    ("tcp-unacknowledged", |t| &mut t.tcp_unacknowledged),
    ("tcp-max-retrans", |t| &mut t.tcp_max_retrans),
    ("udp", |t| &mut t.udp),
    ("udp-stream", |t| &mut t.udp_stream),
    ("sctp-closed", |t| &mut t.sctp_closed),
    ("sctp-cookie-wait", |t| &mut t.sctp_cookie_wait),
    ("sctp-cookie-echoed", |t| &mut t.sctp_cookie_echoed),
    ("sctp-established", |t| &mut t.sctp_established),
    ("sctp-shutdown-sent", |t| &mut t.sctp_shutdown_sent),
    ("sctp-shutdown-recd", |t| &mut t.sctp_shutdown_recd),
    ("sctp-shutdown-ack-sent", |t| &mut t.sctp_shutdown_ack_sent),
    ("sctp-heartbeat-sent", |t| &mut t.sctp_heartbeat_sent),
    ("gre", |t| &mut t.gre),
    ("gre-stream", |t| &mut t.gre_stream),
    ("icmp", |t| &mut t.icmp),
    ("icmpv6", |t| &mut t.icmpv6),
    ("generic", |t| &mut t.generic),
    ("expectation", |t| &mut t.expectation),
    ("probe", |t| &mut t.probe),
];

/// What a lifetime says besides its timeouts.
const WAYS: [&str; 2] = ["on-expiry", "refresh"];
/// What `[timeouts]` alone can say.
const CHECKS: [&str; 4] = ["pick-up", "windows", "resets", "between"];
/// How long pieces wait for the others: these belong to no session.
const PIECES: [(&str, Wait); 2] = [
    ("fragments-v4", |patience| &mut patience.v4),
    ("fragments-v6", |patience| &mut patience.v6),
];

const PICK_UPS: [(&str, PickUp); 2] = [("never", PickUp::Never), ("loose", PickUp::Loose)];
const WINDOWS: [(&str, Windows); 2] = [("strict", Windows::Strict), ("liberal", Windows::Liberal)];
const RESETS: [(&str, Resets); 3] = [
    ("checked", Resets::Checked),
    ("lenient", Resets::Lenient),
    ("exact", Resets::Exact),
];
const ON_EXPIRY: [(&str, OnExpiry); 3] = [
    ("silent", OnExpiry::Silent),
    ("reset", OnExpiry::Reset),
    ("probe", OnExpiry::Probe),
];
const REFRESH: [(&str, Refresh); 2] = [("both", Refresh::BothEnds), ("client", Refresh::Client)];

/// What `[timeouts]` says.
#[derive(Debug)]
pub(super) struct General<'t> {
    pub(super) lifetime: Lifetime,
    pub(super) checks: TcpChecks,
    pub(super) patience: Patience,
    /// The rows about zones.
    pub(super) between: Option<&'t Value<'t>>,
}

/// Reads the section `[timeouts]`; what it leaves out is as the profile has it.
pub(super) fn read<'t>(
    section: Option<&'t DeTable<'t>>,
    profile: Profile,
    problems: &mut Problems,
) -> General<'t> {
    let mut general = General {
        lifetime: Lifetime::new(Timeouts::of(profile)),
        checks: TcpChecks::of(profile),
        patience: Patience::of(profile),
        between: None,
    };
    let Some(section) = section else {
        return general;
    };
    let pieces = PIECES.iter().map(|(key, _)| *key);
    let keys: Vec<_> = lifetime_keys().chain(pieces).chain(CHECKS).collect();
    let row = Row::of(section, 0..0, "`[timeouts]`", &keys, problems);
    read_lifetime(&row, profile, &mut general.lifetime, problems);
    for (key, field) in PIECES {
        read_timeout(&row, key, profile, field(&mut general.patience), problems);
    }
    let checks = &mut general.checks;
    choose(&row, "pick-up", &PICK_UPS, &mut checks.pick_up, problems);
    if let (PickUp::Loose, Some(value)) = (checks.pick_up, row.get("pick-up")) {
        lint::loose_pick_up(value, problems);
    }
    choose(&row, "windows", &WINDOWS, &mut checks.windows, problems);
    choose(&row, "resets", &RESETS, &mut checks.resets, problems);
    general.between = row.get("between");
    general
}

/// Every timeout by the name that rule files give it.
pub fn by_name(timeouts: &Timeouts) -> impl Iterator<Item = (&'static str, Duration)> {
    let mut timeouts = timeouts.clone();
    FIELDS
        .iter()
        .map(move |(name, field)| (*name, *field(&mut timeouts)))
}

/// The keys of any table of lifetimes.
pub(super) fn lifetime_keys() -> impl Iterator<Item = &'static str> {
    FIELDS.iter().map(|(key, _)| *key).chain(WAYS)
}

/// Reads the keys of a table of lifetimes; what it leaves out stays.
pub(super) fn read_lifetime(
    row: &Row<'_>,
    profile: Profile,
    lifetime: &mut Lifetime,
    problems: &mut Problems,
) {
    for (key, field) in FIELDS {
        let timeout = field(&mut lifetime.timeouts);
        read_timeout(row, key, profile, timeout, problems);
    }
    read_on_expiry(row, lifetime, problems);
    choose(row, "refresh", &REFRESH, &mut lifetime.refresh, problems);
}

/// Reads one timeout, where it is there.
fn read_timeout(
    row: &Row<'_>,
    key: &str,
    profile: Profile,
    timeout: &mut Duration,
    problems: &mut Problems,
) {
    let Some(value) = row.get(key) else { return };
    if let Some(duration) = read_duration(value, problems) {
        floors::check(profile, key, duration, value.span(), problems);
        *timeout = duration;
    }
}

/// Reads `on-expiry`.
pub(super) fn read_on_expiry(row: &Row<'_>, lifetime: &mut Lifetime, problems: &mut Problems) {
    choose(
        row,
        "on-expiry",
        &ON_EXPIRY,
        &mut lifetime.on_expiry,
        problems,
    );
}

/// Reads a word, where it is there.
fn choose<T: Copy>(
    row: &Row<'_>,
    key: &str,
    choices: &[(&str, T)],
    into: &mut T,
    problems: &mut Problems,
) {
    let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
    let expected = spelling::one_of(&words, "or").replace('`', "\"");
    let word = row
        .get(key)
        .and_then(|value| table::text(value, &expected, problems));
    if let Some(chosen) = word.and_then(|word| names::choose(&word, choices, key, problems)) {
        *into = chosen;
    }
}
