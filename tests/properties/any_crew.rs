//! Several workers, to whom packets come at random, against one engine that has them all:
//! the same verdicts, the same bytes, and together the same table, whatever comes. And
//! in the end nobody has anything.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;
use spigate::engine::{
    AnswerRates, Arrival, Checksums, CtState, Engine, Event, Gap, Handed, Judgement, Meanwhile,
    Options, Output, Part, Policy, Reason, Silent, Snapshot, Verdict, Waiting,
};
use spigate::net::{Family, PerDirection, Timestamp, Tuple, WorkerId, Workers, ZoneId};
use spigate::packet::{Cuts, Headers};
use spigate::session::{Counter, Crew, Session, State};

use super::packets::{Packet, tcp, udp};
use super::{any_sequence, any_translation};

/// A packet as it comes to a gateway.
type Came = (Timestamp, ZoneId, Vec<u8>);

/// What came of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Outcome {
    verdict: Verdict,
    ct: CtState,
    reason: Reason,
    state: Option<State>,
    /// What left: the packet, its pieces, and what the gateway made.
    left: Vec<Vec<u8>>,
}

impl Outcome {
    fn of(judgement: &Judgement, frame: &[u8], out: &Output) -> Self {
        let is_forwarded = matches!(judgement.verdict, Verdict::Forward(_));
        let packet = is_forwarded.then(|| frame.to_vec());
        let made = out.made.iter().map(|made| made.bytes.clone());
        Self {
            verdict: judgement.verdict,
            ct: judgement.ct,
            reason: judgement.reason,
            state: judgement.state,
            left: packet
                .into_iter()
                .chain(out.more.iter().cloned())
                .chain(made)
                .collect(),
        }
    }
}

/// What is known of a session, but for its number.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    reply: Tuple,
    state: State,
    deadline: Timestamp,
    counters: PerDirection<Counter>,
}

fn known<'a>(sessions: impl Iterator<Item = &'a Session>) -> BTreeMap<Tuple, Known> {
    let known = |session: &Session| {
        let known = Known {
            reply: session.origin.tuples.reply,
            state: session.state(),
            deadline: session.deadline,
            counters: session.counters,
        };
        (session.origin.tuples.original, known)
    };
    sessions.map(known).collect()
}

/// One is stopped and goes on at the same moment.
const NO_GAP: Gap = Gap {
    time: Duration::ZERO,
    meanwhile: Meanwhile::Nothing,
};

fn again(engine: &Engine, policy: &Arc<Policy>, options: Options, now: Timestamp) -> Engine {
    let state = (Snapshot::new(engine.snapshot_parts(now)).unwrap(), NO_GAP);
    Engine::restore(policy, options, now, state).unwrap().0
}

/// Several engines with what lies between them.
struct Workshop {
    crew: Arc<Crew>,
    engines: Vec<Engine>,
    /// How often a packet was handed over.
    handed: usize,
}

impl Workshop {
    fn new(policy: &Arc<Policy>, workers: Workers, (seed, start): (u64, Timestamp)) -> Self {
        let crew = Crew::new(workers, seed);
        let options = Options {
            seed,
            checksums: Checksums::Verify,
        };
        let engine = |post| Engine::at_post(Arc::clone(policy), options, start, post);
        Self {
            engines: crew.posts().map(engine).collect(),
            crew,
            handed: 0,
        }
    }

    fn expire(&mut self, now: Timestamp) -> Vec<Vec<u8>> {
        let mut out = Output::default();
        // One after the other, as time has it: each worker has a clock of its own.
        loop {
            let due = |engine: &Engine| engine.next_deadline().filter(|at| *at <= now);
            let Some(next) = self.engines.iter().filter_map(due).min() else {
                break;
            };
            for engine in &mut self.engines {
                while engine.expire(next, &mut out).is_left() {}
            }
        }
        for engine in &mut self.engines {
            while engine.expire(now, &mut out).is_left() {}
        }
        out.made.into_iter().map(|made| made.bytes).collect()
    }

    /// A packet comes to this worker, and goes from one to the other until somebody judges it.
    fn send(&mut self, mut worker: WorkerId, (at, zone, frame): &Came) -> Outcome {
        let mut waiting = Waiting {
            at: *at,
            arrival: Arrival::whole(*zone),
            frame: frame.clone(),
            headroom: 0,
            handed: Handed::NOT,
        };
        for _ in 0..10 {
            let engine = &mut self.engines[usize::from(worker.0)];
            let (mut out, mut outcome) = (Output::default(), None);
            let batch = std::slice::from_mut(&mut waiting);
            engine.packets(batch, &mut out, &mut Silent, |waiting, judgement, out| {
                outcome = Some(Outcome::of(judgement, waiting.packet(), out));
            });
            let outcome = outcome.unwrap();
            match outcome.verdict {
                Verdict::Elsewhere(other) => {
                    assert_ne!(other, worker);
                    assert!(outcome.left.is_empty());
                    self.handed += 1;
                    worker = other;
                }
                _ => return outcome,
            }
        }
        panic!("nobody judges it");
    }

