//! The life of a TCP session behind a masquerade.

use spigate::engine::{Ending, Event, Reason};

use super::lab::{LAN, Lab, WAN, moment};
use super::packets::{Packet, tcp};
use super::policies::OFFICE;
use super::wants::{drop_for, forward_to};

pub(crate) const CLIENT: &str = "10.0.0.7:51000";
pub(crate) const SERVER: &str = "198.51.100.9:80";
pub(crate) const MASQUERADE: &str = "203.0.113.2:51000";

pub(crate) fn from_client() -> Packet {
    tcp(CLIENT, SERVER)
}

pub(crate) fn from_server() -> Packet {
    tcp(SERVER, MASQUERADE)
}

/// One step of a connection: who sends what, and the state after it.
pub(crate) type Step = (&'static str, fn() -> Packet, &'static str);

pub(crate) const SYN: Step = (LAN, || from_client().syn().seq(100), "syn-sent");
pub(crate) const SYN_ACK: Step = (WAN, || from_server().syn().seq(500).ack(101), "syn-recv");
pub(crate) const ACK: Step = (LAN, || from_client().seq(101).ack(501), "established");
pub(crate) const FIN: Step = (LAN, || from_client().fin().seq(101).ack(501), "fin-wait");
pub(crate) const ACK_OF_FIN: Step = (WAN, || from_server().seq(501).ack(102), "close-wait");
pub(crate) const FIN_BACK: Step = (WAN, || from_server().fin().seq(501).ack(102), "last-ack");
pub(crate) const LAST_ACK: Step = (LAN, || from_client().seq(102).ack(502), "time-wait");
pub(crate) const RESET: Step = (WAN, || from_server().rst().seq(501), "close");

/// Plays one step: translated on its way, and then in the state it says.
pub(crate) fn play(lab: &mut Lab, at: f64, (zone, packet, state): Step) {
    pass(lab, at, zone, packet(), state);
}

/// Sends a segment that passes, translated; then the session is in this state.
pub(crate) fn pass(
    lab: &mut Lab,
    at: f64,
    zone: &'static str,
    packet: Packet,
    state: &'static str,
) {
    let sent = lab.at(at).from(zone).send(packet);
    let want = match zone {
        LAN => forward_to(WAN).source(MASQUERADE),
        _ => forward_to(LAN).destination(CLIENT),
    };
    let _ = sent.expect(want.state(state));
}

/// Sends a segment that is refused, and leaves no trace.
pub(crate) fn refuse(lab: &mut Lab, at: f64, zone: &'static str, packet: Packet, why: Reason) {
    let sent = lab.at(at).from(zone).send(packet);
    let _ = sent.expect(drop_for(why).ct("invalid"));
}

pub(crate) fn lab_after(steps: &[Step]) -> Lab {
    let mut lab = Lab::new(OFFICE);
    for step in steps {
        play(&mut lab, 0.0, *step);
    }
    lab
}

pub(crate) const WHOLE_LIFE: [Step; 7] = [SYN, SYN_ACK, ACK, FIN, ACK_OF_FIN, FIN_BACK, LAST_ACK];

#[test]
fn t_lnx_tcp_close__a_connection_goes_through_its_states_by_name() {
    let mut lab = Lab::new(OFFICE);
    for (second, step) in (0u8..).zip(WHOLE_LIFE) {
        play(&mut lab, f64::from(second), step);
    }
    assert_eq!(
        lab.table(),
        [
            "tcp 10.0.0.7:51000 > 198.51.100.9:80 | tcp 198.51.100.9:80 > 203.0.113.2:51000 | time-wait"
        ]
    );
    let counters = lab.session().counters;
    assert_eq!((counters.original.packets, counters.reply.packets), (4, 3));
    // 40 octets of headers each, and nothing in them.
    assert_eq!((counters.original.bytes, counters.reply.bytes), (160, 120));
}

#[test]
fn t_lnx_tcp_timers__each_state_lasts_its_time_and_not_a_moment_longer() {
    let lives: [(&[Step], f64); 8] = [
        (&WHOLE_LIFE[..1], 120.0),
        (&WHOLE_LIFE[..2], 60.0),
        (&WHOLE_LIFE[..3], 432_000.0),
        (&WHOLE_LIFE[..4], 120.0),
        (&WHOLE_LIFE[..5], 60.0),
        (&WHOLE_LIFE[..6], 30.0),
        (&WHOLE_LIFE[..7], 120.0),
        (&[SYN, SYN_ACK, ACK, RESET], 10.0),
    ];
    for (steps, seconds) in lives {
        let state = steps.last().unwrap().2;
        let mut lab = lab_after(steps);
        assert_eq!(lab.session().deadline, moment(seconds), "{state}");
        // A nanosecond before, it still passes packets.
        play(&mut lab, seconds - 1e-9, RESET);

        let mut lab = lab_after(steps);
        let late = lab.at(seconds).from(WAN).send(RESET.1());
        let outcome = late.expect(drop_for(Reason::NoSession).ct("invalid"));
        assert_eq!(outcome.events().len(), 1, "{state}: it ended");
        assert!(lab.table().is_empty());
    }
}

