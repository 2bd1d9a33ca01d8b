//! What each gateway chose for whom, and packets in which something else
//! stands in its place.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use super::super::packets::checksum;
use super::super::table::Entry;
use super::super::wire::{self, ICMP, ICMPV6, TCP, UDP};

/// As what a server knows its client: protocol, server, client. An identifier
/// is the client's port, and the server's is 0.
pub(super) type Known = (u8, SocketAddr, SocketAddr);

/// The choices of one gateway, each with the name that it has in a comparison.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<Known, SocketAddr>);

impl Names {
    /// `chosen` is to be called `name`.
    pub(super) fn learn(&mut self, chosen: Known, name: SocketAddr) {
        self.0.insert(chosen, name);
    }

    /// Whether somebody is known so already.
    pub(super) fn has(&self, known: &Known) -> bool {
        self.0.contains_key(known)
    }

    /// A packet with names in place of choices.
    pub(super) fn named(&self, bytes: &[u8]) -> Vec<u8> {
        let named = renamed(bytes, |known| self.0.get(&known).copied());
        one_zero(named)
    }

    /// An entry of this gateway's table, likewise.
    pub(super) fn entry(&self, mut entry: Entry) -> Entry {
        let protocol = match entry.protocol.as_str() {
            "tcp" => TCP,
            "udp" => UDP,
            "icmp" => ICMP,
            _ => ICMPV6,
        };
        let is_icmp = matches!(protocol, ICMP | ICMPV6);
        let [_, reply] = &mut entry.tuples;
        let (server, client) = (reply.source, reply.destination);
        let known = match is_icmp {
            true => (
                protocol,
                SocketAddr::new(server.0, 0),
                SocketAddr::new(client.0, server.1),
            ),
            false => (protocol, server.into(), client.into()),
        };
        if let Some(name) = self.0.get(&known) {
            reply.destination.0 = name.ip();
            match is_icmp {
                true => reply.source.1 = name.port(),
                false => reply.destination.1 = name.port(),
            }
        }
        entry
    }
}

/// Both ends of a packet, or of one that an error quotes.
#[derive(Debug, Clone, Copy)]
struct Ends {
    protocol: u8,
    from: SocketAddr,
    to: SocketAddr,
    /// Where the header with the addresses begins.
    header: usize,
    /// Where the transport begins.
    transport: usize,
}

/// The ends of what a packet quotes, else its own.
fn ends(bytes: &[u8]) -> Option<Ends> {
    let outer = wire::read(bytes)?;
    let kind = *bytes.get(outer.at)?;
    if matches!(outer.protocol, ICMP | ICMPV6) && wire::quotes(outer.protocol, kind) {
        let at = outer.at + 8;
        return ends_at(bytes, at);
    }
    ends_at(bytes, 0)
}

fn ends_at(bytes: &[u8], header: usize) -> Option<Ends> {
    let read = wire::read(bytes.get(header..).filter(|quote| !quote.is_empty())?)?;
    let transport = header + read.at;
    let port = |at: usize| {
        let octets = bytes.get(transport + at..transport + at + 2)?;
        Some(u16::from_be_bytes([octets[0], octets[1]]))
    };
    let (from, to) = match read.protocol {
        TCP | UDP => (port(0)?, port(2)?),
        ICMP | ICMPV6 => match *bytes.get(transport)? {
            // Answers name the asker's identifier.
            0 | 129 => (0, port(4)?),
            _ => (port(4)?, 0),
        },
        _ => return None,
    };
    Some(Ends {
        protocol: read.protocol,
        from: SocketAddr::new(read.from, from),
        to: SocketAddr::new(read.to, to),
        header,
        transport,
    })
}

/// A quoted checksum of 0xffff as 0, which says the same: it may have come about
/// by another way.
fn one_zero(mut bytes: Vec<u8>) -> Vec<u8> {
    let Some(ends) = ends(&bytes).filter(|ends| ends.header > 0) else {
        return bytes;
    };
    let field = match ends.protocol {
        TCP => ends.transport + 16,
        UDP => return bytes,
        _ => ends.transport + 2,
    };
    if let Some(sum) = bytes.get_mut(field..field + 2)
        && sum == [0xff, 0xff]
    {
        sum.fill(0);
    }
    bytes
}

/// The ends of a packet that quotes none: protocol, sender, receiver.
pub(super) fn own_ends(bytes: &[u8]) -> Option<(u8, SocketAddr, SocketAddr)> {
    let ends = ends(bytes).filter(|ends| ends.header == 0)?;
    Some((ends.protocol, ends.from, ends.to))
}

