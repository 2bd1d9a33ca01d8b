//! Translation under any rule file made of its kinds of rows, any traffic and
//! any time: there and back is the identity, nobody's answers can be taken for
//! another's, and what is held of public endpoints is what counting says. All
//! of it is written in IPv4 addresses, and played in either family.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use spigate::engine::{
    Arrival, Checksums, Engine, Options, Output, Policy, Reason, Silent, Verdict,
};
use spigate::net::{
    Dependence, Direction, Endpoint, Family, Far, Port, Protocol, Timestamp, Tuple, ZoneId,
};
use spigate::packet::Headers;
use spigate::session::{Change, Claim, Lease, Note, Session, Sessions, Standing, Usage};

use super::packets::{Packet, echo, echo_reply, endpoint, tcp, udp};
use super::seen::{Body, Seen, Sums};

const BASE: &str = r#"
version = 1
[zones]
lan = { tun = "lan0", net = "10.0.0.0/24", address = "10.0.0.1" }
dmz = { tun = "dmz0", net = "10.0.9.0/24", address = "10.0.9.1" }
wan = { tun = "wan0", net = "0.0.0.0/0", address = "203.0.113.2" }
[policy]
default = "allow"
"#;

const ZONES: [&str; 3] = ["lan", "dmz", "wan"];

/// Rows of `forward`; some of their public ports are those that clients have.
const FORWARDS: [&str; 5] = [
    r#"{ id = "web", on = "wan", tcp = 8080, to = "10.0.9.80:80", hairpin = true }"#,
    r#"{ id = "calls", on = "wan", udp = "7000-7003", to = "10.0.9.60:17000-17003" }"#,
    r#"{ id = "taken", on = "wan", udp = 5000, tcp = 5000, to = "10.0.0.8:5000", hairpin = true }"#,
    r#"{ id = "twice", on = "wan", tcp = 5001, to = "10.0.9.80:80", as = "10.0.9.1" }"#,
    r#"{ id = "hosts", on = "wan", dst = "203.0.113.144/28", tcp = 80, to = "10.0.9.144/28" }"#,
];

const STATICS: [&str; 2] = [
    r#"{ id = "server", on = "wan", inside = "10.0.9.60", outside = "203.0.113.60", hairpin = true }"#,
    r#"{ id = "lab", on = "wan", inside = "10.0.0.16/28", outside = "203.0.113.96/28" }"#,
];

/// Rows of `source` that change how others look.
const EXCEPTIONS: [&str; 2] = [
    r#"{ id = "branch", to = "wan", dst = "192.0.2.0/24", as = "none" }"#,
    r#"{ id = "net", from = "lan", to = "wan", src = "10.0.0.0/28", dst = "198.51.100.10", map = "203.0.113.64/28" }"#,
];

/// What every client's address becomes: one address or two, with all ports or
/// so few that they run out.
const TARGETS: [&str; 5] = [
    r#"as = "masquerade""#,
    r#"as = "masquerade", ports = "5000-5003""#,
    r#"as = ["203.0.113.16-203.0.113.17"], ports = "5000-5001""#,
    r#"as = ["203.0.113.16-203.0.113.17"], pooling = "arbitrary""#,
    r#"as = "203.0.113.2", ports = "7000-7009""#,
];

/// The same by blocks and ranges of a client's own; no other row may give out
/// their ports.
const RANGES: [&str; 3] = [
    r#"as = ["203.0.113.20-203.0.113.21"], ports = "5000-5015", blocks = { size = 8, per-client = 1 }, log = "mappings""#,
    r#"as = "203.0.113.22", ports = "5000-5063", blocks = { size = 8 }, log = "sessions""#,
    r#"src = "10.0.0.0/27", as = "203.0.113.24", ports = "5000-5127", deterministic = { dynamic = 34, block = 8 }"#,
];

const ORDERS: [&str; 3] = ["keep", "keep-parity", "random"];

