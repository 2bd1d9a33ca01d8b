//! What these tests share: the recordings, and running the program.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// The rule file that the recordings are made for.
pub(crate) const OFFICE: &str = "rules/office.toml";

/// A capture, or a pair of them, and how it is replayed.
pub(crate) struct Recording {
    /// Its name, without ending.
    pub(crate) name: &'static str,
    /// The arguments that name its files.
    pub(crate) args: &'static [&'static str],
}

impl Recording {
    /// Whether it was taken on one side only, and so needs re-addressing.
    pub(crate) fn is_one_sided(&self) -> bool {
        self.args.len() == 1
    }

    pub(crate) fn is_ftp(&self) -> bool {
        self.name.starts_with("ftp-")
    }

    /// The file that was recorded at this zone.
    pub(crate) fn file_of(&self, zone: &str) -> &'static str {
        let bound = |arg: &&'static str| arg.split_once('=').filter(|(name, _)| *name == zone);
        self.args.iter().find_map(bound).unwrap().1
    }

    /// Replays it by the rules of the office, with more arguments.
    pub(crate) fn replay(&self, more: &[&str]) -> Run {
        replay(&[self.args, more].concat())
    }
}

macro_rules! one_side {
    ($name:literal, $ending:literal) => {
        Recording {
            name: $name,
            args: &[concat!("captures/", $name, $ending)],
        }
    };
}

macro_rules! two_sides {
    ($name:literal, $first:literal, $second:literal) => {
        Recording {
            name: $name,
            args: &[
                "--zone",
                concat!($first, "=captures/", $name, ".", $first, ".pcap"),
                "--zone",
                concat!($second, "=captures/", $name, ".", $second, ".pcap"),
            ],
        }
    };
}

/// All that is in `captures/`.
pub(crate) const RECORDINGS: [Recording; 15] = [
    one_side!("ftp-passive-lftp", ".pcap"),
    one_side!("ftp-active-lftp", ".pcap"),
    one_side!("ftp-epsv-curl", ".pcap"),
    one_side!("ftp-eprt-curl", ".pcap"),
    one_side!("ftp-epsv-curl-v6", ".pcapng"),
    one_side!("ftp-passive-upload", ".pcap"),
    one_side!("ftp-passive-bulk", ".pcap"),
    one_side!("web-fetch", ".pcap"),
    one_side!("dns-udp", ".pcap"),
    one_side!("ping", ".pcap"),
    one_side!("ping-v6", ".pcap"),
    one_side!("refused-port", ".pcap"),
    two_sides!("ftp-active-nat", "lan", "wan"),
    two_sides!("ftp-passive-nat", "lan", "wan"),
    two_sides!("ftp-forward-passive", "wan", "dmz"),
];

/// The recording of this name.
pub(crate) fn recording(name: &str) -> &'static Recording {
    RECORDINGS.iter().find(|r| r.name == name).unwrap()
}

/// How the program ended, and what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// What it said, where all went well.
    #[track_caller]
    pub(crate) fn fine(self) -> String {
        assert_eq!(self.code, Some(0), "{self:#?}");
        assert_eq!(self.stderr, "");
        self.stdout
    }

    /// Both of what it said, where it could not do all that it was asked.
    #[track_caller]
    pub(crate) fn unusable(self) -> (String, String) {
        assert_eq!(self.code, Some(2), "{self:#?}");
        (self.stdout, self.stderr)
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// The program, started where the paths of the recordings hold.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spigate"));
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(args)
        .stdin(Stdio::null());
    command
}

pub(crate) fn spigate(args: &[&str]) -> Run {
    command(args).output().unwrap().into()
}

/// `spigate replay` by this rule file.
pub(crate) fn replay_by(rules: &str, args: &[&str]) -> Run {
    spigate(&[&["replay", "--rules", rules], args].concat())
}

/// `spigate replay` by the rules of the office.
pub(crate) fn replay(args: &[&str]) -> Run {
    replay_by(OFFICE, args)
}

/// The lines of `--json`.
pub(crate) fn objects(stdout: &str) -> Vec<Value> {
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    stdout.lines().map(parse).collect()
}

/// The lines of `--json` for packets.
pub(crate) fn packet_lines(stdout: &str) -> Vec<Value> {
    let mut all = objects(stdout);
    all.retain(|line| line.get("packet").is_some());
    all
}

/// `verdict reason` of every packet.
pub(crate) fn verdicts(stdout: &str) -> Vec<String> {
    let word = |line: &Value, key| line[key].as_str().unwrap().to_owned();
    packet_lines(stdout)
        .iter()
        .map(|line| format!("{} {}", word(line, "verdict"), word(line, "reason")))
        .collect()
}

/// A directory for the files of one test; empty at its start, and left for
/// who wants to look.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// `name` is the test's alone.
    pub(crate) fn new(name: &str) -> Self {
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("replay");
        let dir = dir.join(name);
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    /// The path of a file in it.
    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// Writes a file in it, and gives its path.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

/// A file of the project.
pub(crate) fn project_file(path: &str) -> Vec<u8> {
    std::fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The rules of the office, changed. `from` has to be in them.
pub(crate) fn office_with(from: &str, to: &str) -> String {
    let rules = String::from_utf8(project_file(OFFICE)).unwrap();
    assert!(rules.contains(from));
    rules.replace(from, to)
}
