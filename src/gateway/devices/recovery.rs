//! What happens between the loss of a device and its return.
//!
//! Owns what is known of each device while packets pass: whether it is there, and when it is
//! looked for next. A device that the gateway has made it makes again at once; one that was
//! there before it came is its administrator's to make, and awaited. Sessions know nothing of
//! it: what is for a missing device is lost meanwhile, as on any wire, and sent again by its
//! sender.
//!
//! What fails is tried again, later each time, and said once for each reason.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use super::connection::NotOpened;
use super::device::{Facts, Origin, TunDevice, interface_index};
use super::helper::Helper;
use crate::config;
use crate::gateway::GatewayError;
use crate::gateway::life::Life;
use crate::gateway::routing::HostNetwork;
use crate::gateway::workforce::Workforce;
use crate::net::Workers;

/// How long after a failure it is tried again, at first and at most.
const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(30);
/// How often it is looked whether an awaited device is there.
const LOOK: Duration = Duration::from_secs(1);
/// A device that is lost sooner than that after it came has not come back for good.
const SETTLED: Duration = Duration::from_secs(10);

/// A worker has found that a device is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gateway) struct Loss {
    /// The device's place among all.
    pub(in crate::gateway) place: usize,
    /// Of those that have had its name, which.
    pub(in crate::gateway) generation: u32,
}

/// A device that is there again: a worker's queue of it.
#[derive(Debug)]
pub(in crate::gateway) struct Returned {
    /// The device's place among all.
    pub(in crate::gateway) place: usize,
    /// Of those that have had its name, which.
    pub(in crate::gateway) generation: u32,
    /// Where its packets come and go.
    pub(in crate::gateway) queue: OwnedFd,
}

/// The workers' end: where they report losses.
pub(in crate::gateway) type LossReports = UnboundedSender<Loss>;

/// Both ends of the way by which losses are reported. No packet goes by it.
pub(in crate::gateway) fn loss_reports() -> (LossReports, UnboundedReceiver<Loss>) {
    unbounded_channel()
}

/// A device that the host has, and how it is to be.
#[derive(Debug)]
pub(in crate::gateway) struct Attached {
    /// What the rule file says.
    pub(in crate::gateway) wanted: config::Device,
    /// What the kernel says.
    pub(in crate::gateway) facts: Facts,
}

/// What is known of a device.
struct Known {
    wanted: config::Device,
    /// The last that had its name.
    facts: Facts,
    generation: u32,
    /// When it came.
    since: Instant,
    /// `None`: it is there.
    missing: Option<Missing>,
    /// How long to rest after the next failure.
    rest: Duration,
}

/// A device that is gone.
struct Missing {
    since: Instant,
    next_try: Instant,
    /// Why the last try has failed.
    said: Option<String>,
}

/// Has devices again that are lost.
pub(in crate::gateway) struct Recovery {
    devices: Vec<Known>,
    losses: UnboundedReceiver<Loss>,
    /// `None`: there is none, and what is lost is lost for good.
    helper: Option<Helper>,
    workforce: Workforce,
    workers: Workers,
    life: Arc<Life>,
}

/// What there is to do.
enum Due {
    Stop,
    Loss(Loss),
    Try(usize),
    HelperEnded,
}

impl Recovery {
    /// For these devices, of which workers report losses.
    pub(in crate::gateway) fn new(
        devices: Vec<Attached>,
        losses: UnboundedReceiver<Loss>,
        helper: Option<Helper>,
        (workforce, workers): (Workforce, Workers),
        life: Arc<Life>,
    ) -> Self {
        let since = Instant::now();
        let devices = devices.into_iter().map(|Attached { wanted, facts }| Known {
            wanted,
            facts,
            generation: 0,
            // The first loss is no failure to come back.
            since: since.checked_sub(SETTLED).unwrap_or(since),
            missing: None,
            rest: FIRST_REST,
        });
        Self {
            devices: devices.collect(),
            losses,
            helper,
            workforce,
            workers,
            life,
        }
    }

    /// Works until `stop` is told. What is under way then is finished first.
    ///
    /// # Errors
    /// A device is gone, and nobody can have it again.
    pub(in crate::gateway) async fn run(
        &mut self,
        host: &mut HostNetwork,
        stop: &Notify,
    ) -> Result<(), GatewayError> {
        loop {
            match self.next(stop).await {
                Due::Stop => return Ok(()),
                Due::Loss(loss) => self.lose(loss, host).await,
                Due::Try(place) => {
                    let opened = tokio::select! {
                        biased;
                        () = stop.notified() => return Ok(()),
                        opened = self.open(place) => opened,
                    };
                    self.tried(place, opened, host).await;
                }
                Due::HelperEnded => self.do_without_helper(),
            }
            if self.helper.is_none()
                && let Some(lost) = self.devices.iter().find(|known| known.missing.is_some())
            {
                return Err(GatewayError::DeviceGone {
                    name: lost.wanted.name.clone(),
                });
            }
        }
    }

