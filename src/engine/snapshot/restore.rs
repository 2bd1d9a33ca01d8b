//! An engine goes on by a snapshot: it is looked at as a whole first, and taken in then.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::names::Numbers;
use super::unsound::Unsound;
use super::{Frame, SavedControl, SavedSession, Snapshot};
use crate::alg::Alg;
use crate::engine::control::Control;
use crate::engine::successor::{rivals, terms_of};
use crate::engine::{Engine, Options, Policy};
use crate::net::{Direction, Family, Protocol, Timestamp, Tuple};
use crate::session::{
    Aftermath, AtRest, Clashes, Crew, ExpectedTuple, Handle, Mapping, Origin, Session, SessionId,
    Tracked, TupleHash,
};

/// What may have passed between a snapshot and the moment at which somebody goes on by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Meanwhile {
    /// Nothing: what was not dropped waits, or comes again.
    Nothing,
    /// Packets of its sessions.
    Packets,
}

/// What lies between a snapshot and the moment at which somebody goes on by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Gap {
    /// So much time.
    pub time: Duration,
    /// What may have passed.
    pub meanwhile: Meanwhile,
}

/// What has come of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Restored {
    /// Sessions that go on.
    pub sessions: usize,
    /// Data sessions that are awaited again.
    pub expectations: usize,
    /// Sessions of zones that are gone.
    pub without_zone: usize,
    /// Sessions that had ended, as another has taken their tuple or their port.
    pub overtaken: usize,
}

/// A session that can be there.
struct Ready {
    session: Session,
    control: Option<(Box<SavedControl>, Box<dyn Alg>)>,
}

impl Engine {
    /// An engine that guards by `policy` from `now` on, and goes on with the sessions of a
    /// snapshot as after a reload: by the rows that let them in, where these are still
    /// there by name. The policy in force is this one with those put aside that are gone.
    ///
    /// # Errors
    /// No engine could have made this snapshot.
    pub fn restore(
        policy: &Arc<Policy>,
        options: Options,
        now: Timestamp,
        state: (Snapshot, Gap),
    ) -> Result<(Self, Restored), Unsound> {
        let mut restored = Restored::default();
        let (policy, returning) = returning(policy, options, (now, state), &mut restored)?;
        let mut engine = Self::new(policy, options, now);
        engine.prepare(&returning, now);
        let Returning { ready, rest } = returning;
        let handles = engine.take_in(ready, &mut restored);
        engine.settle_down(rest, &handles, now, &mut restored);
        Ok((engine, restored))
    }

    /// The same by several workers, however many there were before. Where a client's sessions
    /// go, all of them go.
    ///
    /// # Errors
    /// No engine could have made this snapshot.
    pub fn restore_crew(
        policy: &Arc<Policy>,
        options: Options,
        now: Timestamp,
        crew: &Arc<Crew>,
        state: (Snapshot, Gap),
    ) -> Result<(Vec<Self>, Restored), Unsound> {
        let mut restored = Restored::default();
        let (policy, returning) = returning(policy, options, (now, state), &mut restored)?;
        let engine = |post| Self::at_post(Arc::clone(&policy), options, now, post);
        let mut engines: Vec<_> = crew.posts().map(engine).collect();
        let shares = returning.among(crew);
        // What sessions hold that come back is known to all before the first does.
        for (engine, share) in engines.iter_mut().zip(&shares) {
            engine.prepare(share, now);
        }
        let mut back = Vec::new();
        for (engine, share) in engines.iter_mut().zip(shares) {
            let Returning { ready, rest } = share;
            back.push((engine.take_in(ready, &mut restored), rest));
        }
        // Before all are there it is not known which mappings nobody holds: a session may hold
        // one of a client of another worker's.
        for (engine, (handles, rest)) in engines.iter_mut().zip(back) {
            engine.settle_down(rest, &handles, now, &mut restored);
        }
        Ok((engines, restored))
    }

    /// Makes ready for what comes back.
    fn prepare(&mut self, returning: &Returning, now: Timestamp) {
        let rivals = rivals(&self.policy.nat.source);
        self.sessions.set_terms(terms_of(&self.policy), rivals);
        self.sessions.keep_up(now);
        self.sessions.count_from(returning.rest.last);
        let mappings = &returning.rest.aftermath.mappings;
        self.sessions.revive_mappings(mappings);
    }

