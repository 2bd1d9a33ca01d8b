//! What the kernel made of a packet, and what the engine made of it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use spigate::engine::{Arrival, Checksums, Engine, Options, Output, Policy, Silent, Verdict};
use spigate::net::{Timestamp, ZoneId};
use spigate::session::{Sessions, TcpChecks};

use super::packets::hex;
use super::ports::Ports;
use super::router::{OWN, Router, Zone};
use super::step::Sent;
use super::table::{Entry, differences};
use super::wire::{self, ICMP, ICMPV6, TCP};

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
        let compiled = spigate::config::compile(Path::new("gateway.toml"), rules).unwrap();
        Self::guarding(compiled.policy)
    }

    /// One that tracks TCP like this.
    pub(crate) fn tracking(rules: &str, tcp: TcpChecks) -> Self {
        let compiled = spigate::config::compile(Path::new("gateway.toml"), rules).unwrap();
        Self::guarding(Policy {
            tcp,
            ..compiled.policy
        })
    }

    fn guarding(policy: Policy) -> Self {
        let options = Options {
            seed: 7,
            checksums: Checksums::Verify,
        };
        Self {
            engine: Engine::new(Arc::new(policy), options, START),
            now: START,
        }
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        self.engine.sessions()
    }

    /// Begins anew by other rules.
    pub(crate) fn guard_by(&mut self, rules: &str) {
        *self = Self::new(rules);
    }

    pub(crate) fn send(&mut self, zone: Zone, packet: &[u8]) -> Left {
        // About as fast as the kernel gets them.
        self.now = self.now.after(Duration::from_micros(50));
        let now = self.now;
        let arrival = Arrival::whole(self.zone(zone));
        let (mut frame, mut out) = (packet.to_vec(), Output::default());
        let judgement = self
            .engine
            .packet(now, arrival, &mut frame, &mut out, &mut Silent);
        let mut packets = Vec::new();
        if let Verdict::Forward(to) = judgement.verdict {
            let zone = self.side(to);
            packets.push((zone, frame));
            packets.extend(out.more.into_iter().map(|piece| (zone, piece)));
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

    /// It is so long since the start.
    fn is_after(&mut self, time: Duration) {
        self.now = self.now.max(START.after(time));
        while self
            .engine
            .expire(self.now, &mut Output::default())
            .is_left()
        {}
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

    pub(crate) fn table(&self) -> BTreeSet<Entry> {
        let all = self.sessions().sorted();
        all.iter().map(Entry::of_engine).collect()
    }
}

/// One packet's two outcomes.
pub(crate) struct Compared {
    pub(crate) kernel: Vec<(Zone, Vec<u8>)>,
    pub(crate) ours: Left,
    /// The same with the clients' own ports in place of the chosen ones.
    pub(crate) normal: [Vec<(Zone, Vec<u8>)>; 2],
}

/// Sends the same octets through both.
pub(crate) fn both(router: &mut Router, ours: &mut Ours, zone: Zone, packet: &[u8]) -> Compared {
    let (kernel, ours) = (router.send(zone, packet), ours.send(zone, packet));
    let normal = |all: &[(Zone, Vec<u8>)]| {
        let one = |(to, bytes): &(Zone, Vec<u8>)| (*to, without_choices(bytes, *to != zone));
        all.iter().map(one).collect()
    };
    let normal = [normal(&kernel), normal(&ours.packets)];
    Compared {
        kernel,
        ours,
        normal,
    }
}

/// Whose time the engine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    /// So much a packet.
    Even,
    /// The kernel's.
    Real,
}

/// Both gateways, and what each chose.
pub(crate) struct Both<'a> {
    router: &'a mut Router,
    ours: Ours,
    /// Since when the engine's time is the kernel's. Where nobody waits, it
    /// goes its own way, the same in every run.
    since: Option<Instant>,
    /// The kernel's choices, and the engine's.
    ports: [Ports; 2],
}

impl<'a> Both<'a> {
    pub(crate) fn new(router: &'a mut Router, rules: &str, clock: Clock) -> Self {
        router.forget();
        Self {
            router,
            ours: Ours::new(rules),
            since: (clock == Clock::Real).then(Instant::now),
            ports: Default::default(),
        }
    }

