//! What a rule file compiles to, in a few lines that one can check by eye.

use std::fmt::{Display, Write as _};

use spigate::alg::ftp::ActiveOpens;
use spigate::config::Compiled;
use spigate::engine::{AnswerRates, FragmentLimits, OnReload, RouteOptions, UnsolicitedSyn};
use spigate::nat::{
    Hairpin, NoMapping, Pooling, PortChoice, PortOrder, Server, ServerPort, SourceNat, SourceTarget,
};
use spigate::net::{
    AddressSet, HoldDown, IcmpErrors, Logged, Place, Quota, Selector, ServiceId, SourceCheck,
    Traffic, ZoneId,
};
use spigate::rules::Judges;
use spigate::session::{Lifetime, LifetimeName, Limits, OnExpiry, Refresh, TcpChecks, Timeouts};

/// A line for each thing that the file says.
pub(crate) fn of(compiled: &Compiled) -> String {
    let policy = &compiled.policy;
    let mut out = String::new();
    for (_, zone) in policy.zones.iter() {
        let (nets, own) = (list(&zone.nets), list(&zone.addresses));
        write!(out, "zone {}: net {nets}; address {own}", zone.name).unwrap();
        if zone.source_check != SourceCheck::default() {
            write!(out, "; source-check {:?}", zone.source_check).unwrap();
        }
        if zone.errors == IcmpErrors::Withheld {
            out += "; no icmp errors";
        }
        out.push('\n');
    }
    for device in &compiled.devices {
        writeln!(
            out,
            "device {}: zones {}; mtu {}; host-address {}; routes {}; interfaces {}",
            device.name,
            list(device.zones.iter().map(|zone| policy.zones.name(*zone))),
            device.mtu,
            list(&device.host_addresses),
            list(&device.routes),
            list(&device.interfaces),
        )
        .unwrap();
    }
    for (_, service) in policy.services.iter() {
        write!(
            out,
            "service {}: {}",
            service.name,
            traffic(&service.traffic)
        )
        .unwrap();
        if let Some(id) = service.lifetime {
            write!(out, "; lives as {}", lifetime(policy.lifetimes.get(id))).unwrap();
        }
        if let Some(alg) = service.alg {
            write!(out, "; alg {}", alg.name()).unwrap();
        }
        if service.checksum == spigate::net::UdpChecksum::Optional {
            write!(out, "; checksum optional").unwrap();
        }
        out.push('\n');
    }
    for (_, general) in policy.lifetimes.iter() {
        if *general != Lifetime::new(Timeouts::default()) {
            let name = lifetime(general);
            writeln!(out, "lifetime {name}: {}", differing(&general.timeouts)).unwrap();
        }
    }
    for row in policy.lifetimes.between() {
        let zones = |zones: &Option<Vec<ZoneId>>| match zones {
            Some(zones) => list(zones.iter().map(|zone| policy.zones.name(*zone))),
            None => "any".into(),
        };
        let (from, to) = (zones(&row.from), zones(&row.to));
        let name = lifetime(policy.lifetimes.get(row.lifetime));
        writeln!(out, "between {from} and {to}: {name}").unwrap();
    }
    if policy.tcp != TcpChecks::default() {
        writeln!(out, "{:?}", policy.tcp).unwrap();
    }
    let mut usual = spigate::alg::Settings::default();
    usual.ftp.active_opens = ActiveOpens::of(policy.profile);
    if policy.algs != usual {
        writeln!(out, "{:#?}", policy.algs.ftp).unwrap();
    }
    if policy.limits != Limits::default() {
        writeln!(out, "{:?}", policy.limits).unwrap();
    }
    if policy.fragments != FragmentLimits::default() {
        writeln!(out, "{:?}", policy.fragments).unwrap();
    }
    if policy.answers != AnswerRates::default() {
        writeln!(out, "{:?}", policy.answers).unwrap();
    }
    if policy.no_room != NoMapping::default() {
        writeln!(out, "no room: {:?}", policy.no_room).unwrap();
    }
    if policy.unsolicited_syn != UnsolicitedSyn::default() {
        writeln!(out, "unsolicited syn: {:?}", policy.unsolicited_syn).unwrap();
    }
    if policy.on_reload != OnReload::default() {
        writeln!(out, "on reload: {:?}", policy.on_reload).unwrap();
    }
    if policy.route_options != RouteOptions::default() {
        writeln!(out, "{:?}", policy.route_options).unwrap();
    }
    for (id, rule) in policy.rules.iter() {
        let line = compiled.locations.of_rule(id).unwrap().line;
        let class = match rule.judges {
            Judges::Connections => "",
            Judges::Related => " related",
            Judges::Invalid => " invalid",
        };
        let selector = selector(&rule.selector, compiled);
        let mut action = format!("{:?}", rule.action).to_lowercase();
        if let Some(id) = rule.lifetime {
            action += &format!(", lives as {}", lifetime(policy.lifetimes.get(id)));
        }
        if let Some(set) = &rule.third_parties {
            action += &format!(", third-party {}", list(set.prefixes().iter()));
        }
        if let Some(mss) = rule.mss {
            action += &format!(", mss {mss:?}");
        }
        if let Some(most) = rule.max_sessions {
            action += &format!(", {most} at a time");
        }
        let name = &rule.name;
        writeln!(
            out,
            "rule {name} (line {line}):{class}{selector} -> {action}"
        )
        .unwrap();
    }
    let default = format!("{:?}", policy.rules.default_action()).to_lowercase();
    writeln!(out, "default: {default}").unwrap();
    for row in &policy.nat.source {
        let target = target(&row.target);
        let selector = selector(&row.selector, compiled);
        let mut ports = ports(&row.ports);
        ports += &terms(row);
        writeln!(out, "source {}:{selector} -> {target}{ports}", row.name).unwrap();
    }
    if policy.nat.no_mapping != NoMapping::default() {
        writeln!(out, "no mapping: {:?}", policy.nat.no_mapping).unwrap();
    }
    if !policy.nat.reserved.is_empty() {
        writeln!(out, "reserved {}", traffic(&policy.nat.reserved)).unwrap();
    }
    for row in &policy.nat.forwards {
        write!(
            out,
            "forward {}: on {}",
            row.name,
            policy.zones.name(row.on)
        )
        .unwrap();
        write!(out, "{}", addresses("dst", row.address.as_ref())).unwrap();
        write!(out, "{}", addresses("src", row.source.as_ref())).unwrap();
        write!(out, " {} -> {}", traffic(&row.traffic), server(row.to)).unwrap();
        if let Some(client) = &row.client {
            write!(out, " as {}", target(client)).unwrap();
        }
        out += &format!("{}\n", hairpin(row.hairpin));
    }
    for row in &policy.nat.statics {
        let (on, inside, outside) = (policy.zones.name(row.on), row.inside, row.outside);
        let hairpin = hairpin(row.hairpin);
        writeln!(
            out,
            "static {}: on {on} {inside} = {outside}{hairpin}",
            row.name
        )
        .unwrap();
    }
    out
}

