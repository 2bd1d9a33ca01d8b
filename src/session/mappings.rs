//! Mappings: which public endpoint stands for which client socket, and who
//! holds it.
//!
//! An index over the sessions, as the tuples are: a session holds its public
//! endpoint while it is in the table, and lets go of it by leaving. Most share
//! theirs with whoever talks to other servers (conntrack's way); those of rows
//! that ask for more have a [`Mapping`], which belongs to one socket alone and
//! may let strangers in.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use super::accounts::{Accounts, Public, Tally, add, take};
use super::blocks::{Blocks, Lease};
use super::hash::TupleHash;
use super::note::{Change, Note, Noted};
use super::port_map::PortMap;
use super::record::Origin;
use crate::net::{
    Dependence, Direction, Endpoint, Far, LifetimeId, Logged, NatRow, Port, Protocol, Rate, Rests,
    RowId, ServiceId, Terms, Timestamp, ZoneId,
};

/// What a session holds of the public endpoint of one of its ends, and by which
/// row of source translation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// The endpoint towards its far end only.
    Shared(Option<RowId>),
    /// A mapping of this behaviour, which is known in this zone.
    Mapped(Behaviour, ZoneId, RowId),
}

impl Claim {
    /// The row by whose terms it is held.
    #[must_use]
    pub fn row(self) -> Option<RowId> {
        match self {
            Self::Shared(row) => row,
            Self::Mapped(_, _, row) => Some(row),
        }
    }
}

/// How a mapping behaves (RFC 4787).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Behaviour {
    /// For which far ends the socket keeps its public endpoint.
    pub mapping: Dependence,
    /// Which far ends may come in by it.
    pub filtering: Dependence,
}

/// A client socket's public endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mapping {
    /// The transport protocol.
    pub protocol: Protocol,
    /// The client's socket.
    pub inside: Endpoint,
    /// Its public endpoint.
    pub outside: Endpoint,
    /// The zone in which it is known by that.
    pub known_in: ZoneId,
    /// To whom.
    pub far: Far,
    /// How it behaves.
    pub behaviour: Behaviour,
    /// What its first session was made of: whoever comes in by it is let in by
    /// the same word, and lives as long.
    pub first: Permission,
    /// The row that gave it out. Another row gives the same socket another one.
    pub row: RowId,
    /// How many sessions hold it.
    pub holders: u32,
}

/// What a mapping's first session was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permission {
    /// The zone that the client is in.
    pub home: ZoneId,
    /// The place of the rule.
    pub rule: Option<u16>,
    /// The row that made the mapping.
    pub row: Option<NatRow>,
    /// The service.
    pub service: Option<ServiceId>,
    /// How long it lives.
    pub lifetime: LifetimeId,
}

/// Who has a public endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage<'m> {
    /// Nobody.
    Free,
    /// Sessions, each towards its far end.
    Shared,
    /// One socket.
    Mapped(&'m Mapping),
    /// Nobody any more, and nobody yet.
    Resting,
}

/// A socket, the row that it is mapped by, the zone in which it is to be known,
/// and to whom.
type Socket = (Protocol, Endpoint, RowId, ZoneId, Far);

#[derive(Debug)]
enum Holder {
    Shared(u32),
    Mapped(Mapping),
    Resting,
}

/// What somebody has let go of, and nobody may have yet.
#[derive(Debug, Clone, Copy)]
enum Rest {
    Port(Public),
    Block(Lease),
}

/// A public endpoint that a client holds by a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holding {
    /// The row.
    pub row: RowId,
    /// The client.
    pub client: IpAddr,
    /// The protocol and the endpoint.
    pub public: (Protocol, Endpoint),
}

/// All of them.
#[derive(Debug)]
pub struct Mappings {
    public: HashMap<Public, Holder, TupleHash>,
    sockets: HashMap<Socket, Endpoint, TupleHash>,
    /// Which ports of each address anybody has.
    ports: HashMap<(Protocol, IpAddr), PortMap, TupleHash>,
    /// How many sessions each mapping's client has begun to whom its filter
    /// asks about.
    contacts: HashMap<(Public, Far), u32, TupleHash>,
    accounts: Accounts,
    blocks: Blocks,
    /// The terms of each row, by its place.
    terms: Box<[Terms]>,
    /// What rests by the terms of each row that says so, in the order in which
    /// it will be free.
    resting: Vec<(RowId, VecDeque<(Timestamp, Rest)>)>,
    /// How many of the public endpoints rest.
    at_rest: usize,
    /// What is to be written down, and was not fetched yet.
    notes: Vec<Note>,
}

