//! The hand-over: packets that another worker has to judge, on their way to it.
//!
//! Owns an inbox for each worker, which loses and counts what does not fit, and the way back
//! of the buffers: a packet changes hands with the buffer that it was read to, and its sender
//! gets another one for it. So nobody allocates once there are as many as are on their way, and
//! there are never more than [`MOST_LENT`] for each worker. No lock: the queues are arrays
//! with two counters.
//!
//! Order is kept from each worker to each other. A worker that sleeps is woken once for a burst:
//!
//! ```text
//! sender    push ... push, fence, was it asleep? then ring its bell
//! receiver  asleep, fence, is there something? else poll(bell, devices ...), awake, take all
//! ```

use std::mem;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use crossbeam_queue::ArrayQueue;
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{read, write};
use serde::Serialize;

use super::GatewayError;
use super::offload::Offload;
use crate::engine::{Handed, Waiting};
use crate::net::{WorkerId, Workers};

/// How many packets may wait at a worker.
pub(super) const INBOX: usize = 512;
/// How many buffers a worker has on their way to others at most.
pub(super) const MOST_LENT: usize = INBOX;

/// What was counted of the hand-over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct HandoverCounters {
    /// Packets that were handed over to other workers.
    pub handed_over: u64,
    /// Packets that were taken over from other workers.
    pub taken_over: u64,
    /// Packets that found the other worker's inbox full.
    pub lost: u64,
}

impl HandoverCounters {
    /// Adds what another worker has counted.
    pub(super) fn add(&mut self, other: Self) {
        self.handed_over += other.handed_over;
        self.taken_over += other.taken_over;
        self.lost += other.lost;
    }
}

/// A packet on its way from one worker to another.
struct Parcel {
    waiting: Waiting,
    offload: Offload,
    from: WorkerId,
}

/// What the others see of a worker.
struct Inbox {
    parcels: ArrayQueue<Parcel>,
    /// Buffers for those that it has given away.
    returned: ArrayQueue<Vec<u8>>,
    /// It looks into its inbox when its bell rings, and not before.
    is_asleep: AtomicBool,
    bell: Arc<OwnedFd>,
}

/// One worker's end of it.
pub(super) struct Handover {
    own: Arc<Inbox>,
    worker: WorkerId,
    inboxes: Arc<[Arc<Inbox>]>,
    /// How many buffers it has made for those that it has given away.
    made: usize,
    /// One that was not needed after all.
    kept: Option<Vec<u8>>,
    /// Whom something was given since they were looked after last, a bit each.
    given: u64,
    counters: HandoverCounters,
}

impl Handover {
    /// The ends of all workers, in their order.
    ///
    /// # Errors
    /// The kernel gives no eventfd.
    pub(super) fn between(workers: Workers) -> Result<Vec<Self>, GatewayError> {
        let inboxes = workers.all().map(|_| Inbox::new().map(Arc::new));
        let inboxes: Arc<[Arc<Inbox>]> = inboxes.collect::<Result<_, _>>()?;
        let ends = workers.all().zip(inboxes.iter());
        let ends = ends.map(|(worker, own)| Self {
            own: Arc::clone(own),
            worker,
            inboxes: Arc::clone(&inboxes),
            made: 0,
            kept: None,
            given: 0,
            counters: HandoverCounters::default(),
        });
        Ok(ends.collect())
    }

    /// Hands a packet over, if there is room; another buffer is in its place then. Whoever
    /// gets it hears of it [afterwards](Self::ring).
    pub(super) fn give(&mut self, to: WorkerId, waiting: &mut Waiting, offload: &Offload) {
        let (Some(inbox), Some(frame)) = (
            self.inboxes.get(usize::from(to.0)).map(Arc::clone),
            self.buffer(),
        ) else {
            self.counters.lost += 1;
            return;
        };
        let empty = Waiting {
            at: waiting.at,
            arrival: waiting.arrival,
            frame,
            headroom: 0,
            handed: Handed::NOT,
        };
        let parcel = Parcel {
            waiting: mem::replace(waiting, empty),
            offload: *offload,
            from: self.worker,
        };
        match inbox.parcels.push(parcel) {
            Ok(()) => {
                self.counters.handed_over += 1;
                // There are 64 workers at most.
                self.given |= 1 << (to.0 % Workers::MOST);
            }
            Err(parcel) => {
                self.counters.lost += 1;
                self.kept = Some(mem::replace(waiting, parcel.waiting).frame);
            }
        }
    }

