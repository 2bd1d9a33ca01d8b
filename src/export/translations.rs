//! The translations: destination NAT as connections arrive, source NAT as they
//! leave.
//!
//! What a connection's destination was decides about its source in two cases
//! (`as` in a forward, and hairpins): there a mark on the session carries the
//! word from one chain to the other.

use std::net::IpAddr;

use ipnet::IpNet;

use super::conditions::{self, Alternative, addresses, all_of, family_word, traffic};
use super::nftables::Writer;
use super::zones::Side;
use crate::nat::{
    AddressRange, Forward, Hairpin, NoMapping, Pool, Pooling, PortChoice, PortOrder, Server,
    ServerPort, SourceNat, SourceTarget, Static,
};
use crate::net::{AddressSet, Dependence, Family, Logged, Place, Port, Protocol, Traffic, ZoneId};

/// Marks of sessions whose forward says what the client becomes: this and the
/// place of the forward.
const CLIENT_MARKS: usize = 0x1_0000;
/// Marks of sessions that came to a public address by the inside: this and
/// the number of the zone that the address belongs to.
const HAIRPIN_MARKS: usize = 0x2_0000;

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

/// What a source becomes, as nft says it.
struct Snat {
    /// Behind `snat ip to`.
    target: String,
    /// Ports need a protocol that has some.
    ports: Option<String>,
    flags: &'static str,
}

