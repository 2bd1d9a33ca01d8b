//! What came of a packet.

use super::Reason;
use crate::net::{WorkerId, ZoneId};
use crate::rules::RuleId;
use crate::session::{SessionId, State};

/// What happens to the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It goes out by this zone, rewritten in place.
    Forward(ZoneId),
    /// It is a piece of a datagram and waits for the others: with the last of
    /// them all leave, or none. Or it is of a control stream, and its octets wait
    /// for those that follow. Called `forward`.
    Hold,
    /// It goes nowhere.
    Drop,
    /// It goes nowhere, and the sender is told so.
    Reject,
    /// The gateway itself was addressed and replied.
    Answer,
    /// It is another worker's: nothing has happened to it here, and nothing is counted. That
    /// worker is handed it, and judges it. Where one engine works there is none such.
    Elsewhere(WorkerId),
}

impl Verdict {
    /// The words for the verdicts.
    pub const NAMES: [&'static str; 4] = ["forward", "drop", "reject", "answer"];

    /// The place of its word in [`NAMES`](Self::NAMES).
    pub(super) fn index(self) -> usize {
        match self {
            Self::Forward(_) | Self::Hold | Self::Elsewhere(_) => 0,
            Self::Drop => 1,
            Self::Reject => 2,
            Self::Answer => 3,
        }
    }

    /// The word for it: `forward`, `drop`, `reject`, `answer`.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES.get(self.index()).copied().unwrap_or_default()
    }
}

/// What tracking says of a packet before any rule: conntrack's `ct state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CtState {
    /// It begins a session, or belongs to one that nobody answered yet.
    New,
    /// It belongs to a session with traffic both ways.
    Established,
    /// It begins a session that another announced, or is an error about one.
    Related,
    /// It can belong to no session.
    Invalid,
    /// It is not tracked.
    Untracked,
}

impl CtState {
    /// The word for it, as nftables writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Established => "established",
            Self::Related => "related",
            Self::Invalid => "invalid",
            Self::Untracked => "untracked",
        }
    }
}

/// What came of a packet, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgement {
    /// What happens to it.
    pub verdict: Verdict,
    /// What tracking said of it.
    pub ct: CtState,
    /// What decided.
    pub reason: Reason,
    /// The rule that decided, or that let the session in. `None` also where
    /// the default policy did.
    pub rule: Option<RuleId>,
    /// The session that it belongs to (or would have begun).
    pub session: Option<SessionId>,
    /// That session's state after this packet.
    pub state: Option<State>,
    /// What made it invalid, where a rule has judged it all the same.
    pub check: Option<Reason>,
}

impl Judgement {
    /// Another worker judges it.
    pub(super) const fn elsewhere(worker: WorkerId) -> Self {
        Self {
            verdict: Verdict::Elsewhere(worker),
            ct: CtState::Untracked,
            reason: Reason::NoSession,
            rule: None,
            session: None,
            state: None,
            check: None,
        }
    }

    /// In place of one that is still to come.
    pub(super) const PENDING: Self = Self {
        verdict: Verdict::Drop,
        ct: CtState::Untracked,
        reason: Reason::Session,
        rule: None,
        session: None,
        state: None,
        check: None,
    };
}
