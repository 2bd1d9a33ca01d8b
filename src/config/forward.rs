//! `nat.forward`: public ports that lead to servers inside. `server` reads
//! where they lead.

use std::net::IpAddr;
use std::ops::Range;

use super::code::Code;
use super::diagnostic::{Diagnostic, Problems};
use super::document::Known;
use super::table::{Row, Value};
use super::{lint, pool, server, services, static_nat};
use crate::nat::{AddressRange, Forward, Hairpin, Server, ServerPort, SourceTarget};
use crate::net::{AddressSet, Family, Place, Selector, ServiceId, Traffic, UnnamedTraffic, ZoneId};
use crate::rules::{Action, Judges, Rule};

/// The keys of a forward.
pub(super) const KEYS: [&str; 14] = [
    "id", "on", "dst", "service", "tcp", "udp", "sctp", "udplite", "src", "to", "as", "pooling",
    "hairpin", "admit",
];

/// Reads one forward; `services` are those that it names.
pub(super) fn read<'t>(
    row: &Row<'t>,
    name: String,
    services: Option<&[ServiceId]>,
    known: &Known<'t>,
    places: &mut Vec<(AddressRange, Range<usize>)>,
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
    let hairpin = static_nat::hairpin(row, problems);
    let client = row.get("as").and_then(|value| {
        let read = pool::target(row, value, problems)?;
        places.extend(read.places);
        Some(read.target)
    });
    if hairpin == Hairpin::Yes && client == Some(SourceTarget::Exempt) {
        lint::hairpin_untranslated(row, problems);
    }
    let to = row.require(
        "to",
        "`to = \"10.0.9.21\"`, `\"10.0.9.22:22\"` or `\"gateway\"`",
        problems,
    )?;
    let server = server::read(row, to, &traffic, problems)?;
    let on = on?;
    let hairpin_answers = |address: IpAddr, problems: &mut Problems| {
        let end = (on, Family::of(address));
        static_nat::hairpin_answers(row, hairpin, end, known, problems);
    };
    match server {
        Server::Host(address, _) => {
            hairpin_answers(address, problems);
            is_held(to, address, known, problems);
            has_public_address(row, on, public.as_ref(), address, known, problems);
        }
        Server::Network(_, inside) => {
            hairpin_answers(inside.addr(), problems);
            is_held(to, inside.addr(), known, problems);
        }
        Server::Gateway(_) => gateway_answers(row, on, known, problems),
    }
    Some(Forward {
        name,
        on,
        address: public,
        source,
        traffic,
        to: server,
        client,
        hairpin,
    })
}

/// Some zone must hold the server.
fn is_held(to: &Value<'_>, server: IpAddr, known: &Known<'_>, problems: &mut Problems) {
    if known.zones.zones.holding(server).is_none() && !known.zones.rows.is_empty() {
        problems.push(
            Diagnostic::new(
                Code::ForwardNowhere,
                to.span(),
                format!("no zone holds the server `{server}`"),
            )
            .label("behind which zone?")
            .help("one zone must have a `net` that it lies in"),
        );
    }
}

/// What leads to the gateway itself needs an address of the gateway, and is
/// translated no further.
fn gateway_answers(row: &Row<'_>, on: ZoneId, known: &Known<'_>, problems: &mut Problems) {
    for key in ["as", "hairpin"] {
        if let Some(place) = row.key_span(key) {
            problems.push(
                Diagnostic::new(
                    Code::NoEffect,
                    place,
                    format!("`{key}` says nothing of what leads to the gateway itself"),
                )
                .label("no effect")
                .help("leave it out"),
            );
        }
    }
    let zones = &known.zones.zones;
    let families = [Family::V4, Family::V6];
    if families
        .iter()
        .all(|family| zones.speaking_address(on, *family).is_none())
    {
        let place = row.get("on").map_or(row.span(), toml::Spanned::span);
        problems.push(
            Diagnostic::new(
                Code::ForwardWithoutAddress,
                place,
                "the gateway has no address that the forward could lead to",
            )
            .label("no `address` here, nor in any other zone"),
        );
    }
}

/// The traffic that a forward is about: that of its services, or its ports.
fn forwarded<'t>(
    row: &Row<'t>,
    services: Option<&[ServiceId]>,
    known: &Known<'t>,
    problems: &mut Problems,
) -> Vec<Traffic> {
    let ports = services::ports(row, problems);
    let mut port_keys = services::PORT_KEYS.iter();
    let port_key = port_keys.find_map(|(key, _)| row.key_span(key));
    match (row.key_span("service"), port_key) {
        (None, None) => problems.push(
            Diagnostic::new(
                Code::NoTraffic,
                row.span(),
                "the forward does not say which traffic it is about",
            )
            .label("neither `service` nor ports (`tcp`, `udp`, `sctp`, `udplite`)")
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

/// A forward needs a public address of the family of its server: there is no
/// translation between the families.
fn has_public_address(
    row: &Row<'_>,
    on: ZoneId,
    public: Option<&AddressSet>,
    server: IpAddr,
    known: &Known<'_>,
    problems: &mut Problems,
) {
    let family = Family::of(server);
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
pub(super) fn admitting(forward: &Forward, services: Option<Vec<ServiceId>>) -> Rule {
    let unnamed =
        |any_of: Vec<Traffic>, service: Option<ServiceId>| Some(UnnamedTraffic { any_of, service });
    let moved = |port: ServerPort| {
        let moved = forward.traffic.iter().map(|traffic| match traffic {
            Traffic::Ports(protocol, public) => {
                let [first, last] = [public.start(), public.end()].map(|p| port.of(*p));
                Traffic::Ports(*protocol, first..=last)
            }
            other => other.clone(),
        });
        moved.collect()
    };
    let (port, destination, to) = match forward.to {
        Server::Host(address, port) => (port, Some(address.into()), None),
        Server::Network(_, inside) => (ServerPort::Same, Some(inside), None),
        Server::Gateway(port) => {
            let port = port.map_or(ServerPort::Same, ServerPort::One);
            (port, None, Some(vec![Place::Gateway]))
        }
    };
    let (services, traffic) = match (services, port) {
        (services @ Some(_), ServerPort::Same) => (services, None),
        (None, ServerPort::Same) => (None, unnamed(forward.traffic.clone(), None)),
        (services, port) => {
            // At another port it is still of the service that was addressed.
            let service = services.and_then(|all| all.first().copied());
            (None, unnamed(moved(port), service))
        }
    };
    Rule {
        name: forward.name.clone(),
        lifetime: None,
        judges: Judges::Connections,
        selector: Selector {
            from: (forward.hairpin == Hairpin::No).then(|| vec![forward.on]),
            to,
            source: forward.source.clone(),
            destination: destination.map(|net| std::iter::once(net).collect()),
            services,
            traffic,
        },
        action: Action::Allow,
        max_sessions: None,
        mss: None,
        third_parties: None,
    }
}
