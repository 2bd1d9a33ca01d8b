//! Protocols besides TCP, UDP, ICMP and SCTP: UDP-Lite, GRE, IPsec, and those
//! without a name.

use spigate::engine::{Checksums, Reason};
use spigate::session::Heard;

use super::lab::{LAN, Lab, WAN, moment};
use super::other_packets::udplite;
use super::packets::{icmp, protocol, udp};
use super::policies::{OFFICE, PLAIN};
use super::wants::{drop_for, forward_to};

/// There, and back, at these seconds; gives the deadline after each.
fn to_and_fro(number: u8, at: [f64; 3]) -> [f64; 3] {
    let mut lab = Lab::new(PLAIN);
    let (inside, outside) = ("10.0.0.7", "198.51.100.9");
    let mut deadlines = [0.0; 3];
    for (turn, (at, deadline)) in at.into_iter().zip(&mut deadlines).enumerate() {
        let sent = match turn {
            1 => lab.at(at).from(WAN).send(protocol(number, outside, inside)),
            _ => lab.at(at).from(LAN).send(protocol(number, inside, outside)),
        };
        let _ = sent.expect(forward_to(if turn == 1 { LAN } else { WAN }));
        *deadline = lab.session().deadline.since(moment(0.0)).as_secs_f64();
    }
    deadlines
}

#[test]
fn t_lnx_other__gre_lives_30_seconds_and_180_once_it_goes_both_ways() {
    // The answer counts from the next packet on.
    assert_eq!(to_and_fro(47, [0.0, 1.0, 2.0]), [30.0, 31.0, 182.0]);
}

#[test]
fn t_lnx_other__ipsec_and_unknown_protocols_live_600_seconds() {
    for number in [33, 50, 89, 253] {
        assert_eq!(to_and_fro(number, [0.0, 1.0, 2.0]), [600.0, 601.0, 602.0]);
    }
}

#[test]
fn t_lnx_other__only_streams_are_assured() {
    for (number, heard) in [(47, Heard::Assured), (50, Heard::BothEnds)] {
        let mut lab = Lab::new(PLAIN);
        let (inside, outside) = ("10.0.0.7", "198.51.100.9");
        for (zone, to, from, dest) in [
            (LAN, WAN, inside, outside),
            (WAN, LAN, outside, inside),
            (LAN, WAN, inside, outside),
        ] {
            let sent = lab.at(0.0).from(zone).send(protocol(number, from, dest));
            let _ = sent.expect(forward_to(to));
        }
        assert_eq!(lab.session().heard, heard);
    }
}

#[test]
fn t_6092_rec_11__other_protocols_have_state_by_addresses_and_protocol() {
    let mut lab = Lab::new(PLAIN);
    let (inside, outside) = ("2001:db8:10::7", "2001:db8:5::9");
    let sent = lab.at(0.0).from(LAN).send(protocol(89, inside, outside));
    let _ = sent.expect(forward_to(WAN));
    // Ten minutes, where the RFC asks for two at least and five by default.
    assert_eq!(lab.session().deadline, moment(600.0));
    let sent = lab.at(599.0).from(WAN).send(protocol(89, outside, inside));
    let _ = sent.expect(forward_to(LAN).ct("established"));
    for stranger in [
        protocol(89, "2001:db8:5::8", inside),
        protocol(88, outside, inside),
    ] {
        let sent = lab.at(599.0).from(WAN).send(stranger);
        let _ = sent.expect(drop_for(Reason::Rule).rule("silent"));
    }
}

#[test]
fn t_6092_rec_14__udp_between_high_ports_can_live_as_long_as_the_rfc_asks() {
    let (inside, outside) = ("[2001:db8:10::7]:5000", "[2001:db8:5::9]:5300");
    let idle_after = |rules: &str| {
        let mut lab = Lab::new(rules);
        let sent = lab.at(0.0).from(LAN).send(udp(inside, outside));
        let _ = sent.expect(forward_to(WAN));
        lab.session().deadline
    };
    // conntrack's default is shorter; a setting makes it five minutes.
    assert_eq!(idle_after(PLAIN), moment(30.0));
    let long = format!("{PLAIN}\n[timeouts]\nudp = \"5m\"\nudp-stream = \"5m\"");
    assert_eq!(idle_after(&long), moment(300.0));
}

