//! Two workers between sockets that stand in for the queues of devices.

use std::os::unix::net::UnixDatagram;
use std::path::Path;

use etherparse::PacketBuilder;

use super::*;
use crate::engine::{Checksums, Intake, Successor};
use crate::gateway::counters::DeviceCounters;
use crate::gateway::errands::Inside;
use crate::gateway::far::{Far, device};
use crate::gateway::handover::HandoverCounters;
use crate::net::ZoneId;

const LAN: ZoneId = ZoneId(0);
const WAN: ZoneId = ZoneId(1);
const CLIENT: [u8; 4] = [10, 0, 0, 7];
const SERVER: [u8; 4] = [198, 51, 100, 21];
const PUBLIC: [u8; 4] = [203, 0, 113, 2];

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

fn compiled(rules: &str) -> Policy {
    let compiled = crate::config::compile(Path::new("test.toml"), rules);
    compiled.unwrap().policy
}

/// Two workers, and the far ends of their queues.
struct Two {
    lan: [Far; 2],
    wan: [Far; 2],
    workforce: Workforce,
    running: Running,
}

/// Two workers between these ports.
fn start<F: AsFd + From<OwnedFd> + Send + 'static>(
    ports: Vec<Vec<Port<F>>>,
) -> (Workforce, Running) {
    let clock = Clock::start();
    let options = Options {
        workers: Workers::new(2).unwrap(),
        ..Options::default()
    };
    let engine_options = engine::Options {
        seed: 1,
        checksums: Checksums::Verify,
    };
    let policy = Arc::new(compiled(RULES));
    let engines = engines(
        &policy,
        engine_options,
        crew(options.workers, engine_options).as_ref(),
        clock.now(),
    );
    let gathered = Gathered::gather(engines, (clock, &options), ports, Records::told());
    let (gathered, workforce) = gathered.unwrap();
    (workforce, gathered.start(Sandbox::Open).unwrap())
}

impl Two {
    fn start() -> Self {
        let queues = || {
            let (lan, lan_far) = device("lan0", &[LAN]);
            let (wan, wan_far) = device("wan0", &[WAN]);
            (vec![lan, wan], lan_far, wan_far)
        };
        let (one, two) = (queues(), queues());
        let ports: Vec<Vec<Port<UnixDatagram>>> = vec![one.0, two.0];
        let (workforce, running) = start(ports);
        Self {
            lan: [one.1, two.1],
            wan: [one.2, two.2],
            workforce,
            running,
        }
    }

    fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Inside<'_>) -> T + Clone + Send + 'static,
    ) -> [T; 2] {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let asked = runtime.unwrap().block_on(self.workforce.ask_all(work));
        let (first, others) = asked.unwrap_or_else(|ended| panic!("{ended}"));
        let all: Vec<T> = std::iter::once(first).chain(others).collect();
        all.try_into().unwrap_or_else(|_| panic!("there are two"))
    }
}

fn udp(source: ([u8; 4], u16), destination: ([u8; 4], u16), payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    PacketBuilder::ipv4(source.0, destination.0, 64)
        .udp(source.1, destination.1)
        .write(&mut packet, payload)
        .unwrap();
    packet
}

/// The source port of what comes next, and its payload.
fn next(far: &Far) -> (u16, Vec<u8>) {
    let mut buffer = [0; 2048];
    let length = far.recv(&mut buffer).unwrap();
    let port = u16::from_be_bytes([buffer[20], buffer[21]]);
    (port, buffer[28..length].to_vec())
}

#[test]
fn what_comes_to_the_wrong_worker_is_handed_to_the_one_that_has_its_session() {
    let two = Two::start();
    two.lan[0]
        .send(&udp((CLIENT, 5000), (SERVER, 7000), b"ask"))
        .unwrap();
    let (port, asked) = next(&two.wan[0]);
    assert_eq!(asked, b"ask");
    // The answer comes by the other's queue, and leaves by the first one's.
    two.wan[1]
        .send(&udp((SERVER, 7000), (PUBLIC, port), b"answer"))
        .unwrap();
    assert_eq!(next(&two.lan[0]), (7000, b"answer".to_vec()));
    let counted = two.ask(|inside| {
        let handovers = inside
            .handover
            .map(crate::gateway::handover::Handover::counters);
        (
            inside.engine.sessions().len(),
            *inside.counters,
            handovers.unwrap(),
        )
    });
    let [(sessions, first, own), (none, second, others)] = counted;
    assert_eq!((sessions, none), (1, 0));
    assert_eq!((first.received, first.sent), (1, 2));
    assert_eq!((second.received, second.sent), (1, 0));
    assert_eq!((own.taken_over, others.handed_over), (1, 1));
    let summary = two.running.stop().0.unwrap();
    assert_eq!(
        summary.devices,
        DeviceCounters {
            received: 2,
            sent: 2,
            ..DeviceCounters::default()
        }
    );
    let both = HandoverCounters {
        handed_over: 1,
        taken_over: 1,
        lost: 0,
    };
    assert_eq!(summary.handovers, Some(both));
    let judged: u64 = summary.engine.verdicts().map(|(.., count)| count).sum();
    assert_eq!(judged, 2, "a packet is counted where it is judged");
}

