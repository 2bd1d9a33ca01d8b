//! The engine beside the kernel: the same packets through both, and every
//! difference told.
//!
//! In a network namespace of its own the kernel is a gateway by the exported
//! ruleset of `gateway.toml`; the engine is one by the file itself. What leaves
//! has to be the same byte for byte, and in the end both session tables. Each
//! test is a subject with a generator of its own.
//!
//!     cargo test --test kernel
//!     KERNEL_SEEDS=200 cargo test --test kernel -- --nocapture
//!
//! `KERNEL_TABLES=1` compares the tables after every packet, which is slow.
//!
//! `docs/kernel-parity.md` lists the differences that are meant.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]
#![allow(non_snake_case)] // two underscores end a requirement's ID in a test's name

mod chance;
mod compare;
mod deliberate;
#[path = "../live/enter.rs"]
#[allow(dead_code, reason = "shared with the live tests, which use all of it")]
mod enter;
mod invalid;
mod limits;
mod listed;
mod meant;
mod nat;
mod others;
mod packets;
mod ports;
mod router;
mod run;
mod scenario;
mod selftests;
mod step;
mod subjects;
mod table;
mod tcp;
mod wire;

use run::{Subject, exported};
use scenario::scenario;

const RULES: &str = include_str!("gateway.toml");
/// Packets of one seed.
const PACKETS: usize = 500;

#[test]
fn the_engine_does_what_the_kernel_does() {
    Subject {
        test: "the_engine_does_what_the_kernel_does",
        rules: RULES,
        script: |seed, _| {
            let all = scenario(seed, PACKETS);
            all.into_iter().map(Into::into).collect()
        },
        seeds: 20,
        most: u64::MAX,
    }
    .compare();
}

#[test]
fn ipv6_is_tracked_and_translated_alike() {
    Subject {
        test: "ipv6_is_tracked_and_translated_alike",
        rules: RULES,
        script: subjects::ipv6::script,
        seeds: 20,
        most: u64::MAX,
    }
    .compare();
}

#[test]
fn pieces_of_datagrams_fare_alike() {
    Subject {
        test: "pieces_of_datagrams_fare_alike",
        rules: RULES,
        script: subjects::fragments::script,
        seeds: 40,
        most: u64::MAX,
    }
    .compare();
}

#[test]
fn headers_with_options_fare_alike() {
    Subject {
        test: "headers_with_options_fare_alike",
        rules: RULES,
        script: subjects::options::script,
        seeds: 40,
        most: u64::MAX,
    }
    .compare();
}

#[test]
fn clients_with_one_port_get_ports_of_one_range() {
    Subject {
        test: "clients_with_one_port_get_ports_of_one_range",
        rules: RULES,
        script: subjects::clashes::script,
        seeds: 40,
        most: u64::MAX,
    }
    .compare();
}

#[test]
fn datagrams_and_messages_fare_alike() {
    Subject {
        test: "datagrams_and_messages_fare_alike",
        rules: RULES,
        script: subjects::datagrams::script,
        seeds: 40,
        most: u64::MAX,
    }
    .compare();
}

#[test]
fn ftp_opens_the_same_doors() {
    Subject {
        test: "ftp_opens_the_same_doors",
        rules: RULES,
        script: subjects::ftp::script,
        seeds: 40,
        most: u64::MAX,
    }
    .compare();
}

#[test]
fn recorded_dialogues_of_real_programs_leave_alike() {
    Subject {
        test: "recorded_dialogues_of_real_programs_leave_alike",
        rules: RULES,
        script: subjects::recorded::script,
        seeds: 2,
        most: 2,
    }
    .compare();
}

#[test]
fn sessions_lapse_at_the_same_time() {
    Subject {
        test: "sessions_lapse_at_the_same_time",
        rules: include_str!("hasty.toml"),
        script: subjects::time::script,
        seeds: 2,
        // They wait for real, and much is tried in each.
        most: 5,
    }
    .compare();
}
