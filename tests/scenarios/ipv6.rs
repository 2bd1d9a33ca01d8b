//! IPv6 without translation, extension headers included.

use etherparse::{
    IpNumber, Ipv6Extensions, Ipv6FragmentHeader, Ipv6RawExtHeader, Ipv6RoutingExtensions,
    ip_number,
};
use spigate::engine::Reason;

use super::lab::{LAN, Lab, WAN};
use super::packets::{Packet, echo, resummed, tcp, udp};
use super::policies::{OFFICE, PLAIN};
use super::wants::{drop_for, forward_to};

const CLIENT: &str = "[2001:db8:10::7]:51000";
const SERVER: &str = "[2001:db8:5::9]:443";

fn options() -> Option<Ipv6RawExtHeader> {
    // PadN over the whole header.
    Some(Ipv6RawExtHeader::new_raw(ip_number::UDP, &[1, 4, 0, 0, 0, 0]).unwrap())
}

/// Every chain of extension headers that a whole packet may have.
fn chains() -> Vec<Ipv6Extensions> {
    let routing = Ipv6RoutingExtensions {
        // Type 4, no segments left.
        routing: Ipv6RawExtHeader::new_raw(ip_number::UDP, &[4, 0, 0, 0, 0, 0]).unwrap(),
        final_destination_options: None,
    };
    let atomic = Ipv6FragmentHeader {
        next_header: ip_number::UDP,
        fragment_offset: 0.try_into().unwrap(),
        more_fragments: false,
        identification: 77,
    };
    let none = Ipv6Extensions::default;
    vec![
        Ipv6Extensions {
            hop_by_hop_options: options(),
            ..none()
        },
        Ipv6Extensions {
            destination_options: options(),
            ..none()
        },
        Ipv6Extensions {
            routing: Some(routing.clone()),
            ..none()
        },
        Ipv6Extensions {
            fragment: Some(atomic.clone()),
            ..none()
        },
        Ipv6Extensions {
            hop_by_hop_options: options(),
            destination_options: options(),
            routing: Some(Ipv6RoutingExtensions {
                final_destination_options: options(),
                ..routing
            }),
            fragment: Some(atomic),
            auth: None,
        },
    ]
}

/// A packet of each transport behind each chain.
pub(crate) fn extended() -> Vec<Packet> {
    let transports = [
        tcp(CLIENT, SERVER).syn().seq(9),
        udp(CLIENT, SERVER),
        echo("2001:db8:10::7", "2001:db8:5::9", 9),
    ];
    let all = transports.into_iter().flat_map(|packet| {
        chains()
            .into_iter()
            .map(move |chain| packet.clone().extensions(chain))
    });
    all.collect()
}

#[test]
fn t_7045_eh__transports_are_found_behind_extension_headers() {
    for packet in extended() {
        let mut lab = Lab::new(PLAIN);
        let _ = lab
            .at(0.0)
            .from(LAN)
            .send(packet)
            .expect(forward_to(WAN).rule("lan-out"));
        assert_eq!(lab.table().len(), 1);
    }
    // And the addresses and ports there are translated.
    for packet in extended() {
        let mut lab = Lab::new(OFFICE);
        let sent = lab.at(0.0).from(LAN).send(packet);
        let left = sent.forwarded.unwrap().1;
        assert!(
            left.source.starts_with("[2001:db8:ff::2]:"),
            "{}",
            left.source
        );
        assert!(
            left.destination.starts_with("[2001:db8:5::9]:") || left.destination == "2001:db8:5::9"
        );
    }
}

#[test]
fn a_packet_with_and_one_without_extension_headers_are_of_one_session() {
    let mut lab = Lab::new(PLAIN);
    for chain in chains() {
        let packet = udp(CLIENT, SERVER).extensions(chain);
        let _ = lab.at(0.0).from(LAN).send(packet).expect(forward_to(WAN));
    }
    let _ = lab
        .at(0.0)
        .from(LAN)
        .send(udp(CLIENT, SERVER))
        .expect(forward_to(WAN).ct("new"));
    let _ = lab
        .at(0.0)
        .from(WAN)
        .send(udp(SERVER, CLIENT))
        .expect(forward_to(LAN).ct("established"));
    assert_eq!(lab.table().len(), 1);
}

#[test]
fn t_6946_atomic__an_atomic_fragment_is_a_whole_packet() {
    let mut lab = Lab::new(PLAIN);
    let packet = udp(CLIENT, SERVER).extensions(chains().swap_remove(3));
    let _ = lab
        .at(0.0)
        .from(LAN)
        .send(packet)
        .expect(forward_to(WAN).state("unreplied"));
}

#[test]
fn chains_without_an_end_are_refused() {
    let mut lab = Lab::new(PLAIN);
    // Nine headers of destination options, then UDP.
    let mut bytes = udp(CLIENT, SERVER).bytes();
    let datagram = bytes.split_off(40);
    bytes[6] = 60;
    for n in 0..9 {
        bytes.extend([if n == 8 { 17 } else { 60 }, 0, 1, 4, 0, 0, 0, 0]);
    }
    bytes.extend(datagram);
    let payload = u16::try_from(bytes.len() - 40).unwrap();
    bytes[4..6].copy_from_slice(&payload.to_be_bytes());
    let _ = lab
        .at(0.0)
        .from(LAN)
        .send(bytes)
        .expect(drop_for(Reason::BadHeader));
    // A header that says it is longer than the packet, and one that is cut.
    let mut long = udp(CLIENT, SERVER)
        .extensions(chains().swap_remove(0))
        .bytes();
    long[41] = 40;
    let _ = lab
        .at(0.0)
        .from(LAN)
        .send(long)
        .expect(drop_for(Reason::BadLength));
    let mut cut = udp(CLIENT, SERVER)
        .extensions(chains().swap_remove(0))
        .bytes();
    cut.truncate(44);
    cut[5] = 4;
    let _ = lab
        .at(0.0)
        .from(LAN)
        .send(cut)
        .expect(drop_for(Reason::BadLength));
}

#[test]
fn no_next_header_makes_a_session_of_addresses_alone() {
    let mut lab = Lab::new(PLAIN);
    let nothing = super::packets::protocol(
        IpNumber::IPV6_NO_NEXT_HEADER.0,
        "2001:db8:10::7",
        "2001:db8:5::9",
    );
    let _ = lab
        .at(0.0)
        .from(LAN)
        .send(nothing.data(""))
        .expect(forward_to(WAN));
}

#[test]
fn families_do_not_mix() {
    // The version says four, the rest is IPv6: the header's own sum is wrong.
    let mut lab = Lab::new(PLAIN);
    let mut bytes = udp(CLIENT, SERVER).bytes();
    bytes[0] = 0x45;
    let sent = lab.at(0.0).from(LAN).send(resummed(bytes));
    assert!(sent.forwarded.is_none());
}

#[test]
fn a_zone_without_an_address_of_the_family_masquerades_nobody_of_it() {
    let only_v4 = OFFICE.replace(
        r#"address = ["203.0.113.2", "2001:db8:ff::2"]"#,
        r#"address = "203.0.113.2""#,
    );
    let mut lab = Lab::new(&only_v4);
    let sent = lab.at(0.0).from(LAN).send(udp(CLIENT, SERVER));
    let _ = sent.expect(drop_for(Reason::NatNoAddress).ct("new").rule("lan-out"));
    assert!(lab.table().is_empty());
}
