//! The windows of a TCP session behind a masquerade: what fits what both ends
//! have said, and what does not.

use spigate::engine::Reason;

use super::lab::{LAN, Lab, WAN, moment};
use super::packets::Packet;
use super::policies::OFFICE;
use super::tcp_life::{ACK, SYN, SYN_ACK, from_client, from_server, lab_after, pass, refuse};

const BEYOND: Reason = Reason::TcpOutOfWindow;
const SCALE_7: [u8; 4] = [3, 3, 7, 1];
const SACK_PERMITTED: [u8; 4] = [4, 2, 1, 1];

/// Both ends begin at these numbers and offer 64000 octets.
fn established() -> Lab {
    lab_after(&[SYN, SYN_ACK, ACK])
}

/// Shakes hands with these windows, as their fields say, and options.
fn opened(client: (u16, &[u8]), server: (u16, &[u8])) -> Lab {
    let mut lab = Lab::new(OFFICE);
    let syn = from_client().syn().seq(100);
    let syn = syn.window(client.0).tcp_options(client.1);
    pass(&mut lab, 0.0, LAN, syn, "syn-sent");
    let syn_ack = from_server().syn().seq(500).ack(101);
    let syn_ack = syn_ack.window(server.0).tcp_options(server.1);
    pass(&mut lab, 0.0, WAN, syn_ack, "syn-recv");
    let ack = from_client().seq(101).ack(501).window(client.0);
    pass(&mut lab, 0.0, LAN, ack, "established");
    lab
}

/// A segment of the client with this text.
pub(crate) fn client_at(seq: u32, text: impl AsRef<[u8]>) -> Packet {
    from_client().seq(seq).ack(501).data(text)
}

/// A segment of the server that acknowledges this, and carries nothing.
pub(crate) fn server_acks(ack: u32) -> Packet {
    from_server().seq(501).ack(ack)
}

#[test]
fn t_9293_win__data_beyond_the_window_is_refused_and_changes_nothing() {
    // The window ends at 64101; a stack may err by less than another one.
    for seq in [128_102, 200_000, 10_000_000, 0x7000_0000] {
        let mut lab = established();
        refuse(&mut lab, 1.0, LAN, client_at(seq, "x"), BEYOND);
        let fin = from_client().fin().seq(seq).ack(501);
        refuse(&mut lab, 1.0, LAN, fin, BEYOND);
        let other = from_server().seq(seq + 400).ack(101).data("x");
        refuse(&mut lab, 1.0, WAN, other, BEYOND);
        assert_eq!(lab.session().deadline, moment(432_000.0));
        pass(&mut lab, 2.0, LAN, client_at(101, "x"), "established");
        pass(&mut lab, 2.0, WAN, server_acks(102), "established");
    }
}

#[test]
fn t_lnx_tcp_win__the_last_octet_of_the_window_belongs_and_renews() {
    let mut lab = established();
    pass(&mut lab, 1.0, LAN, client_at(64_100, "x"), "established");
    assert_eq!(lab.session().deadline, moment(301.0), "unacknowledged");
    pass(&mut lab, 2.0, WAN, server_acks(64_101), "established");
    assert_eq!(lab.session().deadline, moment(432_002.0));
}

#[test]
fn t_lnx_tcp_win__less_than_a_window_too_much_passes_and_may_be_acknowledged() {
    // What the kernel's own test calls a stall after lost ACKs: the sender goes
    // beyond what the gateway knows of, and its receiver takes it.
    let mut lab = established();
    pass(&mut lab, 1.0, LAN, client_at(64_102, "xy"), "established");
    assert_eq!(
        lab.session().deadline,
        moment(432_000.0),
        "it renews nothing"
    );
    pass(&mut lab, 2.0, WAN, server_acks(64_104), "established");
    assert_eq!(lab.session().deadline, moment(432_002.0));
    pass(&mut lab, 3.0, LAN, client_at(64_104, "on"), "established");
    pass(&mut lab, 3.0, WAN, server_acks(64_106), "established");
    // The bound is exact: up to 63998 octets too much, and not one more.
    let mut lab = established();
    refuse(&mut lab, 1.0, LAN, client_at(128_100, "x"), BEYOND);
    pass(&mut lab, 1.0, LAN, client_at(128_099, "x"), "established");
}

