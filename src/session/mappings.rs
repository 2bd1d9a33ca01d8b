//! Mappings: which public endpoint stands for which client socket, and who
//! holds it.
//!
//! An index over the sessions, as the tuples are: a session holds its public
//! endpoint while it is in the table, and lets go of it by leaving. Most share
//! theirs with whoever talks to other servers (conntrack's way); those of rows
//! that ask for more have a [`Mapping`], which belongs to one socket alone and
//! may let strangers in.

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::ops::RangeInclusive;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use super::hash::TupleHash;
use super::port_map::PortMap;
use super::record::Origin;
use crate::net::{
    Dependence, Direction, Endpoint, Far, LifetimeId, NatRow, Port, Protocol, ServiceId, ZoneId,
};

/// What a session holds of the public endpoint of one of its ends, and for
/// whose quota that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// The endpoint towards its far end only.
    Shared(Option<QuotaId>),
    /// A mapping of this behaviour, which is known in this zone.
    Mapped(Behaviour, ZoneId, Option<QuotaId>),
}

impl Claim {
    /// For which quota it counts.
    #[must_use]
    pub fn quota(self) -> Option<QuotaId> {
        match self {
            Self::Shared(quota) | Self::Mapped(_, _, quota) => quota,
        }
    }
}

/// A limit of public endpoints that each inside address may hold, by the place
/// of the translation that sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct QuotaId(NonZeroU16);

impl QuotaId {
    /// The limit that the row at this place sets; `None` beyond the last place
    /// that a file can have.
    #[must_use]
    pub fn of_row(place: usize) -> Option<Self> {
        let number = u16::try_from(place).ok()?.checked_add(1)?;
        NonZeroU16::new(number).map(Self)
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
    /// For which quota of its client it counts.
    pub quota: Option<QuotaId>,
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
}

type Public = (Protocol, Endpoint);
/// A socket, the zone in which it is to be known, and to whom.
type Socket = (Protocol, Endpoint, ZoneId, Far);

#[derive(Debug)]
enum Holder {
    Shared(u32),
    Mapped(Mapping),
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
    /// How many public endpoints count for each quota of an inside address.
    held: HashMap<(QuotaId, Protocol, IpAddr), u32, TupleHash>,
    /// By how many sessions an inside address holds one that others may share.
    shares: HashMap<(QuotaId, IpAddr, Public), u32, TupleHash>,
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
            public: (arrives.protocol, answers.destination),
            inside: arrives.source,
            far,
            home: origin.egress[!end],
        }
    }
}

impl Mappings {
    pub(super) fn new(hash: TupleHash) -> Self {
        Self {
            public: HashMap::with_hasher(hash),
            sockets: HashMap::with_hasher(hash),
            ports: HashMap::with_hasher(hash),
            contacts: HashMap::with_hasher(hash),
            held: HashMap::with_hasher(hash),
            shares: HashMap::with_hasher(hash),
        }
    }

