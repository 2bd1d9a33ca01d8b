//! How long sessions live: global timeouts are sysctls, those of services and
//! rules are `ct timeout` objects.

use std::fmt::Write;
use std::time::Duration;

use crate::net::{LifetimeId, Protocol};
use crate::session::{
    Lifetime, LifetimeName, Lifetimes, OnExpiry, PickUp, Refresh, Resets, TcpChecks, Timeouts,
    Windows,
};

/// The settings of the kernel that go with the ruleset, as comments.
pub(super) fn sysctls(timeouts: &Timeouts, checks: TcpChecks, missing: &mut Vec<String>) -> String {
    let mut text =
        "# The ruleset relies on these settings; set them before it is loaded:\n".to_owned();
    for (sysctl, value) in [
        ("checksum", 1),
        ("tcp_loose", u8::from(checks.pick_up == PickUp::Loose)),
        (
            "tcp_be_liberal",
            u8::from(checks.windows == Windows::Liberal),
        ),
        (
            "tcp_ignore_invalid_rst",
            u8::from(checks.resets == Resets::Lenient),
        ),
    ] {
        let _ = writeln!(text, "#   net.netfilter.nf_conntrack_{sysctl} = {value}");
    }
    for (key, sysctl, lifetime) in table(timeouts) {
        let Some(seconds) = seconds(lifetime) else {
            missing.push(format!(
                "timeouts.{key}: conntrack counts whole seconds, not {lifetime:?}"
            ));
            continue;
        };
        let _ = writeln!(text, "#   net.netfilter.nf_conntrack_{sysctl} = {seconds}");
    }
    let helpers = Timeouts::default().expectation;
    if timeouts.expectation != helpers {
        missing.push(format!(
            "timeouts.expectation: the kernel's FTP helper waits {helpers:?}, whatever the ruleset says"
        ));
    }
    text
}

fn table(t: &Timeouts) -> [(&'static str, &'static str, Duration); 25] {
    [
        ("tcp-syn-sent", "tcp_timeout_syn_sent", t.tcp_syn_sent),
        ("tcp-syn-recv", "tcp_timeout_syn_recv", t.tcp_syn_recv),
        (
            "tcp-established",
            "tcp_timeout_established",
            t.tcp_established,
        ),
        ("tcp-fin-wait", "tcp_timeout_fin_wait", t.tcp_fin_wait),
        ("tcp-close-wait", "tcp_timeout_close_wait", t.tcp_close_wait),
        ("tcp-last-ack", "tcp_timeout_last_ack", t.tcp_last_ack),
        ("tcp-time-wait", "tcp_timeout_time_wait", t.tcp_time_wait),
        ("tcp-close", "tcp_timeout_close", t.tcp_close),
        (
            "tcp-unacknowledged",
            "tcp_timeout_unacknowledged",
            t.tcp_unacknowledged,
        ),
        (
            "tcp-max-retrans",
            "tcp_timeout_max_retrans",
            t.tcp_max_retrans,
        ),
        ("udp", "udp_timeout", t.udp),
        ("udp-stream", "udp_timeout_stream", t.udp_stream),
        ("sctp-closed", "sctp_timeout_closed", t.sctp_closed),
        (
            "sctp-cookie-wait",
            "sctp_timeout_cookie_wait",
            t.sctp_cookie_wait,
        ),
        (
            "sctp-cookie-echoed",
            "sctp_timeout_cookie_echoed",
            t.sctp_cookie_echoed,
        ),
        (
            "sctp-established",
            "sctp_timeout_established",
            t.sctp_established,
        ),
        (
            "sctp-shutdown-sent",
            "sctp_timeout_shutdown_sent",
            t.sctp_shutdown_sent,
        ),
        (
            "sctp-shutdown-recd",
            "sctp_timeout_shutdown_recd",
            t.sctp_shutdown_recd,
        ),
        (
            "sctp-shutdown-ack-sent",
            "sctp_timeout_shutdown_ack_sent",
            t.sctp_shutdown_ack_sent,
        ),
        (
            "sctp-heartbeat-sent",
            "sctp_timeout_heartbeat_sent",
            t.sctp_heartbeat_sent,
        ),
        ("gre", "gre_timeout", t.gre),
        ("gre-stream", "gre_timeout_stream", t.gre_stream),
        ("icmp", "icmp_timeout", t.icmp),
        ("icmpv6", "icmpv6_timeout", t.icmpv6),
        ("generic", "generic_timeout", t.generic),
    ]
}

pub(super) fn seconds(lifetime: Duration) -> Option<u64> {
    (lifetime.subsec_nanos() == 0).then_some(lifetime.as_secs())
}

