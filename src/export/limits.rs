//! How many sessions there may be, and how often the gateway itself speaks:
//! settings of the kernel, `ct count`, and what it has nothing for.

use std::fmt::Write;

use crate::engine::{AnswerRates, FragmentLimits, Passage, Policy, UnsolicitedSyn};
use crate::nat::{NoMapping, Pooling, SourceTarget};
use crate::net::Family;
use crate::rules::Rule;
use crate::session::WhenFull;

/// The settings that go with the ruleset, as comments.
pub(super) fn sysctls(policy: &Policy, missing: &mut Vec<String>) -> String {
    let (limits, answers) = (&policy.limits, &policy.answers);
    let mut text = String::new();
    let mut set = |setting: &str, value: u32| {
        let _ = writeln!(text, "#   net.{setting} = {value}");
    };
    if answers.errors.is_none() && answers.per_target.is_none() {
        set("ipv4.icmp_ratemask", 0);
    } else {
        const UNLIMITED: u32 = 1_000_000;
        let errors = answers.errors.map_or((UNLIMITED, UNLIMITED), |rate| {
            (rate.per_second.get(), rate.burst.get())
        });
        // Destination unreachable, source quench, time exceeded, bad parameter.
        set("ipv4.icmp_ratemask", 6168);
        set("ipv4.icmp_msgs_per_sec", errors.0);
        set("ipv4.icmp_msgs_burst", errors.1);
    }
    let pause = answers
        .per_target
        .map_or(0, |rate| 1_000 / rate.per_second.get());
    set("ipv4.icmp_ratelimit", pause);
    set("ipv6.icmp.ratelimit", pause);
    pieces(&policy.fragments, &mut set, missing);
    // Beside the settings of a network namespace: only the first one can set it.
    let _ = writeln!(
        text,
        "# And for the whole host:\n#   nf_conntrack_max = {}",
        limits.sessions
    );

    if answers.resets != AnswerRates::default().resets && answers.resets.is_some() {
        missing.push("limits.resets-per-second: the kernel's resets have no rate".to_owned());
    }
    if policy.profile.is_by_rfc() {
        missing.push("profile: the kernel forwards reserved addresses (240.0.0.0/4)".to_owned());
    }
    if limits.half_open.is_some() {
        missing.push("limits.half-open: conntrack counts no sessions by state".to_owned());
    }
    if limits.per_source_rate.is_some() {
        missing.push("limits.per-source-rate: nft limits packets, before any rule".to_owned());
    }
    if limits.when_full == WhenFull::Refuse {
        missing.push("limits.when-full: a full conntrack table always drops early".to_owned());
    }
    if policy.no_room != NoMapping::Silent {
        missing.push("limits.no-room: conntrack drops in silence what finds no place".to_owned());
    }
    if policy.unsolicited_syn == UnsolicitedSyn::Hold {
        missing.push("policy.unsolicited-syn: the kernel refuses a SYN at once".to_owned());
    }
    if policy.route_options.source == Passage::Pass {
        missing.push(
            "policy.source-route: not of a ruleset; set `accept_source_route` of the interfaces"
                .to_owned(),
        );
    }
    if policy.route_options.record == Passage::Drop {
        missing.push(
            "policy.record-route: nftables knows `ip option rr`, but no time stamps".to_owned(),
        );
    }
    for row in &policy.nat.source {
        if matches!(row.target, SourceTarget::Pool(_, Pooling::Preferred)) {
            missing.push(format!(
                "{}: `pooling`: the kernel gives a client whose address has no port left no other",
                row.name
            ));
        }
    }
    text
}

/// How much is kept of what is not whole: the kernel's own settings stand
/// where the file says nothing.
fn pieces(limits: &FragmentLimits, mut set: impl FnMut(&str, u32), missing: &mut Vec<String>) {
    let usual = FragmentLimits::default();
    let (patience, usually) = (limits.patience, usual.patience);
    for (key, setting, time, usual) in [
        ("fragments-v4", "ipv4.ipfrag_time", patience.v4, usually.v4),
        (
            "fragments-v6",
            "netfilter.nf_conntrack_frag6_timeout",
            patience.v6,
            usually.v6,
        ),
    ] {
        match super::lifetimes::seconds(time) {
            _ if time == usual => {}
            Some(seconds) => set(setting, u32::try_from(seconds).unwrap_or(u32::MAX)),
            None => missing.push(format!(
                "timeouts.{key}: the kernel counts whole seconds, not {time:?}"
            )),
        }
    }
    if limits.octets != usual.octets {
        let octets = u32::try_from(limits.octets).unwrap_or(u32::MAX);
        set("ipv4.ipfrag_high_thresh", octets);
        set("netfilter.nf_conntrack_frag6_high_thresh", octets);
    }
    for (key, own, usual) in [
        (
            "fragment-memory-per-source",
            limits.octets_of_source,
            usual.octets_of_source,
        ),
        (
            "fragment-datagrams-per-source",
            limits.datagrams_of_source,
            usual.datagrams_of_source,
        ),
    ] {
        if own != usual {
            missing.push(format!("limits.{key}: the kernel's sources have no share"));
        }
    }
    if limits.datagrams != usual.datagrams {
        missing
            .push("limits.fragment-datagrams: the kernel counts octets of pieces alone".to_owned());
    }
}

/// The sets that count sessions by their source.
pub(super) fn source_sets(policy: &Policy) -> String {
    let mut text = String::new();
    for family in [Family::V4, Family::V6] {
        let kind = match family {
            Family::V4 => "ipv4_addr",
            Family::V6 => "ipv6_addr",
        };
        if policy.limits.per_source.is_some() {
            // As many sources as there can be sessions.
            let (name, size) = (source_set(family), policy.limits.sessions);
            let _ = write!(
                text,
                "\n\tset {name} {{\n\t\ttype {kind}\n\t\tsize {size}\n\t\tflags dynamic\n\t}}\n"
            );
        }
    }
    text
}

/// The rules that drop what would be one too many of its source.
pub(super) fn source_rules(policy: &Policy) -> Vec<String> {
    let Some(most) = policy.limits.per_source else {
        return Vec::new();
    };
    let rule = |family| {
        let (word, set) = (super::conditions::family_word(family), source_set(family));
        format!("add @{set} {{ {word} saddr ct count over {most} }} drop comment \"per-source\"")
    };
    [Family::V4, Family::V6].map(rule).into()
}

fn source_set(family: Family) -> &'static str {
    match family {
        Family::V4 => "per-source-v4",
        Family::V6 => "per-source-v6",
    }
}

/// The chain that drops what would be one too many of a rule.
pub(super) fn chain_of(rule: &Rule) -> Option<String> {
    rule.max_sessions.map(|_| format!("limit-{}", rule.name))
}

/// These chains: in each a count that all lines of a rule share.
pub(super) fn chains(policy: &Policy) -> String {
    let mut text = String::new();
    for (_, rule) in policy.rules.iter() {
        if let (Some(name), Some(most)) = (chain_of(rule), rule.max_sessions) {
            let _ = write!(
                text,
                "\n\tchain {name} {{\n\t\tct count over {most} drop comment \"{}\"\n\t}}\n",
                rule.name
            );
        }
    }
    text
}
