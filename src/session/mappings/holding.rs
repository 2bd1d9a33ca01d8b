//! Sessions take the public endpoints that they claim, and let go of them.

use super::super::accounts::{Public, add, take};
use super::super::blocks::Lease;
use super::super::mapping::Permission;
use super::super::note::Change;
use super::super::record::Origin;
use super::public_address::Place;
use super::resting::Rest;
use super::{Behaviour, Claim, Held, Holder, Mapping, Mappings, On, public_of};
use crate::net::{Direction, PerDirection, RowId, Terms, Timestamp, ZoneId};

impl Mapping {
    /// What one end of a session is the first to hold.
    pub(super) fn begun(
        origin: &Origin,
        end: Direction,
        held: &Held,
        (behaviour, known_in, row): (Behaviour, ZoneId, RowId),
    ) -> Self {
        let (protocol, outside) = held.public;
        Self {
            protocol,
            inside: held.inside,
            outside,
            known_in,
            far: behaviour.mapping.far(held.far),
            behaviour,
            first: Permission {
                home: held.home,
                rule: origin.rule,
                row: match end {
                    Direction::Original => origin.nat.source,
                    Direction::Reply => origin.nat.destination,
                },
                service: origin.service,
                lifetime: origin.lifetime,
            },
            row,
            holders: 1,
        }
    }
}

impl Mappings {
    /// A session takes what it claims.
    #[inline]
    pub(in crate::session) fn enter(&mut self, origin: &Origin, at: Timestamp, on: On) {
        // Most claim no more than this.
        match origin.claims {
            PerDirection {
                original: Some(Claim::Shared(row)),
                reply: None,
            } if self.keeps_no_account(row) => self.share(public_of(origin, Direction::Original)),
            _ => self.enter_claims(origin, at, on),
        }
    }

    #[inline(never)]
    fn enter_claims(&mut self, origin: &Origin, at: Timestamp, on: On) {
        for end in Direction::BOTH {
            let Some(claim) = origin.claims[end] else {
                continue;
            };
            if let Claim::Shared(row) = claim
                && self.keeps_no_account(row)
            {
                self.share(public_of(origin, end));
                continue;
            }
            let held = Held::of(origin, end);
            let is_new = match claim {
                Claim::Shared(row) => {
                    self.share(held.public);
                    row.is_some_and(|row| self.counts(row) && self.take_share(row, &held))
                }
                Claim::Mapped(behaviour, known_in, row) => {
                    self.hold(origin, end, (behaviour, known_in, row))
                }
            };
            if let Some(row) = claim.row() {
                if is_new {
                    self.began((row, claim), &held, at, on);
                }
                self.enter_block(row, &held);
                if on != On::Reservation {
                    self.note_session(row, &held, Change::Began);
                }
            }
        }
    }

    /// A session lets go of what it claimed.
    pub(in crate::session) fn leave(&mut self, origin: &Origin, at: Timestamp, on: On) {
        for end in Direction::BOTH {
            let Some(claim) = origin.claims[end] else {
                continue;
            };
            if let Claim::Shared(row) = claim
                && self.keeps_no_account(row)
            {
                self.let_go(public_of(origin, end), at);
                continue;
            }
            let held = Held::of(origin, end);
            if let Claim::Mapped(behaviour, ..) = claim
                && end == Direction::Original
            {
                let contact = (held.public, behaviour.filtering.far(held.far));
                take(&mut self.contacts, &contact);
                if let Some(post) = &self.post {
                    post.take_contact(contact.0, contact.1);
                }
            }
            let row = claim.row();
            if let Some(row) = row.filter(|_| on == On::Session) {
                self.note_session(row, &held, Change::Ended);
            }
            let is_last = match claim {
                Claim::Shared(row) => {
                    self.let_go(held.public, at);
                    row.is_some_and(|row| {
                        let client = held.inside.address;
                        self.counts(row) && self.accounts.give_back_share(row, client, held.public)
                    })
                }
                Claim::Mapped(..) => self.let_go(held.public, at),
            };
            if let Some(row) = row {
                if is_last {
                    self.note_mapping(row, claim, &held, Change::Ended);
                }
                self.leave_block(row, &held, at);
            }
        }
    }

    /// A client has a public endpoint that it did not have.
    pub(super) fn began(
        &mut self,
        (row, claim): (RowId, Claim),
        held: &Held,
        at: Timestamp,
        on: On,
    ) {
        let Some(terms) = self.terms.get(row.place()) else {
            return;
        };
        if let Some(rate) = terms.rate.filter(|_| on != On::Revival) {
            self.accounts.spend(row, held.inside.address, rate, at);
        }
        self.note_mapping(row, claim, held, Change::Began);
    }

    pub(super) fn counts(&self, row: RowId) -> bool {
        self.terms(row).is_some_and(Terms::counts)
    }

    /// Whether nothing is counted, leased or written down of what is shared by this row.
    fn keeps_no_account(&self, row: Option<RowId>) -> bool {
        let terms = row.and_then(|row| self.terms(row));
        terms.is_none_or(Terms::keep_no_account)
    }

    fn share(&mut self, public: Public) {
        match self.public.get_mut(&public) {
            Some(Holder::Mapped(mapping)) => mapping.holders += 1,
            Some(Holder::Resting) => {
                self.public.remove(&public);
                self.at_rest -= 1;
                self.free_port(public);
                self.share_port(public);
            }
            None => self.share_port(public),
        }
    }

