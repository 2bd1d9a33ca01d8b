//! Control lines that come in pieces, out of order, twice, or in two versions,
//! through a translating gateway.

use spigate::engine::{Reason, Verdict};

use super::dialogue::Dialogue;
use super::lab::{LAN, Lab, Sent, WAN};
use super::packets::{Packet, tcp};
use super::policies::{OFFICE, by_lines};
use super::seen::{Seen, Sums};
use super::wants::{drop_for, forward_to, hold};

const CLIENT: &str = "10.0.0.7:51000";
const PUBLIC: &str = "203.0.113.2:51000";
const SERVER: &str = "198.51.100.21:21";
const LINE: &str = "PORT 10,0,0,7,200,10\r\n";
const LONGER: &str = "PORT 203,0,113,2,200,10\r\n";
const HOLE: &str = "198.51.100.21 > 203.0.113.2:51210 = 10.0.0.7:51210";

/// A dialogue, and what the server has put together of the client's stream.
struct Heard {
    lab: Lab,
    ftp: Dialogue,
    start: u32,
    octets: Vec<Option<u8>>,
}

impl Heard {
    fn new() -> Self {
        Self::by(OFFICE)
    }

    fn by(rules: &str) -> Self {
        let mut lab = Lab::new(&by_lines(rules));
        let ftp = Dialogue::open(&mut lab, 0.0, (LAN, CLIENT), SERVER);
        let start = ftp.client.next;
        let octets = Vec::new();
        Self {
            lab,
            ftp,
            start,
            octets,
        }
    }

    /// The client's octets from this offset of its stream on, as a segment.
    fn segment(&self, offset: usize, text: impl AsRef<[u8]>) -> Packet {
        let offset = u32::try_from(offset).unwrap();
        let segment = self.ftp.client.segment().psh().data(text);
        segment.seq(self.start.wrapping_add(offset))
    }

    fn sends(&mut self, packet: Packet) -> Sent {
        let sent = self.lab.at(1.0).from(LAN).send(packet);
        if let Some((_, seen)) = &sent.forwarded {
            let all = match sent.pieces.is_empty() {
                true => vec![seen.clone()],
                false => {
                    let pieces = sent.pieces.iter();
                    pieces.map(|piece| Seen::read(piece, Sums::Right)).collect()
                }
            };
            for seen in all {
                self.hears(&seen);
            }
        }
        sent
    }

    fn hears(&mut self, seen: &Seen) {
        let at = seen.tcp().sequence_number.wrapping_sub(self.start) as usize;
        for (place, octet) in (at..).zip(seen.text().into_bytes()) {
            if self.octets.len() <= place {
                self.octets.resize(place + 1, None);
            }
            let known = *self.octets[place].get_or_insert(octet);
            assert_eq!(known, octet, "octet {place} has two values");
        }
    }

    fn says(&mut self, offset: usize, text: &str) -> Sent {
        let segment = self.segment(offset, text);
        self.sends(segment)
    }

    /// The server acknowledges so much of what it got; what the client is told.
    fn server_acknowledges(&mut self, offset: usize) -> u32 {
        let ack = self.start.wrapping_add(u32::try_from(offset).unwrap());
        let segment = tcp(SERVER, PUBLIC).seq(self.ftp.server.next).ack(ack);
        let sent = self.lab.at(1.0).from(WAN).send(segment);
        let seen = sent.forwarded.expect("an acknowledgement passes").1;
        seen.tcp().acknowledgment_number.wrapping_sub(self.start)
    }

    /// What the server has got without a hole.
    fn text(&self) -> String {
        let octets = self.octets.iter().copied();
        let octets = octets.map(|octet| octet.expect("the stream has a hole"));
        String::from_utf8(octets.collect()).unwrap()
    }
}

