//! Explanations: the same steps as for a real packet, and nothing changes.
//! (The lab asks for one before every packet of every scenario.)

use spigate::engine::{Arrival, Extent, Lease, Observer, Reason, Silent, Step};
use spigate::session::Claim;

use super::dialogue::Dialogue;
use super::lab::{LAN, Lab, WAN};
use super::packets::{Frame, icmp, tcp, udp};
use super::policies::OFFICE;
use super::wants::{drop_for, forward_to};

/// The names of the steps, in order.
#[derive(Default)]
struct Steps(Vec<String>);

impl Observer for Steps {
    fn step(&mut self, step: Step<'_>) {
        self.0.push(match step {
            Step::Read(_) => "read".into(),
            Step::Gathered { pieces, octets } => format!("{octets} octets of {pieces} pieces"),
            Step::InSession { state, .. } => format!("in a session that is {state}"),
            Step::Expected(_) => "expected".into(),
            Step::AboutSession(..) => "about a session".into(),
            Step::NoSession => "no session".into(),
            Step::Inward(Some((_, tuple))) => format!("forwarded to {}", tuple.destination),
            Step::Mapped(mapping) => format!("mapped to {}", mapping.inside),
            Step::Inward(None) => "not forwarded".into(),
            Step::Routed(place) => format!("routed: {}", place.is_some()),
            Step::Invalid(check) => format!("invalid: {check}"),
            Step::RuledRelated(rule, action) => {
                format!("rule {} about data sessions: {action:?}", rule.0)
            }
            Step::RuledInvalid(rule, _) => format!("judged by {}", rule.0),
            Step::Spoofed(lies_in) => format!("its source lies in {lies_in:?}"),
            Step::PassedOver(rule, mismatch) => {
                format!("passed over {} for its {mismatch:?}", rule.0)
            }
            Step::Ruled(_) => "ruled".into(),
            Step::Unsolicited(holding) => format!("unsolicited: {holding:?}"),
            Step::Source(_) => "source chosen".into(),
            Step::Lives(lifetime) => format!("lives by {}", lifetime.0),
            Step::Claims(Claim::Shared(_)) => "shares its endpoint".into(),
            Step::Claims(Claim::Mapped(..)) => "has its own endpoint".into(),
            Step::Lease(Lease::Kept) => "keeps its port".into(),
            Step::Lease(Lease::Held) => "has its port already".into(),
            Step::Lease(Lease::Moved(why)) => format!("gets another port: {why:?}"),
            Step::Begins(_, left) => format!("begins, for {} s", left.as_secs()),
            Step::Leaves(tuple) => format!("leaves as {tuple}"),
            Step::Evicts(session, standing) => format!("evicts {session}, {standing}"),
            Step::NoRoom(limit) => format!("no room: {limit:?}"),
            Step::Withheld(kind) => format!("withheld: {kind}"),
            Step::Alg(note) => format!("{note}"),
            Step::Unread(why) => format!("unread: {why:?}"),
            Step::Withholds(octets) => format!("withholds {octets} octets"),
            Step::Acknowledges => "acknowledges what it withholds".into(),
            Step::AcknowledgesAgain => "acknowledges again what it withheld".into(),
            Step::Decided(judgement) => format!("decided: {}", judgement.reason),
        });
    }
}

/// The steps of explaining a packet, after seeing that they are those of
/// deciding about it.
fn steps(lab: &mut Lab, at: f64, zone: &'static str, packet: impl Frame) -> Vec<String> {
    let mut explained = Steps::default();
    let frame = packet.frame();
    lab.wait_until(at);
    let before = lab.snapshot();
    let zone_id = lab.engine.policy().zones.by_name(zone).unwrap();
    let arrival = Arrival::whole(zone_id);
    let counted = lab.engine.counters().clone();
    let judgement = lab.engine.explain(arrival, &frame, &mut explained);
    assert_eq!(
        *lab.engine.counters(),
        counted,
        "explanations are not counted"
    );
    assert_eq!(lab.snapshot(), before);
    let mut real = Steps::default();
    let sent = lab
        .at(at)
        .from(zone)
        .send_as(frame, Extent::Whole, &mut real);
    assert_eq!(sent.judgement, judgement);
    assert_eq!(real.0, explained.0);
    explained.0
}

#[test]
fn a_new_connection_is_explained_from_reading_to_leaving() {
    let mut lab = Lab::new(OFFICE);
    let told = steps(
        &mut lab,
        0.0,
        LAN,
        tcp("10.0.0.7:51000", "198.51.100.9:80").syn(),
    );
    assert_eq!(
        told,
        [
            "read",
            "no session",
            "not forwarded",
            "routed: true",
            "passed over 0 for its Source",
            "ruled",
            "source chosen",
            "shares its endpoint",
            "keeps its port",
            "leaves as tcp 203.0.113.2:51000 > 198.51.100.9:80",
            "lives by 0",
            "begins, for 120 s",
            "decided: rule",
        ]
    );
    let told = steps(
        &mut lab,
        1.0,
        WAN,
        tcp("198.51.100.9:80", "203.0.113.2:51000").syn().ack(1001),
    );
    assert_eq!(
        told,
        [
            "read",
            "in a session that is syn-sent",
            "leaves as tcp 198.51.100.9:80 > 10.0.0.7:51000",
            "decided: session",
        ]
    );
}

