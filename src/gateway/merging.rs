//! Segments of one stream that were read together become one super-segment: what costs the
//! gateway and the receiver something for each packet, the write into a device above all, is
//! then paid once for all of them. So it is where a sender's host does not do that
//! itself, or a link before this one has cut what it did.
//!
//! Within a stream nothing overtakes anything: what cannot be added ends what others
//! were added to. Packets of other streams keep their places.

use super::offload::Offload;
use crate::engine::{Arrival, Waiting};
use crate::packet::{Checksum, Mergeable};

/// How many streams are followed within a burst. Of more, those that were met first are
/// let go.
const STREAMS: usize = 8;

/// A segment to which others may be added.
#[derive(Debug, Clone, Copy)]
struct Open {
    /// Where it is in the burst.
    place: usize,
    merged: Mergeable,
    /// Whether its checksum is known to be right.
    intact: Intact,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Intact {
    Unknown,
    Yes,
}

/// Puts together what it can of a burst; how many packets are left, which are the first in
/// `batch` then, with what is said of each in `offloads`. The others hold nothing.
pub(super) fn merge(batch: &mut [Waiting], offloads: &mut [Offload]) -> usize {
    let mut open: [Option<Open>; STREAMS] = [None; STREAMS];
    let mut next_open = 0;
    let mut left = 0;
    for at in 0..batch.len() {
        let Some((before, [waiting, ..])) = batch.split_at_mut_checked(at) else {
            break;
        };
        let found = match addresses(waiting.packet()) {
            Some((_, Some(_))) => own_stream(&open, before, waiting),
            // Of whichever stream it is.
            Some((between, None)) => {
                for slot in &mut open {
                    let other = slot.and_then(|open| before.get(open.place));
                    let other = other.and_then(|other| addresses(other.packet()));
                    if other.is_some_and(|(others, _)| others == between) {
                        close(slot.take(), before, offloads);
                    }
                }
                None
            }
            None => None,
        };
        let mergeable = match waiting.arrival.segments {
            None => Mergeable::read(waiting.packet()),
            Some(_) => None,
        };
        if let Some(place) = found
            && let Some(slot) = open.get_mut(place)
        {
            let is_taken = match (slot.as_mut(), &mergeable) {
                (Some(open), Some(next)) => take(open, before, waiting, next),
                _ => false,
            };
            if is_taken {
                waiting.frame.clear();
                continue;
            }
            // Nothing may be added to what it stands behind.
            close(slot.take(), before, offloads);
            *slot = mergeable.map(|merged| Open::at(left, merged));
        } else if let Some(merged) = mergeable {
            let empty = open.iter().position(Option::is_none);
            let place = empty.unwrap_or_else(|| {
                next_open = (next_open + 1) % STREAMS;
                next_open
            });
            if let Some(slot) = open.get_mut(place) {
                close(slot.take(), before, offloads);
                *slot = Some(Open::at(left, merged));
            }
        }
        if left != at {
            batch.swap(left, at);
            offloads.swap(left, at);
        }
        left += 1;
    }
    for slot in open {
        close(slot, batch, offloads);
    }
    left
}

impl Open {
    fn at(place: usize, merged: Mergeable) -> Self {
        Self {
            place,
            merged,
            intact: Intact::Unknown,
        }
    }
}

/// Which of the open segments has the addresses of this packet, both in the same order.
fn own_stream(open: &[Option<Open>], before: &[Waiting], waiting: &Waiting) -> Option<usize> {
    let own = addresses(waiting.packet())?;
    open.iter().position(|slot| {
        let other = slot.and_then(|open| before.get(open.place));
        other.is_some_and(|other| {
            other.arrival.zone == waiting.arrival.zone && addresses(other.packet()) == Some(own)
        })
    })
}

/// The addresses of a packet, and its ports where it is plain: what is in pieces, or has
/// options, may be of any stream between them.
fn addresses(packet: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    match packet.first()? >> 4 {
        4 => {
            let is_plain = packet.first() == Some(&0x45) && packet.get(6..8) == Some(&[0x40, 0]);
            Some((packet.get(12..20)?, packet.get(20..24).filter(|_| is_plain)))
        }
        6 => {
            let is_plain = packet.get(6) == Some(&6);
            Some((packet.get(8..40)?, packet.get(40..44).filter(|_| is_plain)))
        }
        _ => None,
    }
}

/// Adds a segment to an open one, if it may be.
fn take(open: &mut Open, before: &mut [Waiting], waiting: &Waiting, next: &Mergeable) -> bool {
    let Some(first) = before.get_mut(open.place) else {
        return false;
    };
    if !open.merged.may_take(first.packet(), next, waiting.packet()) {
        return false;
    }
    if open.intact == Intact::Unknown
        && !open
            .merged
            .is_intact(first.packet(), first.arrival.checksum)
    {
        return false;
    }
    open.intact = Intact::Yes;
    if !next.is_intact(waiting.packet(), waiting.arrival.checksum) {
        return false;
    }
    let headroom = first.headroom;
    open.merged
        .take(&mut first.frame, headroom, next, waiting.packet());
    true
}

/// Nothing more is added to this one.
fn close(open: Option<Open>, batch: &mut [Waiting], offloads: &mut [Offload]) {
    let Some(Open { place, merged, .. }) = open else {
        return;
    };
    if merged.segments() == 1 {
        return;
    }
    if let Some(waiting) = batch.get_mut(place)
        && let Some(offload) = offloads.get_mut(place)
    {
        let headroom = waiting.headroom;
        let packet = waiting.frame.get_mut(headroom..).unwrap_or_default();
        merged.finish(packet);
        *offload = Offload::merged(packet, &merged);
        waiting.arrival = Arrival {
            checksum: Checksum::Partial,
            segments: Some(merged.size()),
            ..waiting.arrival
        };
    }
}

#[cfg(test)]
mod tests;
