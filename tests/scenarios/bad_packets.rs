//! Packets that no honest host sends, or that were damaged: dropped by name,
//! and nothing changes.

use spigate::engine::{Checksums, Reason};

use super::lab::{DMZ, LAN, Lab, WAN};
use super::packets::{Packet, echo, icmp, resummed, tcp, udp};
use super::policies::{OFFICE, PLAIN};
use super::wants::{drop_for, forward_to};

const CLIENT: &str = "10.0.0.7:5000";
const SERVER: &str = "198.51.100.9:53";

/// All of them dropped for this reason, in a lab with a session and without.
fn refused(packets: impl IntoIterator<Item = Vec<u8>>, reason: Reason) {
    let packets: Vec<_> = packets.into_iter().collect();
    for with_session in [false, true] {
        let mut lab = Lab::new(OFFICE);
        if with_session {
            for packet in [udp(CLIENT, SERVER), tcp(CLIENT, SERVER).syn()] {
                let _ = lab
                    .at(0.0)
                    .from(LAN)
                    .send(packet)
                    .expect(forward_to(WAN).source("203.0.113.2:5000"));
            }
        }
        let before = lab.snapshot();
        for packet in &packets {
            let _ = lab
                .at(1.0)
                .from(LAN)
                .send(&packet[..])
                .expect(drop_for(reason).no_rule());
        }
        assert_eq!(lab.snapshot(), before);
    }
}

/// The packet with some octets changed and its header checksum put right.
fn with(packet: Packet, changes: &[(usize, u8)]) -> Vec<u8> {
    let mut bytes = packet.bytes();
    for (at, octet) in changes {
        bytes[*at] = *octet;
    }
    if bytes[0] >> 4 == 4 && (bytes[0] & 0x0f) >= 5 {
        bytes = resummed(bytes);
    }
    bytes
}

fn v6(data: &str) -> Packet {
    udp("[2001:db8:10::7]:5000", "[2001:db8:5::9]:53").data(data)
}

#[test]
fn t_1812_s5_2_2__headers_that_contradict_themselves_are_discarded() {
    let datagram = || udp(CLIENT, SERVER);
    let lengths = [
        Vec::new(),
        vec![0x45],
        datagram().bytes()[..19].to_vec(),
        with(datagram(), &[(0, 0x44)]),       // header of 16 octets
        with(datagram(), &[(2, 0), (3, 19)]), // shorter than its header
        v6("").bytes()[..39].to_vec(),
    ];
    refused(lengths, Reason::BadLength);
    let versions = [0x05, 0x35, 0x55, 0x75, 0xf5].map(|first| with(datagram(), &[(0, first)]));
    refused(versions, Reason::BadHeader);
    let mut damaged = datagram().bytes();
    damaged[10] ^= 0x10;
    refused([damaged], Reason::BadChecksum);
}

#[test]
fn t_1812_trunc__what_is_shorter_than_it_says_is_discarded_and_padding_cut_off() {
    let whole = udp(CLIENT, SERVER).bytes();
    let cuts = (20..whole.len()).map(|length| whole[..length].to_vec());
    refused(cuts, Reason::BadLength);
    let whole = v6("some data").bytes();
    refused(
        (40..whole.len()).map(|length| whole[..length].to_vec()),
        Reason::BadLength,
    );
    let mut lab = Lab::new(OFFICE);
    let mut padded = udp(CLIENT, SERVER).bytes();
    padded.extend([0xaa; 18]);
    let left = lab
        .at(0.0)
        .from(LAN)
        .send(padded)
        .expect(forward_to(WAN).source("203.0.113.2:5000"))
        .left();
    assert_eq!(left.bytes.len(), 20 + 8 + 10);
}

#[test]
fn transports_whose_lengths_contradict_the_packets_are_discarded() {
    let datagram = || udp(CLIENT, SERVER).data("1234");
    let segment = || tcp(CLIENT, SERVER).syn();
    let bad = [
        with(datagram(), &[(24, 0), (25, 7)]), // UDP shorter than its header
        with(datagram(), &[(24, 0), (25, 13)]), // and longer than its packet
        with(datagram(), &[(2, 0), (3, 27)]),  // no room for the header
        with(segment(), &[(32, 0x40)]),        // TCP header of 16 octets
        with(segment(), &[(32, 0x60)]),        // past the packet's end
        with(segment(), &[(2, 0), (3, 39)]),   // cut within the header
        with(echo("10.0.0.7", "198.51.100.9", 1), &[(3, 27)]), // within ICMP's
    ];
    refused(bad, Reason::BadLength);
}

