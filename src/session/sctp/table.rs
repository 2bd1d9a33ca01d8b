//! The SCTP state machine: Linux conntrack's table (`sctp_conntracks` of
//! `nf_conntrack_proto_sctp.c`), chunk by chunk.
//!
//! ```text
//!   INIT          INIT ACK            COOKIE ECHO              COOKIE ACK
//! -------> Closed ---------> CookieWait ---------> CookieEchoed ---------> Established
//!                                                        SHUTDOWN (either end) |
//!   HEARTBEAT               HEARTBEAT ACK                                      v
//! -----------> HeartbeatSent ------------> Established      ShutdownSent, ShutdownRecd
//!              (another path of an association)                   | SHUTDOWN ACK
//!                                                                 v
//!                any: ABORT -> Closed        Closed <------ ShutdownAckSent
//!                                             SHUTDOWN COMPLETE
//! ```
//!
//! `Closed` is where an association begins as well as where it ends: an INIT
//! alone has opened nothing yet.

use super::super::state::SctpState;
use crate::net::{ChunkType, Direction};

/// What a chunk does to an association.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Transition {
    /// This is the state from now on.
    To(SctpState),
    /// It changes nothing.
    Stays,
    /// It cannot come in this state.
    Invalid,
}

/// What a chunk of this type, coming in `direction`, does to an association in
/// `state`; `None`: nothing came before it.
pub(super) fn transition(
    state: Option<SctpState>,
    direction: Direction,
    chunk: ChunkType,
) -> Transition {
    use ChunkType as C;
    use Direction::{Original, Reply};
    use SctpState::{
        Closed, CookieEchoed, CookieWait, Established, HeartbeatSent, ShutdownAckSent,
        ShutdownRecd, ShutdownSent,
    };
    use Transition::{Invalid, Stays, To};
    // Data, acknowledgements and extensions say nothing of the state.
    let is_tracked = matches!(
        chunk,
        C::INIT
            | C::INIT_ACK
            | C::ABORT
            | C::SHUTDOWN
            | C::SHUTDOWN_ACK
            | C::ERROR
            | C::COOKIE_ECHO
            | C::COOKIE_ACK
            | C::SHUTDOWN_COMPLETE
            | C::HEARTBEAT
            | C::HEARTBEAT_ACK
    );
    let Some(state) = state else {
        return match chunk {
            _ if !is_tracked || direction == Reply => Invalid,
            C::HEARTBEAT => To(HeartbeatSent),
            C::SHUTDOWN_ACK => To(ShutdownAckSent),
            _ => To(Closed),
        };
    };
    match (chunk, direction, state) {
        _ if !is_tracked => Stays,

        // A path that only heartbeats have used.
        (C::HEARTBEAT, _, HeartbeatSent) => Stays,
        (C::HEARTBEAT_ACK, Original, HeartbeatSent) => Stays,
        (C::HEARTBEAT_ACK, Reply, HeartbeatSent) => To(Established),
        (C::INIT, Original, HeartbeatSent) => To(CookieWait),
        (C::SHUTDOWN_ACK, Original, HeartbeatSent) => To(ShutdownAckSent),
        (_, Original, HeartbeatSent) => To(Closed),
        (_, Reply, HeartbeatSent) => Invalid,

        (C::ABORT, _, _) => To(Closed),

        (C::INIT, Original, ShutdownSent | ShutdownRecd) => To(Closed),
        (C::INIT_ACK, Reply, Closed) => To(CookieWait),
        // Either end may have been the first to send an INIT.
        (C::COOKIE_ECHO, _, CookieWait) => To(CookieEchoed),
        (C::COOKIE_ACK, _, CookieEchoed) => To(Established),
        // A stale cookie, for one.
        (C::ERROR, Reply, CookieEchoed) => To(Closed),

        (C::SHUTDOWN, Original, Established) => To(ShutdownSent),
        (C::SHUTDOWN, Reply, Established) => To(ShutdownRecd),
        (C::SHUTDOWN_ACK, _, ShutdownSent | ShutdownRecd) => To(ShutdownAckSent),
        (C::SHUTDOWN_COMPLETE, _, ShutdownAckSent) => To(Closed),

        (_, _, _) => Stays,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Direction::{Original, Reply};
    use ChunkType as C;
    use SctpState as S;

    fn run(state: Option<S>, chunks: &[(Direction, ChunkType)]) -> Option<S> {
        chunks.iter().fold(state, |state, (direction, chunk)| {
            match transition(state, *direction, *chunk) {
                Transition::To(next) => Some(next),
                Transition::Stays => state,
                Transition::Invalid => panic!("{direction:?} {chunk} in {state:?}"),
            }
        })
    }

    const OPENED: [(Direction, ChunkType); 4] = [
        (Original, C::INIT),
        (Reply, C::INIT_ACK),
        (Original, C::COOKIE_ECHO),
        (Reply, C::COOKIE_ACK),
    ];

    #[test]
    fn four_chunks_establish_and_three_shut_down() {
        for (count, state) in [S::Closed, S::CookieWait, S::CookieEchoed, S::Established]
            .into_iter()
            .enumerate()
        {
            assert_eq!(run(None, &OPENED[..=count]), Some(state));
        }
        for (first, state) in [(Original, S::ShutdownSent), (Reply, S::ShutdownRecd)] {
            let open = Some(S::Established);
            assert_eq!(run(open, &[(first, C::SHUTDOWN)]), Some(state));
            let acked = run(Some(state), &[(!first, C::SHUTDOWN_ACK)]);
            assert_eq!(acked, Some(S::ShutdownAckSent));
            let over = run(acked, &[(first, C::SHUTDOWN_COMPLETE)]);
            assert_eq!(over, Some(S::Closed));
        }
    }

    #[test]
    fn data_changes_nothing_and_begins_nothing() {
        let open = Some(S::Established);
        assert_eq!(run(open, &[(Reply, C::DATA), (Original, C(192))]), open);
        for chunk in [C::DATA, C::SACK, C(192)] {
            assert_eq!(transition(None, Original, chunk), Transition::Invalid);
        }
    }

    #[test]
    fn another_path_is_established_by_its_heartbeats() {
        let path = [(Original, C::HEARTBEAT), (Reply, C::HEARTBEAT_ACK)];
        assert_eq!(run(None, &path[..1]), Some(S::HeartbeatSent));
        assert_eq!(run(None, &path), Some(S::Established));
        let asked = Some(S::HeartbeatSent);
        assert_eq!(transition(asked, Reply, C::COOKIE_ACK), Transition::Invalid);
    }

    #[test]
    fn an_abort_closes_from_everywhere_that_answers_can_come_in() {
        for state in [
            S::CookieWait,
            S::CookieEchoed,
            S::Established,
            S::ShutdownSent,
            S::ShutdownRecd,
            S::ShutdownAckSent,
        ] {
            for direction in Direction::BOTH {
                let next = transition(Some(state), direction, C::ABORT);
                assert_eq!(next, Transition::To(S::Closed));
            }
        }
    }
}