pub(super) fn rules() -> impl Strategy<Value = String> {
    let mode = || select(Dependence::ALL.map(|(word, _)| word).to_vec());
    let source = |id: &'static str, fields: &'static str, targets: Vec<&'static str>| {
        let ways = (
            select(targets),
            select(&ORDERS[..]),
            mode(),
            mode(),
            any::<bool>(),
        );
        ways.prop_map(move |(target, order, mapping, filtering, rests)| {
            let is_open = filtering == "endpoint-independent";
            let rests = match rests && (is_open || target.contains("block")) {
                true => r#", hold-down = "40s""#,
                false => "",
            };
            format!(
                r#"{{ id = "{id}", from = ["lan", "dmz"], to = "wan", {fields}{target}, port-order = "{order}", mapping = "{mapping}", filtering = "{filtering}"{rests} }}"#
            )
        })
    };
    let all = [&TARGETS[..], &RANGES[..]].concat();
    let some = |rows: &'static [&'static str]| subsequence(rows, 0..=rows.len());
    (
        some(&EXCEPTIONS),
        prop::option::weighted(
            0.3,
            source("some", r#"dst = "198.51.100.9", "#, TARGETS.to_vec()),
        ),
        source("all", "", all),
        some(&FORWARDS),
        some(&STATICS),
        prop::option::weighted(0.2, 1..6u8),
    )
        .prop_map(|(exceptions, some, all, forwards, statics, limit)| {
            let mut source: Vec<String> = exceptions.into_iter().map(str::to_owned).collect();
            source.extend(some);
            source.push(all);
            let limits = limit.map_or(String::new(), |n| format!("[limits]\nsessions = {n}\n"));
            format!(
                "{BASE}{limits}[nat]\nsource = [\n{}\n]\nforward = [{}]\nstatic = [{}]\n",
                source.join(",\n"),
                forwards.join(",\n"),
                statics.join(",\n")
            )
        })
}

pub(super) fn family() -> impl Strategy<Value = Family> {
    select(vec![Family::V4, Family::V6])
}

/// Rules or an endpoint in a family's addresses: 10.0.0.7 is 2001:db8::a00:7 in
/// IPv6, a network of it one of the same size.
fn in_family(family: Family, text: &str) -> String {
    let mut all = String::new();
    let mut rest = text;
    while family == Family::V6
        && let Some(start) = rest.find(|c: char| c.is_ascii_digit())
    {
        let (before, tail) = rest.split_at(start);
        let is_of_it = |c: char| c.is_ascii_digit() || c == '.';
        let (word, after) = tail.split_at(tail.find(|c| !is_of_it(c)).unwrap_or(tail.len()));
        all.push_str(before);
        rest = after;
        let Ok(v4) = word.parse::<Ipv4Addr>() else {
            all.push_str(word);
            continue;
        };
        let [a, b, c, d] = v4.octets();
        let [high, low] = [[a, b], [c, d]].map(u16::from_be_bytes);
        let v6 = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, high, low);
        if after.starts_with(':') {
            all.push_str(&format!("[{v6}]"));
        } else if let Some(after) = after.strip_prefix('/') {
            let (bits, after) = after.split_at(
                after
                    .find(|c: char| !c.is_ascii_digit())
                    .unwrap_or(after.len()),
            );
            all.push_str(&format!("{v6}/{}", 96 + bits.parse::<u8>().unwrap()));
            rest = after;
        } else {
            all.push_str(&v6.to_string());
        }
    }
    all + rest
}

