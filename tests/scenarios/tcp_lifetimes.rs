//! How long a TCP session lives that waits for something: an acknowledgement,
//! the end of repetitions, an open window.

use super::lab::{LAN, Lab, WAN, moment};
use super::policies::OFFICE;
use super::tcp_life::{ACK, FIN, SYN, SYN_ACK, from_client, from_server, lab_after, pass, play};

#[test]
fn t_lnx_tcp_unack__data_wait_300_seconds_for_their_acknowledgement() {
    let mut lab = lab_after(&[SYN, SYN_ACK, ACK]);
    let data = || from_client().seq(101).ack(501).data("hello");
    pass(&mut lab, 1.0, LAN, data(), "established");
    assert_eq!(lab.session().deadline, moment(301.0));
    // A part of it is not all.
    let part = from_server().seq(501).ack(103);
    pass(&mut lab, 2.0, WAN, part, "established");
    assert_eq!(lab.session().deadline, moment(302.0));
    let all = from_server().seq(501).ack(106);
    pass(&mut lab, 3.0, WAN, all, "established");
    assert_eq!(lab.session().deadline, moment(432_003.0));
    // The other end's data count as much.
    let answer = from_server().seq(501).ack(106).data("hi");
    pass(&mut lab, 4.0, WAN, answer, "established");
    assert_eq!(lab.session().deadline, moment(304.0));
    assert_eq!(lab.wait_until(303.9).len(), 0);
    assert_eq!(lab.wait_until(304.0).len(), 1);
    assert!(lab.table().is_empty());
}

#[test]
fn t_lnx_tcp_unack__a_state_that_ends_sooner_ends_as_soon() {
    let lab = lab_after(&[SYN, SYN_ACK, ACK, FIN]);
    assert_eq!(lab.session().deadline, moment(120.0));
}

#[test]
fn t_lnx_tcp_retrans__after_three_repetitions_300_seconds_remain() {
    let mut lab = lab_after(&[SYN, SYN_ACK, ACK]);
    for (at, deadline) in [
        (1.0, 432_001.0),
        (2.0, 432_002.0),
        (3.0, 303.0),
        (4.0, 304.0),
    ] {
        play(&mut lab, at, ACK);
        assert_eq!(lab.session().deadline, moment(deadline), "at {at}");
    }
    // Something new, and all is well again.
    let other = from_client().seq(101).ack(501).window(60_000);
    pass(&mut lab, 5.0, LAN, other, "established");
    assert_eq!(lab.session().deadline, moment(432_005.0));
}

#[test]
fn t_lnx_tcp_retrans__a_closed_window_may_stay_so_for_300_seconds() {
    let mut lab = lab_after(&[SYN, SYN_ACK, ACK]);
    let closed = from_server().seq(501).ack(101).window(0);
    pass(&mut lab, 1.0, WAN, closed, "established");
    assert_eq!(lab.session().deadline, moment(301.0));
    let open = from_server().seq(501).ack(101).window(1);
    pass(&mut lab, 2.0, WAN, open, "established");
    assert_eq!(lab.session().deadline, moment(432_002.0));
}

#[test]
fn t_lnx_tcp_timers__unacknowledged_data_and_repetitions_have_times_of_their_own() {
    let rules = "[timeouts]\ntcp-unacknowledged = \"70s\"\ntcp-max-retrans = \"80s\"";
    let mut lab = Lab::new(&format!("{OFFICE}\n{rules}"));
    for step in [SYN, SYN_ACK, ACK] {
        play(&mut lab, 0.0, step);
    }
    let data = || from_client().seq(101).ack(501).data("hello");
    pass(&mut lab, 1.0, LAN, data(), "established");
    assert_eq!(lab.session().deadline, moment(71.0));
    for at in [2.0, 3.0, 4.0] {
        pass(&mut lab, at, LAN, data(), "established");
    }
    assert_eq!(lab.session().deadline, moment(84.0));
}
