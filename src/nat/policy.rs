//! What an operator wrote about translation.

use std::net::IpAddr;

use crate::net::{AddressSet, Selector, Traffic, ZoneId};

/// All translations of a policy, each list in the order of the file; the first
/// row that fits a new connection decides.
#[derive(Debug, Clone, Default)]
pub struct NatPolicy {
    /// What becomes of the client's address on the way out.
    pub source: Vec<SourceNat>,
    /// Which public ports lead to inside servers.
    pub forwards: Vec<Forward>,
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
}

/// What a client's address becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceTarget {
    /// The gateway's own address in the zone that the packet leaves by.
    Masquerade,
    /// One of these, the first of the packet's family.
    Addresses(Vec<IpAddr>),
    /// Itself: no translation, and no later row is asked.
    Exempt,
}

/// One port forward: destination translation for what arrives at a public address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// Its name in the rule file.
    pub name: String,
    /// The zone whose arrivals it is about.
    pub on: ZoneId,
    /// The public addresses; `None`: the gateway's own in zone `on`.
    pub address: Option<AddressSet>,
    /// Who may use it; `None`: anyone.
    pub source: Option<AddressSet>,
    /// The traffic that it is about, any one of these.
    pub traffic: Vec<Traffic>,
    /// The inside server.
    pub to: IpAddr,
    /// The server's port; `None`: the one that was addressed.
    pub port: Option<crate::net::Port>,
}
