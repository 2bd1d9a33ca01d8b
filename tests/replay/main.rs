//! `spigate replay`, as its users meet it: the built program, the captures of
//! `captures/`, and the rule file of an office.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails should say where"
)]
#![allow(non_snake_case)] // two underscores end a requirement's ID in a test's name

mod bad_input;
mod broken_packets;
mod common;
mod damage;
mod determinism;
mod dialogue;
mod explain;
mod formats;
mod fragments;
mod guide;
mod index;
mod json;
mod limits;
mod moments;
mod packets;
mod pairs;
mod readme;
mod summaries;
mod tables;
mod timers;
mod tshark;
mod vantage;
mod who;
mod written;
