//! ICMP errors about sessions: translated outside and inside, delivered to
//! whom they concern, and to nobody else.

use spigate::engine::Reason;

use super::lab::{DMZ, LAN, Lab, WAN, moment};
use super::packets::{Packet, echo, echo_reply, icmp, tcp, udp};
use super::policies::{OFFICE, PLAIN};
use super::seen::{Body, Seen};
use super::wants::{drop_for, forward_to};

pub(crate) const ROUTER: &str = "192.0.2.254";
pub(crate) const PUBLIC: &str = "203.0.113.2";

/// A masqueraded client's packet, the second of two with the same port or
/// identifier: so its port or identifier is changed too. Gives the packet as
/// the outside sees it.
pub(crate) fn masqueraded(lab: &mut Lab, packet: impl Fn(&str) -> Packet) -> Seen {
    let hosts = if packet("10.0.0.7").bytes()[0] >> 4 == 4 {
        ["10.0.0.8", "10.0.0.7"]
    } else {
        ["2001:db8:10::8", "2001:db8:10::7"]
    };
    let first = lab.at(0.0).from(LAN).send(packet(hosts[0]));
    assert!(first.forwarded.is_some());
    let second = lab.at(0.0).from(LAN).send(packet(hosts[1]));
    second.forwarded.expect("it leaves").1
}

pub(crate) fn udp_to_server(host: &str) -> Packet {
    udp(&format!("{host}:5000"), "198.51.100.9:53")
}

pub(crate) fn tcp_to_server(host: &str) -> Packet {
    tcp(&format!("{host}:51000"), "198.51.100.9:80")
        .syn()
        .seq(77)
}

pub(crate) fn ping_to_server(host: &str) -> Packet {
    echo(host, "198.51.100.9", 77)
}

pub(crate) const V4: [fn(&str) -> Packet; 3] = [udp_to_server, tcp_to_server, ping_to_server];

/// The packets of [`V4`] as IPv6; the host is always the first, because the
/// family cannot be told from it.
fn in_v6(which: usize, host: &str) -> Packet {
    match which {
        0 => udp(&format!("[{host}]:5000"), "[2001:db8:5::9]:53"),
        1 => tcp(&format!("[{host}]:51000"), "[2001:db8:5::9]:80")
            .syn()
            .seq(77),
        _ => echo(host, "2001:db8:5::9", 77),
    }
}

#[test]
fn t_5508_req_4a__the_quoted_packet_is_put_back_to_what_its_sender_sent() {
    for packet in V4 {
        let mut lab = Lab::new(OFFICE);
        let outside = masqueraded(&mut lab, packet);
        let error = icmp(ROUTER, PUBLIC, 3, 3).quoting(&outside.bytes);
        let want = forward_to(LAN)
            .destination("10.0.0.7")
            .ct("related")
            .because(Reason::Related);
        let inside = lab
            .at(1.0)
            .from(WAN)
            .send(error)
            .expect(want.rule("lan-out"))
            .left();
        // Octet by octet, checksums included; one hop is gone.
        assert_eq!(inside.quote(), packet("10.0.0.7").ttl(63).bytes());
        let _ = inside.quoted();
    }
}

#[test]
fn t_6092_rec_18__errors_about_live_flows_are_forwarded_in_ipv6_and_end_none() {
    for which in 0..3 {
        for (kind, code, rest) in [
            (1, 4, [0; 4]),
            (1, 0, [0; 4]),
            (2, 0, [0, 0, 5, 0]),
            (3, 0, [0; 4]),
        ] {
            let mut lab = Lab::new(OFFICE);
            for host in ["2001:db8:10::8", "2001:db8:10::7"] {
                assert!(
                    lab.at(0.0)
                        .from(LAN)
                        .send(in_v6(which, host))
                        .forwarded
                        .is_some()
                );
            }
            let again = lab.at(0.0).from(LAN).send(in_v6(which, "2001:db8:10::7"));
            let outside = again.forwarded.unwrap().1;
            let before = lab.snapshot();
            let error = icmp("2001:db8:5::1", "2001:db8:ff::2", kind, code).rest(rest);
            let sent = lab.at(1.0).from(WAN).send(error.quoting(&outside.bytes));
            let want = forward_to(LAN).destination("2001:db8:10::7").ct("related");
            let inside = sent.expect(want).left();
            assert_eq!(
                inside.quote(),
                in_v6(which, "2001:db8:10::7").ttl(63).bytes()
            );
            let _ = inside.quoted();
            assert_eq!(lab.snapshot(), before);
        }
    }
}

