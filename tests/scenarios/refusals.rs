//! What the gateway itself says: RST, ICMP errors, echo replies; and when it
//! keeps silent.

use spigate::engine::Reason;

use super::lab::{DMZ, LAN, Lab, WAN};
use super::packets::{echo, echo_reply, icmp, protocol, resummed, tcp, udp};
use super::policies::{OFFICE, PLAIN};
use super::wants::{Told, answer, drop_for, forward_to, hold, reject_for};

const SERVER: &str = "10.0.9.80:45000";
const INSIDE: &str = "10.0.0.7:22";

#[test]
fn t_9293_rst_gen__a_rejected_syn_is_reset_with_its_numbers() {
    let mut lab = Lab::new(OFFICE);
    for (syn, ack) in [
        (tcp(SERVER, INSIDE).syn().seq(100), 101),
        (tcp(SERVER, INSIDE).syn().seq(100).data("early"), 106),
        (tcp(SERVER, INSIDE).syn().seq(u32::MAX), 0),
    ] {
        let told = Told::Reset {
            seq: 0,
            ack: Some(ack),
        };
        let sent = lab.at(0.0).from(DMZ).send(syn);
        let _ = sent.expect(
            reject_for(Reason::Rule)
                .rule("no-lan-in")
                .ct("new")
                .told(told),
        );
    }
    let ipv6 = tcp("[2001:db8:9::80]:45000", "[2001:db8:10::7]:22")
        .syn()
        .seq(100);
    let told = Told::Reset {
        seq: 0,
        ack: Some(101),
    };
    let _ = lab
        .at(0.0)
        .from(DMZ)
        .send(ipv6)
        .expect(reject_for(Reason::Rule).told(told));
}

#[test]
fn segments_that_begin_no_session_are_dropped_before_any_rule_could_reject_them() {
    let mut lab = Lab::new(OFFICE);
    for segment in [
        tcp(SERVER, INSIDE).ack(7),
        tcp(SERVER, INSIDE).ack(7).data("data"),
        tcp(SERVER, INSIDE).rst(),
        tcp(SERVER, INSIDE).rst().ack(7),
    ] {
        let _ = lab
            .at(0.0)
            .from(DMZ)
            .send(segment)
            .expect(drop_for(Reason::NoSession));
    }
}

#[test]
fn resets_answer_what_rfc_9293_says_for_each_kind_of_segment() {
    use spigate::packet::{Headers, reset};
    let reset_of = |packet: super::packets::Packet| {
        let bytes = packet.bytes();
        let made = reset(&Headers::read(&bytes, false).unwrap())?;
        let seen = super::seen::Seen::read(&made, super::seen::Sums::Right);
        let tcp = seen.tcp().clone();
        assert!(tcp.rst);
        Some((
            tcp.sequence_number,
            tcp.ack.then_some(tcp.acknowledgment_number),
        ))
    };
    let segment = || tcp(SERVER, INSIDE).seq(100);
    assert_eq!(reset_of(segment().ack(7)), Some((7, None)));
    assert_eq!(reset_of(segment().ack(7).data("data")), Some((7, None)));
    assert_eq!(reset_of(segment().syn().ack(7)), Some((7, None)));
    assert_eq!(reset_of(segment().fin().ack(7)), Some((7, None)));
    assert_eq!(reset_of(segment().syn()), Some((0, Some(101))));
    assert_eq!(
        reset_of(segment().syn().fin().data("data")),
        Some((0, Some(106)))
    );
    assert_eq!(reset_of(segment().rst()), None);
    assert_eq!(reset_of(segment().rst().ack(7)), None);
}

#[test]
fn what_is_no_tcp_is_told_port_unreachable_by_the_gateways_address_there() {
    let mut lab = Lab::new(OFFICE);
    let from_dmz = |packet| (packet, Told::Error(3, 3, "10.0.9.1"));
    for (packet, told) in [
        from_dmz(udp(SERVER, INSIDE)),
        from_dmz(udp(SERVER, INSIDE).data([7; 1400])),
        from_dmz(echo("10.0.9.80", "10.0.0.7", 5)),
        from_dmz(protocol(47, "10.0.9.80", "10.0.0.7")),
    ] {
        let _ = lab
            .at(0.0)
            .from(DMZ)
            .send(packet)
            .expect(reject_for(Reason::Rule).told(told));
    }
    for data in [100, 1400] {
        let packet = udp("[2001:db8:9::80]:5000", "[2001:db8:10::7]:53").data(vec![7; data]);
        let told = Told::Error(1, 4, "2001:db8:9::1");
        let _ = lab
            .at(0.0)
            .from(DMZ)
            .send(packet)
            .expect(reject_for(Reason::Rule).told(told));
    }
}

