//! A control session's reader.
//!
//! The ALG reads a copy of its state while the engine decides; only a
//! committed packet stores the copy, with the holes that it asked for and the
//! changes to the stream.

use serde::{Deserialize, Serialize};

use super::Reason;
use super::desk::{Circumstances, EngineDesk, HoleChange};
use super::observer::{Observer, Step, Unread};
use crate::alg::stream::{Follow, Follower, Place, Progress, Reading, Segment, Unreadable};
use crate::alg::{Alg, AlgVerdict, Chunk, NotOpened, Note, Start, attach};
use crate::net::{AlgKind, Direction, PerDirection, Protocol, SeqNumber, TcpFlags};
use crate::packet::{self, Headers, Renumber};
use crate::session::{ExpectedTuple, Handle, Origin, Session, State, TcpState};

/// What the engine keeps of one control session.
#[derive(Debug, Clone)]
pub(super) struct Control {
    pub(super) alg: Box<dyn Alg>,
    pub(super) streams: PerDirection<Follower>,
    /// What the segments of each direction last acknowledged and offered.
    pub(super) said: PerDirection<Option<Said>>,
    /// The longest segment that the sender of each direction takes, if its SYN
    /// has said so.
    pub(super) mss: PerDirection<Option<u16>>,
    /// The data sessions that it announced and that have not come, the oldest
    /// first: as many as the settings let it have.
    pub(super) holes: Vec<ExpectedTuple>,
    /// Those that have come: while one runs, the control session lives.
    pub(super) children: Vec<Handle>,
    /// The session whose reader it is, once that is in the table.
    pub(super) handle: Option<Handle>,
}

/// What a segment says besides its payload, as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Said {
    ack: SeqNumber,
    window: u16,
}

impl Said {
    fn of(headers: &Headers) -> Option<Self> {
        let tcp = headers.tcp().filter(|tcp| tcp.flags.has(TcpFlags::ACK))?;
        Some(Self {
            ack: tcp.ack,
            window: tcp.window,
        })
    }
}

/// What one packet does to its control session.
#[derive(Debug)]
pub(super) struct ControlStep {
    /// The reader, if it has read something.
    alg: Option<Box<dyn Alg>>,
    /// The number of a SYN from which the stream counts.
    syn: Option<SeqNumber>,
    follow: Follow,
    progress: Progress,
    /// The holes that it has from now on, and how that comes about.
    holes: Vec<ExpectedTuple>,
    pub(super) changes: Vec<HoleChange>,
    /// What there is to tell of it.
    pub(super) notes: Vec<Note>,
    pub(super) leaves: Leaves,
    /// Where the octets begin that leave with this segment, having been
    /// withheld before.
    merged: Option<SeqNumber>,
}

/// What leaves of a control segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaves {
    /// All that is not withheld.
    Segment,
    /// What it says besides its payload, all of which is withheld.
    Header,
    /// Nothing: it says nothing else.
    Nothing,
    /// Nothing; and its sender is told that everything up to this number has arrived.
    Acknowledged(SeqNumber),
    /// Nothing: it is as if it were lost behind the gateway.
    Lost,
}

