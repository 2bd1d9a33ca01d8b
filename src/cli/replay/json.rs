//! `--json`: one object per packet, in the order of the input.
//!
//! What left stands last in its object, and is written behind what serde has written:
//! octets as text need nobody to look for quotes in them.

use std::io::{self, Write};
use std::net::IpAddr;

use serde::Serialize;

use super::dialogue::Dialogues;
use super::objects::DialogueObject;
use crate::capture::{PacketReport, Readdressed};
use crate::engine::{Ending, Engine, Event, Extent, Made, Reason};
use crate::journal::Record;
use crate::objects::{
    ExpectationObject, MappingObject, NatObject, SessionObject, View, row_objects,
};
use crate::session::Handle;

/// Writes JSON lines.
pub(in crate::cli) struct JsonLines<'a, W: Write> {
    to: &'a mut W,
    bytes: bool,
    /// The session that the packet to come has begun.
    begun: Option<Handle>,
    /// Where a line is put together.
    line: Vec<u8>,
}

/// Whether an object says so where nothing left.
#[derive(Clone, Copy, PartialEq, Eq)]
enum IfNothingLeft {
    Said,
    Omitted,
}

#[derive(Serialize)]
struct PacketLine<'a> {
    packet: u64,
    time: String,
    #[serde(rename = "in", skip_serializing_if = "Option::is_none")]
    zone: Option<&'a str>,
    verdict: &'static str,
    ct: &'static str,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nat: Option<NatObject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cut: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    readdressed: Option<bool>,
}

#[derive(Serialize)]
struct TimerLine {
    timer: &'static str,
    time: String,
    session: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
}

#[derive(Serialize)]
struct UnfinishedLine {
    timer: &'static str,
    time: String,
    source: IpAddr,
    destination: IpAddr,
    pieces: usize,
}

#[derive(Serialize)]
struct UnansweredLine {
    timer: &'static str,
    time: String,
    source: String,
    destination: String,
}

impl<'a, W: Write> JsonLines<'a, W> {
    pub(in crate::cli) fn new(to: &'a mut W, bytes: bool) -> Self {
        Self {
            to,
            bytes,
            begun: None,
            line: Vec::new(),
        }
    }

    pub(in crate::cli) fn packet(
        &mut self,
        engine: &Engine,
        report: &PacketReport<'_>,
    ) -> io::Result<()> {
        let policy = engine.policy();
        let judgement = &report.judgement;
        let rule = judgement.rule.and_then(|rule| policy.rules.get(rule));
        let out = report.sent();
        let out = out.map(|(zone, bytes, _)| (policy.zones.name(zone), bytes));
        let begun = self.begun.take();
        let begun = begun.and_then(|handle| engine.sessions().get(handle));
        let line = PacketLine {
            packet: report.number,
            time: report.time.to_string(),
            zone: report.zone.map(|zone| policy.zones.name(zone)),
            verdict: judgement.verdict.name(),
            ct: judgement.ct.name(),
            reason: judgement.reason.name(),
            check: judgement.check.map(Reason::name),
            rule: rule.map(|rule| rule.name.as_str()),
            session: judgement.session.map(|session| session.0),
            state: judgement.state.map(crate::session::State::name),
            nat: begun.and_then(|session| NatObject::of(&session, policy)),
            cut: (report.extent == Extent::Cut).then_some(true),
            readdressed: (report.readdressed == Readdressed::Yes).then_some(true),
        };
        self.write_with(&line, out, IfNothingLeft::Said)
    }

