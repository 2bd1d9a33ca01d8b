//! A control session's reader.
//!
//! The ALG reads a copy of its state while the engine decides; only a
//! committed packet stores the copy, with the holes that it asked for and the
//! changes to the stream.

use super::Reason;
use super::desk::{Circumstances, EngineDesk, HoleChange};
use super::observer::{Observer, Step, Unread};
use crate::alg::stream::{Cursor, Reading, Rewrites};
use crate::alg::{Alg, AlgVerdict, Chunk, NotOpened, Note, Start, attach};
use crate::net::{AlgKind, Direction, PerDirection, Protocol, SeqNumber, TcpFlags};
use crate::packet::{Headers, Renumber};
use crate::session::{ExpectedTuple, Handle, Origin, Session, State, TcpState};

/// What the engine keeps of one control session.
#[derive(Debug, Clone)]
pub(super) struct Control {
    alg: Box<dyn Alg>,
    cursors: PerDirection<Cursor>,
    rewrites: PerDirection<Rewrites>,
    /// The data sessions that it announced and that have not come, the oldest
    /// first: as many as the settings let it have.
    pub(super) holes: Vec<ExpectedTuple>,
    /// Those that have come: while one runs, the control session lives.
    pub(super) children: Vec<Handle>,
}

/// What one packet does to its control session.
#[derive(Debug)]
pub(super) struct ControlStep {
    pub(super) next: Control,
    pub(super) changes: Vec<HoleChange>,
    /// What there is to tell of it.
    pub(super) notes: Vec<Note>,
}

impl Control {
    /// What is kept of a session that begins with this packet.
    pub(super) fn new(kind: AlgKind, first: &Headers) -> Self {
        let start = match first.tcp() {
            Some(tcp) if !tcp.flags.has(TcpFlags::SYN) => Start::Middle,
            _ => Start::Beginning,
        };
        Self {
            alg: attach(kind, start),
            cursors: PerDirection::default(),
            rewrites: PerDirection::default(),
            holes: Vec::new(),
            children: Vec::new(),
        }
    }

    /// Whether the segment has something for the reader: payload, or a SYN
    /// from which it counts.
    fn concerns(headers: &Headers) -> bool {
        headers
            .tcp()
            .is_some_and(|tcp| tcp.payload > 0 || tcp.flags.has(TcpFlags::SYN))
    }

    /// Starts counting at a SYN.
    pub(super) fn synchronize(&mut self, direction: Direction, headers: &Headers) {
        if let Some(tcp) = headers.tcp().filter(|tcp| tcp.flags.has(TcpFlags::SYN)) {
            self.cursors[direction].synchronize(tcp.seq);
        }
    }

    /// Whether neither stream has been changed.
    pub(super) fn is_plain(&self) -> bool {
        Direction::BOTH
            .iter()
            .all(|direction| self.rewrites[*direction].is_identity())
    }

    /// Learns what a segment travelling in `direction` acknowledges.
    pub(super) fn acknowledged(&mut self, direction: Direction, headers: &Headers) {
        if let Some(tcp) = headers.tcp().filter(|tcp| tcp.flags.has(TcpFlags::ACK)) {
            self.rewrites[!direction].acknowledged(tcp.ack);
        }
    }

    /// Appends to `payload` what the receiver is to get of this segment.
    pub(super) fn apply(
        &self,
        direction: Direction,
        seq: SeqNumber,
        segment: &[u8],
        payload: &mut Vec<u8>,
    ) {
        self.rewrites[direction].apply(seq, segment, payload);
    }

    /// How the numbers of a segment travelling in `direction` change.
    pub(super) fn numbers(&self, direction: Direction) -> StreamNumbers<'_> {
        StreamNumbers {
            own: &self.rewrites[direction],
            other: &self.rewrites[!direction],
        }
    }

    /// What an acknowledgement of the changed stream acknowledges of the stream
    /// as its sender counts.
    pub(super) fn as_sent(&self, stream: Direction, ack: SeqNumber) -> SeqNumber {
        self.rewrites[stream].ack(ack)
    }

    /// What a receiver of the changed stream acknowledges, given what it would
    /// have acknowledged of the unchanged one.
    pub(super) fn as_received(&self, stream: Direction, ack: SeqNumber) -> SeqNumber {
        self.rewrites[stream].seq(ack)
    }
}

/// The numbers of one direction of a changed stream.
pub(super) struct StreamNumbers<'a> {
    own: &'a Rewrites,
    other: &'a Rewrites,
}

impl Renumber for StreamNumbers<'_> {
    fn seq(&self, seq: SeqNumber) -> SeqNumber {
        self.own.seq(seq)
    }

    fn ack(&self, ack: SeqNumber) -> SeqNumber {
        self.other.ack(ack)
    }

    fn sack(&self, [left, right]: [SeqNumber; 2]) -> [SeqNumber; 2] {
        // A block that holds no whole octet shrinks to nothing at its place.
        let mapped = self.other.sack(left, right);
        mapped.map_or_else(|| [self.other.ack(left); 2], |(left, right)| [left, right])
    }
}

