//! Other rule files take over between any packets: by the same file nothing changes, and by
//! any other what is held of public endpoints is still what counting says, and comes
//! back in the end.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::select;
use spigate::engine::{Output, Policy, Successor};
use spigate::net::Family;

use super::any_translation::{Event, World, compiled, event, everything_ends, family, rules};

/// What `[policy]` says: the first lets everything begin.
const POLICIES: [&str; 5] = [
    r#"default = "allow""#,
    "default = \"allow\"\non-reload = \"recheck\"",
    r#"default = "drop"
rules = [{ id = "out", from = ["lan", "dmz"], action = "allow" }]"#,
    r#"default = "drop"
on-reload = "recheck"
rules = [{ id = "in", from = "wan", to = "dmz", action = "allow" },
         { id = "out", from = "lan", action = "allow", max-sessions = 3 }]"#,
    r#"default = "reject"
on-reload = "recheck"
rules = [{ id = "out", from = "lan", action = "drop" }]"#,
];

/// What a file says besides.
const TIMEOUTS: [&str; 2] = ["", "[timeouts]\nudp = \"7s\"\ntcp-established = \"20s\"\n"];

pub(super) fn file() -> impl Strategy<Value = String> {
    let all = (rules(), select(&POLICIES[..]), select(&TIMEOUTS[..]));
    all.prop_map(|(rules, policy, timeouts)| {
        assert!(rules.contains(POLICIES[0]));
        rules.replace(POLICIES[0], policy) + timeouts
    })
}

fn takes_over(world: &mut World, policy: &Policy) {
    let successor = Successor::new(policy.clone(), world.engine.policy()).unwrap();
    drop(world.engine.reload(successor, world.now).unwrap());
}

fn run(
    (family, seed): (Family, u64),
    first: &str,
    others: &[(String, Vec<Event>)],
    events: &[Event],
) -> World {
    let mut world = World::new(compiled(family, first), family, seed);
    for event in events {
        world.happen(event);
    }
    for (file, events) in others {
        takes_over(&mut world, &compiled(family, file));
        // Who may not go on has ended before anybody hears from them.
        world.wait(std::time::Duration::ZERO);
        for event in events {
            world.happen(event);
        }
    }
    world
}

proptest! {
    #[test]
    fn the_same_file_again_changes_nothing(
        seed in any::<u64>(),
        family in family(),
        file in file(),
        events in prop::collection::vec(event(), 1..60),
        every in 1..6usize,
    ) {
        let policy = compiled(family, &file);
        let mut plain = World::new(Arc::clone(&policy), family, seed);
        let mut reloading = World::new(Arc::clone(&policy), family, seed);
        for (n, event) in events.iter().enumerate() {
            if n % every == 0 {
                takes_over(&mut reloading, &policy);
            }
            plain.happen(event);
            reloading.happen(event);
        }
        prop_assert_eq!(&plain.record, &reloading.record);
        prop_assert_eq!(&plain.noted, &reloading.noted);
        let (plain, reloading) = (&plain.engine, &reloading.engine);
        prop_assert_eq!(plain.counters(), reloading.counters());
        let (sessions, after) = (plain.sessions(), reloading.sessions());
        prop_assert_eq!(sessions.sorted(), after.sorted());
        prop_assert_eq!(sessions.mappings().sorted(), after.mappings().sorted());
        prop_assert_eq!(plain.next_deadline(), reloading.next_deadline());
    }

    #[test]
    fn any_other_file_may_take_over(
        seed in any::<u64>(),
        family in family(),
        first in file(),
        events in prop::collection::vec(event(), 1..40),
        others in prop::collection::vec((file(), prop::collection::vec(event(), 0..25)), 1..4),
    ) {
        let mut world = run((family, seed), &first, &others, &events);
        let again = run((family, seed), &first, &others, &events);
        prop_assert_eq!(&world.record, &again.record);
        prop_assert_eq!(world.engine.counters(), again.engine.counters());
        // All reloads of one policy.
        let mut out = Output::default();
        while world.engine.expire(world.now, &mut out).is_left() {}
        let last = others.last().map_or(&first, |(file, _)| file);
        let policy = compiled(family, last);
        let before = world.engine.policy().clone();
        takes_over(&mut world, &policy);
        prop_assert_eq!(before.rules.rows(), world.engine.policy().rules.rows());
        prop_assert_eq!(&before.nat, &world.engine.policy().nat);
        everything_ends(&mut world);
        let rules = world.engine.policy().rules.rows().by_number().len();
        for rule in 0..u16::try_from(rules).unwrap() {
            prop_assert_eq!(world.engine.sessions().census().of_rule(rule), 0);
        }
    }
}
