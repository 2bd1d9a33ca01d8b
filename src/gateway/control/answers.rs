//! What is answered to each request.

use std::cmp::Reverse;
use std::sync::Arc;

use serde::Serialize;
use tokio::io::AsyncWrite;
use tracing::info;

use super::objects::{
    DevicesObject, HandoversObject, MetricsObject, TotalsObject, VersionObject, WorkerObject,
};
use super::pages::Pages;
use super::replies::{Gone, Replies};
use super::{Shared, capture, reload};
use crate::control::{
    End, FilterError, Limit, Refusal, Refused, Request, SessionFilter, Sort, Tell,
};
use crate::engine::{Counters, Intake, Parting, Policy};
use crate::gateway::errands::{Ended, Inside};
use crate::gateway::handover::Handover;
use crate::gateway::metrics::Unwell;
use crate::gateway::state::NotSaved;
use crate::gateway::{DeviceCounters, HandoverCounters};
use crate::objects::{
    DefaultObject, ExpectationObject, Leases, LifetimeObject, MappingObject, SessionObject, View,
    count_objects, rule_objects, translation_objects, verdict_objects,
};
use crate::session::{Bindings, Session};

/// Why an answer is not finished.
pub(super) enum Unfinished {
    /// The client is told why.
    Refused(Refused),
    /// The client is gone.
    Gone,
}

