//! The control stream after lines of it have changed their length: numbers,
//! repetitions, and what a lost packet leaves behind.

use spigate::engine::Reason;

use super::dialogue::{CLIENT_ISN, Dialogue};
use super::lab::{LAN, Lab, WAN};
use super::packets::tcp;
use super::policies::{OFFICE, by_lines};
use super::wants::{Told, drop_for, forward_to, reject_for};

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
fn t_ftp_seq_grow__both_ends_agree_after_a_line_grew() {
    let (mut lab, mut ftp) = masqueraded();
    assert_eq!(ftp.client_says(&mut lab, 1.0, LINE), LONGER);
    assert_eq!(ftp.server.awaits, ftp.client.next + GROWTH);
    for _ in 0..3 {
        assert_eq!(
            ftp.server_says(&mut lab, 2.0, "200 fine\r\n"),
            "200 fine\r\n"
        );
        assert_eq!(ftp.client_says(&mut lab, 2.0, "NOOP\r\n"), "NOOP\r\n");
    }
    ftp.client_says(&mut lab, 3.0, "QUIT\r\n");
    // The FIN's number moves, and its acknowledgement moves back.
    let fin = ftp.client.segment().fin();
    let want = forward_to(WAN)
        .source(PUBLIC)
        .seq(ftp.client.next + GROWTH)
        .state("fin-wait");
    let _ = lab.at(3.0).from(LAN).send(fin).expect(want);
    let ack = tcp(SERVER, PUBLIC)
        .seq(ftp.server.next)
        .ack(ftp.client.next + GROWTH + 1);
    let want = forward_to(LAN)
        .destination(CLIENT)
        .ack(ftp.client.next + 1)
        .state("close-wait");
    let _ = lab.at(3.0).from(WAN).send(ack).expect(want);
}

#[test]
fn t_ftp_seq_shrink__both_ends_agree_after_a_line_shrank() {
    let short = OFFICE
        .replace("203.0.113.2", "1.2.3.4")
        .replace("10.0.0.0/24", "192.168.100.0/24");
    let short = short.replace("\"10.0.0.1\"", "\"192.168.100.1\"");
    let mut lab = Lab::new(&by_lines(&short));
    let mut ftp = Dialogue::open(&mut lab, 0.0, (LAN, "192.168.100.107:51000"), SERVER);
    let heard = ftp.client_says(&mut lab, 1.0, "PORT 192,168,100,107,200,10\r\n");
    assert_eq!(heard, "PORT 1,2,3,4,200,10\r\n");
    assert_eq!(ftp.server.awaits, ftp.client.next - 8);
    assert_eq!(
        ftp.server_says(&mut lab, 2.0, "200 fine\r\n"),
        "200 fine\r\n"
    );
    assert_eq!(ftp.client_says(&mut lab, 2.0, "LIST\r\n"), "LIST\r\n");
    assert_eq!(
        ftp.server_says(&mut lab, 2.0, "150 here\r\n226 there\r\n"),
        "150 here\r\n226 there\r\n"
    );
}

#[test]
fn t_ftp_seq_many__late_acknowledgements_count_the_changes_before_them() {
    let (mut lab, mut ftp) = masqueraded();
    // After each line: what the server awaits, and what the client has sent.
    let mut marks = vec![(ftp.server.awaits, ftp.client.next)];
    for _ in 0..5 {
        ftp.client_says(&mut lab, 1.0, LINE);
        marks.push((ftp.server.awaits, ftp.client.next));
    }
    assert_eq!(ftp.server.awaits, ftp.client.next + 5 * GROWTH);
    for (heard, sent) in marks.iter().rev().chain(&marks) {
        let ack = tcp(SERVER, PUBLIC).seq(ftp.server.next).ack(*heard);
        let want = forward_to(LAN).destination(CLIENT).ack(*sent);
        let _ = lab.at(2.0).from(WAN).send(ack).expect(want);
    }
}

