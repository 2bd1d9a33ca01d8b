//! The limit program: the least that any device which translates TCP sessions
//! must do with a packet, done as fast as this machine does it.
//!
//! It verifies the checksums of the IP header and of TCP, reads the tuple at
//! fixed offsets, finds the session's line by one probe in a flat table, writes
//! the new addresses and ports with checksums updated by what the line says,
//! and takes one from the time to live. It tracks nothing, judges nothing and
//! knows no packet but whole TCP over IPv4 without IP options. What it puts out
//! is byte for byte what the engine puts out; the benches check that before
//! they measure.
//!
//! [`Limit::batch`] takes packets by thirty-twos: all are verified, then the
//! table's lines prefetched, then all are looked up and rewritten. [`Limit::single`]
//! does the same to one packet after the other, without prefetch.

#![allow(dead_code, unused_imports, reason = "each bench uses a part of it")]

mod play;
mod prefetch;
mod sum;
mod table;

pub(crate) use play::{Batched, Beginning, Single};
pub(crate) use table::Tuple;

use crate::yard::gate::PUBLIC;

use self::sum::{add, add_folded, fold, sum_of};
use self::table::{Hash, Line, Place, Table};

/// Packets that are prefetched together.
const BATCH: usize = 32;

/// An IPv4 header without options, and the fixed part of a TCP header.
const HEADERS: usize = 40;

const TCP: u8 = 6;

/// Of the first eight octets of an IPv4 header: version and length of the
/// header, and all of the fragment field but the bit that forbids fragments.
const SHAPE_OF: u64 = u64::from_ne_bytes([0xff, 0, 0, 0, 0, 0, 0xbf, 0xff]);

/// Those of a packet without IP options that is no fragment.
const SHAPE: u64 = u64::from_ne_bytes([0x45, 0, 0, 0, 0, 0, 0, 0]);

/// The sum over octets that contain their own checksum.
const INTACT: u16 = 0xffff;

/// The program with its table.
pub(crate) struct Limit {
    table: Table,
}

impl Limit {
    /// A table for so many sessions, between 35 and 70 % full with them.
    pub(crate) fn for_sessions(sessions: usize) -> Self {
        Self {
            table: Table::for_lines(sessions * 2),
        }
    }

    /// Packets that arrive with the first tuple leave with the second.
    pub(crate) fn translate(&mut self, arrives: Tuple, leaves: Tuple) {
        self.table.insert(Line::new(arrives, leaves));
    }

    /// How many lines of the table are in use, in percent.
    pub(crate) fn load(&self) -> f64 {
        self.table.load()
    }

    /// Rewrites the packets that belong to a session, and says how many did.
    pub(crate) fn batch(&self, frames: &mut [Vec<u8>]) -> usize {
        let mut forwarded = 0;
        for frames in frames.chunks_mut(BATCH) {
            let mut hashes = [Hash::NONE; BATCH];
            let mut places = [Place::NOWHERE; BATCH];
            for (frame, hash) in frames.iter().zip(&mut hashes) {
                *hash = self.verified(frame);
                self.table.prefetch_tags(*hash);
            }
            for (hash, place) in hashes.iter().zip(&mut places) {
                *place = self.table.likely(*hash);
                self.table.prefetch(*place);
            }
            for (frame, place) in frames.iter_mut().zip(&places) {
                forwarded += usize::from(self.rewrite(frame, *place));
            }
        }
        forwarded
    }

    /// The same, one packet after the other.
    pub(crate) fn single(&self, frames: &mut [Vec<u8>]) -> usize {
        let mut forwarded = 0;
        for frame in frames {
            let place = self.table.likely(self.verified(frame));
            forwarded += usize::from(self.rewrite(frame, place));
        }
        forwarded
    }

    /// Begins sessions, for packets whose session is not in the table: outside,
    /// each has the public address, and its client's port if nobody has that
    /// towards the same server, else one near it. The table does not grow.
    pub(crate) fn begin(&mut self, frames: &mut [Vec<u8>]) -> usize {
        let mut forwarded = 0;
        for frames in frames.chunks_mut(BATCH) {
            let mut hashes = [[Hash::NONE; 2]; BATCH];
            for (frame, [hash, answers]) in frames.iter().zip(&mut hashes) {
                *hash = self.verified(frame);
                if let Some(head) = frame.first_chunk::<HEADERS>() {
                    *answers = self
                        .table
                        .hash(&answer_to(&masqueraded(&tuple_of(head), 0)));
                }
                self.table.prefetch_tags(*hash);
                self.table.prefetch_tags(*answers);
            }
            for hash in hashes.as_flattened() {
                self.table.prefetch(self.table.vacant(*hash));
            }
            for (frame, [hash, _]) in frames.iter_mut().zip(&hashes) {
                forwarded += usize::from(self.open(frame, *hash));
            }
        }
        forwarded
    }

