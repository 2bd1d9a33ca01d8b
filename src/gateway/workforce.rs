//! All packet loops, as those see them who want something of the gateway.
//!
//! Owns the ways to all of them: what is asked of everybody is asked at the same time, and
//! answered when all have. What one has as all others have it, the policy for one, is asked
//! of the first.

use std::sync::Arc;

use super::errands::{Ended, Errands, Inside};

/// The ways to all packet loops, in their order.
#[derive(Clone)]
pub(super) struct Workforce {
    first: Errands,
    others: Arc<[Errands]>,
}

impl From<Errands> for Workforce {
    /// One that does everything alone.
    fn from(first: Errands) -> Self {
        Self {
            first,
            others: Arc::default(),
        }
    }
}

impl Workforce {
    /// Several; the first of them apart.
    pub(super) fn new(first: Errands, others: Vec<Errands>) -> Self {
        Self {
            first,
            others: others.into(),
        }
    }

    /// The way to each, in their order.
    pub(super) fn each(&self) -> impl Iterator<Item = &Errands> {
        std::iter::once(&self.first).chain(self.others.iter())
    }

    /// The way to the one at this place.
    pub(super) fn at(&self, place: usize) -> Option<&Errands> {
        match place.checked_sub(1) {
            None => Some(&self.first),
            Some(place) => self.others.get(place),
        }
    }

    /// Has the first do this, and waits for what comes of it.
    ///
    /// # Errors
    /// The loop has ended.
    pub(super) async fn ask_first<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Inside<'_>) -> T + Send + 'static,
    ) -> Result<T, Ended> {
        self.first.ask(work).await
    }

    /// Has each do this, and waits for what comes of it: of the first, and of the others in
    /// their order. They do it at the same time, more or less.
    ///
    /// # Errors
    /// A loop has ended.
    pub(super) async fn ask_all<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Inside<'_>) -> T + Clone + Send + 'static,
    ) -> Result<(T, Vec<T>), Ended> {
        let others: Vec<_> = self
            .others
            .iter()
            .map(|errands| errands.send(work.clone()))
            .collect();
        let first = self.first.send(work)?.answer().await?;
        let mut answers = Vec::with_capacity(others.len());
        for asked in others {
            answers.push(asked?.answer().await?);
        }
        Ok((first, answers))
    }

    /// The same, and one answer made of all, by adding those of the others to the first.
    ///
    /// # Errors
    /// A loop has ended.
    pub(super) async fn sum<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Inside<'_>) -> T + Clone + Send + 'static,
        mut add: impl FnMut(&mut T, T),
    ) -> Result<T, Ended> {
        let (mut sum, others) = self.ask_all(work).await?;
        for other in others {
            add(&mut sum, other);
        }
        Ok(sum)
    }
}
