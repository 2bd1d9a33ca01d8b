//! What a new translated session costs as one public address fills: with 0, 50,
//! 90 and 99 % of its ports in use, for mappings that are endpoint-independent
//! (every one needs a port that nobody has) and for conntrack's way (a port
//! that nobody has towards this server). Each new session ends before the next
//! begins, so that the use stays where it is.
//!
//! Printed in nanoseconds and as a ratio to the empty address in the same run;
//! then the memory of a mapping, and what ten million sessions that came and
//! went have left behind.
//!
//! `cargo bench --bench mappings`

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a bench reads the clock, and fails loudly"
)]

#[path = "../tests/flood/allocations.rs"]
mod allocations;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use allocations::live_octets;
use etherparse::PacketBuilder;
use spigate::config;
use spigate::engine::{Arrival, Checksums, Engine, Options, Output, Silent, Verdict};
use spigate::net::{Timestamp, ZoneId};

/// The ports of one address that clients get: those above 1023.
const PORTS: u32 = 64_512;
const SESSIONS_A_ROUND: u32 = 2_000;
const ROUNDS: usize = 9;
const CYCLES: u32 = 10_000_000;
/// Longer than a session that nobody answers lives.
const OVER: Duration = Duration::from_secs(31);
const LAN: Arrival = Arrival::whole(ZoneId(0));
const SERVER: [u8; 4] = [198, 51, 100, 9];

