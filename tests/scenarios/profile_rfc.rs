//! `profile = "rfc"`: where the RFCs on NATs and on TCP ask for something else
//! than Linux does. And, beside it, what the profile `linux` does there.

use spigate::engine::{Event, Reason};

use super::dialogue::Dialogue;
use super::lab::{LAN, Lab, WAN, moment};
use super::packets::{echo, echo_reply, udp};
use super::policies::{OFFICE, PLAIN};
use super::tcp_life::{
    ACK, ACK_OF_FIN, FIN, RESET, SYN, SYN_ACK, Step, WHOLE_LIFE, from_client, from_server, pass,
    play, refuse,
};
use super::wants::{Told, drop_for, forward_to, reject_for};

/// These rules in the RFCs' profile.
fn by_rfc(rules: &str) -> Lab {
    Lab::new(&rules.replace("version = 1", "version = 1\nprofile = \"rfc\""))
}

fn after(steps: &[Step]) -> Lab {
    let mut lab = by_rfc(OFFICE);
    for step in steps {
        play(&mut lab, 0.0, *step);
    }
    lab
}

const UDP_CLIENT: &str = "10.0.0.7:5000";
const UDP_SERVER: &str = "198.51.100.9:5300";
const UDP_PUBLIC: &str = "203.0.113.2:5000";

fn asked_by_udp(mut lab: Lab) -> Lab {
    let sent = lab.at(0.0).from(LAN).send(udp(UDP_CLIENT, UDP_SERVER));
    let _ = sent.expect(forward_to(WAN).source(UDP_PUBLIC));
    lab
}

#[test]
fn t_4787_req_5__a_mapping_that_was_idle_for_119_seconds_still_delivers() {
    let mut lab = asked_by_udp(by_rfc(OFFICE));
    let answer = lab.at(119.0).from(WAN).send(udp(UDP_SERVER, UDP_PUBLIC));
    let _ = answer.expect(forward_to(LAN).destination(UDP_CLIENT));
}

#[test]
fn t_4787_req_5c__the_udp_timer_is_300_seconds_by_default() {
    let lab = asked_by_udp(by_rfc(OFFICE));
    assert_eq!(lab.session().deadline, moment(300.0));
}

#[test]
fn t_diff_1__udp_lives_30_seconds_with_linux_and_300_by_the_rfcs() {
    assert_eq!(
        asked_by_udp(Lab::new(OFFICE)).session().deadline,
        moment(30.0)
    );
    assert_eq!(
        asked_by_udp(by_rfc(OFFICE)).session().deadline,
        moment(300.0)
    );
}

#[test]
fn t_6092_rec_14__udp_in_ipv6_lives_five_minutes() {
    let mut lab = by_rfc(PLAIN);
    let (client, server) = ("[2001:db8:10::7]:5000", "[2001:db8:5::9]:5300");
    let sent = lab.at(0.0).from(LAN).send(udp(client, server));
    let _ = sent.expect(forward_to(WAN));
    let answer = lab.at(299.0).from(WAN).send(udp(server, client));
    let _ = answer.expect(forward_to(LAN));
}

#[test]
fn t_4787_req_5a__one_well_known_port_may_have_a_shorter_timer_for_itself() {
    let rules = OFFICE.replace(
        "[services]",
        "[services]\ndns = { udp = 53, idle = \"10s\" }",
    );
    let mut lab = by_rfc(&rules);
    let sent = lab
        .at(0.0)
        .from(LAN)
        .send(udp(UDP_CLIENT, "198.51.100.9:53"));
    let _ = sent.expect(forward_to(WAN).source(UDP_PUBLIC));
    assert_eq!(lab.session().deadline, moment(10.0));
    let lab = asked_by_udp(by_rfc(&rules));
    assert_eq!(lab.session().deadline, moment(300.0));
}

/// Whether the file is refused because a lifetime in it is too short.
fn is_too_short(profile: &str, line: &str) -> bool {
    let head = format!("version = 1\nprofile = \"{profile}\"\nzones.a.net = \"10.0.0.0/8\"\n");
    let text = format!("{head}{line}\n");
    match spigate::config::compile(std::path::Path::new("short.toml"), &text) {
        Ok(_) => false,
        Err(report) => {
            let codes: Vec<_> = report.diagnostics().iter().map(|d| d.code.name()).collect();
            assert_eq!(codes, ["E320"]);
            true
        }
    }
}

