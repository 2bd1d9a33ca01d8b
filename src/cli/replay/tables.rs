//! `--tables`: what the gateway remembers at the end of a replay: sessions by
//! both tuples, public endpoints and whom they stand for, data sessions that
//! are awaited.

use std::io::{self, Write};

use crate::cli::listing::{LISTED, plain_table, print_table};
use crate::cli::words::{count, length, octets, way};
use crate::engine::{Engine, Policy};
use crate::net::{Direction, NatRows, Timestamp};
use crate::objects::{binding_ends, rule_name};
use crate::session::{Expectation, Session};

/// Says how much is live, and how to see it.
pub(super) fn print_counts(to: &mut impl Write, engine: &Engine) -> io::Result<()> {
    let sessions = engine.sessions();
    let number = |len: usize| len as u64;
    let live = [
        (number(sessions.len()), "session", "sessions"),
        (number(sessions.bindings().len()), "mapping", "mappings"),
        (
            number(sessions.expectations().len()),
            "expectation",
            "expectations",
        ),
    ];
    let live = live.into_iter().filter(|(number, ..)| *number > 0);
    let live: Vec<_> = live.map(|(n, one, many)| count(n, one, many)).collect();
    if live.is_empty() {
        return Ok(());
    }
    writeln!(
        to,
        "\nLive at the end: {} (--tables lists them)",
        live.join(", ")
    )
}

/// Prints all three tables.
pub(super) fn print(to: &mut impl Write, engine: &Engine) -> io::Result<()> {
    print_sessions(to, engine)?;
    print_bindings(to, engine)?;
    print_expectations(to, engine)
}

/// `tcp ftp`, `tcp data`, `udp`.
pub(in crate::cli) fn protocol(session: &Session, policy: &Policy) -> String {
    let origin = &session.origin;
    let protocol = origin.tuples.original.protocol;
    let service = origin.service;
    match service.and_then(|service| policy.services.get(service)) {
        Some(service) => format!("{protocol} {}", service.name),
        None if origin.parent.is_some() => format!("{protocol} data"),
        None => protocol.to_string(),
    }
}

/// When something that ends at `deadline` ends, from now on.
pub(super) fn left(engine: &Engine, deadline: Timestamp) -> String {
    length(deadline.since(engine.now()))
}

fn rows(rows: NatRows, policy: &Policy) -> String {
    let names: Vec<_> = rows.iter().map(|row| policy.nat.name(row)).collect();
    names.join(", ")
}

/// How many more there are than are listed.
fn print_rest(to: &mut impl Write, all: usize) -> io::Result<()> {
    match all.saturating_sub(LISTED) {
        0 => Ok(()),
        more => writeln!(to, "  and {more} more"),
    }
}

/// Each by its two tuples, one in a line, as its packets arrive.
fn print_sessions(to: &mut impl Write, engine: &Engine) -> io::Result<()> {
    let all = engine.sessions().sorted();
    writeln!(to, "\nSessions at the end ({})", all.len())?;
    if all.is_empty() {
        return writeln!(to, "  none");
    }
    let mut table = plain_table();
    table.set_header([
        "", "protocol", "state", "left", "tuples", "by", "packets", "bytes", "of", "rule", "nat",
    ]);
    for session in all.iter().take(LISTED) {
        for direction in Direction::BOTH {
            table.add_row(session_line(session, direction, engine));
        }
    }
    print_table(to, table, &[6, 7])?;
    print_rest(to, all.len())
}

fn session_line(session: &Session, direction: Direction, engine: &Engine) -> Vec<String> {
    let policy = engine.policy();
    let origin = &session.origin;
    let counter = session.counters[direction];
    let common = [
        // A packet of one direction arrives where those of the other leave.
        way(&origin.tuples[direction]),
        policy.zones.name(origin.egress[!direction]).to_owned(),
        counter.packets.to_string(),
        octets(counter.bytes),
    ];
    let (before, after) = match direction {
        Direction::Original => (
            [
                session.id.to_string(),
                protocol(session, policy),
                session.state().to_string(),
                left(engine, session.deadline),
            ],
            [
                origin.parent.map(|id| id.to_string()).unwrap_or_default(),
                rule_name(session, policy)
                    .unwrap_or("default policy")
                    .to_owned(),
                rows(origin.nat, policy),
            ],
        ),
        Direction::Reply => (Default::default(), Default::default()),
    };
    before.into_iter().chain(common).chain(after).collect()
}

fn print_bindings(to: &mut impl Write, engine: &Engine) -> io::Result<()> {
    let all = engine.sessions().bindings();
    writeln!(to, "\nMappings at the end ({})", all.len())?;
    if all.is_empty() {
        return writeln!(to, "  none");
    }
    let mut table = plain_table();
    table.set_header([
        "protocol",
        "inside",
        "public",
        "mapping",
        "filtering",
        "row",
        "sessions",
        "left",
    ]);
    for binding in all.iter().take(LISTED) {
        let [inside, outside] = binding_ends(binding);
        table.add_row([
            binding.protocol.to_string(),
            inside,
            outside,
            binding.behaviour.mapping.name().to_owned(),
            binding.behaviour.filtering.name().to_owned(),
            binding
                .row
                .map_or("", |row| engine.policy().nat.name(row))
                .to_owned(),
            binding.sessions.to_string(),
            left(engine, binding.deadline),
        ]);
    }
    print_table(to, table, &[6])?;
    print_rest(to, all.len())
}

fn print_expectations(to: &mut impl Write, engine: &Engine) -> io::Result<()> {
    let all = engine.sessions().expectations().sorted();
    writeln!(to, "\nExpectations at the end ({})", all.len())?;
    if all.is_empty() {
        return writeln!(to, "  none");
    }
    let mut table = plain_table();
    table.set_header(["of", "protocol", "client", "server", "leads to", "left"]);
    for expectation in all.iter().take(LISTED) {
        table.add_row(expectation_line(expectation, engine));
    }
    print_table(to, table, &[])?;
    print_rest(to, all.len())
}

fn expectation_line(expectation: &Expectation, engine: &Engine) -> Vec<String> {
    let tuple = &expectation.tuple;
    vec![
        expectation.parent.id().to_string(),
        tuple.protocol.to_string(),
        tuple.source.to_string(),
        tuple.destination.to_string(),
        expectation.to.to_string(),
        left(engine, expectation.deadline),
    ]
}
