//! The HTTP server of a loop between sockets that stand in for devices.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::thread::{self, JoinHandle};

use super::families::{FAMILIES, Kind, WORKER_FAMILIES};
use super::*;
use crate::engine::{Checksums, Engine, Options};
use crate::gateway::errands::Errands;
use crate::gateway::packet_loop::PacketLoop;
use crate::gateway::port::Port;
use crate::gateway::records::Records;
use crate::net::ZoneId;

const RULES: &str = r#"
    version = 1
    [zones]
    lan = { tun = "lan0", net = ["10.0.0.0/24"] }
    wan = { tun = "wan0", net = ["0.0.0.0/0"], address = ["203.0.113.2"] }
    [limits]
    half-open = 100
    per-source = 50
    [policy]
    default = "drop"
    rules = [ { id = "out", from = "lan", to = "wan", action = "allow" } ]
    [nat]
    source = [ { id = "masq", from = "lan", to = "wan", as = "masquerade" } ]
"#;

struct Gateway {
    lan: UnixDatagram,
    /// Gone, it would be a device that is gone.
    _wan: UnixDatagram,
    address: SocketAddr,
    errands: Errands,
    stop_loop: UnixStream,
    stop_serving: Option<tokio::sync::oneshot::Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

fn device(name: &str, zone: ZoneId) -> (Port<UnixDatagram>, UnixDatagram) {
    let (near, far) = UnixDatagram::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    (Port::new(name, near, &[zone]), far)
}

impl Gateway {
    fn start() -> Self {
        let clock = Clock::start();
        let policy = crate::config::compile(Path::new("test.toml"), RULES).unwrap();
        let options = Options {
            seed: 1,
            checksums: Checksums::Verify,
        };
        let engine = Engine::new(Arc::new(policy.policy), options, clock.now());
        let (errands, basket) = Errands::new().unwrap();
        let (lan_port, lan) = device("lan0", ZoneId(0));
        let (wan_port, wan) = device("wan0", ZoneId(1));
        let packet_loop = PacketLoop::new(
            engine,
            clock,
            vec![lan_port, wan_port],
            Records::told(),
            basket,
        );
        let (stop_loop, heard) = UnixStream::pair().unwrap();
        let looping = thread::spawn(move || {
            let _ = packet_loop.run(heard, || Ok(()));
        });
        let metrics = Metrics::new(
            errands.clone().into(),
            Arc::new(Life::new(clock, None)),
            clock,
        );
        let mut server = MetricsServer::open("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = server.local_address();
        let (stop_serving, stopped) = tokio::sync::oneshot::channel();
        let serving = thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            runtime.enable_all().build().unwrap().block_on(async {
                server.serve(metrics).unwrap();
                let _ = stopped.await;
                server.close().await;
            });
        });
        Self {
            lan,
            _wan: wan,
            address,
            errands,
            stop_loop,
            stop_serving: Some(stop_serving),
            threads: vec![looping, serving],
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        stream
    }

    /// What is answered to these octets.
    fn say(&self, octets: &[u8]) -> String {
        let mut stream = self.connect();
        // One that has heard enough takes no more.
        let _ = stream.write_all(octets);
        let _ = stream.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8(answer).unwrap()
    }

