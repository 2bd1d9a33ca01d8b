//! The path of a packet allocates nothing: not for packets of sessions, and not for
//! what is dropped in silence.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "flood/allocations.rs"]
#[allow(dead_code)] // the flood asks for more
mod counting;
#[path = "scenarios/packets.rs"]
#[allow(dead_code)] // the scenarios use more of it
mod packets;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use counting::{allocations, live_octets};
use packets::{Packet, echo, echo_reply, tcp, udp};
use spigate::engine::{
    Arrival, Checksums, Engine, Handed, Options, Output, Reason, Silent, Verdict, Waiting,
};
use spigate::net::{Timestamp, ZoneId};

const RULES: &str = r#"
version = 1
[zones]
lan = { tun = "lan0", net = ["10.0.0.0/24", "2001:db8:10::/64"], address = "10.0.0.1" }
wan = { tun = "wan0", net = ["0.0.0.0/0", "::/0"], address = "203.0.113.2" }
[policy]
default = "drop"
rules = [{ id = "out", from = "lan", to = "wan", action = "allow" }]
[nat]
source = [{ id = "masq", from = "lan", to = "wan", src = "10.0.0.0/24", as = "masquerade" }]
"#;

const LAN: Arrival = Arrival::whole(ZoneId(0));
const WAN: Arrival = Arrival::whole(ZoneId(1));

/// As many clients as there are sessions, each counted and translated.
const MANY: &str = r#"
version = 1
[zones]
lan = { net = ["10.0.0.0/8"] }
wan = { net = ["0.0.0.0/0"], address = "203.0.113.2" }
[timeouts]
udp = "1h"
[policy]
default = "drop"
rules = [{ id = "out", from = "lan", to = "wan", action = "allow" }]
[nat]
source = [{ id = "masq", from = "lan", to = "wan", MORE as = "masquerade" }]
"#;

struct Gate {
    engine: Engine,
    now: Timestamp,
    out: Output,
    /// Reused, as a gateway reuses its own.
    frame: Vec<u8>,
}

impl Gate {
    fn new() -> Self {
        Self::by(RULES)
    }

    fn by(rules: &str) -> Self {
        let compiled = spigate::config::compile(Path::new("allocations.toml"), rules).unwrap();
        let options = Options {
            seed: 1,
            checksums: Checksums::Verify,
        };
        let now = Timestamp::from_secs(1_772_355_600);
        Self {
            engine: Engine::new(Arc::new(compiled.policy), options, now),
            now,
            out: Output::default(),
            frame: Vec::with_capacity(2048),
        }
    }

    fn passes(&mut self, arrival: Arrival, packet: Packet) {
        assert!(self.send(arrival, &packet.bytes()).0, "{packet:?}");
    }

    /// Whether a packet leaves, and what decided.
    fn send(&mut self, arrival: Arrival, bytes: &[u8]) -> (bool, Reason) {
        self.now = self.now.after(Duration::from_millis(1));
        self.frame.clear();
        self.frame.extend_from_slice(bytes);
        let Self {
            engine,
            now,
            out,
            frame,
        } = self;
        let judged = engine.packet(*now, arrival, frame, out, &mut Silent);
        out.clear();
        (matches!(judged.verdict, Verdict::Forward(_)), judged.reason)
    }

    /// Sends these again and again; all have to fare as told, and none to allocate.
    fn costs_nothing(&mut self, what: &str, wanted: Reason, packets: &[(Arrival, Packet)]) {
        let packets: Vec<_> = packets
            .iter()
            .map(|(by, packet)| (*by, packet.bytes()))
            .collect();
        let before = allocations();
        for round in 0..2_000 {
            for (arrival, bytes) in &packets {
                let (_, reason) = self.send(*arrival, bytes);
                assert_eq!(reason, wanted, "{what}, round {round}");
            }
        }
        assert_eq!(allocations() - before, 0, "{what}");
    }
}

