//! The loop between sockets that stand in for devices.

use std::io::Write;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use etherparse::PacketBuilder;

use super::*;
use crate::engine::{Checksums, Options};
use crate::gateway::errands::Errands;
use crate::gateway::far::device;
use crate::net::ZoneId;

const LAN: ZoneId = ZoneId(0);
const WAN: ZoneId = ZoneId(1);

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

fn engine(clock: Clock) -> Engine {
    let policy = crate::config::compile(Path::new("test.toml"), RULES)
        .unwrap()
        .policy;
    let options = Options {
        seed: 1,
        checksums: Checksums::Verify,
    };
    Engine::new(Arc::new(policy), options, clock.now())
}

type Ended = (Summary, Result<(), GatewayError>);

fn start(ports: Vec<Port<UnixDatagram>>) -> (thread::JoinHandle<Ended>, UnixStream) {
    let (running, stop, _) = start_with_errands(ports);
    (running, stop)
}

fn start_with_errands(
    ports: Vec<Port<UnixDatagram>>,
) -> (thread::JoinHandle<Ended>, UnixStream, Errands) {
    let clock = Clock::start();
    let (errands, basket) = Errands::new().unwrap();
    let packet_loop = PacketLoop::new(engine(clock), clock, ports, Records::told(), basket);
    let (stop, heard) = UnixStream::pair().unwrap();
    let running = thread::spawn(move || {
        let (summary, _, ended) = packet_loop.run(heard, || Ok(()));
        (summary, ended)
    });
    (running, stop, errands)
}

fn udp(source: [u8; 4], destination: [u8; 4], ports: (u16, u16)) -> Vec<u8> {
    let mut packet = Vec::new();
    PacketBuilder::ipv4(source, destination, 64)
        .udp(ports.0, ports.1)
        .write(&mut packet, b"payload")
        .unwrap();
    packet
}

#[test]
fn a_packet_goes_from_device_to_device_and_its_answer_back() {
    let (lan_port, lan) = device("lan0", &[LAN]);
    let (wan_port, wan) = device("wan0", &[WAN]);
    let (running, mut stop) = start(vec![lan_port, wan_port]);
    let mut buffer = [0; 2048];

    let (client, server) = ([10, 0, 0, 7], [198, 51, 100, 21]);
    lan.send(&udp(client, server, (5000, 7000))).unwrap();
    let length = wan.recv(&mut buffer).unwrap();
    assert_eq!(buffer[12..16], [203, 0, 113, 2]);
    assert_eq!(buffer[8], 63);
    let port = u16::from_be_bytes([buffer[20], buffer[21]]);
    assert_eq!(buffer[length - 7..length], *b"payload");

    wan.send(&udp(server, [203, 0, 113, 2], (7000, port)))
        .unwrap();
    lan.recv(&mut buffer).unwrap();
    assert_eq!(buffer[16..20], client);
    // A stranger's is read, and goes nowhere.
    wan.send(&udp([198, 51, 100, 66], [203, 0, 113, 2], (7000, port)))
        .unwrap();

    stop.write_all(b"!").unwrap();
    let (summary, ended) = running.join().unwrap();
    assert!(ended.is_ok());
    assert_eq!(summary.devices.received, 3);
    assert_eq!(summary.devices.sent, 2);
    let forwarded = summary.engine.verdicts().filter(|(v, ..)| *v == "forward");
    assert_eq!(forwarded.map(|(.., count)| count).sum::<u64>(), 2);
}

#[test]
fn on_a_shared_device_a_packet_of_nobodys_zone_is_turned_away() {
    let (shared_port, shared) = device("tun0", &[LAN, WAN]);
    let (running, mut stop) = start(vec![shared_port]);
    shared.send(&[0x10; 40]).unwrap();
    shared
        .send(&udp([10, 0, 0, 7], [198, 51, 100, 21], (5000, 7000)))
        .unwrap();
    let mut buffer = [0; 2048];
    shared.recv(&mut buffer).unwrap();
    stop.write_all(b"!").unwrap();
    let (summary, _) = running.join().unwrap();
    let counted: Vec<_> = summary.engine.verdicts().collect();
    assert!(
        counted.contains(&("drop", Reason::NoZone, 1)),
        "{counted:?}"
    );
    assert_eq!(summary.devices.sent, 1);
}

