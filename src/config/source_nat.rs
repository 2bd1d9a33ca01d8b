//! `nat.source`: as what connections leave.

use std::ops::Range;

use super::carrier::{self, Carrier};
use super::code::Code;
use super::diagnostic::{Diagnostic, Problems};
use super::document::Known;
use super::names;
use super::pool::{self, Target};
use super::rules::selector;
use super::services;
use super::table::{self, Row, Value};
use crate::nat::{AddressRange, PortChoice, PortOrder, SourceNat, SourceTarget};
use crate::net::{Dependence, Place, Profile, ZoneId};

/// The keys of a source translation.
pub(super) const KEYS: [&str; 20] = [
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
    "new-ports",
    "max-sessions",
    "blocks",
    "deterministic",
    "hold-down",
    "log",
];

const ORDERS: [(&str, PortOrder); 3] = [
    ("keep", PortOrder::Keep),
    ("keep-parity", PortOrder::KeepParity),
    ("random", PortOrder::Random),
];

/// A source translation, with the place of each of its public addresses.
pub(super) struct Read {
    pub(super) row: SourceNat,
    pub(super) places: Vec<(AddressRange, Range<usize>)>,
}

/// Reads one source translation.
pub(super) fn read<'t>(
    row: &Row<'t>,
    name: String,
    known: &Known<'t>,
    problems: &mut Problems,
) -> Option<Read> {
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
    let mut ports = ports(row, problems);
    let (
        value,
        Target {
            mut target,
            mut places,
        },
    ) = match (row.get("map"), row.get("as")) {
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
    if target == SourceTarget::Masquerade {
        places.extend(own_addresses(value, &to, known));
    }
    let (mapping, filtering) = by_profile(known.profile);
    let mapping = dependence(row, "mapping", problems).unwrap_or(mapping);
    let filtering = dependence(row, "filtering", problems).unwrap_or(filtering);
    let Carrier {
        terms,
        blocks_per_client,
    } = carrier::read(
        row,
        (&mut target, &mut ports),
        (selector.source.as_ref(), filtering),
        known.profile,
        problems,
    );
    let row = SourceNat {
        name,
        selector,
        target,
        ports,
        mapping,
        filtering,
        terms,
        blocks_per_client,
    };
    Some(Read { row, places })
}

/// The addresses that masquerading takes.
fn own_addresses(
    value: &Value<'_>,
    to: &[ZoneId],
    known: &Known<'_>,
) -> Vec<(AddressRange, Range<usize>)> {
    let zones = to.iter().filter_map(|zone| known.zones.zones.get(*zone));
    let addresses = zones.flat_map(|zone| zone.addresses.iter().copied());
    addresses
        .filter_map(|address| Some((AddressRange::new(address, address)?, value.span())))
        .collect()
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
        // RFC 6888 REQ-7.
        Profile::Carrier => (
            Dependence::EndpointIndependent,
            Dependence::EndpointIndependent,
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
        // Whose ports come by the block has them at one address.
        SourceTarget::Pool(..) if row.get("blocks").or(row.get("deterministic")).is_some() => {
            &["pooling"]
        }
        SourceTarget::Pool(..) => &[],
        SourceTarget::Network(_) => &["pooling", "blocks"],
        SourceTarget::Masquerade | SourceTarget::Deterministic(_) => &["pooling"],
        SourceTarget::Exempt => &[
            "pooling",
            "ports",
            "port-order",
            "mapping",
            "filtering",
            "max-ports",
            "new-ports",
            "max-sessions",
            "blocks",
            "hold-down",
            "log",
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
