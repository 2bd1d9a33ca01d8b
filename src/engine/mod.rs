//! The engine: the path of a packet.
//!
//! ```text
//! read -> gather pieces -> track (session, expectation, or new) -> destination NAT -> route and zones -> rules
//!      -> source NAT -> ALG -> [decide ends, commit begins] -> store -> rewrite -> out
//! ```
//!
//! Sans-IO: bytes and a moment in, a verdict and bytes out. It has no clock,
//! no socket, no thread and no randomness of its own: policy, seed and the
//! list of inputs give the same bytes every time.
//!
//! *Decide, then commit*: `decide` only reads and `commit` only writes, so
//! that a session is never half made, a refused packet leaves no trace, and
//! [`Engine::explain`] is deciding alone. Two kinds of packets have ways of their own, with
//! the same answers: those of sessions in full swing (`swing`), and those that begin one as
//! most do (`begin`).

mod batch;
mod begin;
mod commit;
mod control;
mod counters;
mod crew;
mod decide;
mod desk;
mod expiry;
mod far_end;
mod fragments;
mod handed;
mod judgement;
mod mtus;
mod observer;
mod operator;
mod output;
mod overdue;
mod policy;
mod rates;
mod reason;
mod reload;
mod shortage;
mod snapshot;
mod successor;
mod swing;
mod unsolicited;
mod voice;

pub use crate::net::Rate;
pub use batch::Waiting;
pub use counters::Counters;
pub use expiry::Backlog;
pub use far_end::FarEnd;
pub use fragments::{FragmentLimits, Patience, Unfinished};
pub use handed::Handed;
pub use judgement::{CtState, Judgement, Verdict};
pub use observer::{Lease, Moved, Observer, Silent, Step, Unread};
pub use operator::{Intake, Parting};
pub use output::{Ending, Event, Made, Output};
pub use policy::{OnReload, Passage, Policy, RouteOptions};
pub use rates::{AnswerKind, AnswerRates};
pub use reason::Reason;
pub use shortage::Shortage;
pub use snapshot::{Bookmark, Gap, Meanwhile, Part, Restored, Snapshot, Unsound};
pub use successor::{Overtaken, Successor, Unfit};
pub use unsolicited::{Holding, Unanswered, UnsolicitedSyn};

use std::sync::Arc;

use self::control::Control;
use self::crew::Clients;
use self::decide::{Decision, Plan, Stopped};
use self::fragments::Fragments;
use self::mtus::Mtus;
use self::rates::Limiter;
use self::reload::Round;
use self::shortage::Alarms;
use self::successor::terms_of;
use self::swing::{Glance, Look};
use self::unsolicited::HeldSyns;
use crate::net::{Timestamp, ZoneId};
use crate::packet::{Checksum, SegmentSize};
use crate::session::{Budget, GrowingMap, Post, Session, SessionId, Sessions, TupleHash};

/// How an engine is set up besides its policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Options {
    /// Where all its random-looking choices come from.
    pub seed: u64,
    /// What it does about checksums.
    pub checksums: Checksums,
}

/// What the engine does about the checksums of arriving packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Checksums {
    /// A packet with a wrong one is dropped.
    Verify,
    /// They are not looked at; a wrong one leaves as wrong as it came.
    Ignore,
}

/// How a packet reached the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Arrival {
    /// The zone that it came by.
    pub zone: ZoneId,
    /// Whether all its bytes are there.
    pub extent: Extent,
    /// Whether the checksum of its transport is complete, or was left to the
    /// hardware.
    pub checksum: Checksum,
    /// Into how long segments the hardware is to cut it, where it is a super-segment.
    /// It crosses the engine as one packet, and leaves as one where it can.
    pub segments: Option<SegmentSize>,
}

impl Arrival {
    /// A packet whose bytes are all there, its checksums included.
    #[must_use]
    pub const fn whole(zone: ZoneId) -> Self {
        Self {
            zone,
            extent: Extent::Whole,
            checksum: Checksum::Complete,
            segments: None,
        }
    }

    /// The length of the longest packet that one of `length` octets becomes on a
    /// link, `header` of which are headers.
    #[inline]
    pub(crate) fn longest(&self, header: usize, length: usize) -> usize {
        match self.segments {
            None => length,
            Some(size) => size.longest(header, length),
        }
    }
}