/// For whom something is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum On {
    /// A session that is in the table.
    Session,
    /// One that is about to be: nothing is said of it yet.
    Reservation,
}

/// One end of a session that is known by a public endpoint.
struct Held {
    public: Public,
    inside: Endpoint,
    far: Endpoint,
    home: ZoneId,
}

impl Held {
    /// The client's end is behind the way of the first packet, the server's
    /// behind that of the answers.
    ///
    /// Two that reach each other by their public endpoints know each other by
    /// these.
    fn of(origin: &Origin, end: Direction) -> Self {
        let (arrives, answers) = (&origin.tuples[end], &origin.tuples[!end]);
        let far = match origin.claims[!end] {
            Some(_) => arrives.destination,
            None => answers.source,
        };
        Self {
            public: (arrives.protocol, answers.target()),
            inside: arrives.source,
            far,
            home: origin.egress[!end],
        }
    }
}

impl Mappings {
    pub(super) fn new(hash: TupleHash, terms: Vec<Terms>) -> Self {
        let rows = terms.iter().enumerate();
        let resting = rows
            .filter(|(_, terms)| terms.hold_down.is_some())
            .filter_map(|(place, _)| Some((RowId::of_place(place)?, VecDeque::new())));
        Self {
            public: HashMap::with_hasher(hash),
            sockets: HashMap::with_hasher(hash),
            ports: HashMap::with_hasher(hash),
            contacts: HashMap::with_hasher(hash),
            accounts: Accounts::new(hash),
            blocks: Blocks::new(hash),
            resting: resting.collect(),
            terms: terms.into(),
            at_rest: 0,
            notes: Vec::new(),
        }
    }