#[derive(Debug, Clone)]
pub(super) enum Event {
    /// Milliseconds pass.
    Clock(u32),
    /// A host sends something of its own accord.
    Sent(Kind, &'static str, &'static str),
    /// A host sends something to a public endpoint that somebody has.
    Called(Kind, &'static str, Index),
    /// Whoever got a packet that passed answers it.
    Answered(Index),
    /// Whoever sent a packet that passed takes it back (TCP), or repeats it.
    Continued(Index),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Udp,
    Syn,
    Echo,
}

const HOSTS: [&str; 11] = [
    "10.0.0.7:5000",
    "10.0.0.7:5001",
    "10.0.0.8:5000",
    "10.0.0.20:5000",
    "10.0.9.80:80",
    "10.0.9.60:17000",
    "198.51.100.9:5000",
    "198.51.100.9:53",
    "198.51.100.10:53",
    "192.0.2.9:53",
    "10.0.9.150:80",
];

const PUBLIC: [&str; 12] = [
    "203.0.113.2:5000",
    "203.0.113.2:5001",
    "203.0.113.2:5002",
    "203.0.113.2:8080",
    "203.0.113.2:7000",
    "203.0.113.2:7003",
    "203.0.113.16:5000",
    "203.0.113.17:5000",
    "203.0.113.60:17000",
    "203.0.113.100:5000",
    "203.0.113.71:5000",
    "203.0.113.150:80",
];

pub(super) fn event() -> impl Strategy<Value = Event> {
    let kind = || prop_oneof![4 => Just(Kind::Udp), 2 => Just(Kind::Syn), 1 => Just(Kind::Echo)];
    let host = || select(&HOSTS[..]);
    prop_oneof![
        1 => prop_oneof![3 => 0..20_000u32, 1 => 0..150_000u32].prop_map(Event::Clock),
        5 => (kind(), host(), host()).prop_map(|(kind, a, b)| Event::Sent(kind, a, b)),
        2 => (kind(), host(), select(&PUBLIC[..])).prop_map(|(kind, a, b)| Event::Sent(kind, a, b)),
        3 => (kind(), host(), any::<Index>()).prop_map(|(kind, a, n)| Event::Called(kind, a, n)),
        3 => any::<Index>().prop_map(Event::Answered),
        2 => any::<Index>().prop_map(Event::Continued),
    ]
}

/// A packet that passed: where and as what it came and left.
#[derive(Debug, Clone)]
pub(super) struct Passed {
    came: (usize, Tuple),
    left: (usize, Tuple),
    /// The session that it began.
    began: bool,
}

pub(super) struct World {
    pub(super) engine: Engine,
    /// What began by the mapping log and has not ended, and how often.
    pub(super) noted: BTreeMap<String, i64>,
    family: Family,
    pub(super) now: Timestamp,
    passed: Vec<Passed>,
    /// All that left, in order.
    pub(super) record: Vec<Vec<u8>>,
    /// All that came, in order.
    pub(super) came: Vec<(Timestamp, ZoneId, Vec<u8>)>,
}

impl World {
    pub(super) fn new(policy: Arc<Policy>, family: Family, seed: u64) -> Self {
        let now = Timestamp::from_secs(1_772_355_600);
        let options = Options {
            seed,
            checksums: Checksums::Verify,
        };
        Self {
            engine: Engine::new(policy, options, now),
            noted: BTreeMap::new(),
            family,
            now,
            passed: Vec::new(),
            record: Vec::new(),
            came: Vec::new(),
        }
    }

    pub(super) fn happen(&mut self, event: &Event) {
        match event {
            Event::Clock(millis) => self.wait(Duration::from_millis(u64::from(*millis))),
            Event::Sent(kind, from, to) => {
                let [from, to] = [from, to].map(|end| in_family(self.family, end));
                let _ = self.send(self.home(endpoint(&from)), &fresh(*kind, &from, &to));
            }
            Event::Called(kind, from, which) => {
                let held: Vec<_> = recount(self.engine.sessions()).into_keys().collect();
                if held.is_empty() {
                    return;
                }
                let (_, public) = held[which.index(held.len())];
                let from = in_family(self.family, from);
                let _ = self.send(
                    self.home(endpoint(&from)),
                    &fresh(*kind, &from, &public.to_string()),
                );
            }
            Event::Answered(which) => {
                if let Some(passed) = self.one(*which) {
                    self.answer(&passed);
                }
            }
            Event::Continued(which) => {
                if let Some(passed) = self.one(*which) {
                    let packet = again(&passed.came.1);
                    let _ = self.send(passed.came.0, &packet);
                }
            }
        }
    }

    fn one(&self, which: Index) -> Option<Passed> {
        let recent = self.passed.len().saturating_sub(8);
        let recent = &self.passed[recent..];
        (!recent.is_empty()).then(|| recent[which.index(recent.len())].clone())
    }

    pub(super) fn wait(&mut self, time: Duration) {
        self.now = self.now.after(time);
        let mut out = Output::default();
        while self.engine.expire(self.now, &mut out).is_left() {}
        self.note(&out);
        check(&self.engine);
    }

    /// The log ends nothing that did not begin.
    fn note(&mut self, out: &Output) {
        for event in &out.events {
            let spigate::engine::Event::Noted { note, .. } = event else {
                continue;
            };
            let Note {
                row, client, what, ..
            } = note;
            let count = self
                .noted
                .entry(format!("{row:?} {client} {what:?}"))
                .or_default();
            *count += match note.change {
                Change::Began => 1,
                Change::Ended => -1,
            };
            assert!(*count >= 0, "{note:?}");
            if *count == 0 {
                self.noted.retain(|_, count| *count != 0);
            }
        }
    }

