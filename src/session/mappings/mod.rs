//! Mappings: which public endpoint stands for which client socket, and who
//! holds it.
//!
//! An index over the sessions, as the tuples are: a session holds its public
//! endpoint while it is in the table, and lets go of it by leaving. Most share
//! theirs with whoever talks to other servers (conntrack's way); those of rows
//! that ask for more have a [`Mapping`], which belongs to one socket alone and
//! may let strangers in.

mod among;
mod holding;
mod notes;
mod public_address;
mod public_addresses;
mod resting;
mod revival;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use self::public_address::Place;
use self::public_addresses::PublicAddresses;
use self::resting::Rest;
pub(crate) use self::revival::AtRest;
pub(super) use self::revival::Leased;
use super::accounts::{Accounts, Public, Tally};
use super::blocks::{Blocks, Lease};
use super::crew::Post;
use super::growing_map::GrowingMap;
use super::hash::TupleHash;
use super::mapping::{Behaviour, Mapping, Socket};
use super::note::Note;
use super::port_map::PortMap;
use super::queue::Queue;
use super::record::Origin;
use crate::net::{
    BlockLayout, Dependence, Direction, Endpoint, Far, Port, Protocol, Rate, RowId, Terms,
    Timestamp, ZoneId,
};

/// What a session holds of the public endpoint of one of its ends, and by which
/// row of source translation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

/// Who has a public endpoint that is not shared.
#[derive(Debug)]
enum Holder {
    Mapped(Mapping),
    Resting,
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
    /// The ports of each public address: those that are shared, with how many share
    /// them, and those that are not.
    addresses: PublicAddresses,
    /// How many public endpoints are shared.
    shared: usize,
    /// Those that are not.
    public: GrowingMap<Public, Holder>,
    sockets: GrowingMap<Socket, Endpoint>,
    /// How many sessions each mapping's client has begun to whom its filter
    /// asks about.
    contacts: GrowingMap<(Public, Far), u32>,
    accounts: Accounts,
    blocks: Blocks,
    /// The terms of each row, by its number.
    terms: Box<[Terms]>,
    /// Rows whose blocks may be of the same ports: all that have blocks, where one of them is
    /// gone. Of those in one file none are.
    rivals: Vec<RowId>,
    /// What rests by the terms of each row that says so, in the order in which
    /// it will be free.
    resting: Vec<(RowId, Queue<(Timestamp, Rest)>)>,
    /// How many of the public endpoints rest.
    at_rest: usize,
    /// What is to be written down, and was not fetched yet.
    notes: Vec<Note>,
    /// The place of their worker among others; `None`: there are none.
    post: Option<Post>,
}

/// For whom something is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum On {
    /// A session that is in the table.
    Session,
    /// One that is about to be: nothing is said of it yet.
    Reservation,
    /// One that comes back: what it holds it has taken long ago.
    Revival,
}

/// One end of a session that is known by a public endpoint.
pub(super) struct Held {
    pub(super) public: Public,
    pub(super) inside: Endpoint,
    far: Endpoint,
    home: ZoneId,
}

impl Held {
    /// The client's end is behind the way of the first packet, the server's
    /// behind that of the answers.
    ///
    /// Two that reach each other by their public endpoints know each other by
    /// these.
    pub(super) fn of(origin: &Origin, end: Direction) -> Self {
        let (arrives, answers) = (&origin.tuples[end], &origin.tuples[!end]);
        let far = match origin.claims[!end] {
            Some(_) => arrives.destination,
            None => answers.source,
        };
        Self {
            public: public_of(origin, end),
            inside: arrives.source,
            far,
            home: origin.egress[!end],
        }
    }
}

/// The public endpoint by which one end of a session is known.
fn public_of(origin: &Origin, end: Direction) -> Public {
    let answers = &origin.tuples[!end];
    (answers.protocol, answers.target())
}

impl Mappings {
    pub(super) fn new(hash: TupleHash, terms: Box<[Terms]>) -> Self {
        let mut mappings = Self {
            addresses: PublicAddresses::new(hash),
            shared: 0,
            public: GrowingMap::new(hash),
            sockets: GrowingMap::new(hash),
            contacts: GrowingMap::new(hash),
            accounts: Accounts::new(hash),
            blocks: Blocks::new(hash),
            resting: Vec::new(),
            terms: Box::default(),
            rivals: Vec::new(),
            at_rest: 0,
            notes: Vec::new(),
            post: None,
        };
        mappings.set_terms(terms, Vec::new());
        mappings
    }

