//! Application-layer gateways: the kernel's helpers, which are chosen by port
//! before any rule is asked, and the rules about what they announce.

use super::conditions::{Alternative, all_of, traffic};
use super::nftables::{Writer, moved_to, rules_about};
use crate::alg::ftp::{Settings, Strictness};
use crate::net::{AlgKind, Port, Protocol, Service, Traffic};
use crate::rules::{Action, Judges};

/// A helper as an object of the table.
pub(super) fn object(kind: AlgKind) -> String {
    let (name, protocol) = (kind.name(), kind.protocol());
    format!("\n\tct helper {name} {{\n\t\ttype \"{name}\" protocol {protocol}\n\t}}\n")
}

impl Writer<'_> {
    /// Control sessions get their helper before destination NAT, since a
    /// helper that comes later finds no room for changed sequence numbers.
    pub(super) fn helpers(&mut self) {
        let services: Vec<&Service> = self.policy.services.iter().map(|(_, s)| s).collect();
        if services.iter().all(|service| service.alg.is_none()) {
            return;
        }
        self.begin(
            "helpers",
            "type filter hook prerouting priority -150; policy accept;",
        );
        for service in &services {
            let Some(kind) = service.alg else { continue };
            let own = service
                .traffic
                .iter()
                .filter(|traffic| is_read(traffic, kind));
            let own: Vec<_> = all_of([traffic(own)])
                .into_iter()
                .filter(|alternative| alternative.protocol == Some(kind.protocol()))
                .collect();
            if !own.is_empty() {
                self.rules(&service.name, &own, &set(kind));
            }
        }
        let forwards = &self.policy.nat.forwards;
        for forward in forwards {
            let Some(port) = moved_to(forward) else {
                continue;
            };
            let served = |service: &&&Service| {
                let mut own = service.traffic.iter();
                own.any(|kind| covers_port(kind, port, service.alg))
            };
            let by_port = services.iter().find(served).and_then(|service| service.alg);
            let kind = by_port.or_else(|| self.admitted_service(forward)?.alg);
            if let Some(kind) = kind {
                let public = forward
                    .traffic
                    .iter()
                    .filter(|traffic| is_read(traffic, kind));
                let conditions = all_of([self.arrives_for(forward), traffic(public)]);
                self.rules(&forward.name, &conditions, &set(kind));
            }
        }
        self.end();
    }

    /// Rules about announced data sessions stand before all related packets are
    /// accepted.
    pub(super) fn related_rules(&mut self) {
        for rule in rules_about(self.policy, Judges::Related) {
            let Some(mut conditions) = self.ends_of_forwarded(rule) else {
                continue;
            };
            let data = "ct state related meta l4proto { tcp, udp }";
            conditions.insert(0, vec![Alternative::any(data.into())]);
            conditions.extend(self.row_traffic(&rule.selector));
            let conditions = all_of(conditions);
            match rule.action {
                Action::Allow => self.rules(&rule.name, &conditions, "accept"),
                Action::Drop => self.rules(&rule.name, &conditions, "drop"),
                Action::Reject => self.reject(&rule.name, &conditions),
            }
        }
    }

    /// What the kernel's helpers cannot be told.
    pub(super) fn check_algs(&mut self) {
        let (own, usual) = (&self.policy.algs.ftp, Settings::default());
        let differs = [
            ("data-ports", own.data_ports != usual.data_ports),
            ("refused-ports", own.refused_ports != usual.refused_ports),
            ("third-party", own.third_party != usual.third_party),
            ("passive-host", own.passive_host != usual.passive_host),
            ("deny-commands", own.denied != usual.denied),
            ("after-auth-tls", own.after_auth_tls != usual.after_auth_tls),
            ("lprt", own.long_addresses != usual.long_addresses),
            ("longest-line", own.longest_line != usual.longest_line),
            ("long-lines", own.long_lines != usual.long_lines),
            ("active-opens", own.active_opens != usual.active_opens),
            ("active-from", own.active_from != usual.active_from),
            ("default-port", own.default_port != usual.default_port),
            ("max-expected", own.most_expected != usual.most_expected),
        ];
        let keys = differs.into_iter().filter(|(_, differs)| *differs);
        let keys = keys
            .map(|(key, _)| format!("alg.ftp.{key}: the kernel's FTP helper has no such setting"));
        let named = self.policy.rules.iter();
        let named = named.filter(|(_, rule)| rule.third_parties.is_some());
        let rules = named.map(|(_, rule)| {
            format!(
                "rule {}: `third-party`; the kernel's FTP helper lets all sessions name others, or none",
                rule.name
            )
        });
        let strict = (own.strictness == Strictness::Dialogue && *own != usual)
            .then(|| "alg.ftp.strict: the kernel's FTP helper follows no dialogue".to_owned());
        self.missing.extend(keys.chain(rules).chain(strict));
    }
}

fn set(kind: AlgKind) -> String {
    format!("ct helper set \"{}\"", kind.name())
}

/// Whether this ALG could read such traffic.
fn is_read(kind: &Traffic, alg: AlgKind) -> bool {
    match kind {
        Traffic::Ports(protocol, _) | Traffic::Protocol(protocol) => *protocol == alg.protocol(),
        Traffic::Icmp(_) => false,
    }
}

fn covers_port(kind: &Traffic, port: Port, alg: Option<AlgKind>) -> bool {
    let protocol = alg.map_or(Protocol::TCP, AlgKind::protocol);
    match kind {
        Traffic::Ports(own, ports) => *own == protocol && ports.contains(&port),
        other => *other == Traffic::Protocol(protocol),
    }
}

/// Whether two services are about one port of the protocol that an ALG of theirs
/// reads.
pub(super) fn share_a_port(one: &Service, other: &Service) -> bool {
    let algs = [one.alg, other.alg].into_iter().flatten();
    let shares = |alg: AlgKind| {
        let own = |service: &Service| {
            let own = service.traffic.iter().filter(|kind| is_read(kind, alg));
            let range = |kind: &Traffic| match kind {
                Traffic::Ports(_, ports) => (ports.start().0, ports.end().0),
                _ => (0, u16::MAX),
            };
            own.map(range).collect::<Vec<_>>()
        };
        let others = own(other);
        own(one)
            .iter()
            .any(|(a, b)| others.iter().any(|(c, d)| a <= d && c <= b))
    };
    algs.into_iter().any(shares)
}
