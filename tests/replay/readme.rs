//! What the README shows is what a reader gets.

use crate::common::{project_file, spigate};

#[test]
fn the_first_command_prints_what_the_readme_shows() {
    let readme = String::from_utf8(project_file("README.md")).unwrap();
    let command = readme
        .lines()
        .find_map(|line| line.strip_prefix("cargo run --release -- replay "))
        .expect("the README has a replay to run");
    let args: Vec<_> = std::iter::once("replay")
        .chain(command.split(' '))
        .collect();
    let printed = spigate(&args).fine();
    assert!(readme.contains(&format!("```\n{printed}```")), "{printed}");
}
