//! What the engine costs for packets of other kinds than `established` has:
//! UDP, IPv6, super-segments, packets that are refused. Each beside a packet
//! of an established TCP session in the same round, and beside the limit
//! program for that packet.
//!
//! ```text
//! cargo bench --bench engine
//! cargo bench --bench engine -- --sessions 64k --rounds 9
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

mod limit;
mod yard;

use limit::{Batched, Limit};
use spigate::engine::Reason;
use spigate::packet::Checksum;
use yard::gate::{Gate, OneByOne};
use yard::options::{Options, shown};
use yard::play::{Ring, Stream, play};
use yard::rows::Row;
use yard::traffic::{Kind, Traffic};

/// Octets of each packet, from its IP header on.
const LENGTH: usize = 64;

/// A super-segment: 45 segments of an Ethernet, under one header.
const SUPER: usize = 40 + 45 * 1448;

/// Packets that are timed in a round.
const TIMED: usize = 1 << 17;

fn main() {
    let options = Options::read(&["sessions", "rounds"]);
    let sessions = options.number("sessions", 64 << 10);
    let rounds = options.number("rounds", 9);
    println!(
        "the engine, one packet at a time, {} sessions, random order",
        shown(sessions)
    );
    println!(
        "ns a packet; medians of {rounds} rounds; ratio to an established TCP packet over IPv4\n"
    );
    let mut limit = Limit::for_sessions(sessions as usize);
    let mut cases = Case::all(sessions, &mut limit);
    let mut least = Row::new("limit program, batches of 32");
    for case in &mut cases {
        case.check();
    }
    for _ in 0..rounds {
        let (usual, others) = cases.split_first_mut().expect("at least the usual one");
        let round = usual.play();
        usual.row.add(&round, &round);
        let lines = play(
            &mut Batched(&limit),
            &usual.stream,
            usual.warm,
            &mut usual.ring,
        );
        least.add(&lines, &round);
        for case in others {
            let other = case.play();
            case.row.add(&other, &round);
        }
    }
    for case in &mut cases {
        case.row.print();
    }
    least.print();
}

/// How the packets of a case are made.
type Fill = fn(&mut Traffic, &mut Stream, usize);

struct Case {
    row: Row,
    gate: Gate,
    traffic: Traffic,
    fill: Fill,
    reason: Reason,
    stream: Stream,
    ring: Ring,
    warm: usize,
    timed: usize,
}

impl Case {
    fn all(sessions: u32, limit: &mut Limit) -> Vec<Self> {
        let tcp = || Traffic::new(Kind::Tcp, LENGTH);
        let of = |kind| Traffic::new(kind, LENGTH);
        let mut usual = Self::new(
            "TCP over IPv4, translated",
            tcp(),
            Traffic::fill,
            Reason::Session,
        );
        usual
            .traffic
            .establish(&mut usual.gate, sessions, |arrives, leaves| {
                limit.translate(arrives, leaves);
            });
        let segments = Traffic::new(Kind::Tcp, SUPER).with_partial_checksums();
        let mut others = [
            Self::new(
                "UDP over IPv4, translated",
                of(Kind::Udp),
                Traffic::fill,
                Reason::Session,
            ),
            Self::new(
                "TCP over IPv6, as it is",
                of(Kind::TcpV6),
                Traffic::fill,
                Reason::Session,
            ),
            Self::new(
                "TCP out of window",
                tcp(),
                Traffic::fill_out_of_window,
                Reason::TcpOutOfWindow,
            ),
            Self::new(
                "wrong checksum",
                tcp(),
                Traffic::fill_damaged,
                Reason::BadChecksum,
            ),
            Self::new(
                "SYN from outside, default policy",
                tcp(),
                Traffic::fill_unwanted,
                Reason::DefaultPolicy,
            ),
            Self {
                gate: Gate {
                    checksum: Checksum::Partial,
                    ..Gate::new(LIMITS)
                },
                stream: Stream::of_length(SUPER),
                ring: Ring::for_packets(SUPER),
                warm: 128,
                timed: 1024,
                ..Self::new(
                    "super-segment, 65 200 octets",
                    segments,
                    Traffic::fill,
                    Reason::Session,
                )
            },
        ];
        for case in &mut others {
            case.traffic.establish(&mut case.gate, sessions, |_, _| {});
        }
        std::iter::once(usual).chain(others).collect()
    }

    fn new(name: &str, traffic: Traffic, fill: Fill, reason: Reason) -> Self {
        Self {
            row: Row::new(name),
            gate: Gate::new(LIMITS),
            traffic,
            fill,
            reason,
            stream: Stream::of_length(LENGTH),
            ring: Ring::new(),
            warm: TIMED,
            timed: TIMED,
        }
    }

    /// Every packet is judged as it is to be.
    fn check(&mut self) {
        (self.fill)(&mut self.traffic, &mut self.stream, 64);
        for (side, packet) in self.stream.packets() {
            let judged = self.gate.judged(side, &mut packet.to_vec());
            assert_eq!(judged.reason, self.reason, "{judged:?}");
        }
    }

    fn play(&mut self) -> yard::play::Round {
        (self.fill)(&mut self.traffic, &mut self.stream, self.warm + self.timed);
        let gate = &mut self.gate;
        let round = play(&mut OneByOne(gate), &self.stream, self.warm, &mut self.ring);
        let passes = match self.reason {
            Reason::Session => self.timed,
            _ => 0,
        };
        assert_eq!(round.forwarded, passes);
        round
    }
}

const LIMITS: &str = "sessions = 16_777_216";