    /// The answer to a packet that passed arrives where that came from, from
    /// where that was sent to: always while the session is fresh.
    fn answer(&mut self, passed: &Passed) {
        let lives = self.engine.sessions().lookup(&passed.left.1.reversed());
        let is_its_own = lives.is_some_and(|(_, session, direction)| {
            session.origin.outgoing(direction) == passed.came.1.reversed()
        });
        let has_just_begun = self.passed.last().is_some_and(|last| {
            last.began && (last.left.1, last.came.1) == (passed.left.1, passed.came.1)
        });
        let answered = self.send(passed.left.0, &reply(&passed.left.1));
        // Of a host that speaks to itself nobody can tell which end it is now.
        let has_two_ends = passed.left.1.reversed() != passed.came.1;
        let is_sure = passed.came.1.protocol != Protocol::TCP || has_just_begun && has_two_ends;
        match answered {
            Some(answered) if is_its_own => {
                assert_eq!(answered.left.1, passed.came.1.reversed(), "{passed:?}");
                assert_eq!(answered.left.0, passed.came.0, "{passed:?}");
            }
            None if is_its_own && is_sure => panic!("no answer to {passed:?}"),
            _ => {}
        }
    }

    fn send(&mut self, zone: usize, packet: &Packet) -> Option<Passed> {
        let id = self.engine.policy().zones.by_name(ZONES[zone]).unwrap();
        let arrival = Arrival::whole(id);
        let mut frame = packet.bytes();
        let came = read(&frame);
        self.came.push((self.now, id, frame.clone()));
        let (mut out, before) = (Output::default(), self.engine.sessions().next_id());
        let judgement = self
            .engine
            .packet(self.now, arrival, &mut frame, &mut out, &mut Silent);
        self.note(&out);
        check(&self.engine);
        let Verdict::Forward(to) = judgement.verdict else {
            return None;
        };
        let _ = Seen::read(&frame, Sums::Right);
        let left = read(&frame);
        let to = self.engine.policy().zones.name(to);
        let to = ZONES.iter().position(|name| *name == to).unwrap();
        // Its answer would be turned back into the answer to what was sent.
        let session = judgement.session.expect("what passes has a session");
        match self.engine.sessions().lookup(&left.reversed()) {
            Some((_, found, direction)) => {
                assert_eq!(found.id, session);
                assert_eq!(found.origin.outgoing(direction), came.reversed());
                assert_eq!(found.origin.egress[direction], id);
            }
            // A refused connection is over with its reset.
            None => assert!(is_reset(&frame), "no answer can come back"),
        }
        self.record.push(frame);
        let passed = Passed {
            came: (zone, came),
            left: (to, left),
            began: self.engine.sessions().next_id() != before,
        };
        self.passed.push(passed.clone());
        Some(passed)
    }

