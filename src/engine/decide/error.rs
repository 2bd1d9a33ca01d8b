//! An ICMP error.

use super::super::observer::{Observer, Step};
use super::super::{CtState, Engine, Judgement, Reason, Verdict};
use super::plan::{Decision, ErrorPass, Plan};
use super::{Case, dropped, elsewhere, invalid, ttl_expired};
use crate::packet;
use crate::rules::RuleId;

impl Engine {
    /// An ICMP error: it belongs to the session of the packet that it quotes,
    /// as that packet left here, and goes to that packet's sender.
    pub(super) fn decide_error(&self, case: &Case<'_>, why: &mut impl Observer) -> Decision {
        let found = packet::quoted(case.frame, case.headers)
            .ok()
            // It comes from the packet's way, so it must be for the packet's sender.
            .filter(|quoted| quoted.tuple.source.address == case.headers.destination);
        let answers = found.as_ref().map(|quoted| quoted.tuple.reversed());
        let found = found.and_then(|quoted| {
            let (handle, session, direction) = self.sessions.lookup(&answers?)?;
            Some((quoted, handle, session, direction))
        });
        let Some((quoted, handle, session, direction)) = found else {
            if let Some(worker) = answers.and_then(|answers| self.worker_quoted(&answers)) {
                return elsewhere(worker);
            }
            return self.decide_invalid(case, invalid(Reason::IcmpUnrelated), why);
        };
        if let Some(late) = self.late_session(handle) {
            return late;
        }
        why.step(Step::AboutSession(session.id, direction));
        let origin = &session.origin;
        let judgement = |verdict, reason| Judgement {
            verdict,
            ct: CtState::Related,
            reason,
            rule: origin.rule.map(RuleId),
            session: Some(session.id),
            state: Some(session.state()),
            check: None,
        };
        if case.headers.ttl <= 1 {
            return ttl_expired(case, judgement(Verdict::Reject, Reason::TtlExpired));
        }
        let (arrives, leaves) = (&origin.tuples[direction], origin.outgoing(direction));
        // A redirect names a router beside the sender of the quoted packet; on
        // the other side of a translation that is no neighbour, and its address
        // cannot be translated (the kernel drops it there too).
        if case.headers.is_redirect() && *arrives != leaves {
            return self.decide_invalid(case, invalid(Reason::IcmpUnrelated), why);
        }
        // Where the answers' source is translated, so is a router's on the way
        // (nf_nat_icmp_reply_translation): it stands behind the same address.
        let source = if arrives.source.address == leaves.source.address {
            case.headers.source
        } else {
            leaves.source.address
        };
        // The route names inside addresses, which nothing translates (RFC 5508
        // section 7.3).
        if source != case.headers.source
            && packet::quotes_source_route(case.frame, case.headers, &quoted)
        {
            return dropped(CtState::Related, Reason::SourceRoute);
        }
        let pass = ErrorPass {
            source,
            destination: leaves.destination.address,
            quoted,
            inner: origin.tuples[!direction],
        };
        let passes = judgement(Verdict::Forward(origin.egress[direction]), Reason::Related);
        Decision::new(passes, Plan::Error(*case.headers, pass))
    }
}