    /// Sends a packet through both.
    pub(crate) fn send(&mut self, sent: &Sent) -> Compared {
        self.tell_time();
        let [theirs, own] = &mut self.ports;
        let arrives = |ports: &Ports| match sent.answers {
            Some(client) => ports.for_gateway(&sent.bytes, client),
            None => sent.bytes.clone(),
        };
        let kernel = self.router.send(sent.zone, &arrives(theirs));
        let ours = self.ours.send(sent.zone, &arrives(own));
        // Only where the two chose differently is there anything to learn.
        if sent.zone == Zone::Lan
            && kernel != ours.packets
            && let ([(Zone::Wan, a), ..], [(Zone::Wan, b), ..]) = (&kernel[..], &ours.packets[..])
        {
            theirs.learn(&sent.bytes, a);
            own.learn(&sent.bytes, b);
        }
        let normal = |all: &[(Zone, Vec<u8>)], ports: &Ports| {
            let one = |(zone, bytes): &(Zone, Vec<u8>)| {
                let bytes = match zone {
                    Zone::Wan => ports.as_client(bytes),
                    Zone::Lan => bytes.clone(),
                };
                (*zone, without_choices(&bytes, *zone != sent.zone))
            };
            all.iter().map(one).collect()
        };
        let normal = [normal(&kernel, theirs), normal(&ours.packets, own)];
        Compared {
            kernel,
            ours,
            normal,
        }
    }

    /// What only one of the tables has.
    pub(crate) fn tables(&mut self) -> Vec<String> {
        self.tell_time();
        let [theirs, own] = &self.ports;
        let of_clients = |table: BTreeSet<Entry>, ports: &Ports| {
            let others = table.into_iter().filter(|e| !e.is_gateways_own(&OWN));
            others.map(|entry| ports.entry_of_client(entry)).collect()
        };
        let kernel = of_clients(self.router.table(), theirs);
        differences(&kernel, &of_clients(self.ours.table(), own))
    }

    /// How many entries each table has, those that are left out included.
    pub(crate) fn all_entries(&self) -> [usize; 2] {
        [self.router.table().len(), self.ours.table().len()]
    }

    /// Time passes until it is so long since the start.
    pub(crate) fn wait_until(&mut self, time: Duration) {
        let passed = self.since.map_or(time, |since| since.elapsed());
        std::thread::sleep(time.saturating_sub(passed));
    }

    fn tell_time(&mut self) {
        if let Some(since) = self.since {
            self.ours.is_after(since.elapsed());
        }
    }
}

impl Compared {
    /// Whether both did the same.
    pub(crate) fn agree(&self) -> bool {
        let [kernel, ours] = &self.normal;
        kernel == ours
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

/// A packet without what each gateway may choose: the identification of what
/// it makes itself, and with it DF and the header's checksum; the
/// identification of IPv6 pieces. A forwarded IPv4 packet, which leaves on the
/// other side, stays as it is.
pub(crate) fn without_choices(bytes: &[u8], is_forwarded: bool) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if bytes[0] >> 4 == 6 {
        if bytes.get(6) == Some(&44) && bytes.len() >= 48 {
            bytes[44..48].fill(0);
        }
        return same_zero(bytes);
    }
    if !is_forwarded && bytes.len() >= 20 {
        bytes[4..8].fill(0);
        bytes[10..12].fill(0);
    }
    same_zero(bytes)
}

/// A transport's checksum of 0xffff as 0, which says the same: the two come
/// from different ports.
fn same_zero(mut bytes: Vec<u8>) -> Vec<u8> {
    let Some(read) = wire::read(&bytes) else {
        return bytes;
    };
    let field = match read.protocol {
        TCP => 16,
        ICMP | ICMPV6 => 2,
        _ => return bytes,
    };
    if let Some(sum) = bytes.get_mut(read.at + field..read.at + field + 2)
        && sum == [0xff, 0xff]
    {
        sum.fill(0);
    }
    bytes
}