#[test]
fn t_4890_must__the_errors_that_ipv6_lives_by_pass_without_translation() {
    for (kind, code) in [
        (1, 0),
        (1, 1),
        (1, 3),
        (1, 4),
        (2, 0),
        (3, 0),
        (4, 1),
        (4, 2),
    ] {
        let mut lab = Lab::new(PLAIN);
        let packet = in_v6(0, "2001:db8:10::7");
        let left = lab
            .at(0.0)
            .from(LAN)
            .send(packet)
            .expect(forward_to(WAN))
            .left();
        let error = icmp("2001:db8:5::1", "2001:db8:10::7", kind, code).quoting(&left.bytes);
        let _ = lab
            .at(1.0)
            .from(WAN)
            .send(error)
            .expect(forward_to(LAN).ct("related"));
    }
}

#[test]
fn t_4890_should__code_1_of_time_exceeded_and_code_0_of_parameter_problem_pass() {
    for (kind, code) in [(3, 1), (4, 0)] {
        let mut lab = Lab::new(PLAIN);
        let packet = in_v6(1, "2001:db8:10::7");
        let left = lab
            .at(0.0)
            .from(LAN)
            .send(packet)
            .expect(forward_to(WAN))
            .left();
        let error = icmp("2001:db8:5::1", "2001:db8:10::7", kind, code).quoting(&left.bytes);
        let _ = lab
            .at(1.0)
            .from(WAN)
            .send(error)
            .expect(forward_to(LAN).ct("related"));
    }
}

#[test]
fn t_5508_req_4b__type_and_code_stay() {
    for (kind, code) in [
        (3, 0),
        (3, 1),
        (3, 3),
        (3, 4),
        (3, 13),
        (4, 0),
        (11, 0),
        (11, 1),
        (12, 0),
    ] {
        let mut lab = Lab::new(OFFICE);
        let outside = masqueraded(&mut lab, udp_to_server);
        let error = icmp(ROUTER, PUBLIC, kind, code).quoting(&outside.bytes);
        let left = lab
            .at(1.0)
            .from(WAN)
            .send(error)
            .expect(forward_to(LAN).destination("10.0.0.7"))
            .left();
        assert!(matches!(left.body, Body::Icmp(k, c, _) if (k, c) == (kind, code)));
    }
}

#[test]
fn t_5508_req_4c__the_router_in_the_middle_stays_the_source() {
    let mut lab = Lab::new(OFFICE);
    let outside = masqueraded(&mut lab, udp_to_server);
    for reporter in [ROUTER, "198.51.100.9"] {
        let error = icmp(reporter, PUBLIC, 11, 0).quoting(&outside.bytes);
        let want = forward_to(LAN).source(reporter).destination("10.0.0.7");
        let _ = lab.at(1.0).from(WAN).send(error).expect(want);
    }
}

#[test]
fn t_4787_req_12a__an_error_from_an_unknown_router_passes() {
    let mut lab = Lab::new(OFFICE);
    let outside = masqueraded(&mut lab, udp_to_server);
    let error = icmp("172.16.3.4", PUBLIC, 11, 0).quoting(&outside.bytes);
    let _ = lab
        .at(1.0)
        .from(WAN)
        .send(error)
        .expect(forward_to(LAN).destination("10.0.0.7"));
}

