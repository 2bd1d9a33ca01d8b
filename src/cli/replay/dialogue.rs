//! `--dialogue`: what the two ends of each control session said, how their
//! lines left, and which holes that opened.
//!
//! Both streams are put together from the packets as they came and as they
//! left, apart from the engine: what is shown is what the ends have seen.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::lines::Lines;
use super::tables::{left, protocol};
use crate::alg::Note;
use crate::capture::PacketReport;
use crate::cli::listing::LISTED;
use crate::cli::words::way;
use crate::engine::{CtState, Engine, Event, Extent, Step, Verdict};
use crate::net::{Direction, Endpoint, PerDirection, SeqNumber, Timestamp, Tuple};
use crate::packet::Headers;
use crate::session::{Handle, SessionId};

/// The dialogues of all control sessions.
#[derive(Debug, Default)]
pub(in crate::cli) struct Dialogues {
    sessions: BTreeMap<SessionId, Dialogue>,
    /// What there is to tell of the packet under decision.
    told: Vec<Told>,
}

/// The dialogue of one.
#[derive(Debug)]
struct Dialogue {
    original: Tuple,
    protocol: String,
    came: PerDirection<Lines>,
    went: PerDirection<Lines>,
    entries: Vec<Entry>,
    text: Text,
}

/// Whether what the ends say can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Text {
    Clear,
    Encrypted,
}

/// One line, or something that was noted.
#[derive(Debug)]
pub(super) struct Entry {
    /// The packet that ended it.
    pub(super) packet: u64,
    pub(super) by: Direction,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    /// A line as it came, and as it left, if it did.
    Line { came: String, went: Option<String> },
    /// What an ALG noted of the lines before.
    Note(String),
    /// A hole that it opened.
    Hole(Hole),
}

/// A data session that was announced.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hole {
    /// Where it is awaited, as the announcing end knows it.
    pub(super) to: Endpoint,
    /// Where the other end finds it.
    pub(super) reached_at: Endpoint,
    pub(super) fate: Fate,
}

/// What became of a hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing yet.
    Awaited,
    /// This session came by it.
    Used(SessionId),
    /// Nobody came in time.
    Expired,
    /// It is live at the end, until then.
    Live(Timestamp),
}

#[derive(Debug)]
enum Told {
    Hole(Direction, Hole),
    Note(String),
    Encrypted(String),
    /// Clear text again, from this octet of its sender's stream on.
    Readable(String, SeqNumber),
}

impl Dialogues {
    /// Hears of a step of deciding.
    pub(super) fn step(&mut self, step: Step<'_>) {
        let Step::Alg(note) = step else { return };
        if let Note::Admitted(_) = note {
            return; // the reply stands there, and who came by the hole is told with it
        }
        self.told.push(match note {
            Note::Opened {
                announcement,
                reached_at,
                ..
            } => Told::Hole(
                announcement.by,
                Hole {
                    to: announcement.endpoint,
                    reached_at: *reached_at,
                    fate: Fate::Awaited,
                },
            ),
            Note::Encrypted => Told::Encrypted(note.to_string()),
            Note::Readable { from } => Told::Readable(note.to_string(), *from),
            other => Told::Note(other.to_string()),
        });
    }

    pub(super) fn event(&mut self, engine: &Engine, event: &Event) {
        match event {
            Event::Began(handle) => self.began(engine, *handle),
            Event::Unmet(expectation) => {
                let dialogue = self.sessions.get_mut(&expectation.parent.id());
                let at = expectation.tuple.destination;
                if let Some(hole) = dialogue.and_then(|dialogue| dialogue.awaited(at)) {
                    hole.fate = Fate::Expired;
                }
            }
            _ => {}
        }
    }

