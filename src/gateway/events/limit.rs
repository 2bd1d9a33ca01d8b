//! How many events are told.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::engine::Reason;
use crate::net::Timestamp;

const SECOND: Duration = Duration::from_secs(1);

/// How many events a second are told at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventRate(NonZeroU32);

impl Default for EventRate {
    /// What no disk notices, and fills a gigabyte in some hours at the soonest.
    fn default() -> Self {
        Self(NonZeroU32::MIN.saturating_add(199))
    }
}

impl fmt::Display for EventRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for EventRate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rate = text.parse().map(Self);
        rate.map_err(|_| "expected a number of events a second, at least 1".to_owned())
    }
}

/// Lets as many events pass as the rate says, whoever asks: workers that ask at the same
/// moment, when a second begins, may pass one more or one less.
#[derive(Debug)]
pub(super) struct Limiter {
    rate: EventRate,
    /// When this second began, and how many have passed in it.
    second: Second,
    passed: AtomicU32,
}

impl Limiter {
    pub(super) fn new(rate: EventRate) -> Self {
        Self {
            rate,
            second: Second::default(),
            passed: AtomicU32::new(0),
        }
    }

    /// Whether one more may pass at this moment.
    pub(super) fn admits(&self, now: Timestamp) -> bool {
        if self.second.begins(now) {
            self.passed.store(1, Ordering::Relaxed);
            return true;
        }
        let one_more = |passed: u32| (passed < self.rate.0.get()).then(|| passed + 1);
        self.passed
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .is_ok()
    }
}

/// Picks the first packet of each reason in a second.
#[derive(Debug)]
pub(super) struct Samples(Box<[Second]>);

impl Samples {
    pub(super) fn new() -> Self {
        Self(Reason::ALL.iter().map(|_| Second::default()).collect())
    }

    /// Whether this packet is one of those.
    pub(super) fn picks(&self, reason: Reason, now: Timestamp) -> bool {
        let second = self.0.get(reason as usize);
        second.is_some_and(|second| second.begins(now))
    }
}

/// A second, which goes on until somebody comes after its end.
#[derive(Debug)]
struct Second {
    /// Nanoseconds since 1970; `NONE`: there was none yet.
    began: AtomicU64,
}

impl Default for Second {
    fn default() -> Self {
        Self {
            began: AtomicU64::new(Self::NONE),
        }
    }
}

impl Second {
    const NONE: u64 = u64::MAX;

    /// Whether another begins with this moment.
    fn begins(&self, now: Timestamp) -> bool {
        let began = self.began.load(Ordering::Relaxed);
        if began != Self::NONE && now.since(Timestamp::from_nanos(began)) < SECOND {
            return false;
        }
        // Of those who come at the same moment one begins it.
        self.began
            .compare_exchange(began, now.as_nanos(), Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_micros(1_000_000_000_000 + 1000 * millis)
    }

    #[test]
    fn no_second_has_more_than_its_rate() {
        let limiter = Limiter::new("3".parse().unwrap());
        let passed: Vec<u64> = [0, 1, 2, 3, 999, 1000, 1001, 1002, 1003, 1999, 9000]
            .into_iter()
            .filter(|millis| limiter.admits(at(*millis)))
            .collect();
        assert_eq!(passed, [0, 1, 2, 1000, 1001, 1002, 9000]);
        for bad in ["0", "-1", "many", ""] {
            assert!(bad.parse::<EventRate>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_flood_of_drops_is_told_once_a_second_and_reason() {
        let samples = Samples::new();
        let mut picked = Vec::new();
        for millis in 0..2500 {
            for reason in [Reason::DefaultPolicy, Reason::NoSession] {
                if samples.picks(reason, at(millis)) {
                    picked.push((reason, millis));
                }
            }
        }
        let of = |millis| [Reason::DefaultPolicy, Reason::NoSession].map(|reason| (reason, millis));
        assert_eq!(picked, [of(0), of(1000), of(2000)].concat());
    }
}
