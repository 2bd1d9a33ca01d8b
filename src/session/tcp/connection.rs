//! What is known of one TCP connection, and what each segment does to it.
//!
//! Follows `nf_conntrack_tcp_packet` of `nf_conntrack_proto_tcp.c`: first the
//! state table, then the exceptions that it cannot hold (a SYN that the
//! firewall let by, challenge ACKs, resets), then the window check. A segment
//! that is refused changes nothing.

mod exact;
mod reset;
mod standing;

use super::super::state::TcpState;
use super::checks::{PickUp, Resets, TcpChecks, Windows};
use super::segment::Segment;
use super::table::{SegmentKind, Transition, transition};
use super::window::{Check, Closing, End, Fit, Sent, check, of_syn};
use crate::net::{Direction, PerDirection, SeqNumber};
use reset::Reset;
use serde::{Deserialize, Serialize};

/// Whether both ends have been heard, and whether their session has shown that
/// it is real.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Heard {
    /// Only the end that began.
    OneEnd,
    /// Both ends (`IPS_SEEN_REPLY`).
    BothEnds,
    /// Both, and what they said fits together: never given up for a stranger's
    /// sake (`IPS_ASSURED`).
    Assured,
}

/// What is known of a TCP connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    pub(super) state: TcpState,
    pub(super) ends: PerDirection<End>,
    pub(super) last: Last,
    /// A SYN that was let by while the session was in another state: what it
    /// said, in case that the other end takes it up.
    pub(super) passed_syn: Option<PassedSyn>,
    pub(super) opening: Opened,
    /// How often the last segment came again; more than [`MOST_REPEATED`] times is
    /// not counted.
    pub(super) repeated: u8,
}

/// Whether both ends sent a SYN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Opened {
    ByOne,
    ByBoth,
}

/// The last segment that counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Last {
    /// `None` before the first.
    pub(super) kind: Option<SegmentKind>,
    pub(super) direction: Direction,
    pub(super) seq: SeqNumber,
    pub(super) ack: SeqNumber,
    pub(super) end: SeqNumber,
    pub(super) window: u16,
}

/// What a SYN that was let by said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::session) struct PassedSyn {
    end: End,
    /// In `LastAck`, a challenge ACK (RFC 5961 section 4) may answer it.
    challenge: Challenge,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Challenge {
    No,
    Expected,
}

/// What a segment is to its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::session) enum Verdict {
    /// It belongs; the session goes on as told, and lives that long.
    Belongs(Connection, Life),
    /// It passes without renewing the session.
    Passes(Connection),
    /// It passes, and the session is over at once.
    Ends,
    /// The connection is over; the segment begins a new one.
    Reopens,
    /// It cannot belong to the connection in its state.
    WrongState,
    /// It lies outside of what both ends have said.
    OutOfWindow,
    /// A reset with a number that was acknowledged long ago.
    WrongReset,
}

/// How long the connection lives without another segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Life {
    /// As its state says.
    OfState,
    /// At most as long as data may stay without acknowledgement.
    Unacknowledged,
    /// At most as long as an end may go on repeating itself.
    Repeating,
    /// As after a reset.
    OfReset,
}

/// `nf_conntrack_tcp_max_retrans`.
pub(super) const MOST_REPEATED: u8 = 3;

impl Connection {
    /// The connection that begins with this segment. `None`: it cannot begin
    /// one.
    pub(in crate::session) fn begin(segment: &Segment, checks: TcpChecks) -> Option<Self> {
        match (segment.kind, checks.pick_up) {
            (SegmentKind::Syn, _) => Some(Self::first(segment, TcpState::SynSent, of_syn(segment))),
            (SegmentKind::Ack, PickUp::Loose) => Some(Self::begin_in_the_middle(segment)),
            _ => None,
        }
    }

    /// The connection that begins with this segment if it is a SYN and says nothing else.
    #[inline]
    pub(in crate::session) fn begin_by_syn(segment: &Segment) -> Option<Self> {
        let is_syn = segment.flags.are_syn_alone();
        is_syn.then(|| Self::first(segment, TcpState::SynSent, of_syn(segment)))
    }

    fn first(segment: &Segment, state: TcpState, ends: PerDirection<End>) -> Self {
        Self {
            state,
            ends,
            last: Last::first(segment.kind),
            passed_syn: None,
            opening: Opened::ByOne,
            repeated: 0,
        }
    }

