//! Workers in threads of their own, who begin sessions at the same moment that want the same
//! public endpoints: each gets another, every answer comes back to the one who asked,
//! and in the end nobody has anything.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use spigate::engine::{
    Arrival, Checksums, Engine, Handed, Options, Output, Reason, Silent, Verdict, Waiting,
};
use spigate::net::{Direction, Timestamp, Workers, ZoneId};
use spigate::session::Crew;

use super::packets::{Packet, tcp};
use super::seen::{Body, Seen, Sums};

const RULES: &str = r#"
version = 1
[zones]
lan = { tun = "lan0", net = "10.0.0.0/16", address = "10.0.0.1" }
wan = { tun = "wan0", net = "0.0.0.0/0", address = "203.0.113.2" }
[policy]
default = "drop"
rules = [{ id = "out", from = "lan", to = "wan", action = "allow" }]
[nat]
source = [{ id = "masq", from = "lan", to = "wan", as = "masquerade" MORE }]
"#;

const LAN: ZoneId = ZoneId(0);
const WAN: ZoneId = ZoneId(1);
const CLIENTS: usize = 600;
/// How many packets each conversation has.
const LENGTH: usize = 8;
const WORKERS: u8 = 4;

/// A packet on its way, and whose conversation it is of.
struct Parcel {
    waiting: Waiting,
    client: usize,
}

/// What somebody made of it.
struct Done {
    client: usize,
    verdict: Verdict,
    reason: Reason,
    frame: Vec<u8>,
}

fn work(
    mut engine: Engine,
    inbox: &Receiver<Parcel>,
    others: &[Sender<Parcel>],
    done: &Sender<Done>,
) -> Engine {
    let mut out = Output::default();
    while let Ok(mut parcel) = inbox.recv() {
        // A clientless parcel says that all is done.
        if parcel.client == usize::MAX {
            break;
        }
        let mut judged = None;
        let batch = std::slice::from_mut(&mut parcel.waiting);
        engine.packets(batch, &mut out, &mut Silent, |_, judgement, _| {
            judged = Some(*judgement);
        });
        let judged = judged.unwrap();
        if let Verdict::Elsewhere(worker) = judged.verdict {
            others[usize::from(worker.0)].send(parcel).unwrap();
            continue;
        }
        let answer = Done {
            client: parcel.client,
            verdict: judged.verdict,
            reason: judged.reason,
            frame: parcel.waiting.packet().to_vec(),
        };
        done.send(answer).unwrap();
    }
    engine
}

/// What the next packet of a conversation is, after what came of the last.
fn next(step: usize, socket: &str, last: &Seen) -> (ZoneId, Packet) {
    let server = "198.51.100.9:80";
    let outward = || tcp(socket, server).seq(1001 + u32::try_from(step).unwrap() / 2 * 10);
    match step {
        0 => (LAN, tcp(socket, server).syn().seq(1000)),
        1 => (WAN, tcp(server, &last.source).syn().seq(5000).ack(1001)),
        2 => (LAN, tcp(socket, server).seq(1001).ack(5001)),
        _ if step % 2 == 1 => {
            // To the one who has sent the last, by the endpoint that it is known by.
            let Body::Tcp(header, data) = &last.body else {
                panic!("no TCP: {last:?}");
            };
            let heard = header.sequence_number + u32::try_from(data.len()).unwrap();
            (WAN, tcp(server, &last.source).seq(5001).ack(heard))
        }
        _ => (LAN, outward().ack(5001).data("0123456789")),
    }
}

