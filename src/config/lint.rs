//! What works and is hardly meant so: lints. Those about one row are asked where it
//! is read; those about rows that have to do with each other look at the whole
//! policy, once it has no errors.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::time::Duration;

use ipnet::IpNet;

use super::code::Code;
use super::diagnostic::{Diagnostic, Problems};
use super::locations::Spans;
use super::table::{Row, Value};
use crate::engine::Policy;
use crate::nat::{Forward, Hairpin, Server, ServerPort, SourceTarget};
use crate::net::{
    AddressSet, Asking, Endpoint, Place, Port, Protocol, Selector, Service, Traffic, Tuple, ZoneId,
};
use crate::rules::{Action, Judges, Rule, RuleId};
use crate::session::OnExpiry;

/// FTP's port, at which its control sessions are.
const FTP: Port = Port(21);

/// How often the ends of well-known services speak when they have nothing to say.
/// TCP's own keep-alives come after two hours (RFC 1122 section 4.2.3.6).
const KEEP_ALIVES: [(Protocol, u16, u64, &str); 16] = [
    (Protocol::TCP, 22, 7_200, "SSH: TCP's keep-alive"),
    (Protocol::TCP, 23, 7_200, "Telnet: TCP's keep-alive"),
    (
        Protocol::TCP,
        143,
        1_740,
        "IMAP: 29 minutes of IDLE (RFC 2177)",
    ),
    (
        Protocol::TCP,
        179,
        30,
        "BGP: a third of its hold time (RFC 4271)",
    ),
    (Protocol::TCP, 389, 7_200, "LDAP: TCP's keep-alive"),
    (Protocol::TCP, 445, 7_200, "SMB: TCP's keep-alive"),
    (Protocol::TCP, 636, 7_200, "LDAP: TCP's keep-alive"),
    (
        Protocol::TCP,
        993,
        1_740,
        "IMAP: 29 minutes of IDLE (RFC 2177)",
    ),
    (Protocol::TCP, 1521, 7_200, "Oracle: TCP's keep-alive"),
    (Protocol::TCP, 3306, 7_200, "MySQL: TCP's keep-alive"),
    (Protocol::TCP, 3389, 7_200, "RDP: TCP's keep-alive"),
    (Protocol::TCP, 5060, 120, "SIP: two minutes (RFC 5626)"),
    (Protocol::TCP, 5061, 120, "SIP: two minutes (RFC 5626)"),
    (Protocol::TCP, 5432, 7_200, "PostgreSQL: TCP's keep-alive"),
    (Protocol::UDP, 4500, 20, "IPsec: 20 seconds (RFC 3948)"),
    (Protocol::UDP, 5060, 29, "SIP: 29 seconds (RFC 5626)"),
];

/// A service of FTP's port alone that nothing reads.
pub(super) fn ftp_without_alg(row: &Row<'_>, service: &Service, problems: &mut Problems) {
    let is_ftp = |traffic: &Traffic| *traffic == Traffic::Ports(Protocol::TCP, FTP..=FTP);
    if service.alg.is_some() || !service.traffic.iter().any(is_ftp) {
        return;
    }
    let ports = row.get("tcp").map_or(row.span(), toml::Spanned::span);
    problems.push(
        Diagnostic::new(
            Code::FtpWithoutAlg,
            ports,
            "this is FTP's port, and nothing reads its dialogue",
        )
        .label("data connections are strangers")
        .help("with `alg = \"ftp\"` they are let in as they are announced"),
    );
}