#[test]
fn t_4443_size__errors_quote_as_much_as_fits() {
    let mut lab = Lab::new(OFFICE);
    let packet = udp("[2001:db8:9::80]:5000", "[2001:db8:10::7]:53").data(vec![7; 2000]);
    let sent = lab.at(0.0).from(DMZ).send(packet);
    assert_eq!(sent.made[0].1.bytes.len(), 1280);
    let packet = udp(SERVER, INSIDE).data(vec![7; 2000]);
    let sent = lab.at(0.0).from(DMZ).send(packet);
    assert_eq!(sent.made[0].1.bytes.len(), 576);
}

#[test]
fn t_1812_quote__the_quote_is_the_packet_as_it_came_and_not_as_it_would_have_left() {
    let mut lab = Lab::new(OFFICE);
    // Forwarded and masqueraded, had it lived one hop longer.
    let sent = lab
        .at(0.0)
        .from(WAN)
        .send(tcp("198.51.100.9:40000", "203.0.113.2:443").syn().ttl(1));
    let told = Told::Error(11, 0, "203.0.113.2");
    let _ = sent.expect(reject_for(Reason::TtlExpired).told(told));
    let sent = lab
        .at(0.0)
        .from(LAN)
        .send(udp("10.0.0.7:5000", "198.51.100.9:53").ttl(1));
    let told = Told::Error(11, 0, "10.0.0.1");
    let _ = sent.expect(reject_for(Reason::TtlExpired).told(told));
}

#[test]
fn t_5508_s7_7__an_error_has_precedence_6_and_the_type_of_service_of_its_cause() {
    let mut lab = Lab::new(OFFICE);
    // Linux, and RFC 1812 section 4.3.2.5: the precedence is not the cause's.
    for (class, expected) in [(0, 0xc0), (0x10, 0xd0), (0xb8, 0xd8), (0x03, 0xc2)] {
        let mut late = udp("10.0.0.7:5000", "198.51.100.9:53").ttl(1).bytes();
        late[1] = class;
        let sent = lab.at(0.0).from(LAN).send(resummed(late));
        assert_eq!(sent.made[0].1.bytes[1], expected);
    }
    // In IPv6 it has none at all.
    let mut late = udp("[2001:db8:10::7]:5000", "[2001:db8:5::9]:53")
        .ttl(1)
        .bytes();
    late[0..2].copy_from_slice(&[0x6b, 0x80]);
    let sent = lab.at(0.0).from(LAN).send(late);
    assert_eq!(sent.made[0].1.bytes[0..2], [0x60, 0]);
}

#[test]
fn an_echo_reply_has_the_class_and_the_code_of_its_request() {
    let mut ping = echo("10.0.0.7", "10.0.0.1", 7).bytes();
    ping[1] = 0xb8;
    ping[21] = 5;
    let sum = u16::from_be_bytes([ping[22], ping[23]])
        .checked_sub(5)
        .unwrap();
    ping[22..24].copy_from_slice(&sum.to_be_bytes());
    let sent = Lab::new(OFFICE).at(0.0).from(LAN).send(resummed(ping));
    let reply = &sent.made[0].1.bytes;
    assert_eq!((reply[1], &reply[20..22]), (0xb8, &[0, 5][..]));
}