#[test]
fn t_4787_req_12__packets_flow_on_after_every_kind_of_error() {
    let mut lab = Lab::new(OFFICE);
    let outside = masqueraded(&mut lab, udp_to_server);
    for (kind, code) in (0..16)
        .map(|code| (3, code))
        .chain([(4, 0), (11, 0), (11, 1), (12, 0)])
    {
        let error = icmp(ROUTER, PUBLIC, kind, code).quoting(&outside.bytes);
        let _ = lab
            .at(1.0)
            .from(WAN)
            .send(error)
            .expect(forward_to(LAN).destination("10.0.0.7"));
        let answer = udp("198.51.100.9:53", &outside.source);
        let _ = lab
            .at(1.0)
            .from(WAN)
            .send(answer)
            .expect(forward_to(LAN).destination("10.0.0.7:5000"));
    }
}

#[test]
fn t_4787_req_12b__destination_unreachable_passes_in_both_directions() {
    let mut lab = Lab::new(OFFICE);
    let outside = masqueraded(&mut lab, udp_to_server);
    let inward = icmp(ROUTER, PUBLIC, 3, 1).quoting(&outside.bytes);
    let _ = lab
        .at(1.0)
        .from(WAN)
        .send(inward)
        .expect(forward_to(LAN).destination("10.0.0.7"));
    let answer = udp("198.51.100.9:53", &outside.source);
    let delivered = lab.at(1.0).from(WAN).send(answer).forwarded.unwrap().1;
    let outward = icmp("10.0.0.7", "198.51.100.9", 3, 3).quoting(&delivered.bytes);
    let _ = lab
        .at(1.0)
        .from(LAN)
        .send(outward)
        .expect(forward_to(WAN).source(PUBLIC));
}

#[test]
fn t_5382_req_10__no_error_ends_a_connection_and_a_syn_can_be_retried() {
    let mut lab = Lab::new(OFFICE);
    let outside = masqueraded(&mut lab, tcp_to_server);
    let before = lab.snapshot();
    let error = icmp(ROUTER, PUBLIC, 3, 1).quoting(&outside.bytes);
    let _ = lab
        .at(1.0)
        .from(WAN)
        .send(error)
        .expect(forward_to(LAN).destination("10.0.0.7"));
    assert_eq!(lab.snapshot(), before);
    let again = lab.at(2.0).from(LAN).send(tcp_to_server("10.0.0.7"));
    let _ = again.expect(forward_to(WAN).source(&outside.source).state("syn-sent"));
    let answer = tcp("198.51.100.9:80", &outside.source).syn().ack(78);
    let _ = lab
        .at(2.0)
        .from(WAN)
        .send(answer)
        .expect(forward_to(LAN).destination("10.0.0.7:51000"));
}

#[test]
fn t_5508_s7_1_2__fragmentation_needed_keeps_its_mtu() {
    for packet in V4 {
        let mut lab = Lab::new(OFFICE);
        let outside = masqueraded(&mut lab, packet);
        let error = icmp(ROUTER, PUBLIC, 3, 4)
            .rest([0, 0, 5, 0x14])
            .quoting(&outside.bytes);
        let left = lab
            .at(1.0)
            .from(WAN)
            .send(error)
            .expect(forward_to(LAN).destination("10.0.0.7"))
            .left();
        assert!(matches!(left.body, Body::Icmp(3, 4, message) if message[4..8] == [0, 0, 5, 0x14]));
    }
}

#[test]
fn t_5382_req_9__fragmentation_needed_about_a_connection_is_delivered() {
    let mut lab = Lab::new(OFFICE);
    let outside = masqueraded(&mut lab, tcp_to_server);
    let error = icmp(ROUTER, PUBLIC, 3, 4)
        .rest([0, 0, 5, 0])
        .quoting(&outside.bytes);
    let want = forward_to(LAN).destination("10.0.0.7").state("syn-sent");
    let _ = lab.at(1.0).from(WAN).send(error).expect(want);
}