    /// Waits until there is something to do.
    async fn next(&mut self, stop: &Notify) -> Due {
        let tries = self.devices.iter().enumerate();
        let tries = tries.filter_map(|(place, known)| Some((known.missing.as_ref()?, place)));
        let next = tries
            .map(|(missing, place)| (missing.next_try, place))
            .min();
        let (helper, losses) = (&mut self.helper, &mut self.losses);
        let try_again = async {
            match next {
                Some((at, place)) => {
                    sleep_until(at).await;
                    place
                }
                None => std::future::pending().await,
            }
        };
        let helper_ended = async {
            match helper {
                Some(helper) => helper.ended().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = stop.notified() => Due::Stop,
            Some(loss) = losses.recv() => Due::Loss(loss),
            () = helper_ended => Due::HelperEnded,
            place = try_again => Due::Try(place),
        }
    }

    fn do_without_helper(&mut self) {
        warn!("the device helper has ended: a device that is lost is lost for good");
        self.helper = None;
    }

    /// A worker says that a device is gone. The others will say so too.
    async fn lose(&mut self, loss: Loss, host: &mut HostNetwork) {
        let Some(known) = self.devices.get_mut(loss.place) else {
            return;
        };
        if known.missing.is_some() || known.generation != loss.generation {
            return;
        }
        let name = &known.wanted.name;
        match known.facts.origin {
            Origin::Made => warn!(device = name, "device gone"),
            Origin::TakenOver => warn!(
                device = name,
                "device gone: it is taken over when its administrator has made it again"
            ),
        }
        let now = Instant::now();
        let next_try = match now.duration_since(known.since) >= SETTLED {
            true => {
                known.rest = FIRST_REST;
                now
            }
            false => now + later(&mut known.rest),
        };
        known.missing = Some(Missing {
            since: now,
            next_try,
            said: None,
        });
        self.life.device_lost(loss.place);
        host.lose(known.facts.index).await;
    }

    /// Asks for a missing device. `None`: it is not there yet.
    async fn open(&mut self, place: usize) -> Option<Result<TunDevice, NotOpened>> {
        let (Some(known), Some(helper)) = (self.devices.get(place), &mut self.helper) else {
            return None;
        };
        let must_exist = known.facts.origin == Origin::TakenOver;
        if must_exist && interface_index(&known.wanted.name).is_err() {
            return None;
        }
        Some(helper.open(place, must_exist).await)
    }

    /// Has the host and the workers use what came of it.
    async fn tried(
        &mut self,
        place: usize,
        opened: Option<Result<TunDevice, NotOpened>>,
        host: &mut HostNetwork,
    ) {
        let Some(known) = self.devices.get_mut(place) else {
            return;
        };
        let device = match opened {
            None => return known.look_again(),
            Some(Ok(device)) => device,
            Some(Err(NotOpened::Ended)) => return self.do_without_helper(),
            Some(Err(NotOpened::Refused(cause))) => {
                return known.failed(&known.cannot_open(self.workers, cause));
            }
        };
        if let Err(error) = host.attach(&device, &known.wanted).await {
            host.detach(device.facts.index).await;
            return known.failed(&error);
        }
        known.generation = known.generation.wrapping_add(1);
        known.facts = device.facts;
        known.since = Instant::now();
        let missing = known.missing.take();
        let after = missing.map_or(Duration::ZERO, |missing| missing.since.elapsed());
        let generation = known.generation;
        for (errands, queue) in self.workforce.each().zip(device.queues) {
            let returned = Returned {
                place,
                generation,
                queue,
            };
            // Where a loop has ended the gateway ends.
            let _ = errands
                .ask(move |inside| inside.returned.push(returned))
                .await;
        }
        self.life.device_returned(place, after);
        info!(
            device = known.wanted.name,
            taken_over = known.facts.origin == Origin::TakenOver,
            after = ?after,
            "device is back"
        );
    }
}

impl Known {
    /// It is not there yet, which is nobody's failure.
    fn look_again(&mut self) {
        if let Some(missing) = &mut self.missing {
            missing.next_try = Instant::now() + LOOK;
        }
    }

    /// It could not be had. Each cause is said once.
    fn failed(&mut self, error: &GatewayError) {
        let rest = later(&mut self.rest);
        let Some(missing) = &mut self.missing else {
            return;
        };
        missing.next_try = Instant::now() + rest;
        let why = error.to_string();
        if missing.said.as_ref() != Some(&why) {
            warn!(device = self.wanted.name, "not back: {why}");
            missing.said = Some(why);
        }
    }

    fn cannot_open(&self, workers: Workers, cause: io::Error) -> GatewayError {
        GatewayError::Device {
            name: self.wanted.name.clone(),
            origin: self.facts.origin,
            workers,
            cause,
        }
    }
}

/// How long to rest now, and longer the next time.
fn later(rest: &mut Duration) -> Duration {
    let now = *rest;
    *rest = rest.saturating_mul(2).min(LONGEST_REST);
    now
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_is_tried_again_later_each_time_and_never_too_late() {
        let mut rest = FIRST_REST;
        let rests: Vec<_> = (0..8).map(|_| later(&mut rest).as_secs()).collect();
        assert_eq!(rests, [1, 2, 4, 8, 16, 30, 30, 30]);
    }
}
