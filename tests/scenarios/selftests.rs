//! The cases of the kernel's own selftests of conntrack, through the engine.
//! `tests/kernel` sends the same packets through the kernel too.

#[path = "../kernel/selftests.rs"]
#[allow(
    dead_code,
    reason = "shared with the kernel tests, which use all of it"
)]
mod cases;

use cases::{Outcome, Step};

use super::lab::{LAN, Lab, WAN};

const GATEWAY: &str = include_str!("../kernel/gateway.toml");

fn play(steps: &[Step]) {
    let mut lab = Lab::new(GATEWAY);
    for (number, step) in steps.iter().enumerate() {
        let (zone, bytes) = step.packet();
        let zone = if zone == LAN { LAN } else { WAN };
        let sent = lab.at(0.1).from(zone).send(bytes);
        let told = format!("step {}: {}: {:?}", number + 1, step.packet, sent.judgement);
        match step.outcome {
            Outcome::Passes(state) => {
                assert!(sent.forwarded.is_some(), "{told}");
                assert_eq!(lab.session().state().name(), state, "{told}");
            }
            Outcome::Dropped => assert!(sent.forwarded.is_none() && sent.made.is_empty(), "{told}"),
        }
    }
}

#[test]
fn what_was_sent_beyond_a_window_after_a_lost_ack_may_be_acknowledged() {
    play(cases::ACK_LOSS_STALL);
}

#[test]
fn an_inexact_reset_waits_for_the_exact_one() {
    play(cases::INEXACT_RST);
}

#[test]
fn resets_outside_of_the_window_are_invalid_and_the_connection_goes_on() {
    play(cases::RST_INVALID);
}

#[test]
fn a_challenged_syn_comes_through_after_the_clients_reset() {
    play(cases::SYN_CHALLENGE_ACK);
}

#[test]
fn an_old_syn_ack_does_not_keep_a_connection_from_opening() {
    play(cases::SYNACK_OLD);
}

#[test]
fn a_reused_tuple_opens_by_the_answer_to_its_syn() {
    play(cases::SYNACK_REUSE);
}

#[test]
fn a_syn_that_nobody_answers_stays_one_session() {
    play(cases::TCP_UNREPLIED);
}

#[test]
fn ends_that_both_send_first_share_a_session_and_keep_their_ports() {
    play(cases::REVERSE_CLASH);
}

#[test]
fn an_error_is_related_to_the_session_that_it_quotes_and_to_no_other() {
    play(cases::ICMP_RELATED);
}

#[test]
fn many_first_packets_of_a_flow_are_one_session() {
    play(cases::UDP_CLASH);
}
