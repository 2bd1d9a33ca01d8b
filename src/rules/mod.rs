//! The rule set: which new connections may pass, and by whose word.
//!
//! Owns the ordered rules and the default policy. It is asked once for each
//! new connection, with the real client and the real server, and answers with
//! a [`Ruling`]; and, where rules are about them, for each packet that can
//! belong to no connection. It knows nothing of states, bytes or translations.
//!
//! First match wins. A [`Permit`] is the proof that a rule (or the default)
//! said yes: only [`RuleSet::judge`] makes one, and no session is opened
//! without it.

use std::num::NonZeroU16;

use crate::net::{AddressSet, Asking, LifetimeId, Mismatch, Rows, Selector, ServiceId, Services};

/// A rule of the policy in force, by its number (see [`Rows`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(pub u16);

/// What to do with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Let it pass.
    Allow,
    /// Drop it in silence.
    Drop,
    /// Drop it and tell the sender: RST for TCP, else ICMP port unreachable.
    Reject,
}

/// What a rule judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Judges {
    /// New connections.
    #[default]
    Connections,
    /// Data sessions that an ALG announced.
    Related,
    /// Single packets that tracking calls invalid.
    Invalid,
}

/// One row of the rule set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its name in the rule file.
    pub name: String,
    /// Whether it is about connections, or about what can belong to none.
    pub judges: Judges,
    /// The connections (or packets) it is about.
    pub selector: Selector,
    /// What it does with them.
    pub action: Action,
    /// How many sessions that it let in may live at a time; `None`: any number.
    pub max_sessions: Option<u32>,
    /// How long the sessions live that it lets in, where it says so.
    pub lifetime: Option<LifetimeId>,
    /// The longest TCP segments that both ends of such a session are to send.
    pub mss: Option<Mss>,
    /// Hosts that a control session which it let in may name beside its own two
    /// ends.
    pub third_parties: Option<AddressSet>,
}

/// The most that a SYN may announce as its sender's maximum segment size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mss {
    /// This many octets.
    Octets(NonZeroU16),
    /// What fits into the narrower of the two links.
    Mtu,
}

/// The ordered rules, and what happens to a connection that none names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSet {
    rules: Rows<Rule>,
    default: Action,
    /// Whether any rule is about invalid packets.
    invalid: bool,
}

/// Proof that the rule set said yes to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permit {
    by: Option<RuleId>,
    service: Option<ServiceId>,
}

impl Permit {
    /// The rule that said yes; `None` where it was the default policy.
    #[must_use]
    pub fn rule(&self) -> Option<RuleId> {
        self.by
    }

    /// The service that the connection is of.
    #[must_use]
    pub fn service(&self) -> Option<ServiceId> {
        self.service
    }
}

/// How a refused connection is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// In silence.
    Drop,
    /// With word to the sender.
    Reject,
}

/// The answer of the rule set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling {
    /// Yes.
    Permitted(Permit),
    /// No, by this rule or (`None`) by the default policy.
    Refused(Option<RuleId>, Refusal),
}

impl RuleSet {
    /// A rule set of these rules in this order.
    #[must_use]
    pub fn new(rules: Vec<Rule>, default: Action) -> Self {
        Self::of_rows(rules.into_iter().collect(), default)
    }

    /// A rule set of these rules, which have their numbers already.
    #[must_use]
    pub fn of_rows(rules: Rows<Rule>, default: Action) -> Self {
        let invalid = rules.iter().any(|rule| rule.judges == Judges::Invalid);
        Self {
            rules,
            default,
            invalid,
        }
    }

    /// Its rules with their numbers, those that are gone among them.
    #[must_use]
    pub fn rows(&self) -> &Rows<Rule> {
        &self.rules
    }

