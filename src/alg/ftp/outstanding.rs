//! Commands that have no final reply yet, in the order in which they were sent.
//!
//! A server answers one command after the other (RFC 959 section 5.4), so a
//! reply belongs to the oldest. Equal ones behind each other are counted
//! together: a client may send thousands ahead and costs no more memory.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::super::Hole;

/// How many different commands behind each other are remembered: many more
/// than clients send ahead.
const MOST_RUNS: usize = 64;

/// What a command's reply means for the ALG.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Awaits {
    /// PORT or EPRT; with its hole, where one was made.
    Active(Option<Hole>),
    /// PASV or EPSV.
    Passive,
    /// EPSV ALL.
    EpsvAll,
    /// AUTH.
    Auth,
    /// USER, PASS or ACCT: whatever may complete a login.
    Login,
    Rein,
    Quit,
    /// A transfer; with the hole at the default port, where one was made.
    Transfer(Option<Hole>),
    /// Any other.
    Other,
}

impl Awaits {
    /// Its hole, where it has one.
    pub(super) fn hole(self) -> Option<Hole> {
        match self {
            Self::Active(hole) | Self::Transfer(hole) => hole,
            _ => None,
        }
    }
}

/// All of them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Outstanding(VecDeque<(Awaits, u32)>);

/// There are more than can be remembered.
#[derive(Debug)]
pub(super) struct Crowded;

impl Outstanding {
    /// A command was sent.
    pub(super) fn push(&mut self, awaits: Awaits) -> Result<(), Crowded> {
        if let Some((last, count)) = self.0.back_mut()
            && *last == awaits
            && awaits.hole().is_none()
        {
            *count = count.saturating_add(1);
            return Ok(());
        }
        if self.0.len() >= MOST_RUNS {
            return Err(Crowded);
        }
        self.0.push_back((awaits, 1));
        Ok(())
    }

    /// Whether any such has no reply yet.
    pub(super) fn has(&self, awaits: Awaits) -> bool {
        self.0.iter().any(|(own, _)| *own == awaits)
    }

    /// The oldest.
    pub(super) fn oldest(&self) -> Option<Awaits> {
        self.0.front().map(|(awaits, _)| *awaits)
    }

    /// Takes the oldest out: it has its reply.
    pub(super) fn pop(&mut self) -> Option<Awaits> {
        let (awaits, count) = self.0.front_mut()?;
        let awaits = *awaits;
        *count -= 1;
        if *count == 0 {
            self.0.pop_front();
        }
        Some(awaits)
    }

    /// Takes out the oldest that `is_meant`, whose reply has come, and those
    /// before it: theirs will come no more. `None`: there is none such, and
    /// nothing changes. `passed` hears of each hole among those before.
    pub(super) fn pop_to(
        &mut self,
        is_meant: impl Fn(Awaits) -> bool,
        mut passed: impl FnMut(Hole),
    ) -> Option<Awaits> {
        let place = self.0.iter().position(|(awaits, _)| is_meant(*awaits))?;
        for (awaits, _) in self.0.drain(..place) {
            if let Some(hole) = awaits.hole() {
                passed(hole);
            }
        }
        self.pop()
    }

    /// Whether they can be those of a dialogue.
    pub(super) fn is_sound(&self) -> bool {
        self.0.len() <= MOST_RUNS && self.0.iter().all(|(_, count)| *count > 0)
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_belong_to_the_oldest_command() {
        let mut all = Outstanding::default();
        for awaits in [Awaits::Other, Awaits::Other, Awaits::Passive, Awaits::Quit] {
            all.push(awaits).unwrap();
        }
        let order = [(); 5].map(|()| all.pop());
        assert_eq!(
            order,
            [
                Some(Awaits::Other),
                Some(Awaits::Other),
                Some(Awaits::Passive),
                Some(Awaits::Quit),
                None
            ]
        );
    }

    #[test]
    fn a_million_commands_ahead_take_no_more_memory_than_one() {
        let mut all = Outstanding::default();
        for _ in 0..1_000_000 {
            all.push(Awaits::Passive).unwrap();
        }
        assert_eq!(all.0.len(), 1);
        for n in 0..MOST_RUNS {
            let awaits = [Awaits::Other, Awaits::Passive][n % 2];
            let pushed = all.push(awaits);
            assert_eq!(pushed.is_ok(), n < MOST_RUNS - 1, "{n}");
        }
    }

    #[test]
    fn a_reply_that_tells_its_command_ends_those_before_it() {
        let mut all = Outstanding::default();
        all.push(Awaits::Other).unwrap();
        all.push(Awaits::Passive).unwrap();
        all.push(Awaits::Other).unwrap();
        let is_passive = |awaits| awaits == Awaits::Passive;
        let unheard = |_| unreachable!("no holes here");
        assert_eq!(all.pop_to(is_passive, unheard), Some(Awaits::Passive));
        assert_eq!(all.pop_to(is_passive, unheard), None);
        assert_eq!(all.pop(), Some(Awaits::Other));
    }
}