    /// All sessions are there again: so is what they have besides, and what rested.
    fn settle_down(
        &mut self,
        besides: Besides,
        handles: &[Handle],
        now: Timestamp,
        restored: &mut Restored,
    ) {
        let Besides {
            aftermath,
            resting,
            meanwhile,
            last: _,
        } = besides;
        self.sessions.settle(&aftermath);
        for at_rest in resting {
            self.sessions.lay_down(at_rest, now);
        }
        self.give_back_children(handles, meanwhile);
        restored.expectations += self.sessions.expectations().len();
        self.look_at_all();
    }

    /// Has the sessions back, each where it can be.
    fn take_in(&mut self, ready: Vec<Ready>, restored: &mut Restored) -> Vec<Handle> {
        let mut handles = Vec::with_capacity(ready.len());
        for Ready { session, control } in ready {
            let Some(handle) = self.sessions.revive(&session, self.now) else {
                restored.overtaken += 1;
                continue;
            };
            restored.sessions += 1;
            handles.push(handle);
            let Some((saved, alg)) = control else {
                continue;
            };
            let SavedControl {
                alg: _,
                streams,
                said,
                mss,
                expected,
            } = *saved;
            let mut holes = Vec::with_capacity(expected.len());
            for own in expected {
                if !self.sessions.expectations().is_taken(&own.tuple) {
                    holes.push(own.tuple);
                    self.sessions.expect(own.of(handle));
                }
            }
            let control = Control {
                alg,
                streams,
                said,
                mss,
                holes,
                children: Vec::new(),
                handle: Some(handle),
            };
            self.controls.insert(handle.id(), control);
        }
        handles
    }

    /// Control sessions know again which data sessions are theirs.
    fn give_back_children(&mut self, handles: &[Handle], meanwhile: Meanwhile) {
        for handle in handles {
            let Some(parent) = self.sessions.parent_of(*handle) else {
                continue;
            };
            let Some(control) = self.controls.get_mut(&parent) else {
                continue;
            };
            control.children.push(*handle);
            if meanwhile == Meanwhile::Nothing {
                continue;
            }
            // It may have come after it was looked whether it was awaited.
            let session = self.sessions.get(*handle);
            let met = session.map(|own| ExpectedTuple::of(&own.origin.tuples.original));
            if let Some(met) = met.filter(|met| control.holes.contains(met)) {
                control.holes.retain(|own| *own != met);
                self.sessions.unexpect(&met);
            }
        }
    }
}

/// What comes back of a snapshot, looked at as a whole.
struct Returning {
    ready: Vec<Ready>,
    rest: Besides,
}

/// What comes back besides sessions.
struct Besides {
    aftermath: Aftermath,
    resting: Vec<AtRest>,
    meanwhile: Meanwhile,
    /// The session that began last.
    last: SessionId,
}

impl Returning {
    /// Each worker's share of it: a client's is all at one, and what a control session has
    /// announced is where that is. What rests is at the first.
    fn among(self, crew: &Arc<Crew>) -> Vec<Self> {
        let Self { ready, rest } = self;
        let Besides {
            aftermath,
            resting,
            meanwhile,
            last,
        } = rest;
        let place_of = |client: &IpAddr| usize::from(crew.drawn(client).0);
        let share = |_| Self {
            ready: Vec::new(),
            rest: Besides {
                aftermath: Aftermath::default(),
                resting: Vec::new(),
                meanwhile,
                last,
            },
        };
        let mut shares: Vec<_> = crew.workers().all().map(share).collect();
        let mut parents = BTreeMap::new();
        for ready in ready {
            let Session { id, origin, .. } = &ready.session;
            let parent = origin.parent.and_then(|parent| parents.get(&parent));
            let place = parent
                .copied()
                .unwrap_or_else(|| place_of(&client_of(origin)));
            if origin.alg.is_some() {
                parents.insert(*id, place);
            }
            if let Some(share) = shares.get_mut(place) {
                share.ready.push(ready);
            }
        }
        for mapping in aftermath.mappings {
            if let Some(share) = shares.get_mut(place_of(&mapping.inside.address)) {
                share.rest.aftermath.mappings.push(mapping);
            }
        }
        for leases in aftermath.leases {
            if let Some(share) = shares.get_mut(place_of(&leases.client())) {
                share.rest.aftermath.leases.push(leases);
            }
        }
        if let Some(first) = shares.first_mut() {
            first.rest.resting = resting;
        }
        shares
    }
}

