//! `captures/README.md` says what is there and what comes of it; it is right.

use std::collections::BTreeSet;

use crate::common::{RECORDINGS, packet_lines, project_file, replay};
use crate::packets::packets;

/// The rows of the tables below a heading that have this many columns: the
/// cells, trimmed. Rows with a capture's name only.
fn rows(heading: &str, columns: usize) -> Vec<Vec<String>> {
    let index = String::from_utf8(project_file("captures/README.md")).unwrap();
    let rows = index
        .lines()
        .skip_while(|line| *line != heading)
        .skip(1)
        .take_while(|line| !line.starts_with("## "))
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells = line.trim_matches('|').split('|');
            cells.map(|cell| cell.trim().to_owned()).collect()
        });
    let rows: Vec<Vec<String>> = rows.collect();
    assert!(!rows.is_empty(), "no table under {heading}");
    for row in &rows {
        assert_eq!(row.len(), columns, "{row:?}");
    }
    rows
}

fn name(row: &[String]) -> &str {
    row[0].trim_matches('`')
}

fn number(cell: &str) -> usize {
    cell.parse().unwrap_or_else(|_| panic!("no number: {cell}"))
}

#[test]
fn the_index_lists_every_capture_with_its_size() {
    let rows = rows("## What each shows", 5);
    for row in &rows {
        let path = format!("captures/{}", name(row));
        assert_eq!(number(&row[1]), packets(&path).len(), "packets of {path}");
        assert_eq!(
            number(&row[2]),
            project_file(&path).len(),
            "bytes of {path}"
        );
    }
    let listed: BTreeSet<_> = rows.iter().map(|row| name(row).to_owned()).collect();
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("captures");
    let there: BTreeSet<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains(".pcap"))
        .collect();
    assert_eq!(listed, there);
}

/// The arguments that a row of "Replay with" tells, below `captures/`.
fn arguments(row: &[String]) -> Vec<String> {
    let mut arguments = Vec::new();
    if !name(row).ends_with('*') {
        arguments.push(format!("captures/{}", name(row)));
    }
    let (_, told) = row[1].split_once("office, `").unwrap();
    for word in told.trim_end_matches('`').split_whitespace() {
        arguments.push(word.replace('=', "=captures/"));
    }
    arguments
}

#[test]
fn every_capture_replays_as_the_index_expects() {
    let rows = rows("## Replay with", 8);
    for row in &rows {
        let mut args = arguments(row);
        args.push("--json".to_owned());
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        let lines = packet_lines(&replay(&args).fine());
        let sessions: BTreeSet<_> = lines.iter().map(|line| line["session"].as_u64()).collect();
        let because = |reason: &str| lines.iter().filter(|line| line["reason"] == reason).count();
        let told: Vec<_> = row[2..7].iter().map(|cell| number(cell)).collect();
        let forwarded = lines.iter().filter(|line| line["verdict"] == "forward");
        let others = lines.len() - forwarded.count();
        let found = vec![
            sessions.len(),
            because("rule"),
            because("expected"),
            because("related"),
            others,
        ];
        assert_eq!(found, told, "{}", name(row));
        let rest = lines.len() - found[1..].iter().sum::<usize>();
        assert_eq!(because("session"), rest, "{}", name(row));
    }
    let listed: BTreeSet<_> = rows.iter().map(|row| name(row)).collect();
    assert_eq!(listed.len(), RECORDINGS.len());
    for recording in &RECORDINGS {
        let begins = format!("{}.", recording.name);
        assert!(listed.iter().any(|name| name.starts_with(&begins)));
    }
}