    #[inline(never)]
    fn begin_in_the_middle(segment: &Segment) -> Self {
        let ends = PerDirection {
            original: End::of_middle(segment),
            reply: End::unseen_of_middle(),
        };
        let mut begun = Self::first(segment, TcpState::Established, ends);
        // The first segment is checked as all others are, and cannot fail.
        let fit = check(
            &mut begun.ends,
            TcpState::SynSent,
            Direction::Original,
            segment,
            Check::Liberal,
        );
        if fit == Fit::InWindow {
            begun.note_repetition(Direction::Original, segment);
        }
        begun
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> TcpState {
        self.state
    }

    /// Whether the end that was called has agreed to nothing yet: neither by a SYN nor
    /// by a segment within a window.
    pub(in crate::session) fn is_unanswered(&self) -> bool {
        self.ends.reply.max_window == 0
    }

    /// What is known of a connection of which more segments may have passed: neither end is
    /// held to what it has said, but for how it scales its windows, and what it has
    /// acknowledged. A connection that nobody has agreed to yet stays as it is.
    pub(in crate::session) fn left_behind(&self) -> Self {
        if self.is_unanswered() {
            return *self;
        }
        let unseen = |end: &End| End {
            max_ack: end.max_ack,
            scale: end.scale,
            shift: end.shift,
            sack: end.sack,
            closing: end.closing,
            ..End::unseen_of_middle()
        };
        Self {
            ends: PerDirection {
                original: unseen(&self.ends.original),
                reply: unseen(&self.ends.reply),
            },
            repeated: 0,
            ..*self
        }
    }

    /// What this segment does to the connection.
    pub(in crate::session) fn segment(
        &self,
        direction: Direction,
        segment: &Segment,
        heard: Heard,
        checks: TcpChecks,
    ) -> Verdict {
        let mut next = *self;
        let kind = segment.kind;
        let exact = checks.resets == Resets::Exact;
        let mut to = match transition(self.state, direction, kind) {
            Transition::Invalid => return Verdict::WrongState,
            Transition::To(state) => state,
            Transition::Reopen if self.is_over(direction) || (exact && self.was_reset()) => {
                return Verdict::Reopens;
            }
            Transition::Reopen | Transition::Ignore => {
                if !self.answers_passed_syn(direction, segment) {
                    next.let_by(direction, segment);
                    return Verdict::Passes(next);
                }
                next.resynchronize(direction);
                TcpState::SynRecv
            }
        };
        match to {
            TcpState::TimeWait if self.is_challenge_ack(direction, kind) => {
                if let Some(syn) = &mut next.passed_syn {
                    syn.challenge = Challenge::No;
                }
                return Verdict::Passes(next);
            }
            TcpState::SynSent2 => next.opening = Opened::ByBoth,
            TcpState::SynRecv
                if direction == Direction::Reply
                    && kind == SegmentKind::Ack
                    && self.opening == Opened::ByBoth =>
            {
                to = TcpState::Established;
            }
            TcpState::Close if exact && kind == SegmentKind::Rst => {
                return self.exact_reset(direction, segment, checks.windows);
            }
            TcpState::Close if exact && kind == SegmentKind::Ack => to = self.revived(heard),
            TcpState::Close if kind == SegmentKind::Rst => {
                match self.reset(direction, segment, heard, checks) {
                    Reset::Wrong => return Verdict::WrongReset,
                    Reset::Inexact => to = self.state,
                    Reset::Checked => {}
                    Reset::Trusted => {
                        return next.accept(direction, segment, TcpState::Close, heard);
                    }
                }
            }
            _ => {}
        }
        let liberal = match checks.windows {
            Windows::Strict => Check::Strict,
            Windows::Liberal => Check::Liberal,
        };
        match check(&mut next.ends, next.state, direction, segment, liberal) {
            Fit::OutOfWindow => Verdict::OutOfWindow,
            Fit::Ignored => Verdict::Passes(next),
            Fit::Tolerated => next.accept(direction, segment, to, heard),
            Fit::InWindow => {
                next.note_repetition(direction, segment);
                next.accept(direction, segment, to, heard)
            }
        }
    }

    /// Whether a new SYN may take the tuple: the connection was closed, or
    /// reset from the same side (RFC 1122 section 4.2.2.13).
    fn is_over(&self, direction: Direction) -> bool {
        let closed = |direction| self.ends[direction].closing == Closing::Initiated;
        closed(Direction::Original)
            || closed(Direction::Reply)
            || (self.last.direction == direction && self.last.kind == Some(SegmentKind::Rst))
    }

    /// Whether this SYN/ACK answers a SYN that was let by: both ends agree, and
    /// only the firewall was wrong about them.
    fn answers_passed_syn(&self, direction: Direction, segment: &Segment) -> bool {
        segment.kind == SegmentKind::SynAck
            && self.last.kind == Some(SegmentKind::Syn)
            && self.last.direction != direction
            && segment.raw_ack == self.last.end
    }

    fn resynchronize(&mut self, direction: Direction) {
        let said = self
            .passed_syn
            .take()
            .map(|syn| syn.end)
            .unwrap_or_default();
        self.ends[self.last.direction] = End {
            end: self.last.end,
            max_end: self.last.end,
            max_window: u32::from(self.last.window).max(1),
            ..said
        };
        self.ends[direction] = End {
            check: self.ends[direction].check,
            ..End::default()
        };
        self.state = TcpState::SynSent;
    }

    /// Remembers a segment that passes because it may say more than is known.
    fn let_by(&mut self, direction: Direction, segment: &Segment) {
        let ack = self.last.ack;
        self.last = Last {
            ack,
            ..Last::of(direction, segment)
        };
        match (segment.kind, direction) {
            (SegmentKind::Syn, Direction::Original) => {
                let mut end = End::default();
                end.take_options(segment);
                let challenge = match self.state {
                    TcpState::LastAck => Challenge::Expected,
                    _ => Challenge::No,
                };
                self.passed_syn = Some(PassedSyn { end, challenge });
                self.opening = Opened::ByOne;
            }
            (SegmentKind::Ack, Direction::Reply) if self.state == TcpState::SynSent => {
                self.last.ack = segment.raw_ack; // a challenge ACK, perhaps
            }
            _ => {}
        }
    }

    /// Whether this ACK challenges a SYN that was let by, and so does not
    /// acknowledge the last FIN.
    fn is_challenge_ack(&self, direction: Direction, kind: SegmentKind) -> bool {
        self.state == TcpState::LastAck
            && kind == SegmentKind::Ack
            && self.last.direction != direction
            && self.last.kind == Some(SegmentKind::Syn)
            && self
                .passed_syn
                .is_some_and(|syn| syn.challenge == Challenge::Expected)
    }

    fn note_repetition(&mut self, direction: Direction, segment: &Segment) {
        if segment.kind != SegmentKind::Ack {
            return;
        }
        let this = Last {
            kind: self.last.kind,
            ..Last::of(direction, segment)
        };
        if this == self.last {
            self.repeated = (self.repeated + 1).min(MOST_REPEATED);
        } else {
            self.last = this;
            self.repeated = 0;
        }
    }

    /// A segment that belongs: the session goes on in state `to`.
    fn accept(
        mut self,
        direction: Direction,
        segment: &Segment,
        to: TcpState,
        heard: Heard,
    ) -> Verdict {
        let from = self.state;
        let kind = segment.kind;
        self.last.kind = Some(kind);
        self.last.direction = direction;
        self.state = to;
        if from != to && to == TcpState::FinWait {
            self.ends[direction].closing = Closing::Initiated;
        }
        let unheard = heard == Heard::OneEnd;
        if unheard && kind == SegmentKind::Rst {
            // Nothing but a reset ever came back: there was no connection.
            return Verdict::Ends;
        }
        if unheard && kind == SegmentKind::Syn && from == TcpState::SynSent {
            // A repeated SYN renews nothing, lest a client that nobody answers
            // keeps its session for ever.
            return Verdict::Passes(self);
        }
        let unacknowledged = Direction::BOTH
            .iter()
            .any(|direction| self.ends[*direction].sent == Sent::Unacknowledged);
        let life = if self.repeated >= MOST_REPEATED {
            Life::Repeating
        } else if kind == SegmentKind::Rst {
            Life::OfReset
        } else if unacknowledged {
            Life::Unacknowledged
        } else if self.last.window == 0 {
            Life::Repeating
        } else if unheard && to == TcpState::Established {
            Life::Unacknowledged // picked up, and nobody answered yet
        } else {
            Life::OfState
        };
        Verdict::Belongs(self, life)
    }

    /// Whether a segment that belongs assures its session: an answer fits an
    /// established connection.
    pub(in crate::session) fn assures(&self, before: TcpState) -> bool {
        self.state == TcpState::Established
            && matches!(before, TcpState::SynRecv | TcpState::Established)
    }
}

impl Last {
    /// Before any segment was remembered but for its kind.
    fn first(kind: SegmentKind) -> Self {
        Self {
            kind: Some(kind),
            direction: Direction::Original,
            seq: SeqNumber(0),
            ack: SeqNumber(0),
            end: SeqNumber(0),
            window: 0,
        }
    }

    fn of(direction: Direction, segment: &Segment) -> Self {
        Self {
            kind: Some(segment.kind),
            direction,
            seq: segment.seq,
            ack: segment.ack,
            end: segment.end,
            window: segment.window,
        }
    }
}