    /// Who has this endpoint.
    #[must_use]
    pub fn usage(&self, protocol: Protocol, public: Endpoint) -> Usage<'_> {
        match self.public.get(&(protocol, public)) {
            None => Usage::Free,
            Some(Holder::Shared(_)) => Usage::Shared,
            Some(Holder::Mapped(mapping)) => Usage::Mapped(mapping),
            Some(Holder::Resting) => Usage::Resting,
        }
    }

    /// The mapping that a row has given this socket already for what it has to say
    /// to `far`.
    #[must_use]
    pub fn of_socket(
        &self,
        (protocol, socket): (Protocol, Endpoint),
        (row, known_in): (RowId, ZoneId),
        mapping: Dependence,
        far: Endpoint,
    ) -> Option<&Mapping> {
        let key = (protocol, socket, row, known_in, mapping.far(far));
        match self.public.get(&(protocol, *self.sockets.get(&key)?))? {
            Holder::Mapped(mapping) => Some(mapping),
            Holder::Shared(_) | Holder::Resting => None,
        }
    }

    /// Any port of this address that nobody has at all, as `draw` says.
    #[must_use]
    pub fn drawn_port(
        &self,
        (protocol, address): (Protocol, IpAddr),
        range: &RangeInclusive<u16>,
        draw: u64,
        parity: Option<u16>,
    ) -> Option<Port> {
        let mask = mask_of(parity);
        match self.ports.get(&(protocol, address)) {
            Some(map) => map.drawn_free(range, draw, mask).map(Port),
            None => PortMap::new().drawn_free(range, draw, mask).map(Port),
        }
    }

    /// A port of this address that nobody has at all: the first from `start` on,
    /// going round within `range`; even or odd as `parity` where that counts.
    #[must_use]
    pub fn unused_port(
        &self,
        (protocol, address): (Protocol, IpAddr),
        range: &RangeInclusive<u16>,
        start: u16,
        parity: Option<u16>,
    ) -> Option<Port> {
        let mask = mask_of(parity);
        match self.ports.get(&(protocol, address)) {
            Some(map) => map.first_free(range, start, mask).map(Port),
            None => PortMap::new().first_free(range, start, mask).map(Port),
        }
    }

    /// Whether this mapping's filter lets `far` in.
    #[must_use]
    pub fn lets_in(&self, mapping: &Mapping, far: Endpoint) -> bool {
        match mapping.behaviour.filtering.far(far) {
            Far::Anyone => true,
            asked => {
                let public = (mapping.protocol, mapping.outside);
                self.contacts.contains_key(&(public, asked))
            }
        }
    }

    /// All mappings, in the order of their public endpoints.
    #[must_use]
    pub fn sorted(&self) -> Vec<&Mapping> {
        let mut all: Vec<_> = self
            .public
            .values()
            .filter_map(|holder| match holder {
                Holder::Mapped(mapping) => Some(mapping),
                Holder::Shared(_) | Holder::Resting => None,
            })
            .collect();
        all.sort_by_key(|mapping| (mapping.protocol, mapping.outside));
        all
    }

    /// How many public endpoints somebody has.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.public.len() - self.at_rest
    }

    /// How many nobody has any more, and nobody may have yet.
    #[must_use]
    pub fn at_rest(&self) -> usize {
        self.at_rest
    }

    /// The blocks of ports that clients have.
    #[must_use]
    pub fn blocks(&self) -> &Blocks {
        &self.blocks
    }

    /// The terms of a row.
    #[must_use]
    pub fn terms(&self, row: RowId) -> Option<&Terms> {
        self.terms.get(row.place())
    }

    /// How many public endpoints a client holds by a row that limits them.
    #[must_use]
    pub fn held(&self, row: RowId, client: IpAddr) -> Tally {
        self.accounts.tally(row, client)
    }

    /// By how many sessions a client holds this one by a row that limits such.
    #[must_use]
    pub fn sessions_by(
        &self,
        row: RowId,
        client: IpAddr,
        (protocol, public): (Protocol, Endpoint),
    ) -> u32 {
        let public = (protocol, public);
        match self.public.get(&public) {
            Some(Holder::Mapped(mapping))
                if (mapping.row, mapping.inside.address) == (row, client) =>
            {
                mapping.holders
            }
            Some(Holder::Shared(_)) => self.accounts.shares(row, client, public),
            Some(Holder::Mapped(_) | Holder::Resting) | None => 0,
        }
    }

    /// Whether a client may take a public endpoint that it does not hold yet, as
    /// often as it has lately.
    #[must_use]
    pub fn allows(&self, row: RowId, client: IpAddr, rate: Rate, now: Timestamp) -> bool {
        self.accounts.allows(row, client, rate, now)
    }

    /// What a session holds for its client by a row.
    #[must_use]
    pub fn holding(origin: &Origin) -> Option<Holding> {
        let row = origin.claims.original?.row()?;
        let held = Held::of(origin, Direction::Original);
        Some(Holding {
            row,
            client: held.inside.address,
            public: held.public,
        })
    }

    /// What is to be written down since this was asked last.
    pub(super) fn fetch_notes(&mut self) -> impl Iterator<Item = Note> {
        self.notes.drain(..)
    }

    /// A session takes what it claims.
    pub(super) fn enter(&mut self, origin: &Origin, at: Timestamp, on: On) {
        for end in Direction::BOTH {
            let Some(claim) = origin.claims[end] else {
                continue;
            };
            let held = Held::of(origin, end);
            let is_new = match claim {
                Claim::Shared(row) => {
                    self.share(&held);
                    row.is_some_and(|row| self.counts(row) && self.take_share(row, &held))
                }
                Claim::Mapped(behaviour, known_in, row) => {
                    self.hold(origin, end, (behaviour, known_in, row))
                }
            };
            if let Some(row) = claim.row() {
                if is_new {
                    self.began(row, claim, &held, at);
                }
                self.enter_block(row, &held);
                if on == On::Session {
                    self.note_session(row, &held, Change::Began);
                }
            }
        }
    }

    fn counts(&self, row: RowId) -> bool {
        self.terms(row).is_some_and(Terms::counts)
    }

    /// A client has a public endpoint that it did not have.
    fn began(&mut self, row: RowId, claim: Claim, held: &Held, at: Timestamp) {
        let Some(terms) = self.terms.get(row.place()) else {
            return;
        };
        if let Some(rate) = terms.rate {
            self.accounts.spend(row, held.inside.address, rate, at);
        }
        self.note_mapping(row, claim, held, Change::Began);
    }

    fn note_mapping(&mut self, row: RowId, claim: Claim, held: &Held, change: Change) {
        if self.logged(row) != Logged::Mappings {
            return;
        }
        let (protocol, outside) = held.public;
        let own = matches!(claim, Claim::Mapped(..)).then_some(held.inside.port);
        self.notes.push(Note {
            row,
            client: held.inside.address,
            change,
            what: Noted::Mapping {
                protocol,
                port: own,
                outside,
            },
        });
    }

    fn note_session(&mut self, row: RowId, held: &Held, change: Change) {
        if self.logged(row) != Logged::Sessions {
            return;
        }
        let (protocol, outside) = held.public;
        let far = match protocol.is_icmp() {
            true => Endpoint::new(held.far.address, Port(0)),
            false => held.far,
        };
        self.notes.push(Note {
            row,
            client: held.inside.address,
            change,
            what: Noted::Session {
                protocol,
                port: held.inside.port,
                outside,
                far,
            },
        });
    }

    fn note_block(&mut self, row: RowId, client: IpAddr, lease: Lease, change: Change) {
        let layout = self.terms(row).and_then(|terms| terms.blocks);
        if let Some(layout) = layout.filter(|_| self.logged(row) >= Logged::Blocks) {
            self.notes.push(Note {
                row,
                client,
                change,
                what: Noted::Block(lease.address, layout.ports(lease.block)),
            });
        }
    }

    fn logged(&self, row: RowId) -> Logged {
        self.terms(row).map(|terms| terms.log).unwrap_or_default()
    }

    /// The block that a public endpoint lies in.
    fn lease_of(&self, row: RowId, (_, public): Public) -> Option<Lease> {
        let block = self.terms(row)?.blocks?.block_of(public.port)?;
        Some(Lease {
            address: public.address,
            block,
        })
    }

    fn enter_block(&mut self, row: RowId, held: &Held) {
        let client = held.inside.address;
        if let Some(lease) = self.lease_of(row, held.public)
            && self.blocks.enter(row, client, lease)
        {
            self.note_block(row, client, lease, Change::Began);
        }
    }

    fn leave_block(&mut self, row: RowId, held: &Held, at: Timestamp) {
        if let Some(lease) = self.lease_of(row, held.public)
            && let Some(client) = self.blocks.leave(row, lease)
        {
            self.note_block(row, client, lease, Change::Ended);
            if !self.rest(row, Rest::Block(lease), at) {
                self.blocks.free(row, lease);
            }
        }
    }

    fn share(&mut self, held: &Held) {
        match self.public.entry(held.public) {
            Entry::Vacant(entry) => {
                entry.insert(Holder::Shared(1));
                self.take_port(held.public);
            }
            Entry::Occupied(mut entry) => match entry.get_mut() {
                Holder::Shared(holders) => *holders += 1,
                Holder::Mapped(mapping) => mapping.holders += 1,
                Holder::Resting => {
                    entry.insert(Holder::Shared(1));
                    self.at_rest -= 1;
                }
            },
        }
    }

    /// Whether the mapping is a new one.
    fn hold(
        &mut self,
        origin: &Origin,
        end: Direction,
        (behaviour, known_in, row): (Behaviour, ZoneId, RowId),
    ) -> bool {
        let held = Held::of(origin, end);
        let (protocol, outside) = held.public;
        let far = behaviour.mapping.far(held.far);
        let begun = Mapping {
            protocol,
            inside: held.inside,
            outside,
            known_in,
            far,
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
        };
        let is_new = match self.public.entry(held.public) {
            Entry::Vacant(entry) => {
                entry.insert(Holder::Mapped(begun));
                self.take_port(held.public);
                true
            }
            Entry::Occupied(mut entry) => match entry.get_mut() {
                Holder::Mapped(mapping) => {
                    mapping.holders += 1;
                    false
                }
                Holder::Shared(holders) => {
                    *holders += 1;
                    false
                }
                Holder::Resting => {
                    entry.insert(Holder::Mapped(begun));
                    self.at_rest -= 1;
                    true
                }
            },
        };
        if is_new {
            if self.counts(row) {
                self.accounts.hold(row, held.inside.address, protocol);
            }
            let socket = (protocol, held.inside, row, known_in, far);
            self.sockets.insert(socket, outside);
        }
        if end == Direction::Original {
            let contact = (held.public, behaviour.filtering.far(held.far));
            add(&mut self.contacts, contact);
        }
        is_new
    }

    fn take_share(&mut self, row: RowId, held: &Held) -> bool {
        let client = held.inside.address;
        self.accounts.take_share(row, client, held.public)
    }

    fn take_port(&mut self, (protocol, public): Public) {
        let map = self.ports.entry((protocol, public.address));
        map.or_insert_with(PortMap::new).take(public.port.0);
    }

    fn free_port(&mut self, (protocol, public): Public) {
        if let Entry::Occupied(mut entry) = self.ports.entry((protocol, public.address)) {
            entry.get_mut().free(public.port.0);
            if entry.get().is_empty() {
                entry.remove();
            }
        }
    }

    /// A session lets go of what it claimed.
    pub(super) fn leave(&mut self, origin: &Origin, at: Timestamp, on: On) {
        for end in Direction::BOTH {
            let Some(claim) = origin.claims[end] else {
                continue;
            };
            let held = Held::of(origin, end);
            if let Claim::Mapped(behaviour, ..) = claim
                && end == Direction::Original
            {
                let contact = (held.public, behaviour.filtering.far(held.far));
                take(&mut self.contacts, contact);
            }
            let row = claim.row();
            if let Some(row) = row.filter(|_| on == On::Session) {
                self.note_session(row, &held, Change::Ended);
            }
            let is_last = match claim {
                Claim::Shared(row) => {
                    self.let_go(&held, at);
                    row.is_some_and(|row| {
                        let client = held.inside.address;
                        self.counts(row) && self.accounts.give_back_share(row, client, held.public)
                    })
                }
                Claim::Mapped(..) => self.let_go(&held, at),
            };
            if let Some(row) = row {
                if is_last {
                    self.note_mapping(row, claim, &held, Change::Ended);
                }
                self.leave_block(row, &held, at);
            }
        }
    }

    /// Whether nobody has it any more.
    fn let_go(&mut self, held: &Held, at: Timestamp) -> bool {
        let Entry::Occupied(mut entry) = self.public.entry(held.public) else {
            debug_assert!(false, "a public endpoint that nobody took");
            return false;
        };
        let holders = match entry.get_mut() {
            Holder::Shared(holders) => holders,
            Holder::Mapped(mapping) => &mut mapping.holders,
            Holder::Resting => {
                debug_assert!(false, "a public endpoint at rest was let go of");
                return false;
            }
        };
        *holders = holders.saturating_sub(1);
        if *holders > 0 {
            return false;
        }
        let last = entry.remove();
        if let Holder::Mapped(mapping) = last {
            let Mapping {
                protocol,
                inside,
                known_in,
                far,
                row,
                ..
            } = mapping;
            self.sockets.remove(&(protocol, inside, row, known_in, far));
            if self.counts(row) {
                self.accounts.let_go(row, inside.address, protocol);
            }
            if self.may_rest(&mapping) && self.rest(row, Rest::Port(held.public), at) {
                self.public.insert(held.public, Holder::Resting);
                self.at_rest += 1;
                return true;
            }
        }
        self.free_port(held.public);
        true
    }

    /// Whether others could send to a public endpoint what was meant for the one
    /// who had it: not where the filter asks whom the client has spoken to, nor of
    /// TCP, whose states are tracked, nor within a block, which the client keeps
    /// (RFC 6888 REQ-8 names all three).
    fn may_rest(&self, mapping: &Mapping) -> bool {
        let terms = self.terms(mapping.row);
        mapping.behaviour.filtering == Dependence::EndpointIndependent
            && mapping.protocol != Protocol::TCP
            && terms.is_some_and(|terms| terms.hold_down.is_some_and(|h| h.of == Rests::Ports))
    }

    /// Lays something to rest, if the row has a time for it.
    fn rest(&mut self, row: RowId, what: Rest, at: Timestamp) -> bool {
        let Some(hold_down) = self.terms(row).and_then(|terms| terms.hold_down) else {
            return false;
        };
        let mut rows = self.resting.iter_mut();
        let Some((_, queue)) = rows.find(|(own, _)| *own == row) else {
            return false;
        };
        queue.push_back((at.after(hold_down.time), what));
        let oldest = match queue.len() > hold_down.most.get() as usize {
            true => queue.pop_front(),
            false => None,
        };
        if let Some((_, oldest)) = oldest {
            self.awake(row, oldest);
        }
        true
    }

    /// What has rested long enough by `now` may be had again.
    pub(super) fn awaken(&mut self, now: Timestamp) {
        for place in 0..self.resting.len() {
            while let Some((row, what)) = self.rested(place, now) {
                self.awake(row, what);
            }
        }
    }

    fn rested(&mut self, place: usize, now: Timestamp) -> Option<(RowId, Rest)> {
        let (row, queue) = self.resting.get_mut(place)?;
        queue.front().filter(|(until, _)| *until <= now)?;
        queue.pop_front().map(|(_, what)| (*row, what))
    }

    fn awake(&mut self, row: RowId, what: Rest) {
        match what {
            Rest::Block(lease) => self.blocks.free(row, lease),
            Rest::Port(public) => {
                if let Entry::Occupied(entry) = self.public.entry(public)
                    && matches!(entry.get(), Holder::Resting)
                {
                    entry.remove();
                    self.at_rest -= 1;
                    self.free_port(public);
                }
            }
        }
    }
}

/// The bits of the ports that are even or odd as asked for.
fn mask_of(parity: Option<u16>) -> u64 {
    const EVEN: u64 = 0x5555_5555_5555_5555;
    parity.map_or(u64::MAX, |parity| EVEN << (parity % 2))
}