    /// All of them end, and so many go on.
    fn again(
        &self,
        policy: &Arc<Policy>,
        options: Options,
        (workers, now): (Workers, Timestamp),
    ) -> Self {
        let parts = self
            .engines
            .iter()
            .flat_map(|engine| engine.snapshot_parts(now));
        let (frames, mut parts): (Vec<_>, Vec<_>) = parts.partition(Part::is_last);
        parts.extend(Part::last_of_all(frames));
        let state = (Snapshot::new(parts).unwrap(), NO_GAP);
        let crew = Crew::new(workers, options.seed);
        let restored = Engine::restore_crew(policy, options, now, &crew, state);
        let (engines, restored) = restored.unwrap();
        assert_eq!((restored.without_zone, restored.overtaken), (0, 0));
        Self {
            crew,
            engines,
            handed: self.handed,
        }
    }

    fn sessions(&self) -> Vec<Session> {
        let all = self
            .engines
            .iter()
            .flat_map(|engine| engine.sessions().sorted());
        all.collect()
    }
}

/// The same packets to one engine and to several.
fn compare(
    policy: &Arc<Policy>,
    seed: u64,
    came: &[Came],
    (workers, places): (u8, &[Index]),
    restart: Option<(Index, u8)>,
) -> Result<usize, TestCaseError> {
    let Some(start) = came.first().map(|(at, ..)| *at) else {
        return Ok(0);
    };
    let count = usize::from(workers.min(restart.map_or(workers, |(_, others)| others)));
    let workers = Workers::new(workers).unwrap();
    let mut latest = start;
    let options = Options {
        seed,
        checksums: Checksums::Verify,
    };
    let mut alone = Engine::new(Arc::clone(policy), options, start);
    let mut shop = Workshop::new(policy, workers, (seed, start));
    for (n, packet) in came.iter().enumerate() {
        if let Some((at, others)) = restart
            && n == at.index(came.len())
        {
            alone = again(&alone, policy, options, latest);
            shop = shop.again(policy, options, (Workers::new(others).unwrap(), latest));
        }
        // Time goes back in captures, for all workers alike: that is not what this is about.
        latest = latest.max(packet.0);
        let packet = &(latest, packet.1, packet.2.clone());
        let (at, zone, frame) = packet;
        let mut out = Output::default();
        while alone.expire(*at, &mut out).is_left() {}
        let mut said: Vec<_> = out.made.drain(..).map(|made| made.bytes).collect();
        let mut theirs = shop.expire(*at);
        said.sort();
        theirs.sort();
        prop_assert_eq!(theirs, said, "said before packet {}", n);

        let mut left = frame.clone();
        out.clear();
        let judgement = alone.packet(*at, Arrival::whole(*zone), &mut left, &mut out, &mut Silent);
        let single = Outcome::of(&judgement, &left, &out);
        let place = places[n % places.len()].index(count);
        let several = shop.send(WorkerId(u8::try_from(place).unwrap()), packet);
        prop_assert_eq!(several, single, "packet {}", n);
        let all = shop.sessions();
        let ids: std::collections::HashSet<_> = all.iter().map(|session| session.id).collect();
        prop_assert_eq!(ids.len(), all.len());
        let own = alone.sessions().sorted();
        prop_assert_eq!(known(all.iter()), known(own.iter()), "after packet {}", n);
    }
    let mut counted = BTreeMap::new();
    for engine in &shop.engines {
        for (verdict, reason, count) in engine.counters().verdicts() {
            *counted.entry((verdict, reason)).or_insert(0) += count;
        }
    }
    let single: BTreeMap<_, _> = alone
        .counters()
        .verdicts()
        .map(|(verdict, reason, count)| ((verdict, reason), count))
        .collect();
    if restart.is_none() {
        prop_assert_eq!(counted, single);
    }
    let end = came.last().map_or(start, |(at, ..)| *at);
    let end = end
        .max(alone.now())
        .after(Duration::from_secs(10 * 24 * 3600));
    let _ = shop.expire(end);
    prop_assert!(
        shop.engines
            .iter()
            .all(|engine| engine.sessions().is_empty())
    );
    prop_assert!(shop.crew.is_idle(), "{:?}", shop.crew);
    Ok(shop.handed)
}

