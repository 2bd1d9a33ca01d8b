//! What a row of `nat.source` says for gateways that many share (RFC 6888): blocks
//! of ports, deterministic translation, limits of each client, and what is
//! written down.

use std::num::{NonZeroU16, NonZeroU32};
use std::ops::RangeInclusive;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net};
use toml::de::DeValue;

use super::code::Code;
use super::diagnostic::{Diagnostic, Problems};
use super::limits::{self, number};
use super::table::{self, Row};
use super::{names, services};
use crate::nat::{Deterministic, Pool, PortChoice, PortOrder, SourceTarget};
use crate::net::{
    AddressSet, BlockLayout, Dependence, HoldDown, Logged, Port, Profile, Quota, Rests, Terms,
};

const LOGS: [(&str, Logged); 4] = [
    ("nothing", Logged::Nothing),
    ("blocks", Logged::Blocks),
    ("mappings", Logged::Mappings),
    ("sessions", Logged::Sessions),
];

/// Sizes of blocks: of smaller ones there would be more than is worth a record.
const SIZES: RangeInclusive<u32> = 8..=32_768;
/// Blocks of one client.
const BLOCKS: RangeInclusive<u32> = 1..=256;
/// As many clients more as the dynamic pool may count.
const FACTORS: RangeInclusive<u32> = 0..=65_535;
/// How many ports of a client's a deterministic row may allow.
const PORTS: RangeInclusive<u32> = 1..=64_512;
/// How many ports may rest by one row.
const RESTING: RangeInclusive<u32> = 1..=1_000_000;

/// Blocks of a client where the row says nothing of them.
const USUAL_BLOCKS: u16 = 8;
/// The size of a block of the dynamic pool.
const USUAL_SIZE: NonZeroU16 = NonZeroU16::new(256).unwrap();
const USUAL_RESTING: NonZeroU32 = NonZeroU32::new(16_384).unwrap();

/// The ports that ranges and blocks are made of where the row says nothing.
const USUAL_PORTS: RangeInclusive<Port> = Port(1024)..=Port(65_535);

/// What is special about a row.
pub(super) struct Carrier {
    pub(super) terms: Terms,
    pub(super) blocks_per_client: u16,
}

/// Reads the keys; `target` and `ports` become what these make of them.
pub(super) fn read(
    row: &Row<'_>,
    (target, ports): (&mut SourceTarget, &mut PortChoice),
    (clients, filtering): (Option<&AddressSet>, Dependence),
    profile: Profile,
    problems: &mut Problems,
) -> Carrier {
    let mut carrier = Carrier {
        terms: Terms {
            quota: quota(row, problems),
            rate: row
                .get("new-ports")
                .and_then(|v| limits::rate_of(v, problems)),
            max_sessions: row
                .get("max-sessions")
                .and_then(|value| NonZeroU32::new(limits::sessions(value, problems)?)),
            ..Terms::default()
        },
        blocks_per_client: 0,
    };
    blocks(row, ports, &mut carrier, problems);
    deterministic(row, (target, ports), clients, &mut carrier, problems);
    let has_blocks = carrier.terms.blocks.is_some();
    let has_ranges = has_blocks || matches!(target, SourceTarget::Deterministic(_));
    if has_ranges && row.get("port-order").is_none() {
        // RFC 6888 REQ-15: whoever guesses one port is to know no other.
        ports.order = PortOrder::Random;
    }
    let of = match has_ranges {
        true => Rests::Blocks,
        false => Rests::Ports,
    };
    carrier.terms.hold_down = hold_down(row, (of, filtering, has_blocks), profile, problems);
    carrier.terms.log = log(row, has_blocks, problems);
    carrier
}

/// Reads how many public endpoints a client may hold: in all, or by protocol.
fn quota(row: &Row<'_>, problems: &mut Problems) -> Option<Quota> {
    let value = row.get("max-ports")?;
    if !matches!(value.get_ref(), DeValue::Table(_)) {
        let all = limits::sessions(value, problems);
        return Some(Quota {
            all,
            ..Quota::default()
        });
    }
    let keys = ["all", "tcp", "udp", "icmp"];
    let by = Row::read(value, "a limit of ports", &keys, problems)?;
    let mut most = |key| limits::sessions(by.get(key)?, problems);
    Some(Quota {
        all: most("all"),
        tcp: most("tcp"),
        udp: most("udp"),
        icmp: most("icmp"),
    })
}