    fn began(&mut self, engine: &Engine, handle: Handle) {
        let Some(session) = engine.sessions().get(handle) else {
            return;
        };
        let origin = &session.origin;
        let at = origin.tuples.original.destination;
        let parent = origin.parent.and_then(|id| self.sessions.get_mut(&id));
        if let Some(hole) = parent.and_then(|parent| parent.awaited(at)) {
            hole.fate = Fate::Used(session.id);
        }
        if origin.alg.is_some() && self.sessions.len() < LISTED {
            let dialogue = Dialogue {
                original: origin.tuples.original,
                protocol: protocol(&session, engine.policy()),
                came: PerDirection::default(),
                went: PerDirection::default(),
                entries: Vec::new(),
                text: Text::Clear,
            };
            self.sessions.insert(session.id, dialogue);
        }
    }

    pub(super) fn packet(&mut self, report: &PacketReport<'_>) {
        let told = std::mem::take(&mut self.told);
        let judgement = &report.judgement;
        let of_session = judgement
            .session
            .filter(|_| judgement.ct != CtState::Invalid);
        if let Some(dialogue) = of_session.and_then(|id| self.sessions.get_mut(&id)) {
            dialogue.packet(report, told);
        }
    }

    /// Learns which holes are live at the end.
    pub(super) fn finish(&mut self, engine: &Engine) {
        for expectation in engine.sessions().expectations().sorted() {
            let dialogue = self.sessions.get_mut(&expectation.parent.id());
            let at = expectation.tuple.destination;
            if let Some(hole) = dialogue.and_then(|dialogue| dialogue.awaited(at)) {
                hole.fate = Fate::Live(expectation.deadline);
            }
        }
    }

    /// All entries, by session.
    pub(super) fn entries(&self) -> impl Iterator<Item = (SessionId, &Entry)> {
        let sessions = self.sessions.iter();
        sessions.flat_map(|(id, dialogue)| dialogue.entries.iter().map(|entry| (*id, entry)))
    }

    pub(super) fn print(&self, to: &mut impl Write, engine: &Engine) -> io::Result<()> {
        for (id, dialogue) in &self.sessions {
            let Dialogue {
                protocol, original, ..
            } = dialogue;
            writeln!(
                to,
                "\nDialogue of session {id} ({protocol} {})",
                way(original)
            )?;
            if dialogue.entries.is_empty() {
                writeln!(to, "  nothing was read")?;
            }
            for entry in &dialogue.entries {
                print_entry(to, entry, engine)?;
            }
        }
        Ok(())
    }
}

/// Who sends in a direction of a control session.
pub(super) fn speaker(by: Direction) -> &'static str {
    match by {
        Direction::Original => "client",
        Direction::Reply => "server",
    }
}

/// What became of a hole, in words.
pub(super) fn fate(fate: Fate, engine: &Engine) -> String {
    match fate {
        Fate::Awaited => "nobody came before it was closed".to_owned(),
        Fate::Used(session) => format!("session {session} came"),
        Fate::Expired => "nobody came in time".to_owned(),
        Fate::Live(until) => format!("awaited for {}", left(engine, until)),
    }
}

fn print_entry(to: &mut impl Write, entry: &Entry, engine: &Engine) -> io::Result<()> {
    let Entry { packet, by, what } = entry;
    let by = speaker(*by);
    match what {
        What::Line { came, went } => {
            writeln!(to, "  {packet:>6}  {by}  {came}")?;
            match went {
                Some(went) if went == came => Ok(()),
                Some(went) => writeln!(to, "      left as     {went}"),
                None => writeln!(to, "          it did not leave"),
            }
        }
        What::Note(note) => writeln!(to, "          {note}"),
        What::Hole(hole) => writeln!(
            to,
            "          opens {} for {}: {}",
            hole.reached_at,
            hole.to,
            fate(hole.fate, engine)
        ),
    }
}

impl Dialogue {
    /// The hole at this endpoint that nobody has used yet.
    fn awaited(&mut self, at: Endpoint) -> Option<&mut Hole> {
        let holes = self.entries.iter_mut().rev();
        let mut holes = holes.filter_map(|entry| match &mut entry.what {
            What::Hole(hole) => Some(hole),
            What::Line { .. } | What::Note(_) => None,
        });
        holes.find(|hole| hole.reached_at == at && hole.fate == Fate::Awaited)
    }

