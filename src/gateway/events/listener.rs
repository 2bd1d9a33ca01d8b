//! The packet loop's end: what is told, and what is only counted.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, TrySendError};

use super::Shared;
use super::entry::{Dropped, Entry};
use super::limit::{EventRate, Limiter, Samples};
use crate::engine::{Event, Judgement, Policy, Reason, Waiting};
use crate::gateway::tap::Happening;
use crate::net::Timestamp;
use crate::objects::HoleObject;
use crate::packet::Headers;

/// The way to the writer.
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Queue {
    pub(super) to: SyncSender<Entry>,
    pub(super) shared: Arc<Shared>,
}

impl Queue {
    /// Tells an event, if there is room.
    pub(in crate::gateway) fn put(&self, entry: Entry) {
        if let Err(TrySendError::Full(_)) = self.to.try_send(entry) {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many lines were written, and how many events lost.
    pub(in crate::gateway) fn counts(&self) -> (u64, u64) {
        let Shared { written, lost, .. } = &*self.shared;
        (
            written.load(Ordering::Relaxed),
            lost.load(Ordering::Relaxed),
        )
    }

    /// Has the file opened anew: it may have been put aside.
    pub(in crate::gateway) fn reopen(&self) {
        self.shared.reopens.store(true, Ordering::Relaxed);
        self.look();
    }

    /// Has the writer look. One that is busy looks anyway.
    pub(super) fn look(&self) {
        let _ = self.to.try_send(Entry::Look);
    }
}

/// Tells what happens to sessions and packets, within limits, which are one for all workers.
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Listener {
    queue: Queue,
    limits: Arc<Limits>,
}

#[derive(Debug)]
struct Limits {
    limiter: Limiter,
    samples: Samples,
}

impl Listener {
    pub(super) fn new(queue: Queue, rate: EventRate) -> Self {
        Self {
            queue,
            limits: Arc::new(Limits {
                limiter: Limiter::new(rate),
                samples: Samples::new(),
            }),
        }
    }

    /// Whether one more event may be told; else it is lost.
    pub(in crate::gateway) fn admits(&mut self, now: Timestamp) -> bool {
        let admits = self.limits.limiter.admits(now);
        if !admits {
            self.queue.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
        admits
    }

    /// Tells of a session, which has been admitted.
    pub(in crate::gateway) fn session(&self, happening: Happening) {
        self.queue.put(Entry::Session(Box::new(happening)));
    }

    /// Tells what there is besides sessions.
    pub(in crate::gateway) fn note(&mut self, events: &[Event], now: Timestamp) {
        for event in events {
            if let Event::Unfinished(unfinished) = event {
                self.count(unfinished.reason, unfinished.pieces as u64);
            }
            if matches!(event, Event::Alg { .. } | Event::Unmet(_))
                && let Some(object) = HoleObject::of(event)
                && self.admits(now)
            {
                self.queue.put(Entry::Hole(Box::new(object)));
            }
        }
    }

    /// A packet goes nowhere: the first of a reason in a second is told, the rest counted.
    pub(in crate::gateway) fn dropped(
        &mut self,
        waiting: &Waiting,
        judgement: &Judgement,
        policy: &Arc<Policy>,
    ) {
        let (reason, now) = (judgement.reason, waiting.at);
        let Limits { limiter, samples } = &*self.limits;
        if !samples.picks(reason, now) || !limiter.admits(now) {
            self.count(reason, 1);
            return;
        }
        let headers = Headers::read(waiting.packet(), false).ok();
        self.queue.put(Entry::Dropped(Box::new(Dropped {
            at: now,
            policy: Arc::clone(policy),
            arrival: waiting.arrival,
            judgement: *judgement,
            tuple: headers.and_then(|headers| headers.tuple()),
        })));
    }

    /// Counts packets that went nowhere, and are not told one by one.
    pub(in crate::gateway) fn count(&self, reason: Reason, packets: u64) {
        if let Some(count) = self.queue.shared.drops.get(reason as usize) {
            count.fetch_add(packets, Ordering::Relaxed);
        }
    }
}