/// Whether all bytes of a packet are at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Extent {
    /// All of them.
    Whole,
    /// A capture cut it; it is judged by its headers.
    Cut,
}

/// A stateful firewall, complete but for clock, devices and files.
#[derive(Debug)]
pub struct Engine {
    policy: Arc<Policy>,
    options: Options,
    hash: TupleHash,
    sessions: Sessions,
    controls: GrowingMap<SessionId, Control>,
    fragments: Fragments,
    held_syns: HeldSyns,
    limiter: Limiter,
    alarms: Alarms,
    /// When the parameters of deterministic rows are written down next.
    parameters_due: Option<Timestamp>,
    counters: Counters,
    /// What has to be done to each session since another policy took over.
    round: Option<Round>,
    /// Whether new sessions may begin.
    intake: Intake,
    /// How the packet in hand came here.
    in_hand: Handed,
    /// Which worker has what a client begins.
    clients: Clients,
    /// The latest moment that was given: time never runs backwards here.
    now: Timestamp,
    /// How long packets that take the short way may be.
    mtus: Mtus,
    /// The longest that leaves every zone as it is.
    least_mtu: u16,
    /// Before this moment nothing is due.
    quiet_until: Timestamp,
    /// What packets have yet to do of what is due.
    savings: Budget,
    /// Where a control segment's new payload is put together.
    payload: Vec<u8>,
}

impl Engine {
    /// An engine that guards by `policy` from the moment `now` on.
    #[must_use]
    pub fn new(policy: Arc<Policy>, options: Options, now: Timestamp) -> Self {
        Self::with_post(policy, options, now, None)
    }

    /// One of a crew: what is another worker's is [elsewhere](Verdict::Elsewhere). All have
    /// the same seed.
    #[must_use]
    pub fn at_post(policy: Arc<Policy>, options: Options, now: Timestamp, post: Post) -> Self {
        Self::with_post(policy, options, now, Some(post))
    }

    fn with_post(
        policy: Arc<Policy>,
        options: Options,
        now: Timestamp,
        post: Option<Post>,
    ) -> Self {
        let hash = TupleHash::from_seed(options.seed);
        let counters = Counters::new(&policy);
        let mut sessions = Sessions::with_terms(options.seed, terms_of(&policy));
        if let Some(post) = post {
            sessions.join(post);
        }
        sessions.set_lifetimes(&policy.lifetimes);
        let clients = Clients::by(&policy);
        let mtus = Mtus::of(&policy.zones);
        let tells = sessions.is_the_first_worker() && policy.nat.has_parameters();
        let parameters_due = tells.then_some(Timestamp::EPOCH);
        Self {
            policy,
            options,
            hash,
            sessions,
            controls: GrowingMap::new(hash),
            fragments: Fragments::new(hash),
            held_syns: HeldSyns::new(hash),
            limiter: Limiter::new(hash),
            alarms: Alarms::new(hash),
            parameters_due,
            counters,
            round: None,
            intake: Intake::Open,
            in_hand: Handed::NOT,
            clients,
            now,
            least_mtu: mtus.least(),
            mtus,
            quiet_until: Timestamp::EPOCH,
            savings: overdue::AT_FIRST,
            payload: Vec::new(),
        }
    }

    /// The policy in force.
    #[must_use]
    pub fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// The sessions, and the data sessions that are expected.
    #[must_use]
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// The latest moment that it was given.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// One packet, from its IP header on. A forwarded packet is rewritten in
    /// `frame`, where it leaves in pieces the first of them; the others and what the gateway itself sends and what happened to sessions
    /// goes to `out`; every step is told to `why`. What is due by `now` happens
    /// first; where that is much, what this packet meets of it, and a little more.
    pub fn packet(
        &mut self,
        now: Timestamp,
        arrival: Arrival,
        frame: &mut Vec<u8>,
        out: &mut Output,
        why: &mut impl Observer,
    ) -> Judgement {
        let now = self.time(now, out);
        let mut look = Look::NONE;
        // Whoever listens hears of all that is read.
        if !why.listens() {
            self.glance_alone(&arrival, frame, &mut look.glance);
        }
        if look.glance.hash.is_some() && self.swing((now, &arrival), frame, &mut look) {
            out.checksum = arrival.checksum;
            return look.judgement;
        }
        let mut stops = None;
        let begun = self.begin((now, &arrival), frame, &look.glance, out, &mut stops);
        if let Some(judgement) = begun {
            return judgement;
        }
        let known = look.glance.hash.is_some().then_some(&look.glance);
        self.whole_way(now, arrival, (frame, known, stops.as_ref()), out, why)
    }

