//! How a line is written that could not stay as it was, and what lies before and
//! behind it.

use spigate::engine::Reason;

use super::dialogue::Dialogue;
use super::ftp_active::{CLIENT, SERVER, masqueraded};
use super::lab::{LAN, Lab, WAN};
use super::packets::tcp;
use super::policies::OFFICE;
use super::wants::{drop_for, forward_to};

const PUBLIC: &str = "203.0.113.2:51000";

#[test]
fn t_lnx_ftp_write__a_rewritten_eprt_or_229_keeps_its_delimiter() {
    let (mut lab, mut ftp) = masqueraded();
    for delimiter in ["|", "!", "#", "a", "~"] {
        let of = |address: &str| format!("EPRT |1|{address}|51210|\r\n").replace('|', delimiter);
        let heard = ftp.announces(&mut lab, 1.0, &of("10.0.0.7"));
        assert_eq!(heard, of("203.0.113.2"));
    }
    let mut lab = Lab::new(OFFICE);
    let mut passive = |client: &str, delimiter: &str| {
        let mut ftp = Dialogue::ftp(&mut lab, 1.0, (WAN, client), "203.0.113.2:21");
        ftp.client_says(&mut lab, 1.0, "EPSV\r\n");
        let reply = "229 Passive (|||50000|)\r\n".replace('|', delimiter);
        ftp.server_says(&mut lab, 1.0, &reply)
    };
    passive("198.51.100.9:40000", "|");
    // The same client's second session finds the port taken.
    for (client, delimiter) in [("198.51.100.9:40001", "!"), ("198.51.100.9:40002", "|")] {
        let heard = passive(client, delimiter);
        let start = "229 Passive (|||".replace('|', delimiter);
        let end = "|)\r\n".replace('|', delimiter);
        let port = heard.strip_prefix(&start).unwrap();
        let port: u16 = port.strip_suffix(&end).unwrap().parse().unwrap();
        assert!(port >= 1024 && port != 50000, "{heard}");
    }
}

#[test]
fn t_lnx_ftp_write__port_names_the_public_address_and_the_same_port_if_it_is_free() {
    let mut lab = Lab::new(OFFICE);
    let mut heard = Vec::new();
    for host in [7, 8] {
        let client = format!("10.0.0.{host}:51000");
        let mut ftp = Dialogue::ftp(&mut lab, 0.0, (LAN, &client), SERVER);
        heard.push(ftp.announces(&mut lab, 1.0, &format!("PORT 10,0,0,{host},200,10\r\n")));
    }
    assert_eq!(heard[0], "PORT 203,0,113,2,200,10\r\n");
    let numbers = heard[1].strip_prefix("PORT 203,0,113,2,").unwrap();
    let (high, low) = numbers.trim_end().split_once(',').unwrap();
    let port = high.parse::<u16>().unwrap() * 256 + low.parse::<u16>().unwrap();
    assert!(port >= 1024 && port != 51210, "{heard:?}");
}

#[test]
fn t_lnx_ftp_write__every_port_of_a_row_with_two_hundred_is_found_before_a_line_may_not_pass() {
    let rules = OFFICE.replace(
        r#"as = "masquerade" }"#,
        r#"as = "masquerade", ports = "20000-20199" }"#,
    );
    let mut lab = Lab::new(&format!("{rules}\n[alg.ftp]\nmax-expected = 8\n"));
    let mut clients: Vec<_> = (100..126)
        .map(|host| {
            let client = format!("10.0.0.{host}:51000");
            (host, Dialogue::ftp(&mut lab, 0.0, (LAN, &client), SERVER))
        })
        .collect();
    let (last, mut too_many) = clients.pop().unwrap();
    for (host, ftp) in &mut clients {
        for port in 0..8 {
            ftp.announces(&mut lab, 1.0, &format!("PORT 10,0,0,{host},200,{port}\r\n"));
        }
    }
    assert_eq!(lab.expected().len(), 200);
    let line = format!("PORT 10,0,0,{last},200,10\r\n");
    let segment = too_many.client.segment().data(&line);
    let want = drop_for(Reason::AlgRefused)
        .ct("established")
        .rule("lan-out");
    let _ = lab.at(2.0).from(LAN).send(segment).expect(want);
    // As if it were lost: repeated, it finds the ports of somebody who has left.
    let (_, first) = &mut clients[0];
    first.client_says(&mut lab, 3.0, "QUIT\r\n");
    first.server_says(&mut lab, 3.0, "221 bye\r\n");
    let heard = too_many.client_says(&mut lab, 4.0, &line);
    assert!(heard.starts_with("PORT 203,0,113,2,78,"), "{heard}");
    assert_eq!(lab.expected().len(), 193);
}

#[test]
fn t_lnx_ftp_seq__what_lies_before_each_of_three_changes_moves_by_those_before_it() {
    const LINE: &str = "PORT 10,0,0,7,200,10\r\n";
    const GROWTH: u32 = 3;
    let (mut lab, mut ftp) = masqueraded();
    // Where each NOOP begins that stands before, between and behind the changes.
    let mut marks = Vec::new();
    for changes in 0..=3 {
        marks.push((ftp.client.next, changes * GROWTH));
        ftp.client_says(&mut lab, 1.0, "NOOP\r\n");
        if changes < 3 {
            ftp.client_says(&mut lab, 1.0, LINE);
        }
    }
    for (at, growth) in marks {
        let repeated = ftp.client.segment().seq(at).data("NOOP\r\n");
        let want = forward_to(WAN).source(PUBLIC).seq(at + growth);
        let _ = lab.at(2.0).from(LAN).send(repeated).expect(want);
        let block = (at + growth, at + growth + 6);
        let ack = tcp(SERVER, PUBLIC)
            .seq(ftp.server.next)
            .ack(at + growth)
            .sack(&[block]);
        let want = forward_to(LAN)
            .destination(CLIENT)
            .ack(at)
            .sack(&[(at, at + 6)]);
        let _ = lab.at(2.0).from(WAN).send(ack).expect(want);
    }
}
