//! The packets that ICMP errors quote: whole, cut, damaged, nested.

use spigate::engine::Reason;

use super::icmp_errors::{PUBLIC, ROUTER, V4, masqueraded, tcp_to_server, udp_to_server};
use super::lab::{LAN, Lab, WAN};
use super::packets::{icmp, protocol, resummed};
use super::policies::OFFICE;
use super::wants::{drop_for, forward_to};

#[test]
fn t_5508_req_3__an_error_with_a_wrong_checksum_is_dropped_in_silence() {
    let mut lab = Lab::new(OFFICE);
    let outside = masqueraded(&mut lab, udp_to_server);
    let before = lab.snapshot();
    let mut error = icmp(ROUTER, PUBLIC, 3, 3).quoting(&outside.bytes).bytes();
    error[22] ^= 1;
    let _ = lab
        .at(1.0)
        .from(WAN)
        .send(error)
        .expect(drop_for(Reason::BadChecksum).ct("invalid"));
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn t_lnx_icmp_sum__a_wrong_checksum_in_the_quoted_header_is_no_reason_to_refuse() {
    delivered_with_a_wrong_sum_in_the_quote();
}

#[test]
fn t_diff_8__an_error_that_quotes_a_damaged_header_is_delivered_as_linux_does() {
    delivered_with_a_wrong_sum_in_the_quote();
}

fn delivered_with_a_wrong_sum_in_the_quote() {
    let mut lab = Lab::new(OFFICE);
    let outside = masqueraded(&mut lab, udp_to_server);
    let mut quote = outside.bytes.clone();
    quote[10] ^= 0x40;
    let error = icmp(ROUTER, PUBLIC, 3, 3).quoting(&quote);
    let left = lab
        .at(1.0)
        .from(WAN)
        .send(error)
        .expect(forward_to(LAN).destination("10.0.0.7"))
        .left();
    // As wrong as it was.
    let mut right = udp_to_server("10.0.0.7").ttl(63).bytes();
    assert_ne!(left.quote(), right);
    right[10] ^= 0x40;
    assert_eq!(left.quote()[12..], right[12..]);
}

#[test]
fn t_5508_req_3b__ports_are_found_behind_the_options_of_the_quoted_header() {
    for options in [4, 8, 40] {
        let mut lab = Lab::new(OFFICE);
        let packet = |host: &str| udp_to_server(host).ip_options(&vec![1; options]);
        let outside = masqueraded(&mut lab, packet);
        let error = icmp(ROUTER, PUBLIC, 3, 3).quoting(&outside.bytes);
        let left = lab
            .at(1.0)
            .from(WAN)
            .send(error)
            .expect(forward_to(LAN).destination("10.0.0.7"))
            .left();
        assert_eq!(left.quote(), packet("10.0.0.7").ttl(63).bytes());
    }
}

#[test]
fn t_5508_req_3c__a_quoted_wrong_transport_checksum_stays_as_wrong() {
    let mut lab = Lab::new(OFFICE);
    let outside = masqueraded(&mut lab, udp_to_server);
    let mut quote = outside.bytes.clone();
    let last = quote.len() - 1;
    quote[last] ^= 1; // damaged on the way
    let error = icmp(ROUTER, PUBLIC, 3, 3).quoting(&quote);
    let left = lab
        .at(1.0)
        .from(WAN)
        .send(error)
        .expect(forward_to(LAN).destination("10.0.0.7"))
        .left();
    let mut as_sent = udp_to_server("10.0.0.7").ttl(63).bytes();
    as_sent[last] ^= 1;
    assert_eq!(left.quote(), as_sent);
}

#[test]
fn t_5508_req_3d__extensions_behind_the_quote_do_not_count_as_part_of_it() {
    let mut lab = Lab::new(OFFICE);
    let outside = masqueraded(&mut lab, udp_to_server);
    let mut message = outside.bytes.clone();
    message.resize(128, 0);
    message.extend([0x20, 0, 0, 0, 0, 8, 1, 1, 0, 1, 2, 3]);
    let error = icmp(ROUTER, PUBLIC, 11, 0)
        .rest([0, 32, 0, 0])
        .quoting(&message);
    let left = lab
        .at(1.0)
        .from(WAN)
        .send(error)
        .expect(forward_to(LAN).destination("10.0.0.7"))
        .left();
    let own = udp_to_server("10.0.0.7").ttl(63).bytes();
    assert_eq!(left.quote()[..own.len()], own);
}

#[test]
fn t_4884_keep__length_padding_and_extensions_leave_as_they_came() {
    for length in [32, 255] {
        let mut lab = Lab::new(OFFICE);
        let outside = masqueraded(&mut lab, tcp_to_server);
        let mut message = outside.bytes.clone();
        message.resize(128, 0xaa);
        message.extend([0x20, 0, 0x12, 0x34, 0, 8, 1, 1, 0, 1, 2, 3]);
        // A length that points past the message (255 words) is not followed.
        let error = icmp(ROUTER, PUBLIC, 3, 1)
            .rest([0, length, 0, 0])
            .quoting(&message);
        let left = lab
            .at(1.0)
            .from(WAN)
            .send(error)
            .expect(forward_to(LAN).destination("10.0.0.7"))
            .left();
        assert_eq!(left.bytes[25], length);
        assert_eq!(left.quote()[60..], message[60..]);
    }
}

#[test]
fn t_5508_emb_8__a_quote_of_eight_transport_octets_is_enough() {
    for packet in V4 {
        let mut lab = Lab::new(OFFICE);
        let outside = masqueraded(&mut lab, packet);
        let error = icmp(ROUTER, PUBLIC, 3, 3).quoting(&outside.bytes[..28]);
        let left = lab
            .at(1.0)
            .from(WAN)
            .send(error)
            .expect(forward_to(LAN).destination("10.0.0.7"))
            .left();
        assert_eq!(left.quote(), &packet("10.0.0.7").ttl(63).bytes()[..28]);
    }
}

#[test]
fn t_5508_emb_short__fewer_than_eight_transport_octets_are_refused() {
    for packet in V4 {
        let mut lab = Lab::new(OFFICE);
        let outside = masqueraded(&mut lab, packet);
        let before = lab.snapshot();
        for length in 0..28 {
            let error = icmp(ROUTER, PUBLIC, 3, 3).quoting(&outside.bytes[..length]);
            let sent = lab.at(1.0).from(WAN).send(error);
            let _ = sent.expect(drop_for(Reason::IcmpUnrelated));
        }
        assert_eq!(lab.snapshot(), before);
    }
}

#[test]
fn t_5508_emb_csum__a_quoted_checksum_is_adjusted_where_the_quote_reaches_it() {
    for packet in V4 {
        let whole = packet("10.0.0.7").ttl(63).bytes();
        // A quote may also end within the checksum; what is there of it stays.
        let cut = |length: &usize| *length != 37;
        for length in (28..=whole.len()).filter(cut) {
            let mut lab = Lab::new(OFFICE);
            let outside = masqueraded(&mut lab, packet);
            let error = icmp(ROUTER, PUBLIC, 3, 3).quoting(&outside.bytes[..length]);
            let left = lab
                .at(1.0)
                .from(WAN)
                .send(error)
                .expect(forward_to(LAN).destination("10.0.0.7"))
                .left();
            assert_eq!(left.quote(), &whole[..length]);
        }
    }
    let mut lab = Lab::new(OFFICE);
    let outside = masqueraded(&mut lab, |host| udp_to_server(host).unsummed());
    let error = icmp(ROUTER, PUBLIC, 3, 3).quoting(&outside.bytes);
    let left = lab
        .at(1.0)
        .from(WAN)
        .send(error)
        .expect(forward_to(LAN).destination("10.0.0.7"))
        .left();
    assert_eq!(left.quote()[26..28], [0, 0]);
}

#[test]
fn t_5508_emb_frag__a_quoted_later_fragment_is_never_read_as_ports() {
    let mut lab = Lab::new(OFFICE);
    let outside = masqueraded(&mut lab, udp_to_server);
    let mut quote = outside.bytes.clone();
    quote[7] = 185;
    let error = icmp(ROUTER, PUBLIC, 3, 3).quoting(&resummed(quote));
    let _ = lab
        .at(1.0)
        .from(WAN)
        .send(error)
        .expect(drop_for(Reason::IcmpUnrelated));
}

#[test]
fn t_5508_emb_nest__an_error_about_an_error_is_refused() {
    let mut lab = Lab::new(OFFICE);
    let outside = masqueraded(&mut lab, udp_to_server);
    let inner = icmp(PUBLIC, ROUTER, 3, 3).quoting(&outside.bytes).bytes();
    let outer = icmp(ROUTER, PUBLIC, 11, 0).quoting(&inner);
    let _ = lab
        .at(1.0)
        .from(WAN)
        .send(outer)
        .expect(drop_for(Reason::IcmpUnrelated));
}

#[test]
fn t_6092_rec_21__errors_about_protocols_without_ports_are_translated_by_addresses() {
    let mut lab = Lab::new(OFFICE);
    let packet = protocol(50, "2001:db8:10::7", "2001:db8:5::9");
    let left = lab
        .at(0.0)
        .from(LAN)
        .send(packet.clone())
        .forwarded
        .unwrap()
        .1;
    let error = icmp("2001:db8:5::1", "2001:db8:ff::2", 2, 0).quoting(&left.bytes);
    let sent = lab.at(1.0).from(WAN).send(error);
    let inside = sent
        .expect(forward_to(LAN).destination("2001:db8:10::7"))
        .left();
    assert_eq!(inside.quote(), packet.ttl(63).bytes());
}

#[test]
fn t_3022_s4_3__an_error_about_gre_is_translated_at_both_depths() {
    let mut lab = Lab::new(OFFICE);
    let packet = protocol(47, "10.0.0.7", "198.51.100.9");
    let left = lab
        .at(0.0)
        .from(LAN)
        .send(packet.clone())
        .forwarded
        .unwrap()
        .1;
    let error = icmp(ROUTER, PUBLIC, 3, 2).quoting(&left.bytes);
    let sent = lab.at(1.0).from(WAN).send(error);
    let inside = sent.expect(forward_to(LAN).destination("10.0.0.7")).left();
    assert_eq!(inside.quote(), packet.ttl(63).bytes());
}