#[test]
fn an_option_that_cannot_be_read_is_told_of_by_its_place() {
    for (options, place) in [
        (&[7, 0, 1, 1][..], Some(20)),
        (&[1, 1, 7, 1], Some(22)),
        (&[7, 5, 4, 0], Some(20)),
        (&[1, 7, 3, 4, 0x5e, 9, 1, 1], Some(24)),
        (&[1, 1, 1, 7], Some(23)),
        (&[1, 0, 7, 0], None),
        (&[7, 3, 4, 0], None),
    ] {
        let mut bytes = udp("10.0.0.7:5000", "198.51.100.9:53").bytes();
        bytes.splice(20..20, options.iter().copied());
        bytes[0] = 0x45 + u8::try_from(options.len() / 4).unwrap();
        bytes[3] += u8::try_from(options.len()).unwrap();
        let mut lab = Lab::new(OFFICE);
        let before = lab.snapshot();
        let sent = lab.at(0.0).from(LAN).send(resummed(bytes));
        let Some(place) = place else {
            assert_eq!(sent.judgement.reason, Reason::Rule, "{options:?}");
            continue;
        };
        assert_eq!(sent.judgement.reason, Reason::BadOption);
        let error = &sent.made[0].1;
        assert_eq!(error.bytes[20..22], [12, 0]);
        assert_eq!(error.bytes[24], place, "{options:?}");
        assert_eq!(lab.snapshot(), before);
    }
}

#[test]
fn t_1812_noerr_1__never_an_error_about_an_error() {
    let mut lab = Lab::new(PLAIN);
    // A known session's error whose time runs out: silence.
    let (client, server) = ("10.0.0.7:5000", "198.51.100.9:53");
    let question = udp(client, server);
    let left = lab
        .at(0.0)
        .from(LAN)
        .send(question)
        .expect(forward_to(WAN))
        .left();
    let error = icmp("198.51.100.1", "10.0.0.7", 11, 0)
        .quoting(&left.bytes)
        .ttl(1);
    let _ = lab
        .at(0.0)
        .from(WAN)
        .send(error)
        .expect(reject_for(Reason::TtlExpired));
    // An error about nothing, and errors with broken headers.
    let unknown =
        icmp("198.51.100.1", "10.0.0.7", 3, 3).quoting(&udp(client, "192.0.2.1:9").bytes());
    let _ = lab
        .at(0.0)
        .from(WAN)
        .send(unknown)
        .expect(drop_for(Reason::IcmpUnrelated));
    let mut broken = udp(client, server).bytes();
    broken[10] ^= 1;
    let _ = lab
        .at(0.0)
        .from(LAN)
        .send(broken)
        .expect(drop_for(Reason::BadChecksum));
}

#[test]
fn t_4443_noerr__never_an_icmpv6_error_about_an_error_or_a_multicast() {
    let mut lab = Lab::new(PLAIN);
    let (client, server) = ("[2001:db8:10::7]:5000", "[2001:db8:5::9]:53");
    let left = lab
        .at(0.0)
        .from(LAN)
        .send(udp(client, server))
        .expect(forward_to(WAN))
        .left();
    let error = icmp("2001:db8:5::1", "2001:db8:10::7", 3, 0)
        .quoting(&left.bytes)
        .ttl(1);
    let _ = lab
        .at(0.0)
        .from(WAN)
        .send(error)
        .expect(reject_for(Reason::TtlExpired));
    for (source, destination) in [
        ("[2001:db8:10::7]:5000", "[ff0e::1]:53"),
        ("[::]:5000", "[2001:db8:5::9]:53"),
        ("[ff02::1]:5000", "[2001:db8:5::9]:53"),
    ] {
        let sent = lab.at(0.0).from(LAN).send(udp(source, destination).ttl(1));
        let _ = sent.expect(drop_for(Reason::BadAddress));
    }
}

#[test]
fn t_1812_noerr_2__never_an_error_about_broadcasts_martians_or_later_fragments() {
    let mut lab = Lab::new(PLAIN);
    for (source, destination) in [
        ("10.0.0.7:5000", "255.255.255.255:53"),
        ("10.0.0.7:5000", "224.0.0.251:53"),
        ("0.0.0.5:5000", "198.51.100.9:53"),
        ("127.0.0.1:5000", "198.51.100.9:53"),
        ("224.0.0.1:5000", "198.51.100.9:53"),
        ("255.255.255.255:5000", "198.51.100.9:53"),
    ] {
        let sent = lab.at(0.0).from(LAN).send(udp(source, destination).ttl(1));
        let _ = sent.expect(drop_for(Reason::BadAddress));
    }
    // Class E passes as in Linux, and still nobody there is told anything.
    let asked = lab
        .at(0.0)
        .from(LAN)
        .send(udp("10.0.0.7:5000", "240.0.0.5:53"));
    let _ = asked.expect(forward_to(WAN));
    let late = udp("240.0.0.5:53", "10.0.0.7:5000").ttl(1);
    let sent = lab.at(0.0).from(WAN).send(late);
    let _ = sent.expect(reject_for(Reason::TtlExpired).ct("established"));
    let mut fragment = udp("10.0.0.7:5000", "198.51.100.9:53").ttl(1).bytes();
    fragment[7] = 8;
    let fragment = super::packets::resummed(fragment);
    let _ = lab.at(0.0).from(LAN).send(fragment).expect(hold());
}

