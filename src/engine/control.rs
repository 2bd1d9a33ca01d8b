//! A control session's reader and the desk it asks at.
//!
//! The ALG reads a copy of its state while the engine decides; only a
//! committed packet stores the copy, with the hole that it asked for and the
//! changes to the stream.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use super::observer::{Observer, Step, Unread};
use crate::alg::stream::{Cursor, Reading, Rewrites};
use crate::alg::{Alg, AlgVerdict, Announcement, Chunk, Desk, NoHole, attach};
use crate::nat::{NatPolicy, ports_from};
use crate::net::{
    AlgKind, Direction, Endpoint, PerDirection, Port, SeqNumber, TcpFlags, Timestamp, Tuple,
};
use crate::packet::{Headers, Renumber};
use crate::session::{
    Expectation, ExpectedTuple, Handle, Holding, Mappings, Origin, Session, Sessions, State,
    TcpState, Timeouts, TupleHash, Usage,
};

/// What the engine keeps of one control session.
#[derive(Debug, Clone)]
pub(super) struct Control {
    alg: Box<dyn Alg>,
    cursors: PerDirection<Cursor>,
    rewrites: PerDirection<Rewrites>,
    /// The data session that it announced and that has not come: one at a
    /// time, as the kernel's helper (`max_expected = 1`).
    pub(super) pending: Option<ExpectedTuple>,
}

/// What one segment does to its control session.
#[derive(Debug)]
pub(super) struct ControlStep {
    pub(super) next: Control,
    pub(super) expectation: Option<Expectation>,
}

impl Control {
    pub(super) fn new(kind: AlgKind) -> Self {
        Self {
            alg: attach(kind),
            cursors: PerDirection::default(),
            rewrites: PerDirection::default(),
            pending: None,
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

/// Why a control segment may not pass.
pub(super) struct Refused;

/// What the control session's state is consulted and asked with.
pub(super) struct Circumstances<'a> {
    pub(super) sessions: &'a Sessions,
    pub(super) nat: &'a NatPolicy,
    pub(super) hash: TupleHash,
    pub(super) timeouts: &'a Timeouts,
    pub(super) now: Timestamp,
}

/// Lets the ALG read a segment. `None`: nothing in it concerns the reader.
///
/// # Errors
/// The ALG refuses the segment.
pub(super) fn read(
    control: &Control,
    circumstances: &Circumstances<'_>,
    (handle, session, direction): (Handle, &Session, Direction),
    headers: &Headers,
    frame: &[u8],
    why: &mut impl Observer,
) -> Result<Option<Box<ControlStep>>, Refused> {
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
    let mut desk = EngineDesk {
        circumstances,
        parent: handle,
        origin: &session.origin,
        pending: control.pending,
        asked: None,
    };
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
            if let AlgVerdict::Refuse(_) = inspection.verdict {
                return Err(Refused);
            }
            for edit in &inspection.edits {
                let at = seq.advance(u32::try_from(edit.range.start).unwrap_or(u32::MAX));
                // A change that cannot be remembered could not be repeated:
                // the segment is dropped, and finds room when it comes again.
                let recorded = next.rewrites[direction].record(at, edit.range.len(), &edit.with);
                recorded.map_err(|_| Refused)?;
            }
        }
    }
    let expectation = desk.asked;
    Ok(Some(Box::new(ControlStep { next, expectation })))
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

    /// The range or block of its client's own that the control session's public
    /// endpoint lies in.
    fn range(&self) -> Option<RangeInclusive<u16>> {
        let Holding {
            row,
            client,
            public: (_, public),
        } = Mappings::holding(self.origin)?;
        let row = self.circumstances.nat.source.get(row.place())?;
        row.has_ranges().then(|| row.range_around(client, public))?
    }

    /// Whether a socket has this public endpoint for its own, or nobody may have
    /// it yet.
    fn is_anothers(&self, tuple: &ExpectedTuple) -> bool {
        let mappings = self.circumstances.sessions.mappings();
        let usage = mappings.usage(tuple.protocol, tuple.destination);
        matches!(usage, Usage::Mapped(_) | Usage::Resting)
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
        // Whose ports come from ranges of their own announces such a one.
        let range = self.range().filter(|_| is_public).unwrap_or(1024..=65535);
        let keeps = !is_public || self.range().is_none_or(|own| own.contains(&announced.0));
        let tuple = std::iter::once(announced)
            .filter(|_| keeps)
            .chain(ports_from(range, start))
            .map(expected_at)
            .find(|tuple| {
                let is_closed = || self.is_kept(tuple) || self.is_anothers(tuple);
                !(self.is_taken(tuple) || is_public && is_closed())
            })
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
