//! `nat.source`: as what connections leave.

use std::ops::Range;

use toml::de::DeValue;

use super::code::Code;
use super::diagnostic::{Diagnostic, Problems};
use super::document::Known;
use super::pool::{self, Target};
use super::rules::selector;
use super::services;
use super::table::{self, Row, Value};
use super::{limits, names};
use crate::nat::{AddressRange, PortChoice, PortOrder, Quota, SourceNat, SourceTarget};
use crate::net::{Dependence, Place, Profile, ZoneId};

/// The keys of a source translation.
pub(super) const KEYS: [&str; 14] = [
    "id",
    "from",
    "to",
    "src",
    "dst",
    "service",
    "as",
    "map",
    "pooling",
    "ports",
    "port-order",
    "mapping",
    "filtering",
    "max-ports",
];

const ORDERS: [(&str, PortOrder); 3] = [
    ("keep", PortOrder::Keep),
    ("keep-parity", PortOrder::KeepParity),
    ("random", PortOrder::Random),
];

/// Reads one source translation.
pub(super) fn read<'t>(
    row: &Row<'t>,
    name: String,
    known: &Known<'t>,
    problems: &mut Problems,
) -> Option<SourceNat> {
    let selector = selector(row, known, problems);
    if let Some(value) = row.get("to")
        && selector
            .to
            .as_ref()
            .is_some_and(|to| to.contains(&Place::Gateway))
    {
        problems.push(
            Diagnostic::new(
                Code::NotHere,
                value.span(),
                "what is bound for the gateway itself leaves by no zone",
            )
            .label("not a way out")
            .help("name the zones that the connections leave by"),
        );
    }
    let ports = ports(row, problems);
    let (value, Target { target, places }) = match (row.get("map"), row.get("as")) {
        (Some(map), Some(other)) => {
            problems.push(
                Diagnostic::new(
                    Code::TwoTargets,
                    map.span(),
                    "a source becomes one thing: `as` or `map`",
                )
                .label("one network for another here")
                .also(other.span(), "an address here"),
            );
            return None;
        }
        (Some(map), None) => (map, pool::network(row, map, problems)?),
        (None, _) => {
            let example = "`as = \"masquerade\"`, `\"none\"` or an address";
            let value = row.require("as", example, problems)?;
            (value, pool::target(row, value, problems)?)
        }
    };
    let to: Vec<ZoneId> = selector.to.iter().flatten().filter_map(zone_of).collect();
    if target == SourceTarget::Masquerade {
        let example = "`to = \"wan\"`: what is masqueraded gets the gateway's address there";
        row.require("to", example, problems);
        has_addresses(value, &to, known, problems);
    }
    without_effect(row, &target, problems);
    for (range, place) in &places {
        lies_outside(range, place, &to, known, problems);
    }
    let (mapping, filtering) = by_profile(known.profile);
    Some(SourceNat {
        name,
        selector,
        target,
        ports,
        mapping: dependence(row, "mapping", problems).unwrap_or(mapping),
        filtering: dependence(row, "filtering", problems).unwrap_or(filtering),
        quota: quota(row, problems),
    })
}

/// Reads how many public endpoints a client may hold: in all, or by protocol.
fn quota(row: &Row<'_>, problems: &mut Problems) -> Option<Quota> {
    let value = row.get("max-ports")?;
    if !matches!(value.get_ref(), DeValue::Table(_)) {
        let all = limits::sessions(value, problems);
        return Some(Quota {
            all,
            ..Quota::default()
        });
    }
    let by = Row::read(value, "a limit of ports", &["all", "tcp", "udp"], problems)?;
    let mut most = |key| limits::sessions(by.get(key)?, problems);
    Some(Quota {
        all: most("all"),
        tcp: most("tcp"),
        udp: most("udp"),
    })
}

fn zone_of(place: &Place) -> Option<ZoneId> {
    match place {
        Place::Zone(zone) => Some(*zone),
        Place::Gateway => None,
    }
}

