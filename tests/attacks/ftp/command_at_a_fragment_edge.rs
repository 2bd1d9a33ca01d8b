//! NAT slipstreaming, version 1: stuffing makes a piece of a datagram begin with a command that is none.

use super::Talk;
use crate::fragments::piece;
use crate::lab::{LAN, WAN};

/// Where the second piece begins: behind the TCP header and 52 octets of text.
const EDGE: usize = 72;

/// The client's text, in two pieces, the second of which begins with a command.
fn in_two_pieces(talk: &mut Talk, before: &str, order: [usize; 2]) {
    let stuffing = "x".repeat(EDGE - 20 - before.len());
    let text = format!("{before}{stuffing}PORT 10,0,0,7,200,10\r\n");
    let segment = talk.ends.client.segment().psh().data(&text);
    let pieces = [
        piece(&segment, 0, EDGE, true),
        piece(&segment, EDGE, usize::MAX, false),
    ];
    let [_, last] = order.map(|n| talk.lab.at(1.0).from(LAN).send(pieces[n].clone()));
    assert!(!last.pieces.is_empty(), "{:?}", last.judgement);
    let length = u32::try_from(text.len()).unwrap();
    talk.ends.client.next += length;
    talk.ends.server.awaits += length;
}

#[test]
fn t_slip_frag__the_start_of_a_piece_is_no_start_of_a_line() {
    for order in [[0, 1], [1, 0]] {
        let mut talk = Talk::outward();
        talk.comes_to_nothing("", |talk| {
            in_two_pieces(talk, "STAT ", order);
            talk.server("200 as you wish\r\n");
        });
        talk.knocks_in_vain(WAN, "198.51.100.21:20", "203.0.113.2:51210");

        let mut talk = Talk::greeted();
        talk.comes_to_nothing("not-ftp", |talk| {
            in_two_pieces(talk, "POST / HTTP/1.1\r\n\r\n", order);
            talk.server("230 welcome\r\n200 as you wish\r\n");
        });
        talk.knocks_in_vain(WAN, "198.51.100.21:20", "203.0.113.2:51210");
    }
}
