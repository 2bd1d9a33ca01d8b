//! The watch over the rule file: whether it is another one by now.
//!
//! Editors put another file in its place, so the directory is watched, and, where
//! the path is a link, that of the file itself. What happened there is not read:
//! anything that happens is a reason to look at the file, which has changed once it
//! stays for a while as it is, and is not as it was when it was read.
//!
//! A thread waits for the kernel's word: it sleeps until something happens there.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::{Errno, read, write};
use tokio::sync::Notify;
use tokio::time::sleep;
use tracing::warn;

use super::Sandbox;
use super::reload::{Reloader, Stamp};

/// How long a file has to stay as it is before it is read.
const SETTLING: Duration = Duration::from_millis(300);

/// What may put another file in place of the one that is watched.
const CHANGES: WatchFlags = WatchFlags::CLOSE_WRITE
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::CREATE);

/// The watch.
pub(super) struct Watch {
    file: PathBuf,
    something: Arc<Notify>,
    stop: Arc<OwnedFd>,
}

impl Watch {
    /// Watches over a file.
    ///
    /// # Errors
    /// The kernel watches over no more.
    pub(super) fn over(file: &Path, sandbox: Sandbox) -> io::Result<Self> {
        let changes = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        for directory in directories(file) {
            inotify::add_watch(&changes, directory, CHANGES)?;
        }
        let stop = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let something = Arc::new(Notify::new());
        let (heard, tell) = (Arc::clone(&stop), Arc::clone(&something));
        thread::Builder::new()
            .name("rule-file".into())
            .spawn(move || match sandbox.confine_worker() {
                Ok(()) => listen(&changes, &heard, &tell),
                Err(error) => warn!(%error, "nobody watches the rule file"),
            })?;
        Ok(Self {
            file: file.to_owned(),
            something,
            stop,
        })
    }

    /// Waits until the file has changed since it was read last. Whoever stops waiting
    /// misses nothing.
    pub(super) async fn changed(&self, reloader: &Reloader) {
        loop {
            let now = Stamp::of(&self.file);
            // Between two files there may be none.
            if now.is_none() || now == reloader.seen().await {
                self.something.notified().await;
                continue;
            }
            sleep(SETTLING).await;
            if Stamp::of(&self.file) == now {
                return;
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // The thread ends by that, and nobody needs to wait for it.
        let _ = write(&*self.stop, &1_u64.to_ne_bytes());
    }
}

/// Tells of each time that something happens, until `stop` becomes readable.
fn listen(changes: &OwnedFd, stop: &OwnedFd, tell: &Notify) {
    let mut waiting = [
        PollFd::new(stop, PollFlags::IN),
        PollFd::new(changes, PollFlags::IN),
    ];
    loop {
        match poll(&mut waiting, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return,
        }
        let [stop, _] = &waiting;
        if !stop.revents().is_empty() {
            return;
        }
        let mut words = [0; 4096];
        while read(changes, &mut words).is_ok_and(|length| length > 0) {}
        tell.notify_one();
    }
}

/// The directory that a file is in, and where it is a link, that of the file itself.
pub(super) fn directories(file: &Path) -> Vec<PathBuf> {
    let itself = file.canonicalize().ok();
    let all = [Some(file), itself.as_deref()];
    all.into_iter()
        .flatten()
        .map(|file| directory(file).to_owned())
        .collect()
}

/// The directory that a file is in.
pub(super) fn directory(file: &Path) -> &Path {
    match file.parent() {
        Some(directory) if directory != Path::new("") => directory,
        _ => Path::new("."),
    }
}
