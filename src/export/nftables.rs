//! The ruleset: sets and objects first, then one chain for each hook.

use std::fmt::Write;

use super::conditions::{Alternative, addresses, all_of, elements, family_word, traffic};
use super::lifetimes::{self, Differing, Said};
use super::limits;
use super::zones::{Side, ZoneNames, zone_set};
use super::{Exported, algs};
use crate::config::Compiled;
use crate::engine::Policy;
use crate::nat::{Forward, Server, ServerPort};
use crate::net::{
    AddressSet, AlgKind, Family, IcmpErrors, LifetimeId, Place, Port, Profile, Protocol, Selector,
    Service, ServiceId, Traffic, ZoneId,
};
use crate::rules::{Action, Judges, Rule};

/// The chain that gives a session the life of the first service it is of.
const ANY_SERVICE: &str = "allow-any-service";
/// The chain that judges invalid packets on their way through.
const INVALID: &str = "invalid-packets";
/// And the one for those to the gateway itself.
const GATEWAY_INVALID: &str = "gateway-invalid";
/// The chain of what the rules allow to the gateway itself.
const GATEWAY_ALLOWS: &str = "gateway-allows";

/// An nftables ruleset that treats connections as this rule file does.
#[must_use]
pub fn nftables(compiled: &Compiled) -> Exported {
    let mut writer = Writer {
        policy: &compiled.policy,
        zones: ZoneNames {
            zones: &compiled.policy.zones,
            devices: &compiled.devices,
        },
        text: String::new(),
        missing: Vec::new(),
    };
    writer.everything(compiled);
    let Writer { text, missing, .. } = writer;
    Exported { text, missing }
}

/// A ruleset in the writing.
pub(super) struct Writer<'a> {
    pub(super) policy: &'a Policy,
    pub(super) zones: ZoneNames<'a>,
    pub(super) text: String,
    pub(super) missing: Vec<String>,
}

