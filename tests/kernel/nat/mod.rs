//! Translation beside the kernel: every kind of it that both know, with ports
//! that clash, answers, and errors from both sides about what each gateway
//! chose.
//!
//!     KERNEL_SEEDS=200 cargo test --test kernel nat -- --nocapture
//!     KERNEL_SEED=17 KERNEL_SEEDS=1 cargo test --test kernel nat
//!
//! Where a gateway may choose (a port that has to give way, an address of a
//! pool), its choice is learnt from the first packet that it lets through, and
//! has to be one that the row allows. What the other end sends then names that
//! choice, and what is compared has the same name in its place. Whether there
//! was anything to choose is checked for each gateway on its own: a port that is
//! free is kept, and an address of a pool is a client's for good.

mod kind;
mod names;
mod talk;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};

use super::chance::Chance;
use super::compare::{self, Compared, Ours, without_choices};
use super::deliberate::DELIBERATE;
use super::enter;
use super::packets::hex;
use super::router::{OWN, Router, Zone};
use super::run::ruleset;
use super::step::Sent;
use super::table::{Entry, differences};
use super::wire;
use kind::{Kind, Pooling};
use names::{Names, error_from, renamed};
use talk::{End, Talk};

const RULES: &str = include_str!("gateway.toml");
/// Packets of one seed.
const PACKETS: usize = 300;
/// Conversations of one seed.
const TALKS: usize = 60;
/// Kinds of translation in one seed.
const KINDS: usize = 4;
/// Seeds of a run in which nobody says how many.
const SEEDS: u64 = 20;

const GATEWAYS: [&str; 2] = ["kernel", "engine"];
const KERNEL: usize = 0;
const ENGINE: usize = 1;

#[test]
fn every_kind_of_translation_is_done_alike() {
    let test = "nat::every_kind_of_translation_is_done_alike";
    enter::in_own_namespaces(test, &["nft", "conntrack"], || {
        let given = |name: &str| std::env::var(name).ok().and_then(|n| n.parse().ok());
        let seeds = given("KERNEL_SEEDS").unwrap_or(SEEDS);
        let first = given("KERNEL_SEED").unwrap_or(1);
        let mut router = Router::new(&ruleset(RULES));
        let (mut counts, mut different) = (Counts::default(), Vec::new());
        for seed in first..first + seeds {
            let mut world = World::new(&mut router, &mut counts);
            if let Err(why) = world.run(&mut Chance::new(seed)) {
                let lines = &world.transcript;
                let shown = lines.len().saturating_sub(25);
                different.push(format!(
                    "seed {seed}:\n{}\n{why}",
                    lines[shown..].join("\n")
                ));
            }
        }
        println!(
            "{test}: {seeds} seeds, {counts:?}, {} differences",
            different.len()
        );
        assert!(different.is_empty(), "\n{}", different.join("\n"));
        counts.check(seeds);
    });
}

/// What was seen of each.
#[derive(Debug, Default)]
struct Counts {
    packets: usize,
    errors: usize,
    kinds: BTreeMap<Kind, usize>,
    /// Ports that gave way: in the kernel, here.
    moved: [usize; 2],
    /// New connections that both dropped: nothing was left to choose.
    exhausted: usize,
    /// See `same-port-again` in `docs/kernel-parity.md`.
    again: usize,
    /// See `own-errors` there.
    own_errors: usize,
    /// See `moved-port-router` there.
    moved_port_routers: usize,
}

impl Counts {
    /// The scripts reach what they are for.
    fn check(&self, seeds: u64) {
        if seeds < SEEDS {
            return;
        }
        for kind in Kind::ALL {
            assert!(
                self.kinds.get(&kind).is_some_and(|n| *n > 20),
                "{kind:?}: {self:?}"
            );
        }
        assert!(self.moved.iter().all(|n| *n > 100), "{self:?}");
        assert!(self.exhausted > 0 && self.own_errors > 0, "{self:?}");
    }
}

struct World<'a> {
    router: &'a mut Router,
    ours: Ours,
    names: [Names; 2],
    talks: Vec<Talk>,
    /// Which address of a pool a client (towards a server) has.
    pooled: HashMap<(usize, IpAddr, Option<IpAddr>), IpAddr>,
    transcript: Vec<String>,
    counts: &'a mut Counts,
}

/// What left a gateway, by which zone.
type Left = Vec<(Zone, Vec<u8>)>;

impl<'a> World<'a> {
    fn new(router: &'a mut Router, counts: &'a mut Counts) -> Self {
        router.forget();
        Self {
            router,
            ours: Ours::new(RULES),
            names: Default::default(),
            talks: Vec::new(),
            pooled: HashMap::new(),
            transcript: Vec::new(),
            counts,
        }
    }

