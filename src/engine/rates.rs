//! How often the gateway itself speaks: token buckets, driven by packet time.
//!
//! What a gateway says because of a packet is somebody else's to provoke: an
//! error to a forged source hits its owner. So ICMP errors have a rate in all and
//! one for each target (RFC 1812 section 4.3.2.8, RFC 4443 section 2.4 (f)),
//! and resets have one (RFC 5961 section 7). What is withheld changes no verdict,
//! and is counted.
//!
//! "Too big" (RFC 1191, RFC 8201) has a bucket of its own, as large as that of
//! all other errors: connections depend on it, and nobody who provokes other errors
//! shall take it from them. What is sent to the ends of sessions that expire has
//! a bucket of its own, too, as large as that of resets, for the same reason. It is
//! never withheld: what is one too many waits for its turn.

use std::net::IpAddr;

use crate::net::{Bucket, Rate, Timestamp};
use crate::session::TupleHash;

/// How often the gateway itself speaks; `None`: as often as it is asked. The
/// defaults for errors are Linux's (`icmp_msgs_per_sec`, `icmp_msgs_burst`,
/// `icmp_ratelimit`, which allows six at a time).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerRates {
    /// ICMP errors in all; and, of its own, "too big".
    pub errors: Option<Rate>,
    /// ICMP errors to one address.
    pub per_target: Option<Rate>,
    /// RSTs in all; and, of its own, what expiry sends.
    pub resets: Option<Rate>,
}

impl AnswerRates {
    /// How many errors one address gets at a time.
    pub const BURST_OF_TARGET: u32 = 6;
}

impl Default for AnswerRates {
    fn default() -> Self {
        Self {
            errors: Some(Rate::new(1_000, 50)),
            per_target: Some(Rate::new(1, Self::BURST_OF_TARGET)),
            resets: Some(Rate::new(1_000, 1_000)),
        }
    }
}

/// What the gateway says, by its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AnswerKind {
    /// An ICMP error.
    Error,
    /// "Fragmentation needed", "packet too big".
    TooBig,
    /// An RST.
    Reset,
}

impl AnswerKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Error, Self::TooBig, Self::Reset];

    /// The fixed word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "icmp-error",
            Self::TooBig => "too-big",
            Self::Reset => "reset",
        }
    }
}

impl std::fmt::Display for AnswerKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Error => "ICMP errors",
            Self::TooBig => "too-big messages",
            Self::Reset => "resets",
        })
    }
}

/// Targets that are remembered: as many as get errors in a second by default.
/// Whoever finds its place taken by another begins anew, under the limit of all.
const TARGETS: usize = 1 << 10;

/// The buckets.
#[derive(Debug)]
pub(super) struct Limiter {
    errors: Bucket,
    too_big: Bucket,
    resets: Bucket,
    expiry: Bucket,
    targets: Box<[Option<(IpAddr, Bucket)>]>,
    hash: TupleHash,
}

impl Limiter {
    pub(super) fn new(hash: TupleHash) -> Self {
        Self {
            errors: Bucket::default(),
            too_big: Bucket::default(),
            resets: Bucket::default(),
            expiry: Bucket::default(),
            targets: vec![None; TARGETS].into(),
            hash,
        }
    }

    /// Whether one more of this kind may go to `target`. Only reads.
    pub(super) fn allows(
        &self,
        rates: &AnswerRates,
        now: Timestamp,
        kind: AnswerKind,
        target: IpAddr,
    ) -> bool {
        let allows =
            |bucket: Bucket, rate: Option<Rate>| rate.is_none_or(|rate| bucket.has_one(rate, now));
        match kind {
            AnswerKind::Error => {
                allows(self.errors, rates.errors) && allows(self.of(target), rates.per_target)
            }
            AnswerKind::TooBig => allows(self.too_big, rates.errors),
            AnswerKind::Reset => allows(self.resets, rates.resets),
        }
    }

    /// Counts one that goes.
    pub(super) fn spend(
        &mut self,
        rates: &AnswerRates,
        now: Timestamp,
        kind: AnswerKind,
        target: IpAddr,
    ) {
        let (bucket, rate) = match kind {
            AnswerKind::Error => (&mut self.errors, rates.errors),
            AnswerKind::TooBig => (&mut self.too_big, rates.errors),
            AnswerKind::Reset => (&mut self.resets, rates.resets),
        };
        if let Some(rate) = rate {
            bucket.take_one(rate, now);
        }
        if let (AnswerKind::Error, Some(rate)) = (kind, rates.per_target) {
            let mut own = self.of(target);
            own.take_one(rate, now);
            let place = self.place(target);
            if let Some(place) = self.targets.get_mut(place) {
                *place = Some((target, own));
            }
        }
    }

    /// The turn of so many packets to the ends of a session that expires at
    /// `now`, which is booked: that moment, or a later one.
    pub(super) fn turn(&mut self, rates: &AnswerRates, now: Timestamp, count: usize) -> Timestamp {
        match rates.resets {
            Some(rate) => self.expiry.book(rate, now, count),
            None => now,
        }
    }

    fn place(&self, target: IpAddr) -> usize {
        self.hash.of(&target) as usize % TARGETS
    }

    fn of(&self, target: IpAddr) -> Bucket {
        match self.targets.get(self.place(target)) {
            Some(Some((owner, bucket))) if *owner == target => *bucket,
            _ => Bucket::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn sent(limiter: &mut Limiter, rates: &AnswerRates, at: f64, target: &str) -> bool {
        let now = Timestamp::from_secs(1_000).after(Duration::from_secs_f64(at));
        let (kind, target) = (AnswerKind::Error, target.parse().unwrap());
        let allowed = limiter.allows(rates, now, kind, target);
        if allowed {
            limiter.spend(rates, now, kind, target);
        }
        allowed
    }

    #[test]
    fn a_target_gets_six_at_a_time_and_then_one_a_second() {
        let (mut limiter, rates) = (
            Limiter::new(TupleHash::from_seed(1)),
            AnswerRates::default(),
        );
        let mut burst = |at: f64, asked: u32| {
            let all = (0..asked).filter(|_| sent(&mut limiter, &rates, at, "10.0.0.7"));
            all.count()
        };
        // What Linux 6.18 does with the same.
        assert_eq!(burst(0.0, 20), 6);
        assert_eq!(burst(2.05, 10), 2);
        assert_eq!(burst(10.05, 10), 6);
    }

    #[test]
    fn all_targets_together_get_fifty_at_a_time_and_then_a_thousand_a_second() {
        let (mut limiter, rates) = (
            Limiter::new(TupleHash::from_seed(1)),
            AnswerRates::default(),
        );
        let mut burst = |at: f64| {
            let all = (0..200).filter(|n| {
                let target = format!("10.1.{}.{n}", at as u32);
                sent(&mut limiter, &rates, at, &target)
            });
            all.count()
        };
        assert_eq!(burst(0.0), 50);
        assert_eq!(burst(0.020), 20);
        assert_eq!(burst(3.0), 50);
    }

    #[test]
    fn what_has_no_limit_is_never_withheld() {
        let mut limiter = Limiter::new(TupleHash::from_seed(1));
        let rates = AnswerRates {
            errors: None,
            per_target: None,
            resets: None,
        };
        assert!((0..10_000).all(|_| sent(&mut limiter, &rates, 0.0, "10.0.0.7")));
    }
}
