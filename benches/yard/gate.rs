//! A gateway between an inside and an outside, as the benches ask it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use spigate::config;
use spigate::engine::{
    Arrival, Checksums, Engine, Handed, Judgement, Options, Output, Policy, Silent, Verdict,
    Waiting,
};
use spigate::net::{Timestamp, Workers, ZoneId};
use spigate::packet::Checksum;
use spigate::session::Crew;

use super::play::Program;

/// The address that inside hosts have outside.
pub(crate) const PUBLIC: [u8; 4] = [203, 0, 113, 2];

/// The side by which a packet arrives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    Inside,
    Outside,
}

impl Side {
    pub(crate) fn arrival(self) -> Arrival {
        Arrival::whole(ZoneId(match self {
            Self::Inside => 0,
            Self::Outside => 1,
        }))
    }
}

/// An engine, its clock, and where its output goes.
pub(crate) struct Gate {
    pub(crate) engine: Engine,
    pub(crate) now: Timestamp,
    pub(crate) out: Output,
    pub(crate) checksum: Checksum,
}

/// When it begins.
const START: Timestamp = Timestamp::from_secs(1_000);

/// How time goes by: a million packets a second.
pub(crate) const A_PACKET: Duration = Duration::from_micros(1);

impl Gate {
    /// A gateway that lets the inside out, translated over IPv4, and nobody in.
    pub(crate) fn new(limits: &str) -> Self {
        Self::with_seed(limits, 1)
    }

    /// The same with another seed of its hashes.
    pub(crate) fn with_seed(limits: &str, seed: u64) -> Self {
        let (policy, options) = Self::policy(limits, seed);
        Self::of(Engine::new(policy, options, START))
    }

    /// Several workers of one gateway.
    pub(crate) fn crew(limits: &str, workers: Workers) -> Vec<Self> {
        let (policy, options) = Self::policy(limits, 1);
        let crew = Crew::new(workers, options.seed);
        let engine = |post| Engine::at_post(Arc::clone(&policy), options, START, post);
        crew.posts().map(engine).map(Self::of).collect()
    }

    fn of(engine: Engine) -> Self {
        Self {
            engine,
            now: START,
            out: Output::default(),
            checksum: Checksum::Complete,
        }
    }

    fn policy(limits: &str, seed: u64) -> (Arc<Policy>, Options) {
        let rules = format!(
            r#"
version = 1
[zones]
lan = {{ net = ["10.0.0.0/8", "2001:db8:10::/48"] }}
wan = {{ net = ["0.0.0.0/0", "::/0"], address = ["203.0.113.2"] }}
[limits]
{limits}
[policy]
default = "drop"
rules = [{{ id = "out", from = "lan", to = "wan", action = "allow" }}]
[nat]
source = [{{ id = "masq", from = "lan", to = "wan", src = "10.0.0.0/8", as = "masquerade" }}]
"#
        );
        let compiled = config::compile(Path::new("bench.toml"), &rules)
            .unwrap_or_else(|report| panic!("{report}"));
        let options = Options {
            seed,
            checksums: Checksums::Verify,
        };
        (Arc::new(compiled.policy), options)
    }

    /// One packet; what becomes of it.
    pub(crate) fn judged(&mut self, side: Side, frame: &mut Vec<u8>) -> Judgement {
        self.now = self.now.after(A_PACKET);
        let arrival = self.arrival(side);
        let judged = self
            .engine
            .packet(self.now, arrival, frame, &mut self.out, &mut Silent);
        self.out.clear();
        judged
    }

    /// One packet; whether it leaves.
    pub(crate) fn packet(&mut self, side: Side, frame: &mut Vec<u8>) -> bool {
        matches!(self.judged(side, frame).verdict, Verdict::Forward(_))
    }

    fn arrival(&self, side: Side) -> Arrival {
        Arrival {
            checksum: self.checksum,
            ..side.arrival()
        }
    }
}

/// The engine, given one packet after the other. All that arrived together has
/// one time stamp.
pub(crate) struct OneByOne<'a>(pub(crate) &'a mut Gate);

impl Program for OneByOne<'_> {
    fn burst(&mut self, frames: &mut [Vec<u8>], sides: &[Side]) -> usize {
        let gate = &mut *self.0;
        gate.now = gate.now.after(A_PACKET * frames.len() as u32);
        let mut forwarded = 0;
        for (frame, side) in frames.iter_mut().zip(sides) {
            let arrival = gate.arrival(*side);
            let judged = gate
                .engine
                .packet(gate.now, arrival, frame, &mut gate.out, &mut Silent);
            gate.out.clear();
            forwarded += usize::from(matches!(judged.verdict, Verdict::Forward(_)));
        }
        forwarded
    }
}

/// The engine, given what arrived together at once.
pub(crate) struct Together<'a> {
    gate: &'a mut Gate,
    batch: Vec<Waiting>,
}

impl<'a> Together<'a> {
    pub(crate) fn new(gate: &'a mut Gate) -> Self {
        Self {
            gate,
            batch: Vec::new(),
        }
    }
}

impl Program for Together<'_> {
    fn take(&mut self, frames: &mut [Vec<u8>], sides: &[Side]) {
        self.gate.now = self.gate.now.after(A_PACKET * frames.len() as u32);
        let (at, gate) = (self.gate.now, &self.gate);
        let both = frames.iter_mut().zip(sides);
        self.batch.extend(both.map(|(frame, side)| Waiting {
            headroom: 0,
            handed: Handed::NOT,
            at,
            arrival: gate.arrival(*side),
            frame: std::mem::take(frame),
        }));
    }

    fn give_back(&mut self, frames: &mut [Vec<u8>]) {
        for (waiting, frame) in self.batch.drain(..).zip(frames) {
            *frame = waiting.frame;
        }
    }

    fn burst(&mut self, _frames: &mut [Vec<u8>], _sides: &[Side]) -> usize {
        let Self { gate, batch } = self;
        let Gate { engine, out, .. } = &mut **gate;
        let mut forwarded = 0;
        engine.packets(batch, out, &mut Silent, |_, judged, _| {
            forwarded += usize::from(matches!(judged.verdict, Verdict::Forward(_)));
        });
        forwarded
    }
}
