//! Bursts that are put together, and cut again as hardware would.

use etherparse::PacketBuilder;
use proptest::prelude::*;

use super::super::offload;
use super::*;
use crate::engine::Handed;
use crate::net::{Timestamp, ZoneId};
use crate::packet::{Headers, complete_checksum, segment};

/// A segment of one of some streams.
#[derive(Debug, Clone)]
struct Segment {
    stream: u16,
    v6: bool,
    /// Added to the number that would be right.
    off: u32,
    payload: usize,
    psh: bool,
    fin: bool,
    ack: u32,
    ttl: u8,
    partial: bool,
    damaged: bool,
}

fn segments() -> impl Strategy<Value = Vec<Segment>> {
    let seldom = || prop::bool::weighted(0.05);
    let one = (
        (0..3u16, prop::bool::weighted(0.3)),
        prop_oneof![12 => Just(0u32), 1 => 1..3000u32],
        prop_oneof![6 => Just(1000usize), 2 => 0..1000usize, 1 => 1001..1400usize],
        (seldom(), seldom(), seldom(), seldom()),
        prop_oneof![10 => Just(7u32), 1 => Just(8)],
        prop_oneof![20 => Just(64u8), 1 => Just(63)],
    );
    let one = one.prop_map(
        |((stream, v6), off, payload, (psh, fin, partial, damaged), ack, ttl)| Segment {
            stream,
            v6,
            off,
            payload,
            psh,
            fin,
            ack,
            ttl,
            partial,
            damaged,
        },
    );
    prop::collection::vec(one, 1..64)
}

/// What is before a packet in its buffer.
const HEADROOM: usize = offload::LENGTH;

fn burst(segments: &[Segment]) -> (Vec<Waiting>, Vec<Offload>) {
    let mut next = [[1000_u32; 2]; 3];
    let mut all = Vec::new();
    let mut octet = 0_u8;
    for said in segments {
        let seq = &mut next[usize::from(said.stream)][usize::from(said.v6)];
        let payload: Vec<u8> = (0..said.payload)
            .map(|_| {
                octet = octet.wrapping_add(1);
                octet
            })
            .collect();
        let number = seq.wrapping_add(said.off);
        if said.off == 0 {
            *seq = seq.wrapping_add(u32::try_from(said.payload).unwrap());
        }
        let builder = match said.v6 {
            true => PacketBuilder::ipv6([1; 16], [2; 16], said.ttl),
            false => PacketBuilder::ipv4([10, 0, 0, 7], [198, 51, 100, 9], said.ttl),
        };
        let mut tcp = builder
            .tcp(5000 + said.stream, 80, number, 4000)
            .ack(said.ack);
        if said.psh {
            tcp = tcp.psh();
        }
        if said.fin {
            tcp = tcp.fin();
        }
        let mut packet = Vec::new();
        tcp.write(&mut packet, &payload).unwrap();
        let headers = Headers::read(&packet, false).unwrap();
        if said.partial {
            // As the kernel leaves it: the pseudo-header's sum.
            let mut merged = Mergeable::read(&packet);
            if let Some(merged) = &mut merged {
                merged.finish(&mut packet);
            }
        }
        let is_partial = said.partial && Mergeable::read(&packet).is_some();
        if said.damaged && !is_partial && headers.payload_range().start < packet.len() {
            *packet.last_mut().unwrap() ^= 1;
        }
        let mut arrival = Arrival::whole(ZoneId(0));
        if is_partial {
            arrival.checksum = Checksum::Partial;
        }
        all.push(Waiting {
            at: Timestamp::from_secs(1),
            arrival,
            frame: [vec![0; HEADROOM], packet].concat(),
            headroom: HEADROOM,
            handed: Handed::NOT,
        });
    }
    let offloads = vec![Offload::NONE; all.len()];
    (all, offloads)
}