impl From<Refused> for Unfinished {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<Gone> for Unfinished {
    fn from(Gone: Gone) -> Self {
        Self::Gone
    }
}

impl From<Ended> for Unfinished {
    fn from(ended: Ended) -> Self {
        Self::Refused(stopping(ended))
    }
}

impl From<FilterError> for Unfinished {
    fn from(error: FilterError) -> Self {
        Self::Refused(bad_filter(error))
    }
}

pub(super) fn stopping(ended: Ended) -> Refused {
    Refused::new(Refusal::Stopping, ended.to_string())
}

pub(super) fn bad_filter(error: FilterError) -> Refused {
    Refused::new(Refusal::BadRequest, error.to_string())
}

/// How many sessions were ended.
#[derive(Serialize)]
struct KilledObject {
    killed: u64,
}

/// The state was saved.
#[derive(Serialize)]
struct SavedObject {
    saved: String,
    sessions: usize,
    octets: usize,
}

/// Answers a request, all but `watch`, which has a way of its own.
pub(super) async fn answer<W: AsyncWrite + Unpin>(
    request: Request,
    shared: &Shared,
    to: &mut Replies<W>,
) -> Result<(), Gone> {
    let end = match answer_to(request, shared, to).await {
        Ok(()) => End::Ok,
        Err(Unfinished::Refused(refused)) => End::Error(refused),
        Err(Unfinished::Gone) => return Err(Gone),
    };
    to.end(&end).await
}

async fn answer_to<W: AsyncWrite + Unpin>(
    request: Request,
    shared: &Shared,
    to: &mut Replies<W>,
) -> Result<(), Unfinished> {
    match request {
        Request::Sessions {
            filter,
            sort: Some(sort),
            limit,
        } => sorted(shared, &filter, sort, limit, to).await,
        Request::Sessions {
            filter,
            sort: None,
            limit,
        } => unsorted(shared, &filter, limit, to).await,
        Request::Watch { .. } => Ok(()),
        Request::Kill { filter, tell } => kill(shared, filter, tell, to).await,
        Request::Mappings {} => {
            let (bindings, policy) = bindings(shared).await?;
            let now = shared.clock.now();
            let view = View {
                policy: &policy,
                now,
            };
            for binding in bindings.into_sorted() {
                to.say(&MappingObject::of(&binding, view)).await?;
            }
            Ok(())
        }
        Request::Leases {} => {
            let (bindings, policy) = bindings(shared).await?;
            let mut leases = Leases::default();
            for binding in bindings.into_sorted() {
                leases.add(&binding, &policy);
            }
            say_all(to, leases.objects(&policy).collect()).await
        }
        Request::Expectations {} => {
            let look = |inside: &mut Inside<'_>| {
                let engine = &inside.engine;
                let all = engine.sessions().expectations().sorted();
                (all, Arc::clone(engine.policy()))
            };
            let all = shared
                .workforce
                .sum(look, |(all, _), (more, _)| all.extend(more));
            let (mut expectations, policy) = all.await?;
            expectations.sort_by_key(|expectation| expectation.tuple);
            let now = shared.clock.now();
            let view = View {
                policy: &policy,
                now,
            };
            for expectation in expectations {
                to.say(&ExpectationObject::of(&expectation, view)).await?;
            }
            Ok(())
        }
        Request::Rules {} => {
            let (counters, policy) = counters(shared).await?;
            say_all(to, rule_objects(&policy, &counters).collect()).await?;
            Ok(to.say(&DefaultObject::of(&counters)).await?)
        }
        Request::Nat {} => {
            let (counters, policy) = counters(shared).await?;
            say_all(to, translation_objects(&policy, &counters).collect()).await
        }
        Request::Counters {} => {
            let all = shared.workforce.sum(Counted::of, Counted::add).await?;
            say_all(to, verdict_objects(&all.counters).collect()).await?;
            say_all(to, count_objects(&all.counters).collect()).await?;
            to.say(&DevicesObject::of(all.devices)).await?;
            if let Some(handovers) = all.handovers {
                to.say(&HandoversObject::of(handovers)).await?;
            }
            Ok(to.say(&all.totals).await?)
        }
        Request::Timeouts {} => {
            let policy = policy(shared).await?;
            let lifetimes = policy.lifetimes.iter();
            let objects = lifetimes.map(|(_, lifetime)| LifetimeObject::of(lifetime));
            say_all(to, objects.collect()).await
        }
        Request::Workers {} => {
            let look = |inside: &mut Inside<'_>| WorkerObject::of(inside);
            let (first, others) = shared.workforce.ask_all(look).await?;
            let all = (1..).zip(std::iter::once(first).chain(others));
            say_all(to, all.map(|(number, one)| one.numbered(number)).collect()).await
        }
        Request::Metrics {} => {
            let text = shared.metrics.text().await;
            let text = text.map_err(|unwell| match unwell {
                Unwell::Stopping => Refused::new(Refusal::Stopping, unwell.to_string()),
                Unwell::Silent => Refused::new(Refusal::Failed, unwell.to_string()),
            })?;
            Ok(to.say(&MetricsObject::of(&text)).await?)
        }
        Request::Drain {} => set_intake(shared, Intake::Drained).await,
        Request::Undrain {} => set_intake(shared, Intake::Open).await,
        Request::Log { level } => set_log(shared, &level),
        Request::CaptureStart { file, filter, size } => {
            Ok(capture::start(shared, (&file, filter, size)).await?)
        }
        Request::CaptureStatus {} => match shared.captures.status() {
            Some(object) => Ok(to.say(&object).await?),
            None => Ok(()),
        },
        Request::CaptureStop {} => {
            let object = capture::stop(shared).await?;
            Ok(to.say(&object).await?)
        }
        Request::Save {} => save(shared, to).await,
        Request::Reload {} => Ok(reload::reload(shared).await?),
        Request::Version {} => {
            let look = |inside: &mut Inside<'_>| inside.engine.sessions().len();
            let sessions = shared.workforce.sum(look, |all, more| *all += more);
            let sessions = sessions.await?;
            let intake = shared.workforce.ask_first(|inside| inside.engine.intake());
            let intake = intake.await?;
            Ok(to.say(&VersionObject::of(shared, sessions, intake)).await?)
        }
    }
}

async fn say_all<W: AsyncWrite + Unpin>(
    to: &mut Replies<W>,
    objects: Vec<impl Serialize>,
) -> Result<(), Unfinished> {
    for object in objects {
        to.say(&object).await?;
    }
    Ok(())
}