/// What a row says for those whom many share.
fn terms(row: &SourceNat) -> String {
    let mut said = String::new();
    let terms = &row.terms;
    if let Some(Quota {
        all,
        tcp,
        udp,
        icmp,
    }) = terms.quota
    {
        let all = [(all, "public endpoints"), (tcp, "of tcp"), (udp, "of udp")];
        for (most, of) in all.into_iter().chain([(icmp, "of icmp")]) {
            said += &most.map_or_else(String::new, |most| format!(", {most} {of}"));
        }
    }
    if let Some(rate) = terms.rate {
        said += &format!(
            ", {} new a second, {} at a time",
            rate.per_second, rate.burst
        );
    }
    if let Some(most) = terms.max_sessions {
        said += &format!(", {most} sessions by each");
    }
    if let Some(layout) = terms.blocks {
        let (count, size, most) = (layout.count(), layout.size(), row.blocks_per_client);
        said += &format!(", {count} blocks of {size}, {most} a client");
    }
    if let Some(hold_down) = terms.hold_down {
        let HoldDown { time, most, of } = hold_down;
        said += &format!(", {most} {of:?} rest for {time:?}");
    }
    match terms.log {
        Logged::Nothing => said,
        log => said + &format!(", log {log:?}"),
    }
}

fn hairpin(hairpin: Hairpin) -> &'static str {
    match hairpin {
        Hairpin::Yes => " hairpin",
        Hairpin::No => "",
    }
}

fn target(target: &SourceTarget) -> String {
    match target {
        SourceTarget::Masquerade => "masquerade".into(),
        SourceTarget::Exempt => "none".into(),
        SourceTarget::Pool(pool, pooling) => {
            let range = |range: &spigate::nat::AddressRange| match range.first() == range.last() {
                true => range.first().to_string(),
                false => format!("{}-{}", range.first(), range.last()),
            };
            let all = list(pool.ranges().iter().map(range));
            match pooling {
                Pooling::Paired => all,
                Pooling::Preferred => all + " preferred",
                Pooling::Arbitrary => all + " arbitrary",
            }
        }
        SourceTarget::Deterministic(plan) => {
            let clients = list(plan.clients().iter().map(ToString::to_string));
            let first = plan.addresses().ranges()[0].first();
            let (own, dynamic) = (plan.own_ports(), plan.dynamic());
            format!("{clients} by {own} ports from {first} on, dynamic {dynamic}")
        }
        SourceTarget::Network(pairs) => {
            list(pairs.iter().map(|(from, to)| format!("{from} = {to}")))
        }
    }
}

