//! Lifetimes: complete tables of timeouts, and what happens when one runs out.
//!
//! Owns the tables that the operator wrote, and which zones have one of their
//! own. A session keeps the number of its table; which one that is was chosen
//! when it began. Nothing here looks at packets.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::state::{FlowState, State, TcpState};
use super::tcp::Life;
use super::timeouts::Timeouts;
use super::tracker::lifetime;
use crate::net::{LifetimeId, Protocol, ZoneId};

/// How long sessions live, and how they end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lifetime {
    /// Who says so.
    pub name: LifetimeName,
    /// By protocol and state.
    pub timeouts: Timeouts,
    /// How long established and answered sessions may be idle, where a service
    /// says so in short.
    pub idle: Option<Duration>,
    /// What happens to an established TCP session when its time is up.
    pub on_expiry: OnExpiry,
    /// Whose packets keep a session without handshake alive.
    pub refresh: Refresh,
}

/// Where in the rule file a lifetime is written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LifetimeName {
    /// `[timeouts]`.
    Timeouts,
    /// `[lifetimes]`, under this name.
    Named(String),
    /// The service of this name.
    Service(String),
}

/// What happens to an established TCP session when its time is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnExpiry {
    /// It is forgotten.
    #[default]
    Silent,
    /// Both ends get a RST, so that neither holds a dead connection (RFC 5382
    /// section 5).
    Reset,
    /// Both ends are asked whether they are still there (RFC 1122 section
    /// 4.2.3.6); if not both are, as with a reset.
    Probe,
}

/// Whose packets keep a session without handshake alive (RFC 4787 REQ-6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Refresh {
    /// Those of both ends.
    #[default]
    BothEnds,
    /// Only those of the end that began it: the other cannot keep it for ever.
    Client,
}

impl Lifetime {
    /// The lifetimes that `[timeouts]` says.
    #[must_use]
    pub fn new(timeouts: Timeouts) -> Self {
        Self {
            name: LifetimeName::Timeouts,
            timeouts,
            idle: None,
            on_expiry: OnExpiry::default(),
            refresh: Refresh::default(),
        }
    }

    /// How long a session in this state lives without traffic.
    #[must_use]
    pub fn lasts(&self, state: State, life: Life, protocol: Protocol) -> Duration {
        lifetime(state, life, protocol, self.idle, &self.timeouts)
    }
}

/// The number that a lifetime has now.
fn renumbered(id: LifetimeId, numbers: &[LifetimeId]) -> LifetimeId {
    numbers.get(usize::from(id.0)).copied().unwrap_or_default()
}

/// Zones between which sessions have a lifetime of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Between {
    /// Where the connection arrives; `None`: anywhere.
    pub from: Option<Vec<ZoneId>>,
    /// Where it leaves; `None`: anywhere.
    pub to: Option<Vec<ZoneId>>,
    /// How long it lives.
    pub lifetime: LifetimeId,
}

impl Between {
    fn fits(&self, from: ZoneId, to: ZoneId) -> bool {
        let holds = |zones: &Option<Vec<ZoneId>>, zone| {
            zones.as_ref().is_none_or(|zones| zones.contains(&zone))
        };
        holds(&self.from, from) && holds(&self.to, to)
    }
}

/// What a session in full swing asks a lifetime, worked out beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace {
    established: u64,
    unacknowledged: u64,
    repeating: u64,
    /// How long a UDP session lives that was answered, in nanoseconds.
    pub(super) replied: u64,
    /// How long a UDP stream lives.
    pub(super) stream: u64,
    /// Whose packets keep it alive.
    pub(super) refresh: Refresh,
}

impl Pace {
    fn of(lifetime: &Lifetime) -> Self {
        let nanos = |state, life, protocol| {
            let lasts = lifetime.lasts(state, life, protocol);
            u64::try_from(lasts.as_nanos()).unwrap_or(u64::MAX)
        };
        let tcp = |life| nanos(State::Tcp(TcpState::Established), life, Protocol::TCP);
        Self {
            established: tcp(Life::OfState),
            unacknowledged: tcp(Life::Unacknowledged),
            repeating: tcp(Life::Repeating),
            replied: nanos(
                State::Flow(FlowState::Replied),
                Life::OfState,
                Protocol::UDP,
            ),
            stream: nanos(State::Flow(FlowState::Stream), Life::OfState, Protocol::UDP),
            refresh: lifetime.refresh,
        }
    }

