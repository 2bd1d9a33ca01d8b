//! The thread that writes: whole lines, in order, as far as there is room.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use serde::Serialize;
use tracing::{info, warn};

use super::entry::{CountObject, Entry, PlainObject, put};
use super::{EventPlace, Shared};
use crate::engine::Reason;
use crate::gateway::clock::Clock;
use crate::net::Timestamp;

/// How many octets are written at a time.
const PART: usize = 64 << 10;
/// How often drops are told, and how long a file that takes nothing is left alone.
const TICK: Duration = Duration::from_secs(1);

/// Writes events to a file.
pub(super) struct Writer<W> {
    place: EventPlace,
    to: W,
    open: fn(&EventPlace) -> io::Result<W>,
    shared: Arc<Shared>,
    clock: Clock,
    /// Whole lines on their way, and how many octets of them are written.
    lines: Vec<u8>,
    written: usize,
    /// How many lines these are.
    count: u64,
    state: State,
    /// How many lost events were told.
    told_lost: u64,
    told_drops: Timestamp,
}

/// Whether the file takes what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Takes,
    /// It took nothing at this moment: what comes meanwhile is lost.
    Refuses(Timestamp),
}

impl Writer<File> {
    pub(super) fn new(place: EventPlace, to: File, shared: Arc<Shared>, clock: Clock) -> Self {
        Self::with(place, to, super::open, shared, clock)
    }
}

impl<W: Write> Writer<W> {
    pub(super) fn with(
        place: EventPlace,
        to: W,
        open: fn(&EventPlace) -> io::Result<W>,
        shared: Arc<Shared>,
        clock: Clock,
    ) -> Self {
        Self {
            place,
            to,
            open,
            shared,
            clock,
            lines: Vec::new(),
            written: 0,
            count: 0,
            state: State::Takes,
            told_lost: 0,
            told_drops: clock.now(),
        }
    }

    /// Writes what comes until it is over.
    pub(super) fn run(mut self, entries: &Receiver<Entry>) {
        self.say(&PlainObject::start(self.clock.now()));
        loop {
            let came = match entries.recv_timeout(TICK) {
                Err(RecvTimeoutError::Disconnected) => break,
                came => came,
            };
            let more = std::iter::from_fn(|| entries.try_recv().ok());
            for entry in came.into_iter().chain(more) {
                self.reopen_if_told();
                self.take(&entry);
                if self.lines.len() >= PART {
                    break;
                }
            }
            self.reopen_if_told();
            let now = self.clock.now();
            if now.since(self.told_drops) >= TICK {
                self.tell_drops(now);
            }
            self.flush(now);
            self.tell_lost(now);
            if self.shared.is_over.load(Ordering::Relaxed) {
                break;
            }
        }
        while let Ok(entry) = entries.try_recv() {
            self.take(&entry);
            if self.lines.len() >= PART {
                self.flush(self.clock.now());
            }
        }
        let now = self.clock.now();
        self.tell_drops(now);
        self.tell_lost(now);
        self.say(&PlainObject::stop(now));
        self.flush(now);
    }

    fn take(&mut self, entry: &Entry) {
        match self.state {
            State::Takes => self.count += entry.put(&mut self.lines),
            State::Refuses(_) if matches!(entry, Entry::Look) => {}
            State::Refuses(_) => {
                self.shared.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn say(&mut self, object: &impl Serialize) {
        if self.state == State::Takes {
            self.count += put(&mut self.lines, object);
        }
    }

    /// Tells how many packets went nowhere besides those that were told.
    fn tell_drops(&mut self, now: Timestamp) {
        self.told_drops = now;
        // They stay counted until there is room.
        if self.state != State::Takes {
            return;
        }
        let shared = Arc::clone(&self.shared);
        for (reason, count) in Reason::ALL.iter().zip(&shared.drops) {
            let count = count.swap(0, Ordering::Relaxed);
            if count > 0 {
                self.say(&CountObject::drops(now, *reason, count));
            }
        }
    }

    /// Tells how many events were lost, where there is room again.
    fn tell_lost(&mut self, now: Timestamp) {
        let lost = self.shared.lost.load(Ordering::Relaxed);
        if self.state == State::Takes && lost > self.told_lost {
            self.say(&CountObject::lost(now, lost - self.told_lost));
            self.told_lost = lost;
        }
    }

    /// What is on its way goes to the file.
    fn flush(&mut self, now: Timestamp) {
        if let State::Refuses(since) = self.state
            && now.since(since) < TICK
        {
            return;
        }
        while let Some(rest) = self
            .lines
            .get(self.written..)
            .filter(|rest| !rest.is_empty())
        {
            match self.to.write(rest) {
                Ok(0) => return self.refused(now, &ErrorKind::WriteZero.into()),
                Ok(length) => self.written += length,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.refused(now, &error),
            }
        }
        let count = std::mem::take(&mut self.count);
        self.shared.written.fetch_add(count, Ordering::Relaxed);
        self.lines.clear();
        self.written = 0;
        if self.state != State::Takes {
            self.state = State::Takes;
            info!("the event log is written again");
        }
    }

    /// The file takes nothing, which is said once.
    fn refused(&mut self, now: Timestamp, error: &io::Error) {
        if self.state == State::Takes {
            warn!(%error, "the event log cannot be written");
        }
        self.state = State::Refuses(now);
    }

    /// What comes after somebody has put the file aside goes to the new one.
    fn reopen_if_told(&mut self) {
        if self.shared.reopens.swap(false, Ordering::Relaxed) {
            self.flush(self.clock.now());
            self.reopen();
        }
    }

    /// Goes on in the file that has the name now.
    fn reopen(&mut self) {
        match (self.open)(&self.place) {
            Ok(file) => {
                self.leave_cut_line();
                self.to = file;
                if let State::Refuses(since) = &mut self.state {
                    // The new one may have room.
                    *since = Timestamp::EPOCH;
                }
            }
            Err(error) => warn!(%error, "the event log cannot be opened again"),
        }
    }

    /// A line whose beginning stays in the old file does not go on in the new one.
    fn leave_cut_line(&mut self) {
        let before = self.written.checked_sub(1);
        let is_cut = before
            .and_then(|before| self.lines.get(before))
            .is_some_and(|octet| *octet != b'\n');
        let rest = self.lines.get(self.written..).unwrap_or_default();
        if is_cut && let Some(end) = rest.iter().position(|octet| *octet == b'\n') {
            self.written += end + 1;
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}
