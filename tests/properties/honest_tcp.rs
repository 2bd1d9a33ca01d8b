//! Two honest TCP ends, and the windows that the gateway keeps of them: no
//! segment of theirs is refused, whatever the network does to it, and no
//! segment far outside of their windows changes anything.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use proptest::prelude::*;
use proptest::sample::Index;
use spigate::engine::{
    Arrival, Checksums, Engine, Judgement, Options, Output, Policy, Reason, Silent, Verdict,
};
use spigate::net::{Timestamp, ZoneId};
use spigate::session::Session;

use super::packets::{Packet, tcp};

/// Hosts that see each other's addresses; the client is inside.
const RULES: &str = r#"
version = 1
[zones]
lan = { tun = "lan0", net = ["10.0.0.0/24"], address = "10.0.0.1" }
wan = { tun = "wan0", net = ["0.0.0.0/0"], address = "203.0.113.2" }
[policy]
default = "drop"
rules = [{ id = "out", from = "lan", to = "wan", action = "allow" }]
"#;

const NAMES: [&str; 2] = ["10.0.0.7:51000", "198.51.100.9:80"];
const ZONES: [&str; 2] = ["lan", "wan"];

fn policy() -> Arc<Policy> {
    static POLICY: OnceLock<Arc<Policy>> = OnceLock::new();
    let compile = || {
        let compiled = spigate::config::compile(Path::new("honest.toml"), RULES);
        let report =
            |r: spigate::config::Report| panic!("{}", r.render(spigate::config::Colour::Plain));
        Arc::new(compiled.unwrap_or_else(report).policy)
    };
    POLICY.get_or_init(compile).clone()
}

/// What an end is like.
#[derive(Debug, Clone)]
struct Character {
    isn: u32,
    /// Octets that it has room for.
    room: u32,
    /// What its SYN says of scaling.
    scale: Option<u8>,
    sack: bool,
}

/// What its SYN offers.
fn offered(of: &Character) -> u32 {
    let unit = of.scale.unwrap_or(0);
    of.room.min(65_535) >> unit << unit
}

fn character() -> impl Strategy<Value = Character> {
    let isn = prop_oneof![
        any::<u32>(),
        (0..70_000u32).prop_map(|n| 0u32.wrapping_sub(n))
    ];
    let room = prop_oneof![1..200u32, 200..65_536u32, 65_536..2_000_000u32];
    let scale = proptest::option::of(0..=14u8);
    (isn, room, scale, any::<bool>()).prop_map(|(isn, room, scale, sack)| {
        // Coarser, and it could not offer with an ACK what its SYN offered.
        let coarsest = (room / 16).checked_ilog2().unwrap_or(0);
        let coarsest = u8::try_from(coarsest).unwrap();
        let scale = scale.map(|scale| scale.min(coarsest));
        Character {
            isn,
            // In whole units, so that its SYN offers what an ACK can.
            room: scale.map_or(room, |scale| room >> scale << scale),
            scale,
            sack,
        }
    })
}

/// One thing that happens; the number is whose turn it is.
#[derive(Debug, Clone)]
enum Step {
    /// It sends so many new octets, or fewer if there is no room for them.
    Sends(usize, u32),
    /// It repeats what is not acknowledged.
    Repeats(usize, u32),
    /// It acknowledges what it has.
    Acknowledges(usize),
    /// Its reader takes octets, so that its window opens.
    Reads(usize, u32),
    /// A keep-alive, or a probe of a closed window.
    Probes(usize),
    /// One of the packets towards the other end reaches the gateway, and from
    /// there its destination unless it is lost behind.
    Arrives(usize, Index, Fate),
    /// One is lost before the gateway.
    Lost(usize, Index),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Delivered,
    LostBehind,
    /// And a copy of it is still on its way.
    Doubled,
}

