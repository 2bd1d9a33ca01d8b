//! The workers: a thread for each packet loop, each with an engine of its own.
//!
//! Owns how they are put together and what one has that others have too: the policy, the
//! crew in which their engines find whose a packet is, the devices, of which each has a
//! queue. They start together, and end together: by being told, or because one of them has.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rustix::event::{EventfdFlags, eventfd};
use tokio::sync::Notify;

use super::GatewayError;
use super::clock::Clock;
use super::counters::Summary;
use super::devices::LossReports;
use super::errands::Errands;
use super::events::Listener;
use super::handover::Handover;
use super::options::{Options, Sandbox};
use super::packet_loop::PacketLoop;
use super::port::Port;
use super::records::Records;
use super::workforce::Workforce;
use crate::engine::{self, Engine, Policy};
use crate::net::{Timestamp, Workers};
use crate::session::Crew;

/// Packet loops that have not started yet.
pub(super) struct Gathered<F> {
    loops: Vec<PacketLoop<F>>,
}

/// The crew of so many workers; `None`: one works alone, as in a replay, and asks nobody.
pub(super) fn crew(workers: Workers, options: engine::Options) -> Option<Arc<Crew>> {
    (workers != Workers::ONE).then(|| Crew::new(workers, options.seed))
}

/// The engines of all workers, in their order.
pub(super) fn engines(
    policy: &Arc<Policy>,
    options: engine::Options,
    crew: Option<&Arc<Crew>>,
    now: Timestamp,
) -> Vec<Engine> {
    let Some(crew) = crew else {
        return vec![Engine::new(Arc::clone(policy), options, now)];
    };
    let posts = crew.posts();
    posts
        .map(|post| Engine::at_post(Arc::clone(policy), options, now, post))
        .collect()
}

impl<F: AsFd + From<OwnedFd> + Send + 'static> Gathered<F> {
    /// Packet loops between these devices, of which each has its ports; and the way to them.
    ///
    /// # Errors
    /// The kernel gives too little.
    pub(super) fn gather(
        engines: Vec<Engine>,
        (clock, options): (Clock, &Options),
        ports: Vec<Vec<Port<F>>>,
        mut records: Records,
    ) -> Result<(Self, Workforce), GatewayError> {
        records.begin(clock.now());
        let workers = options.workers;
        let cores = options.pinning.cores(workers);
        let cores = cores.map_err(GatewayError::process("ask for the cores"))?;
        let mut handovers = match workers {
            Workers::ONE => Vec::new(),
            _ => Handover::between(workers)?,
        }
        .into_iter();
        let (mut loops, mut ways) = (Vec::new(), Vec::new());
        for ((engine, ports), core) in engines.into_iter().zip(ports).zip(cores) {
            let (errands, basket) = Errands::new()?;
            let mut packet_loop = PacketLoop::new(engine, clock, ports, records.another()?, basket);
            if let Some(handover) = handovers.next() {
                packet_loop.join(handover);
            }
            if let Some(core) = core {
                packet_loop.keep_to(core);
            }
            loops.push(packet_loop);
            ways.push(errands);
        }
        let first = ways.remove(0);
        Ok((Self { loops }, Workforce::new(first, ways)))
    }

    /// Has all that happens written down by the event log.
    pub(super) fn log(&mut self, listener: &Listener) {
        for packet_loop in &mut self.loops {
            packet_loop.log(listener.clone());
        }
    }

    /// They go on without a device that is gone, and report that.
    pub(super) fn report_losses(&mut self, to: &LossReports) {
        for packet_loop in &mut self.loops {
            packet_loop.report_losses(to.clone());
        }
    }

    /// Starts them, each in a thread.
    ///
    /// # Errors
    /// The kernel gives no thread; those that have one are told to stop.
    pub(super) fn start(self, sandbox: Sandbox) -> Result<Running, GatewayError> {
        let stop = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|errno| GatewayError::process("make an eventfd")(errno.into()))?;
        let mut running = Running {
            threads: Vec::new(),
            stop: Arc::new(stop),
            done: Arc::new(Notify::new()),
        };
        let is_alone = self.loops.len() == 1;
        for (place, packet_loop) in self.loops.into_iter().enumerate() {
            let name = match is_alone {
                true => "packet-loop".to_owned(),
                false => format!("packet-loop-{}", place + 1),
            };
            if let Err(error) = running.start(name, packet_loop, sandbox) {
                let _ = running.stop();
                return Err(error);
            }
        }
        Ok(running)
    }
}

type Ended = (Summary, Engine, Result<(), GatewayError>);

/// The packet loops in their threads.
pub(super) struct Running {
    threads: Vec<JoinHandle<Ended>>,
    /// Readable for all of them once they are to end.
    stop: Arc<OwnedFd>,
    /// Told when a thread is done, in whichever way.
    done: Arc<Notify>,
}

/// Tells when it goes, also by a panic.
struct TellsWhenDone(Arc<Notify>);

impl Drop for TellsWhenDone {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl Running {
    fn start<F: AsFd + From<OwnedFd> + Send + 'static>(
        &mut self,
        name: String,
        packet_loop: PacketLoop<F>,
        sandbox: Sandbox,
    ) -> Result<(), GatewayError> {
        let (stop, done) = (Arc::clone(&self.stop), Arc::clone(&self.done));
        let thread = thread::Builder::new()
            .name(name)
            .spawn(move || {
                let _tells = TellsWhenDone(done);
                packet_loop.run(&*stop, || sandbox.confine_worker())
            })
            .map_err(GatewayError::process("start the packet loop"))?;
        self.threads.push(thread);
        Ok(())
    }

    /// Waits until one of them has ended by itself.
    pub(super) async fn ended(&self) {
        self.done.notified().await;
    }

    /// Ends all that have not ended yet, and tells what they counted; with the engines of
    /// those that can give them back.
    ///
    /// # Errors
    /// Why the first of them has ended that was not told to.
    pub(super) fn stop(self) -> (Result<Summary, GatewayError>, Vec<Engine>) {
        let told = rustix::io::write(&*self.stop, &1_u64.to_ne_bytes());
        if let Err(errno) = told {
            let error = GatewayError::process("stop the packet loop")(errno.into());
            return (Err(error), Vec::new());
        }
        let (mut sum, mut came): (Option<Summary>, _) = (None, Ok(()));
        let mut engines = Vec::new();
        for thread in self.threads {
            let ended = match thread.join() {
                Ok((summary, engine, ended)) => {
                    match &mut sum {
                        Some(sum) => sum.add(&summary),
                        None => sum = Some(summary),
                    }
                    engines.push(engine);
                    ended
                }
                Err(_) => Err(GatewayError::LoopPanicked),
            };
            came = came.and(ended);
        }
        if let Some(sum) = &sum {
            sum.log();
        }
        (came.and(sum.ok_or(GatewayError::LoopPanicked)), engines)
    }
}

#[cfg(test)]
mod tests;