#[test]
fn t_9293_win__octets_received_long_ago_pass_and_renew_nothing() {
    let mut lab = established();
    pass(&mut lab, 1.0, LAN, client_at(64_100, "x"), "established");
    pass(&mut lab, 2.0, WAN, server_acks(64_101), "established");
    let tracked = lab.session().tracked;
    // Ends at 100, one octet more than a window back.
    pass(&mut lab, 3.0, LAN, client_at(98, "ab"), "established");
    assert_eq!(lab.session().tracked, tracked);
    assert_eq!(lab.session().deadline, moment(432_002.0));
    // Ends at 101: that the server may not have heard of.
    pass(&mut lab, 3.0, LAN, client_at(99, "ab"), "established");
    assert_eq!(lab.session().deadline, moment(432_003.0));
}

#[test]
fn t_5961_ack__an_acknowledgement_of_what_was_never_sent_is_refused() {
    let mut lab = established();
    for ack in [102, 150, 70_000, 0x7000_0000] {
        refuse(&mut lab, 1.0, WAN, server_acks(ack), BEYOND);
        let with_data = server_acks(ack).psh().data("forged");
        refuse(&mut lab, 1.0, WAN, with_data, BEYOND);
        let from_inside = from_client().seq(101).ack(ack + 400);
        refuse(&mut lab, 1.0, LAN, from_inside, BEYOND);
    }
    pass(&mut lab, 2.0, LAN, client_at(101, "x"), "established");
    refuse(&mut lab, 2.0, WAN, server_acks(103), BEYOND);
    pass(&mut lab, 2.0, WAN, server_acks(102), "established");
}

#[test]
fn t_5961_ack__a_very_late_acknowledgement_passes_and_renews_nothing() {
    let mut lab = established();
    let tracked = lab.session().tracked;
    let late = |back: u32| server_acks(101u32.wrapping_sub(back));
    pass(&mut lab, 1.0, WAN, late(66_001), "established");
    assert_eq!(lab.session().deadline, moment(432_000.0));
    assert_eq!(lab.session().tracked, tracked);
    pass(&mut lab, 1.0, WAN, late(66_000), "established");
    assert_eq!(lab.session().deadline, moment(432_001.0));
}

#[test]
fn a_repetition_passes_and_takes_nothing_back() {
    let mut lab = established();
    pass(&mut lab, 1.0, LAN, client_at(101, "hello"), "established");
    pass(&mut lab, 1.5, LAN, client_at(101, "hello"), "established");
    pass(&mut lab, 2.0, WAN, server_acks(106), "established");
    pass(&mut lab, 3.0, LAN, client_at(106, "more"), "established");
    // The first again, from before the acknowledgement: what was sent stays.
    pass(&mut lab, 4.0, LAN, client_at(101, "hello"), "established");
    assert_eq!(lab.session().deadline, moment(304.0));
    pass(&mut lab, 5.0, WAN, server_acks(110), "established");
    refuse(&mut lab, 5.0, WAN, server_acks(111), BEYOND);
}

#[test]
fn t_7323_ws__windows_are_scaled_when_both_syns_say_so() {
    let mut lab = opened((1000, &SCALE_7), (1000, &SCALE_7));
    // A SYN's own window is not: the server has offered 1000 octets so far.
    refuse(&mut lab, 1.0, LAN, client_at(2_101, "x"), BEYOND);
    pass(
        &mut lab,
        1.0,
        WAN,
        server_acks(101).window(1000),
        "established",
    );
    let scaled = 101 + 1000 * 128;
    pass(
        &mut lab,
        1.0,
        LAN,
        client_at(scaled - 1, "x"),
        "established",
    );
    // The client's ACK of the handshake did offer as much.
    let data = from_server().seq(501 + 128_000 - 1).ack(101).data("x");
    pass(&mut lab, 1.0, WAN, data, "established");
}

#[test]
fn t_7323_ws__each_end_has_its_own_scale() {
    let mut lab = opened((1000, &SCALE_7), (1000, &[3, 3, 0, 1]));
    pass(
        &mut lab,
        1.0,
        WAN,
        server_acks(101).window(1000),
        "established",
    );
    refuse(&mut lab, 1.0, LAN, client_at(2_101, "x"), BEYOND);
    let data = from_server().seq(501 + 128_000 - 1).ack(101).data("x");
    pass(&mut lab, 1.0, WAN, data, "established");
}

