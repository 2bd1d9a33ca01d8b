//! Which core each packet loop runs on, where that is asked for.

use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::net::Workers;

/// Whether packet loops stay where they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Pinning {
    /// The kernel moves them as it likes.
    #[default]
    Free,
    /// Each stays on a core.
    Pinned,
}

/// The number of a core, as the kernel counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Core(pub(super) usize);

impl Pinning {
    /// The core of each worker, in their order: of those that this process may use, one after
    /// the other, and from the first again where there are fewer. `None`: it has none.
    ///
    /// # Errors
    /// The kernel does not say which there are.
    pub(super) fn cores(self, workers: Workers) -> io::Result<Vec<Option<Core>>> {
        let usable: Vec<Core> = match self {
            Self::Free => Vec::new(),
            Self::Pinned => {
                let set = sched_getaffinity(None)?;
                (0..CpuSet::MAX_CPU)
                    .filter(|core| set.is_set(*core))
                    .map(Core)
                    .collect()
            }
        };
        let mut cores = usable.into_iter().cycle();
        Ok(workers.all().map(|_| cores.next()).collect())
    }
}

impl Core {
    /// Keeps the calling thread on it.
    ///
    /// # Errors
    /// The kernel lets it not.
    pub(super) fn keep_to(self) -> io::Result<()> {
        let mut only = CpuSet::new();
        only.set(self.0);
        Ok(sched_setaffinity(None, &only)?)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn each_worker_has_a_core_that_the_process_may_use_and_stays_there() {
        let three = Workers::new(3).unwrap();
        assert_eq!(Pinning::Free.cores(three).unwrap(), [None; 3]);
        let cores = Pinning::Pinned.cores(three).unwrap();
        assert_eq!(cores.len(), 3);
        for core in cores.into_iter().flatten() {
            let kept = thread::spawn(move || {
                core.keep_to().unwrap();
                let set = sched_getaffinity(None).unwrap();
                (set.count(), set.is_set(core.0))
            });
            assert_eq!(kept.join().unwrap(), (1, true));
        }
    }
}
