//! The live gateway between real hosts: `spigate run` with vsftpd, lftp, curl,
//! dnsmasq, ping and tcpdump in network namespaces.
//!
//! Needs root, or a kernel that gives user namespaces, and the programs that
//! `tests/setup.sh` installs. Where one is missing each test says so and counts
//! as passed; with `CI` set in the environment it fails instead. `SPIGATE_WORKERS=2` has all
//! gateways work by so many workers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]
#![allow(non_snake_case)] // two underscores end a requirement's ID in a test's name

mod behaviour;
mod capture;
mod control;
mod crowd;
mod devices;
mod dry_run;
mod enter;
mod everyday;
mod ftp;
mod idle;
mod lab;
mod metrics;
mod mirror;
mod privilege;
mod recipes;
mod reload;
mod restart;
mod servers;
mod service;
mod tour;
mod translation;
mod trouble;
mod workers;
