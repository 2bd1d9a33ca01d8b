//! A packet as nearly all are: IPv4 without options, whole, TCP or UDP. It is read at
//! fixed offsets and changed in one step, checksums included.
//!
//! What is not of this kind is read by [`Headers`](super::Headers); of what is, both
//! say the same, and change the same bytes.

use super::checksum::{added, folded, over};
use super::parse::Checksum;
use crate::net::{Protocol, SeqNumber, TcpFlags};

const IP_HEADER: usize = 20;
const UDP_HEADER: usize = 8;
/// Version 4, five words of header.
const PLAIN: u8 = 0x45;
/// More pieces follow, or this one is not the first.
const IS_PIECE: u16 = 0x3fff;

/// An IPv4 packet of TCP or UDP without IP options, which came in one piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plain {
    /// Source and destination address, the source in the upper half.
    pub addresses: u64,
    /// The ports likewise.
    pub ports: u32,
    /// All its octets: those of the frame.
    pub length: u16,
    /// The time to live.
    pub ttl: u8,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// What else a TCP header says; of UDP nothing.
    pub segment: PlainSegment,
}

/// What the header of a TCP segment says besides its ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PlainSegment {
    /// Sequence number of the first octet.
    pub seq: SeqNumber,
    /// The next number that the sender expects, if ACK is set.
    pub ack: SeqNumber,
    /// The window as sent, not scaled.
    pub window: u16,
    /// The flags.
    pub flags: TcpFlags,
    /// Octets of the header.
    pub header: u8,
}

/// The options of a TCP segment, where they are such as most have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlainOptions {
    /// None.
    None,
    /// Nothing but a time stamp.
    Stamp(u32),
}

/// Addresses and ports with which a plain packet leaves, as it has them itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaving {
    /// Source and destination address, the source in the upper half.
    pub addresses: u64,
    /// The ports likewise.
    pub ports: u32,
}

impl Plain {
    /// Reads a packet; `None` where it is not of this kind, whatever else it is.
    // Else it is written once here and copied by its caller, which has to wait for it.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: docs/performance.md")]
    #[must_use]
    pub fn read(frame: &[u8]) -> Option<Self> {
        let (ip, transport) = frame.split_first_chunk::<IP_HEADER>()?;
        let [
            PLAIN,
            _,
            l0,
            l1,
            _,
            _,
            f0,
            f1,
            ttl,
            protocol,
            _,
            _,
            addresses @ ..,
        ] = *ip
        else {
            return None;
        };
        let length = u16::from_be_bytes([l0, l1]);
        if usize::from(length) != frame.len() || u16::from_be_bytes([f0, f1]) & IS_PIECE != 0 {
            return None;
        }
        let (ports, segment) = match Protocol(protocol) {
            Protocol::TCP => {
                let header = transport.first_chunk::<20>()?;
                let [
                    a,
                    b,
                    c,
                    d,
                    s0,
                    s1,
                    s2,
                    s3,
                    k0,
                    k1,
                    k2,
                    k3,
                    offset,
                    flags,
                    w0,
                    w1,
                    ..,
                ] = *header;
                let header = (offset >> 4) * 4;
                if header < 20 || usize::from(header) > transport.len() {
                    return None;
                }
                let segment = PlainSegment {
                    seq: SeqNumber(u32::from_be_bytes([s0, s1, s2, s3])),
                    ack: SeqNumber(u32::from_be_bytes([k0, k1, k2, k3])),
                    window: u16::from_be_bytes([w0, w1]),
                    flags: TcpFlags(flags),
                    header,
                };
                ([a, b, c, d], segment)
            }
            Protocol::UDP => {
                let [a, b, c, d, u0, u1, _, _] = *transport.first_chunk::<UDP_HEADER>()?;
                if usize::from(u16::from_be_bytes([u0, u1])) != transport.len() {
                    return None;
                }
                ([a, b, c, d], PlainSegment::default())
            }
            _ => return None,
        };
        Some(Self {
            addresses: u64::from_be_bytes(addresses),
            ports: u32::from_be_bytes(ports),
            length,
            ttl,
            protocol: Protocol(protocol),
            segment,
        })
    }

    /// Octets of payload of a TCP segment.
    #[inline]
    #[must_use]
    pub fn payload(&self) -> u32 {
        u32::from(self.length).saturating_sub(20 + u32::from(self.segment.header))
    }