#[test]
fn t_1123_stream__a_line_cut_anywhere_is_rewritten_as_if_whole() {
    for cut in 1..LINE.len() {
        let mut heard = Heard::new();
        let first = heard.says(0, &LINE[..cut]);
        assert_eq!(heard.text(), LINE[..cut.min(5)], "the verb passes at once");
        if cut > 5 {
            assert!(heard.lab.expected().is_empty());
        }
        assert_eq!(first.judgement.verdict.name(), "forward");
        let _ = heard.says(cut, &LINE[cut..]);
        assert_eq!(heard.text(), LONGER, "cut at {cut}");
        assert_eq!(heard.lab.expected(), [HOLE]);
        // Both numbers, and all that follows, are those of the longer line.
        let _ = heard.says(LINE.len(), "NOOP\r\n");
        assert_eq!(heard.text(), format!("{LONGER}NOOP\r\n"));
        let known = heard.server_acknowledges(LONGER.len() + 6);
        assert_eq!(known as usize, LINE.len() + 6);
    }
}

#[test]
fn t_slip_mss__one_octet_at_a_time_is_rewritten_as_if_whole() {
    let mut heard = Heard::new();
    let all = format!("NOOP\r\n{LINE}{LINE}QUIT\r\n");
    for (place, octet) in all.chars().enumerate() {
        let _ = heard.says(place, &octet.to_string());
    }
    assert_eq!(heard.text(), format!("NOOP\r\n{LONGER}{LONGER}QUIT\r\n"));
    assert_eq!(heard.lab.expected(), [HOLE]);
}

#[test]
fn t_ftp_hold__what_waits_is_acknowledged_when_its_sender_repeats_it() {
    // Nagle's algorithm: the client sends nothing else before that.
    for (first, second, cut) in [(9, 0, 9), (8, 12, 12), (6, LINE.len() - 1, LINE.len() - 1)] {
        let mut heard = Heard::new();
        let _ = heard.says(0, &LINE[..first]);
        // While the server has not got the verb, its repetition is no sign.
        let again = heard.says(0, &LINE[..first]);
        assert!(again.made.is_empty());
        assert_eq!(heard.server_acknowledges(5), 5);
        let stop_and_go = |heard: &mut Heard, from: usize, to: usize| {
            let repeated = heard.segment(5, &LINE[5..to]);
            let sent = heard.sends(repeated);
            assert_eq!(sent.judgement.verdict, Verdict::Hold);
            assert_eq!(sent.judgement.reason, Reason::AlgHeld);
            let [(zone, ack)] = &sent.made[..] else {
                panic!("{:?}", sent.made);
            };
            assert_eq!(
                (*zone, &ack.source[..], &ack.destination[..]),
                (LAN, SERVER, CLIENT)
            );
            let header = ack.tcp();
            assert_eq!(ack.text(), "");
            assert_eq!(
                header.acknowledgment_number - heard.start,
                u32::try_from(to).unwrap()
            );
            assert_eq!(header.sequence_number, heard.ftp.server.next);
            assert_eq!(header.window_size, 64_000);
            assert!(header.ack && !header.psh && !header.fin);
            let _ = from;
        };
        stop_and_go(&mut heard, 5, first);
        if second > 0 {
            let held = heard.says(first, &LINE[first..second]);
            assert_eq!(held.judgement.reason, Reason::AlgHeld);
            stop_and_go(&mut heard, first, second);
        }
        assert_eq!(heard.text(), "PORT ");
        // What the server repeats of its own changes nothing for the client.
        assert_eq!(heard.server_acknowledges(5) as usize, cut);
        // The rest carries the whole text, and does so again: the client does
        // not repeat what was acknowledged.
        let rest = heard.says(cut, &LINE[cut..]).forwarded.unwrap().1;
        assert_eq!(rest.text(), LONGER[5..]);
        let again = heard.says(cut, &LINE[cut..]).forwarded.unwrap().1;
        assert_eq!(
            (again.text(), again.tcp().sequence_number),
            (rest.text(), heard.start + 5)
        );
        let _ = heard.says(cut, &format!("{}NOOP\r\n", &LINE[cut..]));
        // Who repeats what was acknowledged has not heard of it, and would repeat
        // nothing else.
        stop_and_go(&mut heard, 5, cut);
        assert_eq!(heard.text(), format!("{LONGER}NOOP\r\n"));
        assert_eq!(heard.lab.expected(), [HOLE]);
        assert_eq!(heard.server_acknowledges(6) as usize, cut);
        stop_and_go(&mut heard, 5, cut);
        assert_eq!(heard.server_acknowledges(LONGER.len()) as usize, LINE.len());
        // Once the server has it, the server answers.
        let late = heard.says(5, &LINE[5..cut]).forwarded.unwrap().1;
        assert_eq!(late.text(), "");
    }
}