/// Packets as a receiver gets them, their identification and header checksum aside.
fn received(batch: &[Waiting]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for waiting in batch {
        let mut packet = waiting.packet().to_vec();
        if waiting.arrival.checksum == Checksum::Partial {
            let headers = Headers::read(&packet, false).unwrap();
            complete_checksum(&mut packet, &headers.with_partial_checksum());
        }
        let others = match waiting.arrival.segments {
            Some(size) => segment(&mut packet, size),
            None => Vec::new(),
        };
        all.push(packet);
        all.extend(others);
    }
    for packet in &mut all {
        if packet[0] >> 4 == 4 {
            packet[4..6].fill(0);
            packet[10..12].fill(0);
        }
    }
    all
}

/// What is of one stream, in order.
fn of_stream(all: &[Vec<u8>], stream: u16, v6: bool) -> Vec<&Vec<u8>> {
    let port = (5000 + stream).to_be_bytes();
    let is_its = |packet: &&Vec<u8>| match v6 {
        true => packet[0] >> 4 == 6 && packet[40..42] == port,
        false => packet[0] >> 4 == 4 && packet[20..22] == port,
    };
    all.iter().filter(is_its).collect()
}

proptest! {
    #[test]
    fn what_is_put_together_is_cut_into_what_it_was(segments in segments()) {
        let (mut batch, mut offloads) = burst(&segments);
        let came = received(&batch);
        let left = merge(&mut batch, &mut offloads);
        let batch = &batch[..left];
        let gone = received(batch);
        prop_assert_eq!(gone.len(), came.len());
        for stream in 0..3 {
            for v6 in [false, true] {
                prop_assert_eq!(of_stream(&gone, stream, v6), of_stream(&came, stream, v6));
            }
        }
        for (waiting, said) in batch.iter().zip(&offloads) {
            // What is said of each is what the engine is told.
            let arrival = match waiting.arrival.segments {
                Some(_) => said.arrival(ZoneId(0)),
                None => waiting.arrival,
            };
            prop_assert_eq!(arrival, waiting.arrival);
            let leaving = said.leaving(waiting.packet(), waiting.arrival.checksum);
            prop_assert_eq!(waiting.arrival.segments.is_some(), leaving[1] != 0);
        }
    }
}

fn plain(stream: u16) -> Segment {
    Segment {
        stream,
        v6: false,
        off: 0,
        payload: 1000,
        psh: false,
        fin: false,
        ack: 7,
        ttl: 64,
        partial: false,
        damaged: false,
    }
}

fn counts(segments: &[Segment]) -> Vec<usize> {
    let (mut batch, mut offloads) = burst(segments);
    let left = merge(&mut batch, &mut offloads);
    batch[..left]
        .iter()
        .map(|waiting| waiting.packet().len())
        .collect()
}

#[test]
fn two_streams_between_each_other_become_two_super_segments() {
    let all: Vec<_> = (0..20).map(|n| plain(n % 2)).collect();
    assert_eq!(counts(&all), [10_040, 10_040]);
}

#[test]
fn none_is_longer_than_a_packet_may_be() {
    let all = vec![plain(0); 66];
    let (mut batch, mut offloads) = burst(&all);
    let left = merge(&mut batch, &mut offloads);
    assert_eq!(left, 2);
    assert_eq!(batch[0].packet().len(), 65_040);
}

#[test]
fn one_that_is_damaged_is_not_hidden_among_others() {
    let damaged = Segment {
        damaged: true,
        ..plain(0)
    };
    assert_eq!(
        counts(&[plain(0), plain(0), damaged, plain(0)]),
        [2040, 1040, 1040]
    );
}

#[test]
fn a_push_or_a_short_one_is_the_last() {
    let pushed = Segment {
        psh: true,
        ..plain(0)
    };
    assert_eq!(
        counts(&[plain(0), pushed, plain(0), plain(0)]),
        [2040, 2040]
    );
    let short = Segment {
        payload: 10,
        ..plain(0)
    };
    assert_eq!(counts(&[plain(0), short, plain(0)]), [1050, 1040]);
}

#[test]
fn a_super_segment_is_left_as_it_is() {
    let (mut batch, mut offloads) = burst(&[plain(0), plain(0)]);
    batch[0].arrival.segments = Some(Mergeable::read(batch[0].packet()).unwrap().size());
    assert_eq!(merge(&mut batch, &mut offloads), 2);
}
