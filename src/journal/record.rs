//! One line of the mapping log.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::engine::{Event, Policy, Shortage};
use crate::nat::{AddressRange, Deterministic, Pool, SourceNat, SourceTarget};
use crate::net::{Port, RowId, Timestamp, Traffic};
use crate::session::{Change, Note, Noted};

/// A record. Destinations stand in none but those of sessions, which a row has to
/// ask for (RFC 6888 REQ-12).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "event",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case"
)]
pub enum Record {
    /// A gateway began: whatever was held before is not any more.
    LogBegan {
        /// When.
        time: String,
    },
    /// A client has a block of ports.
    BlockGiven(Block),
    /// It has it no longer.
    BlockReturned(Block),
    /// A client holds a public endpoint.
    MappingBegan(Mapping),
    /// It holds it no longer.
    MappingEnded(Mapping),
    /// A session is known by a public endpoint.
    SessionBegan(Session),
    /// It is over.
    SessionEnded(Session),
    /// The parameters of a row of deterministic translation.
    NatParameters(Parameters),
    /// There was no public endpoint for somebody.
    NatShort {
        /// When.
        time: String,
        /// The row.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        row: Option<String>,
        /// Why: a word of `docs/reasons.md`.
        reason: String,
        /// For whom, the last time.
        client: IpAddr,
        /// The transport protocol, the last time.
        protocol: String,
        /// For how many packets since this was said last.
        packets: u64,
    },
}

/// A block of ports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Block {
    /// When it was given or returned.
    pub time: String,
    /// The row.
    pub row: String,
    /// The client.
    pub client: IpAddr,
    /// The public address.
    pub address: IpAddr,
    /// The first port.
    pub first_port: u16,
    /// The last.
    pub last_port: u16,
}

/// A public endpoint that a client holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Mapping {
    /// When it began or ended.
    pub time: String,
    /// The row.
    pub row: String,
    /// The transport protocol.
    pub protocol: String,
    /// The client.
    pub client: IpAddr,
    /// The port of its socket, where the endpoint is that socket's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_port: Option<u16>,
    /// The public address.
    pub address: IpAddr,
    /// The public port, or the identifier of ICMP queries.
    pub port: u16,
}

/// A session by a public endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Session {
    /// When, by which row, who, as what.
    #[serde(flatten)]
    pub mapping: Mapping,
    /// With whom.
    pub server: IpAddr,
    /// At which port; 0 where there are none.
    pub server_port: u16,
}

/// The parameters of deterministic translation, by the letters of RFC 7422.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Parameters {
    /// When they were in force.
    pub time: String,
    /// The row.
    pub row: String,
    /// I: the clients, as prefixes.
    pub clients: Vec<String>,
    /// O: the public addresses, as ranges with their first and last.
    pub addresses: Vec<(IpAddr, IpAddr)>,
    /// D: the dynamic pool counts as so many clients at each address.
    pub dynamic: u16,
    /// M: the most ports that a client may have.
    pub max_ports: u32,
    /// A: in which order ranges are given out.
    pub algorithm: String,
    /// R: the ports that nobody is given.
    pub reserved: Vec<String>,
    /// The first port that somebody is given.
    pub first_port: u16,
    /// The last.
    pub last_port: u16,
    /// What follows: how many ports every client has.
    pub ports_per_client: u16,
}

impl Record {
    /// That a gateway began.
    #[must_use]
    pub fn began(now: Timestamp) -> Self {
        let time = now.to_string();
        Self::LogBegan { time }
    }

    /// What is to be written down of an event; `None`: nothing.
    #[must_use]
    pub fn of(event: &Event, policy: &Policy) -> Option<Self> {
        match event {
            Event::Noted { at, note } => Some(noted(*at, note, policy)),
            Event::Parameters { at, row } => {
                let row = policy.nat.source.get(row.place())?;
                let SourceTarget::Deterministic(plan) = &row.target else {
                    return None;
                };
                let reserved = &policy.nat.reserved;
                let parameters = Parameters::of(*at, row, plan, reserved);
                Some(Self::NatParameters(parameters))
            }
            Event::Short {
                at,
                shortage,
                packets,
            } => {
                let Shortage {
                    reason,
                    row,
                    client,
                    protocol,
                } = shortage;
                Some(Self::NatShort {
                    time: at.to_string(),
                    row: row.map(|row| name_of(row, policy)),
                    reason: reason.to_string(),
                    client: *client,
                    protocol: protocol.to_string(),
                    packets: *packets,
                })
            }
            Event::Began(_)
            | Event::Alg { .. }
            | Event::Ended { .. }
            | Event::Probed { .. }
            | Event::Unmet(_)
            | Event::Unanswered(_)
            | Event::Unfinished(_) => None,
        }
    }
}