    fn open(&mut self, frame: &mut [u8], hash: Hash) -> bool {
        let Some(head) = frame.first_chunk::<HEADERS>() else {
            return false;
        };
        let tuple = tuple_of(head);
        if hash.is_none() || self.table.find_further(&tuple).is_some() {
            return false;
        }
        let free = (0..u16::MAX).find_map(|step| {
            let leaves = masqueraded(&tuple, step);
            let answer = answer_to(&leaves);
            let is_free = self.table.find_further(&answer).is_none();
            is_free.then_some((leaves, answer))
        });
        let Some((leaves, answer)) = free else {
            return false;
        };
        self.table.insert(Line::new(tuple, leaves));
        self.table.insert(Line::new(answer, answer_to(&tuple)));
        self.rewrite(frame, self.table.likely(hash))
    }

    /// The hash of a packet's tuple, if the packet is whole TCP over IPv4, its
    /// checksums are right, and its time to live lets it through.
    #[inline(always)]
    fn verified(&self, frame: &[u8]) -> Hash {
        let Some(head) = frame.first_chunk::<HEADERS>() else {
            return Hash::NONE;
        };
        let length = u16::from_be_bytes([head[2], head[3]]);
        let Some(payload) = frame.get(HEADERS..usize::from(length)) else {
            return Hash::NONE;
        };
        let (first, second) = (u64_at(head, 0), u64_at(head, 8));
        if first & SHAPE_OF != SHAPE || head[9] != TCP || head[8] <= 1 {
            return Hash::NONE;
        }
        let ip = add(add(first, second), u64::from(u32_at(head, 16)));
        // Addresses, protocol and length: the pseudo-header.
        let pseudo = u64_at(head, 12);
        let protocol_and_length = (length - 20 + u16::from(TCP)).to_be();
        let mut tcp = u64::from(u32_at(head, 36)) + u64::from(protocol_and_length);
        for more in [pseudo, u64_at(head, 20), u64_at(head, 28)] {
            tcp = add(tcp, more);
        }
        let tcp = sum_of(tcp, payload);
        if fold(ip) != INTACT || fold(tcp) != INTACT {
            return Hash::NONE;
        }
        self.table.hash(&tuple_of(head))
    }

    /// Rewrites a verified packet, if its session is in the table.
    #[inline(always)]
    fn rewrite(&self, frame: &mut [u8], likely: Place) -> bool {
        let Some(head) = frame.first_chunk_mut::<HEADERS>() else {
            return false;
        };
        let Some(line) = self.table.find(likely, &tuple_of(head)) else {
            return false;
        };
        head[8] -= 1;
        update(head, 10, line.ip_change);
        update(head, 36, line.tcp_change);
        head[12..24].copy_from_slice(&line.leaves);
        true
    }
}

/// A tuple as it leaves with the public address, from a port that is so far
/// from the client's.
fn masqueraded(tuple: &Tuple, step: u16) -> Tuple {
    let mut leaves = *tuple;
    leaves[..4].copy_from_slice(&PUBLIC);
    let port = u16::from_be_bytes([leaves[8], leaves[9]]);
    // The lowest 1024 are nobody's.
    let port = port.wrapping_add(step).max(1024);
    leaves[8..10].copy_from_slice(&port.to_be_bytes());
    leaves
}

/// The tuple of the answers to packets of this one.
fn answer_to(tuple: &Tuple) -> Tuple {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = *tuple;
    [e, f, g, h, a, b, c, d, k, l, i, j]
}

#[inline(always)]
fn tuple_of(head: &[u8; HEADERS]) -> Tuple {
    let mut tuple = [0; 12];
    tuple.copy_from_slice(&head[12..24]);
    tuple
}

#[inline(always)]
fn u64_at(head: &[u8; HEADERS], at: usize) -> u64 {
    let mut octets = [0; 8];
    octets.copy_from_slice(&head[at..at + 8]);
    u64::from_ne_bytes(octets)
}

#[inline(always)]
fn u32_at(head: &[u8; HEADERS], at: usize) -> u32 {
    let mut octets = [0; 4];
    octets.copy_from_slice(&head[at..at + 4]);
    u32::from_ne_bytes(octets)
}

/// Brings a change into the checksum field at this place (RFC 1624 equation 3).
#[inline(always)]
fn update(head: &mut [u8; HEADERS], at: usize, change: u16) {
    let old = !u16::from_ne_bytes([head[at], head[at + 1]]);
    let new = !add_folded(old, change);
    head[at..at + 2].copy_from_slice(&new.to_ne_bytes());
}
