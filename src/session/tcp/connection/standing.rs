//! Where both ends of a connection stand: what can be said in the name of one,
//! and what says nothing new.

use super::super::segment::Segment;
use super::super::table::SegmentKind;
use super::Connection;
use crate::net::{Direction, SeqNumber};
use crate::packet::Numbers;

impl Connection {
    /// What a segment from the end that sends in `direction` could say, if it has
    /// nothing to say. `None` before both ends have acknowledged something.
    #[must_use]
    pub fn nothing_new(&self, direction: Direction) -> Option<Numbers> {
        let (sender, receiver) = (&self.ends[direction], &self.ends[!direction]);
        let window = sender.max_window >> sender.shift;
        Some(Numbers {
            seq: receiver.max_ack?,
            ack: sender.max_ack?,
            window: u16::try_from(window).unwrap_or(u16::MAX),
            stamps: sender
                .stamp
                .zip(receiver.stamp)
                .map(|(own, other)| [own, other]),
        })
    }

    /// The number behind all that was sent in `direction`: what its receiver awaits that has
    /// got it all, and has not said so.
    #[must_use]
    pub fn sent(&self, direction: Direction) -> SeqNumber {
        self.ends[direction].end
    }

    /// Whether a segment travelling in `direction` says nothing but that its
    /// sender is there: what a keep-alive is answered with.
    pub(in crate::session) fn says_nothing_new(
        &self,
        direction: Direction,
        segment: &Segment,
    ) -> bool {
        let sender = &self.ends[direction];
        segment.kind == SegmentKind::Ack
            && segment.seq == sender.end
            && segment.end == sender.end
            && sender.max_ack == Some(segment.ack)
    }
}
