//! `spigate ctl` while connections run: what it shows, what it changes, and who may.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;

use crate::enter::{in_own_namespaces, in_own_namespaces_as_root};
use crate::lab::{Gateway, Lab, Transfer, checked, office, wait_until};

const PROGRAMS: &[&str] = &["python3", "ss", "kill", "tshark", "setpriv"];

/// The server speaks ten times a second; each end says what becomes of it.
const TRANSFER: &str = r#"
import errno, socket, sys, time
address, role = sys.argv[1:3]
if role == "server":
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, 80))
    listener.listen()
    end, _ = listener.accept()
else:
    end = socket.create_connection((address, 80))
try:
    if role == "client":
        end.settimeout(60)
        assert end.recv(1000)
        print("runs", flush=True)
        while end.recv(1000):
            pass
        print("closed", flush=True)
    else:
        while True:
            end.sendall(b"x" * 100)
            time.sleep(0.1)
except TimeoutError:
    print("silence", flush=True)
except OSError as error:
    print(errno.errorcode[error.errno], flush=True)
"#;

/// A transfer that runs.
fn transfer(lab: &Lab) -> Transfer {
    let mut transfer = lab.start_transfer(TRANSFER);
    transfer.client.wait_for_word("runs");
    transfer
}

/// What `spigate ctl` says, as it exits with this.
fn ctl(lab: &Lab, code: i32, words: &[&str]) -> String {
    let output = Gateway::ctl(lab).args(words).output().unwrap();
    exited(&output, code)
}

fn exited(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8(said).unwrap()
}

/// The objects that it prints.
fn objects(lab: &Lab, words: &[&str]) -> Vec<Value> {
    let said = ctl(lab, 0, &[&["--json"], words].concat());
    let lines = said.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_running_transfer_is_shown_watched_captured_and_killed() {
    let test = "control::a_running_transfer_is_shown_watched_captured_and_killed";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let gateway = lab.start_gateway(&office());
        let mut watch = Gateway::ctl(&lab);
        let mut watch = lab.dir.start(watch.args(["watch", "proto=tcp"]), "watch");
        // Nobody is told when it listens.
        sleep(Duration::from_millis(500));
        let transfer = transfer(&lab);
        watch.wait_for_word("began");

        let sessions = objects(&lab, &["sessions", "dport=80", "state=established"]);
        let [session] = sessions.as_slice() else {
            panic!("{sessions:?}");
        };
        let client = session["original"]["source"].as_str().unwrap();
        let (_, port) = client.rsplit_once(':').unwrap();
        let public = format!("203.0.113.2:{port}");
        assert_eq!(session["nat"]["source"]["to"], public.as_str());
        assert_eq!(session["reply"]["destination"], public.as_str());
        assert_eq!(session["rule"], "lan-out");
        let table = ctl(&lab, 0, &["sessions", "dport=80"]);
        assert!(table.contains(&public), "{table}");
        let mappings = ctl(&lab, 0, &["mappings"]);
        assert!(mappings.contains(&public), "{mappings}");
        let rules = objects(&lab, &["rules"]);
        let hits = rules.iter().find(|rule| rule["rule"] == "lan-out").unwrap();
        assert_eq!(hits["hits"], 1);

        let file = lab.dir.path("caught.pcapng");
        let file = file.to_str().unwrap();
        let reasons = "reason=session,no-session";
        ctl(&lab, 0, &["capture", "start", file, reasons, "port=80"]);
        sleep(Duration::from_millis(500));
        let said = ctl(&lab, 0, &["kill", "src=10.0.0.7", "dport=80"]);
        assert_eq!(said, "1 session ended\n");
        assert_eq!(ctl(&lab, 1, &["kill", "dport=80"]), "0 sessions ended\n");
        watch.wait_for_word("ended");
        assert!(
            watch.output().contains("killed after"),
            "{}",
            watch.output()
        );
        // What follows belongs to nobody.
        wait_until("packets without a session", || {
            let counters = objects(&lab, &["counters"]);
            let refused = counters.iter().find(|one| one["reason"] == "no-session");
            refused.is_some_and(|one| one["verdict"] == "drop")
        });
        let status = ctl(&lab, 0, &["capture", "status"]);
        assert!(status.contains("running"), "{status}");
        ctl(&lab, 0, &["capture", "stop"]);
        assert_eq!(transfer.client.output(), "runs\n");
        let comments = ["-T", "fields", "-e", "frame.comment"];
        let read = checked(Command::new("tshark").args(["-r", file]).args(comments));
        for comment in [
            "verdict=forward reason=session ct=established rule=lan-out session=1",
            "verdict=drop reason=no-session ct=invalid",
        ] {
            assert!(read.contains(comment), "no `{comment}` in\n{read}");
        }
        transfer.client.signal("KILL");
        transfer.server.signal("KILL");
        watch.signal("KILL");
        gateway.stop(&lab);
        assert!(!lab.dir.path("spigate.sock").exists());
    });
}

