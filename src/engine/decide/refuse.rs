//! What is refused before anybody looks at sessions.

use std::net::{IpAddr, Ipv4Addr};

use super::super::{CtState, Judgement, Passage, Policy, Reason, Verdict};
use super::plan::{Answer, Decision};
use super::{Case, answered, dropped};
use crate::net::Profile;
use crate::packet::{self, Complaint, Headers, RouteOption};

/// The first octet of the reserved addresses, 240.0.0.0/4.
const CLASS_E: u8 = 240;

/// What is refused before anybody looks at sessions.
pub(super) fn refused_unseen(policy: &Policy, frame: &[u8], headers: &Headers) -> Option<Reason> {
    if !may_be_forwarded(policy.profile, headers.source, headers.destination) {
        return Some(Reason::BadAddress);
    }
    let route = packet::route_option(frame, headers)?;
    let (passage, reason) = match route {
        RouteOption::Source => (policy.route_options.source, Reason::SourceRoute),
        RouteOption::Record => (policy.route_options.record, Reason::RecordRoute),
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
/// Linux passes on the reserved ones of class E too.
#[inline]
pub(super) fn may_be_forwarded(profile: Profile, source: IpAddr, destination: IpAddr) -> bool {
    is_a_hosts(profile, source) && is_a_hosts(profile, destination)
}

/// Whether an address can be one host's, anywhere but on this link.
#[inline]
pub(in crate::engine) fn is_a_hosts(profile: Profile, address: IpAddr) -> bool {
    let first = |a: Ipv4Addr| a.octets()[0];
    match address {
        IpAddr::V4(a) => {
            !a.is_multicast()
                && !a.is_broadcast()
                && !a.is_loopback()
                && !a.is_link_local()
                && first(a) != 0
                && (profile == Profile::Linux || first(a) < CLASS_E)
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
    }
}