#[test]
fn t_4787_req_5__a_timer_below_two_minutes_is_refused_where_the_file_says_rfc() {
    for key in ["udp", "udp-stream"] {
        let line = |time: &str| format!("timeouts.{key} = \"{time}\"");
        assert!(is_too_short("rfc", &line("119s")));
        assert!(!is_too_short("rfc", &line("2m")));
        assert!(!is_too_short("linux", &line("1s")));
    }
}

#[test]
fn t_4787_req_5a__no_port_from_1024_on_may_have_one() {
    let line = |ports: &str| format!("services.dns = {{ udp = {ports}, idle = \"10s\" }}");
    assert!(!is_too_short("rfc", &line("53")));
    assert!(is_too_short("rfc", &line("1024")));
    assert!(is_too_short("rfc", &line("[53, \"1000-1100\"]")));
}

#[test]
fn t_5382_req_5_est__a_lower_setting_is_refused_where_the_file_says_rfc() {
    for place in [
        "timeouts.tcp-established = ",
        "lifetimes.quick.tcp-established = ",
        "services.ssh.tcp = 22\nservices.ssh.idle = ",
    ] {
        assert!(
            is_too_short("rfc", &format!("{place}\"2h3m59s\"")),
            "{place}"
        );
        assert!(!is_too_short("rfc", &format!("{place}\"2h4m\"")), "{place}");
        assert!(!is_too_short("linux", &format!("{place}\"1s\"")), "{place}");
    }
}

#[test]
fn t_4787_req_6a__inbound_packets_restart_the_timer_only_if_the_file_lets_them() {
    for (refresh, deadline) in [("both", 390.0), ("client", 300.0)] {
        let rules = format!("{OFFICE}\n[timeouts]\nrefresh = \"{refresh}\"\n");
        let mut lab = asked_by_udp(by_rfc(&rules));
        for at in [30.0, 60.0, 90.0] {
            let answer = lab.at(at).from(WAN).send(udp(UDP_SERVER, UDP_PUBLIC));
            let _ = answer.expect(forward_to(LAN).destination(UDP_CLIENT));
        }
        assert_eq!(lab.session().deadline, moment(deadline));
        // The client's own packets restart it in either case.
        let sent = lab.at(100.0).from(LAN).send(udp(UDP_CLIENT, UDP_SERVER));
        let _ = sent.expect(forward_to(WAN).source(UDP_PUBLIC));
        assert_eq!(lab.session().deadline, moment(400.0));
    }
}

fn pinged(mut lab: Lab) -> Lab {
    let sent = lab
        .at(0.0)
        .from(LAN)
        .send(echo("10.0.0.7", "198.51.100.9", 7));
    let _ = sent.expect(forward_to(WAN).source("203.0.113.2:7"));
    lab
}

#[test]
fn t_5508_req_2__a_reply_after_59_seconds_is_delivered() {
    let mut lab = pinged(by_rfc(OFFICE));
    let reply = echo_reply("198.51.100.9", "203.0.113.2", 7);
    let sent = lab.at(59.0).from(WAN).send(reply);
    assert!(sent.forwarded.is_some(), "{:?}", sent.judgement);
}

#[test]
fn t_diff_2__a_query_lives_30_seconds_with_linux_and_60_by_the_rfcs() {
    assert_eq!(pinged(Lab::new(OFFICE)).session().deadline, moment(30.0));
    assert_eq!(pinged(by_rfc(OFFICE)).session().deadline, moment(60.0));
}

/// How long the session lives after these steps.
fn lives(steps: &[Step]) -> f64 {
    let lab = after(steps);
    lab.session().deadline.since(moment(0.0)).as_secs_f64()
}

#[test]
fn t_5382_req_5_trans__opening_and_closing_ones_pass_packets_after_239_seconds() {
    for steps in [1, 2, 6, 7] {
        let mut lab = after(&WHOLE_LIFE[..steps]);
        let next = WHOLE_LIFE.get(steps).copied();
        play(&mut lab, 239.0, next.unwrap_or(WHOLE_LIFE[6]));
    }
}

