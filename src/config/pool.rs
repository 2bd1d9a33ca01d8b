//! What an address becomes: words, addresses, ranges and networks.

use std::net::IpAddr;
use std::ops::Range;

use ipnet::IpNet;
use toml::de::DeValue;

use super::addresses::{self, HostPart};
use super::code::Code;
use super::diagnostic::{Diagnostic, Problems};
use super::names;
use super::spelling;
use super::table::{self, Row, Text, Value, shortened};
use crate::nat::{AddressRange, Pool, Pooling, SourceTarget};
use crate::net::Family;

const WORDS: [&str; 2] = ["masquerade", "none"];
const POOLINGS: [(&str, Pooling); 3] = [
    ("paired", Pooling::Paired),
    ("preferred", Pooling::Preferred),
    ("arbitrary", Pooling::Arbitrary),
];

/// What a source becomes, with the place of each of its addresses.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) target: SourceTarget,
    pub(super) places: Vec<(AddressRange, Range<usize>)>,
}

/// Reads what a source becomes: `as` and `pooling`.
pub(super) fn target(row: &Row<'_>, value: &Value<'_>, problems: &mut Problems) -> Option<Target> {
    let pooling = row.get("pooling").and_then(|value| {
        let word = table::text(
            value,
            "\"paired\", \"preferred\" or \"arbitrary\"",
            problems,
        )?;
        names::choose(&word, &POOLINGS, "way to pool", problems)
    });
    let word = |target| {
        Some(Target {
            target,
            places: Vec::new(),
        })
    };
    match value.get_ref() {
        DeValue::String(text) if text == "masquerade" => return word(SourceTarget::Masquerade),
        DeValue::String(text) if text == "none" => return word(SourceTarget::Exempt),
        DeValue::String(_) | DeValue::Array(_) => {}
        _ => {
            let expected = "\"masquerade\", \"none\", an address or an array of addresses";
            return table::wrong_type(value, expected, problems);
        }
    }
    let mut places: Vec<(AddressRange, Range<usize>)> = Vec::new();
    for item in table::one_or_many(value, problems) {
        let Some(text) = table::text(item, "an address, a range or a network", problems) else {
            continue;
        };
        let Some(range) = pool_range(&text, problems) else {
            continue;
        };
        if let Some((_, before)) = places.iter().find(|(other, _)| other.overlaps(&range)) {
            problems.push(
                Diagnostic::new(
                    Code::PoolTwice,
                    item.span(),
                    "an address stands twice in the pool",
                )
                .label("again here")
                .also(before.clone(), "here first"),
            );
        }
        places.push((range, item.span()));
    }
    let ranges = places.iter().map(|(range, _)| *range).collect();
    Some(Target {
        target: SourceTarget::Pool(Pool::new(ranges), pooling.unwrap_or_default()),
        places,
    })
}

/// Reads `map`: the network whose hosts those of `src` become, one by one.
pub(super) fn network(row: &Row<'_>, value: &Value<'_>, problems: &mut Problems) -> Option<Target> {
    let to = addresses::prefixes(value, HostPart::Zero, problems);
    let from = match row.get("src") {
        Some(src) => addresses::prefixes(src, HostPart::Zero, problems),
        None => {
            let example = "`src = \"10.0.0.16/28\"`, the network whose hosts are mapped";
            row.require("src", example, problems);
            return None;
        }
    };
    let source = row.get("src").map_or(row.span(), toml::Spanned::span);
    let pairs = pairs((&from, source), (&to, value.span()), problems)?;
    let places = to
        .iter()
        .map(|net| (AddressRange::of_net(*net), value.span()))
        .collect();
    Some(Target {
        target: SourceTarget::Network(pairs),
        places,
    })
}

/// Networks that are mapped to each other: as many of each, each pair of one
/// family and one size.
pub(super) fn pairs(
    (from, from_place): (&[IpNet], Range<usize>),
    (to, to_place): (&[IpNet], Range<usize>),
    problems: &mut Problems,
) -> Option<Vec<(IpNet, IpNet)>> {
    let fits = |(a, b): (&IpNet, &IpNet)| {
        a.prefix_len() == b.prefix_len() && Family::of(a.addr()) == Family::of(b.addr())
    };
    if from.len() == to.len() && !from.is_empty() && from.iter().zip(to).all(fits) {
        return Some(from.iter().copied().zip(to.iter().copied()).collect());
    }
    problems.push(
        Diagnostic::new(
            Code::SizesDiffer,
            to_place,
            "networks of different sizes cannot be mapped host by host",
        )
        .label("not the size of the other")
        .also(from_place, "the other")
        .help("give both the same length, one of each family at most"),
    );
    None
}

/// Reads an address, `FIRST-LAST`, or a network.
fn pool_range(text: &Text<'_>, problems: &mut Problems) -> Option<AddressRange> {
    let word = *text.get_ref();
    if let Some((first, last)) = word.split_once('-')
        && let (Ok(first), Ok(last)) = (first.parse::<IpAddr>(), last.parse::<IpAddr>())
    {
        let range = AddressRange::new(first, last);
        if range.is_none() {
            let problem = Diagnostic::new(
                Code::BadRange,
                text.span(),
                format!("`{}` is no range of addresses", shortened(word)),
            )
            .label("expected the first address, `-`, and the last");
            let turned = AddressRange::new(last, first);
            let help = turned.map(|_| format!("did you mean `{last}-{first}`?"));
            problems.push(problem.help_if(help));
        }
        return range;
    }
    if word.contains('/') {
        let net = addresses::parse_prefix(text, HostPart::Zero, problems)?;
        return Some(AddressRange::of_net(net));
    }
    if let Some(near) = spelling::nearest(word, WORDS.into_iter()) {
        let help = if near == word {
            format!("`{near}` stands alone: `as = \"{near}\"`")
        } else {
            format!("did you mean `{near}`?")
        };
        problems.push(
            Diagnostic::new(
                Code::UnknownWord,
                text.span(),
                format!("`{}` is nothing that a source can become", shortened(word)),
            )
            .label("expected an address")
            .help(help),
        );
        return None;
    }
    let address = addresses::parse_address(text, problems)?;
    AddressRange::new(address, address)
}
