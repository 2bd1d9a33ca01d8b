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
    #[inline]
    pub(crate) fn between(old: &Leaving, new: &Leaving) -> Self {
        match (&old.addresses, &new.addresses) {
            (Addresses::V4(from), Addresses::V4(to)) => {
                Self::of((*from, old.ports), (*to, new.ports))
            }
            _ => Self::default(),
        }
    }

    /// The same of addresses of IPv4 and of ports.
    #[inline]
    pub(crate) fn of((from, old): (u64, u32), (to, new): (u64, u32)) -> Self {
        let addresses = added(!from, to);
        let ports = u64::from(!old) + u64::from(new);
        let [ip, transport] = [addresses, added(addresses, ports)].map(folded);
        Self(u32::from(ip) | u32::from(transport) << 16)
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
