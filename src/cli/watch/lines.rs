//! A line for each session that would begin, and each packet that would be refused.

use std::io::{self, Write};

use super::throttle::{Throttle, Turn};
use crate::capture::PacketReport;
use crate::cli::replay::{protocol, translation};
use crate::cli::words::way;
use crate::engine::{Engine, Event, Extent, Reason, Verdict};
use crate::net::{Direction, Timestamp};
use crate::objects::rule_name;
use crate::packet::Headers;
use crate::session::Session;

/// More lines a second nobody reads.
const LINES_A_SECOND: u32 = 20;

/// Writes the lines.
pub(super) struct Lines<'a, W: Write> {
    to: &'a mut W,
    throttle: Throttle,
}

impl<'a, W: Write> Lines<'a, W> {
    pub(super) fn new(to: &'a mut W) -> Self {
        Self {
            to,
            throttle: Throttle::new(LINES_A_SECOND),
        }
    }

    pub(super) fn event(&mut self, engine: &Engine, event: &Event) -> io::Result<()> {
        let Event::Began(handle) = event else {
            return Ok(());
        };
        match engine.sessions().get(*handle) {
            Some(session) => self.say(session.began, || begins(&session, engine)),
            None => Ok(()),
        }
    }

    pub(super) fn packet(&mut self, engine: &Engine, report: &PacketReport<'_>) -> io::Result<()> {
        let judgement = &report.judgement;
        match (judgement.verdict, judgement.reason) {
            // ARP and its like: no rule is about them.
            (_, Reason::NotIp)
            | (Verdict::Forward(_) | Verdict::Hold | Verdict::Answer | Verdict::Elsewhere(_), _) => {
                Ok(())
            }
            (Verdict::Drop | Verdict::Reject, _) => {
                self.say(report.time, || refused(report, engine))
            }
        }
    }

    /// Lets go of what was written, and tells what was withheld.
    pub(super) fn pause(&mut self, now: Timestamp) -> io::Result<()> {
        self.catch_up(now)?;
        self.to.flush()
    }

    /// Tells the rest of what was withheld; gives back where the lines went.
    pub(super) fn finish(mut self) -> io::Result<&'a mut W> {
        if let Some(more) = self.throttle.rest() {
            self.say_more(more)?;
        }
        Ok(self.to)
    }

    fn say(&mut self, now: Timestamp, line: impl FnOnce() -> String) -> io::Result<()> {
        self.catch_up(now)?;
        match self.throttle.turn() {
            Turn::Speak => writeln!(self.to, "{now}  {}", line()),
            Turn::Withhold => Ok(()),
        }
    }

    fn catch_up(&mut self, now: Timestamp) -> io::Result<()> {
        match self.throttle.withheld_until(now) {
            Some(more) => self.say_more(more),
            None => Ok(()),
        }
    }

    fn say_more(&mut self, more: u64) -> io::Result<()> {
        writeln!(self.to, "… {more} more")
    }
}

/// `session 2 of 1  tcp data  198.51.100.21:20 > 203.0.113.2:51285  to 10.0.0.7:51285  lan-out`.
fn begins(session: &Session, engine: &Engine) -> String {
    let policy = engine.policy();
    let origin = &session.origin;
    let original = origin.tuples.original;
    let parent = match origin.parent {
        Some(parent) => format!(" of {parent}"),
        None => String::new(),
    };
    let rule = rule_name(session, policy).unwrap_or("default policy");
    let parts = [
        format!("session {}{parent}", session.id),
        protocol(session, policy),
        way(&original),
        translation(origin.outgoing(Direction::Original), &original),
        rule.to_owned(),
    ];
    joined(&parts)
}

/// `drop default-policy  lan  tcp  10.0.0.7:51000 > 198.51.100.21:8080  default policy`.
fn refused(report: &PacketReport<'_>, engine: &Engine) -> String {
    let policy = engine.policy();
    let judgement = &report.judgement;
    let rule = judgement.rule.and_then(|rule| policy.rules.get(rule));
    let zone = report.zone.map(|zone| policy.zones.name(zone).to_owned());
    // It did not leave: it is as it came.
    let headers = Headers::read(report.frame, report.extent == Extent::Cut).ok();
    let packet = headers.map(|headers| match headers.tuple() {
        Some(tuple) => way(&tuple),
        None => format!("{} > {}", headers.source, headers.destination),
    });
    let parts = [
        format!("{} {}", judgement.verdict.name(), judgement.reason.name()),
        zone.unwrap_or_default(),
        headers.map_or_else(String::new, |headers| headers.protocol.to_string()),
        packet.unwrap_or_default(),
        rule.map_or_else(String::new, |rule| rule.name.clone()),
    ];
    joined(&parts)
}

/// The parts that say something.
fn joined(parts: &[String]) -> String {
    let told: Vec<_> = parts.iter().filter(|part| !part.is_empty()).collect();
    let told: Vec<_> = told.iter().map(|part| part.as_str()).collect();
    told.join("  ")
}