#[test]
fn t_ftp_hold__a_fin_lets_go_of_what_waits() {
    for acknowledged in [false, true] {
        let mut heard = Heard::new();
        let _ = heard.says(0, &LINE[..9]);
        heard.server_acknowledges(5);
        if acknowledged {
            assert_eq!(heard.says(5, &LINE[5..9]).made.len(), 1);
        }
        let fin = || heard.ftp.client.segment().fin().seq(heard.start + 9);
        let (first, again) = (fin(), fin());
        for fin in [first, again] {
            let sent = heard.sends(fin);
            let seen = sent.forwarded.unwrap().1;
            assert!(seen.tcp().fin);
            let end = seen.tcp().sequence_number + u32::try_from(seen.text().len()).unwrap();
            assert_eq!(end, heard.start + 9, "the number of the FIN");
            if acknowledged {
                assert_eq!(seen.text(), LINE[5..9], "nobody else brings it");
            }
        }
        let _ = heard.says(5, &LINE[5..9]);
        assert_eq!(heard.text(), LINE[..9], "unchanged");
        assert_eq!(heard.server_acknowledges(10), 10);
        assert!(heard.lab.expected().is_empty());
    }
}

#[test]
fn t_ftp_hold__with_the_end_of_a_line_comes_what_waits_though_nothing_opens() {
    // No endpoint: the line passes as it is, but its octets were acknowledged.
    let line = "PORT 10,0,0,8,200,10\r\n";
    let mut heard = Heard::new();
    let _ = heard.says(0, &line[..9]);
    heard.server_acknowledges(5);
    assert_eq!(heard.says(5, &line[5..9]).made.len(), 1);
    let seen = heard.says(9, &line[9..]).forwarded.unwrap().1;
    assert_eq!(seen.text(), line[5..]);
    let seen = heard.says(9, &line[9..]).forwarded.unwrap().1;
    assert_eq!(seen.text(), line[5..]);
    assert_eq!(heard.text(), line);
    assert!(heard.lab.expected().is_empty());
}

#[test]
fn t_ftp_hold__a_reset_passes_with_the_number_that_its_receiver_awaits() {
    let mut heard = Heard::new();
    let _ = heard.says(0, &LINE[..9]);
    let reset = heard.ftp.client.segment().rst().seq(heard.start + 9);
    let want = forward_to(WAN)
        .source(PUBLIC)
        .seq(heard.start + 5)
        .state("close");
    let _ = heard.lab.at(1.0).from(LAN).send(reset).expect(want);
    assert_eq!(heard.text(), "PORT ");
}

#[test]
fn t_ftp_hold__a_line_that_is_too_long_is_let_go() {
    let mut heard = Heard::new();
    let mut sent = "PORT 1".to_owned();
    let _ = heard.says(0, &sent);
    while sent.len() < 520 {
        let _ = heard.says(sent.len(), "23456789");
        sent += "23456789";
    }
    assert_eq!(heard.text(), sent);
    let _ = heard.says(sent.len(), "\r\n");
    let _ = heard.says(sent.len() + 2, LINE);
    assert_eq!(heard.text(), format!("{sent}\r\n{LONGER}"));
}

#[test]
fn what_else_a_segment_says_leaves_though_its_octets_wait() {
    let mut heard = Heard::new();
    let _ = heard.says(0, "PORT ");
    let held = heard.says(5, "10,");
    let _ = held.expect(hold().because(Reason::AlgHeld).ct("established"));
    // The server has said something; the client acknowledges it with its octets.
    let reply = "220 late\r\n";
    heard.ftp.client.next = heard.start + 5;
    heard.ftp.server.awaits = heard.start + 5;
    let segment = heard.ftp.server.segment().psh().data(reply);
    let _ = heard.lab.at(1.0).from(WAN).send(segment);
    heard.ftp.client.awaits += u32::try_from(reply.len()).unwrap();
    let seen = heard
        .says(8, "0,0")
        .forwarded
        .expect("an acknowledgement")
        .1;
    assert_eq!((seen.text(), seen.tcp().psh), (String::new(), false));
    assert_eq!(seen.tcp().sequence_number, heard.start + 5);
    assert_eq!(seen.tcp().acknowledgment_number, heard.ftp.client.awaits);
    // So does one without octets; once is enough.
    let bare = heard.ftp.client.segment().seq(heard.start + 11);
    let want = forward_to(WAN).source(PUBLIC).seq(heard.start + 5);
    let _ = heard.lab.at(1.0).from(LAN).send(bare).expect(want);
    let _ = heard.says(11, ",7,200,10\r\n");
    assert_eq!(heard.text(), LONGER);
}

