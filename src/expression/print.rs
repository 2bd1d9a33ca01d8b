//! The canonical form of an expression: what is left out is what a reader of
//! it would assume.

use std::fmt;

use crate::net::{Endpoint, IcmpQuery, Protocol, SeqNumber};

use super::PacketExpression;
use super::spec::{Addresses, Content, IcmpMessage, PacketSpec, Payload, SctpPacket, Transport};

impl fmt::Display for PacketExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(zone) = &self.zone {
            write!(f, "{zone} ")?;
        }
        self.packet.fmt(f)
    }
}

impl fmt::Display for PacketSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            addresses,
            transport,
            ttl,
            payload,
        } = self;
        transport.fmt_with(*addresses, f)?;
        if *ttl != Self::TTL {
            write!(f, " ttl {ttl}")?;
        }
        match &payload.0 {
            Content::Zeros(0) => Ok(()),
            Content::Zeros(count) => write!(f, " length {count}"),
            Content::Bytes(_) => write!(f, " payload {payload}"),
        }
    }
}

impl Transport {
    fn fmt_with(&self, addresses: Addresses, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (addresses.source(), addresses.destination());
        match *self {
            Self::Tcp {
                source,
                destination,
                flags,
                seq,
                ack_number,
            } => {
                let from = Endpoint::new(from, source);
                let to = Endpoint::new(to, destination);
                write!(f, "tcp {from} > {to} {flags}")?;
                if seq != SeqNumber(0) {
                    write!(f, " seq {}", seq.0)?;
                }
                if ack_number != SeqNumber(0) {
                    write!(f, " ack-number {}", ack_number.0)?;
                }
                Ok(())
            }
            Self::Udp {
                source,
                destination,
            } => {
                let from = Endpoint::new(from, source);
                let to = Endpoint::new(to, destination);
                write!(f, "udp {from} > {to}")
            }
            Self::UdpLite {
                source,
                destination,
            } => {
                let from = Endpoint::new(from, source);
                let to = Endpoint::new(to, destination);
                write!(f, "udplite {from} > {to}")
            }
            Self::Sctp(SctpPacket {
                source,
                destination,
                chunk,
                tag,
            }) => {
                let from = Endpoint::new(from, source);
                let to = Endpoint::new(to, destination);
                write!(f, "sctp {from} > {to} {chunk}")?;
                // One that was written stays, though it be the usual one: another
                // chunk in its place would have another.
                match tag {
                    Some(tag) => write!(f, " tag {tag}"),
                    None => Ok(()),
                }
            }
            Self::Icmp(message) => {
                let protocol = addresses.icmp();
                write!(f, "{protocol} {from} > {to}")?;
                message.fmt_as(protocol, f)
            }
            // Their names stand for a header, which is not there.
            Self::Other(
                protocol @ (Protocol::TCP
                | Protocol::UDP
                | Protocol::ICMP
                | Protocol::ICMPV6
                | Protocol::SCTP
                | Protocol::UDPLITE),
            ) => write!(f, "proto-{} {from} > {to}", protocol.0),
            Self::Other(protocol) => write!(f, "{protocol} {from} > {to}"),
        }
    }
}

impl IcmpMessage {
    fn fmt_as(&self, protocol: Protocol, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match IcmpQuery::from_type(protocol, self.message_type) {
            Some(query) => write!(f, " {query}")?,
            None => write!(f, " type {}", self.message_type)?,
        }
        let default = Self::new(protocol, self.message_type);
        for (word, value, default) in [
            ("code", u16::from(self.code), u16::from(default.code)),
            ("id", self.id, default.id),
            ("seq", self.seq, default.seq),
        ] {
            if value != default {
                write!(f, " {word} {value}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Payload {
    /// In double quotes; what is not printable ASCII is escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for byte in self.to_vec() {
            match byte {
                b'\r' => f.write_str("\\r"),
                b'\n' => f.write_str("\\n"),
                b'\t' => f.write_str("\\t"),
                b'"' | b'\\' => write!(f, "\\{}", char::from(byte)),
                b' '..=b'~' => write!(f, "{}", char::from(byte)),
                _ => write!(f, "\\x{byte:02x}"),
            }?;
        }
        f.write_str("\"")
    }
}
