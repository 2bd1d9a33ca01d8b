//! What is known of one SCTP association, and what each packet does to it.
//!
//! Follows `nf_conntrack_sctp_packet` of `nf_conntrack_proto_sctp.c`: the
//! verification tag first, then chunk after chunk what is special about it,
//! then the state table. A packet that is refused changes nothing, whichever
//! of its chunks was wrong.

use serde::{Deserialize, Serialize};

use super::super::state::SctpState;
use super::table::{Transition, transition};
use crate::net::{ChunkType, Direction, PerDirection, VerificationTag};
use crate::packet::{Chunk, ChunkTypes, Chunks, Headers, Transport};

/// An association on one path: its two ends, each with one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Association {
    /// `None` only while its first packet is looked at.
    state: Option<SctpState>,
    /// What packets of each direction carry as their tag.
    tags: PerDirection<VerificationTag>,
    /// From which end an INIT came that no COOKIE ACK has answered.
    init_from: PerDirection<bool>,
    /// A heartbeat with another tag came this way: an answer to it may bring
    /// the tags of an association that began anew elsewhere.
    strange_heartbeat: Option<Direction>,
}

/// An SCTP packet as tracking sees it.
#[derive(Debug, Clone, Copy)]
pub(in crate::session) struct Packet<'a> {
    tag: VerificationTag,
    chunks: Chunks<'a>,
    kinds: ChunkTypes,
}

/// What a packet does to its association.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::session) enum Verdict {
    /// It belongs, and renews the association.
    Belongs(Association),
    /// It passes, and renews nothing.
    Passes(Association),
    /// Its tag is not the association's.
    WrongTag,
    /// The association's state does not allow it.
    WrongState,
}

/// What one chunk does.
enum Step {
    /// It counts.
    Counts,
    /// It is let by without effect, and so the packet renews nothing.
    LetBy,
}

impl<'a> Packet<'a> {
    /// The packet in `frame`; `None` for what is no SCTP.
    pub(in crate::session) fn read(headers: &Headers, frame: &'a [u8]) -> Option<Self> {
        let Transport::Sctp(sctp) = headers.transport else {
            return None;
        };
        let chunks = headers.sctp_chunks(frame);
        Some(Self {
            tag: sctp.tag,
            chunks,
            kinds: chunks.kinds(),
        })
    }
}

impl Association {
    /// What is known of an association that begins with this packet. `None`
    /// where it can begin none: it answers something, or holds data.
    pub(in crate::session) fn begin(packet: &Packet<'_>) -> Option<Self> {
        use ChunkType as C;
        // RFC 9260 section 8.4: out of the blue, these are thrown away.
        if packet
            .kinds
            .has_any(&[C::ABORT, C::SHUTDOWN_COMPLETE, C::COOKIE_ACK])
        {
            return None;
        }
        let mut new = Self {
            state: None,
            tags: PerDirection::default(),
            init_from: PerDirection::default(),
            strange_heartbeat: None,
        };
        for chunk in packet.chunks {
            if transition(None, Direction::Original, chunk.kind) == Transition::Invalid {
                return None;
            }
            match chunk.kind {
                C::INIT if packet.tag != VerificationTag::NONE => return None,
                C::INIT => new.tags.reply = chunk.initiate_tag?,
                // Out of the blue, it is answered with its own tag (section 8.4).
                C::SHUTDOWN_ACK => new.tags.reply = packet.tag,
                _ => {}
            }
        }
        match new.packet(Direction::Original, packet) {
            Verdict::Belongs(begun) | Verdict::Passes(begun) => begun.state.map(|_| begun),
            Verdict::WrongTag | Verdict::WrongState => None,
        }
    }

    /// Its state.
    #[must_use]
    pub fn state(&self) -> SctpState {
        self.state.unwrap_or(SctpState::Closed)
    }