#[test]
fn t_lnx_udp__a_length_field_above_the_data_is_invalid() {
    refused(
        [with(udp(CLIENT, SERVER), &[(25, 8 + 11)])],
        Reason::BadLength,
    );
}

#[test]
fn t_csum_bad__a_wrong_transport_checksum_changes_nothing() {
    let damaged = |packet: Packet, at: usize| {
        let mut bytes = packet.bytes();
        bytes[at] ^= 1;
        bytes
    };
    let bad = [
        damaged(udp(CLIENT, SERVER), 30),
        damaged(tcp(CLIENT, SERVER).syn(), 24),
        damaged(tcp(CLIENT, SERVER).syn().data("x"), 40),
        damaged(echo("10.0.0.7", "198.51.100.9", 1), 26),
        damaged(v6("data"), 49),
        damaged(tcp("[2001:db8:10::7]:5000", "[2001:db8:5::9]:53").syn(), 44),
        damaged(echo("2001:db8:10::7", "2001:db8:5::9", 1), 44),
    ];
    refused(bad, Reason::BadChecksum);
}

#[test]
fn t_lnx_tcp_csum__a_segment_with_a_wrong_checksum_is_no_part_of_its_session() {
    let mut lab = Lab::new(OFFICE);
    let client = (LAN, "10.0.0.7:51000");
    let dialogue = super::dialogue::Dialogue::open(&mut lab, 0.0, client, "198.51.100.9:80");
    let before = lab.snapshot();
    let mut reset = dialogue.server.segment().rst().bytes();
    reset[37] ^= 1;
    let _ = lab
        .at(1.0)
        .from(WAN)
        .send(reset)
        .expect(drop_for(Reason::BadChecksum).ct("invalid"));
    let cut = dialogue.server.segment().rst().bytes()[..35].to_vec();
    let _ = lab
        .at(1.0)
        .from(WAN)
        .send(cut)
        .expect(drop_for(Reason::BadLength).ct("invalid"));
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn unread_checksums_leave_as_wrong_as_they_came() {
    let mut lab = Lab::with(OFFICE, Checksums::Ignore);
    let mut packet = tcp("10.0.0.7:51000", "198.51.100.9:80").syn().bytes();
    let offset = 0x0123;
    let sum = u16::from_be_bytes([packet[36], packet[37]]).wrapping_sub(offset);
    packet[36..38].copy_from_slice(&sum.to_be_bytes());
    let left = lab.at(0.0).from(LAN).send(packet).forwarded.unwrap().1;
    assert_eq!(left.source, "203.0.113.2:51000");
    // Never made valid by the translation.
    let reread =
        std::panic::catch_unwind(|| super::seen::Seen::read(&left.bytes, super::seen::Sums::Right));
    assert!(reread.is_err());
}

#[test]
fn t_1812_martian__addresses_that_nobody_may_send_from_or_to_are_refused() {
    let sources = [
        "0.0.0.1",
        "127.0.0.1",
        "224.0.0.1",
        "239.1.2.3",
        "255.255.255.255",
        "169.254.1.1",
    ];
    let destinations = ["0.0.0.1", "127.0.0.1", "169.254.1.1"];
    let from = sources.map(|source| udp(&format!("{source}:5000"), SERVER).bytes());
    let to = destinations.map(|destination| udp(CLIENT, &format!("{destination}:53")).bytes());
    refused(from.into_iter().chain(to), Reason::BadAddress);
}

#[test]
fn t_1812_bcast__a_broadcast_is_never_forwarded() {
    refused(
        [udp(CLIENT, "255.255.255.255:53").bytes()],
        Reason::BadAddress,
    );
}

#[test]
fn t_1812_bcast__a_broadcast_to_an_attached_network_is_not_forwarded() {
    let plain = PLAIN.replace(r#"action = "drop" }"#, r#"action = "allow" }"#);
    for (zone, from, to) in [
        (WAN, "198.51.100.9:5000", "10.0.0.255:7"),
        (LAN, "10.0.0.7:5000", "10.0.0.255:7"),
        (LAN, "10.0.0.255:5000", "198.51.100.9:7"),
    ] {
        let sent = Lab::new(&plain).at(0.0).from(zone).send(udp(from, to));
        let _ = sent.expect(drop_for(Reason::BadAddress).ct("untracked"));
    }
    // Of a network that the gateway has no address in it knows none.
    let far = plain.replace(r#""10.0.0.1", "#, "");
    let ping = udp("198.51.100.9:5000", "10.0.0.255:7");
    let _ = Lab::new(&far)
        .at(0.0)
        .from(WAN)
        .send(ping)
        .expect(forward_to(LAN));
}

#[test]
fn t_6092_rec_1_3__multicast_and_local_addresses_of_ipv6_are_refused() {
    // Link-local and site-local, mapped and compatible, ORCHID.
    let local = [
        "::1",
        "::",
        "fe80::1",
        "fec0::1",
        "::ffff:192.0.2.1",
        "::192.0.2.1",
        "2001:10::1",
    ];
    let from = ["ff02::1", "ff0e::1"].into_iter().chain(local);
    let to = ["ff02::1", "ff05::1", "ff0e::1"].into_iter().chain(local);
    let from = from.map(|source| udp(&format!("[{source}]:5000"), "[2001:db8:5::9]:53").bytes());
    let to =
        to.map(|destination| udp("[2001:db8:10::7]:5000", &format!("[{destination}]:53")).bytes());
    refused(from.into_iter().chain(to), Reason::BadAddress);
}

#[test]
fn a_dont_fragment_bit_is_no_fragment() {
    let mut lab = Lab::new(OFFICE);
    let packet = with(udp(CLIENT, SERVER), &[(6, 0x40)]);
    let _ = lab
        .at(0.0)
        .from(LAN)
        .send(packet)
        .expect(forward_to(WAN).source("203.0.113.2:5000"));
}

#[test]
fn t_9293_opt__a_broken_option_in_a_segment_crashes_nothing() {
    let mut lab = Lab::new(OFFICE);
    let client = (LAN, "10.0.0.7:51000");
    let dialogue = super::dialogue::Dialogue::open(&mut lab, 0.0, client, "198.51.100.9:21");
    for options in [
        &[5, 0, 0, 0][..],
        &[5, 1, 0, 0],
        &[5, 255, 0, 0],
        &[5, 9, 1, 2, 3, 4, 5, 6, 7, 0, 0, 0],
    ] {
        let segment = dialogue.client.segment().tcp_options(options);
        let _ = lab
            .at(1.0)
            .from(LAN)
            .send(segment)
            .expect(forward_to(WAN).source("203.0.113.2:51000"));
    }
}

#[test]
fn octets_of_noise_are_refused_by_name_and_answered_by_nobody() {
    // A fixed generator: the same noise in every run.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut noise = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        u8::try_from(state & 0xff).unwrap()
    };
    for zone in [LAN, DMZ, WAN] {
        let mut lab = Lab::new(OFFICE);
        for length in 0..600 {
            let bytes: Vec<u8> = (0..length).map(|_| noise()).collect();
            let sent = lab.at(0.0).from(zone).send(bytes);
            assert!(sent.forwarded.is_none() && sent.made.is_empty());
        }
        assert!(lab.table().is_empty());
    }
}

#[test]
fn t_csum_v6__extension_headers_do_not_count_in_the_pseudo_header() {
    let mut lab = Lab::new(PLAIN);
    for packet in super::ipv6::extended() {
        assert!(lab.at(0.0).from(LAN).send(packet).forwarded.is_some());
    }
}

#[test]
fn an_error_whose_quote_is_noise_is_unrelated() {
    for first in [0x00, 0x45, 0x4f, 0x60, 0x75] {
        let mut lab = Lab::new(OFFICE);
        let error = icmp("198.51.100.9", "203.0.113.2", 3, 3).quoting(&[first; 60]);
        let _ = lab
            .at(0.0)
            .from(WAN)
            .send(error)
            .expect(drop_for(Reason::IcmpUnrelated));
    }
}
