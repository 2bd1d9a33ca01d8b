//! Zones, rules and rows by the names that they have in the rule file.
//!
//! Sessions know them by number, and the numbers are those of one rule file. What another
//! file still has is told by its name, as at a reload; what is gone is put aside under a
//! number of its own, so that sessions that began by it still know by what.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::unsound::Unsound;
use crate::engine::Policy;
use crate::nat::{AddressRange, Pool, Pooling, PortChoice, SourceNat, SourceTarget};
use crate::net::{
    BlockLayout, Dependence, HoldDown, LifetimeId, Logged, NatRow, NatRows, Port, RowId, Rows,
    Selector, ServiceId, Terms, ZoneId,
};
use crate::rules::{Action, Judges, Rule, RuleSet};
use crate::session::{Claim, LifetimeName, Mapping, Origin, Permission};

/// The names, by the numbers that sessions know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Names {
    zones: Vec<String>,
    rules: Vec<String>,
    services: Vec<String>,
    lifetimes: Vec<LifetimeName>,
    sources: Vec<SourceRow>,
    forwards: Vec<String>,
    statics: Vec<String>,
}

/// A row of source translation, as far as it matters to those who hold something by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SourceRow {
    name: String,
    target: Target,
    ports: Option<(Port, Port)>,
    mapping: Dependence,
    filtering: Dependence,
    counts: bool,
    blocks: Option<Blocks>,
    hold_down: Option<HoldDown>,
    log: Logged,
}

/// What clients become.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Target {
    Masquerade,
    Exempt,
    Pool(Vec<(std::net::IpAddr, std::net::IpAddr)>),
    /// Something that is the same only if its words are.
    Other(String),
}

/// How ports are leased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Blocks {
    first: Port,
    last: Port,
    size: std::num::NonZeroU16,
}

fn names<T>(rows: &Rows<T>, name: impl Fn(&T) -> &String) -> Vec<String> {
    rows.by_number()
        .iter()
        .map(|row| name(row).clone())
        .collect()
}

impl Names {
    /// Those of a policy.
    pub(super) fn of(policy: &Policy) -> Self {
        let nat = &policy.nat;
        let zones = policy.zones.iter().map(|(_, zone)| zone.name.clone());
        let lifetimes = policy.lifetimes.iter();
        Self {
            zones: zones.collect(),
            rules: names(policy.rules.rows(), |row| &row.name),
            services: names(policy.services.rows(), |row| &row.name),
            lifetimes: lifetimes.map(|(_, own)| own.name.clone()).collect(),
            sources: nat.source.by_number().iter().map(SourceRow::of).collect(),
            forwards: names(&nat.forwards, |row| &row.name),
            statics: names(&nat.statics, |row| &row.name),
        }
    }

    /// What has these names in a policy; and the policy with what it does not have put
    /// aside.
    ///
    /// # Errors
    /// There are more rows than can be numbered.
    pub(super) fn in_policy(
        &self,
        policy: &Arc<Policy>,
    ) -> Result<(Arc<Policy>, Numbers), Unsound> {
        let mut nat = policy.nat.clone();
        let mut rules = policy.rules.rows().clone();
        let mut puts_aside = false;
        let mut rule_numbers = Vec::with_capacity(self.rules.len());
        for name in &self.rules {
            let number = match number_of(&rules, |row| row.name == *name) {
                Some(number) => number,
                None => {
                    puts_aside = true;
                    rules.put_aside(gone(name)).ok_or(Unsound::Rows)?
                }
            };
            rule_numbers.push(number);
        }
        let mut source_numbers = Vec::with_capacity(self.sources.len());
        for row in &self.sources {
            let number = match number_of(&nat.source, |new| row.is_carried_on_by(new)) {
                Some(number) => number,
                None => {
                    puts_aside = true;
                    nat.source.put_aside(row.row()).ok_or(Unsound::Rows)?
                }
            };
            source_numbers.push(number);
        }
        let named = |name: &String| policy.zones.by_name(name);
        let numbers = Numbers {
            zones: self.zones.iter().map(named).collect(),
            services: numbers(&self.services, policy.services.rows(), |row| &row.name),
            lifetimes: self
                .lifetimes
                .iter()
                .map(|name| lifetime(policy, name))
                .collect(),
            forwards: numbers(&self.forwards, &nat.forwards, |row| &row.name),
            statics: numbers(&self.statics, &nat.statics, |row| &row.name),
            rules: rule_numbers,
            sources: source_numbers,
        };
        let policy = match puts_aside {
            false => Arc::clone(policy),
            true => Arc::new(Policy {
                rules: RuleSet::of_rows(rules, policy.rules.default_action()),
                nat,
                ..Policy::clone(policy)
            }),
        };
        Ok((policy, numbers))
    }
}

