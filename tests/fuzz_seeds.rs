//! Every fuzz target's seeds, replayed without a fuzzer: what once broke stays
//! mended. `fuzz/run.sh TARGET` looks for more.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test fails by panicking; the targets' bodies are public in their own crate"
)]

#[path = "../fuzz/src/lib.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod bodies;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(directory).unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn every_seed_passes() {
    for (target, body) in bodies::TARGETS {
        let seeds = files(&fuzz().join("seeds").join(target));
        assert!(!seeds.is_empty(), "{target} has no seeds");
        for seed in seeds {
            println!("{}", seed.display()); // the last one before a failure is to blame
            body(&fs::read(&seed).unwrap());
        }
    }
}

#[test]
fn every_seed_passes_cut_off_anywhere() {
    for (target, body) in bodies::TARGETS {
        for seed in files(&fuzz().join("seeds").join(target)) {
            println!("{}", seed.display());
            let bytes = fs::read(&seed).unwrap();
            for length in 0..bytes.len() {
                body(&bytes[..length]);
            }
        }
    }
}

#[test]
fn every_target_can_be_run() {
    let named: BTreeSet<_> = bodies::TARGETS.map(|(name, _)| name.to_owned()).into();
    let programs: BTreeSet<_> = files(&fuzz().join("fuzz_targets"))
        .iter()
        .map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(named, programs);
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for name in named {
        assert!(
            manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")),
            "fuzz/Cargo.toml does not build {name}"
        );
    }
}
