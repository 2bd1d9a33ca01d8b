//! What is plain is read, and leaves, as all packets do.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::super::{decrement_ttl, repair_checksums, translate};
use super::*;
use crate::net::{Endpoint, Port, Tuple};
use crate::packet::addresses::Leaving;
use crate::packet::changes::Changes;

/// A packet that is plain but for what chance breaks.
fn frame() -> impl Strategy<Value = Vec<u8>> {
    let rest = prop::collection::vec(any::<u8>(), 20..120);
    let breaks = prop::option::weighted(0.2, (0usize..68, any::<u8>()));
    let is = (any::<bool>(), any::<bool>());
    (rest, is, any::<([u8; 12], [u8; 24])>(), breaks, 5u8..9).prop_map(
        |(mut transport, (is_tcp, is_v6), (fields, more), breaks, words)| {
            let [tos, i0, i1, ttl, addresses @ ..] = fields;
            let length = u16::try_from(transport.len()).unwrap();
            let protocol = if is_tcp { 6 } else { 17 };
            let mut frame = match is_v6 {
                true => {
                    let [l0, l1] = length.to_be_bytes();
                    let mut frame = vec![0x60 | tos & 15, tos, i0, i1, l0, l1, protocol, ttl];
                    frame.extend(more);
                    frame
                }
                false => {
                    let [l0, l1] = (length + 20).to_be_bytes();
                    vec![0x45, tos, l0, l1, i0, i1, 0x40, 0, ttl, protocol, 0, 0]
                }
            };
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
            prop_assert_eq!(Plain::read_tcp_v4(&frame), None);
            return Ok(());
        };
        let headers = Headers::read(&frame, false).expect("what is plain can be read");
        prop_assert_eq!(plain.headers(&frame), Some(headers));
        let kind = (plain.family, plain.protocol);
        if kind == (Family::V4, Protocol::TCP) {
            prop_assert_eq!(Plain::read_tcp_v4(&frame), Some(plain));
            prop_assert_eq!(Plain::tcp_v4_again(&frame), Some(plain));
        }
        if kind == (Family::V4, Protocol::UDP) {
            prop_assert_eq!(Plain::udp_v4_again(&frame), Some(plain));
        }
        if let Some(tcp) = headers.tcp() {
            let own = plain.segment(&frame).unwrap();
            prop_assert_eq!((own.seq, own.ack), (tcp.seq, tcp.ack));
            prop_assert_eq!((own.window, own.flags), (tcp.window, tcp.flags));
            prop_assert_eq!(usize::from(plain.header), tcp.length);
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
        let [source, destination] = [tuple.source, tuple.destination]
            .map(|end| u32::from(end.port.0.swap_bytes()));
        prop_assert_eq!((plain.protocol, plain.ports), (tuple.protocol, source | destination << 16));
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
        to: (u128, u128, u16, u16),
        keeps: [bool; 4],
        partial: bool,
        // Checksums that nobody has made, sometimes.
        odd in prop::option::weighted(0.2, prop::sample::select(vec![0, 0xff])),
    ) {
        let mut frame = frame;
        if let (Some(plain), Some(odd)) = (Plain::read(&frame), odd) {
            let at = usize::from(plain.ip_header()) + if plain.is_udp() { 6 } else { 16 };
            frame[at..at + 2].fill(odd);
        }
        let Some(plain) = Plain::read(&frame) else {
            return Ok(());
        };
        // Whoever sends it on has seen to that.
        prop_assume!(plain.ttl > 0);
        let mut headers = Headers::read(&frame, false).unwrap();
        let checksum = if partial { Checksum::Partial } else { Checksum::Complete };
        if partial {
            headers = headers.with_partial_checksum();
        }
        let own = headers.tuple().unwrap();
        // Of the least 32 bits, or of all.
        let address = |like: IpAddr, bits: u128| match like {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from_bits(bits as u32 | 1)),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(bits)),
        };
        let end = |own: Endpoint, bits: u128, port: u16, keeps: [bool; 2]| Endpoint::new(
            if keeps[0] { own.address } else { address(own.address, bits) },
            if keeps[1] { own.port } else { Port(port.max(1)) },
        );
        let tuple = Tuple::new(
            own.protocol,
            end(own.source, to.0, to.2, [keeps[0], keeps[1]]),
            end(own.destination, to.1, to.3, [keeps[2], keeps[3]]),
        );
        let leaving = Leaving::of(&tuple);
        let mut ours = frame.clone();
        plain.pass_on(&mut ours, leaving, checksum);
        let mut theirs = frame.clone();
        translate(&mut theirs, &headers, &tuple);
        decrement_ttl(&mut theirs, &headers);
        prop_assert_eq!(&ours, &theirs);
        // The same as the way back of the way back.
        let mut again = frame.clone();
        let came = Leaving { addresses: plain.addresses(&frame).unwrap(), ports: plain.ports };
        let back = Changes::between(&leaving, &came);
        plain.pass_on_as(&mut again, leaving, back.reversed(), checksum);
        prop_assert_eq!(&again, &theirs);
        // And what was right is right.
        let left = Plain::read(&ours).unwrap();
        if plain.is_intact(&frame, checksum) {
            prop_assert!(left.is_intact(&ours, checksum));
        }
    }
}
