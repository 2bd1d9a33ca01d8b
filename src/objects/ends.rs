//! The ends of tuples and mappings, for people and in JSON.

use std::fmt;

use crate::net::{Endpoint, Tuple};
use crate::session::Binding;

/// One end of a tuple, for people: without a port where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Address and port.
    Port(Endpoint),
    /// Address and identifier of an ICMP query.
    Identifier(Endpoint),
    /// The address alone.
    Address(Endpoint),
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(end) => end.fmt(f),
            Self::Identifier(end) => write!(f, "{} id {}", end.address, end.port),
            Self::Address(end) => end.address.fmt(f),
        }
    }
}

/// Source and destination.
#[must_use]
pub fn ends(tuple: &Tuple) -> [Shown; 2] {
    let (source, destination) = (tuple.source, tuple.destination);
    if tuple.icmp_query().is_some() {
        [Shown::Identifier(source), Shown::Address(destination)]
    } else if tuple.protocol.has_ports() {
        [Shown::Port(source), Shown::Port(destination)]
    } else {
        [Shown::Address(source), Shown::Address(destination)]
    }
}

/// The inside socket and its public endpoint, without a port where there is
/// none.
#[must_use]
pub fn binding_ends(binding: &Binding) -> [String; 2] {
    [binding.inside, binding.outside].map(|end| {
        if binding.protocol.has_ports() {
            end.to_string()
        } else if binding.protocol.is_icmp() {
            format!("{} id {}", end.address, end.port)
        } else {
            end.address.to_string()
        }
    })
}
