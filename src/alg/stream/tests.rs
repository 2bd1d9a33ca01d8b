//! The receiver's view of a rewritten stream, whatever happens to its segments.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::net::SeqNumber;

/// A stream with changes.
#[derive(Debug, Clone)]
struct Scene {
    start: SeqNumber,
    original: Vec<u8>,
    changes: Vec<Replaced>,
}

/// A change, its place by offset.
#[derive(Debug, Clone)]
struct Replaced {
    at: usize,
    old_len: usize,
    silent: usize,
    new: Vec<u8>,
}

impl Scene {
    fn at(&self, offset: usize) -> SeqNumber {
        self.start.advance(u32::try_from(offset).unwrap())
    }

    fn rewrites(&self) -> Rewrites {
        let mut rewrites = Rewrites::default();
        for change in &self.changes {
            let at = self.at(change.at);
            match change.silent {
                0 => rewrites.record(at, change.old_len, &change.new).unwrap(),
                silent => {
                    rewrites.silence(at, silent.div_ceil(2)).unwrap();
                    rewrites.silence(at, silent).unwrap();
                    rewrites.speak(at, change.old_len, &change.new).unwrap();
                }
            }
        }
        rewrites
    }

    /// The image of every octet, by the definition.
    fn images(&self) -> Vec<Vec<u8>> {
        let mut images: Vec<Vec<u8>> = self.original.iter().map(|octet| vec![*octet]).collect();
        for change in &self.changes {
            let mut new = change.new.iter().copied();
            for n in 0..change.old_len {
                let octets = match n {
                    n if n < change.silent => 0,
                    n if n == change.silent => n + 1,
                    _ => 1,
                };
                images[change.at + n] = new.by_ref().take(octets).collect();
            }
            images[change.at + change.old_len - 1].extend(new);
        }
        images
    }

    fn expected(&self) -> Vec<u8> {
        self.images().concat()
    }

    /// How many octets the receiver gets for the first `offset` ones.
    fn image_of(&self, offset: usize) -> usize {
        self.images()[..offset].concat().len()
    }
}

/// A receiver that keeps the octets by their number and never sees two
/// different ones at one number.
#[derive(Debug, Default)]
struct Receiver {
    octets: BTreeMap<u32, u8>,
}

impl Receiver {
    fn take(&mut self, start: SeqNumber, seq: SeqNumber, bytes: &[u8]) {
        for (n, byte) in (seq.0.wrapping_sub(start.0)..).zip(bytes) {
            let known = *self.octets.entry(n).or_insert(*byte);
            assert_eq!(known, *byte, "octet {n} has two values");
        }
    }

    /// All octets up to the first that is missing.
    fn delivered(&self) -> Vec<u8> {
        let in_order = self.octets.iter().zip(0_u32..);
        in_order
            .take_while(|((n, _), expected)| *n == expected)
            .map(|((_, byte), _)| *byte)
            .collect()
    }
}

fn scene() -> impl Strategy<Value = Scene> {
    let gap = 0_usize..30;
    let silent = prop_oneof![Just(0_usize), 0_usize..20];
    let new = prop::collection::vec(any::<u8>(), 0..25);
    let change = (gap, 1_usize..20, silent, new);
    let start = prop_oneof![any::<u32>(), (u32::MAX - 300)..=u32::MAX];
    (start, prop::collection::vec(change, 0..8), 0_usize..40).prop_map(|(start, parts, tail)| {
        let mut at = 0;
        let mut changes = Vec::new();
        for (gap, old_len, silent, new) in parts {
            at += gap;
            let silent = silent.min(old_len - 1);
            changes.push(Replaced {
                at,
                old_len,
                silent,
                new,
            });
            at += old_len;
        }
        let original = (0..at + tail).map(|n| u8::try_from(n % 251).unwrap());
        Scene {
            start: SeqNumber(start),
            original: original.collect(),
            changes,
        }
    })
}

/// Segments that cover the stream at least once, in any order.
fn segments(length: usize) -> impl Strategy<Value = Vec<(usize, usize)>> {
    let cut = 1_usize..30;
    let again = (0..=length, 0..=length);
    (
        prop::collection::vec(cut, 1..200),
        prop::collection::vec(again, 0..10),
    )
        .prop_flat_map(move |(cuts, again)| {
            let mut all = Vec::new();
            let mut at = 0;
            for cut in cuts.iter().cycle() {
                if at == length {
                    break;
                }
                let end = (at + cut).min(length);
                all.push((at, end));
                at = end;
            }
            all.extend(again.iter().map(|(a, b)| (*a.min(b), *a.max(b))));
            Just(all).prop_shuffle()
        })
}

