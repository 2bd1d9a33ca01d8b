//! Rule files as their writers meet them.
//!
//! Every `tests/rules/NAME.toml` has beside it either `NAME.err`, the whole
//! report that it gets, or `NAME.ok`, a summary of what it compiles to. Both
//! are compared whole; `UPDATE=1 cargo test --test rules` writes them anew.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)] // a test says that it failed by panicking

#[path = "rules/guide.rs"]
mod guide;
#[path = "rules/reference.rs"]
mod reference;
#[path = "rules/summary.rs"]
mod summary;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use spigate::config::{self, Code, Colour, Report};
use spigate::rules::RuleId;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn office() -> String {
    fs::read_to_string(root().join("rules/office.toml")).unwrap()
}

/// Compiles a complete file; the report as text if it fails.
fn compile(text: &str) -> Result<config::Compiled, Report> {
    config::compile(Path::new("test.toml"), text)
}

fn codes(text: &str) -> Vec<&'static str> {
    let report = compile(text).expect_err("this must not compile");
    let all = report.diagnostics().iter();
    all.map(|diagnostic| diagnostic.code.name()).collect()
}

#[test]
fn every_golden_file_gets_exactly_what_stands_beside_it() {
    let mut wrong = String::new();
    let mut count = 0;
    let mut files: Vec<_> = fs::read_dir(root().join("tests/rules"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect();
    files.sort();
    for path in files {
        count += 1;
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let (extension, got) = match config::compile(Path::new(&name), &text) {
            Ok(compiled) => {
                let lints = compiled.lints.as_ref();
                let lints = lints.map_or_else(String::new, |lints| lints.render(Colour::Plain));
                ("ok", summary::of(&compiled) + &lints)
            }
            Err(report) => ("err", report.render(Colour::Plain)),
        };
        let beside = path.with_extension(extension);
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&beside, &got).unwrap();
        }
        let expected = fs::read_to_string(&beside).unwrap_or_default();
        if got != expected {
            writeln!(wrong, "--- {name}: expected\n{expected}--- got\n{got}").unwrap();
        }
        let other = if extension == "ok" { "err" } else { "ok" };
        if path.with_extension(other).exists() {
            writeln!(wrong, "--- {name} must not have a .{other} file").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(count > 20, "only {count} golden files were found");
}

#[test]
fn every_code_is_reached_by_a_golden_file() {
    let reached: BTreeSet<_> = fs::read_dir(root().join("tests/rules"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .filter_map(|path| match compile(&fs::read_to_string(path).unwrap()) {
            Ok(compiled) => compiled.lints,
            Err(report) => Some(report),
        })
        .flat_map(|report| {
            let all = report.diagnostics().iter();
            all.map(|d| d.code).collect::<Vec<_>>()
        })
        .collect();
    // The file for it would be megabytes long: see the test below.
    let elsewhere = [Code::TooMany];
    let missing: Vec<_> = Code::ALL
        .iter()
        .filter(|code| !reached.contains(code) && !elsewhere.contains(code))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_rule_files_of_the_repository_compile() {
    for entry in fs::read_dir(root().join("rules")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "toml")
            && let Some(report) = match config::load(&path) {
                Ok(compiled) => compiled.lints,
                Err(report) => Some(report),
            }
        {
            panic!("{report}");
        }
    }
}

#[test]
fn a_rule_tells_its_file_and_line_and_so_does_what_a_forward_admits() {
    let text = office();
    let compiled = config::compile(Path::new("rules/office.toml"), &text).unwrap();
    let line_of = |needle: &str| 1 + text.lines().position(|l| l.contains(needle)).unwrap();
    let rule = |name: &str| {
        let mut rules = compiled.policy.rules.iter();
        rules.find(|(_, rule)| rule.name == name).unwrap().0
    };
    let at = |id: RuleId| compiled.locations.of_rule(id).unwrap();

    let lan_db = at(rule("lan-db"));
    let line = line_of("id = \"lan-db\"");
    assert_eq!(lan_db.to_string(), format!("rules/office.toml:{line}"));
    assert_eq!((lan_db.line, lan_db.column), (line, 3));
    assert!(lan_db.text.starts_with("{ id = \"lan-db\""));
    assert!(lan_db.text.ends_with("action = \"allow\" }"));

    let admitted = at(rule("fwd-ssh"));
    assert_eq!(admitted.line, line_of("id = \"fwd-ssh\""));
    let forward = compiled.locations.of_translation("fwd-ssh").unwrap();
    assert_eq!(forward, admitted);
    assert!(compiled.locations.of_translation("masq").is_some());
    let default = compiled.locations.of_default().unwrap();
    assert_eq!(default.text, "default = \"drop\"");
    assert_eq!(compiled.locations.of_rule(RuleId(999)), None);
}

#[test]
fn a_file_that_is_not_there_or_no_text_gets_one_line() {
    let report = config::load(Path::new("no-such-file.toml")).unwrap_err();
    assert!(report.is_unreadable());
    let shown = report.render(Colour::Plain);
    assert!(shown.starts_with("error: no-such-file.toml: "), "{shown}");
    assert_eq!(shown.lines().count(), 1);

    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("not-text.toml");
    fs::write(&path, b"version = 1\n# caf\xe9\n").unwrap();
    let report = config::load(&path).unwrap_err();
    assert!(report.is_unreadable());
    let shown = report.render(Colour::Plain);
    assert!(
        shown.ends_with("not UTF-8 text, from byte 17 in line 2 on\n"),
        "{shown}"
    );
}

#[test]
fn colour_adds_escapes_and_nothing_else() {
    let report = compile("version = 2\n").unwrap_err();
    let styled = report.render(Colour::Styled);
    assert!(styled.contains('\u{1b}'));
    let mut bare = String::new();
    let mut rest = styled.as_str();
    while let Some((before, escape)) = rest.split_once("\u{1b}[") {
        bare += before;
        rest = escape.split_once('m').unwrap().1;
    }
    assert_eq!(bare + rest, report.render(Colour::Plain));
}

// --- large and hostile files

#[test]
fn more_rows_than_numbers_are_refused() {
    let zones = |n: usize| {
        let rows = (0..n).map(|i| {
            let [a, b, c, d] = u32::try_from(i).unwrap().to_be_bytes();
            format!("z{i} = {{ net = \"{}.{b}.{c}.{d}\" }}\n", 10 + a)
        });
        format!("version = 1\n[zones]\n{}", rows.collect::<String>())
    };
    assert!(compile(&zones(65_536)).is_ok());
    assert_eq!(codes(&zones(65_537)), ["E008"]);

    let rules = |n: usize| {
        let rows = (0..n).map(|i| format!("[[policy.rules]]\nid = \"r{i}\"\naction = \"drop\"\n"));
        let rows: String = rows.collect();
        format!("version = 1\n[zones]\nlan = {{ net = \"10.0.0.0/8\" }}\n{rows}")
    };
    assert!(compile(&rules(65_536)).is_ok());
    assert_eq!(codes(&rules(65_537)), ["E008"]);
}

/// Not timed: were the reading quadratic, this test would take hours.
#[test]
fn a_megabyte_of_junk_is_refused_in_time_and_in_few_words() {
    let megabyte = |piece: &str| piece.repeat(1_000_000 / piece.len());
    let name = |i: usize| format!("k{i}");
    let many = |row: &dyn Fn(usize) -> String| (0..30_000).map(row).collect::<String>();
    let head = "version = 1\n[zones]\nlan = { net = \"10.0.0.0/8\" }\n";
    let junk = [
        megabyte("x"),
        megabyte("="),
        megabyte("\n"),
        megabyte("\u{fffd}"),
        megabyte("[[a]]\n"),
        megabyte("[a]\n"),
        megabyte("\"\"\"\n"),
        megabyte("a = [\n"),
        megabyte("a = {"),
        megabyte("["),
        megabyte("{"),
        megabyte("a."),
        megabyte("lan = 1\n"),
        many(&|i| format!("{} = {{ a = {i} }}\n", name(i))),
        format!("a = \"{}\"", megabyte("x")),
        format!("{head}[sets]\ns = [{}]", megabyte("\"10.0.0.1/8\", ")),
        format!(
            "{head}[sets]\n{}",
            many(&|i| format!("s{i} = [\"nonsense\"]\n"))
        ),
        format!("{head}[[policy.rules]]\nfrom = [{}]", megabyte("\"lna\", ")),
        format!(
            "{head}[policy]\nrules = [{}]",
            megabyte("{ id = \"a\", action = \"x\" },\n")
        ),
        format!(
            "{head}{}[policy]\nrules = [{}]",
            many(&|i| format!("{} = {{ net = \"10.0.0.0/8\" }}\n", name(i))),
            many(&|i| format!("{{ from = \"l{i}\" }},")),
        ),
    ];
    for text in junk {
        let report = compile(&text).unwrap_err();
        let shown = report.render(Colour::Plain);
        assert!(report.diagnostics().len() <= 1_000);
        assert!(shown.len() < 5_000_000, "{} bytes", shown.len());
    }
}

#[test]
fn deep_nesting_is_refused_and_not_followed() {
    for open in ["[", "{ a = "] {
        let text = format!("version = 1\nzones = {}", open.repeat(100_000));
        assert!(codes(&text).contains(&"E001"));
    }
    let path = vec!["a"; 50_000].join(".");
    assert!(!codes(&format!("{path} = 1")).is_empty());
}

// --- properties

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,300}") {
        if let Err(report) = compile(&text) {
            let _ = report.render(Colour::Plain);
        }
    }

    #[test]
    fn no_file_of_toml_like_pieces_makes_the_reader_panic(
        pieces in prop::collection::vec(prop::sample::select(PIECES), 0..60)
    ) {
        if let Err(report) = compile(&pieces.concat()) {
            let _ = report.render(Colour::Styled);
        }
    }

    #[test]
    fn no_change_of_a_good_file_makes_the_reader_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..40, any::<prop::sample::Index>(), 0_usize..40), 1..8)
    ) {
        let mut bytes = office().into_bytes();
        for (at, removed, from, copied) in changes {
            let at = at.index(bytes.len());
            let from = from.index(bytes.len());
            let copy = bytes[from..(from + copied).min(bytes.len())].to_vec();
            let end = (at + removed).min(bytes.len());
            bytes.splice(at..end, copy);
        }
        let text = String::from_utf8_lossy(&bytes);
        if let Err(report) = compile(&text) {
            let _ = report.render(Colour::Plain);
        }
    }
}

