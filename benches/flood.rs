//! A SYN flood of a million spoofed sources over a table of 100 000 sessions, of
//! which 10 000 are live: what a packet of the flood costs, what a packet of the
//! live costs before, during and after it, and how much memory is resident.
//!
//! Times are of one run on one machine; what counts are the ratios to a packet
//! of an established session in the same run.
//!
//! `cargo bench --bench flood`

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a bench reads the clock, and fails loudly"
)]

#[path = "../tests/flood/town.rs"]
mod town;

use std::time::Instant;

use town::Town;

const TABLE: u32 = 100_000;
const LIVE: u32 = 10_000;
const FLOOD: u32 = 1_000_000;
const PARTS: u32 = 10;

fn main() {
    for (what, limits) in [
        ("evict-idle", format!("sessions = {TABLE}")),
        (
            "evict-idle, half-open = 10 000",
            format!("sessions = {TABLE}\nhalf-open = 10_000"),
        ),
        (
            "refuse",
            format!("sessions = {TABLE}\nwhen-full = \"refuse\""),
        ),
    ] {
        flooded(what, &limits);
    }
}

fn flooded(what: &str, limits: &str) {
    println!("{what}: {FLOOD} SYNs over {TABLE} sessions, {LIVE} of them live");
    let mut town = Town::new(limits);
    town.establish(LIVE);
    let quiet = live_round(&mut town);
    println!("  live packet before the flood  {quiet:>8.1} ns");
    let (mut cost, mut live, mut resident) = (Vec::new(), Vec::new(), Vec::new());
    for part in 0..PARTS {
        let strangers = part * FLOOD / PARTS..(part + 1) * FLOOD / PARTS;
        let start = Instant::now();
        town.flood(strangers);
        cost.push(start.elapsed().as_nanos() as f64 / f64::from(FLOOD / PARTS));
        live.push(live_round(&mut town));
        resident.push(resident_kib());
    }
    let (cost, live) = (median(&mut cost), median(&mut live));
    println!("  live packet during the flood  {live:>8.1} ns");
    println!("  flood packet                  {cost:>8.1} ns");
    println!("  flood packet : live packet    {:>8.2}", cost / live);
    let (first, last) = (resident[0], resident[resident.len() - 1]);
    println!("  resident, table just full     {first:>8} KiB");
    println!("  resident, after the flood     {last:>8} KiB");
    let sessions = town.engine.sessions().len();
    town.all_live_sessions_pass();
    println!("  {sessions} sessions; every live one passes\n");
}

/// Nanoseconds a packet of a live session.
fn live_round(town: &mut Town) -> f64 {
    let start = Instant::now();
    for n in 0..LIVE {
        // Not one after the other: 7919 is prime to their number.
        assert!(town.passes((n * 7919) % LIVE));
    }
    start.elapsed().as_nanos() as f64 / f64::from(LIVE)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Resident memory of this process, as Linux tells it.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok())
        .unwrap_or(0)
}