/// Reads `blocks`.
fn blocks(row: &Row<'_>, ports: &PortChoice, carrier: &mut Carrier, problems: &mut Problems) {
    let Some(value) = row.get("blocks") else {
        return;
    };
    let Some(by) = Row::read(value, "blocks of ports", &["size", "per-client"], problems) else {
        return;
    };
    if let Some(other) = row.key_span("deterministic") {
        problems.push(
            Diagnostic::new(
                Code::TwoTargets,
                other,
                "a client has blocks, or a range that arithmetic gives it",
            )
            .label("a range here")
            .also(value.span(), "blocks here")
            .help("`deterministic = { dynamic = ..., block = ... }` has both"),
        );
    }
    let per_client = by
        .get("per-client")
        .and_then(|value| number(value, &BLOCKS, problems));
    let per_client = per_client.and_then(|most| u16::try_from(most).ok());
    carrier.blocks_per_client = per_client.unwrap_or(USUAL_BLOCKS);
    let Some(value) = by.require("size", "`size = 512`", problems) else {
        return;
    };
    let size =
        number(value, &SIZES, problems).and_then(|size| NonZeroU16::new(u16::try_from(size).ok()?));
    let Some(size) = size else { return };
    let all = ports.range.clone().unwrap_or(USUAL_PORTS);
    carrier.terms.blocks = BlockLayout::new(&all, size);
    if carrier.terms.blocks.is_none() {
        problems.push(
            Diagnostic::new(
                Code::TooFewPorts,
                value.span(),
                "the ports of this row have no room for one block",
            )
            .label(format!("{size} ports")),
        );
    }
}

/// Reads `deterministic`.
fn deterministic(
    row: &Row<'_>,
    (target, ports): (&mut SourceTarget, &mut PortChoice),
    clients: Option<&AddressSet>,
    carrier: &mut Carrier,
    problems: &mut Problems,
) {
    let Some(value) = row.get("deterministic") else {
        return;
    };
    let keys = ["dynamic", "block", "max-ports"];
    let Some(by) = Row::read(value, "deterministic translation", &keys, problems) else {
        return;
    };
    let Some(nets) = inside(row, clients, problems) else {
        return;
    };
    let SourceTarget::Pool(pool, _) = target else {
        if let Some(place) = row.get("as").or_else(|| row.get("map")) {
            let what = "deterministic translation names its public addresses";
            problems.push(
                Diagnostic::new(Code::WrongType, place.span(), what)
                    .label("no addresses")
                    .help("such as `as = \"203.0.113.16/28\"`"),
            );
        }
        return;
    };
    let dynamic = by
        .get("dynamic")
        .and_then(|value| number(value, &FACTORS, problems))
        .and_then(|factor| u16::try_from(factor).ok())
        .unwrap_or(0);
    let all = ports.range.clone().unwrap_or(USUAL_PORTS);
    let Some(plan) = plan(nets, pool, all, dynamic) else {
        problems.push(
            Diagnostic::new(
                Code::TooFewPorts,
                value.span(),
                "there is not a port for every client",
            )
            .label("too few public IPv4 addresses or ports"),
        );
        return;
    };
    pool_of_blocks(&by, &plan, carrier, problems);
    *target = SourceTarget::Deterministic(Box::new(plan));
}

fn plan(
    nets: Vec<Ipv4Net>,
    pool: &Pool,
    ports: RangeInclusive<Port>,
    dynamic: u16,
) -> Option<Deterministic> {
    Deterministic::new(nets, pool.clone(), ports, dynamic)
}

/// The clients of deterministic translation: the hosts of `src`.
fn inside(
    row: &Row<'_>,
    clients: Option<&AddressSet>,
    problems: &mut Problems,
) -> Option<Vec<Ipv4Net>> {
    let Some(value) = row.get("src") else {
        let example = "`src = \"10.0.0.0/20\"`, the networks whose hosts have ports each";
        row.require("src", example, problems);
        return None;
    };
    let nets = clients?.prefixes().iter();
    let nets: Option<Vec<_>> = nets
        .map(|net| match net {
            IpNet::V4(net) => Some(*net),
            IpNet::V6(_) => None,
        })
        .collect();
    if nets.is_none() {
        problems.push(
            Diagnostic::new(
                Code::BadPrefix,
                value.span(),
                "deterministic translation is for IPv4: no address has ports for a network of IPv6",
            )
            .label("an IPv6 network is among these"),
        );
    }
    nets
}

