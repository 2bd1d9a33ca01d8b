//! The short way of packets in full swing, and of packets together, against the way of
//! all packets: the same answers, the same bytes, the same table, whatever comes.

use std::num::NonZeroU16;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use proptest::prelude::*;
use proptest::sample::select;
use spigate::engine::{
    Arrival, Checksums, Engine, Handed, Judgement, Observer, Options, Output, Policy, Silent, Step,
    Waiting,
};
use spigate::net::Timestamp;
use spigate::packet::{Checksum, SegmentSize};

use super::packets::{Packet, tcp, udp};

const RULES: &str = r#"
version = 1
[zones]
lan = { tun = "lan0", net = ["10.0.0.0/24", "2001:db8:10::/64"], address = "10.0.0.1", mtu = 1400 }
dmz = { tun = "dmz0", net = ["10.0.9.0/24", "2001:db8:9::/64"], address = "10.0.9.1" }
wan = { tun = "wan0", net = ["0.0.0.0/0", "::/0"], address = ["203.0.113.2", "2001:db8:2::2"] }
[services]
calls = { udp = 5004 }
ftp = { tcp = 21, alg = "ftp" }
[lifetimes]
brief = { refresh = "client" }
[timeouts]
tcp-established = "40s"
udp-stream = "20s"
on-expiry = "probe"
[policy]
default = "drop"
rules = [
  { id = "calls", from = "lan", service = "calls", action = "allow", lifetime = "brief" },
  { id = "out", from = "lan", action = "allow" },
  { id = "in",  from = "wan", to = "dmz", action = "allow" },
]
[nat]
source  = [{ id = "masq", from = "lan", to = "wan", as = "masquerade" }]
forward = [{ id = "web", on = "wan", tcp = 8080, to = "10.0.9.21:80" }]
"#;

fn policy() -> Arc<Policy> {
    static POLICY: OnceLock<Arc<Policy>> = OnceLock::new();
    let compile = || {
        let compiled = spigate::config::compile(Path::new("short.toml"), RULES);
        let report =
            |r: spigate::config::Report| panic!("{}", r.render(spigate::config::Colour::Plain));
        Arc::new(compiled.unwrap_or_else(report).policy)
    };
    POLICY.get_or_init(compile).clone()
}