/// An `idle` that is over before the ends of such a service usually speak.
pub(super) fn short_idle(
    service: &Service,
    (idle, value): (Duration, &Value<'_>),
    on_expiry: OnExpiry,
    problems: &mut Problems,
) {
    // Who asks both ends first loses no session that lives.
    if on_expiry == OnExpiry::Probe {
        return;
    }
    let is_of = |protocol: Protocol, port: u16| {
        let only = Traffic::Ports(protocol, Port(port)..=Port(port));
        service.traffic.contains(&only)
    };
    let usual = KEEP_ALIVES
        .iter()
        .find(|(protocol, port, after, _)| is_of(*protocol, *port) && idle.as_secs() < *after);
    if let Some((.., what)) = usual {
        problems.push(
            Diagnostic::new(
                Code::ShortIdle,
                value.span(),
                "idle sessions end before the keep-alive that would show them alive",
            )
            .label(*what)
            .help("make it longer, or ask both ends first: `on-expiry = \"probe\"`"),
        );
    }
}

/// Sessions that begin in the middle.
pub(super) fn loose_pick_up(value: &Value<'_>, problems: &mut Problems) {
    problems.push(
        Diagnostic::new(
            Code::LoosePickUp,
            value.span(),
            "whoever guesses addresses and ports needs no handshake to make a session",
        )
        .label("windows of such sessions cannot be checked")
        .help("leave it out once the connections from before a restart are gone"),
    );
}

/// A hairpin whose clients keep their address: the server answers those beside it
/// directly, and they know nothing of it.
pub(super) fn hairpin_untranslated(row: &Row<'_>, problems: &mut Problems) {
    let (Some(hairpin), Some(client)) = (row.key_span("hairpin"), row.get("as")) else {
        return;
    };
    problems.push(
        Diagnostic::new(
            Code::HairpinUntranslated,
            hairpin,
            "answers to clients beside the server do not come back through the gateway",
        )
        .label("inside clients come this way")
        .also(client.span(), "and keep their address")
        .help("leave `as` out: they are then seen by an address of the gateway"),
    );
}

/// The lints about rows that have to do with each other. The first `written` rules
/// stand in the file; the others are what forwards bring.
pub(super) fn across(policy: &Policy, written: usize, spans: &Spans, problems: &mut Problems) {
    for forward in &policy.nat.forwards {
        not_admitted(policy, forward, spans, problems);
    }
    for (id, rule) in policy.rules.iter().take(written) {
        behind_translation(policy, (id, rule), spans, problems);
    }
    let hides = |target: &SourceTarget| *target != SourceTarget::Exempt;
    let mut rows = policy.nat.source.iter();
    let translation = rows.find(|row| hides(&row.target));
    for place in &spans.route_options {
        let Some(row) = translation else { continue };
        let mut lint = Diagnostic::new(
            Code::RouteOptionLeaks,
            place.clone(),
            "options that pass name inside addresses, and no translation changes them",
        )
        .label("they leave as they came");
        if let Some(row) = of_translation(spans, &row.name) {
            lint = lint.also(row, "what is translated here");
        }
        problems.push(lint);
    }
}

fn of_translation(spans: &Spans, name: &str) -> Option<Range<usize>> {
    let mut all = spans.translations.iter();
    all.find(|(own, _)| own == name)
        .map(|(_, place)| place.clone())
}

/// A forward to a host that no rule lets anybody reach.
fn not_admitted(policy: &Policy, forward: &Forward, spans: &Spans, problems: &mut Problems) {
    let Some(server) = Served::of(policy, forward) else {
        return;
    };
    let (zone, to) = (policy.zones.name(forward.on), server.name());
    let (refusing, help) = match server.refused_by(policy) {
        Fate::Admitted => return,
        Fate::Refused(rule) => (
            spans.rules.get(usize::from(rule.0)).cloned(),
            format!("let a rule before that one allow it: from `{zone}` to the server `{to}`"),
        ),
        Fate::Unnamed => (
            spans.default.clone(),
            format!(
                "say `admit = true`, or let a rule allow it: from `{zone}` to the server `{to}`"
            ),
        ),
    };
    let Some(place) = of_translation(spans, &forward.name) else {
        return;
    };
    let mut lint = Diagnostic::new(
        Code::ForwardNotAdmitted,
        place,
        format!(
            "no rule admits what the forward `{}` leads inside",
            forward.name
        ),
    )
    .label("translated, and then refused")
    .help(help);
    if let Some(refusing) = refusing {
        lint = lint.also(refusing, "refused here");
    }
    problems.push(lint);
}

/// What a forward leads to its server, as rules see it.
struct Served<'a> {
    forward: &'a Forward,
    zone: ZoneId,
    address: IpNet,
    traffic: Vec<Traffic>,
}

