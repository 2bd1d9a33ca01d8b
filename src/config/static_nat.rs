//! `nat.static`: inside hosts with a public address of their own, both ways.

use std::ops::Range;

use super::addresses::{self, HostPart};
use super::code::Code;
use super::diagnostic::{Diagnostic, Problems};
use super::document::Known;
use super::table::{self, Row, Value};
use super::{pool, source_nat};
use crate::nat::{AddressRange, Hairpin, Static};
use crate::net::{Family, ZoneId};

/// The keys of a static translation.
pub(super) const KEYS: [&str; 5] = ["id", "on", "inside", "outside", "hairpin"];

/// Reads one row: a translation for each pair of networks that it names.
pub(super) fn read<'t>(
    row: &Row<'t>,
    name: &str,
    known: &Known<'t>,
    problems: &mut Problems,
) -> Vec<(Static, Range<usize>)> {
    let example = "`on = \"wan\"`, the zone in which the public addresses are known";
    let on = row.require("on", example, problems);
    let on = on.and_then(|value| known.zones.one(value, problems));
    let inside = row.require("inside", "`inside = \"10.0.0.80\"`", problems);
    let outside = row.require("outside", "`outside = \"203.0.113.80\"`", problems);
    let hairpin = hairpin(row, problems);
    let (Some(inside), Some(outside)) = (inside, outside) else {
        return Vec::new();
    };
    let read = |value: &Value<'_>, problems: &mut Problems| {
        addresses::prefixes(value, HostPart::Zero, problems)
    };
    let (from, to) = (read(inside, problems), read(outside, problems));
    if from.is_empty() || to.is_empty() {
        return Vec::new(); // what is wrong was said
    }
    let places = ((&from[..], inside.span()), (&to[..], outside.span()));
    let Some(pairs) = pool::pairs(places.0, places.1, problems) else {
        return Vec::new();
    };
    let Some(on) = on else { return Vec::new() };
    for (inside_net, outside_net) in &pairs {
        let family = Family::of(inside_net.addr());
        hairpin_answers(row, hairpin, (on, family), known, problems);
        let holder = known.zones.zones.holding(inside_net.addr());
        if holder == Some(on) {
            problems.push(
                Diagnostic::new(
                    Code::ForwardNowhere,
                    inside.span(),
                    format!("`{inside_net}` lies in the zone that it is to be known in"),
                )
                .label("not behind the gateway, seen from there"),
            );
        }
        let public = AddressRange::of_net(*outside_net);
        source_nat::lies_outside(&public, &outside.span(), &[on], known, problems);
        let own = known
            .zones
            .zones
            .iter()
            .flat_map(|(_, zone)| &zone.addresses);
        if let Some(address) = own.copied().find(|own| public.contains(*own)) {
            problems.push(
                Diagnostic::new(
                    Code::PoolInside,
                    outside.span(),
                    format!("`{address}` is the gateway's own address"),
                )
                .label("an inside host would take it over")
                .help("write a forward for the ports that the host is to have of it"),
            );
        }
    }
    let of_pair = |(inside, outside)| Static {
        name: name.to_owned(),
        on,
        inside,
        outside,
        hairpin,
    };
    let place = |row| (row, outside.span());
    pairs.into_iter().map(of_pair).map(place).collect()
}

/// A hairpin's clients are seen by an address of the gateway where they have
/// no public one of their own: it must have one.
pub(super) fn hairpin_answers(
    row: &Row<'_>,
    hairpin: Hairpin,
    (on, family): (ZoneId, Family),
    known: &Known<'_>,
    problems: &mut Problems,
) {
    let Some(place) = row.key_span("hairpin").filter(|_| hairpin == Hairpin::Yes) else {
        return;
    };
    let zone = known.zones.zones.name(on);
    if known.zones.zones.own_address(on, family).is_none() {
        let mut problem = Diagnostic::new(
            Code::HairpinWithoutAddress,
            place,
            "answers to a hairpin would not come back through the gateway",
        )
        .label(format!("no {family} address in the zone `{zone}`"))
        .help(format!(
            "give the zone `{zone}` an {family} `address`: inside clients are seen by it"
        ));
        if let Some((_, row)) = known.zones.rows.iter().find(|(own, _)| *own == on) {
            problem = problem.also(row.span(), "the zone");
        }
        problems.push(problem);
    }
}

/// Reads `hairpin`.
pub(super) fn hairpin(row: &Row<'_>, problems: &mut Problems) -> Hairpin {
    let value = row.get("hairpin");
    match value.and_then(|value| table::boolean(value, problems)) {
        Some(true) => Hairpin::Yes,
        Some(false) | None => Hairpin::No,
    }
}
