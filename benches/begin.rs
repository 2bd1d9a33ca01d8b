//! What a new session costs: a SYN that is let out, masqueraded and stored with
//! its timer, or a UDP request. A table is filled from nothing, by clients of
//! which each begins one session, in random order of addresses.
//!
//! The engine gets packets one by one, and in batches as the limit program does.
//!
//! Beside the mean the longest burst of 128 is told: where a table grows, the
//! packets behind wait. It includes what else the machine did meanwhile.
//!
//! ```text
//! cargo bench --bench begin
//! cargo bench --bench begin -- --sizes 1k,64k,1m,10m --rounds 5
//! ```
//!
//! With `--count N --program tcp|udp|tcp-batches|udp-batches|limit` it begins `N` sessions by one
//! program and measures nothing: for a profiler that counts.

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

use limit::{Beginning, Limit};
use yard::gate::{Gate, OneByOne, Together};
use yard::median;
use yard::options::{Options, shown};
use yard::play::{Program, Ring, Round, Stream, play};
use yard::traffic::{Kind, Traffic};

/// Octets of each packet: of a SYN without data.
const LENGTH: usize = 64;

fn main() {
    let options = Options::read(&["sizes", "rounds", "count", "program"]);
    if options.text("count").is_some() {
        return count(&options);
    }
    let rounds = options.number("rounds", 5);
    println!("new sessions, each of another client; medians of {rounds} rounds");
    println!("ns a session while a table fills from nothing; ratio to the limit program with SYNs");
    for sessions in options.numbers("sizes", "1k,64k,1m") {
        Bench::new(sessions).run(rounds);
    }
}

struct Bench {
    sessions: u32,
    ring: Ring,
}

/// What filling a table showed, round by round.
#[derive(Default)]
struct Figures {
    nanos: Vec<f64>,
    ratios: Vec<f64>,
    longest: Vec<f64>,
}

impl Bench {
    fn new(sessions: u32) -> Self {
        Self {
            sessions,
            ring: Ring::new(),
        }
    }

    fn run(&mut self, rounds: u32) {
        let names = [
            "limit program, batches",
            "TCP, batches",
            "TCP, one by one",
            "UDP, batches",
            "UDP, one by one",
        ];
        let mut rows = names.map(|name| (name, Figures::default()));
        // A small table is filled again and again, so that a round lasts.
        let again = ((1 << 16) / self.sessions).max(1);
        let [tcp, udp] = [Kind::Tcp, Kind::Udp].map(|kind| beginnings(kind, self.sessions));
        for _ in 0..rounds {
            let mut fillings: [Filling; 5] = Default::default();
            for _ in 0..again {
                let mut limit = Limit::for_sessions(self.sessions as usize);
                fillings[0].add(&self.fill(&mut Beginning(&mut limit), &tcp));
                for (kind, stream) in [(1, &tcp), (3, &udp)] {
                    fillings[kind].add(&self.fill(&mut Together::new(&mut gate()), stream));
                    fillings[kind + 1].add(&self.fill(&mut OneByOne(&mut gate()), stream));
                }
            }
            let least = fillings[0].nanos();
            for ((_, figures), filling) in rows.iter_mut().zip(&fillings) {
                figures.nanos.push(filling.nanos());
                figures.ratios.push(filling.nanos() / least);
                figures.longest.push(filling.longest);
            }
        }
        println!("\n0 to {} sessions", shown(self.sessions));
        for (name, figures) in &mut rows {
            let nanos = median(&mut figures.nanos);
            let (ratio, longest) = (median(&mut figures.ratios), median(&mut figures.longest));
            let longest = longest / 1e6;
            println!(
                "  {name:<24} {nanos:>8.1} ns  {ratio:>6.2}   longest burst {longest:>8.3} ms"
            );
        }
    }

    fn fill(&mut self, program: &mut impl Program, stream: &Stream) -> Round {
        let round = play(program, stream, 0, &mut self.ring);
        assert_eq!(round.forwarded, stream.len(), "every session begins");
        round
    }
}

/// The first packets of so many sessions.
fn beginnings(kind: Kind, sessions: u32) -> Stream {
    let mut stream = Stream::of_length(LENGTH);
    Traffic::new(kind, LENGTH).fill_beginning(&mut stream, 0..sessions);
    stream.shuffle();
    stream
}

/// Begins sessions by one program, for a profiler.
fn count(options: &Options) {
    let mut bench = Bench::new(options.number("count", 10_000));
    let tcp = beginnings(Kind::Tcp, bench.sessions);
    let program = options.text("program").unwrap_or("tcp");
    match program {
        "tcp" => bench.fill(&mut OneByOne(&mut gate()), &tcp),
        "tcp-batches" => bench.fill(&mut Together::new(&mut gate()), &tcp),
        "udp" | "udp-batches" => {
            let udp = beginnings(Kind::Udp, bench.sessions);
            match program {
                "udp" => bench.fill(&mut OneByOne(&mut gate()), &udp),
                _ => bench.fill(&mut Together::new(&mut gate()), &udp),
            }
        }
        "limit" => {
            let mut limit = Limit::for_sessions(bench.sessions as usize);
            bench.fill(&mut Beginning(&mut limit), &tcp)
        }
        other => panic!("`{other}` is none of tcp, udp, tcp-batches, udp-batches, limit"),
    };
    println!("{program}: {} sessions began", bench.sessions);
}

fn gate() -> Gate {
    Gate::new("sessions = 16_777_216")
}

/// Several fillings of a table.
#[derive(Default)]
struct Filling {
    sum: f64,
    times: u32,
    longest: f64,
}

impl Filling {
    fn add(&mut self, round: &Round) {
        self.sum += round.with_all;
        self.times += 1;
        self.longest = self.longest.max(round.longest);
    }

    fn nanos(&self) -> f64 {
        self.sum / f64::from(self.times)
    }
}