fn scene_with_segments() -> impl Strategy<Value = (Scene, Vec<(usize, usize)>)> {
    scene().prop_flat_map(|scene| {
        let segments = segments(scene.original.len());
        (Just(scene), segments)
    })
}

proptest! {
    #[test]
    fn t_ftp_seq_retx__any_cutting_repeating_and_reordering_gives_the_same_stream(
        (scene, segments) in scene_with_segments()
    ) {
        let rewrites = scene.rewrites();
        let mut receiver = Receiver::default();
        for (from, to) in segments {
            let mut out = Vec::new();
            let seq = rewrites.apply(scene.at(from), &scene.original[from..to], &mut out);
            prop_assert_eq!(seq, rewrites.seq(scene.at(from)));
            prop_assert_eq!(
                seq.advance(u32::try_from(out.len()).unwrap()),
                rewrites.seq(scene.at(to))
            );
            receiver.take(scene.start, seq, &out);
        }
        prop_assert_eq!(receiver.delivered(), scene.expected());
    }

    #[test]
    fn t_ftp_seq_midack__no_acknowledgement_goes_beyond_what_arrived(scene in scene()) {
        let rewrites = scene.rewrites();
        let mut last = 0;
        for arrived in 0..=scene.expected().len() {
            let ack = rewrites.ack(scene.at(arrived)).0.wrapping_sub(scene.start.0) as usize;
            prop_assert!(scene.image_of(ack) <= arrived, "{ack} for {arrived}");
            prop_assert!(
                ack == scene.original.len() || scene.image_of(ack + 1) > arrived,
                "{ack} for {arrived} is too little"
            );
            prop_assert!(last <= ack);
            last = ack;
        }
        prop_assert_eq!(last, scene.original.len());
    }

    #[test]
    fn numbers_come_back_as_they_went_outside_the_changes(scene in scene()) {
        let rewrites = scene.rewrites();
        let mut last = 0;
        for offset in 0..=scene.original.len() {
            let seq = rewrites.seq(scene.at(offset)).0.wrapping_sub(scene.start.0) as usize;
            prop_assert_eq!(seq, scene.image_of(offset));
            prop_assert!(last <= seq);
            last = seq;
            let is_within = |change: &Replaced| {
                let is_empty = change.new.is_empty() || change.silent > 0;
                (change.at < offset || (change.at == offset && is_empty))
                    && offset < change.at + change.old_len
            };
            if !scene.changes.iter().any(is_within) {
                prop_assert_eq!(rewrites.ack(rewrites.seq(scene.at(offset))), scene.at(offset));
            }
        }
    }

    #[test]
    fn a_selective_acknowledgement_covers_only_what_arrived(
        scene in scene(),
        edges in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
    ) {
        let rewrites = scene.rewrites();
        let length = scene.expected().len() + 1;
        let (a, b) = (edges.0.index(length), edges.1.index(length));
        let (left, right) = (a.min(b), a.max(b));
        let images = scene.images();
        match rewrites.sack(scene.at(left), scene.at(right)) {
            Some((from, to)) => {
                let from = from.0.wrapping_sub(scene.start.0) as usize;
                let to = to.0.wrapping_sub(scene.start.0) as usize;
                prop_assert!(from < to);
                prop_assert!(left <= scene.image_of(from) && scene.image_of(to) <= right);
            }
            None => {
                for (n, image) in images.iter().enumerate() {
                    let covered = left <= scene.image_of(n) && scene.image_of(n + 1) <= right;
                    prop_assert!(image.is_empty() || !covered, "octet {n} is lost");
                }
            }
        }
    }

    #[test]
    fn what_is_forgotten_matters_to_nobody(
        (scene, segments) in scene_with_segments(),
        acknowledged in any::<prop::sample::Index>(),
    ) {
        let all = scene.rewrites();
        let acknowledged = acknowledged.index(scene.expected().len() + 1);
        let mut some = all.clone();
        some.forget_acknowledged(scene.at(acknowledged));
        let is_new = |number: SeqNumber| {
            number.since(scene.start) >= i32::try_from(acknowledged).unwrap()
        };
        for (from, to) in segments {
            let (mut before, mut after) = (Vec::new(), Vec::new());
            let payload = &scene.original[from..to];
            let at = (
                all.apply(scene.at(from), payload, &mut before),
                some.apply(scene.at(from), payload, &mut after),
            );
            let new = |seq: SeqNumber, bytes: &[u8]| -> Vec<(u32, u8)> {
                let numbered = (0..).zip(bytes).map(|(n, byte)| (seq.advance(n), *byte));
                numbered.filter(|(n, _)| is_new(*n)).map(|(n, byte)| (n.0, byte)).collect()
            };
            prop_assert_eq!(new(at.0, &before), new(at.1, &after));
        }
        let known = all.ack(scene.at(acknowledged));
        for ack in 0..=scene.expected().len() {
            let ack = scene.at(ack);
            if is_new(ack) {
                prop_assert_eq!(all.ack(ack), some.ack(ack));
            } else {
                prop_assert!(!some.ack(ack).is_after(known));
            }
        }
    }
}