#[test]
fn t_7323_ws__one_syn_alone_scales_nothing() {
    for (client, server) in [(&SCALE_7[..], &[][..]), (&[], &SCALE_7)] {
        let mut lab = opened((1000, client), (1000, server));
        pass(
            &mut lab,
            1.0,
            WAN,
            server_acks(101).window(1000),
            "established",
        );
        refuse(&mut lab, 1.0, LAN, client_at(2_101, "x"), BEYOND);
        let data = from_server().seq(2_501).ack(101).data("x");
        refuse(&mut lab, 1.0, WAN, data, BEYOND);
        pass(&mut lab, 1.0, LAN, client_at(1_100, "x"), "established");
    }
}

#[test]
fn t_7323_ws_14__a_larger_scale_counts_as_14_and_only_a_syn_says_it() {
    for scale in [14, 15, 255] {
        let mut lab = opened((1, &SCALE_7), (1, &[3, 3, scale, 1]));
        pass(
            &mut lab,
            1.0,
            WAN,
            server_acks(101).window(1),
            "established",
        );
        // Two windows of 16384 are the utmost.
        refuse(&mut lab, 1.0, LAN, client_at(40_000, "x"), BEYOND);
        pass(&mut lab, 1.0, LAN, client_at(16_484, "x"), "established");
    }
    let mut lab = opened((1000, &[]), (1000, &[]));
    let late = server_acks(101).window(1000).tcp_options(&SCALE_7);
    pass(&mut lab, 1.0, WAN, late, "established");
    refuse(&mut lab, 1.0, LAN, client_at(2_101, "x"), BEYOND);
}

#[test]
fn t_7323_shrink__what_was_offered_once_may_be_used() {
    let mut lab = established();
    pass(
        &mut lab,
        1.0,
        WAN,
        server_acks(101).window(10),
        "established",
    );
    pass(&mut lab, 1.0, LAN, client_at(64_100, "x"), "established");
    pass(
        &mut lab,
        1.0,
        WAN,
        server_acks(64_101).window(0),
        "established",
    );
}

#[test]
fn t_7323_keep__options_of_every_segment_stay() {
    // MSS, SACK permitted, timestamps, window scale: as a stack sends them.
    let options = [
        2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0, 1, 3, 3, 7,
    ];
    let mut lab = opened((1000, &options), (1000, &options));
    let stamped = [1, 1, 8, 10, 0, 0, 0, 10, 0, 0, 0, 9];
    let segment = client_at(101, "x").tcp_options(&stamped);
    pass(&mut lab, 1.0, LAN, segment, "established");
}

#[test]
fn a_selective_acknowledgement_moves_the_window() {
    let mut lab = opened((1000, &SACK_PERMITTED), (1000, &SACK_PERMITTED));
    // The first hundred octets are lost behind the gateway.
    pass(
        &mut lab,
        1.0,
        LAN,
        client_at(101, [b'a'; 100]),
        "established",
    );
    pass(
        &mut lab,
        1.0,
        LAN,
        client_at(201, [b'b'; 900]),
        "established",
    );
    let blocks = server_acks(101).window(1000).sack(&[(201, 1101)]);
    pass(&mut lab, 2.0, WAN, blocks, "established");
    pass(&mut lab, 3.0, LAN, client_at(2_100, "x"), "established");
    // None of it may name octets that were never sent.
    let forged = server_acks(101).sack(&[(201, 1101), (3000, 3001)]);
    refuse(&mut lab, 3.0, WAN, forged, BEYOND);
}

#[test]
fn a_selective_acknowledgement_that_was_not_agreed_upon_says_nothing() {
    let mut lab = opened((1000, &[]), (1000, &[]));
    let blocks = server_acks(101).window(1000).sack(&[(201, 5101)]);
    pass(&mut lab, 2.0, WAN, blocks, "established");
    refuse(&mut lab, 3.0, LAN, client_at(2_101, "x"), BEYOND);
}