#[test]
fn t_7857_s2_1__opening_and_closing_have_timers_of_their_own_of_240_seconds() {
    let all = WHOLE_LIFE.map(|(_, _, state)| state);
    let seconds: Vec<_> = (1..=7).map(|steps| lives(&WHOLE_LIFE[..steps])).collect();
    let expected = [240.0, 240.0, 7440.0, 7440.0, 7440.0, 240.0, 240.0];
    assert_eq!(seconds, expected, "{all:?}");
    // Each can be set without the others; opening even lower.
    let own = format!("{OFFICE}\n[timeouts]\ntcp-syn-sent = \"20s\"\ntcp-last-ack = \"5m\"\n");
    let mut lab = by_rfc(&own);
    play(&mut lab, 0.0, SYN);
    assert_eq!(lab.session().deadline, moment(20.0));
}

#[test]
fn t_diff_3__opening_and_closing_last_240_seconds_by_the_rfcs() {
    assert!((lives(&WHOLE_LIFE[..1]) - 240.0).abs() < 1e-6);
    let lab = super::tcp_life::lab_after(&WHOLE_LIFE[..1]);
    assert_eq!(lab.session().deadline, moment(120.0));
}

#[test]
fn t_5382_s5_phase__opening_ends_with_the_second_ack_and_closing_begins_with_the_second_fin() {
    assert!(lives(&[SYN]) < 241.0 && lives(&[SYN, SYN_ACK]) < 241.0);
    assert!(lives(&[SYN, SYN_ACK, ACK]) > 7439.0);
    assert!(lives(&[SYN, SYN_ACK, ACK, FIN]) > 7439.0);
    assert!(lives(&[SYN, SYN_ACK, ACK, FIN, ACK_OF_FIN]) > 7439.0);
    assert!(lives(&WHOLE_LIFE[..6]) < 241.0);
}

#[test]
fn t_9293_half__a_half_closed_connection_may_be_idle_for_two_hours() {
    let mut lab = after(&WHOLE_LIFE[..5]);
    let data = from_server().seq(501).ack(102).data("at last");
    pass(&mut lab, 7439.0, WAN, data, "close-wait");
    let ack = from_client().seq(102).ack(508);
    pass(&mut lab, 7440.0, LAN, ack, "close-wait");
}

#[test]
fn t_5382_req_5_est__data_without_acknowledgement_shorten_nothing() {
    let mut lab = after(&[SYN, SYN_ACK, ACK]);
    for at in [1.0, 2.0, 3.0, 4.0, 5.0] {
        let data = from_client().seq(101).ack(501).data("hello");
        pass(&mut lab, at, LAN, data, "established");
        assert_eq!(lab.session().deadline, moment(at + 7440.0));
    }
}

#[test]
fn t_6092_rec_35__in_ipv6_opening_and_closing_last_four_minutes() {
    let mut lab = by_rfc(PLAIN);
    let client = (LAN, "[2001:db8:10::7]:51000");
    let mut dialogue = Dialogue::open(&mut lab, 0.0, client, "[2001:db8:5::9]:80");
    assert_eq!(lab.session().deadline, moment(7440.0));
    let fin = dialogue.client.segment().fin();
    assert!(lab.at(1.0).from(LAN).send(fin).forwarded.is_some());
    dialogue.server.awaits += 1;
    let fin = dialogue.server.segment().fin();
    assert!(lab.at(1.0).from(WAN).send(fin).forwarded.is_some());
    assert_eq!(lab.session().deadline, moment(241.0));
}

#[test]
fn t_5382_s5_tw__the_last_fin_and_its_ack_pass_again_in_time_wait() {
    let mut lab = after(&WHOLE_LIFE);
    play(&mut lab, 239.0, (WAN, WHOLE_LIFE[5].1, "time-wait"));
    play(&mut lab, 240.0, WHOLE_LIFE[6]);
}

#[test]
fn t_2663_s2_6__state_is_kept_four_minutes_after_the_end() {
    assert!((lives(&WHOLE_LIFE) - 240.0).abs() < 1e-6);
    assert!((lives(&[SYN, SYN_ACK, ACK, RESET]) - 240.0).abs() < 1e-6);
}