/// The policy in force.
async fn policy(shared: &Shared) -> Result<Arc<Policy>, Ended> {
    let look = |inside: &mut Inside<'_>| Arc::clone(inside.engine.policy());
    shared.workforce.ask_first(look).await
}

/// What the engines counted, and the policy at that moment.
async fn counters(shared: &Shared) -> Result<(Counters, Arc<Policy>), Ended> {
    let look = |inside: &mut Inside<'_>| {
        let engine = &inside.engine;
        (engine.counters().clone(), Arc::clone(engine.policy()))
    };
    let add = |(all, _): &mut (Counters, _), (more, _): (Counters, _)| all.add(&more);
    shared.workforce.sum(look, add).await
}

/// All that is counted.
struct Counted {
    counters: Counters,
    devices: DeviceCounters,
    handovers: Option<HandoverCounters>,
    totals: TotalsObject,
}

impl Counted {
    fn of(inside: &mut Inside<'_>) -> Self {
        Self {
            counters: inside.engine.counters().clone(),
            devices: *inside.counters,
            handovers: inside.handover.map(Handover::counters),
            totals: TotalsObject::of(inside),
        }
    }

    fn add(&mut self, other: Self) {
        self.counters.add(&other.counters);
        self.devices.add(other.devices);
        if let (Some(all), Some(more)) = (&mut self.handovers, other.handovers) {
            all.add(more);
        }
        self.totals.add(&other.totals);
    }
}

/// All mappings, from the sessions that there are.
async fn bindings(shared: &Shared) -> Result<(Bindings, Arc<Policy>), Ended> {
    let policy = policy(shared).await?;
    let mut all = Bindings::default();
    let mut pages = Pages::new(&shared.workforce);
    while let Some(page) = pages.next().await? {
        for session in &page.sessions {
            all.add(session);
        }
    }
    Ok((all, policy))
}

/// Looks whether the names in a filter are those of the policy.
async fn check(shared: &Shared, filter: &SessionFilter) -> Result<(), Unfinished> {
    let policy = policy(shared).await?;
    Ok(filter.check(&policy)?)
}

/// Sessions page by page, as they lie in the table.
async fn unsorted<W: AsyncWrite + Unpin>(
    shared: &Shared,
    filter: &SessionFilter,
    limit: Option<Limit>,
    to: &mut Replies<W>,
) -> Result<(), Unfinished> {
    check(shared, filter).await?;
    let mut left = limit.map_or(usize::MAX, Limit::get);
    let mut pages = Pages::new(&shared.workforce);
    while let Some(page) = pages.next().await? {
        let view = page.view();
        for session in &page.sessions {
            if left > 0 && filter.admits(session, view) {
                to.say(&SessionObject::of(session, view)).await?;
                left -= 1;
            }
        }
        if left == 0 {
            break;
        }
    }
    Ok(())
}

/// The first sessions by some order.
async fn sorted<W: AsyncWrite + Unpin>(
    shared: &Shared,
    filter: &SessionFilter,
    sort: Sort,
    limit: Option<Limit>,
    to: &mut Replies<W>,
) -> Result<(), Unfinished> {
    check(shared, filter).await?;
    let most = limit.map_or(Limit::USUAL, Limit::get);
    let most = most.min(Limit::MOST_SORTED);
    let policy = policy(shared).await?;
    let mut first: Vec<Session> = Vec::new();
    let mut pages = Pages::new(&shared.workforce);
    while let Some(page) = pages.next().await? {
        let view = page.view();
        let meant = page.sessions.iter();
        let meant = meant.filter(|session| filter.admits(session, view));
        first.extend(meant.cloned());
        if first.len() >= 2 * most {
            put_in_order(&mut first, sort, most);
        }
    }
    put_in_order(&mut first, sort, most);
    let view = View {
        policy: &policy,
        now: shared.clock.now(),
    };
    for session in &first {
        to.say(&SessionObject::of(session, view)).await?;
    }
    Ok(())
}

