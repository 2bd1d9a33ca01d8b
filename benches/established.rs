//! The engine's cost for a packet of an established, translated, tracked TCP
//! session, beside the limit program's for the same packets in the same run.
//!
//! Packets have 64 octets from the IP header on, come in both directions and in
//! random order of sessions, and every one carries new data. Rounds of the
//! programs alternate, so that a machine whose speed drifts favours none; the
//! ratio is that of the round, and the median round counts.
//!
//! ```text
//! cargo bench --bench established
//! cargo bench --bench established -- --sizes 1k,64k,1m,10m --rounds 9
//! ```
//!
//! With `--count N --sessions M --program engine|batch|limit|single` it gives `N`
//! packets to one program and measures nothing: for a profiler that counts
//! (`docs/performance.md` has the command).

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a bench reads the clock, and fails loudly"
)]

mod limit;
mod yard;

use limit::{Batched, Limit, Single};
use yard::gate::{Gate, OneByOne, Together};
use yard::options::{Options, shown};
use yard::play::{self, Program, Ring, Stream, play};
use yard::rows::Row;
use yard::traffic::{Kind, Traffic};

/// Octets of each packet, from its IP header on.
const LENGTH: usize = 64;

/// Packets that are timed in a round.
const TIMED: u32 = 1 << 18;

fn main() {
    let options = Options::read(&["sizes", "rounds", "count", "sessions", "program"]);
    if options.text("count").is_some() {
        return count(&options);
    }
    let rounds = options.number("rounds", 9);
    println!(
        "established TCP, masqueraded, {LENGTH} octets a packet, both directions, random order"
    );
    println!("ns a packet; ratio to the limit program in batches; medians of {rounds} rounds");
    for sessions in options.numbers("sizes", "1k,64k,1m") {
        Bench::new(sessions).run(rounds);
    }
}

struct Bench {
    sessions: u32,
    gate: Gate,
    traffic: Traffic,
    limit: Limit,
    stream: Stream,
    ring: Ring,
}

impl Bench {
    fn new(sessions: u32) -> Self {
        let mut gate = Gate::new("sessions = 16_777_216");
        let mut traffic = Traffic::new(Kind::Tcp, LENGTH);
        let mut limit = Limit::for_sessions(sessions as usize);
        traffic.establish(&mut gate, sessions, |arrives, leaves| {
            limit.translate(arrives, leaves);
        });
        Self {
            sessions,
            gate,
            traffic,
            limit,
            stream: Stream::of_length(LENGTH),
            ring: Ring::new(),
        }
    }

    fn run(&mut self, rounds: u32) {
        self.check();
        // Every session's lines are where its traffic leaves them; so many that
        // no cache holds them need not all be seen.
        let warm = self.sessions.clamp(TIMED, 8 * TIMED) as usize;
        let mut rows = [
            Row::new("limit, batches of 32"),
            Row::new("limit, one by one"),
            Row::new("engine, one by one"),
            Row::new("engine, batches"),
        ];
        for _ in 0..rounds {
            self.traffic.fill(&mut self.stream, warm + TIMED as usize);
            let limit = &self.limit;
            let results = [
                play(&mut Batched(limit), &self.stream, warm, &mut self.ring),
                play(&mut Single(limit), &self.stream, warm, &mut self.ring),
                play(
                    &mut OneByOne(&mut self.gate),
                    &self.stream,
                    warm,
                    &mut self.ring,
                ),
                {
                    self.traffic.fill(&mut self.stream, warm + TIMED as usize);
                    let batch = &mut Together::new(&mut self.gate);
                    play(batch, &self.stream, warm, &mut self.ring)
                },
            ];
            for (row, result) in rows.iter_mut().zip(&results) {
                assert_eq!(result.forwarded, TIMED as usize, "every packet passes");
                row.add(result, &results[0]);
            }
        }
        let load = self.limit.load();
        println!(
            "\n{} sessions (the limit program's table is {load:.0} % full)",
            shown(self.sessions)
        );
        for row in &mut rows {
            row.print();
        }
    }

    /// All programs put out the same octets.
    fn check(&mut self) {
        for limit in [
            &mut Batched(&self.limit) as &mut dyn Program,
            &mut Single(&self.limit),
        ] {
            self.traffic.fill(&mut self.stream, 1 << 14);
            play::compare(limit, &mut OneByOne(&mut self.gate), &self.stream);
        }
    }
}

/// Gives packets to one program, for a profiler.
fn count(options: &Options) {
    let sessions = options.number("sessions", 1_000);
    let count = options.number("count", 10_000) as usize;
    let mut bench = Bench::new(sessions);
    bench.traffic.fill(&mut bench.stream, count);
    let (stream, ring) = (&bench.stream, &mut bench.ring);
    let program = options.text("program").unwrap_or("engine");
    let round = match program {
        "engine" => play(&mut OneByOne(&mut bench.gate), stream, 0, ring),
        "batch" => play(&mut Together::new(&mut bench.gate), stream, 0, ring),
        "limit" => play(&mut Batched(&bench.limit), stream, 0, ring),
        "single" => play(&mut Single(&bench.limit), stream, 0, ring),
        other => panic!("`{other}` is none of engine, batch, limit, single"),
    };
    assert_eq!(round.forwarded, count, "every packet passes");
    println!("{program}: {count} packets of {sessions} sessions");
}
