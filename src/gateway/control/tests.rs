//! The control socket of a loop between sockets that stand in for devices.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use etherparse::PacketBuilder;
use serde_json::Value;

use super::*;
use crate::engine::{Checksums, Engine, Options};
use crate::gateway::errands::Errands;
use crate::gateway::far::{Far, device};
use crate::gateway::life::Life;
use crate::gateway::packet_loop::PacketLoop;
use crate::gateway::records::Records;
use crate::net::ZoneId;

const RULES: &str = r#"
    version = 1
    [zones]
    lan = { tun = "lan0", net = ["10.0.0.0/24"] }
    wan = { tun = "wan0", net = ["0.0.0.0/0"], address = ["203.0.113.2"] }
    [policy]
    default = "drop"
    rules = [ { id = "out", from = "lan", to = "wan", action = "allow" } ]
    [nat]
    source = [ { id = "masq", from = "lan", to = "wan", as = "masquerade" } ]
"#;

const CLIENT: [u8; 4] = [10, 0, 0, 7];
const SERVER: [u8; 4] = [198, 51, 100, 21];

struct Gateway {
    lan: Far,
    wan: Far,
    socket: PathBuf,
    stop_loop: UnixStream,
    stop_serving: Option<tokio::sync::oneshot::Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl Gateway {
    fn start(name: &str) -> Self {
        let directory =
            std::env::temp_dir().join(format!("spigate-ctl-{name}-{}", std::process::id()));
        let socket = directory.join("control.sock");
        let place = SocketPlace {
            path: socket.clone(),
            wanted: Wanted::Named,
            mode: None,
            group: None,
        };
        let clock = Clock::start();
        let policy = crate::config::compile(Path::new("test.toml"), RULES).unwrap();
        let options = Options {
            seed: 1,
            checksums: Checksums::Verify,
        };
        let engine = Engine::new(Arc::new(policy.policy), options, clock.now());
        let (errands, basket) = Errands::new().unwrap();
        let workforce = Workforce::from(errands);
        let (lan_port, lan) = device("lan0", &[ZoneId(0)]);
        let (wan_port, wan) = device("wan0", &[ZoneId(1)]);
        let ports = vec![lan_port, wan_port];
        let packet_loop = PacketLoop::new(engine, clock, ports, Records::told(), basket);
        let (stop_loop, heard) = UnixStream::pair().unwrap();
        let looping = thread::spawn(move || packet_loop.run(heard, || Ok(())).2.unwrap());
        let mut control = ControlSocket::open(&place).unwrap().unwrap();
        let (stop_serving, stopped) = tokio::sync::oneshot::channel();
        let serving = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(async {
                let log = LogFilter::new(|filter| match filter {
                    "debug" => Ok(()),
                    _ => Err("no such filter".into()),
                });
                let metrics =
                    Metrics::new(workforce.clone(), Arc::new(Life::new(clock, None)), clock);
                let rest = (Some(log), None, None);
                control.serve(workforce, rest, metrics, clock).unwrap();
                let _ = stopped.await;
                control.close().await;
            });
        });
        Self {
            lan,
            wan,
            socket,
            stop_loop,
            stop_serving: Some(stop_serving),
            threads: vec![looping, serving],
        }
    }

    fn connect(&self) -> Talk {
        let to = UnixStream::connect(&self.socket).unwrap();
        to.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let from = BufReader::new(to.try_clone().unwrap());
        let mut talk = Talk { to, from };
        assert_eq!(talk.read().unwrap()["spigate-control"], 1);
        talk
    }

    /// What is said of a request for versions; the end alone where it is turned away.
    fn connect_and_listen(&self) -> Vec<Value> {
        let mut talk = self.connect();
        let _ = talk.to.write_all(b"{\"request\":\"version\"}\n");
        talk.answer()
    }

    /// One request on a connection of its own.
    fn ask(&self, request: &str) -> Vec<Value> {
        self.connect().ask(request)
    }

    /// A packet from the client's port to the server, and what leaves.
    fn send(&self, port: u16) -> Vec<u8> {
        self.lan.send(&udp(port)).unwrap();
        let mut buffer = [0; 2048];
        let length = self.wan.recv(&mut buffer).unwrap();
        buffer[..length].to_vec()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.stop_loop.write_all(b"!").unwrap();
        let looping = self.threads.remove(0);
        looping.join().unwrap();
        let _ = self.stop_serving.take().unwrap().send(());
        self.threads.remove(0).join().unwrap();
        assert!(!self.socket.exists());
    }
}

/// A connection.
struct Talk {
    to: UnixStream,
    from: BufReader<UnixStream>,
}

impl Talk {
    fn say(&mut self, line: &str) {
        writeln!(self.to, "{line}").unwrap();
    }

