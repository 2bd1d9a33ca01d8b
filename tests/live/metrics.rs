//! Metrics, health and the event log of a gateway that works.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::enter::in_own_namespaces;
use crate::lab::{Gateway, Lab, SERVER, checked, office, wait_until};
use crate::servers::wait_for_listener;

const PROGRAMS: &[&str] = &["python3", "curl", "ss", "kill", "mount"];
const ADDRESS: &str = "127.0.0.1:9469";

/// What is answered at this path, behind its status.
fn get(lab: &Lab, path: &str) -> (String, String) {
    let url = format!("http://{ADDRESS}{path}");
    let said = lab
        .gateway
        .run("curl", &["-s", "-w", "\n%{http_code}", &url]);
    let (text, status) = said.rsplit_once('\n').unwrap();
    (status.to_owned(), text.to_owned())
}

/// The value of a sample.
fn value(text: &str, sample: &str) -> u64 {
    let mut lines = text.lines();
    let found = lines.find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    let found = found.unwrap_or_else(|| panic!("no `{sample}` in\n{text}"));
    found.parse().unwrap()
}

fn ctl(lab: &Lab, words: &[&str]) -> String {
    checked(Gateway::ctl(lab).args(words))
}

fn objects(text: &str) -> Vec<Value> {
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("`{line}`")))
        .collect()
}

/// Transfers so many octets from the server to the client.
fn transfer(lab: &Lab, octets: usize) {
    let serve = format!(
        "import socket
listener = socket.create_server(('{SERVER}', 80))
end, _ = listener.accept()
end.sendall(b'x' * {octets})
end.shutdown(socket.SHUT_WR)
end.recv(1)"
    );
    let mut command = lab.server.command("python3");
    let mut server = lab.dir.start(command.args(["-c", &serve]), "server");
    wait_for_listener(&lab.server, "-t", SERVER, 80);
    let fetch = format!(
        "import socket
end = socket.create_connection(('{SERVER}', 80))
count = 0
while more := end.recv(65536):
    count += len(more)
assert count == {octets}, count"
    );
    lab.client.run("python3", &["-c", &fetch]);
    assert!(server.wait().success(), "{}", server.output());
}

fn connect_in_vain(lab: &Lab) {
    // Nobody may get to the client from outside.
    let connect = "import socket
try:
    socket.create_connection(('203.0.113.2', 4444), 0.3)
except OSError:
    pass";
    lab.server.run("python3", &["-c", connect]);
}

#[test]
fn metrics_are_what_the_control_socket_tells() {
    let test = "metrics::metrics_are_what_the_control_socket_tells";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let options = ["--metrics", ADDRESS];
        let gateway = lab.start_gateway_with(&lab.gateway, ("spigate", &office()), &options);
        transfer(&lab, 100_000);
        connect_in_vain(&lab);
        // Nothing passes any more.
        let (status, text) = get(&lab, "/metrics");
        assert_eq!(status, "200", "{text}");
        let counters = objects(&ctl(&lab, &["--json", "counters"]));
        let mut compared = 0;
        for one in &counters {
            if one["table"] == "verdict" {
                let (verdict, reason) = (one["verdict"].as_str(), one["reason"].as_str());
                let sample = format!(
                    "spigate_packets_total{{verdict=\"{}\",reason=\"{}\"}}",
                    verdict.unwrap(),
                    reason.unwrap()
                );
                assert_eq!(value(&text, &sample), one["packets"], "{sample}");
                compared += 1;
            }
            if one["table"] == "devices" {
                let received = value(&text, "spigate_device_received_packets_total");
                assert_eq!(received, one["received"]);
            }
            if one["table"] == "totals" {
                assert_eq!(value(&text, "spigate_sessions"), one["sessions"]);
            }
        }
        assert!(compared > 1, "{counters:?}");
        assert_eq!(value(&text, "spigate_rule_hits_total{rule=\"lan-out\"}"), 1);
        assert_eq!(ctl(&lab, &["metrics"]), text);

        assert_eq!(get(&lab, "/health").0, "200");
        assert_eq!(get(&lab, "/ready").0, "200");
        ctl(&lab, &["drain"]);
        assert_eq!(get(&lab, "/health").0, "200");
        assert_eq!(get(&lab, "/ready").0, "503");
        ctl(&lab, &["undrain"]);
        ctl(&lab, &["reload"]);
        let (_, text) = get(&lab, "/metrics");
        assert_eq!(value(&text, "spigate_reloads_total{outcome=\"ok\"}"), 1);
        gateway.stop(&lab);
    });
}

#[test]
fn metrics_are_for_the_host_alone() {
    let test = "metrics::metrics_are_for_the_host_alone";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let rules = lab.dir.write("spigate.toml", office());
        let mut command = lab.gateway.command(env!("CARGO_BIN_EXE_spigate"));
        command
            .arg("run")
            .arg(rules)
            .args(["--metrics", "0.0.0.0:9469"]);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("0.0.0.0 is no loopback address"), "{said}");
    });
}

