//! What it costs to save what is known of sessions, and to go on by it.
//!
//! A save is taken by parts, each between two bursts of packets: what counts there is how
//! long one part takes, and the longest. The rest is done beside the packets.
//!
//! ```text
//! cargo bench --bench state
//! cargo bench --bench state -- --sizes 64k,1m
//! ```

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a bench fails loudly"
)]

mod yard;

use std::sync::Arc;
use std::time::{Duration, Instant};

use spigate::engine::{self, Bookmark, Checksums, Engine, Gap, Meanwhile};
use spigate::state::{self, Encoder, Standing, Written};

use yard::gate::Gate;
use yard::options::{Options, shown};
use yard::resident::{forget_peak, peak, resident};
use yard::traffic::{Kind, Traffic};

fn main() {
    let options = Options::read(&["sizes"]);
    println!("established TCP, masqueraded; parts in microseconds, the others in milliseconds");
    println!(
        "{:>10} {:>8} {:>8} {:>8}  {:>8} {:>8} {:>8}  {:>8} {:>8}",
        "sessions", "parts", "a part", "longest", "encode", "decode", "restore", "octets", "peak"
    );
    for sessions in options.numbers("sizes", "64k,1m") {
        measure(sessions);
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let started = Instant::now();
    let made = work();
    (made, started.elapsed())
}

fn measure(sessions: u32) {
    let mut gate = Gate::new("sessions = 16_777_216");
    let mut traffic = Traffic::new(Kind::Tcp, 64).with_sessions_a_client(16);
    traffic.make_room(sessions);
    traffic.establish(&mut gate, sessions, |_, _| {});
    let engine = &gate.engine;

    let mut encoder = Encoder::new();
    let (mut parts, mut inside, mut longest) = (0u32, Duration::ZERO, Duration::ZERO);
    let mut encoding = Duration::ZERO;
    let mut next = Some(Bookmark::default());
    while let Some(at) = next {
        let ((part, rest), took) = timed(|| engine.snapshot_part(gate.now, at));
        parts += 1;
        inside += took;
        longest = longest.max(took);
        encoding += timed(|| encoder.push(&part).unwrap()).1;
        next = rest;
    }
    let (file, took) = timed(|| {
        encoder
            .finish(Standing::AtRest, &Written::default())
            .unwrap()
    });
    encoding += took;

    forget_peak();
    let had = resident();
    let (state, decoding) = timed(|| state::decode(&file).unwrap());
    let options = engine::Options {
        seed: 2,
        checksums: Checksums::Verify,
    };
    let gap = Gap {
        time: Duration::ZERO,
        meanwhile: Meanwhile::Nothing,
    };
    let policy = Arc::clone(engine.policy());
    let ((restored, told), restoring) =
        timed(|| Engine::restore(&policy, options, gate.now, (state.snapshot, gap)).unwrap());
    assert_eq!(told.sessions, sessions as usize);
    let most = peak().saturating_sub(had);
    drop(restored);
    println!(
        "{:>10} {:>8} {:>8.1} {:>8.1}  {:>8.1} {:>8.1} {:>8.1}  {:>8.1} {:>8.1}",
        shown(sessions),
        parts,
        inside.as_secs_f64() * 1e6 / f64::from(parts),
        longest.as_secs_f64() * 1e6,
        encoding.as_secs_f64() * 1e3,
        decoding.as_secs_f64() * 1e3,
        restoring.as_secs_f64() * 1e3,
        file.len() as f64 / f64::from(sessions),
        most as f64 / f64::from(sessions),
    );
}
