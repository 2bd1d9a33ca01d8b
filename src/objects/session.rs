//! A session.

use serde::Serialize;

use super::{Shown, View, ends};
use crate::engine::Policy;
use crate::net::{Direction, NatRow};
use crate::rules::RuleId;
use crate::session::Session;

/// What becomes of a session's addresses.
#[derive(Debug, Serialize)]
pub struct NatObject {
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
    #[must_use]
    pub fn of(session: &Session, policy: &Policy) -> Option<Self> {
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
pub struct SessionObject<'a> {
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
    /// What is shown of this session.
    #[must_use]
    pub fn of(session: &Session, view: View<'a>) -> Self {
        let policy = view.policy;
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
            remaining: view.remaining(session.deadline),
        }
    }
}

/// The name of the rule that let a session in.
#[must_use]
pub fn rule_name<'a>(session: &Session, policy: &'a Policy) -> Option<&'a str> {
    let rule = session.origin.rule.map(RuleId)?;
    policy.rules.get(rule).map(|rule| rule.name.as_str())
}
