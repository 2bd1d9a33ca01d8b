//! Packets as an interface hears them, for the driver to take as those of a file.
//!
//! Owns the packet socket ([`Listener`]), the thread that reads it and gives each
//! frame its moment, and the queue from there to the driver ([`Live`]). It refuses to send:
//! the sending half of the socket is dropped as soon as it is open. The clock is the caller's.
//! It listens to one interface: the frames of two would come in no order that is known,
//! and an answer that overtakes its question would be refused.
//!
//! ```text
//! interface -> kernel's buffer -> thread -> queue -> Live -> driver
//!              what does not fit is lost, and counted (drops)
//! ```
//!
//! Life cycle: open the listener; give up privileges; [`Live::start`] starts the thread.

mod drops;
mod error;
mod listener;

pub use error::ListenError;
pub use listener::{Listener, Promiscuity};

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use self::drops::Drops;
use super::driver::Next;
use super::merge::Merged;
use crate::net::Timestamp;

/// So often the driver hears that time passes, at least.
const BEAT: Duration = Duration::from_millis(200);

/// So many packets wait for the driver; more wait in the kernel.
const QUEUE: usize = 4096;

/// When listening ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// At this moment.
    pub until: Option<Timestamp>,
    /// After so many packets.
    pub packets: Option<NonZeroU64>,
}

/// What the threads tell.
enum Heard {
    Packet(Merged),
    /// The interface cannot be listened to any more.
    Lost(ListenError),
    /// Somebody wants an end.
    Stop,
}

/// The packets of an interface, and time, for the driver.
pub struct Live<C> {
    clock: C,
    heard: Receiver<Heard>,
    speak: SyncSender<Heard>,
    /// When the driver was last told of the time.
    told: Timestamp,
    until: Option<Timestamp>,
    /// How many packets there are yet to be.
    left: Option<u64>,
    state: State,
    /// Says to the thread that nobody hears it any more.
    over: Arc<AtomicBool>,
    drops: Option<Drops>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Listening,
    Ended,
}

/// Ends listening, from another thread.
#[derive(Debug, Clone)]
pub struct Stopper(SyncSender<Heard>);

impl Stopper {
    /// Ends it: what was heard before still comes.
    pub fn stop(&self) {
        // Where nobody hears it, it has ended.
        let _ = self.0.send(Heard::Stop);
    }
}

impl<C: Fn() -> Timestamp + Clone + Send + 'static> Live<C> {
    /// Starts the thread.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(listener: Listener, clock: C, limits: Limits) -> Result<Self, ListenError> {
        let (speak, heard) = sync_channel(QUEUE);
        let over = Arc::new(AtomicBool::new(false));
        let drops = listener.drops();
        let listen = {
            let (speak, over, clock) = (speak.clone(), Arc::clone(&over), clock.clone());
            move || {
                listener.listen(&clock, |heard| {
                    let heard = match heard {
                        Ok(None) => return !over.load(Ordering::Relaxed),
                        Ok(Some(packet)) => Heard::Packet(Merged { file: 0, packet }),
                        Err(error) => Heard::Lost(error),
                    };
                    speak.send(heard).is_ok()
                });
            }
        };
        thread::Builder::new()
            .name("listener".into())
            .spawn(listen)
            .map_err(ListenError::Thread)?;
        Ok(Self {
            told: clock(),
            clock,
            heard,
            speak,
            until: limits.until,
            left: limits.packets.map(NonZeroU64::get),
            state: State::Listening,
            over,
            drops,
        })
    }

    /// The present moment, by its clock.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// What ends it from another thread.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.speak.clone())
    }

    /// How many packets the kernel had no room for until they were read; `None` where it
    /// does not tell.
    #[must_use]
    pub fn dropped(&self) -> Option<u64> {
        self.drops.as_ref()?.count()
    }

    fn listen(&mut self) -> Option<Result<Next, ListenError>> {
        if self.left == Some(0) {
            return None;
        }
        loop {
            let now = self.now();
            if self.until.is_some_and(|until| now >= until) {
                return None;
            }
            // Also where packets never cease: time is told as often as where there are none.
            let beat = self.told.after(BEAT);
            if now >= beat {
                self.told = now;
                return Some(Ok(Next::Time(now)));
            }
            let wake = self.until.map_or(beat, |until| until.min(beat));
            match self.heard.recv_timeout(wake.since(now)) {
                Ok(Heard::Packet(merged)) => {
                    if let Some(left) = &mut self.left {
                        *left -= 1;
                    }
                    return Some(Ok(Next::Packet(merged)));
                }
                Ok(Heard::Lost(error)) => return Some(Err(error)),
                Ok(Heard::Stop) | Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

impl<C: Fn() -> Timestamp + Clone + Send + 'static> Iterator for Live<C> {
    type Item = Result<Next, ListenError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Ended {
            return None;
        }
        let next = self.listen();
        if !matches!(next, Some(Ok(_))) {
            self.state = State::Ended;
        }
        next
    }
}

impl<C> Drop for Live<C> {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}
