//! NAT slipstreaming, version 1: stuffing makes a segment begin with a command that is none.

use super::Talk;
use crate::lab::WAN;

#[test]
fn t_slip_anchor__the_start_of_a_segment_is_no_start_of_a_line() {
    let mut talk = Talk::outward();
    talk.comes_to_nothing("", |talk| {
        talk.client(&format!("STAT {}", "x".repeat(200)));
        let line = "PORT 10,0,0,7,200,10\r\n";
        assert_eq!(talk.client(line), line);
        talk.server("200 as you wish\r\n");
    });
    talk.knocks_in_vain(WAN, "198.51.100.21:20", "203.0.113.2:51210");
}
