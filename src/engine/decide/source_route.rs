//! Source routes in ICMP that a translation would send outside.

use super::plan::{Decision, Plan};
use super::{Case, dropped};
use crate::engine::{Reason, Verdict};
use crate::net::Protocol;
use crate::packet;

/// The decision, unless that would send an ICMP message whose source address
/// is translated with a source route in its own header or in the one that it
/// quotes: the route names inside addresses, which nothing translates (RFC 5508
/// section 7.3).
pub(super) fn without_source_route(case: &Case<'_>, decision: Decision) -> Decision {
    if case.headers.protocol != Protocol::ICMP
        || !matches!(decision.judgement.verdict, Verdict::Forward(_))
    {
        return decision;
    }
    let leaves_from = match &decision.plan {
        Plan::Pass(_, pass) => pass.leaves.source.address,
        Plan::Open(_, opening) => opening.origin.tuples.reply.destination.address,
        Plan::Error(_, pass) => pass.source,
        _ => return decision,
    };
    if leaves_from == case.headers.source || !packet::has_source_route(case.frame, case.headers) {
        return decision;
    }
    dropped(decision.judgement.ct, Reason::SourceRoute)
}
