//! TCP beside the kernel: conversations of every kind, in which the next
//! segment depends on what came of the last.
//!
//!     cargo test --test kernel tcp
//!     KERNEL_SEEDS=200 cargo test --test kernel tcp -- --nocapture
//!     KERNEL_SEED=17 KERNEL_SEEDS=1 cargo test --test kernel tcp::strictly -- --nocapture

mod meant;
mod mischief;
mod script;
mod shown;
mod talk;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use spigate::net::{Endpoint, Port, Protocol, Tuple};
use spigate::session::{PickUp, Resets, TcpChecks, Windows};

use super::chance::Chance;
use super::compare::{Ours, both};
use super::packets::{Body, Packet};
use super::router::{Router, Zone};
use super::{RULES, enter};
use meant::{Came, Doubt, Known, Left};
use script::Mix;
use talk::Talk;

pub(super) const URG: u8 = 32;
pub(super) const ECE: u8 = 64;
pub(super) const CWR: u8 = 128;

/// Packets of one seed.
const PACKETS: usize = 500;
/// Conversations at once.
const TALKS: u16 = 6;
/// Seeds of each mix in a run in which nobody says how many.
const SEEDS: u64 = 12;
/// The tables are compared after so many packets.
const TABLES_EVERY: usize = 50;

const STRICT: TcpChecks = TcpChecks {
    pick_up: PickUp::Never,
    windows: Windows::Strict,
    resets: Resets::Checked,
};

#[test]
fn strictly() {
    compare("tcp::strictly", STRICT);
}

#[test]
fn with_pick_up() {
    let pick_up = PickUp::Loose;
    compare("tcp::with_pick_up", TcpChecks { pick_up, ..STRICT });
}

#[test]
fn with_liberal_windows() {
    let windows = Windows::Liberal;
    compare("tcp::with_liberal_windows", TcpChecks { windows, ..STRICT });
}

#[test]
fn with_lenient_resets() {
    let resets = Resets::Lenient;
    compare("tcp::with_lenient_resets", TcpChecks { resets, ..STRICT });
}

#[test]
fn with_all_leniency() {
    let checks = TcpChecks {
        pick_up: PickUp::Loose,
        windows: Windows::Liberal,
        resets: Resets::Lenient,
    };
    compare("tcp::with_all_leniency", checks);
}

/// The kernel as a gateway that tracks TCP like this.
fn router(checks: TcpChecks) -> Router {
    let mut compiled = spigate::config::compile(Path::new("gateway.toml"), RULES).unwrap();
    compiled.policy.tcp = checks;
    let exported = spigate::export::nftables(&compiled);
    assert_eq!(exported.missing, [""; 0]);
    Router::new(&exported.text)
}

fn compare(test: &str, checks: TcpChecks) {
    enter::in_own_namespaces(test, &["nft", "conntrack"], || {
        let given = |name: &str| std::env::var(name).ok().and_then(|n| n.parse().ok());
        let seeds = given("KERNEL_SEEDS").unwrap_or(SEEDS);
        let first = given("KERNEL_SEED").unwrap_or(1);
        let mut router = router(checks);
        let mut different = Vec::new();
        for mix in Mix::ALL {
            let (mut packets, mut left) = (0, Left::default());
            let before = different.len();
            for seed in first..first + seeds {
                let run = Run::new(&mut router, seed, mix, checks).go(TABLES_EVERY);
                packets += run.packets;
                left.add(&run.left);
                if run.difference.is_some() {
                    // Once more, to see where the tables part.
                    let again = Run::new(&mut router, seed, mix, checks).go(1);
                    different.extend(again.difference.or(run.difference));
                }
            }
            let count = different.len() - before;
            println!(
                "{test}, {mix:?}: {packets} packets of {seeds} seeds{left}, {count} differences"
            );
        }
        assert!(different.is_empty(), "\n{}", different.join("\n"));
    });
}

/// What came of one seed.
#[derive(Default)]
struct Found {
    packets: usize,
    left: Left,
    difference: Option<String>,
}

/// One seed through both gateways.
struct Run<'a> {
    router: &'a mut Router,
    ours: Ours,
    seed: u64,
    mix: Mix,
    chance: Chance,
    talks: Vec<(u16, Talk)>,
    next: u16,
    doubts: BTreeMap<u16, Doubt>,
    /// Conversations that are compared no further.
    given_up: BTreeSet<u16>,
    transcript: Vec<(u16, Zone, Packet)>,
    found: Found,
}

