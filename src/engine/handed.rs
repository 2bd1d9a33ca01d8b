//! What a worker has to know of a packet that another has handed over.

use crate::packet::Cuts;

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
}
