//! What the mapping log says of public endpoints (RFC 6888 section 4).

use std::net::IpAddr;
use std::ops::RangeInclusive;

use crate::net::{Endpoint, Port, Protocol, RowId};

/// Something that is to be written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The row of source translation whose log asks for it.
    pub row: RowId,
    /// The client.
    pub client: IpAddr,
    /// Whether it began or ended.
    pub change: Change,
    /// What did.
    pub what: Noted,
}

/// The two ends of anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// It began.
    Began,
    /// It ended.
    Ended,
}

/// What began or ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Noted {
    /// A block of ports was the client's.
    Block(IpAddr, RangeInclusive<u16>),
    /// The client held a public endpoint; its own port is known where the
    /// endpoint is one socket's own.
    Mapping {
        /// The transport protocol.
        protocol: Protocol,
        /// The port of the client's socket, where no other can have the same endpoint.
        port: Option<Port>,
        /// The public endpoint.
        outside: Endpoint,
    },
    /// A session was known by a public endpoint.
    Session {
        /// The transport protocol.
        protocol: Protocol,
        /// The port of the client's socket.
        port: Port,
        /// The public endpoint.
        outside: Endpoint,
        /// With whom it was.
        far: Endpoint,
    },
}
