//! A session that begins, in words: its tuples, its public endpoint, its life.

use std::time::Duration;

use super::Steps;
use crate::cli::words::length;
use crate::engine::{Lease, Moved};
use crate::nat::{Pooling, SourceChoice, SourceTarget};
use crate::net::{Direction, NatRow, Protocol};
use crate::session::{FlowState, Life, LifetimeName, Origin, SctpState, State, TcpState};

impl Steps<'_> {
    /// Both tuples, as packets arrive, and how long it lives.
    pub(super) fn begins(&mut self, origin: &Origin, left: Duration) {
        for (direction, name) in [
            (Direction::Original, "original"),
            (Direction::Reply, "reply   "),
        ] {
            let by = self.zone_name(origin.egress[!direction]).to_owned();
            let tuple = origin.tuples[direction];
            self.say("session", format!("{name} {tuple} by zone {by}"));
        }
        let lifetime = self.policy().lifetimes.get(origin.lifetime);
        let protocol = origin.tuples.original.protocol;
        let (goal, word) = match protocol {
            Protocol::TCP => (State::Tcp(TcpState::Established), "established"),
            Protocol::SCTP => (State::Sctp(SctpState::Established), "established"),
            _ => (State::Flow(FlowState::Replied), "answered"),
        };
        let then = length(lifetime.lasts(goal, Life::OfState, protocol));
        let says = match &lifetime.name {
            LifetimeName::Timeouts => String::new(),
            LifetimeName::Named(name) => format!(", as lifetime {name} says"),
            LifetimeName::Service(name) => format!(", as service {name} says"),
        };
        self.say(
            "lives",
            format!("{} unanswered, {then} {word}{says}", length(left)),
        );
    }

    /// Where the address that a row gives comes from.
    pub(super) fn drawn(&self, choice: SourceChoice) -> String {
        let nat = &self.policy().nat;
        let SourceChoice::From(row, _) = choice else {
            return String::new();
        };
        let target = match row {
            NatRow::Source(n) => nat.source.get(usize::from(n)).map(|row| &row.target),
            NatRow::Forward(n) => nat
                .forwards
                .get(usize::from(n))
                .and_then(|row| row.client.as_ref()),
            NatRow::Static(_) => return ", its own public address".to_owned(),
        };
        match target {
            Some(SourceTarget::Masquerade) | None => ", the gateway's own",
            Some(SourceTarget::Pool(_, Pooling::Paired)) => {
                ", this client's of the row's addresses"
            }
            Some(SourceTarget::Pool(_, Pooling::Preferred)) => {
                ", this client's of the row's addresses as long as it has a port left"
            }
            Some(SourceTarget::Pool(_, Pooling::Arbitrary)) => {
                ", this client's towards this server of the row's addresses"
            }
            Some(SourceTarget::Deterministic(_)) => ", this client's by arithmetic",
            Some(SourceTarget::Network(_)) => ", the host of the same number",
            Some(SourceTarget::Exempt) => "",
        }
        .to_owned()
    }
}

/// How the port of a public endpoint was found, in words.
pub(super) fn lease(lease: Lease) -> String {
    match lease {
        Lease::Kept => "kept".to_owned(),
        Lease::Held => "the one that the socket's mapping has already".to_owned(),
        Lease::Moved(why) => format!("another: {}", moved(why)),
    }
}

fn moved(why: Moved) -> String {
    match why {
        Moved::Random => "the row draws them at random".to_owned(),
        Moved::OutOfRange => "the client's own is not one of the row's".to_owned(),
        Moved::Reserved => "a forward, or `reserved`, keeps the client's own".to_owned(),
        Moved::Resting => "somebody let go of the client's own lately, and it rests".to_owned(),
        Moved::Owned(inside) => format!("{inside} has the client's own for itself"),
        Moved::Shared => "others use the client's own".to_owned(),
        Moved::Session(id) => format!("session {id} has the client's own towards this server"),
        Moved::Expected => "an announced data session awaits the client's own".to_owned(),
    }
}