/// The segment as its stream's follower sees it.
fn segment_of<'a>(headers: &Headers, frame: &'a [u8]) -> Option<Segment<'a>> {
    let tcp = headers.tcp()?;
    Some(Segment {
        // Data on a SYN counts from the number behind it.
        seq: tcp.seq.advance(u32::from(tcp.flags.has(TcpFlags::SYN))),
        len: tcp.payload,
        octets: frame.get(headers.payload_range()),
        fin: tcp.flags.has(TcpFlags::FIN),
    })
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
            streams: PerDirection::default(),
            said: PerDirection::default(),
            mss: PerDirection::default(),
            holes: Vec::new(),
            children: Vec::new(),
            handle: None,
        }
    }

    /// Starts counting at a SYN.
    pub(super) fn synchronize(&mut self, direction: Direction, headers: &Headers, frame: &[u8]) {
        if let Some(tcp) = headers.tcp().filter(|tcp| tcp.flags.has(TcpFlags::SYN)) {
            self.streams[direction].synchronize(tcp.seq);
            self.note_mss(direction, headers, frame);
        }
    }

    fn note_mss(&mut self, direction: Direction, headers: &Headers, frame: &[u8]) {
        if let Some(mss) = packet::announced_mss(frame, headers) {
            self.mss[direction] = Some(mss);
        }
    }

    /// Whether neither stream has been changed, and nothing is withheld.
    pub(super) fn is_plain(&self) -> bool {
        let is_plain = |direction: &Direction| self.streams[*direction].is_plain();
        Direction::BOTH.iter().all(is_plain)
    }

    /// Carries out what was decided about a segment. Gives where the octets
    /// begin that leave with it.
    pub(super) fn go_on(
        &mut self,
        direction: Direction,
        headers: &Headers,
        frame: &[u8],
        step: Option<ControlStep>,
    ) -> Option<SeqNumber> {
        let mut merged = None;
        if let Some(step) = step {
            merged = step.merged;
            if let Some(alg) = step.alg {
                self.alg = alg;
            }
            self.holes = step.holes;
            if let Some(syn) = step.syn {
                self.streams[direction].synchronize(syn);
                self.note_mss(direction, headers, frame);
            }
            if let Some(segment) = segment_of(headers, frame) {
                self.streams[direction].go_on(&segment, step.progress, step.follow);
            }
        }
        if let Some(said) = Said::of(headers) {
            self.said[direction] = Some(said);
            if self.streams[!direction].acknowledged(said.ack) == Place::Lost {
                self.alg.skipped(!direction);
            }
        }
        merged
    }

    /// Appends to `payload` what the receiver is to get of this segment, and
    /// says which number it begins at.
    pub(super) fn image(
        &self,
        direction: Direction,
        headers: &Headers,
        frame: &[u8],
        merged: Option<SeqNumber>,
        payload: &mut Vec<u8>,
    ) -> Option<SeqNumber> {
        let segment = segment_of(headers, frame)?;
        let seq = self.streams[direction].image(&segment, merged, payload);
        let syn = headers.tcp()?.flags.has(TcpFlags::SYN);
        Some(seq.shift(-i32::from(syn)))
    }

    /// How the numbers of a segment travelling in `direction` change, which
    /// leaves as `seq`.
    pub(super) fn numbers(&self, direction: Direction, seq: SeqNumber) -> StreamNumbers<'_> {
        StreamNumbers {
            seq,
            other: &self.streams[!direction],
        }
    }

    /// The most octets of payload that the receiver of this segment takes in one.
    pub(super) fn longest_payload(&self, direction: Direction, headers: &Headers) -> usize {
        let mss = self.mss[!direction].unwrap_or_else(|| packet::default_mss(headers));
        // The announced size is without options (RFC 6691).
        let options = headers.tcp().map_or(0, |tcp| tcp.length.saturating_sub(20));
        usize::from(mss).saturating_sub(options).max(1)
    }

    /// The window that the receiver of this direction last offered.
    pub(super) fn window_of_receiver(&self, direction: Direction) -> Option<u16> {
        self.said[!direction].map(|said| said.window)
    }

    /// What an acknowledgement of the changed stream acknowledges of the stream
    /// as its sender counts.
    pub(super) fn as_sent(&self, stream: Direction, ack: SeqNumber) -> SeqNumber {
        self.streams[stream].ack(ack)
    }

    /// What a receiver of the changed stream acknowledges, given what it would
    /// have acknowledged of the unchanged one.
    pub(super) fn as_received(&self, stream: Direction, ack: SeqNumber) -> SeqNumber {
        self.streams[stream].seq(ack)
    }
}

/// The numbers of one direction of a changed stream.
pub(super) struct StreamNumbers<'a> {
    seq: SeqNumber,
    other: &'a Follower,
}

impl Renumber for StreamNumbers<'_> {
    fn seq(&self, _: SeqNumber) -> SeqNumber {
        self.seq
    }

    fn ack(&self, ack: SeqNumber) -> SeqNumber {
        self.other.ack(ack)
    }

    fn sack(&self, edges: [SeqNumber; 2]) -> [SeqNumber; 2] {
        self.other.sack(edges)
    }
}

/// Why a control packet may not pass, and what there is to tell of it.
pub(super) struct Refused {
    pub(super) reason: Reason,
    pub(super) notes: Vec<Note>,
}

