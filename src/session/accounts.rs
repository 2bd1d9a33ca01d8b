//! What counts against the limits of a row: how many public endpoints each
//! client holds, and how often it takes a new one (RFC 6888 REQ-4 and REQ-5).
//!
//! Only rows that limit or write down something are counted.

use std::hash::Hash;
use std::net::IpAddr;

use super::growing_map::GrowingMap;
use super::hash::TupleHash;
use super::queue::Queue;
use crate::net::{Bucket, Endpoint, Protocol, Quota, Rate, RowId, Timestamp};

/// A public endpoint of a protocol.
pub(super) type Public = (Protocol, Endpoint);

/// How many public endpoints a client holds by a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Of TCP.
    pub tcp: u32,
    /// Of UDP.
    pub udp: u32,
    /// Identifiers of ICMP queries.
    pub icmp: u32,
    /// Of all other protocols.
    pub other: u32,
}

impl Tally {
    /// In all.
    #[must_use]
    pub fn all(&self) -> u32 {
        self.tcp + self.udp + self.icmp + self.other
    }

    fn of(&mut self, protocol: Protocol) -> &mut u32 {
        match protocol {
            Protocol::TCP => &mut self.tcp,
            Protocol::UDP => &mut self.udp,
            Protocol::ICMP | Protocol::ICMPV6 => &mut self.icmp,
            _ => &mut self.other,
        }
    }

    /// The tally without one of this protocol.
    #[must_use]
    pub fn without_one(mut self, protocol: Protocol) -> Self {
        let count = self.of(protocol);
        *count = count.saturating_sub(1);
        self
    }

    /// Whether one more of this protocol would be one too many.
    #[must_use]
    pub fn fills(mut self, quota: Quota, protocol: Protocol) -> bool {
        let own = match protocol {
            Protocol::TCP => quota.tcp,
            Protocol::UDP => quota.udp,
            Protocol::ICMP | Protocol::ICMPV6 => quota.icmp,
            _ => None,
        };
        let counts = [(own, *self.of(protocol)), (quota.all, self.all())];
        counts
            .into_iter()
            .any(|(most, count)| most.is_some_and(|most| count >= most))
    }
}

/// The counts.
#[derive(Debug)]
pub(super) struct Accounts {
    held: GrowingMap<(RowId, IpAddr), Tally>,
    /// By how many sessions a client holds a public endpoint that others may
    /// share.
    shares: GrowingMap<(RowId, IpAddr, Public), u32>,
    rates: Buckets<(RowId, IpAddr)>,
}

impl Accounts {
    pub(super) fn new(hash: TupleHash) -> Self {
        Self {
            held: GrowingMap::new(hash),
            shares: GrowingMap::new(hash),
            rates: Buckets::new(hash),
        }
    }

    pub(super) fn tally(&self, row: RowId, client: IpAddr) -> Tally {
        self.held.get(&(row, client)).copied().unwrap_or_default()
    }

    pub(super) fn shares(&self, row: RowId, client: IpAddr, public: Public) -> u32 {
        let count = self.shares.get(&(row, client, public));
        count.copied().unwrap_or_default()
    }

    /// A client holds one more.
    pub(super) fn hold(&mut self, row: RowId, client: IpAddr, protocol: Protocol) {
        let more = |tally: &mut Tally| *tally.of(protocol) += 1;
        self.held.change((row, client), Tally::default, more);
    }

    /// A client holds one less.
    pub(super) fn let_go(&mut self, row: RowId, client: IpAddr, protocol: Protocol) {
        self.held.remove_if(&(row, client), |tally| {
            *tally = tally.without_one(protocol);
            tally.all() == 0
        });
    }

    /// A client holds a public endpoint by one more session; whether it did not
    /// before.
    pub(super) fn take_share(&mut self, row: RowId, client: IpAddr, public: Public) -> bool {
        let is_new = add(&mut self.shares, (row, client, public)) == 1;
        if is_new {
            self.hold(row, client, public.0);
        }
        is_new
    }

    /// By one session less; whether it does not any more.
    pub(super) fn give_back_share(&mut self, row: RowId, client: IpAddr, public: Public) -> bool {
        let is_last = take(&mut self.shares, &(row, client, public)) == 0;
        if is_last {
            self.let_go(row, client, public.0);
        }
        is_last
    }

    pub(super) fn allows(&self, row: RowId, client: IpAddr, rate: Rate, now: Timestamp) -> bool {
        self.rates.allows(&(row, client), rate, now)
    }

    pub(super) fn spend(&mut self, row: RowId, client: IpAddr, rate: Rate, now: Timestamp) {
        self.rates.spend((row, client), rate, now);
    }
}

/// A token bucket for each of many. One that is full again is not kept for
/// long, so that memory follows those who were active lately.
#[derive(Debug)]
pub(super) struct Buckets<K> {
    buckets: GrowingMap<K, Bucket>,
    /// All keys, those that were not looked at for longest first.
    round: Queue<K>,
}

impl<K: Hash + Eq + Copy> Buckets<K> {
    pub(super) fn new(hash: TupleHash) -> Self {
        Self {
            buckets: GrowingMap::new(hash),
            round: Queue::new(),
        }
    }

    pub(super) fn allows(&self, key: &K, rate: Rate, now: Timestamp) -> bool {
        let bucket = self.buckets.get(key).copied().unwrap_or_default();
        bucket.has_one(rate, now)
    }

    pub(super) fn spend(&mut self, key: K, rate: Rate, now: Timestamp) {
        let before = self.buckets.len();
        let take = |bucket: &mut Bucket| bucket.take_one(rate, now);
        self.buckets.change(key, Bucket::default, take);
        if self.buckets.len() > before {
            self.round.push_back(key);
            self.sweep(now);
        }
    }

    /// Looks at two for each that comes: so the full ones go faster than others
    /// come.
    fn sweep(&mut self, now: Timestamp) {
        for _ in 0..2 {
            let Some(key) = self.round.pop_front() else {
                return;
            };
            let is_full = |bucket: &mut Bucket| bucket.is_full(now);
            if self.buckets.remove_if(&key, is_full).is_none() {
                self.round.push_back(key);
            }
        }
    }
}

/// Counts one more; how many there are then.
pub(super) fn add<K: Hash + Eq>(counts: &mut GrowingMap<K, u32>, key: K) -> u32 {
    let more = |count: &mut u32| {
        *count += 1;
        *count
    };
    counts.change(key, || 0, more)
}

/// Counts one less; how many are left. What has none is not kept.
pub(super) fn take<K: Hash + Eq>(counts: &mut GrowingMap<K, u32>, key: &K) -> u32 {
    let mut left = None;
    counts.remove_if(key, |count| {
        *count -= 1;
        left = Some(*count);
        *count == 0
    });
    debug_assert!(left.is_some(), "more was given back than was taken");
    left.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_that_are_full_again_do_not_stay() {
        let mut buckets = Buckets::new(TupleHash::from_seed(1));
        let rate = Rate::new(1, 2);
        for key in 0..100_000u64 {
            let now = Timestamp::from_secs(key);
            assert!(buckets.allows(&key, rate, now));
            buckets.spend(key, rate, now);
            buckets.spend(key, rate, now);
            assert!(!buckets.allows(&key, rate, now));
        }
        assert!(buckets.buckets.len() < 10, "{}", buckets.buckets.len());
        assert_eq!(buckets.buckets.len(), buckets.round.len());
    }
}
