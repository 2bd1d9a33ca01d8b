//! The windows of a control session whose lines change their length, and what
//! forged segments of it do to the ALG: nothing.

use spigate::engine::Reason;

use super::dialogue::{Dialogue, forwarded};
use super::lab::{LAN, Lab, WAN};
use super::packets::tcp;
use super::policies::{OFFICE, by_lines};
use super::wants::{drop_for, forward_to};

const CLIENT: &str = "10.0.0.7:51000";
const PUBLIC: &str = "203.0.113.2:51000";
const SERVER: &str = "198.51.100.21:21";
const LINE: &str = "PORT 10,0,0,7,200,10\r\n";
const LONGER: &str = "PORT 203,0,113,2,200,10\r\n";
/// By how much it grows.
const GROWTH: u32 = 3;

fn masqueraded() -> (Lab, Dialogue) {
    let mut lab = Lab::new(&by_lines(OFFICE));
    let ftp = Dialogue::open(&mut lab, 0.0, (LAN, CLIENT), SERVER);
    (lab, ftp)
}

#[test]
fn t_ftp_seq_grow__acknowledgements_of_longer_lines_fit_the_windows() {
    let (mut lab, mut ftp) = masqueraded();
    for _ in 0..50 {
        assert_eq!(ftp.client_says(&mut lab, 1.0, LINE), LONGER);
        assert_eq!(ftp.server_says(&mut lab, 1.0, "200 ok\r\n"), "200 ok\r\n");
    }
    assert_eq!(ftp.server.awaits, ftp.client.next + 50 * GROWTH);
    // One octet more than the server heard: nobody said it.
    let ahead = ftp.server.segment().ack(ftp.server.awaits + 1);
    let want = drop_for(Reason::TcpOutOfWindow).ct("invalid");
    let _ = lab.at(2.0).from(WAN).send(ahead).expect(want);
    // And the server's stream is as it was.
    let ahead = ftp.client.segment().ack(ftp.client.awaits + 1);
    let want = drop_for(Reason::TcpOutOfWindow).ct("invalid");
    let _ = lab.at(2.0).from(LAN).send(ahead).expect(want);
    assert_eq!(ftp.client_says(&mut lab, 3.0, LINE), LONGER);
}

#[test]
fn t_ftp_seq_shrink__acknowledgements_of_shorter_lines_fit_the_windows() {
    let short = OFFICE
        .replace("203.0.113.2", "1.2.3.4")
        .replace("10.0.0.0/24", "192.168.100.0/24")
        .replace("\"10.0.0.1\"", "\"192.168.100.1\"");
    let mut lab = Lab::new(&by_lines(&short));
    let mut ftp = Dialogue::open(&mut lab, 0.0, (LAN, "192.168.100.107:51000"), SERVER);
    for _ in 0..50 {
        let heard = ftp.client_says(&mut lab, 1.0, "PORT 192,168,100,107,200,10\r\n");
        assert_eq!(heard, "PORT 1,2,3,4,200,10\r\n");
        assert_eq!(ftp.server_says(&mut lab, 1.0, "200 ok\r\n"), "200 ok\r\n");
    }
    let ahead = ftp.server.segment().ack(ftp.server.awaits + 1);
    let want = drop_for(Reason::TcpOutOfWindow).ct("invalid");
    let _ = lab.at(2.0).from(WAN).send(ahead).expect(want);
}

#[test]
fn t_2018_shift__selective_acknowledgements_of_longer_lines_fit_the_windows() {
    const SACK_PERMITTED: [u8; 4] = [4, 2, 1, 1];
    let mut lab = Lab::new(&by_lines(OFFICE));
    let client = || tcp(CLIENT, SERVER);
    let server = || tcp(SERVER, PUBLIC);
    let outward = || forward_to(WAN).source(PUBLIC);
    let inward = || forward_to(LAN).destination(CLIENT);
    let syn = client().syn().seq(1000).tcp_options(&SACK_PERMITTED);
    let _ = lab.at(0.0).from(LAN).send(syn).expect(outward());
    let syn_ack = server().syn().seq(5000).ack(1001);
    let syn_ack = syn_ack.tcp_options(&SACK_PERMITTED);
    let _ = lab.at(0.0).from(WAN).send(syn_ack).expect(inward());
    let ack = client().seq(1001).ack(5001);
    let _ = lab.at(0.0).from(LAN).send(ack).expect(outward());
    let size = u32::try_from(LINE.len()).unwrap();
    let (mut next, mut heard) = (1001, 1001);
    for _ in 0..4 {
        let line = client().seq(next).ack(5001).data(LINE);
        let want = outward().seq(heard).text(LONGER);
        let _ = lab.at(1.0).from(LAN).send(line).expect(want);
        next += size;
        heard += size + GROWTH;
        // The first line was lost behind the gateway: all others are there.
        let first = 1001 + size + GROWTH;
        if heard > first {
            let ack = server().seq(5001).ack(1001).sack(&[(first, heard)]);
            let want = inward().sack(&[(1001 + size, next)]);
            let _ = lab.at(1.0).from(WAN).send(ack).expect(want);
        }
        let forged = server().seq(5001).ack(1001).sack(&[(first, heard + 1)]);
        let want = drop_for(Reason::TcpOutOfWindow).ct("invalid");
        let _ = lab.at(1.0).from(WAN).send(forged).expect(want);
    }
}

