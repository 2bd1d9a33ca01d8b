//! `nat.forward`: public ports that lead to servers inside.

use std::net::{IpAddr, SocketAddr};

use toml::Spanned;

use super::addresses;
use super::code::Code;
use super::diagnostic::{Diagnostic, Problems};
use super::document::Known;
use super::services;
use super::table::{self, Row, Value, shortened};
use crate::nat::Forward;
use crate::net::{AddressSet, Family, Port, Selector, ServiceId, Traffic, UnnamedTraffic, ZoneId};
use crate::rules::{Action, Rule};

/// The keys of a forward.
pub(super) const KEYS: [&str; 11] = [
    "id", "on", "dst", "service", "tcp", "udp", "sctp", "udplite", "src", "to", "admit",
];

/// The server of a forward, with the port where there is one.
#[derive(Debug, Clone, Copy)]
struct Server {
    address: IpAddr,
    port: Option<Port>,
}

/// Reads one forward; `services` are those that it names.
pub(super) fn read<'t>(
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
pub(super) fn admitting(forward: &Forward, services: Option<Vec<ServiceId>>) -> Rule {
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
        lifetime: None,
        selector: Selector {
            from: Some(vec![forward.on]),
            to: None,
            source: forward.source.clone(),
            destination: Some(std::iter::once(forward.to.into()).collect()),
            services,
            traffic,
        },
        action: Action::Allow,
        max_sessions: None,
    }
}
