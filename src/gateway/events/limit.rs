//! How many events are told.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
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

/// Lets as many events pass as the rate says.
#[derive(Debug)]
pub(super) struct Limiter {
    rate: EventRate,
    /// When this second began, and how many have passed in it.
    second: Option<(Timestamp, u32)>,
}

impl Limiter {
    pub(super) fn new(rate: EventRate) -> Self {
        Self { rate, second: None }
    }

    /// Whether one more may pass at this moment.
    pub(super) fn admits(&mut self, now: Timestamp) -> bool {
        match &mut self.second {
            Some((began, passed)) if now.since(*began) < SECOND => {
                let is_one = *passed < self.rate.0.get();
                *passed += u32::from(is_one);
                is_one
            }
            second => {
                *second = Some((now, 1));
                true
            }
        }
    }
}

/// Picks the first packet of each reason in a second.
#[derive(Debug)]
pub(super) struct Samples(Box<[Option<Timestamp>]>);

impl Samples {
    pub(super) fn new() -> Self {
        Self(vec![None; Reason::ALL.len()].into())
    }

    /// Whether this packet is one of those.
    pub(super) fn picks(&mut self, reason: Reason, now: Timestamp) -> bool {
        match self.0.get_mut(reason as usize) {
            Some(Some(last)) if now.since(*last) < SECOND => false,
            Some(last) => {
                *last = Some(now);
                true
            }
            None => false,
        }
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
        let mut limiter = Limiter::new("3".parse().unwrap());
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
        let mut samples = Samples::new();
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
