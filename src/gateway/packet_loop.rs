//! The packet loop: one thread that reads packets, asks the engine, and writes
//! what comes of it.
//!
//! Owns the engine, the devices and the counters while it runs, and gives the
//! counters back at the end. Refuses to judge packets (the engine's), to wait
//! for anything but packets, deadlines and the stop signal, and to let a device
//! that errs stop the traffic of the others. Only a device that is gone ends it.
//!
//! Per packet there is one read, one write, one look at the clock; no
//! allocation, no lock, no log line.

use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read, write};
use tracing::debug;

use super::GatewayError;
use super::clock::Clock;
use super::counters::{DeviceCounters, Summary};
use super::port::{Egress, Port};
use super::records::Records;
use crate::engine::{Arrival, Engine, Made, Output, Reason, Silent, Verdict};
use crate::net::{Timestamp, ZoneId};

/// The largest packet that IP can describe, and one byte more.
const LARGEST_PACKET: usize = 64 * 1024;
/// How many packets of one device are handled before the next device's turn:
/// enough to spare system calls, few enough that no device waits for long.
const BURST: usize = 64;

/// The engine with its devices.
pub(super) struct PacketLoop<F> {
    ports: Vec<Port<F>>,
    forwarder: Forwarder,
}

/// All but the devices, so that these can be borrowed while it works.
struct Forwarder {
    engine: Engine,
    clock: Clock,
    egress: Egress,
    counters: DeviceCounters,
    /// Where packets are read to.
    buffer: Box<[u8]>,
    /// The packet that the engine works on.
    frame: Vec<u8>,
    out: Output,
    records: Records,
}

impl<F: AsFd> PacketLoop<F> {
    /// A loop that passes packets between `ports` as `engine` says. `clock` is
    /// the one that the engine was started by.
    pub(super) fn new(
        engine: Engine,
        clock: Clock,
        ports: Vec<Port<F>>,
        mut records: Records,
    ) -> Self {
        records.begin(clock.now());
        let egress = Egress::of(&ports, &engine.policy().zones);
        Self {
            ports,
            forwarder: Forwarder {
                engine,
                clock,
                egress,
                counters: DeviceCounters::default(),
                buffer: vec![0; LARGEST_PACKET].into_boxed_slice(),
                frame: Vec::with_capacity(LARGEST_PACKET),
                out: Output::default(),
                records,
            },
        }
    }

    /// Works until `stop` becomes readable.
    ///
    /// # Errors
    /// A device is gone, or the kernel refuses to wait. The counters are
    /// complete in either case.
    pub(super) fn run(mut self, stop: impl AsFd) -> (Summary, Result<(), GatewayError>) {
        let ended = work(&mut self.forwarder, &self.ports, stop);
        let summary = Summary {
            devices: self.forwarder.counters,
            engine: self.forwarder.engine.counters().clone(),
        };
        (summary, ended)
    }
}

fn work<F: AsFd>(
    forwarder: &mut Forwarder,
    ports: &[Port<F>],
    stop: impl AsFd,
) -> Result<(), GatewayError> {
    let mut waiting = vec![PollFd::new(&stop, PollFlags::IN)];
    waiting.extend(
        ports
            .iter()
            .map(|port| PollFd::new(&port.fd, PollFlags::IN)),
    );
    loop {
        match poll(&mut waiting, forwarder.patience().as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(cause) => return Err(GatewayError::process("wait for packets")(cause.into())),
        }
        let mut seen = waiting.iter().map(PollFd::revents);
        let told_to_stop = seen.next().is_some_and(|stop| !stop.is_empty());
        for (port, seen) in ports.iter().zip(seen) {
            if seen.contains(PollFlags::IN) {
                forwarder.take_from(port, ports)?;
            } else if !seen.is_empty() {
                return Err(gone(port));
            }
        }
        forwarder.expire(ports);
        forwarder.records.flush();
        // What lay in the devices by then was still handled, a burst of each.
        if told_to_stop {
            return Ok(());
        }
    }
}