fn step() -> impl Strategy<Value = Step> {
    let who = || 0..2usize;
    let octets = || prop_oneof![1..20u32, 500..1461u32];
    let fate = prop_oneof![
        8 => Just(Fate::Delivered),
        1 => Just(Fate::LostBehind),
        1 => Just(Fate::Doubled),
    ];
    prop_oneof![
        6 => (who(), octets()).prop_map(|(who, octets)| Step::Sends(who, octets)),
        2 => (who(), octets()).prop_map(|(who, octets)| Step::Repeats(who, octets)),
        3 => who().prop_map(Step::Acknowledges),
        2 => (who(), 1..100_000u32).prop_map(|(who, octets)| Step::Reads(who, octets)),
        1 => who().prop_map(Step::Probes),
        9 => (who(), any::<Index>(), fate).prop_map(|(who, at, fate)| Step::Arrives(who, at, fate)),
        1 => (who(), any::<Index>()).prop_map(|(who, at)| Step::Lost(who, at)),
    ]
}

/// A segment on its way. Numbers count from the first octet of their stream.
#[derive(Debug, Clone)]
struct Segment {
    start: u32,
    length: u32,
    ack: u32,
    window: u16,
    sack: Option<(u32, u32)>,
}

/// One end as it knows the connection.
#[derive(Debug)]
struct End {
    character: Character,
    /// How its windows are scaled.
    shift: u8,
    /// Behind the last octet that it sent, that was acknowledged, and that the
    /// other end has offered to take.
    sent: u32,
    acknowledged: u32,
    may_send: u32,
    /// Octets that it has in order, those that its reader took, and what it has
    /// beyond a hole.
    has: u32,
    read: u32,
    beyond: BTreeMap<u32, u32>,
    /// The right edge that it has offered: it never takes it back.
    offered: u32,
    sack: bool,
}

impl End {
    fn window(&mut self) -> u16 {
        let edge = (self.read + self.character.room).max(self.offered);
        let free = (edge - self.has) >> self.shift;
        let field = u16::try_from(free).unwrap_or(u16::MAX);
        self.offered = self
            .offered
            .max(self.has + (u32::from(field) << self.shift));
        field
    }

    fn segment(&mut self, start: u32, length: u32) -> Segment {
        let window = self.window();
        let block = self.beyond.iter().next_back();
        Segment {
            start,
            length,
            ack: self.has,
            window,
            sack: block.map(|(from, to)| (*from, *to)).filter(|_| self.sack),
        }
    }

    /// What it makes of a segment; the other end's windows are scaled so.
    fn hears(&mut self, segment: &Segment, shift: u8) {
        self.acknowledged = self.acknowledged.max(segment.ack);
        self.sent = self.sent.max(segment.ack);
        let edge = segment.ack + (u32::from(segment.window) << shift);
        self.may_send = self.may_send.max(edge);
        let end = (segment.start + segment.length).min(self.offered);
        if segment.start > self.has {
            if end > segment.start {
                let known = self.beyond.entry(segment.start).or_insert(end);
                *known = (*known).max(end);
            }
            return;
        }
        self.has = self.has.max(end);
        while let Some((from, to)) = self.beyond.pop_first() {
            if from > self.has {
                self.beyond.insert(from, to);
                break;
            }
            self.has = self.has.max(to);
        }
    }
}

struct World {
    engine: Engine,
    now: Timestamp,
    ends: [End; 2],
    /// On their way from each end to the gateway, oldest first.
    wire: [Vec<Segment>; 2],
}

/// So many newer packets may overtake one before the network has forgotten it.
const REORDERED: usize = 4;

