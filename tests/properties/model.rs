//! The engine beside a small firewall that one can see through: a list of
//! flows, each with who talks to whom, how far they are, and until when.
//!
//! The model claims only what it can: where a TCP connection's life depends on
//! more than its state (data that nobody acknowledged, repetitions), it gives
//! a time until which the flow surely lives and one after which it is surely
//! gone, and in between sends nothing of that flow. Whatever it does claim,
//! the engine has to do: which packet passes, which sessions there are, and
//! what was counted, to the octet.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use proptest::prelude::*;
use proptest::sample::select;
use spigate::engine::{Arrival, Checksums, Engine, Options, Output, Policy, Silent, Verdict};
use spigate::net::{Direction, Protocol, Timestamp};
use spigate::session::Session;

use super::packets::{Packet, echo, echo_reply, tcp, udp};

const RULES: &str = r#"
version = 1
[zones]
lan = { tun = "lan0", net = "10.0.0.0/24", address = "10.0.0.1" }
wan = { tun = "wan0", net = "0.0.0.0/0", address = "203.0.113.2" }
[timeouts]
tcp-established = "2h4m"
[policy]
default = "drop"
rules = [{ id = "out", from = "lan", to = "wan", action = "allow" }]
[nat]
source = [{ id = "masq", from = "lan", to = "wan", as = "masquerade" }]
"#;

fn policy() -> Arc<Policy> {
    static POLICY: OnceLock<Arc<Policy>> = OnceLock::new();
    let compile = || {
        let compiled = spigate::config::compile(Path::new("model.toml"), RULES);
        let report =
            |r: spigate::config::Report| panic!("{}", r.render(spigate::config::Colour::Plain));
        Arc::new(compiled.unwrap_or_else(report).policy)
    };
    POLICY.get_or_init(compile).clone()
}

const CLIENTS: u16 = 3;
const SERVERS: [&str; 2] = ["198.51.100.9", "198.51.100.10"];
const PUBLIC: &str = "203.0.113.2";

/// What a flow is told by. Every client has ports of its own, so that behind
/// the masquerade they stay what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    kind: Kind,
    client: u16,
    server: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Udp,
    Ping,
    Tcp,
}

/// What happens.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// Seconds and milliseconds pass.
    Time(u64, u64),
    /// The client speaks, or asks for the connection.
    Client(Key),
    /// The server speaks, or answers.
    Server(Key),
    /// The connection is reset by one end, or closed by both.
    Reset(Key, Direction),
    Closed(Key),
    /// Somebody else speaks to the client's public endpoint.
    Stranger(Key),
    /// Somebody outside pretends to be the client.
    Forged(Key),
}

fn key() -> impl Strategy<Value = Key> {
    let kind = select(vec![Kind::Udp, Kind::Ping, Kind::Tcp, Kind::Tcp]);
    (kind, 0..CLIENTS, 0..SERVERS.len()).prop_map(|(kind, client, server)| Key {
        kind,
        client,
        server,
    })
}

fn event() -> impl Strategy<Value = Event> {
    let seconds = prop_oneof![Just(0u64), 0..40u64, 0..130u64, 0..8000u64];
    let end = select(vec![Direction::Original, Direction::Reply]);
    prop_oneof![
        4 => (seconds, select(vec![0u64, 1, 500, 999])).prop_map(|(s, ms)| Event::Time(s, ms)),
        8 => key().prop_map(Event::Client),
        8 => key().prop_map(Event::Server),
        1 => (key(), end).prop_map(|(key, end)| Event::Reset(key, end)),
        1 => key().prop_map(Event::Closed),
        1 => key().prop_map(Event::Stranger),
        1 => key().prop_map(Event::Forged),
    ]
}

/// How far a flow is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nobody answered yet.
    Asked,
    /// Both have spoken; of TCP: the answer to the SYN was seen.
    Answered,
    /// TCP, open.
    Open,
    /// TCP, closed or reset.
    Over,
}

#[derive(Debug, Clone, Copy)]
struct Flow {
    stage: Stage,
    began: Timestamp,
    /// Until then it surely lives.
    lives: Timestamp,
    /// From then on it is surely gone.
    gone: Timestamp,
    packets: [u64; 2],
    octets: [u64; 2],
    /// The next number of client and server.
    next: [u32; 2],
}