    /// Writes what time alone has done; that sessions begin, are replaced or make
    /// room is the work of packets.
    pub(in crate::cli) fn event(
        &mut self,
        engine: &Engine,
        event: &Event,
        made: &[Made],
    ) -> io::Result<()> {
        let zones = &engine.policy().zones;
        let out = made
            .iter()
            .map(|Made { zone, bytes }| (zones.name(*zone), bytes.as_slice()));
        let line = match event {
            Event::Began(handle) => {
                self.begun = Some(*handle);
                return Ok(());
            }
            Event::Alg { .. }
            | Event::Ended {
                ending:
                    Ending::Replaced
                    | Ending::Refused
                    | Ending::Evicted
                    | Ending::Forbidden
                    | Ending::Killed,
                ..
            } => return Ok(()),
            // What had to make room is no work of time: counters show it.
            Event::Unfinished(unfinished) if unfinished.reason != Reason::FragmentTimeout => {
                return Ok(());
            }
            Event::Unfinished(unfinished) => {
                let line = UnfinishedLine {
                    timer: unfinished.reason.name(),
                    time: unfinished.at.to_string(),
                    source: unfinished.source,
                    destination: unfinished.destination,
                    pieces: unfinished.pieces,
                };
                return self.write_with(&line, out, IfNothingLeft::Omitted);
            }
            Event::Unanswered(unanswered) => {
                let line = UnansweredLine {
                    timer: "syn-unanswered",
                    time: unanswered.at.to_string(),
                    source: unanswered.tuple.source.to_string(),
                    destination: unanswered.tuple.destination.to_string(),
                };
                return self.write_with(&line, out, IfNothingLeft::Omitted);
            }
            Event::Ended {
                at,
                session,
                ending: Ending::Expired,
                ..
            } => TimerLine {
                timer: "session-expired",
                time: at.to_string(),
                session: session.id.0,
                state: Some(session.state().name()),
            },
            Event::Probed { at, session, .. } => TimerLine {
                timer: "session-probed",
                time: at.to_string(),
                session: session.0,
                state: None,
            },
            Event::Noted { .. } | Event::Parameters { .. } | Event::Short { .. } => {
                return match Record::of(event, engine.policy()) {
                    Some(record) => self.write(&record),
                    None => Ok(()),
                };
            }
            Event::Unmet(expectation) => TimerLine {
                timer: "expectation-expired",
                time: expectation.deadline.to_string(),
                session: expectation.parent.id().0,
                state: None,
            },
        };
        self.write_with(&line, out, IfNothingLeft::Omitted)
    }

    /// Has what was written so far read.
    pub(in crate::cli) fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }

    /// Writes what is live at the end, and how often each row decided.
    pub(in crate::cli) fn tables(&mut self, engine: &Engine) -> io::Result<()> {
        let (sessions, view) = (engine.sessions(), View::of(engine));
        for session in sessions.sorted() {
            self.write(&SessionObject::of(&session, view))?;
        }
        for binding in sessions.bindings() {
            self.write(&MappingObject::of(&binding, view))?;
        }
        for expectation in sessions.expectations().sorted() {
            self.write(&ExpectationObject::of(&expectation, view))?;
        }
        row_objects(view.policy, engine.counters()).try_for_each(|row| self.write(&row))
    }

    /// Writes what the ends of control sessions said.
    pub(super) fn dialogues(&mut self, all: &Dialogues, engine: &Engine) -> io::Result<()> {
        let mut entries = all.entries();
        entries.try_for_each(|(session, entry)| {
            self.write(&DialogueObject::of(session, entry, engine))
        })
    }

    fn write(&mut self, object: &impl Serialize) -> io::Result<()> {
        self.write_with(object, std::iter::empty(), IfNothingLeft::Omitted)
    }

    /// Writes an object, and in it what left: by which zone, and what.
    fn write_with<'o>(
        &mut self,
        object: &impl Serialize,
        out: impl Iterator<Item = (&'o str, &'o [u8])>,
        if_nothing_left: IfNothingLeft,
    ) -> io::Result<()> {
        let Self { to, line, .. } = self;
        line.clear();
        serde_json::to_writer(&mut *line, object)?;
        let mut out = out.peekable();
        if out.peek().is_some() || if_nothing_left == IfNothingLeft::Said {
            line.pop(); // the object's brace
            line.extend_from_slice(b",\"out\":[");
            while let Some((zone, bytes)) = out.next() {
                line.extend_from_slice(b"{\"zone\":");
                serde_json::to_writer(&mut *line, zone)?;
                if self.bytes {
                    line.extend_from_slice(b",\"bytes\":\"");
                    put_hex(line, bytes);
                    line.push(b'"');
                }
                line.push(b'}');
                if out.peek().is_some() {
                    line.push(b',');
                }
            }
            line.extend_from_slice(b"]}");
        }
        line.push(b'\n');
        to.write_all(line)
    }
}

/// Appends octets as text, two digits each.
fn put_hex(line: &mut Vec<u8>, bytes: &[u8]) {
    let start = line.len();
    line.resize(start + 2 * bytes.len(), b'0');
    if let Some(digits) = line.get_mut(start..) {
        let fits = hex::encode_to_slice(bytes, digits);
        debug_assert!(fits.is_ok(), "two digits an octet");
    }
}
