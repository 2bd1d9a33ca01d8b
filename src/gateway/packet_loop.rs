//! The packet loop: one thread that reads packets, asks the engine, and writes
//! what comes of it.
//!
//! Owns the engine, the devices and the counters while it runs, and gives the
//! counters back at the end. Refuses to judge packets (the engine's), to wait
//! for anything but packets, deadlines, errands and the stop signal, and to let a device
//! that errs stop the traffic of the others. One that is gone it reports, and does without until
//! an errand brings it again; where nobody is reported to, it ends.
//!
//! Packets of a device are read until it has no more, worked on together and
//! written: one read and one write for each, one look at the clock for all; no
//! allocation, no lock, no log line. Super-segments cross as one packet.
//!
//! Where several loops share the devices, a queue of each device is this one's. What another
//! has to judge goes to it by the [hand-over](super::handover), and what others have handed
//! over comes before what is read.

use std::io::IoSlice;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read, write, writev};
use tracing::debug;

use super::GatewayError;
use super::clock::Clock;
use super::counters::{DeviceCounters, Summary};
use super::devices::{Loss, LossReports, Returned};
use super::errands::{Basket, Inside};
use super::events::Listener;
use super::handover::{Handover, INBOX};
use super::merging;
use super::offload::{self, Offload};
use super::pinning::Core;
use super::port::{Egress, Port};
use super::records::Records;
use super::tap::Taps;
use crate::engine::{
    Arrival, Engine, Handed, Judgement, Made, Output, Policy, Reason, Silent, Verdict, Waiting,
};
use crate::net::{Timestamp, WorkerId, ZoneId};

/// The largest packet that IP can describe, what stands before it, and one byte more.
const LARGEST_READ: usize = offload::LENGTH + 64 * 1024;
/// How many packets of one device are handled before the next device's turn:
/// enough to spare system calls and to wait for memory together, few enough that no
/// device waits for long.
const BURST: usize = 64;
/// How many bursts that were handed over come before the devices' turn: more than an inbox
/// holds are others'.
const BURSTS_HANDED: usize = INBOX / BURST;
/// How many octets are: what the processor keeps near.
const MOST_OCTETS: usize = 256 * 1024;

/// The engine with its devices.
pub(super) struct PacketLoop<F> {
    ports: Vec<Port<F>>,
    forwarder: Forwarder,
    basket: Basket,
    /// `None`: nobody is told of a device that is gone.
    losses: Option<LossReports>,
}

/// All but the devices, so that these can be borrowed while it works.
struct Forwarder {
    engine: Engine,
    clock: Clock,
    /// Where packets are read to, and worked on.
    batch: Box<[Waiting]>,
    /// What the kernel said of each.
    offloads: Box<[Offload]>,
    out: Output,
    /// Who listens.
    taps: Taps,
    ways: Ways,
    core: Option<Core>,
    /// What an errand has brought, until it is taken up.
    returned: Vec<Returned>,
}

/// What is needed to let go of what the engine gives.
struct Ways {
    policy: Arc<Policy>,
    egress: Egress,
    counters: DeviceCounters,
    records: Records,
    /// `None`: there is no other worker.
    handover: Option<Handover>,
}

impl<F: AsFd + From<OwnedFd>> PacketLoop<F> {
    /// A loop that passes packets between `ports` as `engine` says. `clock` is
    /// the one that the engine was started by.
    pub(super) fn new(
        engine: Engine,
        clock: Clock,
        ports: Vec<Port<F>>,
        records: Records,
        basket: Basket,
    ) -> Self {
        let policy = Arc::clone(engine.policy());
        let waiting = Waiting {
            at: clock.now(),
            arrival: Arrival::whole(ZoneId(0)),
            frame: Vec::new(),
            headroom: 0,
            handed: Handed::NOT,
        };
        Self {
            forwarder: Forwarder {
                engine,
                clock,
                batch: vec![waiting; BURST].into_boxed_slice(),
                offloads: vec![Offload::NONE; BURST].into_boxed_slice(),
                out: Output::default(),
                taps: Taps::default(),
                ways: Ways {
                    egress: Egress::of(&ports, &policy.zones),
                    policy,
                    counters: DeviceCounters::default(),
                    records,
                    handover: None,
                },
                core: None,
                returned: Vec::new(),
            },
            ports,
            basket,
            losses: None,
        }
    }

    /// It is one of several, with this end of the hand-over.
    pub(super) fn join(&mut self, handover: Handover) {
        self.forwarder.ways.handover = Some(handover);
    }

    /// It runs on this core and no other.
    pub(super) fn keep_to(&mut self, core: Core) {
        self.forwarder.core = Some(core);
    }

    /// It goes on without a device that is gone, and reports that.
    pub(super) fn report_losses(&mut self, to: LossReports) {
        self.losses = Some(to);
    }

