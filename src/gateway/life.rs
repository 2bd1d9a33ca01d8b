//! What happens to the gateway as a whole: counted, and told to the event log.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::clock::Clock;
use super::events::{DeviceObject, Entry, Queue, ReloadObject};
use super::reload::{Refusal, Reloaded};
use super::state::{NotSaved, Saved, StateObject, States};
use crate::engine::Intake;
use crate::net::Timestamp;

/// Counts what happens to the gateway as a whole, for whoever asks.
#[derive(Debug)]
pub(super) struct Life {
    clock: Clock,
    reloaded: AtomicU64,
    refused: AtomicU64,
    states: Mutex<States>,
    /// In their order.
    devices: Mutex<Vec<DeviceLife>>,
    /// `None`: there is no event log.
    events: Option<Queue>,
}

/// How often the rule file was read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Reloads {
    /// It took over.
    pub(super) taken: u64,
    /// It was refused, and the one before stayed.
    pub(super) refused: u64,
}

/// Whether a device is there, and how often it was not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DeviceLife {
    pub(super) name: String,
    pub(super) is_up: bool,
    pub(super) losses: u64,
}

impl Life {
    /// The life of a gateway with this event log.
    pub(super) fn new(clock: Clock, events: Option<Queue>) -> Self {
        Self {
            clock,
            reloaded: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            states: Mutex::default(),
            devices: Mutex::default(),
            events,
        }
    }

    /// It has these devices, which are there.
    pub(super) fn with_devices<'a>(self, names: impl Iterator<Item = &'a str>) -> Self {
        let devices = names.map(|name| DeviceLife {
            name: name.to_owned(),
            is_up: true,
            losses: 0,
        });
        Self {
            devices: Mutex::new(devices.collect()),
            ..self
        }
    }

    fn lock_devices(&self) -> MutexGuard<'_, Vec<DeviceLife>> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The device at this place is gone.
    pub(super) fn device_lost(&self, place: usize) {
        if let Some(device) = self.lock_devices().get_mut(place) {
            device.is_up = false;
            device.losses += 1;
            self.put(|at| Entry::Device(DeviceObject::lost(at, &device.name)));
        }
    }

    /// It is there again, after so long.
    pub(super) fn device_returned(&self, place: usize, after: Duration) {
        if let Some(device) = self.lock_devices().get_mut(place) {
            device.is_up = true;
            self.put(|at| Entry::Device(DeviceObject::returned(at, &device.name, after)));
        }
    }

    /// All devices.
    pub(super) fn devices(&self) -> Vec<DeviceLife> {
        self.lock_devices().clone()
    }

    /// The name of a device that is missing, if one is.
    pub(super) fn missing_device(&self) -> Option<String> {
        let devices = self.lock_devices();
        let missing = devices.iter().find(|device| !device.is_up);
        missing.map(|device| device.name.clone())
    }

    fn put(&self, entry: impl FnOnce(Timestamp) -> Entry) {
        if let Some(events) = &self.events {
            events.put(entry(self.clock.now()));
        }
    }

    /// The rule file was read again. Whoever had that done may have put the event log's
    /// file aside.
    pub(super) fn reloaded(&self, came: &Result<Reloaded, Refusal>) {
        let count = match came {
            Ok(_) => &self.reloaded,
            Err(_) => &self.refused,
        };
        count.fetch_add(1, Ordering::Relaxed);
        if let Some(events) = &self.events {
            events.reopen();
            events.put(Entry::Reload(ReloadObject::of(self.clock.now(), came)));
        }
    }

    /// An operator lets sessions begin, or not.
    pub(super) fn intake(&self, intake: Intake) {
        self.put(|at| Entry::Intake(at, intake));
    }

    /// The state was saved, or not.
    pub(super) fn saved(&self, at: Timestamp, saved: &Result<Saved, NotSaved>) {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        match saved {
            Ok(saved) => {
                states.last = Some(*saved);
                states.saved += 1;
            }
            Err(_) => states.failed += 1,
        }
        drop(states);
        self.state(StateObject::saved(at, saved));
    }

    /// So many sessions went on when the gateway began.
    pub(super) fn restored(&self, sessions: usize) {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.restored = sessions as u64;
    }

    /// Something about the state is told.
    pub(super) fn state(&self, object: StateObject) {
        self.put(|_| Entry::State(object));
    }

    /// What there is to tell of the state.
    pub(super) fn states(&self) -> States {
        *self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many lines the event log has, and how many events it lost.
    pub(super) fn events(&self) -> Option<(u64, u64)> {
        self.events.as_ref().map(Queue::counts)
    }

    /// How often which of both happened.
    pub(super) fn reloads(&self) -> Reloads {
        Reloads {
            taken: self.reloaded.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }
}
