//! Conversations of the protocols besides TCP, UDP and ICMP: SCTP, UDP-Lite,
//! GRE, IPsec and what has no name, in both families. A mix of its own, as raw
//! packets.

mod kept;
mod sctp;
mod shown;
mod talk;
mod udplite;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::chance::Chance;
use super::compare::{Compared, Ours, both};
use super::router::{Router, Zone};
use super::table::Entry;
use super::{enter, table, wire};
use kept::Kept;
use talk::{Family, Sent, Talk};

const RULES: &str = include_str!("gateway.toml");
const PACKETS: usize = 400;
const SEEDS: u64 = 30;

#[test]
fn other_protocols_go_as_the_kernel_lets_them_go() {
    compare(
        "others::other_protocols_go_as_the_kernel_lets_them_go",
        Family::V4,
    );
}

#[test]
fn other_protocols_go_in_ipv6_as_the_kernel_lets_them_go() {
    compare(
        "others::other_protocols_go_in_ipv6_as_the_kernel_lets_them_go",
        Family::V6,
    );
}

fn router() -> Router {
    let compiled = spigate::config::compile(Path::new("others.toml"), RULES).unwrap();
    let exported = spigate::export::nftables(&compiled);
    assert_eq!(exported.missing, [""; 0]);
    Router::new(&exported.text)
}

fn compare(test: &str, family: Family) {
    enter::in_own_namespaces(test, &["nft", "conntrack"], || {
        let mut router = router();
        let given = |name: &str| std::env::var(name).ok().and_then(|n| n.parse().ok());
        let seeds = given("KERNEL_SEEDS").unwrap_or(SEEDS);
        let first = given("KERNEL_SEED").unwrap_or(1);
        let every_table = std::env::var_os("KERNEL_TABLES").is_some();
        let (mut packets, mut left, mut different) = (0, 0, Vec::new());
        for seed in first..first + seeds {
            router.forget();
            let mut run = Run::new(&mut router, seed, family);
            different.extend(run.go(every_table));
            packets += run.transcript.len();
            left += run.left.len();
        }
        println!(
            "{test}: {packets} packets of {seeds} seeds compared, {left} {}, {} differences",
            kept::REFUSED_BUNDLE,
            different.len()
        );
        assert!(different.is_empty(), "\n{}", different.join("\n"));
    });
}

/// One seed.
struct Run<'a> {
    router: &'a mut Router,
    seed: u64,
    chance: Chance,
    talks: Vec<Talk>,
    ours: Ours,
    /// What the kernel keeps of refused bundles, by the port of their talk.
    kept: BTreeMap<u16, Kept>,
    /// The ports of the conversations that are compared no further.
    left: BTreeSet<u16>,
    transcript: Vec<Sent>,
}

impl<'a> Run<'a> {
    fn new(router: &'a mut Router, seed: u64, family: Family) -> Self {
        let mut chance = Chance::new(seed);
        let talks = (0..8).map(|n| Talk::new(n, family, &mut chance)).collect();
        Self {
            router,
            seed,
            chance,
            talks,
            ours: Ours::new(RULES),
            kept: BTreeMap::new(),
            left: BTreeSet::new(),
            transcript: Vec::new(),
        }
    }

    /// All of it, up to the first difference that is not meant.
    fn go(&mut self, every_table: bool) -> Option<String> {
        for count in 1..=PACKETS {
            let which = self.chance.below(self.talks.len());
            let talk = &mut self.talks[which];
            let sent = talk.packet(&mut self.chance);
            let (port, name) = (talk.port(), talk.name());
            if self.left.contains(&port) {
                continue;
            }
            let compared = both_lite(self.router, &mut self.ours, &sent);
            self.transcript.push(Sent {
                told: format!("{} -> {}", sent.told, compared.ours.reason),
                ..sent.clone()
            });
            let mut same = agree(&compared.kernel, &compared.ours.packets, &sent);
            if talk.protocol == sctp::SCTP {
                let kept = self.kept.entry(port).or_default();
                if let Some(left) = kept.packet(&sent).filter(|_| !same) {
                    same = agree(&compared.kernel, &left, &sent);
                    if same {
                        self.left.insert(port);
                    }
                }
            }
            let tables = if every_table || !same || count == PACKETS {
                self.tables().join("\n")
            } else {
                String::new()
            };
            if !same || !tables.is_empty() {
                let all = self.transcript.iter().map(|sent| sent.told.as_str());
                let of_talk = |told: &&str| count == PACKETS || told.starts_with(&name);
                let shown: Vec<_> = all.filter(of_talk).collect();
                let from = shown.len().saturating_sub(if same { 400 } else { 60 });
                return Some(format!(
                    "seed {}, packet {count}:\n{}\n{}\n{tables}",
                    self.seed,
                    shown[from..].join("\n"),
                    compared.shown()
                ));
            }
        }
        None
    }

    /// What only one of the tables has. Where the kernel kept something of a
    /// bundle, its entry may be as that would have it.
    fn tables(&self) -> Vec<String> {
        let is_left = |entry: &Entry| self.left.iter().any(|port| entry.is_of_port(*port));
        let compared = |all: BTreeSet<Entry>| all.into_iter().filter(|entry| !is_left(entry));
        let mut kernel: BTreeSet<_> = compared(self.router.table()).collect();
        let mut ours: BTreeSet<_> = compared(self.ours.table()).collect();
        for (port, kept) in &self.kept {
            let entry = kernel.iter().find(|entry| entry.is_of_port(*port)).cloned();
            if let Some(entry) = entry
                && kept.explains(&entry)
            {
                kernel.remove(&entry);
                ours.retain(|entry| !entry.is_of_port(*port));
            }
        }
        table::differences(&kernel, &ours)
    }
}

/// The same packet through both; UDP-Lite as each of them wants it.
fn both_lite(router: &mut Router, ours: &mut Ours, sent: &Sent) -> Compared {
    let mut compared = both(router, ours, sent.zone, &sent.bytes);
    if let Some(bytes) = udplite::as_the_kernel_wants_it(&sent.bytes) {
        // The engine's answer stands; it refuses what the kernel wants.
        compared.kernel = router
            .send(sent.zone, &bytes)
            .into_iter()
            .map(|(zone, bytes)| (zone, udplite::as_it_should_be(&bytes)))
            .collect();
    }
    compared
}

fn agree(kernel: &[(Zone, Vec<u8>)], ours: &[(Zone, Vec<u8>)], sent: &Sent) -> bool {
    let normal = |all: &[(Zone, Vec<u8>)]| -> Vec<(Zone, Vec<u8>)> {
        let mut all = all.to_vec();
        for (_, bytes) in all.iter_mut().filter(|_| sent.quotes_a_part) {
            // `sctp-quoted-checksum`: and so the sum of the whole message.
            let header = wire::header_length(bytes);
            bytes[header + 2..header + 4].fill(0);
            bytes[2 * header + 16..2 * header + 20].fill(0);
        }
        all
    };
    normal(kernel) == normal(ours)
}
