//! The conditions of a row as alternatives: each is the left side of one nft
//! rule, and the row is about a packet if any of them is.
//!
//! A row of a rule file is about both families and many protocols at once; an
//! nft rule that looks at an address or a port is about one.

use std::fmt::Display;

use crate::net::{AddressSet, Family, IcmpQuery, Port, Protocol, Traffic};

/// The left side of one nft rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Alternative {
    /// The only family that it can be about, where it looks at addresses.
    family: Option<Family>,
    /// The only protocol that it can be about, where it looks at ports.
    pub(super) protocol: Option<Protocol>,
    /// As nft reads it; empty: anything.
    pub(super) text: String,
}

impl Alternative {
    /// Of either family and any protocol.
    pub(super) fn any(text: String) -> Self {
        Self {
            family: None,
            protocol: None,
            text,
        }
    }

    /// Of one family.
    pub(super) fn of(family: Family, text: String) -> Self {
        Self {
            family: Some(family),
            ..Self::any(text)
        }
    }

    /// Both conditions at once; `None` where nothing can meet both.
    fn and(&self, other: &Self) -> Option<Self> {
        let same = |a: Option<Family>, b: Option<Family>| match (a, b) {
            (Some(a), Some(b)) if a != b => None,
            _ => Some(a.or(b)),
        };
        let texts = [self.text.as_str(), other.text.as_str()];
        let texts: Vec<_> = texts.into_iter().filter(|text| !text.is_empty()).collect();
        Some(Self {
            family: same(self.family, other.family)?,
            protocol: self.protocol.or(other.protocol),
            text: texts.join(" "),
        })
    }
}

/// All ways to meet every one of these conditions.
pub(super) fn all_of(conditions: impl IntoIterator<Item = Vec<Alternative>>) -> Vec<Alternative> {
    let anything = vec![Alternative::any(String::new())];
    conditions.into_iter().fold(anything, |met, next| {
        met.iter()
            .flat_map(|one| next.iter().filter_map(|other| one.and(other)))
            .collect()
    })
}

/// An address in a set. `end` is `saddr` or `daddr`.
pub(super) fn addresses(set: &AddressSet, end: &str) -> Vec<Alternative> {
    let of_family = |family: Family| {
        let prefixes = elements(set, family);
        let text = format!("{} {end} {}", family_word(family), set_of(&prefixes));
        (!prefixes.is_empty()).then(|| Alternative::of(family, text))
    };
    [Family::V4, Family::V6]
        .into_iter()
        .filter_map(of_family)
        .collect()
}

/// The prefixes of one family as the elements of an nft set.
pub(super) fn elements(set: &AddressSet, family: Family) -> Vec<String> {
    let own = set
        .prefixes()
        .iter()
        .filter(|n| Family::of(n.addr()) == family);
    own.map(|net| match net.prefix_len() == net.max_prefix_len() {
        true => net.addr().to_string(),
        false => net.to_string(),
    })
    .collect()
}

/// Traffic of these kinds, grouped by protocol.
pub(super) fn traffic<'t>(kinds: impl IntoIterator<Item = &'t Traffic>) -> Vec<Alternative> {
    let (mut tcp, mut udp, mut v4, mut v6) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut other_ports, mut protocols) = (Vec::new(), Vec::new());
    for kind in kinds {
        match kind {
            Traffic::Ports(Protocol::TCP, ports) => tcp.push(range(ports)),
            Traffic::Ports(Protocol::UDP, ports) => udp.push(range(ports)),
            Traffic::Ports(protocol, ports) => other_ports.push((*protocol, range(ports))),
            Traffic::Icmp(query) => {
                let is_v4 = IcmpQuery::from_type(Protocol::ICMP, query.message_type())
                    .is_some_and(|v4| v4 == *query);
                match is_v4 {
                    true => v4.push(query.to_string()),
                    // nft knows no names of the node information messages.
                    false if query.message_type() < 139 => v6.push(query.to_string()),
                    false => v6.push(query.message_type().to_string()),
                }
            }
            Traffic::Protocol(protocol) => protocols.push(*protocol),
        }
    }
    let of = |protocol, family, words: &str, mut list: Vec<String>| {
        let mut seen = std::collections::HashSet::new();
        list.retain(|item| seen.insert(item.clone()));
        (!list.is_empty()).then(|| Alternative {
            family,
            protocol: Some(protocol),
            text: format!("{words} {}", set_of(&list)),
        })
    };
    let known = [
        of(Protocol::TCP, None, "tcp dport", tcp),
        of(Protocol::UDP, None, "udp dport", udp),
        of(Protocol::ICMP, Some(Family::V4), "icmp type", v4),
        of(Protocol::ICMPV6, Some(Family::V6), "icmpv6 type", v6),
    ];
    let others = other_ports
        .into_iter()
        .map(|(protocol, ports)| Alternative {
            family: None,
            protocol: Some(protocol),
            text: format!("meta l4proto {} th dport {ports}", protocol.0),
        });
    let whole = protocols.into_iter().map(|protocol| Alternative {
        family: None,
        protocol: Some(protocol),
        text: format!("meta l4proto {}", protocol_word(protocol)),
    });
    known
        .into_iter()
        .flatten()
        .chain(others)
        .chain(whole)
        .collect()
}

/// A protocol as nft writes it.
fn protocol_word(protocol: Protocol) -> String {
    match protocol {
        Protocol::ICMPV6 => "ipv6-icmp".to_owned(),
        Protocol::ICMP | Protocol::TCP | Protocol::UDP | Protocol::SCTP => protocol.to_string(),
        other => other.0.to_string(),
    }
}

fn range(ports: &std::ops::RangeInclusive<Port>) -> String {
    match ports.start() == ports.end() {
        true => ports.start().to_string(),
        false => format!("{}-{}", ports.start(), ports.end()),
    }
}

/// `ip` or `ip6`.
pub(super) fn family_word(family: Family) -> &'static str {
    match family {
        Family::V4 => "ip",
        Family::V6 => "ip6",
    }
}

/// One element as it is, several as a set.
pub(super) fn set_of(elements: &[impl Display]) -> String {
    let all: Vec<_> = elements.iter().map(ToString::to_string).collect();
    match all.as_slice() {
        [one] => one.clone(),
        _ => format!("{{ {} }}", all.join(", ")),
    }
}

/// Those alternatives that can be about a family, each about it alone; `word`
/// says so where nothing else in the alternative does.
pub(super) fn of_family(all: &[Alternative], family: Family, word: &str) -> Vec<Alternative> {
    let bare = Alternative::of(family, String::new());
    all.iter()
        .filter_map(|alternative| {
            let same = alternative.and(&bare)?;
            match alternative.family {
                Some(_) => Some(same),
                None => Alternative::of(family, word.to_owned()).and(alternative),
            }
        })
        .collect()
}