#[test]
fn t_lnx_tcp_open__both_handshakes_go_through_their_states_by_name() {
    let mut lab = lab_after(&[SYN, SYN_ACK, ACK]);
    assert_eq!(lab.session().state().name(), "established");
    // Simultaneous open: the other end's SYN crosses ours.
    lab = lab_after(&SIMULTANEOUS[..4]);
    play(
        &mut lab,
        1.0,
        (LAN, || from_client().seq(101).ack(501), "established"),
    );
}

const SIMULTANEOUS: [Step; 6] = [
    SYN,
    (WAN, || from_server().syn().seq(500), "syn-sent2"),
    (LAN, || from_client().syn().seq(100).ack(501), "syn-recv"),
    (WAN, || from_server().syn().seq(500).ack(101), "syn-recv"),
    (
        LAN,
        || from_client().seq(101).ack(501).data("hello"),
        "established",
    ),
    (
        WAN,
        || from_server().seq(501).ack(106).data("hello too"),
        "established",
    ),
];

#[test]
fn t_5382_req_2a__a_simultaneous_open_is_translated_and_delivered() {
    let lab = lab_after(&SIMULTANEOUS);
    assert_eq!(lab.table().len(), 1);
}

#[test]
fn t_6092_rec_31__a_simultaneous_open_passes_in_ipv6_too() {
    let mut lab = Lab::new(super::policies::PLAIN);
    let (client, server) = ("[2001:db8:10::7]:51000", "[2001:db8:5::9]:80");
    let steps = [
        (LAN, tcp(client, server).syn().seq(100), "syn-sent"),
        (WAN, tcp(server, client).syn().seq(500), "syn-sent2"),
        (LAN, tcp(client, server).syn().seq(100).ack(501), "syn-recv"),
        (WAN, tcp(server, client).syn().seq(500).ack(101), "syn-recv"),
        (LAN, tcp(client, server).seq(101).ack(501), "established"),
    ];
    for (from, packet, state) in steps {
        let to = if from == LAN { WAN } else { LAN };
        let _ = lab
            .at(0.0)
            .from(from)
            .send(packet)
            .expect(forward_to(to).state(state));
    }
}

#[test]
fn t_5382_req_2__half_close_repetitions_and_keep_alives_pass() {
    let mut lab = lab_after(&[SYN, SYN, SYN_ACK, SYN_ACK, ACK]);
    for step in [
        // A lost segment and its repetition look alike here: both pass.
        (
            LAN,
            (|| from_client().seq(101).ack(501).data("GET /")) as fn() -> Packet,
            "established",
        ),
        (
            LAN,
            || from_client().seq(101).ack(501).data("GET /"),
            "established",
        ),
        FIN,
        (WAN, || from_server().seq(501).ack(102), "close-wait"),
        (
            WAN,
            || from_server().psh().seq(501).ack(102).data("still here"),
            "close-wait",
        ),
        (LAN, || from_client().seq(102).ack(511), "close-wait"),
        (WAN, || from_server().fin().seq(511).ack(102), "last-ack"),
        (LAN, || from_client().seq(102).ack(512), "time-wait"),
    ] {
        play(&mut lab, 1.0, step);
    }
}

#[test]
fn t_9293_simclose__fins_that_cross_end_one_session() {
    let mut lab = lab_after(&[SYN, SYN_ACK, ACK, FIN]);
    play(
        &mut lab,
        1.0,
        (WAN, || from_server().fin().seq(501).ack(101), "last-ack"),
    );
    play(
        &mut lab,
        2.0,
        (LAN, || from_client().seq(102).ack(502), "time-wait"),
    );
    play(
        &mut lab,
        3.0,
        (WAN, || from_server().seq(502).ack(102), "time-wait"),
    );
    assert_eq!(lab.session().deadline, moment(123.0));
}

#[test]
fn t_9293_lastack__a_repeated_fin_passes_in_time_wait_and_restarts_its_timer() {
    let mut lab = lab_after(&WHOLE_LIFE);
    play(&mut lab, 50.0, (WAN, || FIN_BACK.1(), "time-wait"));
    play(&mut lab, 51.0, LAST_ACK);
    assert_eq!(lab.session().deadline, moment(171.0));
}