/// The file's events; the last line may be on its way.
fn events(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    objects(&text[..whole])
}

fn with_event(all: &[Value], event: &str) -> Vec<Value> {
    let those = all.iter().filter(|one| one["event"] == event);
    those.cloned().collect()
}

#[test]
fn a_transfer_is_in_the_event_log_and_the_log_is_rotated() {
    let test = "metrics::a_transfer_is_in_the_event_log_and_the_log_is_rotated";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let file = lab.dir.path("events/spigate.jsonl");
        fs::create_dir(file.parent().unwrap()).unwrap();
        let options = ["--events", file.to_str().unwrap()];
        let gateway = lab.start_gateway_with(&lab.gateway, ("spigate", &office()), &options);
        transfer(&lab, 100_000);
        wait_until("a refused SYN is told", || {
            connect_in_vain(&lab);
            let dropped = with_event(&events(&file), "dropped");
            let to = |one: &Value| one["destination"] == "203.0.113.2:4444" && one["in"] == "wan";
            dropped.iter().any(to)
        });
        let listed = objects(&ctl(&lab, &["--json", "sessions", "dport=80"]));
        ctl(&lab, &["kill", "dport=80"]);
        wait_until("the session's end is written", || {
            !with_event(&events(&file), "ended").is_empty()
        });
        let all = events(&file);
        assert_eq!(all[0]["event"], "start");
        let began = &with_event(&all, "began")[0];
        assert_eq!(began["original"]["destination"], format!("{SERVER}:80"));
        assert_eq!(began["rule"], "lan-out");
        let ended = &with_event(&all, "ended")[0];
        assert_eq!(ended["session"], began["session"]);
        assert_eq!(ended["ending"], "killed");
        assert!(ended["duration"].as_f64().unwrap() > 0.0);
        for way in ["original", "reply"] {
            assert_eq!(ended[way], listed[0][way]);
        }
        assert!(ended["reply"]["bytes"].as_u64().unwrap() > 100_000);

        // Put aside, as logrotate does.
        let aside = file.with_extension("1");
        fs::rename(&file, &aside).unwrap();
        gateway.signal("HUP");
        wait_until("the new file is written", || {
            !with_event(&events(&file), "reload").is_empty()
        });
        ctl(&lab, &["drain"]);
        ctl(&lab, &["undrain"]);
        gateway.stop(&lab);
        let all = events(&file);
        // Hosts say things of their own, which are dropped or not.
        let names = all.iter().filter_map(|one| one["event"].as_str());
        let names: Vec<_> = names
            .filter(|name| ["start", "reload", "drain", "undrain", "stop"].contains(name))
            .collect();
        assert_eq!(names, ["reload", "drain", "undrain", "stop"], "{all:?}");
        assert_eq!(all[0]["outcome"], "ok");
        assert!(with_event(&events(&aside), "stop").is_empty());
    });
}

#[test]
fn on_a_full_disk_traffic_goes_on_and_the_event_log_when_there_is_room() {
    let test = "metrics::on_a_full_disk_traffic_goes_on_and_the_event_log_when_there_is_room";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let small = lab.dir.path("small");
        fs::create_dir(&small).unwrap();
        let mount = ["-t", "tmpfs", "-o", "size=64k", "tmpfs"];
        checked(Command::new("mount").args(mount).arg(&small));
        let file = small.join("events.jsonl");
        let options = ["--events", file.to_str().unwrap(), "--metrics", ADDRESS];
        let gateway = lab.start_gateway_with(&lab.gateway, ("spigate", &office()), &options);
        wait_until("it has begun", || !events(&file).is_empty());
        let filler = small.join("filler");
        // As much as there is room for.
        let _ = fs::write(&filler, vec![b'x'; 64 << 10]);
        let begin_sessions = || {
            let send = format!(
                "import socket
for port in range(20000, 20100):
    end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    end.sendto(b'x', ('{SERVER}', port))"
            );
            lab.client.run("python3", &["-c", &send]);
        };
        wait_until("the disk is full", || {
            begin_sessions();
            transfer(&lab, 10_000);
            gateway.log().contains("the event log cannot be written")
        });
        begin_sessions();
        transfer(&lab, 100_000);
        assert_eq!(get(&lab, "/health").0, "200");
        fs::remove_file(&filler).unwrap();
        wait_until("it is written again", || {
            !with_event(&events(&file), "lost").is_empty()
        });
        let said = gateway.log();
        assert_eq!(
            said.matches("the event log cannot be written").count(),
            1,
            "{said}"
        );
        assert_eq!(
            said.matches("the event log is written again").count(),
            1,
            "{said}"
        );
        let (_, text) = get(&lab, "/metrics");
        assert!(value(&text, "spigate_events_lost_total") > 0);
        gateway.stop(&lab);
        checked(Command::new("umount").arg(&small));
    });
}
