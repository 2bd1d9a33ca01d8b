//! Somebody else than the server accepts a PORT.

use super::Talk;
use crate::forged::refused;
use crate::lab::{DMZ, LAN, WAN};
use crate::packets::tcp;

#[test]
fn a_200_that_the_server_did_not_send_opens_nothing() {
    let mut talk = Talk::outward();
    talk.client("PORT 10,0,0,7,200,10\r\n");
    talk.settle();
    let yes = || talk.ends.server.segment().data("200 as you wish\r\n");
    let mut far = talk.ends.server.clone();
    far.next = far.next.wrapping_add(1 << 24);
    let beyond = far.segment().data("200 as you wish\r\n");
    let stranger = tcp("198.51.100.66:21", "203.0.113.2:51000");
    let stranger = stranger.seq(far.next).ack(1).data("200 as you wish\r\n");
    let (inside, yes) = (yes(), yes());
    for (zone, forgery) in [(LAN, inside), (DMZ, yes), (WAN, beyond), (WAN, stranger)] {
        refused(&mut talk.lab, 1.0, zone, forgery);
        talk.knocks_in_vain(WAN, "198.51.100.21:20", "203.0.113.2:51210");
    }
}
