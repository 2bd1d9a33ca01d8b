//! Public addresses and ports that two rows of `[nat]` give out, where only one
//! can.

use std::ops::{Range, RangeInclusive};

use super::code::Code;
use super::diagnostic::{Diagnostic, Problems};
use crate::nat::{AddressRange, SourceNat, Static};
use crate::net::{Port, Rows};

type Places = Vec<(AddressRange, Range<usize>)>;

/// A static address is one host's: no pool may give it to others.
pub(super) fn with_statics<'p>(
    pools: impl Iterator<Item = &'p (AddressRange, Range<usize>)>,
    statics: &[(Static, Range<usize>)],
    problems: &mut Problems,
) {
    for (range, place) in pools {
        let mut same = statics
            .iter()
            .filter(|(row, _)| AddressRange::of_net(row.outside).overlaps(range));
        if let Some((row, other)) = same.next() {
            problems.push(
                Diagnostic::new(
                    Code::StaticInPool,
                    place.clone(),
                    format!("`{}` belongs to the hosts of a static row", row.outside),
                )
                .label("given to any client here")
                .also(other.clone(), "given to one host here"),
            );
        }
    }
}

/// Where clients have ranges or blocks, the ports of a public address are given
/// out by one row: else nobody could tell whose a port was.
pub(super) fn of_ports(
    rows: &Rows<SourceNat>,
    places: &[(usize, Places)],
    problems: &mut Problems,
) {
    let placed = |place: &usize| rows.get(*place);
    for (n, (later, own)) in places.iter().enumerate() {
        for (earlier, others) in places.iter().take(n) {
            let (Some(row), Some(other)) = (placed(later), placed(earlier)) else {
                continue;
            };
            let by_range = row.has_ranges() || other.has_ranges();
            if !by_range || !meet(&ports(row), &ports(other)) {
                continue;
            }
            let mut pairs = own
                .iter()
                .flat_map(|own| others.iter().map(move |other| (own, other)));
            if let Some(((_, here), (_, there))) = pairs.find(|((a, _), (b, _))| a.overlaps(b)) {
                problems.push(
                    Diagnostic::new(
                        Code::PortsOfTwo,
                        here.clone(),
                        "another row gives out the same ports of the same address",
                    )
                    .label("also given out here")
                    .also(there.clone(), "given out here")
                    .help("keep the rows apart by addresses, or by `ports`"),
                );
            }
        }
    }
}

/// The ports that a row may give out.
fn ports(row: &SourceNat) -> RangeInclusive<Port> {
    let usual = match row.has_ranges() {
        true => Port(1024),
        false => Port(0),
    };
    let range = row.ports.range.clone();
    range.unwrap_or(usual..=Port(u16::MAX))
}

fn meet(a: &RangeInclusive<Port>, b: &RangeInclusive<Port>) -> bool {
    a.start() <= b.end() && b.start() <= a.end()
}
