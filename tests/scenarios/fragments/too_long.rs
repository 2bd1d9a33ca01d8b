//! What does not fit and may not be cut.

use spigate::engine::{Reason, Verdict};

use super::super::lab::{LAN, WAN};
use super::super::packets::echo;
use super::super::policies::{OFFICE, PUBLIC};
use super::super::seen::Body;
use super::super::wants::forward_to;
use super::{cut, joined, lengths, loose, narrow, question, question_v6, send_all, unfragmented};

#[test]
fn t_4787_req_13__too_long_with_df_is_refused_with_the_mtu_and_the_senders_own_addresses() {
    let mut lab = narrow(OFFICE, 1280);
    let long = unfragmented(&question().data([0; 1300]));
    let sent = lab.at(0.0).from(LAN).send(long.clone());
    assert_eq!(sent.judgement.verdict, Verdict::Reject);
    assert_eq!(sent.judgement.reason, Reason::PacketTooBig);
    let (zone, told) = &sent.made[0];
    assert_eq!(
        (*zone, &*told.source, &*told.destination),
        (LAN, "10.0.0.1", "10.0.0.7")
    );
    let Body::Icmp(3, 4, message) = &told.body else {
        panic!("{told:?}");
    };
    assert_eq!(message[4..8], [0, 0, 5, 0]);
    assert_eq!(told.quote(), &long[..told.quote().len()]);
    assert!(lab.table().is_empty());
    // As long as the link takes.
    let fits = unfragmented(&question().data([0; 1252]));
    let _ = lab
        .at(0.0)
        .from(LAN)
        .send(fits)
        .expect(forward_to(WAN).source("203.0.113.2:5000"));
}

#[test]
fn t_1191_mtu__the_next_hops_mtu_stands_in_the_low_sixteen_bits() {
    let mut lab = narrow(OFFICE, 1492);
    let sent = lab
        .at(0.0)
        .from(LAN)
        .send(unfragmented(&question().data([0; 1465])));
    assert_eq!(sent.made[0].1.bytes[24..28], [0, 0, 0x05, 0xd4]);
}

#[test]
fn t_5508_s7_1_1__a_query_that_does_not_fit_is_refused_with_df_and_cut_without() {
    let mut lab = narrow(OFFICE, 1280);
    let query = echo("10.0.0.7", "198.51.100.9", 5).data([9; 2000]);
    let sent = lab.at(0.0).from(LAN).send(unfragmented(&query));
    assert_eq!(sent.judgement.reason, Reason::PacketTooBig);
    let sent = lab.at(0.0).from(LAN).send(loose(&query));
    assert_eq!(joined(&sent.pieces).source, format!("{PUBLIC}:5"));
}

#[test]
fn a_refused_packet_of_a_session_leaves_it_as_it_was() {
    let mut lab = narrow(OFFICE, 1280);
    let _ = lab
        .at(0.0)
        .from(LAN)
        .send(question())
        .expect(forward_to(WAN).source("203.0.113.2:5000"));
    let before = lab.snapshot();
    let sent = lab
        .at(1.0)
        .from(LAN)
        .send(unfragmented(&question().data([0; 1300])));
    assert_eq!(sent.judgement.reason, Reason::PacketTooBig);
    assert!(sent.judgement.session.is_some());
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn ipv6_that_is_too_long_is_refused_with_the_mtu() {
    let mut lab = narrow(OFFICE, 1280);
    let sent = lab.at(0.0).from(LAN).send(question_v6().data([0; 1233]));
    assert_eq!(sent.judgement.reason, Reason::PacketTooBig);
    let Body::Icmp(2, 0, message) = &sent.made[0].1.body else {
        panic!("{:?}", sent.made);
    };
    assert_eq!(message[4..8], [0, 0, 5, 0]);
    // So are pieces of which one is too long; in smaller ones it passes.
    let long = question_v6().data([0; 3000]);
    let sent = send_all(&mut lab, LAN, &cut(&long, &[1400]));
    assert_eq!(sent.judgement.reason, Reason::PacketTooBig);
    let sent = send_all(&mut lab, LAN, &cut(&long, &[1232, 2464]));
    assert_eq!(lengths(&sent.pieces), [1280, 1280, 592]);
}
