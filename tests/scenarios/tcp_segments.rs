//! Segments that are odd but honest, and those that no honest stack sends.

use spigate::engine::Reason;

use super::dialogue::Dialogue;
use super::lab::{LAN, Lab, WAN, moment};
use super::packets::tcp;
use super::policies::OFFICE;
use super::tcp_life::{
    ACK, MASQUERADE, SYN, SYN_ACK, Step, from_client, from_server, lab_after, play,
};
use super::wants::{Told, drop_for, forward_to, reject_for};

#[test]
fn t_lnx_tcp_first__only_a_syn_begins_a_session() {
    let mut lab = Lab::new(OFFICE);
    let empty = lab.snapshot();
    for packet in [
        from_client().ack(1),
        from_client().psh().ack(1).data("hello"),
        from_client().syn().ack(1),
        from_client().fin().ack(1),
        from_client().rst(),
        from_client().rst().ack(1),
    ] {
        let want = drop_for(Reason::NoSession).ct("invalid").no_rule();
        let _ = lab.at(0.0).from(LAN).send(packet).expect(want);
    }
    assert_eq!(lab.snapshot(), empty);
}

#[test]
fn t_5382_s5_nosess__a_mid_stream_ack_makes_no_session() {
    let mut lab = Lab::new(OFFICE);
    let empty = lab.snapshot();
    for (zone, packet) in [(LAN, ACK.1()), (WAN, from_server().seq(501).ack(101))] {
        let _ = lab
            .at(0.0)
            .from(zone)
            .send(packet)
            .expect(drop_for(Reason::NoSession));
    }
    assert_eq!(lab.snapshot(), empty);
}

#[test]
fn t_5382_s5_nosess__a_row_may_have_it_answered_by_a_reset() {
    let tell = r#"rules = [{ id = "tell", ct = "invalid", from = "lan", action = "reject" },"#;
    let mut lab = Lab::new(&OFFICE.replace("rules = [", tell));
    let reset = Told::Reset {
        seq: 501,
        ack: None,
    };
    let sent = lab.at(0.0).from(LAN).send(from_client().seq(101).ack(501));
    let _ = sent.expect(reject_for(Reason::Rule).rule("tell").told(reset));
    let outside = from_server().seq(501).ack(101);
    let silent = drop_for(Reason::NoSession);
    let _ = lab.at(0.0).from(WAN).send(outside).expect(silent);
    assert!(lab.table().is_empty());
}

