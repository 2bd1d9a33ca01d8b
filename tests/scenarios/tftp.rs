//! TFTP: the answer to a request comes from another port.

use spigate::engine::Reason;

use super::lab::{DMZ, LAN, Lab, WAN};
use super::packets::udp;
use super::policies::OFFICE;
use super::wants::{drop_for, forward_to};

const CLIENT: &str = "10.0.0.7:51000";
const SERVER: &str = "198.51.100.21:69";
const PUBLIC: &str = "203.0.113.2:51000";
const READ: &str = "\0\u{1}pxelinux.0\0octet\0";

fn office() -> Lab {
    let ftp = r#"ftp  = { tcp = 21, alg = "ftp" }"#;
    Lab::new(&OFFICE.replace(
        ftp,
        &format!("{ftp}\ntftp = {{ udp = 69, alg = \"tftp\" }}"),
    ))
}

#[test]
fn the_answer_to_a_request_comes_from_any_port_of_its_server_once() {
    for request in [READ, "\0\u{2}upload\0netascii\0blksize\u{0}1428\0"] {
        let mut lab = office();
        let asked = udp(CLIENT, SERVER).data(request);
        let _ = lab
            .at(0.0)
            .from(LAN)
            .send(asked)
            .expect(forward_to(WAN).source(PUBLIC));
        assert_eq!(
            lab.expected(),
            ["198.51.100.21 > 203.0.113.2:51000 = 10.0.0.7:51000"]
        );
        for stranger in ["198.51.100.22:40000", "192.0.2.9:69"] {
            let sent = lab.at(0.1).from(WAN).send(udp(stranger, PUBLIC));
            let _ = sent.expect(drop_for(Reason::DefaultPolicy));
        }
        let data = udp("198.51.100.21:40000", PUBLIC).data("\0\u{3}\0\u{1}octets");
        let want = forward_to(LAN)
            .destination(CLIENT)
            .ct("related")
            .rule("lan-out");
        let _ = lab
            .at(0.2)
            .from(WAN)
            .send(data)
            .expect(want.because(Reason::Expected));
        let ack = udp(CLIENT, "198.51.100.21:40000").data("\0\u{4}\0\u{1}");
        let want = forward_to(WAN).source(PUBLIC).ct("established");
        let _ = lab.at(0.3).from(LAN).send(ack).expect(want);
        let all = lab.engine.sessions().sorted();
        assert_eq!(all[1].origin.parent, Some(all[0].id));
        let second = udp("198.51.100.21:40001", PUBLIC).data("\0\u{3}\0\u{1}octets");
        let _ = lab
            .at(0.4)
            .from(WAN)
            .send(second)
            .expect(drop_for(Reason::DefaultPolicy));
    }
}

#[test]
fn a_request_that_is_repeated_is_answered_again() {
    let mut lab = office();
    for second in [0.0, 5.0, 10.0] {
        let asked = udp(CLIENT, SERVER).data(READ);
        let _ = lab
            .at(second)
            .from(LAN)
            .send(asked)
            .expect(forward_to(WAN).source(PUBLIC));
        assert_eq!(lab.expected().len(), 1);
    }
    let data = udp("198.51.100.21:40000", PUBLIC).data("\0\u{3}\0\u{1}octets");
    let _ = lab
        .at(11.0)
        .from(WAN)
        .send(data)
        .expect(forward_to(LAN).destination(CLIENT));
}

#[test]
fn what_is_no_request_announces_nothing() {
    for datagram in [
        "",
        "\0\u{3}\0\u{1}octets\0octet\0",
        "\0\u{1}pxelinux.0\0octet",
        "\0\u{1}\0octet\0",
        "PORT 10,0,0,7,200,10\r\n",
    ] {
        let mut lab = office();
        let sent = lab
            .at(0.0)
            .from(LAN)
            .send(udp(CLIENT, SERVER).data(datagram));
        let _ = sent.expect(forward_to(WAN).source(PUBLIC));
        assert!(lab.expected().is_empty(), "{datagram:?}");
    }
    // Nor does a request where no service has the ALG.
    let mut lab = Lab::new(OFFICE);
    let _ = lab.at(0.0).from(LAN).send(udp(CLIENT, SERVER).data(READ));
    assert!(lab.expected().is_empty());
}

#[test]
fn without_translation_the_answer_is_let_in_too() {
    let mut lab = office();
    let server = "10.0.9.21:69";
    let asked = udp(CLIENT, server).data(READ);
    let _ = lab.at(0.0).from(LAN).send(asked).expect(forward_to(DMZ));
    let data = udp("10.0.9.21:40000", CLIENT).data("\0\u{3}\0\u{1}octets");
    let _ = lab
        .at(0.2)
        .from(DMZ)
        .send(data)
        .expect(forward_to(LAN).ct("related"));
}

#[test]
fn a_request_dies_with_its_session() {
    let mut lab = office();
    let _ = lab.at(0.0).from(LAN).send(udp(CLIENT, SERVER).data(READ));
    lab.wait_until(31.0);
    assert!(lab.expected().is_empty() && lab.table().is_empty());
}