impl From<Reason> for Refused {
    fn from(reason: Reason) -> Self {
        Self {
            reason,
            notes: Vec::new(),
        }
    }
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
    let mut alg = control.alg.boxed_clone();
    let mut desk = EngineDesk::new(circumstances, origin, &control.holes);
    let chunk = Chunk {
        direction,
        seq: SeqNumber(0),
        bytes: payload,
    };
    let inspection = alg.inspect(chunk, &mut desk);
    for note in &inspection.notes {
        why.step(Step::Alg(note));
    }
    debug_assert!(inspection.edits.is_empty(), "a datagram is not rewritten");
    if let AlgVerdict::Refuse(check) = inspection.verdict {
        return Err(Refused::by(check, inspection.notes));
    }
    let (holes, changes) = desk.outcome();
    Ok(Some(Box::new(ControlStep {
        alg: Some(alg),
        syn: None,
        follow: Follow::Loosely,
        progress: Progress::None,
        holes,
        changes,
        notes: inspection.notes,
        leaves: Leaves::Segment,
        merged: None,
    })))
}

/// What a segment does to its control session. `None`: nothing in it concerns
/// the reader.
///
/// # Errors
/// The segment is to be dropped, and leaves no trace.
pub(super) fn read(
    (control, circumstances): (&Control, &Circumstances<'_>),
    session: &Session,
    direction: Direction,
    (headers, frame): (&Headers, &[u8]),
    why: &mut impl Observer,
) -> Result<Option<Box<ControlStep>>, Refused> {
    let origin = &session.origin;
    if origin
        .alg
        .is_some_and(|kind| kind.protocol() == Protocol::UDP)
    {
        let known = (control, circumstances);
        return read_datagram(known, (origin, direction), (headers, frame), why);
    }
    let Some(tcp) = headers.tcp() else {
        return Ok(None);
    };
    let is_syn = tcp.flags.has(TcpFlags::SYN);
    if tcp.payload == 0 && !is_syn && !tcp.flags.has(TcpFlags::FIN) {
        return Ok(None);
    }
    // A SYN in a connection whose ends have met changes nothing before its
    // receiver has said so: whoever forges one must not make the reader lose
    // its place.
    let is_met = !matches!(
        session.state(),
        State::Tcp(TcpState::SynSent | TcpState::SynSent2)
    );
    if is_met && is_syn {
        return Ok(None);
    }
    let Some(segment) = segment_of(headers, frame) else {
        return Ok(None);
    };
    let begun;
    let stream = if is_syn {
        let mut stream = control.streams[direction].clone();
        stream.synchronize(tcp.seq);
        begun = stream;
        &begun
    } else {
        &control.streams[direction]
    };
    let mut reader = Reader {
        control,
        stream,
        segment,
        direction,
        step: ControlStep {
            alg: None,
            syn: is_syn.then_some(tcp.seq),
            follow: control.alg.follow(),
            progress: Progress::None,
            holes: Vec::new(),
            changes: Vec::new(),
            notes: Vec::new(),
            leaves: Leaves::Segment,
            merged: None,
        },
    };
    let mut desk = EngineDesk::new(circumstances, origin, &control.holes);
    reader.read(&mut desk, why)?;
    let mut step = reader.step;
    (step.holes, step.changes) = desk.outcome();
    if step.leaves == Leaves::Header && Said::of(headers) == control.said[direction] {
        step.leaves = Leaves::Nothing;
    }
    Ok(Some(Box::new(step)))
}

/// The reading of one segment.
struct Reader<'a> {
    control: &'a Control,
    stream: &'a Follower,
    segment: Segment<'a>,
    direction: Direction,
    step: ControlStep,
}

