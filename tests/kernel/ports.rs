//! Which port a gateway chose for whom. Where the one that a client has is
//! taken, each gateway chooses another at will: what is compared is then the
//! packet that would have left with the client's own.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use super::packets::checksum;
use super::table::Entry;
use super::wire::{self, ICMP, ICMPV6, TCP, UDP};

/// A client's connection, as the client sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Flow {
    protocol: u8,
    client: SocketAddr,
    server: SocketAddr,
}

/// As what its answers arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Public {
    protocol: u8,
    server: SocketAddr,
    own: SocketAddr,
}

/// The choices of one gateway.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    outward: HashMap<Flow, u16>,
    inward: HashMap<Public, u16>,
}

/// Which port of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Source,
    Destination,
}

impl Ports {
    /// Takes note of what a gateway made of a client's packet.
    pub(crate) fn learn(&mut self, sent: &[u8], left: &[u8]) {
        let (Some((protocol, client, server)), Some((_, own, _))) = (ends(sent), ends(left)) else {
            return;
        };
        if client.ip() == own.ip() {
            return; // not translated
        }
        let flow = Flow {
            protocol,
            client,
            server,
        };
        let public = Public {
            protocol,
            server,
            own,
        };
        self.outward.insert(flow, own.port());
        self.inward.insert(public, client.port());
    }

    /// An answer that names the client's own port, as this gateway gets it.
    pub(crate) fn for_gateway(&self, bytes: &[u8], client: SocketAddr) -> Vec<u8> {
        let changed = |public: (u8, SocketAddr, SocketAddr)| {
            let (protocol, server, _) = public;
            let flow = Flow {
                protocol,
                client,
                server,
            };
            self.outward.get(&flow).copied()
        };
        with_port(bytes, Which::Destination, changed)
    }

    /// What left, with the client's own port in place of the chosen one.
    pub(crate) fn as_client(&self, bytes: &[u8]) -> Vec<u8> {
        let changed = |(protocol, own, server): (u8, SocketAddr, SocketAddr)| {
            let public = Public {
                protocol,
                server,
                own,
            };
            self.inward.get(&public).copied()
        };
        with_port(bytes, Which::Source, changed)
    }

    /// An entry of this gateway's table with the client's own port.
    pub(crate) fn entry_of_client(&self, mut entry: Entry) -> Entry {
        let [original, reply] = &mut entry.tuples;
        let protocol = match entry.protocol.as_str() {
            "tcp" => TCP,
            "udp" => UDP,
            "icmp" => ICMP,
            _ => ICMPV6,
        };
        let is_icmp = matches!(protocol, ICMP | ICMPV6);
        let flow = Flow {
            protocol,
            client: SocketAddr::new(original.source.0, original.source.1),
            server: match is_icmp {
                true => SocketAddr::new(original.destination.0, 0),
                false => SocketAddr::new(original.destination.0, original.destination.1),
            },
        };
        if let Some(chosen) = self.outward.get(&flow) {
            let port = match is_icmp {
                true => &mut reply.source.1,
                false => &mut reply.destination.1,
            };
            if port == chosen {
                *port = flow.client.port();
            }
        }
        entry
    }
}

/// Both ends of a packet that begins or goes on with something; an identifier
/// stands as its sender's port.
fn ends(bytes: &[u8]) -> Option<(u8, SocketAddr, SocketAddr)> {
    let read = wire::read(bytes)?;
    let port = |at: usize| {
        let octets = bytes.get(read.at + at..read.at + at + 2)?;
        Some(u16::from_be_bytes([octets[0], octets[1]]))
    };
    let (from, to) = match read.protocol {
        TCP | UDP => (port(0)?, port(2)?),
        ICMP | ICMPV6 if !wire::quotes(read.protocol, *bytes.get(read.at)?) => (port(4)?, 0),
        _ => return None,
    };
    let end = |address: IpAddr, port| SocketAddr::new(address, port);
    Some((read.protocol, end(read.from, from), end(read.to, to)))
}

/// A packet with another port of the gateway's own, also within a quote;
/// checksums that were right stay right. `chosen` gets the protocol, the end
/// on the named side, and the other, where an identifier is no port.
fn with_port(
    bytes: &[u8],
    which: Which,
    chosen: impl Fn((u8, SocketAddr, SocketAddr)) -> Option<u16>,
) -> Vec<u8> {
    let same = || bytes.to_vec();
    let Some(read) = wire::read(bytes) else {
        return same();
    };
    let quote_at = match bytes.get(read.at) {
        Some(kind) if wire::quotes(read.protocol, *kind) => read.at + 8,
        _ => 0,
    };
    let quoted = bytes.get(quote_at..).unwrap_or_default();
    let (Some(inner), Some((protocol, from, to))) = (wire::read(quoted), ends(quoted)) else {
        return same();
    };
    // Who is quoted went the other way.
    let which = match (which, quote_at) {
        (which, 0) => which,
        (Which::Source, _) => Which::Destination,
        (Which::Destination, _) => Which::Source,
    };
    let is_icmp = matches!(protocol, ICMP | ICMPV6);
    let bare = |end: SocketAddr| SocketAddr::new(end.ip(), 0);
    let (key, at) = match (which, is_icmp, quote_at) {
        (Which::Source, false, 0) => ((protocol, from, to), 0),
        (Which::Destination, false, 0) => ((protocol, from, to), 2),
        (Which::Source, true, 0) => ((protocol, from, bare(to)), 4),
        (Which::Destination, true, 0) => ((protocol, bare(from), to), 4),
        // Quoted: what the gateway sent out, or what was sent to it.
        (Which::Source, false, _) => ((protocol, to, from), 0),
        (Which::Destination, false, _) => ((protocol, to, from), 2),
        (Which::Source, true, _) => ((protocol, bare(to), from), 4),
        (Which::Destination, true, _) => {
            let own = SocketAddr::new(to.ip(), from.port());
            ((protocol, own, bare(from)), 4)
        }
    };
    let Some(port) = chosen(key) else {
        return same();
    };
    let mut changed = same();
    let at = quote_at + inner.at + at;
    changed[at..at + 2].copy_from_slice(&port.to_be_bytes());
    if quote_at > 0 {
        changed = resummed(changed, bytes, protocol, quote_at + inner.at);
    }
    resummed(changed, bytes, read.protocol, read.at)
}

/// The checksum of the transport at `at`, moved by what changed behind it.
fn resummed(mut changed: Vec<u8>, before: &[u8], protocol: u8, at: usize) -> Vec<u8> {
    let field = at
        + match protocol {
            TCP => 16,
            UDP => 6,
            _ => 2,
        };
    let Some(old) = before.get(field..field + 2) else {
        return changed; // the quote is too short for it
    };
    let old = u16::from_be_bytes([old[0], old[1]]);
    if protocol == UDP && old == 0 {
        return changed;
    }
    let sum = |bytes: &[u8]| {
        let mut bytes = bytes[at..].to_vec();
        bytes[field - at..field - at + 2].fill(0);
        u32::from(!checksum(&bytes))
    };
    // ~new = ~old - before + after (RFC 1624), in ones' complement.
    let mut total = u32::from(!old) + (0xffff - sum(before)) + sum(&changed);
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    let new = !u16::try_from(total).unwrap();
    let new = if new == 0 { 0xffff } else { new };
    changed[field..field + 2].copy_from_slice(&new.to_be_bytes());
    changed
}
