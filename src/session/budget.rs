//! How much of what is due may be done at once.

/// Steps that may still be taken: one for a small thing, such as moving a deadline
/// along; more for a larger one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget(u32);

impl Budget {
    /// What ending a session is: about as long as so many small steps take.
    pub const AN_END: u32 = 16;

    /// As much as it takes.
    #[must_use]
    pub const fn unlimited() -> Self {
        Self(u32::MAX)
    }

    /// So many steps.
    #[must_use]
    pub const fn new(steps: u32) -> Self {
        Self(steps)
    }

    /// How many are left.
    #[must_use]
    pub const fn left(self) -> u32 {
        self.0
    }

    /// Whether none is.
    #[must_use]
    pub const fn is_spent(self) -> bool {
        self.0 == 0
    }

    /// So many more.
    #[must_use]
    pub const fn with(self, more: Self) -> Self {
        Self(self.0.saturating_add(more.0))
    }

    /// Takes so many steps; where fewer are left, those.
    pub const fn charge(&mut self, steps: u32) {
        if !self.spend(steps) {
            self.0 = 0;
        }
    }

    /// Takes so many steps, if they are left.
    #[must_use]
    pub const fn spend(&mut self, steps: u32) -> bool {
        match self.0.checked_sub(steps) {
            Some(left) => {
                // What has no limit stays so.
                if self.0 != u32::MAX {
                    self.0 = left;
                }
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spent_is_gone_and_what_is_not_left_cannot_be() {
        let mut budget = Budget::new(Budget::AN_END + 1);
        assert!(budget.spend(Budget::AN_END));
        assert!(!budget.spend(Budget::AN_END));
        assert!(budget.spend(1));
        assert_eq!(budget, Budget::new(0));
        budget = Budget::new(3);
        budget.charge(Budget::AN_END);
        assert_eq!(budget, Budget::new(0));
        let mut endless = Budget::unlimited();
        assert!(endless.spend(u32::MAX) && endless.spend(1));
    }
}
