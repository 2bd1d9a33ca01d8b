//! How a session's state moves with its packets, for every protocol.

use std::time::Duration;

use super::state::{FlowState, State, TcpState};
use super::tcp::{SegmentKind, Transition, transition};
use super::timeouts::Timeouts;
use crate::net::{Direction, Protocol, Timestamp};
use crate::packet::{Headers, Transport};

/// Whether both ends have been heard (conntrack: `IPS_SEEN_REPLY`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Heard {
    /// Only the end that began.
    OneEnd,
    /// Both ends.
    BothEnds,
}

/// A UDP session is a stream when it is answered and older than this
/// (conntrack: two seconds).
const STREAM_AFTER: Duration = Duration::from_secs(2);

/// What a packet would do to its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Track {
    /// It belongs; from now on the session is in this state.
    Belongs(State),
    /// It belongs and changes nothing.
    Ignored,
    /// Its session is over, and it begins a new one.
    Reopens,
    /// It cannot belong to the session in its state.
    Invalid,
}

/// Why a packet that belongs to no session cannot begin one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CannotBegin;

/// The state in which a session begins with this packet.
///
/// # Errors
/// When it is not fit to begin one: a TCP segment without SYN (no pick-up
/// from the middle), an ICMP answer that nobody asked for.
pub fn begin(headers: &Headers) -> Result<State, CannotBegin> {
    match headers.transport {
        Transport::Tcp(tcp) => match SegmentKind::of(tcp.flags) {
            Some(SegmentKind::Syn) => Ok(State::Tcp(TcpState::SynSent)),
            _ => Err(CannotBegin),
        },
        Transport::Query(query, _) if !query.is_request() => Err(CannotBegin),
        Transport::Error { .. } | Transport::Icmp { .. } => Err(CannotBegin),
        Transport::Udp(..) | Transport::Query(..) | Transport::Other => {
            Ok(State::Flow(FlowState::Unreplied))
        }
    }
}

/// What this packet, travelling in `direction` at `now`, does to a session
/// that began at `began` and is in `state`.
#[must_use]
pub fn track(
    state: State,
    began: Timestamp,
    direction: Direction,
    headers: &Headers,
    now: Timestamp,
) -> Track {
    match (state, &headers.transport) {
        (State::Tcp(state), Transport::Tcp(tcp)) => {
            let Some(kind) = SegmentKind::of(tcp.flags) else {
                return Track::Invalid;
            };
            match transition(state, direction, kind) {
                Transition::To(next) => Track::Belongs(State::Tcp(next)),
                Transition::Ignore => Track::Ignored,
                Transition::Reopen => Track::Reopens,
                Transition::Invalid => Track::Invalid,
            }
        }
        (State::Flow(state), transport) => {
            let answered = direction == Direction::Reply || state != FlowState::Unreplied;
            let is_udp = matches!(transport, Transport::Udp(..));
            Track::Belongs(State::Flow(match (answered, is_udp) {
                (false, _) => FlowState::Unreplied,
                (true, true) if now.since(began) > STREAM_AFTER => FlowState::Stream,
                (true, _) => FlowState::Replied,
            }))
        }
        (State::Tcp(_), _) => Track::Invalid,
    }
}

/// How long a session in this state lives without traffic. `idle` is what its
/// service says for established sessions.
#[must_use]
pub fn lifetime(
    state: State,
    protocol: Protocol,
    idle: Option<Duration>,
    timeouts: &Timeouts,
) -> Duration {
    match state {
        State::Tcp(state) => match state {
            TcpState::SynSent | TcpState::SynSent2 => timeouts.tcp_syn_sent,
            TcpState::SynRecv => timeouts.tcp_syn_recv,
            TcpState::Established => idle.unwrap_or(timeouts.tcp_established),
            TcpState::FinWait => timeouts.tcp_fin_wait,
            TcpState::CloseWait => timeouts.tcp_close_wait,
            TcpState::LastAck => timeouts.tcp_last_ack,
            TcpState::TimeWait => timeouts.tcp_time_wait,
            TcpState::Close => timeouts.tcp_close,
        },
        State::Flow(state) => match (protocol, state) {
            (Protocol::UDP, FlowState::Unreplied) => timeouts.udp,
            (Protocol::UDP, FlowState::Replied) => idle.unwrap_or(timeouts.udp),
            (Protocol::UDP, FlowState::Stream) => idle.unwrap_or(timeouts.udp_stream),
            (Protocol::ICMP | Protocol::ICMPV6, _) => timeouts.icmp,
            (_, FlowState::Unreplied) => timeouts.generic,
            (_, _) => idle.unwrap_or(timeouts.generic),
        },
    }
}
