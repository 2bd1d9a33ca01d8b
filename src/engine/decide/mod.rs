//! Deciding: what is to happen to a packet. Nothing here changes anything.
//!
//! The path forks where tracking has looked: a packet of a session
//! (`existing`), one that an ALG announced (`expected`), one that begins
//! something (`fresh`), or an ICMP error about a session (`error`). What none
//! of them can place is `invalid`. All end in a [`Decision`], which `commit`
//! carries out.

mod endpoint;
mod error;
mod existing;
mod expected;
mod fresh;
mod invalid;
mod lease;
mod leaving;
mod mapped;
mod pieces;
mod plan;
mod refuse;
mod unsolicited;
mod usual;

use std::num::NonZeroU64;

pub(super) use plan::{
    Admission, After, Answer, Decision, ErrorPass, Gathered, Opening, Overdue, Pass, Plan,
};

pub(super) use self::fresh::{Stopped, first};
pub(super) use self::refuse::is_a_hosts;
use self::refuse::{refused_for_options, refused_unseen};
use super::observer::{Observer, Step};
use super::rates::AnswerKind;
use super::swing::{Glance, Owner};
use super::{Arrival, Checksums, CtState, Engine, Extent, Judgement, Reason, Verdict};
use crate::alg::Note;
use crate::net::{IcmpErrors, Timestamp, Tuple, WorkerId, ZoneId};
use crate::packet::{BadPacket, Checksum, Complaint, Headers, Piece, Transport};
use crate::session::{Handle, Session};

/// A packet under decision.
#[derive(Clone, Copy)]
struct Case<'a> {
    now: Timestamp,
    arrival: Arrival,
    frame: &'a [u8],
    headers: &'a Headers,
    /// The hash of its tuple, where that is known.
    hash: Option<u64>,
    owner: Owner,
}

/// Whether tracking may look at a packet whose addresses and ports could be
/// read; else what makes it invalid, sessions aside.
type Sound = Result<(), Reason>;

impl Engine {
    /// What is to happen to this packet: the path, in order. Only reads. What is known
    /// of it already is not read again.
    pub(in crate::engine) fn decide(
        &self,
        now: Timestamp,
        arrival: Arrival,
        (frame, known): (&[u8], Option<&Glance>),
        why: &mut impl Observer,
    ) -> Decision {
        let mut decision = self.decide_by_steps(now, arrival, (frame, known), why);
        self.conclude((now, arrival.zone), &mut decision, why);
        decision
    }

    /// What there is to do when a decision stands. It is large, and changed where it is
    /// kept.
    #[inline]
    pub(in crate::engine) fn conclude(
        &self,
        (now, zone): (Timestamp, ZoneId),
        decision: &mut Decision,
        why: &mut impl Observer,
    ) {
        self.withhold((now, zone), &mut decision.plan, why);
        why.step(Step::Decided(&decision.judgement));
    }

    /// Takes back an answer that would be one too many, or that the zone is not
    /// to have. The verdict stays.
    fn withhold(&self, (now, zone): (Timestamp, ZoneId), plan: &mut Plan, why: &mut impl Observer) {
        match plan {
            Plan::Answer(headers, answer) => {
                let rates = &self.policy.answers;
                if let Some(kind) = answer.kind(headers)
                    && (self.is_silent(zone, kind)
                        || !self.limiter.allows(rates, now, kind, headers.source))
                {
                    why.step(Step::Withheld(kind));
                    *plan = Plan::Withheld(kind);
                }
            }
            Plan::Gathered(gathered) => self.withhold((now, zone), &mut gathered.plan, why),
            _ => {}
        }
    }

    /// Whether a zone gets no answers of this kind at all.
    pub(in crate::engine) fn is_silent(&self, zone: ZoneId, kind: AnswerKind) -> bool {
        let errors = self.policy.zones.get(zone).map(|zone| zone.errors);
        errors == Some(IcmpErrors::Withheld)
            && matches!(kind, AnswerKind::Error | AnswerKind::TooBig)
    }

    /// The same, not concluded yet.
    #[inline(never)]
    pub(in crate::engine) fn decide_by_steps(
        &self,
        now: Timestamp,
        arrival: Arrival,
        (frame, known): (&[u8], Option<&Glance>),
        why: &mut impl Observer,
    ) -> Decision {
        if let Some(cuts) = &self.in_hand.cuts {
            let gathered = (frame.to_vec(), (**cuts).clone());
            return self.decide_gathered((now, arrival), None, gathered, why);
        }
        let (headers, sound) = match self.read(arrival, (frame, known), why) {
            Ok(read) => read,
            Err((ct, reason)) => return dropped(ct, reason),
        };
        let case = Case {
            now,
            arrival,
            frame,
            headers: &headers,
            hash: known.and_then(|known| known.hash).map(NonZeroU64::get),
            owner: known.map_or(Owner::Unasked, |known| known.owner),
        };
        if let Some(piece) = Piece::read(frame, &headers) {
            return match self.gatherer_of(&headers) {
                Some(worker) => elsewhere(worker),
                None => self.decide_piece(&case, &piece, why),
            };
        }
        let longest = arrival.longest(headers.payload_range().start, headers.length);
        self.decide_whole(&case, sound, longest, why)
    }