impl World {
    /// The two ends shake hands.
    fn open(characters: [Character; 2]) -> Self {
        let now = Timestamp::from_secs(1_772_355_600);
        let options = Options {
            seed: 7,
            checksums: Checksums::Verify,
        };
        let scaled = characters.iter().all(|c| c.scale.is_some());
        let sack = characters.iter().all(|c| c.sack);
        let end = |c: Character, other: &Character| End {
            shift: c.scale.filter(|_| scaled).unwrap_or(0),
            sent: 0,
            acknowledged: 0,
            // A SYN's own window is not scaled.
            may_send: offered(other),
            has: 0,
            read: 0,
            beyond: BTreeMap::new(),
            offered: offered(&c),
            sack,
            character: c,
        };
        let [client, server] = &characters;
        let ends = [end(client.clone(), server), end(server.clone(), client)];
        let mut world = Self {
            engine: Engine::new(policy(), options, now),
            now,
            ends,
            wire: [Vec::new(), Vec::new()],
        };
        for who in [0, 1] {
            let syn = world.syn(who);
            let judgement = world.judge(who, &syn);
            assert!(passes(&judgement), "{judgement:?}");
        }
        let ack = world.ends[0].segment(0, 0);
        world.arrives(0, &ack, Fate::Delivered);
        world
    }

    fn syn(&self, who: usize) -> Packet {
        let character = &self.ends[who].character;
        let mut options = Vec::new();
        if let Some(scale) = character.scale {
            options.extend([3, 3, scale, 1]);
        }
        if character.sack {
            options.extend([4, 2, 1, 1]);
        }
        let window = u16::try_from(self.ends[who].offered).unwrap();
        let syn = tcp(NAMES[who], NAMES[1 - who]).syn().seq(character.isn);
        let syn = syn.window(window).tcp_options(&options);
        match who {
            0 => syn,
            _ => syn.ack(self.number(0, 0)),
        }
    }

    /// An octet's number on the wire.
    fn number(&self, who: usize, octet: u32) -> u32 {
        let isn = self.ends[who].character.isn;
        isn.wrapping_add(1).wrapping_add(octet)
    }

    fn packet(&self, who: usize, segment: &Segment) -> Packet {
        let packet = tcp(NAMES[who], NAMES[1 - who])
            .seq(self.number(who, segment.start))
            .ack(self.number(1 - who, segment.ack))
            .window(segment.window)
            .data(vec![b'd'; usize::try_from(segment.length).unwrap()]);
        match segment.sack {
            None => packet,
            Some((from, to)) => {
                packet.sack(&[(self.number(1 - who, from), self.number(1 - who, to))])
            }
        }
    }

    fn judge(&mut self, who: usize, packet: &Packet) -> Judgement {
        let zone = zone(&self.engine, ZONES[who]);
        let arrival = Arrival::whole(zone);
        let mut frame = packet.bytes();
        let mut out = Output::default();
        let engine = &mut self.engine;
        engine.packet(self.now, arrival, &mut frame, &mut out, &mut Silent)
    }

    fn sends(&mut self, who: usize, start: u32, length: u32) {
        let segment = self.ends[who].segment(start, length);
        self.wire[who].push(segment);
        if self.wire[who].len() > REORDERED {
            let oldest = self.wire[who].remove(0);
            self.arrives(who, &oldest, Fate::Delivered);
        }
    }