#[test]
fn t_2979_pmtu__path_mtu_discovery_needs_no_rule_for_icmp() {
    // No rule of this file names ICMP from outside, and its default drops.
    let mut lab = Lab::new(OFFICE);
    let outside = masqueraded(&mut lab, tcp_to_server);
    let unasked = lab.at(1.0).from(WAN).send(echo(ROUTER, PUBLIC, 1));
    let _ = unasked.expect(drop_for(Reason::DefaultPolicy));
    let error = icmp(ROUTER, PUBLIC, 3, 4)
        .rest([0, 0, 5, 0])
        .quoting(&outside.bytes);
    let _ = lab
        .at(1.0)
        .from(WAN)
        .send(error)
        .expect(forward_to(LAN).destination("10.0.0.7"));
}

/// The published server's answer to a client outside; gives the packet as it
/// arrived at the server, and the answer as the client saw it.
fn served(lab: &mut Lab) -> (Seen, Seen) {
    let syn = tcp("198.51.100.9:40000", "203.0.113.2:2222").syn().seq(9);
    let arrived = lab.at(0.0).from(WAN).send(syn).forwarded.unwrap().1;
    let answer = tcp("10.0.9.22:22", "198.51.100.9:40000")
        .syn()
        .seq(70)
        .ack(10);
    let seen = lab.at(0.0).from(DMZ).send(answer).forwarded.unwrap().1;
    (arrived, seen)
}

#[test]
fn t_5508_req_5a__an_error_of_a_published_server_names_the_public_endpoint() {
    let mut lab = Lab::new(OFFICE);
    let (arrived, _) = served(&mut lab);
    let error = icmp("10.0.9.22", "198.51.100.9", 3, 3).quoting(&arrived.bytes);
    let want = forward_to(WAN).source(PUBLIC).ct("related").rule("fwd-ssh");
    let left = lab.at(1.0).from(DMZ).send(error).expect(want).left();
    let as_sent = tcp("198.51.100.9:40000", "203.0.113.2:2222").syn().seq(9);
    assert_eq!(left.quote(), as_sent.ttl(63).bytes());
}

#[test]
fn t_5508_req_5c__an_inside_router_hides_behind_the_public_address() {
    let mut lab = Lab::new(OFFICE);
    let (arrived, _) = served(&mut lab);
    let error = icmp("10.0.9.254", "198.51.100.9", 11, 0).quoting(&arrived.bytes);
    let left = lab
        .at(1.0)
        .from(DMZ)
        .send(error)
        .expect(forward_to(WAN).source(PUBLIC))
        .left();
    let inside = [10, 0, 9];
    assert!(
        !left.bytes.windows(3).any(|octets| octets == inside),
        "{left:?}"
    );
}

#[test]
fn an_error_from_outside_about_a_published_servers_answer_reaches_the_server() {
    let mut lab = Lab::new(OFFICE);
    let (_, answer) = served(&mut lab);
    let error = icmp(ROUTER, PUBLIC, 11, 0).quoting(&answer.bytes);
    let want = forward_to(DMZ).destination("10.0.9.22").ct("related");
    let left = lab.at(1.0).from(WAN).send(error).expect(want).left();
    let as_sent = tcp("10.0.9.22:22", "198.51.100.9:40000")
        .syn()
        .seq(70)
        .ack(10);
    assert_eq!(left.quote(), as_sent.ttl(63).bytes());
}

