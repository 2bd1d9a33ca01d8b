//! A gateway in front of one web server, with clients that live and a crowd
//! that floods. Packets are made from two templates, so that a flood costs its
//! maker little; addresses of the crowd are from all over 10/8, each used once.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use etherparse::PacketBuilder;
use spigate::config;
use spigate::engine::{Arrival, Checksums, Engine, Options, Output, Silent, Verdict};
use spigate::net::{Timestamp, ZoneId};

const INSIDE: Arrival = Arrival::whole(ZoneId(0));
const OUTSIDE: Arrival = Arrival::whole(ZoneId(1));
const SERVER: [u8; 4] = [192, 0, 2, 80];

pub(crate) struct Town {
    pub(crate) engine: Engine,
    pub(crate) now: Timestamp,
    /// What the gateway itself has said.
    pub(crate) answers: usize,
    live: u32,
    out: Output,
    frame: Vec<u8>,
    syn: Vec<u8>,
    ack: Vec<u8>,
}

impl Town {
    /// A gateway with these `[limits]`.
    pub(crate) fn new(limits: &str) -> Self {
        let rules = format!(
            r#"
version = 1
[zones]
dmz = {{ net = ["192.0.2.0/24"] }}
wan = {{ net = ["0.0.0.0/0"] }}
[limits]
{limits}
[policy]
rules = [{{ id = "web", from = "wan", to = "dmz", action = "allow" }}]
"#
        );
        let compiled = config::compile(Path::new("flood.toml"), &rules)
            .unwrap_or_else(|report| panic!("{report}"));
        let options = Options {
            seed: 1,
            checksums: Checksums::Verify,
        };
        let now = Timestamp::from_secs(1_000);
        let write = |packet: etherparse::PacketBuilderStep<etherparse::TcpHeader>| {
            let mut bytes = Vec::new();
            packet.write(&mut bytes, &[]).expect("it fits");
            bytes
        };
        let client = || PacketBuilder::ipv4([0; 4], SERVER, 64).tcp(0, 80, 1, 512);
        Self {
            engine: Engine::new(Arc::new(compiled.policy), options, now),
            now,
            answers: 0,
            live: 0,
            out: Output::default(),
            frame: Vec::new(),
            syn: write(client().syn()),
            ack: write(client().ack(2).psh()),
        }
    }

    /// So many clients shake hands with the server.
    pub(crate) fn establish(&mut self, count: u32) {
        for n in self.live..self.live + count {
            let (client, port) = resident(n);
            assert!(self.arrives(Kind::Syn, client, port));
            let mut answer = Vec::new();
            PacketBuilder::ipv4(SERVER, client, 64)
                .tcp(80, port, 1, 512)
                .syn()
                .ack(2)
                .write(&mut answer, &[])
                .expect("it fits");
            let judged =
                self.engine
                    .packet(self.now, INSIDE, &mut answer, &mut self.out, &mut Silent);
            assert!(matches!(judged.verdict, Verdict::Forward(_)), "{judged:?}");
            assert!(self.arrives(Kind::Ack, client, port));
        }
        self.live += count;
    }

    /// A SYN of each of these strangers, a hundred thousand a second.
    pub(crate) fn flood(&mut self, strangers: Range<u32>) {
        for n in strangers {
            self.now = self.now.after(Duration::from_micros(10));
            self.arrives(Kind::Syn, stranger(n), 40_000);
        }
    }

    /// Every client says something more.
    pub(crate) fn all_live_sessions_pass(&mut self) {
        for n in 0..self.live {
            assert!(self.passes(n), "client {n} lost its session");
        }
    }

    /// One client says something more: whether it passes.
    pub(crate) fn passes(&mut self, n: u32) -> bool {
        let (client, port) = resident(n);
        self.arrives(Kind::Ack, client, port)
    }

    #[allow(dead_code, reason = "the bench waits for nothing")]
    pub(crate) fn wait(&mut self, seconds: u64) {
        self.now = self.now.after(Duration::from_secs(seconds));
        while self.engine.expire(self.now, &mut self.out).is_left() {}
        self.out.clear();
    }

    /// A packet from outside: whether it is passed on.
    fn arrives(&mut self, kind: Kind, client: [u8; 4], port: u16) -> bool {
        let template = match kind {
            Kind::Syn => &self.syn,
            Kind::Ack => &self.ack,
        };
        self.frame.clear();
        self.frame.extend_from_slice(template);
        self.frame[12..16].copy_from_slice(&client);
        self.frame[20..22].copy_from_slice(&port.to_be_bytes());
        // RFC 1624: the templates have zeros there.
        let address = [[client[0], client[1]], [client[2], client[3]]].map(u16::from_be_bytes);
        add_to_sum(&mut self.frame[10..12], &address);
        add_to_sum(&mut self.frame[36..38], &[address[0], address[1], port]);
        let judged = self.engine.packet(
            self.now,
            OUTSIDE,
            &mut self.frame,
            &mut self.out,
            &mut Silent,
        );
        self.answers += self.out.made.len();
        self.out.clear();
        matches!(judged.verdict, Verdict::Forward(_))
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Syn,
    Ack,
}

/// Brings words that were zero into a checksum.
fn add_to_sum(field: &mut [u8], words: &[u16]) {
    let old = !u16::from_be_bytes([field[0], field[1]]);
    let mut sum = words
        .iter()
        .fold(u32::from(old), |sum, word| sum + u32::from(*word));
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let sum = !u16::try_from(sum).unwrap_or_default();
    field.copy_from_slice(&sum.to_be_bytes());
}

/// A client of the server's.
fn resident(n: u32) -> ([u8; 4], u16) {
    let [_, _, high, low] = n.to_be_bytes();
    let port = 20_000 + u16::try_from(n >> 16).unwrap_or_default();
    ([10, 255, high, low], port)
}

/// One of the crowd: below 10.255.0.0, and none twice.
fn stranger(n: u32) -> [u8; 4] {
    let [_, a, b, c] = n.to_be_bytes();
    [10, a, b, c]
}
