//! The short way of packets that begin sessions, and of those that are refused, against the
//! way of all packets: the same answers, bytes, notes and table, whatever the file says.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::select;
use spigate::engine::{
    Arrival, Checksums, Engine, Handed, Observer, Options, Output, Policy, Silent, Waiting,
};
use spigate::net::{NatRow, Timestamp};
use spigate::packet::Checksum;

use super::packets::{Packet, tcp, udp};
use super::short_way::{Listener, with_flags};

const ZONES: &str = r#"
[zones]
lan = { tun = "lan0", net = ["10.0.0.0/24", "2001:db8:10::/64"], address = ["10.0.0.1", "2001:db8:10::1"], mtu = 1400 }
dmz = { tun = "dmz0", net = ["10.0.9.0/24", "2001:db8:9::/64"], address = "10.0.9.1" }
wan = { tun = "wan0", net = ["0.0.0.0/0", "::/0"], address = ["203.0.113.2", "2001:db8:2::2"] }
"#;

/// Each says something else of those that begin.
const FILES: [&str; 8] = [
    r#"version = 1
[policy]
default = "drop"
rules = [{ id = "out", from = "lan", action = "allow" }, { id = "in", from = "wan", to = "dmz", action = "allow" }]
[nat]
source = [{ id = "masq", from = "lan", to = "wan", as = "masquerade" }]
forward = [{ id = "web", on = "wan", tcp = 80, to = "10.0.9.21:80" }]
"#,
    // Segments are shortened, sessions live as their service says, an ALG reads some.
    r#"version = 1
[services]
web = { tcp = 80, lifetime = "brief" }
ftp = { tcp = 21, alg = "ftp" }
boot = { udp = 69, alg = "tftp" }
[lifetimes]
brief = { tcp-syn-sent = "3s", udp = "2s" }
[policy]
default = "reject"
rules = [
  { id = "quiet", from = "lan", to = "dmz", service = "web", action = "drop" },
  { id = "out", from = "lan", action = "allow", mss = "mtu", lifetime = "brief" },
  { id = "in", from = "wan", to = "dmz", action = "allow", mss = 1000 },
]
[nat]
source = [{ id = "one", from = "lan", to = "wan", as = "203.0.113.9", ports = "1024-1026" }]
"#,
    // There is room for few, and some make it.
    r#"version = 1
[limits]
sessions = 12
half-open = 6
per-source = 5
[policy]
default = "allow"
rules = [{ id = "few", from = "lan", to = "wan", action = "allow", max-sessions = 4 }]
[nat]
source = [{ id = "masq", from = "lan", to = "wan", as = "masquerade" }]
"#,
    r#"version = 1
[limits]
sessions = 9
when-full = "refuse"
per-source-rate = { per-second = 2, burst = 3 }
[policy]
default = "allow"
"#,
    // What is refused may yet be opened from inside.
    r#"version = 1
profile = "rfc"
[policy]
default = "drop"
rules = [{ id = "out", from = "lan", action = "allow" }]
[nat]
source = [{ id = "masq", from = "lan", to = "wan", as = "masquerade" }]
"#,
    // Mappings are one socket's own, and let others in.
    r#"version = 1
[policy]
default = "drop"
unsolicited-syn = "hold"
rules = [{ id = "out", from = "lan", action = "allow" }]
[nat]
source = [{ id = "masq", from = "lan", to = "wan", as = "masquerade", mapping = "endpoint-independent", filtering = "endpoint-independent", log = "sessions", max-sessions = 2 }]
"#,
    // A pool in blocks.
    r#"version = 1
[policy]
default = "drop"
rules = [{ id = "out", from = "lan", action = "allow" }]
[nat]
source = [{ id = "pool", from = "lan", to = "wan", as = "203.0.113.72/30", blocks = { size = 8, per-client = 2 }, log = "sessions" }]
"#,
    // Whole addresses of their own, and clients among themselves.
    r#"version = 1
[policy]
default = "allow"
[nat]
static = [{ id = "host", on = "wan", outside = "203.0.113.20", inside = "10.0.0.3" }]
source = [{ id = "net", from = "lan", to = "wan", as = "203.0.113.128/25", src = "10.0.0.0/25" }]
"#,
];