/// `PORT` at 0, its six numbers from 5 on, then a line end.
const PORT: &[u8] = b"PORT 10,0,0,2,4,1\r\n";

fn rewritten(new: &[u8]) -> (Rewrites, Vec<u8>) {
    let mut rewrites = Rewrites::default();
    rewrites.record(SeqNumber(5), 12, new).unwrap();
    let mut out = Vec::new();
    rewrites.apply(SeqNumber(0), PORT, &mut out);
    (rewrites, out)
}

#[test]
fn t_ftp_seq_grow__later_numbers_grow_and_acknowledgements_shrink() {
    let (rewrites, out) = rewritten(b"198,51,100,1,4,1");
    assert_eq!(out, b"PORT 198,51,100,1,4,1\r\n");
    assert_eq!(rewrites.seq(SeqNumber(19)), SeqNumber(23));
    assert_eq!(rewrites.ack(SeqNumber(23)), SeqNumber(19));
    assert_eq!(rewrites.ack(SeqNumber(5)), SeqNumber(5));
}

#[test]
fn t_ftp_seq_shrink__later_numbers_shrink_and_acknowledgements_grow() {
    let (rewrites, out) = rewritten(b"1,1,1,1,4,1");
    assert_eq!(out, b"PORT 1,1,1,1,4,1\r\n");
    assert_eq!(rewrites.seq(SeqNumber(19)), SeqNumber(18));
    assert_eq!(rewrites.ack(SeqNumber(18)), SeqNumber(19));
}

#[test]
fn t_ftp_seq_many__each_acknowledgement_moves_by_the_changes_before_it() {
    let mut rewrites = Rewrites::default();
    for n in 0..5 {
        rewrites
            .record(SeqNumber(100 * n), 10, b"twelve octets")
            .unwrap();
    }
    for n in 0..5 {
        let before = SeqNumber(100 * n);
        assert_eq!(rewrites.seq(before), before.advance(3 * n));
        assert_eq!(rewrites.ack(before.advance(3 * n)), before);
        let behind = SeqNumber(100 * n + 10);
        assert_eq!(rewrites.seq(behind), behind.advance(3 * (n + 1)));
    }
}

#[test]
fn t_ftp_seq_fin__the_number_of_a_fin_moves_with_the_stream() {
    let (rewrites, out) = rewritten(b"198,51,100,1,4,1");
    let fin = SeqNumber(u32::try_from(PORT.len()).unwrap());
    assert_eq!(rewrites.seq(fin).0 as usize, out.len());
    let ack_of_fin = rewrites.seq(fin).advance(1);
    assert_eq!(rewrites.ack(ack_of_fin), fin.advance(1));
}

#[test]
fn t_4217_seq__growth_stays_when_the_changes_are_forgotten() {
    let (mut rewrites, _) = rewritten(b"198,51,100,1,4,1");
    let far = SeqNumber(100).advance(1 << 30);
    rewrites.acknowledged(far.advance(4));
    assert_eq!(rewrites.remembered(), 0);
    assert!(!rewrites.is_identity());
    assert_eq!(rewrites.seq(far), far.advance(4));
    let very_far = far.advance(u32::MAX / 2);
    assert_eq!(rewrites.seq(very_far), very_far.advance(4));
}

#[test]
fn a_stream_without_changes_is_the_senders() {
    let mut rewrites = Rewrites::default();
    rewrites.acknowledged(SeqNumber(7));
    assert!(rewrites.is_identity());
    assert_eq!(rewrites.seq(SeqNumber(3)), SeqNumber(3));
    assert_eq!(
        rewrites.sack(SeqNumber(3), SeqNumber(4)),
        Some((SeqNumber(3), SeqNumber(4)))
    );
    assert!(!rewritten(b"1").0.is_identity());
}

