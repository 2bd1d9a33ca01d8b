//! Sessions come back that were saved.
//!
//! A session that comes back is in the table as one that began, and counts as one; but it
//! keeps its number, and what is known of it. What it holds it holds again by its own
//! claims: of mappings only that is saved which no session says ([`Aftermath`]).

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::blocks::Lease;
use super::census::Standing;
use super::claims::Granted;
use super::index::Entry;
use super::key::Key;
use super::mapping::Mapping;
use super::mappings::{AtRest, Leased, On};
use super::record::{Session, Update};
use super::state::{Handle, SessionId};
use super::store::Begun;
use super::table::Sessions;
use crate::net::{Direction, PerDirection, RowId, Timestamp};

/// What some sessions have of public endpoints that they do not say themselves.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Aftermath {
    /// Mappings, with what each was first made of.
    pub(crate) mappings: Vec<Mapping>,
    /// What clients with several blocks have.
    pub(crate) leases: Vec<ClientsLeases>,
}

/// The blocks of a client, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClientsLeases {
    pub(crate) row: RowId,
    client: IpAddr,
    order: Vec<Lease>,
}

impl ClientsLeases {
    /// The client.
    pub(crate) fn client(&self) -> IpAddr {
        self.client
    }

    /// The same by another row.
    pub(crate) fn by(self, row: RowId) -> Self {
        Self { row, ..self }
    }
}

impl Sessions {
    /// What these sessions have besides what they say themselves.
    pub(crate) fn aftermath(&self, sessions: &[Session]) -> Aftermath {
        let mut found = Aftermath::default();
        let (mut mapped, mut clients) = (BTreeSet::new(), BTreeSet::new());
        for Session { origin, .. } in sessions {
            for mapping in self.mappings.of_session(origin) {
                if mapped.insert((mapping.protocol, mapping.outside)) {
                    found.mappings.push(*mapping);
                }
            }
            if let Some(Leased { row, client, .. }) = self.mappings.lease_of_session(origin)
                && let order = self.mappings.blocks().leases(row, client)
                && order.len() > 1
                && clients.insert((row, client))
            {
                found.leases.push(ClientsLeases {
                    row,
                    client,
                    order: order.to_vec(),
                });
            }
        }
        found
    }

    /// Some of the public endpoints and blocks that rest, from a place on; `None`: there
    /// are no more.
    pub(crate) fn resting(&self, from: usize, most: usize) -> Option<Vec<AtRest>> {
        self.mappings.resting(from, most)
    }

    /// The number of the session that began last, lives it or not.
    pub(crate) fn last_id(&self) -> SessionId {
        // What would have been given before the next.
        SessionId(self.next.saturating_sub(self.step()))
    }

    /// No session that begins has this number, or one before it.
    pub(crate) fn count_from(&mut self, last: SessionId) {
        if self.next <= last.0 {
            let steps = (last.0 - self.next) / self.step() + 1;
            self.next = self.next.saturating_add(steps.saturating_mul(self.step()));
        }
    }

    /// Has a session in the table again. `None`: another has one of its tuples.
    pub(crate) fn revive(&mut self, session: &Session, now: Timestamp) -> Option<Handle> {
        let Session {
            id,
            ref origin,
            tracked,
            heard,
            deadline,
            ..
        } = *session;
        let is_taken = |direction: &Direction| self.entry(&origin.tuples[*direction]).is_some();
        if Direction::BOTH.iter().any(is_taken) {
            return None;
        }
        if self.claim(origin) == Granted::Nothing {
            return None;
        }
        let standing = Standing::of(tracked.state(), heard);
        let keys = PerDirection {
            original: Key::of(&origin.tuples.original),
            reply: Key::of(&origin.tuples.reply),
        };
        let slot = self.store.insert(&Begun {
            id,
            origin,
            keys: &keys,
            now,
            first: &Update {
                direction: Direction::Original,
                tracked,
                heard,
                deadline,
                bytes: 0,
            },
            standing,
        });
        self.store.put_back(slot, session);
        for direction in Direction::BOTH {
            self.enter_index(&keys[direction], Entry { slot, direction });
        }
        self.wheel.arm(slot, id, deadline);
        self.census.enter(slot, standing, origin);
        if let Some(post) = self.post() {
            post.began(standing, origin.rule);
        }
        self.mappings.enter(origin, now, On::Revival);
        self.count_from(id);
        Some(Handle { id, slot })
    }

    /// What sessions will hold that come back.
    pub(crate) fn revive_mappings(&mut self, mappings: &[Mapping]) {
        for mapping in mappings {
            self.mappings.revive(mapping);
        }
    }

    /// All sessions are there again that have this besides what they say themselves.
    pub(crate) fn settle(&mut self, saved: &Aftermath) {
        for mapping in &saved.mappings {
            self.mappings.tell_revived(mapping);
        }
        for ClientsLeases { row, client, order } in &saved.leases {
            self.mappings.order_leases((*row, *client), order);
        }
    }

    /// Lays down again what rested.
    pub(crate) fn lay_down(&mut self, at_rest: AtRest, now: Timestamp) {
        self.mappings.lay_down(at_rest, now);
    }
}