impl<'a> Run<'a> {
    fn new(router: &'a mut Router, seed: u64, mix: Mix, checks: TcpChecks) -> Self {
        router.forget();
        Self {
            router,
            ours: Ours::tracking(RULES, checks),
            seed,
            mix,
            chance: Chance::new(seed),
            talks: Vec::new(),
            next: 0,
            doubts: BTreeMap::new(),
            given_up: BTreeSet::new(),
            transcript: Vec::new(),
            found: Found::default(),
        }
    }

    /// The packets of the seed, up to the first difference that is not meant.
    fn go(mut self, tables_every: usize) -> Found {
        while self.found.packets < PACKETS && self.found.difference.is_none() {
            while self.talks.len() < usize::from(TALKS) {
                let talk = Talk::new(self.next, self.mix, &mut self.chance);
                self.talks.push((20_000 + self.next, talk));
                self.next += 1;
            }
            let which = self.chance.below(self.talks.len());
            self.packet(which);
            self.found.packets += 1;
            if self.found.packets.is_multiple_of(tables_every) && self.found.difference.is_none() {
                self.tables();
            }
            let given_up = &self.given_up;
            self.talks
                .retain(|(port, talk)| !talk.is_over() && !given_up.contains(port));
        }
        self.found
    }

    fn packet(&mut self, which: usize) {
        let port = self.talks[which].0;
        let (zone, packet) = self.talks[which].1.packet(&mut self.chance);
        let before = known(&self.ours, &packet);
        let compared = both(self.router, &mut self.ours, zone, &packet.bytes());
        let after = known(&self.ours, &packet);
        self.transcript.push((port, zone, packet.clone()));
        let forwarded = compared.ours.packets.iter().any(|(by, _)| *by != zone);
        self.talks[which].1.went(forwarded, &mut self.chance);
        let came = Came {
            before,
            after,
            forwarded,
            reason: compared.ours.reason,
        };
        let doubt = self.doubts.entry(port).or_default();
        let certain = match &packet.body {
            Body::Tcp(tcp) => doubt.segment(tcp, came),
            _ => None,
        };
        let explains = doubt.explains();
        let agree = compared.agree();
        let begins = came.reason == "rule";
        match (certain, explains) {
            (Some(name), _) => self.give_up(port, name),
            _ if agree => {}
            _ if begins && meant::differ_in_ports_alone(&compared) => {
                self.give_up(port, meant::CHOSEN_PORT);
            }
            (None, Some(name)) => self.give_up(port, name),
            (None, None) => self.tell(port, &compared.shown()),
        }
    }

    fn give_up(&mut self, port: u16, name: &'static str) {
        self.found.left.count(name);
        self.given_up.insert(port);
    }

    /// Compares both tables.
    fn tables(&mut self) {
        let (kernel, ours) = (self.router.table(), self.ours.table());
        let theirs = kernel.difference(&ours).map(|entry| ("kernel", entry));
        let own = ours.difference(&kernel).map(|entry| ("engine", entry));
        let mut told = Vec::new();
        for (who, entry) in theirs.chain(own) {
            let port = port_of(&entry.to_string());
            let explained = self.doubts.get(&port).and_then(Doubt::explains);
            match explained {
                _ if self.given_up.contains(&port) => {}
                Some(name) => self.give_up(port, name),
                None => told.push((port, format!("    {who} only: {entry}"))),
            }
        }
        if let Some((port, _)) = told.first() {
            let lines: Vec<_> = told.iter().map(|(_, line)| line.as_str()).collect();
            self.tell(*port, &lines.join("\n"));
        }
    }

    /// Tells what was said in the conversation that made the difference.
    fn tell(&mut self, port: u16, outcome: &str) {
        let (seed, mix) = (self.seed, self.mix);
        let lines = self.transcript.iter().filter(|(of, ..)| *of == port);
        let lines: Vec<_> = lines
            .map(|(_, zone, packet)| format!("  {} {packet}", zone.name()))
            .collect();
        self.found.difference = Some(format!(
            "{mix:?}, seed {seed}, packet {}:\n{}\n{outcome}",
            self.transcript.len(),
            lines.join("\n")
        ));
    }
}

/// What the engine knows of the session of this packet.
fn known(ours: &Ours, packet: &Packet) -> Option<Known> {
    let [source, destination] = [packet.from, packet.to].map(|end| Endpoint {
        address: (*end.ip()).into(),
        port: Port(end.port()),
    });
    let tuple = Tuple::new(Protocol::TCP, source, destination);
    let (_, session, direction) = ours.sessions().lookup(&tuple)?;
    Known::of(&session, direction)
}

/// The client port of an entry of a table.
fn port_of(entry: &str) -> u16 {
    let numbers = entry.split(|c: char| !c.is_ascii_digit());
    numbers
        .filter_map(|number| number.parse().ok())
        .find(|port| *port >= 20_000)
        .unwrap_or_default()
}
