//! Runs a subject: seeds, the comparison, and what is told of a difference.

use std::path::Path;

use spigate::export::Exported;

use super::chance::Chance;
use super::compare::{Both, Clock};
use super::deliberate::DELIBERATE;
use super::enter;
use super::router::Router;
use super::step::{Sent, Step};

/// Something that the two gateways have to agree about.
pub(crate) struct Subject {
    /// The name of the test.
    pub(crate) test: &'static str,
    pub(crate) rules: &'static str,
    /// Writes the script of a seed.
    pub(crate) script: fn(u64, &mut Chance) -> Vec<Step>,
    /// Seeds of a run in which nobody says how many.
    pub(crate) seeds: u64,
    /// More are not worth their time.
    pub(crate) most: u64,
}

/// A rule file as nftables says it.
pub(crate) fn exported(rules: &str) -> Exported {
    let compiled = spigate::config::compile(Path::new("gateway.toml"), rules).unwrap();
    spigate::export::nftables(&compiled)
}

/// The ruleset by which the kernel is the gateway of a rule file.
pub(crate) fn ruleset(rules: &str) -> String {
    let exported = exported(rules);
    assert_eq!(exported.missing, [""; 0]);
    exported.text
}

impl Subject {
    /// Compares all seeds; fails at the end if anything differed.
    pub(crate) fn compare(&self) {
        enter::in_own_namespaces(self.test, &["nft", "conntrack"], || {
            let given = |name: &str| std::env::var(name).ok().and_then(|n| n.parse().ok());
            let seeds = given("KERNEL_SEEDS").unwrap_or(self.seeds).min(self.most);
            let first = given("KERNEL_SEED").unwrap_or(1);
            let mut router = Router::new(&ruleset(self.rules));
            let (mut compared, mut different) = (0, Vec::new());
            for seed in first..first + seeds {
                let script = (self.script)(seed, &mut Chance::new(seed));
                let (count, found) = self.compare_one(&mut router, seed, script);
                compared += count;
                different.extend(found);
            }
            println!(
                "{}: {compared} packets of {seeds} seeds compared, {} differences",
                self.test,
                different.len()
            );
            assert!(different.is_empty(), "\n{}", different.join("\n"));
        });
    }

    /// One script, up to the first difference that is not meant.
    fn compare_one(
        &self,
        router: &mut Router,
        seed: u64,
        script: Vec<Step>,
    ) -> (usize, Option<String>) {
        let every_table = std::env::var_os("KERNEL_TABLES").is_some();
        let waits = script.iter().any(|step| matches!(step, Step::Until(_)));
        let clock = if waits { Clock::Real } else { Clock::Even };
        let mut both = Both::new(router, self.rules, clock);
        let mut transcript: Vec<Sent> = Vec::new();
        for step in script {
            let (outcome, look) = match step {
                Step::Until(time) => {
                    both.wait_until(time);
                    (String::new(), false)
                }
                Step::Compare => (String::new(), true),
                Step::Send(sent) => {
                    let compared = both.send(&sent);
                    let meant = |(_, is_it): &(&str, fn(&_, &_) -> bool)| is_it(&sent, &compared);
                    let same = compared.agree() || DELIBERATE.iter().any(meant);
                    transcript.push(sent);
                    match same {
                        true => (String::new(), every_table),
                        false => (compared.shown(), true),
                    }
                }
            };
            let tables = if look { both.tables() } else { Vec::new() };
            if !outcome.is_empty() {
                let told = told(
                    seed,
                    &transcript,
                    &format!("{outcome}\n{}", tables.join("\n")),
                );
                return (transcript.len(), Some(told));
            }
            if !tables.is_empty() {
                return (
                    transcript.len(),
                    Some(of_tables(seed, &transcript, &tables)),
                );
            }
        }
        let tables = both.tables();
        let found = (!tables.is_empty()).then(|| of_tables(seed, &transcript, &tables));
        (transcript.len(), found)
    }
}

/// Up to the last packet of the conversation whose entry differs.
fn of_tables(seed: u64, transcript: &[Sent], tables: &[String]) -> String {
    let is_of = |sent: &Sent| {
        let port = format!(":{} ", sent.talk);
        tables.iter().any(|line| line.contains(&port))
    };
    let last = transcript.iter().rposition(is_of);
    let last = last.unwrap_or(transcript.len().saturating_sub(1));
    let outcome = format!("  the tables:\n{}", tables.join("\n"));
    told(seed, transcript.get(..=last).unwrap_or_default(), &outcome)
}

/// What was sent in the conversation that made the difference.
fn told(seed: u64, transcript: &[Sent], outcome: &str) -> String {
    let talk = transcript.last().map(|sent| sent.talk);
    let lines = transcript.iter().filter(|sent| Some(sent.talk) == talk);
    let lines: Vec<_> = lines.map(|sent| format!("  {}", sent.shown())).collect();
    let shown = lines.len().saturating_sub(25);
    format!(
        "seed {seed}, packet {}:\n{}\n{outcome}",
        transcript.len(),
        lines[shown..].join("\n")
    )
}