#[test]
fn t_7857_s2_2_b__after_a_reset_the_session_stays_and_data_bring_it_back() {
    for (zone, data) in [
        (LAN, from_client().seq(101).ack(501).data("did you hear?")),
        (WAN, from_server().seq(501).ack(101).data("that was not me")),
    ] {
        let mut lab = after(&[SYN, SYN_ACK, ACK, RESET]);
        assert_eq!(lab.session().deadline, moment(240.0));
        pass(&mut lab, 239.0, zone, data, "established");
        assert_eq!(lab.session().deadline, moment(239.0 + 7440.0));
    }
    // What lies outside of the windows does not.
    let mut lab = after(&[SYN, SYN_ACK, ACK, RESET]);
    let forged = from_client().seq(9_000_000).ack(501).data("boo");
    refuse(&mut lab, 1.0, LAN, forged, Reason::TcpOutOfWindow);
}

#[test]
fn t_diff_4__after_a_reset_10_seconds_with_linux_and_240_by_the_rfcs() {
    let lab = super::tcp_life::lab_after(&[SYN, SYN_ACK, ACK, RESET]);
    assert_eq!(lab.session().deadline, moment(10.0));
    assert!((lives(&[SYN, SYN_ACK, ACK, RESET]) - 240.0).abs() < 1e-6);
    // The only answer to a SYN ends the session at once, or not at all.
    let refused = || from_server().rst().seq(0).ack(101);
    let mut lab = super::tcp_life::lab_after(&[SYN]);
    pass(&mut lab, 1.0, WAN, refused(), "close");
    assert!(lab.table().is_empty());
    let mut lab = after(&[SYN]);
    pass(&mut lab, 1.0, WAN, refused(), "close");
    assert_eq!(lab.session().deadline, moment(240.0));
    // And the client may try again.
    play(&mut lab, 2.0, SYN);
    assert_eq!(lab.session().deadline, moment(242.0));
}

#[test]
fn t_7857_s2__the_states_follow_the_packets() {
    let mut lab = after(&[SYN, SYN_ACK, ACK]);
    // A FIN of each side, in either order; then a reset, and life after it.
    play(&mut lab, 1.0, FIN);
    play(
        &mut lab,
        2.0,
        (WAN, || from_server().rst().seq(501), "close"),
    );
    let data = from_server().seq(501).ack(102).data("not yet");
    pass(&mut lab, 3.0, WAN, data, "established");
    play(
        &mut lab,
        4.0,
        (LAN, || from_client().rst().seq(102), "close"),
    );
    assert_eq!(lab.session().deadline, moment(244.0));
    assert_eq!(lab.wait_until(244.0).len(), 1);
}

#[test]
fn t_7857_s2_2_c__a_reset_out_of_sequence_neither_shortens_nor_ends_anything() {
    for steps in 2..=7 {
        // Behind what was acknowledged, within the window, and far beyond it.
        for seq in [300, 900, 9_000_000] {
            let mut lab = after(&WHOLE_LIFE[..steps]);
            let before = lab.snapshot();
            let sent = lab.at(1.0).from(WAN).send(from_server().rst().seq(seq));
            if sent.forwarded.is_none() {
                assert_eq!(lab.snapshot(), before, "{steps} {seq}");
                continue;
            }
            let session = lab.session();
            assert_eq!(session.state().name(), WHOLE_LIFE[steps - 1].2);
            assert!(session.deadline >= moment(240.0));
        }
    }
}

#[test]
fn t_5961_rst_oow__by_the_rfcs_one_beyond_the_window_never_passes() {
    for steps in 3..=7 {
        let mut lab = after(&WHOLE_LIFE[..steps]);
        let reset = from_server().rst().seq(502 + 64_001);
        refuse(&mut lab, 1.0, WAN, reset, Reason::TcpOutOfWindow);
    }
}

