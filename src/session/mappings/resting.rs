//! What somebody has let go of, and nobody may have yet (RFC 6888 REQ-8).

use serde::{Deserialize, Serialize};

use super::super::accounts::Public;
use super::super::blocks::Lease;
use super::{Holder, Mapping, Mappings};
use crate::net::{Dependence, Protocol, Rests, RowId, Timestamp};

/// How many of a row's are had again at a time.
const AT_A_TIME: usize = 256;

/// What somebody has let go of, and nobody may have yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Rest {
    Port(Public),
    Block(Lease),
}

impl Mappings {
    /// Whether others could send to a public endpoint what was meant for the one
    /// who had it: not where the filter asks whom the client has spoken to, nor of
    /// TCP, whose states are tracked, nor within a block, which the client keeps
    /// (RFC 6888 REQ-8 names all three).
    pub(super) fn may_rest(&self, mapping: &Mapping) -> bool {
        let terms = self.terms(mapping.row);
        mapping.behaviour.filtering == Dependence::EndpointIndependent
            && mapping.protocol != Protocol::TCP
            && terms.is_some_and(|terms| terms.hold_down.is_some_and(|h| h.of == Rests::Ports))
    }

    /// Lays something to rest, if the row has a time for it.
    pub(super) fn rest(&mut self, row: RowId, what: Rest, at: Timestamp) -> bool {
        let Some(hold_down) = self.terms(row).and_then(|terms| terms.hold_down) else {
            return false;
        };
        let mut rows = self.resting.iter_mut();
        let Some((_, queue)) = rows.find(|(own, _)| *own == row) else {
            return false;
        };
        queue.push_back((at.after(hold_down.time), what));
        let oldest = match queue.len() > hold_down.most.get() as usize {
            true => queue.pop_front(),
            false => None,
        };
        if let Some((_, oldest)) = oldest {
            self.awake(row, oldest);
        }
        true
    }

    /// What has rested long enough by `now` may be had again: of each row so many at a
    /// time, the others with the next packet.
    pub(in crate::session) fn awaken(&mut self, now: Timestamp) {
        for place in 0..self.resting.len() {
            for _ in 0..AT_A_TIME {
                let Some((row, what)) = self.rested(place, now) else {
                    break;
                };
                self.awake(row, what);
            }
        }
    }

    /// When the next of all that rests has rested long enough.
    pub(in crate::session) fn next_rested(&self) -> Option<Timestamp> {
        let queues = self.resting.iter().filter_map(|(_, queue)| queue.front());
        queues.map(|(at, _)| *at).min()
    }

    pub(super) fn rested(&mut self, place: usize, now: Timestamp) -> Option<(RowId, Rest)> {
        let (row, queue) = self.resting.get_mut(place)?;
        queue.front().filter(|(until, _)| *until <= now)?;
        queue.pop_front().map(|(_, what)| (*row, what))
    }

    pub(super) fn awake(&mut self, row: RowId, what: Rest) {
        match what {
            Rest::Block(lease) => self.free_block_again(row, lease),
            Rest::Port(public) => {
                let rests = |holder: &mut Holder| matches!(holder, Holder::Resting);
                if self.public.remove_if(&public, rests).is_some() {
                    self.at_rest -= 1;
                    self.free_port(public);
                    self.is_free_again(public);
                }
            }
        }
    }
}