fn policy(file: usize) -> Arc<Policy> {
    let text = FILES[file].replacen("[policy]", &format!("{ZONES}[policy]"), 1);
    let compiled = spigate::config::compile(Path::new("begin.toml"), &text);
    let report =
        |r: spigate::config::Report| panic!("{}", r.render(spigate::config::Colour::Plain));
    Arc::new(compiled.unwrap_or_else(report).policy)
}

/// Somebody speaks first.
#[derive(Debug, Clone)]
struct Speaks {
    zone: &'static str,
    from: String,
    to: String,
    what: What,
    ttl: u8,
    options: usize,
    text: usize,
    damage: Option<(usize, u8)>,
    checksum: Checksum,
    later: u32,
}

#[derive(Debug, Clone, Copy)]
enum What {
    Udp,
    Tcp(u8),
}

const OPTIONS: [&[u8]; 4] = [
    &[],
    &[2, 4, 5, 180, 4, 2, 1, 3, 3, 7, 1, 1],
    &[
        2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0, 1, 3, 3, 7,
    ],
    &[8, 30, 0, 0],
];

fn speaks() -> impl Strategy<Value = Speaks> {
    let inside = || (2..6u8, select(vec![51_000u16, 51_001, 7, 21]));
    let ends = prop_oneof![
        // Out, to few ports, so that they meet.
        8 => (inside(), 1..4u8, select(vec![80u16, 21, 69])).prop_map(|((host, port), server, to)| {
            ("lan", format!("10.0.0.{host}:{port}"), format!("198.51.100.{server}:{to}"))
        }),
        2 => (inside(), select(vec![80u16, 443])).prop_map(|((host, port), to)| {
            ("lan", format!("10.0.0.{host}:{port}"), format!("10.0.9.21:{to}"))
        }),
        2 => (inside(), 1..3u8).prop_map(|((host, port), server)| {
            ("lan", format!("[2001:db8:10::{host}]:{port}"), format!("[2001:db8:c::{server}]:80"))
        }),
        // In, to the gateway, to what stands for hosts, to a host.
        3 => (
            1..4u8,
            select(vec!["203.0.113.2", "203.0.113.9", "203.0.113.20", "203.0.113.130", "10.0.9.21"]),
            select(vec![80u16, 51_000, 1024]),
        ).prop_map(|(server, to, port)| {
            ("wan", format!("198.51.100.{server}:80"), format!("{to}:{port}"))
        }),
        // From where it cannot be, or to nobody alone.
        1 => select(vec![
            ("wan", "10.0.0.3:9", "198.51.100.1:80"),
            ("lan", "10.0.0.1:9", "198.51.100.1:80"),
            ("lan", "10.0.0.3:9", "10.0.0.255:80"),
            ("lan", "10.0.0.3:9", "224.0.0.1:80"),
            ("lan", "240.0.0.3:9", "198.51.100.1:80"),
            ("lan", "10.0.0.3:9", "240.0.0.1:80"),
            ("lan", "10.0.0.3:9", "10.0.0.1:80"),
        ]).prop_map(|(zone, from, to)| (zone, from.into(), to.into())),
    ];
    let what = prop_oneof![
        4 => Just(What::Udp),
        8 => Just(What::Tcp(0x02)),
        1 => select(vec![0xc2u8, 0x12, 0x10, 0x04, 0x22, 0x0a, 0x03]).prop_map(What::Tcp),
    ];
    let how = (
        prop_oneof![12 => Just(64u8), 1 => 0..3u8],
        0..OPTIONS.len(),
        prop_oneof![8 => 0..20usize, 1 => 1300..1500usize],
        prop::option::weighted(0.04, (0..60usize, 1..=255u8)),
        prop_oneof![6 => Just(Checksum::Complete), 1 => Just(Checksum::Partial)],
        prop_oneof![6 => 0..400u32, 1 => 0..60_000u32],
    );
    (ends, what, how).prop_map(|((zone, from, to), what, how)| Speaks {
        zone,
        from,
        to,
        what,
        ttl: how.0,
        options: how.1,
        text: how.2,
        damage: how.3,
        checksum: how.4,
        later: how.5,
    })
}

