//! What it costs that packets come to the wrong worker.
//!
//! Workers take turns in one thread, each with 128 packets at a time: a figure is the
//! processor time of all of them for a packet, whatever number of processors they would
//! have. Some of the packets are of sessions of another worker: those lie in its inbox until its
//! turn comes, as in the gateway. All are clients' packets: nobody acknowledges what still lies in an
//! inbox. The first row is an engine that works alone; ratios
//! are to it, in the same round.
//!
//! ```text
//! cargo bench --bench crew
//! cargo bench --bench crew -- --sessions 64k --workers 1,2,8,32 --percent 0,10,50 --rounds 9
//! ```

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

use crossbeam_queue::ArrayQueue;
use spigate::engine::{Handed, Silent, Verdict, Waiting};
use spigate::net::Workers;

use yard::gate::{A_PACKET, Gate, Side};
use yard::median;
use yard::options::{Options, shown};
use yard::play::Stream;
use yard::traffic::{Kind, Traffic};

/// Octets of each packet, from its IP header on.
const LENGTH: usize = 64;
/// Packets of a turn.
const TURN: usize = 128;
/// Turns of a round.
const TURNS: usize = 2048;
/// How much an inbox takes.
const INBOX: usize = 4096;

fn main() {
    let options = Options::read(&["sessions", "workers", "percent", "rounds"]);
    let sessions = options.number("sessions", 64 << 10);
    let rounds = options.number("rounds", 9);
    println!(
        "established TCP, masqueraded, {LENGTH} octets a packet, {} sessions",
        shown(sessions)
    );
    println!(
        "ns a packet of all workers together; ratio to an engine alone; medians of {rounds} rounds"
    );
    let mut alone = Shop::new(vec![Gate::new("sessions = 16_777_216")], sessions);
    let mut shops = Vec::new();
    for workers in options.numbers("workers", "1,2,8,32") {
        let count = u8::try_from(workers).ok().and_then(Workers::new);
        let count = count.unwrap_or_else(|| panic!("{workers} workers are too many"));
        let crew = Gate::crew("sessions = 16_777_216", count);
        shops.push(Shop::new(crew, sessions));
    }
    let percents = options.numbers("percent", "0,10,50");
    let mut nanos = Vec::new();
    let mut rows: Vec<(usize, u32, Vec<f64>, Vec<f64>)> = Vec::new();
    for round in 0..rounds {
        let base = alone.round(0);
        nanos.push(base);
        let mut row = 0;
        for shop in &mut shops {
            for percent in &percents {
                if shop.gates.len() == 1 && *percent > 0 {
                    continue;
                }
                let one = shop.round(*percent);
                if round == 0 {
                    rows.push((shop.gates.len(), *percent, Vec::new(), Vec::new()));
                }
                rows[row].2.push(one);
                rows[row].3.push(one / base);
                row += 1;
            }
        }
    }
    println!(
        "\n  {:<34} {:>9.1} ns  {:>7.2}",
        "an engine alone",
        median(&mut nanos),
        1.0
    );
    for (workers, percent, nanos, ratios) in &mut rows {
        let name = format!("workers {workers}, handed over {percent} %");
        println!(
            "  {name:<34} {:>9.1} ns  {:>7.2}",
            median(nanos),
            median(ratios)
        );
    }
}

/// Workers with their inboxes.
struct Shop {
    gates: Vec<Gate>,
    inboxes: Vec<ArrayQueue<Waiting>>,
    /// Buffers that come back.
    spares: Vec<Vec<u8>>,
    traffic: Traffic,
    stream: Stream,
    sessions: u32,
    batch: Vec<Waiting>,
}

impl Shop {
    fn new(mut gates: Vec<Gate>, sessions: u32) -> Self {
        let mut traffic = Traffic::new(Kind::Tcp, LENGTH);
        // A session is its worker's who sees it begin.
        for n in 0..sessions as usize {
            let workers = gates.len();
            traffic.establish(&mut gates[n % workers], 1, |_, _| {});
        }
        Self {
            inboxes: gates.iter().map(|_| ArrayQueue::new(INBOX)).collect(),
            gates,
            spares: Vec::new(),
            traffic,
            stream: Stream::of_length(LENGTH),
            sessions,
            batch: Vec::new(),
        }
    }