#[test]
fn a_packet_allocates_nothing() {
    let mut gate = Gate::new();
    let families = [
        ("10.0.0.7:51000", "198.51.100.9:80", "203.0.113.2:51000"),
        (
            "[2001:db8:10::7]:51000",
            "[2001:db8:ff::9]:80",
            "[2001:db8:10::7]:51000",
        ),
    ];
    for (client, server, public) in families {
        gate.passes(LAN, tcp(client, server).syn().seq(999).window(60_000));
        gate.passes(
            WAN,
            tcp(server, public).syn().seq(4999).ack(1000).window(60_000),
        );
        gate.passes(LAN, tcp(client, server).seq(1000).ack(5000).window(60_000));
        gate.passes(LAN, udp(client, server).data("question"));
        gate.passes(WAN, udp(server, public).data("answer"));
        gate.now = gate.now.after(Duration::from_secs(3));
        gate.passes(LAN, udp(client, server).data("question"));
        gate.passes(WAN, udp(server, public).data("answer"));
    }
    gate.passes(LAN, echo("10.0.0.7", "198.51.100.9", 7));
    gate.passes(WAN, echo_reply("198.51.100.9", "203.0.113.2", 7));
    for (client, server, public) in families {
        let ours = tcp(client, server).seq(1000).ack(5000).window(60_000);
        let theirs = tcp(server, public).seq(5000).ack(1000).window(60_000);
        let established = [(LAN, ours.clone().data("x")), (WAN, theirs.data("y"))];
        gate.costs_nothing("established TCP", Reason::Session, &established);
        let stream = [(LAN, udp(client, server)), (WAN, udp(server, public))];
        gate.costs_nothing("a UDP stream", Reason::Session, &stream);
        let astray = [(LAN, ours.seq(900_000_000))];
        gate.costs_nothing("outside of the window", Reason::TcpOutOfWindow, &astray);
    }
    let pings = [
        (LAN, echo("10.0.0.7", "198.51.100.9", 7)),
        (WAN, echo_reply("198.51.100.9", "203.0.113.2", 7)),
    ];
    gate.costs_nothing("pings", Reason::Session, &pings);
    let stranger = [(WAN, tcp("198.51.100.66:4000", "10.0.0.7:22").syn())];
    gate.costs_nothing("what no rule allows", Reason::DefaultPolicy, &stranger);
    let nobodys = [(LAN, tcp("10.0.0.9:4000", "198.51.100.9:80").ack(1))];
    gate.costs_nothing("a segment of no session", Reason::NoSession, &nobodys);
    let flags = [(LAN, tcp("10.0.0.7:51000", "198.51.100.9:80").syn().fin())];
    gate.costs_nothing("flags of a scanner", Reason::TcpBadFlags, &flags);
}

#[test]
fn packets_together_allocate_nothing() {
    let mut gate = Gate::new();
    let (client, server, public) = ("10.0.0.7:51000", "198.51.100.9:80", "203.0.113.2:51000");
    gate.passes(LAN, tcp(client, server).syn().seq(999).window(60_000));
    gate.passes(
        WAN,
        tcp(server, public).syn().seq(4999).ack(1000).window(60_000),
    );
    gate.passes(LAN, tcp(client, server).seq(1000).ack(5000).window(60_000));
    let theirs = tcp(server, public).seq(5000).ack(1000).window(60_000);
    let ours = tcp(client, server).seq(1000).ack(5000).window(60_000);
    let bytes = [(WAN, theirs.bytes()), (LAN, ours.bytes())];
    let waiting = |n: usize| Waiting {
        headroom: 0,
        handed: Handed::NOT,
        at: gate.now,
        arrival: bytes[n % 2].0,
        frame: bytes[n % 2].1.clone(),
    };
    let mut batch: Vec<Waiting> = (0..100).map(waiting).collect();
    let mut all_passed = true;
    for round in 0..100 {
        if round == 1 {
            assert_eq!(gate.engine.counters().in_full_swing(), 100);
        }
        for (n, waiting) in batch.iter_mut().enumerate() {
            waiting.frame.copy_from_slice(&bytes[n % 2].1);
        }
        let before = allocations();
        gate.engine
            .packets(&mut batch, &mut gate.out, &mut Silent, |_, judged, _| {
                all_passed &= matches!(judged.verdict, Verdict::Forward(_));
            });
        assert_eq!(allocations() - before, 0);
    }
    assert!(all_passed);
}

/// How much more memory one packet may take than the one before: a board of each shelf.
const BOARDS: usize = 1 << 20;

#[test]
fn no_packet_waits_for_a_table_to_double() {
    // What is counted of clients and of public endpoints, by each kind of row.
    for more in [
        "",
        "log = \"mappings\",",
        "mapping = \"endpoint-independent\", filtering = \"address-dependent\",",
    ] {
        let mut gate = Gate::by(&MANY.replace("MORE", more));
        let mut before = live_octets();
        for n in 0..60_000u32 {
            let [a, b, c, d] = n.to_be_bytes();
            let client = format!("10.{b}.{c}.{d}:{}", 1024 + n);
            let server = format!("198.{}.{c}.{d}:53", 18 + b + a);
            gate.passes(LAN, udp(&client, &server).data("?"));
            let now = live_octets();
            let taken = now.saturating_sub(before);
            assert!(taken <= BOARDS, "session {n} took {taken} octets ({more})");
            before = now;
        }
        assert_eq!(gate.engine.sessions().len(), 60_000, "{more}");
    }
}
