//! The gateway's clock: the only place of this program that asks the host for
//! the time.
//!
//! Owns the wall-clock moment of the start and the monotonic clock since then.
//! Refuses to follow the wall clock afterwards: somebody who sets it must not
//! end every session, nor keep one alive for ever.
#![allow(
    clippy::disallowed_methods,
    reason = "the clock of the live gateway; everything else is given its moments"
)]

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::net::Timestamp;

/// Tells the time: wall clock at the start plus what has passed since. Never
/// jumps, never runs backwards.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    at_start: Timestamp,
    started: Instant,
}

impl Clock {
    /// A clock that starts now.
    #[must_use]
    pub fn start() -> Self {
        // A host that believes to be before 1970 starts at the epoch.
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            at_start: Timestamp::EPOCH.after(since_epoch),
            started: Instant::now(),
        }
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.at_start.after(self.started.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_starts_at_the_wall_clock_and_never_runs_backwards() {
        let clock = Clock::start();
        assert!(clock.now() > Timestamp::from_secs(1_700_000_000));
        let mut before = clock.now();
        for _ in 0..1000 {
            let now = clock.now();
            assert!(now >= before);
            before = now;
        }
    }
}