#[test]
fn t_9293_tw_reuse__a_syn_in_time_wait_opens_a_new_session() {
    let mut lab = lab_after(&WHOLE_LIFE);
    let old = lab.session();
    let again = from_client().syn().seq(90_000);
    let sent = lab.at(5.0).from(LAN).send(again);
    let outcome = sent.expect(
        forward_to(WAN)
            .source(MASQUERADE)
            .ct("new")
            .state("syn-sent")
            .rule("lan-out"),
    );
    let [ended, began] = outcome.events() else {
        panic!("{:?}", outcome.events());
    };
    assert!(
        matches!(ended, Event::Ended { session, ending: Ending::Replaced, .. } if session.id == old.id)
    );
    let new = lab.session();
    assert!(matches!(began, Event::Began(handle) if handle.id() == new.id));
    assert_ne!(new.id, old.id);
    assert_eq!(
        (new.counters.original.packets, new.counters.reply.packets),
        (1, 0)
    );
}

#[test]
fn t_lnx_tcp_syn_tw__a_syn_of_the_servers_side_counts_as_a_flow_of_its_own() {
    let mut lab = lab_after(&WHOLE_LIFE);
    let before = lab.snapshot();
    let syn = from_server().syn().seq(9000);
    let _ = lab
        .at(5.0)
        .from(WAN)
        .send(syn)
        .expect(drop_for(Reason::DefaultPolicy).ct("new"));
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn t_7857_s2_2_a__a_reset_is_translated_and_closes() {
    let _ = lab_after(&[SYN, SYN_ACK, ACK, RESET]);
    let from_inside = (
        LAN,
        (|| from_client().rst().seq(101)) as fn() -> Packet,
        "close",
    );
    let mut lab = lab_after(&[SYN, SYN_ACK, ACK, from_inside]);
    // And a SYN begins anew.
    let _ = lab
        .at(1.0)
        .from(LAN)
        .send(SYN.1())
        .expect(forward_to(WAN).source(MASQUERADE).ct("new"));
}

#[test]
fn t_lnx_tcp_syn_est__a_syn_in_an_established_session_passes_and_changes_nothing() {
    let mut lab = lab_after(&[SYN, SYN_ACK, ACK]);
    play(
        &mut lab,
        10.0,
        (LAN, || from_client().syn().seq(70_000), "established"),
    );
    assert_eq!(lab.session().deadline, moment(432_000.0));
    // The server's challenge ACK passes, and so does the client's RST to it.
    play(
        &mut lab,
        11.0,
        (WAN, || from_server().seq(501).ack(101), "established"),
    );
    play(
        &mut lab,
        12.0,
        (LAN, || from_client().rst().seq(101), "close"),
    );
}

#[test]
fn t_5961_syn__state_and_timer_stay_when_a_syn_meets_a_synchronised_session() {
    let mut lab = lab_after(&[SYN, SYN_ACK, ACK]);
    play(
        &mut lab,
        10.0,
        (LAN, || from_client().syn().seq(1), "established"),
    );
    assert_eq!(lab.session().deadline, moment(432_000.0));
    let syn = from_server().syn().seq(1);
    let before = lab.snapshot();
    let _ = lab
        .at(11.0)
        .from(WAN)
        .send(syn)
        .expect(drop_for(Reason::TcpInvalidState).ct("invalid"));
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn t_lnx_tcp_synretx__a_repeated_syn_does_not_restart_the_timer() {
    let mut lab = lab_after(&[SYN]);
    play(&mut lab, 60.0, SYN);
    assert_eq!(lab.session().deadline, moment(120.0));
    assert_eq!(lab.session().counters.original.packets, 2);
}

#[test]
fn t_9293_synsent_ack__an_answer_to_an_old_connection_is_reset_and_the_syn_repeated() {
    let mut lab = lab_after(&[SYN]);
    play(
        &mut lab,
        0.1,
        (WAN, || from_server().seq(7777).ack(42), "syn-sent"),
    );
    play(
        &mut lab,
        0.2,
        (LAN, || from_client().rst().seq(42), "close"),
    );
    let sent = lab.at(1.0).from(LAN).send(SYN.1());
    let _ = sent.expect(forward_to(WAN).source(MASQUERADE).state("syn-sent"));
}

#[test]
fn t_lnx_tcp_close__a_second_fin_straight_from_fin_wait_waits_for_the_last_ack() {
    let mut lab = lab_after(&[SYN, SYN_ACK, ACK, FIN]);
    // It does not acknowledge the first.
    let crossing = from_server().fin().seq(501).ack(101);
    pass(&mut lab, 1.0, WAN, crossing, "last-ack");
    assert_eq!(lab.session().deadline, moment(31.0));
    pass(
        &mut lab,
        2.0,
        LAN,
        from_client().seq(102).ack(502),
        "time-wait",
    );
}
