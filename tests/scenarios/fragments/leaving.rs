//! How a datagram leaves that came in pieces, or does not fit.

use spigate::engine::Reason;

use super::super::lab::{LAN, Lab, WAN};
use super::super::packets::{echo, icmp};
use super::super::policies::{OFFICE, PLAIN, PUBLIC};
use super::super::seen::{Body, Seen, Sums};
use super::{
    cut, cut_bytes, joined, lengths, loose, narrow, passed, piece, question, question_v6, send_all,
    unfragmented,
};

#[test]
fn an_ipv6_datagram_no_longer_than_its_longest_piece_leaves_whole() {
    let mut lab = Lab::new(PLAIN);
    // The fragment header takes eight octets: 1000 and 8 of payload.
    let sent = send_all(&mut lab, LAN, &cut(&question_v6(), &[1000]));
    assert_eq!(sent.pieces, [[0; 0]; 0]);
    let (_, whole) = sent.forwarded.unwrap();
    assert_eq!(whole.bytes, passed(&question_v6().bytes()));
    let sent = send_all(&mut lab, LAN, &cut(&question_v6(), &[992]));
    assert_eq!(lengths(&sent.pieces), [1040, 64]);
}

#[test]
fn t_lnx_frag__a_datagram_leaves_in_the_pieces_it_came_in_first_one_first() {
    for (packet, extra) in [(question(), 20), (question_v6(), 48)] {
        let mut lab = Lab::new(OFFICE);
        let mut pieces = cut(&packet, &[24, 648]);
        pieces.reverse();
        let sent = send_all(&mut lab, LAN, &pieces);
        assert_eq!(
            lengths(&sent.pieces),
            [24, 624, 360].map(|size| size + extra)
        );
        assert_eq!(sent.frame, pieces[2]);
        let ids = |bytes: &Vec<u8>| match bytes[0] >> 4 {
            4 => bytes[4..6].to_vec(),
            _ => bytes[44..48].to_vec(),
        };
        assert!(
            sent.pieces
                .iter()
                .all(|piece| ids(piece) == ids(&pieces[0]))
        );
        let source = joined(&sent.pieces).source;
        assert!(["203.0.113.2:5000", "[2001:db8:ff::2]:5000"].contains(&&*source));
    }
}

#[test]
fn t_frag_nat__all_pieces_get_one_translation_and_the_sum_is_right() {
    let mut lab = Lab::new(OFFICE);
    let sent = send_all(&mut lab, LAN, &cut(&question(), &[8, 16, 504]));
    assert_eq!(sent.judgement.reason, Reason::Rule);
    let source = [203, 0, 113, 2];
    assert!(sent.pieces.iter().all(|piece| piece[12..16] == source));
    assert!(sent.pieces.iter().all(|piece| piece[8] == 63));
    assert_eq!(joined(&sent.pieces).source, format!("{PUBLIC}:5000"));
    assert_eq!(lab.table().len(), 1);
}

#[test]
fn t_frag_icmp__queries_and_errors_in_pieces_are_translated() {
    let mut lab = Lab::new(OFFICE);
    let query = echo("10.0.0.7", "198.51.100.9", 5).data([9; 2000]);
    let sent = send_all(&mut lab, LAN, &cut(&query, &[1480]));
    let left = joined(&sent.pieces);
    assert_eq!(left.source, format!("{PUBLIC}:5"));
    let error = icmp("192.0.2.1", PUBLIC, 11, 0).quoting(&left.bytes[..600]);
    let sent = send_all(&mut lab, WAN, &cut(&error, &[16, 304]));
    assert_eq!(sent.judgement.reason, Reason::Related);
    let told = joined(&sent.pieces);
    assert_eq!(told.destination, "10.0.0.7");
    assert_eq!(told.quote()[12..16], [10, 0, 0, 7]);
}

#[test]
fn t_frag_opt__options_are_where_they_belong_after_cutting_again() {
    // Security (copied), then record route (first piece only).
    let options = [
        &[0x86, 7, 8, 198, 51, 100, 1][..],
        &[1, 7, 7, 4, 0, 0, 0, 0],
        &[0],
    ]
    .concat();
    let mut lab = narrow(PLAIN, 576);
    let sent = lab
        .at(0.0)
        .from(LAN)
        .send(loose(&question().ip_options(&options)));
    assert_eq!(lengths(&sent.pieces), [36 + 536, 28 + 472]);
    assert_eq!(sent.pieces[0][20..36], options);
    assert_eq!(sent.pieces[1][20..28], [&options[..7], &[0]].concat());
    let left = joined(&sent.pieces);
    assert_eq!(
        left.kept(),
        Seen::read(&loose(&question().ip_options(&options)), Sums::Right).kept()
    );
}

#[test]
fn t_4787_req_13a__too_long_without_df_leaves_in_pieces_in_order() {
    let mut lab = narrow(OFFICE, 1280);
    let packet = question().data([5; 3000]);
    let sent = lab.at(0.0).from(LAN).send(loose(&packet));
    assert_eq!(lengths(&sent.pieces), [1276, 1276, 516]);
    let left = joined(&sent.pieces);
    assert_eq!(left.source, "203.0.113.2:5000");
    assert_eq!(left.body, Body::Udp(vec![5; 3000]));
}

#[test]
fn t_1812_frag__the_least_number_of_pieces_in_order() {
    let mut lab = narrow(OFFICE, 1500);
    let sent = lab
        .at(0.0)
        .from(LAN)
        .send(loose(&question().data([5; 2952])));
    assert_eq!(lengths(&sent.pieces), [1500, 1500]);
    let offsets: Vec<_> = sent
        .pieces
        .iter()
        .map(|piece| [piece[6], piece[7]])
        .collect();
    assert_eq!(offsets, [[0x20, 0], [0, 185]]);
}

#[test]
fn t_frag_out__no_piece_is_longer_than_the_longest_received_or_than_the_link() {
    let mut lab = narrow(OFFICE, 576);
    let sent = send_all(&mut lab, LAN, &cut_bytes(&loose(&question()), &[800]));
    assert_eq!(lengths(&sent.pieces), [572, 476]);
    joined(&sent.pieces);
    // DF on the pieces is honoured.
    let mut whole = question();
    whole = whole.data([1; 1000]);
    let bytes = unfragmented(&whole);
    let pieces = [piece(&bytes, 0, 800, true), piece(&bytes, 800, 1008, false)];
    let sent = send_all(&mut lab, LAN, &pieces);
    assert_eq!(sent.judgement.reason, Reason::PacketTooBig);
    assert_eq!(sent.made[0].1.bytes[20..22], [3, 4]);
    let pieces = [piece(&bytes, 0, 504, true), piece(&bytes, 504, 1008, false)];
    let sent = send_all(&mut lab, LAN, &pieces);
    assert_eq!(lengths(&sent.pieces), [524, 524]);
    assert!(sent.pieces.iter().all(|piece| piece[6] & 0x40 != 0), "DF");
}
