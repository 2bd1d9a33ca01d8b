//! What the engine counts.

use super::successor::Changed;
use super::{AnswerKind, Judgement, Policy, Reason, Unfinished, Verdict};
use crate::alg::NotOpened;
use crate::net::{NatRow, NatRows};
use crate::rules::RuleId;
use crate::session::Standing;

/// Packets by what came of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counters {
    reasons: Vec<[u64; Verdict::NAMES.len()]>,
    rules: Vec<u64>,
    default_policy: u64,
    sources: Vec<u64>,
    forwards: Vec<u64>,
    statics: Vec<u64>,
    evicted: [u64; Standing::ALL.len()],
    withheld: [u64; AnswerKind::ALL.len()],
    not_opened: [u64; NotOpened::CHECKS.len()],
    /// Those forwarded as their session's; they are not among `reasons`.
    in_full_swing: u64,
}

impl Counters {
    pub(super) fn new(policy: &Policy) -> Self {
        let nat = &policy.nat;
        Self {
            reasons: vec![[0; Verdict::NAMES.len()]; Reason::ALL.len()],
            rules: vec![0; policy.rules.rows().by_number().len()],
            default_policy: 0,
            sources: vec![0; nat.source.by_number().len()],
            forwards: vec![0; nat.forwards.by_number().len()],
            statics: vec![0; nat.statics.by_number().len()],
            evicted: [0; Standing::ALL.len()],
            withheld: [0; AnswerKind::ALL.len()],
            not_opened: [0; NotOpened::CHECKS.len()],
            in_full_swing: 0,
        }
    }

    /// Another policy takes over: what says something else than before begins again.
    pub(super) fn go_on(&mut self, policy: &Policy, changed: &Changed) {
        let nat = &policy.nat;
        let rules = policy.rules.rows().by_number().len();
        let lists = [
            (&mut self.rules, rules, &changed.rules),
            (
                &mut self.sources,
                nat.source.by_number().len(),
                &changed.sources,
            ),
            (
                &mut self.forwards,
                nat.forwards.by_number().len(),
                &changed.forwards,
            ),
            (
                &mut self.statics,
                nat.statics.by_number().len(),
                &changed.statics,
            ),
        ];
        for (counts, length, changed) in lists {
            counts.resize(length, 0);
            for number in changed {
                if let Some(count) = counts.get_mut(usize::from(*number)) {
                    *count = 0;
                }
            }
        }
    }

    /// Adds what another engine has counted by the same policy.
    pub fn add(&mut self, other: &Self) {
        for (row, more) in self.reasons.iter_mut().zip(&other.reasons) {
            add_all(row, more);
        }
        let lists = [
            (&mut self.rules, &other.rules),
            (&mut self.sources, &other.sources),
            (&mut self.forwards, &other.forwards),
            (&mut self.statics, &other.statics),
        ];
        for (list, more) in lists {
            // One that a longer policy guards already is ahead.
            list.resize(list.len().max(more.len()), 0);
            add_all(list, more);
        }
        add_all(&mut self.evicted, &other.evicted);
        add_all(&mut self.withheld, &other.withheld);
        add_all(&mut self.not_opened, &other.not_opened);
        self.default_policy += other.default_policy;
        self.in_full_swing += other.in_full_swing;
    }

    /// Counts one packet. Rules count what they decided: new connections and
    /// refused packets, not the packets of sessions that they let in.
    #[inline]
    pub(super) fn count(&mut self, judgement: &Judgement) {
        let row = self.reasons.get_mut(judgement.reason as usize);
        if let Some(cell) = row.and_then(|row| row.get_mut(judgement.verdict.index())) {
            *cell += 1;
        }
        match (judgement.reason, judgement.rule) {
            (
                Reason::Rule
                | Reason::UnsolicitedSyn
                | Reason::GatewayEcho
                | Reason::GatewayService,
                Some(rule),
            ) => {
                if let Some(hits) = self.rules.get_mut(usize::from(rule.0)) {
                    *hits += 1;
                }
            }
            (Reason::DefaultPolicy, _) | (Reason::UnsolicitedSyn, None) => self.default_policy += 1,
            _ => {}
        }
    }

    /// Counts a packet that went the short way of sessions in full swing.
    #[inline]
    pub(super) fn count_in_full_swing(&mut self) {
        self.in_full_swing += 1;
    }

    /// Counts the pieces of a datagram that was given up. Each was counted as
    /// held before.
    pub(super) fn count_unfinished(&mut self, unfinished: &Unfinished) {
        let row = self.reasons.get_mut(unfinished.reason as usize);
        if let Some(cell) = row.and_then(|row| row.get_mut(Verdict::Drop.index())) {
            *cell += unfinished.pieces as u64;
        }
    }

    /// Counts a session that these rows were asked about.
    #[inline]
    pub(super) fn count_translated(&mut self, rows: NatRows) {
        for row in rows.iter() {
            let (list, place) = match row {
                NatRow::Source(place) => (&mut self.sources, place),
                NatRow::Forward(place) => (&mut self.forwards, place),
                NatRow::Static(place) => (&mut self.statics, place),
            };
            if let Some(hits) = list.get_mut(usize::from(place)) {
                *hits += 1;
            }
        }
    }

