//! `spigate check FILE...`: reads rule files and says what is wrong with them.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{Exit, output_failed};
use crate::config::{self, Colour, Compiled};

/// Checks each file: what is right is said on `out`, what is wrong on `err`.
/// The worst file decides how the command ends.
pub(super) fn run(
    files: &[PathBuf],
    colour: Colour,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Exit {
    let mut worst = Exit::Fine;
    for file in files {
        worst = worst.max(match check(file, colour, out, err) {
            Ok(exit) => exit,
            Err(error) => return worst.max(output_failed(&error, err)),
        });
    }
    worst
}

fn check(
    file: &Path,
    colour: Colour,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<Exit> {
    match config::load(file) {
        Ok(compiled) => {
            writeln!(out, "{}: ok ({})", file.display(), summary(&compiled))?;
            let Some(lints) = compiled.lints else {
                return Ok(Exit::Fine);
            };
            let _ = err.write_all(lints.render(colour).as_bytes());
            Ok(Exit::No)
        }
        Err(report) => {
            // With nowhere left to say it, the exit code has to do.
            let _ = err.write_all(report.render(colour).as_bytes());
            Ok(if report.is_unreadable() {
                Exit::Unusable
            } else {
                Exit::No
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

    fn run_on(files: &[&str]) -> (Exit, String, String) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let files: Vec<_> = files.iter().map(|file| root.join(file)).collect();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let exit = run(&files, Colour::Plain, &mut out, &mut err);
        let text = |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).unwrap();
            text.replace(&format!("{}/", root.display()), "")
        };
        (exit, text(out), text(err))
    }

    #[test]
    fn a_right_file_is_summed_up_on_stdout() {
        let (exit, out, err) = run_on(&["rules/office.toml"]);
        assert_eq!((exit, err.as_str()), (Exit::Fine, ""));
        assert_eq!(
            out,
            "rules/office.toml: ok (3 zones, 10 rules, 1 source translation, 3 forwards)\n"
        );
    }

    #[test]
    fn a_right_file_with_warnings_is_summed_up_and_the_answer_is_no() {
        let (exit, out, err) = run_on(&["tests/rules/lints.toml"]);
        assert_eq!(exit, Exit::No);
        assert!(out.starts_with("tests/rules/lints.toml: ok ("), "{out}");
        assert!(err.starts_with("warning[W303]: "), "{err}");
        assert!(err.ends_with("lints.toml: 10 warnings\n"), "{err}");
    }

    #[test]
    fn all_files_are_checked_and_the_worst_decides() {
        let (exit, out, err) = run_on(&["tests/rules/several-errors.toml", "rules/home.toml"]);
        assert_eq!(exit, Exit::No);
        assert!(out.starts_with("rules/home.toml: ok"), "{out}");
        assert!(err.ends_with("several-errors.toml: 8 errors\n"), "{err}");

        let (exit, _, err) = run_on(&["no-such-file.toml", "tests/rules/empty.toml"]);
        assert_eq!(exit, Exit::Unusable);
        assert!(err.starts_with("error: no-such-file.toml: "), "{err}");
        assert!(err.contains("error[E004]"), "{err}");
    }
}
