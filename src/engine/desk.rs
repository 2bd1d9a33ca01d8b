//! The desk at which ALGs ask for holes.
//!
//! A data session is translated as its control session is
//! (`nf_nat_follow_master`): what travels its way in the control session arrives
//! at, and leaves with, the same addresses. The port of a hole is the announced
//! one where nobody else has it; else one is drawn.
//!
//! Asking changes nothing: what was asked for becomes a list of changes, which
//! committing carries out.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::Policy;
use super::decide::is_a_hosts;
use crate::alg::{Admits, Announcement, Desk, Fixed, Hole, NoHole, Settings, Whose};
use crate::nat::ports_from;
use crate::net::{
    Asking, Direction, Endpoint, Family, Place, Port, Protocol, Timestamp, Tuple, ZoneId,
};
use crate::rules::RuleId;
use crate::session::{
    Expectation, ExpectedTuple, Handle, Mappings, Origin, Readiness, Sessions, TupleHash, Usage,
};

/// What an ALG asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HoleChange {
    /// A data session is expected.
    Expect(Expected),
    /// It may come.
    Admit(ExpectedTuple),
    /// It is expected no more.
    Withdraw(ExpectedTuple),
}

/// An [`Expectation`] of a control session that may not be in the table yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Expected {
    pub(super) tuple: ExpectedTuple,
    source_port: Option<Port>,
    readiness: Readiness,
    direction: Direction,
    to: Endpoint,
    source: IpAddr,
    pub(super) egress: ZoneId,
    pub(super) deadline: Timestamp,
}

impl From<&Expectation> for Expected {
    fn from(expectation: &Expectation) -> Self {
        let Expectation {
            tuple,
            source_port,
            readiness,
            parent: _,
            direction,
            to,
            source,
            egress,
            deadline,
        } = *expectation;
        Self {
            tuple,
            source_port,
            readiness,
            direction,
            to,
            source,
            egress,
            deadline,
        }
    }
}

impl Expected {
    /// What its first packet looks like.
    pub(super) fn tuple(&self) -> ExpectedTuple {
        self.tuple
    }

    /// Whether all its addresses are of this family.
    pub(super) fn is_of(&self, family: Family) -> bool {
        let own = [
            self.tuple.source,
            self.tuple.destination.address,
            self.to.address,
            self.source,
        ];
        own.iter().all(|address| Family::of(*address) == family)
    }

    /// That of this control session.
    pub(super) fn of(self, parent: Handle) -> Expectation {
        Expectation {
            tuple: self.tuple,
            source_port: self.source_port,
            readiness: self.readiness,
            parent,
            direction: self.direction,
            to: self.to,
            source: self.source,
            egress: self.egress,
            deadline: self.deadline,
        }
    }
}

/// What the control session's state is consulted and asked with.
pub(super) struct Circumstances<'a> {
    pub(super) sessions: &'a Sessions,
    pub(super) policy: &'a Policy,
    pub(super) hash: TupleHash,
    pub(super) now: Timestamp,
}

/// The engine's side of an ALG's request.
pub(super) struct EngineDesk<'a> {
    circumstances: &'a Circumstances<'a>,
    origin: &'a Origin,
    /// What the control session expects, as it will be.
    holes: Vec<ExpectedTuple>,
    changes: Vec<HoleChange>,
}

impl<'a> EngineDesk<'a> {
    pub(super) fn new(
        circumstances: &'a Circumstances<'a>,
        origin: &'a Origin,
        holes: &[ExpectedTuple],
    ) -> Self {
        Self {
            circumstances,
            origin,
            holes: holes.to_vec(),
            changes: Vec::new(),
        }
    }

    /// What the control session expects from now on, and how that comes about.
    pub(super) fn outcome(self) -> (Vec<ExpectedTuple>, Vec<HoleChange>) {
        (self.holes, self.changes)
    }

    /// Whether another data session, or a session that is there, might be meant
    /// by this tuple, or a packet of it leads elsewhere by the file.
    fn is_taken(&self, tuple: &ExpectedTuple, announcement: &Announcement) -> bool {
        let sessions = self.circumstances.sessions;
        // A live session of the very same two ends would swallow the data
        // session; active servers speak from port 20.
        let from = announcement.from.unwrap_or(Port(20));
        let likely = Tuple::new(
            tuple.protocol,
            Endpoint::new(tuple.source, from),
            tuple.destination,
        );
        let is_expected = match self.holes.contains(tuple) {
            true => !self.gives_way(tuple, announcement),
            false => sessions.expected_by(tuple).is_some(),
        };
        is_expected
            || sessions.find(&likely).is_some()
            || sessions.is_anothers(&likely)
            || sessions.is_expected_elsewhere(tuple)
            || self.leads_elsewhere(&likely, announcement)
    }