/// The number of the row in force, or put aside, that is meant.
fn number_of<T>(rows: &Rows<T>, is_it: impl Fn(&T) -> bool) -> Option<u16> {
    let all = rows.by_number().iter().zip(0..=u16::MAX);
    let mut found = all.filter(|(row, _)| is_it(row)).map(|(_, number)| number);
    found.next()
}

fn numbers<T>(names: &[String], rows: &Rows<T>, name: impl Fn(&T) -> &String) -> Vec<Option<u16>> {
    let number = |own: &String| number_of(rows, |row| name(row) == own);
    names.iter().map(number).collect()
}

/// The lifetime of this name; where there is none, that of `[timeouts]`.
fn lifetime(policy: &Policy, name: &LifetimeName) -> LifetimeId {
    let mut all = policy.lifetimes.iter();
    let found = all.find(|(_, own)| own.name == *name);
    found.map(|(id, _)| id).unwrap_or_default()
}

/// A rule of which nothing but the name is left.
fn gone(name: &str) -> Rule {
    Rule {
        name: name.to_owned(),
        judges: Judges::Connections,
        selector: Selector::default(),
        action: Action::Drop,
        max_sessions: None,
        lifetime: None,
        mss: None,
        third_parties: None,
    }
}

impl SourceRow {
    fn of(row: &SourceNat) -> Self {
        let Terms {
            quota: _,
            rate: _,
            max_sessions: _,
            blocks,
            hold_down,
            log,
        } = &row.terms;
        let layout = |layout: &BlockLayout| Blocks {
            first: Port(*layout.ports(0).start()),
            last: Port(*layout.ports(layout.count().saturating_sub(1)).end()),
            size: layout.size(),
        };
        Self {
            name: row.name.clone(),
            target: Target::of(&row.target),
            ports: row
                .ports
                .range
                .as_ref()
                .map(|own| (*own.start(), *own.end())),
            mapping: row.mapping,
            filtering: row.filtering,
            counts: row.terms.counts(),
            blocks: blocks.as_ref().map(layout),
            hold_down: *hold_down,
            log: *log,
        }
    }

    /// The row, but for whose connections it is about, and how much it gives out.
    fn row(&self) -> SourceNat {
        let layout = self
            .blocks
            .and_then(|own| BlockLayout::new(&(own.first..=own.last), own.size));
        SourceNat {
            name: self.name.clone(),
            selector: Selector::default(),
            target: self.target.target(),
            ports: PortChoice {
                range: self.ports.map(|(first, last)| first..=last),
                ..PortChoice::default()
            },
            mapping: self.mapping,
            filtering: self.filtering,
            terms: Terms {
                blocks: layout,
                hold_down: self.hold_down,
                log: self.log,
                ..Terms::default()
            },
            blocks_per_client: 1,
        }
    }

    /// Whether what clients hold by this row they may go on to hold by another.
    fn is_carried_on_by(&self, new: &SourceNat) -> bool {
        let known = self.row();
        let terms = Terms {
            // That it counts is all that is known of what it counts.
            quota: new.terms.quota,
            rate: new.terms.rate,
            max_sessions: new.terms.max_sessions,
            ..known.terms
        };
        let old = SourceNat {
            target: match &self.target {
                Target::Other(_) if Target::of(&new.target) == self.target => new.target.clone(),
                _ => known.target,
            },
            terms,
            ..known
        };
        self.name == new.name && new.terms.counts() == self.counts && new.carries_on(&old)
    }
}

impl Target {
    fn of(target: &SourceTarget) -> Self {
        match target {
            SourceTarget::Masquerade => Self::Masquerade,
            SourceTarget::Exempt => Self::Exempt,
            SourceTarget::Pool(pool, _) => {
                let ranges = pool.ranges().iter();
                Self::Pool(ranges.map(|own| (own.first(), own.last())).collect())
            }
            SourceTarget::Network(_) | SourceTarget::Deterministic(_) => {
                Self::Other(format!("{target:?}"))
            }
        }
    }

    /// What is known of it.
    fn target(&self) -> SourceTarget {
        match self {
            Self::Masquerade => SourceTarget::Masquerade,
            Self::Exempt | Self::Other(_) => SourceTarget::Exempt,
            Self::Pool(ranges) => {
                let ranges = ranges.iter();
                let ranges = ranges.filter_map(|(first, last)| AddressRange::new(*first, *last));
                SourceTarget::Pool(Pool::new(ranges.collect()), Pooling::default())
            }
        }
    }
}

