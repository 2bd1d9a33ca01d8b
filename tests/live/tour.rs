//! The tour in the README, as a reader would paste it.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::enter::{in_own_namespaces, is_the_only_user};
use crate::lab::{Directory, checked};

#[test]
fn the_tour_does_what_it_says() {
    let programs = ["bash", "vsftpd", "curl", "sysctl", "mktemp", "cmp"];
    in_own_namespaces("tour::the_tour_does_what_it_says", &programs, || {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
        let text = fs::read_to_string(file).expect("the README is there");
        let (_, behind) = text.split_once("\n## Live").expect("the tour is there");
        let (tour, _) = behind
            .split_once("\n## ")
            .expect("a section follows the tour");
        let mut script = shell_blocks(tour);
        if is_the_only_user() {
            // The server cannot become another user where there is none.
            let alone = "background=NO\nrun_as_launching_user=YES\n";
            script = script.replace("background=NO\n", alone);
        }
        let said = paste(&script);
        for expected in [
            "lan0 ",
            "from all iif wan-eth lookup 73000",
            "the file came over whole",
            "Client \"203.0.113.2\", \"PORT 203,0,113,2,",
            "no answer: the default policy",
        ] {
            assert!(said.contains(expected), "no `{expected}` in\n{said}");
        }
        assert!(!said.contains("10,0,0,7"), "{said}");
        let (_, end) = said.split_once("no answer").expect("just seen");
        assert!(!end.contains("lookup 73000"), "rules stay:\n{said}");
        let hosts = checked(Command::new("ip").args(["netns", "list"]));
        assert_eq!(hosts, "");
    });
}

/// Pastes a script into a shell that finds spigate; gives what was seen.
pub(crate) fn paste(script: &str) -> String {
    let spigate = Path::new(env!("CARGO_BIN_EXE_spigate"));
    let directory = spigate.parent().expect("it is in a directory").display();
    let path = env::var("PATH").unwrap_or_default();
    // To a file: what the script starts must not keep a pipe open for ever.
    let log = Directory::new();
    let mut bash = Command::new("bash");
    bash.args(["-euo", "pipefail", "-c", script])
        .env("PATH", format!("{directory}:{path}"));
    let mut shell = log.start(&mut bash, "shell");
    let status = shell.wait();
    let said = shell.output();
    assert!(status.success(), "{status}\n{said}");
    said
}

/// The blocks that a reader pastes, one after the other.
pub(crate) fn shell_blocks(text: &str) -> String {
    let mut script = String::new();
    let mut inside = false;
    for line in text.lines() {
        match line {
            "```sh" => inside = true,
            "```" => inside = false,
            _ if inside => {
                script.push_str(line);
                script.push('\n');
            }
            _ => {}
        }
    }
    assert!(!script.is_empty(), "no shell blocks");
    script
}