#[test]
fn a_zone_without_device_and_a_device_that_refuses_are_counted() {
    let (lan_port, lan) = device("lan0", &[LAN]);
    let (running, mut stop) = start(vec![lan_port]);
    let outward = udp([10, 0, 0, 7], [198, 51, 100, 21], (5000, 7000));
    lan.send(&outward).unwrap();
    stop.write_all(b"!").unwrap();
    let (summary, ended) = running.join().unwrap();
    assert!(ended.is_ok());
    assert_eq!(summary.devices.no_device, 1);

    let (lan_port, lan) = device("lan0", &[LAN]);
    let (wan_port, wan) = device("wan0", &[WAN]);
    // A socket that takes no more writes stands in for a device that is down.
    wan.0.shutdown(std::net::Shutdown::Read).unwrap();
    let (running, mut stop) = start(vec![lan_port, wan_port]);
    lan.send(&outward).unwrap();
    stop.write_all(b"!").unwrap();
    let (summary, ended) = running.join().unwrap();
    assert!(ended.is_ok(), "{ended:?}");
    assert_eq!(summary.devices.write_errors, 1);
}

#[test]
fn the_loop_ends_when_told_even_while_packets_keep_coming() {
    let (lan_port, lan) = device("lan0", &[LAN]);
    let (running, mut stop) = start(vec![lan_port]);
    lan.0.set_nonblocking(true).unwrap();
    let packet = udp([10, 0, 0, 7], [10, 0, 0, 8], (1, 2));
    let flood = thread::spawn(move || {
        // Until the loop, and with it the other end, is gone.
        while !matches!(lan.send(&packet), Err(e) if e.kind() != std::io::ErrorKind::WouldBlock) {}
    });
    thread::sleep(Duration::from_millis(20));
    stop.write_all(b"!").unwrap();
    assert!(running.join().unwrap().1.is_ok());
    flood.join().unwrap();
}

#[test]
fn a_super_segment_crosses_as_one_and_its_checksum_stays_unfinished() {
    let (lan_port, lan) = device("lan0", &[LAN]);
    let (wan_port, wan) = device("wan0", &[WAN]);
    let (running, mut stop) = start(vec![lan_port, wan_port]);
    let (client, server) = ([10, 0, 0, 7], [198, 51, 100, 21]);
    // A UDP super-segment (USO): its field holds the sum of the pseudo-header.
    let mut packet = Vec::new();
    PacketBuilder::ipv4(client, server, 64)
        .udp(5000, 7000)
        .write(&mut packet, &[7; 4000])
        .unwrap();
    let pseudo_header = |[a, b, c, d]: [u8; 4]| {
        let [e, f, g, h] = server;
        let words = [[a, b], [c, d], [e, f], [g, h], [0, 17]].map(u16::from_be_bytes);
        let sum = words.into_iter().map(u32::from).sum::<u32>() + 4008;
        let folded = (sum & 0xffff) + (sum >> 16);
        u16::try_from(folded).unwrap().to_be_bytes()
    };
    packet[26..28].copy_from_slice(&pseudo_header(client));
    let [s0, s1] = 1000_u16.to_ne_bytes();
    let [c0, c1] = 20_u16.to_ne_bytes();
    let [o0, o1] = 6_u16.to_ne_bytes();
    let said = [1, 5, 28, 0, s0, s1, c0, c1, o0, o1];
    lan.send_with(said, &packet).unwrap();
    let mut buffer = [0; 5000];
    let (says, length) = wan.recv_with(&mut buffer).unwrap();
    assert_eq!((says, length), (said, packet.len()));
    assert_eq!(buffer[12..16], [203, 0, 113, 2]);
    assert_eq!(buffer[26..28], pseudo_header([203, 0, 113, 2]));
    stop.write_all(b"!").unwrap();
    let (summary, _) = running.join().unwrap();
    assert_eq!((summary.devices.received, summary.devices.sent), (1, 1));
}