#[test]
fn t_6092_rec_20__udp_lite_is_udp_with_a_state_of_its_own() {
    for (inside, outside) in [
        ("10.0.0.7:5000", "198.51.100.9:53"),
        ("[2001:db8:10::7]:5000", "[2001:db8:5::9]:53"),
    ] {
        let mut lab = Lab::new(PLAIN);
        let sent = lab
            .at(0.0)
            .from(LAN)
            .send(udplite(inside, outside, 0, "question"));
        let _ = sent.expect(forward_to(WAN).state("unreplied"));
        assert_eq!(lab.session().deadline, moment(30.0));
        // UDP between the same ports is another matter.
        let sent = lab.at(0.0).from(WAN).send(udp(outside, inside));
        let _ = sent.expect(drop_for(Reason::Rule).ct("new"));
        let sent = lab
            .at(1.0)
            .from(WAN)
            .send(udplite(outside, inside, 8, "answer"));
        let _ = sent.expect(forward_to(LAN).state("replied").ct("established"));
        let sent = lab
            .at(1.0)
            .from(LAN)
            .send(udplite(inside, outside, 9, "question"));
        let _ = sent.expect(forward_to(WAN).state("stream"));
        assert_eq!(lab.session().deadline, moment(121.0));
    }
}

#[test]
fn t_6092_rec_20__udp_lite_is_translated_and_its_checksum_covers_what_it_did() {
    let mut lab = Lab::new(OFFICE);
    let server = "198.51.100.9:53";
    for coverage in [0, 8, 12, 16] {
        let datagram = udplite("10.0.0.7:5000", server, coverage, "question");
        let want = forward_to(WAN).source("203.0.113.2:5000");
        let _ = lab.at(0.0).from(LAN).send(datagram).expect(want);
    }
    // A second client: its port changes.
    let datagram = udplite("10.0.0.8:5000", server, 8, "question");
    let sent = lab.at(0.0).from(LAN).send(datagram);
    let public = sent.forwarded.as_ref().unwrap().1.source.clone();
    assert_ne!(public, "203.0.113.2:5000");
    let answer = udplite(server, &public, 0, "answer");
    let want = forward_to(LAN).destination("10.0.0.8:5000");
    let _ = lab.at(0.0).from(WAN).send(answer).expect(want);
}

#[test]
fn a_udp_lite_datagram_needs_a_checksum_and_a_coverage_that_can_be() {
    let good = udplite("10.0.0.7:5000", "198.51.100.9:53", 0, "question").bytes();
    let mut lab = Lab::new(OFFICE);
    for (at, octets, reason) in [
        (24, [0, 7], Reason::BadLength),
        (24, [0, 17], Reason::BadLength),
        (26, [0, 0], Reason::BadChecksum),
        (26, [1, 1], Reason::BadChecksum),
    ] {
        let mut bad = good.clone();
        bad[at..at + 2].copy_from_slice(&octets);
        let sent = lab.at(0.0).from(LAN).send(bad);
        let _ = sent.expect(drop_for(reason).ct("invalid"));
    }
    // What the checksum does not cover may be damaged on the way.
    let mut damaged = udplite("10.0.0.7:5000", "198.51.100.9:53", 8, "question").bytes();
    *damaged.last_mut().unwrap() ^= 1;
    let want = forward_to(WAN).source("203.0.113.2:5000");
    let _ = lab.at(0.0).from(LAN).send(damaged).expect(want);
    // And nobody looks where nobody is to look.
    let mut lab = Lab::with(OFFICE, Checksums::Ignore);
    let mut bad = good;
    bad[26..28].copy_from_slice(&[1, 1]);
    assert!(lab.at(0.0).from(LAN).send(bad).forwarded.is_some());
}

#[test]
fn neighbours_and_listeners_are_never_looked_for_in_the_table() {
    let mut lab = Lab::new(PLAIN);
    for (kind, ct) in [
        (130, "untracked"),
        (133, "untracked"),
        (136, "untracked"),
        (143, "untracked"),
        // A redirect crosses no router either, but conntrack calls it invalid.
        (137, "invalid"),
        (200, "invalid"),
    ] {
        let message = icmp("2001:db8:10::7", "2001:db8:5::9", kind, 0).data([0; 20]);
        let sent = lab.at(0.0).from(LAN).send(message);
        let _ = sent.expect(drop_for(Reason::NoSession).ct(ct));
    }
}

