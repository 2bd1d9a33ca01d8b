//! A state file that somebody has changed, and its checksum with it.
//!
//! The input is the body of the file. Whatever it says, it is refused as a whole, or an
//! engine goes on by it that is in order, passes packets, and in the end has nothing left.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use spigate::config;
use spigate::engine::{
    Arrival, Checksums, Engine, Gap, Meanwhile, Options, Output, Policy, Silent,
};
use spigate::expression::PacketExpression;
use spigate::net::{Direction, Protocol, Timestamp, Tuple, ZoneId};
use spigate::state::{self, Encoder, Standing, State, Written};

/// Rows of every kind that remembers something.
const RULES: &str = r#"
version = 1
[zones]
lan = { tun = "lan0", net = ["10.0.0.0/24", "2001:db8:10::/64"], address = "10.0.0.1" }
dmz = { tun = "dmz0", net = ["10.0.9.0/24"], address = "10.0.9.1" }
wan = { tun = "wan0", net = ["0.0.0.0/0", "::/0"], address = ["203.0.113.2", "2001:db8:ff::2"] }
[services]
ftp  = { tcp = 21, alg = "ftp" }
tftp = { udp = 69, alg = "tftp" }
[timeouts]
on-expiry = "probe"
[policy]
default = "drop"
on-reload = "recheck"
rules = [
  { id = "out", from = ["lan", "dmz"], to = "wan", action = "allow" },
  { id = "in",  from = "wan", to = "dmz", action = "allow", max-sessions = 10 },
]
[nat]
source = [
  { id = "blocks", from = "lan", to = "wan", src = "10.0.0.128/25", as = "203.0.113.20", ports = "5000-5127", blocks = { size = 8, per-client = 2 }, log = "mappings" },
  { id = "open", from = "lan", to = "wan", service = "any-udp", as = "masquerade", mapping = "endpoint-independent", filtering = "endpoint-independent", hold-down = "40s" },
  { id = "masq", from = ["lan", "dmz"], to = "wan", as = "masquerade" },
]
forward = [{ id = "ftp", on = "wan", service = "ftp", to = "10.0.9.21" }]
"#;

static POLICY: LazyLock<Arc<Policy>> = LazyLock::new(|| {
    let text = RULES.replace(
        "[services]",
        "[services]\nany-udp = { udp = \"1024-65535\" }",
    );
    let compiled = config::compile(Path::new("state.toml"), &text);
    Arc::new(compiled.expect("the rule file compiles").policy)
});

/// When all of it is.
const NOW: Timestamp = Timestamp::from_secs(1_772_355_600);

const OPTIONS: Options = Options {
    seed: 1,
    checksums: Checksums::Verify,
};

/// An engine that packets have come through, an expression a line, `wait SECONDS` between.
pub fn lived(script: &str) -> Engine {
    let mut engine = Engine::new(Arc::clone(&POLICY), OPTIONS, NOW);
    let mut now = NOW;
    for line in script.lines() {
        if let Some(seconds) = line.strip_prefix("wait ") {
            now = now.after(Duration::from_secs(seconds.parse().expect("a number")));
            while engine.expire(now, &mut Output::default()).is_left() {}
            continue;
        }
        let (zone, _) = line.split_once(' ').expect("a zone comes first");
        let zone = POLICY.zones.by_name(zone).expect("it is of this name");
        let expression: PacketExpression = line.parse().expect("a packet");
        send(&mut engine, now, zone, expression.packet.build());
    }
    engine
}

/// The file of what an engine knows.
pub fn file(engine: &Engine) -> Vec<u8> {
    let mut encoder = Encoder::new();
    for part in engine.snapshot_parts(engine.now()) {
        encoder.push(&part).expect("it can be written down");
    }
    let file = encoder.finish(Standing::AtRest, &Written::default());
    file.expect("it can be written down")
}

/// An engine that goes on by it.
pub fn restored(state: State, meanwhile: Meanwhile) -> Option<Engine> {
    let gap = Gap {
        time: Duration::from_secs(1),
        meanwhile,
    };
    let restored = Engine::restore(&POLICY, OPTIONS, NOW, (state.snapshot, gap));
    Some(restored.ok()?.0)
}

/// Whatever the body says, it is refused, or an engine goes on by it and is in order.
pub fn run(data: &[u8]) {
    let Ok(state) = state::decode(&state::seal(data, Standing::AtRest)) else {
        return;
    };
    for meanwhile in [Meanwhile::Nothing, Meanwhile::Packets] {
        if let Some(engine) = restored(state.clone(), meanwhile) {
            go_on(engine);
        }
    }
}

fn go_on(mut engine: Engine) {
    check(&engine);
    for session in engine.sessions().sorted().iter().take(8) {
        for direction in Direction::BOTH {
            let arrives = session.origin.egress[!direction];
            if let Some(packet) = packet(&session.origin.tuples[direction], arrives) {
                send(&mut engine, NOW, arrives, packet);
                check(&engine);
            }
        }
    }
    // It can be written down as well, and be gone on by.
    let again = state::decode(&file(&engine)).expect("an engine has written it");
    let again = restored(again, Meanwhile::Nothing).expect("an engine has written it");
    check(&again);

    let end = NOW.after(Duration::from_secs(2 * 366 * 24 * 3600));
    let mut out = Output::default();
    // Those that are asked whether they are there are asked again.
    for round in 0..8 {
        let now = end.after(Duration::from_secs(round * 24 * 3600));
        while engine.expire(now, &mut out).is_left() {}
        out.clear();
    }
    let sessions = engine.sessions();
    assert!(sessions.is_empty(), "{:?}", sessions.sorted());
    assert!(sessions.expectations().is_empty());
    assert_eq!(sessions.mappings().in_use(), 0);
    assert_eq!(sessions.census().sources(), 0);
}

fn send(engine: &mut Engine, now: Timestamp, zone: ZoneId, mut packet: Vec<u8>) {
    let arrival = Arrival::whole(zone);
    let mut out = Output::default();
    engine.packet(now, arrival, &mut packet, &mut out, &mut Silent);
}

/// Something of this tuple.
fn packet(tuple: &Tuple, zone: ZoneId) -> Option<Vec<u8>> {
    let what = match tuple.protocol {
        Protocol::TCP => "tcp",
        Protocol::UDP => "udp",
        _ => return None,
    };
    let zone = POLICY.zones.name(zone);
    let (source, destination) = (tuple.source, tuple.destination);
    let flags = match tuple.protocol {
        Protocol::TCP => "ack psh seq 100 payload \"PORT 10,0,0,7,200,10\\r\\n\"",
        _ => "",
    };
    let line = format!("{zone} {what} {source} > {destination} {flags}");
    let expression: PacketExpression = line.trim().parse().ok()?;
    Some(expression.packet.build())
}

/// Each tuple has one owner, which both of its tuples find; and who is awaited is
/// awaited by somebody.
fn check(engine: &Engine) {
    let sessions = engine.sessions();
    let mut tuples = HashSet::new();
    for session in sessions.sorted() {
        let [original, reply] = Direction::BOTH.map(|way| session.origin.tuples[way]);
        assert!(tuples.insert(original), "two sessions have {original}");
        assert!(
            tuples.insert(reply) || reply == original,
            "two have {reply}"
        );
        for tuple in [original, reply] {
            let found = sessions.lookup(&tuple).map(|(_, found, _)| found.id);
            assert_eq!(found, Some(session.id));
        }
    }
    for expectation in sessions.expectations().sorted() {
        assert!(sessions.get(expectation.parent).is_some(), "an orphan");
    }
}
