//! What a segment of an FTP control session costs (a command, a reply, one that
//! is rewritten, one without a line), as a ratio to a segment of an established
//! session that nobody reads, in the same engine; and what such a session pays
//! for a file that has `alg = "ftp"`, and for live control sessions beside it.
//!
//! Every session says the same in turn. Rounds alternate, and medians count, so
//! that a machine whose speed drifts favours nobody.
//!
//! `cargo bench --bench control`

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a bench reads the clock, and fails loudly"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use etherparse::PacketBuilder;
use spigate::config;
use spigate::engine::{Arrival, Checksums, Engine, Options, Output, Silent, Verdict};
use spigate::net::{Timestamp, ZoneId};
use spigate::packet::Headers;

const RULES: &str = r#"
version = 1
[zones]
lan = { net = ["10.0.0.0/8"] }
wan = { net = ["0.0.0.0/0"], address = ["203.0.113.2"] }
[services]
ftp = { tcp = 21, alg = "ftp" }
[policy]
default = "drop"
rules = [{ id = "out", from = "lan", to = "wan", action = "allow" }]
[nat]
source = [{ id = "masq", from = "lan", to = "wan", as = "masquerade" }]
"#;

const LAN: Arrival = Arrival::whole(ZoneId(0));
const WAN: Arrival = Arrival::whole(ZoneId(1));
const SERVER: [u8; 4] = [198, 51, 100, 21];
const PUBLIC: [u8; 4] = [203, 0, 113, 2];
/// Sessions of either kind.
const SESSIONS: u16 = 500;
const ROUNDS: usize = 101;
/// Room for what a rewritten line grows by, as the buffers of a gateway have.
const BUFFER: usize = 256;

const COMMAND: &[u8] = b"NOOP\r\n";
const REPLY: &[u8] = b"200 fine\r\n";
const LOGIN: [(End, &[u8]); 5] = [
    (End::Server, b"220 ready\r\n"),
    (End::Client, b"USER anonymous\r\n"),
    (End::Server, b"331 and?\r\n"),
    (End::Client, b"PASS guest\r\n"),
    (End::Server, b"230 welcome\r\n"),
];

