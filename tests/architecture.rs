//! Who may use whom, and what the engine may not touch: the drawing in
//! `docs/architecture.md`, checked against the code.
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

/// Each room, and the rooms that it may use. Whoever adds a line here draws it
/// in `docs/architecture.md` too.
const ROOMS: [(&str, &[&str]); 17] = [
    ("net", &[]),
    ("packet", &["net"]),
    ("session", &["packet", "net"]),
    ("rules", &["packet", "net"]),
    ("nat", &["packet", "net"]),
    ("alg", &["packet", "net"]),
    ("expression", &["net"]),
    (
        "engine",
        &["packet", "session", "rules", "nat", "alg", "net"],
    ),
    (
        "config",
        &["engine", "rules", "nat", "session", "alg", "net"],
    ),
    (
        "export",
        &["config", "engine", "rules", "nat", "session", "alg", "net"],
    ),
    ("capture", &["engine", "session", "packet", "net"]),
    ("state", &["engine"]),
    ("journal", &["engine", "nat", "session", "net"]),
    (
        "objects",
        &["config", "engine", "rules", "nat", "alg", "session", "net"],
    ),
    (
        "control",
        &["objects", "config", "engine", "session", "net"],
    ),
    (
        "gateway",
        &[
            "control", "capture", "objects", "engine", "config", "journal", "state", "session",
            "packet", "net",
        ],
    ),
    (
        "cli",
        &[
            "alg",
            "capture",
            "config",
            "control",
            "engine",
            "export",
            "expression",
            "gateway",
            "journal",
            "nat",
            "net",
            "objects",
            "packet",
            "rules",
            "session",
        ],
    ),
];

/// The rooms of the path: time, randomness and bytes come in as arguments.
const PURE: [&str; 7] = ["net", "packet", "session", "rules", "nat", "alg", "engine"];

/// What would bring them a clock, a socket, a file, a thread or chance.
const IMPURE: [&str; 17] = [
    "Instant",
    "SystemTime",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "ToSocketAddrs",
    "RandomState",
    "std::thread",
    "std::fs",
    "std::env",
    "std::process",
    "std::io",
    "std::os",
    "tokio",
    "tun::",
    "rustix",
    "println!",
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every file of a room with its text, comments left out.
fn files(room: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut directories = vec![source().join(room)];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                found.push((path.clone(), code(&path)));
            }
        }
    }
    found
}

/// A file without its comments.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// The names that a text takes from the crate's root: `crate::net::Port` and
/// `crate::{net, packet::Headers}`.
fn uses(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, root) in text.match_indices("crate::") {
        let rest = &text[at + root.len()..];
        if !rest.starts_with('{') {
            names.insert(first_word(rest));
            continue;
        }
        let mut depth = 0;
        let mut expects_name = false;
        for (at, c) in rest.char_indices() {
            match c {
                '{' => {
                    depth += 1;
                    expects_name = depth == 1;
                }
                '}' if depth == 1 => break,
                '}' => depth -= 1,
                ',' => expects_name = depth == 1,
                c if c.is_alphabetic() && expects_name => {
                    names.insert(first_word(&rest[at..]));
                    expects_name = false;
                }
                _ => {}
            }
        }
    }
    names
}

fn first_word(text: &str) -> String {
    let is_of_word = |c: &char| c.is_alphanumeric() || *c == '_';
    text.chars().take_while(is_of_word).collect()
}

#[test]
fn every_room_is_on_the_plan() {
    let on_disk: BTreeSet<_> = fs::read_dir(source())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .map(|name| name.trim_end_matches(".rs").to_owned())
        .filter(|name| !matches!(name.as_str(), "lib" | "main"))
        .collect();
    let planned: BTreeSet<_> = ROOMS.iter().map(|(room, _)| (*room).to_owned()).collect();
    assert_eq!(on_disk, planned);
}

#[test]
fn a_room_uses_only_the_rooms_below_it() {
    for (room, below) in ROOMS {
        for (file, text) in files(room) {
            for used in uses(&text) {
                assert!(
                    used == room || below.contains(&used.as_str()),
                    "{}: {room} may not use {used}",
                    file.display()
                );
            }
        }
    }
}

#[test]
fn the_program_is_its_command_line() {
    let main = code(&source().join("main.rs"));
    let rooms: Vec<_> = main
        .match_indices("spigate::")
        .map(|(at, root)| first_word(&main[at + root.len()..]))
        .collect();
    assert!(rooms.iter().all(|room| room == "cli"), "{rooms:?}");
}

#[test]
fn the_path_has_no_clock_no_socket_no_file_and_no_thread() {
    for room in PURE {
        for (file, text) in files(room) {
            // Tests may use what they like; they stand last in a file.
            let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            let is_test = file.components().any(|part| part.as_os_str() == "tests")
                || file.file_stem().is_some_and(|stem| stem == "tests");
            for word in IMPURE.iter().filter(|_| !is_test) {
                assert!(!text.contains(word), "{}: {word}", file.display());
            }
        }
    }
}

#[test]
fn what_is_used_is_found() {
    let text = "use crate::net::Port;\nuse crate::{\n    alg::{self, Desk},\n    rules,\n};\n\
                fn f() -> crate::nat::Choice {}";
    let found = uses(text).into_iter().collect::<Vec<_>>();
    assert_eq!(found, ["alg", "nat", "net", "rules"]);
}
