//! Another policy takes over while sessions live.
//!
//! The swap is done at once, between two packets, and costs the same however many
//! sessions there are: a [`Successor`] has the numbers by which they know rules and rows.
//! What has to be done to each session comes after that, a little with every packet and
//! with every call of [`Engine::expire`], like what is due: those that could not begin
//! any more end, where the rule file wants it so; and where zones have changed, the
//! addresses of each are looked at again. Until that is done nobody takes the short way.

use std::sync::Arc;

use super::crew::Clients;
use super::mtus::Mtus;
use super::successor::{Addresses, Overtaken, Parameters, Successor, Task};
use super::{Ending, Engine, Event, OnReload, Output, Policy};
use crate::net::{Asking, Place, Timestamp, Tuple};
use crate::rules::{Action, RuleId, Ruling};
use crate::session::{Budget, Claim, Handle, Origin, Session};

/// What judging a session costs, in steps of a [`Budget`], where there are few rules.
const A_JUDGEMENT: u32 = Budget::AN_END / 4;
/// How many rules are asked in a step.
const RULES_A_STEP: usize = 16;

/// A walk over all sessions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Round {
    task: Task,
    /// Where it is.
    slot: u32,
}

impl Engine {
    /// Has another policy take over at `now`. Sessions go on as they are, by the rows
    /// that let them in; what begins from now on begins by the new policy, and by its
    /// numbers all limits, lifetimes and rates. Counters go on, but those of rows that say
    /// something else than before begin again. Gives the policy that was in force.
    ///
    /// # Errors
    /// The policy in force is not the one that the successor was made for; nothing has
    /// changed.
    pub fn reload(
        &mut self,
        successor: Successor,
        now: Timestamp,
    ) -> Result<Arc<Policy>, Overtaken> {
        let Successor {
            policy,
            predecessor,
            changed,
            terms,
            rivals,
            parameters,
            task,
        } = successor;
        if !Arc::ptr_eq(&predecessor, &self.policy) {
            return Err(Overtaken);
        }
        self.now = self.now.max(now);
        self.counters.go_on(&policy, &changed);
        self.sessions.set_terms(terms, rivals);
        self.sessions.set_lifetimes(&policy.lifetimes);
        match parameters {
            Parameters::None => self.parameters_due = None,
            Parameters::Known => {}
            Parameters::New => {
                let tells = self.sessions.is_the_first_worker();
                self.parameters_due = tells.then_some(self.now);
            }
        }
        self.mtus = Mtus::of(&policy.zones);
        self.least_mtu = self.mtus.least();
        let left = self.round.map_or(Task::NOTHING, |round| round.task);
        let task = task.with(left, &policy);
        self.round = (task != Task::NOTHING).then_some(Round { task, slot: 0 });
        if task.addresses == Addresses::Unknown {
            // Nothing fits: all packets go the way on which they are looked at.
            self.mtus = Mtus::none();
        }
        self.clients = Clients::by(&policy);
        self.policy = policy;
        self.look_ahead();
        Ok(predecessor)
    }

    /// Has all sessions looked at that are there, as after a reload.
    pub(super) fn look_at_all(&mut self) {
        let task = Task {
            judgement: self.policy.on_reload,
            ..Task::NOTHING
        };
        self.round = (task != Task::NOTHING).then_some(Round { task, slot: 0 });
        self.look_ahead();
    }

