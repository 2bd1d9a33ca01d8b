//! What the kernel made of a packet, and what the engine made of it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use spigate::engine::{Arrival, Checksums, Engine, Extent, Options, Output, Silent, Verdict};
use spigate::net::{Protocol, Timestamp, Tuple, ZoneId};
use spigate::session::{Heard, Session, Sessions, State, TcpChecks};

use super::packets::{Body, Damage, Packet, hex};
use super::router::{Router, Zone};

/// The engine as a gateway.
pub(crate) struct Ours {
    engine: Engine,
    now: Timestamp,
}

const START: Timestamp = Timestamp::from_secs(1_772_355_600);

/// What left, by which zone; and why.
pub(crate) struct Left {
    pub(crate) packets: Vec<(Zone, Vec<u8>)>,
    pub(crate) reason: &'static str,
}

impl Ours {
    pub(crate) fn new(rules: &str) -> Self {
        Self::tracking(rules, TcpChecks::default())
    }

    /// One that tracks TCP like this.
    pub(crate) fn tracking(rules: &str, checks: TcpChecks) -> Self {
        let mut compiled = spigate::config::compile(Path::new("gateway.toml"), rules).unwrap();
        compiled.policy.tcp = checks;
        let options = Options {
            seed: 7,
            checksums: Checksums::Verify,
        };
        Self {
            engine: Engine::new(Arc::new(compiled.policy), options, START),
            now: START,
        }
    }

    /// Begins anew by other rules.
    pub(crate) fn guard_by(&mut self, rules: &str) {
        *self = Self::new(rules);
    }

    pub(crate) fn send(&mut self, zone: Zone, packet: &[u8]) -> Left {
        // About as fast as the kernel gets them.
        self.now = self.now.after(Duration::from_micros(50));
        let now = self.now;
        let arrival = Arrival {
            zone: self.zone(zone),
            extent: Extent::Whole,
        };
        let (mut frame, mut out) = (packet.to_vec(), Output::default());
        let judgement = self
            .engine
            .packet(now, arrival, &mut frame, &mut out, &mut Silent);
        let mut packets = Vec::new();
        if let Verdict::Forward(to) = judgement.verdict {
            packets.push((self.side(to), frame));
        }
        for made in out.made {
            packets.push((self.side(made.zone), made.bytes));
        }
        packets.sort_by_key(|(zone, _)| *zone);
        Left {
            packets,
            reason: judgement.reason.name(),
        }
    }

    fn zone(&self, zone: Zone) -> ZoneId {
        self.engine.policy().zones.by_name(zone.name()).unwrap()
    }

    fn side(&self, zone: ZoneId) -> Zone {
        match self.engine.policy().zones.name(zone) {
            "lan" => Zone::Lan,
            _ => Zone::Wan,
        }
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        self.engine.sessions()
    }

    /// The session table in the words of [`Router::table`].
    pub(crate) fn table(&self) -> BTreeSet<String> {
        let all = self.engine.sessions().sorted();
        all.into_iter().map(entry).collect()
    }
}

fn entry(session: &Session) -> String {
    let tuple = |tuple: &Tuple| {
        let (source, destination) = (tuple.source, tuple.destination);
        let other = match tuple.icmp_query() {
            Some(query) => query.message_type().into(),
            None => destination.port.0,
        };
        format!(
            "{}:{} > {}:{other}",
            source.address, source.port, destination.address
        )
    };
    let tuples = &session.origin.tuples;
    let protocol = tuples.original.protocol;
    let state = match session.state() {
        State::Tcp(state) => State::Tcp(state).name(),
        State::Flow(_) => "-",
    };
    let heard = match session.heard {
        Heard::OneEnd => "unreplied",
        // conntrack never calls a ping assured.
        Heard::Assured if protocol != Protocol::ICMP => "assured",
        Heard::BothEnds | Heard::Assured => "replied",
    };
    let (original, reply) = (tuple(&tuples.original), tuple(&tuples.reply));
    format!("{protocol} {original} | {reply} | {state} {heard}")
}

/// Whether a difference is of one kind.
type Kind = fn(&Packet, &Compared) -> bool;

/// The differences that are meant, by their heading in `docs/kernel-parity.md`.
pub(crate) const DELIBERATE: [(&str, Kind); 2] = [
    ("icmp-error-precedence", |sent, compared| {
        let plain = Compared {
            kernel: without_precedence(&compared.kernel),
            ours: Left {
                packets: without_precedence(&compared.ours.packets),
                reason: compared.ours.reason,
            },
        };
        plain.agree(sent)
    }),
    ("udp-length", |sent, compared| {
        matches!(
            (&sent.body, sent.damage),
            (Body::Udp(_), Some(Damage::TransportLength(_)))
        ) && compared.ours.packets.is_empty()
    }),
];

/// ICMP errors of the gateway's own without their precedence.
fn without_precedence(all: &[(Zone, Vec<u8>)]) -> Vec<(Zone, Vec<u8>)> {
    let mut all = all.to_vec();
    for (_, bytes) in &mut all {
        let is_error = matches!(bytes.get(20), Some(3 | 11 | 12)) && bytes.get(9) == Some(&1);
        if is_error && matches!(bytes.get(1), Some(0xc0)) {
            bytes[1] = 0;
        }
    }
    all
}

/// One packet's two outcomes.
pub(crate) struct Compared {
    pub(crate) kernel: Vec<(Zone, Vec<u8>)>,
    pub(crate) ours: Left,
}

/// Sends a packet through both.
pub(crate) fn both(router: &mut Router, ours: &mut Ours, zone: Zone, packet: &[u8]) -> Compared {
    Compared {
        kernel: router.send(zone, packet),
        ours: ours.send(zone, packet),
    }
}

impl Compared {
    /// Whether both did the same.
    pub(crate) fn agree(&self, sent: &Packet) -> bool {
        let normal = |all: &[(Zone, Vec<u8>)]| -> Vec<(Zone, Vec<u8>)> {
            let one = |(zone, bytes): &(Zone, Vec<u8>)| (*zone, without_choices(bytes, sent));
            all.iter().map(one).collect()
        };
        normal(&self.kernel) == normal(&self.ours.packets)
    }

    pub(crate) fn shown(&self) -> String {
        let show = |all: &[(Zone, Vec<u8>)]| {
            let lines = all
                .iter()
                .map(|(zone, bytes)| format!("{} {}", zone.name(), hex(bytes)));
            lines.collect::<Vec<_>>().join("; ")
        };
        format!(
            "    kernel: {}\n    engine: {} ({})",
            show(&self.kernel),
            show(&self.ours.packets),
            self.ours.reason
        )
    }
}

/// A packet of the gateway's own without what each gateway may choose: the
/// identification, and with it DF and the header's checksum. A forwarded
/// packet, which has the identification that it was sent with, stays as it is.
fn without_choices(bytes: &[u8], sent: &Packet) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let was_sent = sent.bytes();
    let is_forwarded = bytes.get(4..6) == was_sent.get(4..6) && bytes.get(9) == was_sent.get(9);
    if !is_forwarded && bytes.len() >= 20 {
        bytes[4..8].fill(0);
        bytes[10..12].fill(0);
    }
    bytes
}
