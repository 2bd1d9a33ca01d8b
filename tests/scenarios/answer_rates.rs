//! How often the gateway itself speaks.

use spigate::engine::{AnswerKind, Reason};

use super::lab::{LAN, Lab, WAN};
use super::packets::{Packet, echo, tcp, udp};
use super::policies::{OFFICE, PLAIN};

/// A packet that goes no further: its sender is told so.
fn dying(client: &str) -> Packet {
    udp(&format!("{client}:5000"), "198.51.100.9:53").ttl(1)
}

/// How many answers these packets get at this moment. All get the same verdict.
fn answers(lab: &mut Lab, at: f64, zone: &'static str, packets: &[Packet]) -> usize {
    let mut answers = 0;
    for packet in packets {
        let sent = lab.at(at).from(zone).send(packet.clone());
        assert_eq!(sent.judgement.verdict.name(), "reject", "{sent:?}");
        answers += sent.made.len();
    }
    answers
}

fn withheld(lab: &Lab) -> Vec<(AnswerKind, u64)> {
    lab.engine.counters().withheld().collect()
}

#[test]
fn t_lnx_icmp_rate__a_target_gets_six_errors_at_a_time_and_then_one_a_second() {
    let mut lab = Lab::new(OFFICE);
    let mut burst = |at, count| answers(&mut lab, at, LAN, &vec![dying("10.0.0.7"); count]);
    // The same packets at the same moments through Linux 6.18 gave these numbers.
    assert_eq!(burst(0.0, 20), 6);
    assert_eq!(burst(2.05, 10), 2);
    assert_eq!(burst(10.05, 10), 6);
    let slowly: Vec<_> = (0..25)
        .map(|n| burst(20.05 + 0.1 * f64::from(n), 1))
        .collect();
    let mut expected = vec![0; 25];
    expected[..6].fill(1);
    (expected[10], expected[20]) = (1, 1);
    assert_eq!(slowly, expected);
    assert_eq!(withheld(&lab), [(AnswerKind::Error, 14 + 8 + 4 + 17)]);
}

#[test]
fn t_1812_rate__of_a_thousand_causes_as_many_as_computed_are_answered() {
    let rules = format!(
        "{OFFICE}\n[limits]\nerrors-per-second = 10\nerrors-burst = 20\nerrors-per-target = 5"
    );
    let mut lab = Lab::new(&rules);
    // A thousand in ten seconds, from ever other senders: 20 at once, and 10 for
    // each second after that.
    let mut count = 0;
    for n in 0..1000_u32 {
        let client = format!("10.0.0.{}", 2 + n % 200);
        count += answers(&mut lab, f64::from(n) / 100.0, LAN, &[dying(&client)]);
    }
    assert_eq!(count, 20 + 99);
    // One sender alone has 5 a second, and 6 at a time.
    let mut lab = Lab::new(&rules);
    let one = vec![dying("10.0.0.7"); 1000];
    assert_eq!(answers(&mut lab, 0.0, LAN, &one), 6);
    assert_eq!(answers(&mut lab, 1.0, LAN, &one), 5);
}

#[test]
fn t_4443_size__icmpv6_errors_have_a_rate() {
    let mut lab = Lab::new(OFFICE);
    let dying = udp("[2001:db8:10::7]:5000", "[2001:db8:5::9]:53").ttl(1);
    assert_eq!(answers(&mut lab, 0.0, LAN, &vec![dying.clone(); 20]), 6);
    assert_eq!(answers(&mut lab, 1.0, LAN, &vec![dying; 20]), 1);
}

