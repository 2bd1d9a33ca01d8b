//! Source translation: which address and port a client gets, and who may
//! answer to it.

use spigate::engine::Reason;

use super::lab::{DMZ, LAN, Lab, WAN, moment};
use super::packets::{echo, endpoint, icmp, protocol, tcp, udp};
use super::policies::{OFFICE, PLAIN, PUBLIC};
use super::wants::{Told, drop_for, forward_to, hold, reject_for};

const SERVER: &str = "198.51.100.9:80";
const PUBLIC_51000: &str = "203.0.113.2:51000";

/// The port with which the packet left.
fn port_of(source: &str) -> u16 {
    let source = endpoint(source);
    assert_eq!(source.ip().to_string(), PUBLIC);
    source.port()
}

/// Two clients with the same port speak to the same server; gives the port
/// that the second one got, after both have had their reply.
fn clash(port: u16) -> u16 {
    let mut lab = Lab::new(OFFICE);
    let clients = [format!("10.0.0.7:{port}"), format!("10.0.0.8:{port}")];
    let mut outside = Vec::new();
    for client in &clients {
        let sent = lab.at(0.0).from(LAN).send(tcp(client, SERVER).syn().seq(1));
        let left = sent.forwarded.expect("it leaves").1;
        assert_eq!(left.destination, SERVER);
        outside.push(left.source);
    }
    assert_eq!(outside[0], format!("{PUBLIC}:{port}"));
    for (client, public) in clients.iter().zip(&outside) {
        let answer = tcp(SERVER, public).syn().seq(5).ack(2);
        let want = forward_to(LAN).destination(client).ct("established");
        let _ = lab.at(0.1).from(WAN).send(answer).expect(want);
        let further = tcp(client, SERVER).seq(2).ack(6);
        let want = forward_to(WAN).source(public).state("established");
        let _ = lab.at(0.2).from(LAN).send(further).expect(want);
    }
    port_of(&outside[1])
}

#[test]
fn t_5382_req_7__two_clients_with_one_port_reach_one_server_from_two_ports() {
    assert_ne!(clash(51000), 51000);
}

#[test]
fn t_4787_req_3__two_clients_with_one_udp_port_get_two_and_each_its_own_reply() {
    let mut lab = Lab::new(OFFICE);
    let server = "198.51.100.9:53";
    let mut outside = Vec::new();
    for client in ["10.0.0.7:5000", "10.0.0.8:5000", "10.0.0.9:5000"] {
        let sent = lab.at(0.0).from(LAN).send(udp(client, server));
        outside.push((client, sent.forwarded.unwrap().1.source));
    }
    for (client, public) in outside.iter().rev() {
        let answer = udp(server, public).data(client);
        let _ = lab
            .at(1.0)
            .from(WAN)
            .send(answer)
            .expect(forward_to(LAN).destination(*client));
    }
    let mut ports: Vec<_> = outside.iter().map(|(_, public)| port_of(public)).collect();
    assert_eq!(ports[0], 5000);
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 3);
}

#[test]
fn t_lnx_nat_keep__to_different_servers_both_clients_keep_their_port() {
    let mut lab = Lab::new(OFFICE);
    for (client, server) in [
        ("10.0.0.7:51000", "198.51.100.9:80"),
        ("10.0.0.8:51000", "198.51.100.10:80"),
        ("10.0.0.9:51000", "198.51.100.9:81"),
    ] {
        let syn = tcp(client, server).syn().seq(1);
        let _ = lab
            .at(0.0)
            .from(LAN)
            .send(syn)
            .expect(forward_to(WAN).source(PUBLIC_51000));
        let answer = tcp(server, PUBLIC_51000).syn().ack(2);
        let _ = lab
            .at(0.0)
            .from(WAN)
            .send(answer)
            .expect(forward_to(LAN).destination(client));
    }
}

#[test]
fn t_7857_s3__one_external_port_is_shared_only_towards_different_servers() {
    let mut lab = Lab::new(OFFICE);
    let public = |lab: &mut Lab, client: &str, server: &str| {
        let sent = lab.at(0.0).from(LAN).send(udp(client, server));
        port_of(&sent.forwarded.unwrap().1.source)
    };
    assert_eq!(public(&mut lab, "10.0.0.7:5000", "198.51.100.9:53"), 5000);
    assert_eq!(public(&mut lab, "10.0.0.8:5000", "198.51.100.9:54"), 5000);
    assert_ne!(public(&mut lab, "10.0.0.8:5000", "198.51.100.9:53"), 5000);
}

