//! A 200 that answers an earlier command.

use super::Talk;
use crate::lab::WAN;

#[test]
fn t_slip_reply__only_the_reply_to_the_port_itself_opens_it() {
    let mut talk = Talk::outward();
    talk.client("NOOP\r\nTYPE I\r\nPORT 10,0,0,7,200,10\r\n");
    for reply in [
        "200 NOOP\r\n",
        "200 TYPE\r\n",
        "500 PORT\r\n",
        "200 what?\r\n",
    ] {
        talk.server(reply);
        talk.settle();
        talk.knocks_in_vain(WAN, "198.51.100.21:20", "203.0.113.2:51210");
    }
    assert!(talk.lab.expected().is_empty());
}