/// Why a control packet may not pass, and what there is to tell of it.
pub(super) struct Refused {
    pub(super) reason: Reason,
    pub(super) notes: Vec<Note>,
}

impl Refused {
    fn by(check: NotOpened, notes: Vec<Note>) -> Self {
        let reason = match check {
            NotOpened::LongLine => Reason::AlgLongLine,
            _ => Reason::AlgRefused,
        };
        Self { reason, notes }
    }
}

/// Lets the ALG read the datagram that begins its session, or goes on with it.
///
/// # Errors
/// The ALG refuses it.
pub(super) fn read_datagram(
    (control, circumstances): (&Control, &Circumstances<'_>),
    (origin, direction): (&Origin, Direction),
    (headers, frame): (&Headers, &[u8]),
    why: &mut impl Observer,
) -> Result<Option<Box<ControlStep>>, Refused> {
    let Some(payload) = frame.get(headers.payload_range()) else {
        why.step(Step::Unread(Unread::Cut));
        return Ok(None);
    };
    let mut next = control.clone();
    let mut desk = EngineDesk::new(circumstances, origin, &control.holes);
    let chunk = Chunk {
        direction,
        seq: SeqNumber(0),
        bytes: payload,
    };
    let inspection = next.alg.inspect(chunk, &mut desk);
    for note in &inspection.notes {
        why.step(Step::Alg(note));
    }
    debug_assert!(inspection.edits.is_empty(), "a datagram is not rewritten");
    if let AlgVerdict::Refuse(check) = inspection.verdict {
        return Err(Refused::by(check, inspection.notes));
    }
    let (holes, changes) = desk.outcome();
    next.holes = holes;
    Ok(Some(Box::new(ControlStep {
        next,
        changes,
        notes: inspection.notes,
    })))
}

/// Lets the ALG read a segment. `None`: nothing in it concerns the reader.
///
/// # Errors
/// The ALG refuses the segment.
pub(super) fn read(
    (control, circumstances): (&Control, &Circumstances<'_>),
    session: &Session,
    direction: Direction,
    (headers, frame): (&Headers, &[u8]),
    why: &mut impl Observer,
) -> Result<Option<Box<ControlStep>>, Refused> {
    let origin = &session.origin;
    if origin.alg.is_some_and(|kind| kind.protocol() == Protocol::UDP) {
        let known = (control, circumstances);
        return read_datagram(known, (origin, direction), (headers, frame), why);
    }
    let Some(tcp) = headers.tcp().filter(|_| Control::concerns(headers)) else {
        return Ok(None);
    };
    // A SYN in a connection whose ends have met changes nothing before its
    // receiver has said so: whoever forges one must not make the reader lose
    // its place.
    let is_met = !matches!(
        session.state(),
        State::Tcp(TcpState::SynSent | TcpState::SynSent2)
    );
    if is_met && tcp.flags.has(TcpFlags::SYN) {
        return Ok(None);
    }
    let mut next = control.clone();
    next.synchronize(direction, headers);
    // Data on a SYN counts from the number behind it.
    let data_at = tcp.seq.advance(u32::from(tcp.flags.has(TcpFlags::SYN)));
    let mut desk = EngineDesk::new(circumstances, origin, &control.holes);
    let mut notes = Vec::new();
    match (
        next.cursors[direction].read(data_at, tcp.payload),
        frame.get(headers.payload_range()),
    ) {
        (Reading::Nothing, _) => {}
        (Reading::Gap, _) => {
            why.step(Step::Unread(Unread::Gap));
            next.alg.skipped(direction);
        }
        (Reading::New(_), None) => {
            why.step(Step::Unread(Unread::Cut));
            next.alg.skipped(direction);
        }
        (Reading::New(new), Some(payload)) => {
            let skip = u32::try_from(new.start).unwrap_or(u32::MAX);
            let chunk = Chunk {
                direction,
                seq: data_at.advance(skip),
                bytes: payload.get(new).unwrap_or(&[]),
            };
            let seq = chunk.seq;
            let inspection = next.alg.inspect(chunk, &mut desk);
            for note in &inspection.notes {
                why.step(Step::Alg(note));
            }
            if let AlgVerdict::Refuse(check) = inspection.verdict {
                return Err(Refused::by(check, inspection.notes));
            }
            for edit in &inspection.edits {
                let at = seq.advance(u32::try_from(edit.range.start).unwrap_or(u32::MAX));
                // A change that cannot be remembered could not be repeated:
                // the segment is dropped, and finds room when it comes again.
                let recorded = next.rewrites[direction].record(at, edit.range.len(), &edit.with);
                if recorded.is_err() {
                    return Err(Refused {
                        reason: Reason::AlgRefused,
                        notes: Vec::new(),
                    });
                }
            }
            notes = inspection.notes;
        }
    }
    let (holes, changes) = desk.outcome();
    next.holes = holes;
    Ok(Some(Box::new(ControlStep {
        next,
        changes,
        notes,
    })))
}
