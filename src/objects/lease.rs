//! What clients have of public addresses: endpoints, and the ports that are theirs alone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::Serialize;

use crate::engine::Policy;
use crate::net::NatRow;
use crate::session::Binding;

/// What one client has at one public address by one row of source translation.
#[derive(Debug, Serialize)]
pub struct LeaseObject<'a> {
    table: &'static str,
    rule: &'a str,
    client: IpAddr,
    address: IpAddr,
    /// How many public endpoints it holds.
    endpoints: u32,
    sessions: u32,
    /// The ranges or blocks of ports that it has for itself, as `first-last`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ports: Vec<String>,
}

#[derive(Debug, Default)]
struct Lease {
    endpoints: u32,
    sessions: u32,
    ports: BTreeSet<(u16, u16)>,
}

/// Leases, put together from mappings.
#[derive(Debug, Default)]
pub struct Leases(BTreeMap<(u16, IpAddr, IpAddr), Lease>);

impl Leases {
    /// Takes in a mapping. One that no row of source translation has made is nobody's
    /// lease.
    pub fn add(&mut self, binding: &Binding, policy: &Policy) {
        let Some(NatRow::Source(place)) = binding.row else {
            return;
        };
        let (client, public) = (binding.inside.address, binding.outside);
        let lease = self.0.entry((place, client, public.address)).or_default();
        lease.endpoints += 1;
        lease.sessions += binding.sessions;
        let row = policy.nat.source.get(usize::from(place));
        let range = row.and_then(|row| row.range_around(client, public));
        lease
            .ports
            .extend(range.map(|ports| (*ports.start(), *ports.end())));
    }

    /// What is shown of them: by row, client and address.
    pub fn objects<'a>(&'a self, policy: &'a Policy) -> impl Iterator<Item = LeaseObject<'a>> {
        let leases = self.0.iter();
        leases.map(|((row, client, address), lease)| LeaseObject {
            table: "lease",
            rule: policy.nat.name(NatRow::Source(*row)),
            client: *client,
            address: *address,
            endpoints: lease.endpoints,
            sessions: lease.sessions,
            ports: lease
                .ports
                .iter()
                .map(|(first, last)| format!("{first}-{last}"))
                .collect(),
        })
    }
}