    fn read(&mut self) -> Option<Value> {
        let mut line = String::new();
        match self.from.read_line(&mut line).unwrap() {
            0 => None,
            _ => Some(serde_json::from_str(&line).unwrap()),
        }
    }

    /// All objects up to the end, and that.
    fn answer(&mut self) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            all.push(self.read().unwrap());
            if all.last().unwrap().get("end").is_some() {
                return all;
            }
        }
    }

    fn ask(&mut self, line: &str) -> Vec<Value> {
        self.say(line);
        self.answer()
    }
}

/// A datagram from this port of the client.
fn udp(port: u16) -> Vec<u8> {
    let mut packet = Vec::new();
    PacketBuilder::ipv4(CLIENT, SERVER, 64)
        .udp(port, 7000)
        .write(&mut packet, b"payload")
        .unwrap();
    packet
}

fn error(answer: &[Value]) -> &str {
    answer.last().unwrap()["error"].as_str().unwrap_or("none")
}

#[test]
fn sessions_are_listed_sorted_and_filtered() {
    let gateway = Gateway::start("sessions");
    for port in [5000, 5001, 5002, 5001] {
        let _ = gateway.send(port);
    }
    let all = gateway.ask(r#"{"request":"sessions"}"#);
    assert_eq!(all.len(), 4);
    let first = &all[0];
    assert_eq!(first["table"], "session");
    assert_eq!(first["original"]["source"], "10.0.0.7:5000");
    assert_eq!(first["nat"]["source"]["rule"], "masq");
    let most = r#"{"request":"sessions","sort":"packets","limit":1}"#;
    assert_eq!(gateway.ask(most)[0]["original"]["packets"], 2);
    let one = r#"{"request":"sessions","filter":"sport=5002 rule=out"}"#;
    assert_eq!(gateway.ask(one).len(), 2);
    let nobodys = r#"{"request":"sessions","filter":"rule=nobody"}"#;
    assert_eq!(error(&gateway.ask(nobodys)), "bad-request");
}

#[test]
fn a_table_of_many_pages_is_listed_whole() {
    let gateway = Gateway::start("pages");
    for port in 10_000..10_700 {
        let _ = gateway.send(port);
    }
    assert_eq!(gateway.ask(r#"{"request":"sessions"}"#).len(), 701);
    assert_eq!(gateway.ask(r#"{"request":"mappings"}"#).len(), 701);
    let limited = r#"{"request":"sessions","limit":300}"#;
    assert_eq!(gateway.ask(limited).len(), 301);
    let killed = gateway.ask(r#"{"request":"kill","filter":"sport=10000-10599"}"#);
    assert_eq!(killed[0]["killed"], 600);
    assert_eq!(gateway.ask(r#"{"request":"sessions"}"#).len(), 101);
}

#[test]
fn everything_that_is_asked_has_an_answer() {
    let gateway = Gateway::start("all");
    let _ = gateway.send(5000);
    let mut talk = gateway.connect();
    let mut tables = Vec::new();
    for request in [
        "mappings",
        "leases",
        "expectations",
        "rules",
        "nat",
        "counters",
        "timeouts",
        "workers",
        "metrics",
        "capture-status",
        "version",
    ] {
        let answer = talk.ask(&format!(r#"{{"request":"{request}"}}"#));
        assert_eq!(answer.last().unwrap()["end"], "ok", "{request}");
        let of = |object: &Value| object["table"].as_str().map(str::to_owned);
        tables.extend(answer.iter().filter_map(of));
    }
    assert_eq!(
        tables,
        [
            "mapping",
            "lease",
            "rule",
            "default-policy",
            "translation",
            "verdict",
            "devices",
            "totals",
            "lifetime",
            "worker",
            "metrics",
            "version",
        ]
    );
    assert_eq!(error(&talk.ask(r#"{"request":"reload"}"#)), "not-available");
    assert_eq!(
        error(&talk.ask(r#"{"request":"log","level":"debug"}"#)),
        "none"
    );
    assert_eq!(
        error(&talk.ask(r#"{"request":"log","level":"?"}"#)),
        "bad-request"
    );
}

#[test]
fn while_it_drains_sessions_go_on_and_none_begins() {
    let gateway = Gateway::start("drain");
    let _ = gateway.send(5000);
    assert_eq!(gateway.ask(r#"{"request":"drain"}"#)[0]["end"], "ok");
    gateway.lan.send(&udp(5001)).unwrap();
    // What leaves first is the old one's.
    let left = gateway.send(5000);
    assert_eq!(&left[20..22], 5000_u16.to_be_bytes());
    let counters = gateway.ask(r#"{"request":"counters"}"#);
    assert!(
        counters.iter().any(|object| object["reason"] == "draining"),
        "{counters:?}"
    );
    assert_eq!(gateway.ask(r#"{"request":"version"}"#)[0]["draining"], true);
    gateway.ask(r#"{"request":"undrain"}"#);
    let _ = gateway.send(5001);
}

#[test]
fn a_watcher_sees_sessions_begin_and_end_and_says_when_it_has_seen_enough() {
    let gateway = Gateway::start("watch");
    let mut watcher = gateway.connect();
    watcher.say(r#"{"request":"watch","filter":"sport!=5009"}"#);
    // It listens once it is answered something else.
    while gateway.ask(r#"{"request":"version"}"#).len() != 2 {}
    thread::sleep(Duration::from_millis(100));
    for port in [5009, 5000] {
        let _ = gateway.send(port);
    }
    let began = watcher.read().unwrap();
    assert_eq!(
        (&began["event"], &began["session"]),
        (&"began".into(), &2.into())
    );
    assert_eq!(began["original"]["source"], "10.0.0.7:5000");
    gateway.ask(r#"{"request":"kill","filter":"id=2"}"#);
    let ended = watcher.read().unwrap();
    assert_eq!(
        (&ended["event"], &ended["ending"]),
        (&"ended".into(), &"killed".into())
    );
    watcher.say(r#"{"request":"version"}"#);
    assert_eq!(watcher.answer().len(), 1);
    assert_eq!(watcher.answer()[0]["table"], "version");
}

#[test]
fn a_watcher_that_does_not_read_loses_events_and_stops_nobody() {
    let gateway = Gateway::start("slow");
    let mut watcher = gateway.connect();
    watcher.say(r#"{"request":"watch"}"#);
    thread::sleep(Duration::from_millis(100));
    // More than its queue, its socket and what is under way have room for.
    for round in 0..15_u16 {
        for port in 0..200 {
            let _ = gateway.send(10_000 + 200 * round + port);
        }
    }
    let mut events = 0;
    let mut lost = 0;
    while events + lost < 3000 {
        let event = watcher.read().unwrap();
        match event["event"].as_str().unwrap() {
            "lost" => lost += event["count"].as_u64().unwrap(),
            _ => events += 1,
        }
    }
    assert!(events + lost == 3000 && lost > 0, "{events} {lost}");
}

#[test]
fn packets_are_captured_with_what_came_of_them() {
    let gateway = Gateway::start("capture");
    let file = gateway.socket.with_file_name("caught.pcapng");
    let start = serde_json::json!({
        "request": "capture-start",
        "file": file,
        "filter": "sport=5000 verdict=forward",
    });
    let mut talk = gateway.connect();
    assert_eq!(error(&talk.ask(&start.to_string())), "none");
    assert_eq!(error(&talk.ask(&start.to_string())), "busy");
    for port in [5000, 5001, 5000] {
        let _ = gateway.send(port);
    }
    let stopped = talk.ask(r#"{"request":"capture-stop"}"#);
    assert_eq!(stopped[0]["packets"], 2, "{stopped:?}");
    assert_eq!(error(&talk.ask(r#"{"request":"capture-stop"}"#)), "failed");
    // What is there is not written over.
    assert_eq!(error(&talk.ask(&start.to_string())), "failed");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    for comment in [
        "verdict=forward reason=rule ct=new rule=out session=1 state=unreplied out=wan",
        "verdict=forward reason=session ct=new rule=out session=1 state=unreplied out=wan",
    ] {
        assert!(text.contains(comment), "{comment}: {text}");
    }
}

#[test]
fn garbage_gets_an_error_and_the_connection_stays_usable() {
    let gateway = Gateway::start("garbage");
    let mut talk = gateway.connect();
    for line in [
        "",
        "garbage",
        "[[[[[[",
        "\u{0}\u{1}",
        r#"{"request":"rules"}{"#,
    ] {
        assert_eq!(error(&talk.ask(line)), "bad-request", "{line}");
    }
    assert_eq!(error(&talk.ask(&"x".repeat(1 << 20))), "too-long");
    assert_eq!(talk.ask(r#"{"request":"rules"}"#).len(), 3);
    // One that is cut is nobody's.
    talk.to.write_all(b"{\"request\":").unwrap();
    drop(talk);
    assert_eq!(gateway.ask(r#"{"request":"rules"}"#).len(), 3);
}

#[test]
fn one_too_many_is_told_so() {
    let gateway = Gateway::start("many");
    let mut kept: Vec<_> = (0..72).map(|_| gateway.connect()).collect();
    let mut further = gateway.connect();
    assert_eq!(error(&further.answer()), "busy");
    assert!(further.read().is_none());
    // Those that were there are still served, and who goes makes room.
    assert_eq!(kept[0].ask(r#"{"request":"rules"}"#).len(), 3);
    drop(kept);
    let is_served = |_| {
        thread::sleep(Duration::from_millis(20));
        // One that is turned away may find nobody who reads what it asks.
        error(&gateway.connect_and_listen()) == "none"
    };
    assert!((0..250).any(is_served));
}
