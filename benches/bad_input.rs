//! What packets cost that somebody sends to do harm, as a ratio to the usual
//! packet of their kind in the same round: it is to stay within four.
//!
//! * tuples that would all meet in one place of the table: chosen by one who
//!   does not know the key of the hash, and by one who does;
//! * all packets of one session;
//! * new sessions where the table is full, of those that never proved real;
//! * all sessions running out in one tick.
//!
//! `cargo bench --bench bad_input -- --rounds 9`. Packets that are refused for
//! what they are stand in `engine`, floods of a million sources in `flood`.

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

use yard::collisions;
use yard::gate::{Gate, OneByOne};
use yard::options::Options;
use yard::play::{Ring, Round, Stream, play};
use yard::rows::Row;
use yard::traffic::{Kind, Traffic};

/// Octets of each packet.
const LENGTH: usize = 64;

/// Sessions of those that collide: the search for them takes a while.
const COLLIDING: u32 = 1 << 10;

/// Their hashes are alike in so many bits: no larger table could keep so many
/// sessions apart.
const BITS: u32 = 13;

/// Sessions in all other tables.
const SESSIONS: u32 = 1 << 16;

/// Packets that are timed in a round.
const TIMED: usize = 1 << 16;

/// Longer than any session lives here.
const OVER: Duration = Duration::from_secs(6 * 24 * 3600);

fn main() {
    let options = Options::read(&["rounds"]);
    let rounds = options.number("rounds", 9);
    println!("ns a packet, ratio to the usual packet of that kind; medians of {rounds} rounds");
    let usual = || Traffic::new(Kind::Tcp, LENGTH);
    let colliding = |seed| usual().with_clients(collisions::clients(seed, COLLIDING, BITS));
    println!("\nestablished TCP, {COLLIDING} sessions, outward");
    compare(
        rounds,
        [
            (
                "usual",
                Live::new(usual(), COLLIDING, Traffic::fill_outward),
            ),
            (
                "collide under another key",
                Live::new(colliding(2), COLLIDING, Traffic::fill_outward),
            ),
            (
                "collide under the engine's key",
                Live::new(colliding(1), COLLIDING, Traffic::fill_outward),
            ),
        ],
        Live::play,
    );
    println!("\nestablished TCP, {SESSIONS} sessions");
    compare(
        rounds,
        [
            ("usual", Live::new(usual(), SESSIONS, Traffic::fill)),
            (
                "all packets of one session",
                Live::new(usual(), SESSIONS, Traffic::fill_from_one),
            ),
        ],
        Live::play,
    );
    println!("\nSYNs that begin a session, over {SESSIONS} half-open ones");
    let full = |when_full| format!("sessions = {SESSIONS}\nwhen-full = \"{when_full}\"");
    compare(
        rounds,
        [
            ("usual", Full("sessions = 16_777_216".to_owned(), TIMED)),
            (
                "the table is full, one is evicted",
                Full(full("evict-idle"), TIMED),
            ),
            ("the table is full, it is refused", Full(full("refuse"), 0)),
        ],
        Full::play,
    );
    println!("\n{SESSIONS} established sessions");
    compare(
        rounds,
        [
            ("a new session", Running::Begins),
            ("it runs out with all others", Running::Ends),
        ],
        Running::play,
    );
}

/// Plays all cases in turn, and prints each beside the first.
fn compare<C, const N: usize>(
    rounds: u32,
    cases: [(&'static str, C); N],
    mut play: impl FnMut(&mut C) -> Round,
) {
    let mut cases = cases.map(|(name, case)| (Row::new(name), case));
    for _ in 0..rounds {
        let mut first = None;
        for (row, case) in &mut cases {
            let round = play(case);
            row.add(&round, first.get_or_insert(round));
        }
    }
    for (row, _) in &mut cases {
        row.print();
    }
}

/// How packets are made.
type Fill = fn(&mut Traffic, &mut Stream, usize);

/// Sessions that live.
struct Live {
    gate: Gate,
    traffic: Traffic,
    fill: Fill,
    stream: Stream,
    ring: Ring,
}

impl Live {
    fn new(mut traffic: Traffic, sessions: u32, fill: Fill) -> Self {
        let mut gate = Gate::new("sessions = 16_777_216");
        traffic.establish(&mut gate, sessions, |_, _| {});
        Self {
            gate,
            traffic,
            fill,
            stream: Stream::of_length(LENGTH),
            ring: Ring::new(),
        }
    }

    fn play(&mut self) -> Round {
        (self.fill)(&mut self.traffic, &mut self.stream, 2 * TIMED);
        let round = play(
            &mut OneByOne(&mut self.gate),
            &self.stream,
            TIMED,
            &mut self.ring,
        );
        assert_eq!(round.forwarded, TIMED);
        round
    }
}

/// A table under these limits that holds half-open sessions, and how many SYNs
/// more find room.
struct Full(String, usize);

impl Full {
    fn play(&mut self) -> Round {
        let Self(limits, passing) = self;
        let mut gate = Gate::new(limits);
        let mut ring = Ring::new();
        let mut stream = Stream::of_length(LENGTH);
        let mut traffic = Traffic::new(Kind::Tcp, LENGTH);
        traffic.fill_beginning(&mut stream, 0..SESSIONS + TIMED as u32);
        let round = play(
            &mut OneByOne(&mut gate),
            &stream,
            SESSIONS as usize,
            &mut ring,
        );
        assert_eq!(round.forwarded, *passing);
        round
    }
}

/// What is timed of sessions that run out together.
#[derive(Clone, Copy)]
enum Running {
    Begins,
    Ends,
}

impl Running {
    fn play(&mut self) -> Round {
        let mut gate = Gate::new("sessions = 16_777_216");
        let mut traffic = Traffic::new(Kind::Tcp, LENGTH);
        traffic.establish(&mut gate, SESSIONS, |_, _| {});
        let mut stream = Stream::of_length(LENGTH);
        traffic.fill_beginning(&mut stream, SESSIONS..2 * SESSIONS);
        let begin = play(&mut OneByOne(&mut gate), &stream, 0, &mut Ring::new());
        match self {
            Self::Begins => begin,
            Self::Ends => {
                gate.now = gate.now.after(OVER);
                let start = Instant::now();
                while gate.engine.expire(gate.now, &mut gate.out).is_left() {
                    gate.out.clear();
                }
                let spent = start.elapsed().as_nanos() as f64;
                assert!(gate.engine.sessions().is_empty());
                Round {
                    nanos: spent / f64::from(2 * SESSIONS),
                    ..begin
                }
            }
        }
    }
}
