//! The engine's cost for a packet of an established, translated TCP session,
//! over 1, 1 000 and 100 000 sessions in random order.
//!
//! Printed as a ratio to the least that any session device must do with the
//! same packets in the same run: verify the checksums, read the tuple, look it
//! up once in a hash table, rewrite address and port with incremental
//! checksums. Rounds of both alternate, so that a machine whose speed drifts
//! does not favour either; the median round counts.
//!
//! `cargo bench --bench established`

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a bench reads the clock, and fails loudly"
)]

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use etherparse::PacketBuilder;
use spigate::config;
use spigate::engine::{Arrival, Checksums, Engine, Options, Output, Silent, Verdict};
use spigate::net::{Direction, Timestamp, Tuple, ZoneId};
use spigate::packet::{Headers, decrement_ttl, translate};

const RULES: &str = r#"
version = 1
[zones]
lan = { net = ["10.0.0.0/8"] }
wan = { net = ["0.0.0.0/0"], address = ["203.0.113.2"] }
[policy]
default = "drop"
rules = [{ id = "out", from = "lan", to = "wan", action = "allow" }]
[nat]
source = [{ id = "masq", from = "lan", to = "wan", as = "masquerade" }]
"#;

const LAN: Arrival = Arrival::whole(ZoneId(0));
const WAN: Arrival = Arrival::whole(ZoneId(1));
const PACKETS_A_ROUND: usize = 200_000;
const ROUNDS: usize = 9;

fn main() {
    println!("established TCP, masqueraded, 40 octets a packet, random order of sessions");
    println!(
        "{:>9}  {:>12}  {:>12}  {:>6}",
        "sessions", "engine ns", "limit ns", "ratio"
    );
    for sessions in [1, 1_000, 100_000] {
        let mut bench = Bench::new(sessions);
        let (mut engine, mut limit, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let (ours, least) = (bench.engine_round(), bench.limit_round());
            engine.push(ours);
            limit.push(least);
            ratios.push(ours / least);
        }
        println!(
            "{sessions:>9}  {:>12.1}  {:>12.1}  {:>6.2}",
            median(&mut engine),
            median(&mut limit),
            median(&mut ratios)
        );
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

struct Bench {
    engine: Engine,
    now: Timestamp,
    /// A data-less ACK of each session, as it arrives from the inside.
    frames: Vec<Vec<u8>>,
    order: Vec<usize>,
    table: HashMap<Tuple, Tuple>,
}

impl Bench {
    fn new(sessions: u32) -> Self {
        let compiled =
            config::compile(Path::new("bench.toml"), RULES).expect("the rules are right");
        let options = Options {
            seed: 1,
            checksums: Checksums::Verify,
        };
        let now = Timestamp::from_secs(1_000);
        let mut engine = Engine::new(Arc::new(compiled.policy), options, now);
        let mut out = Output::default();
        let mut frames = Vec::new();
        for n in 0..sessions {
            let (client, port) = ([10, 1, (n >> 8) as u8, n as u8], 10_000 + (n >> 16) as u16);
            // Another server for each 250 clients, so that ports are free.
            let server = [198, 51, ((n / 250) >> 8) as u8, (n / 250) as u8];
            let out_ward =
                |flags: fn(
                    etherparse::PacketBuilderStep<etherparse::TcpHeader>,
                )
                    -> etherparse::PacketBuilderStep<etherparse::TcpHeader>| {
                    let packet = PacketBuilder::ipv4(client, server, 64).tcp(port, 443, 1, 512);
                    write(flags(packet))
                };
            let mut syn = out_ward(etherparse::PacketBuilderStep::syn);
            let judged = engine.packet(now, LAN, &mut syn, &mut out, &mut Silent);
            assert!(matches!(judged.verdict, Verdict::Forward(_)), "{judged:?}");
            let left = Headers::read(&syn, false)
                .expect("ours")
                .tuple()
                .expect("TCP");
            let answer = PacketBuilder::ipv4(server, [203, 0, 113, 2], 64);
            let mut answer = write(answer.tcp(443, left.source.port.0, 1, 512).syn().ack(2));
            engine.packet(now, WAN, &mut answer, &mut out, &mut Silent);
            out.clear();
            frames.push(out_ward(|packet| packet.ack(2)));
        }
        let mut order: Vec<usize> = (0..PACKETS_A_ROUND).map(|n| n % frames.len()).collect();
        shuffle(&mut order);
        let table = engine
            .sessions()
            .sorted()
            .into_iter()
            .map(|s| {
                (
                    s.origin.tuples.original,
                    s.origin.outgoing(Direction::Original),
                )
            })
            .collect();
        Self {
            engine,
            now,
            frames,
            order,
            table,
        }
    }

    /// Nanoseconds a packet through the whole engine.
    fn engine_round(&mut self) -> f64 {
        let mut out = Output::default();
        let mut frame = Vec::with_capacity(2048);
        let mut forwarded = 0;
        let start = Instant::now();
        for index in &self.order {
            frame.clear();
            frame.extend_from_slice(&self.frames[*index]);
            let judged = self
                .engine
                .packet(self.now, LAN, &mut frame, &mut out, &mut Silent);
            forwarded += usize::from(matches!(judged.verdict, Verdict::Forward(_)));
            std::hint::black_box(&frame);
        }
        let nanos = start.elapsed().as_nanos() as f64;
        assert_eq!(forwarded, self.order.len());
        nanos / self.order.len() as f64
    }

    /// Nanoseconds a packet for the least that must be done.
    fn limit_round(&mut self) -> f64 {
        let mut frame = Vec::with_capacity(2048);
        let start = Instant::now();
        for index in &self.order {
            frame.clear();
            frame.extend_from_slice(&self.frames[*index]);
            let headers = Headers::read(&frame, false).expect("ours");
            headers.verify_checksums(&frame).expect("ours");
            let leaves = self.table[&headers.tuple().expect("TCP")];
            translate(&mut frame, &headers, &leaves);
            decrement_ttl(&mut frame, &headers);
            std::hint::black_box(&frame);
        }
        start.elapsed().as_nanos() as f64 / self.order.len() as f64
    }
}

fn write(packet: etherparse::PacketBuilderStep<etherparse::TcpHeader>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(packet.size(0));
    packet.write(&mut bytes, &[]).expect("fits");
    bytes
}

/// Fisher and Yates, by a fixed linear congruence: the same order every run.
fn shuffle(order: &mut [usize]) {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for last in (1..order.len()).rev() {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        order.swap(last, (state >> 33) as usize % (last + 1));
    }
}
