//! Errands: what the rest of the gateway wants of a packet loop, which owns the
//! engine.
//!
//! Owns the way in: whoever has [`Errands`] sends a piece of work, the loop does it
//! between two bursts of packets and sends back what came of it. So no lock stands
//! between packets and whoever asks. An errand has to be short: whoever wants all
//! sessions asks for one part of them after another.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{read, write};
use tokio::sync::oneshot;

use super::GatewayError;
use super::counters::DeviceCounters;
use super::devices::Returned;
use super::handover::Handover;
use super::pinning::Core;
use super::tap::Taps;
use crate::engine::{Engine, Output};
use crate::net::Timestamp;

/// How many errands are done between two bursts of packets.
const MOST_AT_ONCE: usize = 4;

/// What an errand has before it.
pub(super) struct Inside<'a> {
    /// The engine, between two packets.
    pub(super) engine: &'a mut Engine,
    /// What was counted at the devices.
    pub(super) counters: &'a DeviceCounters,
    /// The present moment.
    pub(super) now: Timestamp,
    /// What the engine makes and tells meanwhile; it is delivered afterwards.
    pub(super) out: &'a mut Output,
    /// Who listens to what happens.
    pub(super) taps: &'a mut Taps,
    /// Its end of the hand-over, where there are other workers.
    pub(super) handover: Option<&'a Handover>,
    /// The core that it stays on, if it does.
    pub(super) core: Option<Core>,
    /// Devices that are there again are put here; the loop reads from them afterwards.
    pub(super) returned: &'a mut Vec<Returned>,
}

type Errand = Box<dyn FnOnce(&mut Inside<'_>) + Send>;

/// The way in, for any number of senders.
#[derive(Clone)]
pub(super) struct Errands {
    queue: Sender<Errand>,
    bell: Arc<OwnedFd>,
}

/// The loop has ended, and does no errands any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended;

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the gateway is stopping")
    }
}

impl Errands {
    /// The way in, and the end of it that the loop has.
    ///
    /// # Errors
    /// The kernel gives no eventfd.
    pub(super) fn new() -> Result<(Self, Basket), GatewayError> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|errno| GatewayError::process("make an eventfd")(errno.into()))?;
        let bell = Arc::new(bell);
        let (queue, errands) = mpsc::channel();
        let basket = Basket {
            errands,
            bell: Arc::clone(&bell),
        };
        Ok((Self { queue, bell }, basket))
    }

    /// Has the loop do this, and waits for what comes of it.
    ///
    /// # Errors
    /// The loop has ended.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Inside<'_>) -> T + Send + 'static,
    ) -> Result<T, Ended> {
        self.send(work)?.answer().await
    }

    /// Has the loop do this, and does not wait for it.
    ///
    /// # Errors
    /// The loop has ended.
    pub(super) fn send<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Inside<'_>) -> T + Send + 'static,
    ) -> Result<Asked<T>, Ended> {
        let (tell, answer) = oneshot::channel();
        let errand: Errand = Box::new(move |inside| {
            // Whoever asked may have gone meanwhile.
            let _ = tell.send(work(inside));
        });
        self.queue.send(errand).map_err(|_| Ended)?;
        // A bell that rings already, rings.
        let _ = write(&*self.bell, &1_u64.to_ne_bytes());
        Ok(Asked(answer))
    }
}

/// An errand on its way.
#[must_use = "whoever asks wants to know"]
pub(super) struct Asked<T>(oneshot::Receiver<T>);

impl<T> Asked<T> {
    /// Waits for what comes of it.
    ///
    /// # Errors
    /// The loop has ended.
    pub(super) async fn answer(self) -> Result<T, Ended> {
        self.0.await.map_err(|_| Ended)
    }
}

/// The loop's end.
pub(super) struct Basket {
    errands: Receiver<Errand>,
    bell: Arc<OwnedFd>,
}

impl Basket {
    /// Does what waits; a part of it where there is much.
    pub(super) fn work_off(&self, inside: &mut Inside<'_>) {
        let mut rings = [0; 8];
        let _ = read(&*self.bell, &mut rings);
        for _ in 0..MOST_AT_ONCE {
            match self.errands.try_recv() {
                Ok(errand) => errand(inside),
                Err(_) => return,
            }
        }
        // There may be more: it is looked at after the packets that wait by now.
        let _ = write(&*self.bell, &1_u64.to_ne_bytes());
    }
}

impl AsFd for Basket {
    /// Readable when something waits.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}
