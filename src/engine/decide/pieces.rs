//! A piece of a datagram; and what is too long for the link it leaves by.

use super::super::fragments::{Fate, Key};
use super::super::observer::{Observer, Step};
use super::super::swing::Owner;
use super::super::{Arrival, CtState, Engine, Judgement, Reason, Verdict};
use super::plan::{Answer, Decision, Gathered, Overdue, Plan};
use super::{Case, answered, dropped, late};
use crate::net::Timestamp;
use crate::packet::{self, BadPiece, Checksum, Complaint, Cuts, Cutting, Fragment, Piece};
use crate::session::Session;

impl Engine {
    /// A piece of a datagram: kept, or with the last one the whole datagram
    /// goes the path as one packet.
    pub(super) fn decide_piece(
        &self,
        case: &Case<'_>,
        piece: &Piece,
        why: &mut impl Observer,
    ) -> Decision {
        let key = Key::new(case.arrival.zone, case.headers, piece);
        let refused = |reason| dropped(ct_of(reason), reason);
        let spoiled = |reason| Decision {
            plan: Plan::Spoil(key, reason),
            ..refused(reason)
        };
        match piece.check(case.headers) {
            Ok(()) => {}
            Err(BadPiece::Misaligned | BadPiece::TooLong) => return refused(Reason::BadLength),
            Err(BadPiece::Empty) => return spoiled(Reason::BadLength),
            Err(BadPiece::Tiny) => return spoiled(Reason::FragmentTiny),
        }
        let held = |plan| Decision {
            judgement: Judgement {
                verdict: Verdict::Hold,
                ..dropped(CtState::Untracked, Reason::FragmentHeld).judgement
            },
            plan,
            shortage: None,
        };
        if self.fragments.is_late(&key, case.now) {
            return late(Overdue::Datagram(key));
        }
        match self
            .fragments
            .judge(&self.policy.fragments, &key, piece, case.frame)
        {
            Fate::Kept => held(Plan::Keep(key, *piece)),
            Fate::Repeated => held(Plan::Nothing),
            Fate::Refused(reason) => refused(reason),
            Fate::Spoils(reason) => spoiled(reason),
            Fate::Completes(whole, cuts) => {
                why.step(Step::Gathered {
                    pieces: cuts.sizes.len(),
                    octets: whole.len(),
                });
                let came = (case.now, case.arrival);
                self.decide_gathered(came, Some(key), (whole, cuts), why)
            }
        }
    }

    /// A datagram that is whole: it goes the path as one packet.
    pub(in crate::engine) fn decide_gathered(
        &self,
        (now, arrival): (Timestamp, Arrival),
        key: Option<Key>,
        (whole, cuts): (Vec<u8>, Cuts),
        why: &mut impl Observer,
    ) -> Decision {
        // Whoever cut it had to finish its checksum first.
        let arrival = Arrival {
            checksum: Checksum::Complete,
            segments: None,
            ..arrival
        };
        let Decision {
            judgement,
            plan,
            shortage,
        } = match self.read(arrival, (&whole, None), why) {
            Err((ct, reason)) => dropped(ct, reason),
            // Pieces within pieces: no honest sender makes them.
            Ok((headers, _)) if headers.fragment != Fragment::No => {
                dropped(CtState::Invalid, Reason::BadHeader)
            }
            Ok((headers, sound)) => {
                let case = Case {
                    now,
                    arrival,
                    frame: &whole,
                    headers: &headers,
                    hash: None,
                    owner: Owner::Unasked,
                };
                self.decide_whole(&case, sound, cuts.largest, why)
            }
        };
        let gathered = Gathered {
            key,
            whole,
            cuts,
            plan,
        };
        Decision {
            judgement,
            plan: Plan::Gathered(Box::new(gathered)),
            shortage,
        }
    }

    /// Refuses what would be too long for the link and may not be cut. `longest` is what
    /// the link would have to take in one.
    pub(super) fn refuse_too_long(&self, case: &Case<'_>, decision: &mut Decision, longest: usize) {
        let Verdict::Forward(zone) = decision.judgement.verdict else {
            return;
        };
        let Some(mtu) = self.mtu(zone) else {
            return;
        };
        if longest <= usize::from(mtu) || packet::cutting(case.frame) == Cutting::Allowed {
            return;
        }
        let state = match &decision.plan {
            Plan::Pass(_, pass) => self.sessions.get(pass.handle).as_ref().map(Session::state),
            Plan::Error(..) | Plan::LetBy(..) => decision.judgement.state,
            _ => None,
        };
        let refused = Judgement {
            verdict: Verdict::Reject,
            reason: Reason::PacketTooBig,
            state,
            ..decision.judgement
        };
        *decision = answered(case, refused, Answer::Error(Complaint::TooBig(mtu)));
    }
}

fn ct_of(reason: Reason) -> CtState {
    match reason {
        Reason::FragmentLimit => CtState::Untracked,
        _ => CtState::Invalid,
    }
}