    /// The options of a TCP segment; `None` where they are not such as most have.
    #[inline]
    #[must_use]
    pub fn options(&self, frame: &[u8]) -> Option<PlainOptions> {
        match self.segment.header {
            20 => Some(PlainOptions::None),
            32 => match frame.get(40..52)? {
                [1, 1, 8, 10, a, b, c, d, ..] => {
                    Some(PlainOptions::Stamp(u32::from_be_bytes([*a, *b, *c, *d])))
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether the checksums of the packet are right; the transport's counts only
    /// where it is complete and there is one.
    #[inline]
    #[must_use]
    pub fn is_intact(&self, frame: &[u8], checksum: Checksum) -> bool {
        let Some((ip, transport)) = frame.split_first_chunk::<IP_HEADER>() else {
            return false;
        };
        // The addresses are in both sums.
        let addresses = self.addresses.to_be();
        let [a, b, c, d, e, f, g, h, i, j, k, l, ..] = *ip;
        let first = u64::from_ne_bytes([a, b, c, d, e, f, g, h]);
        let second = u64::from(u32::from_ne_bytes([i, j, k, l]));
        if folded(added(added(first, second), addresses)) != u16::MAX {
            return false;
        }
        let has_none = || self.is_udp() && transport.get(6..8) == Some(&[0, 0]);
        if checksum == Checksum::Partial || has_none() {
            return true;
        }
        let pseudo = u32::from(self.length) - 20 + u32::from(self.protocol.0);
        // As a number of the network's byte order, wherever it may stand.
        let pseudo = u64::from(pseudo.to_be());
        folded(added(over(transport), added(addresses, pseudo))) == u16::MAX
    }

    fn is_udp(&self) -> bool {
        self.protocol == Protocol::UDP
    }

    /// Sends the packet on: with these addresses and ports, one step nearer to the
    /// end of its time. The caller has seen that it is not there yet.
    #[inline]
    pub fn pass_on(&self, frame: &mut [u8], leaving: Leaving, checksum: Checksum) {
        let Some((ip, transport)) = frame.split_first_chunk_mut::<IP_HEADER>() else {
            return;
        };
        let change = changed(self.addresses, leaving.addresses);
        let hops = |ttl: u8| u64::from(u16::from_be_bytes([ttl, self.protocol.0]));
        let ttl = self.ttl.saturating_sub(1);
        let [_, _, _, _, _, _, _, _, at_ttl, _, h0, h1, addresses @ ..] = ip;
        let old = u16::from_be_bytes([*h0, *h1]);
        let aged = (!hops(self.ttl) & 0xffff) + hops(ttl);
        [*h0, *h1] = (!folded(u64::from(!old) + change + aged)).to_be_bytes();
        *at_ttl = ttl;
        *addresses = leaving.addresses.to_be_bytes();
        if (leaving.addresses, leaving.ports) == (self.addresses, self.ports) {
            return;
        }
        let place = match self.is_udp() {
            false => {
                let Some([a, b, c, d, _, _, _, _, _, _, _, _, _, _, _, _, s0, s1, ..]) =
                    transport.first_chunk_mut::<20>()
                else {
                    return;
                };
                [*a, *b, *c, *d] = leaving.ports.to_be_bytes();
                [s0, s1]
            }
            true => {
                let Some([a, b, c, d, _, _, s0, s1]) = transport.first_chunk_mut::<UDP_HEADER>()
                else {
                    return;
                };
                [*a, *b, *c, *d] = leaving.ports.to_be_bytes();
                [s0, s1]
            }
        };
        let [s0, s1] = place;
        let old = u16::from_be_bytes([*s0, *s1]);
        let new = match checksum {
            Checksum::Partial if leaving.addresses == self.addresses => old,
            Checksum::Partial => folded(u64::from(old) + change),
            Checksum::Complete => {
                let ports = changed(u64::from(self.ports), u64::from(leaving.ports));
                let sum = !folded(u64::from(!old) + change + ports);
                match (self.is_udp(), old, sum) {
                    // RFC 768: nought says that there is none.
                    (true, 0, _) => 0,
                    (true, _, 0) => u16::MAX,
                    _ => sum,
                }
            }
        };
        [*s0, *s1] = new.to_be_bytes();
    }
}

/// What changing these four words does to a sum (RFC 1624): both halves, since a sum of
/// 32 bit words folds to that of their 16 bit words (RFC 1071 section 2 C).
#[inline]
fn changed(old: u64, new: u64) -> u64 {
    let halves = |eight: u64| (eight >> 32) + (eight & 0xffff_ffff);
    halves(!old) + halves(new)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Headers, decrement_ttl, repair_checksums, translate};
    use super::*;
    use crate::net::{Endpoint, Port, Tuple};

    /// A packet that is plain but for what chance breaks.
    fn frame() -> impl Strategy<Value = Vec<u8>> {
        let rest = prop::collection::vec(any::<u8>(), 20..120);
        let breaks = prop::option::weighted(0.2, (0usize..48, any::<u8>()));
        (rest, any::<bool>(), any::<[u8; 12]>(), breaks, 5u8..9).prop_map(
            |(mut transport, is_tcp, fields, breaks, words)| {
                let [tos, i0, i1, ttl, addresses @ ..] = fields;
                let length = u16::try_from(20 + transport.len()).unwrap();
                let [l0, l1] = length.to_be_bytes();
                let protocol = if is_tcp { 6 } else { 17 };
                let mut frame = vec![0x45, tos, l0, l1, i0, i1, 0x40, 0, ttl, protocol, 0, 0];
                frame.extend(addresses);
                if is_tcp {
                    transport[12] = words << 4;
                    if tos % 2 == 0 && transport.len() >= 32 {
                        transport[20..24].copy_from_slice(&[1, 1, 8, 10]);
                    }
                } else {
                    let length = u16::try_from(transport.len()).unwrap();
                    transport[4..6].copy_from_slice(&length.to_be_bytes());
                }
                frame.extend(transport);
                if let Ok(headers) = Headers::read(&frame, false) {
                    repair_checksums(&mut frame, &headers);
                }
                if let Some((at, with)) = breaks
                    && let Some(place) = frame.get_mut(at)
                {
                    *place = with;
                }
                frame
            },
        )
    }

    proptest! {
        #[test]
        fn it_is_read_as_all_headers_are(frame in frame()) {
            let Some(plain) = Plain::read(&frame) else {
                return Ok(());
            };
            let headers = Headers::read(&frame, false).expect("what is plain can be read");
            if let Some(tcp) = headers.tcp() {
                let own = plain.segment;
                prop_assert_eq!((own.seq, own.ack), (tcp.seq, tcp.ack));
                prop_assert_eq!((own.window, own.flags), (tcp.window, tcp.flags));
                prop_assert_eq!(usize::from(own.header), tcp.length);
                prop_assert_eq!(plain.payload() as usize, tcp.payload);
                let options = headers.tcp_options(&frame);
                match plain.options(&frame) {
                    None => {}
                    Some(PlainOptions::None) => prop_assert!(options.are_absent()),
                    Some(PlainOptions::Stamp(stamp)) => {
                        prop_assert_eq!(options.time_stamp(), Some(stamp));
                        prop_assert_eq!(options.sack_edges().count(), 0);
                    }
                }
            }
            prop_assert_eq!((plain.ttl, usize::from(plain.length)), (headers.ttl, headers.length));
            let tuple = headers.tuple().unwrap();
            let ports = u32::from(tuple.source.port.0) << 16 | u32::from(tuple.destination.port.0);
            prop_assert_eq!((plain.protocol, plain.ports), (tuple.protocol, ports));
            prop_assert_eq!(
                plain.is_intact(&frame, Checksum::Complete),
                headers.verify_checksums(&frame).is_ok()
            );
            let partial = headers.with_partial_checksum();
            prop_assert_eq!(
                plain.is_intact(&frame, Checksum::Partial),
                partial.verify_checksums(&frame).is_ok()
            );
        }

        #[test]
        fn it_leaves_as_all_packets_do(
            frame in frame(),
            to: (u32, u32, u16, u16),
            keeps: [bool; 4],
            partial: bool,
        ) {
            let Some(plain) = Plain::read(&frame) else {
                return Ok(());
            };
            let mut headers = Headers::read(&frame, false).unwrap();
            let checksum = if partial { Checksum::Partial } else { Checksum::Complete };
            if partial {
                headers = headers.with_partial_checksum();
            }
            let own = headers.tuple().unwrap();
            let end = |own: Endpoint, bits: u32, port: u16, keeps: [bool; 2]| Endpoint::new(
                if keeps[0] { own.address } else { std::net::Ipv4Addr::from_bits(bits.max(1)).into() },
                if keeps[1] { own.port } else { Port(port.max(1)) },
            );
            let tuple = Tuple::new(
                own.protocol,
                end(own.source, to.0, to.2, [keeps[0], keeps[1]]),
                end(own.destination, to.1, to.3, [keeps[2], keeps[3]]),
            );
            let bits = |endpoint: Endpoint| match endpoint.address {
                std::net::IpAddr::V4(address) => address.to_bits(),
                std::net::IpAddr::V6(_) => unreachable!(),
            };
            let leaving = Leaving {
                addresses: u64::from(bits(tuple.source)) << 32 | u64::from(bits(tuple.destination)),
                ports: u32::from(tuple.source.port.0) << 16 | u32::from(tuple.destination.port.0),
            };
            let mut ours = frame.clone();
            plain.pass_on(&mut ours, leaving, checksum);
            let mut theirs = frame.clone();
            translate(&mut theirs, &headers, &tuple);
            decrement_ttl(&mut theirs, &headers);
            prop_assert_eq!(&ours, &theirs);
            // And what was right is right.
            let left = Plain::read(&ours).unwrap();
            if plain.is_intact(&frame, checksum) && plain.ttl > 0 {
                prop_assert!(left.is_intact(&ours, checksum));
            }
        }
    }
}