#[test]
fn both_ends_of_a_killed_transfer_are_reset_where_that_is_asked_for() {
    let test = "control::both_ends_of_a_killed_transfer_are_reset_where_that_is_asked_for";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let gateway = lab.start_gateway(&office());
        let mut transfer = transfer(&lab);
        ctl(&lab, 0, &["kill", "dport=80", "--reset"]);
        transfer.client.wait_for_word("ECONNRESET");
        transfer.server.wait_for_word("ECONNRESET");
        gateway.stop(&lab);
    });
}

#[test]
fn a_drained_gateway_lets_transfers_go_on_and_none_begin() {
    let test = "control::a_drained_gateway_lets_transfers_go_on_and_none_begin";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let gateway = lab.start_gateway(&office());
        let transfer = transfer(&lab);
        ctl(&lab, 0, &["drain"]);
        let packets = || {
            let session = &objects(&lab, &["sessions", "dport=80"])[0];
            session["reply"]["packets"].as_u64().unwrap()
        };
        let before = packets();
        let connect = "import socket; socket.create_connection(('198.51.100.21', 80), 1)";
        let refused = lab.client.try_run("python3", &["-c", connect]);
        assert!(!refused.status.success());
        assert!(packets() > before);
        let version = ctl(&lab, 0, &["version"]);
        assert!(version.contains("draining"), "{version}");
        ctl(&lab, 0, &["undrain"]);
        // The server's listener takes another connection, though nobody serves it.
        lab.client.run("python3", &["-c", connect]);
        ctl(&lab, 0, &["log", "debug"]);
        drop(transfer);
        gateway.stop(&lab);
    });
}

#[test]
fn garbage_slow_and_many_clients_do_no_harm() {
    let test = "control::garbage_slow_and_many_clients_do_no_harm";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let gateway = lab.start_gateway(&office());
        let transfer = transfer(&lab);
        let connect = || UnixStream::connect(lab.dir.path("spigate.sock")).unwrap();
        let mut garbage = connect();
        garbage.write_all(&[0xff; 100_000]).unwrap();
        garbage.write_all(b"\n{}\n").unwrap();
        let mut cut = connect();
        cut.write_all(b"{\"request\":\"sess").unwrap();
        // One that asks and never reads, and as many as there may be that say nothing.
        let mut deaf = connect();
        for _ in 0..1000 {
            if deaf.write_all(b"{\"request\":\"timeouts\"}\n").is_err() {
                break;
            }
        }
        let silent: Vec<_> = (0..1000).map(|_| connect()).collect();
        let mut last = silent.last().unwrap();
        let mut said = String::new();
        last.read_to_string(&mut said).unwrap();
        assert!(said.contains("too many clients"), "{said}");
        drop((silent, cut));
        wait_until("there is a place again", || {
            let output = Gateway::ctl(&lab).arg("rules").output().unwrap();
            output.status.success()
        });
        let mut answer = [0; 4096];
        let length = garbage.read(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer[..length]);
        assert!(answer.starts_with("{\"spigate-control\":1,"), "{answer}");
        // Traffic went on.
        let session = &objects(&lab, &["sessions", "dport=80"])[0];
        assert_eq!(session["state"], "established");
        drop(transfer);
        gateway.stop(&lab);
    });
}

#[test]
fn whoever_is_not_root_may_look_and_change_nothing() {
    let test = "control::whoever_is_not_root_may_look_and_change_nothing";
    in_own_namespaces_as_root(test, PROGRAMS, || {
        let lab = Lab::new();
        let gateway = lab.start_open_gateway(&office());
        let program = lab.dir.path("spigate-for-all");
        std::fs::copy(env!("CARGO_BIN_EXE_spigate"), &program).unwrap();
        let socket = lab.dir.path("spigate.sock");
        let as_nobody = |words: &[&str]| {
            let mut command = lab.gateway.command("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
            command.arg(&program).args(["ctl", "--socket"]).arg(&socket);
            command.args(words).output().unwrap()
        };
        let transfer = transfer(&lab);
        let listed = exited(&as_nobody(&["sessions"]), 0);
        assert!(listed.contains("established"), "{listed}");
        for change in [
            &["kill", "id=1.."][..],
            &["drain"],
            &["log", "trace"],
            &["reload"],
        ] {
            let said = exited(&as_nobody(change), 1);
            assert!(said.contains("may change what it does"), "{said}");
        }
        let said = exited(&as_nobody(&["capture", "start", "/tmp/nobody.pcapng"]), 1);
        assert!(said.contains("only root"), "{said}");
        assert_eq!(objects(&lab, &["sessions", "dport=80"]).len(), 1);
        drop(transfer);
        gateway.stop(&lab);
    });
}

#[test]
fn a_socket_of_a_living_gateway_is_not_taken() {
    let test = "control::a_socket_of_a_living_gateway_is_not_taken";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let gateway = lab.start_gateway(&office());
        let rules = office().replace("lan0", "lan1").replace("wan0", "wan1");
        let file = lab.dir.write("other.toml", rules.replace("dmz0", "dmz1"));
        let mut other = lab.client.command(env!("CARGO_BIN_EXE_spigate"));
        other.arg("run").arg(file).arg("--control");
        let output = other.arg(lab.dir.path("spigate.sock")).output().unwrap();
        let said = exited(&output, 2);
        assert!(said.contains("another gateway has it"), "{said}");
        ctl(&lab, 0, &["rules"]);
        gateway.stop(&lab);
    });
}