    /// Has all that happens written down by the event log.
    pub(super) fn log(&mut self, listener: Listener) {
        self.forwarder.taps.log(listener);
    }

    /// Works until `stop` becomes readable; `first` is done before anything else, in
    /// the same thread.
    ///
    /// # Errors
    /// A device is gone and nobody is told, or the kernel refuses to wait. The counters
    /// are complete in either case, and the engine is given back.
    pub(super) fn run(
        mut self,
        stop: impl AsFd,
        first: impl FnOnce() -> Result<(), GatewayError>,
    ) -> (Summary, Engine, Result<(), GatewayError>) {
        let ended = self
            .forwarder
            .keep_to_core()
            .and_then(|()| first())
            .and_then(|()| self.work(&stop));
        let Forwarder { engine, ways, .. } = &self.forwarder;
        let summary = Summary {
            devices: ways.counters,
            handovers: ways.handover.as_ref().map(Handover::counters),
            engine: engine.counters().clone(),
        };
        (summary, self.forwarder.engine, ended)
    }
    fn work(&mut self, stop: impl AsFd) -> Result<(), GatewayError> {
        loop {
            match forward(&mut self.forwarder, &self.ports, &self.basket, &stop)? {
                Pause::Stop => return Ok(()),
                Pause::Devices(gone) => {
                    for place in gone {
                        self.lose(place)?;
                    }
                    self.take_up();
                }
            }
        }
    }

    /// Does without a device, and reports that.
    fn lose(&mut self, place: usize) -> Result<(), GatewayError> {
        let Some(port) = self.ports.get_mut(place) else {
            return Ok(());
        };
        port.fd = None;
        let loss = Loss {
            place,
            generation: port.generation,
        };
        let told = self.losses.as_ref().map(|losses| losses.send(loss));
        match told {
            Some(Ok(())) => Ok(()),
            Some(Err(_)) | None => Err(gone(port)),
        }
    }

    /// Reads from now on from the devices that errands have brought.
    fn take_up(&mut self) {
        for returned in self.forwarder.returned.drain(..) {
            if let Some(port) = self.ports.get_mut(returned.place) {
                port.fd = Some(returned.queue.into());
                port.generation = returned.generation;
            }
        }
    }
}

/// Why no packet is read for a moment.
enum Pause {
    /// It is told to stop.
    Stop,
    /// Devices have come, or those at these places are gone.
    Devices(Vec<usize>),
}

/// Passes packets until it is told to stop, or devices come and go.
fn forward<F: AsFd>(
    forwarder: &mut Forwarder,
    ports: &[Port<F>],
    basket: &Basket,
    stop: impl AsFd,
) -> Result<Pause, GatewayError> {
    let bell = forwarder.ways.handover.as_ref().map(Handover::bell);
    let present = || ports.iter().enumerate();
    let present = || present().filter_map(|(place, port)| Some((place, port, port.fd.as_ref()?)));
    let mut waiting = vec![
        PollFd::new(&stop, PollFlags::IN),
        PollFd::new(basket, PollFlags::IN),
    ];
    waiting.extend(present().map(|(.., fd)| PollFd::new(fd, PollFlags::IN)));
    waiting.extend(bell.iter().map(|bell| PollFd::new(bell, PollFlags::IN)));
    let mut gone = Vec::new();
    loop {
        match poll(&mut waiting, forwarder.patience().as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(cause) => return Err(GatewayError::process("wait for packets")(cause.into())),
        }
        let mut seen = waiting.iter().map(PollFd::revents);
        let told_to_stop = seen.next().is_some_and(|stop| !stop.is_empty());
        let is_asked = seen.next().is_some_and(|bell| !bell.is_empty());
        // What others have handed over was there before.
        forwarder.take_over(ports);
        for ((place, port, fd), seen) in present().zip(&mut seen) {
            let device = match seen {
                seen if seen.contains(PollFlags::IN) => forwarder.take_from((port, fd), ports),
                seen if seen.is_empty() => Device::Stays,
                _ => Device::IsGone,
            };
            if let Device::IsGone = device {
                gone.push(place);
            }
        }
        if seen.next().is_some_and(|bell| !bell.is_empty()) {
            forwarder.hush();
        }
        forwarder.expire(ports);
        if is_asked {
            forwarder.run_errands(basket, ports);
        }
        forwarder.ways.records.flush();
        // What lay in the devices by then was still handled, a burst of each.
        if told_to_stop {
            return Ok(Pause::Stop);
        }
        if !gone.is_empty() || !forwarder.returned.is_empty() {
            return Ok(Pause::Devices(gone));
        }
    }
}

impl Forwarder {
    fn keep_to_core(&self) -> Result<(), GatewayError> {
        match self.core {
            Some(core) => core
                .keep_to()
                .map_err(GatewayError::process("keep a packet loop on its core")),
            None => Ok(()),
        }
    }

