//! A gateway ends and begins again between any packets: what it wrote down is all that
//! it needs. The packets that follow fare, and look, as if it had gone on.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use spigate::engine::{AnswerRates, Checksums, Engine, Gap, Meanwhile, Options, Policy, Restored};
use spigate::net::{Direction, Timestamp};
use spigate::state::{self, Encoder, Standing, Written};

use super::any_reload;
use super::any_segments;
use super::any_sequence;
use super::any_translation::{self, compiled, event, everything_ends, family};

/// What an engine becomes that ends, and begins again after some time.
pub(super) fn restarted(
    engine: &Engine,
    policy: &Arc<Policy>,
    seed: u64,
    (now, time): (Timestamp, Duration),
) -> (Engine, Restored) {
    let mut encoder = Encoder::new();
    for part in engine.snapshot_parts(engine.now()) {
        encoder.push(&part).unwrap();
    }
    let octets = encoder
        .finish(Standing::AtRest, &Written::default())
        .unwrap();
    let state = state::decode(&octets).unwrap();
    assert_eq!(state.standing, Standing::AtRest);
    assert_eq!(state.snapshot.len(), engine.sessions().len());
    let options = Options {
        seed,
        checksums: Checksums::Verify,
    };
    let gap = Gap {
        time,
        meanwhile: Meanwhile::Nothing,
    };
    Engine::restore(policy, options, now, (state.snapshot, gap)).unwrap()
}

/// The same file without a limit of sessions: in which order they make room for others is
/// not written down.
fn with_room(file: &str) -> String {
    let is_limit = |line: &&str| line.starts_with("[limits]") || line.starts_with("sessions = ");
    let lines = file.lines().filter(|line| !is_limit(line));
    lines.collect::<Vec<_>>().join("\n")
}

/// Both know the same.
fn agree(one: &Engine, other: &Engine) {
    let (sessions, after) = (one.sessions(), other.sessions());
    assert_eq!(sessions.sorted(), after.sorted());
    assert_eq!(sessions.mappings().sorted(), after.mappings().sorted());
    assert_eq!(sessions.mappings().at_rest(), after.mappings().at_rest());
    assert_eq!(sessions.mappings().in_use(), after.mappings().in_use());
    let blocks = [sessions, after].map(|own| own.mappings().blocks().in_use());
    assert_eq!(blocks[0], blocks[1]);
    assert_eq!(sessions.next_id(), after.next_id());
    let holes = [sessions, after].map(|own| {
        let all = own.expectations().sorted().into_iter();
        let all = all.map(|hole| (hole.parent.id(), hole.tuple, hole.to, hole.deadline));
        all.collect::<Vec<_>>()
    });
    assert_eq!(holes[0], holes[1]);
    for session in sessions.sorted() {
        for direction in Direction::BOTH {
            let source = session.origin.tuples[direction].source.address;
            let of_source = [sessions, after].map(|own| own.census().of_source(source));
            assert_eq!(of_source[0], of_source[1]);
        }
    }
}

proptest! {
    #[test]
    fn translation_goes_on_after_a_restart(
        seed in any::<u64>(),
        family in family(),
        file in any_reload::file(),
        events in prop::collection::vec(event(), 1..60),
        every in 1..20usize,
    ) {
        let policy = compiled(family, &with_room(&file));
        let mut plain = any_translation::World::new(Arc::clone(&policy), family, seed);
        let mut restarting = any_translation::World::new(Arc::clone(&policy), family, seed);
        for (n, event) in events.iter().enumerate() {
            if n % every == every - 1 {
                let moment = (restarting.now, Duration::ZERO);
                let (engine, restored) = restarted(&restarting.engine, &policy, seed, moment);
                prop_assert_eq!(restored.sessions, restarting.engine.sessions().len());
                prop_assert!(Arc::ptr_eq(engine.policy(), &policy), "nothing is put aside");
                restarting.engine = engine;
                // By the mapping log all begins anew.
                restarting.noted.clear();
                restarting.wait(Duration::ZERO);
                agree(&plain.engine, &restarting.engine);
                any_translation::check(&restarting.engine);
            }
            plain.happen(event);
            restarting.happen(event);
        }
        prop_assert_eq!(&plain.record, &restarting.record);
        agree(&plain.engine, &restarting.engine);
        everything_ends(&mut restarting);
    }

    #[test]
    fn all_that_is_said_goes_on_after_a_restart(
        seed in any::<u64>(),
        events in prop::collection::vec(any_sequence::event(), 1..80),
        every in 1..20usize,
    ) {
        // What is left of rates is not written down.
        let mut policy = Policy::clone(&any_sequence::policy());
        policy.answers = AnswerRates {
            errors: None,
            per_target: None,
            resets: None,
        };
        let policy = Arc::new(policy);
        let mut plain = any_sequence::World::new(Arc::clone(&policy), seed);
        let mut restarting = any_sequence::World::new(Arc::clone(&policy), seed);
        for (n, event) in events.iter().enumerate() {
            if n % every == every - 1 {
                let now = restarting.engine.now();
                let moment = (now, Duration::ZERO);
                restarting.engine = restarted(&restarting.engine, &policy, seed, moment).0;
                agree(&plain.engine, &restarting.engine);
            }
            plain.happen(event);
            restarting.happen(event);
        }
        prop_assert_eq!(&plain.record, &restarting.record);
        agree(&plain.engine, &restarting.engine);
    }

    /// What a control session has withheld, and changed, goes on to be so.
    #[test]
    fn a_dialogue_is_heard_the_same_after_any_restarts(
        input in any_segments::input(),
        every in 1..40usize,
    ) {
        any_segments::segments::run_restarting(&input, every);
    }
}
