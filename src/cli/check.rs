//! `spigate check FILE...`: reads rule files and says what is wrong with them.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::config::{self, Colour, Compiled};

/// How the command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// Every file is right.
    Fine,
    /// A file has errors.
    Errors,
    /// A file could not be read, or the answer not be written.
    CouldNotRun,
}

impl Outcome {
    /// The exit code.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Errors => 1,
            Self::CouldNotRun => 2,
        }
    }
}

/// Checks each file: what is right is said on `out`, what is wrong on `err`.
/// The worst file decides the outcome.
pub fn run(
    files: &[PathBuf],
    colour: Colour,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Outcome {
    let mut worst = Outcome::Fine;
    for file in files {
        let outcome = check(file, colour, out, err).unwrap_or(Outcome::CouldNotRun);
        worst = worst.max(outcome);
    }
    worst
}

fn check(
    file: &Path,
    colour: Colour,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<Outcome> {
    match config::load(file) {
        Ok(compiled) => {
            writeln!(out, "{}: ok ({})", file.display(), summary(&compiled))?;
            Ok(Outcome::Fine)
        }
        Err(report) => {
            err.write_all(report.render(colour).as_bytes())?;
            Ok(match report.is_unreadable() {
                true => Outcome::CouldNotRun,
                false => Outcome::Errors,
            })
        }
    }
}

/// What the file has, in a few words.
fn summary(compiled: &Compiled) -> String {
    let policy = &compiled.policy;
    let count = |number: usize, noun: &str| match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    };
    [
        count(policy.zones.iter().count(), "zone"),
        count(policy.rules.iter().count(), "rule"),
        count(policy.nat.source.len(), "source translation"),
        count(policy.nat.forwards.len(), "forward"),
    ]
    .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_on(files: &[&str]) -> (Outcome, String, String) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let files: Vec<_> = files.iter().map(|file| root.join(file)).collect();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let outcome = run(&files, Colour::Plain, &mut out, &mut err);
        let text = |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).unwrap();
            text.replace(&format!("{}/", root.display()), "")
        };
        (outcome, text(out), text(err))
    }

    #[test]
    fn a_right_file_is_summed_up_on_stdout() {
        let (outcome, out, err) = run_on(&["rules/office.toml"]);
        assert_eq!((outcome.code(), err.as_str()), (0, ""));
        assert_eq!(
            out,
            "rules/office.toml: ok (3 zones, 10 rules, 1 source translation, 3 forwards)\n"
        );
    }

    #[test]
    fn all_files_are_checked_and_the_worst_decides() {
        let (outcome, out, err) = run_on(&["tests/rules/several-errors.toml", "rules/home.toml"]);
        assert_eq!(outcome.code(), 1);
        assert!(out.starts_with("rules/home.toml: ok"), "{out}");
        assert!(err.ends_with("several-errors.toml: 8 errors\n"), "{err}");

        let (outcome, _, err) = run_on(&["no-such-file.toml", "tests/rules/empty.toml"]);
        assert_eq!(outcome.code(), 2);
        assert!(err.starts_with("error: no-such-file.toml: "), "{err}");
        assert!(err.contains("error[E004]"), "{err}");
    }
}
