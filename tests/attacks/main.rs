//! Attacks: packets of somebody who is no end of a session, but forges to be.
//!
//! Each states what must not change, and compares the whole session table
//! before and after, windows, timers, counters and expectations included.
//! Where a forgery cannot be told from the real thing it says which bound
//! holds. The forger knows addresses and ports; what it has to guess are the
//! numbers, and what it cannot do is to send from another zone than its own.
//!
//! [`forged`] compares; the bench is that of the scenarios.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)] // a test may fail so
#![allow(non_snake_case)] // two underscores end a requirement's ID in a test's name

mod forged;

mod fragments;
mod ftp;
mod icmp;
mod sources;
mod tcp;
mod tcp_closing;
mod tcp_numbers;
mod udp;

#[path = "../scenarios/dialogue.rs"]
#[allow(dead_code, reason = "the scenarios use all of it")]
mod dialogue;
#[path = "../scenarios/lab.rs"]
#[allow(dead_code, reason = "the scenarios use all of it")]
mod lab;
#[path = "../scenarios/other_packets.rs"]
#[allow(dead_code, reason = "the scenarios use more of it")]
mod other_packets;
#[path = "../scenarios/packets.rs"]
#[allow(dead_code, reason = "the scenarios use all of it")]
mod packets;
#[path = "../scenarios/policies.rs"]
#[allow(dead_code, reason = "the scenarios use all of it")]
mod policies;
#[path = "../scenarios/seen.rs"]
#[allow(dead_code, reason = "the scenarios use all of it")]
mod seen;
#[path = "../scenarios/wants.rs"]
#[allow(dead_code, reason = "the scenarios use all of it")]
mod wants;