#[test]
fn t_9293_synsent_rst__by_the_rfcs_only_one_that_acknowledges_the_syn_counts() {
    for reset in [
        from_server().rst().seq(0),
        from_server().rst().seq(0).ack(100),
        from_server().rst().seq(0).ack(102),
    ] {
        let mut lab = after(&[SYN]);
        refuse(&mut lab, 1.0, WAN, reset, Reason::TcpInvalidRst);
        play(&mut lab, 2.0, SYN_ACK);
    }
    let mut lab = after(&[SYN]);
    let refused = from_server().rst().seq(0).ack(101);
    pass(&mut lab, 1.0, WAN, refused, "close");
}

#[test]
fn t_9293_synsent_ack__by_the_rfcs_the_entry_stays_for_the_repeated_syn() {
    let mut lab = after(&[SYN]);
    let stale = from_server().seq(7777).ack(42);
    pass(&mut lab, 0.1, WAN, stale, "syn-sent");
    pass(&mut lab, 0.2, LAN, from_client().rst().seq(42), "syn-sent");
    let id = lab.session().id;
    play(&mut lab, 1.0, SYN);
    play(&mut lab, 1.1, SYN_ACK);
    assert_eq!(lab.session().id, id);
}

#[test]
fn t_1337_tw__by_the_rfcs_a_reset_in_time_wait_does_nothing() {
    let mut lab = after(&WHOLE_LIFE);
    pass(
        &mut lab,
        1.0,
        LAN,
        from_client().rst().seq(102),
        "time-wait",
    );
    pass(
        &mut lab,
        2.0,
        WAN,
        from_server().rst().seq(502),
        "time-wait",
    );
    assert_eq!(lab.session().deadline, moment(240.0));
}

#[test]
fn t_7857_s7_1__resets_restart_no_timer_but_that_of_the_end() {
    // The server's answer to a SYN from outside, which it refuses.
    let mut lab = by_rfc(OFFICE);
    let (client, public, server) = ("198.51.100.9:40000", "203.0.113.2:80", "10.0.9.80:80");
    let syn = super::packets::tcp(client, public).syn().seq(100);
    let sent = lab.at(0.0).from(WAN).send(syn);
    let _ = sent.expect(forward_to(super::lab::DMZ).destination(server));
    for at in [100.0, 101.0] {
        let refusal = super::packets::tcp(server, client).rst().ack(101);
        let sent = lab.at(at).from(super::lab::DMZ).send(refusal);
        let _ = sent.expect(forward_to(WAN).source(public).state("close"));
        assert_eq!(lab.session().deadline, moment(240.0));
    }
    // In what is closing, and in what is closed, they restart nothing either.
    for steps in [&WHOLE_LIFE[..6], &WHOLE_LIFE, &[SYN, SYN_ACK, ACK, RESET]] {
        let mut lab = after(steps);
        for at in [50.0, 100.0] {
            let sent = lab.at(at).from(WAN).send(from_server().rst().seq(501));
            drop(sent);
            assert_eq!(lab.session().deadline, moment(240.0));
        }
    }
}

#[test]
fn resets_can_be_judged_by_the_rfcs_with_the_timers_of_linux_and_the_reverse() {
    let mut lab = Lab::new(&format!("{OFFICE}\n[timeouts]\nresets = \"exact\"\n"));
    for step in WHOLE_LIFE {
        play(&mut lab, 0.0, step);
    }
    pass(
        &mut lab,
        1.0,
        LAN,
        from_client().rst().seq(102),
        "time-wait",
    );
    assert_eq!(lab.session().deadline, moment(120.0));

    let mut lab = by_rfc(&format!("{OFFICE}\n[timeouts]\nresets = \"checked\"\n"));
    for step in WHOLE_LIFE {
        play(&mut lab, 0.0, step);
    }
    pass(&mut lab, 1.0, LAN, from_client().rst().seq(102), "close");
}

#[test]
fn t_lnx_tcp_liberal__the_file_may_say_that_windows_do_not_count() {
    let mut lab = Lab::new(&format!("{OFFICE}\n[timeouts]\nwindows = \"liberal\"\n"));
    for step in [SYN, SYN_ACK, ACK] {
        play(&mut lab, 0.0, step);
    }
    let far = from_client().seq(90_000_000).ack(501).data("far ahead");
    pass(&mut lab, 1.0, LAN, far, "established");
    let old = from_server().rst().seq(400);
    refuse(&mut lab, 2.0, WAN, old, Reason::TcpInvalidRst);
}