/// What `ct timeout` objects cannot say of lifetimes.
pub(super) fn check(lifetimes: &Lifetimes, checks: TcpChecks, missing: &mut Vec<String>) {
    if checks.resets == Resets::Exact {
        missing.push(
            "timeouts.resets: conntrack judges resets by its own rules, never by those of the RFCs"
                .to_owned(),
        );
    }
    for (_, lifetime) in lifetimes.iter() {
        let name = match &lifetime.name {
            LifetimeName::Timeouts => "timeouts".to_owned(),
            LifetimeName::Named(name) => format!("lifetime {name}"),
            LifetimeName::Service(name) => format!("service {name}"),
        };
        if lifetime.on_expiry != OnExpiry::Silent {
            missing.push(format!(
                "{name}: `on-expiry`: conntrack forgets sessions without a word"
            ));
        }
        if lifetime.refresh != Refresh::BothEnds {
            missing.push(format!(
                "{name}: `refresh`: to conntrack the packets of both ends count"
            ));
        }
    }
    if !lifetimes.between().is_empty() {
        missing.push("timeouts.between: lifetimes by zones".to_owned());
    }
}

/// A lifetime and the general one, from which `ct timeout` objects differ.
#[derive(Clone, Copy)]
pub(super) struct Differing<'a> {
    own: &'a Lifetime,
    general: &'a Lifetime,
}

/// How far a lifetime can be said for a protocol.
pub(super) enum Said {
    /// It is the general one.
    Alike,
    /// By the object of this name and text.
    Object { name: String, text: String },
    /// Not at all.
    Not,
}

/// A state by nft's name, and how long it lasts.
type Lasting = (&'static str, fn(&Lifetime) -> Duration);

const TCP: [Lasting; 10] = [
    ("syn_sent", |l| l.timeouts.tcp_syn_sent),
    ("syn_recv", |l| l.timeouts.tcp_syn_recv),
    ("established", |l| {
        l.idle.unwrap_or(l.timeouts.tcp_established)
    }),
    ("fin_wait", |l| l.timeouts.tcp_fin_wait),
    ("close_wait", |l| l.timeouts.tcp_close_wait),
    ("last_ack", |l| l.timeouts.tcp_last_ack),
    ("time_wait", |l| l.timeouts.tcp_time_wait),
    ("close", |l| l.timeouts.tcp_close),
    ("unack", |l| l.timeouts.tcp_unacknowledged),
    ("retrans", |l| l.timeouts.tcp_max_retrans),
];
const UDP: [Lasting; 2] = [
    ("unreplied", |l| {
        l.idle
            .map_or(l.timeouts.udp, |idle| idle.min(l.timeouts.udp))
    }),
    ("replied", |l| l.idle.unwrap_or(l.timeouts.udp_stream)),
];
/// What no object is for: the names are nobody's.
const OTHERS: [Lasting; 2] = [
    ("icmp", |l| l.timeouts.icmp),
    ("generic", |l| l.idle.unwrap_or(l.timeouts.generic)),
];

impl<'a> Differing<'a> {
    pub(super) fn new(lifetimes: &'a Lifetimes, id: LifetimeId) -> Self {
        Self {
            own: lifetimes.get(id),
            general: lifetimes.general(),
        }
    }

    /// How far it can be said for sessions of this protocol.
    pub(super) fn said(self, protocol: Protocol) -> Said {
        let (states, has_objects): (&[Lasting], bool) = match protocol {
            Protocol::TCP => (&TCP, true),
            Protocol::UDP => (&UDP, true),
            protocol if protocol.is_icmp() => (&OTHERS[..1], false),
            _ => (&OTHERS[1..], false),
        };
        let differs = |(_, lasts): &&Lasting| lasts(self.own) != lasts(self.general);
        if !states.iter().any(|state| differs(&state)) {
            return Said::Alike;
        }
        // Every state: nft gives one that is not named a default of its own, and
        // not what the sysctl says.
        let policy: Option<Vec<String>> = states
            .iter()
            .map(|(state, lasts)| Some(format!("{state} : {}", seconds(lasts(self.own))?)))
            .collect();
        let (Some(policy), true) = (policy, has_objects) else {
            return Said::Not;
        };
        let name = match &self.own.name {
            LifetimeName::Timeouts => return Said::Alike,
            LifetimeName::Named(name) => format!("life-{name}-{protocol}"),
            LifetimeName::Service(name) => format!("idle-{name}-{protocol}"),
        };
        let policy = policy.join(", ");
        let text = format!(
            "\tct timeout {name} {{\n\t\tprotocol {protocol}\n\t\tpolicy = {{ {policy} }}\n\t}}\n"
        );
        Said::Object { name, text }
    }

    /// The name of its object for this protocol.
    pub(super) fn object(self, protocol: Protocol) -> Option<String> {
        match self.said(protocol) {
            Said::Object { name, .. } => Some(name),
            Said::Alike | Said::Not => None,
        }
    }
}
