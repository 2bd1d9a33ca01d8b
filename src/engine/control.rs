//! A control session's reader and the desk it asks at.
//!
//! The ALG reads a copy of its state while the engine decides; only a
//! committed packet stores the copy, with the hole that it asked for and the
//! changes to the stream.

use std::net::IpAddr;

use super::Reason;
use super::observer::{Observer, Step, Unread};
use crate::alg::stream::{Follow, Follower, Place, Progress, Reading, Segment, Unreadable};
use crate::alg::{Alg, AlgVerdict, Announcement, Chunk, Desk, NoHole, attach};
use crate::nat::{NatPolicy, ports_from};
use crate::net::{
    AlgKind, Direction, Endpoint, PerDirection, Port, SeqNumber, TcpFlags, Timestamp, Tuple,
};
use crate::packet::{self, Headers, Renumber};
use crate::session::{
    Expectation, ExpectedTuple, Handle, Origin, Session, Sessions, State, TcpState, Timeouts,
    TupleHash,
};

/// What the engine keeps of one control session.
#[derive(Debug, Clone)]
pub(super) struct Control {
    alg: Box<dyn Alg>,
    streams: PerDirection<Follower>,
    /// What the segments of each direction last acknowledged and offered.
    said: PerDirection<Option<Said>>,
    /// The longest segment that the sender of each direction takes, if its SYN
    /// has said so.
    mss: PerDirection<Option<u16>>,
    /// The data session that it announced and that has not come: one at a
    /// time, as the kernel's helper (`max_expected = 1`).
    pub(super) pending: Option<ExpectedTuple>,
}

/// What a segment says besides its payload, as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// What one segment does to its control session.
#[derive(Debug)]
pub(super) struct ControlStep {
    /// The reader, if it has read something.
    alg: Option<Box<dyn Alg>>,
    /// The number of a SYN from which the stream counts.
    syn: Option<SeqNumber>,
    follow: Follow,
    progress: Progress,
    pub(super) expectation: Option<Expectation>,
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
    /// Nothing; and its sender is told that its octets have arrived.
    Acknowledged,
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
    pub(super) fn new(kind: AlgKind) -> Self {
        Self {
            alg: attach(kind),
            streams: PerDirection::default(),
            said: PerDirection::default(),
            mss: PerDirection::default(),
            pending: None,
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

    /// What a receiver would say that has got all that is withheld from it: the
    /// acknowledgement, and the window that it last offered.
    pub(super) fn says_in_its_name(&self, direction: Direction) -> Option<(SeqNumber, u16)> {
        let said = self.said[!direction]?;
        Some((self.streams[direction].next()?, said.window))
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

/// Why a control segment may not pass.
pub(super) struct Refused(pub(super) Reason);

/// What the control session's state is consulted and asked with.
pub(super) struct Circumstances<'a> {
    pub(super) sessions: &'a Sessions,
    pub(super) nat: &'a NatPolicy,
    pub(super) hash: TupleHash,
    pub(super) timeouts: &'a Timeouts,
    pub(super) now: Timestamp,
}

/// What a segment does to its control session. `None`: nothing in it concerns
/// the reader.
///
/// # Errors
/// The segment is to be dropped, and leaves no trace.
pub(super) fn read(
    control: &Control,
    circumstances: &Circumstances<'_>,
    (handle, session, direction): (Handle, &Session, Direction),
    headers: &Headers,
    frame: &[u8],
    why: &mut impl Observer,
) -> Result<Option<Box<ControlStep>>, Refused> {
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
            expectation: None,
            leaves: Leaves::Segment,
            merged: None,
        },
    };
    let mut desk = EngineDesk {
        circumstances,
        parent: handle,
        origin: &session.origin,
        pending: control.pending,
        asked: None,
    };
    reader.read(&mut desk, why)?;
    let mut step = reader.step;
    step.expectation = desk.asked;
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
                if self.stream.may_silence() {
                    why.step(Step::Acknowledges);
                    self.step.progress = Progress::Silenced;
                    self.step.leaves = Leaves::Acknowledged;
                }
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
            Reading::Contradicts => return Err(Refused(Reason::AlgOverlap)),
            Reading::Full => return Err(Refused(Reason::AlgUnacknowledged)),
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
            changes: changes.map_err(|_| Refused(Reason::AlgRefused))?,
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
        if let AlgVerdict::Refuse(_) = inspection.verdict {
            return Err(Refused(Reason::AlgRefused));
        }
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
            changes: changes.map_err(|_| Refused(Reason::AlgRefused))?,
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

/// The engine's side of an ALG's request.
struct EngineDesk<'a> {
    circumstances: &'a Circumstances<'a>,
    parent: Handle,
    origin: &'a Origin,
    /// What the control session expects now; a new expectation replaces it.
    pending: Option<ExpectedTuple>,
    asked: Option<Expectation>,
}

impl EngineDesk<'_> {
    /// Whether another data session might be meant by this tuple.
    fn is_taken(&self, tuple: &ExpectedTuple) -> bool {
        let sessions = self.circumstances.sessions;
        // A live session of the very same two ends would swallow the data
        // session; active servers speak from port 20.
        let from_ftp_data = Tuple::new(
            tuple.protocol,
            Endpoint::new(tuple.source, Port(20)),
            tuple.destination,
        );
        (sessions.expectations().is_taken(tuple) && self.pending != Some(*tuple))
            || sessions.lookup(&from_ftp_data).is_some()
    }

    /// Whether this would be a port that the operator keeps. One that a forward
    /// leads inside by may well be this server's data port.
    fn is_kept(&self, tuple: &ExpectedTuple) -> bool {
        let nat = self.circumstances.nat;
        nat.keeps(tuple.protocol, tuple.destination)
    }
}

impl Desk for EngineDesk<'_> {
    fn address_of(&self, direction: Direction) -> IpAddr {
        self.origin.tuples[direction].source.address
    }

    fn translates(&self, by: Direction) -> bool {
        self.origin.tuples[!by].destination.address != self.address_of(by)
    }

    /// The data session is translated as the control session is
    /// (`nf_nat_follow_master`): what travels its way in the control session
    /// arrives at, and leaves with, these addresses. Of several announcements
    /// in one segment the last one counts, as it does of several segments.
    fn expect(&mut self, announcement: Announcement) -> Result<Endpoint, NoHole> {
        let direction = !announcement.by;
        let arriving = &self.origin.tuples[direction];
        let leaving = self.origin.outgoing(direction);
        let expected_at = |port| ExpectedTuple {
            protocol: announcement.protocol,
            source: arriving.source.address,
            destination: Endpoint::new(arriving.destination.address, port),
        };
        let announced = announcement.endpoint.port;
        let is_public = arriving.destination.address != self.address_of(announcement.by);
        // Each control session searches from a place of its own.
        let own = self.origin.tuples.original;
        let start = self.circumstances.hash.of(&(own, expected_at(announced)));
        let tuple = std::iter::once(announced)
            .chain(ports_from(1024..=65535, start))
            .map(expected_at)
            .find(|tuple| !(self.is_taken(tuple) || is_public && self.is_kept(tuple)))
            .ok_or(NoHole::NoPort)?;
        if !announcement.allows(tuple.destination) {
            return Err(NoHole::NeedsRewrite);
        }
        self.asked = Some(Expectation {
            tuple,
            parent: self.parent,
            direction,
            to: announcement.endpoint,
            source: leaving.source.address,
            deadline: self
                .circumstances
                .now
                .after(self.circumstances.timeouts.expectation),
        });
        Ok(tuple.destination)
    }
}
