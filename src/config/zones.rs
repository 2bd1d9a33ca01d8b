//! `[zones]`: who stands where, and the gateway's own addresses.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::ops::Range;

use ipnet::IpNet;
use toml::de::DeTable;

use super::addresses::{self, HostPart};
use super::code::Code;
use super::diagnostic::{Diagnostic, Problems};
use super::names::{self, GATEWAY, Kind, Names};
use super::table::{self, Row, Value};
use crate::net::{IcmpErrors, Place, SourceCheck, Zone, ZoneId, Zones};

const KEYS: [&str; 9] = [
    "tun",
    "net",
    "address",
    "mtu",
    "interfaces",
    "host-address",
    "routes",
    "icmp-errors",
    "source-check",
];
const SOURCE_CHECKS: [(&str, SourceCheck); 3] = [
    ("strict", SourceCheck::Strict),
    ("loose", SourceCheck::Loose),
    ("off", SourceCheck::Off),
];

/// The zones of a file with their names.
#[derive(Debug)]
pub(super) struct ZoneTable<'t> {
    names: Names<'t>,
    pub(super) zones: Zones,
    /// The zones' rows, for what has to do with their devices.
    pub(super) rows: Vec<(ZoneId, Row<'t>)>,
}

impl<'t> ZoneTable<'t> {
    /// Reads the section `[zones]`.
    pub(super) fn read(section: Option<&'t DeTable<'t>>, problems: &mut Problems) -> Self {
        let Some(section) = section else {
            return Self {
                names: Names::missing(Kind::Zone),
                zones: Zones::default(),
                rows: Vec::new(),
            };
        };
        let entries = table::in_order(section);
        let names = Names::declare(Kind::Zone, entries.iter().map(|(name, _)| *name), problems);
        let mut claims = Claims::default();
        let mut zones = Vec::new();
        let mut rows = Vec::new();
        for ((name, value), id) in entries.iter().zip(0..=u16::MAX) {
            let row = Row::read(value, "a zone", &KEYS, problems);
            let mut zone = Zone {
                name: name.get_ref().to_string(),
                nets: Vec::new(),
                addresses: Vec::new(),
                mtu: None,
                errors: IcmpErrors::default(),
                source_check: SourceCheck::default(),
            };
            if let Some(row) = row {
                zone.nets = nets(&row, &mut claims, problems);
                zone.addresses = own_addresses(&row, &mut claims, problems);
                let errors = row.get("icmp-errors");
                if errors.and_then(|value| table::boolean(value, problems)) == Some(false) {
                    zone.errors = IcmpErrors::Withheld;
                }
                zone.source_check = source_check(&row, problems).unwrap_or_default();
                rows.push((ZoneId(id), row));
            }
            zones.push(zone);
        }
        Self {
            names,
            zones: Zones::new(zones),
            rows,
        }
    }

    /// Reads one name of a zone or many.
    pub(super) fn named(
        &self,
        value: Option<&'t Value<'t>>,
        problems: &mut Problems,
    ) -> Option<Vec<ZoneId>> {
        let names = table::texts(value?, "the name of a zone", problems);
        Some(
            names
                .iter()
                .filter_map(|name| self.names.resolve(name, &[], problems))
                .map(ZoneId)
                .collect(),
        )
    }

    /// Reads one place or many: zones, and the gateway itself.
    pub(super) fn places(
        &self,
        value: Option<&'t Value<'t>>,
        problems: &mut Problems,
    ) -> Option<Vec<Place>> {
        let names = table::texts(value?, "the name of a zone, or \"gateway\"", problems);
        Some(
            names
                .iter()
                .filter_map(|name| match *name.get_ref() {
                    GATEWAY => Some(Place::Gateway),
                    _ => {
                        let zone = self.names.resolve(name, &[GATEWAY], problems);
                        zone.map(|zone| Place::Zone(ZoneId(zone)))
                    }
                })
                .collect(),
        )
    }

    /// Reads the name of one zone.
    pub(super) fn one(&self, value: &'t Value<'t>, problems: &mut Problems) -> Option<ZoneId> {
        let name = table::text(value, "the name of a zone", problems)?;
        self.names.resolve(&name, &[], problems).map(ZoneId)
    }
}

/// What zones have claimed so far, with the place of each claim.
#[derive(Debug, Default)]
struct Claims {
    nets: HashMap<IpNet, Range<usize>>,
    addresses: HashMap<IpAddr, Range<usize>>,
}

/// Notes a claim; reports one that was made before.
fn claim<T: Eq + Hash + std::fmt::Display>(
    claims: &mut HashMap<T, Range<usize>>,
    what: T,
    span: Range<usize>,
    problems: &mut Problems,
) {
    if let Some(before) = claims.get(&what) {
        problems.push(
            Diagnostic::new(Code::SamePrefix, span, format!("`{what}` is claimed twice"))
                .label("claimed again")
                .also(before.clone(), "claimed here")
                .help("one place only can have it: a packet to it goes one way"),
        );
    } else {
        claims.insert(what, span);
    }
}

fn nets(row: &Row<'_>, claims: &mut Claims, problems: &mut Problems) -> Vec<IpNet> {
    let Some(value) = row.require("net", "`net = [\"10.0.0.0/24\"]`", problems) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for item in table::one_or_many(value, problems) {
        if let Some(net) = addresses::prefix(item, HostPart::Zero, problems) {
            claim(&mut claims.nets, net, item.span(), problems);
            all.push(net);
        }
    }
    all
}

fn source_check(row: &Row<'_>, problems: &mut Problems) -> Option<SourceCheck> {
    let value = row.get("source-check")?;
    let word = table::text(value, "\"strict\", \"loose\" or \"off\"", problems)?;
    names::choose(&word, &SOURCE_CHECKS, "check of source addresses", problems)
}

fn own_addresses(row: &Row<'_>, claims: &mut Claims, problems: &mut Problems) -> Vec<IpAddr> {
    let Some(value) = row.get("address") else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for item in table::one_or_many(value, problems) {
        if let Some(address) = addresses::address(item, problems) {
            claim(&mut claims.addresses, address, item.span(), problems);
            all.push(address);
        }
    }
    all
}
