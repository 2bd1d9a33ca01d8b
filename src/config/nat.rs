//! `[nat]`: source translation and port forwards.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::addresses;
use super::code::Code;
use super::diagnostic::{Diagnostic, Problems};
use super::document::Known;
use super::ids::Ids;
use super::locations::Spans;
use super::names::{MOST_ENTRIES, too_many};
use super::rules::selector;
use super::services;
use super::table::{self, Row, Text, Value, shortened};
use crate::nat::{Forward, NatPolicy, SourceNat, SourceTarget};
use crate::net::{
    AddressSet, Family, Place, Port, Selector, ServiceId, Traffic, UnnamedTraffic, ZoneId,
};
use crate::rules::{Action, Rule};

const KEYS: [&str; 2] = ["source", "forward"];
const SOURCE_KEYS: [&str; 7] = ["id", "from", "to", "src", "dst", "service", "as"];
const FORWARD_KEYS: [&str; 9] = [
    "id", "on", "dst", "service", "tcp", "udp", "src", "to", "admit",
];

/// What `[nat]` says.
#[derive(Debug, Default)]
pub(super) struct NatSection {
    pub(super) policy: NatPolicy,
    /// Rules that forwards bring with `admit`, with their places.
    pub(super) rules: Vec<(Rule, Range<usize>)>,
}

/// Reads the section `[nat]`.
pub(super) fn read<'t>(
    section: Option<&'t Spanned<&'t DeTable<'t>>>,
    known: &Known<'t>,
    ids: &mut Ids<'t>,
    spans: &mut Spans,
    problems: &mut Problems,
) -> NatSection {
    let mut nat = NatSection::default();
    let Some(section) = section else { return nat };
    let row = Row::of(
        section.get_ref(),
        section.span(),
        "`[nat]`",
        &KEYS,
        problems,
    );
    for value in rows(&row, "source", problems) {
        let Some(row) = Row::read(value, "a source translation", &SOURCE_KEYS, problems) else {
            continue;
        };
        let name = ids.read(&row, "translation", problems);
        spans.translations.push((name.clone(), row.extent()));
        if let Some(translation) = source(&row, name, known, problems) {
            nat.policy.source.push(translation);
        }
    }
    for value in rows(&row, "forward", problems) {
        let Some(row) = Row::read(value, "a forward", &FORWARD_KEYS, problems) else {
            continue;
        };
        let name = ids.read(&row, "forward", problems);
        spans.translations.push((name.clone(), row.extent()));
        let services = known.services.named(row.get("service"), problems);
        let admit = row
            .get("admit")
            .and_then(|value| table::boolean(value, problems));
        if let Some(forward) = forward(&row, name, services.as_deref(), known, problems) {
            if admit == Some(true) {
                nat.rules
                    .push((admitting(&forward, services), row.extent()));
            }
            nat.policy.forwards.push(forward);
        }
    }
    nat
}

fn rows<'t>(row: &Row<'t>, key: &str, problems: &mut Problems) -> Vec<&'t Value<'t>> {
    let Some(value) = row.get(key) else {
        return Vec::new();
    };
    let rows = table::array(value, "an array of translations", problems).unwrap_or_default();
    if let Some(row) = rows.get(MOST_ENTRIES) {
        too_many(row.span(), "translation", problems);
    }
    rows
}

