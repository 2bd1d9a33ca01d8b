//! How sessions are named, and the states that they go through.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A session by number: counted from 1 in the order in which they began, never
/// used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SessionId(pub u64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A session in the table. It is worth nothing once the session is gone, even
/// if another has taken its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Handle {
    pub(super) id: SessionId,
    pub(super) slot: u32,
}

impl Handle {
    /// The session's number.
    #[must_use]
    pub fn id(self) -> SessionId {
        self.id
    }
}

/// The state of a TCP session: the names of Linux conntrack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TcpState {
    /// A SYN was seen.
    SynSent,
    /// SYN and SYN/ACK were seen.
    SynRecv,
    /// The handshake is complete.
    Established,
    /// One end has sent its FIN.
    FinWait,
    /// That FIN was acknowledged.
    CloseWait,
    /// Both ends have sent their FIN.
    LastAck,
    /// The last FIN was acknowledged.
    TimeWait,
    /// Reset.
    Close,
    /// Both ends have sent a SYN (simultaneous open).
    SynSent2,
}

/// The state of an SCTP session: the names of Linux conntrack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SctpState {
    /// Nothing but an INIT was seen yet; or it is over.
    Closed,
    /// INIT and INIT ACK were seen.
    CookieWait,
    /// The cookie was sent back.
    CookieEchoed,
    /// The cookie was taken; or another path's heartbeat was answered.
    Established,
    /// The initiator shuts down.
    ShutdownSent,
    /// The other end shuts down.
    ShutdownRecd,
    /// The SHUTDOWN was answered.
    ShutdownAckSent,
    /// A heartbeat was seen on a path without an association.
    HeartbeatSent,
}

/// The state of a session without handshake: UDP, ICMP and all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FlowState {
    /// No answer was seen yet.
    Unreplied,
    /// An answer was seen.
    Replied,
    /// Traffic both ways for a while: a stream (UDP, UDP-Lite, GRE).
    Stream,
}

/// The state of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// A TCP session.
    Tcp(TcpState),
    /// An SCTP session.
    Sctp(SctpState),
    /// Any other.
    Flow(FlowState),
}

impl State {
    /// The words for all of them.
    pub const NAMES: [&'static str; 19] = [
        "syn-sent",
        "syn-recv",
        "established",
        "fin-wait",
        "close-wait",
        "last-ack",
        "time-wait",
        "close",
        "syn-sent2",
        "closed",
        "cookie-wait",
        "cookie-echoed",
        "shutdown-sent",
        "shutdown-recd",
        "shutdown-ack-sent",
        "heartbeat-sent",
        "unreplied",
        "replied",
        "stream",
    ];

    /// Whether a TCP connection is at its end: one of its ends has closed, or
    /// reset it.
    #[must_use]
    pub fn is_closing(self) -> bool {
        use TcpState::{Close, CloseWait, FinWait, LastAck, TimeWait};
        matches!(
            self,
            Self::Tcp(FinWait | CloseWait | LastAck | TimeWait | Close)
        )
    }

    /// Whether both ends of a TCP connection have closed, or one has reset it.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Tcp(TcpState::TimeWait | TcpState::Close))
    }

    /// The word for it, such as `syn-sent`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp(TcpState::SynSent) => "syn-sent",
            Self::Tcp(TcpState::SynRecv) => "syn-recv",
            Self::Tcp(TcpState::Established) => "established",
            Self::Tcp(TcpState::FinWait) => "fin-wait",
            Self::Tcp(TcpState::CloseWait) => "close-wait",
            Self::Tcp(TcpState::LastAck) => "last-ack",
            Self::Tcp(TcpState::TimeWait) => "time-wait",
            Self::Tcp(TcpState::Close) => "close",
            Self::Tcp(TcpState::SynSent2) => "syn-sent2",
            Self::Sctp(SctpState::Closed) => "closed",
            Self::Sctp(SctpState::CookieWait) => "cookie-wait",
            Self::Sctp(SctpState::CookieEchoed) => "cookie-echoed",
            Self::Sctp(SctpState::Established) => "established",
            Self::Sctp(SctpState::ShutdownSent) => "shutdown-sent",
            Self::Sctp(SctpState::ShutdownRecd) => "shutdown-recd",
            Self::Sctp(SctpState::ShutdownAckSent) => "shutdown-ack-sent",
            Self::Sctp(SctpState::HeartbeatSent) => "heartbeat-sent",
            Self::Flow(FlowState::Unreplied) => "unreplied",
            Self::Flow(FlowState::Replied) => "replied",
            Self::Flow(FlowState::Stream) => "stream",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
