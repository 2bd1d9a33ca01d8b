//! A SYN flood over a full table: memory stays where it is, and who was there
//! before stays too. `benches/flood.rs` is the same at full size, with times.
//!
//! What is counted is what the allocator has given out, so nothing that the
//! engine keeps can hide.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![allow(non_snake_case)] // two underscores end a requirement's ID in a test's name

#[path = "flood/allocations.rs"]
mod allocations;
#[path = "flood/town.rs"]
mod town;

use spigate::engine::Reason;
use spigate::session::Standing;

use allocations::live_octets;
use town::Town;

/// Sessions that the table may hold.
const TABLE: u32 = 5_000;
/// Spoofed sources: no two alike.
const FLOOD: u32 = 50_000;
/// Sessions that live when the flood comes.
const LIVE: u32 = 1_000;

#[test]
fn a_syn_flood_takes_no_memory_and_no_session() {
    let mut town = Town::new(&format!("sessions = {TABLE}"));
    town.establish(LIVE);
    // The first tenth fills the table, and lets every structure find its size.
    town.flood(0..FLOOD / 10);
    let before = live_octets();
    let mut most = before;
    for part in 1..10 {
        town.flood(part * FLOOD / 10..(part + 1) * FLOOD / 10);
        most = most.max(live_octets());
    }
    let sessions = town.engine.sessions();
    assert_eq!(sessions.len(), TABLE as usize);
    let census = sessions.census();
    assert_eq!(census.of_standing(Standing::Assured), LIVE as usize);
    assert!(census.sources() <= TABLE as usize);
    // An index that is rebuilt may double once; nothing else may grow.
    let room = before / 8;
    assert!(most <= before + room, "{before} octets, then {most}");
    town.all_live_sessions_pass();

    let evicted: u64 = town.engine.counters().evicted().map(|(_, n)| n).sum();
    assert_eq!(evicted, u64::from(LIVE + FLOOD - TABLE));
    // When the flood is over, time takes what it left, and the live remain.
    town.wait(130);
    assert_eq!(town.engine.sessions().len(), LIVE as usize);
    town.all_live_sessions_pass();
}

#[test]
fn t_3360_load__a_flood_over_live_sessions_is_dropped_and_not_answered() {
    let mut town = Town::new(&format!("sessions = {LIVE}"));
    town.establish(LIVE);
    let before = live_octets();
    town.flood(0..FLOOD / 5);
    let most = live_octets();
    assert!(most <= before + 4096, "{before} octets, then {most}");
    assert_eq!(town.answers, 0);
    let mut refused = town.engine.counters().verdicts();
    let limit = refused.find(|(_, reason, _)| *reason == Reason::SessionLimit);
    let all = u64::from(FLOOD / 5);
    assert_eq!(limit, Some(("drop", Reason::SessionLimit, all)));
    drop(refused);
    town.all_live_sessions_pass();
}