#[test]
fn t_5508_req_10b__what_becomes_of_further_icmp_types_is_documented() {
    // Router discovery and what nobody knows: no session begins, none is
    // answered. docs/rules.md says so.
    for kind in [9, 10, 19, 42] {
        let mut lab = Lab::new(OFFICE);
        let sent = lab
            .at(0.0)
            .from(LAN)
            .send(icmp("10.0.0.7", "198.51.100.9", kind, 0));
        let _ = sent.expect(drop_for(Reason::NoSession).ct("invalid"));
    }
    // Questions pass as a ping does, and so do their answers.
    for (asks, answers) in [(13, 14), (15, 16), (17, 18)] {
        let mut lab = Lab::new(OFFICE);
        let question = icmp("10.0.0.7", "198.51.100.9", asks, 0)
            .rest([0, 7, 0, 1])
            .data([0; 12]);
        let sent = lab.at(0.0).from(LAN).send(question);
        let _ = sent.expect(forward_to(WAN).source("203.0.113.2:7"));
        let answer = icmp("198.51.100.9", "203.0.113.2", answers, 0)
            .rest([0, 7, 0, 1])
            .data([0; 12]);
        let sent = lab.at(0.0).from(WAN).send(answer);
        let _ = sent.expect(forward_to(LAN).destination("10.0.0.7"));
    }
    // Errors and redirects pass with the session that they are about, but for
    // a redirect about what is translated.
    for (kind, passes) in [(4, true), (12, true), (5, false)] {
        let mut lab = Lab::new(OFFICE);
        let sent = lab
            .at(0.0)
            .from(LAN)
            .send(udp("10.0.0.7:5000", "198.51.100.9:53"));
        let left = sent.forwarded.unwrap().1;
        let error = icmp("198.51.100.1", "203.0.113.2", kind, 0).quoting(&left.bytes);
        let sent = lab.at(0.0).from(WAN).send(error);
        assert_eq!(sent.forwarded.is_some(), passes, "{kind}");
    }
}

#[test]
fn t_8200_udp0__udp_without_a_checksum_crosses_ipv6_only_where_a_service_says_so() {
    let (client, server) = ("[2001:db8:10::7]:50000", "[2001:db8:5::9]:4789");
    let unsummed = || udp(client, server).unsummed();
    let mut lab = Lab::new(PLAIN);
    let sent = lab.at(0.0).from(LAN).send(unsummed());
    let _ = sent.expect(drop_for(Reason::BadChecksum).ct("invalid"));
    // IPv4 leaves it to the sender.
    let v4 = udp("10.0.0.7:50000", "198.51.100.9:4789").unsummed();
    let _ = lab.at(0.0).from(LAN).send(v4).expect(forward_to(WAN));

    let tunnel = "[services]\nvxlan = { udp = 4789, checksum = \"optional\" }";
    let mut lab = Lab::new(&PLAIN.replace("[services]", tunnel));
    let left = lab.at(0.0).from(LAN).send(unsummed());
    let left = left.expect(forward_to(WAN)).left();
    assert_eq!(left.bytes[46..48], [0, 0], "none is made for it");
    let back = udp(server, client).unsummed();
    let _ = lab.at(1.0).from(WAN).send(back).expect(forward_to(LAN));
    let other = udp(client, "[2001:db8:5::9]:4790").unsummed();
    let sent = lab.at(1.0).from(LAN).send(other);
    let _ = sent.expect(drop_for(Reason::BadChecksum));
}

#[test]
fn pptps_gre_is_known_by_its_addresses_whatever_its_call_identifier() {
    let mut lab = Lab::new(OFFICE);
    let call = |id: u8| [0x30, 0x01, 0x88, 0x0b, 0, 4, 0, id, 0, 0, 0, 1, 9, 9, 9, 9];
    let there = protocol(47, "10.0.0.7", "198.51.100.9").data(call(7));
    let want = forward_to(WAN).source("203.0.113.2");
    let _ = lab.at(0.0).from(LAN).send(there).expect(want);
    let back = protocol(47, "198.51.100.9", "203.0.113.2").data(call(200));
    let want = forward_to(LAN).destination("10.0.0.7").ct("established");
    let _ = lab.at(0.0).from(WAN).send(back).expect(want);
}