#[test]
fn t_ftp_seq_retx__a_repeated_line_gives_the_same_octets_however_it_is_cut() {
    let (mut lab, mut ftp) = masqueraded();
    let start = ftp.client.next;
    let segment = || ftp.client.segment().psh();
    let first = lab
        .at(1.0)
        .from(LAN)
        .send(segment().data(LINE))
        .forwarded
        .unwrap()
        .1;
    assert_eq!(first.text(), LONGER);
    let expected = lab.expected();
    let again = lab
        .at(1.5)
        .from(LAN)
        .send(segment().data(LINE))
        .forwarded
        .unwrap()
        .1;
    assert_eq!(again.bytes, first.bytes);
    // Merged with the next line.
    let merged = format!("{LINE}NOOP\r\n");
    let again = lab
        .at(1.6)
        .from(LAN)
        .send(segment().data(&merged))
        .forwarded
        .unwrap()
        .1;
    assert_eq!(again.text(), format!("{LONGER}NOOP\r\n"));
    assert_eq!(again.tcp().sequence_number, start);
    // Cut anywhere: the receiver puts together the same stream.
    for cut in 1..merged.len() {
        let mut received = vec![0u8; LONGER.len() + 6];
        for (offset, piece) in [(0, &merged[..cut]), (cut, &merged[cut..])] {
            let at = start + u32::try_from(offset).unwrap();
            let piece = segment().seq(at).data(piece);
            let seen = lab.at(2.0).from(LAN).send(piece).forwarded.unwrap().1;
            let offset = usize::try_from(seen.tcp().sequence_number - start).unwrap();
            let text = seen.text().into_bytes();
            received[offset..offset + text.len()].copy_from_slice(&text);
        }
        assert_eq!(
            String::from_utf8(received).unwrap(),
            format!("{LONGER}NOOP\r\n"),
            "cut at {cut}"
        );
    }
    assert_eq!(lab.expected(), expected, "no second hole");
    ftp.client.next = start + u32::try_from(merged.len()).unwrap();
    ftp.server.awaits = start + u32::try_from(LONGER.len() + 6).unwrap();
    assert_eq!(
        ftp.server_says(&mut lab, 3.0, "200 fine\r\n"),
        "200 fine\r\n"
    );
}

#[test]
fn t_ftp_seq_midack__half_of_a_changed_line_acknowledged_is_no_more_than_was_sent() {
    let (mut lab, mut ftp) = masqueraded();
    let start = ftp.client.next;
    ftp.client_says(&mut lab, 1.0, LINE);
    for n in 0..=u32::try_from(LONGER.len()).unwrap() {
        let ack = tcp(SERVER, PUBLIC).seq(ftp.server.next).ack(start + n);
        let seen = lab.at(2.0).from(WAN).send(ack).forwarded.unwrap().1;
        let acknowledged = seen.tcp().acknowledgment_number - start;
        assert!(acknowledged <= u32::try_from(LINE.len()).unwrap());
        // What the client then repeats from there completes the line.
        let rest = &LINE[usize::try_from(acknowledged).unwrap()..];
        let repeat = ftp.client.segment().seq(start + acknowledged).data(rest);
        let seen = lab.at(2.0).from(LAN).send(repeat).forwarded.unwrap().1;
        let from = seen.tcp().sequence_number - start;
        assert!(from <= n, "octets between {n} and {from} would be missing");
        assert_eq!(seen.text(), LONGER[usize::try_from(from).unwrap()..]);
    }
}

#[test]
fn t_ftp_seq_fin__a_line_on_the_last_segment_keeps_its_flags() {
    let (mut lab, mut ftp) = masqueraded();
    let last = ftp.client.segment().psh().fin().data(LINE);
    let want = forward_to(WAN)
        .source(PUBLIC)
        .text(LONGER)
        .state("fin-wait");
    let _ = lab.at(1.0).from(LAN).send(last).expect(want);
    let end = ftp.client.next + u32::try_from(LINE.len()).unwrap() + 1;
    let ack = tcp(SERVER, PUBLIC).seq(ftp.server.next).ack(end + GROWTH);
    let _ = lab
        .at(1.0)
        .from(WAN)
        .send(ack)
        .expect(forward_to(LAN).destination(CLIENT).ack(end));
    ftp.client.next = end;
}

