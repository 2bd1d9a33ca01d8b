//! `[timeouts]`: how long sessions live without traffic, and what may begin one.

use std::time::Duration;

use toml::de::DeTable;

use super::diagnostic::Problems;
use super::names;
use super::services::read_duration;
use super::table::{self, Row};
use crate::session::{PickUp, TcpChecks, Timeouts};

/// A timeout by the name that the file gives it.
type Field = fn(&mut Timeouts) -> &mut Duration;

/// Every key of the section with what it sets.
pub(super) const FIELDS: [(&str, Field); 26] = [
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
];

const PICK_UPS: [(&str, PickUp); 2] = [("never", PickUp::Never), ("loose", PickUp::Loose)];

/// Reads the section `[timeouts]`; what it leaves out keeps its default.
pub(super) fn read<'t>(
    section: Option<&'t DeTable<'t>>,
    problems: &mut Problems,
) -> (Timeouts, TcpChecks) {
    let (mut timeouts, mut checks) = (Timeouts::default(), TcpChecks::default());
    let Some(section) = section else {
        return (timeouts, checks);
    };
    let keys: Vec<_> = FIELDS
        .iter()
        .map(|(key, _)| *key)
        .chain(["pick-up"])
        .collect();
    let row = Row::of(section, 0..0, "`[timeouts]`", &keys, problems);
    for (key, field) in FIELDS {
        let duration = row
            .get(key)
            .and_then(|value| read_duration(value, problems));
        if let Some(duration) = duration {
            *field(&mut timeouts) = duration;
        }
    }
    let pick_up = row.get("pick-up").and_then(|value| {
        let word = table::text(value, "\"never\" or \"loose\"", problems)?;
        names::choose(&word, &PICK_UPS, "pick-up", problems)
    });
    checks.pick_up = pick_up.unwrap_or_default();
    (timeouts, checks)
}
