//! A plain packet goes on: other addresses and ports, checksums included, and one step
//! nearer to the end of its time.

use super::{Plain, UDP_HEADER, V4_HEADER, V6_HEADER, words_of};
use crate::net::Protocol;
use crate::packet::addresses::{Addresses, Leaving};
use crate::packet::changes::Changes;
use crate::packet::checksum::{added, added_folded, folded};
use crate::packet::parse::Checksum;

/// What one off the time to live does to a sum: it stands in the lower octet of its
/// word, and `!n + (n - 1)` is the same for all.
const ONE_LESS: u16 = 0xfffe;

/// What addresses do to a sum that stay as they are: `!n + n`, the other nought.
const NO_CHANGE: u64 = u64::MAX;

impl Plain {
    /// Sends the packet on: with these addresses and ports, one step nearer to the
    /// end of its time. The caller has seen that it is not there yet, and that the
    /// addresses are of its family.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "it has one caller")]
    pub fn pass_on(&self, frame: &mut [u8], leaving: Leaving, checksum: Checksum) {
        let Some(addresses) = self.addresses(frame) else {
            return;
        };
        let own = Leaving {
            addresses,
            ports: self.ports,
        };
        self.pass_on_as(frame, leaving, Changes::between(&own, &leaving), checksum);
    }

    /// The same, where it is known what that does to checksums.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: docs/performance.md")]
    pub(crate) fn pass_on_as(
        &self,
        frame: &mut [u8],
        leaving: Leaving,
        changes: Changes,
        checksum: Checksum,
    ) {
        let ports = leaving.ports;
        match leaving.addresses {
            Addresses::V4(new) => {
                let Some((ip, transport)) = frame.split_first_chunk_mut::<V4_HEADER>() else {
                    return;
                };
                let [_, _, _, _, _, _, _, _, ttl, _, h0, h1, addresses @ ..] = ip;
                *ttl = ttl.wrapping_sub(1);
                let sum = added_folded(!u16::from_le_bytes([*h0, *h1]), changes.of_header());
                [*h0, *h1] = (!added_folded(sum, ONE_LESS)).to_le_bytes();
                if !self.bring_in(transport, ports, changes, checksum) {
                    let old = u64::from_le_bytes(*addresses);
                    let own = (self.protocol, self.ports);
                    pass_on_other(own, transport, (old, new), ports, checksum);
                }
                *addresses = new.to_le_bytes();
            }
            Addresses::V6(new) => self.pass_on_v6(frame, new, ports, checksum),
        }
    }

    /// Brings changes into a transport with a complete checksum, if it does not matter to
    /// it which of the two noughts they are.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: docs/performance.md")]
    fn bring_in(
        &self,
        transport: &mut [u8],
        ports: u32,
        changes: Changes,
        checksum: Checksum,
    ) -> bool {
        let Some((own, rest)) = transport.split_first_chunk_mut::<4>() else {
            return false;
        };
        let sum = match self.protocol {
            Protocol::TCP => rest.first_chunk_mut::<14>().map(|[.., a, b]| [a, b]),
            _ => rest.first_chunk_mut::<4>().map(|[.., a, b]| [a, b]),
        };
        let Some([s0, s1]) = sum else {
            return false;
        };
        let old = u16::from_le_bytes([*s0, *s1]);
        let new = !added_folded(!old, changes.of_transport());
        let new = match (self.protocol, old, new) {
            _ if checksum == Checksum::Partial => return false,
            (Protocol::TCP, 0xffff, _) => return false,
            (Protocol::TCP, ..) => new,
            // RFC 768: nought says that there is none.
            (_, 0, _) => 0,
            (_, _, 0) => 0xffff,
            _ => new,
        };
        *own = ports.to_le_bytes();
        [*s0, *s1] = new.to_le_bytes();
        true
    }

    fn pass_on_v6(&self, frame: &mut [u8], new: [u64; 4], ports: u32, checksum: Checksum) {
        let Some((ip, transport)) = frame.split_first_chunk_mut::<V6_HEADER>() else {
            return;
        };
        let [_, _, _, _, _, _, _, hop_limit, addresses @ ..] = ip;
        *hop_limit = self.ttl.wrapping_sub(1);
        let old = words_of(addresses);
        let mut change = NO_CHANGE;
        if old != new {
            for (old, new) in old.into_iter().zip(new) {
                change = added(change, added(!old, new));
            }
            let (words, _) = addresses.as_chunks_mut::<8>();
            for (word, new) in words.iter_mut().zip(new) {
                *word = new.to_le_bytes();
            }
        }
        if old != new || ports != self.ports {
            let own = (self.protocol, self.ports);
            pass_on_transport(own, transport, ports, change, checksum);
        }
    }
}

/// Brings other addresses of IPv4 and other ports into a transport of this protocol and
/// with these ports.
// Given what it asks: what is lent has to be kept somewhere.
#[inline(never)]
fn pass_on_other(
    own: (Protocol, u32),
    transport: &mut [u8],
    (old, new): (u64, u64),
    ports: u32,
    checksum: Checksum,
) {
    if old != new || ports != own.1 {
        pass_on_transport(own, transport, ports, added(!old, new), checksum);
    }
}

/// `change` is what the new addresses do to a sum.
fn pass_on_transport(
    (protocol, old): (Protocol, u32),
    transport: &mut [u8],
    ports: u32,
    change: u64,
    checksum: Checksum,
) {
    let of_ports = u64::from(!old) + u64::from(ports);
    let ports = ports.to_le_bytes();
    let moved = |old| moved(old, change, of_ports, checksum);
    if protocol == Protocol::TCP {
        let Some(header) = transport.first_chunk_mut::<18>() else {
            return;
        };
        let [a, b, c, d, _, _, _, _, _, _, _, _, _, _, _, _, sum @ ..] = header;
        [*a, *b, *c, *d] = ports;
        *sum = moved(*sum).to_le_bytes();
    } else if let Some([a, b, c, d, _, _, sum @ ..]) = transport.first_chunk_mut::<UDP_HEADER>() {
        [*a, *b, *c, *d] = ports;
        *sum = match (checksum, *sum, moved(*sum)) {
            (Checksum::Partial, _, new) => new.to_le_bytes(),
            // RFC 768: nought says that there is none.
            (Checksum::Complete, [0, 0], _) => [0, 0],
            (Checksum::Complete, _, 0) => [0xff, 0xff],
            (Checksum::Complete, _, new) => new.to_le_bytes(),
        };
    }
}

/// A transport's checksum after a change of addresses, and one of ports.
#[inline(always)]
#[expect(clippy::inline_always, reason = "measured: docs/performance.md")]
fn moved(old: [u8; 2], addresses: u64, ports: u64, checksum: Checksum) -> u16 {
    let old = u16::from_le_bytes(old);
    match checksum {
        Checksum::Partial if addresses == NO_CHANGE => old,
        Checksum::Partial => folded(added(addresses, u64::from(old))),
        Checksum::Complete => !folded(added(addresses, ports + u64::from(!old))),
    }
}
