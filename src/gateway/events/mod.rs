//! The event log: a JSON object for each thing that happens.
//!
//! Owns the bounded queue between whoever has something to tell and the file, and the thread that
//! writes. The packet loop is one of those who tell, by its [tap](super::tap): it never
//! waits, and what is too much is counted. A file that takes no more is said once; traffic
//! goes on, and so does the log when there is room.
//!
//! `docs/metrics.md` lists all events.

mod entry;
mod limit;
mod listener;
mod writer;

pub use limit::EventRate;

pub(super) use entry::{DeviceObject, Entry, ReloadObject};
pub(super) use listener::{Listener, Queue};

use std::convert::Infallible;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::warn;

use self::writer::Writer;
use super::clock::Clock;
use super::{GatewayError, Sandbox, watch};
use crate::engine::Reason;

/// How many events may wait for the file.
const QUEUE: usize = 4096;
/// How long the end waits for the file.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where events go.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum EventPlace {
    /// To standard output.
    StandardOutput,
    /// To the end of a file.
    File(PathBuf),
}

impl FromStr for EventPlace {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "-" => Self::StandardOutput,
            path => Self::File(path.into()),
        })
    }
}

/// Which events go where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventOptions {
    /// Where to.
    pub place: EventPlace,
    /// How many at most.
    pub rate: EventRate,
}

/// What both ends of the queue know.
#[derive(Debug)]
struct Shared {
    /// Lines in the file.
    written: AtomicU64,
    /// Events that found no room, or were too many.
    lost: AtomicU64,
    /// Packets that went nowhere, by reason, besides those that are told one by one.
    drops: Box<[AtomicU64]>,
    /// The file is to be opened anew.
    reopens: AtomicBool,
    /// Nothing more happens.
    is_over: AtomicBool,
}

/// An event log whose file is open.
pub(super) struct Opened {
    options: EventOptions,
    file: File,
    entries: Receiver<Entry>,
    queue: Queue,
}

impl Opened {
    /// Opens the file.
    ///
    /// # Errors
    /// It cannot be appended to.
    pub(super) fn open(options: EventOptions) -> Result<Self, GatewayError> {
        let file =
            open(&options.place).map_err(GatewayError::process("open the event log (--events)"))?;
        let (to, entries) = sync_channel(QUEUE);
        let drops = Reason::ALL.iter().map(|_| AtomicU64::new(0));
        let shared = Arc::new(Shared {
            written: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            drops: drops.collect(),
            reopens: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        });
        Ok(Self {
            options,
            file,
            entries,
            queue: Queue { to, shared },
        })
    }

    /// The way to the log.
    pub(super) fn queue(&self) -> Queue {
        self.queue.clone()
    }

    /// Where it has to write to be able to open its file anew.
    pub(super) fn directories(&self) -> Vec<PathBuf> {
        match &self.options.place {
            EventPlace::StandardOutput => Vec::new(),
            EventPlace::File(file) => watch::directories(file),
        }
    }

    /// Starts the thread that writes; gives the packet loops' end too.
    ///
    /// # Errors
    /// The kernel gives no thread.
    pub(super) fn start(
        self,
        clock: Clock,
        sandbox: Sandbox,
    ) -> Result<(EventLog, Listener), GatewayError> {
        let Self {
            options,
            file,
            entries,
            queue,
        } = self;
        let writer = Writer::new(options.place, file, Arc::clone(&queue.shared), clock);
        let (tell, done) = oneshot::channel();
        thread::Builder::new()
            .name("event-log".into())
            .spawn(move || {
                // Dropped at the end.
                let _tell: oneshot::Sender<()> = tell;
                match sandbox.keep_no_capability() {
                    Ok(()) => writer.run(&entries),
                    Err(error) => warn!(%error, "nobody writes the event log"),
                }
            })
            .map_err(GatewayError::process("start the event log"))?;
        let listener = Listener::new(queue.clone(), options.rate);
        Ok((EventLog { queue, done }, listener))
    }
}

/// An event log that is written.
pub(super) struct EventLog {
    queue: Queue,
    done: oneshot::Receiver<()>,
}

impl EventLog {
    /// Ends it. The loop has ended; a file that keeps its writer waiting is left alone.
    pub(super) async fn close(self) {
        self.queue.shared.is_over.store(true, Ordering::Relaxed);
        self.queue.look();
        if timeout(PATIENCE, self.done).await.is_err() {
            warn!("the event log takes nothing: its end is not written");
        }
    }
}

fn open(place: &EventPlace) -> io::Result<File> {
    match place {
        EventPlace::StandardOutput => {
            let standard = io::stdout().as_fd().try_clone_to_owned()?;
            Ok(standard.into())
        }
        EventPlace::File(path) => OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o640)
            .open(path),
    }
}

#[cfg(test)]
mod tests;