#[test]
fn t_2018_shift__selective_acknowledgements_move_each_by_its_own_place() {
    let (mut lab, mut ftp) = masqueraded();
    let start = ftp.client.next;
    ftp.client_says(&mut lab, 1.0, LINE);
    let behind = ftp.client.next;
    ftp.client_says(&mut lab, 1.0, "NOOP\r\n");
    ftp.client_says(&mut lab, 1.0, LINE);
    let end = ftp.client.next;
    // Before all, between, and behind both changes; a duplicate first (RFC 2883).
    let as_server = [
        (start - 500, start - 400),
        (behind + GROWTH, behind + GROWTH + 6),
        (end + 2 * GROWTH, end + 2 * GROWTH + 9),
    ];
    let as_client = [
        (start - 500, start - 400),
        (behind, behind + 6),
        (end, end + 9),
    ];
    for blocks in 1..=3 {
        let ack = tcp(SERVER, PUBLIC)
            .seq(ftp.server.next)
            .ack(start)
            .sack(&as_server[..blocks]);
        let want = forward_to(LAN)
            .destination(CLIENT)
            .ack(start)
            .sack(&as_client[..blocks]);
        let _ = lab.at(2.0).from(WAN).send(ack).expect(want);
    }
    // No edge ends up in text that the client never sent.
    let inside = (start, start + u32::try_from(LONGER.len()).unwrap());
    let ack = tcp(SERVER, PUBLIC)
        .seq(ftp.server.next)
        .ack(start)
        .sack(&[inside]);
    let want = forward_to(LAN).destination(CLIENT).sack(&[(start, behind)]);
    let _ = lab.at(2.0).from(WAN).send(ack).expect(want);
    // The client's blocks are about the server's stream, which is as it was.
    let block = (ftp.server.next + 10, ftp.server.next + 20);
    let ack = ftp.client.segment().sack(&[block]);
    let want = forward_to(WAN)
        .source(PUBLIC)
        .seq(end + 2 * GROWTH)
        .sack(&[block]);
    let _ = lab.at(2.0).from(LAN).send(ack).expect(want);
}

#[test]
fn t_2018_len__a_sack_option_of_an_odd_length_is_left_alone() {
    let (mut lab, mut ftp) = masqueraded();
    ftp.client_says(&mut lab, 1.0, LINE);
    let end = ftp.client.next;
    for options in [
        &[5, 6, 0xff, 0xff, 0xff, 0xff, 1, 1][..],
        &[5, 2, 1, 1],
        &[5, 12, 0, 0, 0, 9, 0, 0, 0, 10, 9, 9],
        &[5, 40, 0, 0],
    ] {
        let ack = tcp(SERVER, PUBLIC)
            .seq(ftp.server.next)
            .ack(end + GROWTH)
            .tcp_options(options);
        let seen = lab.at(2.0).from(WAN).send(ack).forwarded.unwrap().1;
        assert_eq!(seen.tcp().acknowledgment_number, end);
        if options.len() < 12 {
            assert_eq!(seen.tcp().options.as_slice(), options);
        }
    }
}

#[test]
fn t_9293_wrap__numbers_beyond_two_to_the_32_are_neighbours_in_a_changed_stream() {
    // The line lies across the wrap, at every place.
    for before in 0..40u32 {
        let mut lab = Lab::new(&by_lines(OFFICE));
        let isn = 0u32.wrapping_sub(before);
        let client = || tcp(CLIENT, SERVER);
        let server = || tcp(SERVER, PUBLIC);
        let start = isn.wrapping_add(1);
        let outward = || forward_to(WAN).source(PUBLIC);
        let inward = || forward_to(LAN).destination(CLIENT);
        let _ = lab
            .at(0.0)
            .from(LAN)
            .send(client().syn().seq(isn))
            .expect(outward());
        let _ = lab
            .at(0.0)
            .from(WAN)
            .send(server().syn().seq(9).ack(start))
            .expect(inward());
        let _ = lab
            .at(0.0)
            .from(LAN)
            .send(client().seq(start).ack(10))
            .expect(outward());
        let line = client().seq(start).ack(10).data(LINE);
        let _ = lab
            .at(0.0)
            .from(LAN)
            .send(line)
            .expect(outward().text(LONGER));
        let end = start.wrapping_add(u32::try_from(LINE.len()).unwrap());
        let next = client().seq(end).ack(10).data("NOOP\r\n");
        let moved = end.wrapping_add(GROWTH);
        let _ = lab
            .at(0.0)
            .from(LAN)
            .send(next)
            .expect(outward().seq(moved));
        let ack = server()
            .seq(10)
            .ack(moved)
            .sack(&[(moved, moved.wrapping_add(6))]);
        let want = inward().ack(end).sack(&[(end, end.wrapping_add(6))]);
        let _ = lab.at(0.0).from(WAN).send(ack).expect(want);
    }
}