/// The small firewall, and the engine beside it.
struct Both {
    flows: BTreeMap<Key, Flow>,
    engine: Engine,
    now: Timestamp,
    passed: u64,
    refused: u64,
}

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

fn port(key: Key) -> u16 {
    let base = match key.kind {
        Kind::Udp => 41_000,
        Kind::Ping => 70,
        Kind::Tcp => 51_000,
    };
    base + key.client
}

/// Both ends of a packet that travels this way, as it arrives.
fn ends(key: Key, direction: Direction) -> (String, String) {
    let service = match key.kind {
        Kind::Udp => 53,
        Kind::Ping | Kind::Tcp => 80,
    };
    let server = format!("{}:{service}", SERVERS[key.server]);
    match direction {
        Direction::Original => (format!("10.0.0.{}:{}", 7 + key.client, port(key)), server),
        Direction::Reply => (server, format!("{PUBLIC}:{}", port(key))),
    }
}

fn without_port(end: &str) -> &str {
    end.split_once(':').unwrap().0
}

fn seconds(now: Timestamp, seconds: u64) -> Timestamp {
    now.after(std::time::Duration::from_secs(seconds))
}

impl Both {
    fn new(seed: u64) -> Self {
        let options = Options {
            seed,
            checksums: Checksums::Verify,
        };
        let now = Timestamp::from_secs(1_772_355_600);
        Self {
            flows: BTreeMap::new(),
            engine: Engine::new(policy(), options, now),
            now,
            passed: 0,
            refused: 0,
        }
    }

    /// The flow, if there surely is one; `Err` where nothing can be claimed.
    fn flow(&self, key: Key) -> Result<Option<Flow>, Unsure> {
        match self.flows.get(&key).copied() {
            None => Ok(None),
            Some(flow) if self.now >= flow.gone => Ok(None),
            Some(flow) if self.now < flow.lives => Ok(Some(flow)),
            Some(_) => Err(Unsure),
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Time(s, ms) => {
                let pause = std::time::Duration::from_millis(s * 1000 + ms);
                self.now = self.now.after(pause);
                let mut out = Output::default();
                while self.engine.expire(self.now, &mut out).is_left() {}
            }
            Event::Client(key) => match (key.kind, self.flow(key)) {
                (_, Err(Unsure)) => {}
                (Kind::Tcp, Ok(flow)) => self.tcp(key, flow, Direction::Original),
                (_, Ok(flow)) => self.datagram(key, flow, Direction::Original),
            },
            Event::Server(key) => match (key.kind, self.flow(key)) {
                (_, Err(Unsure)) => {}
                (Kind::Tcp, Ok(flow)) => self.tcp(key, flow, Direction::Reply),
                (_, Ok(flow)) => self.datagram(key, flow, Direction::Reply),
            },
            Event::Reset(key, by) => {
                if let (Kind::Tcp, Ok(Some(flow))) = (key.kind, self.flow(key))
                    && flow.stage == Stage::Open
                {
                    self.segment(key, by, RST, "");
                    self.is_over(key, 10);
                }
            }
            Event::Closed(key) => {
                if let (Kind::Tcp, Ok(Some(flow))) = (key.kind, self.flow(key))
                    && flow.stage == Stage::Open
                {
                    self.segment(key, Direction::Original, FIN | ACK, "");
                    self.segment(key, Direction::Reply, FIN | ACK, "");
                    self.segment(key, Direction::Original, ACK, "");
                    self.is_over(key, 120);
                }
            }
            Event::Stranger(key) => {
                let (_, to) = ends(key, Direction::Reply);
                let stranger = match key.kind {
                    Kind::Udp => udp("198.51.100.66:53", &to),
                    Kind::Ping => echo_reply("198.51.100.66", PUBLIC, port(key)),
                    Kind::Tcp => tcp("198.51.100.66:80", &to).seq(5000).ack(1001),
                };
                self.is_refused("wan", &stranger);
            }
            Event::Forged(key) => {
                let (from, to) = ends(key, Direction::Original);
                let forged = match key.kind {
                    Kind::Udp => udp(&from, &to),
                    Kind::Ping => echo(without_port(&from), without_port(&to), port(key)),
                    Kind::Tcp => tcp(&from, &to).syn().seq(1000),
                };
                self.is_refused("wan", &forged);
            }
        }
        self.compare();
    }

