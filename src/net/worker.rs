//! Workers: the engines of one gateway, each with packets and sessions of its own.

use std::fmt;
use std::num::NonZeroU8;

/// One of the engines that work for a gateway; the number is its place among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct WorkerId(pub u8);

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker {}", self.0)
    }
}

/// How many engines work for a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Workers(pub NonZeroU8);

impl Workers {
    /// One that does everything alone.
    pub const ONE: Self = Self(NonZeroU8::MIN);
    /// As many as a public endpoint can be shared by.
    pub const MOST: u8 = 64;

    /// So many; `None`: none, or more than there may be.
    #[must_use]
    pub fn new(count: u8) -> Option<Self> {
        let count = NonZeroU8::new(count)?;
        (count.get() <= Self::MOST).then_some(Self(count))
    }

    /// How many.
    #[must_use]
    pub fn count(self) -> u8 {
        self.0.get()
    }

    /// All of them.
    pub fn all(self) -> impl Iterator<Item = WorkerId> {
        (0..self.count()).map(WorkerId)
    }

    /// The one that this number falls to.
    #[must_use]
    pub fn drawn(self, number: u64) -> WorkerId {
        // Less than the count, which is eight bits.
        WorkerId((number % u64::from(self.count())) as u8)
    }
}