impl Speaks {
    fn packet(&self) -> Packet {
        let text = vec![b'x'; self.text];
        let packet = match self.what {
            What::Udp => udp(&self.from, &self.to),
            What::Tcp(flags) => {
                let mut packet = tcp(&self.from, &self.to).seq(1000).window(40_000);
                if flags & 0x10 != 0 {
                    packet = packet.ack(77);
                }
                with_flags(packet, flags).tcp_options(OPTIONS[self.options])
            }
        };
        packet.data(&text).ttl(self.ttl)
    }

    fn waiting(&self, policy: &Policy, at: Timestamp) -> Waiting {
        let mut frame = self.packet().bytes();
        if let Some((at, with)) = self.damage
            && let Some(place) = frame.get_mut(at)
        {
            *place ^= with;
        }
        Waiting {
            headroom: 0,
            handed: Handed::NOT,
            at,
            arrival: Arrival {
                checksum: self.checksum,
                ..Arrival::whole(policy.zones.by_name(self.zone).unwrap())
            },
            frame,
        }
    }
}

const START: Timestamp = Timestamp::from_secs(1_772_355_600);

fn engine(policy: &Arc<Policy>) -> Engine {
    let options = Options {
        seed: 3,
        checksums: Checksums::Verify,
    };
    Engine::new(policy.clone(), options, START)
}

/// What came of each packet, all of it.
fn outcomes(engine: &mut Engine, all: &[Waiting], why: &mut impl Observer) -> Vec<String> {
    let one = |waiting: &Waiting| {
        let (mut frame, mut out) = (waiting.frame.clone(), Output::default());
        let judgement = engine.packet(waiting.at, waiting.arrival, &mut frame, &mut out, why);
        format!("{judgement:?} {frame:?} {out:?}")
    };
    all.iter().map(one).collect()
}

fn together(engine: &mut Engine, all: &[Waiting]) -> Vec<String> {
    let (mut all, mut out) = (all.to_vec(), Output::default());
    for waiting in &mut all {
        waiting.headroom = 10;
        waiting.frame.splice(..0, [0xa5; 10]);
    }
    let mut outcomes = Vec::new();
    engine.packets(
        &mut all,
        &mut out,
        &mut Silent,
        |waiting, judgement, out| {
            let frame = waiting.packet();
            outcomes.push(format!("{judgement:?} {frame:?} {out:?}"));
        },
    );
    outcomes
}

proptest! {
    #[test]
    fn whichever_way_it_goes_it_begins_alike(
        file in 0..FILES.len(),
        all in prop::collection::vec(speaks(), 1..120),
    ) {
        let policy = policy(file);
        let mut now = 0;
        let all: Vec<Waiting> = all.iter().map(|speaks| {
            now += u64::from(speaks.later);
            speaks.waiting(&policy, START.after(std::time::Duration::from_millis(now)))
        }).collect();
        let mut engines = [engine(&policy), engine(&policy), engine(&policy)];
        let [whole, short, batch] = &mut engines;
        let expected = outcomes(whole, &all, &mut Listener);
        for (n, (ours, theirs)) in outcomes(short, &all, &mut Silent).iter().zip(&expected).enumerate() {
            prop_assert_eq!(ours, theirs, "packet {}", n);
        }
        prop_assert_eq!(together(batch, &all), expected);
        let rules = policy.rules.iter().map(|(id, _)| id).collect::<Vec<_>>();
        for other in [&*short, &*batch] {
            prop_assert_eq!(other.sessions().sorted(), whole.sessions().sorted());
            // In full swing are those that listen to nobody; their verdicts count all the same.
            let counted = |engine: &Engine| {
                let counters = engine.counters();
                let verdicts: Vec<_> = counters.verdicts().collect();
                let hits: Vec<_> = rules.iter().map(|rule| counters.hits(*rule)).collect();
                let rows = (0..2).flat_map(|row| {
                    [NatRow::Source(row), NatRow::Forward(row), NatRow::Static(row)]
                });
                let rows: Vec<_> = rows.map(|row| counters.translated(row)).collect();
                let evicted: Vec<_> = counters.evicted().collect();
                (verdicts, hits, rows, evicted, counters.default_hits())
            };
            prop_assert_eq!(counted(other), counted(whole));
            prop_assert_eq!(other.next_deadline(), whole.next_deadline());
            for rule in &rules {
                prop_assert_eq!(other.sessions().census().of_rule(rule.0), whole.sessions().census().of_rule(rule.0));
            }
        }
    }
}