    fn arrives(&mut self, who: usize, segment: &Segment, fate: Fate) {
        let packet = self.packet(who, segment);
        let judgement = self.judge(who, &packet);
        assert!(
            passes(&judgement),
            "{judgement:?}: {segment:?} of {:?}",
            self.ends
        );
        if fate != Fate::LostBehind {
            let shift = self.ends[who].shift;
            self.ends[1 - who].hears(segment, shift);
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Sends(who, octets) => {
                let end = &mut self.ends[*who];
                let start = end.sent;
                let length = (*octets).min(end.may_send.saturating_sub(start));
                end.sent += length;
                self.sends(*who, start, length);
            }
            Step::Repeats(who, octets) => {
                let end = &self.ends[*who];
                let start = end.acknowledged;
                let length = (*octets).min(end.sent - start);
                self.sends(*who, start, length);
            }
            Step::Acknowledges(who) => {
                let start = self.ends[*who].sent;
                self.sends(*who, start, 0);
            }
            Step::Reads(who, octets) => {
                let end = &mut self.ends[*who];
                end.read = (end.read + octets).min(end.has);
            }
            Step::Probes(who) => {
                let end = &mut self.ends[*who];
                if end.sent == end.acknowledged && end.sent > 0 {
                    let start = end.sent - 1;
                    self.sends(*who, start, 0);
                } else if end.sent == end.may_send {
                    // It does not count as sent unless it is taken.
                    let start = end.sent;
                    self.sends(*who, start, 1);
                }
            }
            Step::Arrives(who, at, fate) => {
                if self.wire[*who].is_empty() {
                    return;
                }
                let at = at.index(self.wire[*who].len());
                let segment = match fate {
                    Fate::Doubled => self.wire[*who][at].clone(),
                    _ => self.wire[*who].remove(at),
                };
                self.arrives(*who, &segment, *fate);
            }
            Step::Lost(who, at) => {
                if !self.wire[*who].is_empty() {
                    let at = at.index(self.wire[*who].len());
                    self.wire[*who].remove(at);
                }
            }
        }
    }

    fn session(&self) -> Session {
        let sessions = self.engine.sessions().sorted();
        assert_eq!(sessions.len(), 1);
        sessions[0].clone()
    }
}

fn zone(engine: &Engine, name: &str) -> ZoneId {
    engine.policy().zones.by_name(name).unwrap()
}

fn passes(judgement: &Judgement) -> bool {
    matches!(judgement.verdict, Verdict::Forward(_))
}

/// A segment of a stranger: flags (FIN, RST, ACK), and how far off its numbers
/// are.
type Forged = (usize, u8, u32, u32);

fn forged() -> impl Strategy<Value = Forged> {
    // Further than both windows together can reach, and not yet behind.
    let far = || 0x1000_0000..0x7000_0000u32;
    let at = || prop_oneof![far(), Just(0)];
    (0..2usize, 0..4u8, far(), at())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_segment_of_honest_ends_is_refused(
        client in character(),
        server in character(),
        steps in proptest::collection::vec(step(), 0..200),
    ) {
        let mut world = World::open([client, server]);
        for step in &steps {
            world.step(step);
        }
    }

    #[test]
    fn no_segment_far_outside_of_the_windows_changes_anything(
        client in character(),
        server in character(),
        steps in proptest::collection::vec(step(), 0..40),
        strangers in proptest::collection::vec(forged(), 1..20),
    ) {
        let mut world = World::open([client, server]);
        for step in &steps {
            world.step(step);
        }
        let before = world.session();
        for (who, kind, seq, ack) in strangers {
            let own = world.number(who, world.ends[who].sent).wrapping_add(seq);
            let others = world.ends[1 - who].acknowledged;
            let others = world.number(1 - who, others).wrapping_add(ack);
            let packet = tcp(NAMES[who], NAMES[1 - who]).seq(own);
            let packet = match kind {
                0 => packet.ack(others).data("forged"),
                1 => packet.ack(others).fin(),
                2 => packet.ack(others).rst(),
                _ => packet.rst(),
            };
            let judgement = world.judge(who, &packet);
            prop_assert!(
                matches!(judgement.reason, Reason::TcpOutOfWindow | Reason::TcpInvalidRst),
                "{:?}", judgement
            );
            prop_assert_eq!(judgement.verdict.name(), "drop");
            prop_assert_eq!(&world.session(), &before);
        }
        // Only the acknowledgement is forged: of what was never sent.
        for who in [0, 1] {
            let own = world.number(who, world.ends[who].sent);
            let others = world.number(1 - who, world.ends[1 - who].sent);
            let packet = tcp(NAMES[who], NAMES[1 - who]).seq(own);
            let judgement = world.judge(who, &packet.ack(others.wrapping_add(0x1000_0000)));
            prop_assert_eq!(judgement.reason, Reason::TcpOutOfWindow);
            prop_assert_eq!(&world.session(), &before);
        }
    }
}
