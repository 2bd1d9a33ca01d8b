//! Invalid packets before the rules: judged only where a rule says so, let by
//! without a trace, and never past a translation.

use spigate::engine::Reason;
use spigate::session::State;

use super::dialogue::Dialogue;
use super::lab::{DMZ, LAN, Lab, WAN};
use super::packets::{Packet, echo, icmp, tcp, udp};
use super::policies::{OFFICE, PLAIN};
use super::tcp_life::{ACK, CLIENT, MASQUERADE, SERVER, SYN, SYN_ACK, from_client, from_server};
use super::wants::{Told, Want, drop_for, forward_to, reject_for};

/// A rule file with these rules before all others.
fn with(rules: &str, before: &str) -> Lab {
    Lab::new(&rules.replace("rules = [", &format!("rules = [ {before},")))
}

fn strays(action: &str) -> String {
    format!(r#"{{ id = "strays", ct = "invalid", action = "{action}" }}"#)
}

/// A firewall with one established connection, behind the masquerade.
fn established(rules: &str, before: &str) -> Lab {
    let mut lab = with(rules, before);
    for (zone, packet, state) in [SYN, SYN_ACK, ACK] {
        let sent = lab.at(0.0).from(zone).send(packet());
        assert_eq!(sent.judgement.state.map(State::name), Some(state));
    }
    lab
}

fn damaged(packet: &Packet) -> Vec<u8> {
    let mut bytes = packet.bytes();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    bytes
}

/// One packet for each check that rules can judge.
fn all_checks() -> Vec<(Reason, &'static str, Vec<u8>)> {
    let data = || from_client().seq(101).ack(501).data("some text");
    vec![
        (Reason::BadChecksum, LAN, damaged(&data())),
        (
            Reason::TcpBadFlags,
            WAN,
            from_server().syn().fin().seq(501).bytes(),
        ),
        (
            Reason::TcpInvalidState,
            LAN,
            tcp("10.0.0.7:51001", "198.51.100.9:81")
                .fin()
                .ack(2)
                .bytes(),
        ),
        (
            Reason::TcpOutOfWindow,
            WAN,
            from_server().seq(5_000_000).ack(101).bytes(),
        ),
        (
            Reason::TcpInvalidRst,
            WAN,
            from_server().rst().seq(400).bytes(),
        ),
        (
            Reason::NoSession,
            LAN,
            tcp("10.0.0.9:1", SERVER).ack(1).bytes(),
        ),
        (
            Reason::IcmpUnrelated,
            LAN,
            icmp("10.0.0.9", "198.51.100.9", 3, 3).bytes(),
        ),
    ]
}

/// The firewall that [`all_checks`] meet: one more connection was only asked for.
fn busy(rules: &str, before: &str) -> Lab {
    let mut lab = established(rules, before);
    let syn = tcp("10.0.0.7:51001", "198.51.100.9:81").syn();
    let _ = lab.at(0.0).from(LAN).send(syn).forwarded.unwrap();
    lab
}

#[test]
fn without_a_rule_about_it_an_invalid_packet_is_dropped_for_its_own_reason() {
    let others = r#"{ id = "strays", ct = "invalid", src = "192.0.2.1", action = "allow" }"#;
    for rules in [
        r#"{ id = "none", src = "192.0.2.1", action = "drop" }"#,
        others,
    ] {
        for default in ["drop", "allow", "reject"] {
            for (check, zone, packet) in all_checks() {
                let default = format!("default = \"{default}\"");
                let mut lab = busy(&OFFICE.replace("default = \"drop\"", &default), rules);
                let sent = lab.at(1.0).from(zone).send(packet);
                assert_eq!(sent.judgement.check, None);
                let _ = sent.expect(drop_for(check).ct("invalid"));
            }
        }
    }
}

#[test]
fn a_rule_judges_each_kind_of_invalid_packet_and_the_check_stays_known() {
    for (check, zone, packet) in all_checks() {
        let mut lab = busy(OFFICE, &strays("drop"));
        let sent = lab.at(1.0).from(zone).send(packet);
        assert_eq!(sent.judgement.check, Some(check));
        let _ = sent.expect(drop_for(Reason::Rule).ct("invalid").rule("strays"));
    }
}

#[test]
fn a_rejected_one_is_answered_unless_it_is_damaged_or_an_answer_itself() {
    for (check, zone, packet) in all_checks() {
        let mut lab = busy(OFFICE, &strays("reject"));
        let sent = lab.at(1.0).from(zone).send(packet);
        let told = match check {
            Reason::TcpBadFlags => Some(Told::Reset {
                seq: 0,
                ack: Some(503),
            }),
            Reason::TcpInvalidState => Some(Told::Reset { seq: 2, ack: None }),
            Reason::TcpOutOfWindow => Some(Told::Reset {
                seq: 101,
                ack: None,
            }),
            Reason::NoSession => Some(Told::Reset { seq: 1, ack: None }),
            _ => None,
        };
        let want = reject_for(Reason::Rule).ct("invalid").rule("strays");
        let _ = sent.expect(told.into_iter().fold(want, Want::told));
    }
}

#[test]
fn with_a_sessions_tuple_it_leaves_as_the_session_does_and_changes_nothing() {
    let mut lab = established(OFFICE, &strays("allow"));
    let before = lab.snapshot();
    let outward = || forward_to(WAN).source(MASQUERADE);
    let inward = || forward_to(LAN).destination(CLIENT);
    let far = from_client().seq(5_000_000).ack(501).data("text");
    let damaged_data = damaged(&from_client().seq(101).ack(501).data("text"));
    let packets = [
        (LAN, far.bytes(), outward(), Reason::TcpOutOfWindow),
        (LAN, damaged_data, outward(), Reason::BadChecksum),
        (
            WAN,
            from_server().seq(5_000_000).ack(101).bytes(),
            inward(),
            Reason::TcpOutOfWindow,
        ),
        (
            WAN,
            from_server().rst().seq(400).bytes(),
            inward(),
            Reason::TcpInvalidRst,
        ),
        (
            WAN,
            from_server().syn().fin().seq(501).bytes(),
            inward(),
            Reason::TcpBadFlags,
        ),
    ];
    for (zone, packet, want, check) in packets {
        let sent = lab.at(1.0).from(zone).send(packet);
        assert_eq!(sent.judgement.check, Some(check));
        assert!(sent.events.is_empty());
        let want = want.because(Reason::Rule).rule("strays").ct("invalid");
        let _ = sent.expect(want.state("established"));
        assert_eq!(lab.snapshot(), before, "{check} left a trace");
    }
}

#[test]
fn t_lnx_nat_invalid__without_a_session_nothing_leaves_that_could_need_a_translation() {
    let refused = || {
        drop_for(Reason::Untranslatable)
            .ct("invalid")
            .rule("strays")
    };
    let ack = |from: &str, to: &str| tcp(from, to).ack(9);
    let to_web = OFFICE.replace(
        r#"from = ["lan", "dmz"], to = "wan", as"#,
        r#"from = "lan", to = "wan", service = "web", as"#,
    );
    for rules in [OFFICE, &to_web] {
        let mut lab = with(rules, &strays("allow"));
        for (zone, packet) in [
            // From a masqueraded host, whatever the service that the row names.
            (LAN, ack(CLIENT, SERVER)),
            (LAN, ack("10.0.0.7:80", "198.51.100.9:51000")),
            (LAN, icmp("10.0.0.7", "198.51.100.9", 3, 3)),
            // From a server that the outside knows by another address.
            (DMZ, ack("10.0.9.80:80", "198.51.100.9:51000")),
            // To a public address that leads to a server.
            (WAN, ack("198.51.100.9:51000", "203.0.113.2:80")),
        ] {
            let is_forward = zone == WAN;
            let sent = lab.at(0.0).from(zone).send(packet);
            // The public address is the gateway's own: it has no such service.
            let _ = match is_forward {
                true => sent.expect(
                    reject_for(Reason::GatewayService)
                        .ct("invalid")
                        .told(Told::Reset { seq: 9, ack: None }),
                ),
                false => sent.expect(refused()),
            };
            assert!(lab.table().is_empty());
        }
        // Between networks without translation it passes as it is.
        let sent = lab.at(0.0).from(LAN).send(ack(CLIENT, "10.0.9.80:80"));
        let _ = sent.expect(forward_to(DMZ).because(Reason::Rule).ct("invalid"));
        assert!(lab.table().is_empty(), "it opened a session");
    }
    // A row that exempts it says that its address may be seen.
    let exempt = OFFICE.replace(
        "source = [",
        r#"source = [{ id = "seen", to = "wan", dst = "198.51.100.9", as = "none" }, "#,
    );
    let mut lab = with(&exempt, &strays("allow"));
    let _ = lab
        .at(0.0)
        .from(LAN)
        .send(ack(CLIENT, SERVER))
        .expect(forward_to(WAN).because(Reason::Rule));
    let _ = lab
        .at(0.0)
        .from(LAN)
        .send(ack(CLIENT, "198.51.100.10:80"))
        .expect(refused());
    // A public address that is not the gateway's own.
    let forward = OFFICE.replace(
        r#"id = "fwd-web", on = "wan","#,
        r#"id = "fwd-web", on = "wan", dst = "203.0.113.9","#,
    );
    let mut lab = with(&forward, &strays("allow"));
    let _ = lab
        .at(0.0)
        .from(WAN)
        .send(ack("198.51.100.9:51000", "203.0.113.9:80"))
        .expect(refused());
}

#[test]
fn what_is_let_by_without_a_session_opens_none() {
    let mut lab = with(PLAIN, &strays("allow"));
    let packets = [
        (LAN, tcp("10.0.0.7:51000", SERVER).ack(9).bytes(), WAN),
        (
            WAN,
            tcp(SERVER, "10.0.0.7:51000").seq(9).ack(1).bytes(),
            LAN,
        ),
        (WAN, tcp(SERVER, "10.0.0.7:51000").rst().seq(9).bytes(), LAN),
        (WAN, damaged(&udp(SERVER, "10.0.0.7:53")), LAN),
        (LAN, damaged(&echo("10.0.0.7", "198.51.100.9", 1)), WAN),
        (LAN, icmp("10.0.0.7", "198.51.100.9", 40, 0).bytes(), WAN),
        (LAN, icmp("10.0.0.7", "198.51.100.9", 3, 1).bytes(), WAN),
    ];
    for (zone, packet, to) in packets {
        let want = forward_to(to).because(Reason::Rule).rule("strays");
        let _ = lab
            .at(0.0)
            .from(zone)
            .send(packet)
            .expect(want.ct("invalid"));
        assert!(lab.table().is_empty());
    }
}

#[test]
fn a_stream_that_an_alg_has_changed_takes_nothing_from_outside_its_numbers() {
    let mut lab = with(OFFICE, &strays("allow"));
    let server = "198.51.100.21:21";
    let mut ftp = Dialogue::ftp(&mut lab, 0.0, (LAN, CLIENT), server);
    let far = |ftp: &Dialogue| {
        let mut end = ftp.client.clone();
        end.next = end.next.wrapping_add(5_000_000);
        end.segment().data("PORT 10,0,0,7,200,11\r\n")
    };
    let sent = lab.at(0.0).from(LAN).send(far(&ftp));
    let _ = sent.expect(forward_to(WAN).source(MASQUERADE).because(Reason::Rule));
    assert!(lab.expected().is_empty(), "an invalid segment was read");
    let line = "PORT 10,0,0,7,200,10\r\n";
    let port = ftp.client.segment().data(line);
    let _ = lab.at(0.0).from(LAN).send(port).forwarded.unwrap();
    ftp.client.next += u32::try_from(line.len()).unwrap();
    let before = lab.snapshot();
    let sent = lab.at(0.0).from(LAN).send(far(&ftp));
    let _ = sent.expect(drop_for(Reason::Untranslatable).rule("strays"));
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn rules_about_connections_and_rules_about_invalid_packets_keep_apart_and_to_their_order() {
    let rules = r#"
      { id = "no-flags", ct = "invalid", from = "wan", action = "drop" },
      { id = "from-lan", ct = "invalid", from = "lan", service = "web", action = "allow" },
      { id = "new-ones", ct = "new", from = "lan", to = "wan", action = "reject" }"#;
    let plain = PLAIN.replace("[services]", "[services]\nweb = { tcp = 80 }");
    let mut lab = with(&plain, rules);
    let outcome = |lab: &mut Lab, zone, packet: Packet| {
        let sent = lab.at(0.0).from(zone).send(packet);
        (sent.judgement.reason, sent.rule)
    };
    let by = |rule: &str| (Reason::Rule, Some(rule.to_owned()));
    // What a rule sees of an invalid packet are the packet's own ends.
    let to_80 = tcp("10.0.0.7:51000", "198.51.100.9:80");
    let from_80 = tcp("10.0.0.7:80", "198.51.100.9:51000");
    assert_eq!(outcome(&mut lab, LAN, to_80.clone().ack(9)), by("from-lan"));
    assert_eq!(
        outcome(&mut lab, LAN, from_80.ack(9)),
        (Reason::NoSession, None)
    );
    let inward = tcp("198.51.100.9:80", "10.0.0.7:51000");
    assert_eq!(outcome(&mut lab, WAN, inward.ack(9)), by("no-flags"));
    assert_eq!(outcome(&mut lab, LAN, to_80.syn()), by("new-ones"));
}

#[test]
fn one_that_runs_out_here_or_is_too_long_is_told_of_as_any_other() {
    let mut lab = established(OFFICE, &strays("allow"));
    let far = || from_client().seq(5_000_000).ack(501);
    let want = reject_for(Reason::TtlExpired).rule("strays").ct("invalid");
    let sent = lab.at(0.0).from(LAN).send(far().ttl(1));
    let _ = sent.expect(want.told(Told::Error(11, 0, "10.0.0.1")));
    let narrow = PLAIN.replace(r#"tun = "wan0""#, r#"tun = "wan0", mtu = 1280"#);
    let mut lab = with(&narrow, &strays("allow"));
    let long = tcp("[2001:db8:10::7]:5000", "[2001:db8:5::9]:53")
        .ack(9)
        .data([0; 1400]);
    let want = reject_for(Reason::PacketTooBig)
        .rule("strays")
        .ct("invalid");
    let sent = lab.at(0.0).from(LAN).send(long);
    let _ = sent.expect(want.told(Told::Error(2, 0, "2001:db8:10::1")));
}

#[test]
fn what_cannot_be_read_is_judged_by_no_rule() {
    let mut lab = with(OFFICE, &strays("allow"));
    let packet = || tcp(CLIENT, SERVER).ack(9).bytes();
    let mut header = packet();
    header[10] ^= 1;
    for (bytes, reason) in [
        (packet()[..30].to_vec(), Reason::BadLength),
        (header, Reason::BadChecksum),
        (vec![0x50; 40], Reason::BadHeader),
    ] {
        let _ = lab
            .at(0.0)
            .from(LAN)
            .send(bytes)
            .expect(drop_for(reason).no_rule());
    }
    // Nor is what comes with an address that it cannot have.
    for (packet, reason) in [
        (tcp("224.0.0.1:1", SERVER).ack(9), Reason::BadAddress),
        (tcp("10.0.9.7:1", SERVER).ack(9), Reason::SpoofedSource),
    ] {
        let _ = lab
            .at(0.0)
            .from(LAN)
            .send(packet)
            .expect(drop_for(reason).no_rule());
    }
}