impl Forwarder {
    /// How long there is nothing to do but to wait for packets; `None`: for ever.
    fn patience(&self) -> Option<Timespec> {
        let deadline = self.engine.next_deadline()?;
        let patience = deadline.since(self.clock.now());
        Some(Timespec::try_from(patience).unwrap_or(Timespec {
            tv_sec: i64::from(u32::MAX),
            tv_nsec: 0,
        }))
    }

    /// Handles what waits at `port`, a burst at most.
    fn take_from<F: AsFd>(
        &mut self,
        port: &Port<F>,
        ports: &[Port<F>],
    ) -> Result<(), GatewayError> {
        for _ in 0..BURST {
            let length = match read(&port.fd, &mut *self.buffer) {
                Ok(length) => length,
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => continue,
                Err(Errno::BADFD | Errno::FAULT | Errno::NODEV) => return Err(gone(port)),
                Err(_) => {
                    self.counters.read_errors += 1;
                    break;
                }
            };
            self.counters.received += 1;
            self.frame.clear();
            let packet = self.buffer.get(..length).unwrap_or_default();
            self.frame.extend_from_slice(packet);
            self.handle(port, ports);
        }
        Ok(())
    }

    /// Has the engine judge the packet in `frame`, and sends what comes of it.
    fn handle<F: AsFd>(&mut self, port: &Port<F>, ports: &[Port<F>]) {
        let Some(zone) = port.ingress(&self.engine.policy().zones, &self.frame) else {
            self.engine.turn_away(Reason::NoZone);
            return;
        };
        let arrival = Arrival::whole(zone);
        let now = self.clock.now();
        let judgement =
            self.engine
                .packet(now, arrival, &mut self.frame, &mut self.out, &mut Silent);
        if let Verdict::Forward(zone) = judgement.verdict {
            let pieces = self.out.more.iter().map(Vec::as_slice);
            for packet in std::iter::once(self.frame.as_slice()).chain(pieces) {
                send(&mut self.counters, &self.egress, ports, zone, packet);
            }
        }
        self.deliver(now, ports);
    }

    /// Does what is due, if something is.
    fn expire<F: AsFd>(&mut self, ports: &[Port<F>]) {
        let Some(deadline) = self.engine.next_deadline() else {
            return;
        };
        let now = self.clock.now();
        if deadline <= now {
            // What is left after that comes behind the packets that wait by now.
            self.engine.expire(now, &mut self.out);
            self.deliver(now, ports);
        }
    }

    /// Sends what the engine made, and tells of its events.
    fn deliver<F: AsFd>(&mut self, now: Timestamp, ports: &[Port<F>]) {
        for Made { zone, bytes } in &self.out.made {
            self.counters.made += 1;
            send(&mut self.counters, &self.egress, ports, *zone, bytes);
        }
        for event in &self.out.events {
            debug!(%now, ?event, "session");
            self.records.event(event, self.engine.policy());
        }
        self.out.clear();
    }
}

/// Writes a packet to the device of `zone`. A refusal is counted: the packet is
/// lost, as on any wire.
fn send<F: AsFd>(
    counters: &mut DeviceCounters,
    egress: &Egress,
    ports: &[Port<F>],
    zone: ZoneId,
    packet: &[u8],
) {
    let Some(port) = egress.port(zone).and_then(|place| ports.get(place)) else {
        counters.no_device += 1;
        return;
    };
    let written = rustix::io::retry_on_intr(|| write(&port.fd, packet));
    if written == Ok(packet.len()) {
        counters.sent += 1;
    } else {
        counters.write_errors += 1;
    }
}

fn gone<F>(port: &Port<F>) -> GatewayError {
    GatewayError::DeviceGone {
        name: port.name.clone(),
    }
}

#[cfg(test)]
mod tests;
