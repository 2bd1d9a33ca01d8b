//! Whether a file says how things stand, or how they stood.

/// Whether packets have passed since a state was written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// None has: the gateway had ended.
    AtRest,
    /// They may have: the gateway went on, or another has gone on by it.
    Passing,
}

impl Standing {
    /// The word for it. None becomes the other by a few wrong bits.
    #[must_use]
    pub const fn word(self) -> [u8; 8] {
        match self {
            Self::AtRest => *b"at rest.",
            Self::Passing => *b"PASSING!",
        }
    }

    pub(super) fn of(word: [u8; 8]) -> Option<Self> {
        let mut all = [Self::AtRest, Self::Passing].into_iter();
        all.find(|own| own.word() == word)
    }
}
