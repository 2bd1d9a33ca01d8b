//! The engine under anything that can arrive, at any time.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use spigate::engine::{
    Arrival, Checksums, Engine, Options, Output, Policy, Reason, Silent, Verdict,
};
use spigate::net::{Direction, Endpoint, Port, Timestamp, ZoneId};
use spigate::session::{
    Expectation, Handle, Limits, Session, SessionId, Sessions, Standing, WhenFull,
};

use super::other_packets::{
    abort, cookie_ack, cookie_echo, data, heartbeat, heartbeat_ack, init, init_ack, sctp,
    shutdown_ack, udplite,
};
use super::packets::{Packet, echo, echo_reply, endpoint, icmp, protocol, tcp, udp};
use super::seen::{Body, Seen, Sums};

const RULES: &str = r#"
version = 1
[zones]
lan = { tun = "lan0", net = ["10.0.0.0/24"], address = "10.0.0.1" }
dmz = { tun = "dmz0", net = ["10.0.9.0/24"], address = "10.0.9.1" }
wan = { tun = "wan0", net = ["0.0.0.0/0"], address = "203.0.113.2" }
[services]
ftp = { tcp = 21, alg = "ftp" }
[timeouts]
tcp-established = "1m"
on-expiry = "probe"
[policy]
default = "reject"
rules = [
  { id = "out", from = ["lan", "dmz"], action = "allow" },
  { id = "in",  from = "wan", to = "dmz", action = "allow" },
]
[nat]
source  = [{ id = "masq", from = ["lan", "dmz"], to = "wan", as = "masquerade" }]
forward = [{ id = "ftp", on = "wan", service = "ftp", to = "10.0.9.21" },
           { id = "web", on = "wan", tcp = 8080, to = "10.0.9.21:80" }]
[alg.ftp]
strict = false
"#;

const ZONES: [&str; 3] = ["lan", "dmz", "wan"];

pub(super) fn policy() -> Arc<Policy> {
    static POLICY: OnceLock<Arc<Policy>> = OnceLock::new();
    let compile = || {
        let compiled = spigate::config::compile(Path::new("any.toml"), RULES);
        let report =
            |r: spigate::config::Report| panic!("{}", r.render(spigate::config::Colour::Plain));
        Arc::new(compiled.unwrap_or_else(report).policy)
    };
    POLICY.get_or_init(compile).clone()
}

