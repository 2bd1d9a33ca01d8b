//! The least that RFCs allow sessions to live, for files that promise to keep
//! them (`profile = "rfc"`).

use std::ops::Range;
use std::time::Duration;

use super::code::Code;
use super::diagnostic::{Diagnostic, Problems};
use crate::net::{Profile, Protocol, Traffic};

/// The least of a timeout: in seconds, as one writes it, and who says so.
type Floor = (u64, &'static str, &'static str);

const ESTABLISHED: Floor = (2 * 3600 + 4 * 60, "2h4m", "RFC 5382 REQ-5");
const CLOSING: Floor = (240, "4m", "RFC 5382 REQ-5");
const UDP: Floor = (120, "2m", "RFC 4787 REQ-5");
const ICMP: Floor = (60, "60s", "RFC 5508 REQ-2");
const PIECES_V4: Floor = (60, "60s", "RFC 1122 section 3.3.2");
const PIECES_V6: Floor = (60, "60s", "RFC 8200 section 4.5");

/// The least of the timeout of this name. Opening has none: an administrator may
/// set it lower (RFC 7857 section 2.1); nor has what follows a reset.
fn floor(key: &str) -> Option<Floor> {
    Some(match key {
        "tcp-established" | "tcp-unacknowledged" | "tcp-max-retrans" => ESTABLISHED,
        "tcp-fin-wait" | "tcp-close-wait" | "tcp-last-ack" | "tcp-time-wait" => CLOSING,
        "udp" | "udp-stream" => UDP,
        "icmp" | "icmpv6" => ICMP,
        "fragments-v4" => PIECES_V4,
        "fragments-v6" => PIECES_V6,
        _ => return None,
    })
}

/// Reports a timeout that is less than it may be.
pub(super) fn check(
    profile: Profile,
    key: &str,
    duration: Duration,
    span: Range<usize>,
    problems: &mut Problems,
) {
    if let Some(floor) = floor(key) {
        hold(profile, floor, key, duration, span, problems);
    }
}

/// Reports a service's `idle` that is less than it may be. UDP to a well-known
/// port may have less (RFC 4787 REQ-5a).
pub(super) fn check_idle(
    profile: Profile,
    traffic: &[Traffic],
    duration: Duration,
    span: Range<usize>,
    problems: &mut Problems,
) {
    let floors = traffic.iter().filter_map(|traffic| match traffic {
        Traffic::Ports(Protocol::TCP, _) | Traffic::Protocol(Protocol::TCP) => Some(ESTABLISHED),
        Traffic::Ports(Protocol::UDP, ports) if ports.end().0 < 1024 => None,
        Traffic::Ports(Protocol::UDP, _) | Traffic::Protocol(Protocol::UDP) => Some(UDP),
        _ => None,
    });
    if let Some(floor) = floors.max_by_key(|(seconds, ..)| *seconds) {
        hold(profile, floor, "idle", duration, span, problems);
    }
}

fn hold(
    profile: Profile,
    (seconds, least, source): Floor,
    key: &str,
    duration: Duration,
    span: Range<usize>,
    problems: &mut Problems,
) {
    if profile.is_by_rfc() && duration < Duration::from_secs(seconds) {
        problems.push(
            Diagnostic::new(
                Code::BelowFloor,
                span,
                format!("`{key}` is less than {source} allows"),
            )
            .label(format!("at least `{least}`"))
            .help("the file says `profile = \"rfc\"`; without it, any time is allowed"),
        );
    }
}