#[test]
fn t_ftp_ooo__the_second_half_before_the_first_comes_again_in_order() {
    for cut in 1..LINE.len() {
        let mut heard = Heard::new();
        let early = heard.says(cut, &LINE[cut..]);
        let _ = early.expect(drop_for(Reason::AlgOutOfOrder).ct("established"));
        let _ = heard.says(0, &LINE[..cut]);
        let _ = heard.says(cut, &LINE[cut..]);
        assert_eq!(heard.text(), LONGER, "cut at {cut}");
        assert_eq!(heard.lab.expected(), [HOLE]);
    }
}

#[test]
fn t_ftp_ooo__a_lost_first_half_is_waited_for_and_not_for_ever() {
    let mut heard = Heard::new();
    let mut dropped = 0;
    let mut at = 9;
    let passed = loop {
        let sent = heard.says(at, "NOOP\r\n");
        at += 6;
        if sent.forwarded.is_some() {
            break sent;
        }
        assert_eq!(sent.judgement.reason, Reason::AlgOutOfOrder);
        dropped += 1;
    };
    assert_eq!(dropped, 16);
    assert_eq!(passed.judgement.reason, Reason::Session);
    // Reading goes on behind the next line end.
    heard.octets.clear();
    heard.start += u32::try_from(at).unwrap();
    let _ = heard.says(0, "7,200,10\r\n");
    let _ = heard.says(10, LINE);
    assert_eq!(heard.text(), format!("7,200,10\r\n{LONGER}"));
}

#[test]
fn what_took_another_way_is_not_waited_for() {
    // The server has got what was never seen here: an asymmetric path, or a
    // capture that has lost a packet.
    let mut heard = Heard::new();
    assert_eq!(
        heard.says(6, "NOOP\r\n").judgement.reason,
        Reason::AlgOutOfOrder
    );
    assert_eq!(heard.server_acknowledges(12), 12);
    let _ = heard.says(12, "NOOP\r\n");
    heard.octets.drain(..12);
    heard.start += 12;
    let _ = heard.says(6, LINE);
    assert_eq!(heard.text(), format!("NOOP\r\n{LONGER}"));
}

#[test]
fn t_slip_overlap__other_octets_under_the_same_numbers_are_dropped() {
    let mut heard = Heard::new();
    let _ = heard.says(0, "NOOP x\r\nPORT 10,0");
    let before = heard.lab.snapshot();
    for (offset, text) in [
        (0, "NOOP y\r\n"),
        (3, "X"),
        (
            6,
            "\r\nPORT 10,0,0,7,4,1\r\n"
                .to_owned()
                .replace("10,0,", "10,9,")
                .as_str(),
        ),
        (13, "20,0"),
        (15, "3,0,0,7,200,10\r\n"),
    ] {
        let sent = heard.says(offset, text);
        let _ = sent.expect(drop_for(Reason::AlgOverlap).ct("established"));
        assert_eq!(heard.lab.snapshot(), before);
    }
    // The same octets again pass, with new ones or without.
    let _ = heard.says(3, "P x\r\nPO");
    let _ = heard.says(10, "RT 10,0,0,7,200,10\r\n");
    assert_eq!(heard.text(), format!("NOOP x\r\n{LONGER}"));
    // What the server has acknowledged can be said no other way: it has it.
    heard.server_acknowledges(8);
    let again = heard.segment(0, "QUIT y\r\n");
    let sent = heard.lab.at(1.0).from(LAN).send(again);
    assert!(sent.forwarded.is_some(), "a keep-alive may have any octet");
}