#[test]
fn t_lnx_tcp_rst_bad__the_file_may_say_that_a_wrong_reset_passes() {
    let mut lab = Lab::new(&format!("{OFFICE}\n[timeouts]\nresets = \"lenient\"\n"));
    for step in [SYN, SYN_ACK, ACK] {
        play(&mut lab, 0.0, step);
    }
    let old = from_server().rst().seq(400);
    pass(&mut lab, 1.0, WAN, old, "established");
}

#[test]
fn t_5382_s5_nosess__no_profile_makes_a_session_of_a_mid_stream_segment() {
    let mut lab = by_rfc(OFFICE);
    let ack = from_client().seq(7_000).ack(9_000);
    let sent = lab.at(0.0).from(LAN).send(ack);
    let _ = sent.expect(drop_for(Reason::NoSession).ct("invalid"));
    assert!(lab.table().is_empty());
}

#[test]
fn t_6092_rec_32__no_windows_are_checked_where_scaling_was_not_seen() {
    let rules = PLAIN.replace(
        "version = 1",
        "version = 1\n[timeouts]\npick-up = \"loose\"\n",
    );
    let mut lab = Lab::new(&rules);
    let (client, server) = ("[2001:db8:10::7]:51000", "[2001:db8:5::9]:80");
    let client_at = |seq| {
        super::packets::tcp(client, server)
            .seq(seq)
            .ack(500)
            .window(9)
    };
    for seq in [100, 90_000, 10_000_000, 1_000_000_000] {
        let sent = lab.at(0.0).from(LAN).send(client_at(seq).data("x"));
        let _ = sent.expect(forward_to(WAN).state("established"));
    }
    let answer = super::packets::tcp(server, client)
        .seq(500)
        .ack(1_000_000_001);
    let sent = lab.at(1.0).from(WAN).send(answer);
    let _ = sent.expect(forward_to(LAN));
}

#[test]
fn a_session_that_a_reset_closed_ends_in_silence_and_is_not_probed() {
    let mut lab = by_rfc(&format!("{OFFICE}\n[timeouts]\non-expiry = \"probe\"\n"));
    for step in [SYN, SYN_ACK, ACK, RESET] {
        play(&mut lab, 0.0, step);
    }
    let events = lab.wait_until(240.0);
    assert!(matches!(events[..], [Event::Ended { packets: 0, .. }]));
}

#[test]
fn t_1812_martian__class_e_is_refused() {
    for (source, destination) in [
        ("240.0.0.1:5000", "10.0.0.7:53"),
        ("255.1.2.3:5000", "10.0.0.7:53"),
    ] {
        let packet = || udp(source, destination);
        let sent = by_rfc(PLAIN).at(0.0).from(WAN).send(packet());
        let _ = sent.expect(drop_for(Reason::BadAddress));
        // Linux asks the rules, which let nothing in here.
        let sent = Lab::new(PLAIN).at(0.0).from(WAN).send(packet());
        let _ = sent.expect(drop_for(Reason::Rule).ct("new"));
    }
    let packet = || udp("10.0.0.7:5000", "240.0.0.1:53");
    let sent = by_rfc(PLAIN).at(0.0).from(LAN).send(packet());
    let _ = sent.expect(drop_for(Reason::BadAddress));
    let sent = Lab::new(PLAIN).at(0.0).from(LAN).send(packet());
    let _ = sent.expect(forward_to(WAN));
}

#[test]
fn t_1812_unreach__a_reject_says_that_it_is_prohibited() {
    for (source, gateway, prohibited, no_port) in [
        ("198.51.100.9", "203.0.113.2", (3, 13), (3, 3)),
        ("2001:db8:5::9", "2001:db8:ff::2", (1, 1), (1, 4)),
    ] {
        let end = |host: &str, port| match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        };
        let packet = || udp(&end(source, 5000), &end(gateway, 53));
        for (mut lab, (kind, code)) in [(by_rfc(PLAIN), prohibited), (Lab::new(PLAIN), no_port)] {
            let sent = lab.at(0.0).from(WAN).send(packet());
            let told = Told::Error(kind, code, gateway);
            let _ = sent.expect(reject_for(Reason::DefaultPolicy).told(told));
        }
    }
}
