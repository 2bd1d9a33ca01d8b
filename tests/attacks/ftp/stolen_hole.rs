//! Holes that an ALG makes: for nobody else, no others, and not without end.

use spigate::engine::Reason;

use crate::dialogue::Dialogue;
use crate::forged::refused;
use crate::lab::{DMZ, LAN, Lab, WAN};
use crate::packets::{tcp, udp};
use crate::policies::OFFICE;
use crate::wants::forward_to;

const CLIENT: &str = "10.0.0.7:51000";
const SERVER: &str = "198.51.100.21:21";
const HOLE: &str = "203.0.113.2:51210";

fn announced() -> (Lab, Dialogue) {
    let mut lab = Lab::new(OFFICE);
    let mut ends = Dialogue::ftp(&mut lab, 0.0, (LAN, CLIENT), SERVER);
    ends.announces(&mut lab, 0.0, "PORT 10,0,0,7,200,10\r\n");
    assert_eq!(lab.expected().len(), 1);
    (lab, ends)
}

#[test]
fn another_host_cannot_take_the_announced_hole_and_its_owner_still_can() {
    let (mut lab, _) = announced();
    for (zone, from) in [
        (WAN, "198.51.100.22:20"),
        (WAN, "198.51.100.66:20"),
        (DMZ, "10.0.9.80:20"),
        // The server's address, where it does not stand.
        (DMZ, "198.51.100.21:20"),
        (LAN, "198.51.100.21:20"),
    ] {
        let syn = tcp(from, HOLE).syn();
        lab.wait_until(1.0);
        let before = lab.snapshot();
        let sent = lab.at(1.0).from(zone).send(syn);
        assert!(sent.forwarded.is_none(), "{:?}", sent.judgement);
        assert_eq!(lab.snapshot(), before);
    }
    refused(&mut lab, 1.0, WAN, udp("198.51.100.21:20", HOLE));
    // A segment that begins nothing does not use it up.
    let ack = tcp("198.51.100.21:20", HOLE).ack(9);
    assert_eq!(refused(&mut lab, 1.0, WAN, ack), Reason::NoSession);
    let syn = tcp("198.51.100.21:20", HOLE).syn();
    let want = forward_to(LAN).destination("10.0.0.7:51210");
    let _ = lab
        .at(1.0)
        .from(WAN)
        .send(syn)
        .expect(want.because(Reason::Expected));
}

#[test]
fn t_slip_spoof__lines_from_the_wrong_side_are_no_part_of_the_session() {
    let (mut lab, ends) = announced();
    let own = "PORT 10,0,0,7,0,22\r\n";
    // The client's next segment, from where the client is not; the server's too.
    let client = ends.client.segment().data("PORT 10,0,0,7,200,11\r\n");
    let server = ends.server.segment().data(own);
    for (zone, forgery) in [
        (WAN, &client),
        (DMZ, &client),
        (LAN, &server),
        (DMZ, &server),
    ] {
        let why = refused(&mut lab, 1.0, zone, forgery.clone());
        assert_eq!(why, Reason::SpoofedSource);
    }
    assert_eq!(
        lab.expected(),
        ["198.51.100.21 > 203.0.113.2:51210 = 10.0.0.7:51210"]
    );
}

#[test]
fn t_slip_csum__a_line_with_wrong_numbers_announces_nothing() {
    let (mut lab, ends) = announced();
    for ahead in [200_000, 1 << 24, 1 << 30] {
        let mut far = ends.client.clone();
        far.next = far.next.wrapping_add(ahead);
        let line = far.segment().data("PORT 10,0,0,7,200,11\r\n");
        assert_eq!(refused(&mut lab, 1.0, LAN, line), Reason::TcpOutOfWindow);
    }
}

#[test]
fn bouncing_to_a_third_host_or_a_low_port_announces_nothing() {
    for line in [
        "PORT 10,0,0,8,200,10\r\n",
        "PORT 198,51,100,66,0,25\r\n",
        "PORT 10,0,9,80,0,80\r\n",
        "PORT 203,0,113,2,200,10\r\n",
        "PORT 127,0,0,1,200,10\r\n",
        "PORT 10,0,0,7,0,22\r\n",
        "EPRT |1|10.0.0.8|51210|\r\n",
    ] {
        let mut lab = Lab::new(OFFICE);
        let ends = Dialogue::ftp(&mut lab, 0.0, (LAN, CLIENT), SERVER);
        let _ = lab
            .at(0.0)
            .from(LAN)
            .send(ends.client.segment().data(line))
            .judgement;
        assert!(lab.expected().is_empty(), "{line}");
    }
}

#[test]
fn announcements_without_end_leave_one_at_a_time() {
    let (mut lab, mut ends) = announced();
    for port in 0..200 {
        ends.client_says(&mut lab, 1.0, &format!("PORT 10,0,0,7,201,{port}\r\n"));
        ends.server_says(&mut lab, 1.0, "200 ok\r\n");
        assert_eq!(lab.expected().len(), 1);
    }
}

/// What a browser can be made to send (NAT slipstreaming): to a port without
/// an ALG it is text.
#[test]
fn a_form_that_is_posted_elsewhere_announces_nothing() {
    let mut lab = Lab::new(OFFICE);
    for (port, service) in (52_000u16..).zip(["80", "8080", "5060", "1720", "6667", "2121"]) {
        let (client, server) = (
            format!("10.0.0.7:{port}"),
            format!("198.51.100.9:{service}"),
        );
        let mut ends = Dialogue::ftp(&mut lab, 0.0, (LAN, &client), &server);
        for text in [
            "POST / HTTP/1.1\r\nHost: x\r\n\r\n",
            "PORT 10,0,0,7,200,10\r\n",
            "REGISTER sip:x SIP/2.0\r\nContact: <sip:x@10.0.0.7:22>\r\n\r\n",
        ] {
            assert_eq!(ends.client_says(&mut lab, 0.0, text), text);
        }
        assert!(lab.expected().is_empty());
    }
}
