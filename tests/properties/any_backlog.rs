//! Much that is due together ends little by little; an engine that is behind answers as
//! one that ends all at once: the same verdicts, the same bytes, and in the end the same
//! table, the same events, each with the moment of its deadline.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;
use spigate::engine::{
    Arrival, Checksums, Engine, Event, Judgement, Options, Output, Policy, Reason, Silent, Verdict,
};
use spigate::net::Timestamp;

use super::packets::{Packet, echo, icmp, tcp, udp};

const RULES: &str = r#"
version = 1
[zones]
lan = { tun = "lan0", net = ["10.0.0.0/20"], address = "10.0.0.1" }
dmz = { tun = "dmz0", net = ["10.0.99.0/24"], address = "10.0.99.1" }
wan = { tun = "wan0", net = ["0.0.0.0/0"], address = "203.0.113.2" }
[services]
ftp = { tcp = 21, alg = "ftp" }
told = { tcp = 22, idle = "40s" }
[lifetimes]
told = { tcp-established = "40s", on-expiry = "reset" }
[timeouts]
tcp-established = "40s"
on-expiry = "probe"
[limits]
resets-per-second = 100000
[policy]
default = "drop"
unsolicited-syn = "hold"
rules = [
  { id = "told", from = "lan", service = "told", action = "allow", lifetime = "told" },
  { id = "out", from = "lan", action = "allow" },
  { id = "in",  from = "wan", to = "dmz", action = "allow" },
]
[nat]
source  = [{ id = "masq", from = "lan", to = "wan", as = "masquerade" }]
forward = [{ id = "web", on = "wan", tcp = 8080, to = "10.0.99.21:80" }]
[alg.ftp]
strict = false
"#;

/// Whether sessions that run out speak to their ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Silent,
    Speaks,
}

fn policy(end: End) -> Arc<Policy> {
    static POLICIES: OnceLock<[Arc<Policy>; 2]> = OnceLock::new();
    let silent = RULES
        .replace("probe", "silent")
        .replace("\"reset\"", "\"silent\"");
    let [silent, speaks] = POLICIES.get_or_init(|| [&silent, RULES].map(compile));
    match end {
        End::Silent => silent.clone(),
        End::Speaks => speaks.clone(),
    }
}

fn compile(rules: &str) -> Arc<Policy> {
    let compiled = spigate::config::compile(Path::new("backlog.toml"), rules);
    let report =
        |r: spigate::config::Report| panic!("{}", r.render(spigate::config::Colour::Plain));
    Arc::new(compiled.unwrap_or_else(report).policy)
}

