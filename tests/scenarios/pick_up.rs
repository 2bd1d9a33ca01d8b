//! Sessions that begin in the middle of a connection.

use spigate::engine::Reason;

use super::lab::{LAN, Lab, WAN, moment};
use super::packets::tcp;
use super::policies::OFFICE;
use super::tcp_life::{CLIENT, MASQUERADE as OUTSIDE, SERVER};
use super::wants::{drop_for, forward_to};

fn loose() -> Lab {
    Lab::new(&format!("{OFFICE}\n[timeouts]\npick-up = \"loose\"\n"))
}

#[test]
fn an_ack_picks_a_connection_up_where_the_rules_allow_it() {
    let mut lab = loose();
    let ack = tcp(CLIENT, SERVER).seq(7_000).ack(9_000);
    let picked = lab.at(0.0).from(LAN).send(ack);
    let _ = picked.expect(
        forward_to(WAN)
            .source(OUTSIDE)
            .state("established")
            .ct("new"),
    );
    // Nobody answered yet: it lives no longer than data without acknowledgement.
    assert_eq!(lab.session().deadline, moment(300.0));

    let answer = tcp(SERVER, OUTSIDE).seq(9_000).ack(7_000);
    let answered = lab.at(1.0).from(WAN).send(answer);
    let _ = answered.expect(forward_to(LAN).destination(CLIENT).ct("established"));

    let stranger = tcp("198.51.100.9:81", OUTSIDE).seq(9_000).ack(7_000);
    let refused = lab.at(1.0).from(WAN).send(stranger);
    let _ = refused.expect(drop_for(Reason::DefaultPolicy));
}

#[test]
fn a_fin_a_reset_or_an_answer_to_a_syn_picks_nothing_up() {
    for segment in [
        tcp(CLIENT, SERVER).fin().ack(9_000),
        tcp(CLIENT, SERVER).rst(),
        tcp(CLIENT, SERVER).syn().ack(9_000),
    ] {
        let refused = loose().at(0.0).from(LAN).send(segment);
        let _ = refused.expect(drop_for(Reason::NoSession).ct("invalid"));
    }
}

#[test]
fn without_pick_up_an_ack_begins_nothing() {
    let ack = tcp(CLIENT, SERVER).seq(7_000).ack(9_000);
    let refused = Lab::new(OFFICE).at(0.0).from(LAN).send(ack);
    let _ = refused.expect(drop_for(Reason::NoSession).ct("invalid"));
}