/// What becomes of what a forward leads inside.
enum Fate {
    /// Some of it is allowed.
    Admitted,
    /// This rule refuses all of it.
    Refused(RuleId),
    /// No rule is about it, and the default refuses it.
    Unnamed,
}

impl<'a> Served<'a> {
    fn of(policy: &Policy, forward: &'a Forward) -> Option<Self> {
        let (address, port) = match forward.to {
            Server::Host(address, port) => (IpNet::from(address), port),
            Server::Network(_, inside) => (inside, ServerPort::Same),
            // The gateway has no service that a rule could let in.
            Server::Gateway(_) => return None,
        };
        let moved = forward.traffic.iter().map(|traffic| match traffic {
            Traffic::Ports(protocol, public) => {
                let [first, last] = [public.start(), public.end()].map(|p| port.of(*p));
                Traffic::Ports(*protocol, first..=last)
            }
            other => other.clone(),
        });
        Some(Self {
            forward,
            zone: policy.zones.holding(address.addr())?,
            address,
            traffic: moved.collect(),
        })
    }

    /// The address of one server, or its network.
    fn name(&self) -> String {
        match self.address.prefix_len() == self.address.max_prefix_len() {
            true => self.address.addr().to_string(),
            false => self.address.to_string(),
        }
    }

    fn refused_by(&self, policy: &Policy) -> Fate {
        let about = |(_, rule): &(RuleId, &Rule)| rule.judges == Judges::Connections;
        for (id, rule) in policy.rules.iter().filter(about) {
            let selector = &rule.selector;
            if !self.meets(selector, policy) {
                continue;
            }
            match rule.action {
                Action::Allow => return Fate::Admitted,
                Action::Drop | Action::Reject if self.is_within(selector) => {
                    return Fate::Refused(id);
                }
                Action::Drop | Action::Reject => {}
            }
        }
        match policy.rules.default_action() {
            Action::Allow => Fate::Admitted,
            Action::Drop | Action::Reject => Fate::Unnamed,
        }
    }

    /// Whether the selector is about some of it.
    fn meets(&self, selector: &Selector, policy: &Policy) -> bool {
        let from = selector.from.as_ref().is_none_or(|zones| {
            zones.contains(&self.forward.on) || self.forward.hairpin == Hairpin::Yes
        });
        let place = Place::Zone(self.zone);
        let to = selector.to.as_ref().is_none_or(|to| to.contains(&place));
        let named = |set: &AddressSet, other: &[IpNet]| {
            let prefixes = set.prefixes().iter();
            prefixes
                .into_iter()
                .any(|own| other.iter().any(|other| overlap(*own, *other)))
        };
        let sources = match (&selector.source, &self.forward.source) {
            (Some(own), Some(other)) => named(own, other.prefixes()),
            _ => true,
        };
        let server = selector.destination.as_ref();
        let servers = server.is_none_or(|set| named(set, &[self.address]));
        from && to && sources && servers && self.is_of(selector, policy)
    }

    /// Whether the selector's services are about some of its traffic.
    fn is_of(&self, selector: &Selector, policy: &Policy) -> bool {
        let mut of_rule: Vec<&Traffic> = Vec::new();
        match (&selector.traffic, &selector.services) {
            (Some(unnamed), _) => of_rule.extend(&unnamed.any_of),
            (None, Some(services)) => {
                let named = services.iter().filter_map(|id| policy.services.get(*id));
                of_rule.extend(named.flat_map(|service| &service.traffic));
            }
            (None, None) => return true,
        }
        let shares = |own: &Traffic| of_rule.iter().any(|other| share(own, other));
        self.traffic.iter().any(shares)
    }

    /// Whether the selector is about all of it, whoever sends it.
    fn is_within(&self, selector: &Selector) -> bool {
        let whole = |set: &AddressSet| {
            let mut prefixes = set.prefixes().iter();
            prefixes.any(|own| own.contains(&self.address))
        };
        let from = selector.from.as_ref();
        from.is_none_or(|zones| {
            zones.contains(&self.forward.on) && self.forward.hairpin == Hairpin::No
        }) && selector.source.is_none()
            && selector.destination.as_ref().is_none_or(whole)
            && selector.services.is_none()
            && selector.traffic.is_none()
    }
}