#[test]
fn t_9293_win0__a_closed_window_lets_probes_acks_and_resets_by() {
    let closed = || {
        let mut lab = opened((1000, &[]), (10, &[]));
        pass(
            &mut lab,
            1.0,
            LAN,
            client_at(101, [b'a'; 10]),
            "established",
        );
        pass(
            &mut lab,
            1.0,
            WAN,
            server_acks(111).window(0),
            "established",
        );
        lab
    };
    let mut lab = closed();
    assert_eq!(lab.session().deadline, moment(301.0), "it will not stay so");
    for second in 2u8..6 {
        let at = f64::from(second);
        pass(&mut lab, at, LAN, client_at(111, "p"), "established");
        pass(&mut lab, at, WAN, server_acks(111).window(0), "established");
        pass(&mut lab, at, LAN, client_at(111, ""), "established");
        pass(&mut lab, at, LAN, client_at(110, ""), "established");
        pass(&mut lab, at, LAN, client_at(111, "").urg(), "established");
    }
    // Behind the probe's octet, which the client counts as sent: in the window.
    pass(&mut lab, 6.0, LAN, client_at(112, ""), "established");
    assert_eq!(lab.session().deadline, moment(306.0));
    refuse(&mut lab, 6.0, LAN, client_at(200, "x"), BEYOND);
    pass(
        &mut lab,
        7.0,
        WAN,
        server_acks(112).window(100),
        "established",
    );
    pass(
        &mut lab,
        7.0,
        LAN,
        client_at(112, [b'a'; 100]),
        "established",
    );

    let mut lab = closed();
    let reset = from_client().rst().seq(111);
    pass(&mut lab, 2.0, LAN, reset, "close");
}

#[test]
fn t_9293_wrap__windows_lie_across_the_wrap_like_anywhere_else() {
    for before in [0, 1, 2, 50, 1000, 63_999, 64_000, 64_001, 100_000, 130_000] {
        let mut lab = Lab::new(OFFICE);
        let client = |n: u32| 0u32.wrapping_sub(before).wrapping_add(n);
        let server = |n: u32| client(n).wrapping_add(77);
        let says = |n: u32| from_client().seq(client(n)).ack(server(1));
        let acks = |n: u32| from_server().seq(server(1)).ack(client(n));
        let syn = from_client()
            .syn()
            .seq(client(0))
            .tcp_options(&SACK_PERMITTED);
        pass(&mut lab, 0.0, LAN, syn, "syn-sent");
        let syn_ack = from_server().syn().seq(server(0)).ack(client(1));
        let syn_ack = syn_ack.tcp_options(&SACK_PERMITTED);
        pass(&mut lab, 0.0, WAN, syn_ack, "syn-recv");
        pass(&mut lab, 0.0, LAN, says(1), "established");
        refuse(&mut lab, 1.0, LAN, says(128_002).data("x"), BEYOND);
        refuse(&mut lab, 1.0, WAN, acks(2), BEYOND);
        pass(&mut lab, 1.0, LAN, says(64_000).data("x"), "established");
        refuse(&mut lab, 1.0, WAN, acks(64_002), BEYOND);
        let selective = |to: u32| acks(1).sack(&[(client(64_000), client(to))]);
        refuse(&mut lab, 1.0, WAN, selective(64_002), BEYOND);
        pass(&mut lab, 1.0, WAN, selective(64_001), "established");
        pass(
            &mut lab,
            1.0,
            LAN,
            says(1).data([b'a'; 1000]),
            "established",
        );
        pass(&mut lab, 1.0, WAN, acks(64_001), "established");
        assert_eq!(lab.session().deadline, moment(432_001.0));
        let old = from_server().rst().seq(server(0));
        refuse(&mut lab, 2.0, WAN, old, Reason::TcpInvalidRst);
        pass(
            &mut lab,
            2.0,
            WAN,
            from_server().rst().seq(server(1)),
            "close",
        );
    }
}

#[test]
fn t_9293_syn_data__data_on_a_syn_count_as_sent() {
    let mut lab = Lab::new(OFFICE);
    let syn = from_client().syn().seq(100).data("fast open");
    pass(&mut lab, 0.0, LAN, syn, "syn-sent");
    let too_much = from_server().syn().seq(500).ack(111);
    refuse(&mut lab, 0.0, WAN, too_much, BEYOND);
    let syn_ack = from_server().syn().seq(500).ack(110).data("fast answer");
    pass(&mut lab, 0.0, WAN, syn_ack, "syn-recv");
    let ack = from_client().seq(110).ack(512);
    pass(&mut lab, 0.0, LAN, ack, "established");
    assert_eq!(
        lab.session().deadline,
        moment(432_000.0),
        "all is acknowledged"
    );
}

#[test]
fn t_1122_ka__a_keep_alive_of_one_octet_passes_too() {
    let mut lab = established();
    pass(&mut lab, 1.0, LAN, client_at(101, "x"), "established");
    pass(&mut lab, 1.0, WAN, server_acks(102), "established");
    pass(&mut lab, 7000.0, LAN, client_at(101, "\0"), "established");
    pass(&mut lab, 7000.5, WAN, server_acks(102), "established");
    assert_eq!(lab.session().deadline, moment(439_000.5));
}
