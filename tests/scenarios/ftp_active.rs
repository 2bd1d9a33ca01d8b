//! FTP in active mode: the client awaits the data session (PORT, EPRT).

use spigate::engine::Reason;

use super::dialogue::Dialogue;
use super::lab::{DMZ, LAN, Lab, WAN};
use super::packets::tcp;
use super::policies::{OFFICE, PLAIN};
use super::wants::forward_to;

pub(crate) const CLIENT: &str = "10.0.0.7:51000";
pub(crate) const SERVER: &str = "198.51.100.21:21";
pub(crate) const DATA: &str = "198.51.100.21:20";

/// A masqueraded client's control session.
pub(crate) fn masqueraded() -> (Lab, Dialogue) {
    let mut lab = Lab::new(OFFICE);
    let mut ftp = Dialogue::ftp(&mut lab, 0.0, (LAN, CLIENT), SERVER);
    assert_eq!(
        ftp.server_says(&mut lab, 0.0, "220 ready\r\n"),
        "220 ready\r\n"
    );
    (lab, ftp)
}

/// The server opens the data session; gives its first packet's outcome.
pub(crate) fn data_syn(lab: &mut Lab, at: f64, from: &str, to: &str) -> super::lab::Sent {
    lab.at(at).from(WAN).send(tcp(from, to).syn().seq(1))
}

#[test]
fn t_959_port__the_line_names_the_public_endpoint_and_the_server_reaches_the_client() {
    let (mut lab, mut ftp) = masqueraded();
    let heard = ftp.announces(&mut lab, 1.0, "PORT 10,0,0,7,200,10\r\n");
    assert_eq!(heard, "PORT 203,0,113,2,200,10\r\n");
    assert_eq!(
        lab.expected(),
        ["198.51.100.21 > 203.0.113.2:51210 = 10.0.0.7:51210"]
    );
    let control = lab.session().id;
    let syn = data_syn(&mut lab, 2.0, DATA, "203.0.113.2:51210");
    let want = forward_to(LAN)
        .destination("10.0.0.7:51210")
        .ct("related")
        .state("syn-sent");
    let _ = syn.expect(want.because(Reason::Expected).rule("lan-out"));
    assert!(lab.expected().is_empty());
    let data = lab.engine.sessions().sorted()[1].clone();
    assert_eq!(data.origin.parent, Some(control));
    assert_eq!(data.origin.alg, None);

    let answer = tcp("10.0.0.7:51210", DATA).syn().seq(9).ack(2);
    let want = forward_to(WAN)
        .source("203.0.113.2:51210")
        .ct("established")
        .rule("lan-out");
    let _ = lab
        .at(2.0)
        .from(LAN)
        .send(answer)
        .expect(want.because(Reason::Session));
    let ack = tcp(DATA, "203.0.113.2:51210")
        .seq(2)
        .ack(10)
        .data("a listing");
    let want = forward_to(LAN)
        .destination("10.0.0.7:51210")
        .state("established");
    let _ = lab.at(2.0).from(WAN).send(ack).expect(want);
    assert_eq!(
        ftp.server_says(&mut lab, 3.0, "200 done\r\n"),
        "200 done\r\n"
    );
}

#[test]
fn t_2428_eprt_v4__an_eprt_keeps_its_delimiter() {
    let (mut lab, mut ftp) = masqueraded();
    let heard = ftp.announces(&mut lab, 1.0, "EPRT !1!10.0.0.7!51210!\r\n");
    assert_eq!(heard, "EPRT !1!203.0.113.2!51210!\r\n");
    let syn = data_syn(&mut lab, 2.0, DATA, "203.0.113.2:51210");
    let _ = syn.expect(forward_to(LAN).destination("10.0.0.7:51210").ct("related"));
}