    /// Time has come to `now`; a packet does its share of what is due.
    #[inline]
    fn time(&mut self, now: Timestamp, out: &mut Output) -> Timestamp {
        self.now = self.now.max(now);
        if self.is_behind() {
            self.catch_up(out);
        }
        self.now
    }

    /// The way of all packets; with what is known of this one already: what was seen at a
    /// glance, and what stops it.
    #[inline(never)]
    fn whole_way(
        &mut self,
        now: Timestamp,
        arrival: Arrival,
        (frame, known, stops): (&mut Vec<u8>, Option<&Glance>, Option<&Stopped>),
        out: &mut Output,
        why: &mut impl Observer,
    ) -> Judgement {
        self.sessions.keep_up(now);
        let mut decision = match (stops, known, self.is_behind()) {
            (Some(stops), Some(known), _) => {
                self.decide_stopped_plain(now, arrival, (frame, known), (stops, why))
            }
            (_, _, true) => self.decide_behind(now, arrival, (frame, known), out, why),
            (_, _, false) => self.decide_by_steps(now, arrival, (frame, known), why),
        };
        self.agree((now, arrival), (frame, known), &mut decision, out, why);
        self.conclude((now, arrival.zone), &mut decision, why);
        let judgement = decision.judgement;
        self.pay_for(&decision.plan);
        if !matches!(judgement.verdict, Verdict::Elsewhere(_)) {
            self.counters.count(&judgement);
        }
        let is_dropped = matches!(decision.plan, Plan::Nothing | Plan::Elsewhere);
        let begins_alone = decision.plan.begins_alone();
        let plain = known.and_then(|known| known.plain(frame));
        self.commit(now, arrival, (frame, plain.as_ref()), &mut decision, out);
        if begins_alone {
            self.look_for_newest();
        } else if !is_dropped {
            self.look_ahead();
        }
        judgement
    }

    /// What is decided about a packet while something is due.
    #[cold]
    #[inline(never)]
    fn decide_behind(
        &mut self,
        now: Timestamp,
        arrival: Arrival,
        (frame, known): (&[u8], Option<&Glance>),
        out: &mut Output,
        why: &mut impl Observer,
    ) -> Decision {
        let settled = self.settle(now, arrival, (frame, known), out);
        match why.listens() {
            true => self.decide_by_steps(now, arrival, (frame, known), why),
            false => settled,
        }
    }

    /// Learns until when nothing is due.
    fn look_ahead(&mut self) {
        self.quiet_until = self.next_deadline().unwrap_or(Timestamp::NEVER);
        if !self.is_behind() {
            self.savings = overdue::AT_FIRST;
        }
    }

    /// The same where nothing but the deadline of one session has come to those that were
    /// there. The table may look for it sooner, and whoever waits for that look is not to wait
    /// in vain.
    #[inline]
    fn look_for_newest(&mut self) {
        let sessions = self.sessions.next_look();
        self.quiet_until = sessions.map_or(self.quiet_until, |at| self.quiet_until.min(at));
    }

    /// The reader of a control session; `None` for all others.
    fn control_of(&self, session: &Session) -> Option<&Control> {
        session.origin.alg?;
        self.controls.get(&session.id)
    }

    /// Counts a packet that the shell could not bring in, and gives the
    /// judgement of it: dropped, untracked, for this reason.
    pub fn turn_away(&mut self, reason: Reason) -> Judgement {
        let judgement = Judgement {
            verdict: Verdict::Drop,
            ct: CtState::Untracked,
            reason,
            rule: None,
            session: None,
            state: None,
            check: None,
        };
        self.counters.count(&judgement);
        judgement
    }

    /// What would happen to this packet now, step by step; nothing changes. All that is
    /// due has ended by then.
    pub fn explain(&self, arrival: Arrival, frame: &[u8], why: &mut impl Observer) -> Judgement {
        self.decide(self.now, arrival, (frame, None), why).judgement
    }
}
