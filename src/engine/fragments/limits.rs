//! How much is kept of what is not whole, and for how long.

use std::net::IpAddr;
use std::time::Duration;

use crate::net::Profile;

/// How much is kept of datagrams that are not whole yet. The defaults are
/// Linux's where it has such limits (`ipfrag_high_thresh`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FragmentLimits {
    /// Octets that all pieces may take, with what keeping them costs. The
    /// longest datagram needs some 80 000 at the worst.
    pub octets: usize,
    /// Octets that the pieces of one source in one zone may take.
    pub octets_of_source: usize,
    /// Incomplete datagrams at one time.
    pub datagrams: usize,
    /// Incomplete datagrams of one source in one zone.
    pub datagrams_of_source: usize,
    /// How long they are kept.
    pub patience: Patience,
}

impl Default for FragmentLimits {
    fn default() -> Self {
        Self {
            octets: 4 << 20,
            octets_of_source: 1 << 20,
            datagrams: 4096,
            datagrams_of_source: 256,
            patience: Patience::of(Profile::default()),
        }
    }
}

/// How long an incomplete datagram is kept, from its first piece on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// One in IPv4 (`ipfrag_time`).
    pub v4: Duration,
    /// One in IPv6 (`nf_conntrack_frag6_timeout`).
    pub v6: Duration,
}

impl Patience {
    /// That of a profile: Linux gives IPv4 half a minute; RFC 1122 section
    /// 3.3.2 wants one at least. In IPv6 both say a minute (RFC 8200 section 4.5).
    #[must_use]
    pub fn of(profile: Profile) -> Self {
        let minute = Duration::from_secs(60);
        Self {
            v4: match profile {
                Profile::Linux => minute / 2,
                Profile::Rfc | Profile::Carrier => minute,
            },
            v6: minute,
        }
    }

    /// With what comes from this address.
    pub(super) fn with(self, source: IpAddr) -> Duration {
        match source {
            IpAddr::V4(_) => self.v4,
            IpAddr::V6(_) => self.v6,
        }
    }
}
