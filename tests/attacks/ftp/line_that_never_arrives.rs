//! A command that passes the gateway and dies behind it: the server never hears of it.

use super::Talk;
use crate::lab::{LAN, WAN};

#[test]
fn t_slip_ttl__a_line_that_nobody_accepts_opens_nothing() {
    let mut talk = Talk::outward();
    let line = talk.ends.client.segment().data("PORT 10,0,0,7,200,10\r\n");
    let sent = talk.lab.at(1.0).from(LAN).send(line.ttl(2));
    assert!(
        sent.forwarded.is_some(),
        "it passes, and has one hop to live"
    );
    talk.knocks_in_vain(WAN, "198.51.100.21:20", "203.0.113.2:51210");
    talk.server("226 of something else\r\n");
    talk.knocks_in_vain(WAN, "198.51.100.21:20", "203.0.113.2:51210");
}