    /// How long there is nothing to do but to wait for packets; `None`: for ever.
    fn patience(&self) -> Option<Timespec> {
        if let Some(handover) = &self.ways.handover
            && !handover.may_sleep()
        {
            return Some(Timespec::default());
        }
        let deadline = self.engine.next_deadline()?;
        let patience = deadline.since(self.clock.now());
        Some(Timespec::try_from(patience).unwrap_or(Timespec {
            tv_sec: i64::from(u32::MAX),
            tv_nsec: 0,
        }))
    }

    /// Handles what others have handed over.
    fn take_over<F: AsFd>(&mut self, ports: &[Port<F>]) {
        let Some(handover) = &self.ways.handover else {
            return;
        };
        handover.wake();
        for _ in 0..BURSTS_HANDED {
            let packets = self.read_from_others();
            if packets > 0 {
                self.work_on(packets, ports);
            }
            if packets < BURST {
                return;
            }
        }
    }

    /// Takes over packets until there is none, or the burst is full; says how many.
    fn read_from_others(&mut self) -> usize {
        let Some(handover) = &mut self.ways.handover else {
            return 0;
        };
        let mut places = self.batch.iter_mut().zip(&mut self.offloads);
        // The first that there is no packet for is left as it was.
        places
            .position(|(waiting, offload)| !handover.take(waiting, offload))
            .unwrap_or(BURST)
    }

    /// The bell has been heard.
    fn hush(&self) {
        if let Some(handover) = &self.ways.handover {
            handover.hush();
        }
    }

    /// Handles what waits at `port`, a burst at most.
    fn take_from<F: AsFd>(&mut self, from: (&Port<F>, &F), ports: &[Port<F>]) -> Device {
        let read = self.read_from(from);
        let packets = self.put_together(read.packets);
        self.work_on(packets, ports);
        read.device
    }

    /// Makes one super-segment of segments that go on from each other; says how many packets
    /// are left.
    fn put_together(&mut self, packets: usize) -> usize {
        let read = self
            .batch
            .get_mut(..packets)
            .zip(self.offloads.get_mut(..packets));
        read.map_or(0, |(batch, offloads)| merging::merge(batch, offloads))
    }

    /// Has the engine judge the first packets of the batch, and does what it says.
    fn work_on<F: AsFd>(&mut self, packets: usize, ports: &[Port<F>]) {
        let now = self.clock.now();
        let batch = self.batch.get_mut(..packets).unwrap_or_default();
        for waiting in &mut *batch {
            waiting.at = now;
        }
        let Self {
            engine,
            out,
            taps,
            ways,
            offloads,
            ..
        } = self;
        let mut offloads = offloads.iter();
        let done = |waiting: &mut Waiting, judgement: &Judgement, out: &mut Output| {
            let offload = offloads.next().unwrap_or(&Offload::NONE);
            ways.pass_on((waiting, offload), judgement, out, ports);
            ways.deliver(now, out, ports);
        };
        match &mut taps.0 {
            None => engine.packets(batch, out, &mut Silent, done),
            Some(tap) => tap.packets(engine, batch, out, done),
        }
        if let Some(handover) = &mut self.ways.handover {
            handover.ring();
        }
    }

    /// Reads packets until there is none, or the burst is full.
    fn read_from<F: AsFd>(&mut self, (port, fd): (&Port<F>, &F)) -> Read {
        let counters = &mut self.ways.counters;
        let (mut packets, mut octets) = (0, 0);
        while let Some(waiting) = self.batch.get_mut(packets)
            && octets < MOST_OCTETS
        {
            waiting.frame.clear();
            waiting.frame.reserve(LARGEST_READ);
            match read(fd, spare_capacity(&mut waiting.frame)) {
                Ok(_) => {}
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => continue,
                Err(Errno::BADFD | Errno::FAULT | Errno::NODEV) => {
                    return Read {
                        packets,
                        device: Device::IsGone,
                    };
                }
                Err(_) => {
                    counters.read_errors += 1;
                    break;
                }
            }
            counters.received += 1;
            octets += waiting.frame.len();
            let Some(offload) = Offload::of(&waiting.frame) else {
                counters.read_errors += 1;
                continue;
            };
            waiting.headroom = offload::LENGTH;
            match port.ingress(&self.ways.policy.zones, waiting.packet()) {
                Some(zone) => {
                    waiting.arrival = offload.arrival(zone);
                    waiting.handed = Handed::NOT;
                    if let Some(place) = self.offloads.get_mut(packets) {
                        *place = offload;
                    }
                    packets += 1;
                }
                None => {
                    self.engine.turn_away(Reason::NoZone);
                    self.taps.turned_away(Reason::NoZone);
                }
            }
        }
        Read {
            packets,
            device: Device::Stays,
        }
    }

