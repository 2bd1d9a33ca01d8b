//! What was decided, with all that carrying it out needs.

use std::net::IpAddr;
use std::num::NonZeroU16;

use super::super::control::ControlStep;
use super::super::fragments::Key;
use super::super::rates::AnswerKind;
use super::super::shortage::Shortage;
use super::super::{Judgement, Reason};
use crate::alg::Note;
use crate::net::{AlgKind, Timestamp, Tuple};
use crate::packet::{Checksum, Complaint, Cuts, Headers, Piece, Quoted};
use crate::rules::Permit;
use crate::session::{ExpectedTuple, Handle, Origin, Probing, SessionId, Update};

/// What was decided about a packet, with all that carrying it out needs.
#[derive(Debug)]
pub(in crate::engine) struct Decision {
    pub(in crate::engine) judgement: Judgement,
    pub(in crate::engine) plan: Plan,
    /// What there was too little of, which the operator may be told.
    pub(in crate::engine) shortage: Option<Shortage>,
}

impl Decision {
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "else the plan, which is large, is moved once more"
    )]
    pub(in crate::engine) fn new(judgement: Judgement, plan: Plan) -> Self {
        Self {
            judgement,
            plan,
            shortage: None,
        }
    }
}

/// What is to be done.
#[derive(Debug)]
pub(in crate::engine) enum Plan {
    /// Nothing: the packet is dropped in silence.
    Nothing,
    /// Nothing: what it would meet is over, and ends first.
    Late(Overdue),
    /// Nothing, but an ALG has something to tell of this session.
    Told(Option<SessionId>, Vec<Note>),
    /// The gateway answers.
    Answer(Headers, Answer),
    /// The gateway would answer, but has answered too often.
    Withheld(AnswerKind),
    /// A packet of a session passes.
    Pass(Headers, Pass),
    /// A session begins with this packet.
    Open(Headers, Opening),
    /// An ICMP error about a session passes.
    Error(Headers, ErrorPass),
    /// An end has answered the gateway, which the other need not know.
    Answered(Answered),
    /// An invalid packet passes by a rule's word, translated where it has the
    /// tuple of a session; nothing is remembered of it.
    LetBy(Headers, Option<Tuple>),
    /// A SYN from outside is held.
    HoldSyn(Headers),
    /// A piece of a datagram is kept.
    Keep(Key, Piece),
    /// A piece spoils its datagram.
    Spoil(Key, Reason),
    /// A datagram is whole.
    Gathered(Box<Gathered>),
    /// Nothing: it is another worker's.
    Elsewhere,
}

impl Plan {
    /// What is to be done with the packet itself, or the datagram that it made whole.
    pub(in crate::engine) fn innermost(&self) -> &Self {
        match self {
            Self::Gathered(gathered) => &gathered.plan,
            other => other,
        }
    }

    /// Whether a session begins, and nothing else comes of it that time ends.
    pub(in crate::engine) fn begins_alone(&self) -> bool {
        matches!(self, Self::Open(_, opening) if opening.control.is_none())
    }

    /// What stands in the transport's checksum field of the packet that it is about,
    /// where that packet goes on or is quoted.
    pub(in crate::engine) fn checksum(&self) -> Checksum {
        match self {
            Self::Answer(headers, _)
            | Self::Pass(headers, _)
            | Self::Open(headers, _)
            | Self::Error(headers, _)
            | Self::LetBy(headers, _)
            | Self::HoldSyn(headers) => headers.checksum,
            Self::Nothing
            | Self::Late(_)
            | Self::Told(..)
            | Self::Withheld(_)
            | Self::Answered(_)
            | Self::Keep(..)
            | Self::Spoil(..)
            | Self::Elsewhere
            | Self::Gathered(_) => Checksum::Complete,
        }
    }
}

/// Something whose deadline has passed, and that had no turn yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Overdue {
    Session(Handle),
    Expectation(ExpectedTuple),
    Datagram(Key),
    HeldSyn(Tuple),
    /// The held SYN that is due first: no place is free.
    FirstSyn,
}

