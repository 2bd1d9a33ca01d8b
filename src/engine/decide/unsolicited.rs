//! A SYN from outside that the rules refuse (RFC 5382 REQ-4, RFC 6092 REC-34).

use super::super::observer::{Observer, Step};
use super::super::{Engine, Holding, Judgement, Reason, UnsolicitedSyn, Verdict};
use super::plan::{Decision, Overdue, Plan};
use super::{Case, late, nothing};
use crate::net::{Asking, Place, TcpFlags, Tuple};

impl Engine {
    /// Whether a connection that is refused may yet be opened from the other end,
    /// so that its sender is not to be told at once: it begins with a SYN for a
    /// public address that stands for inside hosts, or for a host that may open
    /// connections to where it comes from. Ports that are kept for the gateway
    /// are its own matter (RFC 5382 REQ-4).
    pub(super) fn is_unsolicited(
        &self,
        case: &Case<'_>,
        tuple: &Tuple,
        asking: &Asking<'_>,
    ) -> bool {
        let policy = &self.policy;
        let opens = |flags: TcpFlags| {
            flags.has(TcpFlags::SYN) && !flags.has(TcpFlags::ACK) && !flags.has(TcpFlags::RST)
        };
        let is_syn = case.headers.tcp().is_some_and(|tcp| opens(tcp.flags));
        if policy.unsolicited_syn != UnsolicitedSyn::Hold || !is_syn {
            return false;
        }
        let (from, addressed) = (case.arrival.zone, tuple.destination);
        let nat = &policy.nat;
        let is_public = nat.stands_for_hosts(addressed.address, from, &policy.zones)
            && !nat.keeps(tuple.protocol, addressed);
        let may_be_opened = |to| {
            let back = Asking {
                from: to,
                to: Place::Zone(from),
                tuple: &asking.tuple.reversed(),
            };
            to != from && policy.rules.may_allow(&back)
        };
        is_public || matches!(asking.to, Place::Zone(to) if may_be_opened(to))
    }

    /// Such a SYN is held. A row that drops means silence for ever (REQ-4a).
    pub(super) fn decide_unsolicited(
        &self,
        case: &Case<'_>,
        tuple: &Tuple,
        refused: Judgement,
        why: &mut impl Observer,
    ) -> Decision {
        if refused.rule.is_some() && refused.verdict == Verdict::Drop {
            return nothing(refused);
        }
        let dropped = Judgement {
            verdict: Verdict::Drop,
            ..refused
        };
        let held = Judgement {
            reason: Reason::UnsolicitedSyn,
            ..dropped
        };
        let holding = self.held_syns.judge(tuple);
        if holding == Holding::GoesOn && self.held_syns.is_late(tuple, case.now) {
            return late(Overdue::HeldSyn(*tuple));
        }
        let first = self.held_syns.next_deadline();
        if holding == Holding::Full && first.is_some_and(|first| first <= case.now) {
            return late(Overdue::FirstSyn);
        }
        why.step(Step::Unsolicited(holding));
        match holding {
            Holding::Begins => Decision::new(held, Plan::HoldSyn(*case.headers)),
            Holding::GoesOn => nothing(held),
            Holding::Full => nothing(dropped),
        }
    }
}
