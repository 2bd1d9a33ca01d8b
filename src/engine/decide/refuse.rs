//! What is refused before anybody looks at sessions.

use std::net::IpAddr;

use super::super::{CtState, Judgement, Passage, Reason, RouteOptions, Verdict};
use super::plan::{Answer, Decision};
use super::{Case, answered, dropped};
use crate::packet::{self, Complaint, Headers, RouteOption};

/// What is refused before anybody looks at sessions.
pub(super) fn refused_unseen(
    frame: &[u8],
    headers: &Headers,
    options: RouteOptions,
) -> Option<Reason> {
    if !may_be_forwarded(headers.source, headers.destination) {
        return Some(Reason::BadAddress);
    }
    let route = packet::route_option(frame, headers)?;
    let (passage, reason) = match route {
        RouteOption::Source => (options.source, Reason::SourceRoute),
        RouteOption::Record => (options.record, Reason::RecordRoute),
        // RFC 5095: not to be followed, whatever anybody says.
        RouteOption::RoutingHeader => (Passage::Drop, Reason::SourceRoute),
    };
    (passage == Passage::Drop).then_some(reason)
}

/// What is refused for options that cannot be read; its sender is told (RFC
/// 1812 section 4.3.3.5).
pub(super) fn refused_for_options(case: &Case<'_>) -> Option<Decision> {
    let place = packet::broken_option(case.frame, case.headers)?;
    let refused = Judgement {
        verdict: Verdict::Reject,
        ..dropped(CtState::Untracked, Reason::BadOption).judgement
    };
    let answer = Answer::Error(Complaint::Parameter(place));
    Some(answered(case, refused, answer))
}

/// Addresses that a router passes on (RFC 1812 section 5.3.7, RFC 4291
/// section 2.5): one sender, one receiver, neither on this link or host alone.
fn may_be_forwarded(source: IpAddr, destination: IpAddr) -> bool {
    let unicast = |address: IpAddr| match address {
        IpAddr::V4(a) => {
            !a.is_multicast()
                && !a.is_broadcast()
                && !a.is_loopback()
                && !a.is_link_local()
                && a.octets().first() != Some(&0)
        }
        // RFC 6092 REC-3: site-local, v4-mapped, v4-compatible, ORCHID. Of the
        // same list, documentation addresses pass, as labs and examples use them.
        IpAddr::V6(a) => {
            let [first, second, ..] = a.segments();
            !a.is_multicast()
                && !a.is_unicast_link_local()
                && first & 0xffc0 != 0xfec0
                && (first, second & 0xfff0) != (0x2001, 0x0010)
                // Loopback and the unspecified address are among these.
                && !matches!(a.segments(), [0, 0, 0, 0, 0, 0 | 0xffff, _, _])
        }
    };
    unicast(source) && unicast(destination)
}
