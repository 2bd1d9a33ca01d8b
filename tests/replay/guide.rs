//! `docs/replay.md` shows what a reader gets.

use crate::common::{project_file, spigate};

/// Whether `printed` is what is shown; a line `...` stands for any lines.
fn agrees(shown: &[&str], printed: &[&str]) -> bool {
    match shown {
        [] => printed.is_empty(),
        ["...", rest @ ..] => (0..=printed.len()).any(|at| agrees(rest, &printed[at..])),
        [line, rest @ ..] => printed.first() == Some(line) && agrees(rest, &printed[1..]),
    }
}

/// The words of a command line; what stands in quotes is one.
fn words(mut command: &str) -> Vec<&str> {
    let mut words = Vec::new();
    loop {
        command = command.trim_start();
        let Some(first) = command.chars().next() else {
            return words;
        };
        let (word, rest) = match first {
            '\'' | '"' => command[1..].split_once(first).unwrap(),
            _ => command.split_once(' ').unwrap_or((command, "")),
        };
        words.push(word);
        command = rest;
    }
}

#[test]
fn every_command_of_the_guide_to_replay_prints_what_stands_below_it() {
    let guide = String::from_utf8(project_file("docs/replay.md")).unwrap();
    let blocks = guide.split("```console\n").skip(1);
    let mut count = 0;
    for block in blocks {
        let block = block.split("```").next().unwrap();
        let joined = block.replace("\\\n", " ");
        let (command, shown) = joined.split_once('\n').unwrap();
        let command = command.strip_prefix("$ spigate ").unwrap();
        let run = spigate(&words(command));
        assert_eq!(run.stderr, "", "{command}");
        let shown: Vec<_> = shown.lines().collect();
        let printed: Vec<_> = run.stdout.lines().collect();
        assert!(agrees(&shown, &printed), "{command}\n{}", run.stdout);
        count += 1;
    }
    assert!(count >= 4, "only {count} commands were found");
}
