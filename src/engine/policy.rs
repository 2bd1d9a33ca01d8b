//! All that an operator wrote, compiled.

use super::fragments::FragmentLimits;
use super::rates::AnswerRates;
use super::unsolicited::UnsolicitedSyn;
use crate::alg;
use crate::nat::{NatPolicy, NoMapping};
use crate::net::{Profile, Services, Zones};
use crate::rules::RuleSet;
use crate::session::{Lifetimes, Limits, TcpChecks};

/// What becomes of packets with IPv4 options by which they say, or write down, which
/// way they go (RFC 791, RFC 3022 section 4.6). What passes is not rewritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RouteOptions {
    /// Loose and strict source routes.
    pub source: Passage,
    /// Record route and time stamps, in which routers write their addresses.
    pub record: Passage,
}

impl Default for RouteOptions {
    fn default() -> Self {
        Self {
            source: Passage::Drop,
            record: Passage::Pass,
        }
    }
}

/// What becomes of sessions when another rule file takes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnReload {
    /// They go on: rules judge how sessions begin.
    #[default]
    Keep,
    /// Those that could not begin by its rules end.
    Recheck,
}

/// Whether something may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Passage {
    /// It may.
    Pass,
    /// It is dropped.
    Drop,
}

/// What an operator wrote, checked and resolved: the engine's whole knowledge
/// of the world it guards.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Whose word holds where no setting of its own says anything.
    pub profile: Profile,
    /// Zones and the gateway's own addresses.
    pub zones: Zones,
    /// Services, with their life and ALG.
    pub services: Services,
    /// The rules and the default.
    pub rules: RuleSet,
    /// Translations.
    pub nat: NatPolicy,
    /// How strictly TCP is tracked.
    pub tcp: TcpChecks,
    /// How many sessions there may be.
    pub limits: Limits,
    /// How much is kept of datagrams that are not whole yet.
    pub fragments: FragmentLimits,
    /// How often the gateway itself speaks.
    pub answers: AnswerRates,
    /// What becomes of a SYN from outside that the rules refuse.
    pub unsolicited_syn: UnsolicitedSyn,
    /// What becomes of sessions when this policy takes another's place.
    pub on_reload: OnReload,
    /// What becomes of packets with options about their route.
    pub route_options: RouteOptions,
    /// What the sender of a connection is told for which there is no room.
    pub no_room: NoMapping,
    /// How long sessions live.
    pub lifetimes: Lifetimes,
    /// How control sessions are read.
    pub algs: alg::Settings,
}