fn name_of(row: RowId, policy: &Policy) -> String {
    let row = policy.nat.source.get(row.place());
    row.map(|row| row.name.clone()).unwrap_or_default()
}

fn noted(at: Timestamp, note: &Note, policy: &Policy) -> Record {
    let (time, row) = (at.to_string(), name_of(note.row, policy));
    let client = note.client;
    let mapping = |protocol: &crate::net::Protocol, port: Option<Port>, outside| {
        let crate::net::Endpoint {
            address,
            port: public,
        } = outside;
        Mapping {
            time: time.clone(),
            row: row.clone(),
            protocol: protocol.to_string(),
            client,
            client_port: port.map(|port| port.0),
            address,
            port: public.0,
        }
    };
    match &note.what {
        Noted::Block(address, ports) => {
            let block = Block {
                time,
                row,
                client,
                address: *address,
                first_port: *ports.start(),
                last_port: *ports.end(),
            };
            match note.change {
                Change::Began => Record::BlockGiven(block),
                Change::Ended => Record::BlockReturned(block),
            }
        }
        Noted::Mapping {
            protocol,
            port,
            outside,
        } => {
            let mapping = mapping(protocol, *port, *outside);
            match note.change {
                Change::Began => Record::MappingBegan(mapping),
                Change::Ended => Record::MappingEnded(mapping),
            }
        }
        Noted::Session {
            protocol,
            port,
            outside,
            far,
        } => {
            let session = Session {
                mapping: mapping(protocol, Some(*port), *outside),
                server: far.address,
                server_port: far.port.0,
            };
            match note.change {
                Change::Began => Record::SessionBegan(session),
                Change::Ended => Record::SessionEnded(session),
            }
        }
    }
}

impl Parameters {
    /// The parameters of this row.
    #[must_use]
    pub fn of(at: Timestamp, row: &SourceNat, plan: &Deterministic, kept: &[Traffic]) -> Self {
        let blocks = row.terms.blocks.map_or(0, |layout| {
            u32::from(row.blocks_per_client) * u32::from(layout.size().get())
        });
        let (first, last) = (plan.ports().start().0, plan.ports().end().0);
        let below = first.checked_sub(1).map(|end| format!("0-{end}"));
        let above = last.checked_add(1).map(|start| format!("{start}-65535"));
        let kept = kept.iter().filter_map(|traffic| match traffic {
            Traffic::Ports(protocol, ports) => {
                Some(format!("{protocol} {}-{}", ports.start(), ports.end()))
            }
            Traffic::Icmp(_) | Traffic::Protocol(_) => None,
        });
        let ranges = plan.addresses().ranges().iter();
        Self {
            time: at.to_string(),
            row: row.name.clone(),
            clients: plan.clients().iter().map(Ipv4Net::to_string).collect(),
            addresses: ranges.map(|range| (range.first(), range.last())).collect(),
            dynamic: plan.dynamic(),
            max_ports: u32::from(plan.own_ports()) + blocks,
            algorithm: Deterministic::ALGORITHM.to_owned(),
            reserved: below.into_iter().chain(above).chain(kept).collect(),
            first_port: first,
            last_port: last,
            ports_per_client: plan.own_ports(),
        }
    }

    /// The translation that had them; `None` where they fit none.
    #[must_use]
    pub fn plan(&self) -> Option<Deterministic> {
        let ranges = self.addresses.iter();
        let ranges = ranges.map(|(first, last)| AddressRange::new(*first, *last));
        let pool = Pool::new(ranges.collect::<Option<_>>()?);
        let ports: RangeInclusive<Port> = Port(self.first_port)..=Port(self.last_port);
        let clients = self.clients.iter().map(|net| net.parse().ok());
        Deterministic::new(clients.collect::<Option<_>>()?, pool, ports, self.dynamic)
    }
}