/// Some of the packets in pieces.
fn in_pieces(came: Vec<Came>, which: &[bool]) -> Vec<Came> {
    let mut all = Vec::new();
    for (n, (at, zone, frame)) in came.into_iter().enumerate() {
        let headers = Headers::read(&frame, false);
        match headers {
            Ok(headers) if which[n % which.len()] && headers.length > headers.transport_at + 24 => {
                let limit = headers.transport_at + 24;
                let pieces = Cuts::new(&headers, limit).cut(&frame, limit);
                all.extend(pieces.into_iter().map(|piece| (at, zone, piece)));
            }
            _ => all.push((at, zone, frame)),
        }
    }
    all
}

/// A file's clients, as each worker has rates of its own.
fn sequence_policy() -> Arc<Policy> {
    let mut policy = Policy::clone(&any_sequence::policy());
    policy.answers = AnswerRates {
        errors: None,
        per_target: None,
        resets: None,
    };
    Arc::new(policy)
}

/// A file with these rows, and what comes to its gateway. Ports of a client's own are drawn from
/// those that are free at its worker, which need not know what strangers from inside hold by
/// them at other workers: another may be drawn, so that those are left out.
fn translated(
    rules: &str,
    seed: u64,
    events: &[any_translation::Event],
) -> (Arc<Policy>, Vec<Came>) {
    let policy = any_translation::compiled(Family::V4, rules);
    let mut world = any_translation::World::new(Arc::clone(&policy), Family::V4, seed);
    for event in events {
        world.happen(event);
    }
    let are_drawn = rules.contains("blocks") || rules.contains("deterministic");
    let came = world.came.into_iter();
    let came = came.filter(|came| !are_drawn || !is_hairpin(came));
    (policy, came.collect())
}

/// A client is known by a mapping, to all the same, and rests before it is another's.
const MAPPED: &str = r#"
version = 1
[zones]
lan = { tun = "lan0", net = "10.0.0.0/24", address = "10.0.0.1" }
dmz = { tun = "dmz0", net = "10.0.9.0/24", address = "10.0.9.1" }
wan = { tun = "wan0", net = "0.0.0.0/0", address = "203.0.113.2" }
[policy]
default = "allow"
[nat]
source = [
  { id = "all", from = ["lan", "dmz"], to = "wan", as = "masquerade", mapping = "endpoint-independent", filtering = "endpoint-independent", hold-down = "40s" },
]
"#;

/// One client begins, and others come to its mapping, which they hold when it is gone.
fn to_a_mapping(policy: &Policy) -> Vec<Came> {
    let zone = |name| policy.zones.by_name(name).unwrap();
    let start = Timestamp::from_secs(1_772_355_600);
    let after = |seconds| start.after(Duration::from_secs(seconds));
    let comes = |at, host: &str| {
        let packet = udp(host, "203.0.113.2:80");
        (after(at), zone("lan"), packet.bytes())
    };
    let first = udp("10.0.9.150:80", "198.51.100.9:5000");
    vec![
        (start, zone("dmz"), first.bytes()),
        comes(11, "10.0.0.7:5000"),
        comes(20, "10.0.0.8:5000"),
        comes(31, "10.0.0.7:5001"),
        comes(33, "10.0.0.9:5000"),
    ]
}

proptest! {
    #[test]
    fn a_mapping_that_only_other_workers_sessions_hold_outlives_a_restart(
        seed: u64,
        workers in 2..6u8,
        others in 2..6u8,
        places in prop::collection::vec(any::<Index>(), 5),
        at: Index,
    ) {
        let policy = any_translation::compiled(Family::V4, MAPPED);
        let came = to_a_mapping(&policy);
        compare(&policy, seed, &came, (workers, &places), Some((at, others)))?;
    }

    #[test]
    fn several_workers_do_as_one_engine_does(
        seed: u64,
        events in prop::collection::vec(any_sequence::event(), 1..80),
        workers in 2..6u8,
        places in prop::collection::vec(any::<Index>(), 1..60),
        cut in prop::collection::vec(any::<bool>(), 1..20),
    ) {
        let policy = sequence_policy();
        let world = any_sequence::run_under(Arc::clone(&policy), seed, &events);
        let came = in_pieces(world.came, &cut);
        compare(&policy, seed, &came, (workers, &places), None)?;
    }

    #[test]
    fn so_they_do_under_any_translation(
        rules in any_translation::rules().prop_filter("who goes is each worker's own choice", |rules| !rules.contains("[limits]")),
        events in prop::collection::vec(any_translation::event(), 1..80),
        seed: u64,
        workers in 2..6u8,
        places in prop::collection::vec(any::<Index>(), 1..60),
    ) {
        let (policy, came) = translated(&rules, seed, &events);
        compare(&policy, seed, &came, (workers, &places), None)?;
    }
}

