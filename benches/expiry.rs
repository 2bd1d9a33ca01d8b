//! What it costs when a million sessions run out in one tick: nanoseconds a
//! session, how many calls it takes, and the longest of them; and what packets cost
//! meanwhile, as a ratio to those of the same kind before: it is to stay within four.
//! A call is one of `Engine::expire`.
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
use yard::play::{Ring, Round, Stream, play};
use yard::traffic::{Kind, Traffic};

/// Octets of each packet.
const LENGTH: usize = 64;

/// So long before the others end those sessions begin that live on; and they live for
/// longer than this after what they say next, which nobody acknowledges.
const BEFORE: Duration = Duration::from_secs(10);
const AND_AFTER: Duration = Duration::from_secs(20);

/// Sessions that live on.
const LIVING: u32 = 1 << 16;

/// Packets that are timed, or new sessions.
const TIMED: usize = 1 << 16;

fn main() {
    let options = Options::read(&["sessions", "rounds"]);
    let sessions = options.number("sessions", 1 << 20);
    let rounds = options.number("rounds", 5);
    println!(
        "{} sessions run out together; medians of {rounds} rounds",
        shown(sessions)
    );
    for kind in [Kind::Tcp, Kind::Udp] {
        let mut all: Vec<RunningOut> = Vec::new();
        for _ in 0..rounds {
            all.push(run_out(kind, sessions));
        }
        let figure =
            |of: fn(&RunningOut) -> f64| median(&mut all.iter().map(of).collect::<Vec<_>>());
        let name = match kind {
            Kind::Udp => "UDP, answered",
            Kind::Tcp | Kind::TcpV6 => "TCP, established",
        };
        println!("\n{name}");
        println!(
            "  a session that runs out       {:>9.1} ns   {:>6.2} of a new one",
            figure(|one| one.nanos),
            figure(|one| one.nanos / one.begin.before.nanos)
        );
        println!(
            "  calls                         {:>9}",
            figure(|one| one.calls.len() as f64)
        );
        println!(
            "  a call                        {:>9.3} ms, one of a hundred {:.3} ms, longest {:.3} ms",
            figure(|one| one.call(2)) / 1e6,
            figure(|one| one.call(100)) / 1e6,
            figure(|one| one.call(u32::MAX)) / 1e6
        );
        let print = |what, of: fn(&RunningOut) -> &Beside| {
            let mut ratios: Vec<_> = all.iter().map(|one| of(one).ratio()).collect();
            let middle = |of: &dyn Fn(&RunningOut) -> f64| {
                median(&mut all.iter().map(of).collect::<Vec<_>>())
            };
            println!(
                "  {what:<22} meanwhile {:>7.1} ns   {:>6.2} of one before ({:.1} ns); longest burst {:.3} ms",
                middle(&|one| of(one).meanwhile.with_all),
                median(&mut ratios),
                middle(&|one| of(one).before.with_all),
                middle(&|one| of(one).meanwhile.longest) / 1e6,
            );
        };
        print("a packet", |one| &one.packet);
        print("a new session", |one| &one.begin);
    }
}

/// What is timed of sessions that run out together.
struct RunningOut {
    /// Nanoseconds a session.
    nanos: f64,
    /// Nanoseconds of the calls until all have ended, the longest last.
    calls: Vec<f64>,
    packet: Beside,
    begin: Beside,
}

impl RunningOut {
    /// What one call of so many takes longer than, or as long as.
    fn call(&self, of: u32) -> f64 {
        let place = self.calls.len() - 1 - self.calls.len() / of as usize;
        self.calls[place]
    }
}

/// The same before sessions run out, and while they do.
struct Beside {
    before: Round,
    meanwhile: Round,
}

impl Beside {
    fn ratio(&self) -> f64 {
        self.meanwhile.with_all / self.before.with_all
    }
}

fn run_out(kind: Kind, sessions: u32) -> RunningOut {
    // How long a session of this kind lives here.
    let lifetime = match kind {
        Kind::Tcp | Kind::TcpV6 => Duration::from_secs(5 * 24 * 3600),
        Kind::Udp => Duration::from_secs(30),
    };
    let mut gate = Gate::new("sessions = 16_777_216");
    let mut table = Table {
        traffic: Traffic::new(kind, LENGTH),
        stream: Stream::of_length(LENGTH),
        ring: Ring::new(),
        idle: sessions,
        begun: sessions + LIVING,
    };
    table.traffic.establish(&mut gate, sessions, |_, _| {});
    gate.now = gate.now.after(lifetime - BEFORE);
    table.traffic.establish(&mut gate, LIVING, |_, _| {});
    let packet_before = table.packets(&mut gate);
    let begin_before = table.begins(&mut gate);
    gate.now = gate.now.after(AND_AFTER);
    let packet = Beside {
        before: packet_before,
        meanwhile: table.packets(&mut gate),
    };
    let begin = Beside {
        before: begin_before,
        meanwhile: table.begins(&mut gate),
    };
    let before = gate.engine.sessions().len();
    assert!(before > sessions as usize / 2, "most are still there");
    let mut calls = Vec::new();
    loop {
        let start = Instant::now();
        let left = gate.engine.expire(gate.now, &mut gate.out);
        calls.push(start.elapsed().as_nanos() as f64);
        gate.out.clear();
        if !left.is_left() {
            break;
        }
    }
    let ended = before - gate.engine.sessions().len();
    assert!(ended > sessions as usize / 2, "they ran out");
    calls.sort_by(f64::total_cmp);
    RunningOut {
        nanos: calls.iter().sum::<f64>() / ended as f64,
        calls,
        packet,
        begin,
    }
}

/// Sessions of which the first are idle.
struct Table {
    traffic: Traffic,
    stream: Stream,
    ring: Ring,
    idle: u32,
    /// How many have begun.
    begun: u32,
}

impl Table {
    /// Packets of those that are not idle.
    fn packets(&mut self, gate: &mut Gate) -> Round {
        self.traffic
            .fill_from(&mut self.stream, 2 * TIMED, self.idle);
        self.play(gate, TIMED)
    }

    /// New sessions.
    fn begins(&mut self, gate: &mut Gate) -> Round {
        let from = self.begun;
        self.begun += TIMED as u32;
        self.traffic
            .fill_beginning(&mut self.stream, from..self.begun);
        self.play(gate, 0)
    }

    fn play(&mut self, gate: &mut Gate, warm: usize) -> Round {
        let round = play(&mut OneByOne(gate), &self.stream, warm, &mut self.ring);
        assert_eq!(round.forwarded, TIMED);
        round
    }
}