/// The numbers that the names have in another policy.
#[derive(Debug)]
pub(super) struct Numbers {
    zones: Vec<Option<ZoneId>>,
    rules: Vec<u16>,
    services: Vec<Option<u16>>,
    lifetimes: Vec<LifetimeId>,
    sources: Vec<u16>,
    forwards: Vec<Option<u16>>,
    statics: Vec<Option<u16>>,
}

/// A zone is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoZone;

/// What something is called now; or the zone is gone in which it was.
pub(super) type Now<T> = Result<Result<T, NoZone>, Unsound>;

fn at<T: Copy>(all: &[T], number: u16) -> Result<T, Unsound> {
    all.get(usize::from(number)).copied().ok_or(Unsound::Number)
}

impl Numbers {
    pub(super) fn zone(&self, zone: ZoneId) -> Now<ZoneId> {
        Ok(at(&self.zones, zone.0)?.ok_or(NoZone))
    }

    fn rule(&self, rule: Option<u16>) -> Result<Option<u16>, Unsound> {
        rule.map(|rule| at(&self.rules, rule)).transpose()
    }

    fn service(&self, service: Option<ServiceId>) -> Result<Option<ServiceId>, Unsound> {
        let number = service.map(|service| at(&self.services, service.0));
        Ok(number.transpose()?.flatten().map(ServiceId))
    }

    fn lifetime(&self, lifetime: LifetimeId) -> Result<LifetimeId, Unsound> {
        at(&self.lifetimes, lifetime.0)
    }

    pub(super) fn row(&self, row: RowId) -> Result<RowId, Unsound> {
        let number = self.sources.get(row.place()).ok_or(Unsound::Number)?;
        RowId::of_place(usize::from(*number)).ok_or(Unsound::Rows)
    }

    fn nat_row(&self, row: Option<NatRow>) -> Result<Option<NatRow>, Unsound> {
        Ok(match row {
            None => None,
            Some(NatRow::Source(row)) => Some(NatRow::Source(at(&self.sources, row)?)),
            Some(NatRow::Forward(row)) => at(&self.forwards, row)?.map(NatRow::Forward),
            Some(NatRow::Static(row)) => at(&self.statics, row)?.map(NatRow::Static),
        })
    }

    fn claim(&self, claim: Option<Claim>) -> Now<Option<Claim>> {
        Ok(Ok(match claim {
            None => None,
            Some(Claim::Shared(row)) => {
                Some(Claim::Shared(row.map(|row| self.row(row)).transpose()?))
            }
            Some(Claim::Mapped(behaviour, known_in, row)) => match self.zone(known_in)? {
                Ok(zone) => Some(Claim::Mapped(behaviour, zone, self.row(row)?)),
                Err(gone) => return Ok(Err(gone)),
            },
        }))
    }

    /// What was fixed when a session began.
    pub(super) fn origin(&self, origin: &Origin) -> Now<Origin> {
        let mut own = *origin;
        own.rule = self.rule(origin.rule)?;
        own.service = self.service(origin.service)?;
        own.lifetime = self.lifetime(origin.lifetime)?;
        own.nat = NatRows {
            destination: self.nat_row(origin.nat.destination)?,
            source: self.nat_row(origin.nat.source)?,
        };
        for (zone, claim) in [
            (&mut own.egress.original, &mut own.claims.original),
            (&mut own.egress.reply, &mut own.claims.reply),
        ] {
            match (self.zone(*zone)?, self.claim(*claim)?) {
                (Ok(now), Ok(held)) => (*zone, *claim) = (now, held),
                (Err(gone), _) | (_, Err(gone)) => return Ok(Err(gone)),
            }
        }
        Ok(Ok(own))
    }

    /// A mapping.
    pub(super) fn mapping(&self, mapping: &Mapping) -> Now<Mapping> {
        let first = &mapping.first;
        let (Ok(known_in), Ok(home)) = (self.zone(mapping.known_in)?, self.zone(first.home)?)
        else {
            return Ok(Err(NoZone));
        };
        Ok(Ok(Mapping {
            known_in,
            row: self.row(mapping.row)?,
            first: Permission {
                home,
                rule: self.rule(first.rule)?,
                row: self.nat_row(first.row)?,
                service: self.service(first.service)?,
                lifetime: self.lifetime(first.lifetime)?,
            },
            ..*mapping
        }))
    }
}
