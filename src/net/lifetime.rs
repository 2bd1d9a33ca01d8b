//! Which table of lifetimes a session lives by, and which of two traditions
//! fills in what the operator did not say.

use serde::{Deserialize, Serialize};

/// A table of lifetimes of the policy in force, by its place: what rules,
/// services and sessions keep in place of the table itself.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
pub struct LifetimeId(pub u16);

/// Where the RFCs and Linux disagree: whose word is the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Profile {
    /// Linux conntrack's, packet for packet.
    #[default]
    Linux,
    /// The RFCs on NATs and on TCP.
    Rfc,
    /// The same, and where they leave a choice that of RFC 6888 on gateways that
    /// many customers share.
    Carrier,
}

impl Profile {
    /// Whether the RFCs' word is the default.
    #[must_use]
    pub fn is_by_rfc(self) -> bool {
        match self {
            Self::Linux => false,
            Self::Rfc | Self::Carrier => true,
        }
    }
}