#[test]
fn t_4787_req_3a__low_ports_stay_low_and_high_ones_high() {
    assert!(clash(1000) < 1024);
    assert!(clash(1024) >= 1024);
}

#[test]
fn t_lnx_nat_range__a_clash_is_settled_within_the_ports_class() {
    assert!((1..512).contains(&clash(500)));
    assert!((600..1024).contains(&clash(700)));
    assert!(clash(40_000) >= 1024);
}

#[test]
fn t_3027_s3_5__the_second_user_of_a_low_port_gets_another_low_one() {
    assert!(clash(513) < 1024);
}

#[test]
fn t_7857_s9_b__a_port_is_changed_only_if_it_is_in_use() {
    let mut lab = Lab::new(OFFICE);
    for port in [1, 80, 511, 512, 1023, 1024, 40_000, 65_535] {
        let client = format!("10.0.0.7:{port}");
        let want = forward_to(WAN).source(format!("{PUBLIC}:{port}"));
        let _ = lab
            .at(0.0)
            .from(LAN)
            .send(udp(&client, SERVER))
            .expect(want);
    }
}

#[test]
fn t_4787_pres__the_second_mapping_admits_whom_the_first_would() {
    let mut lab = Lab::new(OFFICE);
    let mut outside = Vec::new();
    for client in ["10.0.0.7:5000", "10.0.0.8:5000"] {
        let sent = lab.at(0.0).from(LAN).send(udp(client, "198.51.100.9:53"));
        outside.push(sent.forwarded.unwrap().1.source);
    }
    let before = lab.snapshot();
    for public in &outside {
        for stranger in ["198.51.100.9:54", "198.51.100.10:53"] {
            let sent = lab.at(0.0).from(WAN).send(udp(stranger, public));
            let _ = sent.expect(drop_for(Reason::DefaultPolicy));
        }
    }
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn t_4787_port0__a_packet_from_port_0_is_translated_and_answered_like_any_other() {
    let mut lab = Lab::new(OFFICE);
    let sent = lab.at(0.0).from(LAN).send(udp("10.0.0.7:0", SERVER));
    let _ = sent.expect(forward_to(WAN).source("203.0.113.2:0"));
    let back = lab.at(0.0).from(WAN).send(udp(SERVER, "203.0.113.2:0"));
    let _ = back.expect(forward_to(LAN).destination("10.0.0.7:0"));
    let other = lab
        .at(0.0)
        .from(WAN)
        .send(udp("198.51.100.10:80", "203.0.113.2:0"));
    let _ = other.expect(drop_for(Reason::DefaultPolicy));
}

#[test]
fn t_4787_req_8_apdf__only_the_addressed_endpoint_gets_in() {
    let mut lab = Lab::new(OFFICE);
    let sent = lab
        .at(0.0)
        .from(LAN)
        .send(udp("10.0.0.7:5000", "198.51.100.9:53"));
    let _ = sent.expect(forward_to(WAN).source("203.0.113.2:5000"));
    let before = lab.snapshot();
    for stranger in ["198.51.100.9:54", "198.51.100.10:53"] {
        let sent = lab
            .at(1.0)
            .from(WAN)
            .send(udp(stranger, "203.0.113.2:5000"));
        let _ = sent.expect(drop_for(Reason::DefaultPolicy).ct("new").no_rule());
    }
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn t_lnx_nat_filt__neither_another_port_nor_another_host_enters_a_mapping() {
    let mut lab = Lab::new(OFFICE);
    let sent = lab
        .at(0.0)
        .from(LAN)
        .send(tcp("10.0.0.7:51000", SERVER).syn());
    let _ = sent.expect(forward_to(WAN).source(PUBLIC_51000));
    for stranger in ["198.51.100.9:81", "198.51.100.10:80"] {
        let sent = lab
            .at(1.0)
            .from(WAN)
            .send(tcp(stranger, PUBLIC_51000).syn());
        let _ = sent.expect(drop_for(Reason::DefaultPolicy));
    }
}

#[test]
fn t_4787_req_8_perm__what_one_client_opened_does_not_open_another() {
    let mut lab = Lab::new(OFFICE);
    let to = |lab: &mut Lab, client: &str, server: &str| {
        let public = format!("{PUBLIC}:{}", endpoint(client).port());
        let sent = lab.at(0.0).from(LAN).send(udp(client, server));
        let _ = sent.expect(forward_to(WAN).source(public));
    };
    to(&mut lab, "10.0.0.7:5000", "198.51.100.9:53");
    to(&mut lab, "10.0.0.8:6000", "198.51.100.10:53");
    let sent = lab
        .at(0.0)
        .from(WAN)
        .send(udp("198.51.100.9:53", "203.0.113.2:6000"));
    let _ = sent.expect(drop_for(Reason::DefaultPolicy));
}

#[test]
fn t_7857_s5__tcp_and_udp_of_one_endpoint_have_separate_mappings() {
    let mut lab = Lab::new(OFFICE);
    let client = "10.0.0.7:51000";
    let _ = lab
        .at(0.0)
        .from(LAN)
        .send(tcp(client, SERVER).syn())
        .expect(forward_to(WAN).source(PUBLIC_51000));
    let _ = lab
        .at(0.0)
        .from(LAN)
        .send(udp(client, SERVER))
        .expect(forward_to(WAN).source(PUBLIC_51000).ct("new"));
    assert_eq!(lab.table().len(), 2);
}

#[test]
fn t_7857_s6__what_tcp_opened_admits_no_udp_and_the_reverse() {
    let mut lab = Lab::new(OFFICE);
    let (client, other) = ("10.0.0.7:51000", "10.0.0.7:52000");
    let _ = lab
        .at(0.0)
        .from(LAN)
        .send(tcp(client, SERVER).syn())
        .expect(forward_to(WAN).source(PUBLIC_51000));
    let _ = lab
        .at(0.0)
        .from(LAN)
        .send(udp(other, SERVER))
        .expect(forward_to(WAN).source("203.0.113.2:52000"));
    let sent = lab.at(0.0).from(WAN).send(udp(SERVER, PUBLIC_51000));
    let _ = sent.expect(drop_for(Reason::DefaultPolicy));
    let sent = lab
        .at(0.0)
        .from(WAN)
        .send(tcp(SERVER, "203.0.113.2:52000").syn());
    let _ = sent.expect(drop_for(Reason::DefaultPolicy));
}

#[test]
fn t_2663_s9_udp__each_peer_of_one_socket_has_its_own_session_and_timer() {
    let mut lab = Lab::new(OFFICE);
    for (second, server) in [(0.0, "198.51.100.9:53"), (10.0, "198.51.100.10:53")] {
        let sent = lab.at(second).from(LAN).send(udp("10.0.0.7:5000", server));
        let _ = sent.expect(forward_to(WAN).source("203.0.113.2:5000"));
    }
    assert_eq!(lab.wait_until(30.0).len(), 1);
    let sent = lab
        .at(31.0)
        .from(WAN)
        .send(udp("198.51.100.9:53", "203.0.113.2:5000"));
    let _ = sent.expect(drop_for(Reason::DefaultPolicy));
    let sent = lab
        .at(31.0)
        .from(WAN)
        .send(udp("198.51.100.10:53", "203.0.113.2:5000"));
    let _ = sent.expect(forward_to(LAN).destination("10.0.0.7:5000"));
}

#[test]
fn t_3022_s4_1__nothing_but_addresses_ports_checksums_and_ttl_changes() {
    let mut lab = Lab::new(OFFICE);
    // Type of service, identification, flags, IP options, TCP options, payload.
    let mut syn = tcp("10.0.0.7:51000", SERVER)
        .syn()
        .seq(0xdead_beef)
        .ttl(2)
        .ip_options(&[7, 7, 4, 0, 0, 0, 0, 0]) // record route
        .tcp_options(&[
            2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0, 1, 3, 3, 7,
        ])
        .data("early")
        .bytes();
    syn[1] = 0xb9;
    let syn = super::packets::resummed(syn);
    let left = lab
        .at(0.0)
        .from(LAN)
        .send(syn)
        .expect(forward_to(WAN).source(PUBLIC_51000))
        .left();
    assert_eq!(left.ttl, 1);
    assert_eq!(left.bytes[1], 0xb9);
}

#[test]
fn t_1812_rsv__reserved_bits_and_unknown_options_of_ip_pass() {
    let mut lab = Lab::new(OFFICE);
    let mut odd = udp("10.0.0.7:5000", SERVER)
        .ip_options(&[30, 4, 1, 2])
        .bytes();
    (odd[1], odd[6]) = (0xff, odd[6] | 0x80);
    let odd = super::packets::resummed(odd);
    let _ = lab
        .at(0.0)
        .from(LAN)
        .send(odd)
        .expect(forward_to(WAN).source("203.0.113.2:5000"));
}

#[test]
fn t_6888_req_6__destinations_can_be_exempt_from_translation() {
    let exempt = r#"source = [{ id = "branch", to = "wan", dst = "172.16.0.0/12", as = "none" }, "#;
    let mut lab = Lab::new(&OFFICE.replace("source = [", exempt));
    let sent = lab
        .at(0.0)
        .from(LAN)
        .send(udp("10.0.0.7:5000", "172.16.0.9:53"));
    let _ = sent.expect(forward_to(WAN).ct("new"));
    let back = lab
        .at(0.0)
        .from(WAN)
        .send(udp("172.16.0.9:53", "10.0.0.7:5000"));
    let _ = back.expect(forward_to(LAN).ct("established"));
    let sent = lab
        .at(0.0)
        .from(LAN)
        .send(udp("10.0.0.7:5000", "198.51.100.9:53"));
    let _ = sent.expect(forward_to(WAN).source("203.0.113.2:5000"));
}

#[test]
fn t_2663_s9_leak__nothing_leaves_with_an_inside_address() {
    let mut lab = Lab::new(OFFICE);
    let client = "10.0.0.7:51000";
    let quote = tcp(SERVER, client).syn().bytes();
    let mut fragment = udp(client, SERVER).data("12345678").bytes();
    fragment[6] = 0x20;
    for (packet, reason) in [
        (tcp(client, SERVER).ack(1).bytes(), Reason::NoSession),
        (tcp(client, SERVER).rst().bytes(), Reason::NoSession),
        (
            icmp("10.0.0.7", "198.51.100.9", 3, 3)
                .quoting(&quote)
                .bytes(),
            Reason::IcmpUnrelated,
        ),
        (
            icmp("10.0.0.7", "198.51.100.9", 0, 0).bytes(),
            Reason::NoSession,
        ),
        (
            icmp("10.0.0.7", "198.51.100.9", 9, 0).bytes(),
            Reason::NoSession,
        ),
    ] {
        let _ = lab.at(0.0).from(LAN).send(packet).expect(drop_for(reason));
    }
    let piece = super::packets::resummed(fragment);
    let _ = lab.at(0.0).from(LAN).send(piece).expect(hold());
    for number in [4, 41, 47, 50, 253] {
        let sent = lab
            .at(0.0)
            .from(LAN)
            .send(protocol(number, "10.0.0.7", "198.51.100.9"));
        let _ = sent.expect(forward_to(WAN).source(PUBLIC));
    }
}

#[test]
fn t_2663_s9_leak__nor_is_anybody_refused_in_the_name_of_an_inside_address() {
    let mut lab = Lab::new(OFFICE);
    // The row `no-lan-in` rejects; whoever names the inside host hears of it from the
    // gateway, and never from that host.
    let told = Told::Error(3, 3, PUBLIC);
    for packet in [
        tcp(SERVER, "10.0.0.7:22").syn(),
        udp(SERVER, "10.0.0.7:22"),
        echo("198.51.100.9", "10.0.0.7", 9),
    ] {
        let want = reject_for(Reason::Rule).rule("no-lan-in");
        let sent = lab.at(0.0).from(WAN).send(packet);
        let _ = sent.expect(want.told(told.clone()));
    }
    let six = tcp("[2001:db8:5::9]:80", "[2001:db8:10::7]:22").syn();
    let want = reject_for(Reason::Rule).rule("no-lan-in");
    let sent = lab.at(10.0).from(WAN).send(six);
    let _ = sent.expect(want.told(Told::Error(1, 4, super::policies::PUBLIC_V6)));
    // An invalid packet, too.
    let strays = r#"rules = [{ id = "strays", ct = "invalid", action = "reject" },"#;
    let mut strict = Lab::new(&OFFICE.replace("rules = [", strays));
    let sent = strict
        .at(0.0)
        .from(WAN)
        .send(tcp(SERVER, "10.0.0.7:22").ack(9));
    let _ = sent.expect(reject_for(Reason::Rule).rule("strays").told(told));
    // Where nothing hides it, the reset comes from the address that was named.
    let reset = Told::Reset {
        seq: 0,
        ack: Some(1001),
    };
    let sent = lab
        .at(20.0)
        .from(DMZ)
        .send(tcp("10.0.9.80:45000", "10.0.0.7:22").syn());
    let _ = sent.expect(reject_for(Reason::Rule).rule("no-lan-in").told(reset));
}

#[test]
fn t_2663_s9_leak__a_gateway_without_an_address_outside_speaks_as_who_was_addressed() {
    let rules = r#"
version = 1
[zones]
lan = { tun = "lan0", net = "10.0.0.0/24", address = "10.0.0.1" }
wan = { tun = "wan0", net = "0.0.0.0/0" }
[policy]
default = "reject"
rules = [{ id = "out", from = "lan", to = "wan", action = "allow" }]
[nat]
source = [{ id = "pool", from = "lan", to = "wan", as = "203.0.113.16/28" }]
"#;
    let mut lab = Lab::new(rules);
    let public = udp(SERVER, "203.0.113.17:4000");
    let told = Told::Error(3, 3, "203.0.113.17");
    let want = reject_for(Reason::DefaultPolicy).told(told);
    let _ = lab.at(0.0).from(WAN).send(public).expect(want);
    // And where that is an inside address, it keeps silent.
    let inside = udp(SERVER, "10.0.0.7:4000");
    let want = reject_for(Reason::DefaultPolicy);
    let _ = lab.at(0.0).from(WAN).send(inside).expect(want);
}

#[test]
fn t_3022_s2_2_proto__other_protocols_are_translated_by_address_pair() {
    let mut lab = Lab::new(OFFICE);
    let gre = |from, to| protocol(47, from, to);
    let sent = lab.at(0.0).from(LAN).send(gre("10.0.0.7", "198.51.100.9"));
    let _ = sent.expect(forward_to(WAN).source(PUBLIC).state("unreplied"));
    assert_eq!(lab.session().deadline, moment(30.0));
    let back = lab.at(1.0).from(WAN).send(gre("198.51.100.9", PUBLIC));
    let _ = back.expect(forward_to(LAN).destination("10.0.0.7").state("replied"));
    assert_eq!(lab.session().deadline, moment(31.0));
    // The answers to a second inside host could not be told apart.
    let before = lab.snapshot();
    let second = lab.at(2.0).from(LAN).send(gre("10.0.0.8", "198.51.100.9"));
    let _ = second.expect(
        drop_for(Reason::NatPortsExhausted)
            .ct("new")
            .rule("lan-out"),
    );
    assert_eq!(lab.snapshot(), before);
    // But to another server, or of another protocol, they can.
    let sent = lab.at(2.0).from(LAN).send(gre("10.0.0.8", "198.51.100.10"));
    let _ = sent.expect(forward_to(WAN).source(PUBLIC));
    let sent = lab
        .at(2.0)
        .from(LAN)
        .send(protocol(50, "10.0.0.8", "198.51.100.9"));
    let _ = sent.expect(forward_to(WAN).source(PUBLIC));
    // And when its time is over, the first one's place is free.
    let sent = lab.at(31.0).from(LAN).send(gre("10.0.0.8", "198.51.100.9"));
    let _ = sent.expect(forward_to(WAN).source(PUBLIC));
}

#[test]
fn t_6092_rec_21__esp_is_tracked_by_addresses_and_protocol() {
    let mut lab = Lab::new(PLAIN);
    let (inside, outside) = ("2001:db8:10::7", "2001:db8:5::9");
    let sent = lab.at(0.0).from(LAN).send(protocol(50, inside, outside));
    let _ = sent.expect(forward_to(WAN).state("unreplied"));
    let back = lab
        .at(1.0)
        .from(WAN)
        .send(protocol(50, outside, inside).data("another SPI"));
    let _ = back.expect(forward_to(LAN).state("replied"));
    let other = lab.at(1.0).from(WAN).send(protocol(4, outside, inside));
    let _ = other.expect(drop_for(Reason::Rule).rule("silent"));
}

#[test]
fn a_new_session_never_takes_a_port_that_another_ones_answers_use() {
    let mut lab = Lab::new(OFFICE);
    // A server of ours answers on the public port that a client of it, also
    // ours, might be given: the forward's own tuple counts as taken.
    let inbound = tcp("198.51.100.9:40000", "203.0.113.2:443").syn();
    let want = forward_to(DMZ).destination("10.0.9.80:443");
    let _ = lab.at(0.0).from(WAN).send(inbound).expect(want);
    let outbound = tcp("10.0.0.7:443", "198.51.100.9:40000").syn();
    let left = lab.at(0.0).from(LAN).send(outbound).forwarded.unwrap().1;
    assert_ne!(port_of(&left.source), 443);
}

#[test]
fn a_static_address_serves_all_sessions_of_a_host() {
    let address = OFFICE.replace(r#"as = "masquerade""#, r#"as = "203.0.113.77""#);
    let mut lab = Lab::new(&address);
    for server in ["198.51.100.9:53", "198.51.100.10:53"] {
        let sent = lab.at(0.0).from(LAN).send(udp("10.0.0.7:5000", server));
        let _ = sent.expect(forward_to(WAN).source("203.0.113.77:5000"));
        let back = lab.at(0.0).from(WAN).send(udp(server, "203.0.113.77:5000"));
        let _ = back.expect(forward_to(LAN).destination("10.0.0.7:5000"));
    }
}

#[test]
fn both_families_are_masqueraded_by_their_own_address() {
    let mut lab = Lab::new(OFFICE);
    let (client, server) = ("[2001:db8:10::7]:51000", "[2001:db8:5::9]:443");
    let public = "[2001:db8:ff::2]:51000";
    let _ = lab
        .at(0.0)
        .from(LAN)
        .send(tcp(client, server).syn().seq(1))
        .expect(forward_to(WAN).source(public));
    let answer = tcp(server, public).syn().ack(2);
    let _ = lab
        .at(0.0)
        .from(WAN)
        .send(answer)
        .expect(forward_to(LAN).destination(client));
}

#[test]
fn a_thousand_clients_with_one_port_or_identifier_reach_one_server() {
    let wide = OFFICE.replace("10.0.0.0/24", "10.0.0.0/21");
    let mut lab = Lab::new(&wide);
    for host in 0..1000 {
        let address = format!("10.0.{}.{}", host / 250, host % 250 + 2);
        let syn = tcp(&format!("{address}:51000"), SERVER).syn();
        assert!(
            lab.at(0.0).from(LAN).send(syn).forwarded.is_some(),
            "TCP of {address}"
        );
        let ping = super::packets::echo(&address, "198.51.100.9", 1);
        assert!(
            lab.at(0.0).from(LAN).send(ping).forwarded.is_some(),
            "ping of {address}"
        );
    }
}

#[test]
fn t_4787_req_3a__with_its_class_used_up_a_low_port_is_refused() {
    let mut lab = Lab::new(OFFICE);
    let client = |n: usize| format!("10.0.0.{}:{}", 2 + n % 200, 700 + n / 200);
    // From 600 to 1023.
    for n in 0..424 {
        let sent = lab.at(0.0).from(LAN).send(udp(&client(n), SERVER));
        assert!((600..1024).contains(&port_of(&sent.forwarded.unwrap().1.source)));
    }
    let sent = lab.at(0.0).from(LAN).send(udp(&client(424), SERVER));
    let _ = sent.expect(drop_for(Reason::NatPortsExhausted));
    // A high port, and another server, are another matter.
    let sent = lab.at(0.0).from(LAN).send(udp("10.0.0.7:5000", SERVER));
    assert!(sent.forwarded.is_some());
    let sent = lab
        .at(0.0)
        .from(LAN)
        .send(udp(&client(424), "198.51.100.10:80"));
    assert!(sent.forwarded.is_some());
}

#[test]
fn t_6864_s5_3_1__identifications_stay_as_they_came() {
    let mut lab = Lab::new(OFFICE);
    for client in ["10.0.0.7:5000", "10.0.0.8:5001"] {
        // All packets of the bench have one number.
        let packet = udp(client, SERVER);
        let sent = lab.at(0.0).from(LAN).send(packet);
        let number = sent.frame[4..6].to_vec();
        assert_eq!(sent.forwarded.unwrap().1.bytes[4..6], number);
    }
}
