//! What it costs when a million sessions run out in one tick: nanoseconds a
//! session, how many calls it takes, and the longest of them. A call is one of
//! `Engine::expire`, or of whatever a packet brings about when it is the first
//! after that tick.
//!
//! `cargo bench --bench expiry -- --sessions 1m --rounds 5`

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a bench reads the clock, and fails loudly"
)]

mod yard;

use std::time::{Duration, Instant};

use yard::gate::{Gate, OneByOne};
use yard::median;
use yard::options::{Options, shown};
use yard::play::{Ring, Stream, play};
use yard::traffic::{Kind, Traffic};

/// Octets of each packet.
const LENGTH: usize = 64;

/// Longer than any session here lives: an established one five days.
const OVER: Duration = Duration::from_secs(6 * 24 * 3600);

fn main() {
    let options = Options::read(&["sessions", "rounds"]);
    let sessions = options.number("sessions", 1 << 20);
    let rounds = options.number("rounds", 5);
    println!(
        "{} sessions run out together; medians of {rounds} rounds",
        shown(sessions)
    );
    for kind in [Kind::Tcp, Kind::Udp] {
        let mut figures: [Vec<f64>; 4] = Default::default();
        for _ in 0..rounds {
            for (all, one) in figures.iter_mut().zip(run_out(kind, sessions)) {
                all.push(one);
            }
        }
        let [begin, nanos, calls, longest] = figures.map(|mut values| median(&mut values));
        let name = match kind {
            Kind::Udp => "UDP, answered",
            Kind::Tcp | Kind::TcpV6 => "TCP, established",
        };
        println!("\n{name}");
        println!("  a new session before          {begin:>9.1} ns");
        println!(
            "  a session that runs out       {nanos:>9.1} ns   {:>6.2} of a new one",
            nanos / begin
        );
        println!("  calls                         {calls:>9}");
        println!("  longest call                  {:>9.3} ms", longest / 1e6);
    }
}

/// Nanoseconds for a session's beginning and for its end, calls until all have
/// ended, nanoseconds of the longest.
fn run_out(kind: Kind, sessions: u32) -> [f64; 4] {
    let mut gate = Gate::new("sessions = 16_777_216");
    let mut stream = Stream::of_length(LENGTH);
    let mut traffic = Traffic::new(kind, LENGTH);
    traffic.establish(&mut gate, sessions, |_, _| {});
    traffic.fill_beginning(&mut stream, sessions..sessions + (1 << 16));
    let begin = play(&mut OneByOne(&mut gate), &stream, 0, &mut Ring::new());
    gate.now = gate.now.after(OVER);
    let (mut spent, mut longest, mut calls) = (Duration::ZERO, Duration::ZERO, 0_u32);
    let before = gate.engine.sessions().len();
    while !gate.engine.sessions().is_empty() {
        let start = Instant::now();
        gate.engine.expire(gate.now, &mut gate.out);
        let call = start.elapsed();
        gate.out.clear();
        spent += call;
        longest = longest.max(call);
        calls += 1;
        assert!(calls as usize <= before, "every call ends a session");
    }
    [
        begin.nanos,
        spent.as_nanos() as f64 / before as f64,
        f64::from(calls),
        longest.as_nanos() as f64,
    ]
}
