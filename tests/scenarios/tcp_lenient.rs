//! Where the windows say little: sessions from the middle, lenient tracking,
//! sessions that are closing, and tuples that are used again.

use spigate::engine::Reason;
use spigate::session::{Heard, PickUp, TcpChecks, Windows};

use super::lab::{LAN, Lab, WAN, moment};
use super::policies::OFFICE;
use super::tcp_life::{
    ACK, FIN, SYN, SYN_ACK, WHOLE_LIFE, from_client, from_server, lab_after, pass, play, refuse,
};
use super::tcp_windows::{client_at, server_acks};

const BEYOND: Reason = Reason::TcpOutOfWindow;

#[test]
fn t_9293_half__one_end_goes_on_sending_after_the_other_has_closed() {
    let mut lab = lab_after(&[SYN, SYN_ACK, ACK, FIN]);
    let mut next = 501;
    for second in 1u16..200 {
        let at = f64::from(second) * 50.0;
        let data = from_server().seq(next).ack(102).data([b'd'; 1400]);
        pass(&mut lab, at, WAN, data, "close-wait");
        next += 1400;
        let ack = from_client().seq(102).ack(next);
        pass(&mut lab, at, LAN, ack, "close-wait");
        // 60 seconds, as conntrack has it.
        assert_eq!(lab.session().deadline, moment(at + 60.0));
    }
    // Nothing but its acknowledgements comes from the end that has closed.
    refuse(
        &mut lab,
        9951.0,
        WAN,
        from_server().seq(next).ack(103),
        BEYOND,
    );
}

#[test]
fn t_1337_old__after_a_tuple_is_used_again_old_duplicates_change_nothing() {
    let mut lab = lab_after(&WHOLE_LIFE);
    let syn = from_client().syn().seq(5_000_000);
    pass(&mut lab, 5.0, LAN, syn, "syn-sent");
    let syn_ack = from_server().syn().seq(9_000_000).ack(5_000_001);
    pass(&mut lab, 5.0, WAN, syn_ack, "syn-recv");
    let ack = from_client().seq(5_000_001).ack(9_000_001);
    pass(&mut lab, 5.0, LAN, ack, "established");
    let tracked = lab.session().tracked;
    for (zone, old) in [
        (LAN, client_at(101, "old")),
        (LAN, client_at(101, "")),
        (WAN, server_acks(102).data("old")),
        (WAN, server_acks(102)),
    ] {
        // As conntrack has it, they pass: too old to harm.
        pass(&mut lab, 6.0, zone, old, "established");
        assert_eq!(lab.session().tracked, tracked);
        assert_eq!(lab.session().deadline, moment(432_005.0));
    }
    let fin = from_server().fin().seq(501).ack(102);
    pass(&mut lab, 6.0, WAN, fin, "established");
    let reset = from_server().rst().seq(501);
    refuse(&mut lab, 6.0, WAN, reset, Reason::TcpInvalidRst);
}

#[test]
fn t_lnx_tcp_open__a_session_is_assured_once_its_handshake_is_complete() {
    let heard = |steps: usize| lab_after(&[SYN, SYN_ACK, ACK][..steps]).session().heard;
    assert_eq!(heard(1), Heard::OneEnd);
    assert_eq!(heard(2), Heard::BothEnds);
    assert_eq!(heard(3), Heard::Assured);
}

fn picking_up() -> Lab {
    let checks = TcpChecks {
        pick_up: PickUp::Loose,
        ..TcpChecks::default()
    };
    Lab::lenient(OFFICE, checks)
}

#[test]
fn t_lnx_tcp_loose__an_ack_from_the_middle_begins_a_session_of_300_seconds() {
    for first in [
        client_at(101, "hello"),
        client_at(101, "hello").urg(),
        client_at(101, "hello").psh(),
    ] {
        let mut lab = picking_up();
        pass(&mut lab, 0.0, LAN, first, "established");
        assert_eq!(lab.session().deadline, moment(300.0));
        assert_eq!(lab.session().heard, Heard::OneEnd);
        pass(&mut lab, 1.0, WAN, server_acks(106), "established");
        pass(&mut lab, 2.0, LAN, client_at(106, ""), "established");
        assert_eq!(lab.session().heard, Heard::Assured);
        assert_eq!(lab.session().deadline, moment(432_002.0));
    }
    // Nothing else does.
    for packet in [
        from_client().syn().ack(1),
        from_client().fin().ack(1),
        from_client().rst().ack(1),
    ] {
        refuse(&mut picking_up(), 0.0, LAN, packet, Reason::NoSession);
    }
}

#[test]
fn t_7323_ws_unk__a_session_from_the_middle_is_not_held_to_its_windows() {
    let mut lab = picking_up();
    pass(
        &mut lab,
        0.0,
        LAN,
        client_at(101, "").window(10),
        "established",
    );
    pass(
        &mut lab,
        0.0,
        WAN,
        server_acks(101).window(10),
        "established",
    );
    for ahead in [20, 5000, 10_000_000] {
        pass(
            &mut lab,
            1.0,
            LAN,
            client_at(101 + ahead, "x"),
            "established",
        );
        pass(&mut lab, 1.0, WAN, server_acks(101 + ahead), "established");
    }
}

#[test]
fn t_lnx_tcp_liberal__windows_are_not_checked_and_old_resets_still_are() {
    let checks = TcpChecks {
        windows: Windows::Liberal,
        ..TcpChecks::default()
    };
    let mut lab = Lab::lenient(OFFICE, checks);
    for step in [SYN, SYN_ACK, ACK] {
        play(&mut lab, 0.0, step);
    }
    pass(
        &mut lab,
        1.0,
        LAN,
        client_at(10_000_000, "x"),
        "established",
    );
    pass(&mut lab, 1.0, WAN, server_acks(20_000_000), "established");
    let old = from_server().rst().seq(500);
    refuse(&mut lab, 2.0, WAN, old, Reason::TcpInvalidRst);
}
