//! Resets: which end a session, which may draw a challenge ACK (RFC 5961), and
//! which are forged.

use spigate::engine::{Event, Reason};
use spigate::session::{PickUp, Resets, TcpChecks};

use super::lab::{LAN, Lab, WAN, moment};
use super::packets::Packet;
use super::policies::OFFICE;
use super::tcp_life::{
    ACK, ACK_OF_FIN, FIN, FIN_BACK, MASQUERADE, SYN, SYN_ACK, WHOLE_LIFE, from_client, from_server,
    lab_after, pass, play, refuse,
};
use super::wants::forward_to;

fn established() -> Lab {
    lab_after(&[SYN, SYN_ACK, ACK])
}

fn server_resets(seq: u32) -> Packet {
    from_server().rst().seq(seq)
}

#[test]
fn t_5961_rst_exact__a_reset_at_the_acknowledged_number_closes() {
    for ack in [None, Some(101), Some(0)] {
        let mut lab = established();
        let reset = ack.map_or(server_resets(501), |ack| server_resets(501).ack(ack));
        pass(&mut lab, 1.0, WAN, reset, "close");
        assert_eq!(lab.session().deadline, moment(11.0));
    }
    let mut lab = established();
    pass(&mut lab, 1.0, LAN, from_client().rst().seq(101), "close");
}

#[test]
fn t_lnx_tcp_rst_exact__a_reset_right_behind_its_senders_data_closes() {
    let mut lab = established();
    let data = from_server().seq(501).ack(101).data("bye");
    pass(&mut lab, 1.0, WAN, data, "established");
    // The client has acknowledged up to 501 only.
    pass(&mut lab, 1.0, WAN, server_resets(504).ack(101), "close");
    assert_eq!(lab.session().deadline, moment(11.0));
}

#[test]
fn t_5961_rst_win__an_inexact_reset_closes_nothing_and_the_challenge_decides() {
    let mut lab = established();
    pass(&mut lab, 1.0, WAN, server_resets(600), "established");
    // The client challenges it; the server, which meant it, answers exactly.
    play(&mut lab, 1.1, (LAN, ACK.1, "established"));
    // Up to the reset's number something may be on its way.
    assert_eq!(lab.session().deadline, moment(301.1));
    pass(&mut lab, 1.2, WAN, server_resets(501), "close");
}

#[test]
fn t_lnx_tcp_rst_win__an_inexact_reset_leaves_ten_seconds_for_the_challenge() {
    let mut lab = established();
    pass(&mut lab, 1.0, WAN, server_resets(600), "established");
    assert_eq!(lab.session().deadline, moment(11.0));
    // Forged it was: the session goes on.
    let data = from_client().seq(101).ack(501).data("still here");
    pass(&mut lab, 2.0, LAN, data, "established");
    pass(
        &mut lab,
        2.0,
        WAN,
        from_server().seq(501).ack(111),
        "established",
    );
    assert_eq!(lab.session().deadline, moment(302.0));
}

#[test]
fn t_5961_rst_oow__a_reset_outside_of_the_window_changes_nothing() {
    let mut lab = established();
    for seq in [0, 1, 499, 500, 500u32.wrapping_sub(0x7000_0000)] {
        refuse(
            &mut lab,
            1.0,
            WAN,
            server_resets(seq),
            Reason::TcpInvalidRst,
        );
    }
    for seq in [200_000, 10_000_000, 0x7000_0000] {
        refuse(
            &mut lab,
            1.0,
            WAN,
            server_resets(seq),
            Reason::TcpOutOfWindow,
        );
    }
    // Nor does one that acknowledges what was never sent.
    let forged = server_resets(501).ack(5000);
    refuse(&mut lab, 1.0, WAN, forged, Reason::TcpOutOfWindow);
    assert_eq!(lab.session().deadline, moment(432_000.0));
}

#[test]
fn t_5961_rst_oow__less_than_a_window_beyond_it_passes_and_ends_nothing() {
    let mut lab = established();
    pass(&mut lab, 1.0, WAN, server_resets(64_600), "established");
    assert_eq!(lab.session().deadline, moment(432_000.0));
}

#[test]
fn t_lnx_tcp_rst_bad__a_reset_before_the_acknowledged_number_is_invalid() {
    let mut lab = established();
    let data = from_server().seq(501).ack(101).data("hello");
    pass(&mut lab, 1.0, WAN, data, "established");
    pass(
        &mut lab,
        1.0,
        LAN,
        from_client().seq(101).ack(506),
        "established",
    );
    for seq in [501, 505] {
        refuse(
            &mut lab,
            2.0,
            WAN,
            server_resets(seq),
            Reason::TcpInvalidRst,
        );
    }
    pass(&mut lab, 2.0, WAN, server_resets(506), "close");
}

#[test]
fn t_lnx_tcp_rst_bad__leniently_it_passes_and_still_does_not_close() {
    let checks = TcpChecks {
        resets: Resets::Lenient,
        ..TcpChecks::default()
    };
    let mut lab = Lab::lenient(OFFICE, checks);
    for step in [SYN, SYN_ACK, ACK] {
        play(&mut lab, 0.0, step);
    }
    pass(&mut lab, 2.0, WAN, server_resets(480), "established");
    pass(&mut lab, 2.0, WAN, server_resets(501), "close");
}