fn source<'t>(
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
                Code::UnknownZone,
                value.span(),
                "what is bound for the gateway itself leaves by no zone",
            )
            .label("not a way out")
            .help("name the zones that the connections leave by"),
        );
    }
    let example = "`as = \"masquerade\"`, `\"none\"` or an address";
    let value = row.require("as", example, problems)?;
    let target = target(value, problems)?;
    if target == SourceTarget::Masquerade {
        let example = "`to = \"wan\"`: what is masqueraded gets the gateway's address there";
        row.require("to", example, problems);
        let to = selector.to.iter().flatten();
        for zone in to.filter_map(|place| match place {
            Place::Zone(zone) => known.zones.zones.get(*zone),
            Place::Gateway => None,
        }) {
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
    Some(SourceNat {
        name,
        selector,
        target,
    })
}

/// Reads what a source becomes.
fn target(value: &Value<'_>, problems: &mut Problems) -> Option<SourceTarget> {
    match value.get_ref() {
        DeValue::String(word) if word == "masquerade" => return Some(SourceTarget::Masquerade),
        DeValue::String(word) if word == "none" => return Some(SourceTarget::Exempt),
        DeValue::String(_) | DeValue::Array(_) => {}
        _ => {
            let expected = "\"masquerade\", \"none\", an address or an array of addresses";
            return table::wrong_type(value, expected, problems);
        }
    }
    let mut all: Vec<(IpAddr, Range<usize>)> = Vec::new();
    for item in table::one_or_many(value, problems) {
        let Some(text) = table::text(item, "an address", problems) else {
            continue;
        };
        if let Some(address) = target_address(&text, problems) {
            let family = Family::of(address);
            if let Some((_, before)) = all.iter().find(|(a, _)| Family::of(*a) == family) {
                problems.push(
                    Diagnostic::new(
                        Code::TwoAddresses,
                        item.span(),
                        format!("two {family} addresses: the second would never be used"),
                    )
                    .label("this one")
                    .also(before.clone(), "the first")
                    .help("at most one address of each family"),
                );
            } else {
                all.push((address, item.span()));
            }
        }
    }
    Some(SourceTarget::Addresses(
        all.into_iter().map(|(address, _)| address).collect(),
    ))
}

fn target_address(text: &Text<'_>, problems: &mut Problems) -> Option<IpAddr> {
    let words = ["masquerade", "none"];
    let word = *text.get_ref();
    if let Some(near) = super::names::nearest(word, words.into_iter()) {
        let help = if near == word {
            format!("`{near}` stands alone: `as = \"{near}\"`")
        } else {
            format!("did you mean `{near}`?")
        };
        problems.push(
            Diagnostic::new(
                Code::UnknownWord,
                text.span(),
                format!("`{}` is nothing that a source can become", shortened(word)),
            )
            .label("expected an address")
            .help(help),
        );
        return None;
    }
    addresses::parse_address(text, problems)
}

/// The server of a forward, with the port where there is one.
#[derive(Debug, Clone, Copy)]
struct Server {
    address: IpAddr,
    port: Option<Port>,
}

fn forward<'t>(
    row: &Row<'t>,
    name: String,
    services: Option<&[ServiceId]>,
    known: &Known<'t>,
    problems: &mut Problems,
) -> Option<Forward> {
    let on = row
        .require(
            "on",
            "`on = \"wan\"`, the zone that it is reached from",
            problems,
        )
        .and_then(|value| known.zones.one(value, problems));
    let public = known.sets.addresses(row.get("dst"), problems);
    let source = known.sets.addresses(row.get("src"), problems);
    let traffic = forwarded(row, services, known, problems);
    let to = row.require(
        "to",
        "`to = \"10.0.9.21\"` or `to = \"10.0.9.22:22\"`",
        problems,
    )?;
    let server = server(to, problems)?;
    one_port(row, to, server, &traffic, problems);
    if known.zones.zones.holding(server.address).is_none() && !known.zones.rows.is_empty() {
        problems.push(
            Diagnostic::new(
                Code::ForwardNowhere,
                to.span(),
                format!("no zone holds the server `{}`", server.address),
            )
            .label("behind which zone?")
            .help("one zone must have a `net` that it lies in"),
        );
    }
    let on = on?;
    has_public_address(row, on, public.as_ref(), server, known, problems);
    Some(Forward {
        name,
        on,
        address: public,
        source,
        traffic,
        to: server.address,
        port: server.port,
    })
}

/// The traffic that a forward is about: that of its services, or its ports.
fn forwarded<'t>(
    row: &Row<'t>,
    services: Option<&[ServiceId]>,
    known: &Known<'t>,
    problems: &mut Problems,
) -> Vec<Traffic> {
    let ports = services::ports(row, problems);
    let port_key = ["tcp", "udp"].iter().find_map(|key| row.key_span(key));
    match (row.key_span("service"), port_key) {
        (None, None) => problems.push(
            Diagnostic::new(
                Code::NoTraffic,
                row.span(),
                "the forward does not say which traffic it is about",
            )
            .label("neither `service`, `tcp` nor `udp`")
            .help("such as `service = \"ftp\"` or `tcp = 2222`"),
        ),
        (Some(service), Some(ports)) => problems.push(
            Diagnostic::new(
                Code::NoTraffic,
                ports,
                "a forward is about services or about ports, not about both",
            )
            .label("ports here")
            .also(service, "services here")
            .help("write two forwards"),
        ),
        _ => {}
    }
    let of_services = services.into_iter().flatten().filter_map(|service| {
        let service = known.services.services.get(*service)?;
        Some(service.traffic.iter().cloned())
    });
    ports.into_iter().chain(of_services.flatten()).collect()
}

