//! A gateway's day: packets and pauses, through one engine.
//!
//! The input is text, one event a line, so that a seed reads like a transcript
//! and its parts can be recombined:
//!
//! ```text
//! lan tcp 10.0.0.7:51000 > 198.51.100.21:21 syn      a packet expression
//! lan 4500001c...                                    a packet in hex
//! wait 30                                            seconds
//! ```
//!
//! Any other line is passed over.

use std::collections::HashSet;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use spigate::config;
use spigate::engine::{
    Arrival, Checksums, Engine, Judgement, Options, Output, Policy, Reason, Silent, Verdict,
};
use spigate::expression::PacketExpression;
use spigate::net::{Direction, Timestamp, ZoneId};
use spigate::packet::Headers;

static OFFICE: LazyLock<Arc<Policy>> = LazyLock::new(|| office(""));

/// The office, where invalid packets may pass that nothing translates.
static OPEN_OFFICE: LazyLock<Arc<Policy>> =
    LazyLock::new(|| office(r#"{ id = "strays", ct = "invalid", action = "allow" },"#));

/// The office with another rule before its own.
fn office(rule: &str) -> Arc<Policy> {
    let text = include_str!("../../rules/office.toml");
    let text = text.replace("rules = [", &format!("rules = [ {rule}"));
    let compiled = config::compile(Path::new("office.toml"), &text);
    Arc::new(compiled.expect("the rule file compiles").policy)
}

/// More events than this are another of the same.
const ENOUGH: usize = 200;

/// Deciding changes nothing, what leaves is sound, no inside address gets out,
/// the table is in order after each event, and the same inputs give the same
/// bytes.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let events: Vec<_> = text.lines().filter_map(Event::read).take(ENOUGH).collect();
    for policy in [&OFFICE, &OPEN_OFFICE] {
        let mut sent = Vec::new();
        live_through(policy, &events, |judgement, packets| {
            sent.push((judgement, packets));
        });
        let mut before = sent.into_iter();
        live_through(policy, &events, |judgement, packets| {
            assert_eq!(before.next(), Some((judgement, packets)));
        });
    }
}

enum Event {
    Packet(ZoneId, Vec<u8>),
    Wait(Duration),
}

impl Event {
    fn read(line: &str) -> Option<Self> {
        let (zone, rest) = line.trim().split_once(' ')?;
        if zone == "wait" {
            let seconds = rest.trim().parse::<u32>().ok()?;
            return Some(Self::Wait(Duration::from_secs(seconds.into())));
        }
        let zone = OFFICE.zones.by_name(zone)?;
        let packet = octets(rest).or_else(|| {
            let expression: PacketExpression = line.parse().ok()?;
            Some(expression.packet.build())
        })?;
        Some(Self::Packet(zone, packet))
    }
}

fn octets(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = hex
        .chars()
        .map(|digit| Some(u8::try_from(digit.to_digit(16)?).expect("a digit is small")))
        .collect();
    let pairs = digits.filter(|digits| digits.len() >= 2)?;
    Some(
        pairs
            .chunks(2)
            .map(|pair| pair.iter().fold(0, |octet, digit| octet << 4 | digit))
            .collect(),
    )
}

fn live_through(
    policy: &Arc<Policy>,
    events: &[Event],
    mut sent: impl FnMut(Judgement, Vec<(ZoneId, Vec<u8>)>),
) {
    let options = Options {
        seed: 1,
        checksums: Checksums::Verify,
    };
    let mut now = Timestamp::from_secs(1);
    let mut engine = Engine::new(Arc::clone(policy), options, now);
    let mut out = Output::default();
    for event in events {
        let (zone, bytes) = match event {
            Event::Packet(zone, bytes) => (*zone, bytes),
            Event::Wait(pause) => {
                now = now.after(*pause);
                out.clear();
                while engine.expire(now, &mut out).is_left() {}
                for made in &out.made {
                    check_sent(made.zone, &made.bytes, &[], None);
                }
                check_table(&engine, now);
                continue;
            }
        };
        let arrival = Arrival::whole(zone);
        let foreseen = engine.explain(arrival, bytes, &mut Silent);
        let mut frame = bytes.clone();
        out.clear();
        let judgement = engine.packet(now, arrival, &mut frame, &mut out, &mut Silent);
        // What it says of a session may be told only once that exists.
        assert_eq!(
            (foreseen.verdict, foreseen.reason, foreseen.rule),
            (judgement.verdict, judgement.reason, judgement.rule)
        );
        let made = out.made.iter().map(|made| (made.zone, made.bytes.clone()));
        let mut packets: Vec<_> = made.collect();
        if let Verdict::Forward(to) = judgement.verdict {
            packets.push((to, frame));
            packets.extend(out.more.drain(..).map(|piece| (to, piece)));
        }
        for (to, packet) in &packets {
            check_sent(*to, packet, bytes, judgement.check);
        }
        check_table(&engine, now);
        sent(judgement, packets);
    }
}

/// `cause` is the packet that this one was sent for, `check` what was wrong with
/// that.
fn check_sent(zone: ZoneId, packet: &[u8], cause: &[u8], check: Option<Reason>) {
    let read = Headers::read(packet, false).expect("what leaves can be read");
    // What a rule lets by that came damaged leaves as damaged.
    if check != Some(Reason::BadChecksum) {
        assert_eq!(read.verify_checksums(packet), Ok(()));
    }
    let names = ["lan", "dmz"].map(|name| OFFICE.zones.by_name(name));
    let is_inside = |address: IpAddr| names.contains(&OFFICE.zones.holding(address));
    let is_outside = OFFICE.zones.by_name("wan") == Some(zone);
    // An RST speaks for whom the outside itself has named.
    let was_named = Headers::read(cause, false).is_ok_and(|c| c.destination == read.source);
    assert!(
        !is_outside || !is_inside(read.source) || was_named,
        "{} got out",
        read.source
    );
}

/// Each tuple has one owner, which both of its tuples find; nothing is there
/// whose time is over; and what is due next is not forgotten.
fn check_table(engine: &Engine, now: Timestamp) {
    let sessions = engine.sessions();
    let all = sessions.sorted();
    let mut tuples = HashSet::new();
    for session in &all {
        assert!(session.deadline > now, "overdue: {session:?}");
        let [original, reply] =
            [Direction::Original, Direction::Reply].map(|way| session.origin.tuples[way]);
        assert!(tuples.insert(original), "two sessions have {original}");
        // Who speaks to itself through the gateway is both ends.
        assert!(
            tuples.insert(reply) || reply == original,
            "two have {reply}"
        );
        for tuple in [original, reply] {
            let found = sessions.lookup(&tuple).map(|(_, found, _)| found.id);
            assert_eq!(found, Some(session.id));
        }
    }
    let expected = sessions.expectations().sorted();
    for expectation in &expected {
        assert!(expectation.deadline > now, "overdue: {expectation:?}");
        assert!(sessions.get(expectation.parent).is_some(), "an orphan");
    }
    let deadlines = all.iter().map(|session| session.deadline);
    let nearest = deadlines.chain(expected.iter().map(|e| e.deadline)).min();
    let next = engine.next_deadline();
    assert!(nearest.is_none_or(|nearest| next.is_some_and(|next| next <= nearest)));
}