    /// One session more shares a public endpoint that is nobody's own.
    fn share_port(&mut self, (protocol, public): Public) {
        let place = Place::new(protocol, public.address);
        let Some(address) = self.addresses.taken(place) else {
            return;
        };
        if address.share(public.port.0) == 1 {
            address.take(public.port.0);
            self.shared += 1;
        }
    }

    /// Whether the mapping is a new one.
    pub(super) fn hold(
        &mut self,
        origin: &Origin,
        end: Direction,
        (behaviour, known_in, row): (Behaviour, ZoneId, RowId),
    ) -> bool {
        let held = Held::of(origin, end);
        let (protocol, _) = held.public;
        let begun = Mapping::begun(origin, end, &held, (behaviour, known_in, row));
        // Another worker may have it by another far end already.
        let known = self
            .post
            .as_ref()
            .and_then(|post| post.mapping_of(held.public));
        let begun = known.map_or(begun, |(known, _)| Mapping {
            holders: 1,
            ..known
        });
        let is_shared = self.is_shared(held.public);
        let is_new = match self.public.get_mut(&held.public) {
            Some(Holder::Mapped(mapping)) => {
                mapping.holders += 1;
                false
            }
            Some(holder @ Holder::Resting) => {
                *holder = Holder::Mapped(begun);
                self.at_rest -= 1;
                true
            }
            None if is_shared => {
                self.share_port(held.public);
                false
            }
            None => {
                self.public.insert(held.public, Holder::Mapped(begun));
                self.take_port(held.public);
                true
            }
        };
        if is_new {
            if self.counts(row) {
                self.accounts.hold(row, held.inside.address, protocol);
            }
            self.sockets.insert(begun.socket(), begun.outside);
        }
        if end == Direction::Original {
            let contact = (held.public, behaviour.filtering.far(held.far));
            add(&mut self.contacts, contact);
            if let Some(post) = &self.post {
                post.add_contact(contact.0, contact.1);
            }
        }
        is_new
    }

    /// Whether nobody has it any more.
    pub(super) fn let_go(&mut self, public: Public, at: Timestamp) -> bool {
        let mapping = match self.public.get_mut(&public) {
            None => return self.let_go_of_shared(public),
            Some(Holder::Mapped(mapping)) => mapping,
            Some(Holder::Resting) => {
                debug_assert!(false, "a public endpoint at rest was let go of");
                return false;
            }
        };
        mapping.holders = mapping.holders.saturating_sub(1);
        if mapping.holders > 0 {
            return false;
        }
        let last = *mapping;
        self.sockets.remove(&last.socket());
        let (row, inside, protocol) = (last.row, last.inside, last.protocol);
        if self.counts(row) {
            self.accounts.let_go(row, inside.address, protocol);
        }
        // What another worker's sessions hold still, rests when they let go of it.
        if !self.is_used_elsewhere(protocol, last.outside)
            && self.may_rest(&last)
            && self.rest(row, Rest::Port(public), at)
        {
            self.public.insert(public, Holder::Resting);
            self.at_rest += 1;
            if let Some(post) = &self.post {
                post.rest(public);
            }
            return true;
        }
        self.public.remove(&public);
        self.free_port(public);
        self.is_free_again(public);
        true
    }

    /// Whether no session shares it any more.
    fn let_go_of_shared(&mut self, (protocol, public): Public) -> bool {
        let Some(address) = self.addresses.get_mut(Place::new(protocol, public.address)) else {
            debug_assert!(false, "a public endpoint that nobody took");
            return false;
        };
        if address.let_go(public.port.0) > 0 {
            return false;
        }
        self.shared -= 1;
        self.free_port((protocol, public));
        self.is_free_again((protocol, public));
        true
    }

    pub(super) fn take_share(&mut self, row: RowId, held: &Held) -> bool {
        let client = held.inside.address;
        self.accounts.take_share(row, client, held.public)
    }

    pub(super) fn take_port(&mut self, (protocol, public): Public) {
        let place = Place::new(protocol, public.address);
        if let Some(address) = self.addresses.taken(place) {
            address.take(public.port.0);
        }
    }

    pub(super) fn free_port(&mut self, (protocol, public): Public) {
        let place = Place::new(protocol, public.address);
        self.addresses.free_port(place, public.port.0);
    }

    pub(super) fn enter_block(&mut self, row: RowId, held: &Held) {
        let Some(lease) = self.lease_of(row, held.public) else {
            return;
        };
        let client = held.inside.address;
        if self.blocks.enter(row, client, lease) {
            self.note_block(row, client, lease, Change::Began);
        }
    }

    pub(super) fn leave_block(&mut self, row: RowId, held: &Held, at: Timestamp) {
        if let Some(lease) = self.lease_of(row, held.public)
            && let Some(client) = self.blocks.leave(row, lease)
        {
            self.note_block(row, client, lease, Change::Ended);
            if self.is_anothers_block(row, lease) || !self.rest(row, Rest::Block(lease), at) {
                self.free_block_again(row, lease);
            } else if let Some(post) = &self.post {
                post.rest_block(row, lease);
            }
        }
    }

    /// The block that a public endpoint lies in.
    pub(super) fn lease_of(&self, row: RowId, (_, public): Public) -> Option<Lease> {
        let block = self.terms(row)?.blocks?.block_of(public.port)?;
        Some(Lease {
            address: public.address,
            block,
        })
    }
}
