//! Saving: what the engine knows becomes the state file.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::sleep;
use tracing::{error, info};

use super::Kept;
use super::told::Saved;
use crate::engine::{Bookmark, Engine, Part};
use crate::gateway::clock::Clock;
use crate::gateway::errands::Ended;
use crate::gateway::life::Life;
use crate::gateway::workforce::Workforce;
use crate::state::{Encoder, Standing};

/// Keeps the state.
pub(in crate::gateway) struct Keeper {
    kept: Kept,
    workforce: Workforce,
    life: Arc<Life>,
    clock: Clock,
    /// One save at a time.
    turn: Mutex<()>,
}

/// Why the state was not saved. What was saved before is still there.
#[derive(Debug)]
pub(in crate::gateway) enum NotSaved {
    /// The gateway ends, and saves its state then.
    Stopping,
    /// There is something in it that cannot be written down.
    Unwritable,
    /// The file cannot be written.
    File(PathBuf, io::Error),
}

impl fmt::Display for NotSaved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopping => Ended.fmt(f),
            Self::Unwritable => f.write_str("there is a state that cannot be written down"),
            Self::File(path, cause) => {
                write!(
                    f,
                    "cannot write {}: {cause} (the state that was saved before is still there)",
                    path.display()
                )
            }
        }
    }
}

impl Keeper {
    pub(in crate::gateway) fn new(
        kept: Kept,
        workforce: Workforce,
        life: Arc<Life>,
        clock: Clock,
    ) -> Self {
        Self {
            kept,
            workforce,
            life,
            clock,
            turn: Mutex::new(()),
        }
    }

    /// The directory that it writes in.
    pub(in crate::gateway) fn directory(&self) -> PathBuf {
        self.kept.file.directory().to_owned()
    }

    /// Saves what the engine knows while packets pass.
    ///
    /// # Errors
    /// It is not saved.
    pub(in crate::gateway) async fn save(&self) -> Result<Saved, NotSaved> {
        let _turn = self.turn.lock().await;
        let saved = self.collect_and_write().await;
        self.told(saved)
    }

    async fn collect_and_write(&self) -> Result<Saved, NotSaved> {
        let mut encoder = Encoder::new();
        let mut frames = Vec::new();
        for errands in self.workforce.each() {
            let mut next = Some(Bookmark::default());
            while let Some(at) = next {
                let part = errands.ask(move |inside| inside.engine.snapshot_part(inside.now, at));
                let (part, rest) = part.await.map_err(|_| NotSaved::Stopping)?;
                match part.is_last() {
                    true => frames.push(part),
                    false => encoder.push(&part).map_err(|_| NotSaved::Unwritable)?,
                }
                next = rest;
            }
        }
        let last = Part::last_of_all(frames).ok_or(NotSaved::Unwritable)?;
        encoder.push(&last).map_err(|_| NotSaved::Unwritable)?;
        let (kept, clock) = (self.kept.clone(), self.clock);
        let written = spawn_blocking(move || write(&kept, clock, encoder, Standing::Passing));
        written.await.map_err(|_| NotSaved::Stopping)?
    }

    /// Saves what engines know that have ended.
    ///
    /// # Errors
    /// It is not saved.
    pub(in crate::gateway) fn save_at_rest(&self, engines: &[Engine]) -> Result<Saved, NotSaved> {
        let now = self.clock.now();
        let mut encoder = Encoder::new();
        let parts = engines.iter().flat_map(|engine| engine.snapshot_parts(now));
        let (frames, parts): (Vec<_>, Vec<_>) = parts.partition(Part::is_last);
        let parts = parts.into_iter().chain(Part::last_of_all(frames));
        let pushed = { parts }.try_for_each(|part| encoder.push(&part));
        let saved = pushed
            .map_err(|_| NotSaved::Unwritable)
            .and_then(|()| write(&self.kept, self.clock, encoder, Standing::AtRest));
        self.told(saved)
    }

    /// Tells of it whoever listens.
    fn told(&self, saved: Result<Saved, NotSaved>) -> Result<Saved, NotSaved> {
        match &saved {
            Ok(saved) => info!("{saved}"),
            Err(NotSaved::Stopping) => return saved,
            Err(why) => error!("state not saved: {why}"),
        }
        self.life.saved(self.clock.now(), &saved);
        saved
    }

    /// Saves it again and again.
    pub(in crate::gateway) fn keep_saving(self: &Arc<Self>, every: Duration) -> JoinHandle<()> {
        let keeper = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                sleep(every).await;
                if matches!(keeper.save().await, Err(NotSaved::Stopping)) {
                    return;
                }
            }
        })
    }
}

fn write(
    Kept { file, boot }: &Kept,
    clock: Clock,
    encoder: Encoder,
    standing: Standing,
) -> Result<Saved, NotSaved> {
    let sessions = encoder.sessions();
    let octets = encoder.finish(standing, &boot.now());
    let octets = octets.map_err(|_| NotSaved::Unwritable)?;
    let written = file.write(&octets, standing);
    written.map_err(|cause| NotSaved::File(file.path().to_owned(), cause))?;
    Ok(Saved {
        at: clock.now(),
        sessions,
        octets: octets.len(),
    })
}