#[test]
fn a_forged_segment_far_ahead_does_not_make_the_reader_lose_its_place() {
    let (mut lab, mut ftp) = masqueraded();
    assert_eq!(ftp.client_says(&mut lab, 1.0, LINE), LONGER);
    for far in [200_000, 10_000_000, 0x7000_0000] {
        for text in ["x", LINE, "\r\nPORT 10,0,0,7,200,99\r\n"] {
            let segment = ftp.client.segment();
            let forged = segment.seq(ftp.client.next + far).data(text);
            let want = drop_for(Reason::TcpOutOfWindow).ct("invalid");
            let _ = lab.at(2.0).from(LAN).send(forged).expect(want);
            let segment = ftp.server.segment();
            let forged = segment.seq(ftp.server.next + far).data(text);
            let want = drop_for(Reason::TcpOutOfWindow).ct("invalid");
            let _ = lab.at(2.0).from(WAN).send(forged).expect(want);
        }
    }
    assert_eq!(ftp.client_says(&mut lab, 3.0, LINE), LONGER);
    assert_eq!(ftp.server_says(&mut lab, 3.0, "200 ok\r\n"), "200 ok\r\n");
    // The server's stream is read as before, too.
    ftp.client_says(&mut lab, 4.0, "PASV\r\n");
    ftp.server_says(
        &mut lab,
        4.0,
        "227 Entering Passive Mode (198,51,100,21,200,1)\r\n",
    );
    assert_eq!(
        lab.expected(),
        ["10.0.0.7 > 198.51.100.21:51201 = 198.51.100.21:51201"]
    );
}

#[test]
fn a_forged_acknowledgement_does_not_make_the_alg_forget_a_change() {
    let (mut lab, mut ftp) = masqueraded();
    assert_eq!(ftp.client_says(&mut lab, 1.0, LINE), LONGER);
    for ahead in [1, 1000, 10_000_000] {
        let forged = ftp.server.segment().ack(ftp.server.awaits + ahead);
        let want = drop_for(Reason::TcpOutOfWindow).ct("invalid");
        let _ = lab.at(2.0).from(WAN).send(forged).expect(want);
    }
    // The line was lost behind the gateway, and comes again: the same octets.
    let start = ftp.client.next - u32::try_from(LINE.len()).unwrap();
    let again = ftp.client.segment().seq(start).data(LINE);
    let want = forward_to(WAN).source(PUBLIC).seq(start).text(LONGER);
    let _ = lab.at(3.0).from(LAN).send(again).expect(want);
}

#[test]
fn t_1337_old__the_alg_reads_no_old_duplicate_on_a_tuple_that_is_used_again() {
    // The new connection begins a little further on than the old one ended.
    let (client, server) = ("10.0.0.7:51000", "198.51.100.21:21");
    let mut lab = Lab::new(&by_lines(OFFICE));
    let mut ftp = Dialogue::open(&mut lab, 0.0, (LAN, client), server);
    let old = ftp.client.segment().psh().data("PORT 10,0,0,7,200,10\r\n");
    let fin = ftp.client.segment().fin();
    let _ = forwarded(lab.at(1.0).from(LAN).send(fin));
    ftp.client.next += 1;
    ftp.server.awaits += 1;
    let fin = ftp.server.segment().fin();
    let _ = forwarded(lab.at(1.0).from(WAN).send(fin));
    ftp.server.next += 1;
    ftp.client.awaits += 1;
    let _ = forwarded(lab.at(1.0).from(LAN).send(ftp.client.segment()));
    assert_eq!(lab.session().state().name(), "time-wait");

    for further in [1000, 100_000] {
        ftp.client.next += further;
        let syn = tcp(client, server).syn().seq(ftp.client.next);
        let _ = forwarded(lab.at(2.0).from(LAN).send(syn));
        ftp.client.next += 1;
        ftp.server.awaits = ftp.client.next;
        let _ = forwarded(lab.at(2.0).from(WAN).send(ftp.server.segment().syn()));
        ftp.server.next += 1;
        ftp.client.awaits = ftp.server.next;
        let _ = forwarded(lab.at(2.0).from(LAN).send(ftp.client.segment()));

        let before = lab.session();
        let sent = lab.at(3.0).from(LAN).send(old.clone());
        assert!(sent.events.is_empty(), "{:?}", sent.events);
        assert!(lab.expected().is_empty(), "an old line opens nothing");
        let after = lab.session();
        assert_eq!(after.state(), before.state());
        // And what is said now is read as ever.
        let mut now = ftp.clone();
        let heard = now.client_says(&mut lab, 3.0, "NOOP\r\n");
        assert_eq!(heard, "NOOP\r\n");
        let _ = forwarded(lab.at(4.0).from(WAN).send(now.server.segment().rst()));
        ftp = now;
        assert_eq!(lab.session().state().name(), "close");
        let reset = tcp(client, server).rst().seq(ftp.client.next);
        let _ = forwarded(lab.at(4.0).from(LAN).send(reset));
    }
}
