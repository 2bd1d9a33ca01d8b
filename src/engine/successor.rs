//! A policy that takes the place of another.
//!
//! Sessions, mappings and counters know rules, services, lifetimes and rows of
//! translation by number. So a successor is the new policy under the old numbers: what
//! is in both keeps its own, what is new gets one that nobody had, and what is gone stays
//! aside for those that began by it. Then nothing has to be changed in the table,
//! however large it is.
//!
//! What carries on is told by its id in the rule file. A row of source translation
//! that could not have given out what the one of its id did, or counts it otherwise,
//! is another row: what clients hold they hold by the old one, and get anew by this.

use std::fmt;
use std::sync::Arc;

use super::{OnReload, Policy};
use crate::nat::{NatPolicy, SourceNat};
use crate::net::{LifetimeId, RowId, Rows, ServiceId, Services, Terms, Zones};
use crate::rules::RuleSet;

/// Why a policy cannot take the place of another while sessions live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unfit {
    /// Sessions know zones by their places.
    Zones,
    /// Too many rows have come and gone.
    Numbers,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Zones => "the zones are others, or stand in another order",
            Self::Numbers => "more rows have come and gone than can be numbered",
        })
    }
}

impl std::error::Error for Unfit {}

/// The policy in force is another one by now than that which a successor was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Overtaken;

impl fmt::Display for Overtaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("another policy has taken over meanwhile")
    }
}

impl std::error::Error for Overtaken {}

/// A policy that may take the place of another: see [`Engine::reload`](super::Engine::reload).
/// Where several engines work by the same policy, each takes a copy.
#[derive(Debug, Clone)]
pub struct Successor {
    pub(super) policy: Arc<Policy>,
    pub(super) predecessor: Arc<Policy>,
    pub(super) changed: Changed,
    /// The terms of the rows of source translation, by their numbers.
    pub(super) terms: Box<[Terms]>,
    /// Those of them whose blocks may be of the same ports.
    pub(super) rivals: Vec<RowId>,
    pub(super) parameters: Parameters,
    /// What has to be done to the sessions that are there.
    pub(super) task: Task,
}

/// The numbers of rows that say something else than before.
#[derive(Debug, Clone)]
pub(super) struct Changed {
    pub(super) rules: Vec<u16>,
    pub(super) sources: Vec<u16>,
    pub(super) forwards: Vec<u16>,
    pub(super) statics: Vec<u16>,
}

/// What is written down of the parameters of deterministic rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parameters {
    /// There are none.
    None,
    /// They are as before, and told when they are due.
    Known,
    /// They are others: they are told at once.
    New,
}

/// What has to be done to each session that is there, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) addresses: Addresses,
    pub(super) judgement: OnReload,
}

/// What was found of a session's addresses, that its packets may pass with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Addresses {
    /// It holds.
    Known,
    /// They have to be looked at again.
    Unknown,
}

impl Task {
    pub(super) const NOTHING: Self = Self {
        addresses: Addresses::Known,
        judgement: OnReload::Keep,
    };

    /// This, and what was not done yet of another that the policy in force still asks
    /// for.
    pub(super) fn with(self, left: Self, policy: &Policy) -> Self {
        Self {
            addresses: match left.addresses {
                Addresses::Unknown => Addresses::Unknown,
                Addresses::Known => self.addresses,
            },
            judgement: match left.judgement {
                OnReload::Recheck => policy.on_reload,
                OnReload::Keep => self.judgement,
            },
        }
    }
}

impl Successor {
    /// Gives a policy the numbers of the one whose place it takes.
    ///
    /// # Errors
    /// It cannot take that place while sessions live.
    pub fn new(policy: Policy, predecessor: &Arc<Policy>) -> Result<Self, Unfit> {
        let old = &**predecessor;
        if !same_zones(&policy.zones, &old.zones) {
            return Err(Unfit::Zones);
        }
        let policy = numbered_as(policy, old).ok_or(Unfit::Numbers)?;
        let changed = Changed {
            rules: changed(policy.rules.rows(), old.rules.rows()),
            sources: changed(&policy.nat.source, &old.nat.source),
            forwards: changed(&policy.nat.forwards, &old.nat.forwards),
            statics: changed(&policy.nat.statics, &old.nat.statics),
        };
        let stands_alike = policy.profile == old.profile && stand_alike(&policy.zones, &old.zones);
        let judges_alike = stands_alike
            && policy.rules == old.rules
            && policy.services == old.services
            && policy.nat == old.nat;
        let task = Task {
            addresses: match stands_alike {
                true => Addresses::Known,
                false => Addresses::Unknown,
            },
            judgement: match judges_alike {
                true => OnReload::Keep,
                false => policy.on_reload,
            },
        };
        Ok(Self {
            predecessor: Arc::clone(predecessor),
            changed,
            terms: terms_of(&policy),
            rivals: rivals(&policy.nat.source),
            parameters: match policy.nat.has_parameters() {
                false => Parameters::None,
                true if policy.nat.source == old.nat.source => Parameters::Known,
                true => Parameters::New,
            },
            task,
            policy: Arc::new(policy),
        })
    }

