//! Compares `docs/dependencies.md` with what the manifests declare and what
//! the code uses.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// What a manifest declares in these tables.
fn declared(manifest: &str, tables: &[&str]) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join(manifest)).unwrap();
    let manifest: toml::Table = text.parse().unwrap();
    let tables = tables
        .iter()
        .filter_map(|table| manifest.get(*table)?.as_table());
    tables.flat_map(|table| table.keys().cloned()).collect()
}

fn all_declared() -> BTreeSet<String> {
    let mut all = declared("Cargo.toml", &["dependencies", "dev-dependencies"]);
    all.extend(declared("fuzz/Cargo.toml", &["dependencies"]));
    all.remove("spigate");
    all
}

/// The crates that the page explains, and those that it says are to come.
fn explained() -> (BTreeSet<String>, BTreeSet<String>) {
    let page = fs::read_to_string(root().join("docs/dependencies.md")).unwrap();
    let (present, to_come) = page.split_once("## Not yet").expect("the last section");
    let names = |text: &str| {
        let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
        rows.map(|row| row.split('`').next().unwrap().to_owned())
            .collect()
    };
    (names(present), names(to_come))
}

fn rust_text(directory: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text += &rust_text(&path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text += &fs::read_to_string(&path).unwrap();
        }
    }
    text
}

#[test]
fn every_dependency_is_explained_and_no_other() {
    let (present, to_come) = explained();
    assert_eq!(present, all_declared());
    let early: Vec<_> = to_come.intersection(&present).collect();
    assert!(early.is_empty(), "{early:?} came: say what for");
}

#[test]
fn every_dependency_is_used() {
    let directories = ["src", "tests", "benches", "fuzz/src", "fuzz/fuzz_targets"];
    let text: String = directories
        .map(|directory| rust_text(&root().join(directory)))
        .concat();
    for name in all_declared() {
        let path = format!("{}::", name.replace('-', "_"));
        assert!(
            text.contains(&path),
            "{name} is declared, and nothing uses {path}"
        );
    }
}