    /// Whether connections may still begin by this rule, or (`None`) by the default.
    #[must_use]
    pub fn still_allows(&self, rule: Option<RuleId>) -> bool {
        let Some(id) = rule else {
            return self.default == Action::Allow;
        };
        let rule = self.get(id);
        rule.is_some_and(|rule| rule.action == Action::Allow)
            && self.rules.is_in_force(usize::from(id.0))
    }

    /// The rule of this number, also one that is gone.
    #[must_use]
    pub fn get(&self, rule: RuleId) -> Option<&Rule> {
        self.rules.get(usize::from(rule.0))
    }

    /// All rules in order.
    pub fn iter(&self) -> impl Iterator<Item = (RuleId, &Rule)> {
        let all = self.rules.numbered();
        all.map(|(number, rule)| (RuleId(number), rule))
    }

    /// What happens to a connection that no rule names.
    #[must_use]
    pub fn default_action(&self) -> Action {
        self.default
    }

    /// Asks the rules, first match wins. `passed_over` hears of every rule
    /// that did not match, with the first condition that failed.
    pub fn judge(
        &self,
        asking: &Asking<'_>,
        services: &Services,
        mut passed_over: impl FnMut(RuleId, Mismatch),
    ) -> Ruling {
        let found = self.first(Judges::Connections, asking, services, &mut passed_over);
        match found {
            Some((id, rule, service)) => ruling(rule.action, Some(id), service),
            None => ruling(self.default, None, services.covering(asking.tuple)),
        }
    }

    /// Asks the rules about a data session that an ALG announced, first match
    /// wins. The default policy has no say: the rule that let the control session
    /// in has allowed what belongs to it, and only one that is about such sessions
    /// says otherwise.
    pub fn judge_related(
        &self,
        asking: &Asking<'_>,
        services: &Services,
        mut passed_over: impl FnMut(RuleId, Mismatch),
    ) -> Option<(RuleId, Action)> {
        let (id, rule, _) = self.first(Judges::Related, asking, services, &mut passed_over)?;
        Some((id, rule.action))
    }

    /// Whether a connection of some service may lead from this client to this
    /// server, by some rule or by the default.
    #[must_use]
    pub fn may_allow(&self, asking: &Asking<'_>) -> bool {
        let allows = |rule: &Rule| {
            rule.judges == Judges::Connections
                && rule.action == Action::Allow
                && rule.selector.admits_ends(asking).is_ok()
        };
        self.default == Action::Allow || self.rules.iter().any(allows)
    }

    /// Whether any rule is about invalid packets.
    #[must_use]
    pub fn judge_invalid_packets(&self) -> bool {
        self.invalid
    }

    /// Asks the rules about an invalid packet, first match wins. The default
    /// policy has no say: what no rule is about is not let by. Nor is what a
    /// rule allows a [`Permit`], as it opens nothing.
    pub fn judge_invalid(
        &self,
        packet: &Asking<'_>,
        services: &Services,
        mut passed_over: impl FnMut(RuleId, Mismatch),
    ) -> Option<(RuleId, Action)> {
        let (id, rule, _) = self.first(Judges::Invalid, packet, services, &mut passed_over)?;
        Some((id, rule.action))
    }

    fn first(
        &self,
        judges: Judges,
        asking: &Asking<'_>,
        services: &Services,
        passed_over: &mut impl FnMut(RuleId, Mismatch),
    ) -> Option<(RuleId, &Rule, Option<ServiceId>)> {
        for (id, rule) in self.iter().filter(|(_, rule)| rule.judges == judges) {
            match rule.selector.admits(asking, services) {
                Ok(service) => return Some((id, rule, service)),
                Err(mismatch) => passed_over(id, mismatch),
            }
        }
        None
    }
}

fn ruling(action: Action, by: Option<RuleId>, service: Option<ServiceId>) -> Ruling {
    match action {
        Action::Allow => Ruling::Permitted(Permit { by, service }),
        Action::Drop => Ruling::Refused(by, Refusal::Drop),
        Action::Reject => Ruling::Refused(by, Refusal::Reject),
    }
}