    /// How long an established TCP session lives, in nanoseconds.
    #[inline]
    pub(super) fn established(&self, life: Life) -> u64 {
        match life {
            Life::OfState | Life::OfReset => self.established,
            Life::Unacknowledged => self.unacknowledged,
            Life::Repeating => self.repeating,
        }
    }
}

/// All lifetimes of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lifetimes {
    general: Lifetime,
    others: Vec<Lifetime>,
    pace: Pace,
    /// Of each, in order.
    paces: Vec<Pace>,
    between: Vec<Between>,
}

impl Lifetimes {
    /// Those that hold where nobody says anything else: [`LifetimeId`] 0.
    #[must_use]
    pub fn new(general: Lifetime) -> Self {
        Self {
            pace: Pace::of(&general),
            paces: vec![Pace::of(&general)],
            general,
            others: Vec::new(),
            between: Vec::new(),
        }
    }

    /// Adds one. `None`: there are more than can be numbered.
    pub fn push(&mut self, lifetime: Lifetime) -> Option<LifetimeId> {
        let id = u16::try_from(self.others.len() + 1).ok()?;
        self.paces.push(Pace::of(&lifetime));
        self.others.push(lifetime);
        Some(LifetimeId(id))
    }

    /// Says which sessions between zones have one of their own: the first row
    /// that fits decides.
    pub fn set_between(&mut self, rows: Vec<Between>) {
        self.between = rows;
    }

    /// The same in place of `old` ones: one carries on what is of its name there. Those
    /// that are gone stay, for the sessions that live by them. Gives besides which number
    /// each has now. `None`: there are more than can be numbered.
    #[must_use]
    pub fn in_place_of(self, old: &Self) -> Option<(Self, Vec<LifetimeId>)> {
        let mut all = Self::new(self.general);
        for lifetime in &old.others {
            all.push(lifetime.clone())?;
        }
        let mut numbers = vec![LifetimeId::default()];
        for lifetime in self.others {
            let mut same = all.others.iter();
            let id = match same.position(|own| own.name == lifetime.name) {
                Some(place) => {
                    if let Some(own) = all.paces.get_mut(place + 1) {
                        *own = Pace::of(&lifetime);
                    }
                    if let Some(own) = all.others.get_mut(place) {
                        *own = lifetime;
                    }
                    LifetimeId(u16::try_from(place + 1).ok()?)
                }
                None => all.push(lifetime)?,
            };
            numbers.push(id);
        }
        all.between = self.between;
        for row in &mut all.between {
            row.lifetime = renumbered(row.lifetime, &numbers);
        }
        Some((all, numbers))
    }

    /// What `[timeouts]` says.
    #[must_use]
    pub fn general(&self) -> &Lifetime {
        &self.general
    }

    /// The lifetime of this number.
    #[must_use]
    pub fn get(&self, id: LifetimeId) -> &Lifetime {
        let other = usize::from(id.0).checked_sub(1);
        other
            .and_then(|place| self.others.get(place))
            .unwrap_or(&self.general)
    }

    /// What a session in full swing asks the lifetime of this number.
    #[inline]
    pub(super) fn pace(&self, id: LifetimeId) -> &Pace {
        // Most live by this one.
        if id.0 == 0 {
            return &self.pace;
        }
        self.paces.get(usize::from(id.0)).unwrap_or(&self.pace)
    }

    /// The longest time that any session lives without traffic.
    #[must_use]
    pub fn longest(&self) -> Duration {
        let of_one = |lifetime: &Lifetime| {
            lifetime
                .timeouts
                .longest()
                .max(lifetime.idle.unwrap_or_default())
        };
        self.iter()
            .map(|(_, own)| of_one(own))
            .max()
            .unwrap_or_default()
    }

    /// All with their numbers; that of `[timeouts]` is the first.
    pub fn iter(&self) -> impl Iterator<Item = (LifetimeId, &Lifetime)> {
        let all = std::iter::once(&self.general).chain(&self.others);
        (0..=u16::MAX).map(LifetimeId).zip(all)
    }

    /// The rows about zones.
    #[must_use]
    pub fn between(&self) -> &[Between] {
        &self.between
    }

    /// The lifetime of a session between these zones that nothing nearer to it
    /// has one for.
    #[must_use]
    pub fn of_zones(&self, from: ZoneId, to: ZoneId) -> LifetimeId {
        let row = self.between.iter().find(|row| row.fits(from, to));
        row.map_or(LifetimeId::default(), |row| row.lifetime)
    }
}