fn main() {
    segments();
    others();
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What is said in a round.
struct Phase {
    name: &'static str,
    /// Whether it is said in the control sessions, or in those that nobody reads.
    port: u16,
    by: End,
    says: Says,
    /// The phase that it is a ratio to.
    to: usize,
}

enum Says {
    Text(&'static [u8]),
    /// The client's address, and a port.
    Port,
}

fn phase(name: &'static str, port: u16, by: End, says: Says, to: usize) -> Phase {
    Phase {
        name,
        port,
        by,
        says,
        to,
    }
}

/// What each kind of segment costs.
fn segments() {
    use End::{Client, Server};
    use Says::{Port, Text};
    const ACK: &[u8] = b"";
    let plain = || {
        [
            phase("nobody reads: 6 octets", 443, Client, Text(COMMAND), 0),
            phase("nobody reads: 10 octets back", 443, Server, Text(REPLY), 1),
            phase("nobody reads: ACK", 443, Client, Text(ACK), 2),
        ]
    };
    let unchanged = [
        phase("command", 21, Client, Text(COMMAND), 0),
        phase("reply", 21, Server, Text(REPLY), 1),
        phase("ACK", 21, Client, Text(ACK), 2),
    ];
    let changed = [
        phase("PORT, rewritten", 21, Client, Port, 0),
        phase("200 to it", 21, Server, Text(REPLY), 1),
        phase("command behind changes", 21, Client, Text(COMMAND), 0),
        phase("reply behind changes", 21, Server, Text(REPLY), 1),
        phase("ACK behind changes", 21, Client, Text(ACK), 2),
    ];
    println!("FTP control segments, masqueraded, {SESSIONS} sessions, {ROUNDS} rounds");
    println!("{:<30}  {:>8}  {:>6}", "", "ns", "ratio");
    let unchanged: Vec<_> = plain().into_iter().chain(unchanged).collect();
    let changed: Vec<_> = plain().into_iter().chain(changed).collect();
    for phases in [unchanged, changed] {
        let mut gate = Gate::new(RULES);
        gate.open(443);
        gate.open(21);
        gate.log_in();
        let mut nanos = vec![Vec::new(); phases.len()];
        let mut ratios = vec![Vec::new(); phases.len()];
        for _ in 0..ROUNDS {
            for (n, phase) in phases.iter().enumerate() {
                let spent = gate.says(phase.port, phase.by, |talk| match phase.says {
                    Says::Text(text) => text.to_vec(),
                    Says::Port => talk.port_command(),
                });
                nanos[n].push(spent);
                ratios[n].push(spent / nanos[phase.to].last().expect("it came before"));
            }
        }
        for (n, phase) in phases.iter().enumerate() {
            println!(
                "{:<30}  {:>8.1}  {:>6.2}",
                phase.name,
                median(&mut nanos[n]),
                median(&mut ratios[n])
            );
        }
    }
    println!();
}

/// What a session that nobody reads pays for those that are read.
fn others() {
    let without = RULES.replace("ftp = { tcp = 21, alg = \"ftp\" }", "ftp = { tcp = 21 }");
    let mut gates = [Gate::new(&without), Gate::new(RULES)];
    for gate in &mut gates {
        gate.open(443);
        gate.open(21);
        gate.log_in();
        // Everybody awaits a data session, where anybody reads that.
        gate.says(21, End::Client, Talk::port_command);
        gate.says(21, End::Server, |_| REPLY.to_vec());
    }
    let awaited = |gate: &Gate| gate.engine.sessions().expectations().len();
    assert_eq!(gates.each_ref().map(awaited), [0, usize::from(SESSIONS)]);
    let (mut nanos, mut ratios) = ([Vec::new(), Vec::new()], Vec::new());
    for _ in 0..ROUNDS {
        let cost = |gate: &mut Gate| {
            let there = gate.says(443, End::Client, |_| COMMAND.to_vec());
            let back = gate.says(443, End::Server, |_| REPLY.to_vec());
            (there + back) / 2.0
        };
        let [without, with] = gates.each_mut().map(cost);
        nanos[0].push(without);
        nanos[1].push(with);
        ratios.push(with / without);
    }
    let [without, with] = &mut nanos;
    println!("established sessions that nobody reads, {SESSIONS} of them, ns a segment");
    println!(
        "  no ALG in the file                    {:>8.1}",
        median(without)
    );
    println!(
        "  {SESSIONS} live FTP sessions beside them   {:>8.1}  ratio {:.2}",
        median(with),
        median(&mut ratios)
    );
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Client,
    Server,
}

/// One TCP session, as its two ends know it.
struct Talk {
    client: [u8; 4],
    /// The client's port, which the gateway keeps.
    port: u16,
    service: u16,
    /// What each end sends next, and what it awaits.
    client_next: u32,
    client_awaits: u32,
    server_next: u32,
    server_awaits: u32,
}

impl Talk {
    fn segment(&self, by: End, text: &[u8]) -> Vec<u8> {
        let (from, to, ttl) = match by {
            End::Client => (self.client, SERVER, 64),
            End::Server => (SERVER, PUBLIC, 64),
        };
        let ip = PacketBuilder::ipv4(from, to, ttl);
        let tcp = match by {
            End::Client => ip
                .tcp(self.port, self.service, self.client_next, 60_000)
                .ack(self.client_awaits),
            End::Server => ip
                .tcp(self.service, self.port, self.server_next, 60_000)
                .ack(self.server_awaits),
        };
        let mut frame = Vec::with_capacity(BUFFER);
        tcp.write(&mut frame, text).expect("it fits");
        frame
    }

    /// The client awaits a data session at the same port as before.
    fn port_command(&self) -> Vec<u8> {
        let [a, b, c, d] = self.client;
        let [high, low] = (self.port + 30_000).to_be_bytes();
        format!("PORT {a},{b},{c},{d},{high},{low}\r\n").into_bytes()
    }

    /// A segment was sent, and has left as this.
    fn sent(&mut self, by: End, octets: usize, left: &[u8]) {
        let octets = u32::try_from(octets).expect("it is short");
        let headers = Headers::read(left, false).expect("ours");
        let tcp = headers.tcp().expect("TCP");
        let heard = tcp
            .seq
            .advance(u32::try_from(tcp.payload).expect("it is short"));
        match by {
            End::Client => {
                self.client_next = self.client_next.wrapping_add(octets);
                self.server_awaits = heard.0;
            }
            End::Server => {
                self.server_next = self.server_next.wrapping_add(octets);
                self.client_awaits = heard.0;
            }
        }
    }
}

/// A gateway with sessions through it.
struct Gate {
    engine: Engine,
    now: Timestamp,
    out: Output,
    talks: Vec<Talk>,
}

impl Gate {
    fn new(rules: &str) -> Self {
        let compiled = config::compile(Path::new("bench.toml"), rules)
            .unwrap_or_else(|report| panic!("{report}"));
        let options = Options {
            seed: 1,
            checksums: Checksums::Verify,
        };
        let now = Timestamp::from_secs(1_000);
        Self {
            engine: Engine::new(Arc::new(compiled.policy), options, now),
            now,
            out: Output::default(),
            talks: Vec::new(),
        }
    }

    fn passes(&mut self, by: End, frame: &mut Vec<u8>) {
        let from = match by {
            End::Client => LAN,
            End::Server => WAN,
        };
        let judged = self
            .engine
            .packet(self.now, from, frame, &mut self.out, &mut Silent);
        assert!(matches!(judged.verdict, Verdict::Forward(_)), "{judged:?}");
        self.out.clear();
    }

    /// Opens all sessions with this service of the server.
    fn open(&mut self, service: u16) {
        for n in 0..SESSIONS {
            let [high, low] = n.to_be_bytes();
            let mut talk = Talk {
                client: [10, 1, high, low],
                port: 10_000 + n,
                service,
                client_next: 1,
                client_awaits: 0,
                server_next: 1,
                server_awaits: 2,
            };
            let syn = PacketBuilder::ipv4(talk.client, SERVER, 64);
            let syn = syn.tcp(talk.port, service, 1, 60_000).syn();
            let answer = PacketBuilder::ipv4(SERVER, PUBLIC, 64);
            let answer = answer.tcp(service, talk.port, 1, 60_000).syn().ack(2);
            for (by, packet) in [(End::Client, syn), (End::Server, answer)] {
                let mut frame = Vec::new();
                packet.write(&mut frame, &[]).expect("it fits");
                self.passes(by, &mut frame);
            }
            (talk.client_next, talk.server_next, talk.client_awaits) = (2, 2, 2);
            let mut ack = talk.segment(End::Client, b"");
            self.passes(End::Client, &mut ack);
            self.talks.push(talk);
        }
    }

    fn log_in(&mut self) {
        for (by, line) in LOGIN {
            self.says(21, by, |_| line.to_vec());
        }
    }

    /// Every session with this service says something: nanoseconds for each.
    fn says(&mut self, service: u16, by: End, text: impl Fn(&Talk) -> Vec<u8>) -> f64 {
        let mut talks = std::mem::take(&mut self.talks);
        let own = talks.iter_mut().filter(|talk| talk.service == service);
        let mut all: Vec<_> = own
            .map(|talk| {
                let text = text(talk);
                let frame = talk.segment(by, &text);
                (talk, text.len(), frame)
            })
            .collect();
        let start = Instant::now();
        for (_, _, frame) in &mut all {
            self.passes(by, frame);
        }
        let nanos = start.elapsed().as_nanos() as f64;
        let count = all.len() as f64;
        for (talk, octets, left) in all {
            talk.sent(by, octets, &left);
        }
        self.talks = talks;
        nanos / count
    }
}
