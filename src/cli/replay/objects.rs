//! Sessions and what belongs to them as JSON objects.

use serde::Serialize;

use super::dialogue::{Entry, Fate, What, speaker};
use super::tables::{binding_ends, rule_name};
use crate::cli::words::{Shown, ends};
use crate::engine::{Engine, Policy};
use crate::net::{Direction, NatRow, Timestamp};
use crate::session::{Binding, Expectation, Session, SessionId};

/// What becomes of a session's addresses.
#[derive(Debug, Serialize)]
pub(super) struct NatObject {
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<Change>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Change>,
}

/// What becomes of one end, and which row says so.
#[derive(Debug, Serialize)]
struct Change {
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    from: String,
    to: String,
}

impl NatObject {
    /// `None` where no row is about the session, and nothing of it changes.
    pub(super) fn of(session: &Session, policy: &Policy) -> Option<Self> {
        let origin = &session.origin;
        let arrives = ends(&origin.tuples.original);
        let leaves = ends(&origin.outgoing(Direction::Original));
        let change = |row: Option<NatRow>, from: Shown, to: Shown| {
            (row.is_some() || from != to).then(|| Change {
                rule: row.map(|row| policy.nat.name(row).to_owned()),
                from: from.to_string(),
                to: to.to_string(),
            })
        };
        let [arrives_from, arrives_at] = arrives;
        let [leaves_from, leaves_for] = leaves;
        let found = Self {
            destination: change(origin.nat.destination, arrives_at, leaves_for),
            source: change(origin.nat.source, arrives_from, leaves_from),
        };
        (found.destination.is_some() || found.source.is_some()).then_some(found)
    }
}

/// A session that is live.
#[derive(Debug, Serialize)]
pub(super) struct SessionObject<'a> {
    table: &'static str,
    session: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<u64>,
    protocol: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a str>,
    state: &'static str,
    original: TupleObject<'a>,
    reply: TupleObject<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nat: Option<NatObject>,
    began: String,
    remaining: f64,
}

/// One direction of a session, as its packets arrive.
#[derive(Debug, Serialize)]
struct TupleObject<'a> {
    #[serde(rename = "in")]
    zone: &'a str,
    source: String,
    destination: String,
    packets: u64,
    bytes: u64,
}

impl<'a> SessionObject<'a> {
    pub(super) fn of(session: &Session, engine: &'a Engine) -> Self {
        let policy = engine.policy();
        let origin = &session.origin;
        let service = origin.service;
        let service = service.and_then(|service| policy.services.get(service));
        let tuple = |direction: Direction| {
            let [source, destination] = ends(&origin.tuples[direction]);
            let counter = session.counters[direction];
            TupleObject {
                zone: policy.zones.name(origin.egress[!direction]),
                source: source.to_string(),
                destination: destination.to_string(),
                packets: counter.packets,
                bytes: counter.bytes,
            }
        };
        Self {
            table: "session",
            session: session.id.0,
            parent: origin.parent.map(|parent| parent.0),
            protocol: origin.tuples.original.protocol.to_string(),
            service: service.map(|service| service.name.as_str()),
            state: session.state().name(),
            original: tuple(Direction::Original),
            reply: tuple(Direction::Reply),
            rule: rule_name(session, policy),
            nat: NatObject::of(session, policy),
            began: session.began.to_string(),
            remaining: remaining(engine, session.deadline),
        }
    }
}

/// A public endpoint that stands for an inside socket.
#[derive(Debug, Serialize)]
pub(super) struct MappingObject<'a> {
    table: &'static str,
    protocol: String,
    inside: String,
    public: String,
    mapping: &'static str,
    filtering: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
    sessions: u32,
    remaining: f64,
}

impl<'a> MappingObject<'a> {
    pub(super) fn of(binding: &Binding, engine: &'a Engine) -> Self {
        let [inside, public] = binding_ends(binding);
        let nat = &engine.policy().nat;
        Self {
            table: "mapping",
            protocol: binding.protocol.to_string(),
            inside,
            public,
            mapping: binding.behaviour.mapping.name(),
            filtering: binding.behaviour.filtering.name(),
            rule: binding.row.map(|row| nat.name(row)),
            sessions: binding.sessions,
            remaining: remaining(engine, binding.deadline),
        }
    }
}

/// A data session that is awaited.
#[derive(Debug, Serialize)]
pub(super) struct ExpectationObject {
    table: &'static str,
    session: u64,
    protocol: String,
    source: String,
    destination: String,
    to: String,
    remaining: f64,
}

impl ExpectationObject {
    pub(super) fn of(expectation: &Expectation, engine: &Engine) -> Self {
        let tuple = &expectation.tuple;
        Self {
            table: "expectation",
            session: expectation.parent.id().0,
            protocol: tuple.protocol.to_string(),
            source: tuple.source.to_string(),
            destination: tuple.destination.to_string(),
            to: expectation.to.to_string(),
            remaining: remaining(engine, expectation.deadline),
        }
    }
}

/// How often a row of the file decided.
#[derive(Debug, Serialize)]
pub(super) struct RowObject<'a> {
    table: &'static str,
    rule: &'a str,
    hits: u64,
}

/// Rules, then rows of translation, each in the order in which they are asked.
pub(super) fn row_objects(engine: &Engine) -> impl Iterator<Item = RowObject<'_>> {
    let (policy, counters) = (engine.policy(), engine.counters());
    let rules = policy.rules.iter().map(|(id, rule)| RowObject {
        table: "rule",
        rule: &rule.name,
        hits: counters.hits(id),
    });
    let translations = policy.nat.rows().map(|row| RowObject {
        table: "translation",
        rule: policy.nat.name(row),
        hits: counters.translated(row),
    });
    rules.chain(translations)
}

/// Something that was said in a control session, or came of it.
#[derive(Debug, Serialize)]
pub(super) struct DialogueObject<'a> {
    dialogue: u64,
    packet: u64,
    by: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<&'a str>,
    #[serde(rename = "left-as", skip_serializing_if = "Option::is_none")]
    left_as: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hole: Option<HoleObject>,
}

/// A hole that was opened.
#[derive(Debug, Serialize)]
struct HoleObject {
    destination: String,
    to: String,
    fate: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remaining: Option<f64>,
}

impl<'a> DialogueObject<'a> {
    pub(super) fn of(session: SessionId, entry: &'a Entry, engine: &Engine) -> Self {
        let mut object = Self {
            dialogue: session.0,
            packet: entry.packet,
            by: speaker(entry.by),
            line: None,
            left_as: None,
            note: None,
            hole: None,
        };
        match &entry.what {
            What::Line { came, went } => {
                object.line = Some(came);
                object.left_as = went.as_deref();
            }
            What::Note(note) => object.note = Some(note),
            What::Hole(hole) => {
                let (fate, session) = match hole.fate {
                    Fate::Awaited => ("closed", None),
                    Fate::Used(session) => ("used", Some(session.0)),
                    Fate::Expired => ("expired", None),
                    Fate::Live(_) => ("awaited", None),
                };
                object.hole = Some(HoleObject {
                    destination: hole.reached_at.to_string(),
                    to: hole.to.to_string(),
                    fate,
                    session,
                    remaining: match hole.fate {
                        Fate::Live(until) => Some(remaining(engine, until)),
                        Fate::Awaited | Fate::Used(_) | Fate::Expired => None,
                    },
                });
            }
        }
        object
    }
}

/// Seconds until something ends that ends at `deadline`.
fn remaining(engine: &Engine, deadline: Timestamp) -> f64 {
    deadline.since(engine.now()).as_secs_f64()
}