#[test]
fn t_1812_ttl__a_ttl_of_two_leaves_as_one_and_one_or_none_runs_out() {
    let mut lab = Lab::new(OFFICE);
    let packet = |ttl| udp("10.0.0.7:5000", "198.51.100.9:53").ttl(ttl);
    let left = lab
        .at(0.0)
        .from(LAN)
        .send(packet(2))
        .expect(forward_to(WAN).source("203.0.113.2:5000"))
        .left();
    assert_eq!(left.ttl, 1);
    let before = lab.snapshot();
    for ttl in [1, 0] {
        // In a session and before one.
        for source in ["10.0.0.7:5000", "10.0.0.8:5000"] {
            let sent = lab
                .at(1.0)
                .from(LAN)
                .send(udp(source, "198.51.100.9:53").ttl(ttl));
            let told = Told::Error(11, 0, "10.0.0.1");
            let _ = sent.expect(reject_for(Reason::TtlExpired).told(told));
        }
    }
    assert_eq!(lab.snapshot(), before);
    // To the gateway itself it has arrived.
    let ping = lab
        .at(1.0)
        .from(LAN)
        .send(echo("10.0.0.7", "10.0.0.1", 5).ttl(1));
    let _ = ping.expect(answer().told(Told::EchoReply));
}

#[test]
fn t_5508_s7_2__time_exceeded_is_said_in_both_families() {
    let mut lab = Lab::new(OFFICE);
    let sent = lab
        .at(0.0)
        .from(LAN)
        .send(tcp("10.0.0.7:51000", "198.51.100.9:80").syn().ttl(1));
    let _ = sent.expect(reject_for(Reason::TtlExpired).told(Told::Error(11, 0, "10.0.0.1")));
    let sent = lab
        .at(0.0)
        .from(LAN)
        .send(udp("[2001:db8:10::7]:5000", "[2001:db8:5::9]:53").ttl(1));
    let _ = sent.expect(reject_for(Reason::TtlExpired).told(Told::Error(3, 0, "2001:db8:10::1")));
}

#[test]
fn t_1812_src__errors_come_from_the_address_of_the_interface_they_leave_by() {
    let mut lab = Lab::new(OFFICE);
    for (zone, source, gateway) in [
        (LAN, "10.0.0.7:5000", "10.0.0.1"),
        (DMZ, "10.0.9.80:5000", "10.0.9.1"),
        (WAN, "198.51.100.9:5000", "203.0.113.2"),
    ] {
        let sent = lab
            .at(0.0)
            .from(zone)
            .send(udp(source, "192.0.2.9:53").ttl(1));
        let told = Told::Error(11, 0, gateway);
        let _ = sent.expect(reject_for(Reason::TtlExpired).told(told));
    }
}

#[test]
fn t_1812_unreach__no_route_is_network_unreachable() {
    let narrow = OFFICE.replace(
        r#"["0.0.0.0/0", "::/0"]"#,
        r#"["198.51.100.0/24", "2001:db8:5::/64"]"#,
    );
    let mut lab = Lab::new(&narrow);
    let sent = lab
        .at(0.0)
        .from(LAN)
        .send(udp("10.0.0.7:5000", "192.0.2.9:53"));
    let want = reject_for(Reason::NoRoute)
        .ct("new")
        .told(Told::Error(3, 0, "10.0.0.1"));
    let _ = sent.expect(want);
    let sent = lab
        .at(0.0)
        .from(LAN)
        .send(udp("[2001:db8:10::7]:5000", "[2001:db8:6::9]:53"));
    let _ = sent.expect(reject_for(Reason::NoRoute).told(Told::Error(1, 0, "2001:db8:10::1")));
}

