//! How a session moves with its packets, for every protocol.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::sctp::{self, Association};
use super::state::{FlowState, SctpState, State, TcpState};
use super::tcp::{Connection, Heard, Life, Segment, TcpChecks, Verdict};
use super::timeouts::Timeouts;
use crate::net::{Direction, Protocol, SeqNumber, Timestamp};
use crate::packet::{Headers, Plain, Transport};

/// A UDP session is a stream when it goes on after an answer and is older than
/// this (conntrack: two seconds).
pub(super) const STREAM_AFTER: Duration = Duration::from_secs(2);

/// What tracking knows of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tracked {
    /// A TCP connection.
    Tcp(Connection),
    /// An SCTP association.
    Sctp(Association),
    /// Anything without a handshake.
    Flow(FlowState),
}

impl Tracked {
    /// The session's state.
    #[must_use]
    pub fn state(&self) -> State {
        match self {
            Self::Tcp(connection) => State::Tcp(connection.state()),
            Self::Sctp(association) => State::Sctp(association.state()),
            Self::Flow(state) => State::Flow(*state),
        }
    }

    /// Whether the end that was called has agreed to nothing yet; known of TCP alone.
    #[must_use]
    pub fn is_unanswered(&self) -> bool {
        matches!(self, Self::Tcp(connection) if connection.is_unanswered())
    }

    /// How long a session lives that has just begun like this: one from the
    /// middle waits for an answer before its state counts.
    #[must_use]
    pub fn first_life(&self) -> Life {
        match self.state() {
            State::Tcp(TcpState::Established) => Life::Unacknowledged,
            State::Tcp(_) | State::Sctp(_) | State::Flow(_) => Life::OfState,
        }
    }
}

/// What a packet does to its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Track {
    /// It belongs, and renews the session.
    Belongs(Tracked, Heard, Life),
    /// It passes, and renews nothing.
    Passes(Tracked),
    /// It passes, and the session is over.
    Ends,
    /// Its session is over, and it begins a new one.
    Reopens,
    /// It cannot belong to the session.
    Invalid(Invalid),
}

/// Why a packet cannot belong to the session whose tuple it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Invalid {
    /// Its session's state does not allow it.
    State,
    /// It lies outside of the windows.
    Window,
    /// It is a reset with a number that was acknowledged long ago.
    Reset,
    /// It is a packet that its association's state does not allow (SCTP).
    Chunk,
    /// It has not the association's verification tag (SCTP).
    Tag,
}

/// Why a packet that belongs to no session cannot begin one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CannotBegin;

/// A packet under tracking.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// What was read of it.
    pub headers: &'a Headers,
    /// Its bytes.
    pub frame: &'a [u8],
    /// When it came.
    pub now: Timestamp,
    /// How strictly TCP is tracked.
    pub checks: TcpChecks,
}

/// What tracking knows of a session that begins with this packet.
///
/// # Errors
/// When it is not fit to begin one: a TCP segment from the middle (unless
/// pick-up is on), an ICMP answer that nobody asked for.
pub fn begin(seen: &Seen<'_>) -> Result<Tracked, CannotBegin> {
    match seen.headers.transport {
        Transport::Tcp(_) => {
            let segment = Segment::read(seen.headers, seen.frame, |ack| ack).ok_or(CannotBegin)?;
            let begun = Connection::begin(&segment, seen.checks).ok_or(CannotBegin)?;
            Ok(Tracked::Tcp(begun))
        }
        Transport::Sctp(_) => {
            let packet = sctp::Packet::read(seen.headers, seen.frame).ok_or(CannotBegin)?;
            let begun = Association::begin(&packet).ok_or(CannotBegin)?;
            Ok(Tracked::Sctp(begun))
        }
        Transport::Query(query, ..) if !query.is_request() => Err(CannotBegin),
        Transport::Error { .. } | Transport::Icmp { .. } => Err(CannotBegin),
        Transport::Udp(..) | Transport::UdpLite(..) | Transport::Query(..) | Transport::Other => {
            Ok(Tracked::Flow(FlowState::Unreplied))
        }
    }
}

/// The same of a plain packet, if it begins a session as most do: by a SYN, or by the first
/// datagram. `None` where it is not such a one, whatever else it may begin.
#[inline]
pub(crate) fn begin_plain(plain: &Plain, frame: &[u8]) -> Option<Tracked> {
    if plain.protocol != Protocol::TCP {
        return Some(Tracked::Flow(FlowState::Unreplied));
    }
    let header = plain.tcp_header(frame)?;
    let segment = Segment::of(&header, plain.tcp_options(frame), |ack| ack)?;
    Some(Tracked::Tcp(Connection::begin_by_syn(&segment)?))
}

