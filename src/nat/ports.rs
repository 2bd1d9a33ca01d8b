//! Choosing a source port (or identifier) that nobody else's answers use.

use std::ops::RangeInclusive;

use super::policy::{PortChoice, PortOrder};
use crate::net::{Endpoint, Port, Protocol, Tuple};

/// How many ports are tried one by one: it bounds what a new session may cost
/// when ports are scarce.
const ATTEMPTS: u32 = 256;

/// What is looked for: a source port (or identifier) for a leaving packet's tuple,
/// such that its answers cannot be mistaken for another session's.
///
/// Without a range of its own it stays in Linux's classes
/// (`nf_nat_l4proto_unique_tuple`): below 512, below 1024, all above;
/// identifiers are one class (RFC 5508 REQ-1).
#[derive(Debug, Clone, Copy)]
pub struct Wish<'p> {
    /// As what the packet would leave with the port that it has.
    pub wanted: &'p Tuple,
    /// What the row says of ports.
    pub choice: &'p PortChoice,
}

/// A search for one. Where it begins is drawn only when what is wanted is not to be
/// had: most keep their port.
#[derive(Debug, Clone, Copy)]
pub struct Search<'p> {
    /// What is looked for.
    pub wish: Wish<'p>,
    /// Where the search begins.
    pub start: u64,
}

impl<'p> Wish<'p> {
    /// The search for it that begins here.
    #[must_use]
    pub fn from(self, start: u64) -> Search<'p> {
        Search { wish: self, start }
    }

    /// The tuple with this port.
    #[must_use]
    pub fn with(&self, port: Port) -> Tuple {
        Tuple {
            source: Endpoint::new(self.wanted.source.address, port),
            ..*self.wanted
        }
    }

    /// The tuple with the port that the packet has, where the row lets it keep
    /// that, and that of a protocol that has none.
    #[must_use]
    pub fn kept(&self) -> Option<&'p Tuple> {
        if port_class(self.wanted).is_none() {
            return Some(self.wanted);
        }
        let fits = self
            .choice
            .range_of(self.wanted)
            .is_none_or(|range| range.contains(&self.wanted.source.port.0));
        (fits && self.choice.order != PortOrder::Random).then_some(self.wanted)
    }

    /// The ports that it may get; `None` where the protocol has none.
    #[must_use]
    pub fn range(&self) -> Option<RangeInclusive<u16>> {
        self.choice.ports_for(self.wanted)
    }

    /// The port of the first of all that may be tried, one by one, whose answers nobody has.
    #[must_use]
    pub fn first_free(
        self,
        start: impl FnOnce() -> u64,
        is_taken: impl Fn(&Tuple) -> bool,
    ) -> Option<Port> {
        let is_free = |candidate: &Tuple| !is_taken(&candidate.reversed());
        if let Some(kept) = self.kept()
            && is_free(kept)
        {
            return Some(kept.source.port);
        }
        let range = self.range()?;
        let found = self.from(start()).each(range).find(is_free)?;
        Some(found.source.port)
    }
}

impl Search<'_> {
    /// The place in a range at which the search begins.
    #[must_use]
    pub fn start_in(self, range: &RangeInclusive<u16>) -> u16 {
        let size = u64::from(range.end().saturating_sub(*range.start())) + 1;
        let start = u64::from(*range.start()) + self.start % size;
        u16::try_from(start).unwrap_or(u16::MAX)
    }

    /// The tuple with each port of a range in turn, as many as may be tried.
    pub fn each(self, range: RangeInclusive<u16>) -> impl Iterator<Item = Tuple> {
        let wish = self.wish;
        let parity = wish.choice.parity_of(wish.wanted);
        let step = parity.map_or(Step::All, Step::Parity);
        stepping(range, step, self.start).map(move |port| wish.with(port))
    }
}

impl PortChoice {
    /// The ports that a connection which is to leave as `wanted` may get; `None`
    /// where its protocol has none.
    #[must_use]
    pub fn ports_for(&self, wanted: &Tuple) -> Option<RangeInclusive<u16>> {
        self.range_of(wanted).or_else(|| port_class(wanted))
    }

    /// Whether they have to be even (0) or odd (1), as the one that it had.
    #[must_use]
    pub fn parity_of(&self, wanted: &Tuple) -> Option<u16> {
        let counts = self.order == PortOrder::KeepParity && wanted.protocol.has_ports();
        counts.then_some(wanted.source.port.0 % 2)
    }

    fn range_of(&self, wanted: &Tuple) -> Option<RangeInclusive<u16>> {
        let range = self.range.as_ref()?;
        let has_ports = wanted.protocol.has_ports();
        has_ports.then(|| range.start().0..=range.end().0)
    }
}