    /// A buffer in place of one that is given away; `None`: as many as may be are on their
    /// way.
    fn buffer(&mut self) -> Option<Vec<u8>> {
        let known = self.kept.take().or_else(|| self.own.returned.pop());
        if known.is_none() && self.made < MOST_LENT {
            self.made += 1;
            return Some(Vec::new());
        }
        known
    }

    /// Wakes those that something was given, and that sleep.
    pub(super) fn ring(&mut self) {
        if self.given == 0 {
            return;
        }
        // What was given has to be seen by whoever goes to sleep now, or that it sleeps here.
        fence(Ordering::SeqCst);
        while self.given != 0 {
            let next = self.given.trailing_zeros() as usize;
            self.given &= self.given - 1;
            if let Some(inbox) = self.inboxes.get(next)
                && inbox.is_asleep.load(Ordering::Relaxed)
                && inbox.is_asleep.swap(false, Ordering::Relaxed)
            {
                // A bell that rings already, rings.
                let _ = write(&*inbox.bell, &1_u64.to_ne_bytes());
            }
        }
    }

    /// Takes over the packet that waits longest; the buffer that was in its place goes to its
    /// sender. Whether there was one.
    pub(super) fn take(&mut self, waiting: &mut Waiting, offload: &mut Offload) -> bool {
        let Some(parcel) = self.own.parcels.pop() else {
            return false;
        };
        let before = mem::replace(waiting, parcel.waiting);
        *offload = parcel.offload;
        if let Some(sender) = self.inboxes.get(usize::from(parcel.from.0)) {
            // There is room for all that it has lent.
            let _ = sender.returned.push(before.frame);
        }
        self.counters.taken_over += 1;
        true
    }

    /// Whether nothing waits. From here on the bell rings for what comes.
    pub(super) fn may_sleep(&self) -> bool {
        self.own.is_asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        self.own.parcels.is_empty()
    }

    /// It sleeps no more: the bell is quiet.
    pub(super) fn wake(&self) {
        self.own.is_asleep.store(false, Ordering::Relaxed);
    }

    /// Quietens the bell.
    pub(super) fn hush(&self) {
        let mut rings = [0; 8];
        let _ = read(&*self.own.bell, &mut rings);
    }

    /// Readable when it rings.
    pub(super) fn bell(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.own.bell)
    }

    /// How many packets wait.
    pub(super) fn waiting(&self) -> usize {
        self.own.parcels.len()
    }

    /// What was counted.
    pub(super) fn counters(&self) -> HandoverCounters {
        self.counters
    }
}