#[test]
fn t_3022_s4_2_odd__a_change_at_any_offset_leaves_right_checksums() {
    // The lab checks every checksum; the offsets of number options and of the
    // text are odd and even in turn.
    for spaces in 1..6 {
        let (mut lab, mut ftp) = masqueraded();
        let line = format!("PORT{}10,0,0,7,200,10\r\n", " ".repeat(spaces));
        ftp.client_says(&mut lab, 1.0, &line);
        for nops in 0..3 {
            let mut options = vec![1; nops];
            options.extend([5, 10]);
            options.extend(ftp.server.awaits.to_be_bytes());
            options.extend((ftp.server.awaits + 4).to_be_bytes());
            options.resize(16, 1);
            let ack = tcp(SERVER, PUBLIC)
                .seq(ftp.server.next)
                .ack(ftp.server.awaits);
            let seen = lab
                .at(2.0)
                .from(WAN)
                .send(ack.tcp_options(&options))
                .forwarded
                .unwrap()
                .1;
            let option = seen.tcp().options.as_slice()[nops + 2..nops + 6].to_vec();
            assert_eq!(option, ftp.client.next.to_be_bytes());
        }
    }
}

#[test]
fn t_1123_pipe__several_lines_in_one_segment_are_all_read() {
    let (mut lab, mut ftp) = masqueraded();
    let heard = ftp.client_says(&mut lab, 1.0, &format!("NOOP\r\n{LINE}LIST\r\n{LINE}"));
    assert_eq!(heard, format!("NOOP\r\n{LONGER}LIST\r\n{LONGER}"));
    assert_eq!(ftp.server.awaits, ftp.client.next + 2 * GROWTH);
    assert_eq!(
        ftp.server_says(&mut lab, 2.0, "200 fine\r\n"),
        "200 fine\r\n"
    );
}

#[test]
fn a_line_that_dies_here_leaves_no_trace() {
    let (mut lab, mut ftp) = masqueraded();
    let before = lab.snapshot();
    let dying = ftp.client.segment().data(LINE).ttl(1);
    let want = reject_for(Reason::TtlExpired).told(Told::Error(11, 0, "10.0.0.1"));
    let _ = lab.at(1.0).from(LAN).send(dying).expect(want);
    assert_eq!(lab.snapshot(), before);
    // Not even in what the reader remembers: another line in its place counts.
    let heard = ftp.client_says(&mut lab, 2.0, "PORT 10,0,0,7,200,99\r\n");
    assert_eq!(heard, "PORT 203,0,113,2,200,99\r\n");
    assert_eq!(
        lab.expected(),
        ["198.51.100.21 > 203.0.113.2:51299 = 10.0.0.7:51299"]
    );
}

#[test]
fn t_slip_csum__a_damaged_line_is_not_read() {
    let (mut lab, mut ftp) = masqueraded();
    let before = lab.snapshot();
    let mut damaged = ftp.client.segment().data(LINE).bytes();
    damaged[45] ^= 1;
    let _ = lab
        .at(1.0)
        .from(LAN)
        .send(damaged)
        .expect(drop_for(Reason::BadChecksum));
    let bad_flags = ftp.client.segment().syn().fin().data(LINE);
    let _ = lab
        .at(1.0)
        .from(LAN)
        .send(bad_flags)
        .expect(drop_for(Reason::TcpBadFlags));
    assert_eq!(lab.snapshot(), before);
    assert_eq!(ftp.client_says(&mut lab, 2.0, LINE), LONGER);
}