    /// Who has this endpoint.
    #[must_use]
    pub fn usage(&self, protocol: Protocol, public: Endpoint) -> Usage<'_> {
        match self.public.get(&(protocol, public)) {
            None => Usage::Free,
            Some(Holder::Shared(_)) => Usage::Shared,
            Some(Holder::Mapped(mapping)) => Usage::Mapped(mapping),
        }
    }

    /// The mapping that this socket has already for what it has to say to `far`.
    #[must_use]
    pub fn of_socket(
        &self,
        (protocol, socket): (Protocol, Endpoint),
        known_in: ZoneId,
        mapping: Dependence,
        far: Endpoint,
    ) -> Option<&Mapping> {
        let key = (protocol, socket, known_in, mapping.far(far));
        match self.public.get(&(protocol, *self.sockets.get(&key)?))? {
            Holder::Mapped(mapping) => Some(mapping),
            Holder::Shared(_) => None,
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
        const EVEN: u64 = 0x5555_5555_5555_5555;
        let mask = parity.map_or(u64::MAX, |parity| EVEN << (parity % 2));
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
                Holder::Shared(_) => None,
            })
            .collect();
        all.sort_by_key(|mapping| (mapping.protocol, mapping.outside));
        all
    }

    /// How many public endpoints somebody has.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.public.len()
    }

    /// How many public endpoints of a protocol count for this quota of an inside
    /// address.
    #[must_use]
    pub fn held(&self, quota: QuotaId, protocol: Protocol, inside: IpAddr) -> u32 {
        let count = self.held.get(&(quota, protocol, inside));
        count.copied().unwrap_or_default()
    }

    /// Whether this one does already.
    #[must_use]
    pub fn holds(
        &self,
        quota: QuotaId,
        inside: IpAddr,
        (protocol, public): (Protocol, Endpoint),
    ) -> bool {
        let public = (protocol, public);
        match self.public.get(&public) {
            Some(Holder::Mapped(mapping)) => {
                (mapping.quota, mapping.inside.address) == (Some(quota), inside)
            }
            Some(Holder::Shared(_)) => self.shares.contains_key(&(quota, inside, public)),
            None => false,
        }
    }

    /// A session takes what it claims.
    pub(super) fn enter(&mut self, origin: &Origin) {
        for end in Direction::BOTH {
            match origin.claims[end] {
                None => {}
                Some(Claim::Shared(quota)) => {
                    let held = Held::of(origin, end);
                    self.share(&held);
                    if let Some(quota) = quota {
                        self.take_share(quota, &held);
                    }
                }
                Some(Claim::Mapped(behaviour, known_in, quota)) => {
                    self.hold(origin, end, (behaviour, known_in, quota));
                }
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
            },
        }
    }

    fn hold(
        &mut self,
        origin: &Origin,
        end: Direction,
        (behaviour, known_in, quota): (Behaviour, ZoneId, Option<QuotaId>),
    ) {
        let held = Held::of(origin, end);
        let (protocol, outside) = held.public;
        let far = behaviour.mapping.far(held.far);
        let begun = || Mapping {
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
            quota,
            holders: 1,
        };
        match self.public.entry(held.public) {
            Entry::Vacant(entry) => {
                entry.insert(Holder::Mapped(begun()));
                self.take_port(held.public);
                if let Some(quota) = quota {
                    add(&mut self.held, (quota, protocol, held.inside.address));
                }
                let socket = (protocol, held.inside, known_in, far);
                self.sockets.insert(socket, outside);
            }
            Entry::Occupied(mut entry) => match entry.get_mut() {
                Holder::Mapped(mapping) => mapping.holders += 1,
                Holder::Shared(holders) => *holders += 1,
            },
        }
        if end == Direction::Original {
            let contact = (held.public, behaviour.filtering.far(held.far));
            add(&mut self.contacts, contact);
        }
    }

    fn take_share(&mut self, quota: QuotaId, held: &Held) {
        let inside = held.inside.address;
        if add(&mut self.shares, (quota, inside, held.public)) == 1 {
            add(&mut self.held, (quota, held.public.0, inside));
        }
    }

    fn give_back_share(&mut self, quota: QuotaId, held: &Held) {
        let inside = held.inside.address;
        if take(&mut self.shares, (quota, inside, held.public)) == 0 {
            take(&mut self.held, (quota, held.public.0, inside));
        }
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
    pub(super) fn leave(&mut self, origin: &Origin) {
        for end in Direction::BOTH {
            let Some(claim) = origin.claims[end] else {
                continue;
            };
            let held = Held::of(origin, end);
            match claim {
                Claim::Mapped(behaviour, ..) if end == Direction::Original => {
                    let contact = (held.public, behaviour.filtering.far(held.far));
                    take(&mut self.contacts, contact);
                }
                Claim::Shared(Some(quota)) => self.give_back_share(quota, &held),
                Claim::Shared(None) | Claim::Mapped(..) => {}
            }
            self.let_go(&held);
        }
    }

    fn let_go(&mut self, held: &Held) {
        let Entry::Occupied(mut entry) = self.public.entry(held.public) else {
            debug_assert!(false, "a public endpoint that nobody took");
            return;
        };
        let holders = match entry.get_mut() {
            Holder::Shared(holders) => holders,
            Holder::Mapped(mapping) => &mut mapping.holders,
        };
        *holders = holders.saturating_sub(1);
        if *holders > 0 {
            return;
        }
        let last = entry.remove();
        self.free_port(held.public);
        if let Holder::Mapped(mapping) = last {
            let Mapping {
                protocol,
                inside,
                known_in,
                far,
                quota,
                ..
            } = mapping;
            self.sockets.remove(&(protocol, inside, known_in, far));
            if let Some(quota) = quota {
                take(&mut self.held, (quota, protocol, inside.address));
            }
        }
    }
}

/// Counts one more; how many there are then.
fn add<K: Hash + Eq>(counts: &mut HashMap<K, u32, TupleHash>, key: K) -> u32 {
    let count = counts.entry(key).or_default();
    *count += 1;
    *count
}

/// Counts one less; how many are left. What has none is not kept.
fn take<K: Hash + Eq>(counts: &mut HashMap<K, u32, TupleHash>, key: K) -> u32 {
    let Entry::Occupied(mut entry) = counts.entry(key) else {
        debug_assert!(false, "more was given back than was taken");
        return 0;
    };
    *entry.get_mut() -= 1;
    match *entry.get() {
        0 => {
            entry.remove();
            0
        }
        left => left,
    }
}