    fn home(&self, host: std::net::SocketAddr) -> usize {
        let zones = &self.engine.policy().zones;
        let name = zones.name(zones.holding(host.ip()).unwrap());
        ZONES.iter().position(|known| *known == name).unwrap()
    }
}

fn is_reset(frame: &[u8]) -> bool {
    match Seen::read(frame, Sums::Right).body {
        Body::Tcp(header, _) => header.rst,
        _ => false,
    }
}

fn read(frame: &[u8]) -> Tuple {
    Headers::read(frame, false).unwrap().tuple().unwrap()
}

fn address(end: &str) -> String {
    endpoint(end).ip().to_string()
}

fn fresh(kind: Kind, from: &str, to: &str) -> Packet {
    match kind {
        Kind::Udp => udp(from, to),
        Kind::Syn => tcp(from, to).seq(1000).syn(),
        Kind::Echo => echo(&address(from), &address(to), endpoint(from).port()),
    }
}

/// What a sender of this tuple sends next: a reset, or the same again.
fn again(tuple: &Tuple) -> Packet {
    let (from, to) = (tuple.source.to_string(), tuple.destination.to_string());
    match tuple.protocol {
        Protocol::TCP => tcp(&from, &to).seq(1001).rst(),
        Protocol::UDP => udp(&from, &to),
        _ if tuple.icmp_query().unwrap().is_request() => fresh(Kind::Echo, &from, &to),
        _ => echo_reply(&address(&from), &address(&to), tuple.source.port.0),
    }
}

fn reply(tuple: &Tuple) -> Packet {
    let back = tuple.reversed();
    match tuple.protocol {
        Protocol::TCP => {
            let (from, to) = (back.source.to_string(), back.destination.to_string());
            tcp(&from, &to).seq(5000).ack(1001).syn()
        }
        _ => again(&back),
    }
}

type Public = (Protocol, Endpoint);

/// Who holds a public endpoint: the socket behind it, how it is claimed, and to
/// whom its client has spoken.
#[derive(Debug)]
struct Holder {
    inside: Endpoint,
    claim: Claim,
    /// Of its own accord.
    spoke: Option<Endpoint>,
}

/// What every session holds of public endpoints.
fn recount(sessions: &Sessions) -> BTreeMap<Public, Vec<Holder>> {
    let mut held = BTreeMap::<_, Vec<_>>::new();
    for Session { origin, .. } in sessions.sorted() {
        for end in Direction::BOTH {
            let Some(claim) = origin.claims[end] else {
                continue;
            };
            let (arrives, answers) = (origin.tuples[end], origin.tuples[!end]);
            let far = match origin.claims[!end] {
                Some(_) => arrives.destination,
                None => answers.source,
            };
            let holder = Holder {
                inside: arrives.source,
                claim,
                spoke: (end == Direction::Original).then_some(far),
            };
            let public = (arrives.protocol, answers.target());
            held.entry(public).or_default().push(holder);
        }
    }
    held
}

pub(super) fn check(engine: &Engine) {
    let sessions = engine.sessions();
    let mut tuples = HashSet::new();
    for session in sessions.sorted() {
        let [original, reply] = Direction::BOTH.map(|d| session.origin.tuples[d]);
        assert!(tuples.insert(original), "two sessions have {original}");
        // A host that speaks to itself through us is both ends.
        let fits = tuples.insert(reply) || reply == original;
        assert!(fits, "two sessions have {reply}");
    }
    check_mappings(sessions);
    check_blocks(sessions);
}

/// No block is two clients', and those that somebody has are those that their
/// ports lie in.
fn check_blocks(sessions: &Sessions) {
    let mappings = sessions.mappings();
    let mut owners = BTreeMap::new();
    for ((_, public), holders) in recount(sessions) {
        for Holder { inside, claim, .. } in holders {
            let Some(row) = claim.row() else { continue };
            let layout = mappings.terms(row).unwrap().blocks;
            let Some(block) = layout.and_then(|layout| layout.block_of(public.port)) else {
                continue;
            };
            let place = (row, public.address, block);
            let owner = *owners.entry(place).or_insert(inside.address);
            assert_eq!(owner, inside.address, "{public} lies in a block of two");
        }
    }
    for ((row, address, block), client) in &owners {
        let leases = mappings.blocks().leases(*row, *client);
        let is_it = |lease: &Lease| (lease.address, lease.block) == (*address, *block);
        assert!(
            leases.iter().any(is_it),
            "{client} has {block} of {address}"
        );
    }
    assert!(mappings.blocks().in_use() >= owners.len());
}

/// The index of mappings says what counting again says.
fn check_mappings(sessions: &Sessions) {
    let (mappings, held) = (sessions.mappings(), recount(sessions));
    assert_eq!(mappings.in_use(), held.len());
    let mut own = BTreeSet::new();
    for ((protocol, public), holders) in &held {
        let is_mapped = |holder: &&Holder| matches!(holder.claim, Claim::Mapped(..));
        let mapped = holders.iter().filter(is_mapped).count();
        let mapping = match mappings.usage(*protocol, *public) {
            Usage::Mapped(mapping) => mapping,
            usage => {
                assert_eq!((usage, mapped), (Usage::Shared, 0), "{public}");
                continue;
            }
        };
        own.insert((*protocol, *public));
        assert_eq!((mapping.protocol, mapping.outside), (*protocol, *public));
        assert_eq!(mapping.holders as usize, holders.len(), "{public}");
        assert_eq!(mapped, holders.len(), "{public} is somebody else's too");
        let others = holders.iter().find(|h| h.inside != mapping.inside);
        assert!(others.is_none(), "{mapping:?} and {others:?}");
        // A socket finds what it has.
        let far = match mapping.far {
            Far::Anyone => in_family(public.family(), "192.0.2.200:9").parse().unwrap(),
            Far::Address(address) => Endpoint::new(address, Port(9)),
            Far::Endpoint(endpoint) => endpoint,
        };
        let socket = (*protocol, mapping.inside);
        let known = (mapping.row, mapping.known_in);
        let found = mappings.of_socket(socket, known, mapping.behaviour.mapping, far);
        assert_eq!(found, Some(*mapping), "its socket does not find it");
        // It lets in whom its client has spoken to, as far as its filter asks.
        let filter = mapping.behaviour.filtering;
        let contacts: HashSet<_> = holders
            .iter()
            .filter_map(|holder| match holder.claim {
                Claim::Mapped(behaviour, ..) => Some(behaviour.filtering.far(holder.spoke?)),
                Claim::Shared(_) => None,
            })
            .collect();
        for host in HOSTS.into_iter().chain(PUBLIC) {
            let host: Endpoint = in_family(public.family(), host).parse().unwrap();
            let is_known =
                filter == Dependence::EndpointIndependent || contacts.contains(&filter.far(host));
            assert_eq!(mappings.lets_in(mapping, host), is_known, "{host}");
        }
    }
    let listed = mappings.sorted().into_iter();
    let listed: BTreeSet<_> = listed.map(|m| (m.protocol, m.outside)).collect();
    assert_eq!(listed, own);
}

pub(super) fn compiled(family: Family, rules: &str) -> Arc<Policy> {
    // No address has ports for a network of IPv6.
    let rules = match family {
        Family::V4 => rules.to_owned(),
        Family::V6 => rules.replace(
            "deterministic = { dynamic = 34, block = 8 }",
            "blocks = { size = 8 }",
        ),
    };
    let rules = in_family(family, &rules);
    let compiled = spigate::config::compile(Path::new("any.toml"), &rules);
    let report =
        |r: spigate::config::Report| panic!("{}", r.render(spigate::config::Colour::Plain));
    Arc::new(compiled.unwrap_or_else(report).policy)
}

/// In the end nothing is left, and nobody holds anything.
pub(super) fn everything_ends(world: &mut World) {
    world.wait(Duration::from_secs(7 * 24 * 3600));
    let sessions = world.engine.sessions();
    assert!(sessions.is_empty());
    assert_eq!(sessions.mappings().in_use(), 0);
    assert_eq!(sessions.mappings().sorted().len(), 0);
    assert_eq!(sessions.mappings().at_rest(), 0);
    assert_eq!(sessions.mappings().blocks().in_use(), 0);
    assert!(world.noted.is_empty(), "{:?}", world.noted);
    assert_eq!(sessions.census().sources(), 0);
    for standing in Standing::ALL {
        assert_eq!(sessions.census().of_standing(standing), 0);
    }
    // The parameters of deterministic rows are written down every day.
    let has_parameters = world.engine.policy().nat.has_parameters();
    assert_eq!(world.engine.next_deadline().is_some(), has_parameters);
}

fn run(policy: &Arc<Policy>, family: Family, seed: u64, events: &[Event]) -> World {
    let mut world = World::new(policy.clone(), family, seed);
    for event in events {
        world.happen(event);
    }
    world
}

proptest! {
    #[test]
    fn translation_is_undone_and_endpoints_come_back_under_any_rules(
        seed in any::<u64>(),
        family in family(),
        rules in rules(),
        events in proptest::collection::vec(event(), 1..60),
    ) {
        let policy = compiled(family, &rules);
        let mut world = run(&policy, family, seed, &events);
        prop_assert_eq!(&world.record, &run(&policy, family, seed, &events).record);
        everything_ends(&mut world);
    }
}

#[test]
fn the_rules_and_sequences_reach_what_they_are_for() {
    let mut runner = TestRunner::deterministic();
    let all = (rules(), proptest::collection::vec(event(), 1..60));
    let mut counts = BTreeMap::<_, u64>::new();
    let mut moved = [0; 3];
    for seed in 0..300 {
        let (rules, events) = all.new_tree(&mut runner).unwrap().current();
        let family = [Family::V4, Family::V6][usize::try_from(seed % 2).unwrap()];
        let world = run(&compiled(family, &rules), family, seed, &events);
        for (verdict, reason, count) in world.engine.counters().verdicts() {
            *counts.entry((verdict, reason)).or_default() += count;
        }
        for Passed { came, left, .. } in &world.passed {
            let (came, left) = (came.1, left.1);
            let [source, destination] = [
                came.source != left.source,
                came.destination != left.destination,
            ];
            moved[0] += u64::from(source);
            moved[1] += u64::from(destination);
            moved[2] += u64::from(source && destination);
        }
    }
    assert!(moved.iter().all(|count| *count > 100), "{moved:?}");
    for (verdict, reason) in [
        ("forward", Reason::Mapping),
        ("forward", Reason::Session),
        ("drop", Reason::NatPortsExhausted),
    ] {
        let count = counts.get(&(verdict, reason)).copied().unwrap_or(0);
        assert!(count >= 20, "{verdict} for {reason}: {count} of {counts:?}");
    }
}
