//! `[services]`: ports, ICMP messages and protocols under a name, with the
//! life and the ALG of their sessions.

use std::ops::RangeInclusive;
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::code::Code;
use super::diagnostic::{Diagnostic, Problems};
use super::lifetimes::LifetimeTable;
use super::names::{self, Kind, Names};
use super::table::{self, Row, Text, Value, shortened};
use super::{duration, floors, lint, timeouts};
use crate::net::{
    AlgKind, IcmpQuery, LifetimeId, Port, Protocol, Service, ServiceId, Services, Traffic,
    UdpChecksum,
};
use crate::session::LifetimeName;

const KEYS: [&str; 11] = [
    "tcp",
    "udp",
    "sctp",
    "udplite",
    "icmp",
    "protocol",
    "idle",
    "on-expiry",
    "lifetime",
    "alg",
    "checksum",
];
const CHECKSUMS: [(&str, UdpChecksum); 2] = [
    ("required", UdpChecksum::Required),
    ("optional", UdpChecksum::Optional),
];
/// The keys that say ports, each with its protocol.
pub(super) const PORT_KEYS: [(&str, Protocol); 4] = [
    ("tcp", Protocol::TCP),
    ("udp", Protocol::UDP),
    ("sctp", Protocol::SCTP),
    ("udplite", Protocol::UDPLITE),
];
const EXPECTED_PORTS: &str = "a port such as 80, or a range such as \"6000-6010\"";

/// The services of a file with their names.
#[derive(Debug)]
pub(super) struct ServiceTable<'t> {
    names: Names<'t>,
    pub(super) services: Services,
}

impl<'t> ServiceTable<'t> {
    /// Reads the section `[services]`.
    pub(super) fn read(
        section: Option<&'t DeTable<'t>>,
        lifetimes: &mut LifetimeTable<'t>,
        problems: &mut Problems,
    ) -> Self {
        let entries = section.map(table::in_order).unwrap_or_default();
        let names = Names::declare(
            Kind::Service,
            entries.iter().map(|(name, _)| *name),
            problems,
        );
        let services = entries
            .iter()
            .map(|(name, value)| service(name.get_ref(), value, lifetimes, problems))
            .collect();
        Self {
            names,
            services: Services::new(services),
        }
    }

    /// Reads one name of a service or many.
    pub(super) fn named(
        &self,
        value: Option<&'t Value<'t>>,
        problems: &mut Problems,
    ) -> Option<Vec<ServiceId>> {
        let names = table::texts(value?, "the name of a service", problems);
        Some(
            names
                .iter()
                .filter_map(|name| self.names.resolve(name, &[], problems))
                .map(ServiceId)
                .collect(),
        )
    }
}

fn service<'t>(
    name: &str,
    value: &'t Value<'t>,
    lifetimes: &mut LifetimeTable<'t>,
    problems: &mut Problems,
) -> Service {
    let mut service = Service {
        name: name.to_owned(),
        traffic: Vec::new(),
        lifetime: None,
        alg: None,
        checksum: UdpChecksum::default(),
    };
    let Some(row) = Row::read(value, "a service", &KEYS, problems) else {
        return service;
    };
    service.traffic = ports(&row, problems);
    if let Some(value) = row.get("icmp") {
        for word in table::texts(value, "the name of an ICMP message", problems) {
            service.traffic.extend(icmp(&word, problems));
        }
    }
    if let Some(value) = row.get("protocol") {
        let items = table::one_or_many(value, problems);
        let protocols = items
            .into_iter()
            .filter_map(|item| protocol(item, problems));
        service.traffic.extend(protocols.map(Traffic::Protocol));
    }
    if PORT_KEYS
        .iter()
        .map(|(key, _)| *key)
        .chain(["icmp", "protocol"])
        .all(|key| row.get(key).is_none())
    {
        problems.push(
            Diagnostic::new(
                Code::NoTraffic,
                row.span(),
                format!("the service `{}` is no traffic", shortened(name)),
            )
            .label("neither ports (`tcp`, `udp`, `sctp`, `udplite`), `icmp` nor `protocol`")
            .help("such as `tcp = [80, 443]`"),
        );
    }
    service.lifetime = lifetime(&row, &service, lifetimes, problems);
    service.alg = row.get("alg").and_then(|value| alg(value, problems));
    let checksum = row.get("checksum").and_then(|value| {
        let word = table::text(value, "\"required\" or \"optional\"", problems)?;
        names::choose(&word, &CHECKSUMS, "checksum", problems)
    });
    service.checksum = checksum.unwrap_or_default();
    has_effect(&row, &service, problems);
    lint::ftp_without_alg(&row, &service, problems);
    service
}

