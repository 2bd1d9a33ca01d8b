//! On what of the far end a translation depends.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::Endpoint;

/// On what of the far end a mapping or a filter depends (RFC 4787 sections 4.1
/// and 5, in its words).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
pub enum Dependence {
    /// On nothing: one for all.
    EndpointIndependent,
    /// On its address.
    AddressDependent,
    /// On its address and port, as Linux conntrack has it.
    #[default]
    AddressAndPortDependent,
}

/// What counts of a far end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Far {
    /// Nothing: it may be anyone.
    Anyone,
    /// Its address.
    Address(IpAddr),
    /// Its address and port.
    Endpoint(Endpoint),
}

impl Dependence {
    /// All, with the words of a rule file.
    pub const ALL: [(&str, Self); 3] = [
        ("endpoint-independent", Self::EndpointIndependent),
        ("address-dependent", Self::AddressDependent),
        ("address-and-port-dependent", Self::AddressAndPortDependent),
    ];

    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        let found = Self::ALL.iter().find(|(_, own)| *own == self);
        found.map_or("", |(name, _)| name)
    }

    /// What counts of this far end.
    #[must_use]
    pub fn far(self, end: Endpoint) -> Far {
        match self {
            Self::EndpointIndependent => Far::Anyone,
            Self::AddressDependent => Far::Address(end.address),
            Self::AddressAndPortDependent => Far::Endpoint(end),
        }
    }
}
