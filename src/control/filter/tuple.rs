//! Terms about a tuple.

use std::net::IpAddr;

use ipnet::IpNet;

use super::FilterError;
use super::span::Span;
use super::term::Term;
use crate::net::{Endpoint, Protocol, Tuple};

/// Which end of a tuple.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Source,
    Destination,
    Either,
}

/// What a tuple has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TupleTerm {
    Protocol(Vec<Protocol>),
    Address(End, Vec<IpNet>),
    Port(End, Vec<Span<u16>>),
}

impl TupleTerm {
    /// Reads a term under one of these keys; `None`: it is another.
    pub(super) fn read(key: &str, term: &Term<'_>) -> Result<Option<Self>, FilterError> {
        let address = |end| Ok(Some(Self::Address(end, term.values("address", network)?)));
        let port = |end| Ok(Some(Self::Port(end, term.values("port", Span::of_port)?)));
        match key {
            "proto" => Ok(Some(Self::Protocol(term.values("protocol", protocol)?))),
            "src" => address(End::Source),
            "dst" => address(End::Destination),
            "addr" => address(End::Either),
            "sport" => port(End::Source),
            "dport" => port(End::Destination),
            "port" => port(End::Either),
            _ => Ok(None),
        }
    }

    pub(super) fn holds(&self, tuple: &Tuple) -> bool {
        match self {
            Self::Protocol(any) => any.contains(&tuple.protocol),
            Self::Address(end, any) => ends(*end, tuple)
                .any(|end| any.iter().any(|network| network.contains(&end.address))),
            Self::Port(end, any) => {
                tuple.protocol.has_ports()
                    && ends(*end, tuple)
                        .any(|end| any.iter().any(|ports| ports.contains(end.port.0)))
            }
        }
    }
}

fn ends(end: End, tuple: &Tuple) -> impl Iterator<Item = Endpoint> {
    let source = (end != End::Destination).then_some(tuple.source);
    let destination = (end != End::Source).then_some(tuple.destination);
    source.into_iter().chain(destination)
}

fn network(text: &str) -> Option<IpNet> {
    let address: Option<IpAddr> = text.parse().ok();
    address.map(IpNet::from).or_else(|| text.parse().ok())
}

fn protocol(text: &str) -> Option<Protocol> {
    let number = || text.strip_prefix("proto-").unwrap_or(text).parse().ok();
    Protocol::from_name(text).or_else(|| number().map(Protocol))
}
