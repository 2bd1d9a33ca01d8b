//! What the fuzz targets do with one input, and what must hold of it.
//!
//! Shared: `fuzz_targets/` hands it what libFuzzer thinks up, and
//! `tests/fuzz_seeds.rs` hands it everything under `seeds/`, so that an input
//! that once broke something stays mended. A finding goes into `seeds/TARGET/`
//! under a name that says what was wrong with it.

pub mod capture;
pub mod control;
pub mod engine;
pub mod expression;
pub mod ftp;
pub mod packet;
pub mod rules;
pub mod segments;
pub mod state;

/// What a target does with one input.
pub type Body = fn(&[u8]);

/// Every target by name.
pub const TARGETS: [(&str, Body); 9] = [
    ("capture", capture::run),
    ("control", control::run),
    ("engine", engine::run),
    ("expression", expression::run),
    ("ftp", ftp::run),
    ("packet", packet::run),
    ("rules", rules::run),
    ("segments", segments::run),
    ("state", state::run),
];