    /// Does what others want.
    fn run_errands<F: AsFd>(&mut self, basket: &Basket, ports: &[Port<F>]) {
        let now = self.clock.now();
        basket.work_off(&mut Inside {
            engine: &mut self.engine,
            counters: &self.ways.counters,
            now,
            out: &mut self.out,
            taps: &mut self.taps,
            handover: self.ways.handover.as_ref(),
            core: self.core,
            returned: &mut self.returned,
        });
        self.ways.guard_by(self.engine.policy(), ports);
        self.ways.deliver(now, &self.out, ports);
        self.taps.tell(&self.out.events, &self.engine);
        self.out.clear();
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
            self.ways.deliver(now, &self.out, ports);
            self.taps.tell(&self.out.events, &self.engine);
            self.out.clear();
        }
    }
}

/// What a device gave.
struct Read {
    /// How many packets are in the batch.
    packets: usize,
    device: Device,
}

/// Whether a device is still there.
enum Device {
    Stays,
    IsGone,
}

impl Ways {
    /// Lets go of what the engine gives by the policy that it has by now.
    fn guard_by<F>(&mut self, policy: &Arc<Policy>, ports: &[Port<F>]) {
        if !Arc::ptr_eq(policy, &self.policy) {
            self.egress = Egress::of(ports, &policy.zones);
            self.policy = Arc::clone(policy);
        }
    }

    /// Sends a packet on, or hands it over, if that is what was judged.
    fn pass_on<F: AsFd>(
        &mut self,
        (waiting, offload): (&mut Waiting, &Offload),
        judgement: &Judgement,
        out: &Output,
        ports: &[Port<F>],
    ) {
        match judgement.verdict {
            Verdict::Forward(zone) => self.forward(zone, (waiting, offload), out, ports),
            Verdict::Elsewhere(worker) => self.hand_over(worker, waiting, offload),
            Verdict::Drop | Verdict::Reject | Verdict::Answer | Verdict::Hold => {}
        }
    }

    /// Sends a packet, and the pieces that follow it.
    fn forward<F: AsFd>(
        &mut self,
        zone: ZoneId,
        (waiting, offload): (&mut Waiting, &Offload),
        out: &Output,
        ports: &[Port<F>],
    ) {
        let said = offload.leaving(waiting.packet(), out.checksum);
        match waiting.frame.split_first_chunk_mut::<{ offload::LENGTH }>() {
            // It stands where it is to stand.
            Some((before, _)) if waiting.headroom == offload::LENGTH => {
                *before = said;
                self.send(ports, zone, [&waiting.frame, &[]]);
            }
            _ => self.send(ports, zone, [&said, waiting.packet()]),
        }
        for piece in &out.more {
            self.send(ports, zone, [&offload::NOTHING, piece]);
        }
    }

    /// Gives another worker what it has to judge.
    #[cold]
    #[inline(never)]
    fn hand_over(&mut self, worker: WorkerId, waiting: &mut Waiting, offload: &Offload) {
        debug_assert!(self.handover.is_some(), "{worker} is nobody");
        if let Some(handover) = &mut self.handover {
            handover.give(worker, waiting, offload);
        }
    }

    /// Sends what the engine made, and tells of its events.
    fn deliver<F: AsFd>(&mut self, now: Timestamp, out: &Output, ports: &[Port<F>]) {
        for Made { zone, bytes } in &out.made {
            self.counters.made += 1;
            self.send(ports, *zone, [&offload::NOTHING, bytes]);
        }
        for event in &out.events {
            debug!(%now, ?event, "session");
            self.records.event(event, &self.policy);
        }
    }

    /// Writes a packet, behind what is said of it, to the device of `zone`. A refusal is
    /// counted: the packet is lost, as on any wire.
    fn send<F: AsFd>(&mut self, ports: &[Port<F>], zone: ZoneId, parts: [&[u8]; 2]) {
        let port = self.egress.port(zone).and_then(|place| ports.get(place));
        let Some(fd) = port.and_then(|port| port.fd.as_ref()) else {
            self.counters.no_device += 1;
            return;
        };
        let length = parts.iter().map(|part| part.len()).sum();
        let written = rustix::io::retry_on_intr(|| match parts {
            [all, []] => write(fd, all),
            [said, packet] => writev(fd, &[IoSlice::new(said), IoSlice::new(packet)]),
        });
        if written == Ok(length) {
            self.counters.sent += 1;
        } else {
            self.counters.write_errors += 1;
        }
    }
}

fn gone<F>(port: &Port<F>) -> GatewayError {
    GatewayError::DeviceGone {
        name: port.name.clone(),
    }
}

#[cfg(test)]
mod tests;