#[test]
fn t_1812_echo__the_gateway_answers_pings_that_the_rules_allow() {
    let mut lab = Lab::new(OFFICE);
    for (host, gateway) in [
        ("10.0.0.7", "10.0.0.1"),
        ("10.0.0.7", "10.0.9.1"),
        ("10.0.0.7", "203.0.113.2"),
        ("2001:db8:10::7", "2001:db8:10::1"),
    ] {
        let sent = lab
            .at(0.0)
            .from(LAN)
            .send(echo(host, gateway, 5).data([9; 1000]));
        let _ = sent.expect(answer().rule("lan-gateway").ct("new").told(Told::EchoReply));
    }
    assert!(lab.table().is_empty(), "an answered ping is no session");
    let sent = lab
        .at(0.0)
        .from(WAN)
        .send(echo("198.51.100.9", "203.0.113.2", 5));
    let _ = sent.expect(drop_for(Reason::DefaultPolicy).ct("new"));
    // Unknown messages to the gateway are dropped in silence.
    let sent = lab
        .at(0.0)
        .from(LAN)
        .send(icmp("10.0.0.7", "10.0.0.1", 42, 0));
    let _ = sent.expect(drop_for(Reason::NoSession));
}

#[test]
fn t_5508_req_10c__the_gateway_answers_no_information_request() {
    let mut lab = Lab::new(OFFICE);
    for kind in [13, 15, 17] {
        let sent = lab
            .at(0.0)
            .from(LAN)
            .send(icmp("10.0.0.7", "10.0.0.1", kind, 0).data([0; 12]));
        let made: Vec<_> = sent
            .made
            .iter()
            .map(|(_, made)| made.body.clone())
            .collect();
        assert!(
            matches!(made[..], [super::seen::Body::Icmp(3, 3, _)]),
            "{made:?}"
        );
    }
}

#[test]
fn t_6092_rec_50__no_service_of_the_gateway_answers_from_outside() {
    let mut lab = Lab::new(OFFICE);
    for port in [1, 22, 80, 161, 8443, 51000] {
        for gateway in [
            format!("203.0.113.2:{port}"),
            format!("[2001:db8:ff::2]:{port}"),
        ] {
            let client = if gateway.starts_with('[') {
                "[2001:db8:5::9]:5000"
            } else {
                "198.51.100.9:5000"
            };
            let sent = lab.at(0.0).from(WAN).send(udp(client, &gateway));
            let _ = sent.expect(drop_for(Reason::DefaultPolicy));
        }
    }
}

#[test]
fn the_gateway_offers_no_service_and_says_so_where_the_rules_allow() {
    let mut lab = Lab::new(OFFICE);
    let sent = lab
        .at(0.0)
        .from(LAN)
        .send(tcp("10.0.0.7:51000", "10.0.0.1:22").syn().seq(8));
    let told = Told::Reset {
        seq: 0,
        ack: Some(9),
    };
    let _ = sent.expect(
        reject_for(Reason::GatewayService)
            .rule("lan-gateway")
            .told(told),
    );
    let sent = lab
        .at(0.0)
        .from(LAN)
        .send(udp("10.0.0.7:5000", "203.0.113.2:53"));
    let told = Told::Error(3, 3, "10.0.0.1");
    let _ = sent.expect(reject_for(Reason::GatewayService).told(told));
    assert!(lab.table().is_empty());
}

#[test]
fn an_echo_reply_to_the_gateway_gets_no_answer() {
    let mut lab = Lab::new(OFFICE);
    let sent = lab
        .at(0.0)
        .from(LAN)
        .send(echo_reply("10.0.0.7", "10.0.0.1", 5));
    let _ = sent.expect(drop_for(Reason::NoSession));
}

#[test]
fn a_segment_of_a_session_whose_time_runs_out_leaves_the_session_as_it_was() {
    let mut lab = Lab::new(OFFICE);
    let mut dialogue =
        super::dialogue::Dialogue::open(&mut lab, 0.0, (LAN, "10.0.0.7:51000"), "198.51.100.9:80");
    let before = lab.snapshot();
    let fin = dialogue.client.segment().fin().ttl(1);
    let sent = lab.at(1.0).from(LAN).send(fin);
    let want = reject_for(Reason::TtlExpired)
        .state("established")
        .ct("established");
    let _ = sent.expect(want.told(Told::Error(11, 0, "10.0.0.1")));
    assert_eq!(lab.snapshot(), before);
    assert_eq!(
        dialogue.client_says(&mut lab, 2.0, "still here"),
        "still here"
    );
}