fn ports(row: &Row<'_>, problems: &mut Problems) -> PortChoice {
    let range = row
        .get("ports")
        .and_then(|value| services::range(value, problems));
    let order = row.get("port-order").and_then(|value| {
        let word = table::text(value, "\"keep\", \"keep-parity\" or \"random\"", problems)?;
        names::choose(&word, &ORDERS, "order of ports", problems)
    });
    PortChoice {
        range,
        order: order.unwrap_or_default(),
    }
}

/// How rows behave that say nothing. RFC 4787 wants mappings that depend on
/// nobody (REQ-1), and leaves two filters to choose from (REQ-8): the stricter.
fn by_profile(profile: Profile) -> (Dependence, Dependence) {
    match profile {
        Profile::Linux => Default::default(),
        Profile::Rfc => (
            Dependence::EndpointIndependent,
            Dependence::AddressDependent,
        ),
    }
}

fn dependence(row: &Row<'_>, key: &str, problems: &mut Problems) -> Option<Dependence> {
    row.get(key).and_then(|value| {
        let expected =
            "\"endpoint-independent\", \"address-dependent\" or \"address-and-port-dependent\"";
        let word = table::text(value, expected, problems)?;
        names::choose(&word, &Dependence::ALL, "behaviour", problems)
    })
}

/// Masquerading needs an address in each zone that it leads to.
fn has_addresses(value: &Value<'_>, to: &[ZoneId], known: &Known<'_>, problems: &mut Problems) {
    for zone in to.iter().filter_map(|zone| known.zones.zones.get(*zone)) {
        if zone.addresses.is_empty() {
            problems.push(
                Diagnostic::new(
                    Code::MasqueradeWithoutAddress,
                    value.span(),
                    format!("the gateway has no address in the zone `{}`", zone.name),
                )
                .label("there is no address to take")
                .help(format!(
                    "give the zone `{}` an `address`, or name one here in place of \"masquerade\"",
                    zone.name
                )),
            );
        }
    }
}

/// Keys about pools and ports say nothing of what has neither.
fn without_effect(row: &Row<'_>, target: &SourceTarget, problems: &mut Problems) {
    let idle: &[&str] = match target {
        SourceTarget::Pool(..) => &[],
        SourceTarget::Masquerade | SourceTarget::Network(_) => &["pooling"],
        SourceTarget::Exempt => &[
            "pooling",
            "ports",
            "port-order",
            "mapping",
            "filtering",
            "max-ports",
        ],
    };
    for (key, place) in idle
        .iter()
        .filter_map(|key| Some((key, row.key_span(key)?)))
    {
        problems.push(
            Diagnostic::new(
                Code::NoEffect,
                place,
                format!("`{key}` says nothing of a source that becomes this"),
            )
            .label("no effect")
            .help("leave it out"),
        );
    }
}

/// Addresses that hosts of another zone have are no public ones: answers to
/// them would go there.
pub(super) fn lies_outside(
    range: &AddressRange,
    place: &Range<usize>,
    to: &[ZoneId],
    known: &Known<'_>,
    problems: &mut Problems,
) {
    for (id, zone) in known.zones.zones.iter() {
        let inside = zone.nets.iter().filter(|net| net.prefix_len() > 0);
        let mut clashing = inside.filter(|net| AddressRange::of_net(**net).overlaps(range));
        if to.contains(&id) || to.is_empty() {
            continue;
        }
        let Some(net) = clashing.next() else { continue };
        let row = known.zones.rows.iter().find(|(own, _)| *own == id);
        let mut problem = Diagnostic::new(
            Code::PoolInside,
            place.clone(),
            format!("these are addresses of hosts in the zone `{}`", zone.name),
        )
        .label(format!("lies in `{net}`"))
        .help("take addresses that are routed to the gateway from the zones in `to`");
        if let Some((_, row)) = row {
            let nets = row.get("net").map_or(row.span(), toml::Spanned::span);
            problem = problem.also(nets, "the zone's own");
        }
        problems.push(problem);
    }
}
