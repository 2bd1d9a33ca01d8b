//! The engine beside the kernel: the same packets through both, and every
//! difference told.
//!
//! In a network namespace of its own the kernel is a gateway by the exported
//! ruleset of `gateway.toml`; the engine is one by the file itself. What leaves
//! has to be the same byte for byte, and in the end both session tables.
//!
//!     cargo test --test kernel
//!     KERNEL_SEEDS=200 cargo test --test kernel -- --nocapture
//!
//! `KERNEL_TABLES=1` compares the tables after every packet, which is slow.
//!
//! `docs/kernel-parity.md` lists the differences that are meant.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]
#![allow(non_snake_case)] // two underscores end a requirement's ID in a test's name

mod compare;
#[path = "../live/enter.rs"]
#[allow(dead_code, reason = "shared with the live tests, which use all of it")]
mod enter;
mod invalid;
mod limits;
mod listed;
mod packets;
mod router;
mod scenario;
mod selftests;
mod tcp;

use std::collections::BTreeSet;
use std::path::Path;

use spigate::export::Exported;

use compare::{DELIBERATE, Ours, both};
use router::{Router, Zone};
use scenario::scenario;

const RULES: &str = include_str!("gateway.toml");
/// Packets of one seed.
const PACKETS: usize = 500;
/// Seeds of a run in which nobody says how many.
const SEEDS: u64 = 40;

fn exported(rules: &str) -> Exported {
    let compiled = spigate::config::compile(Path::new("gateway.toml"), rules).unwrap();
    spigate::export::nftables(&compiled)
}

fn ruleset() -> String {
    let exported = exported(RULES);
    assert_eq!(exported.missing, [""; 0]);
    exported.text
}

#[test]
fn the_engine_does_what_the_kernel_does() {
    compare("the_engine_does_what_the_kernel_does");
}

fn compare(test: &str) {
    enter::in_own_namespaces(test, &["nft", "conntrack"], || {
        let given = |name: &str| std::env::var(name).ok().and_then(|n| n.parse().ok());
        let seeds = given("KERNEL_SEEDS").unwrap_or(SEEDS);
        let first = given("KERNEL_SEED").unwrap_or(1);
        let mut router = Router::new(&ruleset());
        let (mut compared, mut different) = (0, Vec::new());
        for seed in first..first + seeds {
            router.forget();
            let (count, found) = compare_one(&mut router, seed);
            compared += count;
            different.extend(found);
        }
        let differences = different.len();
        println!("{compared} packets of {seeds} seeds compared, {differences} differences");
        assert!(different.is_empty(), "\n{}", different.join("\n"));
    });
}

/// The packets of one seed, up to the first difference that is not meant.
fn compare_one(router: &mut Router, seed: u64) -> (usize, Option<String>) {
    let every_table = std::env::var_os("KERNEL_TABLES").is_some();
    let mut ours = Ours::new(RULES);
    let mut transcript: Vec<(Zone, packets::Packet)> = Vec::new();
    for (count, (zone, packet)) in scenario(seed, PACKETS).into_iter().enumerate() {
        let compared = both(router, &mut ours, zone, &packet.bytes());
        transcript.push((zone, packet.clone()));
        let meant = |(_, is_it): &(&str, fn(&_, &_) -> bool)| is_it(&packet, &compared);
        let same = compared.agree(&packet) || DELIBERATE.iter().any(meant);
        let tables = match every_table || !same {
            true => differences(&router.table(), &ours.table()),
            false => String::new(),
        };
        if !same || !tables.is_empty() {
            let outcome = format!("{}\n{tables}", compared.shown());
            let told = told(seed, &transcript, &outcome);
            return (count + 1, Some(told));
        }
    }
    let difference = differences(&router.table(), &ours.table());
    if difference.is_empty() {
        return (PACKETS, None);
    }
    // Up to the last packet of the conversation whose entry differs.
    let is_of = |(_, packet): &(Zone, packets::Packet)| {
        let port = packet.from.port().max(packet.to.port());
        port >= 20_000 && difference.contains(&format!(":{port} "))
    };
    let last = transcript.iter().rposition(is_of).unwrap_or(PACKETS - 1);
    let told = told(
        seed,
        &transcript[..=last],
        &format!("  the tables:\n{difference}"),
    );
    (PACKETS, Some(told))
}

/// What only one of the tables has.
fn differences(kernel: &BTreeSet<String>, engine: &BTreeSet<String>) -> String {
    // To the kernel a ping of the gateway itself is a session too.
    let is_own = |entry: &&String| entry.contains(" | 203.0.113.2:1 > ");
    let kernel: BTreeSet<_> = kernel.iter().filter(|e| !is_own(e)).cloned().collect();
    let only = |a: &BTreeSet<String>, b, who: &str| {
        let lines = a
            .difference(b)
            .map(|entry| format!("    {who} only: {entry}\n"));
        lines.collect::<String>()
    };
    only(&kernel, engine, "kernel") + &only(engine, &kernel, "engine")
}

/// What was sent between the two hosts of the packet that made the difference.
fn told(seed: u64, transcript: &[(Zone, packets::Packet)], outcome: &str) -> String {
    let (_, last) = transcript.last().unwrap();
    let ports = |p: &packets::Packet| [p.from, p.to].map(|end| end.port());
    let of_last = ports(last);
    let concerns = |p: &packets::Packet| {
        let own = ports(p);
        own.iter()
            .any(|port| *port >= 20_000 && of_last.contains(port))
    };
    let count = transcript.len();
    let lines = transcript[..count - 1]
        .iter()
        .filter(|(_, packet)| concerns(packet))
        .chain(transcript.last())
        .map(|(zone, packet)| format!("  {} {packet}", zone.name()));
    let lines: Vec<_> = lines.collect();
    let shown = lines.len().saturating_sub(25);
    format!(
        "seed {seed}, packet {count}:\n{}\n{outcome}",
        lines[shown..].join("\n")
    )
}