    fn packet(&mut self, report: &PacketReport<'_>, told: Vec<Told>) {
        let is_heard = |told: &Told| matches!(told, Told::Readable(..));
        if self.text == Text::Encrypted && !told.iter().any(is_heard) {
            return;
        }
        let Ok(headers) = Headers::read(report.arrived, report.extent == Extent::Cut) else {
            return;
        };
        let by = match headers.tuple() {
            Some(tuple) if tuple == self.original => Direction::Original,
            _ => Direction::Reply,
        };
        let left = left_of(report);
        let packet = report.number;
        for told in &told {
            if let Told::Readable(note, from) = told {
                self.enter(packet, by, What::Note(note.clone()));
                self.read_again(
                    by,
                    *from,
                    &headers,
                    left.first().map(|(headers, _)| headers),
                );
            }
        }
        for line in self.came[by].take(&headers, report.arrived) {
            let came = shown(&line);
            self.enter(packet, by, What::Line { came, went: None });
        }
        for told in told {
            match told {
                Told::Hole(by, hole) => self.enter(packet, by, What::Hole(hole)),
                Told::Note(note) => self.enter(packet, by, What::Note(note)),
                Told::Encrypted(note) => {
                    self.enter(packet, by, What::Note(note));
                    self.text = Text::Encrypted;
                }
                Told::Readable(..) => {} // it stands before the lines
            }
        }
        for (headers, frame) in left {
            for line in self.went[by].take(&headers, frame) {
                self.left(by, shown(&line));
            }
        }
    }

    /// Goes on where clear text begins within a segment; of the other direction,
    /// with whatever comes next.
    fn read_again(
        &mut self,
        by: Direction,
        from: SeqNumber,
        came: &Headers,
        left: Option<&Headers>,
    ) {
        self.text = Text::Clear;
        self.came = PerDirection::default();
        self.went = PerDirection::default();
        let Some(came) = came.tcp() else { return };
        self.came[by] = Lines::from(from);
        if let Some(left) = left.and_then(Headers::tcp) {
            // What lies before it in the segment is not changed.
            self.went[by] = Lines::from(left.seq.shift(from.since(came.seq)));
        }
    }

    fn enter(&mut self, packet: u64, by: Direction, what: What) {
        if self.entries.len() < LISTED {
            self.entries.push(Entry { packet, by, what });
        }
    }

    /// The first line of this direction that has not left yet has.
    fn left(&mut self, by: Direction, as_this: String) {
        let lines = self.entries.iter_mut().filter(|entry| entry.by == by);
        let mut lines = lines.filter_map(|entry| match &mut entry.what {
            What::Line { went, .. } => Some(went),
            What::Hole(_) | What::Note(_) => None,
        });
        if let Some(went) = lines.find(|went| went.is_none()) {
            *went = Some(as_this);
        }
    }
}

/// The segments that a packet left as, if it did: more than one where it had
/// become too long.
fn left_of<'a>(report: &PacketReport<'a>) -> Vec<(Headers, &'a [u8])> {
    let Verdict::Forward(_) = report.judgement.verdict else {
        return Vec::new();
    };
    let more = report.more.iter().map(Vec::as_slice);
    let frames = std::iter::once(report.frame).chain(more);
    let read = frames.map(|frame| {
        let headers = Headers::read(frame, report.extent == Extent::Cut).ok()?;
        headers.tcp().is_some().then_some((headers, frame))
    });
    read.collect::<Option<_>>().unwrap_or_default()
}

/// A line as it may be shown: a password is nobody's business.
fn shown(line: &[u8]) -> String {
    let verb = line.get(..5).unwrap_or_default();
    let is_secret = [&b"PASS "[..], b"ACCT "]
        .iter()
        .any(|secret| verb.eq_ignore_ascii_case(secret));
    match is_secret {
        true => format!("{}****", verb.escape_ascii()),
        // What is escaped are octets that are no text; quotes are.
        false => line
            .escape_ascii()
            .to_string()
            .replace("\\\"", "\"")
            .replace("\\'", "'"),
    }
}