    /// Whether a hole of this session makes room for this announcement: it is for
    /// the same endpoint, or is the one too many.
    fn gives_way(&self, tuple: &ExpectedTuple, announcement: &Announcement) -> bool {
        let asked = self.changes.iter().rev().find_map(|change| match change {
            HoleChange::Expect(expected) if expected.tuple == *tuple => Some(expected.to),
            _ => None,
        });
        let known = || self.circumstances.sessions.expectations().get(tuple);
        let to = asked.or_else(|| known().map(|expected| expected.to));
        let is_too_many = self.holes.len() >= self.most(announcement.protocol);
        to == Some(announcement.endpoint) || is_too_many && self.holes.first() == Some(tuple)
    }

    /// How many data sessions the control session may expect.
    fn most(&self, protocol: Protocol) -> usize {
        match protocol {
            Protocol::TCP => self.settings().ftp.most_expected.max(1),
            _ => 1,
        }
    }

    /// Whether a public port is a socket's own, one that the operator keeps, or
    /// one that is forwarded to another host. That a forward leads to this very
    /// server's data port is as it should be.
    fn leads_elsewhere(&self, tuple: &Tuple, announcement: &Announcement) -> bool {
        let public = tuple.destination;
        if public.address == self.end_of(announcement.by).address {
            return false;
        }
        let Circumstances {
            sessions, policy, ..
        } = self.circumstances;
        let mapping = sessions.mappings().usage(tuple.protocol, public);
        match mapping {
            // Nobody may have it yet.
            Usage::Resting => return true,
            Usage::Mapped(mapping) if mapping.inside != announcement.endpoint => return true,
            _ => {}
        }
        let mapped = sessions.mappings().mapped_anywhere(tuple.protocol, public);
        if mapped.is_some_and(|mapping| mapping.inside != announcement.endpoint) {
            return true;
        }
        let arrives_by = self.origin.egress[announcement.by];
        let inward = policy.nat.inward(arrives_by, tuple, &policy.zones);
        policy.nat.keeps(tuple.protocol, public)
            || inward.is_some_and(|found| found.tuple.destination != announcement.endpoint)
    }

    /// The ports that may be drawn where the announced one is not free: those
    /// that the client's translation has, where it is its public address.
    fn drawn_from(&self, by: Direction) -> Option<RangeInclusive<u16>> {
        if by != Direction::Original {
            return None;
        }
        if let Some(range) = self.clients_own() {
            return Some(range);
        }
        let Circumstances { policy, hash, .. } = self.circumstances;
        let tuples = &self.origin.tuples;
        let asking = Asking {
            from: self.origin.egress.reply,
            to: Place::Zone(self.origin.egress.original),
            tuple: &Tuple {
                destination: tuples.reply.source,
                ..tuples.original
            },
        };
        let (services, zones) = (&policy.services, &policy.zones);
        let inward = policy.nat.inward(asking.from, &tuples.original, zones);
        let places = (services, zones);
        let outward = policy
            .nat
            .outward(&asking, inward.as_ref(), places, |_| hash.of(asking.tuple));
        let range = outward.row?.ports.range.as_ref()?;
        Some(range.start().0..=range.end().0)
    }

    /// The range or block of its client's own that the control session's public
    /// endpoint lies in.
    fn clients_own(&self) -> Option<RangeInclusive<u16>> {
        let holding = Mappings::holding(self.origin)?;
        let row = self
            .circumstances
            .policy
            .nat
            .source
            .get(holding.row.place())?;
        let (_, public) = holding.public;
        row.has_ranges()
            .then(|| row.range_around(holding.client, public))?
    }

    /// The first endpoint that will do.
    fn free(&self, announcement: &Announcement) -> Result<ExpectedTuple, NoHole> {
        let arriving = &self.origin.tuples[!announcement.by];
        let address = arriving.destination.address;
        let expected_at = |port| ExpectedTuple {
            protocol: announcement.protocol,
            source: arriving.source.address,
            destination: Endpoint::new(address, port),
        };
        let announced = announcement.endpoint.port;
        if announcement.fixed == Fixed::ToControl {
            let tuple = expected_at(arriving.destination.port);
            return match self.is_taken(&tuple, announcement) {
                true => Err(NoHole::NoPort),
                false => Ok(tuple),
            };
        }
        // Each control session searches from a place of its own, which nobody
        // can foretell who does not know the seed.
        let own = self.origin.tuples.original;
        let start = self.circumstances.hash.of(&(own, expected_at(announced)));
        let is_public = self.translates(announcement.by);
        let range = self.drawn_from(announcement.by).filter(|_| is_public);
        let keeps = range
            .as_ref()
            .is_none_or(|range| range.contains(&announced.0));
        let drawn = ports_from(range.unwrap_or(1024..=65535), start);
        let settings = &self.circumstances.policy.algs.ftp;
        let fits = |port: &Port| settings.allows(*port);
        std::iter::once(announced)
            .filter(|_| keeps)
            .chain(drawn.filter(fits))
            .map(expected_at)
            .find(|tuple| !self.is_taken(tuple, announcement))
            .ok_or(NoHole::NoPort)
    }

