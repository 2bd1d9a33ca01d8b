//! What tells one session's packets from all others.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{Endpoint, Port, Protocol};

/// Protocol and both endpoints of a packet: the key of the session table.
///
/// For ICMP queries (echo and its like) the source's port is the identifier,
/// and the destination's port is the message type in its high octet, as Linux
/// conntrack keeps them, and the code in its low one: so an echo request and an
/// echo reply are different tuples, and each is the other's
/// [`reversed`](Self::reversed).
/// For protocols without ports both ports are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Tuple {
    /// The transport protocol.
    pub protocol: Protocol,
    /// Who sent the packet.
    pub source: Endpoint,
    /// Who is to have it.
    pub destination: Endpoint,
}

impl Tuple {
    /// A tuple from its parts.
    #[must_use]
    pub fn new(protocol: Protocol, source: Endpoint, destination: Endpoint) -> Self {
        Self {
            protocol,
            source,
            destination,
        }
    }

    /// The tuple of the answers to this one's packets.
    #[inline]
    #[must_use]
    pub fn reversed(&self) -> Self {
        if self.protocol.is_icmp() {
            return self.reversed_query();
        }
        Self {
            protocol: self.protocol,
            source: self.destination,
            destination: self.source,
        }
    }

    fn reversed_query(&self) -> Self {
        let (mut source, mut destination) = (self.destination, self.source);
        if let Some(query) = self.icmp_query() {
            let [_, code] = self.destination.port.0.to_be_bytes();
            source.port = self.source.port;
            destination.port = query.answered_by().with_code(code);
        }
        Self {
            protocol: self.protocol,
            source,
            destination,
        }
    }

    /// The kind of query (or of the answer to one) that an ICMP tuple holds.
    #[must_use]
    pub fn icmp_query(&self) -> Option<IcmpQuery> {
        if !self.protocol.is_icmp() {
            return None;
        }
        let [kind, _] = self.destination.port.0.to_be_bytes();
        IcmpQuery::from_type(self.protocol, kind)
    }

    /// The endpoint that it is sent to, as its owner counts what it has: of an
    /// ICMP query the address with the identifier.
    #[must_use]
    pub fn target(&self) -> Endpoint {
        let port = match self.protocol.is_icmp() {
            true => self.source.port,
            false => self.destination.port,
        };
        Endpoint::new(self.destination.address, port)
    }

    /// Whether the two tuples have the same addresses and the protocol alike.
    #[must_use]
    pub fn has_addresses(&self, source: IpAddr, destination: IpAddr) -> bool {
        self.source.address == source && self.destination.address == destination
    }
}

impl fmt::Display for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (protocol, source, destination) = (self.protocol, self.source, self.destination);
        if let Some(query) = self.icmp_query() {
            write!(
                f,
                "{protocol} {} > {} {} id {}",
                source.address, destination.address, query, source.port
            )
        } else if source.port == Port(0) && destination.port == Port(0) {
            write!(f, "{protocol} {} > {}", source.address, destination.address)
        } else {
            write!(f, "{protocol} {source} > {destination}")
        }
    }
}

/// An ICMP message that asks, or that answers one that asked (RFC 792, RFC 4443).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IcmpQuery {
    kind: u8,
    answer: u8,
    asks: Role,
    name: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Role {
    Request,
    Answer,
}

const QUERIES_V4: [IcmpQuery; 8] = [
    query(8, 0, Role::Request, "echo-request"),
    query(0, 8, Role::Answer, "echo-reply"),
    query(13, 14, Role::Request, "timestamp-request"),
    query(14, 13, Role::Answer, "timestamp-reply"),
    query(15, 16, Role::Request, "info-request"),
    query(16, 15, Role::Answer, "info-reply"),
    query(17, 18, Role::Request, "address-mask-request"),
    query(18, 17, Role::Answer, "address-mask-reply"),
];

const QUERIES_V6: [IcmpQuery; 4] = [
    query(128, 129, Role::Request, "echo-request"),
    query(129, 128, Role::Answer, "echo-reply"),
    query(139, 140, Role::Request, "node-information-query"),
    query(140, 139, Role::Answer, "node-information-reply"),
];

