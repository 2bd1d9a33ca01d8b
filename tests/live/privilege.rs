//! What a running gateway has given up, as the kernel tells it.

use std::fs;

use crate::enter::in_own_namespaces_as_root;
use crate::lab::{Lab, SERVER, office};

const PROGRAMS: &[&str] = &["ping", "kill"];

/// `field` of each thread's status, by the thread's name.
pub(crate) fn of_threads(process: u32, field: &str) -> Vec<(String, String)> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let mut all: Vec<_> = tasks
        .map(|task| {
            let path = task.unwrap().path();
            let name = fs::read_to_string(path.join("comm")).unwrap();
            let status = fs::read_to_string(path.join("status")).unwrap();
            let mut lines = status.lines();
            let found = lines.find_map(|line| line.strip_prefix(&format!("{field}:")));
            let words: Vec<_> = found.unwrap().split_whitespace().collect();
            (name.trim().to_owned(), words.join(" "))
        })
        .collect();
    all.sort();
    all
}

fn are(seen: &[(String, String)], expected: [(&str, &str); 3]) {
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(seen, expected);
}

#[test]
fn a_running_gateway_has_what_it_needs_and_the_packet_loop_nothing() {
    let test = "privilege::a_running_gateway_has_what_it_needs_and_the_packet_loop_nothing";
    in_own_namespaces_as_root(test, PROGRAMS, || {
        let lab = Lab::new();
        let options = ["--user", "nobody"];
        let gateway = lab.start_gateway_with(&lab.gateway, ("spigate", &office()), &options);
        lab.client.run("ping", &["-c1", "-W5", SERVER]);
        let threads = ["packet-loop", "rule-file", "spigate"];
        let [packet_loop, rule_file, main] = threads;
        let net_admin = "0000000000001000";
        let none = "0000000000000000";
        let of = |field| of_threads(gateway.id(), field);
        for field in ["CapPrm", "CapEff"] {
            are(
                &of(field),
                [(packet_loop, none), (rule_file, none), (main, net_admin)],
            );
        }
        for field in ["CapInh", "CapAmb", "CapBnd"] {
            are(&of(field), threads.map(|name| (name, none)));
        }
        are(&of("NoNewPrivs"), threads.map(|name| (name, "1")));
        are(&of("Seccomp"), threads.map(|name| (name, "2")));
        are(
            &of("Uid"),
            threads.map(|name| (name, "65534 65534 65534 65534")),
        );
        are(&of("Groups"), threads.map(|name| (name, "")));
        // What it did to the host it undoes all the same.
        gateway.stop(&lab);
    });
}

#[test]
fn without_the_sandbox_it_keeps_all() {
    let test = "privilege::without_the_sandbox_it_keeps_all";
    in_own_namespaces_as_root(test, PROGRAMS, || {
        let lab = Lab::new();
        let options = ["--no-sandbox"];
        let gateway = lab.start_gateway_with(&lab.gateway, ("spigate", &office()), &options);
        let seccomp = of_threads(gateway.id(), "Seccomp");
        let threads = ["packet-loop", "rule-file", "spigate"];
        are(&seccomp, threads.map(|name| (name, "0")));
        gateway.stop(&lab);
    });
}
