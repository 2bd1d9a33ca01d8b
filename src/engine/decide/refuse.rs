//! What is refused before anybody looks at sessions.

use std::net::IpAddr;

use super::super::{CtState, Reason};
use crate::packet::{Headers, Transport};

/// What is refused before anybody looks at sessions.
pub(super) fn refused_unseen(headers: &Headers, frame: &[u8]) -> Option<(CtState, Reason)> {
    if !may_be_forwarded(headers.source, headers.destination) {
        return Some((CtState::Untracked, Reason::BadAddress));
    }
    if headers.tcp().is_some_and(|tcp| !tcp.flags.are_valid()) {
        return Some((CtState::Invalid, Reason::TcpBadFlags));
    }
    let is_sctp = matches!(headers.transport, Transport::Sctp(_));
    if is_sctp && !headers.sctp_chunks(frame).are_valid() {
        return Some((CtState::Invalid, Reason::SctpBadChunks));
    }
    None
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
        IpAddr::V6(a) => {
            !a.is_multicast()
                && !a.is_loopback()
                && !a.is_unspecified()
                && !a.is_unicast_link_local()
        }
    };
    unicast(source) && unicast(destination)
}