/// Both ends of a conversation as each is addressed by the other: who speaks first, and
/// as what the other knows it.
struct Pair {
    zones: [usize; 2],
    /// Source and destination of what the first sends, and of what the second sends.
    ends: [[&'static str; 2]; 2],
}

const PAIRS: [Pair; 6] = [
    Pair {
        zones: [0, 2],
        ends: [
            ["10.0.0.7:51000", "198.51.100.9:80"],
            ["198.51.100.9:80", "203.0.113.2:51000"],
        ],
    },
    // Not translated.
    Pair {
        zones: [0, 1],
        ends: [
            ["10.0.0.8:51000", "10.0.9.21:5004"],
            ["10.0.9.21:5004", "10.0.0.8:51000"],
        ],
    },
    Pair {
        zones: [2, 1],
        ends: [
            ["198.51.100.9:51000", "203.0.113.2:8080"],
            ["10.0.9.21:80", "198.51.100.9:51000"],
        ],
    },
    Pair {
        zones: [0, 2],
        ends: [
            ["[2001:db8:10::7]:51000", "[2001:db8:c::9]:80"],
            ["[2001:db8:c::9]:80", "[2001:db8:2::2]:51000"],
        ],
    },
    // Not translated.
    Pair {
        zones: [0, 1],
        ends: [
            ["[2001:db8:10::8]:51000", "[2001:db8:9::21]:5004"],
            ["[2001:db8:9::21]:5004", "[2001:db8:10::8]:51000"],
        ],
    },
    // Read by an ALG.
    Pair {
        zones: [0, 2],
        ends: [
            ["10.0.0.7:51001", "198.51.100.9:21"],
            ["198.51.100.9:21", "203.0.113.2:51001"],
        ],
    },
];

/// What is said, and how it fares on its way.
#[derive(Debug, Clone)]
struct Said {
    pair: usize,
    from: usize,
    what: What,
    /// Added to the right sequence number, and to the right acknowledgement.
    off: [i32; 2],
    window: u16,
    text: usize,
    options: usize,
    ttl: u8,
    /// The zone that it comes by, in place of the right one.
    astray: Option<usize>,
    damage: Option<(usize, u8)>,
    checksum: Checksum,
    /// Into how long segments it is to be cut.
    segments: Option<u16>,
    later: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Udp,
    Opens,
    Flags(u8),
}

/// As senders write them, and as nobody does.
const OPTIONS: [&[u8]; 5] = [
    &[],
    &[1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 4],
    &[2, 4, 5, 180, 4, 2, 1, 3, 3, 7, 1, 1],
    &[1, 1, 5, 10, 0, 0, 16, 0, 0, 0, 32, 0],
    &[8, 30, 0, 0],
];

fn said() -> impl Strategy<Value = Said> {
    let what = prop_oneof![
        4 => Just(What::Udp),
        2 => Just(What::Opens),
        12 => select(vec![0x10u8, 0x18, 0x10, 0x18, 0x30, 0xd0]).prop_map(What::Flags),
        2 => any::<u8>().prop_map(What::Flags),
    ];
    let off = || prop_oneof![8 => Just(0i32), 1 => -3000..3000i32, 1 => any::<i32>()];
    let how = (
        prop_oneof![6 => any::<u16>(), 1 => Just(0)],
        prop_oneof![4 => 0..40usize, 1 => 1300..1500usize],
        prop_oneof![4 => Just(0usize), 3 => Just(1), 2 => 0..OPTIONS.len()],
        prop_oneof![8 => Just(64u8), 1 => 0..3u8],
    );
    let fate = (
        prop::option::weighted(0.05, 0..3usize),
        prop::option::weighted(0.08, (0..60usize, 1..=255u8)),
        prop_oneof![
            6 => Just((Checksum::Complete, None)),
            1 => Just((Checksum::Partial, None)),
            1 => (600..1500u16).prop_map(|size| (Checksum::Partial, Some(size))),
        ],
        prop_oneof![4 => Just(0u32), 4 => 0..900u32, 1 => 0..60_000u32],
    );
    ((0..PAIRS.len(), 0..2usize), what, (off(), off()), how, fate).prop_map(
        |((pair, from), what, off, how, fate)| Said {
            pair,
            from,
            what,
            off: [off.0, off.1],
            window: how.0,
            text: how.1,
            options: how.2,
            ttl: how.3,
            astray: fate.0,
            damage: fate.1,
            checksum: fate.2.0,
            segments: fate.2.1,
            later: fate.3,
        },
    )
}

/// A packet with those of these flags, as they stand in its header, that need no number.
pub(super) fn with_flags(packet: Packet, flags: u8) -> Packet {
    type Setter = (u8, fn(Packet) -> Packet);
    let setters: [Setter; 6] = [
        (0x01, Packet::fin),
        (0x02, Packet::syn),
        (0x04, Packet::rst),
        (0x08, Packet::psh),
        (0x20, Packet::urg),
        (0xc0, Packet::ecn),
    ];
    let set = setters.into_iter().filter(|(bits, _)| flags & bits != 0);
    set.fold(packet, |packet, (_, set)| set(packet))
}

/// How far each end of each pair has come.
#[derive(Default)]
struct Ends {
    next: [[u32; 2]; PAIRS.len()],
    now: u64,
}

impl Ends {
    /// The packets in which something is said: one, or a handshake.
    fn packets(&mut self, said: &Said) -> Vec<Waiting> {
        let Said { pair, from, .. } = *said;
        self.now += u64::from(said.later) * 1_000_000;
        if said.what == What::Opens {
            self.next[pair] = [1000, 5000];
            let [opens, answers] = PAIRS[pair]
                .ends
                .map(|[from, to]| tcp(from, to).window(40_000));
            let scaled: &[u8] = &[2, 4, 5, 180, 4, 2, 1, 3, 3, 3, 1, 1];
            let packets = [
                (0, opens.clone().syn().seq(999).tcp_options(scaled)),
                (1, answers.syn().seq(4999).ack(1000).tcp_options(scaled)),
                (0, opens.seq(1000).ack(5000)),
            ];
            let waiting = packets.map(|(from, packet)| self.waiting(said, from, packet));
            return waiting.into();
        }
        let [source, destination] = PAIRS[pair].ends[from];
        let text = vec![b'x'; said.text];
        let packet = match said.what {
            What::Udp => udp(source, destination).data(&text),
            What::Opens | What::Flags(_) => {
                let seq = self.next[pair][from].wrapping_add_signed(said.off[0]);
                let ack = self.next[pair][1 - from].wrapping_add_signed(said.off[1]);
                if said.off == [0, 0] && said.damage.is_none() && said.astray.is_none() {
                    self.next[pair][from] = seq.wrapping_add(u32::try_from(text.len()).unwrap());
                }
                let What::Flags(flags) = said.what else {
                    return Vec::new();
                };
                let mut packet = tcp(source, destination).seq(seq);
                if flags & 0x10 != 0 {
                    packet = packet.ack(ack);
                }
                with_flags(packet, flags)
                    .window(said.window)
                    .tcp_options(OPTIONS[said.options])
                    .data(&text)
            }
        };
        vec![self.waiting(said, from, packet.ttl(said.ttl))]
    }

    fn waiting(&self, said: &Said, from: usize, packet: Packet) -> Waiting {
        let mut frame = packet.bytes();
        if let Some((at, with)) = said.damage
            && let Some(place) = frame.get_mut(at)
        {
            *place ^= with;
        }
        let zone = said.astray.unwrap_or(PAIRS[said.pair].zones[from]);
        let names = ["lan", "dmz", "wan"];
        let zone = policy().zones.by_name(names[zone]).unwrap();
        Waiting {
            headroom: 0,
            handed: Handed::NOT,
            at: Timestamp::from_nanos(1_772_355_600_000_000_000 + self.now),
            arrival: Arrival {
                checksum: said.checksum,
                segments: said.segments.and_then(NonZeroU16::new).map(SegmentSize),
                ..Arrival::whole(zone)
            },
            frame,
        }
    }
}

/// Who hears every step, and so has every packet go the whole way.
pub(super) struct Listener;

impl Observer for Listener {
    fn step(&mut self, _: Step<'_>) {}
}

/// What came of a packet, all of it.
type Outcome = (Judgement, Vec<u8>, String);

fn outcome(judgement: &Judgement, frame: &[u8], out: &Output) -> Outcome {
    (*judgement, frame.to_vec(), format!("{out:?}"))
}

fn one_by_one(engine: &mut Engine, all: &[Waiting], why: &mut impl Observer) -> Vec<Outcome> {
    let one = |waiting: &Waiting| {
        let mut frame = waiting.frame.clone();
        let mut out = Output::default();
        let judgement = engine.packet(waiting.at, waiting.arrival, &mut frame, &mut out, why);
        outcome(&judgement, &frame, &out)
    };
    all.iter().map(one).collect()
}

fn together(engine: &mut Engine, all: &[Waiting]) -> Vec<Outcome> {
    let mut all = all.to_vec();
    // What stands before a packet changes nothing, and is not changed.
    for (place, waiting) in all.iter_mut().enumerate() {
        waiting.headroom = place % 3 * 5;
        let before = vec![0xa5; waiting.headroom];
        waiting.frame.splice(..0, before);
    }
    let mut outcomes = Vec::new();
    let mut out = Output::default();
    engine.packets(
        &mut all,
        &mut out,
        &mut Silent,
        |waiting, judgement, out| {
            let (before, packet) = waiting.frame.split_at(waiting.headroom);
            assert!(before.iter().all(|octet| *octet == 0xa5));
            assert_eq!(packet, waiting.packet());
            outcomes.push(outcome(judgement, packet, out));
        },
    );
    outcomes
}

fn engine(checksums: Checksums) -> Engine {
    let options = Options { seed: 3, checksums };
    Engine::new(policy(), options, Timestamp::from_secs(1_772_355_600))
}

proptest! {
    #[test]
    fn whichever_way_it_goes_a_packet_fares_alike(
        all in prop::collection::vec(said(), 1..150),
        verifies: bool,
    ) {
        let checksums = if verifies { Checksums::Verify } else { Checksums::Ignore };
        let mut ends = Ends::default();
        let all: Vec<Waiting> = all.iter().flat_map(|said| ends.packets(said)).collect();
        let mut engines = [engine(checksums), engine(checksums), engine(checksums)];
        let [whole, short, batch] = &mut engines;
        let outcomes = one_by_one(whole, &all, &mut Listener);
        let one = one_by_one(short, &all, &mut Silent);
        for (n, (ours, theirs)) in one.iter().zip(&outcomes).enumerate() {
            prop_assert_eq!(ours, theirs, "packet {}", n);
        }
        prop_assert_eq!(together(batch, &all), outcomes);
        for other in [&*short, &*batch] {
            prop_assert_eq!(other.sessions().sorted(), whole.sessions().sorted());
            let verdicts = |engine: &Engine| engine.counters().verdicts().collect::<Vec<_>>();
            prop_assert_eq!(verdicts(other), verdicts(whole));
            prop_assert_eq!(other.now(), whole.now());
        }
        prop_assert_eq!(whole.counters().in_full_swing(), 0);
        prop_assert_eq!(batch.counters().in_full_swing(), short.counters().in_full_swing());
    }
}

#[test]
fn a_conversation_gets_into_full_swing() {
    converse(0, 20);
}

#[test]
fn so_does_one_over_ipv6() {
    converse(3, 40);
}

/// The two of this pair go on for long. `header`: octets of their IP header.
fn converse(pair: usize, header: u64) {
    let mut ends = Ends::default();
    let opens = Said {
        pair,
        from: 0,
        what: What::Opens,
        off: [0, 0],
        window: 40_000,
        text: 10,
        options: 1,
        ttl: 64,
        astray: None,
        damage: None,
        checksum: Checksum::Complete,
        segments: None,
        later: 1,
    };
    let goes_on = |from| Said {
        from,
        what: What::Flags(0x18),
        ..opens.clone()
    };
    let mut all = ends.packets(&opens);
    for n in 0..200_000 {
        all.extend(ends.packets(&goes_on(n % 2)));
    }
    let mut engine = engine(Checksums::Verify);
    let outcomes = together(&mut engine, &all);
    let forwarded = |(judgement, ..): &&Outcome| {
        matches!(judgement.verdict, spigate::engine::Verdict::Forward(_))
    };
    assert_eq!(outcomes.iter().filter(forwarded).count(), 200_003);
    // The handshake is looked at from all sides.
    assert_eq!(engine.counters().in_full_swing(), 200_000);
    let [session] = &engine.sessions().sorted()[..] else {
        panic!("one session");
    };
    // More than the low counters of the table hold.
    assert_eq!(session.counters.original.packets, 100_002);
    assert_eq!(session.counters.reply.packets, 100_001);
    let (opening, others) = (header + 32, 100_000 * (header + 32 + 10));
    assert_eq!(session.counters.reply.bytes, opening + others);
}
