//! What an operator does: sessions end by word of theirs, and none begins.

use spigate::engine::{Ending, Event, Intake, Output, Parting, Reason, Verdict};

use super::dialogue::Dialogue;
use super::ftp_active::{DATA, data_syn, masqueraded};
use super::lab::{LAN, Lab, WAN, moment};
use super::packets::{tcp, udp};
use super::policies::OFFICE;
use super::wants::{drop_for, forward_to};

const CLIENT: &str = "10.0.0.7:51000";
const SERVER: &str = "198.51.100.9:80";

/// Ends the session that began last; gives what the engine made of it.
fn kill(lab: &mut Lab, at: f64, parting: Parting) -> Output {
    let session = lab.engine.sessions().sorted().pop().unwrap();
    let named = (session.id, &session.origin.tuples.original);
    let mut out = Output::default();
    assert!(lab.engine.kill(moment(at), named, parting, &mut out));
    // It is gone: there is none to be ended again.
    let again = (lab.engine).kill(moment(at), named, parting, &mut Output::default());
    assert!(!again);
    let [
        Event::Ended {
            ending, packets, ..
        },
    ] = &out.events[..]
    else {
        panic!("{:?}", out.events);
    };
    assert_eq!((*ending, *packets), (Ending::Killed, out.made.len()));
    out
}

#[test]
fn a_killed_session_is_forgotten_in_silence() {
    let mut lab = Lab::new(OFFICE);
    let dialogue = Dialogue::open(&mut lab, 0.0, (LAN, CLIENT), SERVER);
    let killed = kill(&mut lab, 1.0, Parting::Silent);
    assert!(killed.made.is_empty() && lab.engine.sessions().is_empty());
    for end in [&dialogue.client, &dialogue.server] {
        let sent = lab.at(1.0).from(end.zone).send(end.segment());
        let _ = sent.expect(drop_for(Reason::NoSession).ct("invalid"));
    }
    // A new connection has the tuple at once.
    let _ = Dialogue::open(&mut lab, 2.0, (LAN, CLIENT), SERVER);
}

#[test]
fn both_ends_of_a_killed_connection_may_be_reset() {
    let mut lab = Lab::new(OFFICE);
    let dialogue = Dialogue::open(&mut lab, 0.0, (LAN, CLIENT), SERVER);
    let killed = kill(&mut lab, 1.0, Parting::Reset);
    assert_eq!(killed.made.len(), 2);
    for end in [&dialogue.client, &dialogue.server] {
        let zone = lab.engine.policy().zones.by_name(end.zone);
        let made = killed.made.iter().find(|made| Some(made.zone) == zone);
        let bytes = &made.unwrap().bytes;
        assert_eq!(bytes[24..28], end.awaits.to_be_bytes());
        assert_eq!(bytes[33], 0x14, "RST and ACK");
    }
    // What knows no resets hears nothing.
    let _ = lab
        .at(2.0)
        .from(LAN)
        .send(udp("10.0.0.7:5000", "198.51.100.9:53"));
    assert!(kill(&mut lab, 2.0, Parting::Reset).made.is_empty());
}

/// A reset is taken only at the number that is awaited; whether what was sent last has
/// arrived nobody here knows.
#[test]
fn an_end_with_data_on_their_way_gets_a_reset_for_either_case() {
    let mut lab = Lab::new(OFFICE);
    let mut dialogue = Dialogue::open(&mut lab, 0.0, (LAN, CLIENT), SERVER);
    let before = dialogue.client.awaits;
    let sent = dialogue.server.segment().data("0123456789");
    let _ = lab.at(0.5).from(dialogue.server.zone).send(sent);
    dialogue.client.awaits += 10;
    let killed = kill(&mut lab, 1.0, Parting::Reset);
    let zone = lab.engine.policy().zones.by_name(LAN);
    let to_client = killed.made.iter().filter(|made| Some(made.zone) == zone);
    let numbers: Vec<_> = to_client.map(|made| made.bytes[24..28].to_vec()).collect();
    let awaited = [before, dialogue.client.awaits].map(|seq| seq.to_be_bytes().to_vec());
    assert_eq!(numbers, awaited);
    assert_eq!(killed.made.len(), 3);
}

#[test]
fn a_control_session_takes_what_it_awaits_with_it_and_not_what_has_begun() {
    let (mut lab, mut ftp) = masqueraded();
    ftp.announces(&mut lab, 1.0, "PORT 10,0,0,7,200,10\r\n");
    let _ = data_syn(&mut lab, 2.0, DATA, "203.0.113.2:51210");
    ftp.server_says(&mut lab, 3.0, "200 done\r\n");
    ftp.announces(&mut lab, 4.0, "PORT 10,0,0,7,200,11\r\n");
    assert_eq!(lab.expected().len(), 1);
    let control = lab.engine.sessions().sorted()[0].clone();
    let named = (control.id, &control.origin.tuples.original);
    let out = &mut Output::default();
    // It is known by its first direction, and by its number.
    let reply = (control.id, &control.origin.tuples.reply);
    assert!(!lab.engine.kill(moment(5.0), reply, Parting::Silent, out));
    assert!(lab.engine.kill(moment(5.0), named, Parting::Silent, out));
    assert!(lab.expected().is_empty());
    assert_eq!(lab.engine.sessions().len(), 1);
}

#[test]
fn while_it_drains_what_is_there_goes_on_with_all_that_it_announces() {
    let (mut lab, mut ftp) = masqueraded();
    lab.engine.set_intake(Intake::Drained);
    let new = || tcp("10.0.0.8:51000", SERVER).syn();
    let refused = lab.at(1.0).from(LAN).send(new());
    let _ = refused.expect(drop_for(Reason::Draining).rule("lan-out").ct("new"));
    ftp.announces(&mut lab, 1.0, "PORT 10,0,0,7,200,10\r\n");
    let data = data_syn(&mut lab, 2.0, DATA, "203.0.113.2:51210");
    let want = forward_to(LAN).destination("10.0.0.7:51210").ct("related");
    let _ = data.expect(want.because(Reason::Expected));
    // What the rules refuse is refused for that.
    let stranger = lab
        .at(2.0)
        .from(WAN)
        .send(udp("198.51.100.66:5", "203.0.113.2:7"));
    assert_ne!(stranger.judgement.reason, Reason::Draining);
    lab.engine.set_intake(Intake::Open);
    let begun = lab.at(3.0).from(LAN).send(new());
    assert!(matches!(begun.judgement.verdict, Verdict::Forward(_)));
}
