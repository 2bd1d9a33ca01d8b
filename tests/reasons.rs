//! Compares `docs/reasons.md` with the reasons that the engine knows.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::Path;

use spigate::alg::NotOpened;
use spigate::engine::{CtState, Reason, Verdict};

/// The cells of every row about a reason.
fn rows() -> Vec<[String; 5]> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reasons.md");
    let text = fs::read_to_string(page).unwrap();
    let text = text.replace(checks_of(&text), "");
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").collect();
        let cells: [&str; 5] = cells
            .try_into()
            .unwrap_or_else(|_| panic!("five cells: {row}"));
        cells.map(|cell| cell.trim().trim_matches('`').to_owned())
    })
    .collect()
}

/// The part of the page about what ALGs did not open.
fn checks_of(page: &str) -> &str {
    let start = page.find("### What an ALG did not open").unwrap();
    let rest = &page[start..];
    &rest[..rest.find("\n## ").unwrap()]
}

#[test]
fn every_check_of_an_alg_is_explained_once_and_in_order() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reasons.md");
    let text = fs::read_to_string(page).unwrap();
    let rows = checks_of(&text)
        .lines()
        .filter(|line| line.starts_with("| `"));
    let explained: Vec<_> = rows.map(|row| row.split('`').nth(1).unwrap()).collect();
    assert_eq!(explained, NotOpened::CHECKS);
}

#[test]
fn every_reason_is_explained_once_and_in_order() {
    let explained: Vec<_> = rows().into_iter().map(|[word, ..]| word).collect();
    let known: Vec<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
    assert_eq!(explained, known);
}

#[test]
fn verdicts_and_states_are_called_as_the_program_calls_them() {
    let states = [
        CtState::New,
        CtState::Established,
        CtState::Related,
        CtState::Invalid,
        CtState::Untracked,
    ]
    .map(CtState::name);
    for [word, verdicts, ct, meaning, advice] in rows() {
        for verdict in verdicts.split(", ") {
            assert!(Verdict::NAMES.contains(&verdict), "{word}: {verdict}");
        }
        for state in ct.split(", ") {
            assert!(states.contains(&state), "{word}: {state}");
        }
        assert!(!meaning.is_empty() && !advice.is_empty(), "{word}");
    }
}
