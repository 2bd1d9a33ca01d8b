//! Resets by the RFCs' word ([`Resets::Exact`](super::Resets::Exact)).
//!
//! A reset counts if its receiver would take it (RFC 9293 section 3.10.7.3,
//! RFC 5961 section 3), in every state alike. One that only lies in the window
//! passes, since its receiver may have to challenge it, and changes nothing. One
//! that counts closes the session, and the session stays: what comes behind it
//! brings the session back (RFC 7857 section 2.2), since a reset that a receiver
//! did not get ended nothing. It never renews what is opening or closing (RFC 7857
//! section 7.1), and in `TimeWait` it does nothing (RFC 1337).

use super::super::super::state::TcpState;
use super::super::segment::Segment;
use super::super::table::SegmentKind;
use super::super::window::{Check, Fit, check};
use super::{Connection, Heard, Life, Verdict, Windows};
use crate::net::{Direction, TcpFlags};

impl Connection {
    /// What a reset does.
    pub(super) fn exact_reset(
        &self,
        direction: Direction,
        segment: &Segment,
        windows: Windows,
    ) -> Verdict {
        if matches!(self.state, TcpState::SynSent | TcpState::SynSent2) {
            return self.reset_while_opening(direction, segment);
        }
        let awaited = self.ends[!direction].max_ack;
        // What is on its way may have arrived, and its acknowledgement not.
        let counts = awaited == Some(segment.seq) || segment.seq == self.ends[direction].end;
        if counts {
            return self.closed_by(direction);
        }
        if awaited.is_some_and(|awaited| segment.seq.is_before(awaited)) {
            return Verdict::WrongReset;
        }
        let liberal = match windows {
            Windows::Strict => Check::Strict,
            Windows::Liberal => Check::Liberal,
        };
        let mut ends = self.ends;
        match check(&mut ends, self.state, direction, segment, liberal) {
            Fit::InWindow | Fit::Tolerated => Verdict::Passes(*self),
            Fit::Ignored | Fit::OutOfWindow => Verdict::OutOfWindow,
        }
    }

    /// RFC 9293 section 3.10.7.3: whoever has sent a SYN takes a reset only if it
    /// acknowledges that SYN.
    fn reset_while_opening(&self, direction: Direction, segment: &Segment) -> Verdict {
        let acknowledges =
            segment.flags.has(TcpFlags::ACK) && segment.raw_ack == self.ends[!direction].end;
        let last = &self.last;
        // The client refuses an answer to an older connection; its SYN stands.
        let refuses_answer = last.kind == Some(SegmentKind::Ack)
            && last.direction == !direction
            && segment.seq == last.ack;
        let gives_up = segment.seq == self.ends[direction].end;
        let has_spoken = self.ends[direction].max_window != 0;
        match (has_spoken, acknowledges) {
            (_, true) => self.closed_by(direction),
            (true, false) if refuses_answer => Verdict::Passes(*self),
            (true, false) if gives_up => self.closed_by(direction),
            _ => Verdict::WrongReset,
        }
    }

    fn closed_by(&self, direction: Direction) -> Verdict {
        if matches!(self.state, TcpState::TimeWait | TcpState::Close) {
            return Verdict::Passes(*self);
        }
        let mut closed = *self;
        closed.state = TcpState::Close;
        closed.last.kind = Some(SegmentKind::Rst);
        closed.last.direction = direction;
        match self.state {
            TcpState::Established | TcpState::FinWait | TcpState::CloseWait => {
                Verdict::Belongs(closed, Life::OfReset)
            }
            _ => Verdict::Passes(closed),
        }
    }

    /// The state after an ACK that meets a session which a reset has closed: an
    /// established one lives on.
    pub(super) fn revived(&self, heard: Heard) -> TcpState {
        match heard {
            Heard::Assured => TcpState::Established,
            Heard::OneEnd | Heard::BothEnds => TcpState::Close,
        }
    }

    /// Whether a SYN in `Close` begins anew, whichever end has sent the reset.
    pub(super) fn was_reset(&self) -> bool {
        self.state == TcpState::Close && self.last.kind == Some(SegmentKind::Rst)
    }
}
