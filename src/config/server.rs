//! Where a forward leads: a host, a host with a port or ports, a network, or
//! the gateway itself.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;
use toml::Spanned;

use super::addresses::{self, HostPart};
use super::code::Code;
use super::diagnostic::{Diagnostic, Problems};
use super::names::GATEWAY;
use super::pool;
use super::table::{self, Row, Text, Value, shortened};
use crate::nat::{Server, ServerPort};
use crate::net::{Port, Traffic};

/// The ports behind an address, as they are written.
#[derive(Debug, Clone, Copy)]
enum Written {
    None,
    One(Port),
    Range(Port, Port),
}

/// Reads `to` of a forward that is about `traffic`.
pub(super) fn read(
    row: &Row<'_>,
    value: &Value<'_>,
    traffic: &[Traffic],
    problems: &mut Problems,
) -> Option<Server> {
    let text = table::text(value, "an address, or an address with a port", problems)?;
    let word = *text.get_ref();
    if word.contains('/') {
        let inside = addresses::parse_prefix(&text, HostPart::Zero, problems)?;
        return network(row, value, inside, problems);
    }
    let (host, ports) = split(word);
    let ports = match ports {
        None => Written::None,
        Some(ports) => written(ports, &text, problems)?,
    };
    if host == GATEWAY {
        return match ports {
            Written::Range(..) => {
                problems.push(several(&text, "one port of the gateway answers"));
                None
            }
            Written::One(one) => {
                port(row, value, ports, traffic, problems).map(|_| Server::Gateway(Some(one)))
            }
            Written::None => Some(Server::Gateway(None)),
        };
    }
    if host.parse::<IpAddr>().is_err() {
        problems.push(
            Diagnostic::new(
                Code::BadEndpoint,
                text.span(),
                format!("`{}` is no server", shortened(word)),
            )
            .label("expected an address, or an address with a port")
            .help("such as `10.0.9.21`, `10.0.9.22:22` or `[2001:db8::1]:22`; names of hosts are never looked up"),
        );
        return None;
    }
    let port = port(row, value, ports, traffic, problems);
    let alone = Spanned::new(text.span(), host);
    let address = addresses::parse_address(&alone, problems)?;
    Some(Server::Host(address, port?))
}

/// An address, and the ports behind it.
fn split(word: &str) -> (&str, Option<&str>) {
    if word.parse::<Ipv6Addr>().is_ok() {
        return (word, None);
    }
    if let Some(rest) = word.strip_prefix('[')
        && let Some((host, ports)) = rest.split_once("]:")
    {
        return (host, Some(ports));
    }
    // A colon more is an IPv6 address that wants brackets.
    match word.split_once(':') {
        Some((host, ports)) if !ports.contains(':') => (host, Some(ports)),
        _ => (word, None),
    }
}

fn written(ports: &str, text: &Text<'_>, problems: &mut Problems) -> Option<Written> {
    let read = |port: &str| {
        let plain = !port.starts_with('0') && port.bytes().all(|byte| byte.is_ascii_digit());
        port.parse().ok().filter(|_| plain).map(Port)
    };
    let found = match ports.split_once('-') {
        None => read(ports).map(Written::One),
        Some((first, last)) => match (read(first), read(last)) {
            (Some(first), Some(last)) if first <= last => Some(Written::Range(first, last)),
            _ => None,
        },
    };
    if found.is_none() {
        problems.push(
            Diagnostic::new(
                Code::BadPort,
                text.span(),
                format!(
                    "`{}` is neither a port nor a range of ports",
                    shortened(ports)
                ),
            )
            .label("expected a port behind the `:`")
            .help("ports are 1 to 65535, a range is such as `7000-7010`"),
        );
    }
    found
}

/// What becomes of the public ports.
fn port(
    row: &Row<'_>,
    to: &Value<'_>,
    ports: Written,
    traffic: &[Traffic],
    problems: &mut Problems,
) -> Option<ServerPort> {
    let mut public = traffic.iter().filter_map(|traffic| match traffic {
        Traffic::Ports(_, range) => Some((*range.start(), *range.end())),
        _ => None,
    });
    let others = traffic.len() - public.clone().count();
    let first = public.next();
    let (message, help) = match (ports, first) {
        (Written::None, _) => return Some(ServerPort::Same),
        (Written::One(port), Some((start, end)))
            if start == end && others == 0 && public.all(|(a, b)| (a, b) == (start, end)) =>
        {
            return Some(ServerPort::One(port));
        }
        (Written::Range(to, last), Some((start, end)))
            if last.0 - to.0 == end.0 - start.0
                && others == 0
                && public.all(|(a, b)| (a, b) == (start, end)) =>
        {
            return Some(ServerPort::Shifted { public: start, to });
        }
        // Without any traffic something else is wrong, and was said.
        (_, None) if others == 0 => return Some(ServerPort::Same),
        (Written::One(port), _) => (
            format!("several ports cannot all become port {port}"),
            "leave the port out to keep the one that was addressed, or write a forward for each port",
        ),
        (Written::Range(..), _) => (
            "public ports and the server's are not equally many".to_owned(),
            "one range leads to one range of the same size",
        ),
    };
    let keys = ["service", "tcp", "udp", "sctp", "udplite"];
    let place = keys.iter().find_map(|key| Some(row.get(key)?.span()));
    let mut problem = Diagnostic::new(Code::ForwardPorts, to.span(), message)
        .label(match ports {
            Written::Range(..) => "these ports here",
            _ => "one port here",
        })
        .help(help);
    if let Some(place) = place {
        problem = problem.also(place, "the public ports");
    }
    problems.push(problem);
    None
}

fn several(text: &Text<'_>, help: &str) -> Diagnostic {
    Diagnostic::new(
        Code::ForwardPorts,
        text.span(),
        "a range of ports cannot lead to the gateway",
    )
    .label("expected one port")
    .help(help)
}

/// A network leads to one of the same size.
fn network(
    row: &Row<'_>,
    to: &Value<'_>,
    inside: IpNet,
    problems: &mut Problems,
) -> Option<Server> {
    let example = "`dst = \"203.0.113.16/28\"`, the public network of the same size";
    let dst = row.require("dst", example, problems)?;
    let public = addresses::prefixes(dst, HostPart::Zero, problems);
    let pairs = pool::pairs((&public, dst.span()), (&[inside], to.span()), problems)?;
    let (public, inside) = *pairs.first()?;
    Some(Server::Network(public, inside))
}