    fn get(&self, path: &str) -> String {
        let mut stream = self.connect();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.stop_loop.write_all(b"x");
        drop(self.stop_serving.take());
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
    }
}

/// The status of an answer.
fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

#[test]
fn metrics_are_what_the_engine_and_the_devices_counted() {
    let gateway = Gateway::start();
    for _ in 0..3 {
        // Behind what the device says of it.
        gateway.lan.send(&[0; 40]).unwrap();
    }
    thread::sleep(Duration::from_millis(100));
    let answer = gateway.get("/metrics");
    assert_eq!(status(&answer), "200", "{answer}");
    let (head, text) = answer.split_once("\r\n\r\n").unwrap();
    assert!(
        head.contains("content-type: text/plain; version=0.0.4"),
        "{head}"
    );
    for line in [
        "# TYPE spigate_packets_total counter",
        "spigate_packets_total{verdict=\"drop\",reason=\"bad-header\"} 3",
        "spigate_device_received_packets_total 3",
        "# TYPE spigate_sessions gauge",
        "spigate_sessions 0",
        "spigate_sessions_limit 262144",
        "spigate_half_open_sessions_limit 100",
        "spigate_sessions_per_source_limit 50",
        "spigate_rule_hits_total{rule=\"out\"} 0",
        "spigate_translation_hits_total{list=\"source\",rule=\"masq\"} 0",
        "spigate_sessions_by_standing{standing=\"assured\"} 0",
        "spigate_reloads_total{outcome=\"ok\"} 0",
        "spigate_draining 0",
    ] {
        assert!(
            text.lines().any(|one| one == line),
            "no `{line}` in\n{text}"
        );
    }
    for family in FAMILIES {
        let name = exposed(family.name, family.kind);
        for what in ["HELP", "TYPE"] {
            let line = format!("# {what} {name} ");
            assert_eq!(text.matches(&line).count(), 1, "{line}");
        }
    }
}

/// The name as Prometheus has it.
fn exposed(name: &str, kind: Kind) -> String {
    match kind {
        Kind::Counter => format!("{name}_total"),
        Kind::Gauge => name.to_owned(),
    }
}

#[test]
fn the_page_lists_all_metrics_and_no_other() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let page = std::fs::read_to_string(page).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| `spigate_"));
    let listed: BTreeSet<_> = rows
        .map(|row| row.split(['`', '{']).nth(1).unwrap().to_owned())
        .collect();
    let all = FAMILIES.iter().chain(WORKER_FAMILIES);
    let all = all.map(|family| exposed(family.name, family.kind));
    assert_eq!(listed, all.collect());
}

#[test]
fn a_gateway_is_healthy_and_ready_until_it_drains() {
    let gateway = Gateway::start();
    assert_eq!(status(&gateway.get("/health")), "200");
    assert_eq!(status(&gateway.get("/ready")), "200");
    let runtime = tokio::runtime::Builder::new_current_thread();
    let mut runtime = runtime;
    let runtime = runtime.enable_all().build().unwrap();
    let drain = gateway
        .errands
        .ask(|inside| inside.engine.set_intake(Intake::Drained));
    runtime.block_on(drain).unwrap();
    let answer = gateway.get("/ready");
    assert_eq!(status(&answer), "503");
    assert!(answer.ends_with("no new session begins\n"), "{answer}");
    assert_eq!(status(&gateway.get("/health")), "200");
    assert!(gateway.get("/metrics").contains("spigate_draining 1"));
}

#[test]
fn a_loop_that_does_not_answer_is_not_healthy() {
    let mut gateway = Gateway::start();
    let errands = gateway.errands.clone();
    let (begun, begins) = std::sync::mpsc::channel();
    let busy = thread::spawn(move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let work = errands.ask(move |_| {
            begun.send(()).unwrap();
            thread::sleep(Duration::from_millis(1500));
        });
        runtime
            .enable_all()
            .build()
            .unwrap()
            .block_on(work)
            .unwrap();
    });
    begins.recv().unwrap();
    let answer = gateway.get("/health");
    assert_eq!(status(&answer), "503");
    assert!(
        answer.ends_with("the packet loop does not answer\n"),
        "{answer}"
    );
    busy.join().unwrap();
    assert_eq!(status(&gateway.get("/health")), "200");
    gateway.stop_loop.write_all(b"x").unwrap();
    gateway.threads.remove(0).join().unwrap();
    for path in ["/health", "/ready", "/metrics"] {
        let answer = gateway.get(path);
        assert_eq!(status(&answer), "503");
        assert!(answer.ends_with("the gateway is stopping\n"), "{answer}");
    }
}

#[test]
fn garbage_gets_an_error_or_nothing() {
    let gateway = Gateway::start();
    let huge = format!(
        "GET /metrics HTTP/1.1\r\nx: {}\r\n\r\n",
        "y".repeat(1 << 20)
    );
    let many = format!("GET /metrics HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(100));
    for (said, expected) in [
        (&b"garbage\r\n\r\n"[..], "400"),
        (&[0xff; 10_000], "400"),
        (b"", ""),
        (b"GET", ""),
        (b"GET /metrics HTTP/1.1\r\nhost", ""),
        (b"GET /secrets HTTP/1.1\r\n\r\n", "404"),
        (b"GET /metrics/../health HTTP/1.1\r\n\r\n", "404"),
        (
            b"POST /metrics HTTP/1.1\r\ncontent-length: 5\r\n\r\nhello",
            "405",
        ),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ""),
        (many.as_bytes(), "431"),
    ] {
        let answer = gateway.say(said);
        let said = String::from_utf8_lossy(said);
        assert_eq!(status(&answer), expected, "{said}: {answer}");
    }
    // It may be let go before it has read why.
    let answer = gateway.say(huge.as_bytes());
    assert!(["431", ""].contains(&status(&answer)), "{answer}");
    assert_eq!(status(&gateway.get("/metrics")), "200");
    let head = gateway.say(b"HEAD /metrics HTTP/1.1\r\n\r\n");
    assert!(head.ends_with("\r\n\r\n"), "{head}");
}

#[test]
fn slow_and_many_clients_keep_nobody_out_for_long() {
    let gateway = Gateway::start();
    let mut silent: Vec<_> = (0..300).map(|_| gateway.connect()).collect();
    for client in &mut silent {
        // Those that are one too many are gone already.
        let _ = client.write_all(b"GET /metr");
    }
    let is_answered = |_| {
        thread::sleep(Duration::from_millis(100));
        let mut stream = gateway.connect();
        let _ = stream.write_all(b"GET /health HTTP/1.1\r\n\r\n");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        status(&String::from_utf8_lossy(&answer)) == "200"
    };
    assert!((0..100).any(is_answered));
}