#[test]
fn t_5382_req_6__control_sessions_of_other_algs_pass_as_they_are_and_open_nothing() {
    let kinds = spigate::net::AlgKind::ALL.map(spigate::net::AlgKind::name);
    assert_eq!(kinds, ["ftp"]);
    // FTP itself without its service, IRC, RTSP, SIP, PPTP: what Linux has helpers for.
    let services = OFFICE.replace(r#", alg = "ftp""#, "");
    for (port, text) in [
        (21, "PORT 10,0,0,7,200,10\r\n"),
        (6667, "PRIVMSG x :\u{1}DCC SEND f 167772167 51210\u{1}\r\n"),
        (
            554,
            "SETUP rtsp://x RTSP/1.0\r\nTransport: RTP/AVP;client_port=51210-51211\r\n\r\n",
        ),
        (
            5060,
            "INVITE sip:x SIP/2.0\r\n\r\nc=IN IP4 10.0.0.7\r\nm=audio 51210 RTP/AVP 0\r\n",
        ),
        (1723, "\u{0}\u{9c}\u{0}\u{1}"),
    ] {
        let mut lab = Lab::new(&services);
        let server = format!("198.51.100.21:{port}");
        let mut dialogue = Dialogue::open(&mut lab, 0.0, (LAN, "10.0.0.7:51000"), &server);
        dialogue.client_says(&mut lab, 1.0, text);
        assert!(lab.expected().is_empty(), "{port}");
        let data = tcp("198.51.100.21:20", "203.0.113.2:51210").syn();
        let want = drop_for(Reason::DefaultPolicy);
        let _ = lab.at(2.0).from(WAN).send(data).expect(want);
    }
}

#[test]
fn t_2663_s2_5__data_before_the_answer_is_no_part_of_the_session() {
    let mut lab = lab_after(&[SYN]);
    let before = lab.snapshot();
    for packet in [
        from_client().seq(101).ack(501),
        from_client().fin().seq(101).ack(501),
        from_client().syn().seq(100).ack(501),
    ] {
        let want = drop_for(Reason::TcpInvalidState)
            .ct("invalid")
            .rule("lan-out")
            .state("syn-sent");
        let _ = lab.at(0.1).from(LAN).send(packet).expect(want);
    }
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn t_lnx_tcp_flags__what_no_stack_sends_is_refused_also_within_a_session() {
    let mut lab = lab_after(&[SYN, SYN_ACK, ACK]);
    let before = lab.snapshot();
    let segment = || from_client().seq(101);
    for packet in [
        segment(),
        segment().psh(),
        segment().urg(),
        segment().fin(),
        segment().syn().fin(),
        segment().syn().rst(),
        segment().fin().psh().urg(),
        segment().syn().fin().rst().psh().urg().ack(1),
        segment().fin().rst().ack(1),
        segment().rst().urg(),
    ] {
        let want = drop_for(Reason::TcpBadFlags).ct("invalid");
        let _ = lab.at(1.0).from(LAN).send(packet).expect(want);
    }
    assert_eq!(lab.snapshot(), before);
    play(
        &mut lab,
        2.0,
        (
            LAN,
            || from_client().psh().urg().seq(101).ack(501).data("!"),
            "established",
        ),
    );
}

#[test]
fn t_3360_rsv__reserved_and_ecn_bits_are_no_reason_to_drop() {
    let mut lab = lab_after(&[
        (LAN, || from_client().syn().ecn().seq(100), "syn-sent"),
        (
            WAN,
            || from_server().syn().ecn().seq(500).ack(101),
            "syn-recv",
        ),
        ACK,
    ]);
    play(
        &mut lab,
        1.0,
        (
            LAN,
            || from_client().ecn().seq(101).ack(501).data("x"),
            "established",
        ),
    );
}

#[test]
fn t_9293_syn_data__data_on_a_syn_passes() {
    let steps: [Step; 3] = [
        (
            LAN,
            || from_client().syn().seq(100).data("fast open"),
            "syn-sent",
        ),
        (WAN, || from_server().syn().seq(500).ack(101), "syn-recv"),
        (
            LAN,
            || from_client().seq(101).ack(501).data("fast open"),
            "established",
        ),
    ];
    let _ = lab_after(&steps);
    let _ = lab_after(&[
        steps[0],
        (WAN, || from_server().syn().seq(500).ack(110), "syn-recv"),
    ]);
}

#[test]
fn t_9293_opt__unknown_and_broken_options_pass_unchanged() {
    let mut lab = Lab::new(OFFICE);
    for options in [
        &[253, 4, 1, 2][..],              // experimental
        &[8, 10, 0, 0, 0, 1, 0, 0, 0, 2], // timestamps, unaligned
        &[2, 0, 5, 0],                    // length 0
        &[2, 1, 5, 1],
        &[2, 40, 0, 0], // past the header
        &[5, 3, 0, 0],  // SACK without a block
        &[0, 9, 9, 9],  // octets behind the end
    ] {
        let syn = from_client().syn().tcp_options(options);
        let _ = lab
            .at(0.0)
            .from(LAN)
            .send(syn)
            .expect(forward_to(WAN).source(MASQUERADE));
    }
}

#[test]
fn t_9293_urg__urgent_data_pass_with_their_pointer() {
    let mut lab = lab_after(&[SYN, SYN_ACK, ACK]);
    let mut urgent = from_client()
        .psh()
        .urg()
        .seq(101)
        .ack(501)
        .data("ab")
        .bytes();
    urgent[38..40].copy_from_slice(&1u16.to_be_bytes());
    let sum = u16::from_be_bytes([urgent[36], urgent[37]]).wrapping_sub(1);
    urgent[36..38].copy_from_slice(&sum.to_be_bytes());
    let _ = lab
        .at(1.0)
        .from(LAN)
        .send(urgent)
        .expect(forward_to(WAN).source(MASQUERADE));
}

#[test]
fn t_1122_ka__a_keep_alive_and_its_answer_restart_the_idle_timer() {
    let mut lab = lab_after(&[SYN, SYN_ACK, ACK]);
    play(
        &mut lab,
        7000.0,
        (LAN, || from_client().seq(100).ack(501), "established"),
    );
    assert_eq!(lab.session().deadline, moment(439_000.0));
    play(
        &mut lab,
        7001.0,
        (WAN, || from_server().seq(501).ack(101), "established"),
    );
    assert_eq!(lab.session().deadline, moment(439_001.0));
}

#[test]
fn t_5382_req_5_est__established_and_idle_for_7439_seconds_it_still_passes_packets() {
    let mut lab = lab_after(&[SYN, SYN_ACK, ACK]);
    play(
        &mut lab,
        7439.0,
        (
            WAN,
            || from_server().seq(501).ack(101).data("x"),
            "established",
        ),
    );
}

#[test]
fn t_6092_rec_35__established_sessions_in_ipv6_live_as_long() {
    let mut lab = Lab::new(super::policies::PLAIN);
    let client = (LAN, "[2001:db8:10::7]:51000");
    let mut dialogue = super::dialogue::Dialogue::open(&mut lab, 0.0, client, "[2001:db8:5::9]:80");
    assert_eq!(dialogue.server_says(&mut lab, 7439.0, "late"), "late");
}

#[test]
fn t_5382_req_5a__a_service_and_the_file_may_say_how_long_sessions_idle() {
    let mut lab = Lab::new(OFFICE);
    let _ =
        super::dialogue::Dialogue::open(&mut lab, 0.0, (LAN, "10.0.0.7:51000"), "198.51.100.9:22");
    assert_eq!(lab.session().deadline, moment(12.0 * 3600.0));
    let mut lab = Lab::new(&format!("{OFFICE}\n[timeouts]\ntcp-syn-sent = \"5s\""));
    play(&mut lab, 0.0, SYN);
    assert_eq!(lab.session().deadline, moment(5.0));
}

#[test]
fn numbers_that_wrap_are_neighbours() {
    let mut lab = lab_after(&[
        (LAN, || from_client().syn().seq(u32::MAX), "syn-sent"),
        (
            WAN,
            || from_server().syn().seq(u32::MAX - 1).ack(0),
            "syn-recv",
        ),
        (
            LAN,
            || from_client().seq(0).ack(u32::MAX).data("hello"),
            "established",
        ),
        (
            WAN,
            || from_server().seq(u32::MAX).ack(5).data("hello"),
            "established",
        ),
    ]);
    play(
        &mut lab,
        1.0,
        (LAN, || from_client().seq(5).ack(4), "established"),
    );
}

#[test]
fn t_5382_req_4a__a_syn_from_outside_gets_no_answer_of_any_kind() {
    let mut lab = Lab::new(OFFICE);
    let empty = lab.snapshot();
    let unsolicited = tcp("198.51.100.9:40000", "203.0.113.2:4000").syn();
    let want = drop_for(Reason::DefaultPolicy).ct("new").no_rule();
    let _ = lab.at(0.0).from(WAN).send(unsolicited).expect(want);
    assert!(lab.wait_until(10.0).is_empty());
    assert_eq!(lab.snapshot(), empty);
}
