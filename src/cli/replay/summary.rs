//! The summary of a replay, for people.

use std::collections::BTreeMap;
use std::io::{self, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};

use crate::capture::{PacketReport, Readdressed};
use crate::config::Compiled;
use crate::engine::{Ending, Engine, Event, Extent, Made, Policy, Reason};
use crate::net::{Endpoint, Timestamp, Tuple};
use crate::rules::RuleId;
use crate::session::{Session, SessionId};

/// Sessions that are listed, those that began first: a flood has millions, and
/// nobody reads them.
const LISTED: usize = 1_000;

/// What a replay amounts to.
#[derive(Debug, Default)]
pub(super) struct Summary {
    packets: u64,
    bytes: u64,
    span: Option<(Timestamp, Timestamp)>,
    cut: u64,
    readdressed: u64,
    made: u64,
    /// How many sessions there were.
    began: u64,
    /// Those that are listed.
    sessions: BTreeMap<SessionId, Told>,
}

/// A session as the summary tells of it.
#[derive(Debug)]
struct Told {
    session: Session,
    end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Live,
    Ended(Ending),
}

impl Summary {
    pub(super) fn packet(&mut self, report: &PacketReport<'_>) {
        self.packets += 1;
        self.bytes += report.frame.len() as u64;
        let (first, last) = self.span.unwrap_or((report.time, report.time));
        self.span = Some((first.min(report.time), last.max(report.time)));
        self.cut += u64::from(report.extent == Extent::Cut);
        self.readdressed += u64::from(report.readdressed == Readdressed::Yes);
        self.made += report.made.len() as u64;
    }

    pub(super) fn event(&mut self, event: &Event, made: &[Made]) {
        self.made += made.len() as u64;
        if let Event::Ended {
            session, ending, ..
        } = event
        {
            let told = Told {
                session: session.clone(),
                end: End::Ended(*ending),
            };
            self.tell(told);
        }
    }

    /// Takes in the sessions that are still alive.
    pub(super) fn finish(&mut self, engine: &Engine) {
        for session in engine.sessions().sorted() {
            let told = Told {
                session: session.clone(),
                end: End::Live,
            };
            self.tell(told);
        }
    }

    fn tell(&mut self, told: Told) {
        self.began += 1;
        self.sessions.insert(told.session.id, told);
        if self.sessions.len() > LISTED {
            self.sessions.pop_last();
        }
    }

    pub(super) fn print(
        &self,
        to: &mut impl Write,
        engine: &Engine,
        compiled: &Compiled,
    ) -> io::Result<()> {
        self.print_head(to)?;
        self.print_sessions(to, engine.policy())?;
        print_verdicts(to, engine)?;
        print_rules(to, engine, compiled)?;
        self.print_advice(to, engine)
    }

    fn print_head(&self, to: &mut impl Write) -> io::Result<()> {
        write!(to, "{}, {}", packets(self.packets), octets(self.bytes))?;
        if let Some((first, last)) = self.span {
            write!(to, ", {first} + {:.3} s", last.since(first).as_secs_f64())?;
        }
        writeln!(to)
    }

    fn print_sessions(&self, to: &mut impl Write, policy: &Policy) -> io::Result<()> {
        writeln!(to, "\nSessions ({})", self.began)?;
        if self.sessions.is_empty() {
            return writeln!(to, "  none");
        }
        let mut table = plain_table();
        table.set_header([
            "",
            "protocol",
            "client",
            "server",
            "translation",
            "state",
            "packets",
            "bytes",
            "rule",
        ]);
        let roots = self.sessions.values().filter(|told| !self.is_child(told));
        for told in roots {
            table.add_row(row(told, policy, ""));
            let children: Vec<_> = self.children(told.session.id).collect();
            for (n, child) in children.iter().enumerate() {
                let branch = if n + 1 == children.len() {
                    "└ "
                } else {
                    "├ "
                };
                table.add_row(row(child, policy, branch));
            }
        }
        print_table(to, table, &[6, 7])?;
        match self.began - self.sessions.len() as u64 {
            0 => Ok(()),
            more => writeln!(to, "  and {more} more, which began later"),
        }
    }

    /// Whether its control session is listed, so that it stands below that.
    fn is_child(&self, told: &Told) -> bool {
        told.session
            .origin
            .parent
            .is_some_and(|parent| self.sessions.contains_key(&parent))
    }

    fn children(&self, parent: SessionId) -> impl Iterator<Item = &Told> {
        self.sessions
            .values()
            .filter(move |told| told.session.origin.parent == Some(parent))
    }

    fn print_advice(&self, to: &mut impl Write, engine: &Engine) -> io::Result<()> {
        let mut advice = Vec::new();
        if self.readdressed > 0 {
            advice.push(format!(
                "Of the far end, {} re-addressed to the translation, as the capture shows only \
                 one side (--vantage).",
                were(self.readdressed)
            ));
        }
        if self.cut > 0 {
            advice.push(format!(
                "{} cut by the capture's snap length: judged by the headers, and cut on leaving.",
                were(self.cut)
            ));
        }
        let bad: u64 = engine
            .counters()
            .verdicts()
            .filter(|(_, reason, _)| *reason == Reason::BadChecksum)
            .map(|(_, _, count)| count)
            .sum();
        if bad > 0 {
            advice.push(format!(
                "{} dropped for a wrong checksum. If the capture was made on the sending host, \
                 the hardware had not finished them yet: replay with --checksum repair.",
                were(bad)
            ));
        }
        if !advice.is_empty() {
            writeln!(to)?;
        }
        advice.iter().try_for_each(|line| writeln!(to, "{line}"))
    }
}

