//! FTP in passive mode: the server awaits the data session (PASV, EPSV).

use spigate::engine::Reason;

use super::dialogue::Dialogue;
use super::lab::{DMZ, LAN, Lab, WAN};
use super::packets::tcp;
use super::policies::{OFFICE, PLAIN};
use super::wants::{drop_for, forward_to};

const CLIENT: &str = "10.0.0.7:51000";
const SERVER: &str = "198.51.100.21:21";

/// Nothing may leave but the control session: a data session passes only if
/// it was announced.
const STRICT: &str = r#"{ id = "lan-out", service = "ftp", "#;

fn strict() -> String {
    OFFICE.replace(r#"{ id = "lan-out",     "#, STRICT)
}

#[test]
fn t_959_227_in__an_outside_servers_data_session_needs_no_rule() {
    let mut lab = Lab::new(&strict());
    let mut ftp = Dialogue::ftp(&mut lab, 0.0, (LAN, CLIENT), SERVER);
    let data = || tcp("10.0.0.7:51001", "198.51.100.21:40000").syn();
    let _ = lab
        .at(0.5)
        .from(LAN)
        .send(data())
        .expect(drop_for(Reason::DefaultPolicy));
    ftp.client_says(&mut lab, 1.0, "PASV\r\n");
    let reply = "227 Entering Passive Mode (198,51,100,21,156,64).\r\n";
    assert_eq!(ftp.server_says(&mut lab, 1.0, reply), reply);
    assert_eq!(
        lab.expected(),
        ["10.0.0.7 > 198.51.100.21:40000 = 198.51.100.21:40000"]
    );
    let want = forward_to(WAN)
        .source("203.0.113.2:51001")
        .ct("related")
        .rule("lan-out");
    let _ = lab
        .at(2.0)
        .from(LAN)
        .send(data())
        .expect(want.because(Reason::Expected));
    let answer = tcp("198.51.100.21:40000", "203.0.113.2:51001")
        .syn()
        .ack(1001);
    let _ = lab
        .at(2.0)
        .from(WAN)
        .send(answer)
        .expect(forward_to(LAN).destination("10.0.0.7:51001"));
    let other = tcp("10.0.0.7:51002", "198.51.100.21:40000").syn();
    let _ = lab
        .at(3.0)
        .from(LAN)
        .send(other)
        .expect(drop_for(Reason::DefaultPolicy));
}

#[test]
fn t_2428_229__a_port_alone_is_at_the_control_sessions_peer() {
    let mut lab = Lab::new(&strict());
    let mut ftp = Dialogue::ftp(&mut lab, 0.0, (LAN, CLIENT), SERVER);
    ftp.client_says(&mut lab, 1.0, "EPSV\r\n");
    let reply = "229 Entering Extended Passive Mode (|||40000|)\r\n";
    assert_eq!(ftp.server_says(&mut lab, 1.0, reply), reply);
    let data = tcp("10.0.0.7:51001", "198.51.100.21:40000").syn();
    let want = forward_to(WAN).source("203.0.113.2:51001").ct("related");
    let _ = lab.at(2.0).from(LAN).send(data).expect(want);
}

#[test]
fn in_ipv6_without_translation_epsv_opens_what_the_reply_names() {
    let mut lab = Lab::new(PLAIN);
    let mut ftp = Dialogue::ftp(&mut lab, 0.0, (WAN, "198.51.100.9:40000"), "10.0.0.21:21");
    ftp.client_says(&mut lab, 1.0, "EPSV\r\n");
    ftp.server_says(
        &mut lab,
        1.0,
        "229 Extended Passive Mode OK (|||50000|)\r\n",
    );
    let data = || tcp("198.51.100.9:40001", "10.0.0.21:50000").syn();
    let _ = lab
        .at(2.0)
        .from(WAN)
        .send(data())
        .expect(forward_to(LAN).ct("related").rule("in-ftp"));
    let closed = tcp("198.51.100.9:40001", "10.0.0.21:50001").syn();
    let _ = lab
        .at(2.0)
        .from(WAN)
        .send(closed)
        .expect(drop_for(Reason::Rule).rule("silent"));
    let v6 = PLAIN.replace(r#"dst = "10.0.0.21""#, r#"dst = "2001:db8:10::21""#);
    let mut lab = Lab::new(&v6);
    let (client, server) = ("[2001:db8:5::9]:40000", "[2001:db8:10::21]:21");
    let mut ftp = Dialogue::ftp(&mut lab, 0.0, (WAN, client), server);
    ftp.client_says(&mut lab, 1.0, "EPSV\r\n");
    ftp.server_says(&mut lab, 1.0, "229 ok (|||50000|)\r\n");
    let data = tcp("[2001:db8:5::9]:40001", "[2001:db8:10::21]:50000").syn();
    let _ = lab
        .at(2.0)
        .from(WAN)
        .send(data)
        .expect(forward_to(LAN).ct("related"));
}

/// A client outside of the published server.
fn published() -> (Lab, Dialogue) {
    let mut lab = Lab::new(OFFICE);
    let ftp = Dialogue::ftp(&mut lab, 0.0, (WAN, "198.51.100.9:40000"), "203.0.113.2:21");
    (lab, ftp)
}

#[test]
fn t_959_227_dnat__a_published_servers_reply_names_the_public_endpoint() {
    let (mut lab, mut ftp) = published();
    ftp.client_says(&mut lab, 1.0, "PASV\r\n");
    let heard = ftp.server_says(
        &mut lab,
        1.0,
        "227 Entering Passive Mode (10,0,9,21,195,80).\r\n",
    );
    assert_eq!(heard, "227 Entering Passive Mode (203,0,113,2,195,80).\r\n");
    assert_eq!(
        lab.expected(),
        ["198.51.100.9 > 203.0.113.2:50000 = 10.0.9.21:50000"]
    );
    let stranger = tcp("198.51.100.10:40001", "203.0.113.2:50000").syn();
    let _ = lab
        .at(2.0)
        .from(WAN)
        .send(stranger)
        .expect(drop_for(Reason::DefaultPolicy));
    let data = tcp("198.51.100.9:40001", "203.0.113.2:50000").syn();
    let want = forward_to(DMZ)
        .destination("10.0.9.21:50000")
        .ct("related")
        .rule("pub-ftp");
    let _ = lab.at(2.0).from(WAN).send(data).expect(want);
    let answer = tcp("10.0.9.21:50000", "198.51.100.9:40001").syn().ack(1001);
    let _ = lab
        .at(2.0)
        .from(DMZ)
        .send(answer)
        .expect(forward_to(WAN).source("203.0.113.2:50000"));
    assert_eq!(ftp.client_says(&mut lab, 3.0, "LIST\r\n"), "LIST\r\n");
}

#[test]
fn t_ftp_len__a_file_may_say_how_long_a_line_is_read() {
    for (setting, named) in [("", "10,0,9,21"), ("longest-line = 4096", "203,0,113,2")] {
        let mut lab = Lab::new(&format!("{OFFICE}\n[alg.ftp]\n{setting}\n"));
        let client = (WAN, "198.51.100.9:40000");
        let mut ftp = Dialogue::ftp(&mut lab, 0.0, client, "203.0.113.2:21");
        ftp.client_says(&mut lab, 1.0, "PASV\r\n");
        let text = "welcome to the passive mode ".repeat(40);
        for part in ["227 ", &text, &text, &text] {
            assert_eq!(ftp.server_says(&mut lab, 1.0, part), part);
        }
        let heard = ftp.server_says(&mut lab, 1.0, "(10,0,9,21,195,80).\r\n");
        assert_eq!(heard, format!("({named},195,80).\r\n"));
        assert_eq!(lab.expected().is_empty(), setting.is_empty());
        assert_eq!(ftp.client_says(&mut lab, 2.0, "NOOP\r\n"), "NOOP\r\n");
    }
}

#[test]
fn t_2428_229_dnat__a_free_port_stays_and_a_taken_one_is_rewritten_alone() {
    let (mut lab, mut first) = published();
    first.client_says(&mut lab, 1.0, "EPSV\r\n");
    let reply = "229 Entering Extended Passive Mode (|||50000|)\r\n";
    assert_eq!(first.server_says(&mut lab, 1.0, reply), reply);
    // The same client in a second session is given the same port again.
    let mut second = Dialogue::ftp(&mut lab, 1.0, (WAN, "198.51.100.9:40010"), "203.0.113.2:21");
    second.client_says(&mut lab, 2.0, "EPSV\r\n");
    let heard = second.server_says(&mut lab, 2.0, reply);
    assert_ne!(heard, reply);
    let port: u16 = heard
        .trim_start_matches("229 Entering Extended Passive Mode (|||")
        .trim_end_matches("|)\r\n")
        .parse()
        .unwrap();
    let data = tcp("198.51.100.9:40011", &format!("203.0.113.2:{port}")).syn();
    let _ = lab
        .at(3.0)
        .from(WAN)
        .send(data)
        .expect(forward_to(DMZ).destination("10.0.9.21:50000"));
}

#[test]
fn t_959_227_other__an_address_of_a_third_host_opens_nothing() {
    let mut lab = Lab::new(&strict());
    let mut ftp = Dialogue::ftp(&mut lab, 0.0, (LAN, CLIENT), SERVER);
    for other in ["10,0,0,8", "192,0,2,9", "203,0,113,2", "127,0,0,1"] {
        ftp.client_says(&mut lab, 1.0, "PASV\r\n");
        let reply = format!("227 Entering Passive Mode ({other},156,64)\r\n");
        assert_eq!(ftp.server_says(&mut lab, 1.0, &reply), reply);
        assert!(lab.expected().is_empty());
    }
}

#[test]
fn t_959_227_unasked__a_reply_that_nobody_asked_for_opens_nothing() {
    let mut lab = Lab::new(&strict());
    let mut ftp = Dialogue::ftp(&mut lab, 0.0, (LAN, CLIENT), SERVER);
    let reply = "227 Entering Passive Mode (198,51,100,21,156,64)\r\n";
    assert_eq!(ftp.server_says(&mut lab, 1.0, reply), reply);
    assert!(lab.expected().is_empty());
    ftp.client_says(&mut lab, 2.0, "PASV\r\n");
    ftp.server_says(&mut lab, 2.0, reply);
    assert_eq!(lab.expected().len(), 1);
}

#[test]
fn t_slip_227__a_hostile_server_opens_neither_low_ports_nor_other_hosts() {
    let mut lab = Lab::new(&strict());
    let mut ftp = Dialogue::ftp(&mut lab, 0.0, (LAN, CLIENT), SERVER);
    for reply in [
        "227 (198,51,100,21,0,22)\r\n",
        "227 (10,0,0,8,200,10)\r\n",
        "229 (|||22|)\r\n",
    ] {
        ftp.client_says(&mut lab, 1.0, "PASV\r\n");
        assert_eq!(ftp.server_says(&mut lab, 1.0, reply), reply);
        assert!(lab.expected().is_empty());
    }
}

#[test]
fn t_1579_fall__a_refused_pasv_opens_nothing_and_port_works_afterwards() {
    let mut lab = Lab::new(OFFICE);
    let mut ftp = Dialogue::ftp(&mut lab, 0.0, (LAN, CLIENT), SERVER);
    for command in ["EPSV\r\n", "PASV\r\n"] {
        ftp.client_says(&mut lab, 1.0, command);
        ftp.server_says(&mut lab, 1.0, "502 no\r\n");
        ftp.server_says(&mut lab, 1.0, "227 (198,51,100,21,156,64)\r\n");
        assert!(lab.expected().is_empty());
    }
    let heard = ftp.announces(&mut lab, 2.0, "PORT 10,0,0,7,200,10\r\n");
    assert_eq!(heard, "PORT 203,0,113,2,200,10\r\n");
}

#[test]
fn t_lnx_ftp_third__a_third_partys_line_stays_and_opens_nothing() {
    let mut lab = Lab::new(OFFICE);
    let mut ftp = Dialogue::ftp(&mut lab, 0.0, (LAN, CLIENT), SERVER);
    let line = "PORT 192,0,2,9,200,10\r\n";
    assert_eq!(ftp.announces(&mut lab, 1.0, line), line);
    assert!(lab.expected().is_empty());
}
