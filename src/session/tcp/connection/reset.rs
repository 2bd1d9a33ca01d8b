//! Resets as Linux judges them (RFC 5961 section 3, as a middlebox can tell).

use super::super::super::state::TcpState;
use super::super::segment::Segment;
use super::super::table::SegmentKind;
use super::{Connection, Heard, Resets, TcpChecks};
use crate::net::{Direction, SeqNumber};

/// What a reset is worth.
pub(super) enum Reset {
    /// It ends the session, if it lies in the window.
    Checked,
    /// It ends the session: it answers something that was let by, or nothing is
    /// known that it could contradict.
    Trusted,
    /// It may draw a challenge ACK: it passes, and ends nothing.
    Inexact,
    /// It is a forgery, or very old.
    Wrong,
}

impl Connection {
    /// What a reset is worth (RFC 5961 section 3, as a middlebox can tell).
    pub(super) fn reset(
        &self,
        direction: Direction,
        segment: &Segment,
        heard: Heard,
        checks: TcpChecks,
    ) -> Reset {
        if self.may_give_way() {
            // The tuple may be in use again already, unseen: what is known of
            // the closing connection says nothing of such a reset.
            return Reset::Trusted;
        }
        let last = &self.last;
        let acknowledged = self.ends[!direction].max_ack;
        if let Some(expected) = acknowledged.filter(|_| last.kind != Some(SegmentKind::Syn)) {
            // `nf_conntrack_tcp_established`
            let established = self.state == TcpState::Established && heard == Heard::Assured;
            if segment.seq == SeqNumber(0) && !established {
                return Reset::Checked; // an answer to a SYN that was let by
            }
            if segment.seq.is_before(expected) && checks.resets == Resets::Checked {
                return Reset::Wrong;
            }
            let follows_own = last.kind == Some(SegmentKind::Ack)
                && last.direction == direction
                && segment.seq == last.end;
            return if !established || segment.seq == expected || follows_own {
                Reset::Checked
            } else {
                Reset::Inexact
            };
        }
        let answers_syn = heard != Heard::OneEnd
            && last.kind == Some(SegmentKind::Syn)
            && last.direction != direction;
        let answers_ack = heard != Heard::Assured && last.kind == Some(SegmentKind::Ack);
        let answers_challenge = self.state == TcpState::SynSent
            && last.kind == Some(SegmentKind::Ack)
            && last.direction == Direction::Reply
            && segment.seq == last.ack;
        let answers_let_by = (answers_syn || answers_ack) && segment.raw_ack == last.end;
        if answers_let_by || answers_challenge {
            Reset::Trusted
        } else {
            Reset::Checked
        }
    }

    /// States that make room when the table is full (`tcp_can_early_drop`).
    pub(super) fn may_give_way(&self) -> bool {
        matches!(
            self.state,
            TcpState::FinWait
                | TcpState::LastAck
                | TcpState::TimeWait
                | TcpState::Close
                | TcpState::CloseWait
        )
    }
}