    /// Has public endpoints be given out on these terms, by the numbers of rows;
    /// blocks of `rivals` may be of the same ports.
    pub(super) fn set_terms(&mut self, terms: Box<[Terms]>, rivals: Vec<RowId>) {
        let known: BTreeSet<RowId> = self.resting.iter().map(|(row, _)| *row).collect();
        let rests = terms.iter().enumerate();
        let rests = rests.filter(|(_, terms)| terms.hold_down.is_some());
        let rests = rests.filter_map(|(place, _)| RowId::of_place(place));
        let new = rests.filter(|row| !known.contains(row));
        self.resting.extend(new.map(|row| (row, Queue::new())));
        self.terms = terms;
        self.rivals = rivals;
    }

    /// Who has this endpoint.
    #[must_use]
    pub fn usage(&self, protocol: Protocol, public: Endpoint) -> Usage<'_> {
        match self.public.get(&(protocol, public)) {
            Some(Holder::Mapped(mapping)) => Usage::Mapped(mapping),
            Some(Holder::Resting) => Usage::Resting,
            None if self.is_shared((protocol, public)) => Usage::Shared,
            None => Usage::Free,
        }
    }

    /// Whether this endpoint is no one socket's own, nor at rest.
    #[must_use]
    pub fn may_be_shared(&self, protocol: Protocol, public: Endpoint) -> bool {
        !self.public.contains_key(&(protocol, public))
    }

    /// Has brought near by how many sessions this endpoint is shared.
    #[inline]
    pub(super) fn fetch_shared(&self, protocol: Protocol, public: u32, port: u16) {
        if let Some(address) = self.addresses.get(Place::V4(protocol.0, public)) {
            address.fetch(port);
        }
    }

    /// The mapping of this endpoint, if it has one.
    #[must_use]
    pub fn of_endpoint(&self, protocol: Protocol, public: Endpoint) -> Option<&Mapping> {
        match self.public.get(&(protocol, public))? {
            Holder::Mapped(mapping) => Some(mapping),
            Holder::Resting => None,
        }
    }

    fn is_shared(&self, (protocol, public): Public) -> bool {
        let address = self.addresses.get(Place::new(protocol, public.address));
        address.is_some_and(|address| address.shared_by(public.port.0) > 0)
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
    ) -> Option<Mapping> {
        let key = (protocol, socket, row, known_in, mapping.far(far));
        let own = self.sockets.get(&key);
        let own = own.and_then(|outside| self.of_endpoint(protocol, *outside));
        own.copied().or_else(|| self.post.as_ref()?.of_socket(&key))
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
        match self.addresses.get(Place::new(protocol, address)) {
            Some(own) => own.ports().drawn_free(range, draw, mask).map(Port),
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
        match self.addresses.get(Place::new(protocol, address)) {
            Some(own) => own.ports().first_free(range, start, mask).map(Port),
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
                let post = self.post.as_ref();
                self.contacts.contains_key(&(public, asked))
                    || post.is_some_and(|post| post.has_contact(public, asked))
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
                Holder::Resting => None,
            })
            .collect();
        all.sort_by_key(|mapping| (mapping.protocol, mapping.outside));
        all
    }

    /// How many public endpoints somebody has.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.shared + self.public.len() - self.at_rest
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

    /// A block of a row at this address that nobody has: the first from `start` on, going
    /// round.
    #[must_use]
    pub fn free_block(
        &self,
        place: (RowId, IpAddr),
        layout: &BlockLayout,
        start: u64,
    ) -> Option<u16> {
        let first = self.blocks.free_block(place, layout, start)?;
        let mut block = first;
        let is_anothers = |block| {
            let lease = Lease {
                address: place.1,
                block,
            };
            self.is_rivals(place, &layout.ports(block)) || self.is_anothers_block(place.0, lease)
        };
        while is_anothers(block) {
            let next = u64::from(block) + 1;
            block = self.blocks.free_block(place, layout, next)?;
            if block == first {
                return None;
            }
        }
        Some(block)
    }

    /// Whether some client has any of these ports by a block of another row.
    fn is_rivals(&self, (own, address): (RowId, IpAddr), ports: &RangeInclusive<u16>) -> bool {
        let mut rivals = self.rivals.iter().filter(|row| **row != own);
        rivals.any(|row| {
            let layout = self.terms(*row).and_then(|terms| terms.blocks);
            let mut blocks = layout.into_iter().flat_map(|own| own.blocks_of(ports));
            blocks.any(|block| self.blocks.is_taken(*row, Lease { address, block }))
        })
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
            Some(Holder::Mapped(_) | Holder::Resting) => 0,
            None => self.accounts.shares(row, client, public),
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
}

/// The bits of the ports that are even or odd as asked for.
fn mask_of(parity: Option<u16>) -> u64 {
    const EVEN: u64 = 0x5555_5555_5555_5555;
    parity.map_or(u64::MAX, |parity| EVEN << (parity % 2))
}