#[test]
fn an_echo_reply_with_another_code_belongs_to_nothing() {
    let mut lab = Lab::new(OFFICE);
    let ping = icmp("10.0.0.7", "198.51.100.9", 8, 0).rest([0, 7, 0, 1]);
    let want = forward_to(WAN).source("203.0.113.2:7");
    let _ = lab.at(0.0).from(LAN).send(ping).expect(want);
    let pong = icmp("198.51.100.9", "203.0.113.2", 0, 5).rest([0, 7, 0, 1]);
    let want = drop_for(Reason::NoSession);
    let _ = lab.at(0.0).from(WAN).send(pong).expect(want);
}

#[test]
fn t_5508_s7_3__no_source_route_leaves_in_translated_icmp() {
    let loose = [131, 7, 4, 10, 0, 0, 9, 0];
    let strict = [1, 137, 7, 4, 10, 0, 0, 9];
    let record = [7, 7, 4, 0, 0, 0, 0, 0];
    // In its own header no packet may have one.
    for (options, passes) in [(loose, false), (strict, false), (record, true)] {
        let ping = icmp("10.0.0.7", "198.51.100.9", 8, 0).rest([0, 7, 0, 1]);
        let sent = Lab::new(OFFICE)
            .at(0.0)
            .from(LAN)
            .send(ping.ip_options(&options));
        assert_eq!(sent.forwarded.is_some(), passes);
    }
    // Nor in what an error quotes, though the packet itself never got by here.
    for (options, passes) in [(loose, false), (strict, false), (record, true)] {
        for (rules, outside) in [(OFFICE, "203.0.113.2:5000"), (PLAIN, "10.0.0.7:5000")] {
            let mut lab = Lab::new(rules);
            let ask = udp("10.0.0.7:5000", "198.51.100.9:53");
            let _ = lab
                .at(0.0)
                .from(LAN)
                .send(ask)
                .expect(forward_to(WAN).source(outside));
            let answer = udp("198.51.100.9:53", "10.0.0.7:5000").ip_options(&options);
            let error = icmp("10.0.0.7", "198.51.100.9", 3, 3).quoting(&answer.bytes());
            let before = lab.snapshot();
            let sent = lab.at(0.0).from(LAN).send(error);
            match passes || rules == PLAIN {
                true => assert!(sent.forwarded.is_some()),
                false => drop(sent.expect(drop_for(Reason::SourceRoute).ct("related"))),
            }
            assert_eq!(lab.snapshot(), before);
        }
    }
}

#[test]
fn an_error_about_what_is_not_translated_leaves_octet_by_octet_as_it_came() {
    for (inside, outside) in [
        ("10.0.0.7:5000", "198.51.100.9:53"),
        ("[2001:db8:10::7]:5000", "[2001:db8:5::9]:53"),
    ] {
        let mut lab = Lab::new(PLAIN);
        let datagram = udplite(inside, outside, 0, "question");
        let sent = lab.at(0.0).from(LAN).send(datagram);
        let mut quote = sent.expect(forward_to(WAN)).left().bytes.clone();
        // A quote without a checksum, which UDP-Lite must have: not ours to mend.
        let at = if quote[0] >> 4 == 4 { 20 } else { 40 };
        quote[at + 6..at + 8].fill(0);
        let host = |end: &str| {
            end.parse::<std::net::SocketAddr>()
                .unwrap()
                .ip()
                .to_string()
        };
        let kind = if at == 20 { (3, 3) } else { (1, 4) };
        let error = icmp(&host(outside), &host(inside), kind.0, kind.1).quoting(&quote);
        let mut came = error.bytes();
        let sent = lab.at(0.0).from(WAN).send(error);
        let left = sent.expect(forward_to(LAN).ct("related")).left();
        // But for the time to live, and the header's checksum that has it.
        let mut bytes = left.bytes.clone();
        let own = if at == 20 { 8..12 } else { 7..8 };
        bytes[own.clone()].fill(0);
        came[own].fill(0);
        assert_eq!(bytes, came);
    }
}
