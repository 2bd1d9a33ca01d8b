//! How long a packet may be that leaves as it is.

use crate::net::{ZoneId, Zones};

/// The longest packet that takes the short way out by each zone.
#[derive(Debug, Clone)]
pub(super) struct Mtus {
    /// By the zone's place.
    each: Box<[u16]>,
    /// The least of these: what is no longer need not be asked where it leaves.
    least: u16,
}

impl Mtus {
    pub(super) fn of(zones: &Zones) -> Self {
        let each = zones.iter().map(|(_, zone)| zone.mtu.unwrap_or(u16::MAX));
        let each: Box<[u16]> = each.collect();
        Self {
            least: each.iter().copied().min().unwrap_or(u16::MAX),
            each,
        }
    }

    /// Those under which no packet takes the short way.
    pub(super) fn none() -> Self {
        Self {
            each: Box::default(),
            least: 0,
        }
    }

    /// The longest that leaves every zone as it is.
    #[inline]
    pub(super) fn least(&self) -> u16 {
        self.least
    }

    /// That of a zone; of one that there is not, nought.
    #[inline]
    pub(super) fn of_zone(&self, zone: ZoneId) -> u16 {
        let own = self.each.get(usize::from(zone.0));
        own.copied().unwrap_or(0)
    }
}
