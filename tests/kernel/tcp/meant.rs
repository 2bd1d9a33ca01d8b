//! Where the two part on purpose: the `refused-` rows of
//! `docs/kernel-parity.md`.
//!
//! The kernel keeps something of three kinds of segments that it refuses. The
//! engine keeps nothing. So the two may judge later segments of that
//! conversation differently: where they do, and only then, the conversation is
//! compared no further, and counted by the name of the kind.

use std::collections::BTreeMap;

use spigate::net::{Direction, Timestamp};
use spigate::session::{Heard, Session, SessionId, State, TcpState};

use super::super::compare::Compared;
use super::super::packets::{ACK, FIN, RST, SYN, Tcp};
use super::super::router::Zone;

/// A FIN or reset outside of the window of an assured session: the kernel
/// remembers it as the last segment, until another counts.
pub(super) const FIN_OR_RESET: &str = "refused-fin-or-reset";
/// A SYN/ACK, or the first segment of the other end, outside of the window: the
/// kernel keeps its numbers as those of the end that it claims to come from.
pub(super) const ANSWER: &str = "refused-answer";
/// A SYN that would take the place of a session that is over, and that no rule
/// allows: the kernel has deleted the session before it asks.
pub(super) const REOPENING: &str = "refused-reopening";

/// A new session whose port somebody has already gets another, and which one
/// is each gateway's own choice.
pub(super) const CHOSEN_PORT: &str = "chosen-port";

/// Whether both forwarded the packet, and only its ports differ.
pub(super) fn differ_in_ports_alone(compared: &Compared) -> bool {
    let but_ports = |all: &[(Zone, Vec<u8>)]| -> Vec<(Zone, Vec<u8>)> {
        let mut all = all.to_vec();
        for (_, bytes) in &mut all {
            // Without options: ports at 20, the checksum at 36.
            if let [0x45, .., _] = bytes[..] {
                bytes[20..24].fill(0);
                bytes[36..38].fill(0);
            }
        }
        all
    };
    but_ports(&compared.kernel) == but_ports(&compared.ours.packets)
}

/// What the engine knows of a conversation's session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    id: SessionId,
    direction: Direction,
    state: TcpState,
    heard: Heard,
    deadline: Timestamp,
}

impl Known {
    pub(super) fn of(session: &Session, direction: Direction) -> Option<Self> {
        let State::Tcp(state) = session.state() else {
            return None;
        };
        Some(Self {
            id: session.id,
            direction,
            state,
            heard: session.heard,
            deadline: session.deadline,
        })
    }
}

/// What came of a segment here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Came<'a> {
    pub(super) before: Option<Known>,
    pub(super) after: Option<Known>,
    pub(super) forwarded: bool,
    pub(super) reason: &'a str,
}

/// What may make the two differ over one conversation.
#[derive(Debug, Default, Clone)]
pub(super) struct Doubt {
    /// The kernel's last segment is one that was refused.
    last_was_refused: bool,
    /// The session in which a segment of the other end has counted.
    answered: Option<SessionId>,
    /// Both may know different things of the conversation, for this reason.
    differs: Option<&'static str>,
}

impl Doubt {
    /// Takes note of a segment. Says why the two know different things now, if
    /// that is certain.
    pub(super) fn segment(&mut self, tcp: &Tcp, came: Came<'_>) -> Option<&'static str> {
        let Some(before) = came.before else {
            self.last_was_refused = false;
            return None;
        };
        let has = |flags| tcp.flags & flags == flags;
        let is_over = matches!(before.state, TcpState::TimeWait | TcpState::Close);
        let by_rules = !came.reason.starts_with("tcp-") && !came.reason.starts_with("bad-");
        if has(SYN) && !has(ACK) && is_over && !came.forwarded && by_rules {
            return Some(REOPENING);
        }
        // What asks for the last segment: resets, SYNs, and an ACK that may be
        // a challenge.
        let in_last_ack = before.state == TcpState::LastAck && has(ACK);
        if self.last_was_refused && (has(RST) || has(SYN) || in_last_ack) {
            self.differs.get_or_insert(FIN_OR_RESET);
        }
        let outside = came.reason == "tcp-out-of-window";
        let assured = before.heard == Heard::Assured;
        let accepted =
            came.forwarded && came.after.map(|after| after.deadline) != Some(before.deadline);
        let counts = accepted || (came.forwarded && has(SYN));
        if outside && assured && (has(RST) || (has(FIN) && !has(SYN))) {
            self.last_was_refused = true;
        } else if counts {
            self.last_was_refused = false;
        }
        let is_answer = before.direction == Direction::Reply;
        let is_first = is_answer && self.answered != Some(before.id);
        // A reset may count without its numbers being looked at.
        if is_answer && accepted && !has(RST) {
            self.answered = Some(before.id);
        }
        if outside && (has(SYN) || is_first) {
            self.differs.get_or_insert(ANSWER);
        }
        None
    }

    /// What explains a difference, if anything does.
    pub(super) fn explains(&self) -> Option<&'static str> {
        self.differs
    }
}

/// How many conversations were left, by name.
#[derive(Debug, Default)]
pub(super) struct Left(BTreeMap<&'static str, usize>);

impl Left {
    pub(super) fn count(&mut self, name: &'static str) {
        *self.0.entry(name).or_default() += 1;
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (name, count) in &other.0 {
            *self.0.entry(name).or_default() += count;
        }
    }
}

impl std::fmt::Display for Left {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (name, count) in &self.0 {
            write!(f, ", {count} {name}")?;
        }
        Ok(())
    }
}