#[test]
fn a_forwarded_connection_is_explained_with_its_server() {
    let mut lab = Lab::new(OFFICE);
    let told = steps(
        &mut lab,
        0.0,
        WAN,
        tcp("198.51.100.9:40000", "203.0.113.2:2222").syn(),
    );
    assert_eq!(told[2], "forwarded to 10.0.9.22:22");
    assert_eq!(told.last().unwrap(), "decided: rule");
}

#[test]
fn a_refused_packet_is_explained_as_far_as_it_came() {
    let mut lab = Lab::new(OFFICE);
    let told = steps(
        &mut lab,
        0.0,
        LAN,
        tcp("10.0.0.7:51000", "198.51.100.9:80").syn().fin(),
    );
    assert_eq!(told, ["read", "decided: tcp-bad-flags"]);
    let told = steps(&mut lab, 0.0, LAN, vec![0x45, 0]);
    assert_eq!(told, ["decided: bad-length"]);
    let told = steps(
        &mut lab,
        0.0,
        WAN,
        icmp("198.51.100.9", "203.0.113.2", 3, 3),
    );
    assert_eq!(told, ["read", "decided: icmp-unrelated"]);
    let told = steps(&mut lab, 0.0, WAN, udp("198.51.100.9:53", "203.0.113.2:9"));
    assert_eq!(
        told[..4],
        ["read", "no session", "not forwarded", "routed: true"]
    );
    assert_eq!(
        told.iter()
            .filter(|step| step.starts_with("passed over"))
            .count(),
        10
    );
}

#[test]
fn a_control_line_is_explained_without_opening_anything() {
    let mut lab = Lab::new(OFFICE);
    let mut ftp = Dialogue::ftp(&mut lab, 0.0, (LAN, "10.0.0.7:51000"), "198.51.100.21:21");
    let line = ftp.client.segment().data("PORT 10,0,0,7,200,10\r\n");
    let zone = lab.engine.policy().zones.by_name(LAN).unwrap();
    let arrival = Arrival::whole(zone);
    for _ in 0..3 {
        let mut told = Steps::default();
        lab.engine.explain(arrival, &line.bytes(), &mut told);
        assert!(told.0.contains(
            &"tcp data session to 10.0.0.7:51210 expected at 203.0.113.2:51210".to_owned()
        ));
        assert!(lab.expected().is_empty());
    }
    ftp.announces(&mut lab, 1.0, "PORT 10,0,0,7,200,11\r\n");
    let told = steps(
        &mut lab,
        2.0,
        WAN,
        tcp("198.51.100.21:20", "203.0.113.2:51211").syn(),
    );
    assert_eq!(told[1], "expected");
    assert_eq!(told.last().unwrap(), "decided: expected");
}

#[test]
fn a_cut_control_segment_passes_unread() {
    let mut lab = Lab::new(OFFICE);
    let ftp = Dialogue::ftp(&mut lab, 0.0, (LAN, "10.0.0.7:51000"), "198.51.100.21:21");
    let line = ftp
        .client
        .segment()
        .data("PORT 10,0,0,7,200,10\r\n")
        .bytes();
    let mut told = Steps::default();
    let sent = lab
        .at(1.0)
        .from(LAN)
        .send_as(&line[..50], Extent::Cut, &mut told);
    assert_eq!(sent.judgement.verdict.name(), "forward");
    assert!(told.0.contains(&"unread: Cut".to_owned()), "{:?}", told.0);
    assert!(lab.expected().is_empty());
}

#[test]
fn a_packet_that_expired_sessions_would_have_taken_is_judged_by_the_table_of_now() {
    let mut lab = Lab::new(OFFICE);
    let sent = lab
        .at(0.0)
        .from(LAN)
        .send(udp("10.0.0.7:5000", "198.51.100.9:53"));
    let _ = sent.expect(forward_to(WAN).source("203.0.113.2:5000"));
    lab.wait_until(30.0);
    let answer = udp("198.51.100.9:53", "203.0.113.2:5000");
    let zone = lab.engine.policy().zones.by_name(WAN).unwrap();
    let arrival = Arrival::whole(zone);
    let judgement = lab.engine.explain(arrival, &answer.bytes(), &mut Silent);
    assert_eq!(judgement.reason, Reason::DefaultPolicy);
    let _ = lab
        .at(30.0)
        .from(WAN)
        .send(answer)
        .expect(drop_for(Reason::DefaultPolicy));
}