    /// Nanoseconds a packet, of which so many are handed over.
    fn round(&mut self, percent: u32) -> f64 {
        let workers = self.gates.len() as u32;
        let mut packet = 0;
        let each = self.sessions / workers;
        self.traffic
            .fill_by(&mut self.stream, TURN * TURNS, |random| {
                let own = (packet / TURN as u32) % workers;
                packet += 1;
                let owner = match random.below(100) < percent {
                    // Any of the others.
                    true => (own + 1 + random.below(workers - 1)) % workers,
                    false => own,
                };
                owner + workers * random.below(each)
            });
        let mut spent = Duration::ZERO;
        let (mut forwarded, mut handed) = (0, 0);
        let stream = std::mem::replace(&mut self.stream, Stream::of_length(LENGTH));
        let packets: Vec<(Side, &[u8])> = stream.packets().collect();
        let now = self.gates.iter().map(|gate| gate.now).max().unwrap();
        for (turn, packets) in packets.chunks(TURN).enumerate() {
            let worker = turn % self.gates.len();
            let at = now.after(A_PACKET * (turn * TURN) as u32);
            for (side, octets) in packets {
                let mut frame = self.spares.pop().unwrap_or_else(|| Vec::with_capacity(256));
                frame.clear();
                frame.extend_from_slice(octets);
                self.batch.push(Waiting {
                    at,
                    arrival: side.arrival(),
                    frame,
                    headroom: 0,
                    handed: Handed::NOT,
                });
            }
            self.gates[worker].now = at;
            let start = Instant::now();
            let done = self.turn(worker, &mut handed);
            spent += start.elapsed();
            forwarded += done;
        }
        self.stream = stream;
        // What the last turns have left.
        for worker in 0..self.gates.len() {
            let start = Instant::now();
            forwarded += self.turn(worker, &mut handed);
            spent += start.elapsed();
        }
        assert_eq!(forwarded, TURN * TURNS, "every packet passes");
        let wanted = f64::from(percent) / 100.0;
        let seen = handed as f64 / (TURN * TURNS) as f64;
        assert!(
            (seen - wanted).abs() < 0.01,
            "{handed} packets were handed over"
        );
        spent.as_nanos() as f64 / (TURN * TURNS) as f64
    }

    /// What a worker does with the packets of a burst, and with those in its inbox.
    #[inline(never)]
    fn turn(&mut self, worker: usize, handed: &mut usize) -> usize {
        let Self {
            gates,
            inboxes,
            batch,
            spares,
            ..
        } = self;
        let Gate {
            engine, out, now, ..
        } = &mut gates[worker];
        let mut forwarded = 0;
        for came in 0..2 {
            if came == 1 {
                while let Some(mut waiting) = inboxes[worker].pop() {
                    waiting.at = *now;
                    batch.push(waiting);
                }
            }
            engine.packets(batch, out, &mut Silent, |waiting, judged, _| {
                match judged.verdict {
                    Verdict::Forward(_) => forwarded += 1,
                    Verdict::Elsewhere(other) => {
                        *handed += 1;
                        let spare = Waiting {
                            at: waiting.at,
                            arrival: waiting.arrival,
                            frame: spares.pop().unwrap_or_default(),
                            headroom: 0,
                            handed: Handed::NOT,
                        };
                        let packet = std::mem::replace(waiting, spare);
                        let lost = inboxes[usize::from(other.0)].push(packet);
                        assert!(lost.is_ok(), "an inbox is full");
                    }
                    _ => panic!("{judged:?}"),
                }
            });
            spares.extend(batch.drain(..).map(|waiting| waiting.frame));
        }
        forwarded
    }
}