fn converse(more: &str, one_client: bool) {
    let rules = RULES.replace("MORE", more);
    let policy = spigate::config::compile(Path::new("crew.toml"), &rules)
        .unwrap()
        .policy;
    let policy = Arc::new(policy);
    let start = Timestamp::from_secs(1_772_355_600);
    let options = Options {
        seed: 5,
        checksums: Checksums::Verify,
    };
    let crew = Crew::new(Workers::new(WORKERS).unwrap(), 5);
    let (inboxes, receivers): (Vec<_>, Vec<_>) = (0..WORKERS).map(|_| channel::<Parcel>()).unzip();
    let (done, outcomes) = channel();
    let mut threads = Vec::new();
    for (post, inbox) in crew.posts().zip(receivers) {
        let engine = Engine::at_post(Arc::clone(&policy), options, start, post);
        let (others, done) = (inboxes.clone(), done.clone());
        threads.push(thread::spawn(move || work(engine, &inbox, &others, &done)));
    }
    // Many clients with one port, or one client with many.
    let socket = |client: usize| match one_client {
        true => format!("10.0.0.7:{}", 20_000 + client),
        false => format!("10.0.{}.{}:51000", 1 + client / 200, 1 + client % 200),
    };
    let mut random = 1_u64;
    let mut steps = vec![0_usize; CLIENTS];
    let mut send = |client: usize, (zone, packet): (ZoneId, Packet)| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let waiting = Waiting {
            at: start,
            arrival: Arrival::whole(zone),
            frame: packet.bytes(),
            headroom: 0,
            handed: Handed::NOT,
        };
        let worker = usize::try_from(random >> 33).unwrap() % inboxes.len();
        inboxes[worker].send(Parcel { waiting, client }).unwrap();
    };
    let nothing = Seen::read(&tcp("10.0.0.7:1", "10.0.0.8:1").syn().bytes(), Sums::Right);
    for client in 0..CLIENTS {
        send(client, next(0, &socket(client), &nothing));
    }
    let mut public = HashSet::new();
    let mut left = CLIENTS * LENGTH;
    while left > 0 {
        let Done {
            client,
            verdict,
            reason,
            frame,
        } = outcomes.recv_timeout(Duration::from_secs(60)).unwrap();
        left -= 1;
        let step = steps[client];
        let out = if step.is_multiple_of(2) { WAN } else { LAN };
        assert_eq!(
            verdict,
            Verdict::Forward(out),
            "{reason}: step {step} of {}",
            socket(client)
        );
        let seen = Seen::read(&frame, Sums::Right);
        if step == 0 {
            assert!(public.insert(seen.source.clone()), "{} twice", seen.source);
        }
        if step % 2 == 1 {
            assert_eq!(seen.destination, socket(client));
        }
        steps[client] += 1;
        if steps[client] < LENGTH {
            send(client, next(steps[client], &socket(client), &seen));
        }
    }
    for inbox in &inboxes {
        let waiting = Waiting {
            at: start,
            arrival: Arrival::whole(LAN),
            frame: Vec::new(),
            headroom: 0,
            handed: Handed::NOT,
        };
        inbox
            .send(Parcel {
                waiting,
                client: usize::MAX,
            })
            .unwrap();
    }
    let mut engines: Vec<_> = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect();
    let all: Vec<_> = engines
        .iter()
        .flat_map(|engine| engine.sessions().sorted())
        .collect();
    assert_eq!(all.len(), CLIENTS);
    let mut known = HashSet::new();
    for session in &all {
        for direction in Direction::BOTH {
            let counter = session.counters[direction];
            assert_eq!(counter.packets, LENGTH as u64 / 2);
            assert!(known.insert(session.origin.tuples[direction]));
        }
    }
    let ids: HashSet<_> = all.iter().map(|session| session.id).collect();
    assert_eq!(ids.len(), CLIENTS);
    let end = start.after(Duration::from_secs(10 * 24 * 3600));
    let mut out = Output::default();
    for engine in &mut engines {
        while engine.expire(end, &mut out).is_left() {}
    }
    assert!(crew.is_idle(), "{crew:?}");
}

#[test]
fn clients_who_want_the_same_public_endpoint_get_one_each() {
    converse("", false);
}

#[test]
fn so_do_those_who_have_one_for_all_servers() {
    converse(
        r#", mapping = "endpoint-independent", filtering = "endpoint-independent""#,
        false,
    );
}

#[test]
fn so_do_those_who_lease_blocks() {
    converse(
        r#", ports = "1024-65535", blocks = { size = 64, per-client = 2 }"#,
        false,
    );
}

#[test]
fn a_clients_connections_are_begun_by_whoever_gets_them() {
    converse("", true);
}