    /// Reads a packet, and refuses what nobody need look at further. With it,
    /// whether tracking may look at it.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "else the headers are moved once more")]
    fn read(
        &self,
        arrival: Arrival,
        (frame, known): (&[u8], Option<&Glance>),
        why: &mut impl Observer,
    ) -> Result<(Headers, Sound), (CtState, Reason)> {
        let (headers, sound) = match known.and_then(|known| headers_of(arrival, known, frame)) {
            Some(read) => read,
            None => self
                .parse(arrival, frame)
                .map_err(|reason| (CtState::Invalid, reason))?,
        };
        why.step(Step::Read(&headers));
        if let Some(reason) = refused_unseen(&self.policy, frame, &headers) {
            return Err((CtState::Untracked, reason));
        }
        let zones = &self.policy.zones;
        if zones.is_broadcast(headers.destination) || zones.is_broadcast(headers.source) {
            return Err((CtState::Untracked, Reason::BadAddress));
        }
        if !zones.accepts_source(arrival.zone, headers.source) {
            why.step(Step::Spoofed(zones.holding(headers.source)));
            return Err((CtState::Untracked, Reason::SpoofedSource));
        }
        Ok((headers, sound))
    }

    /// A whole packet; `longest` is the length of the longest piece that it
    /// came in.
    fn decide_whole(
        &self,
        case: &Case<'_>,
        sound: Sound,
        longest: usize,
        why: &mut impl Observer,
    ) -> Decision {
        match refused_for_options(case) {
            Some(refused) => refused,
            None => self.decide_readable(case, sound, longest, why),
        }
    }

    fn decide_readable(
        &self,
        case: &Case<'_>,
        sound: Sound,
        longest: usize,
        why: &mut impl Observer,
    ) -> Decision {
        if longest > usize::from(self.least_mtu) {
            let mut decision = self.decide_of_any_length(case, sound, why);
            self.refuse_too_long(case, &mut decision, longest);
            return decision;
        }
        // It fits every link. A decision is large: it is written where it is wanted.
        self.decide_of_any_length(case, sound, why)
    }

    fn decide_of_any_length(
        &self,
        case: &Case<'_>,
        sound: Sound,
        why: &mut impl Observer,
    ) -> Decision {
        match sound {
            Ok(()) => self.track(case, why),
            Err(reason) => self.decide_invalid(case, invalid(reason), why),
        }
    }

    fn track(&self, case: &Case<'_>, why: &mut impl Observer) -> Decision {
        let headers = case.headers;
        let Some(tuple) = headers.tuple() else {
            return match headers.transport {
                Transport::Error { .. } => self.decide_error(case, why),
                // Neighbours' and listeners' business (RFC 4861, RFC 3810).
                Transport::Icmp { .. } if headers.is_of_the_link() => {
                    dropped(CtState::Untracked, Reason::NoSession)
                }
                _ => self.decide_invalid(case, invalid(Reason::NoSession), why),
            };
        };
        let found = match (case.owner, case.hash) {
            (Owner::Nobody, _) => None,
            (Owner::Unasked, Some(hash)) => self.sessions.lookup_hashed(&tuple, hash),
            (Owner::Unasked, None) => self.sessions.lookup(&tuple),
        };
        if let Some((handle, session, direction)) = found {
            if let Some(late) = self.late_session(handle) {
                return late;
            }
            return self.decide_existing(case, &tuple, (handle, &session, direction), why);
        }
        match self.worker_for(case.arrival.zone, &tuple) {
            Some(worker) => elsewhere(worker),
            None => self.decide_beginning(case, &tuple, None, why),
        }
    }

    /// A packet that may begin something, in place of a session that is over where
    /// it says so: what an ALG announced, else what the rules allow. Linux too looks
    /// at what is expected when a connection begins anew (`NF_REPEAT` after a
    /// reopening SYN): a server may connect from one port again and again.
    fn decide_beginning(
        &self,
        case: &Case<'_>,
        tuple: &Tuple,
        over: Option<(Handle, &Session)>,
        why: &mut impl Observer,
    ) -> Decision {
        let replaces = over.map(|(handle, _)| handle);
        if let Some(late) = self.late_expectation(case.now, tuple) {
            return late;
        }
        if let Some((expectation, parent)) = self.expectation_for(case.arrival, tuple)
            && replaces != Some(expectation.parent)
        {
            let met = (expectation, &parent);
            return self.decide_expected(case, tuple, met, replaces, why);
        }
        match over {
            None => why.step(Step::NoSession),
            Some((_, session)) => {
                if let Some((again, parent)) = self.unanswered(case.now, session) {
                    return self.decide_expected(case, tuple, (&again, &parent), replaces, why);
                }
            }
        }
        self.decide_fresh(case, tuple, replaces, why)
    }