fn ports(choice: &PortChoice) -> String {
    let range = choice.range.as_ref();
    let range = range.map_or(String::new(), |range| {
        format!(" ports {}-{}", range.start(), range.end())
    });
    match choice.order {
        PortOrder::Keep => range,
        PortOrder::KeepParity => range + " keep-parity",
        PortOrder::Random => range + " random",
    }
}

fn server(server: Server) -> String {
    match server {
        Server::Host(address, ServerPort::Same) => address.to_string(),
        Server::Host(address, ServerPort::One(port)) => format!("{address} port {port}"),
        Server::Host(address, ServerPort::Shifted { public, to }) => {
            format!("{address} port {to} for {public} and so on")
        }
        Server::Network(public, inside) => format!("{public} = {inside}"),
        Server::Gateway(None) => "the gateway".into(),
        Server::Gateway(Some(port)) => format!("the gateway port {port}"),
    }
}

/// A lifetime by its name, with what it says besides timeouts.
fn lifetime(lifetime: &Lifetime) -> String {
    let mut words = vec![match &lifetime.name {
        LifetimeName::Timeouts => "[timeouts]".to_owned(),
        LifetimeName::Named(name) => name.clone(),
        LifetimeName::Service(name) => format!("service {name}"),
    }];
    words.extend(lifetime.idle.map(|idle| format!("idle {idle:?}")));
    if lifetime.on_expiry != OnExpiry::default() {
        words.push(format!("on expiry {:?}", lifetime.on_expiry));
    }
    if lifetime.refresh != Refresh::default() {
        words.push(format!("refreshed by {:?}", lifetime.refresh));
    }
    words.join(", ")
}

/// What differs from the defaults.
fn differing(timeouts: &Timeouts) -> String {
    let (own, default) = (
        format!("{timeouts:?}"),
        format!("{:?}", Timeouts::default()),
    );
    let pairs = own.split(", ").zip(default.split(", "));
    let differing = pairs.filter(|(own, default)| own != default);
    let bare = |own: &str| {
        let own = own.trim_start_matches("Timeouts { ");
        own.trim_end_matches(" }").to_owned()
    };
    list(differing.map(|(own, _)| bare(own)))
}

fn selector(selector: &Selector, compiled: &Compiled) -> String {
    let policy = &compiled.policy;
    let zone = |zone: &ZoneId| policy.zones.name(*zone).to_owned();
    let service = |service: &ServiceId| policy.services.get(*service).unwrap().name.clone();
    let place = |place: &Place| match place {
        Place::Zone(id) => zone(id),
        Place::Gateway => "the gateway".into(),
    };
    let mut out = String::new();
    if let Some(from) = &selector.from {
        out += &format!(" from {}", list(from.iter().map(zone)));
    }
    if let Some(to) = &selector.to {
        out += &format!(" to {}", list(to.iter().map(place)));
    }
    out += &addresses("src", selector.source.as_ref());
    out += &addresses("dst", selector.destination.as_ref());
    if let Some(services) = &selector.services {
        out += &format!(" service {}", list(services.iter().map(service)));
    }
    if let Some(unnamed) = &selector.traffic {
        out += &format!(" {}", traffic(&unnamed.any_of));
        if let Some(of) = &unnamed.service {
            out += &format!(" (service {})", service(of));
        }
    }
    out
}

fn addresses(word: &str, set: Option<&AddressSet>) -> String {
    set.map_or(String::new(), |set| {
        format!(" {word} {}", list(set.prefixes()))
    })
}

fn traffic(all: &[Traffic]) -> String {
    list(all.iter().map(|traffic| match traffic {
        Traffic::Ports(protocol, ports) if ports.start() == ports.end() => {
            format!("{protocol}/{}", ports.start())
        }
        Traffic::Ports(protocol, ports) => format!("{protocol}/{}-{}", ports.start(), ports.end()),
        Traffic::Icmp(query) => format!("{query}({})", query.message_type()),
        Traffic::Protocol(protocol) => protocol.to_string(),
    }))
}

fn list<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
    if items.is_empty() {
        "-".into()
    } else {
        items.join(", ")
    }
}