#[test]
fn t_lnx_tcp_badfin__a_refused_fin_or_reset_shortens_nothing() {
    let mut lab = established();
    let fin = |packet: Packet, seq: u32| packet.fin().seq(seq);
    let (out, back) = (from_client().ack(501), from_server().ack(101));
    refuse(
        &mut lab,
        1.0,
        LAN,
        fin(out, 300_000),
        Reason::TcpOutOfWindow,
    );
    refuse(
        &mut lab,
        1.0,
        WAN,
        fin(back, 300_000),
        Reason::TcpOutOfWindow,
    );
    refuse(
        &mut lab,
        1.0,
        WAN,
        server_resets(300_000),
        Reason::TcpOutOfWindow,
    );
    assert_eq!(lab.session().deadline, moment(432_000.0));
}

#[test]
fn t_5961_s9__the_gateway_takes_no_part_in_a_war_of_resets_and_challenges() {
    // Every outcome here is compared whole: nothing is sent but what came.
    let mut lab = established();
    for second in 1u8..10 {
        let at = f64::from(second);
        refuse(&mut lab, at, WAN, server_resets(400), Reason::TcpInvalidRst);
        pass(&mut lab, at, WAN, server_resets(600), "established");
        play(&mut lab, at, ACK);
    }
}

#[test]
fn t_lnx_tcp_rst_syn__a_reset_as_the_only_answer_ends_the_session_at_once() {
    for reset in [
        server_resets(0).ack(101),
        server_resets(0),
        server_resets(0).ack(0),
    ] {
        let mut lab = lab_after(&[SYN]);
        let sent = lab.at(1.0).from(WAN).send(reset);
        let want = forward_to(LAN).destination("10.0.0.7:51000").state("close");
        let outcome = sent.expect(want);
        assert!(
            matches!(outcome.events(), [Event::Ended { .. }]),
            "{:?}",
            outcome.events()
        );
        assert!(lab.table().is_empty());
        // And the tuple is free.
        let sent = lab.at(1.0).from(LAN).send(SYN.1());
        let want = forward_to(WAN).source(MASQUERADE).ct("new");
        let _ = sent.expect(want.state("syn-sent"));
    }
}

#[test]
fn t_9293_synsent_rst__a_reset_of_more_than_the_syn_ends_nothing() {
    let mut lab = lab_after(&[SYN]);
    // One number more is taken for the answer to a keep-alive, as in conntrack.
    for ack in [103, 5000] {
        let forged = server_resets(0).ack(ack);
        refuse(&mut lab, 1.0, WAN, forged, Reason::TcpOutOfWindow);
    }
    play(&mut lab, 2.0, SYN_ACK);
}

#[test]
fn t_1337_tw__a_reset_in_time_wait_closes_as_in_linux() {
    let mut lab = lab_after(&WHOLE_LIFE);
    pass(&mut lab, 1.0, WAN, server_resets(502), "close");
    assert_eq!(lab.session().deadline, moment(11.0));
}

#[test]
fn t_lnx_tcp_rst_syn__a_closing_session_takes_any_reset() {
    for steps in [4, 5, 6, 7] {
        let life = [SYN, SYN_ACK, ACK, FIN, ACK_OF_FIN, FIN_BACK, WHOLE_LIFE[6]];
        let mut lab = lab_after(&life[..steps]);
        pass(&mut lab, 1.0, WAN, server_resets(10_000_000), "close");
        assert_eq!(lab.session().deadline, moment(11.0));
    }
}

#[test]
fn a_reset_without_a_number_counts_until_the_session_is_established() {
    // Some stacks so refuse a SYN/ACK that they did not ask for.
    let mut lab = lab_after(&[SYN, SYN_ACK]);
    pass(&mut lab, 1.0, LAN, from_client().rst().seq(0), "close");
    let mut lab = established();
    let reset = from_client().rst().seq(0);
    refuse(&mut lab, 1.0, LAN, reset, Reason::TcpInvalidRst);
}

#[test]
fn a_reset_of_the_end_whose_syn_was_let_by_is_no_answer_to_that_syn() {
    let mut lab = established();
    pass(
        &mut lab,
        1.0,
        LAN,
        from_client().syn().seq(900_000),
        "established",
    );
    // It has the number that an answer would have, and comes from the wrong end.
    let own = from_client().rst().seq(50_000_000).ack(900_001);
    refuse(&mut lab, 1.0, LAN, own, Reason::TcpOutOfWindow);
    let answer = server_resets(50_000_000).ack(900_001);
    pass(&mut lab, 1.0, WAN, answer, "close");
}

#[test]
fn only_an_assured_session_waits_for_an_exact_reset() {
    let checks = TcpChecks {
        pick_up: PickUp::Loose,
        ..TcpChecks::default()
    };
    // From the middle: one answer does not assure it, a second one does.
    for (answers, state) in [(1, "close"), (2, "established")] {
        let mut lab = Lab::lenient(OFFICE, checks);
        pass(
            &mut lab,
            0.0,
            LAN,
            from_client().seq(100).ack(0),
            "established",
        );
        for _ in 0..answers {
            pass(
                &mut lab,
                0.0,
                WAN,
                from_server().seq(500).ack(100),
                "established",
            );
        }
        pass(&mut lab, 1.0, LAN, from_client().rst().seq(150), state);
    }
}

/// The kernel takes the refused FIN for the last segment, and then waits for a
/// better reset: `refused-fin-or-reset`.
#[test]
fn t_lnx_tcp_badfin__a_refused_fin_is_not_the_last_segment() {
    let mut lab = established();
    pass(
        &mut lab,
        1.0,
        LAN,
        from_client().syn().seq(900_000),
        "established",
    );
    let fin = from_server().fin().seq(501).ack(5000);
    refuse(&mut lab, 1.0, WAN, fin, Reason::TcpOutOfWindow);
    // Since a SYN was let by, its answer need not be exact.
    pass(&mut lab, 1.0, WAN, server_resets(600), "close");
}
