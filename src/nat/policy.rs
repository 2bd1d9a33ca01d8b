//! What an operator wrote about translation.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipnet::IpNet;

use super::deterministic::Deterministic;
use super::pool::Pool;
use crate::net::{AddressSet, Dependence, Endpoint, Port, Rows, Selector, Terms, Traffic, ZoneId};

/// All translations of a policy, each list in the order of the file; the first
/// row that fits a new connection decides.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NatPolicy {
    /// What becomes of the client's address on the way out.
    pub source: Rows<SourceNat>,
    /// Which public ports lead to inside servers.
    pub forwards: Rows<Forward>,
    /// Which inside hosts have a public address of their own, both ways.
    pub statics: Rows<Static>,
    /// Public ports that are kept for the gateway itself, at every address that
    /// sources become.
    pub reserved: Vec<Traffic>,
    /// What is said where no public endpoint is to be had.
    pub no_mapping: NoMapping,
}

impl NatPolicy {
    /// Whether there are rows of deterministic translation, whose parameters are
    /// to be written down.
    #[must_use]
    pub fn has_parameters(&self) -> bool {
        let mut targets = self.source.iter().map(|row| &row.target);
        targets.any(|target| matches!(target, SourceTarget::Deterministic(_)))
    }
}

/// One row of source translation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceNat {
    /// Its name in the rule file.
    pub name: String,
    /// The connections it is about: `to` names the zone they leave by.
    pub selector: Selector,
    /// What the source becomes.
    pub target: SourceTarget,
    /// Which ports it gets.
    pub ports: PortChoice,
    /// For which far ends a socket keeps its public endpoint.
    pub mapping: Dependence,
    /// Which far ends may come in by it.
    pub filtering: Dependence,
    /// On what terms it gives out public endpoints.
    pub terms: Terms,
    /// How many blocks of [`Terms::blocks`] each client may have at an address.
    pub blocks_per_client: u16,
}

impl SourceNat {
    /// Whether what clients hold by `old` they may go on to hold by this row in its place:
    /// it could have given that out, too.
    #[must_use]
    pub fn carries_on(&self, old: &Self) -> bool {
        let gives_those = match (&self.target, &old.target) {
            (SourceTarget::Pool(own, _), SourceTarget::Pool(theirs, _)) => own.has_all_of(theirs),
            (own, theirs) => own == theirs,
        };
        let has_those = match (&self.ports.range, &old.ports.range) {
            (Some(own), Some(theirs)) => own.contains(theirs.start()) && own.contains(theirs.end()),
            (own, theirs) => own == theirs,
        };
        gives_those
            && has_those
            && self.mapping == old.mapping
            && self.filtering == old.filtering
            && self.terms.go_on_as(&old.terms)
    }

    /// The ports that a client has for its own at this address, and nobody else.
    #[must_use]
    pub fn own_ports(&self, client: IpAddr, address: IpAddr) -> Option<RangeInclusive<u16>> {
        let SourceTarget::Deterministic(plan) = &self.target else {
            return None;
        };
        let (own, ports) = plan.range_of(client)?;
        (own == address).then_some(ports)
    }

    /// Whether clients get their ports from ranges or blocks that they have for
    /// themselves.
    #[must_use]
    pub fn has_ranges(&self) -> bool {
        self.terms.blocks.is_some() || matches!(self.target, SourceTarget::Deterministic(_))
    }

    /// The range or block of the client's that this public endpoint lies in.
    #[must_use]
    pub fn range_around(&self, client: IpAddr, public: Endpoint) -> Option<RangeInclusive<u16>> {
        let own = self.own_ports(client, public.address);
        let own = own.filter(|ports| ports.contains(&public.port.0));
        own.or_else(|| {
            let layout = self.terms.blocks?;
            layout
                .block_of(public.port)
                .map(|block| layout.ports(block))
        })
    }
}

/// What the sender is told of a connection for which there is no public
/// endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum NoMapping {
    /// Nothing, as in Linux.
    #[default]
    Silent,
    /// That the host cannot be reached (RFC 6888 REQ-11): for now, so that TCP
    /// tries again.
    HostUnreachable,
    /// That it is not allowed to (RFC 5508 REQ-8).
    Prohibited,
}

/// What a client's address becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceTarget {
    /// The gateway's own address in the zone that the packet leaves by.
    Masquerade,
    /// One of these, of the packet's family.
    Pool(Pool, Pooling),
    /// The host of the same number in another network (one of each family at
    /// most): from, to.
    Network(Vec<(IpNet, IpNet)>),
    /// The one that arithmetic says (RFC 7422).
    Deterministic(Box<Deterministic>),
    /// Itself: no translation, and no later row is asked.
    Exempt,
}

/// Which address of a pool a client gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Pooling {
    /// The same for all its connections (RFC 4787 REQ-2: paired; nftables:
    /// `persistent`).
    #[default]
    Paired,
    /// The same as long as it has a port left, then others of the pool (RFC 7857
    /// section 4: a soft limit).
    Preferred,
    /// Another for each server that it talks to.
    Arbitrary,
}

/// Which source ports a translated connection gets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct PortChoice {
    /// Only these; `None`: those of the class of the port that it had.
    pub range: Option<RangeInclusive<Port>>,
    /// In which order they are tried.
    pub order: PortOrder,
}

/// In which order ports are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PortOrder {
    /// The one that it had, then others.
    #[default]
    Keep,
    /// The one that it had, then others that are even or odd as it is (RFC
    /// 4787 REQ-4).
    KeepParity,
    /// Drawn at random (RFC 6056): the one that it had says nothing.
    Random,
}

/// One port forward: destination translation for what arrives at a public address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// Its name in the rule file.
    pub name: String,
    /// The zone whose arrivals it is about.
    pub on: ZoneId,
    /// The public addresses; `None`: the gateway's own in zone `on` (and where
    /// it leads to the gateway, any).
    pub address: Option<AddressSet>,
    /// Who may use it; `None`: anyone.
    pub source: Option<AddressSet>,
    /// The traffic that it is about, any one of these.
    pub traffic: Vec<Traffic>,
    /// Where it leads.
    pub to: Server,
    /// What the client becomes on its way there; `None`: what `source` says.
    pub client: Option<SourceTarget>,
    /// Whether it also works from the other zones.
    pub hairpin: Hairpin,
}

/// Where a forward leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// A host inside.
    Host(IpAddr, ServerPort),
    /// The host of the same number in this network as in the public one.
    Network(IpNet, IpNet),
    /// The gateway itself, at this port or at the one that was addressed
    /// (nftables: `redirect`).
    Gateway(Option<Port>),
}

/// The port that a forward leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerPort {
    /// The one that was addressed.
    Same,
    /// This one.
    One(Port),
    /// The first public port leads to `to`, the next to the next.
    Shifted {
        /// The first public port.
        public: Port,
        /// The port that it leads to.
        to: Port,
    },
}

/// Whether inside clients reach what is inside by its public address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Hairpin {
    /// The public address is for the outside.
    #[default]
    No,
    /// They do, and are seen there by their own public address (RFC 4787 REQ-9).
    Yes,
}

/// Hosts that have a public address each (RFC 3022 section 2.1: Basic NAT).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Static {
    /// Its name in the rule file.
    pub name: String,
    /// The zone in which they are known by their public addresses.
    pub on: ZoneId,
    /// Where they are.
    pub inside: IpNet,
    /// As what they are known; as large as `inside`.
    pub outside: IpNet,
    /// Whether the public addresses also work from the other zones.
    pub hairpin: Hairpin,
}