const PIECES: &[&str] = &[
    "version = 1\n",
    "[zones]\n",
    "[sets]\n",
    "[services]\n",
    "[policy]\n",
    "[nat]\n",
    "[timeouts]\n",
    "[[policy.rules]]\n",
    "[[nat.forward]]\n",
    "[[nat.source]]\n",
    "[zones.lan]\n",
    "lan",
    "wan",
    "id",
    "to",
    "on",
    "tcp",
    "udp",
    "net",
    "tun",
    "from",
    "src",
    "rules",
    "action",
    "as",
    "address",
    "mtu",
    "idle",
    "admit",
    "service",
    " = ",
    "=",
    ".",
    ",",
    ", ",
    "\n",
    "\n",
    "\n",
    "{ ",
    " }",
    "[",
    "]",
    "\"lan\"",
    "\"wan\"",
    "\"10.0.0.0/8\"",
    "\"10.0.0.1\"",
    "\"::1\"",
    "\"@set\"",
    "\"allow\"",
    "\"masquerade\"",
    "\"1-2\"",
    "\"10.0.0.1:80\"",
    "1",
    "0",
    "-1",
    "1.5",
    "true",
    "1979-05-27",
    "'",
    "\"",
    "\"\"\"",
    "#",
    "\\",
    "é",
    "\u{0}",
    "\r\n",
    "\t",
];