impl Reader<'_> {
    fn read(&mut self, desk: &mut EngineDesk<'_>, why: &mut impl Observer) -> Result<(), Refused> {
        match self.stream.read(&self.segment, self.step.follow) {
            Reading::Nothing => self.repeats(),
            Reading::Withheld => {
                self.step.leaves = Leaves::Header;
                if let Some(next) = self.stream.next().filter(|_| self.stream.may_silence()) {
                    why.step(Step::Acknowledges);
                    self.step.progress = Progress::Silenced;
                    self.step.leaves = Leaves::Acknowledged(next);
                }
            }
            Reading::Answered(behind) => {
                why.step(Step::AcknowledgesAgain);
                self.step.leaves = Leaves::Acknowledged(behind);
            }
            Reading::Beyond => {
                self.step.progress = Progress::Beyond;
                self.step.leaves = Leaves::Lost;
            }
            Reading::Unread(unreadable) => {
                why.step(Step::Unread(match unreadable {
                    Unreadable::Gap => Unread::Gap,
                    Unreadable::Cut => Unread::Cut,
                }));
                self.step.progress = Progress::Skipped;
                self.skip();
            }
            Reading::Contradicts => return Err(Reason::AlgOverlap.into()),
            Reading::Full => return Err(Reason::AlgUnacknowledged.into()),
            Reading::End => self.let_go()?,
            Reading::New(new) => self.inspect(new, desk, why)?,
        }
        Ok(())
    }

    /// Octets that were taken before, perhaps all withheld.
    fn repeats(&mut self) {
        if self.segment.len > 0 && self.stream.is_withheld(self.segment.seq) {
            self.step.leaves = Leaves::Header;
        }
    }

    fn alg(&mut self) -> &mut Box<dyn Alg> {
        let control = self.control;
        self.step
            .alg
            .get_or_insert_with(|| control.alg.boxed_clone())
    }

    fn skip(&mut self) {
        let direction = self.direction;
        self.alg().skipped(direction);
    }

    /// The stream ends: what was withheld goes with its end.
    fn let_go(&mut self) -> Result<(), Refused> {
        let (at, mut chunk) = self.stream.chunk(&[]);
        let withheld = chunk.len();
        chunk.to_mut().push(0);
        let changes = self.stream.changes((at, &chunk), &[], withheld + 1);
        let end = self.segment.len;
        self.step.merged = (withheld > 0).then_some(at);
        self.step.progress = Progress::Taken {
            new: end..end,
            withheld: 0,
            changes: changes.map_err(|_| Refused::from(Reason::AlgRefused))?,
        };
        Ok(())
    }

    fn inspect(
        &mut self,
        new: std::ops::Range<usize>,
        desk: &mut EngineDesk<'_>,
        why: &mut impl Observer,
    ) -> Result<(), Refused> {
        let octets = self.segment.octets.unwrap_or_default();
        let octets = octets.get(new.clone()).unwrap_or_default();
        let (at, bytes) = self.stream.chunk(octets);
        let withheld = bytes.len() - octets.len();
        let direction = self.direction;
        let chunk = Chunk {
            direction,
            seq: at,
            bytes: &bytes,
        };
        let inspection = self.alg().inspect(chunk, desk);
        for note in &inspection.notes {
            why.step(Step::Alg(note));
        }
        if let AlgVerdict::Refuse(check) = inspection.verdict {
            return Err(Refused::by(check, inspection.notes));
        }
        self.step.notes = inspection.notes;
        // A stream that ends keeps nothing back, nor one that is not followed.
        let may_hold = !self.segment.fin && self.step.follow == Follow::Strictly;
        let hold = inspection
            .hold
            .filter(|hold| may_hold && *hold < bytes.len());
        let hold = match hold {
            Some(hold) if 0 < hold && hold <= withheld => {
                debug_assert!(false, "what was withheld is withheld whole");
                self.skip();
                None
            }
            hold => hold,
        };
        let released = hold.unwrap_or(bytes.len());
        let changes = self
            .stream
            .changes((at, &bytes), &inspection.edits, released);
        self.step.merged = (withheld > 0).then_some(at);
        self.step.progress = Progress::Taken {
            new,
            withheld: bytes.len() - released,
            // Changes that cannot be remembered could not be repeated: the
            // segment is dropped, and finds room when it comes again.
            changes: changes.map_err(|_| Refused::from(Reason::AlgRefused))?,
        };
        if released < bytes.len() {
            why.step(Step::Withholds(bytes.len() - released));
        }
        if released == 0 && !self.segment.seq.is_before(at) {
            self.step.leaves = Leaves::Header;
        }
        Ok(())
    }
}