    fn run(&mut self, chance: &mut Chance) -> Result<(), String> {
        // A few kinds at a time, so that many meet in each.
        let kinds: Vec<Kind> = (0..KINDS).map(|_| chance.of(&Kind::ALL)).collect();
        for _ in 0..PACKETS {
            if self.talks.len() < TALKS && (self.talks.is_empty() || chance.once_in(4)) {
                let talk = Talk::new(chance.of(&kinds), chance);
                if self.talks.iter().any(|other| other.is(&talk)) {
                    continue;
                }
                self.talks.push(talk);
                self.step(self.talks.len() - 1, chance)?;
            } else {
                let which = chance.below(self.talks.len());
                self.step(which, chance)?;
            }
            self.counts.packets += 1;
        }
        let tables = self.tables();
        match tables.is_empty() {
            true => Ok(()),
            false => Err(format!("  the tables:\n{}", tables.join("\n"))),
        }
    }

    /// One packet of a conversation.
    fn step(&mut self, which: usize, chance: &mut Chance) -> Result<(), String> {
        let mut talk = self.talks[which];
        *self.counts.kinds.entry(talk.kind).or_default() += 1;
        // Nothing came through yet: the client begins again.
        let begins = talk.chosen.iter().any(Option::is_none);
        if begins {
            talk.step = 0;
        }
        let ends = match (begins, talk.step) {
            (true, _) => End::Client,
            (false, 1) => End::Server,
            (false, 2) => End::Client,
            (false, _) => chance.of(&[End::Client, End::Server]),
        };
        let (told, bytes) = match !begins && chance.once_in(4) {
            true => {
                self.counts.errors += 1;
                talk.error(ends, chance)
            }
            false => (format!("step {}", talk.step), talk.next(ends, chance)),
        };
        let zone = match (ends, talk.zones) {
            (End::Client, (zone, _)) | (End::Server, (zone, None)) => zone,
            (End::Server, (_, Some(zone))) => zone,
        };
        self.transcript.push(format!(
            "  {:?} {} {} > {} ({}), {ends:?}: {told}",
            talk.kind, talk.protocol, talk.client, talk.public, talk.server
        ));
        // What the server's side sends names what each gateway chose.
        let sent = talk.chosen.map(|chosen| match chosen {
            Some(chosen) => renamed(&bytes, |known| {
                (known == talk.known_as(talk.name)).then_some(chosen)
            }),
            None => bytes.clone(),
        });
        let kernel = self.router.send(zone, &sent[KERNEL]);
        let ours = self.ours.send(zone, &sent[ENGINE]);
        let (reason, left) = (ours.reason, [kernel, ours.packets]);
        if begins && let Some(to) = talk.zones.1 {
            self.learn(&mut talk, to, &left, reason)?;
        }
        self.talks[which] = talk;
        let normal = |of: usize| -> Left {
            let one = |(to, bytes): &(Zone, Vec<u8>)| {
                let named = self.names[of].named(bytes);
                (*to, without_choices(&named, *to != zone))
            };
            left[of].iter().map(one).collect()
        };
        let normal = [normal(KERNEL), normal(ENGINE)];
        let [kernel, ours] = left.clone();
        let ours = compare::Left {
            packets: ours,
            reason,
        };
        let compared = Compared {
            kernel,
            ours,
            normal,
        };
        let sent_one = Sent::new(zone, talk.client.port(), sent[KERNEL].clone(), told);
        let is_meant = |(_, is_it): &(&str, fn(&_, &_) -> bool)| is_it(&sent_one, &compared);
        if compared.agree() || DELIBERATE.iter().any(is_meant) {
            return Ok(());
        }
        if self.is_meant(&talk, &compared, &sent_one) {
            return Ok(());
        }
        let show = |of: usize| {
            let lines = left[of].iter();
            let lines = lines.map(|(zone, bytes)| format!("{} {}", zone.name(), hex(bytes)));
            format!(
                "    {}: {}",
                GATEWAYS[of],
                lines.collect::<Vec<_>>().join("; ")
            )
        };
        Err(format!(
            "    sent: {}\n{}\n{} ({reason})",
            hex(&sent[KERNEL]),
            show(KERNEL),
            show(ENGINE)
        ))
    }

    /// From whom an error comes there and here, where that is all that differs.
    fn other_source(&self, compared: &Compared, arrived: Zone) -> Option<[IpAddr; 2]> {
        let ([(to, theirs)], [(_, ours)]) = (&compared.kernel[..], &compared.ours.packets[..])
        else {
            return None;
        };
        let sources = [theirs, ours].map(|bytes| wire::read(bytes).map(|read| read.from));
        let [Some(from), Some(own)] = sources else {
            return None;
        };
        let named = self.names[KERNEL].named(&error_from(theirs, own));
        let alike = (*to, without_choices(&named, *to != arrived));
        (compared.normal[ENGINE] == [alike]).then_some([from, own])
    }

