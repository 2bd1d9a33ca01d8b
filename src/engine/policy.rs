//! All that an operator wrote, compiled.

use super::rates::AnswerRates;
use crate::alg;
use crate::nat::NatPolicy;
use crate::net::{Services, Zones};
use crate::rules::RuleSet;
use crate::session::{Lifetimes, Limits, TcpChecks};

/// What an operator wrote, checked and resolved: the engine's whole knowledge
/// of the world it guards.
#[derive(Debug, Clone)]
pub struct Policy {
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
    /// How often the gateway itself speaks.
    pub answers: AnswerRates,
    /// How long sessions live.
    pub lifetimes: Lifetimes,
    /// How control sessions are read.
    pub algs: alg::Settings,
}
