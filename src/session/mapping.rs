//! A mapping: the public endpoint of a client's socket, and how it behaves.

use serde::{Deserialize, Serialize};

use crate::net::{
    Dependence, Endpoint, Far, LifetimeId, NatRow, Protocol, RowId, ServiceId, ZoneId,
};

/// How a mapping behaves (RFC 4787).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Behaviour {
    /// For which far ends the socket keeps its public endpoint.
    pub mapping: Dependence,
    /// Which far ends may come in by it.
    pub filtering: Dependence,
}

/// A client socket's public endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// A socket, the row that it is mapped by, the zone in which it is to be known,
/// and to whom.
pub(super) type Socket = (Protocol, Endpoint, RowId, ZoneId, Far);

impl Mapping {
    /// What its socket is known by.
    pub(in crate::session) fn socket(&self) -> Socket {
        let Self {
            protocol,
            inside,
            known_in,
            far,
            row,
            ..
        } = *self;
        (protocol, inside, row, known_in, far)
    }
}