/// Ports of a class, each at most once, in an order that `start` determines;
/// as many as may be tried.
pub fn ports_from(class: RangeInclusive<u16>, start: u64) -> impl Iterator<Item = Port> {
    stepping(class, Step::All, start)
}

/// Which ports of a class may be taken.
#[derive(Debug, Clone, Copy)]
enum Step {
    All,
    /// Those that leave this remainder when halved.
    Parity(u16),
}

fn stepping(class: RangeInclusive<u16>, step: Step, start: u64) -> impl Iterator<Item = Port> {
    let (mut first, last) = (u64::from(*class.start()), u64::from(*class.end()));
    let stride = match step {
        Step::All => 1,
        Step::Parity(parity) => {
            first += u64::from(first % 2 != u64::from(parity));
            2
        }
    };
    let size = (last + 1).saturating_sub(first).div_ceil(stride);
    let start = start.checked_rem(size).unwrap_or(0);
    (0..u64::from(ATTEMPTS).min(size)).map(move |n| {
        let port = first + (start + n) % size * stride;
        Port(u16::try_from(port).unwrap_or(u16::MAX))
    })
}

fn port_class(tuple: &Tuple) -> Option<RangeInclusive<u16>> {
    match (tuple.protocol, tuple.source.port.0) {
        (protocol, port) if protocol.has_ports() => Some(match port {
            0..512 => 1..=511,
            512..1024 => 600..=1023,
            _ => 1024..=65535,
        }),
        (Protocol::ICMP | Protocol::ICMPV6, _) => Some(0..=65535),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    const KEEP: PortChoice = PortChoice {
        range: None,
        order: PortOrder::Keep,
    };

    fn unique_source(
        wanted: Tuple,
        choice: &PortChoice,
        start: u64,
        is_taken: impl Fn(&Tuple) -> bool,
    ) -> Option<Tuple> {
        let wanted = &wanted;
        let wish = Wish { wanted, choice };
        let port = wish.first_free(|| start, is_taken)?;
        Some(wish.with(port))
    }

    fn leaving(port: u16) -> Tuple {
        Tuple::new(
            Protocol::TCP,
            format!("203.0.113.2:{port}").parse().unwrap(),
            "198.51.100.9:80".parse().unwrap(),
        )
    }

    #[test]
    fn a_free_port_is_kept_and_a_taken_one_gives_way_within_its_class() {
        assert_eq!(
            unique_source(leaving(51000), &KEEP, 7, |_| false),
            Some(leaving(51000))
        );
        let taken = leaving(80).reversed();
        let other = unique_source(leaving(80), &KEEP, 7, |tuple| *tuple == taken).unwrap();
        assert!(other.source.port != Port(80) && (1..512).contains(&other.source.port.0));
    }

    #[test]
    fn used_up_ports_end_the_search() {
        assert_eq!(unique_source(leaving(51000), &KEEP, 7, |_| true), None);
        let gre = Tuple {
            protocol: Protocol::GRE,
            ..leaving(0)
        };
        assert_eq!(unique_source(gre, &KEEP, 7, |_| true), None);
    }

    #[test]
    fn a_range_of_its_own_is_kept_to_and_parity_where_it_is_asked_for() {
        let choice = |order| PortChoice {
            range: Some(Port(2000)..=Port(2003)),
            order,
        };
        let taken = std::cell::RefCell::new(HashSet::new());
        let given = |wanted, choice: &PortChoice| {
            let found = unique_source(leaving(wanted), choice, 9, |t| taken.borrow().contains(t))?;
            taken.borrow_mut().insert(found.reversed());
            Some(found.source.port.0)
        };
        assert_eq!(given(2001, &choice(PortOrder::Keep)), Some(2001));
        assert_eq!(given(2001, &choice(PortOrder::KeepParity)), Some(2003));
        assert_eq!(given(51001, &choice(PortOrder::KeepParity)), None);
        let two: HashSet<_> = [9, 51000]
            .map(|port| given(port, &choice(PortOrder::Random)))
            .into();
        assert_eq!(two, HashSet::from([Some(2000), Some(2002)]));
        assert_eq!(given(51000, &choice(PortOrder::Random)), None);
    }

    proptest! {
        #[test]
        fn no_two_sessions_share_a_reply_tuple(ports in proptest::collection::vec(any::<u16>(), 1..300), seed: u64) {
            let mut taken = HashSet::new();
            for (n, port) in ports.into_iter().enumerate() {
                let start = seed.wrapping_add(n as u64);
                if let Some(tuple) = unique_source(leaving(port % 40), &KEEP, start, |t| taken.contains(t)) {
                    prop_assert!(taken.insert(tuple.reversed()));
                }
            }
        }
    }
}
