//! `docs/rules.md` says what the program does: its examples load, its tables
//! are whole, and the errors that it shows are those that one gets.

use std::fs;
use std::path::Path;

use spigate::config::{self, Code, Colour};
use spigate::engine::{AnswerRates, FragmentLimits, Patience};
use spigate::nat::NoMapping;
use spigate::net::Profile;
use spigate::session::{Limits, Timeouts};

/// What completes an example that shows one section.
const PRELUDE: [(&str, &str); 3] = [
    (
        "[zones]",
        r#"
[zones]
lan = { tun = "lan0", net = ["10.0.0.0/24", "2001:db8:10::/64"] }
dmz = { tun = "dmz0", net = ["10.0.9.0/24"] }
wan = { tun = "wan0", net = ["0.0.0.0/0", "::/0"], address = ["203.0.113.2", "2001:db8:ff::2"] }
"#,
    ),
    ("[sets]", "[sets]\nadmins = [\"10.0.0.5\"]\n"),
    (
        "[services]",
        "[services]\nweb = { tcp = 80 }\nssh = { tcp = 22 }\nftp = { tcp = 21, alg = \"ftp\" }\n",
    ),
];

fn reference() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rules.md");
    fs::read_to_string(path).unwrap()
}

/// The fenced blocks of a Markdown text: what is said of each, and its text.
pub(super) fn blocks(markdown: &str) -> Vec<(&str, &str)> {
    let fences = markdown.split("```").skip(1).step_by(2);
    fences
        .map(|block| block.split_once('\n').unwrap())
        .collect()
}

#[test]
fn every_example_of_the_reference_loads() {
    let markdown = reference();
    let mut count = 0;
    for (what, text) in blocks(&markdown) {
        let text = match what {
            "toml" => text.to_owned(),
            "toml fragment" => {
                let missing = PRELUDE
                    .iter()
                    .filter(|(section, _)| !text.contains(section));
                let missing: String = missing.map(|(_, prelude)| *prelude).collect();
                format!("version = 1\n{missing}{text}")
            }
            _ => continue,
        };
        count += 1;
        if let Err(report) = config::compile(Path::new("docs/rules.md"), &text) {
            panic!("{report}\n{text}");
        }
    }
    assert!(count > 10, "only {count} examples were found");
}

#[test]
fn the_errors_that_the_reference_shows_are_those_that_one_gets() {
    let markdown = reference();
    let all = blocks(&markdown);
    let mut count = 0;
    for pair in all.windows(2) {
        if let [("toml wrong", text), ("text", shown)] = pair {
            count += 1;
            let report = config::compile(Path::new("example.toml"), text).unwrap_err();
            assert_eq!(report.render(Colour::Plain), **shown);
        }
    }
    assert_eq!(count, 1);
}

#[test]
fn the_reference_lists_every_code() {
    let markdown = reference();
    let listed: Vec<_> = markdown
        .lines()
        .filter(|line| line.starts_with("| `E") || line.starts_with("| `W"))
        .collect();
    let all: Vec<_> = Code::ALL
        .iter()
        .map(|code| format!("| `{}` | {} |", code.name(), code.meaning()))
        .collect();
    assert_eq!(listed, all, "expected:\n{}", all.join("\n"));
}

#[test]
fn the_reference_names_every_limit_with_its_default() {
    let markdown = reference();
    let (_, section) = markdown.split_once("\n## `[limits]`\n").unwrap();
    let rows = section
        .lines()
        .skip_while(|line| !line.starts_with("| ---"))
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.split('|').map(|cell| cell.trim().trim_matches('`')))
        .map(|mut cells| (cells.nth(1).unwrap(), cells.next().unwrap()));
    let mut count = 0;
    for (key, default) in rows {
        count += 1;
        let default = match key {
            "resets-burst" => "1000", // said in words
            _ => default,
        };
        let text =
            format!("version = 1\nzones.a.net = \"10.0.0.0/8\"\n[limits]\n{key} = {default}");
        let compiled = config::compile(Path::new("limits"), &text);
        let policy = compiled.unwrap_or_else(|e| panic!("{e}")).policy;
        assert_eq!(policy.limits, Limits::default(), "{key}");
        assert_eq!(policy.answers, AnswerRates::default(), "{key}");
        assert_eq!(policy.fragments, FragmentLimits::default(), "{key}");
        assert_eq!(policy.no_room, NoMapping::default(), "{key}");
    }
    assert_eq!(count, 16);
}

#[test]
fn the_reference_names_every_timeout_with_its_default() {
    let markdown = reference();
    let (_, section) = markdown.split_once("\n## `[timeouts]`\n").unwrap();
    let rows = section
        .lines()
        .skip_while(|line| !line.starts_with("| ---"))
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.split('|').map(|cell| cell.trim().trim_matches('`')))
        .map(|mut cells| {
            let key = cells.nth(1).unwrap();
            (key, [cells.next().unwrap(), cells.next().unwrap()])
        });
    // Each as it is listed is the default; a second more than listed is not.
    let with = |profile: &str, lines: &str| {
        let head = format!("version = 1\nprofile = \"{profile}\"\nzones.a.net = \"10.0.0.0/8\"\n");
        let text = format!("{head}[timeouts]\n{lines}");
        let compiled = config::compile(Path::new("timeouts"), &text);
        let policy = compiled.unwrap_or_else(|e| panic!("{e}")).policy;
        let timeouts = policy.lifetimes.general().timeouts.clone();
        (timeouts, policy.fragments.patience)
    };
    let mut count = 0;
    for (key, defaults) in rows {
        count += 1;
        let profiles = [("linux", Profile::Linux), ("rfc", Profile::Rfc)];
        for ((name, profile), default) in profiles.into_iter().zip(defaults) {
            let listed = with(name, &format!("{key} = \"{default}\"\n"));
            let usual = (Timeouts::of(profile), Patience::of(profile));
            assert_eq!(listed, usual, "{key}");
            let more = with(name, &format!("{key} = \"{default}1ms\"\n"));
            assert_ne!(more, listed, "{key}");
        }
    }
    assert_eq!(count, 29);
}