/// Whose a session is: of who is known by a public endpoint, else of who began it.
fn client_of(origin: &Origin) -> IpAddr {
    match (origin.claims.original, origin.claims.reply) {
        (None, Some(_)) => origin.tuples.reply.source.address,
        _ => origin.tuples.original.source.address,
    }
}

/// What of a snapshot can come back under this policy; with that in force then.
fn returning(
    policy: &Arc<Policy>,
    options: Options,
    (now, (snapshot, gap)): (Timestamp, (Snapshot, Gap)),
    restored: &mut Restored,
) -> Result<(Arc<Policy>, Returning), Unsound> {
    let Snapshot {
        sessions,
        aftermath,
        resting,
        frame,
    } = snapshot;
    let (policy, numbers) = frame.names.in_policy(policy)?;
    let moments = Moments::new(&frame, now, gap.time, &policy);
    let known = (&numbers, &moments, &*frame);
    let ready = ready(sessions, known, gap.meanwhile, restored)?;
    let mut aftermath = renamed(&aftermath, &numbers)?;
    let resting = resting.into_iter().map(|at_rest| {
        let row = numbers.row(at_rest.row)?;
        Ok(at_rest.by(row, moments.later(at_rest.until)))
    });
    let resting = resting.collect::<Result<Vec<_>, Unsound>>()?;
    let (ready, clashes) = without_clashes(ready, &policy, options, restored);
    aftermath.mappings.retain(|mapping| clashes.has(mapping));
    let public = |mapping: &Mapping| (mapping.protocol, mapping.outside);
    aftermath.mappings.sort_by_key(public);
    aftermath.mappings.dedup_by_key(|mapping| public(mapping));
    let returning = Returning {
        ready,
        rest: Besides {
            aftermath,
            resting,
            meanwhile: gap.meanwhile,
            last: frame.last,
        },
    };
    Ok((policy, returning))
}

/// The sessions whose zones are still there, in the order in which they began, by their
/// present names and moments.
fn ready(
    sessions: Vec<SavedSession>,
    (numbers, moments, frame): (&Numbers, &Moments, &Frame),
    meanwhile: Meanwhile,
    restored: &mut Restored,
) -> Result<Vec<Ready>, Unsound> {
    let mut ready = Vec::with_capacity(sessions.len());
    for SavedSession {
        mut session,
        control,
    } in sessions
    {
        check(&session)?;
        let mut control = match control {
            Some(control) => Some(revived(&session, control)?),
            None if session.origin.alg.is_some() => return Err(Unsound::Control),
            None => None,
        };
        let Ok(origin) = numbers.origin(&session.origin)? else {
            restored.without_zone += 1;
            continue;
        };
        session.origin = origin;
        session.began = moments.past(session.began);
        session.deadline = moments.deadline(session.deadline);
        if let Some((control, _)) = &mut control {
            let mut kept = Vec::with_capacity(control.expected.len());
            for mut own in control.expected.drain(..) {
                if let Ok(egress) = numbers.zone(own.egress)? {
                    own.egress = egress;
                    own.deadline = moments.deadline(own.deadline);
                    kept.push(own);
                }
            }
            control.expected = kept;
        }
        if meanwhile == Meanwhile::Packets {
            session.left_behind();
            if let Some((control, _)) = &mut control {
                control.streams.original.left_behind();
                control.streams.reply.left_behind();
            }
        }
        ready.push(Ready { session, control });
    }
    ready.sort_by_key(|ready| ready.session.id);
    let mut pairs = ready.iter().zip(ready.iter().skip(1));
    let is_twice = pairs.any(|(one, next)| one.session.id == next.session.id);
    let is_given = |id: SessionId| id.0 > 0 && id <= frame.last;
    let last_fits = frame.last.0 < u64::MAX;
    match !is_twice && last_fits && ready.iter().all(|ready| is_given(ready.session.id)) {
        true => Ok(ready),
        false => Err(Unsound::Session),
    }
}