/// A packet of a conversation, or an error about one, in which a server knows
/// its client as something else. Checksums that are right stay right, and those
/// that are wrong wrong.
pub(super) fn renamed(bytes: &[u8], name: impl Fn(Known) -> Option<SocketAddr>) -> Vec<u8> {
    let same = || bytes.to_vec();
    let Some(ends) = ends(bytes) else {
        return same();
    };
    let Ends {
        protocol, from, to, ..
    } = ends;
    let (is_sender, old, new) = match name((protocol, to, from)) {
        Some(new) => (true, from, new),
        None => match name((protocol, from, to)) {
            Some(new) => (false, to, new),
            None => return same(),
        },
    };
    let mut changed = same();
    // The one that is spoken of, where it is.
    let (address, port) = places(&ends, bytes, is_sender);
    put_address(&mut changed, address, new.ip());
    changed[port..port + 2].copy_from_slice(&new.port().to_be_bytes());
    let moved = Moved {
        address: (old.ip(), new.ip()),
        port: (old.port(), new.port()),
    };
    moved.header(&mut changed, ends.header);
    moved.transport(&mut changed, protocol, ends.transport);
    if ends.header > 0 {
        // Around it: the addresses, and the message that quotes it.
        let outer = wire::read(bytes).unwrap();
        for (at, address) in [(0, outer.from), (1, outer.to)] {
            if address == old.ip() {
                let place = address_places(bytes, 0)[at];
                put_address(&mut changed, place, new.ip());
                moved.header(&mut changed, 0);
            }
        }
        moved.message(bytes, &mut changed, outer.protocol, outer.at);
    }
    changed
}

/// An ICMP error as if another had sent it.
pub(super) fn error_from(bytes: &[u8], source: IpAddr) -> Vec<u8> {
    let read = wire::read(bytes).unwrap();
    let moved = Moved {
        address: (read.from, source),
        port: (0, 0),
    };
    let mut changed = bytes.to_vec();
    let [at, _] = address_places(bytes, 0);
    put_address(&mut changed, at, source);
    moved.header(&mut changed, 0);
    moved.transport(&mut changed, read.protocol, read.at);
    changed
}

/// Where the addresses of a header stand: sender, receiver.
fn address_places(bytes: &[u8], header: usize) -> [usize; 2] {
    match bytes[header] >> 4 {
        4 => [header + 12, header + 16],
        _ => [header + 8, header + 24],
    }
}

fn places(ends: &Ends, bytes: &[u8], is_sender: bool) -> (usize, usize) {
    let [from, to] = address_places(bytes, ends.header);
    let port = match (ends.protocol, is_sender) {
        (ICMP | ICMPV6, _) => 4,
        (_, true) => 0,
        (_, false) => 2,
    };
    (if is_sender { from } else { to }, ends.transport + port)
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn put_address(bytes: &mut [u8], at: usize, address: IpAddr) {
    let new = octets(address);
    bytes[at..at + new.len()].copy_from_slice(&new);
}

/// What changed of an end: old, new.
struct Moved {
    address: (IpAddr, IpAddr),
    port: (u16, u16),
}

impl Moved {
    /// The checksum of an IPv4 header.
    fn header(&self, bytes: &mut [u8], at: usize) {
        if bytes[at] >> 4 == 4 {
            let (old, new) = (octets(self.address.0), octets(self.address.1));
            adjust(bytes, at + 10, &old, &new);
        }
    }

    /// The checksum of a transport, where there is one.
    fn transport(&self, bytes: &mut [u8], protocol: u8, at: usize) {
        let field = at
            + match protocol {
                TCP => 16,
                UDP => 6,
                _ => 2,
            };
        let Some(sum) = bytes.get(field..field + 2) else {
            return;
        };
        if protocol == UDP && sum == [0, 0] {
            return;
        }
        let ports = [self.port.0.to_be_bytes(), self.port.1.to_be_bytes()];
        let with = |address: IpAddr, port: [u8; 2]| match protocol {
            ICMP => port.to_vec(),
            _ => [octets(address), port.to_vec()].concat(),
        };
        let old = with(self.address.0, ports[0]);
        let new = with(self.address.1, ports[1]);
        adjust(bytes, field, &old, &new);
        if protocol == UDP && bytes[field..field + 2] == [0, 0] {
            bytes[field..field + 2].fill(0xff); // zero would say that there is none
        }
    }

    /// The checksum of an error whose quote, and maybe address, changed.
    fn message(&self, before: &[u8], bytes: &mut [u8], protocol: u8, at: usize) {
        let of = |bytes: &[u8]| {
            let mut covered = bytes[at..].to_vec();
            covered[2..4].fill(0);
            if protocol == ICMPV6 {
                covered.splice(0..0, bytes[8..40].iter().copied());
            }
            checksum(&covered)
        };
        let (old, new) = (of(before), of(bytes));
        // A sum is the complement of what it covers.
        adjust(bytes, at + 2, &(!old).to_be_bytes(), &(!new).to_be_bytes());
    }
}

/// Moves a checksum by what changed (RFC 1624): ~new = ~sum - old + new.
fn adjust(bytes: &mut [u8], field: usize, old: &[u8], new: &[u8]) {
    let words = |octets: &[u8]| u32::from(!checksum(octets));
    let sum = u16::from_be_bytes([bytes[field], bytes[field + 1]]);
    let mut total = u32::from(!sum) + (0xffff - words(old)) + words(new);
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    let sum = !u16::try_from(total).unwrap();
    bytes[field..field + 2].copy_from_slice(&sum.to_be_bytes());
}
