//! Everyday traffic: web, names, ping; what is refused, and what never comes in.

use std::process::Output;

use crate::capture::Recording;
use crate::enter::in_own_namespaces;
use crate::lab::{CLIENT, Lab, Namespace, PUBLIC, Process, SERVER, SERVER_V6, office};
use crate::servers;

const PROGRAMS: &[&str] = &[
    "python3", "dnsmasq", "dig", "curl", "ping", "dumpcap", "tcpdump", "tshark", "ss", "kill",
];

#[test]
fn web_names_and_ping_work_over_both_families() {
    let test = "everyday::web_names_and_ping_work_over_both_families";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let _web = servers::start_web(&lab);
        let _dns = servers::start_dns(&lab);
        let gateway = lab.start_gateway(&office());
        let recording = Recording::start(&lab, &lab.gateway, "wan-eth");

        for server in [SERVER, &format!("[{SERVER_V6}]")] {
            let page = curl(&lab.client, &format!("http://{server}/"));
            assert_eq!(page.status.code(), Some(0), "{page:?}");
            assert_eq!(page.stdout, b"<title>A small page</title>\n");
        }
        for (family, address) in [("A", SERVER), ("AAAA", SERVER_V6)] {
            for server in [SERVER, SERVER_V6] {
                let at = format!("@{server}");
                let question = [
                    &at,
                    "+short",
                    "+tries=1",
                    "+time=3",
                    family,
                    "files.example",
                ];
                assert_eq!(lab.client.run("dig", &question).trim(), address);
            }
        }
        for server in [SERVER, SERVER_V6] {
            let said = lab
                .client
                .run("ping", &["-n", "-c3", "-i0.2", "-W2", server]);
            assert!(said.contains(" 0% packet loss"), "{said}");
        }

        let recorded = recording.stop();
        assert_eq!(recorded.packets("net 10.0.0.0/24"), [""; 0]);
        assert_eq!(recorded.packets("net 2001:db8:10::/64"), [""; 0]);
        gateway.stop(&lab);
    });
}

#[test]
fn a_refused_port_is_heard_of_at_once() {
    let test = "everyday::a_refused_port_is_heard_of_at_once";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let gateway = lab.start_gateway(&office());
        for server in [SERVER, &format!("[{SERVER_V6}]")] {
            // The server's RST comes back through the translation.
            let refused = curl(&lab.client, &format!("http://{server}/"));
            assert_eq!(
                refused.status.code(),
                Some(COULD_NOT_CONNECT),
                "{refused:?}"
            );
        }
        for server in [SERVER, SERVER_V6] {
            // So does its ICMP "port unreachable".
            let at = format!("@{server}");
            let question = [&at, "+tries=1", "+time=5", "files.example"];
            let refused = lab.client.try_run("dig", &question);
            let said = String::from_utf8_lossy(&refused.stdout);
            assert!(said.contains("connection refused"), "{said}");
        }
        gateway.stop(&lab);
    });
}

#[test]
fn what_no_rule_allows_gets_no_answer() {
    let test = "everyday::what_no_rule_allows_gets_no_answer";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let _listener = listen(&lab, &lab.server, SERVER, 8080);
        let gateway = lab.start_gateway(&office());
        let recording = Recording::start(&lab, &lab.gateway, "wan-eth");
        let dropped = curl(&lab.client, &format!("http://{SERVER}:8080/"));
        assert_eq!(dropped.status.code(), Some(TIMED_OUT), "{dropped:?}");
        assert_eq!(recording.stop().packets("tcp port 8080"), [""; 0]);
        gateway.stop(&lab);
    });
}

#[test]
fn a_stranger_does_not_get_in() {
    let test = "everyday::a_stranger_does_not_get_in";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let _listener = listen(&lab, &lab.client, CLIENT, 8080);
        let gateway = lab.start_gateway(&office());
        let recording = Recording::start(&lab, &lab.gateway, "lan-eth");
        // The office's rules refuse this one with word to the sender ...
        let refused = curl(&lab.server, &format!("http://{CLIENT}:8080/"));
        assert_eq!(
            refused.status.code(),
            Some(COULD_NOT_CONNECT),
            "{refused:?}"
        );
        // ... and leave this one to the default policy.
        let dropped = curl(&lab.server, &format!("http://{PUBLIC}:8080/"));
        assert_eq!(dropped.status.code(), Some(TIMED_OUT), "{dropped:?}");
        assert_eq!(recording.stop().packets("tcp"), [""; 0]);
        gateway.stop(&lab);
    });
}

/// curl's exit codes.
const COULD_NOT_CONNECT: i32 = 7;
const TIMED_OUT: i32 = 28;

fn curl(host: &Namespace, url: &str) -> Output {
    let quiet = ["--disable", "--silent", "--show-error", "--globoff"];
    let patience = ["--max-time", "3", url];
    host.try_run("curl", &[&quiet[..], &patience[..]].concat())
}

/// A web server that nobody should reach.
fn listen(lab: &Lab, host: &Namespace, address: &str, port: u16) -> Process {
    let mut command = host.command("python3");
    command.args(["-m", "http.server", "--bind", address, &port.to_string()]);
    let process = lab.dir.start(&mut command, "listener");
    servers::wait_for_listener(host, "-t", address, port);
    process
}
