//! What a worker has to know of a packet that another has handed over.

use super::Waiting;
use crate::packet::{Checksum, Cuts};

/// How often a packet is handed over before it has to stay where it is: what it belonged
/// to may end while it waits.
const MOST_TIMES: u8 = 4;

/// How a packet came to the worker that has it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Handed {
    /// By how many workers it was handed over.
    pub(super) times: u8,
    /// How it leaves in pieces, where it came in some: another worker has gathered them.
    pub(super) cuts: Option<Box<Cuts>>,
}

impl Handed {
    /// It comes from a device.
    pub const NOT: Self = Self {
        times: 0,
        cuts: None,
    };

    /// Whether it may go to another worker.
    pub(super) fn may_go_on(&self) -> bool {
        self.times < MOST_TIMES
    }

    /// It goes to another worker; with the cuts of what was gathered here.
    pub(super) fn pass_on(mut self, waiting: &mut Waiting, cuts: Option<Box<Cuts>>) {
        self.times = self.times.saturating_add(1);
        if cuts.is_some() {
            self.cuts = cuts;
            // Whoever cut it had to finish its checksum first.
            waiting.arrival.checksum = Checksum::Complete;
            waiting.arrival.segments = None;
        }
        waiting.handed = self;
    }
}