    /// UDP and pings: each packet renews, the first from inside begins.
    fn datagram(&mut self, key: Key, flow: Option<Flow>, direction: Direction) {
        let (from, to) = ends(key, direction);
        let packet = match (key.kind, direction) {
            (Kind::Udp, _) => udp(&from, &to),
            (_, Direction::Original) => echo(without_port(&from), without_port(&to), port(key)),
            (_, Direction::Reply) => echo_reply(without_port(&from), without_port(&to), port(key)),
        };
        let mut flow = match (flow, direction) {
            (Some(flow), _) => flow,
            (None, Direction::Original) => self.fresh(),
            (None, Direction::Reply) => return self.is_refused("wan", &packet),
        };
        // The first answer itself counts as one from the next packet on.
        let was_answered = flow.stage == Stage::Answered;
        if direction == Direction::Reply {
            flow.stage = Stage::Answered;
        }
        let is_stream = key.kind == Kind::Udp
            && was_answered
            && self.now.since(flow.began) > std::time::Duration::from_secs(2);
        flow.lives = seconds(self.now, if is_stream { 120 } else { 30 });
        flow.gone = flow.lives;
        self.flows.insert(key, flow);
        self.passes(key, direction, &packet);
    }

    /// TCP: a handshake in three steps, then data that are acknowledged.
    fn tcp(&mut self, key: Key, flow: Option<Flow>, direction: Direction) {
        let stage = flow.map(|flow| flow.stage);
        match (stage, direction) {
            (None, Direction::Original) => {
                // From the middle nothing begins.
                let (from, to) = ends(key, direction);
                self.is_refused("lan", &tcp(&from, &to).seq(1001).ack(5001));
                let flow = self.fresh();
                self.flows.insert(key, flow);
                self.segment(key, direction, SYN, "");
                self.lives(key, Stage::Asked, 120, 120);
            }
            (None, Direction::Reply) => {
                let (from, to) = ends(key, direction);
                self.is_refused("wan", &tcp(&from, &to).syn().seq(5000).ack(1001));
                self.is_refused("wan", &tcp(&from, &to).seq(5001).ack(1001));
            }
            (Some(Stage::Asked), Direction::Original) => {
                // Again, which renews nothing.
                if let Some(flow) = self.flows.get_mut(&key) {
                    flow.next[0] -= 1;
                }
                self.segment(key, direction, SYN, "");
            }
            (Some(Stage::Asked), Direction::Reply) => {
                self.segment(key, direction, SYN | ACK, "");
                self.lives(key, Stage::Answered, 60, 60);
            }
            (Some(Stage::Answered), Direction::Original) => {
                self.segment(key, direction, ACK, "");
                self.lives(key, Stage::Open, 300, 7440);
            }
            (Some(Stage::Open), _) => {
                self.segment(key, direction, ACK, "some words");
                self.segment(key, !direction, ACK, "");
                self.lives(key, Stage::Open, 300, 7440);
            }
            (Some(Stage::Answered | Stage::Over), _) => {}
        }
    }

    fn fresh(&self) -> Flow {
        Flow {
            stage: Stage::Asked,
            began: self.now,
            lives: self.now,
            gone: self.now,
            packets: [0; 2],
            octets: [0; 2],
            next: [1000, 5000],
        }
    }

    fn lives(&mut self, key: Key, stage: Stage, surely: u64, at_most: u64) {
        let now = self.now;
        let flow = self.flows.get_mut(&key).unwrap();
        flow.stage = stage;
        (flow.lives, flow.gone) = (seconds(now, surely), seconds(now, at_most));
    }

    fn is_over(&mut self, key: Key, at_most: u64) {
        self.lives(key, Stage::Over, 0, at_most);
    }

    /// The next segment of one end, which passes.
    fn segment(&mut self, key: Key, direction: Direction, flags: u8, text: &str) {
        let (from, to) = ends(key, direction);
        let flow = self.flows.get_mut(&key).unwrap();
        let who = usize::from(direction == Direction::Reply);
        let (seq, ack) = (flow.next[who], flow.next[1 - who]);
        let takes = u32::from(flags & (SYN | FIN) != 0) + u32::try_from(text.len()).unwrap();
        flow.next[who] += takes;
        let mut packet = tcp(&from, &to).seq(seq).data(text);
        if flags & ACK != 0 {
            packet = packet.ack(ack);
        }
        for (bit, set) in [
            (SYN, Packet::syn as fn(Packet) -> Packet),
            (FIN, Packet::fin),
            (RST, Packet::rst),
        ] {
            if flags & bit != 0 {
                packet = set(packet);
            }
        }
        self.passes(key, direction, &packet);
    }

