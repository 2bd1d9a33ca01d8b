//! The TCP state machine: Linux conntrack's table
//! (`tcp_conntracks` of `nf_conntrack_proto_tcp.c`), row by row.
//!
//! ```text
//!   SYN           SYN/ACK        ACK                 FIN            ACK
//! ------> SynSent ------> SynRecv -----> Established -----> FinWait -----> CloseWait
//!            | SYN (other end)                                 | FIN          | FIN
//!            v                                                 v              v
//!         SynSent2                      any: RST -> Close   LastAck <---------'
//!                                                              | ACK
//!                                                              v
//!                                                           TimeWait
//! ```

use serde::{Deserialize, Serialize};

use super::super::state::TcpState;
use crate::net::{Direction, TcpFlags};

/// What a segment is to the state machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(in crate::session) enum SegmentKind {
    /// SYN alone.
    Syn,
    /// SYN with ACK.
    SynAck,
    /// FIN (with ACK).
    Fin,
    /// ACK alone.
    Ack,
    /// RST.
    Rst,
}

impl SegmentKind {
    /// The kind of a segment with these flags; RST outranks SYN, SYN outranks
    /// FIN (`get_conntrack_index`). `None` for a segment with none of them.
    #[must_use]
    pub(in crate::session) fn of(flags: TcpFlags) -> Option<Self> {
        Some(if flags.has(TcpFlags::RST) {
            Self::Rst
        } else if flags.has(TcpFlags::SYN | TcpFlags::ACK) {
            Self::SynAck
        } else if flags.has(TcpFlags::SYN) {
            Self::Syn
        } else if flags.has(TcpFlags::FIN) {
            Self::Fin
        } else if flags.has(TcpFlags::ACK) {
            Self::Ack
        } else {
            return None;
        })
    }
}

/// What a segment does to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::session) enum Transition {
    /// It belongs, and this is the state from now on.
    To(TcpState),
    /// It passes, and changes nothing: its effect is not known before the
    /// other end has answered.
    Ignore,
    /// The old session may be over, and the segment begin a new one with its
    /// tuple.
    Reopen,
    /// It cannot belong to a session in this state.
    Invalid,
}

/// The next state of a session in `state` when `segment` comes in `direction`.
#[must_use]
pub(in crate::session) fn transition(
    state: TcpState,
    direction: Direction,
    segment: SegmentKind,
) -> Transition {
    use Direction::{Original, Reply};
    use SegmentKind::{Ack, Fin, Rst, Syn, SynAck};
    use TcpState::{
        Close, CloseWait, Established, FinWait, LastAck, SynRecv, SynSent, SynSent2, TimeWait,
    };
    use Transition::{Ignore, Invalid, Reopen, To};
    match (segment, direction, state) {
        // SYN from the initiator: retransmitted, or a connection begun anew.
        (Syn, Original, SynSent) => To(SynSent),
        (Syn, Original, SynSent2) => To(SynSent2),
        (Syn, Original, TimeWait | Close) => Reopen,
        (Syn, Original, _) => Ignore,
        // SYN from the other end: simultaneous open, or a new connection back.
        (Syn, Reply, SynSent | SynSent2) => To(SynSent2),
        (Syn, Reply, TimeWait) => Reopen,
        (Syn, Reply, _) => Invalid,

        // SYN/ACK from the initiator: only within a simultaneous open.
        (SynAck, Original, SynRecv | SynSent2) => To(SynRecv),
        (SynAck, Original, _) => Invalid,
        (SynAck, Reply, SynSent | SynSent2) => To(SynRecv),
        (SynAck, Reply, _) => Ignore, // retransmitted, or out of sync

        (Fin, _, SynSent | SynSent2) => Invalid,
        (Fin, _, SynRecv | Established) => To(FinWait),
        (Fin, _, FinWait | CloseWait | LastAck) => To(LastAck),
        (Fin, _, TimeWait) => To(TimeWait),
        (Fin, _, Close) => To(Close),

        (Ack, Original, SynSent | SynSent2) => Invalid,
        (Ack, Original, SynRecv) => To(Established),
        (Ack, Reply, SynSent | SynSent2) => Ignore,
        (Ack, Reply, SynRecv) => To(SynRecv),
        (Ack, _, Established) => To(Established),
        (Ack, _, FinWait | CloseWait) => To(CloseWait),
        (Ack, _, LastAck | TimeWait) => To(TimeWait),
        (Ack, _, Close) => To(Close),

        (Rst, _, _) => To(Close),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Direction::{Original, Reply};
    use SegmentKind::{Ack, Fin, Rst, Syn, SynAck};

    fn run(segments: &[(Direction, SegmentKind)]) -> TcpState {
        let mut state = TcpState::SynSent;
        for (direction, segment) in segments {
            match transition(state, *direction, *segment) {
                Transition::To(next) => state = next,
                Transition::Ignore => {}
                other => panic!("{direction:?} {segment:?} in {state:?}: {other:?}"),
            }
        }
        state
    }

    const OPENED: [(Direction, SegmentKind); 2] = [(Reply, SynAck), (Original, Ack)];

    #[test]
    fn a_handshake_establishes_and_both_fins_end_in_time_wait() {
        let mut life = OPENED.to_vec();
        assert_eq!(run(&life), TcpState::Established);
        life.push((Original, Fin));
        assert_eq!(run(&life), TcpState::FinWait);
        life.push((Reply, Ack));
        assert_eq!(run(&life), TcpState::CloseWait);
        life.push((Reply, Fin));
        assert_eq!(run(&life), TcpState::LastAck);
        life.push((Original, Ack));
        assert_eq!(run(&life), TcpState::TimeWait);
    }

    #[test]
    fn both_ends_may_send_their_syn_at_once() {
        let life = [
            (Reply, Syn),
            (Original, SynAck),
            (Reply, SynAck),
            (Original, Ack),
        ];
        assert_eq!(run(&life), TcpState::Established);
    }

    #[test]
    fn a_reset_closes_and_a_syn_reopens_what_is_over() {
        let mut life = OPENED.to_vec();
        life.push((Reply, Rst));
        assert_eq!(run(&life), TcpState::Close);
        for over in [TcpState::Close, TcpState::TimeWait] {
            assert_eq!(transition(over, Original, Syn), Transition::Reopen);
        }
        assert_eq!(
            transition(TcpState::Established, Original, Syn),
            Transition::Ignore
        );
    }

    #[test]
    fn data_before_the_answer_is_invalid() {
        assert_eq!(
            transition(TcpState::SynSent, Original, Ack),
            Transition::Invalid
        );
        assert_eq!(
            transition(TcpState::SynSent, Original, Fin),
            Transition::Invalid
        );
    }
}