/// The first `most` stay.
fn put_in_order(sessions: &mut Vec<Session>, sort: Sort, most: usize) {
    let sum = |session: &Session, of: fn(&crate::session::Counter) -> u64| {
        of(&session.counters.original) + of(&session.counters.reply)
    };
    match sort {
        Sort::Id => sessions.sort_by_key(|session| session.id),
        Sort::Bytes => {
            sessions.sort_by_key(|session| (Reverse(sum(session, |c| c.bytes)), session.id));
        }
        Sort::Packets => {
            sessions.sort_by_key(|session| (Reverse(sum(session, |c| c.packets)), session.id));
        }
        Sort::Age => sessions.sort_by_key(|session| (session.began, session.id)),
        Sort::Left => sessions.sort_by_key(|session| (session.deadline, session.id)),
    }
    sessions.truncate(most);
}

/// Ends sessions, a page at a time.
async fn kill<W: AsyncWrite + Unpin>(
    shared: &Shared,
    filter: SessionFilter,
    tell: Tell,
    to: &mut Replies<W>,
) -> Result<(), Unfinished> {
    check(shared, &filter).await?;
    let parting = match tell {
        Tell::Nobody => Parting::Silent,
        Tell::Reset => Parting::Reset,
    };
    let filter = Arc::new(filter);
    let mut killed = 0;
    let mut pages = Pages::new(&shared.workforce);
    loop {
        let filter = Arc::clone(&filter);
        let page = pages.next_with(move |inside, page| {
            let meant = page.sessions.iter();
            let meant = meant.filter(|session| filter.admits(session, page.view()));
            let mut killed = 0;
            for session in meant {
                let named = (session.id, &session.origin.tuples.original);
                let was_there = inside.engine.kill(inside.now, named, parting, inside.out);
                killed += u64::from(was_there);
            }
            killed
        });
        match page.await? {
            Some((_, some)) => killed += some,
            None => break,
        }
    }
    info!(%filter, killed, "sessions killed");
    Ok(to.say(&KilledObject { killed }).await?)
}

/// Saves the state.
async fn save<W: AsyncWrite + Unpin>(
    shared: &Shared,
    to: &mut Replies<W>,
) -> Result<(), Unfinished> {
    let Some(keeper) = &shared.keeper else {
        let message = "this gateway keeps no state (--state)";
        return Err(Refused::new(Refusal::NotAvailable, message).into());
    };
    let refused = |why: NotSaved| {
        let error = match &why {
            NotSaved::Stopping => Refusal::Stopping,
            NotSaved::Unwritable | NotSaved::File(..) => Refusal::Failed,
        };
        Refused::new(error, why.to_string())
    };
    let saved = keeper.save().await.map_err(refused)?;
    let object = SavedObject {
        saved: saved.at.to_string(),
        sessions: saved.sessions,
        octets: saved.octets,
    };
    Ok(to.say(&object).await?)
}

async fn set_intake(shared: &Shared, intake: Intake) -> Result<(), Unfinished> {
    let set = move |inside: &mut Inside<'_>| inside.engine.set_intake(intake);
    shared.workforce.ask_all(set).await?;
    shared.metrics.life().intake(intake);
    match intake {
        Intake::Drained => info!("no new session begins"),
        Intake::Open => info!("sessions begin again"),
    }
    Ok(())
}

fn set_log(shared: &Shared, filter: &str) -> Result<(), Unfinished> {
    let Some(log) = &shared.log else {
        let message = "this gateway's log cannot be changed";
        return Err(Refused::new(Refusal::NotAvailable, message).into());
    };
    let bad = |error| Refused::new(Refusal::BadRequest, error);
    log.set(filter).map_err(bad)?;
    info!(filter, "log filter changed");
    Ok(())
}
