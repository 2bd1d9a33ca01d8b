//! The same captures and rules give the same bytes.

use crate::common::{RECORDINGS, Recording, Scratch};

/// All that one replay gives: its lines, its summary, its files by name.
fn everything(
    recording: &Recording,
    scratch: &Scratch,
    run: &str,
    more: &[&str],
) -> (String, String, Vec<(String, Vec<u8>)>) {
    let dir = scratch.path(&format!("{}-{run}", recording.name));
    let lines = recording
        .replay(&[&["--json", "--bytes", "--out", &dir], more].concat())
        .fine();
    let summary = recording.replay(more).fine();
    let mut files: Vec<_> = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, std::fs::read(entry.path()).unwrap())
        })
        .collect();
    files.sort();
    (lines, summary, files)
}

#[test]
fn a_second_replay_gives_the_same_bytes() {
    let scratch = Scratch::new("a_second_replay");
    for recording in &RECORDINGS {
        let first = everything(recording, &scratch, "first", &[]);
        let second = everything(recording, &scratch, "second", &[]);
        assert!(first == second, "{} differs", recording.name);
        let names: Vec<_> = first.2.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["dmz.pcap", "lan.pcap", "wan.pcap"]);
    }
}

#[test]
fn the_seed_changes_nothing_where_no_ports_clash() {
    let scratch = Scratch::new("the_seed");
    for recording in &RECORDINGS {
        let default = everything(recording, &scratch, "default", &[]);
        for seed in ["0", "1", "18446744073709551615"] {
            let seeded = everything(recording, &scratch, seed, &["--seed", seed]);
            assert!(default == seeded, "{} by seed {seed}", recording.name);
        }
    }
}
