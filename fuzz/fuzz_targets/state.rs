//! Runs `spigate_fuzz::state` on what libFuzzer thinks up.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| spigate_fuzz::state::run(data));