#[test]
fn t_2428_eprt_v6__without_translation_the_line_stays() {
    let mut lab = Lab::new(PLAIN);
    let (client, server) = ("[2001:db8:10::7]:51000", "[2001:db8:5::21]:21");
    let mut ftp = Dialogue::ftp(&mut lab, 0.0, (LAN, client), server);
    for spelling in ["2001:db8:10::7", "2001:DB8:10:0:0:0:0:7"] {
        let line = format!("EPRT |2|{spelling}|51210|\r\n");
        assert_eq!(ftp.announces(&mut lab, 1.0, &line), line);
        assert_eq!(
            lab.expected(),
            ["2001:db8:5::21 > [2001:db8:10::7]:51210 = [2001:db8:10::7]:51210"]
        );
    }
    let syn = tcp("[2001:db8:5::21]:20", "[2001:db8:10::7]:51210").syn();
    let _ = lab
        .at(2.0)
        .from(WAN)
        .send(syn)
        .expect(forward_to(LAN).ct("related"));
    let other = "EPRT |2|2001:db8:10::8|51210|\r\n";
    assert_eq!(ftp.client_says(&mut lab, 3.0, other), other);
    assert!(lab.expected().is_empty());
}

#[test]
fn an_eprt_of_a_masqueraded_ipv6_client_names_the_public_address() {
    let mut lab = Lab::new(OFFICE);
    let (client, server) = ("[2001:db8:10::7]:51000", "[2001:db8:5::21]:21");
    let mut ftp = Dialogue::ftp(&mut lab, 0.0, (LAN, client), server);
    let heard = ftp.announces(&mut lab, 1.0, "EPRT |2|2001:db8:10::7|51210|\r\n");
    assert_eq!(
        heard,
        format!("EPRT |2|{}|51210|\r\n", super::policies::PUBLIC_V6)
    );
    let syn = tcp("[2001:db8:5::21]:20", "[2001:db8:ff::2]:51210").syn();
    let want = forward_to(LAN)
        .destination("[2001:db8:10::7]:51210")
        .ct("related");
    let _ = lab.at(2.0).from(WAN).send(syn).expect(want);
    assert_eq!(
        ftp.server_says(&mut lab, 3.0, "200 done\r\n"),
        "200 done\r\n"
    );
}

#[test]
fn without_translation_a_port_line_stays_and_opens_the_one_data_session() {
    let mut lab = Lab::new(PLAIN);
    let mut ftp = Dialogue::ftp(&mut lab, 0.0, (LAN, CLIENT), SERVER);
    let line = "PORT 10,0,0,7,200,10\r\n";
    assert_eq!(ftp.announces(&mut lab, 1.0, line), line);
    let sent = data_syn(&mut lab, 2.0, DATA, "10.0.0.7:51210");
    let _ = sent.expect(forward_to(LAN).ct("related").because(Reason::Expected));
}

#[test]
fn t_959_port_out__a_published_servers_data_session_leaves_with_its_public_address() {
    let mut lab = Lab::new(OFFICE);
    let client = (WAN, "198.51.100.9:40000");
    let mut ftp = Dialogue::ftp(&mut lab, 0.0, client, "203.0.113.2:21");
    assert_eq!(ftp.server.own, "10.0.9.21:21");
    let line = "PORT 198,51,100,9,200,10\r\n";
    assert_eq!(ftp.announces(&mut lab, 1.0, line), line);
    assert_eq!(
        lab.expected(),
        ["10.0.9.21 > 198.51.100.9:51210 = 198.51.100.9:51210"]
    );
    let syn = tcp("10.0.9.21:20", "198.51.100.9:51210").syn();
    let want = forward_to(WAN)
        .source("203.0.113.2:20")
        .ct("related")
        .rule("pub-ftp");
    let _ = lab.at(2.0).from(DMZ).send(syn).expect(want);
    let answer = tcp("198.51.100.9:51210", "203.0.113.2:20").syn().ack(1001);
    let _ = lab
        .at(2.0)
        .from(WAN)
        .send(answer)
        .expect(forward_to(DMZ).destination("10.0.9.21:20"));
}