/// Reads `lifetime`, and what the short forms change about it.
fn lifetime<'t>(
    row: &Row<'t>,
    service: &Service,
    lifetimes: &mut LifetimeTable<'t>,
    problems: &mut Problems,
) -> Option<LifetimeId> {
    let named = lifetimes.named(row, problems);
    let short = row.get("idle").or_else(|| row.get("on-expiry"));
    let Some(place) = short else {
        return named;
    };
    let mut own = lifetimes.lifetimes.get(named.unwrap_or_default()).clone();
    own.name = LifetimeName::Service(service.name.clone());
    if let Some(value) = row.get("idle") {
        own.idle = read_duration(value, problems);
        if let Some(idle) = own.idle {
            let profile = lifetimes.profile;
            floors::check_idle(profile, &service.traffic, idle, value.span(), problems);
        }
    }
    timeouts::read_on_expiry(row, &mut own, problems);
    if let (Some(idle), Some(value)) = (own.idle, row.get("idle")) {
        lint::short_idle(service, (idle, value), own.on_expiry, problems);
    }
    lifetimes.add(own, place, problems)
}

/// What is said to no effect is believed to have one.
fn has_effect(row: &Row<'_>, service: &Service, problems: &mut Problems) {
    let is_tcp = |traffic: &Traffic| {
        matches!(
            traffic,
            Traffic::Ports(Protocol::TCP, _) | Traffic::Protocol(Protocol::TCP)
        )
    };
    let is_udp = |traffic: &Traffic| {
        matches!(
            traffic,
            Traffic::Ports(Protocol::UDP, _) | Traffic::Protocol(Protocol::UDP)
        )
    };
    let is_icmp = |traffic: &Traffic| match traffic {
        Traffic::Icmp(_) => true,
        Traffic::Protocol(protocol) => protocol.is_icmp(),
        Traffic::Ports(..) => false,
    };
    if service.traffic.is_empty() {
        return;
    }
    let mut report = |key: &str, message: &str, help: &str| {
        if let Some(span) = row.key_span(key) {
            problems.push(
                Diagnostic::new(Code::NoEffect, span, message)
                    .label("no effect")
                    .help(help),
            );
        }
    };
    if !service.traffic.iter().any(is_tcp) {
        report(
            "alg",
            "an ALG reads TCP, and this service has none",
            "give the service `tcp` ports, or leave `alg` out",
        );
        report(
            "on-expiry",
            "only TCP has ends that could be told, and this service has none",
            "give the service `tcp` ports, or leave `on-expiry` out",
        );
    }
    if !service.traffic.iter().any(is_udp) {
        report(
            "checksum",
            "only UDP may go without a checksum, and this service has none",
            "give the service `udp` ports, or leave `checksum` out",
        );
    }
    if service.traffic.iter().all(is_icmp) {
        report(
            "idle",
            "ICMP queries live as long as `[timeouts]` says, whatever their service",
            "set `icmp` and `icmpv6` in `[timeouts]`",
        );
    }
}

/// Reads the keys of a service or a forward that say ports.
pub(super) fn ports(row: &Row<'_>, problems: &mut Problems) -> Vec<Traffic> {
    let mut all = Vec::new();
    for (key, protocol) in PORT_KEYS {
        let Some(value) = row.get(key) else { continue };
        let items = table::one_or_many(value, problems);
        let ranges = items.into_iter().filter_map(|item| range(item, problems));
        all.extend(ranges.map(|range| Traffic::Ports(protocol, range)));
    }
    all
}

