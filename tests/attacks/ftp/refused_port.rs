//! A server refuses the PORT, and connects all the same.

use super::Talk;
use crate::lab::WAN;

#[test]
fn t_959_refuse__a_refused_port_stays_closed() {
    for refusal in ["500 no\r\n", "421 closing\r\n", "530 log in\r\n"] {
        let mut talk = Talk::outward();
        talk.comes_to_nothing("", |talk| {
            talk.client("PORT 10,0,0,7,200,10\r\n");
            talk.server(refusal);
        });
        talk.knocks_in_vain(WAN, "198.51.100.21:20", "203.0.113.2:51210");
    }
}