/// The services that a permitted connection may be of.
enum Life<'r> {
    /// The first of these that covers it.
    Named(&'r [ServiceId]),
    /// This traffic (`None`: any), which has this lifetime whatever its service.
    Given(Option<Vec<Traffic>>, LifetimeId),
    /// This traffic, which is of this service.
    Fixed(&'r [Traffic], ServiceId),
    /// This traffic (`None`: any), of the first service in the file.
    FirstOfFile(Option<&'r [Traffic]>),
}

impl Writer<'_> {
    fn everything(&mut self, compiled: &Compiled) {
        let general = self.policy.lifetimes.general();
        let mut settings =
            lifetimes::sysctls(&general.timeouts, self.policy.tcp, &mut self.missing);
        settings.push_str(&limits::sysctls(self.policy, &mut self.missing));
        lifetimes::check(&self.policy.lifetimes, self.policy.tcp, &mut self.missing);
        self.check_services();
        self.check_algs();
        self.check_zones();
        let mut body = String::new();
        std::mem::swap(&mut body, &mut self.text);
        self.sets();
        self.text.push_str(&limits::source_sets(self.policy));
        self.objects();
        self.source_checks();
        self.text.push_str(&limits::chains(self.policy));
        self.helpers();
        self.destination_translations();
        self.forward_chain();
        self.gateway_chains();
        self.source_translations();
        self.shared_chains();
        std::mem::swap(&mut body, &mut self.text);

        let file = compiled.locations.file().display();
        let _ = writeln!(self.text, "# From {file} by spigate export nftables.\n#");
        self.text.push_str(&settings);
        for row in &self.missing {
            let _ = writeln!(self.text, "# NO EQUIVALENT: {row}");
        }
        let _ = write!(
            self.text,
            "\ntable inet spigate\ndelete table inet spigate\n\ntable inet spigate {{\n{}}}\n",
            body.strip_prefix('\n').unwrap_or(&body)
        );
    }

    pub(super) fn line(&mut self, line: impl std::fmt::Display) {
        let _ = writeln!(self.text, "\t\t{line}");
    }

    /// One rule for each alternative.
    pub(super) fn rules(&mut self, row: &str, alternatives: &[Alternative], verdict: &str) {
        for alternative in alternatives {
            let mut words = vec![alternative.text.as_str(), verdict];
            words.retain(|word| !word.is_empty());
            let line = format!("{} comment \"{row}\"", words.join(" "));
            self.line(line);
        }
        if alternatives.is_empty() {
            self.line(format!("# {row}: nobody meets its conditions"));
        }
    }

    /// Says no to the sender, as `reject` in a rule file does.
    pub(super) fn reject(&mut self, row: &str, alternatives: &[Alternative]) {
        let other = match self.policy.profile {
            Profile::Linux => "reject with icmpx port-unreachable",
            Profile::Rfc | Profile::Carrier => "reject with icmpx admin-prohibited",
        };
        for alternative in alternatives {
            let one = std::slice::from_ref(alternative);
            let tcp = all_of([
                one.to_vec(),
                vec![Alternative::any("meta l4proto tcp".into())],
            ]);
            match alternative.protocol {
                Some(Protocol::TCP) => self.rules(row, one, "reject with tcp reset"),
                Some(_) => self.rules(row, one, other),
                None => {
                    self.rules(row, &tcp, "reject with tcp reset");
                    self.rules(row, one, other);
                }
            }
        }
    }

    pub(super) fn begin(&mut self, chain: &str, hook: &str) {
        let _ = writeln!(self.text, "\n\tchain {chain} {{");
        if !hook.is_empty() {
            self.line(hook);
        }
    }

    pub(super) fn end(&mut self) {
        self.text.push_str("\t}\n");
    }

    /// What the objects of nftables cannot say of services.
    fn check_services(&mut self) {
        let services = &self.policy.services;
        for (id, service) in services.iter() {
            for kind in &service.traffic {
                let protocol = match kind {
                    Traffic::Ports(protocol, _) | Traffic::Protocol(protocol) => *protocol,
                    Traffic::Icmp(_) => Protocol::ICMP,
                };
                if let Some(Said::Not) = service.lifetime.map(|id| self.life(id).said(protocol)) {
                    self.missing.push(format!(
                        "service {}: the lifetime of its {protocol} sessions, as it is written",
                        service.name
                    ));
                }
            }
            for (_, other) in services.iter().filter(|(other, _)| *other > id) {
                if service.alg != other.alg && algs::share_a_port(service, other) {
                    self.missing.push(format!(
                        "services {} and {}: they share TCP ports, and the rule that lets a session in \
                         would have to choose between ALG and none",
                        service.name, other.name
                    ));
                }
            }
        }
    }

    /// What is not said of zones.
    fn check_zones(&mut self) {
        let silent = self.policy.zones.iter();
        let silent = silent.filter(|(_, zone)| zone.errors == IcmpErrors::Withheld);
        let zones = silent.map(|(_, zone)| format!("zone {}: `icmp-errors`", zone.name));
        self.missing.extend(zones);
    }

    fn sets(&mut self) {
        let zones: Vec<ZoneId> = self.zones.by_address().collect();
        let mut sets: Vec<(String, Family, AddressSet)> = Vec::new();
        for family in [Family::V4, Family::V6] {
            for zone in &zones {
                let name = zone_set(self.policy.zones.name(*zone), family);
                sets.push((name, family, self.zones.addresses(*zone)));
            }
            sets.push((gateway_set(family), family, self.own_addresses(None)));
        }
        for (name, family, held) in sets {
            let elements = elements(&held, family);
            if elements.is_empty() {
                continue;
            }
            let kind = match family {
                Family::V4 => "ipv4_addr",
                Family::V6 => "ipv6_addr",
            };
            let elements = elements.join(", ");
            let _ = write!(
                self.text,
                "\n\tset {name} {{\n\t\ttype {kind}\n\t\tflags interval\n\t\telements = {{ {elements} }}\n\t}}\n"
            );
        }
    }

    /// The gateway's own addresses, in one zone or in all.
    pub(super) fn own_addresses(&self, in_zone: Option<ZoneId>) -> AddressSet {
        let zones = self.policy.zones.iter();
        zones
            .filter(|(id, _)| in_zone.is_none_or(|zone| zone == *id))
            .flat_map(|(_, zone)| zone.addresses.iter().map(|a| (*a).into()))
            .collect()
    }

    fn objects(&mut self) {
        let services = &self.policy.services;
        for kind in AlgKind::ALL {
            if services
                .iter()
                .any(|(_, service)| service.alg == Some(kind))
            {
                self.text.push_str(&algs::object(kind));
            }
        }
        let has = |id: LifetimeId, protocol: Protocol| {
            let uses = |service: &Service| {
                service.lifetime == Some(id)
                    && service.traffic.iter().any(|kind| match kind {
                        Traffic::Ports(own, _) | Traffic::Protocol(own) => *own == protocol,
                        Traffic::Icmp(_) => false,
                    })
            };
            let mut rules = self.policy.rules.iter();
            services.iter().any(|(_, service)| uses(service))
                || rules.any(|(_, rule)| rule.lifetime == Some(id))
        };
        let mut objects = String::new();
        for (id, _) in self.policy.lifetimes.iter() {
            for protocol in [Protocol::TCP, Protocol::UDP] {
                if let Said::Object { text, .. } = self.life(id).said(protocol)
                    && has(id, protocol)
                {
                    let _ = write!(objects, "\n{text}");
                }
            }
        }
        self.text.push_str(&objects);
    }

    fn life(&self, id: LifetimeId) -> Differing<'_> {
        Differing::new(&self.policy.lifetimes, id)
    }

    /// The service of what a forward's own rule lets in.
    pub(super) fn admitted_service(&self, forward: &Forward) -> Option<&Service> {
        let mut rules = self.policy.rules.iter();
        let (_, rule) = rules.find(|(_, rule)| rule.name == forward.name)?;
        let unnamed = rule.selector.traffic.as_ref()?;
        self.policy.services.get(unnamed.service?)
    }

    fn forward_chain(&mut self) {
        self.begin(
            "forward",
            "type filter hook forward priority filter; policy drop;",
        );
        let invalid = self.invalid_goes(INVALID);
        self.related_rules();
        self.line(format!(
            "ct state vmap {{ established : accept, related : accept, invalid : {invalid}, untracked : drop }}",
        ));
        for rule in limits::source_rules(self.policy) {
            self.line(rule);
        }
        for rule in rules_about(self.policy, Judges::Connections) {
            let Some(ends) = self.ends_of_forwarded(rule) else {
                continue;
            };
            if let Some(limit) = limits::chain_of(rule) {
                let conditions = ends.iter().cloned().chain(self.row_traffic(&rule.selector));
                let conditions = all_of(conditions);
                self.rules(&rule.name, &conditions, &format!("jump {limit}"));
            }
            self.mark_segments(rule, &ends);
            self.rule(rule, ends);
        }
        self.by_default("");
        self.end();
        self.segment_chain();
        if self.policy.rules.judge_invalid_packets() {
            self.invalid_chain();
        }
    }

    /// The conditions of a rule in the chain `forward`; `None` where it is
    /// about the gateway only.
    pub(super) fn ends_of_forwarded(&self, rule: &Rule) -> Option<Vec<Vec<Alternative>>> {
        let zones = rule.selector.to.as_ref().map(|places| {
            let zone = |place: &Place| match place {
                Place::Zone(zone) => Some(*zone),
                Place::Gateway => None,
            };
            places.iter().filter_map(zone).collect::<Vec<_>>()
        });
        if zones.as_ref().is_some_and(Vec::is_empty) {
            return None;
        }
        let mut ends = self.ends(&rule.selector);
        ends.extend(zones.map(|zones| self.zones.alternatives(&zones, Side::Departure)));
        Some(ends)
    }

    /// What a chain does with invalid packets, where rules are about them and
    /// where not.
    fn invalid_goes(&self, chain: &str) -> String {
        match self.policy.rules.judge_invalid_packets() {
            true => format!("goto {chain}"),
            false => "drop".to_owned(),
        }
    }

    fn invalid_chain(&mut self) {
        self.begin(INVALID, "");
        let nat = &self.policy.nat;
        let translates = !nat.source.is_empty() || !nat.forwards.is_empty();
        for rule in rules_about(self.policy, Judges::Invalid) {
            let Some(mut conditions) = self.ends_of_forwarded(rule) else {
                continue;
            };
            conditions.extend(self.row_traffic(&rule.selector));
            let conditions = all_of(conditions);
            match rule.action {
                Action::Allow => self.rules(&rule.name, &conditions, "accept"),
                Action::Drop => self.rules(&rule.name, &conditions, "drop"),
                Action::Reject => self.reject(&rule.name, &conditions),
            }
            if translates && rule.action == Action::Allow {
                self.missing.push(format!(
                    "rule {}: what it allows the kernel sends on untranslated, with an inside source",
                    rule.name
                ));
            }
        }
        self.line("drop");
        self.end();
    }

    /// Packets whose source lies elsewhere than they came from are dropped
    /// before they are tracked.
    fn source_checks(&mut self) {
        let lines: Vec<_> = self.zones.source_checks().collect();
        if lines.is_empty() {
            return;
        }
        self.begin(
            "sources",
            "type filter hook prerouting priority raw; policy accept;",
        );
        for line in lines {
            self.line(line);
        }
        self.end();
    }

    /// The conditions of a row about where a connection comes from, and about
    /// both addresses.
    pub(super) fn ends(&self, selector: &Selector) -> Vec<Vec<Alternative>> {
        let from = selector.from.as_ref();
        let sets = [
            (&selector.source, "saddr"),
            (&selector.destination, "daddr"),
        ];
        let sets = sets
            .into_iter()
            .filter_map(|(set, end)| Some(addresses(set.as_ref()?, end)));
        from.map(|zones| self.zones.alternatives(zones, Side::Arrival))
            .into_iter()
            .chain(sets)
            .collect()
    }

    /// All traffic that a row is about.
    pub(super) fn row_traffic(&self, selector: &Selector) -> Option<Vec<Alternative>> {
        match (&selector.traffic, &selector.services) {
            (Some(unnamed), _) => Some(traffic(&unnamed.any_of)),
            (None, Some(named)) => {
                let named = named.iter().filter_map(|id| self.policy.services.get(*id));
                Some(traffic(named.flat_map(|service| &service.traffic)))
            }
            (None, None) => None,
        }
    }

    fn rule(&mut self, rule: &Rule, ends: Vec<Vec<Alternative>>) {
        if rule.action == Action::Allow {
            let selector = &rule.selector;
            let services = selector.services.iter().flatten();
            let kinds = services.filter_map(|id| self.policy.services.get(*id));
            let life = match (&selector.traffic, &selector.services, rule.lifetime) {
                (None, named, Some(lifetime)) => {
                    let kinds = kinds.flat_map(|service| service.traffic.clone());
                    Life::Given(named.as_ref().map(|_| kinds.collect()), lifetime)
                }
                (Some(unnamed), _, _) => match unnamed.service {
                    Some(service) => Life::Fixed(&unnamed.any_of, service),
                    None => Life::FirstOfFile(Some(&unnamed.any_of)),
                },
                (None, Some(named), None) => Life::Named(named),
                (None, None, None) => Life::FirstOfFile(None),
            };
            return self.allow(&rule.name, &ends, life);
        }
        let ends = ends.into_iter().chain(self.row_traffic(&rule.selector));
        let conditions = all_of(ends);
        match rule.action {
            Action::Reject => self.reject(&rule.name, &conditions),
            _ => self.rules(&rule.name, &conditions, "drop"),
        }
    }

    fn allow(&mut self, row: &str, ends: &[Vec<Alternative>], life: Life<'_>) {
        let policy = self.policy;
        match life {
            Life::Named(named) => {
                // Services without a life of their own share one rule.
                let mut plain: Vec<&Traffic> = Vec::new();
                let services = named.iter().filter_map(|id| policy.services.get(*id));
                for service in services {
                    if service.lifetime.is_none() {
                        plain.extend(&service.traffic);
                        continue;
                    }
                    self.accept(row, ends, &plain, None);
                    plain.clear();
                    let own: Vec<_> = service.traffic.iter().collect();
                    self.accept(row, ends, &own, service.lifetime);
                }
                self.accept(row, ends, &plain, None);
            }
            Life::Fixed(kinds, service) => {
                let own: Vec<_> = kinds.iter().collect();
                let service = policy.services.get(service);
                self.accept(
                    row,
                    ends,
                    &own,
                    service.and_then(|service| service.lifetime),
                );
            }
            Life::Given(Some(kinds), lifetime) => {
                let own: Vec<_> = kinds.iter().collect();
                self.accept(row, ends, &own, Some(lifetime));
            }
            Life::Given(None, lifetime) => {
                for protocol in [Protocol::TCP, Protocol::UDP] {
                    let all = [&Traffic::Protocol(protocol)];
                    self.accept(row, ends, &all, Some(lifetime));
                }
                self.rules(row, &all_of(ends.iter().cloned()), "accept");
            }
            Life::FirstOfFile(kinds) => {
                let kinds = kinds.map(traffic);
                let conditions = all_of(ends.iter().cloned().chain(kinds));
                let verdict = match self.lives_differ() {
                    true => format!("goto {ANY_SERVICE}"),
                    false => "accept".to_owned(),
                };
                self.rules(row, &conditions, &verdict);
            }
        }
    }

    /// Accepts this traffic, with this lifetime.
    fn accept(
        &mut self,
        row: &str,
        ends: &[Vec<Alternative>],
        kinds: &[&Traffic],
        lifetime: Option<LifetimeId>,
    ) {
        for kind in traffic(kinds.iter().copied()) {
            let object = kind
                .protocol
                .and_then(|protocol| self.life(lifetime?).object(protocol));
            let verdict = match object {
                Some(object) => format!("ct timeout set \"{object}\" accept"),
                None => "accept".to_owned(),
            };
            let conditions = all_of(ends.iter().cloned().chain([vec![kind]]));
            self.rules(row, &conditions, &verdict);
        }
    }

    fn lives_differ(&self) -> bool {
        let mut services = self.policy.services.iter();
        services.any(|(_, service)| service.lifetime.is_some())
    }

    /// What happens to a connection that no rule is about.
    fn by_default(&mut self, allowed: &str) {
        let anything = [Alternative::any(String::new())];
        match self.policy.rules.default_action() {
            Action::Drop => self.rules("default", &anything, "drop"),
            Action::Reject => self.reject("default", &anything),
            Action::Allow if allowed.is_empty() => {
                self.allow("default", &[], Life::FirstOfFile(None));
            }
            Action::Allow => self.rules("default", &anything, allowed),
        }
    }

    /// Connections to the gateway itself: only its own addresses are this
    /// ruleset's to guard, whatever else the host has.
    fn gateway_chains(&mut self) {
        let own = self.own_addresses(None);
        if own.prefixes().is_empty() {
            return;
        }
        self.begin(
            "input",
            "type filter hook input priority filter; policy accept;",
        );
        self.line("iifname \"lo\" accept");
        for family in [Family::V4, Family::V6] {
            if !elements(&own, family).is_empty() {
                let (ip, set) = (family_word(family), gateway_set(family));
                self.line(format!("{ip} daddr @{set} goto gateway"));
            }
        }
        self.end();
        self.begin("gateway", "");
        let invalid = self.invalid_goes(GATEWAY_INVALID);
        self.line(format!(
            "ct state vmap {{ established : accept, related : accept, invalid : {invalid} }}"
        ));
        self.line(
            "icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept",
        );
        let goto = format!("goto {GATEWAY_ALLOWS}");
        self.gateway_rules(Judges::Connections, &goto);
        self.by_default(&goto);
        self.end();
        if self.policy.rules.judge_invalid_packets() {
            self.begin(GATEWAY_INVALID, "");
            self.gateway_rules(Judges::Invalid, &goto);
            self.line("drop");
            self.end();
        }
        self.begin(GATEWAY_ALLOWS, "");
        self.line("icmp type echo-request accept");
        self.line("icmpv6 type echo-request accept");
        self.line("meta l4proto tcp reject with tcp reset");
        self.line("reject with icmpx port-unreachable");
        self.end();
    }

    fn gateway_rules(&mut self, class: Judges, allowed: &str) {
        for rule in rules_about(self.policy, class) {
            let places = rule.selector.to.as_ref();
            if places.is_some_and(|places| !places.contains(&Place::Gateway)) {
                continue;
            }
            let ends = self.ends(&rule.selector);
            match rule.action {
                Action::Allow => {
                    let conditions = ends.into_iter().chain(self.row_traffic(&rule.selector));
                    self.rules(&rule.name, &all_of(conditions), allowed);
                }
                _ => self.rule(rule, ends),
            }
        }
    }

    fn shared_chains(&mut self) {
        if !self.lives_differ() {
            return;
        }
        let services: Vec<&Service> = self.policy.services.iter().map(|(_, s)| s).collect();
        let last = services
            .iter()
            .rposition(|service| service.lifetime.is_some());
        self.begin(ANY_SERVICE, "");
        for service in services.iter().take(last.map_or(0, |last| last + 1)) {
            let own: Vec<_> = service.traffic.iter().collect();
            self.accept(&service.name, &[], &own, service.lifetime);
        }
        self.line("accept");
        self.end();
    }
}

pub(super) fn rules_about(policy: &Policy, class: Judges) -> impl Iterator<Item = &Rule> {
    let rules = policy.rules.iter().map(|(_, rule)| rule);
    rules.filter(move |rule| rule.judges == class)
}

fn gateway_set(family: Family) -> String {
    match family {
        Family::V4 => "gateway-v4".to_owned(),
        Family::V6 => "gateway-v6".to_owned(),
    }
}

/// The port that a forward leads to, where it is not the one that was addressed.
pub(super) fn moved_to(forward: &Forward) -> Option<Port> {
    match forward.to {
        Server::Host(_, ServerPort::One(to) | ServerPort::Shifted { to, .. }) => Some(to),
        Server::Gateway(port) => port,
        Server::Host(_, ServerPort::Same) | Server::Network(..) => None,
    }
}
