//! ICMP errors about a session: translated outside and inside (RFC 5508
//! section 4).

use std::net::IpAddr;

use super::bytes::{put, u16_at};
use super::checksum::Sum;
use super::parse::{BadPacket, Headers, Quoted};
use super::rewrite::{Change, put_sctp_ports, readdress, update_transport_checksum};
use crate::net::{Protocol, Tuple};

/// Octets of an ICMP error before the packet that it quotes.
pub(super) const QUOTE_AT: usize = 8;

/// The packet that an ICMP error quotes.
///
/// # Errors
/// What is wrong with the quote.
pub fn quoted(frame: &[u8], headers: &Headers) -> Result<Quoted, BadPacket> {
    let quote = headers.transport_at + QUOTE_AT..headers.length.min(frame.len());
    Quoted::read(frame.get(quote).ok_or(BadPacket::Length)?)
}

/// Gives an ICMP error other addresses outside, and inside the tuple `inner`
/// to the packet that it quotes; all checksums follow, at both depths.
pub fn translate_error(
    frame: &mut [u8],
    headers: &Headers,
    source: IpAddr,
    destination: IpAddr,
    quoted: &Quoted,
    inner: &Tuple,
) {
    let start = headers.transport_at + QUOTE_AT;
    let end = headers.length.min(frame.len());
    let before = frame
        .get(start..end)
        .map_or(Sum::default(), |quote| Sum::default().over(quote));
    if let Some(quote) = frame.get_mut(start..end) {
        translate_quote(quote, quoted, inner);
    }
    let after = frame
        .get(start..end)
        .map_or(Sum::default(), |quote| Sum::default().over(quote));
    // The quote starts at an even place of the message: its old sum goes out
    // of the message's checksum, the new one comes in.
    let change = Sum::default().add_u16(!before.fold()).add_u16(after.fold());
    update_transport_checksum(frame, headers, Change::of_octets(change));
    readdress(frame, headers, source, destination);
}

/// Changes addresses and ports of a quoted packet. Its own IP checksum is kept
/// right; its transport checksum too, where the quote is long enough to hold it.
/// Where nothing is translated, not even a checksum is written otherwise.
fn translate_quote(quote: &mut [u8], quoted: &Quoted, inner: &Tuple) {
    let outer = &quoted.tuple;
    if outer == inner {
        return;
    }
    let mut addresses = Sum::default();
    let mut at = match outer.source.address {
        IpAddr::V4(_) => 12,
        IpAddr::V6(_) => 8,
    };
    for (old, new) in [
        (outer.source.address, inner.source.address),
        (outer.destination.address, inner.destination.address),
    ] {
        let width = match (old, new) {
            (IpAddr::V4(old), IpAddr::V4(new)) => {
                addresses = addresses.change(&old.octets(), &new.octets());
                put(quote, at, &new.octets());
                4
            }
            (IpAddr::V6(old), IpAddr::V6(new)) => {
                addresses = addresses.change(&old.octets(), &new.octets());
                put(quote, at, &new.octets());
                16
            }
            _ => return,
        };
        at += width;
    }
    if outer.source.address.is_ipv4()
        && let Some(old) = u16_at(quote, 10)
    {
        put(quote, 10, &addresses.update(old).to_be_bytes());
    }
    let transport = quoted.transport_at;
    let port_at = |offset: usize| transport + offset;
    let mut change = addresses;
    let mut change_port = |quote: &mut [u8], at: usize, new: u16| {
        if let Some(old) = u16_at(quote, at) {
            change = change.change(&old.to_be_bytes(), &new.to_be_bytes());
            put(quote, at, &new.to_be_bytes());
        }
    };
    match outer.protocol {
        Protocol::SCTP => {
            let (source, destination) = (inner.source.port, inner.destination.port);
            put_sctp_ports(quote, transport, source, destination, quoted.length);
            return;
        }
        Protocol::TCP | Protocol::UDP | Protocol::UDPLITE => {
            change_port(quote, port_at(0), inner.source.port.0);
            change_port(quote, port_at(2), inner.destination.port.0);
        }
        Protocol::ICMP | Protocol::ICMPV6 => change_port(quote, port_at(4), inner.source.port.0),
        _ => return,
    }
    let (field, change) = match outer.protocol {
        Protocol::TCP => (16, change),
        Protocol::UDP | Protocol::UDPLITE => (6, change),
        Protocol::ICMPV6 => (2, change),
        // ICMP has no pseudo-header: only the identifier counts.
        _ => {
            let old = outer.source.port.0.to_be_bytes();
            (
                2,
                Sum::default().change(&old, &inner.source.port.0.to_be_bytes()),
            )
        }
    };
    if let Some(old) = u16_at(quote, transport + field) {
        let new = match (outer.protocol, change.update(old)) {
            (Protocol::UDP, _) if old == 0 => return,
            (Protocol::UDP | Protocol::UDPLITE, 0) => 0xffff,
            (_, new) => new,
        };
        put(quote, transport + field, &new.to_be_bytes());
    }
}
