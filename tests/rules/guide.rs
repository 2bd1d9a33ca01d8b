//! `docs/nat.md` and `docs/ftp.md` say what the program does: their files load, and
//! every packet in the first leaves as it says. (The live tests run the files of
//! the second.)

use std::path::Path;
use std::sync::Arc;

use spigate::config;
use spigate::engine::{Arrival, Checksums, Engine, Options, Output, Silent, Verdict};
use spigate::expression::PacketExpression;
use spigate::net::Timestamp;

use super::reference::blocks;

#[test]
fn every_packet_of_the_guide_to_translation_leaves_as_it_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/nat.md");
    let markdown = std::fs::read_to_string(path).unwrap();
    let all = blocks(&markdown);
    let (_, base) = all.iter().find(|(what, _)| *what == "toml base").unwrap();
    let mut flows = 0;
    for pair in all.windows(2) {
        if let [("toml nat", nat), next] = pair {
            let ("flow", flow) = next else {
                panic!("no flow below\n{nat}");
            };
            flows += 1;
            follow(&format!("{base}[nat]\n{nat}"), flow);
        }
    }
    assert!(flows >= 11, "only {flows} flows were found");
}

#[test]
fn every_file_of_the_guide_to_ftp_loads_and_has_its_ftp_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ftp.md");
    let markdown = std::fs::read_to_string(path).unwrap();
    let all = blocks(&markdown);
    let files = all.iter().filter_map(|(what, file)| {
        let name = what.strip_prefix("toml ")?;
        (name != "fragment").then_some((name, file))
    });
    let mut names = Vec::new();
    for (name, file) in files {
        names.push(name);
        let compiled = config::compile(Path::new("docs/ftp.md"), file);
        let policy = compiled
            .unwrap_or_else(|report| panic!("{report}\n{file}"))
            .policy;
        let ftp = policy.services.iter().find(|(_, it)| it.name == "ftp");
        assert!(ftp.unwrap().1.alg.is_some(), "{name}");
    }
    assert_eq!(names, ["none", "masquerade", "forward", "both", "tls"]);
}

fn follow(file: &str, flow: &str) {
    let compiled = config::compile(Path::new("docs/nat.md"), file);
    let policy = compiled
        .unwrap_or_else(|report| panic!("{report}\n{file}"))
        .policy;
    let now = Timestamp::from_secs(1_772_355_600);
    let options = Options {
        seed: 7,
        checksums: Checksums::Verify,
    };
    let mut engine = Engine::new(Arc::new(policy), options, now);
    for line in flow.lines() {
        let (arrives, leaves) = line.split_once("=>").unwrap();
        assert_eq!(
            outcome(&mut engine, now, arrives.trim()),
            wanted(leaves.trim()),
            "{line}"
        );
    }
}

/// As what a packet left, or why it did not.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Left(String, Vec<u8>),
    Stayed(String),
}

fn read(text: &str) -> (String, PacketExpression) {
    let read: PacketExpression = text.parse().unwrap_or_else(|e| panic!("{e}"));
    (read.zone.clone().unwrap(), read)
}

fn wanted(text: &str) -> Outcome {
    if ["reject ", "drop ", "answer "]
        .iter()
        .any(|word| text.starts_with(word))
    {
        return Outcome::Stayed(text.to_owned());
    }
    let (zone, expression) = read(&format!("{text} ttl 63"));
    Outcome::Left(zone, expression.packet.build())
}

fn outcome(engine: &mut Engine, now: Timestamp, text: &str) -> Outcome {
    let (zone, expression) = read(text);
    let arrival = Arrival::whole(engine.policy().zones.by_name(&zone).unwrap());
    let mut frame = expression.packet.build();
    let mut out = Output::default();
    let judgement = engine.packet(now, arrival, &mut frame, &mut out, &mut Silent);
    match judgement.verdict {
        Verdict::Forward(zone) => Outcome::Left(engine.policy().zones.name(zone).into(), frame),
        verdict => Outcome::Stayed(format!("{} {}", verdict.name(), judgement.reason)),
    }
}