impl Inbox {
    fn new() -> Result<Self, GatewayError> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|errno| GatewayError::process("make an eventfd")(errno.into()))?;
        Ok(Self {
            parcels: ArrayQueue::new(INBOX),
            returned: ArrayQueue::new(MOST_LENT),
            is_asleep: AtomicBool::new(false),
            bell: Arc::new(bell),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;
    use crate::engine::Arrival;
    use crate::net::{Timestamp, ZoneId};

    fn ends<const N: usize>() -> [Handover; N] {
        let workers = Workers::new(u8::try_from(N).unwrap()).unwrap();
        let ends: Result<[Handover; N], _> = Handover::between(workers).unwrap().try_into();
        ends.unwrap_or_else(|_| panic!("there are {N}"))
    }

    fn packet(frame: &[u8]) -> Waiting {
        Waiting {
            at: Timestamp::EPOCH,
            arrival: Arrival::whole(ZoneId(1)),
            frame: frame.to_vec(),
            headroom: 0,
            handed: Handed::NOT,
        }
    }

    fn take(end: &mut Handover) -> Option<Vec<u8>> {
        let (mut waiting, mut offload) = (packet(&[]), Offload::NONE);
        end.take(&mut waiting, &mut offload)
            .then_some(waiting.frame)
    }

    fn rings(end: &Handover) -> bool {
        let bell = end.bell();
        let mut waiting = [PollFd::new(&*bell, PollFlags::IN)];
        poll(&mut waiting, Some(&Timespec::default())).unwrap() == 1
    }

    #[test]
    fn packets_change_hands_in_order_with_all_that_is_known_of_them() {
        let [mut one, mut two] = ends();
        let offload = Offload::of(&[1; 40]).unwrap();
        let mut waiting = packet(b"first");
        one.give(WorkerId(1), &mut waiting, &offload);
        assert!(waiting.frame.is_empty(), "another buffer is in its place");
        one.give(WorkerId(1), &mut packet(b"second"), &Offload::NONE);
        let (mut taken, mut said) = (packet(b"before"), Offload::NONE);
        assert!(two.take(&mut taken, &mut said));
        assert_eq!((taken.frame.as_slice(), said), (&b"first"[..], offload));
        assert_eq!(taken.arrival, Arrival::whole(ZoneId(1)));
        assert_eq!(take(&mut two).unwrap(), b"second");
        assert_eq!(take(&mut two), None);
        assert_eq!(one.counters().handed_over, 2);
        assert_eq!(two.counters().taken_over, 2);
    }

    #[test]
    fn a_full_inbox_loses_counts_and_keeps_the_packet_where_it_was() {
        let [mut one, mut two] = ends();
        for _ in 0..INBOX {
            one.give(WorkerId(1), &mut packet(b"x"), &Offload::NONE);
        }
        let mut last = packet(b"last");
        one.give(WorkerId(1), &mut last, &Offload::NONE);
        assert_eq!(last.frame, b"last");
        one.give(WorkerId(9), &mut last, &Offload::NONE);
        assert_eq!(one.counters().lost, 2);
        assert_eq!(two.waiting(), INBOX);
        assert!(take(&mut two).is_some());
        one.give(WorkerId(1), &mut last, &Offload::NONE);
        assert_eq!(one.counters().handed_over, INBOX as u64 + 1);
    }

    #[test]
    fn buffers_come_back_and_there_are_never_more_than_may_be() {
        let [mut one, mut two, mut three] = ends();
        let mut slot = packet(b"x");
        slot.frame.reserve(70_000);
        let (mut other, mut offload) = (packet(b""), Offload::NONE);
        other.frame.reserve(70_000);
        for _ in 0..10_000 {
            one.give(WorkerId(1), &mut slot, &Offload::NONE);
            assert!(two.take(&mut other, &mut offload));
        }
        assert_eq!(one.made, 1, "one is on its way at a time");
        let has_room = |frame: &Vec<u8>| frame.capacity() >= 70_000;
        assert!(has_room(&slot.frame) || has_room(&other.frame));
        // Those that nobody takes are all that it has.
        for _ in 0..2 * MOST_LENT {
            one.give(WorkerId(2), &mut packet(b"x"), &Offload::NONE);
        }
        assert_eq!(one.made, MOST_LENT);
        while take(&mut three).is_some() {}
        one.give(WorkerId(1), &mut slot, &Offload::NONE);
        assert_eq!((one.made, two.waiting()), (MOST_LENT, 1));
    }

    #[test]
    fn a_bell_rings_once_for_a_burst_and_for_those_who_sleep_only() {
        let [mut one, two] = ends();
        one.give(WorkerId(1), &mut packet(b"x"), &Offload::NONE);
        one.ring();
        assert!(!rings(&two), "it is awake");
        assert!(!two.may_sleep(), "something waits");
        one.give(WorkerId(1), &mut packet(b"x"), &Offload::NONE);
        assert!(!rings(&two), "the burst is not over");
        one.ring();
        assert!(rings(&two));
        two.wake();
        two.hush();
        assert!(!rings(&two));
        one.ring();
        assert!(!rings(&two), "nothing was given");
    }

    #[test]
    fn nobody_sleeps_over_a_packet() {
        const PACKETS: u32 = 200_000;
        let [mut one, mut two, mut three] = ends();
        let send = |mut end: Handover, mark: u8| {
            thread::spawn(move || {
                let mut slot = packet(b"");
                let mut sent = 0;
                while sent < PACKETS {
                    slot.frame.clear();
                    slot.frame.push(mark);
                    slot.frame.extend(sent.to_ne_bytes());
                    let before = end.counters().handed_over;
                    end.give(WorkerId(0), &mut slot, &Offload::NONE);
                    end.ring();
                    match end.counters().handed_over > before {
                        true => sent += 1,
                        false => thread::yield_now(),
                    }
                }
                end
            })
        };
        two.given = 0;
        three.given = 0;
        let senders = [send(two, 0), send(three, 1)];
        let mut next = [0_u32; 2];
        let bell = one.bell();
        while next != [PACKETS; 2] {
            if one.may_sleep() {
                let mut waiting = [PollFd::new(&*bell, PollFlags::IN)];
                let patience = Timespec {
                    tv_sec: 5,
                    tv_nsec: 0,
                };
                let woken = poll(&mut waiting, Some(&patience)).unwrap();
                assert_eq!(woken, 1, "a bell did not ring at {next:?}");
                one.hush();
            }
            one.wake();
            while let Some(frame) = take(&mut one) {
                let (mark, number) = frame.split_first().unwrap();
                let expected = &mut next[usize::from(*mark)];
                assert_eq!(*number, expected.to_ne_bytes());
                *expected += 1;
            }
        }
        for sender in senders {
            assert!(sender.join().unwrap().made <= MOST_LENT);
        }
    }
}