#[test]
fn answers_by_any_queue_reach_their_clients_in_order() {
    const FLOWS: u16 = 16;
    const ROUNDS: u16 = 50;
    let two = Two::start();
    let mut ports = Vec::new();
    for flow in 0..FLOWS {
        let at = usize::from(flow % 2);
        two.lan[at]
            .send(&udp((CLIENT, 5000 + flow), (SERVER, 7000 + flow), b"ask"))
            .unwrap();
        ports.push((flow, next(&two.wan[at]).0));
    }
    for round in 0..ROUNDS {
        for (flow, port) in &ports {
            // All of a round come by the queue of the one or the other.
            let answer = udp((SERVER, 7000 + flow), (PUBLIC, *port), &round.to_be_bytes());
            two.wan[usize::from(flow / 2 % 2)].send(&answer).unwrap();
        }
        for (flow, _) in &ports {
            let (from, said) = next(&two.lan[usize::from(flow % 2)]);
            assert!((7000..7000 + FLOWS).contains(&from));
            assert_eq!(said, round.to_be_bytes());
        }
    }
    let summary = two.running.stop().0.unwrap();
    assert_eq!(summary.handovers.unwrap().lost, 0);
    assert_eq!(
        summary.handovers.unwrap().handed_over,
        u64::from(FLOWS / 2 * ROUNDS)
    );
}

#[test]
fn what_is_asked_of_all_is_done_by_all() {
    let two = Two::start();
    two.ask(|inside| inside.engine.set_intake(Intake::Drained));
    assert_eq!(
        two.ask(|inside| inside.engine.intake()),
        [Intake::Drained; 2]
    );
    two.ask(|inside| inside.engine.set_intake(Intake::Open));
    let [policy, other] = two.ask(|inside| Arc::clone(inside.engine.policy()));
    assert!(Arc::ptr_eq(&policy, &other));
    let rules = RULES.replace("rules = [", r#"rules = [ { id = "new", action = "drop" },"#);
    let successor = Successor::new(compiled(&rules), &policy).unwrap();
    let taken = two.ask(move |inside| inside.engine.reload(successor, inside.now));
    assert!(taken.iter().all(Result::is_ok));
    let [policy, other] = two.ask(|inside| Arc::clone(inside.engine.policy()));
    assert!(Arc::ptr_eq(&policy, &other), "and the numbers are the same");
    assert_eq!(policy.rules.iter().count(), 2);
    two.running.stop().0.unwrap();
}

#[test]
fn metrics_are_the_sum_and_tell_each_worker_apart() {
    let two = Two::start();
    for (at, port) in [(0, 5000), (1, 5001), (1, 5002)] {
        let packet = udp((CLIENT, port), (SERVER, 7000), b"ask");
        two.lan[at].send(&packet).unwrap();
        next(&two.wan[at]);
    }
    let clock = Clock::start();
    let life = Arc::new(crate::gateway::life::Life::new(clock, None));
    let metrics = crate::gateway::metrics::Metrics::new(two.workforce.clone(), life, clock);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().build().unwrap();
    let text = runtime.block_on(metrics.text()).unwrap();
    for line in [
        "spigate_sessions 3",
        "spigate_device_received_packets_total 3",
        "spigate_rule_hits_total{rule=\"out\"} 3",
        "spigate_worker_sessions{worker=\"1\"} 1",
        "spigate_worker_sessions{worker=\"2\"} 2",
        "spigate_worker_received_packets_total{worker=\"2\"} 2",
        "spigate_worker_handed_over_packets_total{worker=\"1\"} 0",
    ] {
        assert!(
            text.lines().any(|one| one == line),
            "no `{line}` in\n{text}"
        );
    }
    two.running.stop().0.unwrap();
}

#[test]
fn the_end_of_one_is_the_end_of_all() {
    let (_reader, alive) = std::io::pipe().unwrap();
    // Polled, a pipe that nobody reads from is in error, as a device is that is gone.
    let (_, gone) = std::io::pipe().unwrap();
    let port = |fd| Port::new("lan0", fd, &[LAN]);
    let started = start(vec![vec![port(gone)], vec![port(alive)]]);
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(started.1.ended());
    let ended = started.1.stop().0.unwrap_err();
    assert!(matches!(ended, GatewayError::DeviceGone { .. }), "{ended}");
}
