//! How much time has passed since a file was written, whatever anybody did to the clock.
#![allow(
    clippy::disallowed_methods,
    reason = "a clock of the live gateway; everything else is given its moments"
)]

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use crate::state::Written;

/// Which run of the kernel this is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Boot {
    id: Option<[u8; 16]>,
}

impl Boot {
    /// Asks the kernel. To be done before files are given up.
    pub(super) fn find() -> Self {
        let text = fs::read_to_string("/proc/sys/kernel/random/boot_id");
        let digits = text.map(|text| text.trim().replace('-', ""));
        let id = digits
            .ok()
            .and_then(|digits| hex::decode_to_array(digits).ok());
        Self { id }
    }

    /// The present moment, by clocks that go on while a gateway is not there.
    pub(super) fn now(&self) -> Written {
        let since_boot = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(since_boot.tv_sec).unwrap_or(0);
        let nanos = u64::try_from(since_boot.tv_nsec).unwrap_or(0);
        let wall = SystemTime::now().duration_since(UNIX_EPOCH);
        let wall = wall.unwrap_or_default().as_nanos();
        Written {
            boot: self.id,
            since_boot: seconds.saturating_mul(1_000_000_000).saturating_add(nanos),
            wall: u64::try_from(wall).unwrap_or(u64::MAX),
        }
    }

    /// How much time has passed since then. After another start of the kernel only the clock
    /// on the wall says so; one that was set back says that none has.
    pub(super) fn since(&self, then: &Written) -> Duration {
        let now = self.now();
        let nanos = match self.id.is_some() && then.boot == self.id {
            true => now.since_boot.saturating_sub(then.since_boot),
            false => now.wall.saturating_sub(then.wall),
        };
        Duration::from_nanos(nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_counts_only_where_no_other_does() {
        let boot = Boot::find();
        assert!(boot.id.is_some());
        let now = boot.now();
        let hour = 3_600_000_000_000;
        let set = |boot, wall| Written { boot, wall, ..now };
        let little = Duration::from_secs(60);
        assert!(boot.since(&set(now.boot, now.wall - hour)) < little);
        assert!(boot.since(&set(now.boot, now.wall + hour)) < little);
        let earlier = boot.since(&set(Some([7; 16]), now.wall - hour));
        assert!(
            (Duration::from_nanos(hour)..Duration::from_nanos(hour) + little).contains(&earlier)
        );
        assert_eq!(boot.since(&set(None, now.wall + hour)), Duration::ZERO);
    }
}
