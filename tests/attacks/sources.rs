//! Addresses that lie elsewhere, and ways that packets choose themselves
//! (RFC 2827, RFC 3704).

use etherparse::{Ipv6Extensions, Ipv6RawExtHeader, Ipv6RoutingExtensions};
use spigate::engine::Reason;

use super::dialogue::Dialogue;
use super::forged::{CLIENT, SERVER, connection, goes_on, refused};
use super::lab::{DMZ, LAN, Lab, WAN};
use super::packets::{Packet, echo, tcp, udp};
use super::policies::{OFFICE, PLAIN};
use super::wants::forward_to;

/// The rule file with another check for one zone.
fn with(rules: &str, zone: &str, check: &str) -> Lab {
    let row = format!("{zone} = {{ tun");
    let checked = format!("{zone} = {{ source-check = \"{check}\", tun");
    assert!(rules.contains(&row));
    Lab::new(&rules.replace(&row, &checked))
}

#[test]
fn t_2827_in__what_comes_from_inside_with_a_foreign_source_is_dropped() {
    let mut lab = Lab::new(OFFICE);
    for from in [
        "198.51.100.7:5000",
        "10.0.9.7:5000",
        "10.0.1.7:5000",
        "192.168.1.7:5000",
    ] {
        for packet in [
            udp(from, "198.51.100.9:53"),
            tcp(from, "198.51.100.9:80").syn(),
        ] {
            let why = refused(&mut lab, 0.0, LAN, packet);
            assert_eq!(why, Reason::SpoofedSource, "{from}");
        }
    }
    assert!(lab.table().is_empty());
}

#[test]
fn t_2827_out__what_comes_from_outside_with_an_inside_or_our_own_source_is_dropped() {
    let (mut lab, mut ends) = connection();
    for from in [
        "10.0.0.7:51000",
        "10.0.9.80:80",
        "10.0.0.1:53",
        "203.0.113.2:51000",
    ] {
        for packet in [
            tcp(from, "203.0.113.2:80").syn(),
            tcp(from, SERVER)
                .seq(ends.client.next)
                .ack(ends.client.awaits)
                .data("x"),
            udp(from, "203.0.113.2:53"),
        ] {
            let why = refused(&mut lab, 1.0, WAN, packet);
            assert_eq!(why, Reason::SpoofedSource, "{from}");
        }
    }
    goes_on(&mut lab, 1.0, &mut ends);
    // A host inside that asks for the public address comes from inside.
    let hairpin = tcp("10.0.0.8:5000", "203.0.113.2:80").syn();
    let sent = lab.at(1.0).from(LAN).send(hairpin);
    assert_ne!(sent.judgement.reason, Reason::SpoofedSource);
}

#[test]
fn t_6092_rec_5_6__sources_are_held_to_their_side_in_ipv6_too() {
    let mut lab = Lab::new(PLAIN);
    let server = "[2001:db8:5::9]:53";
    for (zone, from, to) in [
        (LAN, "[2001:db8:66::7]:5000", server),
        (LAN, "[2001:db8:10::1]:5000", server),
        (WAN, "[2001:db8:10::7]:5000", "[2001:db8:10::80]:53"),
        (WAN, "[2001:db8:ff::2]:5000", "[2001:db8:10::80]:53"),
    ] {
        assert_eq!(
            refused(&mut lab, 0.0, zone, udp(from, to)),
            Reason::SpoofedSource
        );
    }
    let right = udp("[2001:db8:10::7]:5000", server);
    let _ = lab.at(0.0).from(LAN).send(right).expect(forward_to(WAN));
}

#[test]
fn t_3704_strict__the_source_has_to_lie_where_the_packet_came_from() {
    let mut lab = with(OFFICE, "dmz", "strict");
    // The longest prefix counts: the rest of the world holds these too.
    for (zone, from, passes) in [
        (LAN, "10.0.0.7:5000", true),
        (LAN, "10.0.9.7:5000", false),
        (DMZ, "10.0.9.7:5000", true),
        (DMZ, "198.51.100.9:5000", false),
        (WAN, "198.51.100.9:5000", true),
        (WAN, "10.0.9.7:5000", false),
        (WAN, "10.0.2.7:5000", true),
    ] {
        let sent = lab.at(0.0).from(zone).send(udp(from, "198.51.100.10:53"));
        assert_eq!(
            sent.judgement.reason != Reason::SpoofedSource,
            passes,
            "{zone} {from}"
        );
    }
}