fn overlap(a: IpNet, b: IpNet) -> bool {
    a.contains(&b) || b.contains(&a)
}

/// Whether some packet is both.
fn share(a: &Traffic, b: &Traffic) -> bool {
    match (a, b) {
        (Traffic::Ports(one, a), Traffic::Ports(other, b)) => {
            one == other && a.start() <= b.end() && b.start() <= a.end()
        }
        (Traffic::Ports(one, _), Traffic::Protocol(other))
        | (Traffic::Protocol(one), Traffic::Ports(other, _)) => one == other,
        (Traffic::Icmp(one), Traffic::Icmp(other)) => one == other,
        (Traffic::Icmp(_), Traffic::Protocol(protocol))
        | (Traffic::Protocol(protocol), Traffic::Icmp(_)) => protocol.is_icmp(),
        (Traffic::Protocol(one), Traffic::Protocol(other)) => one == other,
        (Traffic::Ports(..), Traffic::Icmp(_)) | (Traffic::Icmp(_), Traffic::Ports(..)) => false,
    }
}

/// A rule that allows connections from outside to hosts which are hidden from there,
/// and to which nothing leads.
fn behind_translation(
    policy: &Policy,
    (id, rule): (RuleId, &Rule),
    spans: &Spans,
    problems: &mut Problems,
) {
    let selector = &rule.selector;
    let (Some(from), Some(servers)) = (&selector.from, &selector.destination) else {
        return;
    };
    if rule.action != Action::Allow || rule.judges != Judges::Connections {
        return;
    }
    let mut hiding = None;
    for (zone, server) in from
        .iter()
        .flat_map(|zone| servers.prefixes().iter().map(move |net| (*zone, *net)))
    {
        match hides(policy, server, zone) {
            Some(row) if !leads_to(policy, server, zone) => hiding = Some((row, zone)),
            // Some of it can come about.
            _ => return,
        }
    }
    let (Some((row, zone)), Some(place)) = (hiding, spans.rules.get(usize::from(id.0))) else {
        return;
    };
    let mut lint = Diagnostic::new(
        Code::RuleBehindTranslation,
        place.clone(),
        format!("nothing forwards to what the rule `{}` allows", rule.name),
    )
    .label(format!(
        "hidden from the zone `{}`",
        policy.zones.name(zone)
    ))
    .help("write a forward or a `static` row that leads there, or leave the rule out");
    if let Some(translation) = of_translation(spans, row) {
        lint = lint.also(translation, "translated here");
    }
    problems.push(lint);
}

/// The row of source translation by which hosts of a network are seen from a zone.
fn hides(policy: &Policy, server: IpNet, from: ZoneId) -> Option<&str> {
    let home = policy.zones.holding(server.network());
    let home = home.filter(|home| *home != from && server.prefix_len() > 0)?;
    let anybody = match server {
        IpNet::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpNet::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let leaving = Asking {
        from: home,
        to: Place::Zone(from),
        tuple: &Tuple::new(
            Protocol::TCP,
            Endpoint::new(server.network(), Port(0)),
            Endpoint::new(anybody, Port(0)),
        ),
    };
    let mut rows = policy.nat.source.iter();
    let row = rows.find(|row| row.selector.admits_sender(&leaving).is_ok())?;
    (row.target != SourceTarget::Exempt).then_some(row.name.as_str())
}

/// Whether a forward or a static row leads from a zone to some host of a network.
fn leads_to(policy: &Policy, server: IpNet, from: ZoneId) -> bool {
    let reaches = |on: ZoneId, hairpin: Hairpin| on == from || hairpin == Hairpin::Yes;
    let forwards = policy.nat.forwards.iter();
    let mut forwards = forwards.filter(|row| reaches(row.on, row.hairpin));
    let statics = policy.nat.statics.iter();
    let mut statics = statics.filter(|row| reaches(row.on, row.hairpin));
    forwards.any(|row| match row.to {
        Server::Host(address, _) => server.contains(&address),
        Server::Network(_, inside) => overlap(server, inside),
        Server::Gateway(_) => false,
    }) || statics.any(|row| overlap(server, row.inside))
}
