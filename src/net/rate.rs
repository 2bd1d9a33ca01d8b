//! How often something may happen, and the bucket that keeps to it.

use std::num::NonZeroU32;

use super::Timestamp;

/// How often: so many a second, and so many at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many a second, in the long run.
    pub per_second: NonZeroU32,
    /// How many at a time, after a pause.
    pub burst: NonZeroU32,
}

impl Rate {
    /// A rate; zero is taken as one.
    #[must_use]
    pub fn new(per_second: u32, burst: u32) -> Self {
        let at_least_one = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        Self {
            per_second: at_least_one(per_second),
            burst: at_least_one(burst),
        }
    }

    /// Nanoseconds that one takes.
    fn interval(self) -> u64 {
        1_000_000_000 / u64::from(self.per_second.get())
    }
}

/// A token bucket, as the moment at which it will be full again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bucket {
    full_at: Timestamp,
}

impl Bucket {
    /// Whether there is a token in it.
    #[must_use]
    pub fn has_one(self, rate: Rate, now: Timestamp) -> bool {
        let missing = u64::from(rate.burst.get() - 1) * rate.interval();
        self.full_at.as_nanos() <= now.as_nanos().saturating_add(missing)
    }

    /// Takes one out.
    pub fn take_one(&mut self, rate: Rate, now: Timestamp) {
        let from = self.full_at.max(now).as_nanos();
        self.full_at = Timestamp::from_nanos(from.saturating_add(rate.interval()));
    }

    /// Takes so many; the moment at which there is the first of them.
    pub fn book(&mut self, rate: Rate, now: Timestamp, count: usize) -> Timestamp {
        let missing = u64::from(rate.burst.get() - 1) * rate.interval();
        let free = Timestamp::from_nanos(self.full_at.as_nanos().saturating_sub(missing));
        let taken = (count as u64).saturating_mul(rate.interval());
        let turn = free.max(now);
        let from = self.full_at.max(turn).as_nanos();
        self.full_at = Timestamp::from_nanos(from.saturating_add(taken));
        turn
    }

    /// Whether it is full: as good as one that nobody has ever used.
    #[must_use]
    pub fn is_full(self, now: Timestamp) -> bool {
        self.full_at <= now
    }
}