/// A loop that reports what it has lost.
fn start_reporting(
    ports: Vec<Port<OwnedFd>>,
) -> (
    thread::JoinHandle<Ended>,
    UnixStream,
    Errands,
    tokio::sync::mpsc::UnboundedReceiver<Loss>,
) {
    let clock = Clock::start();
    let (errands, basket) = Errands::new().unwrap();
    let mut packet_loop = PacketLoop::new(engine(clock), clock, ports, Records::told(), basket);
    let (reports, losses) = crate::gateway::devices::loss_reports();
    packet_loop.report_losses(reports);
    let (stop, heard) = UnixStream::pair().unwrap();
    let running = thread::spawn(move || {
        let (summary, _, ended) = packet_loop.run(heard, || Ok(()));
        (summary, ended)
    });
    (running, stop, errands, losses)
}

/// A device of its zone whose end can be had again: it is gone with the reader.
fn doomed(name: &str, zone: ZoneId) -> (Port<OwnedFd>, std::io::PipeReader) {
    // Polled, a pipe that nobody reads from is in error, as a device is that is gone.
    let (reader, writer) = std::io::pipe().unwrap();
    (Port::new(name, writer.into(), &[zone]), reader)
}

fn owned(port: Port<UnixDatagram>) -> Port<OwnedFd> {
    Port {
        name: port.name,
        fd: port.fd.map(OwnedFd::from),
        zones: port.zones,
        generation: port.generation,
    }
}

/// Has the loop take this for the device in the second place.
fn bring(errands: &Errands, generation: u32, queue: OwnedFd) {
    let returned = Returned {
        place: 1,
        generation,
        queue,
    };
    ask(errands, move |inside| inside.returned.push(returned));
}

fn ask<T: Send + 'static>(
    errands: &Errands,
    work: impl FnOnce(&mut crate::gateway::errands::Inside<'_>) -> T + Send + 'static,
) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let asked = runtime.unwrap().block_on(errands.ask(work));
    asked.unwrap_or_else(|ended| panic!("{ended}"))
}

#[test]
fn a_device_that_is_gone_is_told_once_and_one_that_comes_in_its_place_is_taken_up() {
    let (lan_port, lan) = device("lan0", &[LAN]);
    let (wan_port, reader) = doomed("wan0", WAN);
    let ports = vec![owned(lan_port), wan_port];
    let (running, mut stop, errands, mut losses) = start_reporting(ports);
    let outward = udp([10, 0, 0, 7], [198, 51, 100, 21], (5000, 7000));
    drop(reader);
    let lost = |generation| Loss {
        place: 1,
        generation,
    };
    assert_eq!(losses.blocking_recv(), Some(lost(0)));
    // The others are served meanwhile, and what would leave by it is counted.
    let counters = || ask(&errands, |inside| *inside.counters);
    for _ in 0..3 {
        lan.send(&outward).unwrap();
    }
    while counters().received < 3 {
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(counters().no_device, 3);
    // What comes first is gone already.
    let (gone, _reader) = doomed("wan0", WAN);
    drop(_reader);
    bring(&errands, 1, gone.fd.unwrap());
    assert_eq!(losses.blocking_recv(), Some(lost(1)));
    let (near, far) = device("wan0", &[WAN]);
    bring(&errands, 2, owned(near).fd.unwrap());
    lan.send(&outward).unwrap();
    let mut buffer = [0; 2048];
    far.recv(&mut buffer).unwrap();
    // The session is the one that has begun before.
    assert_eq!(ask(&errands, |inside| inside.engine.sessions().len()), 1);
    let port = u16::from_be_bytes([buffer[20], buffer[21]]);
    far.send(&udp([198, 51, 100, 21], [203, 0, 113, 2], (7000, port)))
        .unwrap();
    lan.recv(&mut buffer).unwrap();
    assert_eq!(buffer[16..20], [10, 0, 0, 7]);
    assert!(losses.try_recv().is_err());
    stop.write_all(b"!").unwrap();
    let (summary, ended) = running.join().unwrap();
    assert!(ended.is_ok(), "{ended:?}");
    assert_eq!(summary.devices.no_device, 3);
    assert_eq!(summary.devices.sent, 2);
}

#[test]
fn a_loop_whose_device_is_gone_waits_and_does_not_spin() {
    let (lan_port, _lan) = device("lan0", &[LAN]);
    let (wan_port, reader) = doomed("wan0", WAN);
    let ports = vec![owned(lan_port), wan_port];
    let (running, mut stop, errands, mut losses) = start_reporting(ports);
    drop(reader);
    losses.blocking_recv().unwrap();
    let spent = move || {
        ask(&errands, |_| {
            rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime)
        })
    };
    let before = spent();
    thread::sleep(Duration::from_millis(300));
    let after = spent();
    let nanoseconds =
        (after.tv_sec - before.tv_sec) * 1_000_000_000 + after.tv_nsec - before.tv_nsec;
    assert!(nanoseconds < 50_000_000, "{nanoseconds}");
    stop.write_all(b"!").unwrap();
    assert!(running.join().unwrap().1.is_ok());
}