proptest! {
    /// Pieces that wait, and what the counters say, do not outlive an engine.
    #[test]
    fn a_restart_by_another_number_of_workers_changes_nothing(
        seed: u64,
        events in prop::collection::vec(any_sequence::event(), 1..80),
        rules in any_translation::rules().prop_filter("who goes is each worker's own choice", |rules| !rules.contains("[limits]")),
        translated_events in prop::collection::vec(any_translation::event(), 1..80),
        workers in 2..6u8,
        others in 2..6u8,
        places in prop::collection::vec(any::<Index>(), 1..60),
        at: Index,
    ) {
        let policy = sequence_policy();
        let world = any_sequence::run_under(Arc::clone(&policy), seed, &events);
        let restart = Some((at, others));
        compare(&policy, seed, &world.came, (workers, &places), restart)?;

        let (policy, came) = translated(&rules, seed, &translated_events);
        compare(&policy, seed, &came, (workers, &places), restart)?;
    }
}

/// Whether a packet comes from inside to a public endpoint.
fn is_hairpin((_, zone, frame): &Came) -> bool {
    let headers = Headers::read(frame, false).unwrap();
    *zone != ZoneId(2) && headers.destination.to_string().starts_with("203.0.113.")
}

/// Where there is a limit, it is one of all workers together.
#[test]
fn limits_are_those_of_all_workers_together() {
    const RULES: &str = r#"
version = 1
[zones]
lan = { tun = "lan0", net = "10.0.0.0/24", address = "10.0.0.1" }
wan = { tun = "wan0", net = "0.0.0.0/0", address = "203.0.113.2" }
[services]
calls = { udp = 5004 }
[limits]
sessions = 9
half-open = 4
when-full = "refuse"
[policy]
default = "drop"
rules = [
  { id = "calls", from = "lan", service = "calls", action = "allow", max-sessions = 3 },
  { id = "out", from = "lan", action = "allow" },
]
[nat]
source = [{ id = "masq", from = "lan", to = "wan", as = "masquerade" }]
"#;
    let policy = spigate::config::compile(Path::new("limits.toml"), RULES)
        .unwrap()
        .policy;
    let start = Timestamp::from_secs(1_772_355_600);
    let workers = Workers::new(3).unwrap();
    let mut shop = Workshop::new(&Arc::new(policy), workers, (1, start));
    let mut sent = 0;
    let mut reasons = |packets: &[Packet]| {
        let one = |packet: &Packet| {
            sent += 1;
            let came = (start, ZoneId(0), packet.bytes());
            shop.send(WorkerId(sent % 3), &came).reason
        };
        packets.iter().map(one).collect::<Vec<_>>()
    };
    let from = |port: u16| format!("10.0.0.7:{port}");
    let calls: Vec<_> = (1..=5)
        .map(|port| udp(&from(port), "198.51.100.9:5004"))
        .collect();
    let passed = [Reason::Rule; 4];
    assert_eq!(reasons(&calls)[..3], passed[..3]);
    assert_eq!(reasons(&calls[3..]), [Reason::RuleLimit; 2]);
    let syns: Vec<_> = (1..=5)
        .map(|port| tcp(&from(port), "198.51.100.9:80").syn())
        .collect();
    assert_eq!(reasons(&syns[..4]), passed);
    assert_eq!(reasons(&syns[4..]), [Reason::HalfOpenLimit]);
    let others: Vec<_> = (1..=3)
        .map(|port| udp(&from(port), "198.51.100.9:53"))
        .collect();
    assert_eq!(
        reasons(&others),
        [Reason::Rule, Reason::Rule, Reason::SessionLimit]
    );
    // What time ends makes room, whoever had it.
    let end = start.after(Duration::from_secs(10 * 24 * 3600));
    let _ = shop.expire(end);
    assert!(shop.crew.is_idle());
}

/// RFC 7422 section 3: they are written down once, whoever works.
#[test]
fn parameters_of_deterministic_rows_are_told_by_one_worker() {
    const RULES: &str = r#"
version = 1
[zones]
lan = { tun = "lan0", net = "10.0.0.0/24", address = "10.0.0.1" }
wan = { tun = "wan0", net = "0.0.0.0/0", address = "203.0.113.2" }
[policy]
default = "allow"
[nat]
source = [{ id = "homes", from = "lan", to = "wan", src = "10.0.0.0/27", as = "203.0.113.24", ports = "5000-5127", deterministic = { dynamic = 34, block = 8 } }]
"#;
    let policy = spigate::config::compile(Path::new("told.toml"), RULES)
        .unwrap()
        .policy;
    let start = Timestamp::from_secs(1_772_355_600);
    let workers = Workers::new(3).unwrap();
    let mut shop = Workshop::new(&Arc::new(policy), workers, (1, start));
    let mut out = Output::default();
    for engine in &mut shop.engines {
        let _ = engine.expire(start, &mut out);
    }
    let told = out
        .events
        .iter()
        .filter(|event| matches!(event, Event::Parameters { .. }));
    assert_eq!(told.count(), 1);
}