    /// Goes on with the walk over the sessions, if there is one, for half of the budget
    /// at most.
    pub(super) fn go_round(&mut self, budget: &mut Budget, out: &mut Output) {
        let Some(mut round) = self.round else { return };
        let rest = budget.left() / 2;
        let rules = self.policy.rules.rows().len() / RULES_A_STEP;
        let a_judgement = A_JUDGEMENT.saturating_add(u32::try_from(rules).unwrap_or(u32::MAX));
        while budget.left() > rest {
            if round.slot >= self.sessions.slots() {
                self.round = None;
                self.mtus = Mtus::of(&self.policy.zones);
                return;
            }
            budget.charge(1);
            if round.task.addresses == Addresses::Unknown {
                self.sessions.look_anew(round.slot);
            }
            if round.task.judgement == OnReload::Recheck
                && let Some(handle) = self.sessions.in_slot(round.slot)
                && !self.sessions.is_due(handle)
                && let Some(session) = self.sessions.get(handle)
            {
                // What one costs that is more than is left is not taken from others.
                budget.charge(a_judgement.min(budget.left().saturating_sub(rest)));
                if !self.may_go_on(&session) {
                    budget.charge(Budget::AN_END);
                    self.end_with_children(handle, out);
                }
            }
            round.slot += 1;
        }
        self.round = Some(round);
    }

    /// Ends a session that may not go on, and what it has announced.
    fn end_with_children(&mut self, handle: Handle, out: &mut Output) {
        let control = self.controls.get_mut(&handle.id());
        let children = control.map(|control| std::mem::take(&mut control.children));
        let at = self.now;
        for handle in std::iter::once(handle).chain(children.into_iter().flatten()) {
            if let Some(session) = self.end(handle, at) {
                out.events.push(Event::Ended {
                    at,
                    session,
                    ending: Ending::Forbidden,
                    packets: 0,
                });
                self.write_notes(at, out);
            }
        }
    }

    /// Whether a session could begin now as it is.
    fn may_go_on(&self, session: &Session) -> bool {
        let origin = &session.origin;
        match (origin.parent, origin.claims.reply) {
            (Some(parent), _) => {
                // While its control session lives, it goes with that one.
                let control = self.controls.get(&parent);
                let has_parent = control.and_then(|control| control.handle).is_some();
                self.may_be_announced(origin) && (has_parent || self.is_by_a_rule(origin))
            }
            (None, Some(Claim::Mapped(_, _, row))) => {
                self.policy.nat.source.is_in_force(row.place()) && self.is_by_a_rule(origin)
            }
            (None, Some(Claim::Shared(_)) | None) => self.may_begin(origin),
        }
    }

    /// Whether what let it in does so still.
    fn is_by_a_rule(&self, origin: &Origin) -> bool {
        self.policy.rules.still_allows(origin.rule.map(RuleId))
    }

    /// Whether the rules about announced data sessions let it be.
    fn may_be_announced(&self, origin: &Origin) -> bool {
        let Policy {
            rules, services, ..
        } = &*self.policy;
        let asking = Asking {
            from: origin.egress.reply,
            to: Place::Zone(origin.egress.original),
            tuple: &Tuple {
                destination: origin.tuples.reply.source,
                ..origin.tuples.original
            },
        };
        let ruling = rules.judge_related(&asking, services, |_, _| ());
        ruling.is_none_or(|(_, action)| action == Action::Allow)
    }

    /// Whether its first packet would lead where it did, and be let through.
    fn may_begin(&self, origin: &Origin) -> bool {
        let policy = &self.policy;
        let (tuple, from) = (&origin.tuples.original, origin.egress.reply);
        let inward = policy.nat.inward(from, tuple, &policy.zones);
        let inward = inward.map_or(*tuple, |found| found.tuple);
        let server = origin.tuples.reply.source;
        let leads_there = match tuple.protocol.is_icmp() {
            true => inward.destination.address == server.address,
            false => inward.destination == server,
        };
        let to = Place::Zone(origin.egress.original);
        if !leads_there
            || policy.zones.route(server.address) != Some(to)
            || !policy.zones.accepts_source(from, tuple.source.address)
        {
            return false;
        }
        let asking = Asking {
            from,
            to,
            tuple: &inward,
        };
        let ruling = policy.rules.judge(&asking, &policy.services, |_, _| ());
        matches!(ruling, Ruling::Permitted(_))
    }
}