    fn passes(&mut self, key: Key, direction: Direction, packet: &Packet) {
        let zone = match direction {
            Direction::Original => "lan",
            Direction::Reply => "wan",
        };
        let verdict = self.send(zone, packet);
        assert!(matches!(verdict, Verdict::Forward(_)), "{key:?} {packet:?}");
        self.passed += 1;
        let who = usize::from(direction == Direction::Reply);
        let flow = self.flows.get_mut(&key).unwrap();
        flow.packets[who] += 1;
        flow.octets[who] += packet.bytes().len() as u64;
    }

    fn is_refused(&mut self, zone: &str, packet: &Packet) {
        let verdict = self.send(zone, packet);
        assert_eq!(verdict, Verdict::Drop, "{packet:?}");
        self.refused += 1;
    }

    fn send(&mut self, zone: &str, packet: &Packet) -> Verdict {
        let zone = self.engine.policy().zones.by_name(zone).unwrap();
        let arrival = Arrival::whole(zone);
        let (mut frame, mut out) = (packet.bytes(), Output::default());
        let judgement = self
            .engine
            .packet(self.now, arrival, &mut frame, &mut out, &mut Silent);
        assert!(out.made.is_empty());
        judgement.verdict
    }

    /// The engine has the sessions that there surely are, with what was counted
    /// of them, and none that cannot be.
    fn compare(&self) {
        let sessions = self.engine.sessions().sorted();
        let mut found = BTreeMap::new();
        for session in &sessions {
            let key = key_of(session);
            assert!(found.insert(key, session).is_none(), "two of {key:?}");
            let flow = self.flows.get(&key).unwrap();
            assert!(self.now < flow.gone, "it outlived itself: {session:?}");
        }
        for (key, flow) in &self.flows {
            let session = found.get(key);
            assert!(self.now >= flow.lives || session.is_some(), "lost: {key:?}");
            let Some(session) = session else { continue };
            let counters = [session.counters.original, session.counters.reply];
            assert_eq!(counters.map(|counter| counter.packets), flow.packets);
            assert_eq!(counters.map(|counter| counter.bytes), flow.octets);
            assert_eq!(session.began, flow.began);
        }
        let counted = |verdict: &str| {
            let all = self.engine.counters().verdicts();
            let of = all.filter(|(word, _, _)| *word == verdict);
            of.map(|(_, _, count)| count).sum::<u64>()
        };
        assert_eq!(counted("forward"), self.passed);
        assert_eq!(counted("drop"), self.refused);
    }
}

/// Nothing can be claimed.
struct Unsure;

fn key_of(session: &Session) -> Key {
    let tuple = session.origin.tuples.original;
    let kind = match tuple.protocol {
        Protocol::UDP => Kind::Udp,
        Protocol::TCP => Kind::Tcp,
        _ => Kind::Ping,
    };
    let server = tuple.destination.address.to_string();
    let bare = Key {
        kind,
        client: 0,
        server: SERVERS.iter().position(|own| *own == server).unwrap(),
    };
    let client = tuple.source.port.0 - port(bare);
    Key { client, ..bare }
}

fn run(seed: u64, events: &[Event]) -> Both {
    let mut both = Both::new(seed);
    for event in events {
        both.happen(*event);
    }
    both
}

proptest! {
    #[test]
    fn the_engine_does_what_a_list_of_flows_says(
        seed in any::<u64>(),
        events in proptest::collection::vec(event(), 1..120),
    ) {
        let mut both = run(seed, &events);
        both.happen(Event::Time(24 * 3600, 0));
        prop_assert!(both.engine.sessions().is_empty());
    }
}

#[test]
fn the_model_claims_enough() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let events = proptest::collection::vec(event(), 1..120);
    let (mut passed, mut refused, mut opened) = (0, 0, 0);
    for seed in 0..100 {
        let events = events.new_tree(&mut runner).unwrap().current();
        let both = run(seed, &events);
        (passed, refused) = (passed + both.passed, refused + both.refused);
        let is_open = |flow: &&Flow| flow.stage == Stage::Open;
        opened += both.flows.values().filter(is_open).count();
    }
    assert!(
        passed > 2000 && refused > 1000 && opened > 30,
        "{passed} {refused} {opened}"
    );
}