    /// The policy that takes over.
    #[must_use]
    pub fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }
}

/// The terms of all rows of source translation, by their numbers.
pub(super) fn terms_of(policy: &Policy) -> Box<[Terms]> {
    let rows = policy.nat.source.by_number().iter();
    rows.map(|row| row.terms.clone()).collect()
}

/// The rows whose blocks may be of the same ports: all that have blocks, where one of them is
/// gone.
pub(super) fn rivals(rows: &Rows<SourceNat>) -> Vec<RowId> {
    let all = rows.by_number().iter().enumerate();
    let with_blocks = all.filter(|(_, row)| row.terms.blocks.is_some());
    let numbers: Vec<_> = with_blocks.map(|(number, _)| number).collect();
    if numbers.iter().all(|number| rows.is_in_force(*number)) {
        return Vec::new();
    }
    numbers.into_iter().filter_map(RowId::of_place).collect()
}

fn same_zones(new: &Zones, old: &Zones) -> bool {
    let names = |zones: &'_ Zones| -> Vec<String> {
        zones.iter().map(|(_, zone)| zone.name.clone()).collect()
    };
    names(new) == names(old)
}

/// Whether the same addresses stand in the same zones, and are checked alike.
fn stand_alike(new: &Zones, old: &Zones) -> bool {
    new.iter().zip(old.iter()).all(|((_, new), (_, old))| {
        (&new.nets, &new.addresses, new.source_check)
            == (&old.nets, &old.addresses, old.source_check)
    })
}

/// The policy under the numbers of an old one.
fn numbered_as(mut policy: Policy, old: &Policy) -> Option<Policy> {
    let (lifetimes, numbers) = policy.lifetimes.in_place_of(&old.lifetimes)?;
    policy.lifetimes = lifetimes;
    let lifetime = |id: &mut Option<LifetimeId>| {
        *id = id.map(|id| numbers.get(usize::from(id.0)).copied().unwrap_or_default());
    };

    let mut services = policy.services.rows().clone();
    services.change(|service| lifetime(&mut service.lifetime));
    let services = services.in_place_of(old.services.rows(), |row| &row.name, |_, _| true)?;
    let numbers = services.numbers().to_vec();
    policy.services = Services::of_rows(services);
    let service = |id: ServiceId| {
        let number = numbers.get(usize::from(id.0)).copied();
        number.map_or(id, ServiceId)
    };

    let mut rules = policy.rules.rows().clone();
    rules.change(|rule| {
        lifetime(&mut rule.lifetime);
        rule.selector.renumber(service);
    });
    let rules = rules.in_place_of(old.rules.rows(), |row| &row.name, |_, _| true)?;
    policy.rules = RuleSet::of_rows(rules, policy.rules.default_action());

    let mut nat = policy.nat;
    nat.source.change(|row| row.selector.renumber(service));
    let carries_on = |old: &SourceNat, new: &SourceNat| new.carries_on(old);
    policy.nat = NatPolicy {
        source: nat
            .source
            .in_place_of(&old.nat.source, |row| &row.name, carries_on)?,
        forwards: nat
            .forwards
            .in_place_of(&old.nat.forwards, |row| &row.name, |_, _| true)?,
        statics: nat
            .statics
            .in_place_of(&old.nat.statics, |row| &row.name, |_, _| true)?,
        ..nat
    };
    Some(policy)
}

/// The numbers of rows that say something else than those that had them.
fn changed<T: PartialEq>(new: &Rows<T>, old: &Rows<T>) -> Vec<u16> {
    let pairs = new.by_number().iter().zip(old.by_number());
    let differing = (0..=u16::MAX)
        .zip(pairs)
        .filter(|(_, (new, old))| new != old);
    differing.map(|(number, _)| number).collect()
}