impl Writer<'_> {
    pub(super) fn destination_translations(&mut self) {
        let nat = &self.policy.nat;
        if nat.forwards.is_empty() && nat.statics.is_empty() {
            return;
        }
        self.begin(
            "forwards",
            "type nat hook prerouting priority dstnat; policy accept;",
        );
        for (n, forward) in nat.forwards.iter().enumerate() {
            self.forward(n, forward);
        }
        for fixed in &nat.statics {
            let public: AddressSet = std::iter::once(fixed.outside).collect();
            let to = mapped("daddr", fixed.outside, fixed.inside);
            let verdict = format!("dnat {} {to}", family_word(Family::of(fixed.inside.addr())));
            let conditions = addresses(&public, "daddr");
            self.inward(
                &fixed.name,
                fixed.on,
                fixed.hairpin,
                &conditions,
                "",
                &verdict,
            );
        }
        self.end();
    }

    fn forward(&mut self, n: usize, forward: &Forward) {
        let mark = match forward.client {
            Some(_) => format!("ct mark set {:#x} ", CLIENT_MARKS + n),
            None => String::new(),
        };
        for kind in traffic(&forward.traffic) {
            let has_ports = kind.protocol.is_some_and(Protocol::has_ports);
            for family in families_of(forward.to) {
                let conditions = all_of([self.addressed(forward, family), vec![kind.clone()]]);
                let Some(to) = self.server(forward, family, has_ports, &kind) else {
                    continue;
                };
                let verdict = format!("dnat {} {to}", family_word(family));
                let (name, on, hairpin) = (&forward.name, forward.on, forward.hairpin);
                self.inward(name, on, hairpin, &conditions, &mark, &verdict);
            }
        }
    }

    /// The rules of one row of destination translation: for what arrives by
    /// its zone, and where it is a hairpin for all that arrives otherwise.
    fn inward(
        &mut self,
        row: &str,
        on: ZoneId,
        hairpin: Hairpin,
        conditions: &[Alternative],
        mark: &str,
        verdict: &str,
    ) {
        let arrives = self.zones.alternatives(&[on], Side::Arrival);
        let outside = all_of([arrives, conditions.to_vec()]);
        self.rules(row, &outside, &format!("{mark}{verdict}"));
        if hairpin == Hairpin::Yes {
            let mark = match mark {
                "" => format!("ct mark set {:#x} ", HAIRPIN_MARKS + usize::from(on.0)),
                own => own.to_owned(),
            };
            self.rules(row, conditions, &format!("{mark}{verdict}"));
        }
    }

    /// What arrives by its zone for a forward's public address.
    pub(super) fn arrives_for(&self, forward: &Forward) -> Vec<Alternative> {
        let families = families_of(forward.to);
        let addressed = families.iter().flat_map(|f| self.addressed(forward, *f));
        let arrives = self.zones.alternatives(&[forward.on], Side::Arrival);
        all_of([arrives, addressed.collect()])
    }

    /// What is addressed to a forward's public address, and may use it.
    fn addressed(&self, forward: &Forward, family: Family) -> Vec<Alternative> {
        let public = match (&forward.address, forward.to) {
            (Some(public), _) => Some(public.clone()),
            (None, Server::Gateway(_)) => None,
            (None, Server::Network(public, _)) => Some(std::iter::once(public).collect()),
            (None, Server::Host(..)) => Some(self.own_addresses(Some(forward.on))),
        };
        let of_family = vec![Alternative::of(family, String::new())];
        let public = public.map(|set| addresses(&set, "daddr"));
        let sources = forward.source.as_ref().map(|set| addresses(set, "saddr"));
        all_of([of_family].into_iter().chain(public).chain(sources))
    }

    /// Where a forward leads, behind `dnat ip`.
    fn server(
        &self,
        forward: &Forward,
        family: Family,
        has_ports: bool,
        kind: &Alternative,
    ) -> Option<String> {
        let (address, port) = match forward.to {
            Server::Network(public, inside) => return Some(mapped("daddr", public, inside)),
            Server::Gateway(port) => {
                let own = self.policy.zones.speaking_address(forward.on, family)?;
                (own, port.map_or(ServerPort::Same, ServerPort::One))
            }
            Server::Host(address, port) => (address, port),
        };
        Some(match port {
            ServerPort::One(port) if has_ports => format!("to {}", endpoint(address, port)),
            ServerPort::Shifted { .. } if has_ports => {
                let protocol = kind.protocol.unwrap_or(Protocol::TCP);
                let public = forward.traffic.iter().filter_map(|traffic| match traffic {
                    Traffic::Ports(own, ports) if *own == protocol => Some(ports.clone()),
                    _ => None,
                });
                let all = public.flat_map(|ports| ports.start().0..=ports.end().0);
                let pairs = all.map(|from| {
                    let to = port.of(Port(from));
                    format!("{from} : {address} . {to}")
                });
                let pairs: Vec<_> = pairs.collect();
                format!("to {protocol} dport map {{ {} }}", pairs.join(", "))
            }
            _ => format!("to {address}"),
        })
    }

    pub(super) fn source_translations(&mut self) {
        let nat = &self.policy.nat;
        if nat.no_mapping != NoMapping::Silent {
            self.missing
                .push("nat.no-mapping: the kernel says nothing".to_owned());
        }
        if !nat.reserved.is_empty() {
            self.missing
                .push("nat.reserved: ports that no client is given".to_owned());
        }
        let hairpins = self.hairpins();
        let clients = nat.forwards.iter().any(|forward| forward.client.is_some());
        if nat.source.is_empty() && nat.statics.is_empty() && hairpins.is_empty() && !clients {
            return;
        }
        for zone in &hairpins {
            self.hairpin_chain(*zone);
        }
        self.begin(
            "source",
            "type nat hook postrouting priority srcnat; policy accept;",
        );
        for (n, forward) in nat.forwards.iter().enumerate() {
            if let Some(target) = &forward.client {
                let marked = [Alternative::any(self.has_mark(CLIENT_MARKS + n))];
                let zones: Vec<_> = self.policy.zones.iter().map(|(id, _)| id).collect();
                let usual = PortChoice::default();
                self.become_target(&forward.name, (target, &usual), &zones, |writer, to| {
                    let out =
                        (to.len() == 1).then(|| writer.zones.alternatives(to, Side::Departure));
                    all_of([marked.to_vec()].into_iter().chain(out))
                });
            }
        }
        for zone in &hairpins {
            let marked = self.has_mark(HAIRPIN_MARKS + usize::from(zone.0));
            let chain = self.hairpin_name(*zone);
            self.line(format!("{marked} goto {chain}"));
        }
        for fixed in &nat.statics {
            let leaves = self.zones.alternatives(&[fixed.on], Side::Departure);
            self.static_source(fixed, leaves);
        }
        for row in &nat.source {
            self.source_translation(row);
        }
        self.end();
    }

    /// The zones whose public addresses work from elsewhere too.
    fn hairpins(&self) -> Vec<ZoneId> {
        let nat = &self.policy.nat;
        let forwards = nat.forwards.iter().map(|row| (row.on, row.hairpin));
        let all = forwards.chain(nat.statics.iter().map(|row| (row.on, row.hairpin)));
        let mut zones: Vec<_> = all
            .filter(|(_, hairpin)| *hairpin == Hairpin::Yes)
            .map(|(on, _)| on)
            .collect();
        zones.sort();
        zones.dedup();
        zones
    }

    fn hairpin_name(&self, zone: ZoneId) -> String {
        format!("hairpin-{}", self.policy.zones.name(zone))
    }

    /// As what inside clients reach the public addresses of a zone: as they
    /// would leave by it, or from the gateway's own address there.
    fn hairpin_chain(&mut self, on: ZoneId) {
        let chain = self.hairpin_name(on);
        self.begin(&chain, "");
        let policy = self.policy;
        for fixed in policy.nat.statics.iter().filter(|row| row.on == on) {
            self.static_source(fixed, vec![Alternative::any(String::new())]);
        }
        let leads_there = |row: &&SourceNat| {
            let to = row.selector.to.as_ref();
            to.is_none_or(|places| places.contains(&Place::Zone(on)))
        };
        for row in policy.nat.source.iter().filter(leads_there) {
            let mut ends = self.ends(&row.selector);
            ends.extend(self.row_traffic(&row.selector));
            let conditions = all_of(ends);
            match &row.target {
                SourceTarget::Exempt => self.own_address(&row.name, on, &conditions),
                target => {
                    let there = |_: &Self, _: &[ZoneId]| conditions.clone();
                    self.become_target(&row.name, (target, &row.ports), &[on], there);
                }
            }
        }
        self.own_address("hairpin", on, &[Alternative::any(String::new())]);
        self.end();
    }

    fn own_address(&mut self, row: &str, zone: ZoneId, conditions: &[Alternative]) {
        let policy = self.policy;
        self.snat(row, conditions, |family| {
            policy.zones.own_address(zone, family).map(only)
        });
    }

    fn static_source(&mut self, fixed: &Static, leaves: Vec<Alternative>) {
        let inside: AddressSet = std::iter::once(fixed.inside).collect();
        let conditions = all_of([leaves, addresses(&inside, "saddr")]);
        let to = mapped("saddr", fixed.inside, fixed.outside);
        let ip = family_word(Family::of(fixed.inside.addr()));
        self.rules(&fixed.name, &conditions, &format!("snat {ip} {to}"));
    }

    fn source_translation(&mut self, row: &SourceNat) {
        let selector = &row.selector;
        let all = self.policy.zones.iter().map(|(id, _)| id);
        let zones: Vec<ZoneId> = match &selector.to {
            None => all.collect(),
            Some(places) => all.filter(|z| places.contains(&Place::Zone(*z))).collect(),
        };
        self.carrier(row);
        let usual = Dependence::AddressAndPortDependent;
        if (row.mapping, row.filtering) != (usual, usual) {
            self.missing.push(format!(
                "nat.source {}: `mapping` and `filtering` other than \"address-and-port-dependent\"",
                row.name
            ));
        }
        if row.ports.order == PortOrder::KeepParity {
            self.missing.push(format!(
                "nat.source {}: a port that has to give way stays even or odd",
                row.name
            ));
        }
        if let SourceTarget::Pool(pool, _) = &row.target {
            for family in FAMILIES {
                if of_family(pool, family).count() > 1 {
                    self.missing.push(format!(
                        "nat.source {}: a pool of several ranges of {family} addresses; the first is used",
                        row.name
                    ));
                }
            }
        }
        let mut ends = self.ends(selector);
        ends.extend(self.row_traffic(selector));
        let named = selector.to.is_some();
        let to = move |writer: &Self, zones: &[ZoneId]| {
            let out = (named || zones.len() == 1)
                .then(|| writer.zones.alternatives(zones, Side::Departure));
            all_of(ends.iter().cloned().chain(out))
        };
        self.become_target(&row.name, (&row.target, &row.ports), &zones, to);
    }

    /// Names what the kernel has nothing like of a row for many that share.
    fn carrier(&mut self, row: &SourceNat) {
        let terms = &row.terms;
        let is_fixed = matches!(row.target, SourceTarget::Deterministic(_));
        let logs = terms.log != Logged::Nothing;
        let missing = [
            (
                terms.quota.is_some(),
                "a limit of public endpoints for each client",
            ),
            (
                terms.rate.is_some(),
                "a rate of new public endpoints for each client",
            ),
            (
                terms.max_sessions.is_some(),
                "a limit of sessions by one public endpoint",
            ),
            (is_fixed, "a range of ports for each client by arithmetic"),
            (
                terms.blocks.is_some(),
                "blocks of ports that clients have for themselves",
            ),
            (
                terms.hold_down.is_some(),
                "ports that rest before others get them",
            ),
            (logs, "a log of who has which ports"),
        ];
        for (_, what) in missing.into_iter().filter(|(is_there, _)| *is_there) {
            self.missing
                .push(format!("nat.source {}: {what}", row.name));
        }
    }

    /// Makes a source what `target` says; `conditions` gives those of what
    /// leaves by some zones.
    fn become_target(
        &mut self,
        row: &str,
        (target, ports): (&SourceTarget, &PortChoice),
        zones: &[ZoneId],
        conditions: impl Fn(&Self, &[ZoneId]) -> Vec<Alternative>,
    ) {
        match target {
            SourceTarget::Exempt => self.rules(row, &conditions(self, zones), "accept"),
            // The address in the zone, not whichever the interface has first.
            SourceTarget::Masquerade => {
                let policy = self.policy;
                for zone in zones {
                    let conditions = conditions(self, &[*zone]);
                    self.snat(row, &conditions, |family| {
                        let own = policy.zones.own_address(*zone, family)?;
                        Some(with_ports(only(own), ports))
                    });
                }
            }
            SourceTarget::Pool(pool, pooling) => {
                let conditions = conditions(self, zones);
                self.snat(row, &conditions, |family| {
                    chosen(pool, *pooling, ports, family)
                });
            }
            // Said to be missing: it is at least the right addresses.
            SourceTarget::Deterministic(plan) => {
                let conditions = conditions(self, zones);
                let pool = plan.addresses();
                self.snat(row, &conditions, |family| {
                    chosen(pool, Pooling::Paired, ports, family)
                });
            }
            SourceTarget::Network(pairs) => {
                for (from, to) in pairs {
                    let hosts: AddressSet = std::iter::once(*from).collect();
                    let conditions = all_of([conditions(self, zones), addresses(&hosts, "saddr")]);
                    let ip = family_word(Family::of(from.addr()));
                    let verdict = format!("snat {ip} {}", mapped("saddr", *from, *to));
                    self.rules(row, &conditions, &verdict);
                }
            }
        }
    }

    /// Translates, or drops what has no address to leave from.
    fn snat(
        &mut self,
        row: &str,
        conditions: &[Alternative],
        target: impl Fn(Family) -> Option<Snat>,
    ) {
        for family in FAMILIES {
            let word = match family {
                Family::V4 => "meta nfproto ipv4",
                Family::V6 => "meta nfproto ipv6",
            };
            let conditions = conditions::of_family(conditions, family, word);
            if conditions.is_empty() {
                continue;
            }
            let Some(Snat {
                target,
                ports,
                flags,
            }) = target(family)
            else {
                self.rules(row, &conditions, "drop");
                continue;
            };
            let ip = family_word(family);
            if let Some(ports) = ports {
                let with_ports = vec![Alternative::any("meta l4proto { tcp, udp }".to_owned())];
                let both = all_of([conditions.clone(), with_ports]);
                self.rules(row, &both, &format!("snat {ip} to {target}:{ports}{flags}"));
            }
            self.rules(row, &conditions, &format!("snat {ip} to {target}{flags}"));
        }
    }
}