    /// What this packet, travelling in `direction`, does to the association.
    pub(in crate::session) fn packet(&self, direction: Direction, packet: &Packet<'_>) -> Verdict {
        use ChunkType as C;
        // The tags of these are looked at chunk by chunk.
        let has_own_rule = packet.kinds.has_any(&[
            C::INIT,
            C::SHUTDOWN_COMPLETE,
            C::COOKIE_ECHO,
            C::ABORT,
            C::SHUTDOWN_ACK,
            C::HEARTBEAT,
            C::HEARTBEAT_ACK,
        ]);
        if !has_own_rule && packet.tag != self.tags[direction] {
            return Verdict::WrongTag;
        }
        let mut next = *self;
        let mut is_let_by = false;
        for chunk in packet.chunks {
            match next.tag_of(&chunk, direction, packet, is_let_by) {
                None => return Verdict::WrongTag,
                Some(Step::LetBy) => {
                    is_let_by = true;
                    continue;
                }
                Some(Step::Counts) => {}
            }
            let state = match transition(next.state, direction, chunk.kind) {
                Transition::To(state) => Some(state),
                Transition::Stays => next.state,
                Transition::Invalid => return Verdict::WrongState,
            };
            match chunk.kind {
                C::INIT => {
                    let Some(tag) = chunk.initiate_tag else {
                        return Verdict::WrongTag;
                    };
                    // One sent again, or late, with the tag that is known: it
                    // must not open the way for an INIT ACK with another.
                    if next.state.is_none() || next.tags[!direction] != tag {
                        next.init_from[!direction] &= !next.init_from[direction];
                        next.init_from[direction] = true;
                    }
                    next.tags[!direction] = tag;
                    // An INIT sent again must not keep alive what nobody
                    // answers, with the port that it holds.
                    is_let_by |=
                        (next.state, state) == (Some(SctpState::Closed), Some(SctpState::Closed));
                }
                C::INIT_ACK => match next.answered_init(direction, &chunk) {
                    Some(tag) => next.tags[!direction] = tag,
                    None => return Verdict::WrongTag,
                },
                _ => {}
            }
            next.state = state;
        }
        if is_let_by {
            Verdict::Passes(next)
        } else {
            Verdict::Belongs(next)
        }
    }

    /// The rules of RFC 9260 section 8.5.1, and what a heartbeat says of the
    /// tags on this path. `None`: the packet does not belong.
    fn tag_of(
        &mut self,
        chunk: &Chunk,
        direction: Direction,
        packet: &Packet<'_>,
        is_let_by: bool,
    ) -> Option<Step> {
        use ChunkType as C;
        let is_own = packet.tag == self.tags[direction];
        let belongs = match chunk.kind {
            C::INIT => packet.tag == VerificationTag::NONE,
            C::ABORT | C::SHUTDOWN_COMPLETE if chunk.has_reflected_tag() => {
                packet.tag == self.tags[!direction]
            }
            C::ABORT | C::SHUTDOWN_COMPLETE | C::COOKIE_ECHO => is_own,
            C::COOKIE_ACK => {
                self.init_from = PerDirection::default();
                true
            }
            C::HEARTBEAT | C::HEARTBEAT_ACK if self.tags[direction] == VerificationTag::NONE => {
                self.tags[direction] = packet.tag;
                true
            }
            C::HEARTBEAT | C::HEARTBEAT_ACK if is_own => {
                self.strange_heartbeat = None;
                true
            }
            C::HEARTBEAT | C::HEARTBEAT_ACK if packet.kinds.has_any(&[C::DATA]) || is_let_by => {
                false
            }
            C::HEARTBEAT => {
                self.strange_heartbeat = Some(direction);
                return Some(Step::LetBy);
            }
            C::HEARTBEAT_ACK if self.strange_heartbeat == Some(!direction) => {
                self.strange_heartbeat = None;
                self.tags[direction] = packet.tag;
                self.tags[!direction] = VerificationTag::NONE;
                true
            }
            C::HEARTBEAT_ACK => false,
            _ => true,
        };
        belongs.then_some(Step::Counts)
    }

    /// The tag that an INIT ACK brings. `None` where it cannot be the answer:
    /// without an INIT of the other end to answer, it may only repeat the tag
    /// that is known; and so it may where both ends have sent an INIT.
    fn answered_init(&self, direction: Direction, chunk: &Chunk) -> Option<VerificationTag> {
        let (known, brought) = (self.tags[!direction], chunk.initiate_tag?);
        let (own, others) = (self.init_from[direction], self.init_from[!direction]);
        let is_late = !others && known != VerificationTag::NONE;
        let collides = own && others;
        ((!is_late && !collides) || known == brought).then_some(brought)
    }
}