/// One thing that happens.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// Time passes, or (captures have it) goes back.
    Clock(i32),
    Sent(usize, Fresh),
    /// An FTP client opens a control session, and says something.
    Control(usize, &'static str),
    /// Somebody opens the data session that is expected, from this port.
    Data(u16),
    /// Whoever got the last forwarded packet answers it.
    Answered(u8, &'static str),
    /// Its sender goes on.
    Continued(u8, &'static str),
    /// Somebody on its way reports an error about it.
    Reported(u8),
    /// The last forwarded packet's original again, damaged.
    Damaged(usize, u8),
    Noise(usize, Vec<u8>),
}

/// A packet out of nothing.
#[derive(Debug, Clone)]
pub(super) enum Fresh {
    Tcp(&'static str, &'static str, u8, &'static str),
    Udp(&'static str, &'static str),
    Echo(&'static str, &'static str, u16),
    Other(&'static str, &'static str),
    Sctp(&'static str, &'static str, usize),
    UdpLite(&'static str, &'static str),
}

const ENDS: [&str; 14] = [
    "10.0.0.7:51000",
    "10.0.0.8:51000",
    "10.0.0.7:51210",
    "10.0.0.7:20",
    "10.0.9.21:21",
    "10.0.9.21:20",
    "10.0.9.21:80",
    "203.0.113.2:21",
    "203.0.113.2:8080",
    "203.0.113.2:51210",
    "198.51.100.9:21",
    "198.51.100.9:20",
    "198.51.100.9:51000",
    "198.51.100.10:80",
];

const LINES: [&str; 10] = [
    "",
    "NOOP\r\n",
    "PORT 10,0,0,7,200,10\r\n",
    "PORT 10,0,0,8,200,10\r\n",
    "PORT 198,51,100,9,200,10\r\nPORT 198,51,100,9,200,11\r\n",
    "PORT 10,0,",
    "0,7,200,12\r\n",
    "EPRT |1|10.0.0.7|51211|\r\nPASV\r\n",
    "227 Entering Passive Mode (10,0,9,21,156,64)\r\n",
    "229 ok (|||51210|)\r\n",
];

/// FTP clients with their servers: two inside, one outside.
const CONTROL: [(usize, &str, &str); 3] = [
    (0, "10.0.0.7:51000", "198.51.100.9:21"),
    (0, "10.0.0.8:51000", "198.51.100.9:21"),
    (2, "198.51.100.9:51000", "203.0.113.2:21"),
];

/// SYN, SYN/ACK, ACK, FIN, RST, and what is none of these.
const FLAGS: [u8; 8] = [0x02, 0x02, 0x12, 0x10, 0x18, 0x11, 0x04, 0x03];

fn fresh() -> impl Strategy<Value = Fresh> {
    let end = || select(&ENDS[..]);
    prop_oneof![
        5 => (end(), end(), select(&FLAGS[..]), select(&LINES[..]))
            .prop_map(|(a, b, flags, line)| Fresh::Tcp(a, b, flags, line)),
        2 => (end(), end()).prop_map(|(a, b)| Fresh::Udp(a, b)),
        1 => (end(), end(), 0..2u16).prop_map(|(a, b, id)| Fresh::Echo(a, b, id)),
        1 => (end(), end()).prop_map(|(a, b)| Fresh::Other(a, b)),
        2 => (end(), end(), 0..20usize).prop_map(|(a, b, what)| Fresh::Sctp(a, b, what)),
        1 => (end(), end()).prop_map(|(a, b)| Fresh::UdpLite(a, b)),
    ]
}

pub(super) fn event() -> impl Strategy<Value = Event> {
    let line = || select(&LINES[..]);
    let flags = || select(&FLAGS[1..]);
    prop_oneof![
        2 => prop_oneof![0..2000i32, 0..200_000i32, -5000..0i32].prop_map(Event::Clock),
        1 => (0..3usize, fresh()).prop_map(|(zone, packet)| Event::Sent(zone, packet)),
        6 => fresh().prop_map(|packet| Event::Sent(packet.home(), packet)),
        2 => (0..CONTROL.len(), line()).prop_map(|(which, line)| Event::Control(which, line)),
        2 => select(vec![20u16, 33_333]).prop_map(Event::Data),
        6 => (flags(), line()).prop_map(|(flags, line)| Event::Answered(flags, line)),
        6 => (flags(), line()).prop_map(|(flags, line)| Event::Continued(flags, line)),
        1 => select(vec![3u8, 4, 5, 11, 12]).prop_map(Event::Reported),
        1 => (0..60usize, any::<u8>()).prop_map(|(at, octet)| Event::Damaged(at, octet)),
        1 => (0..3usize, proptest::collection::vec(any::<u8>(), 0..80))
            .prop_map(|(zone, octets)| Event::Noise(zone, octets)),
    ]
}

fn segment(from: &str, to: &str, flags: u8, seq: u32, ack: u32, line: &str) -> Packet {
    let mut packet = tcp(from, to).seq(seq).data(line);
    if flags & 0x10 != 0 {
        packet = packet.ack(ack);
    }
    if flags & 0x02 != 0 {
        packet = packet.syn();
    }
    if flags & 0x01 != 0 {
        packet = packet.fin();
    }
    if flags & 0x04 != 0 {
        packet = packet.rst();
    }
    if flags & 0x08 != 0 {
        packet = packet.psh();
    }
    packet
}

/// An SCTP packet, with a tag that fits or not.
fn chunks(from: &str, to: &str, what: usize) -> Packet {
    let chunk = match what / 2 {
        0 => init(1),
        1 => init_ack(1),
        2 => cookie_echo(),
        3 => cookie_ack(),
        4 => heartbeat(),
        5 => heartbeat_ack(),
        6 => shutdown_ack(),
        7 => abort(),
        _ => data("x"),
    };
    let tag = u32::try_from(what % 2).unwrap();
    sctp(from, to, tag, &[chunk])
}

impl Fresh {
    /// The zone that its source lies in.
    fn home(&self) -> usize {
        let (Self::Tcp(from, ..)
        | Self::Udp(from, _)
        | Self::Echo(from, ..)
        | Self::Other(from, _)
        | Self::Sctp(from, ..)
        | Self::UdpLite(from, _)) = self;
        match from.split('.').nth(2) {
            Some("0") => 0,
            Some("9") => 1,
            _ => 2,
        }
    }

    fn packet(&self) -> Packet {
        let address = |end: &str| endpoint(end).ip().to_string();
        match self {
            Self::Tcp(a, b, flags, line) => segment(a, b, *flags, 1000, 5001, line),
            Self::Udp(a, b) => udp(a, b),
            Self::Echo(a, b, id) => echo(&address(a), &address(b), *id),
            Self::Other(a, b) => protocol(47, &address(a), &address(b)),
            Self::Sctp(a, b, what) => chunks(a, b, *what),
            Self::UdpLite(a, b) => udplite(a, b, 8, "x"),
        }
    }
}

/// Octets of sequence space that a segment takes.
fn span(tcp: &etherparse::TcpHeader, text: &str) -> u32 {
    u32::try_from(text.len()).unwrap() + u32::from(tcp.syn) + u32::from(tcp.fin)
}

/// A packet that left, and how it had come.
#[derive(Debug, Clone)]
struct Passed {
    came: (usize, Vec<u8>),
    left: (usize, Seen),
}

impl Passed {
    /// What its receiver answers.
    fn answer(&self, flags: u8, line: &str) -> Vec<u8> {
        let Seen {
            source,
            destination,
            body,
            ..
        } = &self.left.1;
        let address = |end: &str| endpoint(end).ip().to_string();
        match body {
            Body::Tcp(tcp, _) => {
                let ack = tcp
                    .sequence_number
                    .wrapping_add(span(tcp, &self.left.1.text()));
                let seq = tcp.acknowledgment_number.max(5000);
                segment(destination, source, flags, seq, ack, line).bytes()
            }
            Body::Udp(_) => udp(destination, source).bytes(),
            Body::Icmp(8, ..) => {
                echo_reply(destination, &address(source), endpoint(source).port()).bytes()
            }
            Body::Icmp(..) => icmp(&address(destination), &address(source), 0, 0).bytes(),
            Body::Other(132) => chunks(destination, source, usize::from(flags)).bytes(),
            Body::Other(136) => udplite(destination, source, 0, line).bytes(),
            Body::Other(number) => protocol(*number, destination, source).bytes(),
        }
    }

    /// What its sender sends next.
    fn next(&self, flags: u8, line: &str) -> Vec<u8> {
        let came = Seen::read(&self.came.1, Sums::Right);
        match &came.body {
            Body::Tcp(tcp, _) => {
                let seq = tcp.sequence_number.wrapping_add(span(tcp, &came.text()));
                let ack = tcp.acknowledgment_number.max(5001);
                segment(&came.source, &came.destination, flags, seq, ack, line).bytes()
            }
            _ => self.came.1.clone(),
        }
    }
}

/// An engine with the world around it.
pub(super) struct World {
    pub(super) engine: Engine,
    pub(super) now: Timestamp,
    latest: Timestamp,
    last: Option<Passed>,
    packets: usize,
    /// All that left, in order.
    pub(super) record: Vec<Vec<u8>>,
    /// All that came, in order.
    pub(super) came: Vec<(Timestamp, ZoneId, Vec<u8>)>,
}

impl World {
    pub(super) fn new(policy: Arc<Policy>, seed: u64) -> Self {
        let start = Timestamp::from_secs(1_772_355_600);
        let options = Options {
            seed,
            checksums: Checksums::Verify,
        };
        Self {
            engine: Engine::new(policy, options, start),
            now: start,
            latest: start,
            last: None,
            packets: 0,
            record: Vec::new(),
            came: Vec::new(),
        }
    }

    pub(super) fn happen(&mut self, event: &Event) {
        match event {
            Event::Clock(millis) => {
                let nanos = i64::from(*millis) * 1_000_000;
                let now = self.now.as_nanos().saturating_add_signed(nanos);
                self.now = Timestamp::from_nanos(now);
                self.expire();
            }
            Event::Sent(zone, fresh) => self.send(*zone, fresh.packet().bytes()),
            Event::Control(which, line) => {
                let (zone, client, server) = CONTROL[*which];
                self.happen(&Event::Sent(zone, Fresh::Tcp(client, server, 0x02, "")));
                self.happen(&Event::Answered(0x12, ""));
                self.happen(&Event::Answered(0x18, line));
            }
            Event::Data(port) => {
                let sessions = self.engine.sessions();
                let Some(expectation) = sessions.expectations().sorted().first().copied() else {
                    return;
                };
                let from = Endpoint::new(expectation.tuple.source, Port(*port)).to_string();
                let to = expectation.tuple.destination.to_string();
                let zones = &self.engine.policy().zones;
                let zone = self.place(zones.holding(expectation.tuple.source).unwrap());
                self.send(zone, segment(&from, &to, 0x02, 1000, 0, "").bytes());
            }
            Event::Noise(zone, octets) => self.send(*zone, octets.clone()),
            _ => {
                let Some(last) = self.last.clone() else {
                    return;
                };
                match event {
                    Event::Answered(flags, line) => {
                        self.send(last.left.0, last.answer(*flags, line));
                    }
                    Event::Continued(flags, line) => {
                        self.send(last.came.0, last.next(*flags, line));
                    }
                    Event::Reported(kind) => {
                        let source = endpoint(&last.left.1.source).ip().to_string();
                        let error = icmp("198.51.100.254", &source, *kind, 0);
                        self.send(last.left.0, error.quoting(&last.left.1.bytes).bytes());
                    }
                    Event::Damaged(at, octet) => {
                        let (zone, mut bytes) = last.came;
                        if let Some(place) = bytes.get_mut(*at) {
                            *place ^= octet;
                        }
                        self.send(zone, bytes);
                    }
                    _ => {}
                }
            }
        }
    }

    pub(super) fn expire(&mut self) {
        let mut out = Output::default();
        while self.engine.expire(self.now, &mut out).is_left() {}
        let counted: usize = out.events.iter().map(spigate::engine::Event::packets).sum();
        assert_eq!(counted, out.made.len(), "packets of no event");
        for made in out.made {
            let seen = Seen::read(&made.bytes, Sums::Right);
            let Body::Tcp(header, payload) = &seen.body else {
                panic!("time alone said {seen:?}");
            };
            assert!(header.ack && !header.syn && !header.fin && payload.is_empty());
            self.record.push(seen.bytes);
        }
        self.latest = self.latest.max(self.now);
        self.check_table();
    }

    fn send(&mut self, zone: usize, frame: Vec<u8>) {
        self.expire();
        let id = self.engine.policy().zones.by_name(ZONES[zone]).unwrap();
        let arrival = Arrival::whole(id);
        self.came.push((self.now, id, frame.clone()));
        let table = |engine: &Engine| {
            let sessions = engine.sessions();
            let all = sessions.sorted();
            (all, sessions.expectations().sorted())
        };
        let before = table(&self.engine);
        let foretold = self.engine.explain(arrival, &frame, &mut Silent);
        assert_eq!(table(&self.engine), before, "explaining changed something");

        let mut leaving = frame.clone();
        let mut out = Output::default();
        let judgement = self
            .engine
            .packet(self.now, arrival, &mut leaving, &mut out, &mut Silent);
        assert_eq!(judgement, foretold);
        self.packets += 1;
        for made in &out.made {
            let seen = Seen::read(&made.bytes, Sums::Right);
            assert_eq!(made.zone, id);
            self.record.push(seen.bytes);
        }
        match judgement.verdict {
            Verdict::Forward(to) => {
                assert!(out.made.is_empty());
                let seen = Seen::read(&leaving, Sums::Right);
                let came = Seen::read(&frame[..], Sums::Right);
                assert_eq!(seen.ttl + 1, came.ttl);
                let to = self.place(to);
                self.check_leak(judgement.session, &seen);
                self.record.push(leaving);
                self.last = Some(Passed {
                    came: (zone, frame),
                    left: (to, seen),
                });
            }
            _ if judgement.reason == Reason::ProbeAnswered => assert!(out.made.is_empty()),
            // Its session has taken note of it: it waits, or is to come again.
            // Nothing begins, ends or is expected because of it.
            verdict if matches!(judgement.reason, Reason::AlgHeld | Reason::AlgOutOfOrder) => {
                let tuples = |table: &(Vec<Session>, Vec<Expectation>)| {
                    let sessions = table.0.iter().map(|session| session.origin.tuples);
                    (sessions.collect::<Vec<_>>(), table.1.clone())
                };
                assert_eq!(tuples(&table(&self.engine)), tuples(&before));
                assert!(out.made.len() <= usize::from(verdict == Verdict::Hold));
            }
            verdict => {
                assert_eq!(table(&self.engine), before, "a refused packet left a trace");
                assert!(out.made.len() <= 1);
                assert!(verdict != Verdict::Drop || out.made.is_empty());
            }
        }
        self.check_table();
    }

    /// What begins inside and goes out is masqueraded, whoever sends it. (A
    /// session from outside may be about an inside address by the rules; what
    /// hangs on such a control session too.)
    fn check_leak(&self, session: Option<SessionId>, left: &Seen) {
        let all = self.engine.sessions().sorted();
        let session = all.into_iter().find(|known| Some(known.id) == session);
        let Some(origin) = session.map(|session| session.origin) else {
            return; // a reset has just ended it
        };
        if ZONES[self.place(origin.egress.original)] == "wan"
            && ZONES[self.place(origin.egress.reply)] != "wan"
            && origin.parent.is_none()
            && !left.destination.starts_with("10.0.")
        {
            assert!(
                !left.source.starts_with("10.0."),
                "an inside address leaked"
            );
        }
    }

    fn place(&self, zone: ZoneId) -> usize {
        let name = self.engine.policy().zones.name(zone);
        ZONES.iter().position(|known| *known == name).unwrap()
    }

    fn check_table(&self) {
        let sessions = self.engine.sessions();
        let all = sessions.sorted();
        assert!(all.len() <= self.packets, "more sessions than packets");
        let mut tuples = HashSet::new();
        for session in &all {
            assert!(session.deadline > self.latest, "overdue: {session:?}");
            let [original, reply] =
                [Direction::Original, Direction::Reply].map(|d| session.origin.tuples[d]);
            assert!(tuples.insert(original), "two sessions have {original}");
            // A host that speaks to itself through us is both ends.
            assert!(
                tuples.insert(reply) || reply == original,
                "two sessions have {reply}"
            );
            for tuple in [original, reply] {
                let (_, found, _) = sessions.lookup(&tuple).expect("it is in the table");
                assert_eq!(found.id, session.id);
            }
        }
        check_census(sessions, &all);
        let limits = &self.engine.policy().limits;
        assert!(all.len() <= limits.sessions, "more than there may be");
        let control_sessions = all
            .iter()
            .filter(|session| session.origin.alg.is_some())
            .count();
        let expected = sessions.expectations().sorted();
        assert!(
            expected.len() <= control_sessions,
            "one expectation a control session"
        );
        for expectation in &expected {
            assert!(expectation.deadline > self.latest);
            assert!(sessions.get(expectation.parent).is_some(), "an orphan");
        }
        if let Some(next) = self.engine.next_deadline() {
            assert!(next > self.latest, "due and not done");
            let nearest = all
                .iter()
                .map(|s| s.deadline)
                .chain(expected.iter().map(|e| e.deadline))
                .min();
            assert!(
                nearest.is_none_or(|nearest| next <= nearest),
                "a deadline is forgotten"
            );
        } else {
            assert!(all.is_empty() && expected.is_empty());
        }
    }
}

/// The census says what counting again says, and queues by age.
fn check_census(sessions: &Sessions, all: &[Session]) {
    let census = sessions.census();
    for standing in Standing::ALL {
        let own: BTreeSet<_> = all
            .iter()
            .filter(|session| Standing::of(session.state(), session.heard) == standing)
            .map(|session| session.id)
            .collect();
        assert_eq!(census.of_standing(standing), own.len(), "{standing}");
        let queue: Vec<_> = sessions.queue(standing).map(Handle::id).collect();
        match standing {
            Standing::Assured => assert!(queue.is_empty()),
            // What a session is at first, or never.
            Standing::Unreplied => {
                assert!(
                    queue.iter().eq(own.iter()),
                    "{standing}: {queue:?}, not {own:?}"
                );
            }
            // A session that is over opens again when its client's SYN, which was
            // let by, is answered.
            Standing::HalfOpen | Standing::Over | Standing::Replied => {
                assert_eq!(queue.iter().copied().collect::<BTreeSet<_>>(), own);
                assert_eq!(queue.len(), own.len());
            }
        }
    }
    let mut sources = BTreeMap::<_, usize>::new();
    let mut rules = BTreeMap::<_, usize>::new();
    for session in all {
        *sources
            .entry(session.origin.tuples.original.source.address)
            .or_default() += 1;
        *rules.entry(session.origin.rule).or_default() += 1;
    }
    assert_eq!(census.sources(), sources.len());
    for (source, count) in sources {
        assert_eq!(census.of_source(source), count, "{source}");
    }
    for rule in 0..20 {
        let count = rules.get(&Some(rule)).copied().unwrap_or_default();
        assert_eq!(census.of_rule(rule), count, "rule {rule}");
    }
}

fn run(seed: u64, events: &[Event]) -> World {
    run_under(policy(), seed, events)
}

pub(super) fn run_under(policy: Arc<Policy>, seed: u64, events: &[Event]) -> World {
    let mut world = World::new(policy, seed);
    for event in events {
        world.happen(event);
    }
    world
}

proptest! {
    #[test]
    fn the_engines_invariants_hold_under_any_sequence(
        seed in any::<u64>(),
        events in proptest::collection::vec(event(), 1..80),
    ) {
        let mut first = run(seed, &events);
        // The same inputs give the same bytes.
        let second = run(seed, &events);
        prop_assert_eq!(&first.record, &second.record);
        prop_assert_eq!(first.engine.counters(), second.engine.counters());
        // And in the end everything ends.
        first.now = first.latest.after(Duration::from_secs(24 * 3600));
        first.expire();
        prop_assert!(first.engine.sessions().is_empty());
        prop_assert!(first.engine.sessions().expectations().is_empty());
        prop_assert_eq!(first.engine.next_deadline(), None);
    }
}

/// A policy with so little room that everything in it is fought for.
pub(super) fn narrow(when_full: WhenFull) -> Arc<Policy> {
    let mut policy = Policy::clone(&policy());
    policy.limits = Limits {
        sessions: 4,
        half_open: Some(1),
        per_source: Some(2),
        per_source_rate: None,
        when_full,
        ..Limits::default()
    };
    Arc::new(policy)
}

proptest! {
    /// The counts are checked after every packet.
    #[test]
    fn limits_hold_under_any_sequence(
        seed in any::<u64>(),
        events in proptest::collection::vec(event(), 1..80),
        refuse in any::<bool>(),
    ) {
        let when_full = if refuse { WhenFull::Refuse } else { WhenFull::EvictIdle };
        let mut world = run_under(narrow(when_full), seed, &events);
        let again = run_under(narrow(when_full), seed, &events);
        prop_assert_eq!(&world.record, &again.record);
        let evicted: Vec<_> = world.engine.counters().evicted().collect();
        prop_assert!(!refuse || evicted.is_empty(), "{:?}", evicted);
        let robbed = evicted.iter().any(|(standing, _)| *standing == Standing::Assured);
        prop_assert!(!robbed, "a live session was robbed");
        world.now = world.latest.after(Duration::from_secs(24 * 3600));
        world.expire();
        prop_assert!(world.engine.sessions().is_empty());
        prop_assert_eq!(world.engine.next_deadline(), None);
    }
}

#[test]
fn narrow_limits_are_met() {
    let mut runner = TestRunner::deterministic();
    let events = proptest::collection::vec(event(), 1..80);
    let (mut evicted, mut refused) = (0, BTreeMap::<_, u64>::new());
    for seed in 0..100 {
        let events = events.new_tree(&mut runner).unwrap().current();
        for when_full in [WhenFull::EvictIdle, WhenFull::Refuse] {
            let world = run_under(narrow(when_full), seed, &events);
            let counters = world.engine.counters();
            evicted += counters.evicted().map(|(_, count)| count).sum::<u64>();
            for (_, reason, count) in counters.verdicts() {
                *refused.entry(reason).or_default() += count;
            }
        }
    }
    assert!(evicted >= 10, "{evicted}");
    for reason in [
        Reason::SessionLimit,
        Reason::HalfOpenLimit,
        Reason::SourceLimit,
    ] {
        let count = refused.get(&reason).copied().unwrap_or_default();
        assert!(count >= 5, "{reason}: {refused:?}");
    }
}

#[test]
fn the_sequences_reach_what_they_are_for() {
    let mut runner = TestRunner::deterministic();
    let events = proptest::collection::vec(event(), 1..80);
    let mut counts = BTreeMap::<_, u64>::new();
    for seed in 0..300 {
        let events = events.new_tree(&mut runner).unwrap().current();
        for (verdict, reason, count) in run(seed, &events).engine.counters().verdicts() {
            *counts.entry((verdict, reason)).or_default() += count;
        }
    }
    for (verdict, reason) in [
        ("forward", Reason::Rule),
        ("forward", Reason::Session),
        ("forward", Reason::Expected),
        ("forward", Reason::Related),
        ("reject", Reason::DefaultPolicy),
        ("reject", Reason::GatewayService),
        ("drop", Reason::TcpInvalidState),
        ("drop", Reason::NoSession),
        ("drop", Reason::BadChecksum),
    ] {
        let count = counts.get(&(verdict, reason)).copied().unwrap_or(0);
        assert!(count >= 10, "{verdict} for {reason}: {count} of {counts:?}");
    }
}