/// Who speaks first, by which zone each comes, and as what each knows the other.
struct Pair {
    zones: [&'static str; 2],
    ends: [[&'static str; 2]; 2],
}

const PAIRS: [Pair; 7] = [
    Pair {
        zones: ["lan", "wan"],
        ends: [
            ["10.0.0.7:51000", "198.51.100.9:80"],
            ["198.51.100.9:80", "203.0.113.2:51000"],
        ],
    },
    Pair {
        zones: ["lan", "wan"],
        ends: [
            ["10.0.0.8:51000", "198.51.100.9:22"],
            ["198.51.100.9:22", "203.0.113.2:51000"],
        ],
    },
    Pair {
        zones: ["lan", "dmz"],
        ends: [
            ["10.0.0.8:51000", "10.0.99.21:5004"],
            ["10.0.99.21:5004", "10.0.0.8:51000"],
        ],
    },
    Pair {
        zones: ["wan", "dmz"],
        ends: [
            ["198.51.100.9:51000", "203.0.113.2:8080"],
            ["10.0.99.21:80", "198.51.100.9:51000"],
        ],
    },
    // A control session, and the data session that it announces.
    Pair {
        zones: ["lan", "wan"],
        ends: [
            ["10.0.0.7:51001", "198.51.100.9:21"],
            ["198.51.100.9:21", "203.0.113.2:51001"],
        ],
    },
    Pair {
        zones: ["wan", "lan"],
        ends: [
            ["198.51.100.9:20", "203.0.113.2:51210"],
            ["10.0.0.7:51210", "198.51.100.9:20"],
        ],
    },
    // Would have the public endpoint of the first, and gets it when that is over.
    Pair {
        zones: ["lan", "wan"],
        ends: [
            ["10.0.0.9:51000", "198.51.100.9:80"],
            ["198.51.100.9:80", "203.0.113.2:51000"],
        ],
    },
];

const CONTROL: usize = 4;
const RIVAL: usize = 6;

#[derive(Debug, Clone)]
enum Step {
    /// So many sessions begin that nobody will speak of again.
    Crowd(u16),
    /// Time passes, and how often the one that is behind is given some.
    Later(u32, u8),
    Opens(usize),
    /// Which pair, which end, what flags.
    Says(usize, usize, u8),
    Asks(usize, usize),
    Announces,
    Echo(u16),
    /// A router reports about what this end has sent.
    Reports(usize, usize),
    /// A piece of a datagram: whether it is the last one.
    Piece(u16, bool),
    /// A SYN that nobody has asked for.
    Stranger(u16),
}

fn step() -> impl Strategy<Value = Step> {
    let pair = || 0..PAIRS.len();
    let flags = select(vec![0x10u8, 0x18, 0x18, 0x18, 0x11, 0x04, 0x02]);
    let later = prop_oneof![
        4 => 0..2_000u32,
        3 => 5_000..35_000u32,
        2 => 35_000..130_000u32,
        1 => 0..700_000u32
    ];
    prop_oneof![
        3 => (1..250u16).prop_map(Step::Crowd),
        6 => (later, 0..3u8).prop_map(|(later, calls)| Step::Later(later, calls)),
        4 => pair().prop_map(Step::Opens),
        8 => (pair(), 0..2usize, flags).prop_map(|(p, from, flags)| Step::Says(p, from, flags)),
        6 => (pair(), 0..2usize).prop_map(|(p, from)| Step::Asks(p, from)),
        2 => Just(Step::Announces),
        2 => (0..3u16).prop_map(Step::Echo),
        2 => (pair(), 0..2usize).prop_map(|(p, from)| Step::Reports(p, from)),
        2 => (0..3u16, any::<bool>()).prop_map(|(id, last)| Step::Piece(id, last)),
        2 => (0..3u16).prop_map(Step::Stranger),
    ]
}

/// What is sent: by which zone, and what.
type Sent = (&'static str, Vec<u8>);

/// How far each end of each pair has come.
#[derive(Default)]
struct Ends {
    next: [[u32; 2]; PAIRS.len()],
    crowd: u16,
}

impl Ends {
    fn packets(&mut self, step: &Step) -> Vec<Sent> {
        let at =
            |pair: usize, from: usize, packet: Packet| (PAIRS[pair].zones[from], packet.bytes());
        match *step {
            Step::Later(..) => Vec::new(),
            Step::Crowd(count) => {
                let one = |_| {
                    self.crowd = self.crowd.wrapping_add(1);
                    let [high, low] = self.crowd.to_be_bytes();
                    let client = format!("10.0.{}.{low}:4{:04}", 1 + high % 8, self.crowd % 5000);
                    ("lan", udp(&client, "198.51.100.77:53").bytes())
                };
                (0..count).map(one).collect()
            }
            Step::Opens(pair) => {
                self.next[pair] = [1000, 5000];
                let [opens, answers] = PAIRS[pair].ends.map(|[from, to]| tcp(from, to));
                vec![
                    at(pair, 0, opens.clone().syn().seq(999)),
                    at(pair, 1, answers.syn().seq(4999).ack(1000)),
                    at(pair, 0, opens.seq(1000).ack(5000)),
                ]
            }
            Step::Says(pair, from, flags) => {
                vec![at(pair, from, self.says(pair, from, flags, b"x"))]
            }
            Step::Announces => {
                let text = b"PORT 10,0,0,7,200,10\r\n";
                vec![at(CONTROL, 0, self.says(CONTROL, 0, 0x18, text))]
            }
            Step::Asks(pair, from) => {
                let [source, destination] = PAIRS[pair].ends[from];
                vec![at(pair, from, udp(source, destination))]
            }
            Step::Echo(id) => vec![("lan", echo("10.0.0.7", "198.51.100.9", id).bytes())],
            Step::Reports(pair, from) => {
                // As the other end sees it arrive; the reporter is on that side.
                let [source, destination] = PAIRS[pair].ends[1 - from];
                let quoted = tcp(destination, source).seq(self.next[pair][from]).bytes();
                let (router, to) = (source.split(':').next(), destination.split(':').next());
                let report = icmp(router.unwrap(), to.unwrap(), 3, 1).quoting(&quoted);
                vec![at(pair, 1 - from, report)]
            }
            Step::Piece(id, last) => {
                let mut bytes = udp("10.0.0.7:51003", "198.51.100.9:53")
                    .data([7; 24])
                    .bytes();
                let (offset, more): (u16, u16) = if last { (2, 0) } else { (0, 0x2000) };
                let body = if last { 36..52 } else { 20..36 };
                let kept: Vec<u8> = bytes[body].to_vec();
                bytes.truncate(20);
                bytes.extend(kept);
                bytes[2..4].copy_from_slice(&36u16.to_be_bytes());
                bytes[4..6].copy_from_slice(&id.to_be_bytes());
                bytes[6..8].copy_from_slice(&(offset | more).to_be_bytes());
                bytes[10..12].fill(0);
                let words = bytes[..20]
                    .chunks(2)
                    .map(|w| u32::from(w[0]) << 8 | u32::from(w[1]));
                let sum: u32 = words.sum();
                let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
                bytes[10..12].copy_from_slice(&sum.to_be_bytes());
                vec![("lan", bytes)]
            }
            Step::Stranger(port) => {
                let stranger = format!("198.51.100.50:{}", 7000 + port);
                vec![("wan", tcp(&stranger, "203.0.113.2:9").syn().bytes())]
            }
        }
    }

    fn says(&mut self, pair: usize, from: usize, flags: u8, text: &[u8]) -> Packet {
        let [source, destination] = PAIRS[pair].ends[from];
        let (seq, ack) = (self.next[pair][from], self.next[pair][1 - from]);
        let packet = tcp(source, destination).seq(seq);
        match flags {
            0x02 => packet.syn(),
            0x04 => packet.rst(),
            0x11 => {
                self.next[pair][from] = seq.wrapping_add(1);
                packet.ack(ack).fin()
            }
            0x10 => packet.ack(ack),
            _ => {
                self.next[pair][from] = seq.wrapping_add(u32::try_from(text.len()).unwrap());
                packet.ack(ack).psh().data(text)
            }
        }
    }
}

const START: Timestamp = Timestamp::from_secs(1_772_355_600);

/// An engine, and all that it has told of so far but for what packets brought about.
struct Driven {
    engine: Engine,
    events: Vec<String>,
    made: Vec<Vec<u8>>,
}

impl Driven {
    fn new(policy: Arc<Policy>) -> Self {
        let options = Options {
            seed: 3,
            checksums: Checksums::Verify,
        };
        Self {
            engine: Engine::new(policy, options, START),
            events: Vec::new(),
            made: Vec::new(),
        }
    }

    /// A call of `expire`; whether there may be more.
    fn expire(&mut self, now: Timestamp) -> bool {
        let mut out = Output::default();
        let left = self.engine.expire(now, &mut out).is_left();
        assert!(ended(&out) <= 256, "more than a call may do");
        self.note(&out);
        left
    }

    fn packet(
        &mut self,
        now: Timestamp,
        (zone, bytes): &Sent,
    ) -> (Judgement, Vec<u8>, Vec<Vec<u8>>) {
        let mut out = Output::default();
        let mut frame = bytes.clone();
        let zone = self.engine.policy().zones.by_name(zone).unwrap();
        let arrival = Arrival::whole(zone);
        let judgement = self
            .engine
            .packet(now, arrival, &mut frame, &mut out, &mut Silent);
        assert!(ended(&out) <= 200, "more than a packet may do");
        self.note(&out);
        (judgement, frame, out.more)
    }

    fn note(&mut self, out: &Output) {
        let counted: usize = out.events.iter().map(Event::packets).sum();
        assert!(counted <= out.made.len(), "packets of no event");
        self.made
            .extend(out.made.iter().map(|made| made.bytes.clone()));
        let told = out.events.iter().map(|event| match event {
            // Slots are nobody's business.
            Event::Began(handle) => format!("{:?} began", handle.id()),
            Event::Unmet(expectation) => format!(
                "unmet {:?} {}",
                expectation.tuple,
                expectation.deadline.as_nanos()
            ),
            other => format!("{other:?}"),
        });
        self.events.extend(told);
    }

    fn is_behind(&self, now: Timestamp) -> bool {
        self.engine.next_deadline().is_some_and(|next| next <= now)
    }
}

fn ended(out: &Output) -> usize {
    let ended = |event: &&Event| matches!(event, Event::Ended { .. });
    out.events.iter().filter(ended).count()
}

/// Those who are told by a rate take their turns in the order of their deadlines only
/// where that takes no longer than a packet may.
const CROWD_OF_THOSE_THAT_SPEAK: u16 = 120;

fn same_answers(end: End, steps: &[Step]) -> Result<(), TestCaseError> {
    let (mut prompt, mut late) = (Driven::new(policy(end)), Driven::new(policy(end)));
    let mut ends = Ends::default();
    let mut now = START;
    for step in steps {
        match step {
            Step::Later(millis, calls) => {
                now = now.after(Duration::from_millis(u64::from(*millis)));
                for _ in 0..*calls {
                    late.expire(now);
                }
            }
            Step::Crowd(more)
                if end == End::Speaks && ends.crowd + more > CROWD_OF_THOSE_THAT_SPEAK =>
            {
                continue;
            }
            // One that may speak keeps its port until it has.
            Step::Announces | Step::Opens(RIVAL) | Step::Says(RIVAL, ..) if end == End::Speaks => {
                continue;
            }
            // A port that is drawn is one that nobody has, and that is over is somebody.
            Step::Asks(RIVAL, _) => continue,
            _ => {}
        }
        for sent in ends.packets(step) {
            now = now.after(Duration::from_micros(10));
            while prompt.expire(now) {}
            let expected = prompt.packet(now, &sent);
            prop_assert_eq!(late.packet(now, &sent), expected, "{:?}", step);
        }
    }
    while prompt.expire(now) {}
    while late.expire(now) {}
    prop_assert_eq!(
        late.engine.sessions().sorted(),
        prompt.engine.sessions().sorted()
    );
    prop_assert_eq!(apart(late.events, prompt.events), Default::default());
    prop_assert_eq!(apart(late.made, prompt.made), Default::default());
    Ok(())
}

/// What only one of the two has, the order aside.
fn apart<T: Ord>(mut one: Vec<T>, mut other: Vec<T>) -> (Vec<T>, Vec<T>) {
    one.sort();
    other.sort();
    let (mut left, mut right) = (Vec::new(), Vec::new());
    let (mut one, mut other) = (one.into_iter().peekable(), other.into_iter().peekable());
    loop {
        match (one.peek(), other.peek()) {
            (Some(a), Some(b)) if a == b => {
                one.next();
                other.next();
            }
            (Some(a), Some(b)) if a > b => right.extend(other.next()),
            (None, _) => {
                right.extend(other);
                return (left, right);
            }
            (Some(_), _) => left.extend(one.next()),
        }
    }
}

proptest! {
    #[test]
    fn however_far_it_is_behind_it_answers_alike(steps in prop::collection::vec(step(), 1..60)) {
        same_answers(End::Silent, &steps)?;
    }

    #[test]
    fn and_so_it_does_where_those_that_end_speak(steps in prop::collection::vec(step(), 1..60)) {
        same_answers(End::Speaks, &steps)?;
    }
}

/// So many sessions of a crowd, all of which are due.
fn crowded(rules: &str, crowd: u16) -> (Driven, Timestamp) {
    let mut driven = Driven::new(compile(rules));
    let mut ends = Ends::default();
    for sent in ends.packets(&Step::Crowd(crowd)) {
        let (judgement, ..) = driven.packet(START, &sent);
        assert!(matches!(judgement.verdict, Verdict::Forward(_)));
    }
    let now = START.after(Duration::from_secs(3600));
    (driven, now)
}

#[test]
fn a_packet_does_a_little_and_a_call_some_hundreds() {
    let (mut driven, now) = crowded(RULES, 5_000);
    let ask = |n: u16| {
        (
            "lan",
            udp(&format!("10.0.9.{}:999", n % 200), "198.51.100.9:53").bytes(),
        )
    };
    let before = driven.engine.sessions().len();
    assert_eq!(before, 5_000);
    // The first calls only put them in order.
    let mut calls = 1;
    while driven.engine.sessions().len() == before {
        assert!(driven.expire(now));
        calls += 1;
    }
    assert!(calls < 8, "{calls}");
    // A session for four packets; and four for each new one.
    driven.packet(now, &ask(0));
    let before = driven.engine.sessions().len();
    for _ in 0..160 {
        driven.packet(now, &ask(0));
    }
    let ended = before - driven.engine.sessions().len();
    assert!((36..=44).contains(&ended), "by packets: {ended}");
    for n in 1..=100 {
        driven.packet(now, &ask(n));
    }
    let ended = before + 100 - ended - driven.engine.sessions().len();
    assert!((396..=440).contains(&ended), "by new sessions: {ended}");
    assert!(driven.is_behind(now));
    let left = driven.engine.sessions().len();
    assert!(driven.expire(now));
    assert_eq!(left - driven.engine.sessions().len(), 256);
    while driven.expire(now) {
        calls += 1;
    }
    assert!(calls <= 5_000 / 150, "{calls}");
    assert_eq!(driven.engine.sessions().len(), 101);
    assert!(!driven.is_behind(now));
}

#[test]
fn what_is_over_holds_no_port_and_no_place_and_fills_no_limit() {
    let ports = |line: &str| RULES.replace(r#"as = "masquerade""#, line);
    let limits = |line: &str| RULES.replace("[limits]", &format!("[limits]\n{line}"));
    let rows = [
        limits("sessions = 120\nwhen-full = \"refuse\""),
        limits("sessions = 120\nwhen-full = \"evict-idle\""),
        limits("per-source = 1"),
        ports("as = \"masquerade\", ports = \"4000-4119\""),
    ];
    for rules in rows {
        let (mut driven, now) = crowded(&rules, 120);
        // Another connection of the one that is due last.
        let again = udp("10.0.1.120:999", "198.51.100.77:53").bytes();
        let (judgement, ..) = driven.packet(now, &("lan", again));
        let refused = [
            Reason::SessionLimit,
            Reason::SourceLimit,
            Reason::NatPortsExhausted,
        ];
        assert!(
            !refused.contains(&judgement.reason),
            "{judgement:?}\n{rules}"
        );
        assert!(
            matches!(judgement.verdict, Verdict::Forward(_)),
            "{judgement:?}"
        );
        let evicted = driven
            .engine
            .counters()
            .evicted()
            .map(|(_, n)| n)
            .sum::<u64>();
        assert_eq!(evicted, 0, "none had to go");
    }
}