#[test]
fn errors_that_others_provoke_take_none_from_path_mtu_discovery() {
    let narrow = OFFICE.replace(r#"tun = "wan0""#, r#"tun = "wan0", mtu = 1280"#);
    let mut lab = Lab::new(&narrow);
    let others: Vec<_> = (10..200).map(|n| dying(&format!("10.0.0.{n}"))).collect();
    assert_eq!(answers(&mut lab, 0.0, LAN, &others), 50);
    let long = udp("[2001:db8:10::7]:5000", "[2001:db8:5::9]:53").data([0; 1400]);
    assert_eq!(answers(&mut lab, 0.0, LAN, &vec![long; 60]), 50);
    assert_eq!(
        withheld(&lab),
        [(AnswerKind::Error, 140), (AnswerKind::TooBig, 10)]
    );
}

#[test]
fn t_5961_s7__resets_of_the_gateways_own_have_a_rate() {
    let limits = "resets-per-second = 2\nresets-burst = 10";
    let mut lab = Lab::new(&format!("{PLAIN}\n[limits]\n{limits}"));
    let syn = |n: usize| tcp(&format!("10.0.0.7:{}", 1000 + n), "10.0.0.9:80").syn();
    let many: Vec<_> = (0..50).map(syn).collect();
    assert_eq!(answers(&mut lab, 0.0, LAN, &many), 10);
    assert_eq!(answers(&mut lab, 5.0, LAN, &many), 10);
    assert_eq!(answers(&mut lab, 6.0, LAN, &many), 2);
    assert_eq!(withheld(&lab), [(AnswerKind::Reset, 40 + 40 + 48)]);
}

#[test]
fn what_is_unlimited_is_always_said() {
    let limits = "errors-per-second = \"unlimited\"\nerrors-per-target = \"unlimited\"\n\
                  resets-per-second = \"unlimited\"";
    let mut lab = Lab::new(&format!("{PLAIN}\n[limits]\n{limits}"));
    let errors = vec![dying("10.0.0.7"); 3000];
    assert_eq!(answers(&mut lab, 0.0, LAN, &errors), 3000);
    let resets = vec![tcp("10.0.0.7:1000", "10.0.0.9:80").syn(); 3000];
    assert_eq!(answers(&mut lab, 0.0, LAN, &resets), 3000);
    assert_eq!(withheld(&lab), []);
}

#[test]
fn pings_are_answered_one_for_one() {
    let mut lab = Lab::new(OFFICE);
    for _ in 0..100 {
        let sent = lab.at(0.0).from(LAN).send(echo("10.0.0.7", "10.0.0.1", 1));
        assert_eq!(sent.made.len(), 1);
    }
}

#[test]
fn what_may_not_be_answered_costs_no_answer() {
    let mut lab = Lab::new(OFFICE);
    // No error about an error: it is rejected in silence.
    let left = lab
        .at(0.0)
        .from(LAN)
        .send(udp("10.0.0.7:5000", "198.51.100.9:53"));
    let left = left.forwarded.unwrap().1.bytes;
    let error = super::packets::icmp("198.51.100.9", "203.0.113.2", 3, 3).quoting(&left);
    let silent = vec![error.ttl(1); 100];
    assert_eq!(answers(&mut lab, 0.0, WAN, &silent), 0);
    let mut burst = |count| answers(&mut lab, 0.0, WAN, &vec![stray("198.51.100.9"); count]);
    assert_eq!(burst(10), 6);
}

/// From outside, for the inside: `no-lan-in` rejects it.
fn stray(host: &str) -> Packet {
    udp(&format!("{host}:53"), "10.0.0.7:5000")
}

#[test]
fn a_withheld_answer_has_the_reason_of_one_that_was_sent() {
    let mut lab = Lab::new(OFFICE);
    for _ in 0..10 {
        let sent = lab.at(0.0).from(LAN).send(dying("10.0.0.7"));
        assert_eq!(sent.judgement.reason, Reason::TtlExpired);
    }
}

/// An office that sends no ICMP errors into its LAN.
fn silent_office() -> Lab {
    let lan = OFFICE.replace("lan = {", "lan = { icmp-errors = false,");
    assert_ne!(lan, OFFICE);
    Lab::new(&lan)
}

#[test]
fn t_5508_req_9__errors_can_be_switched_off_for_a_zone() {
    let mut lab = silent_office();
    let refused = udp("10.0.0.7:5000", "203.0.113.2:9");
    for packet in [dying("10.0.0.7"), refused] {
        assert_eq!(answers(&mut lab, 0.0, LAN, &[packet]), 0);
    }
    // Pings are answered, and TCP is refused by resets.
    let ping = echo("10.0.0.7", "203.0.113.2", 1);
    assert_eq!(lab.at(0.0).from(LAN).send(ping).made.len(), 1);
    let syn = tcp("10.0.0.7:5000", "203.0.113.2:9").syn();
    assert_eq!(answers(&mut lab, 0.0, LAN, &[syn]), 1);
}

#[test]
fn t_5508_s7_2__time_exceeded_can_be_switched_off_and_is_on() {
    assert_eq!(
        answers(&mut Lab::new(OFFICE), 0.0, LAN, &[dying("10.0.0.7")]),
        1
    );
    let mut lab = silent_office();
    assert_eq!(answers(&mut lab, 0.0, LAN, &[dying("10.0.0.7")]), 0);
    // Other zones hear of it.
    let packet = udp("198.51.100.9:53", "10.0.0.7:5000").ttl(1);
    let sent = lab.at(0.0).from(WAN).send(packet);
    assert_eq!(sent.made.len(), 1);
}
