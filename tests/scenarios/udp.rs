//! UDP: request, reply, stream.

use spigate::engine::Reason;

use super::lab::{LAN, Lab, WAN, moment};
use super::packets::{Packet, udp};
use super::policies::{OFFICE, PLAIN};
use super::wants::{drop_for, forward_to};

const PUBLIC: &str = "203.0.113.2:5000";
const CLIENT: &str = "10.0.0.7:5000";
const SERVER: &str = "198.51.100.9:53";

fn asks(lab: &mut Lab, at: f64, state: &'static str) {
    let want = forward_to(WAN).source(PUBLIC).state(state);
    let _ = lab.at(at).from(LAN).send(udp(CLIENT, SERVER)).expect(want);
}

fn answer() -> Packet {
    udp(SERVER, PUBLIC).data("an answer")
}

fn answers(lab: &mut Lab, at: f64, state: &'static str) {
    let want = forward_to(LAN)
        .destination(CLIENT)
        .state(state)
        .ct("established");
    let _ = lab.at(at).from(WAN).send(answer()).expect(want);
}

#[test]
fn t_lnx_udp__unreplied_then_replied_then_a_stream() {
    let mut lab = Lab::new(OFFICE);
    asks(&mut lab, 0.0, "unreplied");
    assert_eq!(lab.session().deadline, moment(30.0));
    answers(&mut lab, 0.5, "replied");
    assert_eq!(lab.session().deadline, moment(30.5));
    asks(&mut lab, 2.0, "replied");
    asks(&mut lab, 2.1, "stream");
    assert_eq!(lab.session().deadline, moment(122.1));
    answers(&mut lab, 100.0, "stream");
    assert_eq!(lab.session().deadline, moment(220.0));
    // The very last moment, and the one after.
    assert!(lab.wait_until(220.0 - 1e-6).is_empty());
    assert_eq!(lab.wait_until(220.0).len(), 1);
}

#[test]
fn t_lnx_udp__a_late_answer_alone_makes_no_stream() {
    let mut lab = Lab::new(OFFICE);
    asks(&mut lab, 0.0, "unreplied");
    answers(&mut lab, 3.0, "replied");
    assert_eq!(lab.session().deadline, moment(33.0));
    answers(&mut lab, 4.0, "stream");
    assert_eq!(lab.session().deadline, moment(124.0));
}

#[test]
fn a_reply_at_the_deadline_is_too_late() {
    let mut lab = Lab::new(OFFICE);
    asks(&mut lab, 0.0, "unreplied");
    let late = lab.at(30.0).from(WAN).send(answer());
    let _ = late.expect(drop_for(Reason::DefaultPolicy).ct("new"));
    asks(&mut lab, 31.0, "unreplied");
    answers(&mut lab, 61.0 - 1e-6, "replied");
}

#[test]
fn t_4787_req_5b__the_udp_timer_is_a_setting() {
    let mut lab = Lab::new(&format!("{OFFICE}\n[timeouts]\nudp = \"2m\""));
    asks(&mut lab, 0.0, "unreplied");
    answers(&mut lab, 119.0, "replied");
}

#[test]
fn t_4787_req_6__an_outbound_packet_restarts_the_timer() {
    let mut lab = Lab::new(&format!("{OFFICE}\n[timeouts]\nudp = \"2m\""));
    asks(&mut lab, 0.0, "unreplied");
    asks(&mut lab, 100.0, "unreplied");
    answers(&mut lab, 219.0, "replied");
}

#[test]
fn t_6092_rec_16__outbound_packets_refresh_udp_in_ipv6() {
    let mut lab = Lab::new(PLAIN);
    let (client, server) = ("[2001:db8:10::7]:5000", "[2001:db8:5::9]:5300");
    for at in [0.0, 20.0, 40.0] {
        let _ = lab
            .at(at)
            .from(LAN)
            .send(udp(client, server))
            .expect(forward_to(WAN));
    }
    assert_eq!(lab.session().deadline, moment(70.0));
    let _ = lab
        .at(69.0)
        .from(WAN)
        .send(udp(server, client))
        .expect(forward_to(LAN));
}

#[test]
fn t_7857_s7__a_refused_packet_restarts_no_timer() {
    let mut lab = Lab::new(OFFICE);
    asks(&mut lab, 0.0, "unreplied");
    let stranger = udp("198.51.100.10:53", PUBLIC);
    let _ = lab
        .at(10.0)
        .from(WAN)
        .send(stranger)
        .expect(drop_for(Reason::DefaultPolicy));
    assert_eq!(lab.session().deadline, moment(30.0));
}

#[test]
fn t_768_zero__a_datagram_without_checksum_stays_without() {
    let mut lab = Lab::new(OFFICE);
    let sent = lab.at(0.0).from(LAN).send(udp(CLIENT, SERVER).unsummed());
    let left = sent.expect(forward_to(WAN).source(PUBLIC)).left();
    assert_eq!(left.bytes[26..28], [0, 0]);
    let sent = lab.at(0.0).from(WAN).send(answer().unsummed());
    let left = sent.expect(forward_to(LAN).destination(CLIENT)).left();
    assert_eq!(left.bytes[26..28], [0, 0]);
}

#[test]
fn t_768_never0__a_checksum_never_turns_into_none() {
    // Of all 65536 sums that a datagram can have, translation meets each:
    // among them the one whose translated sum is zero.
    for (client, server, public) in [
        (CLIENT, SERVER, PUBLIC),
        (
            "[2001:db8:10::7]:5000",
            "[2001:db8:5::9]:53",
            "[2001:db8:ff::2]:5000",
        ),
    ] {
        let mut lab = Lab::new(OFFICE);
        let mut complements = 0;
        for octets in 0..=u16::MAX {
            let datagram = udp(client, server).data(octets.to_be_bytes());
            let left = lab.at(0.0).from(LAN).send(datagram);
            let left = left.expect(forward_to(WAN).source(public)).left();
            let sum = left.bytes[left.bytes.len() - 4..][..2].to_vec();
            assert_ne!(sum, [0, 0]);
            complements += u32::from(sum == [0xff, 0xff]);
        }
        assert!(complements > 0);
    }
}

#[test]
fn a_datagram_with_octets_behind_its_end_passes_with_both_lengths() {
    let mut lab = Lab::new(OFFICE);
    // The UDP length says less than the IP length: the rest is no part of it.
    let mut short = udp(CLIENT, SERVER).data("12345678").unsummed().bytes();
    short[25] = 8 + 4;
    let left = lab.at(0.0).from(LAN).send(short).forwarded.unwrap().1;
    assert_eq!(left.text(), "1234");
}

#[test]
fn t_7857_s7_1__answering_with_an_icmp_error_restarts_no_timer() {
    let mut lab = Lab::new(OFFICE);
    asks(&mut lab, 0.0, "unreplied");
    answers(&mut lab, 1.0, "replied");
    let reply_as_seen_inside = udp(SERVER, CLIENT).data("an answer").ttl(63).bytes();
    let unreachable =
        super::packets::icmp("10.0.0.7", "198.51.100.9", 3, 3).quoting(&reply_as_seen_inside);
    let sent = lab.at(5.0).from(LAN).send(unreachable);
    let _ = sent.expect(
        forward_to(WAN)
            .source("203.0.113.2")
            .because(Reason::Related),
    );
    assert_eq!(lab.session().deadline, moment(31.0));
}