    /// A host that is no end of the control session: it is reached as it is.
    fn of_a_friend(&self, announcement: &Announcement) -> Result<(ExpectedTuple, ZoneId), NoHole> {
        let arriving = &self.origin.tuples[!announcement.by];
        let tuple = ExpectedTuple {
            protocol: announcement.protocol,
            source: arriving.source.address,
            destination: announcement.endpoint,
        };
        let zones = &self.circumstances.policy.zones;
        let arrives_by = self.origin.egress[announcement.by];
        match zones.route(announcement.endpoint.address) {
            Some(Place::Zone(zone)) if zone != arrives_by => {
                match self.is_taken(&tuple, announcement) {
                    true => Err(NoHole::NoPort),
                    false => Ok((tuple, zone)),
                }
            }
            _ => Err(NoHole::NoRoute),
        }
    }

    fn is_full(&self) -> bool {
        let Circumstances {
            sessions, policy, ..
        } = self.circumstances;
        let expected = self.changes.iter().fold(
            sessions.expectations().len(),
            |expected, change| match change {
                HoleChange::Expect(_) => expected + 1,
                HoleChange::Admit(_) => expected,
                HoleChange::Withdraw(_) => expected.saturating_sub(1),
            },
        );
        expected >= policy.limits.expectations
    }

    fn tuple_of(&self, hole: Hole) -> ExpectedTuple {
        ExpectedTuple {
            protocol: hole.protocol,
            source: self.origin.tuples[!hole.by].source.address,
            destination: hole.reached_at,
        }
    }

    fn drop_hole(&mut self, tuple: ExpectedTuple) {
        if self.holes.contains(&tuple) {
            self.holes.retain(|own| *own != tuple);
            self.changes.push(HoleChange::Withdraw(tuple));
        }
    }
}

impl Desk for EngineDesk<'_> {
    fn settings(&self) -> &Settings {
        &self.circumstances.policy.algs
    }

    fn end_of(&self, direction: Direction) -> Endpoint {
        self.origin.tuples[direction].source
    }

    fn translates(&self, by: Direction) -> bool {
        self.origin.tuples[!by].destination.address != self.end_of(by).address
    }

    fn whose(&self, address: IpAddr) -> Whose {
        let policy = self.circumstances.policy;
        let rule = self
            .origin
            .rule
            .and_then(|rule| policy.rules.get(RuleId(rule)));
        let friends = rule.and_then(|rule| rule.third_parties.as_ref());
        if !is_a_hosts(policy.profile, address) || policy.zones.is_broadcast(address) {
            Whose::NoHosts
        } else if policy.zones.is_own(address) {
            Whose::Gateways
        } else if friends.is_some_and(|friends| friends.contains(address)) {
            Whose::Friends
        } else {
            Whose::Hosts
        }
    }

    /// Of more announcements than the session may have the oldest goes, whether
    /// they stand in one segment or in several.
    fn expect(&mut self, announcement: Announcement) -> Result<Hole, NoHole> {
        let direction = !announcement.by;
        let origin = self.origin;
        let leaves_from = origin.outgoing(direction).source.address;
        let is_friends = announcement.endpoint.address != self.end_of(announcement.by).address;
        let usual = origin.egress[direction];
        let (tuple, egress) = match is_friends {
            true => self.of_a_friend(&announcement)?,
            false => (self.free(&announcement)?, usual),
        };
        if !announcement.allows(tuple.destination) {
            return Err(NoHole::NeedsRewrite);
        }
        let most = self.most(announcement.protocol);
        self.drop_hole(tuple);
        while self.holes.len() >= most {
            let Some(oldest) = self.holes.first().copied() else {
                break;
            };
            self.drop_hole(oldest);
        }
        if self.is_full() {
            return Err(NoHole::Limit);
        }
        let lifetime = self.circumstances.policy.lifetimes.get(origin.lifetime);
        self.holes.push(tuple);
        self.changes.push(HoleChange::Expect(Expected {
            tuple,
            source_port: announcement.from,
            readiness: match announcement.admits {
                Admits::AtOnce => Readiness::Ready,
                Admits::OnceAccepted => Readiness::Unaccepted,
            },
            direction,
            to: announcement.endpoint,
            source: match egress == usual {
                true => leaves_from,
                false => tuple.source,
            },
            egress,
            deadline: self.circumstances.now.after(lifetime.timeouts.expectation),
        }));
        Ok(Hole {
            by: announcement.by,
            protocol: announcement.protocol,
            reached_at: tuple.destination,
        })
    }

    fn admit(&mut self, hole: Hole) {
        let tuple = self.tuple_of(hole);
        if self.holes.contains(&tuple) {
            self.changes.push(HoleChange::Admit(tuple));
        }
    }

    fn withdraw(&mut self, hole: Hole) {
        self.drop_hole(self.tuple_of(hole));
    }

    fn withdraw_all(&mut self) {
        for tuple in std::mem::take(&mut self.holes) {
            self.changes.push(HoleChange::Withdraw(tuple));
        }
    }
}
