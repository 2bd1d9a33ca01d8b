//! Putting packets before a program, and timing it.
//!
//! Packets wait in a stream that was made beforehand. They reach the program as
//! they reach it from a device: copied, 128 at a time, into a ring of buffers
//! that are used again and again. The clock runs while the program works on
//! those 128, not while they are copied: every program finds the same packets in
//! the same buffers, as warm as every other.
//!
//! Other programs run on the machine too. A burst that took eight times as
//! long as the round's median was interrupted, and is left out, for all programs
//! alike; how many were left out is told.

use std::time::Instant;

use super::gate::Side;
use super::median;
use super::random::Random;

/// Something that takes packets and rewrites them.
pub(crate) trait Program {
    /// Packets that arrived together are put where the program wants them: what
    /// a device does, and nobody times.
    fn take(&mut self, _frames: &mut [Vec<u8>], _sides: &[Side]) {}

    /// They are put back.
    fn give_back(&mut self, _frames: &mut [Vec<u8>]) {}

    /// Works on packets that arrived together; how many leave.
    fn burst(&mut self, frames: &mut [Vec<u8>], sides: &[Side]) -> usize;
}

/// Packets that reach a program together.
pub(crate) const BURST: usize = 128;

/// A burst that takes so many times the median was interrupted.
const INTERRUPTED: f64 = 8.0;

/// Room in a buffer: no packet has to make any.
const BUFFER: usize = 256;

/// Octets in a line of memory.
const LINE: usize = 64;

/// Packets to come, and the sides by which they arrive.
pub(crate) struct Stream {
    /// Octets of each packet.
    length: usize,
    octets: Vec<u8>,
    sides: Vec<Side>,
}

impl Stream {
    pub(crate) fn of_length(length: usize) -> Self {
        Self {
            length,
            octets: Vec::new(),
            sides: Vec::new(),
        }
    }

    pub(crate) fn clear(&mut self) {
        self.octets.clear();
        self.sides.clear();
    }

    pub(crate) fn push(&mut self, side: Side, frame: &[u8]) {
        assert_eq!(frame.len(), self.length);
        self.octets.extend_from_slice(frame);
        self.sides.push(side);
    }

    pub(crate) fn len(&self) -> usize {
        self.sides.len()
    }

    /// Puts the packets into random order.
    pub(crate) fn shuffle(&mut self) {
        let mut random = Random::from_seed(3);
        let length = self.length;
        for last in (1..self.len()).rev() {
            let other = random.below(last as u32 + 1) as usize;
            self.sides.swap(last, other);
            if other < last {
                let (before, behind) = self.octets.split_at_mut(last * length);
                before[other * length..][..length].swap_with_slice(&mut behind[..length]);
            }
        }
    }

    /// Each packet, with the side that it arrives by.
    pub(crate) fn packets(&self) -> impl Iterator<Item = (Side, &[u8])> {
        let packets = self.octets.chunks(self.length);
        self.sides.iter().copied().zip(packets)
    }

    /// The packets in bursts.
    fn bursts(&self) -> impl Iterator<Item = (&[u8], &[Side])> {
        self.octets
            .chunks(BURST * self.length)
            .zip(self.sides.chunks(BURST))
    }
}

/// The buffers that packets arrive in.
pub(crate) struct Ring(Vec<Vec<u8>>);

impl Ring {
    /// Buffers that begin where a line of memory begins, as a device's do.
    pub(crate) fn new() -> Self {
        Self::for_packets(BUFFER)
    }

    /// The same for packets of so many octets.
    pub(crate) fn for_packets(length: usize) -> Self {
        let room = length.next_multiple_of(LINE).max(BUFFER);
        let (mut ring, mut others) = (Vec::new(), Vec::new());
        while ring.len() < BURST {
            let buffer: Vec<u8> = Vec::with_capacity(room);
            match buffer.as_ptr().addr() % LINE {
                0 => ring.push(buffer),
                // Kept for now, so that the allocator gives another.
                _ => others.push(buffer),
            }
            assert!(
                others.len() < BURST * LINE,
                "an allocator that knows one place"
            );
        }
        Self(ring)
    }

    fn fill(&mut self, octets: &[u8], length: usize) -> &mut [Vec<u8>] {
        let packets = octets.chunks_exact(length);
        let count = packets.len();
        for (frame, packet) in self.0.iter_mut().zip(packets) {
            frame.clear();
            frame.extend_from_slice(packet);
        }
        &mut self.0[..count]
    }
}

/// What a round of a program showed.
#[derive(Clone, Copy)]
pub(crate) struct Round {
    /// Nanoseconds a packet, without the bursts that were left out.
    pub(crate) nanos: f64,
    /// Nanoseconds a packet, all bursts counted.
    pub(crate) with_all: f64,
    /// Nanoseconds of the longest burst.
    pub(crate) longest: f64,
    /// Packets that left, of all that were timed.
    pub(crate) forwarded: usize,
    /// Bursts that were left out, of a hundred.
    pub(crate) left_out: f64,
}

/// Gives a program the stream, and times it from the packet `warm` on.
pub(crate) fn play(
    program: &mut impl Program,
    stream: &Stream,
    warm: usize,
    ring: &mut Ring,
) -> Round {
    let mut bursts = Vec::with_capacity(stream.len() / BURST + 1);
    let mut forwarded = 0;
    for (n, (octets, sides)) in stream.bursts().enumerate() {
        let frames = ring.fill(octets, stream.length);
        program.take(frames, sides);
        let start = Instant::now();
        let passed = measured_burst(program, frames, sides);
        let spent = start.elapsed();
        program.give_back(frames);
        std::hint::black_box(&mut *frames);
        if n * BURST >= warm {
            bursts.push(spent.as_nanos() as f64 / sides.len() as f64);
            forwarded += passed;
        }
    }
    let mean = |bursts: &[f64]| bursts.iter().sum::<f64>() / bursts.len() as f64;
    let with_all = mean(&bursts);
    let longest = bursts.iter().copied().fold(0.0, f64::max) * BURST as f64;
    let most = median(&mut bursts.clone()) * INTERRUPTED;
    let all = bursts.len();
    bursts.retain(|nanos| *nanos <= most);
    Round {
        nanos: mean(&bursts),
        with_all,
        longest,
        forwarded,
        left_out: (all - bursts.len()) as f64 * 100.0 / all as f64,
    }
}

/// A function of its own, so that a profiler can be told to count within it and
/// nowhere else.
#[inline(never)]
fn measured_burst(
    program: &mut (impl Program + ?Sized),
    frames: &mut [Vec<u8>],
    sides: &[Side],
) -> usize {
    program.burst(std::hint::black_box(frames), sides)
}

/// Gives each of two programs the stream, and compares what they put out, octet
/// by octet.
pub(crate) fn compare(one: &mut dyn Program, other: &mut dyn Program, stream: &Stream) {
    let (mut ring, mut second) = (Ring::new(), Ring::new());
    for (octets, sides) in stream.bursts() {
        let (a, b) = (
            ring.fill(octets, stream.length),
            second.fill(octets, stream.length),
        );
        one.take(a, sides);
        assert_eq!(one.burst(a, sides), sides.len(), "all packets pass");
        one.give_back(a);
        other.take(b, sides);
        assert_eq!(other.burst(b, sides), sides.len(), "all packets pass");
        other.give_back(b);
        for (n, (a, b)) in a.iter().zip(b.iter()).enumerate() {
            assert_ne!(a.as_slice(), &octets[n * stream.length..][..stream.length]);
            assert_eq!(a, b, "the programs put out the same");
        }
    }
}
