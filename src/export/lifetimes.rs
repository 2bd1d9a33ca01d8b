//! How long sessions live: global timeouts are sysctls, a service's are
//! `ct timeout` objects.

use std::fmt::Write;
use std::time::Duration;

use crate::net::{Protocol, Service};
use crate::session::{PickUp, Resets, TcpChecks, Timeouts, Windows};

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

fn seconds(lifetime: Duration) -> Option<u64> {
    (lifetime.subsec_nanos() == 0).then_some(lifetime.as_secs())
}

/// The name of the `ct timeout` object for sessions of a service, where
/// nftables has such for the protocol.
pub(super) fn object_name(service: &Service, protocol: Protocol) -> Option<String> {
    let (idle, has_state) = (service.idle?, established_state(protocol).is_some());
    (has_state && seconds(idle).is_some()).then(|| format!("idle-{}-{protocol}", service.name))
}

/// What nft calls the state whose life `idle` is.
fn established_state(protocol: Protocol) -> Option<&'static str> {
    match protocol {
        Protocol::TCP => Some("established"),
        Protocol::UDP => Some("replied"),
        _ => None,
    }
}

/// The `ct timeout` object of that name.
pub(super) fn object(service: &Service, protocol: Protocol) -> Option<String> {
    let name = object_name(service, protocol)?;
    let (state, seconds) = (established_state(protocol)?, seconds(service.idle?)?);
    Some(format!(
        "\tct timeout {name} {{\n\t\tprotocol {protocol}\n\t\tpolicy = {{ {state} : {seconds} }}\n\t}}\n"
    ))
}