#[test]
fn a_full_list_takes_no_more_until_its_oldest_is_acknowledged() {
    let mut rewrites = Rewrites::default();
    let at = |n: usize| SeqNumber(u32::try_from(10 * n).unwrap());
    for n in 0..MAX_CHANGES {
        rewrites.record(at(n), 2, b"abc").unwrap();
    }
    let more = at(MAX_CHANGES);
    assert_eq!(rewrites.record(more, 2, b"abc"), Err(Unrecordable::Full));
    rewrites.acknowledged(SeqNumber(2));
    assert_eq!(rewrites.record(more, 2, b"abc"), Err(Unrecordable::Full));
    rewrites.acknowledged(SeqNumber(3));
    rewrites.record(more, 2, b"abc").unwrap();
    assert_eq!(rewrites.remembered(), MAX_CHANGES);
    assert_eq!(rewrites.seq(SeqNumber(5)), SeqNumber(6));
}

#[test]
fn a_change_has_its_place_behind_all_others() {
    let mut rewrites = Rewrites::default();
    rewrites.record(SeqNumber(10), 5, b"x").unwrap();
    for (at, old_len) in [(9, 1), (10, 1), (14, 9), (15, 0), (15, 1 << 16)] {
        let outcome = rewrites.record(SeqNumber(at), old_len, b"y");
        assert_eq!(outcome, Err(Unrecordable::Misplaced), "{at}");
    }
    rewrites.record(SeqNumber(15), 1, b"y").unwrap();
}

#[test]
fn silent_octets_are_acknowledged_and_carried_by_the_octet_behind_them() {
    let mut rewrites = Rewrites::default();
    rewrites.silence(SeqNumber(5), 3).unwrap();
    assert_eq!(rewrites.silent(SeqNumber(5)), 3);
    // While nobody knows what they become.
    assert_eq!(rewrites.seq(SeqNumber(8)), SeqNumber(5));
    assert_eq!(rewrites.ack(SeqNumber(5)), SeqNumber(8));
    rewrites.acknowledged(SeqNumber(5));
    assert_eq!(
        rewrites.speak(SeqNumber(5), 3, b"x"),
        Err(Unrecordable::Misplaced)
    );
    assert_eq!(
        rewrites.speak(SeqNumber(6), 4, b"x"),
        Err(Unrecordable::Misplaced)
    );
    rewrites.speak(SeqNumber(5), 5, b"longer").unwrap();
    assert_eq!(rewrites.silent(SeqNumber(5)), 0);
    let image = |seq: u32, octets: &[u8]| {
        let mut out = Vec::new();
        let at = rewrites.apply(SeqNumber(seq), octets, &mut out);
        (at.0, String::from_utf8(out).unwrap())
    };
    assert_eq!(image(0, b"01234567"), (0, "01234".to_owned()));
    assert_eq!(image(8, b"89ab"), (5, "longerab".to_owned()));
    assert_eq!(image(9, b"9ab"), (9, "erab".to_owned()));
    for (received, acknowledged) in [(4, 4), (5, 8), (6, 8), (8, 8), (9, 9), (10, 9), (11, 10)] {
        assert_eq!(
            rewrites.ack(SeqNumber(received)),
            SeqNumber(acknowledged),
            "{received}"
        );
    }
}

#[test]
fn silent_octets_without_a_voice_are_given_up() {
    let mut rewrites = Rewrites::default();
    rewrites.silence(SeqNumber(5), 3).unwrap();
    rewrites.abandon();
    assert_eq!(rewrites.silent(SeqNumber(5)), 0);
    rewrites.record(SeqNumber(20), 1, b"xy").unwrap();
    assert_eq!(rewrites.seq(SeqNumber(21)), SeqNumber(19));
}

#[test]
fn a_long_idle_list_knows_no_stale_acknowledgement() {
    let mut rewrites = Rewrites::default();
    rewrites.record(SeqNumber(0), 1, b"xy").unwrap();
    rewrites.acknowledged(SeqNumber(1 << 31).shift(-9));
    assert_eq!(rewrites.remembered(), 0);
    let far = SeqNumber((1 << 31) + (1 << 30));
    rewrites.record(far, 1, b"xy").unwrap();
    rewrites.acknowledged(far);
    assert_eq!(rewrites.remembered(), 1);
}