fn row(told: &Told, policy: &Policy, branch: &str) -> Vec<String> {
    let session = &told.session;
    let origin = &session.origin;
    let original = origin.tuples.original;
    let counters = &session.counters;
    let rule = origin.rule.and_then(|rule| policy.rules.get(RuleId(rule)));
    let service = origin
        .service
        .and_then(|service| policy.services.get(service));
    let mut protocol = original.protocol.to_string();
    if let Some(service) = service {
        protocol = format!("{protocol} {}", service.name);
    } else if origin.parent.is_some() {
        protocol = format!("{protocol} data");
    }
    let end = match told.end {
        End::Live => "",
        End::Ended(Ending::Expired) => ", expired",
        End::Ended(Ending::Refused) => ", refused",
        End::Ended(Ending::Replaced) => ", replaced",
        End::Ended(Ending::Evicted) => ", evicted",
    };
    let [client, server] = ends(&original).map(|end| end.to_string());
    vec![
        format!("{branch}{}", session.id),
        protocol,
        client,
        server,
        translation(origin.outgoing(crate::net::Direction::Original), &original),
        format!("{}{end}", session.state()),
        format!(
            "{} > {} <",
            counters.original.packets, counters.reply.packets
        ),
        octets(counters.original.bytes + counters.reply.bytes),
        rule.map_or_else(|| "default policy".to_owned(), |rule| rule.name.clone()),
    ]
}

/// One end of a tuple, for people: without a port where there is none.
#[derive(Clone, Copy)]
enum Shown {
    Port(Endpoint),
    Identifier(Endpoint),
    Address(Endpoint),
}

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Port(end) => end.fmt(f),
            Self::Identifier(end) => write!(f, "{} id {}", end.address, end.port),
            Self::Address(end) => end.address.fmt(f),
        }
    }
}

fn ends(tuple: &Tuple) -> [Shown; 2] {
    if tuple.icmp_query().is_some() {
        [
            Shown::Identifier(tuple.source),
            Shown::Address(tuple.destination),
        ]
    } else if tuple.protocol.has_ports() {
        [Shown::Port(tuple.source), Shown::Port(tuple.destination)]
    } else {
        [
            Shown::Address(tuple.source),
            Shown::Address(tuple.destination),
        ]
    }
}

/// What becomes of the addresses, as far as anything does.
fn translation(leaves: Tuple, arrived: &Tuple) -> String {
    let [source, destination] = ends(&leaves);
    let mut told = Vec::new();
    if leaves.source != arrived.source {
        told.push(format!("from {source}"));
    }
    if leaves.destination != arrived.destination {
        told.push(format!("to {destination}"));
    }
    told.join(" ")
}

fn print_verdicts(to: &mut impl Write, engine: &Engine) -> io::Result<()> {
    writeln!(to, "\nVerdicts")?;
    let mut table = plain_table();
    table.set_header(["", "reason", "packets"]);
    let mut all: Vec<_> = engine.counters().verdicts().collect();
    all.sort_by_key(|(verdict, _, count)| {
        let place = crate::engine::Verdict::NAMES
            .iter()
            .position(|name| name == verdict);
        (place, std::cmp::Reverse(*count))
    });
    for (verdict, reason, count) in all {
        table.add_row([verdict.to_owned(), reason.to_string(), count.to_string()]);
    }
    print_table(to, table, &[2])?;
    for (standing, count) in engine.counters().evicted() {
        writeln!(to, "  evicted to make room: {count} {standing}")?;
    }
    for (kind, count) in engine.counters().withheld() {
        writeln!(to, "  withheld, too many at a time: {count} {kind}")?;
    }
    Ok(())
}

fn print_rules(to: &mut impl Write, engine: &Engine, compiled: &Compiled) -> io::Result<()> {
    writeln!(to, "\nRules (connections decided)")?;
    let mut table = plain_table();
    table.set_header(["", "hits", ""]);
    let place = |location: Option<crate::config::Location<'_>>| {
        location
            .map(|location| location.to_string())
            .unwrap_or_default()
    };
    for (id, rule) in engine.policy().rules.iter() {
        let hits = engine.counters().hits(id).to_string();
        table.add_row([
            rule.name.clone(),
            hits,
            place(compiled.locations.of_rule(id)),
        ]);
    }
    let hits = engine.counters().default_hits().to_string();
    let default = place(compiled.locations.of_default());
    table.add_row(["default policy".to_owned(), hits, default]);
    print_table(to, table, &[1])
}

fn plain_table() -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table
}

/// Prints a table two columns in; `right` are the columns of numbers.
fn print_table(to: &mut impl Write, mut table: Table, right: &[usize]) -> io::Result<()> {
    for column in right {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for line in table.lines() {
        writeln!(to, " {}", line.trim_end())?;
    }
    Ok(())
}

/// A number of packets, for people.
fn packets(count: u64) -> String {
    match count {
        1 => "1 packet".to_owned(),
        _ => format!("{count} packets"),
    }
}

/// A number of packets to which something was done, for people.
fn were(count: u64) -> String {
    let verb = if count == 1 { "was" } else { "were" };
    format!("{} {verb}", packets(count))
}

/// A number of octets, for people.
fn octets(count: u64) -> String {
    indicatif::BinaryBytes(count).to_string()
}