    /// Counts a session that made room for another.
    pub(super) fn count_evicted(&mut self, standing: Standing) {
        if let Some(count) = self.evicted.get_mut(standing as usize) {
            *count += 1;
        }
    }

    /// Counts an answer that was one too many.
    pub(super) fn count_withheld(&mut self, kind: AnswerKind) {
        if let Some(count) = self.withheld.get_mut(kind as usize) {
            *count += 1;
        }
    }

    /// Counts an announcement that opened nothing.
    pub(super) fn count_not_opened(&mut self, why: NotOpened) {
        if let Some(count) = self.not_opened.get_mut(why.index()) {
            *count += 1;
        }
    }

    /// How many announcements in control dialogues each check has refused.
    pub fn not_opened(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let all = NotOpened::CHECKS.into_iter().zip(self.not_opened);
        all.filter(|(_, count)| *count > 0)
    }

    /// How many sessions of each standing made room for others.
    pub fn evicted(&self) -> impl Iterator<Item = (Standing, u64)> {
        let all = Standing::ALL.into_iter().zip(self.evicted);
        all.filter(|(_, count)| *count > 0)
    }

    /// How many answers of each kind were withheld, since there were too many.
    pub fn withheld(&self) -> impl Iterator<Item = (AnswerKind, u64)> {
        let all = AnswerKind::ALL.into_iter().zip(self.withheld);
        all.filter(|(_, count)| *count > 0)
    }

    /// How many packets went the short way of sessions in full swing: a part of those
    /// that passed as their session's, which says how fast the engine was, and nothing
    /// else.
    #[must_use]
    pub fn in_full_swing(&self) -> u64 {
        self.in_full_swing
    }

    /// How many packets had this verdict for this reason.
    pub fn verdicts(&self) -> impl Iterator<Item = (&'static str, Reason, u64)> {
        Reason::ALL
            .iter()
            .zip(&self.reasons)
            .flat_map(|(reason, row)| {
                let cells = Verdict::NAMES.iter().zip(row).map(|(verdict, count)| {
                    let forwarded = Verdict::NAMES.first() == Some(verdict);
                    let besides = match *reason == Reason::Session && forwarded {
                        true => self.in_full_swing,
                        false => 0,
                    };
                    (*verdict, *reason, *count + besides)
                });
                cells.filter(|(_, _, count)| *count > 0)
            })
    }

    /// How many packets this rule decided about.
    #[must_use]
    pub fn hits(&self, rule: RuleId) -> u64 {
        self.rules.get(usize::from(rule.0)).copied().unwrap_or(0)
    }

    /// How many sessions have begun that this row translates, or exempts; those
    /// that an ALG announced are translated as their control session, and not
    /// counted.
    #[must_use]
    pub fn translated(&self, row: NatRow) -> u64 {
        let (list, place) = match row {
            NatRow::Source(place) => (&self.sources, place),
            NatRow::Forward(place) => (&self.forwards, place),
            NatRow::Static(place) => (&self.statics, place),
        };
        list.get(usize::from(place)).copied().unwrap_or(0)
    }

    /// How many packets the default policy decided about.
    #[must_use]
    pub fn default_hits(&self) -> u64 {
        self.default_policy
    }
}

fn add_all(counts: &mut [u64], more: &[u64]) {
    for (count, more) in counts.iter_mut().zip(more) {
        *count += more;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::ZoneId;

    /// What has counted so many forwarded packets of sessions.
    fn counted(packets: u64) -> Counters {
        let mut all = Counters {
            reasons: vec![[0; Verdict::NAMES.len()]; Reason::ALL.len()],
            rules: vec![packets],
            default_policy: packets,
            sources: Vec::new(),
            forwards: Vec::new(),
            statics: Vec::new(),
            evicted: [packets; Standing::ALL.len()],
            withheld: [0; AnswerKind::ALL.len()],
            not_opened: [0; NotOpened::CHECKS.len()],
            in_full_swing: packets,
        };
        for _ in 0..packets {
            all.count(&Judgement {
                verdict: Verdict::Forward(ZoneId(0)),
                reason: Reason::Session,
                ..Judgement::PENDING
            });
        }
        all
    }

    #[test]
    fn what_two_engines_counted_is_the_sum() {
        let mut sum = counted(3);
        let mut ahead = counted(4);
        ahead.rules.push(7);
        sum.add(&ahead);
        assert_eq!(
            sum.verdicts().collect::<Vec<_>>(),
            [("forward", Reason::Session, 14)]
        );
        assert_eq!([sum.hits(RuleId(0)), sum.hits(RuleId(1))], [7, 7]);
        assert_eq!((sum.default_hits(), sum.in_full_swing()), (7, 7));
        assert!(sum.evicted().all(|(_, count)| count == 7));
    }
}