#[test]
fn t_3704_loose__the_source_has_to_lie_somewhere_or_need_not() {
    let known = OFFICE.replace(r#"["0.0.0.0/0", "::/0"]"#, r#"["198.51.100.0/24"]"#);
    for (check, known_elsewhere, unknown, own) in [
        ("strict", false, false, false),
        ("loose", true, false, false),
        ("off", true, true, true),
    ] {
        let mut lab = with(&known, "dmz", check);
        for (from, passes) in [
            ("10.0.9.7:5000", true),
            ("198.51.100.7:5000", known_elsewhere),
            ("192.0.2.7:5000", unknown),
            ("10.0.9.1:5000", own),
        ] {
            let sent = lab.at(0.0).from(DMZ).send(udp(from, "198.51.100.10:53"));
            let is_spoofed = sent.judgement.reason == Reason::SpoofedSource;
            assert_eq!(!is_spoofed, passes, "{check} {from}");
        }
    }
    // A default route holds everything.
    let mut lab = with(OFFICE, "dmz", "loose");
    let sent = lab
        .at(0.0)
        .from(DMZ)
        .send(udp("192.0.2.7:5000", "198.51.100.10:53"));
    assert_eq!(sent.judgement.reason, Reason::DefaultPolicy);
}

#[test]
fn t_3704_asym__answers_by_another_way_belong_to_their_session_where_that_is_allowed() {
    let syn = || tcp(CLIENT, SERVER).syn().seq(100);
    let answer = || tcp(SERVER, "203.0.113.2:51000").syn().seq(500).ack(101);
    for check in ["loose", "off"] {
        let mut lab = with(OFFICE, "dmz", check);
        let _ = lab.at(0.0).from(LAN).send(syn()).forwarded.unwrap();
        let want = forward_to(LAN).destination(CLIENT).state("syn-recv");
        let _ = lab.at(0.0).from(DMZ).send(answer()).expect(want);
    }
    // Nor does a strict zone let it by only because a session waits for it.
    let mut lab = Lab::new(OFFICE);
    let _ = lab.at(0.0).from(LAN).send(syn()).forwarded.unwrap();
    assert_eq!(refused(&mut lab, 0.0, DMZ, answer()), Reason::SpoofedSource);
}

#[test]
fn t_diff_9__sources_are_checked_unless_the_file_says_otherwise() {
    let forged = || udp("10.0.9.7:5000", "198.51.100.9:53");
    let mut lab = Lab::new(OFFICE);
    assert_eq!(refused(&mut lab, 0.0, LAN, forged()), Reason::SpoofedSource);
    let mut lab = with(OFFICE, "lan", "off");
    let sent = lab.at(0.0).from(LAN).send(forged());
    assert_eq!(sent.judgement.reason, Reason::Rule);
}

#[test]
fn land_and_smurf_reach_nobody() {
    let mut lab = Lab::new(OFFICE);
    for end in ["203.0.113.2:80", "203.0.113.2:139"] {
        let why = refused(&mut lab, 0.0, WAN, tcp(end, end).syn());
        assert_eq!(why, Reason::SpoofedSource);
    }
    for end in ["10.0.0.1:80", "10.0.9.80:80"] {
        let why = refused(&mut lab, 0.0, LAN, tcp(end, end).syn());
        assert_eq!(why, Reason::SpoofedSource);
    }
    let smurf = echo("203.0.113.2", "10.0.0.255", 1);
    assert_eq!(refused(&mut lab, 0.0, WAN, smurf), Reason::BadAddress);
}

/// Loose and strict, alone and behind other options.
const SOURCE_ROUTES: [&[u8]; 4] = [
    &[131, 7, 4, 192, 0, 2, 1, 0],
    &[137, 7, 4, 192, 0, 2, 1, 0],
    &[1, 1, 131, 3, 4, 0, 0, 0],
    &[148, 4, 0, 0, 137, 3, 4, 0],
];

#[test]
fn t_diff_10__source_routed_packets_are_dropped_as_linux_does_by_default() {
    let (mut lab, mut ends) = connection();
    for route in SOURCE_ROUTES {
        let syn = tcp("10.0.0.7:52000", SERVER).syn().ip_options(route);
        assert_eq!(refused(&mut lab, 1.0, LAN, syn), Reason::SourceRoute);
        let segment = ends.client.segment().data("x").ip_options(route);
        assert_eq!(refused(&mut lab, 1.0, LAN, segment), Reason::SourceRoute);
    }
    goes_on(&mut lab, 1.0, &mut ends);
}

#[test]
fn t_1812_srcrt__two_source_routes_are_as_good_as_one() {
    let mut lab = Lab::new(PLAIN);
    let twice = [SOURCE_ROUTES[0], SOURCE_ROUTES[1]].concat();
    let packet = udp(CLIENT, SERVER).ip_options(&twice);
    assert_eq!(refused(&mut lab, 0.0, LAN, packet), Reason::SourceRoute);
}

#[test]
fn t_3022_s4_6__routes_in_options_are_dropped_or_passed_as_the_file_says() {
    const RECORDS: [&[u8]; 3] = [
        &[7, 7, 4, 0, 0, 0, 0, 0],
        &[1, 7, 7, 4, 0, 0, 0, 0],
        &[68, 12, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0],
    ];
    let with = |words: &str| Lab::new(&OFFICE.replace("[policy]", &format!("[policy]\n{words}")));
    let ask = |options: &[u8]| udp(CLIENT, SERVER).ip_options(options);
    let mut strict = with("record-route = \"drop\"");
    for options in RECORDS {
        let reason = refused(&mut strict, 0.0, LAN, ask(options));
        assert_eq!(reason, Reason::RecordRoute);
    }
    // What passes is not rewritten: the scenario compares all of it.
    let mut usual = Lab::new(OFFICE);
    for options in RECORDS {
        let sent = usual.at(0.0).from(LAN).send(ask(options));
        let _ = sent.expect(forward_to(WAN).source("203.0.113.2:51000"));
    }
    let mut loose = with("source-route = \"pass\"\nrecord-route = \"drop\"");
    for options in SOURCE_ROUTES {
        let sent = loose.at(0.0).from(LAN).send(ask(options));
        let _ = sent.expect(forward_to(WAN).source("203.0.113.2:51000"));
    }
    // The worse of two counts, and IPv6 has none that passes.
    let both = [&[7, 7, 4, 0, 0, 0, 0, 1], SOURCE_ROUTES[0]].concat();
    let sent = loose.at(0.0).from(LAN).send(ask(&both));
    assert!(sent.forwarded.is_some());
    let packet = with_routing_header(0, 1);
    assert_eq!(refused(&mut loose, 0.0, LAN, packet), Reason::SourceRoute);
}

fn with_routing_header(kind: u8, segments_left: u8) -> Packet {
    let payload = [&[kind, segments_left, 0, 0, 0, 0][..], &[0x20; 16]].concat();
    let routing = Ipv6RawExtHeader::new_raw(etherparse::IpNumber::UDP, &payload).unwrap();
    let extensions = Ipv6Extensions {
        routing: Some(Ipv6RoutingExtensions {
            routing,
            final_destination_options: None,
        }),
        ..Ipv6Extensions::default()
    };
    udp("[2001:db8:10::7]:5000", "[2001:db8:5::9]:53").extensions(extensions)
}

#[test]
fn t_6092_rec_4__a_routing_header_of_type_0_goes_nowhere() {
    let mut lab = Lab::new(PLAIN);
    for segments_left in [0, 1, 255] {
        let packet = with_routing_header(0, segments_left);
        assert_eq!(refused(&mut lab, 0.0, LAN, packet), Reason::SourceRoute);
    }
    // Others are nobody's business here.
    let _ = lab
        .at(0.0)
        .from(LAN)
        .send(with_routing_header(4, 0))
        .expect(forward_to(WAN));
}

#[test]
fn t_6092_rec_7__unique_local_addresses_go_where_the_rules_say() {
    let local = udp("[fd00:db8::7]:5000", "[2001:db8:5::9]:53");
    // Behind no zone they are spoofed; behind one they are addresses like others.
    let mut lab = Lab::new(PLAIN);
    let why = refused(&mut lab, 0.0, LAN, local.clone());
    assert_eq!(why, Reason::SpoofedSource);
    let behind = PLAIN.replace(
        "\"2001:db8:10::/64\"",
        "\"2001:db8:10::/64\", \"fd00:db8::/48\"",
    );
    let mut lab = Lab::new(&behind);
    let _ = lab
        .at(0.0)
        .from(LAN)
        .send(local.clone())
        .expect(forward_to(WAN));
    let row = "rules = [ { id = \"local\", src = \"fc00::/7\", to = \"wan\", action = \"drop\" },";
    let mut lab = Lab::new(&behind.replace("rules = [", row));
    assert_eq!(refused(&mut lab, 0.0, LAN, local), Reason::Rule);
}

#[test]
fn a_forged_source_takes_no_session_even_with_the_right_numbers() {
    let mut lab = Lab::new(PLAIN);
    let mut ends = Dialogue::open(&mut lab, 0.0, (LAN, CLIENT), SERVER);
    ends.client_says(&mut lab, 0.0, "a question");
    for (zone, forgery) in [
        (WAN, ends.client.segment().data("not mine")),
        (WAN, ends.client.segment().rst()),
        (LAN, ends.server.segment().data("not yours")),
        (LAN, ends.server.segment().fin()),
    ] {
        assert_eq!(refused(&mut lab, 1.0, zone, forgery), Reason::SpoofedSource);
    }
    ends.server_says(&mut lab, 1.0, "an answer");
}