fn families_of(server: Server) -> Vec<Family> {
    match server {
        Server::Host(address, _) => vec![Family::of(address)],
        Server::Network(_, inside) => vec![Family::of(inside.addr())],
        Server::Gateway(_) => FAMILIES.to_vec(),
    }
}

fn endpoint(address: IpAddr, port: Port) -> String {
    match address {
        IpAddr::V4(address) => format!("{address}:{port}"),
        IpAddr::V6(address) => format!("[{address}]:{port}"),
    }
}

/// One network for another, host by host.
fn mapped(end: &str, from: IpNet, to: IpNet) -> String {
    if from.prefix_len() == from.max_prefix_len() {
        return format!("to {}", to.addr());
    }
    let ip = family_word(Family::of(from.addr()));
    format!("prefix to {ip} {end} map {{ {from} : {to} }}")
}

fn of_family(pool: &Pool, family: Family) -> impl Iterator<Item = &AddressRange> {
    pool.ranges()
        .iter()
        .filter(move |range| range.family() == family)
}

fn only(address: IpAddr) -> Snat {
    Snat {
        target: match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => address.to_string(),
        },
        ports: None,
        flags: "",
    }
}

/// The address or range of a pool, with its ports.
fn chosen(pool: &Pool, pooling: Pooling, ports: &PortChoice, family: Family) -> Option<Snat> {
    let range = of_family(pool, family).next()?;
    let (first, last) = (range.first(), range.last());
    if first == last {
        return Some(with_ports(only(first), ports));
    }
    let flags = match pooling {
        Pooling::Paired | Pooling::Preferred => " persistent",
        Pooling::Arbitrary => "",
    };
    let target = format!("{first}-{last}");
    Some(with_ports(
        Snat {
            target,
            ports: None,
            flags,
        },
        ports,
    ))
}

fn with_ports(snat: Snat, choice: &PortChoice) -> Snat {
    let ports = choice
        .range
        .as_ref()
        .map(|range| match range.start() == range.end() {
            true => range.start().to_string(),
            false => format!("{}-{}", range.start(), range.end()),
        });
    let target = match (&ports, snat.target.contains(':')) {
        (Some(_), true) => snat
            .target
            .split('-')
            .map(|address| format!("[{address}]"))
            .collect::<Vec<_>>()
            .join("-"),
        _ => snat.target,
    };
    let flags = match (choice.order, snat.flags) {
        (PortOrder::Random, "") => " fully-random",
        (PortOrder::Random, _) => " persistent,fully-random",
        (_, flags) => flags,
    };
    Snat {
        target,
        ports,
        flags,
    }
}
