//! Keeps `docs/conformance.md` true: every row of it, against the names of the
//! tests in `src/` and `tests/`.
//!
//! `UPDATE=1 cargo test --test conformance` writes the column of tests and the
//! sums anew. What a status is, people decide.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

const STATUSES: [&str; 5] = ["pass", "partial", "deviates", "n/a", "todo"];
const SUMS: &str = "## Sums\n\n";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn page() -> String {
    fs::read_to_string(root().join("docs/conformance.md")).unwrap()
}

/// One requirement.
struct Row {
    section: String,
    id: String,
    short: String,
    level: String,
    /// With what is said behind the word.
    status: String,
    tests: BTreeSet<String>,
}

impl Row {
    fn read(section: &str, line: &str) -> Option<Self> {
        if !line.starts_with("| `") {
            return None;
        }
        let cells: Vec<_> = line.trim().trim_matches('|').split(" | ").collect();
        let [id, short, level, status, tests] = cells[..] else {
            panic!("not five cells: {line}");
        };
        let unquoted = |cell: &str| cell.trim().trim_matches('`').to_owned();
        Some(Self {
            section: section.to_owned(),
            id: unquoted(id),
            short: short.trim().to_owned(),
            level: level.trim().to_owned(),
            status: status.trim().to_owned(),
            tests: tests
                .split(',')
                .map(unquoted)
                .filter(|name| !name.is_empty())
                .collect(),
        })
    }

    /// The status without what is said behind it.
    fn word(&self) -> &str {
        self.status.split(':').next().unwrap_or_default()
    }

    fn is_must(&self) -> bool {
        self.level.starts_with("MUST")
    }

    fn write(&self) -> String {
        let tests: Vec<_> = self.tests.iter().map(|name| format!("`{name}`")).collect();
        let Self {
            id,
            short,
            level,
            status,
            ..
        } = self;
        format!(
            "| `{id}` | {short} | {level} | {status} | {} |",
            tests.join(", ")
        )
    }
}

fn rows(page: &str) -> Vec<Row> {
    let mut section = String::new();
    let mut rows = Vec::new();
    for line in page.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            section = title.to_owned();
        }
        rows.extend(Row::read(&section, line));
    }
    rows
}

/// How an ID is written in a test's name.
fn in_names(id: &str) -> String {
    id.to_lowercase().replace(['-', '.'], "_")
}

/// What stands behind the ID in the names of all tests that carry one.
fn tests_by_id() -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::<_, BTreeSet<_>>::new();
    for file in rust_files() {
        for line in fs::read_to_string(&file).unwrap().lines() {
            let Some(name) = line.trim().strip_prefix("fn t_") else {
                continue;
            };
            let name = name.split(['(', '<']).next().unwrap();
            let (id, what) = name
                .split_once("__")
                .unwrap_or_else(|| panic!("t_{name} in {}: no `__`", file.display()));
            found
                .entry(id.to_owned())
                .or_default()
                .insert(what.to_owned());
        }
    }
    found
}

fn rust_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut directories = vec![root().join("src"), root().join("tests")];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
}

/// The sums by section, as the page shows them.
fn sums(rows: &[Row]) -> String {
    let mut text = String::from("| Section | Rows |");
    for status in STATUSES {
        write!(text, " {status} |").unwrap();
    }
    text.push_str(" MUST, not yet pass |\n|---|---:|---:|---:|---:|---:|---:|---:|\n");
    let mut sections: Vec<&str> = rows.iter().map(|row| row.section.as_str()).collect();
    sections.dedup();
    let of = |title: &str, rows: &[&Row]| {
        let mut line = format!("| {title} | {} |", rows.len());
        for status in STATUSES {
            let count = rows.iter().filter(|row| row.word() == status).count();
            write!(line, " {count} |").unwrap();
        }
        let gaps = |row: &&&Row| row.is_must() && !matches!(row.word(), "pass" | "n/a");
        writeln!(line, " {} |", rows.iter().filter(gaps).count()).unwrap();
        line
    };
    for section in sections {
        let its: Vec<_> = rows.iter().filter(|row| row.section == section).collect();
        text.push_str(&of(section, &its));
    }
    text + &of("**All**", &rows.iter().collect::<Vec<_>>())
}

/// The page with tests and sums as they are.
fn updated(page: &str) -> String {
    let mut tests = tests_by_id();
    let mut rows = rows(page);
    for row in &mut rows {
        row.tests = tests.remove(&in_names(&row.id)).unwrap_or_default();
    }
    let (before, behind) = page.split_once(SUMS).expect("there are sums");
    let behind = &behind[behind.find("## ").expect("there are sections")..];
    let mut new = format!("{before}{SUMS}{}\n", sums(&rows));
    let mut rows = rows.iter();
    for line in behind.lines() {
        if line.starts_with("| `") {
            new.push_str(&rows.next().unwrap().write());
        } else {
            new.push_str(line);
        }
        new.push('\n');
    }
    new
}

#[test]
fn the_page_names_every_test_and_sums_up_rightly() {
    let page = page();
    let updated = updated(&page);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(root().join("docs/conformance.md"), updated).unwrap();
        return;
    }
    for (is, should_be) in page.lines().zip(updated.lines()) {
        assert_eq!(
            is, should_be,
            "UPDATE=1 cargo test --test conformance mends tests and sums"
        );
    }
    assert_eq!(page.lines().count(), updated.lines().count());
}

#[test]
fn every_id_stands_once_and_none_is_lost() {
    let page = page();
    let rows = rows(&page);
    let mut seen = BTreeSet::new();
    for row in &rows {
        assert!(seen.insert(in_names(&row.id)), "{} stands twice", row.id);
    }
    let says = format!(" {} rows.", rows.len());
    assert!(
        page.contains(&says),
        "the head of the page does not say{says}"
    );
}

#[test]
fn every_test_with_an_id_has_a_row() {
    let ids: BTreeSet<_> = rows(&page()).iter().map(|row| in_names(&row.id)).collect();
    for (id, names) in tests_by_id() {
        assert!(ids.contains(&id), "no row for t_{id}__: {names:?}");
    }
}

#[test]
fn every_status_is_borne_out() {
    let tests = tests_by_id();
    for row in rows(&page()) {
        let Row { id, status, .. } = &row;
        let has_tests = tests.contains_key(&in_names(id));
        assert!(STATUSES.contains(&row.word()), "{id}: `{status}`");
        match row.word() {
            "pass" => assert!(has_tests, "{id} passes without a test"),
            "todo" => assert!(
                !has_tests,
                "{id} has tests and says todo: pass, or partial?"
            ),
            word => assert!(
                status.len() > word.len() + 2,
                "{id} does not say why it is {word}"
            ),
        }
        let is_plain = matches!(row.word(), "pass" | "todo");
        assert!(!is_plain || status == row.word(), "{id}: `{status}`");
    }
}