/// Whether there could be such a session.
fn check(session: &Session) -> Result<(), Unsound> {
    let origin = &session.origin;
    let (original, reply) = (&origin.tuples.original, &origin.tuples.reply);
    let is_of_one_family = |tuple: &Tuple| {
        let family = original.source.family();
        tuple.source.family() == family && tuple.destination.family() == family
    };
    // Such as packets have: IPv6 knows no addresses of IPv4.
    if original.protocol != reply.protocol
        || !is_of_one_family(original)
        || !is_of_one_family(reply)
    {
        return Err(Unsound::Tuples);
    }
    let fits = match (&session.tracked, original.protocol) {
        (Tracked::Tcp(_), protocol) => protocol == Protocol::TCP,
        (Tracked::Sctp(_), protocol) => protocol == Protocol::SCTP,
        (Tracked::Flow(_), protocol) => protocol != Protocol::TCP && protocol != Protocol::SCTP,
    };
    let alg_fits = origin
        .alg
        .is_none_or(|kind| kind.protocol() == original.protocol);
    match fits && alg_fits {
        true => Ok(()),
        false => Err(Unsound::Tracking),
    }
}

/// The reader of a control session, if there could be such a one.
fn revived(
    session: &Session,
    control: Box<SavedControl>,
) -> Result<(Box<SavedControl>, Box<dyn Alg>), Unsound> {
    let streams = &control.streams;
    let family: Family = session.origin.tuples.original.source.family();
    let fits = session.origin.alg == Some(control.alg.kind())
        && Direction::BOTH.iter().all(|way| streams[*way].is_sound())
        && control.expected.iter().all(|own| own.is_of(family));
    let alg = control.alg.clone().revive().filter(|_| fits);
    Ok((control, alg.ok_or(Unsound::Control)?))
}

/// What sessions have besides what they say, by its present names.
fn renamed(all: &[Aftermath], numbers: &Numbers) -> Result<Aftermath, Unsound> {
    let mut own = Aftermath::default();
    for some in all {
        for mapping in &some.mappings {
            if let Ok(mapping) = numbers.mapping(mapping)? {
                own.mappings.push(mapping);
            }
        }
        for leases in &some.leases {
            let row = numbers.row(leases.row)?;
            own.leases.push(leases.clone().by(row));
        }
    }
    Ok(own)
}

/// Those that can be there together: of two that cannot, the one that began later.
fn without_clashes(
    mut ready: Vec<Ready>,
    policy: &Policy,
    options: Options,
    restored: &mut Restored,
) -> (Vec<Ready>, Clashes) {
    let mut clashes = Clashes::new(TupleHash::from_seed(options.seed));
    let layout = |row: crate::net::RowId| policy.nat.source.get(row.place())?.terms.blocks;
    let before = ready.len();
    ready.reverse();
    ready.retain(|ready| clashes.admits(&ready.session.origin, layout));
    ready.reverse();
    restored.overtaken += before - ready.len();
    (ready, clashes)
}

/// Moments of a snapshot, as they are now.
struct Moments {
    /// The moment of the snapshot, then and by the present clock.
    then: Timestamp,
    now: Timestamp,
    /// Nobody lives longer than until then without traffic.
    latest: Timestamp,
}

impl Moments {
    fn new(frame: &Frame, now: Timestamp, elapsed: Duration, policy: &Policy) -> Self {
        let elapsed = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        Self {
            then: frame.at,
            now: Timestamp::from_nanos(now.as_nanos().saturating_sub(elapsed)),
            latest: now.after(policy.lifetimes.longest()),
        }
    }

    /// One that was in the past.
    fn past(&self, at: Timestamp) -> Timestamp {
        let ago = self.then.as_nanos().saturating_sub(at.as_nanos());
        Timestamp::from_nanos(self.now.as_nanos().saturating_sub(ago))
    }

    /// When a session ends, or what was announced is given up.
    fn deadline(&self, at: Timestamp) -> Timestamp {
        self.later(at).min(self.latest)
    }

    /// One that was to come, or was due.
    fn later(&self, at: Timestamp) -> Timestamp {
        let to_come = at.as_nanos().saturating_sub(self.then.as_nanos());
        let overdue = self.then.as_nanos().saturating_sub(at.as_nanos());
        let now = self.now.as_nanos();
        Timestamp::from_nanos(now.saturating_add(to_come).saturating_sub(overdue))
    }
}
