//! How strictly TCP is tracked: what Linux's settings say, and one thing more.

use crate::net::Profile;

/// How strictly TCP is tracked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TcpChecks {
    /// Whether a session may begin in the middle.
    pub pick_up: PickUp,
    /// What a segment outside of its window is.
    pub windows: Windows,
    /// What a reset with a wrong number is.
    pub resets: Resets,
}

/// Whether a session may begin with a segment from the middle of a connection
/// (conntrack: `nf_conntrack_tcp_loose`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PickUp {
    /// Only a SYN begins a session.
    #[default]
    Never,
    /// An ACK does too, if the rules allow it. Whoever can guess a tuple that
    /// they allow needs no handshake then.
    Loose,
}

/// What a segment outside of its window is (`nf_conntrack_tcp_be_liberal`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Windows {
    /// Invalid.
    #[default]
    Strict,
    /// Part of its session all the same.
    Liberal,
}

/// What a reset behind what was acknowledged is
/// (`nf_conntrack_tcp_ignore_invalid_rst`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Resets {
    /// Invalid.
    #[default]
    Checked,
    /// Passed on, without ending the session.
    Lenient,
    /// Invalid; and in every state a reset counts only if its receiver would
    /// take it, and its session stays for a while. Not as Linux does it.
    Exact,
}

impl TcpChecks {
    /// Those that hold where a rule file of this profile says nothing.
    #[must_use]
    pub fn of(profile: Profile) -> Self {
        let resets = match profile {
            Profile::Linux => Resets::Checked,
            Profile::Rfc | Profile::Carrier => Resets::Exact,
        };
        Self {
            resets,
            ..Self::default()
        }
    }
}