/// A datagram that is whole, and what is to be done with it.
#[derive(Debug)]
pub(in crate::engine) struct Gathered {
    /// As what its pieces were kept; `None`: another worker had them.
    pub(in crate::engine) key: Option<Key>,
    pub(in crate::engine) whole: Vec<u8>,
    pub(in crate::engine) cuts: Cuts,
    pub(in crate::engine) plan: Plan,
}

/// What the gateway itself sends back to where the packet came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Answer {
    /// An RST, or for what is no TCP this ICMP error.
    Refusal(Complaint),
    /// The same in the name of the address that destination translation has led
    /// elsewhere: it is all that the sender knows (as in Linux).
    RefusalAsAddressed(Complaint),
    /// An ICMP error.
    Error(Complaint),
    /// The reply to an echo request.
    Echo,
}

impl Answer {
    /// A refusal with another word for what is no TCP.
    pub(in crate::engine) fn saying(self, complaint: Complaint) -> Self {
        match self {
            Self::Refusal(_) => Self::Refusal(complaint),
            Self::RefusalAsAddressed(_) => Self::RefusalAsAddressed(complaint),
            Self::Error(_) => Self::Error(complaint),
            Self::Echo => self,
        }
    }

    /// As what its rate is limited, if it is: whoever asks for an echo paid for it
    /// with as long a packet.
    pub(in crate::engine) fn kind(self, headers: &Headers) -> Option<AnswerKind> {
        match self {
            Self::Echo => None,
            Self::Error(Complaint::TooBig(_)) => Some(AnswerKind::TooBig),
            Self::Error(_) => Some(AnswerKind::Error),
            Self::Refusal(_) | Self::RefusalAsAddressed(_) => Some(match headers.tcp() {
                Some(_) => AnswerKind::Reset,
                None => AnswerKind::Error,
            }),
        }
    }
}

/// How a packet of a session passes.
#[derive(Debug)]
pub(in crate::engine) struct Pass {
    pub(in crate::engine) handle: Handle,
    pub(in crate::engine) update: Update,
    pub(in crate::engine) after: After,
    pub(in crate::engine) leaves: Tuple,
    pub(in crate::engine) mss: Option<NonZeroU16>,
    pub(in crate::engine) alg: Option<AlgKind>,
    pub(in crate::engine) control: Option<Box<ControlStep>>,
}

/// What an answer to a keep-alive of the gateway does to its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct Answered {
    pub(in crate::engine) handle: Handle,
    pub(in crate::engine) probing: Option<Probing>,
    pub(in crate::engine) deadline: Timestamp,
}

/// What becomes of a session when its packet has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum After {
    /// It lives on.
    Lives,
    /// It is over: nothing but a reset ever answered.
    Ends,
}

/// How a session begins. There is none without a permit: its own, or that of
/// the control session which announced it.
#[derive(Debug)]
pub(in crate::engine) struct Opening {
    pub(in crate::engine) origin: Origin,
    pub(in crate::engine) first: Update,
    /// What its ALG has read in its first packet already.
    pub(in crate::engine) control: Option<Box<ControlStep>>,
    pub(in crate::engine) replaces: Option<Handle>,
    /// What has to go to make room.
    pub(in crate::engine) evicts: Option<Handle>,
    pub(in crate::engine) by: Admission,
}

/// By whose word a session begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Admission {
    /// A rule's, or the default policy's.
    Permit(Permit),
    /// The expectation's that its control session's permit covers.
    Expected(ExpectedTuple, Handle),
    /// That of the client whose mapping it came to.
    Mapped,
}

/// How an ICMP error passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct ErrorPass {
    pub(in crate::engine) source: IpAddr,
    pub(in crate::engine) destination: IpAddr,
    pub(in crate::engine) quoted: Quoted,
    pub(in crate::engine) inner: Tuple,
}