/// What this packet, travelling in `direction`, does to a session that began
/// at `began` and of which `tracked` and `heard` are known. `as_sent` turns an
/// acknowledgement into the numbers of the end that it acknowledges.
#[must_use]
pub fn track(
    (tracked, heard, began): (&Tracked, Heard, Timestamp),
    direction: Direction,
    seen: &Seen<'_>,
    as_sent: impl Fn(SeqNumber) -> SeqNumber,
) -> Track {
    let answered = match direction {
        Direction::Original => heard,
        Direction::Reply => heard.max(Heard::BothEnds),
    };
    match tracked {
        Tracked::Tcp(connection) => {
            let Some(segment) = Segment::read(seen.headers, seen.frame, as_sent) else {
                return Track::Invalid(Invalid::State);
            };
            match connection.segment(direction, &segment, heard, seen.checks) {
                Verdict::Belongs(next, life) => {
                    let assured = heard != Heard::OneEnd && next.assures(connection.state());
                    let heard = if assured { Heard::Assured } else { answered };
                    Track::Belongs(Tracked::Tcp(next), heard, life)
                }
                Verdict::Passes(next) => Track::Passes(Tracked::Tcp(next)),
                Verdict::Ends => Track::Ends,
                Verdict::Reopens => Track::Reopens,
                Verdict::WrongState => Track::Invalid(Invalid::State),
                Verdict::OutOfWindow => Track::Invalid(Invalid::Window),
                Verdict::WrongReset => Track::Invalid(Invalid::Reset),
            }
        }
        Tracked::Sctp(association) => {
            let Some(packet) = sctp::Packet::read(seen.headers, seen.frame) else {
                return Track::Invalid(Invalid::Chunk);
            };
            match association.packet(direction, &packet) {
                sctp::Verdict::Belongs(next) => {
                    let heard = match next.state() {
                        SctpState::Established => Heard::Assured,
                        _ => answered,
                    };
                    Track::Belongs(Tracked::Sctp(next), heard, Life::OfState)
                }
                sctp::Verdict::Passes(next) => Track::Passes(Tracked::Sctp(next)),
                sctp::Verdict::WrongTag => Track::Invalid(Invalid::Tag),
                sctp::Verdict::WrongState => Track::Invalid(Invalid::Chunk),
            }
        }
        Tracked::Flow(_) => {
            // An answer counts from the next packet on.
            let (state, heard) = match (heard, answered) {
                (_, Heard::OneEnd) => (FlowState::Unreplied, answered),
                (Heard::OneEnd, _) => (FlowState::Replied, answered),
                _ if is_stream(seen, began) => (FlowState::Stream, Heard::Assured),
                _ => (FlowState::Replied, answered),
            };
            Track::Belongs(Tracked::Flow(state), heard, Life::OfState)
        }
    }
}

/// Whether a session with traffic both ways is a stream when it goes on with
/// this packet.
fn is_stream(seen: &Seen<'_>, began: Timestamp) -> bool {
    match seen.headers.protocol {
        Protocol::UDP => seen.now.since(began) > STREAM_AFTER,
        Protocol::UDPLITE | Protocol::GRE => true,
        _ => false,
    }
}

/// Whether a packet travelling in `direction` says nothing but that its sender
/// is there.
#[must_use]
pub fn answers_probe(
    tracked: &Tracked,
    direction: Direction,
    seen: &Seen<'_>,
    as_sent: impl Fn(SeqNumber) -> SeqNumber,
) -> bool {
    let Tracked::Tcp(connection) = tracked else {
        return false;
    };
    Segment::read(seen.headers, seen.frame, as_sent)
        .is_some_and(|segment| connection.says_nothing_new(direction, &segment))
}

/// How long a session in this state lives without traffic. `idle` is what its
/// service says for established sessions.
#[must_use]
pub(super) fn lifetime(
    state: State,
    life: Life,
    protocol: Protocol,
    idle: Option<Duration>,
    timeouts: &Timeouts,
) -> Duration {
    let of_state = of_state(state, protocol, idle, timeouts);
    match life {
        Life::OfState => of_state,
        Life::Unacknowledged => of_state.min(timeouts.tcp_unacknowledged),
        Life::Repeating => of_state.min(timeouts.tcp_max_retrans),
        Life::OfReset => timeouts.tcp_close,
    }
}

fn of_state(
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
        State::Sctp(state) => match state {
            SctpState::Closed => timeouts.sctp_closed,
            SctpState::CookieWait => timeouts.sctp_cookie_wait,
            SctpState::CookieEchoed => timeouts.sctp_cookie_echoed,
            SctpState::Established => idle.unwrap_or(timeouts.sctp_established),
            SctpState::ShutdownSent => timeouts.sctp_shutdown_sent,
            SctpState::ShutdownRecd => timeouts.sctp_shutdown_recd,
            SctpState::ShutdownAckSent => timeouts.sctp_shutdown_ack_sent,
            SctpState::HeartbeatSent => timeouts.sctp_heartbeat_sent,
        },
        State::Flow(state) => {
            let (waiting, stream) = match protocol {
                Protocol::ICMP => return timeouts.icmp,
                Protocol::ICMPV6 => return timeouts.icmpv6,
                Protocol::UDP | Protocol::UDPLITE => (timeouts.udp, timeouts.udp_stream),
                Protocol::GRE => (timeouts.gre, timeouts.gre_stream),
                _ if state == FlowState::Unreplied => return timeouts.generic,
                _ => (timeouts.generic, timeouts.generic),
            };
            match state {
                // A short-lived service gives up sooner; a long-lived one waits
                // for its first answer no longer than others do.
                FlowState::Unreplied => idle.map_or(waiting, |idle| idle.min(waiting)),
                FlowState::Replied => idle.unwrap_or(waiting),
                FlowState::Stream => idle.unwrap_or(stream),
            }
        }
    }
}