const fn query(kind: u8, answer: u8, asks: Role, name: &'static str) -> IcmpQuery {
    IcmpQuery {
        kind,
        answer,
        asks,
        name,
    }
}

impl IcmpQuery {
    fn all(protocol: Protocol) -> &'static [Self] {
        match protocol {
            Protocol::ICMP => &QUERIES_V4,
            Protocol::ICMPV6 => &QUERIES_V6,
            _ => &[],
        }
    }

    /// The query whose message type is `kind`, where that type has an
    /// identifier and belongs to a question or its answer.
    #[must_use]
    pub fn from_type(protocol: Protocol, kind: u8) -> Option<Self> {
        Self::all(protocol).iter().copied().find(|q| q.kind == kind)
    }

    /// The query of this name, such as `echo-request`.
    #[must_use]
    pub fn from_name(protocol: Protocol, name: &str) -> Option<Self> {
        Self::all(protocol).iter().copied().find(|q| q.name == name)
    }

    /// The names of all queries of `protocol`, requests and answers.
    pub fn names(protocol: Protocol) -> impl Iterator<Item = &'static str> {
        Self::all(protocol).iter().map(|q| q.name)
    }

    /// The message type.
    #[must_use]
    pub fn message_type(self) -> u8 {
        self.kind
    }

    /// Whether this is an echo request: a ping (RFC 792, RFC 4443 section 4.1).
    #[must_use]
    pub fn is_echo_request(self) -> bool {
        // The two types differ, so the family need not be known.
        matches!(self.kind, 8 | 128)
    }

    /// Whether this message asks: only such a one may begin a session.
    #[must_use]
    pub fn is_request(self) -> bool {
        self.asks == Role::Request
    }

    /// The message that answers this one (or that this one answers).
    #[must_use]
    pub fn answered_by(self) -> Self {
        let asks = match self.asks {
            Role::Request => Role::Answer,
            Role::Answer => Role::Request,
        };
        let name = QUERIES_V4
            .iter()
            .chain(&QUERIES_V6)
            .find(|q| q.kind == self.answer && q.answer == self.kind)
            .map_or("", |q| q.name);
        query(self.answer, self.kind, asks, name)
    }

    /// The message type as it stands in a tuple's destination port, with code
    /// 0, which is all that honest senders use.
    #[must_use]
    pub fn as_port(self) -> Port {
        self.with_code(0)
    }

    /// Message type and code as they stand in a tuple's destination port. An
    /// answer has the code of its question, or it answers another.
    #[must_use]
    pub fn with_code(self, code: u8) -> Port {
        Port(u16::from_be_bytes([self.kind, code]))
    }
}

impl fmt::Display for IcmpQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Endpoint {
        text.parse().unwrap()
    }

    #[test]
    fn reversing_twice_gives_the_tuple_back() {
        let tcp = Tuple::new(
            Protocol::TCP,
            endpoint("10.0.0.7:51000"),
            endpoint("198.51.100.9:21"),
        );
        assert_eq!(tcp.reversed().source, tcp.destination);
        assert_eq!(tcp.reversed().reversed(), tcp);
    }

    #[test]
    fn of_all_queries_only_the_echo_requests_are_pings() {
        for protocol in [Protocol::ICMP, Protocol::ICMPV6] {
            for name in IcmpQuery::names(protocol) {
                let query = IcmpQuery::from_name(protocol, name).unwrap();
                assert_eq!(query.is_echo_request(), name == "echo-request", "{name}");
            }
        }
    }

    #[test]
    fn an_echo_reply_answers_the_request_with_the_same_identifier() {
        for (protocol, kind) in [(Protocol::ICMP, 8), (Protocol::ICMPV6, 128)] {
            let query = IcmpQuery::from_type(protocol, kind).unwrap();
            let ping = Tuple::new(
                protocol,
                endpoint("10.0.0.7:77"),
                Endpoint::new("198.51.100.9".parse().unwrap(), query.as_port()),
            );
            let pong = ping.reversed();
            assert_eq!(pong.source.port, Port(77));
            assert_eq!(pong.source.address, ping.destination.address);
            assert!(!pong.icmp_query().unwrap().is_request());
            assert_eq!(pong.reversed(), ping);
        }
    }
}