#[test]
fn t_5508_req_4__an_error_that_quotes_nothing_known_is_refused() {
    let mut lab = Lab::new(OFFICE);
    let outside = masqueraded(&mut lab, udp_to_server);
    let before = lab.snapshot();
    let never_sent = [
        udp(&outside.source, "198.51.100.10:53").bytes(),
        udp(&outside.source, "198.51.100.9:54").bytes(),
        udp("203.0.113.2:5001", "198.51.100.9:53").bytes(),
        tcp(&outside.source, "198.51.100.9:53").syn().bytes(),
        // The way the server's packets travel, not ours.
        udp("198.51.100.9:53", &outside.source).bytes(),
    ];
    for quote in never_sent {
        let error = icmp(ROUTER, PUBLIC, 3, 3).quoting(&quote);
        let want = drop_for(Reason::IcmpUnrelated).ct("invalid").no_rule();
        let _ = lab.at(1.0).from(WAN).send(error).expect(want);
    }
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn t_5508_req_5__an_error_from_inside_that_quotes_nothing_known_is_refused() {
    let mut lab = Lab::new(OFFICE);
    let (arrived, _) = served(&mut lab);
    let before = lab.snapshot();
    let mut other = arrived.bytes.clone();
    other[21] ^= 1; // another port of the client
    let error = icmp("10.0.9.22", "198.51.100.9", 3, 3).quoting(&other);
    let _ = lab
        .at(1.0)
        .from(DMZ)
        .send(error)
        .expect(drop_for(Reason::IcmpUnrelated));
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn t_6092_rec_10__errors_that_quote_no_known_flow_are_not_forwarded() {
    let mut lab = Lab::new(PLAIN);
    for kind in [1, 2, 3, 4] {
        let quote = in_v6(0, "2001:db8:10::7").bytes();
        let error = icmp("2001:db8:5::1", "2001:db8:10::7", kind, 0).quoting(&quote);
        let _ = lab
            .at(0.0)
            .from(WAN)
            .send(error)
            .expect(drop_for(Reason::IcmpUnrelated));
    }
}

#[test]
fn t_5508_emb_dst__an_error_for_another_than_the_quoted_sender_is_refused() {
    let mut lab = Lab::new(PLAIN);
    let left = lab
        .at(0.0)
        .from(LAN)
        .send(udp_to_server("10.0.0.7"))
        .expect(forward_to(WAN))
        .left();
    let before = lab.snapshot();
    for victim in ["10.0.0.8", "203.0.113.2", "198.51.100.9"] {
        let error = icmp(ROUTER, victim, 3, 3).quoting(&left.bytes);
        let _ = lab
            .at(1.0)
            .from(WAN)
            .send(error)
            .expect(drop_for(Reason::IcmpUnrelated));
    }
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn t_lnx_icmp_rel__errors_are_related_and_restart_no_timer() {
    let mut lab = Lab::new(OFFICE);
    let left = lab
        .at(0.0)
        .from(LAN)
        .send(udp_to_server("10.0.0.7"))
        .forwarded
        .unwrap()
        .1;
    let error = |kind, code| icmp(ROUTER, PUBLIC, kind, code).quoting(&left.bytes);
    for (kind, code) in [(3, 3), (4, 0), (11, 0)] {
        let want = forward_to(LAN)
            .destination("10.0.0.7")
            .ct("related")
            .state("unreplied");
        let _ = lab.at(10.0).from(WAN).send(error(kind, code)).expect(want);
    }
    assert_eq!(lab.session().deadline, moment(30.0));
    // A redirect names a router beside the sender: behind a translation that
    // means nothing.
    let redirect = error(5, 1).rest([192, 0, 2, 1]);
    let _ = lab
        .at(10.0)
        .from(WAN)
        .send(redirect)
        .expect(drop_for(Reason::IcmpUnrelated));
}

#[test]
fn t_5508_req_6__an_error_about_a_ping_neither_restarts_nor_ends_its_session() {
    let mut lab = Lab::new(OFFICE);
    let left = lab
        .at(0.0)
        .from(LAN)
        .send(ping_to_server("10.0.0.7"))
        .forwarded
        .unwrap()
        .1;
    let error = icmp(ROUTER, PUBLIC, 11, 0).quoting(&left.bytes);
    let _ = lab
        .at(10.0)
        .from(WAN)
        .send(error)
        .expect(forward_to(LAN).destination("10.0.0.7"));
    assert_eq!(lab.session().deadline, moment(30.0));
    let reply = echo_reply("198.51.100.9", PUBLIC, 77);
    let _ = lab
        .at(11.0)
        .from(WAN)
        .send(reply)
        .expect(forward_to(LAN).destination("10.0.0.7"));
}