    /// Whether a difference is meant, by its heading in `docs/kernel-parity.md`.
    fn is_meant(&mut self, talk: &Talk, compared: &Compared, sent: &Sent) -> bool {
        let Some([from, own]) = self.other_source(compared, sent.zone) else {
            return false;
        };
        let Some(arrived) = wire::read(&sent.bytes) else {
            return false;
        };
        let has_moved = talk.chosen[KERNEL].is_some_and(|chosen| {
            chosen.ip() == talk.client.ip() && chosen.port() != talk.client.port()
        });
        let is_own = compared.ours.reason == "ttl-expired";
        if is_own && from == arrived.to && OWN.contains(&own) {
            self.counts.own_errors += 1;
            return true;
        }
        if has_moved && from == talk.client.ip() && own == arrived.from {
            self.counts.moved_port_routers += 1;
            return true;
        }
        false
    }

    /// Takes note of what each gateway chose for a conversation that came
    /// through.
    fn learn(
        &mut self,
        talk: &mut Talk,
        to: Zone,
        left: &[Left; 2],
        reason: &str,
    ) -> Result<(), String> {
        if left.iter().all(Vec::is_empty) {
            self.counts.exhausted += 1;
            let why = format!("    nothing left, for {reason}");
            return match reason {
                "nat-ports-exhausted" => Ok(()),
                _ => Err(why),
            };
        }
        for of in [KERNEL, ENGINE] {
            let Some((_, bytes)) = left[of].iter().find(|(zone, _)| *zone == to) else {
                continue;
            };
            let wrong = |why: String| format!("    {}: {why}", GATEWAYS[of]);
            let chosen = talk.choice(bytes).map_err(wrong)?;
            self.judge_choice(talk, of, chosen).map_err(wrong)?;
            talk.chosen[of] = Some(chosen);
            self.names[of].learn(talk.known_as(chosen), talk.name);
        }
        Ok(())
    }

    /// Whether a gateway had to choose so.
    fn judge_choice(&mut self, talk: &Talk, of: usize, chosen: SocketAddr) -> Result<(), String> {
        let known = talk.known_as(chosen);
        if self.names[of].has(&known) {
            return Err(format!("{chosen} is another's already"));
        }
        let (client, server) = (talk.client.ip(), talk.public.ip());
        let bound = match talk.kind.pooling() {
            Some(Pooling::ByClient) => Some((of, client, None)),
            // The kernel may take up what the socket has already.
            Some(Pooling::ByPair) if of == ENGINE => Some((of, client, Some(server))),
            _ => None,
        };
        if let Some(bound) = bound {
            let had = *self.pooled.entry(bound).or_insert(chosen.ip());
            if had != chosen.ip() {
                return Err(format!("{client} had {had} before, and not {chosen}"));
            }
        }
        let own = SocketAddr::new(chosen.ip(), talk.name.port());
        let may_keep = talk.kind.keeps_ports() && self.may_have(talk, own.port());
        let is_free = !self.names[of].has(&talk.known_as(own));
        match (chosen == own, may_keep && is_free) {
            (true, _) => Ok(()),
            (false, false) => {
                self.counts.moved[of] += 1;
                Ok(())
            }
            (false, true) => {
                let of_socket =
                    |other: &&Talk| (other.protocol, other.client) == (talk.protocol, talk.client);
                let mut others = self.talks.iter().filter(of_socket);
                if of == KERNEL && others.any(|other| other.chosen[of] == Some(chosen)) {
                    self.counts.again += 1;
                    return Ok(());
                }
                Err(format!("{own} was free, and {chosen} was taken"))
            }
        }
    }

    fn may_have(&self, talk: &Talk, port: u16) -> bool {
        (talk.ports.0..=talk.ports.1).contains(&port)
    }

    /// What only one of the tables has.
    fn tables(&self) -> Vec<String> {
        let named = |table: BTreeSet<Entry>, of: usize| -> BTreeSet<Entry> {
            // A ping of the gateway itself is a session to the kernel: `gateway-echo`.
            let is_own = |entry: &Entry| {
                let [original, reply] = &entry.tuples;
                entry.is_gateways_own(&OWN)
                    || OWN.contains(&reply.source.0)
                        && entry.protocol.starts_with("icmp")
                        && original.destination.0 != reply.source.0
            };
            let others = table.into_iter().filter(|entry| !is_own(entry));
            others.map(|entry| self.names[of].entry(entry)).collect()
        };
        differences(
            &named(self.router.table(), KERNEL),
            &named(self.ours.table(), ENGINE),
        )
    }
}