fn server(value: &Value<'_>, problems: &mut Problems) -> Option<Server> {
    let text = table::text(value, "an address, or an address with a port", problems)?;
    let written = *text.get_ref();
    if let Ok(socket) = written.parse::<SocketAddr>() {
        if socket.port() == 0 {
            problems.push(
                Diagnostic::new(Code::BadPort, text.span(), "0 is no port")
                    .label("expected a port")
                    .help("ports are 1 to 65535"),
            );
            return None;
        }
        let alone = socket.ip().to_string();
        let alone = Spanned::new(text.span(), alone.as_str());
        return Some(Server {
            address: addresses::parse_address(&alone, problems)?,
            port: Some(Port(socket.port())),
        });
    }
    if written.parse::<IpAddr>().is_ok() {
        return Some(Server {
            address: addresses::parse_address(&text, problems)?,
            port: None,
        });
    }
    problems.push(
        Diagnostic::new(
            Code::BadEndpoint,
            text.span(),
            format!("`{}` is no server", shortened(written)),
        )
        .label("expected an address, or an address with a port")
        .help("such as `10.0.9.21`, `10.0.9.22:22` or `[2001:db8::1]:22`; names of hosts are never looked up"),
    );
    None
}

/// A server's port can stand in for one public port only.
fn one_port(
    row: &Row<'_>,
    to: &Value<'_>,
    server: Server,
    traffic: &[Traffic],
    problems: &mut Problems,
) {
    let Some(port) = server.port else { return };
    let mut public = traffic.iter().map(|traffic| match traffic {
        Traffic::Ports(_, range) if range.start() == range.end() => Some(*range.start()),
        _ => None,
    });
    let Some(first) = public.next() else { return };
    if first.is_some() && public.all(|port| port == first) {
        return;
    }
    let keys = ["service", "tcp", "udp"];
    let place = keys.iter().find_map(|key| Some(row.get(key)?.span()));
    let mut problem = Diagnostic::new(
        Code::ForwardPorts,
        to.span(),
        format!("several ports cannot all become port {port}"),
    )
    .label("one port here")
    .help(
        "leave the port out to keep the one that was addressed, or write a forward for each port",
    );
    if let Some(place) = place {
        problem = problem.also(place, "more than one port here");
    }
    problems.push(problem);
}

/// A forward needs a public address of the family of its server: there is no
/// translation between the families.
fn has_public_address(
    row: &Row<'_>,
    on: ZoneId,
    public: Option<&AddressSet>,
    server: Server,
    known: &Known<'_>,
    problems: &mut Problems,
) {
    let family = Family::of(server.address);
    let (found, place) = match (public, row.get("dst")) {
        (Some(set), Some(dst)) => {
            let mut networks = set.prefixes().iter().map(ipnet::IpNet::addr);
            (networks.any(|a| Family::of(a) == family), dst.span())
        }
        _ => {
            let place = row.get("on").map_or(row.span(), toml::Spanned::span);
            (known.zones.zones.own_address(on, family).is_some(), place)
        }
    };
    if !found {
        let zone = known.zones.zones.name(on);
        problems.push(
            Diagnostic::new(
                Code::ForwardWithoutAddress,
                place,
                format!("the forward has no public {family} address"),
            )
            .label(format!("no {family} address here"))
            .help(format!(
                "give the zone `{zone}` an {family} `address`, or name a public one with `dst`"
            )),
        );
    }
}

/// The rule of a forward that admits what it forwards. It speaks, as all
/// rules do, of the server and of the port there.
fn admitting(forward: &Forward, services: Option<Vec<ServiceId>>) -> Rule {
    let unnamed =
        |any_of: Vec<Traffic>, service: Option<ServiceId>| Some(UnnamedTraffic { any_of, service });
    let (services, traffic) = match (services, forward.port) {
        (services @ Some(_), None) => (services, None),
        (None, None) => (None, unnamed(forward.traffic.clone(), None)),
        (services, Some(port)) => {
            let moved = forward.traffic.iter().map(|traffic| match traffic {
                Traffic::Ports(protocol, _) => Traffic::Ports(*protocol, port..=port),
                other => other.clone(),
            });
            // At another port it is still of the service that was addressed.
            let service = services.and_then(|all| all.first().copied());
            (None, unnamed(moved.collect(), service))
        }
    };
    Rule {
        name: forward.name.clone(),
        selector: Selector {
            from: Some(vec![forward.on]),
            to: None,
            source: forward.source.clone(),
            destination: Some(std::iter::once(forward.to.into()).collect()),
            services,
            traffic,
        },
        action: Action::Allow,
    }
}