/// A client's segment of this length, the last octets of which are a line.
fn long(length: usize) -> String {
    format!("{}\r\n{LINE}", "x".repeat(length - LINE.len() - 2))
}

#[test]
fn t_ftp_mtu__a_line_that_has_become_too_long_leaves_in_two_segments() {
    let narrow = OFFICE.replace(r#"tun = "wan0""#, r#"tun = "wan0", mtu = 1280"#);
    let mut heard = Heard::by(&narrow);
    let text = long(1240);
    for _ in 0..2 {
        let sent = heard.says(0, &text);
        assert_eq!(sent.pieces.len(), 2);
        let [first, second] = [0, 1].map(|n| Seen::read(&sent.pieces[n], Sums::Right));
        assert_eq!((first.text().len(), second.text().len()), (1240, 3));
        assert!(!first.tcp().psh && second.tcp().psh);
        assert_ne!(sent.pieces[0][4..6], sent.pieces[1][4..6], "identification");
        assert_eq!(heard.text(), text.replace(LINE, LONGER));
    }
    // A FIN is on the last.
    let end = text.len();
    let last = long(1239);
    let fin = heard.segment(end, &last).fin();
    let sent = heard.sends(fin);
    let flags = [0, 1].map(|n| Seen::read(&sent.pieces[n], Sums::Right).tcp().fin);
    assert_eq!(flags, [false, true]);
}

#[test]
fn t_7323_keep__rewritten_merged_and_cut_segments_keep_their_options() {
    let stamps = [1, 1, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9];
    let options = |seen: &Seen| seen.tcp().options.as_slice().to_vec();
    let mut heard = Heard::new();
    let whole = heard.segment(0, LINE).tcp_options(&stamps);
    let whole = heard.sends(whole).forwarded.unwrap().1;
    assert_eq!(
        (whole.text(), options(&whole)),
        (LONGER.into(), stamps.to_vec())
    );
    let end = LINE.len();
    for (from, to) in [(0, 9), (9, LINE.len())] {
        let part = heard
            .segment(end + from, &LINE[from..to])
            .tcp_options(&stamps);
        let seen = heard.sends(part).forwarded.unwrap().1;
        assert_eq!(options(&seen), stamps);
    }
    let long = heard.segment(2 * end, long(1400)).tcp_options(&stamps);
    let sent = heard.sends(long);
    assert_eq!(sent.pieces.len(), 2);
    for piece in &sent.pieces {
        assert_eq!(options(&Seen::read(piece, Sums::Right)), stamps);
    }
}

#[test]
fn t_9293_urg__the_urgent_pointer_moves_with_the_octet_that_it_points_at() {
    let urgent = |heard: &mut Heard, offset: usize, text: &str, pointer: u16| {
        let mut bytes = heard.segment(offset, text).urg().bytes();
        bytes[38..40].copy_from_slice(&pointer.to_be_bytes());
        let mut sum = u16::from_be_bytes([bytes[36], bytes[37]]);
        sum = !sum;
        let (total, carry) = sum.overflowing_add(pointer);
        sum = !(total + u16::from(carry));
        bytes[36..38].copy_from_slice(&sum.to_be_bytes());
        let sent = heard.lab.at(1.0).from(LAN).send(bytes);
        let seen = sent.forwarded.unwrap().1;
        let header = seen.tcp();
        let end = u32::from(header.urgent_pointer) + header.sequence_number - heard.start;
        (header.urg, end)
    };
    let end = u16::try_from(LINE.len()).unwrap();
    let mut heard = Heard::new();
    // Before, in, and behind the text that changes.
    assert_eq!(urgent(&mut heard, 0, LINE, 3), (true, 3));
    assert_eq!(urgent(&mut heard, 0, LINE, end), (true, u32::from(end) + 3));
    // In a line whose first half waited.
    let mut heard = Heard::new();
    let _ = heard.says(0, &LINE[..9]);
    assert_eq!(
        urgent(&mut heard, 9, &LINE[9..], end - 9),
        (true, u32::from(end) + 3)
    );
}
