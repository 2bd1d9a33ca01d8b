//! What other addresses and ports do to the checksums of a packet of IPv4: worked out once
//! for a session, and brought in with each of its packets (RFC 1624 equation 3).

use super::addresses::{Addresses, Leaving};
use super::checksum::{added, folded};

/// Two changes of sums in one's complement, where nought and all ones are one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Changes(pub(crate) u32);

impl Changes {
    /// What it does that packets with these addresses and ports leave with those; of IPv6
    /// nothing is known.
    pub(crate) fn between(old: &Leaving, new: &Leaving) -> Self {
        match (old.addresses, new.addresses) {
            (Addresses::V4(from), Addresses::V4(to)) => {
                let addresses = added(!from, to);
                let ports = u64::from(!old.ports) + u64::from(new.ports);
                let both = [folded(addresses), folded(added(addresses, ports))];
                let [ip, transport] = both.map(u32::from);
                Self(ip | transport << 16)
            }
            _ => Self::default(),
        }
    }

    /// What the way back does.
    #[inline]
    pub(crate) fn reversed(self) -> Self {
        Self(!self.0)
    }

    /// What is done to the sum over an IPv4 header.
    #[inline]
    pub(super) fn of_header(self) -> u16 {
        // The lower half.
        self.0 as u16
    }

    /// What is done to a transport's sum.
    #[inline]
    pub(super) fn of_transport(self) -> u16 {
        // The upper half.
        (self.0 >> 16) as u16
    }
}