/// Reads a port or a range of ports.
pub(super) fn range(value: &Value<'_>, problems: &mut Problems) -> Option<RangeInclusive<Port>> {
    let bad = |message: String, help: Option<String>| {
        Diagnostic::new(Code::BadPort, value.span(), message)
            .label("expected a port")
            .help_if(help)
    };
    if let DeValue::String(text) = value.get_ref() {
        let shown = shortened(text);
        let (first, last) = match text.split_once('-') {
            Some((first, last)) => (first, last),
            None => {
                let help =
                    read_port(text).map(|port| format!("a single port is a number: `{port}`"));
                problems.push(bad(format!("`{shown}` is no range of ports"), help));
                return None;
            }
        };
        let (Some(first), Some(last)) = (read_port(first), read_port(last)) else {
            let help = "a range is two ports from 1 to 65535: `\"6000-6010\"`".to_owned();
            problems.push(bad(format!("`{shown}` is no range of ports"), Some(help)));
            return None;
        };
        if first > last {
            let help = format!("did you mean `\"{last}-{first}\"`?");
            problems.push(bad(format!("the range `{shown}` is reversed"), Some(help)));
            return None;
        }
        return Some(Port(first)..=Port(last));
    }
    let number = table::integer(value, EXPECTED_PORTS, problems)?;
    match u16::try_from(number) {
        Ok(port @ 1..) => Some(Port(port)..=Port(port)),
        _ => {
            let help = "ports are 1 to 65535".to_owned();
            let shown = match value.get_ref() {
                DeValue::Integer(number) => shortened(&number.to_string()),
                _ => number.to_string(),
            };
            problems.push(bad(format!("{shown} is no port"), Some(help)));
            None
        }
    }
}

/// A port from 1 on, in digits only.
fn read_port(text: &str) -> Option<u16> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0)
}

/// The messages of this name, of ICMP and of ICMPv6.
fn icmp(word: &Text<'_>, problems: &mut Problems) -> Vec<Traffic> {
    let families = [Protocol::ICMP, Protocol::ICMPV6];
    let found: Vec<IcmpQuery> = families
        .iter()
        .filter_map(|family| IcmpQuery::from_name(*family, word.get_ref()))
        .collect();
    if found.is_empty() {
        let mut names: Vec<(&str, ())> = Vec::new();
        for family in families {
            for name in IcmpQuery::names(family) {
                let asks = IcmpQuery::from_name(family, name).is_some_and(IcmpQuery::is_request);
                if asks && !names.contains(&(name, ())) {
                    names.push((name, ()));
                }
            }
        }
        names::choose(word, &names, "ICMP query", problems);
        return Vec::new();
    }
    let (asking, answering): (Vec<_>, Vec<_>) = found.into_iter().partition(|q| q.is_request());
    if let Some(answer) = answering.first() {
        problems.push(
            Diagnostic::new(
                Code::BadIcmp,
                word.span(),
                format!("`{answer}` is an answer, and begins no session"),
            )
            .label("never the first message")
            .help(format!(
                "name the question, `{}`: its answers belong to the session",
                answer.answered_by()
            )),
        );
    }
    asking.into_iter().map(Traffic::Icmp).collect()
}

fn protocol(value: &Value<'_>, problems: &mut Problems) -> Option<Protocol> {
    if let DeValue::String(word) = value.get_ref() {
        let found = Protocol::from_name(word);
        if found.is_none() {
            let choices = Protocol::NAMES.map(|(_, name)| (name, ()));
            let word = table::text(value, "", problems)?;
            names::choose(&word, &choices, "protocol", problems);
        }
        return found;
    }
    let number = table::integer(value, "the name or number of an IP protocol", problems)?;
    let found = u8::try_from(number).ok().map(Protocol);
    if found.is_none() {
        problems.push(
            Diagnostic::new(
                Code::BadProtocol,
                value.span(),
                "an IP protocol has a number from 0 to 255",
            )
            .label("not such a number"),
        );
    }
    found
}

fn alg(value: &Value<'_>, problems: &mut Problems) -> Option<AlgKind> {
    let word = table::text(value, "the name of an ALG", problems)?;
    let choices = AlgKind::ALL.map(|kind| (kind.name(), kind));
    names::choose(&word, &choices, "ALG", problems)
}

/// Reads a duration such as `30s`.
pub(super) fn read_duration(value: &Value<'_>, problems: &mut Problems) -> Option<Duration> {
    let text = table::text(value, "a duration such as \"30s\"", problems)?;
    match duration::parse(text.get_ref()) {
        Ok(duration) => Some(duration),
        Err(wrong) => {
            problems.push(
                Diagnostic::new(
                    Code::BadDuration,
                    text.span(),
                    format!("`{}` {wrong}", shortened(text.get_ref())),
                )
                .label("expected a duration")
                .help("such as `30s`, `2h4m`, `500ms` or `5d`: the units are d, h, m, s and ms, largest first"),
            );
            None
        }
    }
}
