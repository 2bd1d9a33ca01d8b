//! The summary of a replay, for people.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::dialogue::Dialogues;
use super::{rows, tables};
use crate::capture::{PacketReport, Readdressed};
use crate::cli::listing::{LISTED, plain_table, print_table};
use crate::cli::words::{count, ends, octets, packets};
use crate::config::Compiled;
use crate::engine::{Ending, Engine, Event, Extent, Made, Reason};
use crate::net::{Direction, Timestamp, Tuple};
use crate::objects::rule_name;
use crate::session::{Session, SessionId};

/// Whether what is live at the end is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Tables {
    Counted,
    Listed,
}

/// What a replay amounts to.
#[derive(Debug, Default)]
pub(in crate::cli) struct Summary {
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
    pub(in crate::cli) fn packet(&mut self, report: &PacketReport<'_>) {
        self.packets += 1;
        self.bytes += report.frame.len() as u64;
        let (first, last) = self.span.unwrap_or((report.time, report.time));
        self.span = Some((first.min(report.time), last.max(report.time)));
        self.cut += u64::from(report.extent == Extent::Cut);
        self.readdressed += u64::from(report.readdressed == Readdressed::Yes);
        self.made += report.made.len() as u64;
    }

    pub(in crate::cli) fn event(&mut self, event: &Event, made: &[Made]) {
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
    pub(in crate::cli) fn finish(&mut self, engine: &Engine) {
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

    pub(in crate::cli) fn print(
        &self,
        to: &mut impl Write,
        engine: &Engine,
        compiled: &Compiled,
        (tables, dialogues): (Tables, Option<&Dialogues>),
    ) -> io::Result<()> {
        self.print_head(to)?;
        self.print_sessions(to, engine)?;
        if let Some(dialogues) = dialogues {
            dialogues.print(to, engine)?;
        }
        rows::print_verdicts(to, engine)?;
        rows::print_rules(to, engine, compiled)?;
        rows::print_translations(to, engine, compiled)?;
        match tables {
            Tables::Counted => tables::print_counts(to, engine)?,
            Tables::Listed => tables::print(to, engine)?,
        }
        self.print_advice(to, engine)
    }

    fn print_head(&self, to: &mut impl Write) -> io::Result<()> {
        write!(to, "{}, {}", packets(self.packets), octets(self.bytes))?;
        if let Some((first, last)) = self.span {
            write!(to, ", {first} + {:.3} s", last.since(first).as_secs_f64())?;
        }
        writeln!(to)
    }

    fn print_sessions(&self, to: &mut impl Write, engine: &Engine) -> io::Result<()> {
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
            "left",
            "packets",
            "bytes",
            "rule",
        ]);
        let roots = self.sessions.values().filter(|told| !self.is_child(told));
        for told in roots {
            table.add_row(row(told, engine, ""));
            let children: Vec<_> = self.children(told.session.id).collect();
            for (n, child) in children.iter().enumerate() {
                let branch = if n + 1 == children.len() {
                    "└ "
                } else {
                    "├ "
                };
                table.add_row(row(child, engine, branch));
            }
        }
        print_table(to, table, &[7, 8])?;
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
                "{} dropped for a wrong checksum. If they were captured on the sending host, \
                 the hardware had not finished them yet: try --checksum repair.",
                were(bad)
            ));
        }
        if !advice.is_empty() {
            writeln!(to)?;
        }
        advice.iter().try_for_each(|line| writeln!(to, "{line}"))
    }
}

fn row(told: &Told, engine: &Engine, branch: &str) -> Vec<String> {
    let policy = engine.policy();
    let session = &told.session;
    let origin = &session.origin;
    let original = origin.tuples.original;
    let counters = &session.counters;
    let end = match told.end {
        End::Live => String::new(),
        End::Ended(ending) => format!(", {}", ending.name()),
    };
    let [client, server] = ends(&original).map(|end| end.to_string());
    vec![
        format!("{branch}{}", session.id),
        tables::protocol(session, policy),
        client,
        server,
        translation(origin.outgoing(Direction::Original), &original),
        format!("{}{end}", session.state()),
        match told.end {
            End::Live => tables::left(engine, session.deadline),
            End::Ended(_) => String::new(),
        },
        format!(
            "{} > {} <",
            counters.original.packets, counters.reply.packets
        ),
        octets(counters.original.bytes + counters.reply.bytes),
        rule_name(session, policy)
            .unwrap_or("default policy")
            .to_owned(),
    ]
}

/// What becomes of the addresses, as far as anything does.
pub(in crate::cli) fn translation(leaves: Tuple, arrived: &Tuple) -> String {
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

/// A number of packets to which something was done.
fn were(number: u64) -> String {
    count(number, "packet was", "packets were")
}
