use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;
use crate::packet::{Cutting, Follows};

/// What the store says of itself, counted anew.
fn check(store: &Fragments) {
    let cost: usize = store.datagrams.values().map(|one| one.cost).sum();
    assert_eq!(cost, store.cost);
    assert!(cost <= MAX_OCTETS && store.datagrams.len() <= MAX_DATAGRAMS);
    assert_eq!(store.due.len(), store.datagrams.len());
    let shares = store.shares.values();
    let (datagrams, costs) = shares.fold((0, 0), |(datagrams, costs), share| {
        assert!(share.datagrams <= MAX_DATAGRAMS_OF_SOURCE);
        assert!(share.cost <= MAX_OCTETS_OF_SOURCE + COST_OF_DATAGRAM);
        (datagrams + share.datagrams, costs + share.cost)
    });
    assert_eq!((datagrams, costs), (store.datagrams.len(), cost));
    for (key, one) in &store.datagrams {
        assert!(store.due.contains(&(one.deadline, *key)));
        assert!(one.pieces.len() <= MAX_PIECES);
        let pairs = one.pieces.iter().zip(one.pieces.iter().skip(1));
        assert!(pairs.into_iter().all(|(a, b)| a.end <= b.offset));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn limits_and_sums_hold_under_any_flood(
        seed in any::<u64>(),
        hosts in 1..64u32,
        ids in 1..600u32,
        octets in prop_oneof![Just(8usize), Just(1480), Just(60_000)],
        step in 0..20u64,
    ) {
        let mut store = Fragments::new(TupleHash::from_seed(seed));
        let mut now = Timestamp::from_secs(1);
        let frame = vec![0; octets + 20];
        let mut chance = seed | 1;
        let mut next = |below: u32| {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            u32::try_from(chance >> 33).unwrap_or(0) % below
        };
        for round in 0..8000 {
            now = now.after(Duration::from_millis(step));
            while store.pop_due(now).is_some() {}
            let key = Key {
                zone: ZoneId(0),
                source: Ipv4Addr::from(next(hosts)).into(),
                destination: Ipv4Addr::LOCALHOST.into(),
                id: next(ids),
                protocol: 17,
            };
            let offset = 8 * usize::try_from(next(300)).unwrap_or(0);
            let piece = Piece {
                id: key.id,
                offset,
                end: offset + octets,
                follows: if next(8) == 0 { Follows::Nothing } else { Follows::More },
                payload_at: 20,
                length: frame.len(),
                cutting: Cutting::Allowed,
                ecn: 0,
            };
            match store.judge(&key, &piece, &frame) {
                Fate::Kept => store.keep(now, key, &piece, &frame, drop),
                Fate::Spoils(reason) => store.spoil(now, key, reason, drop),
                Fate::Completes(..) => store.forget(&key),
                Fate::Repeated | Fate::Refused(_) => {}
            }
            if round % 500 == 0 {
                check(&store);
            }
        }
        check(&store);
        while store.pop_due(now.after(Duration::from_secs(61))).is_some() {}
        prop_assert!(store.datagrams.is_empty() && store.shares.is_empty() && store.cost == 0);
    }
}
