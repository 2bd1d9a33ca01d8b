//! A hole at a public port that is forwarded to somebody else.

use spigate::engine::Reason;

use super::Talk;
use crate::lab::{DMZ, WAN};
use crate::packets::tcp;
use crate::wants::forward_to;

#[test]
fn t_slip_hijack__a_forward_keeps_its_port() {
    let mut talk = Talk::outward();
    // 2222 leads to 10.0.9.22.
    let heard = talk.client("PORT 10,0,0,7,8,174\r\n");
    assert!(!heard.contains(",8,174"), "{heard}");
    talk.server("200 fine\r\n");
    let ssh = tcp("198.51.100.21:20", "203.0.113.2:2222").syn();
    let want = forward_to(DMZ).destination("10.0.9.22:22");
    let _ = talk
        .lab
        .at(1.0)
        .from(WAN)
        .send(ssh)
        .expect(want.because(Reason::Rule));
}