#[test]
fn where_nobody_hears_of_it_a_device_that_is_gone_ends_the_loop() {
    let (lan_port, _lan) = device("lan0", &[LAN]);
    let (wan_port, reader) = doomed("wan0", WAN);
    let (running, _stop, _errands, losses) = start_reporting(vec![owned(lan_port), wan_port]);
    drop(losses);
    drop(reader);
    let ended = running.join().unwrap().1.unwrap_err();
    assert!(matches!(ended, GatewayError::DeviceGone { name } if name == "wan0"));
}

#[test]
fn no_packet_is_lost_while_other_policies_take_over() {
    const PACKETS: u16 = 5_000;
    let (lan_port, lan) = device("lan0", &[LAN]);
    let (wan_port, wan) = device("wan0", &[WAN]);
    let (running, mut stop, errands) = start_with_errands(vec![lan_port, wan_port]);
    // As many at a time as a socket keeps for sure.
    let traffic = thread::spawn(move || {
        let mut buffer = [0; 2048];
        for first in (0..PACKETS).step_by(4) {
            for n in first..first + 4 {
                let packet = udp([10, 0, 0, 7], [198, 51, 100, 21], (1024 + n % 64, 7000));
                lan.send(&packet).unwrap();
            }
            for n in first..first + 4 {
                wan.recv(&mut buffer).unwrap();
                assert_eq!(buffer[12..16], [203, 0, 113, 2]);
                // Each client's port is a session of its own.
                let port = u16::from_be_bytes([buffer[20], buffer[21]]);
                assert_eq!(port, 1024 + n % 64);
            }
        }
        (lan, wan)
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let mut reloads = 0;
    while !traffic.is_finished() {
        // Another rule before the others each time.
        let rule =
            format!(r#"rules = [ {{ id = "r{reloads}", src = "10.9.9.9", action = "drop" }},"#);
        let rules = RULES.replace("rules = [", &rule);
        let compiled = crate::config::compile(Path::new("test.toml"), &rules).unwrap();
        let policy = errands.ask(|inside| Arc::clone(inside.engine.policy()));
        let policy = runtime.block_on(policy).unwrap();
        let successor = crate::engine::Successor::new(compiled.policy, &policy).unwrap();
        let swapped = errands.ask(move |inside| inside.engine.reload(successor, inside.now));
        drop(runtime.block_on(swapped).unwrap().unwrap());
        reloads += 1;
    }
    assert!(reloads > 3, "{reloads}");
    let _devices = traffic.join().unwrap();
    stop.write_all(b"!").unwrap();
    let (summary, ended) = running.join().unwrap();
    assert!(ended.is_ok());
    assert_eq!(summary.devices.sent, u64::from(PACKETS));
}