/// Reads of what blocks the dynamic pool is, and how many a client may have.
fn pool_of_blocks(
    by: &Row<'_>,
    plan: &Deterministic,
    carrier: &mut Carrier,
    problems: &mut Problems,
) {
    let size = by
        .get("block")
        .and_then(|value| number(value, &SIZES, problems))
        .and_then(|size| NonZeroU16::new(u16::try_from(size).ok()?))
        .unwrap_or(USUAL_SIZE);
    let most = by
        .get("max-ports")
        .and_then(|value| number(value, &PORTS, problems));
    let Some(pool) = plan.dynamic_ports() else {
        for key in ["block", "max-ports"] {
            if let Some(place) = by.key_span(key) {
                let what = format!("`{key}` is about the dynamic pool, and there is none");
                problems.push(
                    Diagnostic::new(Code::NoEffect, place, what)
                        .label("no effect")
                        .help("such as `dynamic = 1`: as many ports as one client more would have"),
                );
            }
        }
        return;
    };
    carrier.terms.blocks = BlockLayout::new(&pool, size);
    let Some(layout) = carrier.terms.blocks else {
        problems.push(
            Diagnostic::new(
                Code::TooFewPorts,
                by.span(),
                "the dynamic pool has no room for one block",
            )
            .label(format!("blocks of {size} ports")),
        );
        return;
    };
    let more = most.map(|most| most.saturating_sub(u32::from(plan.own_ports())));
    let blocks = more.map(|more| more / u32::from(size.get()));
    let blocks = blocks.and_then(|blocks| u16::try_from(blocks).ok());
    carrier.blocks_per_client = blocks.unwrap_or(layout.count());
}

/// Reads `hold-down`. By the carrier profile it is two minutes where it matters.
fn hold_down(
    row: &Row<'_>,
    (of, filtering, has_blocks): (Rests, Dependence, bool),
    profile: Profile,
    problems: &mut Problems,
) -> Option<HoldDown> {
    let matters = match of {
        Rests::Ports => filtering == Dependence::EndpointIndependent,
        Rests::Blocks => has_blocks,
    };
    let Some(value) = row.get("hold-down") else {
        let usual = HoldDown {
            time: Duration::from_secs(120),
            most: USUAL_RESTING,
            of,
        };
        return (profile == Profile::Carrier && matters).then_some(usual);
    };
    if let (false, Some(place)) = (matters, row.key_span("hold-down")) {
        problems.push(
            Diagnostic::new(
                Code::NoEffect,
                place,
                "nobody could come in by a port of this row that somebody else had",
            )
            .label("no effect")
            .help("it is for `filtering = \"endpoint-independent\"`, and for blocks"),
        );
    }
    let (time, most) = match value.get_ref() {
        DeValue::Table(_) => {
            let by = Row::read(value, "a hold-down", &["time", "ports"], problems)?;
            let time = by.require("time", "`time = \"120s\"`", problems)?;
            let most = by.get("ports");
            let most = most.and_then(|value| number(value, &RESTING, problems));
            (time, most.and_then(NonZeroU32::new))
        }
        _ => (value, None),
    };
    Some(HoldDown {
        time: services::read_duration(time, problems)?,
        most: most.unwrap_or(USUAL_RESTING),
        of,
    })
}

/// Reads `log`. Blocks are written down unless the row says otherwise: else
/// nobody could tell later who had a port.
fn log(row: &Row<'_>, has_blocks: bool, problems: &mut Problems) -> Logged {
    let usual = match has_blocks {
        true => Logged::Blocks,
        false => Logged::Nothing,
    };
    let Some(value) = row.get("log") else {
        return usual;
    };
    let expected = "\"nothing\", \"blocks\", \"mappings\" or \"sessions\"";
    let Some(word) = table::text(value, expected, problems) else {
        return usual;
    };
    let log = names::choose(&word, &LOGS, "log", problems).unwrap_or(usual);
    if log == Logged::Blocks && !has_blocks {
        problems.push(
            Diagnostic::new(
                Code::NoEffect,
                value.span(),
                "clients of this row have no blocks that could be written down",
            )
            .label("no effect")
            .help("`\"mappings\"` writes down every public endpoint"),
        );
    }
    log
}
