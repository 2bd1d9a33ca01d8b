//! Taps: whoever listens to sessions and packets while the gateway runs.
//!
//! Owns the loop's end of it. While nobody listens there is one question for each burst of
//! packets, and nothing else. While somebody does, packets are copied as they came, and what
//! happens goes into bounded queues: one that is full loses it, and counts what it lost. The
//! loop never waits for a listener.

mod capture;
mod watch;

pub(super) use capture::{Caught, Counts, Packets};
pub(super) use watch::{Happening, HappeningObject, Watcher, What};

use std::sync::Arc;

use self::watch::Tape;
use super::events::Listener;
use crate::engine::{Engine, Event, Judgement, Output, Reason, Silent, Verdict, Waiting};

/// Those who listen; `None`: nobody does.
#[derive(Debug, Default)]
pub(super) struct Taps(pub(super) Option<Box<Tap>>);

/// Those who listen.
#[derive(Debug, Default)]
pub(super) struct Tap {
    watchers: Vec<Watcher>,
    /// The event log.
    log: Option<Listener>,
    capture: Option<Packets>,
    /// The packets of a burst, as they came.
    copies: Vec<Vec<u8>>,
    tape: Tape,
}

impl Taps {
    /// Lets somebody hear of sessions.
    pub(super) fn watch(&mut self, watcher: Watcher) {
        self.0.get_or_insert_default().watchers.push(watcher);
    }

    /// Has all that happens written down.
    pub(super) fn log(&mut self, listener: Listener) {
        self.0.get_or_insert_default().log = Some(listener);
    }

    /// A packet had to be turned away before the engine saw it.
    #[inline]
    pub(super) fn turned_away(&self, reason: Reason) {
        if let Some(tap) = &self.0
            && let Some(log) = &tap.log
        {
            log.count(reason, 1);
        }
    }

    /// Has packets caught; instead of those that were before.
    pub(super) fn capture(&mut self, packets: Packets) {
        self.0.get_or_insert_default().capture = Some(packets);
    }

    /// Has no packets caught any more.
    pub(super) fn end_capture(&mut self) {
        if let Some(tap) = &mut self.0 {
            tap.capture = None;
        }
        self.close_if_idle();
    }

    /// Tells of what happened between packets.
    #[inline]
    pub(super) fn tell(&mut self, events: &[Event], engine: &Engine) {
        if let Some(tap) = &mut self.0 {
            if let Some(log) = &mut tap.log {
                log.note(events, engine.now());
            }
            tap.tape.note(events);
            tap.tape.play(&mut tap.watchers, tap.log.as_mut(), engine);
            self.close_if_idle();
        }
    }

    fn close_if_idle(&mut self) {
        if let Some(tap) = &self.0
            && tap.watchers.is_empty()
            && tap.log.is_none()
            && tap.capture.is_none()
        {
            self.0 = None;
        }
    }
}

impl Tap {
    /// As [`Engine::packets`], with those who listen.
    #[cold]
    #[inline(never)]
    pub(super) fn packets(
        &mut self,
        engine: &mut Engine,
        batch: &mut [Waiting],
        out: &mut Output,
        mut done: impl FnMut(&mut Waiting, &Judgement, &mut Output),
    ) {
        let policy = Arc::clone(engine.policy());
        if self.capture.is_some() {
            self.copies.resize_with(batch.len(), Vec::new);
            for (copy, waiting) in self.copies.iter_mut().zip(batch.iter()) {
                copy.clear();
                copy.extend_from_slice(waiting.packet());
            }
        }
        let Self {
            watchers,
            log,
            capture,
            copies,
            tape,
        } = self;
        let mut copies = copies.iter();
        engine.packets(batch, out, &mut Silent, |waiting, judgement, out| {
            if !watchers.is_empty() || log.is_some() {
                tape.note(&out.events);
            }
            if let Some(log) = log {
                log.note(&out.events, waiting.at);
                if matches!(judgement.verdict, Verdict::Drop | Verdict::Reject) {
                    log.dropped(waiting, judgement, &policy);
                }
            }
            if let (Some(packets), Some(came)) = (capture.as_ref(), copies.next())
                // Whoever judges it catches it.
                && !matches!(judgement.verdict, Verdict::Elsewhere(_))
            {
                packets.look_at((waiting.at, waiting.arrival), came, judgement, &policy);
            }
            done(waiting, judgement, out);
        });
        tape.play(watchers, log.as_mut(), engine);
        if capture.as_ref().is_some_and(Packets::is_over) {
            *capture = None;
        }
    }
}