fn main() {
    for mapping in ["endpoint-independent", "address-and-port-dependent"] {
        println!("new UDP sessions, mapping {mapping}, one address, one server");
        println!("{:>7}  {:>9}  {:>6}", "in use", "ns", "ratio");
        let mut empty = None;
        for percent in [0, 50, 90, 99] {
            let nanos = Gate::new(mapping, percent).cost();
            let ratio = nanos / *empty.get_or_insert(nanos);
            println!("{percent:>5} %  {nanos:>9.1}  {ratio:>6.2}");
        }
        let nanos = Gate::new(mapping, 100).cost_of_none();
        let ratio = nanos / empty.unwrap_or(nanos);
        println!("   none  {nanos:>9.1}  {ratio:>6.2}   is left: it is refused");
        println!();
    }
    memory();
    come_and_go();
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What a session with a mapping of its own takes, and one without translation.
fn memory() {
    let octets = |mapping: &str| {
        let mut gate = Gate::new(mapping, 0);
        let before = live_octets();
        gate.fill(PORTS / 2);
        (live_octets() - before) as f64 / f64::from(PORTS / 2)
    };
    let none = octets("none");
    println!("memory, {} sessions, octets for each", PORTS / 2);
    println!("  not translated              {none:>7.1}");
    for mapping in ["address-and-port-dependent", "endpoint-independent"] {
        let all = octets(mapping);
        println!("  {mapping:<26}  {all:>7.1}   {:>+7.1}", all - none);
    }
    println!();
}

/// Sessions begin, and end by their time, again and again: nothing of them
/// stays. A table keeps places of what it lost, and a part of it that chance fills is
/// divided: from the middle on that is far less than an octet for each that came.
fn come_and_go() {
    const AT_ONCE: u32 = 50_000;
    let mut gate = Gate::new("endpoint-independent", 0);
    let rounds = CYCLES / AT_ONCE;
    // Made beforehand: what it takes is counted too.
    let mut memory = Vec::with_capacity(rounds as usize);
    let start = Instant::now();
    for round in 0..rounds {
        // Other clients every time, so that no mapping is anybody's for long.
        for n in 0..AT_ONCE {
            assert!(gate.begins(round * AT_ONCE + n), "no port for {n}");
        }
        gate.pass(OVER);
        assert_eq!(gate.engine.sessions().len(), 0);
        assert_eq!(gate.engine.sessions().mappings().in_use(), 0);
        memory.push(live_octets());
    }
    let nanos = start.elapsed().as_nanos() as f64 / f64::from(CYCLES);
    println!("{CYCLES} sessions came and went, {AT_ONCE} at once, {nanos:.1} ns each");
    println!("  public endpoints in use in the end: 0; octets in use after");
    let mut last = 0;
    for (round, octets) in memory.iter().enumerate() {
        if *octets != last {
            println!("  {:>10}  {octets:>10}", (round as u32 + 1) * AT_ONCE);
            last = *octets;
        }
    }
    let came = i64::from(CYCLES / 2);
    let more = last as i64 - memory[memory.len() / 2] as i64;
    println!("  since the middle {more} octets more, for {came} sessions");
    assert!(more < came, "something stays behind of each");
}

/// A gateway with one public address.
struct Gate {
    engine: Engine,
    now: Timestamp,
    out: Output,
    frame: Vec<u8>,
    template: Vec<u8>,
    /// Sessions that were there before.
    filled: u32,
    /// The number of the next client.
    next: u32,
}

impl Gate {
    fn new(mapping: &str, percent: u32) -> Self {
        let row = match mapping {
            "none" => r#"as = "none""#.to_owned(),
            _ => format!(
                r#"as = "masquerade", port-order = "random", ports = "1024-65535", mapping = "{mapping}""#
            ),
        };
        let rules = format!(
            r#"
version = 1
[zones]
lan = {{ net = ["10.0.0.0/8"] }}
wan = {{ net = ["0.0.0.0/0"], address = ["203.0.113.2"] }}
[policy]
default = "drop"
rules = [{{ id = "out", from = "lan", to = "wan", action = "allow" }}]
[nat]
source = [{{ id = "masq", from = "lan", to = "wan", {row} }}]
"#
        );
        let compiled = config::compile(Path::new("bench.toml"), &rules)
            .unwrap_or_else(|report| panic!("{report}"));
        let options = Options {
            seed: 1,
            checksums: Checksums::Ignore,
        };
        let now = Timestamp::from_secs(1_000);
        let mut template = Vec::new();
        let packet = PacketBuilder::ipv4([10, 0, 0, 0], SERVER, 64).udp(5000, 53);
        packet.write(&mut template, &[]).expect("it fits");
        let mut gate = Self {
            engine: Engine::new(Arc::new(compiled.policy), options, now),
            now,
            out: Output::default(),
            frame: Vec::new(),
            template,
            filled: 0,
            next: 0,
        };
        gate.fill(PORTS * percent / 100);
        gate
    }

    fn fill(&mut self, count: u32) {
        for _ in 0..count {
            let n = self.next();
            assert!(self.begins(n), "no port for {n}");
        }
        self.filled += count;
    }

    fn next(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    /// Whether this client's packet leaves.
    fn begins(&mut self, client: u32) -> bool {
        self.frame.clear();
        self.frame.extend_from_slice(&self.template);
        // 10/8 has sixteen million clients.
        self.frame[13..16].copy_from_slice(&client.to_be_bytes()[1..]);
        let judged = self
            .engine
            .packet(self.now, LAN, &mut self.frame, &mut self.out, &mut Silent);
        self.out.clear();
        matches!(judged.verdict, Verdict::Forward(_))
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now.after(time);
        while self.engine.expire(self.now, &mut self.out).is_left() {}
        self.out.clear();
    }

    /// Nanoseconds for one that gets no port.
    fn cost_of_none(&mut self) -> f64 {
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            let start = Instant::now();
            for _ in 0..SESSIONS_A_ROUND {
                let n = self.next();
                assert!(!self.begins(n), "a port for {n}");
            }
            let spent = start.elapsed().as_nanos() as f64;
            rounds.push(spent / f64::from(SESSIONS_A_ROUND));
        }
        median(&mut rounds)
    }

    /// Nanoseconds for a new session.
    fn cost(&mut self) -> f64 {
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            let mut spent = Duration::ZERO;
            // Where few ports are left, few sessions can begin at once.
            let at_once = (PORTS - self.filled).min(SESSIONS_A_ROUND) / 4;
            for _ in 0..SESSIONS_A_ROUND / at_once {
                // Those that are new end before those that fill the address.
                self.pass(OVER / 3);
                for n in 0..self.filled {
                    assert!(self.begins(n + 1));
                }
                self.pass(OVER / 3 * 2);
                for n in 0..self.filled {
                    assert!(self.begins(n + 1));
                }
                assert_eq!(self.engine.sessions().len(), self.filled as usize);
                let start = Instant::now();
                for _ in 0..at_once {
                    let n = self.next();
                    assert!(self.begins(n), "no port for {n}");
                }
                spent += start.elapsed();
            }
            let sessions = SESSIONS_A_ROUND / at_once * at_once;
            rounds.push(spent.as_nanos() as f64 / f64::from(sessions));
        }
        median(&mut rounds)
    }
}
