//! Maximum segment sizes by rule.
//!
//! What a rule says of a connection holds for the SYNs of both its ends, and the
//! kernel asks the rules about the first one only: a mark on the session carries
//! the word to a chain that sees all packets.

use super::conditions::{Alternative, all_of, of_family};
use super::nftables::Writer;
use super::zones::Side;
use crate::net::{Family, Protocol};
use crate::rules::{Mss, Rule};

/// The bits of a session's mark that hold the number of a rule with a segment
/// size; those below are translation's.
const MASK: u32 = 0xfff0_0000;
const SHIFT: u32 = MASK.trailing_zeros();

impl Writer<'_> {
    /// Whether marks hold more than what translation puts there.
    fn marks_rules(&self) -> bool {
        self.policy.rules.iter().any(|(_, rule)| rule.mss.is_some())
    }

    /// The rules with a segment size, each with its mark.
    fn segment_rules(&self) -> impl Iterator<Item = (u32, &Rule, Mss)> {
        let rules = self.policy.rules.iter().map(|(_, rule)| rule);
        let with_size = rules.filter_map(|rule| Some((rule, rule.mss?)));
        (1..=MASK >> SHIFT)
            .zip(with_size)
            .map(|(n, (rule, mss))| (n << SHIFT, rule, mss))
    }

    /// Marks a connection that a rule with a segment size lets in.
    pub(super) fn mark_segments(&mut self, rule: &Rule, ends: &[Vec<Alternative>]) {
        let own = self
            .segment_rules()
            .find(|(_, other, _)| std::ptr::eq(*other, rule));
        match (own, rule.mss) {
            (Some((mark, ..)), _) => {
                let conditions = ends.iter().cloned();
                let conditions = all_of(conditions.chain(self.row_traffic(&rule.selector)));
                let of_tcp = |protocol| {
                    let own = conditions
                        .iter()
                        .filter(move |one| one.protocol == protocol);
                    own.cloned().collect::<Vec<_>>()
                };
                let tcp = vec![Alternative::any("meta l4proto tcp".to_owned())];
                let of_any = all_of([of_tcp(None), tcp]);
                let conditions = [of_tcp(Some(Protocol::TCP)), of_any].concat();
                let verdict = format!("ct mark set ct mark & {:#x} | {mark:#x}", !MASK);
                self.rules(&rule.name, &conditions, &verdict);
            }
            (None, Some(_)) => self.missing.push(format!(
                "rule {}: `mss`; there are too many rules that have one",
                rule.name
            )),
            (None, None) => {}
        }
    }

    /// A condition that sessions meet that translation has marked so.
    pub(super) fn has_mark(&self, mark: usize) -> String {
        match self.marks_rules() {
            true => format!("ct mark & {:#x} == {mark:#x}", !MASK),
            false => format!("ct mark {mark:#x}"),
        }
    }

    /// Lowers what both ends of a marked connection announce.
    pub(super) fn segment_chain(&mut self) {
        if !self.marks_rules() {
            return;
        }
        self.begin(
            "segments",
            "type filter hook forward priority filter + 10; policy accept;",
        );
        let lines: Vec<_> = self
            .segment_rules()
            .flat_map(|(mark, rule, mss)| {
                let condition = format!("tcp flags & syn == syn ct mark & {MASK:#x} == {mark:#x}");
                let of_rule = vec![Alternative::any(condition)];
                let sizes = match mss {
                    Mss::Octets(octets) => vec![(of_rule, octets.get())],
                    Mss::Mtu => self.sizes_of_links(&of_rule),
                };
                let name = rule.name.clone();
                sizes
                    .into_iter()
                    .map(move |(conditions, octets)| (name.clone(), conditions, octets))
            })
            .collect();
        for (name, conditions, octets) in lines {
            let verdict = format!("tcp option maxseg size set {octets}");
            self.rules(&name, &conditions, &verdict);
        }
        self.end();
    }

    /// What fits the narrower link of every pair of zones.
    fn sizes_of_links(&self, of_rule: &[Alternative]) -> Vec<(Vec<Alternative>, u16)> {
        let zones: Vec<_> = self.policy.zones.iter().collect();
        let mut sizes = Vec::new();
        for (from, came) in &zones {
            for (to, leaves) in &zones {
                let Some(mtu) = came.mtu.into_iter().chain(leaves.mtu).min() else {
                    continue;
                };
                let conditions = all_of([
                    self.zones.alternatives(&[*from], Side::Arrival),
                    self.zones.alternatives(&[*to], Side::Departure),
                    of_rule.to_vec(),
                ]);
                for (family, word, headers) in [
                    (Family::V4, "meta nfproto ipv4", 40),
                    (Family::V6, "meta nfproto ipv6", 60),
                ] {
                    let conditions = of_family(&conditions, family, word);
                    sizes.push((conditions, mtu.saturating_sub(headers)));
                }
            }
        }
        sizes.retain(|(conditions, _)| !conditions.is_empty());
        sizes
    }
}