    /// Nothing is decided yet where this session is over, or the control session that
    /// lives by it has yet to be told so.
    fn late_session(&self, handle: Handle) -> Option<Decision> {
        if !self.is_behind() {
            return None;
        }
        let parent = self.due_parent(handle);
        let due = parent.or_else(|| self.sessions.is_due(handle).then_some(handle));
        due.map(|handle| late(Overdue::Session(handle)))
    }

    /// The same for an announcement that this packet meets.
    fn late_expectation(&self, now: Timestamp, tuple: &Tuple) -> Option<Decision> {
        if !self.is_behind() {
            return None;
        }
        let expectation = self.sessions.expectations().matching(tuple)?;
        let parent = Some(expectation.parent).filter(|parent| self.sessions.is_due(*parent));
        let is_late = expectation.deadline <= now;
        let announced = || is_late.then_some(Overdue::Expectation(expectation.tuple));
        parent.map(Overdue::Session).or_else(announced).map(late)
    }

    fn parse(&self, arrival: Arrival, frame: &[u8]) -> Result<(Headers, Sound), Reason> {
        let reason = |bad| match bad {
            BadPacket::Length => Reason::BadLength,
            BadPacket::Header => Reason::BadHeader,
            BadPacket::IpChecksum | BadPacket::TransportChecksum => Reason::BadChecksum,
        };
        let headers = Headers::read(frame, arrival.extent == Extent::Cut).map_err(reason)?;
        let headers = as_it_came(headers, arrival);
        if self.options.checksums == Checksums::Verify {
            let is_allowed = |tuple| self.policy.services.may_be_unsummed(&tuple);
            match headers.verify_checksums(frame) {
                Ok(()) if !headers.is_unsummed_in_v6(frame) => {}
                Ok(()) if headers.tuple().is_some_and(is_allowed) => {}
                Ok(()) => return Ok((headers, Err(Reason::BadChecksum))),
                Err(BadPacket::TransportChecksum) => {
                    return Ok((headers, Err(Reason::BadChecksum)));
                }
                Err(bad) => return Err(reason(bad)),
            }
        }
        let sound = match headers.transport {
            Transport::Tcp(tcp) if !tcp.flags.are_valid() => Err(Reason::TcpBadFlags),
            Transport::Sctp(_) if !headers.sctp_chunks(frame).are_valid() => {
                Err(Reason::SctpBadChunks)
            }
            _ => Ok(()),
        };
        Ok((headers, sound))
    }
}

/// The headers of a packet whose checksums were verified at a glance.
#[inline]
fn headers_of(arrival: Arrival, known: &Glance, frame: &[u8]) -> Option<(Headers, Sound)> {
    let headers = as_it_came(known.plain(frame)?.headers(frame)?, arrival);
    let sound = match headers.transport {
        Transport::Tcp(tcp) if !tcp.flags.are_valid() => Err(Reason::TcpBadFlags),
        _ => Ok(()),
    };
    Some((headers, sound))
}

#[inline]
pub(super) fn as_it_came(headers: Headers, arrival: Arrival) -> Headers {
    match arrival.checksum {
        Checksum::Complete => headers,
        Checksum::Partial => headers.with_partial_checksum(),
    }
}

fn nothing(judgement: Judgement) -> Decision {
    Decision::new(judgement, Plan::Nothing)
}

/// Nothing happens to the packet, but for what an ALG has to tell.
fn refused_by_alg(judgement: Judgement, notes: Vec<Note>) -> Decision {
    let plan = match notes.is_empty() {
        true => Plan::Nothing,
        false => Plan::Told(judgement.session, notes),
    };
    Decision::new(judgement, plan)
}

fn dropped(ct: CtState, reason: Reason) -> Decision {
    nothing(Judgement {
        ct,
        ..invalid(reason)
    })
}

/// Dropped as invalid for this reason, without a session.
fn invalid(reason: Reason) -> Judgement {
    Judgement {
        verdict: Verdict::Drop,
        ct: CtState::Invalid,
        reason,
        rule: None,
        session: None,
        state: None,
        check: None,
    }
}

/// Another worker decides about it.
#[cold]
fn elsewhere(worker: WorkerId) -> Decision {
    Decision {
        plan: Plan::Elsewhere,
        ..nothing(Judgement::elsewhere(worker))
    }
}

/// Dropped, as other workers took all that could be had.
#[cold]
pub(super) fn nobody_had_any() -> Decision {
    dropped(CtState::New, Reason::NatPortsExhausted)
}

/// It is decided about when this has ended.
fn late(overdue: Overdue) -> Decision {
    Decision {
        plan: Plan::Late(overdue),
        ..dropped(CtState::Invalid, Reason::NoSession)
    }
}

fn answered(case: &Case<'_>, judgement: Judgement, answer: Answer) -> Decision {
    Decision::new(judgement, Plan::Answer(*case.headers, answer))
}

fn ttl_expired(case: &Case<'_>, judgement: Judgement) -> Decision {
    answered(case, judgement, Answer::Error(Complaint::TimeExceeded))
}