#[test]
fn t_4217_seq__changes_made_before_auth_count_to_the_end() {
    let (mut lab, mut ftp) = masqueraded();
    assert_eq!(ftp.client_says(&mut lab, 1.0, LINE), LONGER);
    ftp.server_says(&mut lab, 1.0, "200 fine\r\n");
    ftp.client_says(&mut lab, 2.0, "AUTH TLS\r\n");
    ftp.server_says(&mut lab, 2.0, "234 go on\r\n");
    for _ in 0..3 {
        // Looks like a line, and is not read: it is somebody's secret.
        assert_eq!(ftp.client_says(&mut lab, 3.0, LINE), LINE);
        assert_eq!(
            ftp.server_says(&mut lab, 3.0, "\x16\x03\x03"),
            "\x16\x03\x03"
        );
    }
    assert_eq!(ftp.server.awaits, ftp.client.next + GROWTH);
}

#[test]
fn t_3027_s2_1__what_follows_auth_is_never_rewritten() {
    let (mut lab, mut ftp) = masqueraded();
    ftp.client_says(&mut lab, 2.0, "AUTH TLS\r\n");
    ftp.server_says(&mut lab, 2.0, "234 go on\r\n");
    assert_eq!(ftp.client_says(&mut lab, 3.0, LINE), LINE);
    assert!(lab.expected().is_empty());
}

#[test]
fn more_changes_than_can_be_remembered_wait_for_acknowledgement() {
    let (mut lab, mut ftp) = masqueraded();
    // The server is silent; the client goes on announcing.
    let mut announced = 0;
    let refused = loop {
        let segment = ftp.client.segment().data(LINE);
        let sent = lab.at(1.0).from(LAN).send(segment);
        if sent.forwarded.is_none() {
            break sent;
        }
        announced += 1;
        ftp.client.next += u32::try_from(LINE.len()).unwrap();
        ftp.server.awaits += u32::try_from(LONGER.len()).unwrap();
        assert!(announced < 1000, "memory has a bound");
    };
    let _ = refused.expect(drop_for(Reason::AlgRefused).ct("established"));
    // As if lost: once the server has acknowledged, the repetition passes.
    assert_eq!(
        ftp.server_says(&mut lab, 2.0, "200 fine\r\n"),
        "200 fine\r\n"
    );
    assert_eq!(ftp.client_says(&mut lab, 3.0, LINE), LONGER);
    assert_eq!(
        ftp.server.awaits,
        ftp.client.next + (announced + 1) * GROWTH
    );
}

#[test]
fn a_repeated_syn_of_the_control_session_reads_nothing_twice() {
    let (mut lab, mut ftp) = masqueraded();
    assert_eq!(ftp.client_says(&mut lab, 1.0, LINE), LONGER);
    let syn = tcp(CLIENT, SERVER).syn().seq(CLIENT_ISN);
    assert!(lab.at(2.0).from(LAN).send(syn).forwarded.is_some());
    let again = ftp.client.segment().seq(CLIENT_ISN + 1).data(LINE);
    let seen = lab.at(2.0).from(LAN).send(again).forwarded.unwrap().1;
    assert_eq!(seen.text(), LONGER);
    assert_eq!(
        ftp.server_says(&mut lab, 3.0, "200 fine\r\n"),
        "200 fine\r\n"
    );
}

#[test]
fn a_syn_with_another_number_does_not_make_the_reader_lose_its_place() {
    let (mut lab, mut ftp) = masqueraded();
    assert_eq!(ftp.client_says(&mut lab, 1.0, LINE), LONGER);
    // Forged, or of a client that began anew: it passes, and the server
    // answers it with a challenge. The stream goes on where it was.
    for number in [7_000_000, CLIENT_ISN - 1, u32::MAX] {
        let forged = tcp(CLIENT, SERVER).syn().seq(number).data(LINE);
        assert!(lab.at(2.0).from(LAN).send(forged).forwarded.is_some());
    }
    assert_eq!(ftp.client_says(&mut lab, 3.0, "NOOP\r\n"), "NOOP\r\n");
    assert_eq!(ftp.client_says(&mut lab, 3.0, LINE), LONGER);
    assert_eq!(
        ftp.server_says(&mut lab, 3.0, "200 fine\r\n"),
        "200 fine\r\n"
    );
}
